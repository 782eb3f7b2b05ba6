//! `tollgate import-django`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use serde_json::Value;

use super::output::{print_json, print_line};
use super::{Refusal, block_on, explain, open, open_migrated};
use crate::config::{Database, read_secret};
use crate::db::{DatabaseUrl, Db};
use crate::import::{
    Import, ImportOptions, Named, NegativeBalances, Progress, Rename, Report, Role, parse_renames,
};

/// Interval between two progress lines.
const PRINT_EVERY: Duration = Duration::from_secs(2);

const AFTER_HELP: &str = "\
Roles and fields for --table and --column:
  users           id, username, password, tokens, token, active, staff, superuser, joined, last_login
  administrators  id, username, password, superuser, active, joined, last_login
  auth-tokens     key, user, created
  chats           id, user, message, response, timestamp

Examples:
  tollgate import-django --from db.sqlite3 --dry-run     say what would happen, and write nothing
  tollgate import-django --from postgres://reader@old-host/django --rename Ada=ada.lovelace
  tollgate import-django --from db.sqlite3 --table users=shop_member --column users.tokens=coins

docs/migrating-from-django.md describes a whole migration.";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The database of the Django service, which is only read: an SQLite file, or
    /// postgres://USER@HOST/DATABASE (the password may be in PGPASSWORD or ~/.pgpass)
    #[arg(long, value_name = "URL", required_unless_present = "from_url_file")]
    from: Option<DatabaseUrl>,
    /// A file with the value of --from, for a URL with a password
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    from_url_file: Option<PathBuf>,
    /// Say what is found and what would happen to it, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the report to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// A table that is not recognised: ROLE=TABLE, or ROLE=none. May be repeated
    #[arg(long, value_name = "ROLE=TABLE", value_parser = parse_table)]
    table: Vec<(Role, Option<String>)>,
    /// A column that is not recognised: ROLE.FIELD=COLUMN. May be repeated
    #[arg(long, value_name = "ROLE.FIELD=COLUMN", value_parser = parse_column)]
    column: Vec<(Role, &'static str, String)>,
    /// A new name for a user whose name is refused; administrators:OLD=NEW if both tables have the
    /// name. May be repeated
    #[arg(long, value_name = "OLD=NEW", allow_hyphen_values = true)]
    rename: Vec<Rename>,
    /// A file of new names, one OLD=NEW a line
    #[arg(long, value_name = "FILE")]
    renames: Option<PathBuf>,
    /// What to do with users whose balance is negative
    #[arg(long, value_name = "MODE", default_value = "refuse")]
    negative_balances: NegativeBalances,
    /// Leave refused users out, with their chats and auth tokens, and import the others
    #[arg(long)]
    skip_refused: bool,
    /// Let the first import go into a database that has users or chats
    #[arg(long)]
    into_used: bool,
    /// The time zone of times that the source stores without one (Django's TIME_ZONE, if USE_TZ is
    /// off)
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: Tz,
    /// The name under which this database's ids are kept, if you import from several
    #[arg(long, value_name = "NAME", default_value = "django", value_parser = parse_source)]
    source: String,
    /// The model that imported chats name
    #[arg(long, value_name = "NAME", default_value = "dummy", value_parser = parse_source)]
    model: String,
    #[command(flatten)]
    database: Database,
}

fn parse_table(text: &str) -> Result<(Role, Option<String>), String> {
    let (role, table) = text.split_once('=').ok_or("write ROLE=TABLE")?;
    let role = parse_role(role)?;
    match table {
        "" => Err("the table is missing".to_owned()),
        "none" if role == Role::Users => Err("an import needs users".to_owned()),
        "none" => Ok((role, None)),
        table => Ok((role, Some(table.to_owned()))),
    }
}

fn parse_column(text: &str) -> Result<(Role, &'static str, String), String> {
    let (place, column) = text.split_once('=').ok_or("write ROLE.FIELD=COLUMN")?;
    let (role, field) = place.split_once('.').ok_or("write ROLE.FIELD=COLUMN")?;
    let role = parse_role(role)?;
    let field = role
        .field(field)
        .ok_or_else(|| format!("the fields of {role} are: {}", role.field_names().join(", ")))?;
    Ok((role, field, column.to_owned()))
}

fn parse_role(text: &str) -> Result<Role, String> {
    let roles = Role::ALL.map(|role| role.to_string()).join(", ");
    Role::named(text).ok_or_else(|| format!("the roles are: {roles}"))
}

