//! A sidecar that is kept running (`docs/ipc-security.md`, section 7.3).

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::call::{Call, Health};
use crate::certificate::random_bytes;
use crate::error::SidecarError;
use crate::journal::Journal;
use crate::keeper::Keeper;
use crate::launch::{Launched, launch};
use crate::link::{Link, Running};
use crate::options::{Notice, Options};
use crate::serve::DRAIN_MS_MAX;

/// Milliseconds that a call waits for a sidecar that is being restarted.
const WAIT_MS_MAX: u64 = 15_000;

/// Milliseconds between the end of the connection and that of the process.
const END_MS_MAX: u64 = 1_000;

/// A secure runtime that is kept running. Dropping it kills it at once; [`Sidecar::stop`] lets calls end before.
///
/// It belongs to the runtime in which it was started.
pub struct Sidecar {
    state: watch::Receiver<State>,
    current: Arc<Mutex<Current>>,
    stop: Option<oneshot::Sender<()>>,
    supervisor: Option<JoinHandle<()>>,
}

/// The process of now.
#[derive(Default)]
struct Current {
    process: Option<u32>,
    pidfd: Option<OwnedFd>,
    journal: Journal,
}

#[derive(Clone)]
enum State {
    Serving(Arc<Link>),
    /// It ended and is to be started again.
    Waiting,
    Broken {
        failures: u32,
        why: String,
    },
    Stopping,
}

impl std::fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sidecar").field("process", &self.process()).finish_non_exhaustive()
    }
}

impl Sidecar {
    /// Starts a sidecar and comes back when it serves. From then on it is started again whenever it ends.
    ///
    /// # Errors
    /// [`SidecarError::Start`], with the reason and the end of its log; then nothing is left running.
    pub async fn start(options: Options) -> Result<Sidecar, SidecarError> {
        let failed = |why: String| SidecarError::Start { why, log: String::new() };
        let keeper = Keeper::start().map_err(|error| failed(format!("a thread for it: {error}")))?;
        let launched = launch(&options, &keeper).await?;
        let (sender, state) = watch::channel(State::Waiting);
        let (stop, stopping) = oneshot::channel();
        let current = Arc::new(Mutex::new(Current::default()));
        let supervisor = Supervisor { options, keeper, state: sender, current: current.clone(), stopping };
        supervisor.serving(&launched)?;
        let supervisor = tokio::spawn(supervisor.keep(launched));
        Ok(Sidecar { state, current, stop: Some(stop), supervisor: Some(supervisor) })
    }

    /// Sends a call. While the sidecar is being restarted, waits for it for at most 15 s; a call that was sent is never
    /// sent again.
    ///
    /// # Errors
    /// See [`SidecarError`].
    pub async fn run(&self, call: Call) -> Result<Running, SidecarError> {
        self.link().await?.run(call).await
    }

    /// Ends a session and every background job in it.
    ///
    /// # Errors
    /// See [`SidecarError`]. One that stopped has no sessions any more.
    pub async fn close(&self, session: &str) -> Result<(), SidecarError> {
        self.link().await?.close(session).await
    }

    /// How it is.
    ///
    /// # Errors
    /// See [`SidecarError`].
    pub async fn status(&self) -> Result<Health, SidecarError> {
        self.link().await?.status().await
    }

    /// The last lines that it wrote to its log, at most 4,096 bytes, neutral to a terminal.
    pub fn log(&self) -> String {
        lock(&self.current).journal.text()
    }

    /// The process id of the one that serves; `None` while none does.
    pub fn process(&self) -> Option<u32> {
        lock(&self.current).process
    }

    /// Takes no new call, lets those under way end for at most 5 s, then kills what is left. When this comes back, the
    /// process is reaped.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Without a supervisor there is nothing to stop.
            let _ = stop.send(());
        }
        if let Some(supervisor) = self.supervisor.take() {
            // It does not panic, and nobody else cancels it.
            let _ = supervisor.await;
        }
    }

    async fn link(&self) -> Result<Arc<Link>, SidecarError> {
        let mut state = self.state.clone();
        let serving = async {
            loop {
                let now = state.borrow_and_update().clone();
                match now {
                    State::Serving(link) => return Ok(link),
                    State::Broken { failures, why } => return Err(SidecarError::Broken { failures, why }),
                    State::Stopping => return Err(SidecarError::Stopping),
                    State::Waiting => state.changed().await.map_err(|_| SidecarError::Stopped)?,
                }
            }
        };
        timeout(Duration::from_millis(WAIT_MS_MAX), serving).await.unwrap_or(Err(SidecarError::Stopped))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.abort();
            if let Some(pidfd) = lock(&self.current).pidfd.take() {
                // Fails only when it has ended already.
                let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
            }
        }
    }
}

