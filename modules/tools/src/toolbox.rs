//! The toolbox: which tools a task is shown, and what a call to one of them amounts to.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::config::nearest;
use aether_core::tool::{Acts, Limits, Manifest, Needs, Plan, Runtime, Tool, ToolCall, Toolbox};

use crate::input::{Kind, Shape, optional, required};
use crate::scope::Scope;

/// The most bytes that names, descriptions and input schemas of the built-in tools add to a prompt.
pub const PROMPT_BYTES_MAX: usize = 3_584;

const DELEGATE: &str = "delegate";
const RECALL: &str = "recall";
const DELEGATE_SHAPE: Shape =
    Shape(&[required("goal", Kind::Text, ""), optional("tools", Kind::Texts, "default: yours")]);
const RECALL_SHAPE: Shape = Shape(&[required("call", Kind::Text, "")]);
/// The most tools that a child can be given by name.
const CHILD_TOOLS_MAX: usize = 64;

/// A tool that runs elsewhere, such as in the secure runtime: what a toolbox has to know of it.
pub trait Elsewhere: Send + Sync {
    /// What it says of itself.
    fn manifest(&self) -> &Arc<Manifest>;

    /// What this input needs.
    ///
    /// # Errors
    /// A sentence for the model about what is wrong with the input.
    fn needs(&self, input: &str) -> Result<Needs, String>;
}

/// Tools by name, in the order a model is shown them.
#[derive(Clone, Default)]
pub struct Tools {
    manifests: Vec<Arc<Manifest>>,
    tools: Vec<Arc<dyn Tool>>,
    elsewhere: Vec<Arc<dyn Elsewhere>>,
}

impl Tools {
    /// No tool at all.
    #[must_use]
    pub fn none() -> Tools {
        Tools::default()
    }

    /// Every built-in tool and the two that the kernel serves.
    #[must_use]
    pub fn builtin(scope: &Scope) -> Tools {
        let scope = Arc::new(scope.clone());
        let tools: [Arc<dyn Tool>; 9] = [
            Arc::new(crate::read_file::ReadFile::new(Arc::clone(&scope))),
            Arc::new(crate::write_file::WriteFile::new(Arc::clone(&scope))),
            Arc::new(crate::edit_file::EditFile::new(Arc::clone(&scope))),
            Arc::new(crate::list_dir::ListDir::new(Arc::clone(&scope))),
            Arc::new(crate::find_files::FindFiles::new(Arc::clone(&scope))),
            Arc::new(crate::search_text::SearchText::new(scope)),
            Arc::new(crate::http_fetch::HttpFetch::new()),
            Arc::new(crate::time::Time::new()),
            Arc::new(crate::calculate::Calculate::new()),
        ];
        tools.into_iter().fold(Tools::none(), Tools::with).with_delegate().with_recall()
    }

    /// The same and this tool, shown last; one of the same name is replaced in its place.
    #[must_use]
    pub fn with(mut self, tool: Arc<dyn Tool>) -> Tools {
        self.tools.retain(|known| known.manifest().name != tool.manifest().name);
        self.elsewhere.retain(|known| known.manifest().name != tool.manifest().name);
        self.show(Arc::clone(tool.manifest()));
        self.tools.push(tool);
        self
    }

    /// The same and this tool, which runs elsewhere; one of the same name gives way.
    #[must_use]
    pub fn with_elsewhere(mut self, tool: Arc<dyn Elsewhere>) -> Tools {
        let name = tool.manifest().name.clone();
        self.tools.retain(|known| known.manifest().name != name);
        self.elsewhere.retain(|known| known.manifest().name != name);
        self.show(Arc::clone(tool.manifest()));
        self.elsewhere.push(tool);
        self
    }

    /// The same and `delegate`, which starts a child task.
    #[must_use]
    pub fn with_delegate(mut self) -> Tools {
        self.show(served(
            DELEGATE,
            "Give a self-contained subtask to a child agent; returns its answer.",
            &DELEGATE_SHAPE,
        ));
        self
    }

    /// The same and `recall`, which shows a folded tool result again.
    #[must_use]
    pub fn with_recall(mut self) -> Tools {
        self.show(served(RECALL, "Show a folded tool result again.", &RECALL_SHAPE));
        self
    }

    /// The same without the tools that `is_shown` says no to.
    #[must_use]
    pub fn only(mut self, is_shown: impl Fn(&str) -> bool) -> Tools {
        self.manifests.retain(|manifest| is_shown(&manifest.name));
        self.tools.retain(|tool| is_shown(&tool.manifest().name));
        self.elsewhere.retain(|tool| is_shown(&tool.manifest().name));
        self
    }

