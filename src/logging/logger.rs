//! Decides which records are written, and writes them to standard error.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use env_filter::Filter;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::format::LogFormat;
use super::{json, text};
use crate::clock;

/// The targets of our own records begin with this.
const OURS: &str = "tollgate";

/// Other crates may log at this level and above. Below it they may mention what is secret.
const LEAST_OF_OTHERS: Level = Level::Info;

static LOGGER: OnceLock<Logger> = OnceLock::new();

thread_local! {
    /// The line that this thread is writing.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Logger {
    format: LogFormat,
    has_colors: bool,
    filter: RwLock<Wanted>,
    /// The level that a signal has raised our own records to. `Off` if none has.
    raised: AtomicUsize,
}

/// The filter of the settings.
struct Wanted {
    text: String,
    filter: Filter,
}

impl Wanted {
    /// # Errors
    /// Fails with what is wrong with the text.
    fn parse(text: &str) -> Result<Wanted, String> {
        let mut builder = env_filter::Builder::new();
        // actix logs the start and end of each worker. Naming the module in the filter turns this
        // on again.
        builder.filter_module("actix_server", LevelFilter::Warn);
        // actix-http logs malformed requests as errors, so any port scanner could flood the log.
        builder.filter_module("actix_http", LevelFilter::Off);
        let filter = builder.try_parse(text).map_err(|error| error.to_string())?.build();
        Ok(Wanted { text: text.to_owned(), filter })
    }
}

/// Starts the log. `filter` is in env_logger's syntax.
///
/// # Errors
/// Fails with the reason if the filter cannot be parsed, or if there is a log already.
pub fn start(filter: &str, format: LogFormat) -> Result<(), String> {
    let logger = Logger {
        format,
        has_colors: format == LogFormat::Text && wants_colors(),
        filter: RwLock::new(Wanted::parse(filter)?),
        raised: AtomicUsize::new(LevelFilter::Off as usize),
    };
    let logger = LOGGER.get_or_init(|| logger);
    log::set_logger(logger).map_err(|error| error.to_string())?;
    logger.set_max_level();
    std::panic::set_hook(Box::new(tell_of_panic));
    Ok(())
}

/// Replaces the filter of the settings. A level that a signal has raised stays in force.
///
/// # Errors
/// Fails with the reason if the filter cannot be parsed. The old one then stays.
pub fn set_filter(filter: &str) -> Result<(), String> {
    let wanted = Wanted::parse(filter)?;
    let Some(logger) = LOGGER.get() else { return Ok(()) };
    *logger.filter.write().unwrap_or_else(PoisonError::into_inner) = wanted;
    logger.set_max_level();
    Ok(())
}

/// Writes a line whatever the filter is.
pub fn announce(level: Level, message: &str) {
    if let Some(logger) = LOGGER.get() {
        logger.write(&Record::builder().level(level).target(OURS).args(format_args!("{message}")).build());
    }
}

/// Raises the level of our own records by one step: to *debug*, then to *trace*.
pub(super) fn raise() {
    let Some(logger) = LOGGER.get() else { return };
    let level = match logger.level_of_ours() {
        LevelFilter::Off | LevelFilter::Error | LevelFilter::Warn | LevelFilter::Info => LevelFilter::Debug,
        LevelFilter::Debug | LevelFilter::Trace => LevelFilter::Trace,
    };
    logger.raised.store(level as usize, Ordering::Relaxed);
    logger.set_max_level();
    let name = level.as_str().to_ascii_lowercase();
    announce(Level::Info, &format!("the level of the log is now {name}, by SIGUSR1; SIGUSR2 ends this"));
}

/// Returns to the filter of the settings.
pub(super) fn lower() {
    let Some(logger) = LOGGER.get() else { return };
    logger.raised.store(LevelFilter::Off as usize, Ordering::Relaxed);
    logger.set_max_level();
    let filter = logger.wanted(|wanted| wanted.text.clone());
    announce(Level::Info, &format!("the level of the log is that of --log again, by SIGUSR2: {filter}"));
}

