//! The models, all on one page, as they are only those that the settings have ever named.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::{embeddings_in_words, in_words, state};
use crate::db::Db;
use crate::http::{CurrentSite, Site};
use crate::metering::Price;
use crate::models::Model;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{At, Cell};
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::table::{Table, TableHead};

#[derive(Template)]
#[template(path = "admin/models.html")]
struct ModelsPage {
    frame: Frame,
    models: Table,
}

fn table(models: &[Model], site: &Site) -> Table {
    let row = |model: &Model| {
        vec![
            Cell::Main { text: model.name.clone(), href: paths::model(model.id) },
            Cell::code(&model.aliases),
            state(model, site),
            Cell::Text(in_words(Price::of(model, site.message_price))),
            Cell::Text(embeddings_in_words(model)),
        ]
    };
    Table {
        heads: vec![
            TableHead::text("Model").at(At::Lead),
            TableHead::text("Aliases"),
            TableHead::text("State").at(At::End),
            TableHead::text("Price in tokens of the balance").at(At::Note),
            TableHead::text("Embeddings"),
        ],
        rows: models.iter().map(row).collect(),
        empty: "There are no models.",
    }
}

/// Shows the models (`GET /admin/models/`).
pub(in crate::panel) async fn list(
    administrator: Administrator,
    db: Data<Db>,
    site: CurrentSite,
) -> Result<HttpResponse, PageError> {
    let models = db.read(|conn| Ok(Model::all(conn)?)).await?;
    let frame = Frame::new(&administrator, &[Crumb::new("Models", paths::MODELS)]);
    page(&ModelsPage { frame, models: table(&models, &site) }).map_err(PageError::from)
}