fn lock(current: &Mutex<Current>) -> std::sync::MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the supervisor goes on.
enum Turn {
    Again,
    Stop,
}

struct Supervisor {
    options: Options,
    keeper: Keeper,
    state: watch::Sender<State>,
    current: Arc<Mutex<Current>>,
    stopping: oneshot::Receiver<()>,
}

impl Supervisor {
    /// Keeps one running until it is told to stop.
    async fn keep(mut self, mut launched: Launched) {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            if let Turn::Stop = self.watch(launched).await {
                return;
            }
            backoff.ended(began.elapsed());
            launched = match self.restart(&mut backoff).await {
                Some(launched) => launched,
                None => return,
            };
        }
    }

    /// Makes it known that one serves.
    fn serving(&self, launched: &Launched) -> Result<(), SidecarError> {
        let failed = |error: std::io::Error| SidecarError::Start { why: error.to_string(), log: String::new() };
        let pidfd = launched.process.handle().map_err(failed)?;
        let process = launched.process.id;
        *lock(&self.current) =
            Current { process: Some(process), pidfd: Some(pidfd), journal: launched.journal.clone() };
        self.state.send_replace(State::Serving(launched.link.clone()));
        self.tell(Notice::Serving { process, start_ms: launched.start_ms });
        Ok(())
    }

    /// Waits for the end of one: its own, or the one it is told.
    async fn watch(&mut self, launched: Launched) -> Turn {
        let Launched { link, mut process, mut connection, .. } = launched;
        drop(link);
        let (turn, how) = tokio::select! {
            how = process.ended() => (Turn::Again, how),
            () = connection.ended() => {
                self.state.send_replace(State::Waiting);
                let how = timeout(Duration::from_millis(END_MS_MAX), process.ended()).await;
                (Turn::Again, how.unwrap_or_else(|_| "it closed the connection and went on".to_owned()))
            }
            _ = &mut self.stopping => {
                self.state.send_replace(State::Stopping);
                // The connection ends by itself after the last call, and with it the process.
                let how = timeout(Duration::from_millis(DRAIN_MS_MAX), process.ended()).await;
                (Turn::Stop, how.unwrap_or_default())
            }
        };
        {
            let mut current = lock(&self.current);
            (current.process, current.pidfd) = (None, None);
        }
        if let Turn::Again = turn {
            self.state.send_replace(State::Waiting);
            self.tell(Notice::Ended(how));
        }
        turn
    }

    /// Starts another, as often and as late as the back-off says; `None` if it is told to stop.
    async fn restart(&mut self, backoff: &mut Backoff) -> Option<Launched> {
        let mut why = "it ended again and again soon after its start".to_owned();
        loop {
            let random = random_bytes().map_or(0, |bytes| bytes[0]);
            let mut pause = backoff.wait(random);
            if backoff.failures >= self.options.failures_max {
                let failures = backoff.failures;
                self.state.send_replace(State::Broken { failures, why: why.clone() });
                self.tell(Notice::Resting { failures });
                pause = Duration::from_millis(self.options.rest_ms);
            }
            let launched = tokio::select! {
                launched = async { sleep(pause).await; launch(&self.options, &self.keeper).await } => launched,
                _ = &mut self.stopping => {
                    self.state.send_replace(State::Stopping);
                    return None;
                }
            };
            let error = match launched {
                Ok(launched) => match self.serving(&launched) {
                    Ok(()) => return Some(launched),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            backoff.failed();
            why = error.to_string();
            self.tell(Notice::NotStarted(why.clone()));
        }
    }

    fn tell(&self, notice: Notice) {
        if let Some(listener) = &self.options.notice {
            listener(notice);
        }
    }
}
