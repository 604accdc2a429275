//! From files, environment and flags to one configuration.

use std::env;
use std::path::{Path, PathBuf};

use aether_core::config::{Config, Source};
use aether_session::{Directories, Platform, private};
use aether_settings::keys::TABLES;

use crate::args::Invocation;
use crate::trouble::Trouble;

/// Variables of ours that are no configuration keys.
const OTHER_VARIABLES: &[&str] = &["AETHER_CONFIG"];

/// What every command begins with.
pub(crate) struct Boot {
    /// All layers.
    pub(crate) config: Config,
    /// Where files are.
    pub(crate) directories: Directories,
    /// The configuration file, whether it exists or not.
    pub(crate) config_file: PathBuf,
    /// What the person should know but need not act on.
    pub(crate) notices: Vec<String>,
}

impl Boot {
    /// Reads everything. The first thing that is wrong is reported with all others of its kind.
    pub(crate) fn new(invocation: &Invocation) -> Result<Boot, Trouble> {
        let directories =
            Directories::from_environment(Platform::HERE, |name| env::var_os(name)).map_err(Trouble::failed)?;
        let named =
            invocation.value("config").map(PathBuf::from).or_else(|| env::var_os("AETHER_CONFIG").map(PathBuf::from));
        let config_file = named.clone().unwrap_or_else(|| directories.config_file());
        let mut config = Config::new(TABLES);
        if let Some(text) = file_text(&config_file, named.is_some())? {
            aether_settings::read(&config_file.to_string_lossy(), &text, &mut config).map_err(many)?;
        }
        let variables =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let unknown = aether_settings::environment(variables, OTHER_VARIABLES, &mut config).map_err(many)?;
        for (flag, value) in &invocation.flags {
            if let Some(key) = flag.key {
                let source = Source::Flag(format!("--{}", flag.long).into());
                config.say_text(key, value, source).map_err(Trouble::usage)?;
            }
        }
        let notices = unknown.iter().map(ToString::to_string).collect();
        Ok(Boot { config, directories, config_file, notices })
    }

    /// A number that has a default in the tables.
    pub(crate) fn number(&self, key: &str) -> u64 {
        self.config.int(key).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }
}

/// The configuration's text; `None` where there is no file and none was asked for by name.
fn file_text(path: &Path, is_named: bool) -> Result<Option<String>, Trouble> {
    if !is_named && !path.exists() {
        return Ok(None);
    }
    let text = private::read_text(path, aether_settings::CONFIG_BYTES_MAX as u64);
    text.map(Some).map_err(|error| Trouble::usage(format!("configuration: {error}")))
}

/// All that is wrong, a line each.
fn many(errors: Vec<aether_settings::SettingsError>) -> Trouble {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Trouble::usage(lines.join("\n"))
}
