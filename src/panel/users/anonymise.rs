//! Anonymising a user, after a page that says what is removed with the name.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use super::find;
use crate::administration::{Anonymised, Bulk, WhatGoes, anonymise_user, what_goes};
use crate::auth::Auth;
use crate::domain::{Invalid, OperationId};
use crate::models::User;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::fields::{Field, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::{Cell, capped};
use crate::panel::kit::message::Message;
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, go};
use crate::panel::kit::paths;
use crate::panel::kit::verb::VerbPage;
use crate::panel::kit::{PageError, id};

fn form(user: &User, operation: &str) -> FormView {
    FormView::default()
        .hide("operation", operation)
        .group(
            "",
            "",
            vec![
                Field::new("name", "Type the username to confirm", Kind::Plain)
                    .required()
                    .help("Exactly as it is shown above."),
            ],
        )
        .dangerous()
        .button("", "Anonymise permanently")
        .cancel(paths::user(user.id))
}

fn page(administrator: &Superuser, user: &User, goes: &WhatGoes, form: FormView) -> VerbPage {
    let here = paths::user(user.id);
    let way = [
        Crumb::new("Users", paths::USERS),
        Crumb::new(user.username.as_str(), here.as_str()),
        Crumb::here("Anonymise"),
    ];
    let title = titled("Anonymise", &user.username);
    VerbPage::new(Frame { title, ..Frame::new(&administrator.0, &way) }, form)
        .note(
            "This cannot be undone. Removes the name, the password, all texts of chats, \
             conversations and stored responses, all auth tokens and sessions, and the user's \
             details in the history. Deactivates the account.",
        )
        .note(
            "The ledger never changes: its entries and their reasons stay, under a meaningless \
             name.",
        )
        .note(
            "Backups still contain everything: delete those that you no longer need. On \
             PostgreSQL, the removed texts stay in the database's files until the next VACUUM.",
        )
        .fact("User", Cell::Link { text: user.username.clone(), href: here })
        .fact("Chats whose texts are removed", Cell::Text(capped(goes.chats)))
        .fact("Conversations removed", Cell::Text(capped(goes.conversations)))
        .fact("Stored responses removed", Cell::Text(capped(goes.responses)))
        .fact("Auth tokens removed", Cell::Text(capped(goes.auth_tokens)))
        .fact("Sessions ended", Cell::Text(capped(goes.sessions)))
        .fact("Ledger entries kept", Cell::Text(capped(goes.ledger_entries)))
        .fact("Balance kept", Cell::Tokens(user.tokens))
}

/// Shows what would be removed, and the form (`GET /admin/users/{id}/anonymise/`).
pub(in crate::panel) async fn show_anonymise(
    administrator: Superuser,
    place: Path<String>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let user = find(&auth.db, id(&place)?).await?;
    let goes = what_goes(&auth.db, user.id).await?;
    page(&administrator, &user, &goes, form(&user, &OperationId::generate().to_text())).show()
}

/// Anonymises the user, if the name was typed (`POST /admin/users/{id}/anonymise/`).
pub(in crate::panel) async fn anonymise(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
    bulk: Data<Bulk>,
) -> Result<HttpResponse, PageError> {
    let operation_id = sent.operation()?;
    let user = find(&auth.db, id(&place)?).await?;
    let actor = administrator.0.actor();
    let goes = what_goes(&auth.db, user.id).await?;
    let view = form(&user, sent.text("operation"));
    // When the same form is sent again, the name has already changed.
    let is_again = bulk.find(&auth.db, operation_id).await?.is_some();
    if sent.text("name") != user.username && !is_again {
        let fault = Invalid::new("name", format!("type {} to confirm", user.username));
        return page(&administrator, &user, &goes, view.refill(&sent).blame(&[fault])).show();
    }
    match anonymise_user(&auth.db, &bulk, &actor, user.id, operation_id).await? {
        Anonymised::Started(operation) => {
            let message = Message::success(format!(
                "{}'s name is removed. The texts are removed in the background.",
                user.id
            ));
            let href = paths::bulk_operation(operation);
            administrator.0.leave_message(&auth, message.link("Show progress", href)).await?;
            Ok(go(&paths::user(user.id)))
        }
        Anonymised::HoldsOpen => {
            let view =
                view.fault("This user has pending chats. Wait until they end, or release their holds.");
            page(&administrator, &user, &goes, view).answer(StatusCode::CONFLICT)
        }
        Anonymised::Refused(why) => {
            page(&administrator, &user, &goes, view.fault(why)).answer(StatusCode::CONFLICT)
        }
        Anonymised::NoSuchUser => Err(PageError::Missing("user", paths::USERS)),
    }
}
