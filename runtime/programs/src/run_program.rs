//! `run_program`: one program with its arguments, without a shell between.

use std::sync::Arc;

use aether_core::tool::{Manifest, Needs};
use aether_tools::{Kind, Scope, Shape, optional, required};

use crate::hosts;
use crate::order::{Line, Order};
use crate::shell::script;
use crate::{Program, SECONDS_DEFAULT, SYSTEM, WORKSPACE, at_work, declared};

const SHAPE: Shape =
    Shape(&[required("program", Kind::Text, ""), optional("args", Kind::Texts, ""), optional("stdin", Kind::Text, "")]);

/// The tool.
pub(crate) struct RunProgram {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl RunProgram {
    pub(crate) fn new(scope: Arc<Scope>) -> RunProgram {
        let description = "Run a program without a shell.";
        RunProgram { manifest: declared("run_program", description, &SHAPE, &[SYSTEM, WORKSPACE]), scope }
    }
}

impl Program for RunProgram {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn read(&self, input: &str) -> Result<(Needs, Order), String> {
        let input = SHAPE.read(input)?;
        let needs = hosts::needs(&input, at_work(&[SYSTEM, WORKSPACE]), Vec::new())?;
        let line = Line {
            program: program(&self.scope, &script(input.required("program"), "program")?)?,
            args: arguments(input.texts("args").into_iter().flatten())?,
            env: Vec::new(),
            folder: String::new(),
            input: input.text("stdin").unwrap_or_default().to_owned(),
            seconds_max: SECONDS_DEFAULT,
        };
        Ok((needs, Order::Once(line)))
    }
}

/// A bare name as it is; a path as it lies in the workspace, but for those of the system's own programs.
fn program(scope: &Scope, text: &str) -> Result<String, String> {
    if !text.contains('/') || text.starts_with("/usr/") || text.starts_with("/bin/") {
        return Ok(text.to_owned());
    }
    let place = scope.place(text)?;
    Ok(place.as_str().replacen(WORKSPACE, ".", 1))
}

/// Arguments that a program can be handed (P3).
///
/// # Errors
/// One of them has a NUL character.
pub(crate) fn arguments<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<String>, String> {
    texts
        .map(
            |text| {
                if text.contains('\0') {
                    Err("an argument has a NUL character".to_owned())
                } else {
                    Ok(text.to_owned())
                }
            },
        )
        .collect()
}
