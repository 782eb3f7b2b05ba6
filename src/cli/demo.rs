//! `tollgate demo`.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rand::RngExt;
use rustix::process::{getpid, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::{print_json, seconds};
use super::serve::{address_of, cannot_serve, run_and_announce};
use super::{Refusal, block_on, explain};
use crate::auth::password_hash;
use crate::config::{Config, DatabaseAddress, Origin, ResponderName, Settings};
use crate::db::file::beside;
use crate::db::{DatabaseUrl, Db, index_path};
use crate::demo::{Sample, Terms, fill};
use crate::domain::{NewPassword, Username};
use crate::index::rebuild;
use crate::server::ServeError;

const AFTER_HELP: &str = "\
It prints a superuser's name and password, and a line that sends a paid message. The database is in
a folder for temporary files, which the end deletes. One that --database-url names is kept. It must
be a new SQLite file.";

/// The superuser whose password is printed.
const SUPERUSER: &str = "admin";
/// The letters of passwords, without those that look alike.
const LETTERS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// A password has this many groups of this many letters: 79 random bits.
const GROUPS: [usize; 4] = [4; 4];
/// How many ports above a taken one are tried.
const PORTS_TRIED: u16 = 20;
/// What to do about a database that the demo must not touch.
const ADVICE: &str = "leave the setting out for a scratch database, or give the path of a new file";
/// How long closing the database may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// The files that a command makes for a database that no server has opened yet.
const FILES: [&str; 6] = ["", "-wal", "-shm", "-journal", "-generation", "-lock"];

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// A number; the same one makes the same data, but for passwords and auth tokens
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    seed: u64,
    /// Write the addresses and secrets to standard output as JSON, once the server listens
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, config: &Config, settings: Settings) -> Result<(), Refusal> {
    let started = Instant::now();
    let chosen = chosen_file(config, &settings)?;
    for bind in [Some(config.listen.address.bind), config.listen.metrics_bind].into_iter().flatten() {
        check_address(config, bind)?;
    }
    // From here on a signal does not end the process at once: the folder must be deleted.
    let stop = block_on(async { StopSignals::listen() })?;
    let place = match chosen {
        Some(path) => Place::create(path)?,
        None => Place::scratch()?,
    };
    let demo = Demo { args, config: on_file(config, place.file()), place: &place, started };
    let outcome = demo.run(settings, stop);
    match (outcome, place.close()) {
        (Err(refusal), _) => Err(refusal),
        (Ok(()), closed) => closed,
    }
}

/// What the demo runs with.
struct Demo<'a> {
    args: &'a Args,
    /// The settings, with the address of the demo's own database.
    config: Config,
    place: &'a Place,
    started: Instant,
}

impl Demo<'_> {
    /// Fills the database and serves it until a stop signal comes.
    fn run(&self, settings: Settings, mut stop: StopSignals) -> Result<(), Refusal> {
        let (password, sample) = match self.fill(&mut stop) {
            Ok(Some(filled)) => filled,
            // If there is nothing, the demo was told to stop.
            other => {
                self.place.discard();
                return other.map(|_| ());
            }
        };
        let served = run_and_announce(&self.config, settings, |listening| {
            self.announce(listening, &password, &sample);
            stop.pass_on();
        });
        served.map_err(|refusal| match self.place {
            Place::Scratch(..) => refusal,
            Place::Chosen(file) => format!("{refusal} ({} has the sample data)", file.display()),
        })
    }

    /// Makes the superuser's password and the sample data. Returns `None` if a stop signal came.
    fn fill(&self, stop: &mut StopSignals) -> Result<Option<(NewPassword, Sample)>, Refusal> {
        let password = password()?;
        let terms = self.terms(&password)?;
        let filled = block_on(async {
            tokio::select! {
                filled = fill_file(&self.config, terms) => filled.map(Some),
                () = stop.received() => Ok(None),
            }
        });
        Ok(filled?.map(|sample| (password, sample)))
    }

    fn terms(&self, password: &NewPassword) -> Result<Terms, Refusal> {
        let config = &self.config;
        let password_hash = password_hash::hash(password.as_ref(), config.accounts.hashing.bcrypt_cost)
            .map_err(|error| format!("cannot hash the password: {error}"))?;
        let named = config.upstream.upstream_models.iter().filter(|name| !name.is_empty());
        let models = match config.answers.responder {
            ResponderName::Dummy => Vec::new(),
            ResponderName::Openai => named.cloned().collect(),
        };
        Ok(Terms {
            seed: self.args.seed,
            superuser: superuser()?,
            password_hash,
            opening_tokens: config.metering.opening.opening_tokens,
            message_price: config.metering.chat_price,
            concurrent_chats: config.limits.concurrent_chats,
            models,
        })
    }

    /// Prints how to sign in and how to send a message. It goes to standard output, and never into
    /// the log.
    fn announce(&self, listening: SocketAddr, password: &NewPassword, sample: &Sample) {
        let address = address_of(&self.config, listening);
        let (panel, password) = (format!("{address}/admin/"), password.as_ref().expose());
        let (auth_token, file) = (sample.auth_token.expose(), self.place.file().display());
        let (curl, took) = (curl(&address, auth_token), self.started.elapsed());
        let (users, chats, seed) = (sample.users, sample.chats, self.args.seed);
        if self.args.json {
            let printed = print_json(&json!({
                "panel": panel,
                "username": SUPERUSER,
                "password": password,
                "auth_token": auth_token,
                "auth_token_of": sample.username,
                "curl": curl,
                "database": file.to_string(),
                "is_kept": matches!(self.place, Place::Chosen(_)),
                "seed": seed,
                "users": users,
                "chats": chats,
                "seconds": seconds(took),
            }));
            return printed.unwrap_or_else(|error| log::error!("the secrets could not be printed: {error}"));
        }
        let end = match self.place {
            Place::Scratch(..) => format!("Ctrl-C ends the demo and deletes {file}."),
            Place::Chosen(_) => format!("Ctrl-C ends the demo. {file} is kept."),
        };
        let text = format!(
            "\nOpen the panel and sign in:\n\n    {panel}\n    name      {SUPERUSER}\n    password  {password}\n\n\
             Send a paid message, as {}:\n\n    {curl}\n\n\
             {users} users and {chats} chats are invented (--seed {seed}). It took {:.1} s.\n{end}\n\n",
            sample.username,
            took.as_secs_f64(),
        );
        // If nobody reads it, the server runs all the same.
        drop(io::stdout().write_all(text.as_bytes()));
    }
}

