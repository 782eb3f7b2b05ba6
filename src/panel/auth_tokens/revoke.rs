//! Revoking one auth token.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::of;
use crate::auth::{Auth, revoke_auth_token};
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, id};

/// Asks before revoking (`GET /admin/auth-tokens/{id}/revoke/`).
pub(in crate::panel) async fn show_revoke(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let (token, user) = of(&auth.db, id(&place)?).await?;
    let (name, here) = (format!("Auth token {}…", token.first_characters), paths::auth_token(token.id));
    let way = [
        Crumb::new("Auth tokens", paths::AUTH_TOKENS),
        Crumb::new(name.as_str(), here.as_str()),
        Crumb::here("Revoke"),
    ];
    let form = FormView::default().dangerous().button("", "Revoke").cancel(here.clone());
    let title = titled(&format!("Revoke {}…", token.first_characters), &user.username);
    VerbPage::new(Frame { title, ..Frame::new(&administrator.0, &way) }, form)
        .note(
            "Clients with this auth token are rejected immediately. This can't be undone, but \
             the user can make another one.",
        )
        .fact("Auth token", Cell::Link { text: format!("{}…", token.first_characters), href: here.clone() })
        .fact("Name", token.name.clone().map_or(Cell::Nothing, Cell::Text))
        .fact("User", Cell::user(user.id, Some(&user.username)))
        .fact("Last used", Cell::time(token.last_used_at))
        .show()
}

/// Revokes the auth token (`POST /admin/auth-tokens/{id}/revoke/`).
pub(in crate::panel) async fn revoke(
    administrator: Superuser,
    place: Path<String>,
    _sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let (token, user) = of(&auth.db, id(&place)?).await?;
    let revoked = revoke_auth_token(&auth.db, Some(administrator.0.actor()), user.id, token.id).await?;
    let message = if revoked {
        Message::success(format!("Auth token {}… of {} was revoked.", token.first_characters, user.username))
    } else {
        Message::warning(format!("Auth token {}… had already ended.", token.first_characters))
    };
    administrator
        .0
        .leave_message(&auth, message.link("Show the auth token", paths::auth_token(token.id)))
        .await?;
    Ok(go(&paths::user(user.id)))
}
