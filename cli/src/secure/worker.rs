//! The sidecar's side: what it is made of, and how it carries proven calls out.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use aether_executor::{Call, Executor, ExecutorError, Fact, Finished as Ran, Piece as Wrote, Watcher};
use aether_jail::{JailError, Spawner};
use aether_sidecar::{Boxed, Finished, Outcome, Piece, Pieces, Proven, Refusal, Setup, Usage, Worker};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::secure::record::Line;
use crate::secure::settings::Settings;
use crate::show::eprint;
use crate::trouble::Exit;

/// Pieces that wait between a program and the connection.
const PIECES_MAX: usize = 4;

/// Jails that are kept ready for the next call of a kind.
const AHEAD: u32 = 1;

/// Runs as the sidecar.
pub(crate) fn serve() -> ExitCode {
    aether_sidecar::serve(&mut Sidecar { spawner: None })
}

struct Sidecar {
    spawner: Option<Spawner>,
}

impl Setup for Sidecar {
    fn first(&mut self) -> Result<(), String> {
        self.spawner = Some(Spawner::fork().map_err(|error| error.to_string())?);
        Ok(())
    }

    fn worker(&mut self, settings: Zeroizing<Vec<u8>>) -> Result<Arc<dyn Worker>, String> {
        let settings = Settings::decode(&settings)?;
        let told: Told = Arc::default();
        let heard = Arc::clone(&told);
        let watcher: Watcher = Arc::new(move |fact: &Fact<'_>| {
            let mut told = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(line) = Line::of(fact).filter(|_| told.len() < TOLD_MAX) {
                told.push_back(line.encode());
            }
        });
        let mut options = settings.options().map_err(|trouble| trouble.to_string())?;
        options.ahead = AHEAD;
        // What was forked first cannot be had again once this process is confined: without it, it ends.
        options.spawner = Arc::new(|| Err(JailError::Gone { why: "the sidecar's spawner ended".into() }));
        let spawner = self.spawner.take().map(|spawner| spawner.protecting(settings.protected()));
        let executor = Executor::new(options, spawner, watcher);
        Ok(Arc::new(Carrying { executor: Arc::new(executor), told }))
    }

    fn confine(&mut self) -> Result<(), String> {
        aether_jail::confine(&[]).map_err(|error| error.to_string())
    }
}

/// Carries proven calls out.
struct Carrying {
    executor: Arc<Executor>,
    told: Told,
}

/// Lines for the audit log, until a call takes them along.
type Told = Arc<Mutex<VecDeque<String>>>;

/// The most lines that wait. What a background job does between two calls fits; a flood of refusals does not have to.
const TOLD_MAX: usize = 1_024;

/// Sends along what is to be written down.
async fn tell(told: &Told, out: &Pieces) {
    loop {
        let next = told.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match next {
            // A caller that went away takes this future with it.
            Some(line) => {
                let _sent = out.send(Piece::Note(line)).await;
            }
            None => return,
        }
    }
}

impl Worker for Carrying {
    fn run(&self, call: Proven, out: Pieces) -> Boxed<Result<Finished, Refusal>> {
        let (executor, told) = (Arc::clone(&self.executor), Arc::clone(&self.told));
        Box::pin(async move {
            let call = Call {
                tool: call.tool,
                input: call.input,
                capability: call.authority.capability.clone(),
                limits: call.authority.limits,
            };
            let (wrote, mut pieces) = mpsc::channel(PIECES_MAX);
            let forward = async {
                while let Some(piece) = pieces.recv().await {
                    let piece = match piece {
                        Wrote::Out(bytes) => Piece::Stdout(bytes),
                        Wrote::Err(bytes) => Piece::Stderr(bytes),
                    };
                    // A caller that went away takes this future with it.
                    let _sent = out.send(piece).await;
                    tell(&told, &out).await;
                }
            };
            let run = async {
                let ran = executor.run(&call, Some(&wrote)).await;
                drop(wrote);
                ran
            };
            let (ran, ()) = tokio::join!(run, forward);
            tell(&told, &out).await;
            if let Err(ExecutorError::Jail(JailError::Gone { why })) = &ran {
                // Every jail ended with its spawner, and a confined process cannot have another one. The kernel's
                // process sees this one end, says so to whoever waits, and starts the next.
                eprint(&format!("the spawner is gone ({why})"));
                std::process::exit(Exit::Failed as i32);
            }
            ran.map(finished).map_err(|error| refusal(&error))
        })
    }

    fn close(&self, session: String) -> Boxed<()> {
        let executor = Arc::clone(&self.executor);
        Box::pin(async move { executor.close(&session).await })
    }

    fn status(&self) -> String {
        format!("workspace {}", self.executor.options().workspace.display())
    }

    fn refused(&self, reason: &str, sentence: &str) {
        // The caller is told, and writes it down; this is for whoever reads the sidecar's own log.
        eprint(&format!("refused ({reason}): {sentence}"));
    }
}

fn finished(ran: Ran) -> Finished {
    let outcome = match (&ran.breach, ran.is_success) {
        (Some(_), _) => Outcome::Breach,
        (None, true) => Outcome::Done,
        (None, false) => Outcome::Failed,
    };
    let usage = ran.usage.map_or_else(Usage::default, |usage| Usage {
        wall_ms: usage.wall_ms,
        cpu_ms: usage.cpu_ms,
        memory_bytes_peak: usage.memory_bytes_peak,
    });
    Finished {
        exit_code: ran.exit_code,
        breach: ran.breach.unwrap_or_default(),
        usage,
        enforcement: ran.enforcement,
        ..Finished::new(outcome, ran.text)
    }
}

fn refusal(error: &ExecutorError) -> Refusal {
    match error {
        ExecutorError::Jail(JailError::Unavailable { .. }) => Refusal::Unavailable(sentence(error)),
        ExecutorError::Jail(JailError::Busy { .. }) => Refusal::Busy(error.to_string()),
        _ => Refusal::Refused(sentence(error)),
    }
}

/// The next step of whoever is told that the system refused something.
const SEE: &str = "`aether doctor` shows what this machine has";

/// What to say of a call that was not carried out.
pub(crate) fn sentence(error: &ExecutorError) -> String {
    match error {
        ExecutorError::Jail(JailError::Unavailable { .. }) => {
            format!("SANDBOX_UNAVAILABLE: {error}; {SEE}")
        }
        ExecutorError::Jail(JailError::Step { .. }) => format!("{error}; {SEE}"),
        _ => error.to_string(),
    }
}
