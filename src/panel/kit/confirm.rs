//! Confirmation by the administrator's own password. Somebody who finds a signed-in browser must
//! not gain lasting access. So an action that gives access to the panel, or a credential of a user
//! with rights, requires the password of the administrator.

use super::PageError;
use super::administrator::Administrator;
use super::fields::{Field, Kind};
use super::form::Form;
use crate::auth::Auth;
use crate::domain::Invalid;
use crate::error::Error;
use crate::models::User;

/// The field for the administrator's own password. `help` says when it is required.
pub(in crate::panel) fn own_password_field(help: &'static str) -> Field {
    Field::new("own_password", "Your own password", Kind::OldPassword).help(help)
}

/// Whether a user has rights. Setting such a user's password or making an auth token for them
/// requires a confirmation.
pub(in crate::panel) fn has_rights(user: &User) -> bool {
    user.is_staff || user.is_superuser
}

/// Checks the administrator's own password in a form. Returns the fault if it is missing or wrong.
pub(in crate::panel) async fn confirm(
    administrator: &Administrator,
    sent: &Form,
    auth: &Auth,
) -> Result<Option<Invalid>, PageError> {
    let given = sent.raw("own_password");
    if given.is_empty() {
        return Ok(Some(Invalid::new("own_password", "enter your own password, too")));
    }
    let Administrator { user, from, request, .. } = administrator;
    match auth.confirm_password(user, *from, request.clone(), given).await {
        Ok(()) => Ok(None),
        Err(Error::Invalid(invalid)) => Ok(Some(invalid)),
        Err(error) => Err(error.into()),
    }
}
