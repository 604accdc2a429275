//! `find_files`: the files whose path matches a glob.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::tool::{Authorized, EntryKind, Hands, Limits, Manifest, Needs, Output, Runtime, Tool};

use crate::glob::Glob;
use crate::input::{Kind, Shape, optional, required};
use crate::page;
use crate::scope::{Scope, file_label, shown};
use crate::walk::{DEPTH_MAX, Next, walk};

const SHAPE: Shape = Shape(&[required("pattern", Kind::Text, ""), optional("path", Kind::Text, "")]);

/// The most files shown.
const FOUND_MAX: usize = 1_000;

/// The tool.
pub(crate) struct FindFiles {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl FindFiles {
    pub(crate) fn new(scope: Arc<Scope>) -> FindFiles {
        let manifest = Arc::new(Manifest {
            name: "find_files".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description:
                "Find files by glob (* ? ** {a,b}), relative to path. Without / it matches names at any depth.".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: scope.read_acts(),
            capability: Capability::default().with_read(scope.places()),
            limits: Limits::BUILTIN,
        });
        FindFiles { manifest, scope }
    }
}

impl Tool for FindFiles {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        let input = SHAPE.read(input)?;
        Glob::parse(input.required("pattern"))?;
        Ok(self.scope.reading(self.scope.place(input.text("path").unwrap_or("."))?))
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let place = self.scope.place(input.text("path").unwrap_or("."))?;
        let glob = Glob::parse(input.required("pattern"))?;
        let (mut lines, mut seen, mut is_cut) = (Vec::new(), 0, false);
        let left_out = walk(hands, &place, DEPTH_MAX, |_, met| {
            seen += 1;
            if met.entry.kind == EntryKind::Directory || !glob.matches(&met.path) {
                return Ok(Next::Continue);
            }
            if lines.len() == FOUND_MAX {
                is_cut = true;
                return Ok(Next::Enough);
            }
            lines.push(shown(&met.place).to_owned());
            Ok(Next::Continue)
        })?;
        let count =
            if is_cut { format!("more than {FOUND_MAX} files") } else { page::counted(lines.len(), "file", "files") };
        let mut heading = format!("{count} of {seen} entries match");
        let told = left_out.told();
        if !told.is_empty() {
            heading.push_str(&format!(" ({told})"));
        }
        let rest = |shown: usize| format!("[{shown} shown; narrow the pattern or the path to see the rest]");
        let text = page::listed(&heading, &lines, usize::from(is_cut), page::bytes_max(call), rest);
        Ok(page::done(call, text, file_label()))
    }
}
