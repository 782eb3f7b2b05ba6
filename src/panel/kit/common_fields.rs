//! Fields that several forms share.

use super::fields::{Field, FormView, Kind};
use super::form::Form;
use super::format;
use crate::administration::parse_amount;
use crate::auth::AccountRules;
use crate::domain::{Invalid, REASON_LENGTH, Reason};

/// The fault of a repetition that differs from the password.
pub(in crate::panel) const PASSWORDS_DIFFER: &str = "the two passwords do not match";

/// The field for a signed amount of tokens.
pub(in crate::panel) fn amount_field() -> Field {
    Field::new("amount", "Amount", Kind::Amount)
        .required()
        .most(30)
        .help("Use a minus sign to remove tokens.")
}

/// The field for the reason for a change, which the user sees on the statement.
pub(in crate::panel) fn reason_field() -> Field {
    Field::new("reason", "Reason", Kind::Text)
        .required()
        .most(REASON_LENGTH)
        .help("The user sees this. It can't be changed later.")
}

/// The field for the reason for a change that only administrators see, in the history.
pub(in crate::panel) fn history_reason_field() -> Field {
    reason_field().help("One line, up to 200 characters. It is shown in the history.")
}

/// The two fields for a new password and its repetition. With `required`, the browser requires
/// both.
pub(in crate::panel) fn password_fields(required: bool) -> Vec<Field> {
    let mut fields = [
        Field::new("password", "New password", Kind::Password)
            .help("At least 8 characters, neither a common password nor the username."),
        Field::new("again", "Repeat new password", Kind::Password),
    ];
    for field in &mut fields {
        field.is_required = required;
    }
    fields.into()
}

/// The field for a reason that need not be given, which only administrators see.
pub(in crate::panel) fn optional_reason_field() -> Field {
    Field::new("reason", "Reason", Kind::Text).most(REASON_LENGTH).help(
        "Optional. One line, up to 200 characters. Administrators see it in the history and on the user's page.",
    )
}

/// Reads the reason of a form, which may be empty.
pub(in crate::panel) fn optional_reason(sent: &Form) -> Result<String, Invalid> {
    match sent.text("reason") {
        "" => Ok(String::new()),
        text => Reason::parse(text).map(|reason| reason.as_str().to_owned()),
    }
}

/// The field in which a large amount is typed a second time.
const AGAIN: &str = "amount_again";

/// Adds the field in which a large amount is typed again, behind the field `amount`, if the form
/// needs it: if `fault` says so, or if it was sent.
pub(in crate::panel) fn with_large_amount(
    form: FormView,
    amount: &'static str,
    fault: Option<&Invalid>,
    sent: &Form,
) -> FormView {
    if fault.is_none() && sent.text(AGAIN).is_empty() {
        return form;
    }
    form.and_field_after(amount, Field::new(AGAIN, "Amount again", Kind::Amount).required().most(30))
}

/// Checks that an amount above the setting `--large-grant` was typed twice. A slip of the finger
/// must not make somebody rich.
pub(in crate::panel) fn confirm_large(amount: i64, rules: &AccountRules, sent: &Form) -> Option<Invalid> {
    let is_large = rules.large_grant > 0 && amount > rules.large_grant;
    if !is_large || parse_amount(sent.text(AGAIN)) == Ok(amount) {
        return None;
    }
    let times = match amount.checked_div(rules.opening_tokens) {
        Some(times) if times > 1 => format!(", {} times the opening balance", format::in_words(times)),
        _ => String::new(),
    };
    let start = if sent.text(AGAIN).is_empty() { "" } else { "The two amounts differ. " };
    let reason = format!("{start}That is {} tokens{times}. Type the amount again.", format::in_words(amount));
    Some(Invalid::new(AGAIN, reason))
}
