//! SIGHUP: reads the settings again, and changes what can be changed while the server runs.

use std::env;
use std::ffi::OsString;

use super::usage::{Loaded, Unusable, load};
use crate::config::{Config, Settings, after_reload, is_reloaded};
use crate::logging::set_filter;
use crate::server::Services;

/// What a reload compares and changes.
pub(super) struct Reload {
    /// The arguments of this process. They stay, like its variables; files may differ.
    words: Vec<OsString>,
    config: Config,
    settings: Settings,
}

impl Reload {
    /// Remembers the settings that the server starts with.
    pub(super) fn new(config: Config, settings: Settings) -> Reload {
        Reload { words: env::args_os().collect(), config, settings }
    }

    /// Reads the settings again. If one of them is wrong, nothing changes. Returns whether the
    /// server has new settings.
    pub(super) fn run(&mut self, services: &Services) -> bool {
        match self.change(services) {
            Ok(()) => true,
            Err(why) => {
                log::error!("the settings were not reloaded, and nothing was changed: {why}");
                false
            }
        }
    }

    fn change(&mut self, services: &Services) -> Result<(), String> {
        let Loaded { cli, settings } = load(&self.words).map_err(|unusable| match unusable {
            Unusable::Setting(why) => why,
            Unusable::Usage(error) => error.kind().to_string(),
        })?;
        let changed = settings.changed_since(&self.settings);
        let (now, later): (Vec<&String>, Vec<&String>) = changed.iter().partition(|name| is_reloaded(name));
        let config = after_reload(&self.config, &cli.config);
        services.apply(&config)?;
        // It was parsed before, when the settings were loaded.
        set_filter(&config.log)?;
        self.config = config;
        self.settings.adopt(&settings, is_reloaded);
        if !later.is_empty() {
            log::warn!("a changed setting needs a restart: {}", joined(&later));
        }
        match now.is_empty() {
            true => log::info!("the settings were reloaded: none that a reload changes has another value"),
            false => log::info!("the settings were reloaded: {}", joined(&now)),
        }
        Ok(())
    }
}

fn joined(names: &[&String]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}
