//! Fields that several forms share.

use super::fields::{Field, Kind};
use crate::domain::REASON_LENGTH;

/// The field for a signed amount of tokens.
pub(in crate::panel) fn amount_field() -> Field {
    Field::new("amount", "Amount", Kind::Amount)
        .required()
        .most(30)
        .help("Tokens, with a sign: 500 adds tokens, -100 removes tokens.")
}

/// The field for the reason for a change, which the user sees on the statement.
pub(in crate::panel) fn reason_field() -> Field {
    Field::new("reason", "Reason", Kind::Text)
        .required()
        .most(REASON_LENGTH)
        .help("One line, up to 200 characters. It stays on the user's statement permanently.")
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
