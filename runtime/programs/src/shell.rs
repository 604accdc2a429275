//! `shell`: a command line in a jailed shell, by itself or in a session, and the jobs of a session.

use std::sync::Arc;

use aether_core::tool::{Manifest, Needs};
use aether_tools::{Input, Kind, Scope, Shape, optional};

use crate::hosts::{self, HOSTS};
use crate::order::{Action, Line, Order};
use crate::{LIMITS, Program, SECONDS_DEFAULT, SYSTEM, WORKSPACE, at_work, declared};

/// The longest name of a session, in bytes.
const SESSION_BYTES_MAX: usize = 32;
/// The longest time a call may ask for.
pub(crate) const SECONDS: Kind = Kind::Whole { min: 1, max: LIMITS.runtime_ms_max / 1000 };

const SHAPE: Shape = Shape(&[
    optional("command", Kind::Text, ""),
    optional("session", Kind::Text, "a shell that lives on; alone: its jobs"),
    optional("background", Kind::Flag, ""),
    optional("kill", Kind::Whole { min: 1, max: u32::MAX as u64 }, ""),
    optional("folder", Kind::Text, ""),
    optional("seconds", SECONDS, ""),
    optional(HOSTS, Kind::Texts, ""),
]);
/// The tool `shell`.
pub(crate) struct Shell {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl Shell {
    pub(crate) fn new(scope: Arc<Scope>) -> Shell {
        let description = "Shell command in a jail; network to `hosts` alone.";
        Shell { manifest: declared("shell", description, &SHAPE, &[SYSTEM, WORKSPACE]), scope }
    }
}

impl Program for Shell {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn read(&self, input: &str) -> Result<(Needs, Order), String> {
        let input = SHAPE.read(input)?;
        let needs = hosts::needs(&input, at_work(&[SYSTEM, WORKSPACE]), Vec::new())?;
        let Some(name) = input.text("session") else { return Ok((needs, Order::Once(self.once(&input)?))) };
        if input.text("folder").is_some() {
            return Err("a session keeps its own directory; use `cd` in it instead of `folder`".into());
        }
        let action = match (input.text("command"), input.whole("kill")) {
            (Some(_), Some(_)) => return Err("give `command` or `kill`, not both".into()),
            (None, Some(job)) => Action::Kill(job),
            (None, None) => Action::Jobs,
            (Some(command), None) if input.is_set("background") => Action::Start(script(command, "command")?),
            (Some(command), None) => Action::Run(script(command, "command")?),
        };
        Ok((needs, Order::Session { name: session(name)?, action, seconds_max: seconds(&input) }))
    }
}

impl Shell {
    fn once(&self, input: &Input) -> Result<Line, String> {
        if input.is_set("background") || input.whole("kill").is_some() {
            return Err("jobs live in a session; give it a name with `session`".into());
        }
        Ok(Line {
            program: "sh".into(),
            args: vec!["-c".into(), script(input.text("command").unwrap_or_default(), "command")?],
            env: Vec::new(),
            folder: folder(&self.scope, input)?,
            input: String::new(),
            seconds_max: seconds(input),
        })
    }
}

/// The seconds that a call asks for.
pub(crate) fn seconds(input: &Input) -> u64 {
    input.whole("seconds").unwrap_or(SECONDS_DEFAULT)
}

/// The directory that a call starts in, relative to the workspace.
///
/// # Errors
/// It leads out of the workspace.
pub(crate) fn folder(scope: &Scope, input: &Input) -> Result<String, String> {
    let Some(path) = input.text("folder") else { return Ok(String::new()) };
    let place = scope.place(path)?;
    let inside = place.as_str().strip_prefix(WORKSPACE).map(|rest| rest.trim_start_matches('/').to_owned());
    inside.ok_or_else(|| format!("`folder`: `{path}` is outside the workspace"))
}

/// A script that a program can be handed: not empty, and without a NUL, which no argument can hold.
///
/// # Errors
/// It is neither.
pub(crate) fn script(text: &str, name: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("`{name}` is empty"));
    }
    if text.contains('\0') {
        return Err(format!("`{name}` has a NUL character"));
    }
    Ok(text.to_owned())
}

fn session(name: &str) -> Result<String, String> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if name.is_empty() || name.len() > SESSION_BYTES_MAX || !is_plain {
        return Err(format!("`session` is 1 to {SESSION_BYTES_MAX} letters, digits, `-` and `_`"));
    }
    Ok(name.to_owned())
}
