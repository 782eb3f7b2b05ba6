//! An auth token's page, with the form for its name and its expiry.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;

use super::list::state;
use super::of;
use crate::administration::{Edited, edit_auth_token};
use crate::audit::ObjectKind;
use crate::auth::{Auth, AuthTokenRequest};
use crate::clock;
use crate::db::Db;
use crate::domain::Invalid;
use crate::models::{AuditEntry, AuthToken, AuthTokenChanges, User};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::From;
use crate::panel::kit::administrator::{Administrator, Superuser};
use crate::panel::kit::edit::{Conflict, EditView};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go, page_with};
use crate::panel::kit::paths;
use crate::panel::kit::zone::Zone;
use crate::panel::kit::{PageError, back_to, id};

#[derive(Template)]
#[template(path = "admin/auth_token.html")]
struct TokenPage {
    frame: Frame,
    form: FormView,
    token: AuthToken,
    facts: Vec<Fact>,
    conflicts: Vec<Conflict>,
    history: Vec<HistoryLine>,
    is_live: bool,
    may_change: bool,
}

fn form(token: &AuthToken, zone: Zone, list: &str) -> FormView {
    let expires = token.expires_at.map(|expires| zone.to_field(expires)).unwrap_or_default();
    FormView::default()
        .hide("list", list)
        .hide("was_name", token.name.clone().unwrap_or_default())
        .hide("was_expires", expires.clone())
        .group(
            "Change",
            "",
            vec![
                Field::new("name", "Name", Kind::Text)
                    .value(token.name.clone().unwrap_or_default())
                    .most(100)
                    .help("Name the token to keep it. Unnamed login tokens are cleaned up."),
                Field::new("expires", "Expires", Kind::Moment).value(expires).help("Leave empty for never."),
            ],
        )
        .button("", "Save")
        .cancel(paths::AUTH_TOKENS)
}

fn facts(token: &AuthToken, user: &User) -> Vec<Fact> {
    vec![
        Fact::new("Begins with", Cell::Code(token.first_characters.clone())),
        Fact::new("User", Cell::user(user.id, Some(&user.username))),
        Fact::new("State", state(token)),
        Fact::new("Made", Cell::Time(token.created_at)),
        Fact::new("Last used", Cell::time(token.last_used_at)),
        Fact::new("Expires", Cell::time(token.expires_at)),
        Fact::new("Revoked", Cell::time(token.revoked_at)),
        Fact::new("Id", Cell::Id(token.id)),
    ]
}

async fn answer(
    administrator: &Administrator,
    db: &Db,
    (token, user): (AuthToken, User),
    view: EditView,
) -> Result<HttpResponse, PageError> {
    let id = token.id;
    let history = db
        .read(move |conn| {
            let entries = AuditEntry::latest_of_object(conn, ObjectKind::AuthToken.code(), id, 20)?;
            describe(conn, entries)
        })
        .await?;
    let title = format!("Auth token {}…", token.first_characters);
    let way = [Crumb::new("Auth tokens", paths::AUTH_TOKENS), Crumb::here(title.as_str())];
    let is_expired = token.expires_at.is_some_and(|expires| expires <= clock::now());
    let shown = TokenPage {
        frame: Frame { title: titled(&title, &user.username), ..Frame::new(administrator, &way) },
        form: view.form,
        facts: facts(&token, &user),
        conflicts: view.conflicts,
        history,
        is_live: token.revoked_at.is_none() && !is_expired,
        may_change: administrator.may_change() && token.revoked_at.is_none(),
        token,
    };
    page_with(view.status, &shown).map_err(PageError::from)
}

/// Shows the page (`GET /admin/auth-tokens/{id}/`).
pub(in crate::panel) async fn show_edit(
    administrator: Administrator,
    place: Path<String>,
    from: Query<From>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let found = of(&auth.db, id(&place)?).await?;
    let view = EditView::new(form(&found.0, administrator.zone, &from.list));
    answer(&administrator, &auth.db, found, view).await
}

/// Returns the name and the expiry of the form, or every fault in it.
fn parse(sent: &Form, zone: Zone) -> Result<AuthTokenChanges, Vec<Invalid>> {
    let mut faults = Vec::new();
    let name = match sent.text("name") {
        "" => None,
        // An older name need not obey the rules for new ones.
        name if name == sent.text("was_name") => Some(sent.raw("was_name").to_owned()),
        name => {
            let parsed = AuthTokenRequest::parse(Some(name), None);
            parsed.map_err(|fault| faults.push(fault)).ok().map(AuthTokenRequest::into_name)
        }
    };
    let expires_at = match sent.text("expires") {
        "" => None,
        text => {
            let read = zone.of_field(text);
            if read.is_none() {
                faults.push(Invalid::new("expires", "enter a date and a time, such as 2027-01-31T12:00"));
            }
            read
        }
    };
    if faults.is_empty() { Ok(AuthTokenChanges { name, expires_at }) } else { Err(faults) }
}

/// Stores the form (`POST /admin/auth-tokens/{id}/`).
pub(in crate::panel) async fn edit(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let administrator = administrator.0;
    let (token, user) = of(&auth.db, id(&place)?).await?;
    let zone = administrator.zone;
    let made_of = |token: &AuthToken| form(token, zone, sent.text("list"));
    let mut wanted = match parse(&sent, zone) {
        Ok(wanted) => wanted,
        Err(faults) => {
            let view = EditView::faulty(made_of(&token), &sent, &faults);
            return answer(&administrator, &auth.db, (token, user), view).await;
        }
    };
    // The form has minutes only, so an unchanged expiry keeps its seconds.
    let is_unchanged = |field: &str| zone.to_field_of(token.expires_at) == sent.text(field);
    if is_unchanged("expires") {
        wanted.expires_at = token.expires_at;
    }
    let was_expires = sent.text("was_expires");
    let shown = AuthTokenChanges {
        name: Some(sent.text("was_name").to_owned()).filter(|name| !name.is_empty()),
        expires_at: if is_unchanged("was_expires") { token.expires_at } else { zone.of_field(was_expires) },
    };
    let view = match edit_auth_token(&auth.db, &administrator.actor(), &token, shown, wanted.clone()).await? {
        Edited::Done(_) => {
            let message = Message::success(format!("Saved auth token {}….", token.first_characters));
            administrator
                .leave_message(&auth, message.link("Show the auth token", paths::auth_token(token.id)))
                .await?;
            let list = back_to(paths::AUTH_TOKENS, sent.text("list"));
            return Ok(go(&list.unwrap_or_else(|| paths::auth_token(token.id))));
        }
        Edited::Conflict(stored) => {
            let view = EditView::conflict(made_of(&stored), &sent, &*stored, &wanted, zone);
            return answer(&administrator, &auth.db, (*stored, user), view).await;
        }
        Edited::Refused(fault) => EditView::faulty(made_of(&token), &sent, &[fault]),
        Edited::Gone => {
            let why = "This auth token was revoked and can no longer be changed.";
            EditView::gone(made_of(&token), &sent, why)
        }
    };
    answer(&administrator, &auth.db, (token, user), view).await
}
