//! `list_dir`: what a directory holds, with sizes.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::tool::{Authorized, DirEntry, EntryKind, Hands, Limits, Manifest, Needs, Output, Runtime, Tool};

use crate::input::{Kind, Shape, optional};
use crate::page;
use crate::scope::{Scope, file_label, shown};
use crate::walk::{Next, walk};

const SHAPE: Shape =
    Shape(&[optional("path", Kind::Text, ""), optional("depth", Kind::Whole { min: 1, max: 8 }, "default 1")]);

/// The most entries shown.
const ENTRIES_MAX: usize = 2_000;

/// The tool.
pub(crate) struct ListDir {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl ListDir {
    pub(crate) fn new(scope: Arc<Scope>) -> ListDir {
        let manifest = Arc::new(Manifest {
            name: "list_dir".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "List a directory with file sizes in bytes.".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: scope.read_acts(),
            capability: Capability::default().with_read(scope.places()),
            limits: Limits::BUILTIN,
        });
        ListDir { manifest, scope }
    }
}

impl Tool for ListDir {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        let input = SHAPE.read(input)?;
        Ok(self.scope.reading(self.scope.place(input.text("path").unwrap_or("."))?))
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let place = self.scope.place(input.text("path").unwrap_or("."))?;
        let depth = input.whole("depth").and_then(|depth| usize::try_from(depth).ok()).unwrap_or(1);
        let mut lines = Vec::new();
        let (mut entries, mut more) = (0, 0);
        let left_out = walk(hands, &place, depth, |_, met| {
            entries += 1;
            if lines.len() < ENTRIES_MAX {
                lines.push(line(&met.path, &met.entry));
            } else {
                more += 1;
            }
            Ok(Next::Continue)
        })?;
        let mut heading = format!("{}: {}", shown(&place), page::counted(entries, "entry", "entries"));
        // At the depth that was asked for, not going deeper is the answer and not a cut.
        let told = crate::walk::LeftOut { by_depth: 0, ..left_out }.told();
        if !told.is_empty() {
            heading.push_str(&format!(" ({told})"));
        }
        let rest = |shown: usize| {
            format!("[{} more not shown; list a directory deeper down, or use find_files]", entries - shown)
        };
        let text = page::listed(&heading, &lines, more, page::bytes_max(call), rest);
        Ok(page::done(call, text, file_label()))
    }
}

fn line(path: &str, entry: &DirEntry) -> String {
    match entry.kind {
        EntryKind::Directory => format!("{path}/"),
        EntryKind::File => format!("{path} {}", entry.bytes),
        EntryKind::Link => format!("{path} (symbolic link)"),
        EntryKind::Other => format!("{path} (socket, pipe or device)"),
    }
}
