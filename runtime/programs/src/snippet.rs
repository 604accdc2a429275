//! `python` and `node`: a piece of code, where the interpreter exists.

use std::sync::Arc;

use aether_core::tool::{Manifest, Needs};
use aether_tools::{Kind, Shape, required};

use crate::hosts;
use crate::order::{Line, Order};
use crate::shell::script;
use crate::{Program, SECONDS_DEFAULT, SYSTEM, at_work, declared};

const SHAPE: Shape = Shape(&[required("code", Kind::Text, "")]);

/// One of the two tools.
pub(crate) struct Snippet {
    manifest: Arc<Manifest>,
    interpreter: &'static str,
}

impl Snippet {
    pub(crate) fn python() -> Snippet {
        Snippet { manifest: declared("python", "Run Python in the jail.", &SHAPE, &[SYSTEM]), interpreter: "python3" }
    }

    pub(crate) fn node() -> Snippet {
        Snippet { manifest: declared("node", "Run JavaScript in the jail.", &SHAPE, &[SYSTEM]), interpreter: "node" }
    }
}

impl Program for Snippet {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn read(&self, input: &str) -> Result<(Needs, Order), String> {
        let input = SHAPE.read(input)?;
        let needs = hosts::needs(&input, at_work(&[SYSTEM]), Vec::new())?;
        // Both read the program from their standard input when it is named `-`; an argument could hold 128 KiB of it.
        let line = Line {
            program: self.interpreter.into(),
            args: vec!["-".to_owned()],
            env: vec![("PYTHONDONTWRITEBYTECODE", "1".into()), ("NODE_REPL_HISTORY", String::new())],
            folder: String::new(),
            input: script(input.required("code"), "code")?,
            seconds_max: SECONDS_DEFAULT,
        };
        Ok((needs, Order::Once(line)))
    }
}
