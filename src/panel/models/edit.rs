//! A model's own page: what it costs, and for superusers the form that changes it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;

use super::form::{conflicts, example, form, parse};
use super::{in_words, state};
use crate::administration::{ModelEdit, ModelEdited, edit_model};
use crate::audit::ObjectKind;
use crate::auth::Auth;
use crate::db::Db;
use crate::http::Site;
use crate::metering::Price;
use crate::models::{AuditEntry, Model};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::administrator::{Administrator, Superuser};
use crate::panel::kit::conflict::Conflict;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::{FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Crumb, Frame, go, page_with};
use crate::panel::kit::paths;
use crate::panel::kit::{PageError, format, id};

#[derive(Template)]
#[template(path = "admin/model.html")]
struct ModelPage {
    frame: Frame,
    form: FormView,
    model: Model,
    facts: Vec<Fact>,
    conflicts: Vec<Conflict>,
    history: Vec<HistoryLine>,
    may_change: bool,
}

fn facts(model: &Model, site: &Site) -> Vec<Fact> {
    let price = Price::of(model, site.message_price);
    let mut facts =
        vec![Fact::new("State", state(model, site)), Fact::new("Price", Cell::Text(in_words(price)))];
    if let Some((cost, held)) = example(price, site.max_output) {
        let text = format!(
            "A prompt of 1,000 tokens (about 4,000 bytes) and an answer of 500 cost {}. Held before: {}, the most that it \
             could come to with an answer of {} tokens.",
            format::tokens(cost),
            format::tokens(held),
            format::tokens(site.max_output.into())
        );
        facts.push(Fact::new("For example", Cell::Text(text)));
    }
    facts.push(Fact::new("Id", Cell::Id(model.id)));
    facts
}

async fn find(db: &Db, id: i64) -> Result<Model, PageError> {
    let found = db.read(move |conn| Ok(Model::find(conn, id)?)).await?;
    found.ok_or(PageError::Missing("model", paths::MODELS))
}

/// What each response with this page needs.
struct ModelContext<'a> {
    administrator: &'a Administrator,
    db: &'a Db,
    site: &'a Site,
}

impl ModelContext<'_> {
    async fn respond(
        &self,
        model: Model,
        form: FormView,
        conflicts: Vec<Conflict>,
        status: StatusCode,
    ) -> Result<HttpResponse, PageError> {
        let id = model.id;
        let history = self
            .db
            .read(move |conn| {
                let entries = AuditEntry::latest_of_object(conn, ObjectKind::Model.as_str(), id, 20)?;
                describe(conn, entries)
            })
            .await?;
        let title = format!("Model {}", model.name);
        let way = [Crumb::new("Models", paths::MODELS), Crumb::here(title.as_str())];
        let shown = ModelPage {
            frame: Frame::new(self.administrator, &way),
            form,
            facts: facts(&model, self.site),
            conflicts,
            history,
            may_change: self.administrator.may_change(),
            model,
        };
        page_with(status, &shown).map_err(PageError::from)
    }
}

pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    db: Data<Db>,
    site: Data<Site>,
) -> Result<HttpResponse, PageError> {
    let model = find(&db, id(&place)?).await?;
    let form = form(&model);
    let context = ModelContext { administrator: &administrator, db: &db, site: &site };
    context.respond(model, form, Vec::new(), StatusCode::OK).await
}

pub(in crate::panel) async fn edit(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
    site: Data<Site>,
) -> Result<HttpResponse, PageError> {
    let administrator = administrator.0;
    let context = ModelContext { administrator: &administrator, db: &auth.db, site: &site };
    let model = find(&auth.db, id(&place)?).await?;
    let wanted = match parse(&sent) {
        Ok(wanted) => wanted,
        Err(faults) => {
            let view = form(&model).refill(&sent).keep("version", &sent).blame(&faults);
            return context.respond(model, view, Vec::new(), StatusCode::BAD_REQUEST).await;
        }
    };
    let version = sent.text("version").parse().unwrap_or(-1);
    let edit = ModelEdit { model_id: model.id, version, wanted: wanted.clone() };
    match edit_model(&auth.db, &administrator.actor(), edit).await? {
        ModelEdited::Done(changes) => {
            let text = match changes.len() {
                0 => format!("Nothing was changed for {}.", model.name),
                _ => format!("Model {} was changed.", model.name),
            };
            administrator.leave_message(&auth, Message::success(text)).await?;
            Ok(go(&paths::model(model.id)))
        }
        ModelEdited::Conflict(stored) => {
            let conflicts = conflicts(&stored, &wanted);
            // Sending it again is meant to overwrite what is stored now.
            let view = form(&stored).refill(&sent);
            context.respond(*stored, view, conflicts, StatusCode::CONFLICT).await
        }
        ModelEdited::NoSuchModel => Err(PageError::Missing("model", paths::MODELS)),
    }
}
