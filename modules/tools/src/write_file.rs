//! `write_file`: a whole new content, atomically; an existing file only when that is said.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::label::{Label, Origin};
use aether_core::tool::{
    Act, Acts, Authorized, Hands, HandsError, Limits, Manifest, Needs, Output, Runtime, Tool, WriteMode,
};

use crate::input::{Kind, Shape, optional, required};
use crate::page;
use crate::scope::{Scope, explained, shown};

const SHAPE: Shape = Shape(&[
    required("path", Kind::Text, ""),
    required("content", Kind::Text, ""),
    optional("replace", Kind::Flag, ""),
]);

/// The tool.
pub(crate) struct WriteFile {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl WriteFile {
    pub(crate) fn new(scope: Arc<Scope>) -> WriteFile {
        let manifest = Arc::new(Manifest {
            name: "write_file".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Write a whole file. Replacing an existing one needs replace=true.".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: Acts::of(&[Act::Write]),
            capability: Capability::default().with_write(scope.places()),
            limits: Limits::BUILTIN,
        });
        WriteFile { manifest, scope }
    }
}

impl Tool for WriteFile {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        let input = SHAPE.read(input)?;
        let place = self.scope.place(input.required("path"))?;
        let capability = Capability::default().with_write(vec![place]);
        Ok(Needs { acts: Acts::of(&[Act::Write]), capability, label: Label::from(Origin::Tool) })
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let place = self.scope.place(input.required("path"))?;
        let content = input.required("content");
        let mode = if input.is_set("replace") { WriteMode::Replace } else { WriteMode::Create };
        hands.write(&place, content.as_bytes(), mode).map_err(|error| match error {
            HandsError::Exists => format!(
                "`{}` exists already and was left as it is; read it, then use edit_file, or write_file with replace=true",
                shown(&place)
            ),
            error => explained(&place, &error),
        })?;
        let lines = page::counted(content.lines().count(), "line", "lines");
        let text = format!("wrote {}: {lines}, {} bytes", shown(&place), content.len());
        Ok(page::done(call, text, Label::from(Origin::Tool)))
    }
}