fn parse_source(text: &str) -> Result<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    match text.len() {
        1..=50 if text.chars().all(is_word) => Ok(text.to_owned()),
        _ => Err("use 1 to 50 letters, digits and - _ . / :".to_owned()),
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode, Refusal> {
    let (dry_run, json, database) = (args.dry_run, args.json, args.database.clone());
    let options = args.options()?;
    if dry_run {
        let db = present(&database)?;
        let import = Import::prepare(db.as_ref(), options).map_err(|error| error.to_string())?;
        print(import.report(), json)?;
        match import.refusal() {
            Some(refusal) => eprintln!("nothing would be imported: {refusal}"),
            None => eprintln!("nothing was written: run it again without --dry-run"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let db = open(&database)?;
    let import = Import::prepare(Some(&db), options).map_err(|error| error.to_string())?;
    if let Some(refusal) = import.refusal() {
        let refusal = format!("nothing was imported: {refusal}");
        match json {
            true => print_json(&with_error(import.report(), &refusal)?)?,
            false => print(import.report(), json)?,
        }
        eprintln!("tollgate: {refusal}");
        return Ok(ExitCode::FAILURE);
    }
    if !json {
        print(import.report(), json)?;
    }
    let started = Instant::now();
    let mut printed = Printed::default();
    let report = block_on(async {
        import.run(&db, |progress| printed.show(progress)).await.map_err(|error| error.to_string())
    })?;
    if json {
        print(&report, json)?;
    }
    eprintln!(
        "imported users: {}, auth tokens: {}, chats: {}, in {:.1} s; now run: tollgate verify",
        report.users.new + report.administrators.new,
        report.auth_tokens.new,
        report.chats.new,
        started.elapsed().as_secs_f64()
    );
    let is_served = db.is_served();
    // A stop leaves the database as one file. A server keeps its log.
    let closed = db.close(Instant::now() + Duration::from_secs(10));
    match closed {
        Err(why) if !is_served => {
            eprintln!("tollgate: {why}");
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Returns a report as JSON, with the error first.
fn with_error(report: &Report, error: &str) -> Result<Value, Refusal> {
    let Value::Object(report) = serde_json::to_value(report).map_err(|error| error.to_string())? else {
        return Err("the report is not an object".to_owned());
    };
    let mut document = serde_json::Map::new();
    document.insert("error".to_owned(), Value::from(error));
    document.extend(report);
    Ok(Value::Object(document))
}

impl Args {
    fn options(self) -> Result<ImportOptions, Refusal> {
        let mut renames = self.rename;
        if let Some(path) = &self.renames {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read --renames {}: {error}", path.display()))?;
            let parsed = parse_renames(&text);
            renames.extend(parsed.map_err(|why| format!("--renames {}: {why}", path.display()))?);
        }
        let from = match (self.from, &self.from_url_file) {
            (Some(from), _) => from,
            (None, Some(file)) => {
                let url = read_secret("--from-url-file", "the URL of the old database", file)?;
                url.expose()
                    .parse::<DatabaseUrl>()
                    .map_err(|why| format!("--from-url-file: the URL in the file: {why}"))?
            }
            (None, None) => return Err("give --from, the database of the Django service".to_owned()),
        };
        Ok(ImportOptions {
            from,
            source: self.source,
            named: Named { tables: self.table, columns: self.column },
            renames,
            negative_balances: self.negative_balances,
            skip_refused: self.skip_refused,
            into_used: self.into_used,
            time_zone: self.time_zone,
            model: self.model,
        })
    }
}

/// Opens the database for a dry run, which must not make or migrate one. `None` if there is none,
/// or if it is empty.
fn present(database: &Database) -> Result<Option<Db>, Refusal> {
    if database.url().sqlite_path().is_some_and(|path| !path.exists()) {
        return Ok(None);
    }
    let db = Db::open(&database.options()).map_err(explain)?;
    let states = db.migration_state().map_err(|error| error.to_string())?;
    if states.iter().all(|state| !state.applied) {
        return Ok(None);
    }
    drop(db);
    open_migrated(database).map(Some)
}

fn print(report: &Report, json: bool) -> Result<(), Refusal> {
    match json {
        false => print_line(format_args!("{report}")),
        true => print_json(report),
    }
}

/// When the last progress line was printed, and about what.
#[derive(Default)]
struct Printed(Option<(Instant, &'static str)>);

impl Printed {
    fn show(&mut self, progress: Progress) {
        let is_due = self.0.is_none_or(|(at, what)| at.elapsed() >= PRINT_EVERY || what != progress.what);
        if is_due || progress.done == progress.all {
            self.0 = Some((Instant::now(), progress.what));
            eprintln!("imported {} of {} {}", progress.done, progress.all, progress.what);
        }
    }
}
