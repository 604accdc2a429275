//! A build, or a system, without the secure runtime: it offers no tool that would need one, and says so when asked.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use aether_core::tool::{Authorized, Output};
use aether_core::transcript::ToolOutcome;
use aether_core::words::TaskId;
use aether_driver::Boxed;
use aether_manifest::PolicyFile;
use aether_tools::Elsewhere;

use crate::boot::Boot;
use crate::secure::{ABSENT, Mode, Tap};
use crate::trouble::Trouble;

/// No secure runtime.
pub(crate) struct Secure;

impl Secure {
    /// Refuses kernel mode, which is nothing without a sidecar.
    pub(crate) fn open(_boot: &Boot, _workspace: &Path, _policy: &PolicyFile, mode: Mode) -> Result<Secure, Trouble> {
        match mode {
            Mode::Pico => Ok(Secure),
            Mode::Kernel => Err(Trouble::usage(format!("--kernel: {ABSENT}"))),
        }
    }

    /// No tool.
    pub(crate) fn tools(&self) -> Vec<Arc<dyn Elsewhere>> {
        Vec::new()
    }

    /// Refuses: nothing untrusted runs here.
    pub(crate) fn run(&self, _task: Option<TaskId>, authorized: Authorized) -> Boxed<Output> {
        let label = authorized.needs().label;
        let output = Output { outcome: ToolOutcome::Failed, text: ABSENT.into(), label };
        Box::pin(std::future::ready(output))
    }

    /// Nobody writes anything.
    pub(crate) fn tap(&self, _tap: Tap) {}

    /// Nothing to start.
    pub(crate) async fn start(&self) -> Result<(), Trouble> {
        Ok(())
    }

    /// Nothing to end.
    pub(crate) async fn stop(&self) {}
}

/// No hidden first argument is known.
pub(crate) fn hidden(_word: Option<&std::ffi::OsStr>) -> Option<ExitCode> {
    None
}
