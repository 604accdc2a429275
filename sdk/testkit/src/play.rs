//! The play runner: a golden transcript of a task or a dispatcher, read and written again.
//!
//! A play is text. First come the header's lines, then what is said to the machine (`>`, or `>>` to say more
//! before it is listened to), what it wishes (`<`), what it refuses (`!`) and what is shown (`|`). The runner
//! reads the header, the comments (`#`) and the `>` lines, and writes the rest.

mod header;
mod lines;
mod notation;
mod shown;
mod stage;
pub mod toolbox;

use std::fmt;

use aether_core::model::Part;
use aether_core::transcript::Entry;

use self::header::Setting;
use self::stage::Stage;

/// A play that cannot be performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// Performs a play and writes it down as it went.
///
/// # Errors
/// The line that is no line of a play, or at which a task ended with calls that lack their results.
pub fn perform(play: &str) -> Result<String, Trouble> {
    let mut setting = Some(Setting::default());
    let mut stage: Option<Stage> = None;
    let mut written = String::new();
    for (n, line) in play.lines().enumerate() {
        let trouble = |why| Trouble { line: n + 1, why };
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            written.push_str(line);
            written.push('\n');
        } else if line.starts_with(['>', '<', '!', '|']) {
            if let Some(setting) = setting.take() {
                stage = Some(Stage::open(setting, &mut written).map_err(trouble)?);
            }
            if let (Some(said), Some(stage)) = (line.strip_prefix('>'), &mut stage) {
                written.push_str(line);
                written.push('\n');
                stage.perform(said, &mut written).map_err(trouble)?;
            }
        } else if let Some(setting) = &mut setting {
            setting.read(line).map_err(trouble)?;
            written.push_str(line);
            written.push('\n');
        } else {
            return Err(trouble("the play has begun: wanted a line that starts with `>` or `#`".to_owned()));
        }
    }
    if let Some(setting) = setting {
        Stage::open(setting, &mut written).map_err(|why| Trouble { line: 0, why })?;
    }
    Ok(written)
}

/// Whether every call of a transcript has exactly one result, directly after its turn and in the order of the calls.
///
/// # Errors
/// The entry, from 0, that is out of place.
pub fn settled(entries: &[Entry]) -> Result<(), String> {
    let mut owed: std::collections::VecDeque<&str> = std::collections::VecDeque::new();
    for (n, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Tool(tool) if owed.pop_front() == Some(&*tool.call) => {}
            Entry::Tool(tool) => return Err(format!("entry {n}: no call {} waits for this result", tool.call)),
            _ if !owed.is_empty() => return Err(format!("entry {n}: the result of {} is missing before it", owed[0])),
            Entry::Model { parts, .. } if parts.is_empty() => return Err(format!("entry {n}: an empty turn")),
            Entry::Model { parts, .. } => owed.extend(parts.iter().filter_map(|part| match part {
                Part::Call(call) => Some(&*call.id),
                Part::Text(_) | Part::Carried(_) => None,
            })),
            Entry::Person { .. } | Entry::Note { .. } => {}
        }
    }
    match owed.pop_front() {
        None => Ok(()),
        Some(call) => Err(format!("the result of {call} is missing at the end")),
    }
}