/// Returns the new file that the settings name, if they name one.
///
/// # Errors
/// Fails if they name a database that the demo must not touch.
fn chosen_file(config: &Config, settings: &Settings) -> Result<Option<PathBuf>, Refusal> {
    let origin = settings.find("database-url").map_or(Origin::Default, |setting| setting.origin.clone());
    match config.database.url() {
        _ if origin == Origin::Default => Ok(None),
        DatabaseUrl::Postgres(_) => Err(format!(
            "--database-url ({origin}) names PostgreSQL, whose own clock would date all of the sample data today: \
             {ADVICE}"
        )),
        DatabaseUrl::Sqlite(path) if fs::symlink_metadata(path).is_ok() => {
            Err(exists(path, &format!("--database-url ({origin})")))
        }
        DatabaseUrl::Sqlite(path) => Ok(Some(path.clone())),
    }
}

fn exists(path: &Path, setting: &str) -> Refusal {
    format!("{} exists ({setting}), and the demo fills only a new database: {ADVICE}", path.display())
}

/// Checks that the server can listen on an address, before anything is made. If the port is taken,
/// the error names one that is free.
fn check_address(config: &Config, bind: SocketAddr) -> Result<(), Refusal> {
    let Err(error) = TcpListener::bind(bind) else { return Ok(()) };
    let is_taken = error.kind() == io::ErrorKind::AddrInUse;
    let is_for_clients = bind == config.listen.address.bind;
    let error = if is_for_clients { ServeError::Clients(error) } else { ServeError::Metrics(bind, error) };
    let why = cannot_serve(config.listen.address.bind, &error);
    let ports = (1..=PORTS_TRIED).filter_map(|step| bind.port().checked_add(step));
    let mut addresses = ports.map(|port| SocketAddr::new(bind.ip(), port));
    match addresses.find(|address| is_taken && is_for_clients && TcpListener::bind(address).is_ok()) {
        Some(free) => Err(format!("{why}; this one is free: tollgate demo --bind {free}")),
        None => Err(why),
    }
}

/// Where the database is.
enum Place {
    /// In a folder that is deleted at the end.
    Scratch(TempDir, PathBuf),
    /// In a file that the settings name, and that is kept.
    Chosen(PathBuf),
}

impl Place {
    fn scratch() -> Result<Place, Refusal> {
        // Nobody else may read what is in it.
        let folder = tempfile::Builder::new()
            .prefix("tollgate-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| {
                format!("cannot create a temporary folder: {error}: set TMPDIR to a folder with room")
            })?;
        let file = folder.path().join("tollgate.db");
        Ok(Place::Scratch(folder, file))
    }

    /// Creates the file, unless somebody else has just created it.
    fn create(path: PathBuf) -> Result<Place, Refusal> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(Place::Chosen(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(exists(&path, "--database-url"))
            }
            Err(error) => {
                Err(format!("cannot create {} (--database-url): {error}; create its folder", path.display()))
            }
        }
    }

    fn file(&self) -> &Path {
        match self {
            Place::Scratch(_, file) | Place::Chosen(file) => file,
        }
    }

    /// Deletes a database that was not filled. Only this process has used it.
    fn discard(&self) {
        if let Place::Chosen(file) = self {
            for file in [file.clone(), index_path(file)] {
                FILES.iter().for_each(|suffix| drop(fs::remove_file(beside(&file, suffix))));
            }
        }
    }

    /// Deletes the scratch folder.
    fn close(self) -> Result<(), Refusal> {
        let Place::Scratch(folder, _) = self else { return Ok(()) };
        let path = folder.path().to_owned();
        let closed = folder.close();
        closed.map_err(|error| format!("cannot delete {}: {error}: delete it yourself", path.display()))
    }
}

