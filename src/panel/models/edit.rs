//! A model's page: its price and properties, and for superusers the form that changes them.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;

use super::form::{example, form, parse};
use super::performance::Performance;
use super::{embeddings_in_words, in_words, properties, state};
use crate::administration::{Edited, edit_model};
use crate::audit::ObjectKind;
use crate::auth::Auth;
use crate::chat::Toll;
use crate::clock;
use crate::db::Db;
use crate::domain::Invalid;
use crate::http::{CurrentSite, Site};
use crate::metering::Price;
use crate::models::{AuditEntry, Model};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::administrator::{Administrator, Superuser};
use crate::panel::kit::edit::{Conflict, EditView, saved};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::{FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
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
    /// `None` if nobody has used the model lately.
    performance: Option<Performance>,
    may_change: bool,
}

/// Describes a model. `known` also has what the upstream reports.
fn facts(model: &Model, known: &Model, site: &Site) -> Vec<Fact> {
    let price = Price::of(model, site.message_price);
    let mut facts =
        vec![Fact::new("State", state(model, site)), Fact::new("Price", Cell::Text(in_words(price)))];
    facts.push(Fact::new("Price of embeddings", Cell::Text(embeddings_in_words(model))));
    let default = known.answer_limits(site.answer_limits).default;
    if let Some((cost, held)) = example(price, default) {
        let text = format!(
            "1,000 prompt tokens (about 4,000 bytes) and 500 answer tokens cost {}. Held first: \
             {}, the most with the default limit of {} answer tokens.",
            format::tokens(cost),
            format::tokens(held),
            format::tokens(default.into())
        );
        facts.push(Fact::new("For example", Cell::Text(text)));
    }
    facts.extend(properties::facts(model, known, site));
    facts.push(Fact::new("Id", Cell::Id(model.id)));
    facts
}

async fn find(db: &Db, id: i64) -> Result<Model, PageError> {
    let found = db.read_few(move |conn| Ok(Model::find(conn, id)?)).await?;
    found.ok_or(PageError::Missing("model", paths::MODELS))
}

/// What every response with this page needs.
struct ModelContext<'a> {
    administrator: &'a Administrator,
    db: &'a Db,
    toll: &'a Toll,
    site: &'a Site,
}

impl ModelContext<'_> {
    async fn respond(&self, model: Model, view: EditView) -> Result<HttpResponse, PageError> {
        let id = model.id;
        let (name, zone, now) = (model.name.clone(), self.administrator.zone, clock::now());
        let (history, performance) = self
            .db
            .read_in_turn(self.administrator.user.id, move |conn| {
                let entries = AuditEntry::latest_of_object(conn, ObjectKind::Model.code(), id, 20)?;
                Ok((describe(conn, entries)?, Performance::read(conn, &name, zone, now)?))
            })
            .await?;
        let title = format!("Model {}", model.name);
        let way = [Crumb::new("Models", paths::MODELS), Crumb::here(title.as_str())];
        let shown = ModelPage {
            frame: Frame::new(self.administrator, &way),
            form: view.form,
            facts: facts(&model, &self.toll.known(&model), self.site),
            conflicts: view.conflicts,
            history,
            performance,
            may_change: self.administrator.may_change(),
            model,
        };
        page_with(view.status, &shown).map_err(PageError::from)
    }
}

/// Shows the page (`GET /admin/models/{id}/`).
pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    db: Data<Db>,
    toll: Data<Toll>,
    site: CurrentSite,
) -> Result<HttpResponse, PageError> {
    let model = find(&db, id(&place)?).await?;
    let view = EditView::new(form(&model));
    let context = ModelContext { administrator: &administrator, db: &db, toll: &toll, site: &site };
    context.respond(model, view).await
}

/// Stores the form (`POST /admin/models/{id}/`).
pub(in crate::panel) async fn edit(
    administrator: Superuser,
    place: Path<String>,
    sent: Form,
    auth: Data<Auth>,
    toll: Data<Toll>,
    site: CurrentSite,
) -> Result<HttpResponse, PageError> {
    let administrator = administrator.0;
    let context = ModelContext { administrator: &administrator, db: &auth.db, toll: &toll, site: &site };
    let model = find(&auth.db, id(&place)?).await?;
    let faulty = |faults: &[Invalid]| EditView::faulty(form(&model), &sent, faults);
    let wanted = match parse(&sent) {
        Ok(wanted) => wanted,
        Err(faults) => {
            let view = faulty(&faults);
            return context.respond(model, view).await;
        }
    };
    let actor = administrator.actor();
    match edit_model(&auth.db, &actor, model.id, sent.version(), wanted.clone()).await? {
        Edited::Done(changes) => {
            let done = format!("Saved {}.", model.name);
            administrator.leave_message(&auth, saved(&changes, done)).await?;
            Ok(go(&paths::model(model.id)))
        }
        Edited::Conflict(stored) => {
            let view = EditView::conflict(form(&stored), &sent, &*stored, &wanted, administrator.zone);
            context.respond(*stored, view).await
        }
        Edited::Refused(fault) => {
            let view = faulty(&[fault]);
            context.respond(model, view).await
        }
        Edited::Gone => Err(PageError::Missing("model", paths::MODELS)),
    }
}
