//! Dry: the tools that execute programs, and what a call to one of them executes.
//!
//! Five tools: `shell`, `run_program`, `git`, `python` and `node`. [`Programs`] holds their manifests, says
//! what a call needs ([`Programs::needs`]) and what is to be executed for it ([`Programs::order`]). Whoever shows the tools
//! to a model and whoever carries calls out read the same input with the same code, in two processes that do not trust
//! each other.
//!
//! What is not here: processes, jails, sockets, the search for programs (the caller says what this machine has), any
//! decision whether a call may run.
//!
//! Invariants, cited by the tests:
//!
//! - **P1** no call reaches the network unless its input names the hosts, and then those alone.
//! - **P2** what a call writes lies in the workspace.
//! - **P3** a text from a model never becomes part of a command line but as one argument, or as the script itself.
//! - **P4** `git` takes no configuration, hook, helper or remote protocol from the repository or the machine.
//! - **P5** all manifests together cost the prompt at most [`PROMPT_BYTES_MAX`] bytes.
#![forbid(unsafe_code)]

mod git;
mod hosts;
mod order;
mod run_program;
mod shell;
mod snippet;

use std::sync::Arc;

use aether_core::capability::{Capability, Network, Place};
use aether_core::tool::{Act, Acts, Limits, Manifest, Needs, Runtime};
use aether_tools::{Elsewhere, Scope, Shape};

pub use order::{Action, Line, Order};

/// The most bytes that names, descriptions and input schemas of these tools add to a prompt.
pub const PROMPT_BYTES_MAX: usize = 1_200;

/// The place that stands for the machine's own programs and libraries.
pub const SYSTEM: &str = "$system";
/// The place that stands for the directory a task works in.
pub const WORKSPACE: &str = "$workspace";

/// Limits of a call that executes a program: enough for a compiler.
pub const LIMITS: Limits = Limits {
    runtime_ms_max: 600_000,
    cpu_ms_max: 1_200_000,
    memory_bytes_max: 2 << 30,
    processes_max: 512,
    output_bytes_max: 32 << 10,
};

/// Seconds that a call has when it does not say.
pub const SECONDS_DEFAULT: u64 = 120;

/// An interpreter or program that a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Available {
    /// `git`.
    Git,
    /// `python3`.
    Python,
    /// `node`.
    Node,
}

/// What one tool here is made of.
pub(crate) trait Program: Send + Sync {
    /// What it says of itself.
    fn manifest(&self) -> &Arc<Manifest>;

    /// What a call needs, and what is to be executed for it.
    ///
    /// # Errors
    /// A sentence for the model about what is wrong with the input.
    fn read(&self, input: &str) -> Result<(Needs, Order), String>;
}

/// The tools that execute programs.
#[derive(Clone)]
pub struct Programs {
    tools: Vec<Arc<dyn Program>>,
}

impl Programs {
    /// The tools that this machine has programs for.
    #[must_use]
    pub fn new(scope: &Scope, available: &[Available]) -> Programs {
        let scope = Arc::new(scope.clone());
        let mut tools: Vec<Arc<dyn Program>> = vec![
            Arc::new(shell::Shell::new(Arc::clone(&scope))),
            Arc::new(run_program::RunProgram::new(Arc::clone(&scope))),
        ];
        if available.contains(&Available::Git) {
            tools.push(Arc::new(git::Git::new(scope)));
        }
        if available.contains(&Available::Python) {
            tools.push(Arc::new(snippet::Snippet::python()));
        }
        if available.contains(&Available::Node) {
            tools.push(Arc::new(snippet::Snippet::node()));
        }
        Programs { tools }
    }

    /// The same without the tools that `is_offered` says no to.
    #[must_use]
    pub fn only(mut self, is_offered: impl Fn(&str) -> bool) -> Programs {
        self.tools.retain(|tool| is_offered(&tool.manifest().name));
        self
    }

    /// What the tools declare, in the order a model is shown them.
    pub fn manifests(&self) -> impl Iterator<Item = &Arc<Manifest>> {
        self.tools.iter().map(|tool| tool.manifest())
    }

    /// What a call needs.
    ///
    /// # Errors
    /// There is no such tool, or what is wrong with the input.
    pub fn needs(&self, name: &str, input: &str) -> Result<Needs, String> {
        Ok(self.tool(name)?.read(input)?.0)
    }

    /// What is to be executed for a call.
    ///
    /// # Errors
    /// There is no such tool, or what is wrong with the input.
    pub fn order(&self, name: &str, input: &str) -> Result<Order, String> {
        Ok(self.tool(name)?.read(input)?.1)
    }

    /// Each tool by itself, for a toolbox.
    #[must_use]
    pub fn each(&self) -> Vec<Arc<dyn Elsewhere>> {
        self.tools.iter().map(|tool| Arc::new(Shown(Arc::clone(tool))) as Arc<dyn Elsewhere>).collect()
    }

    fn tool(&self, name: &str) -> Result<&Arc<dyn Program>, String> {
        let found = self.tools.iter().find(|tool| &*tool.manifest().name == name);
        found.ok_or_else(|| format!("there is no tool `{}` that executes programs", name.escape_debug()))
    }
}

/// A tool as a toolbox sees it.
struct Shown(Arc<dyn Program>);

impl Elsewhere for Shown {
    fn manifest(&self) -> &Arc<Manifest> {
        self.0.manifest()
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        Ok(self.0.read(input)?.0)
    }
}

/// A manifest of this room: the workspace to read and write, the system's programs to execute, and any public host that a
/// call names.
pub(crate) fn declared(name: &str, description: &str, shape: &Shape, programs: &[&str]) -> Arc<Manifest> {
    Arc::new(Manifest {
        name: name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        description: description.into(),
        input: shape.schema().into(),
        runtime: Runtime::Native,
        acts: Acts::of(&[Act::ReadWorkspace, Act::Write, Act::Execute, Act::NetworkRead, Act::NetworkSend]),
        capability: at_work(programs).with_network(Network::Public),
        limits: LIMITS,
    })
}

/// The workspace to read and write, and these places to execute from.
pub(crate) fn at_work(programs: &[&str]) -> Capability {
    let workspace = places(&[WORKSPACE]);
    Capability::default().with_read(workspace.clone()).with_write(workspace).with_programs(places(programs))
}

fn places(names: &[&str]) -> Vec<Place> {
    names.iter().filter_map(|name| Place::parse(name).ok()).collect()
}

#[cfg(test)]
mod tests;
