//! The thread that is the sidecar's parent: it starts it, waits for its end, and reaps it (S6).
//!
//! A process asks to be killed with its parent (`PR_SET_PDEATHSIG`), and the parent is the *thread* that started it. So
//! the sidecar is started by a thread that does nothing else and stays as long as it.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::oneshot;

/// Bytes of the thread's stack.
const STACK_BYTES: usize = 128 * 1024;

/// The thread.
pub(crate) struct Keeper {
    wishes: Option<SyncSender<Wish>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Wish {
    command: Command,
    process: oneshot::Sender<io::Result<Process>>,
}

/// A process that was started. Dropping it kills the process; the keeper reaps it.
pub(crate) struct Process {
    pub(crate) id: u32,
    pidfd: OwnedFd,
    ended: oneshot::Receiver<String>,
}

impl Keeper {
    pub(crate) fn start() -> io::Result<Keeper> {
        let (wishes, receiver) = sync_channel(1);
        let thread = thread::Builder::new().name("sidecar".to_owned()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || keep(&receiver))?;
        Ok(Keeper { wishes: Some(wishes), thread: Some(thread) })
    }

    /// Asks for a process. One at a time: the one before must have been killed.
    pub(crate) fn wish(&self, command: Command) -> io::Result<oneshot::Receiver<io::Result<Process>>> {
        let (process, receiver) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes is gone");
        let wishes = self.wishes.as_ref().ok_or_else(gone)?;
        wishes.send(Wish { command, process }).map_err(|_| gone())?;
        Ok(receiver)
    }
}

impl Drop for Keeper {
    /// Waits for the thread, which waits for the process; so whoever drops a keeper has dropped the process before.
    fn drop(&mut self) {
        self.wishes = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say; had it panicked, the process would be killed all the same.
            let _ = thread.join();
        }
    }
}

impl Process {
    pub(crate) fn kill(&self) {
        // Fails only when it has ended already.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Another handle, to kill it from elsewhere.
    pub(crate) fn handle(&self) -> io::Result<OwnedFd> {
        self.pidfd.try_clone()
    }

    /// Waits until it has ended and was reaped, and says how.
    pub(crate) async fn ended(&mut self) -> String {
        let ended = (&mut self.ended).await;
        ended.unwrap_or_else(|_| "nobody saw how it ended".to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn keep(wishes: &Receiver<Wish>) {
    while let Ok(Wish { mut command, process }) = wishes.recv() {
        let spawned = command.spawn();
        // The child's ends of the sockets are closed here, so that its end is seen on ours.
        drop(command);
        match spawned.and_then(watched) {
            Ok((mut child, started, ended)) => {
                // If nobody wants it any more, it is dropped, and thereby killed.
                drop(process.send(Ok(started)));
                let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                let _ = ended.send(how);
            }
            Err(error) => drop(process.send(Err(error))),
        }
    }
}

/// A handle on the process that stays right after it has ended.
fn watched(mut child: Child) -> io::Result<(Child, Process, oneshot::Sender<String>)> {
    let id = child.id();
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let pidfd = pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    match pidfd {
        Ok(pidfd) => {
            let (sender, ended) = oneshot::channel();
            Ok((child, Process { id, pidfd, ended }, sender))
        }
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error.into())
        }
    }
}
