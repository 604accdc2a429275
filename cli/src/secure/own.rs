//! The secure runtime as the house sees it: tools to offer, calls to run.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use aether_core::tool::{Authorized, Output};
use aether_core::transcript::ToolOutcome;
use aether_core::words::TaskId;
use aether_driver::Boxed;
use aether_executor::{Call, Executor, ExecutorError, Finished, Piece};
use aether_manifest::PolicyFile;
use aether_programs::Programs;
use aether_tools::Elsewhere;
use tokio::sync::mpsc;

use crate::boot::Boot;
use crate::secure::kernel::Kernel;
use crate::secure::settings::Settings;
use crate::secure::{Mode, Tap, Wrote, record, worker};
use crate::trouble::Trouble;

/// Pieces of output that wait to be told of.
const PIECES_MAX: usize = 4;

/// Runs untrusted tools.
pub(crate) struct Secure {
    programs: Programs,
    way: Way,
    tap: OnceLock<Tap>,
}

/// Who runs them.
enum Way {
    Own(Arc<Executor>),
    Kernel(Arc<Kernel>),
}

impl Secure {
    /// Reads what the executor needs. No process is started yet.
    pub(crate) fn open(boot: &Boot, workspace: &Path, policy: &PolicyFile, mode: Mode) -> Result<Secure, Trouble> {
        let settings = Settings::new(boot, workspace, policy);
        let programs = settings.programs();
        let way = match mode {
            Mode::Pico => {
                let watcher = record::watcher(boot.audit());
                Way::Own(Arc::new(Executor::new(settings.options()?, None, watcher)))
            }
            Mode::Kernel => Way::Kernel(Arc::new(Kernel::new(&settings, boot.audit()))),
        };
        Ok(Secure { programs, way, tap: OnceLock::new() })
    }

    /// The tools that it runs.
    pub(crate) fn tools(&self) -> Vec<Arc<dyn Elsewhere>> {
        self.programs.each()
    }

    /// Runs an authorised call. Dropping the future kills what it started.
    pub(crate) fn run(&self, task: Option<TaskId>, authorized: Authorized) -> Boxed<Output> {
        match &self.way {
            Way::Own(executor) => {
                let (executor, tap) = (Arc::clone(executor), self.tap.get().cloned());
                Box::pin(async move {
                    let call = call(&authorized);
                    let finished = match tap {
                        Some(tap) => tapped(&executor, &call, task, tap).await,
                        None => executor.run(&call, None).await,
                    };
                    output(&authorized, finished)
                })
            }
            Way::Kernel(kernel) => Box::pin(Arc::clone(kernel).run(task, authorized, self.tap.get().cloned())),
        }
    }

    /// From now on, this is told of everything that programs write. Only the first one is.
    pub(crate) fn tap(&self, tap: Tap) {
        let _first = self.tap.set(tap);
    }

    /// Starts the sidecar, if there is to be one.
    pub(crate) async fn start(&self) -> Result<(), Trouble> {
        match &self.way {
            Way::Own(_) => Ok(()),
            Way::Kernel(kernel) => kernel.start().await,
        }
    }

    /// Ends the sidecar, if there is one.
    pub(crate) async fn stop(&self) {
        if let Way::Kernel(kernel) = &self.way {
            kernel.stop().await;
        }
    }
}

/// Runs a call and tells what it writes meanwhile.
async fn tapped(executor: &Executor, call: &Call, task: Option<TaskId>, tap: Tap) -> Result<Finished, ExecutorError> {
    let (sender, mut pieces) = mpsc::channel(PIECES_MAX);
    let run = async {
        let finished = executor.run(call, Some(&sender)).await;
        drop(sender);
        finished
    };
    let tell = async {
        while let Some(piece) = pieces.recv().await {
            let (stream, bytes) = match &piece {
                Piece::Out(bytes) => ("stdout", bytes),
                Piece::Err(bytes) => ("stderr", bytes),
            };
            tap(&Wrote { task, tool: &call.tool, stream, bytes });
        }
    };
    tokio::join!(run, tell).0
}

/// An authorised call, as the executor takes it.
fn call(authorized: &Authorized) -> Call {
    Call {
        tool: authorized.call().name.to_string(),
        input: authorized.call().input.to_string(),
        capability: authorized.needs().capability.clone(),
        limits: authorized.limits(),
    }
}

fn output(authorized: &Authorized, finished: Result<Finished, ExecutorError>) -> Output {
    let (outcome, text) = match finished {
        Ok(finished) if finished.is_success => (ToolOutcome::Done, finished.text),
        Ok(finished) => (ToolOutcome::Failed, finished.text),
        Err(error) => (ToolOutcome::Failed, worker::sentence(&error)),
    };
    Output { outcome, text: text.into(), label: authorized.needs().label }
}

/// What this program does instead of reading a command line, when the first word is one of its own.
pub(crate) fn hidden(word: Option<&OsStr>) -> Option<ExitCode> {
    let word = word?;
    if word == aether_jail::SPAWNER_WORD {
        aether_jail::serve();
    }
    (word == aether_sidecar::SIDECAR_WORD).then(worker::serve)
}
