//! `python` and `node`: a piece of code, where the interpreter exists. It reads the workspace and changes nothing; what is to
//! be changed, `shell` changes.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::tool::{Act, Acts, Manifest, Needs};
use aether_tools::{Kind, Shape, file_label, required};

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
        Snippet { manifest: reading("python", "Run Python, workspace read-only."), interpreter: "python3" }
    }

    pub(crate) fn node() -> Snippet {
        Snippet { manifest: reading("node", "Same in JavaScript."), interpreter: "node" }
    }
}

fn reading(name: &str, description: &str) -> Arc<Manifest> {
    let manifest = declared(name, description, &SHAPE, &[SYSTEM]);
    Arc::new(Manifest { acts: ACTS, capability: capability(), ..Manifest::clone(&manifest) })
}

const ACTS: Acts = Acts::of(&[Act::ReadWorkspace, Act::Execute]);

fn capability() -> Capability {
    at_work(&[SYSTEM]).with_write(Vec::new())
}

impl Program for Snippet {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn read(&self, input: &str) -> Result<(Needs, Order), String> {
        let input = SHAPE.read(input)?;
        let needs = Needs { acts: ACTS, capability: capability(), label: file_label() };
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
