//! Imports users, auth tokens and chats from the database of a Django service.
//!
//! - `source` reads the other database, SQLite or PostgreSQL, and never writes there;
//! - `layout` finds its tables and columns by their shape;
//! - `plan` decides what happens to each row, before anything is written, and reports it;
//! - `run` writes in batches. Each batch is one transaction with its rows of `import_map`, so a run
//!   that ends early is continued by the next one.
//!
//! The rows are added in the order of their times, because the panel finds days by ids. A user
//! opens with the balance of the source. Imported chats were paid for there, so they cost nothing
//! here.

mod balances;
mod found;
mod here;
mod layout;
mod names;
mod plan;
mod report;
mod role;
mod run;
mod source;
mod sqlite_tables;
mod table;
mod tokens;
mod users;
mod values;

use chrono_tz::Tz;

pub use balances::NegativeBalances;
pub use layout::Named;
pub use names::{Rename, parse_renames};
pub use report::{Counts, Fate, Note, Report, Topic};
pub use role::Role;
pub use run::Progress;

use crate::db::{DatabaseUrl, Db};
use crate::error::Error;
use layout::Layout;
use plan::Plan;
use source::Source;

/// Why an import cannot begin or go on. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error("{0}")]
    Source(String),
    /// Its tables or columns are not recognised.
    #[error("{0}")]
    Layout(String),
    /// The options do not fit what was found.
    #[error("{0}")]
    Refused(String),
    /// The database here failed. What was written until then is complete, and the next run goes on.
    #[error("{}: run the same command again to go on", .0.in_full())]
    Here(#[from] Error),
}

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The database to import from.
    pub from: DatabaseUrl,
    /// Its name in the map of ids.
    pub source: String,
    /// The tables and columns that the operator named.
    pub named: Named,
    /// New names.
    pub renames: Vec<Rename>,
    /// What to do with negative balances.
    pub negative_balances: NegativeBalances,
    /// Whether to leave refused users out.
    pub skip_refused: bool,
    /// Whether a first run may go into a database that has chats or users.
    pub into_used: bool,
    /// The time zone of times that the source stores without one.
    pub time_zone: Tz,
    /// The name of the model that imported chats get.
    pub model: String,
}

/// An import that was planned, and can be run.
pub struct Import {
    source: Source,
    layout: Layout,
    plan: Plan,
    options: ImportOptions,
}

impl Import {
    /// Reads the source, and decides what happens to each of its rows. Writes nothing. `db` is the
    /// database here, or `None` if there is none yet.
    ///
    /// # Errors
    /// [`ImportError`] if the source cannot be read or has no tables of a known shape, and if an
    /// option fits nothing.
    pub fn prepare(db: Option<&Db>, options: ImportOptions) -> Result<Import, ImportError> {
        let mut source = Source::open(&options.from)?;
        let layout = Layout::find(&source.tables()?, &options.named)?;
        let plan = Plan::make(db, &mut source, &layout, &options)?;
        Ok(Import { source, layout, plan, options })
    }

    /// Returns what was found, and what happens to it.
    pub fn report(&self) -> &Report {
        &self.plan.report
    }

    /// Returns why [`Import::run`] would write nothing, or `None`.
    pub fn refusal(&self) -> Option<String> {
        if self.plan.is_first_into_used && !self.options.into_used {
            return Some(
                "a first import goes into an empty database, because the panel finds days by the order of rows, and \
                 this one has users or chats: use another --database-url, or add --into-used"
                    .to_owned(),
            );
        }
        match self.plan.report.refused() {
            0 => None,
            _ if self.options.skip_refused => None,
            count => Some(format!(
                "{count} {} refused, see above: say what to do with them, or leave them out with their chats \
                 (--skip-refused)",
                if count == 1 { "user is" } else { "users are" }
            )),
        }
    }

    /// Writes everything that is new. Tells `progress` after each batch.
    ///
    /// # Errors
    /// [`ImportError`]. What was written until then stays, and the next run goes on from there.
    pub async fn run(mut self, db: &Db, progress: impl FnMut(Progress)) -> Result<Report, ImportError> {
        if let Some(refusal) = self.refusal() {
            return Err(ImportError::Refused(refusal));
        }
        let changed =
            run::run(db, &mut self.source, &self.layout, &self.plan, &self.options, progress).await?;
        let mut report = self.plan.report;
        changed.into_iter().for_each(|chat| report.note(Topic::UnstorableText, || chat));
        report.sort();
        Ok(report)
    }
}
