//! From files, environment and flags to one configuration.

use std::env;
use std::path::{Path, PathBuf};

use aether_core::config::{Config, Source};
use aether_session::{Directories, Platform, private};
use aether_settings::SettingsError;
use aether_settings::keys::TABLES;

use crate::args::Invocation;
use crate::audit::Audit;
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
    audit: Audit,
}

/// Where the configuration is; nothing of it was read yet.
pub(crate) struct Place {
    /// Where files are.
    pub(crate) directories: Directories,
    /// The configuration file, whether it exists or not.
    pub(crate) config_file: PathBuf,
    /// Whether the person named the file, so that it has to exist.
    pub(crate) is_named: bool,
}

/// Something that is wrong with the configuration.
pub(crate) struct Fault {
    /// What, and what to do about it; begins with the place.
    pub(crate) sentence: String,
    /// The line and the column in the file, both from 1, as far as they are known.
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

impl Place {
    /// The usual file, or the one that `--config` or `AETHER_CONFIG` names.
    pub(crate) fn new(invocation: &Invocation) -> Result<Place, Trouble> {
        let directories =
            Directories::from_environment(Platform::HERE, |name| env::var_os(name)).map_err(Trouble::failed)?;
        let named =
            invocation.value("config").map(PathBuf::from).or_else(|| env::var_os("AETHER_CONFIG").map(PathBuf::from));
        let is_named = named.is_some();
        let config_file = named.unwrap_or_else(|| directories.config_file());
        Ok(Place { directories, config_file, is_named })
    }
}

impl Boot {
    /// Reads everything. All that is wrong is reported at once.
    pub(crate) fn new(invocation: &Invocation) -> Result<Boot, Trouble> {
        let (boot, faults) = Boot::tolerant(invocation)?;
        if faults.is_empty() {
            return Ok(boot);
        }
        let lines: Vec<String> = faults.into_iter().map(|fault| fault.sentence).collect();
        Err(Trouble::usage(lines.join("\n")))
    }

    /// Reads what can be read, and says what is wrong with the rest: a layer with a fault counts as absent.
    pub(crate) fn tolerant(invocation: &Invocation) -> Result<(Boot, Vec<Fault>), Trouble> {
        let Place { directories, config_file, is_named } = Place::new(invocation)?;
        let mut config = Config::new(TABLES);
        let mut faults = Vec::new();
        match file_text(&config_file, is_named) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let read = aether_settings::read(&config_file.to_string_lossy(), &text, &mut config);
                faults.extend(read.err().iter().flatten().map(Fault::from));
            }
            Err(sentence) => faults.push(Fault::of(sentence)),
        }
        let variables =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let unknown = match aether_settings::environment(variables, OTHER_VARIABLES, &mut config) {
            Ok(unknown) => unknown,
            Err(errors) => {
                faults.extend(errors.iter().map(Fault::from));
                Vec::new()
            }
        };
        for (flag, value) in &invocation.flags {
            if let Some(key) = flag.key {
                let source = Source::Flag(format!("--{}", flag.long).into());
                faults.extend(config.say_text(key, value, source).err().map(|error| Fault::of(error.to_string())));
            }
        }
        let notices = unknown.iter().map(ToString::to_string).collect();
        let audit = Audit::new(&directories.data);
        Ok((Boot { config, directories, config_file, notices, audit }, faults))
    }

    /// The audit log, the same one for everybody.
    pub(crate) fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// A number that has a default in the tables.
    pub(crate) fn number(&self, key: &str) -> u64 {
        self.config.int(key).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }
}

impl Fault {
    /// A fault that has no place in the file.
    pub(crate) fn of(sentence: String) -> Fault {
        Fault { sentence, line: None, column: None }
    }
}

impl From<&SettingsError> for Fault {
    fn from(error: &SettingsError) -> Fault {
        let (line, column) = match error {
            SettingsError::Syntax { line, column, .. } => (Some(*line), Some(*column)),
            SettingsError::UnknownKey { source: Source::File { line, .. }, .. }
            | SettingsError::Moved { source: Source::File { line, .. }, .. }
            | SettingsError::WrongValue { source: Source::File { line, .. }, .. } => (Some(*line), None),
            _ => (None, None),
        };
        Fault { sentence: error.to_string(), line, column }
    }
}

/// The configuration's text; `None` where there is no file and none was asked for by name.
fn file_text(path: &Path, is_named: bool) -> Result<Option<String>, String> {
    if !is_named && !path.exists() {
        return Ok(None);
    }
    let text = private::read_text(path, aether_settings::CONFIG_BYTES_MAX as u64);
    text.map(Some).map_err(|error| format!("configuration: {error}"))
}
