//! Fields that several forms have.

use super::fields::{Field, Kind};
use crate::administration::REASON_LENGTH;

/// An amount of tokens with its sign.
pub(in crate::panel) fn amount_field() -> Field {
    Field::new("amount", "Amount", Kind::Amount)
        .required()
        .most(30)
        .help("Tokens with a sign: 500 gives them, -100 takes them.")
}

/// The reason for a change, which the user sees on the statement.
pub(in crate::panel) fn reason_field() -> Field {
    Field::new("reason", "Reason", Kind::Text)
        .required()
        .most(REASON_LENGTH)
        .help("One line, up to 200 characters. It stands on the user's statement for ever.")
}

/// A new password, twice. `required` makes the browser insist on both.
pub(in crate::panel) fn password_fields(required: bool) -> Vec<Field> {
    let mut fields = [
        Field::new("password", "New password", Kind::Password)
            .help("At least 8 characters, not a common one, not the name."),
        Field::new("again", "The new password again", Kind::Password),
    ];
    for field in &mut fields {
        field.is_required = required;
    }
    fields.into()
}