    /// The tool of that name, to run; `None` for those that the kernel serves and those that run elsewhere.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|tool| &*tool.manifest().name == name)
    }

    /// Bytes of names, descriptions and input schemas: what these tools cost every prompt.
    #[must_use]
    pub fn prompt_bytes(&self) -> usize {
        self.manifests.iter().map(|m| m.name.len() + m.description.len() + m.input.len()).sum()
    }

    fn show(&mut self, manifest: Arc<Manifest>) {
        match self.manifests.iter_mut().find(|known| known.name == manifest.name) {
            Some(known) => *known = manifest,
            None => self.manifests.push(manifest),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.manifests.iter().map(|manifest| &*manifest.name)
    }

    fn unknown(&self, name: &str) -> String {
        let name = crate::page::clipped(name, 64);
        match nearest(&name, self.names()) {
            Some(near) => format!("there is no tool `{name}`; did you mean `{near}`?"),
            None => format!("there is no tool `{name}`; there are {}", self.names().collect::<Vec<_>>().join(", ")),
        }
    }

    fn spawn(&self, input: &str) -> Result<Plan, String> {
        let input = DELEGATE_SHAPE.read(input)?;
        let goal = input.required("goal").trim();
        if goal.is_empty() {
            return Err("`goal` is empty; say what the child is to find out or do, with all it needs to know".into());
        }
        let Some(names) = input.texts("tools") else {
            return Ok(Plan::Spawn { goal: goal.into(), tools: None });
        };
        let mut tools: Vec<Box<str>> = Vec::new();
        for name in names.take(CHILD_TOOLS_MAX) {
            if !self.names().any(|known| known == name) {
                return Err(self.unknown(name));
            }
            tools.push(name.into());
        }
        Ok(Plan::Spawn { goal: goal.into(), tools: Some(tools) })
    }
}

impl Toolbox for Tools {
    fn manifests(&self) -> &[Arc<Manifest>] {
        &self.manifests
    }

    fn plan(&self, call: &ToolCall) -> Result<Plan, String> {
        if !self.names().any(|name| name == &*call.name) {
            return Err(self.unknown(&call.name));
        }
        if let Some(tool) = self.elsewhere.iter().find(|tool| tool.manifest().name == call.name) {
            return tool.needs(&call.input).map(Plan::Run);
        }
        match (self.tool(&call.name), &*call.name) {
            (Some(tool), _) => tool.needs(&call.input).map(Plan::Run),
            (None, DELEGATE) => self.spawn(&call.input),
            (None, _) => Ok(Plan::Recall(RECALL_SHAPE.read(&call.input)?.required("call").into())),
        }
    }
}

fn served(name: &str, description: &str, shape: &Shape) -> Arc<Manifest> {
    Arc::new(Manifest {
        name: name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        description: description.into(),
        input: shape.schema().into(),
        runtime: Runtime::Builtin,
        acts: Acts::NONE,
        capability: Capability::default(),
        limits: Limits::BUILTIN,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, input: &str) -> Result<Plan, String> {
        let tools = Tools::builtin(&Scope::workspace("/w"));
        tools.plan(&ToolCall { id: "1".into(), name: name.into(), input: input.into() })
    }

    #[test]
    fn t5_the_manifests_cost_little() {
        let tools = Tools::builtin(&Scope::workspace(""));
        assert_eq!(tools.manifests().len(), 11);
        assert!(tools.prompt_bytes() <= PROMPT_BYTES_MAX, "{} bytes", tools.prompt_bytes());
        for manifest in tools.manifests() {
            let schema: serde_json::Value = serde_json::from_str(&manifest.input).unwrap();
            assert_eq!(
                (schema["type"].as_str(), schema["additionalProperties"].as_bool()),
                (Some("object"), Some(false))
            );
            assert!(manifest.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", manifest.name);
        }
    }

    #[test]
    fn t4_unknown_tools_get_the_nearest_name() {
        assert_eq!(plan("read_fil", "{}"), Err("there is no tool `read_fil`; did you mean `read_file`?".into()));
        assert!(
            plan("frobnicate", "{}")
                .unwrap_err()
                .starts_with("there is no tool `frobnicate`; there are read_file, write_file")
        );
        assert!(plan(&"x".repeat(9_000), "{}").unwrap_err().len() < 400);
    }

    #[test]
    fn the_kernel_serves_delegate_and_recall() {
        let spawn = |tools| Ok(Plan::Spawn { goal: "count".into(), tools });
        assert_eq!(plan("delegate", r#"{"goal":" count "}"#), spawn(None));
        assert_eq!(plan("delegate", r#"{"goal":"count","tools":["time"]}"#), spawn(Some(vec!["time".into()])));
        assert_eq!(plan("delegate", r#"{"goal":"count","tools":[]}"#), spawn(Some(vec![])));
        assert_eq!(
            plan("delegate", r#"{"goal":"x","tools":["tme"]}"#),
            Err("there is no tool `tme`; did you mean `time`?".into())
        );
        assert!(plan("delegate", r#"{"goal":" "}"#).unwrap_err().starts_with("`goal` is empty"));
        assert_eq!(plan("recall", r#"{"call":"call_7"}"#), Ok(Plan::Recall("call_7".into())));
        assert_eq!(plan("recall", "{}"), Err("`call` is missing; wanted {call}".into()));
        let tools = Tools::builtin(&Scope::workspace("")).only(|name| name != "time" && name != "recall");
        assert_eq!(tools.manifests().len(), 9);
        assert!(tools.tool("time").is_none() && tools.tool("delegate").is_none() && tools.tool("calculate").is_some());
    }
}
