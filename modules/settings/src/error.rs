//! What can be wrong with a configuration, each an enum to branch on and a sentence to read.

use std::fmt;

use aether_core::config::Source;

/// Something in a configuration file or an environment variable that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The file is larger than [`crate::CONFIG_BYTES_MAX`].
    TooLarge {
        /// The file.
        path: Box<str>,
        /// Its size.
        bytes: usize,
    },
    /// The text is not TOML.
    Syntax {
        /// The file.
        path: Box<str>,
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
        /// The line's text, shortened, without what may be a secret.
        shown: Box<str>,
        /// What was found and wanted.
        message: Box<str>,
    },
    /// No room owns such a key.
    UnknownKey {
        /// The key as a person would write it.
        name: Box<str>,
        /// Where.
        source: Source,
        /// The known key that was probably meant.
        nearest: Option<Box<str>>,
    },
    /// The key belongs to the policy, which is a file of its own.
    Moved {
        /// The key as a person would write it.
        name: Box<str>,
        /// Where.
        source: Source,
        /// What `aether policy set` takes instead: a cell and, if one was given, what it should say.
        instead: Box<str>,
    },
    /// The value is of the wrong type or out of range.
    WrongValue {
        /// The key as a person would write it.
        name: Box<str>,
        /// Where.
        source: Source,
        /// What stands there.
        found: Box<str>,
        /// What was wanted, beginning with that word.
        wanted: Box<str>,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::TooLarge { path, bytes } => {
                write!(
                    f,
                    "{path}: found {bytes} bytes, wanted at most {}; is it the right file?",
                    crate::CONFIG_BYTES_MAX
                )
            }
            SettingsError::Syntax { path, line, column, shown, message } => {
                write!(f, "{path}:{line}:{column}: {message}")?;
                if shown.is_empty() { Ok(()) } else { write!(f, ", in the line `{shown}`") }
            }
            SettingsError::UnknownKey { name, source, nearest } => {
                write!(f, "{source}: unknown key `{name}`")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => f.write_str("; `aether config explain` lists the known ones"),
                }
            }
            SettingsError::Moved { name, source, instead } => {
                let away = match source {
                    Source::Environment(variable) => format!("unset {variable}"),
                    _ => format!("aether config unset {name}"),
                };
                write!(
                    f,
                    "{source}: `{name}` is no longer configuration: policy is a signed file of its own; `aether policy set {instead}` says it there, and `{away}` takes it out here"
                )
            }
            SettingsError::WrongValue { name, source, found, wanted } => {
                write!(f, "{source}: `{name}`: found {found}, {wanted}")
            }
        }
    }
}

impl std::error::Error for SettingsError {}

/// An edit that cannot be made. The text is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The text as it stands is not TOML, or too large.
    Unreadable(SettingsError),
    /// What was typed is not a key.
    BadKey {
        /// What was typed.
        typed: Box<str>,
        /// What is wrong with it.
        found: &'static str,
    },
    /// The value is of the wrong type or out of range.
    WrongValue {
        /// The key.
        name: Box<str>,
        /// What was wanted, beginning with that word.
        wanted: Box<str>,
    },
    /// Something else stands where the key would go.
    Obstructed {
        /// The key.
        name: Box<str>,
        /// What stands there.
        obstacle: Box<str>,
        /// The line, from 1.
        line: u32,
    },
    /// The layout around the key is one that this crate does not edit.
    Tangled {
        /// The key.
        name: Box<str>,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::Unreadable(error) => write!(f, "{error}; mend that first with `aether config edit`"),
            EditError::BadKey { typed, found } => {
                write!(
                    f,
                    "`{typed}` is not a key: found {found}, wanted names with dots between, such as `limits.wall_ms`"
                )
            }
            EditError::WrongValue { name, wanted } => write!(f, "`{name}`: {wanted}"),
            EditError::Obstructed { name, obstacle, line } => {
                write!(
                    f,
                    "`{name}` cannot be set: {obstacle} stands in its place on line {line}; use `aether config edit`"
                )
            }
            EditError::Tangled { name } => {
                write!(f, "`{name}` stands in a layout that only a person can edit; use `aether config edit`")
            }
        }
    }
}

impl std::error::Error for EditError {}

/// A variable that begins like one of ours and means nothing: a warning, for another program may own it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// The variable.
    pub name: Box<str>,
    /// The known one that was probably meant.
    pub nearest: Option<Box<str>>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment variable {} is ignored: no key is called so", self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}