/// Returns the settings of a demo on a file. It writes no backups among those of the operator's
/// server, and neither names that server's address nor sends secrets there.
fn on_file(config: &Config, file: &Path) -> Config {
    let database_url = DatabaseUrl::Sqlite(file.to_owned());
    let address = DatabaseAddress { database_url, database_url_file: None };
    let mut config = config.clone();
    config.database.address = address;
    config.backup.backup_dir = None;
    config.listen.public_url = None;
    config
}

/// Makes a random password that the rules for new ones accept.
fn password() -> Result<NewPassword, Refusal> {
    let username = superuser()?;
    let mut generator = rand::rng();
    // By chance, a group of letters may be a common password.
    loop {
        let groups = GROUPS.map(|length| {
            let letter = |_: usize| char::from(LETTERS[generator.random_range(0..LETTERS.len())]);
            (0..length).map(letter).collect::<String>()
        });
        if let Ok(password) = NewPassword::parse(&groups.join("-"), &username) {
            return Ok(password);
        }
    }
}

fn superuser() -> Result<Username, Refusal> {
    Username::parse(SUPERUSER).map_err(|invalid| invalid.to_string())
}

/// Makes the database, and leaves it as one file. So the server that opens it next counts in its
/// metrics only what it does itself.
async fn fill_file(config: &Config, terms: Terms) -> Result<Sample, Refusal> {
    let db = Db::open_to_change(&config.db_options()).map_err(explain)?;
    db.migrate().map_err(|error| error.to_string())?;
    let sample = fill(&db, terms).await.map_err(explain)?;
    // So the first page has all numbers.
    rebuild(&db, &mut |_| {}).await.map_err(explain)?;
    db.close(Instant::now() + CLOSE_WITHIN)?;
    Ok(sample)
}

/// The signals that end the demo, from its beginning on: it must not leave the folder behind. A
/// terminal that is closed sends SIGHUP, by which other servers read their settings again.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    quit: Signal,
}

impl StopSignals {
    /// Begins to listen, inside a runtime.
    fn listen() -> Result<StopSignals, Refusal> {
        let listen =
            |kind| signal(kind).map_err(|error: io::Error| format!("cannot handle signals: {error}"));
        Ok(StopSignals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
        })
    }

    /// Waits for a signal.
    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
            _ = self.quit.recv() => {}
        }
    }

    /// Stops the server at the signals that it does not stop at by itself, and at once if a signal
    /// has come that nobody has waited for.
    fn pass_on(mut self) {
        let stop = || {
            let _ = kill_process(getpid(), rustix::process::Signal::TERM);
        };
        if self.received().now_or_never().is_some() {
            return stop();
        }
        std::thread::spawn(move || {
            let waited = block_on(async {
                tokio::select! {
                    _ = self.hangup.recv() => {}
                    _ = self.quit.recv() => {}
                }
                Ok(())
            });
            match waited {
                Ok(()) => stop(),
                Err(refusal) => log::error!("SIGHUP does not end the demo: {refusal}"),
            }
        });
    }
}

/// Returns a command that sends a message.
fn curl(address: &str, auth_token: &str) -> String {
    format!(
        "curl -s {address}/chat/ -H 'Authorization: Bearer {auth_token}' -H 'Content-Type: application/json' \
         -d '{{\"message\":\"Hello\"}}'"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn passwords_are_random_and_can_be_typed() {
        let passwords: HashSet<String> =
            (0..200).map(|_| password().unwrap().as_ref().expose().to_owned()).collect();
        assert_eq!(passwords.len(), 200);
        for password in &passwords {
            assert_eq!(password.len(), 19, "{password}");
            assert!(password.bytes().all(|byte| byte == b'-' || LETTERS.contains(&byte)), "{password}");
        }
    }

    #[test]
    fn a_folder_of_the_demo_is_for_its_owner_only_and_vanishes() {
        let place = Place::scratch().unwrap();
        let folder = place.file().parent().unwrap().to_owned();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(place.file(), "x").unwrap();
        place.close().unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn a_file_that_exists_is_never_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.db");
        fs::write(&path, "mine").unwrap();
        let refusal = Place::create(path.clone()).err().unwrap();
        assert!(refusal.contains("mine.db exists"), "{refusal}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let new = Place::create(folder.path().join("new.db")).unwrap();
        assert!(new.file().exists());
        new.discard();
        assert!(!new.file().exists() && path.exists());
    }
}