impl Logger {
    fn wanted<T>(&self, read: impl FnOnce(&Wanted) -> T) -> T {
        read(&self.filter.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn raised(&self) -> LevelFilter {
        let raised = self.raised.load(Ordering::Relaxed);
        LevelFilter::iter().find(|level| *level as usize == raised).unwrap_or(LevelFilter::Off)
    }

    /// Tells the log's macros which records are certainly not wanted.
    fn set_max_level(&self) {
        log::set_max_level(self.wanted(|wanted| wanted.filter.filter()).max(self.raised()));
    }

    /// Returns the level in force for most of our own records.
    fn level_of_ours(&self) -> LevelFilter {
        let is_enabled = |level: &Level| {
            let metadata = Metadata::builder().level(*level).target(OURS).build();
            self.enabled(&metadata)
        };
        Level::iter().filter(is_enabled).last().map_or(LevelFilter::Off, |level| level.to_level_filter())
    }

    /// Returns whether a record may be written, as far as that does not depend on the settings.
    fn may_be_written(metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target()) || metadata.level() <= LEAST_OF_OTHERS
    }

    fn is_raised(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target()) && metadata.level() <= self.raised()
    }

    /// Writes a line at once, so that lines of other threads do not come in between.
    fn write(&self, record: &Record<'_>) {
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => {
                line.clear();
                self.write_by(&mut line, record);
            }
            // Something that was being shown in a line has logged, too.
            Err(_) => self.write_by(&mut String::new(), record),
        });
    }

    fn write_by(&self, line: &mut String, record: &Record<'_>) {
        let time = clock::rfc3339(clock::now());
        match self.format {
            LogFormat::Text => text::add(line, record, &time, self.has_colors),
            LogFormat::Json => json::add(line, record, &time),
        }
        // If standard error is closed, there is nowhere to tell of it.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Logger::may_be_written(metadata)
            && (self.is_raised(metadata) || self.wanted(|wanted| wanted.filter.enabled(metadata)))
    }

    fn log(&self, record: &Record<'_>) {
        let metadata = record.metadata();
        if Logger::may_be_written(metadata)
            && (self.is_raised(metadata) || self.wanted(|wanted| wanted.filter.matches(record)))
        {
            self.write(record);
        }
    }

    fn flush(&self) {}
}

/// Returns whether a record is of this program, by its target.
fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Returns whether standard error is a terminal that shows colours (<https://no-color.org>).
fn wants_colors() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Logs where a thread has panicked. The panic's own message is left out, because it may quote a
/// text that nobody else may read.
fn tell_of_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let trace = std::backtrace::Backtrace::capture();
    let trace = match trace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
        _ => String::new(),
    };
    announce(Level::Error, &format!("a defect: the thread {name} panicked at {place}{trace}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logger(filter: &str) -> Logger {
        let raised = AtomicUsize::new(LevelFilter::Off as usize);
        let filter = RwLock::new(Wanted::parse(filter).unwrap());
        Logger { format: LogFormat::Text, has_colors: false, filter, raised }
    }

    fn is_written(logger: &Logger, target: &str, level: Level) -> bool {
        logger.enabled(&Metadata::builder().target(target).level(level).build())
    }

    #[test]
    fn other_crates_never_log_below_info_whatever_the_filter_is() {
        let logger = logger("trace,hyper=trace");
        assert!(is_written(&logger, "tollgate::db", Level::Trace));
        for target in ["hyper", "reqwest::connect", "tollgate_like", "rustls"] {
            assert!(is_written(&logger, target, Level::Info), "{target}");
            assert!(!is_written(&logger, target, Level::Debug), "{target}");
        }
    }

    #[test]
    fn a_raised_level_concerns_our_own_records_of_all_modules() {
        let logger = logger("warn,tollgate::db=off");
        assert_eq!(logger.level_of_ours(), LevelFilter::Warn);
        logger.raised.store(LevelFilter::Debug as usize, Ordering::Relaxed);
        assert_eq!(logger.level_of_ours(), LevelFilter::Debug);
        assert!(is_written(&logger, "tollgate::db", Level::Debug));
        assert!(!is_written(&logger, "tollgate::db", Level::Trace));
        assert!(!is_written(&logger, "actix_http", Level::Error));
        assert!(!is_written(&logger, "hyper", Level::Info), "it is not ours");
    }

    #[test]
    fn a_filter_that_cannot_be_parsed_is_refused() {
        assert!(Wanted::parse("tollgate=loud").is_err());
        assert!(Wanted::parse("info,tollgate::db=debug").is_ok());
    }
}
