//! Shells that live on between calls, with their directory, their variables and their jobs (E5).
//!
//! A session is one jail with one shell in it. The shell reads its script from its standard input, a pipe that commands
//! are not given; each command is one piece of that script, and at its end the shell reports the exit code and the
//! directory on a second pipe. What a command can reach with those pipes is its own session, no more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aether_core::capability::Capability;
use aether_jail::{Breach, Streams};
use aether_programs::{Action, Line};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::Mutex;

use crate::error::{ExecutorError, system};
use crate::executor::{Call, Executor, Finished, Output, Pieces, Reach, Running};
use crate::pipes;
use crate::plan::plan;
use crate::watch::Fact;

/// The most sessions at once.
const SESSIONS_MAX: usize = 8;
/// How long a session lives, in seconds.
const LIFE_SECONDS_MAX: u64 = 4 * 60 * 60;
/// The longest report of a command.
const REPORT_BYTES_MAX: usize = 16 << 10;
/// How long what a command wrote may take to arrive after its end, in milliseconds.
const SETTLE_MS: u64 = 5;

/// What a call is told whose session ended with it.
const OVER: &str = "[the session is over]";

/// The sessions of an executor.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Arc<Mutex<Session>>>>);

/// What is wanted of a session.
pub(crate) struct Wish<'a> {
    pub(crate) name: &'a str,
    pub(crate) action: Action,
    pub(crate) seconds_max: u64,
}

/// One shell.
struct Session {
    capability: Capability,
    running: Arc<Running>,
    script: Sender,
    reports: Receiver,
    output: Output,
    jobs: u64,
    /// A command was left in its middle: nobody knows what the shell does next.
    is_broken: bool,
}

/// The shell of a session.
pub(crate) fn line(seconds_max: u64) -> Line {
    Line {
        program: "sh".into(),
        args: vec!["-s".into()],
        env: Vec::new(),
        folder: String::new(),
        input: String::new(),
        seconds_max,
    }
}

impl Sessions {
    /// Does something in a session; one that is not there is started.
    pub(crate) async fn act(
        &self,
        executor: &Executor,
        call: &Call,
        wish: Wish<'_>,
        pieces: Option<&Pieces>,
    ) -> Result<Finished, ExecutorError> {
        let Wish { name, action, seconds_max } = wish;
        let session = self.find(executor, call, name, &action).await?;
        let mut held = session.lock().await;
        if held.is_broken || held.capability != call.capability {
            let why = if held.is_broken { "was stopped in the middle of a command" } else { "has other rights" };
            if held.is_broken {
                self.forget(name, &session).await;
            }
            return Err(ExecutorError::Input(format!("session `{name}` {why}; start another one")));
        }
        let limit = Duration::from_millis(call.limits.runtime_ms_max.min(seconds_max.saturating_mul(1000)));
        // Set before the first await: whoever stops waiting leaves it so, and ends what runs.
        held.is_broken = true;
        let mut unfinished = Unfinished(Some(Arc::clone(&held.running)));
        let script = held.script_of(&action);
        let done = tokio::time::timeout(limit, held.command(&script, pieces)).await;
        let finished = match done {
            Ok(Ok(Some(finished))) => {
                unfinished.0 = None;
                held.is_broken = false;
                return Ok(finished);
            }
            Ok(Ok(None)) => held.gone(executor, call).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(held.overdue(executor, call, limit)),
        };
        self.forget(name, &session).await;
        finished
    }

    async fn find(
        &self,
        executor: &Executor,
        call: &Call,
        name: &str,
        action: &Action,
    ) -> Result<Arc<Mutex<Session>>, ExecutorError> {
        let mut all = self.0.lock().await;
        if let Some(session) = all.get(name) {
            return Ok(Arc::clone(session));
        }
        if matches!(action, Action::Jobs | Action::Kill(_)) {
            return Err(ExecutorError::Input(format!("there is no session `{name}`")));
        }
        if all.len() >= SESSIONS_MAX {
            let names: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(ExecutorError::Input(format!(
                "there are {SESSIONS_MAX} sessions already ({}); end one with `exit`",
                names.join(", ")
            )));
        }
        let session = Arc::new(Mutex::new(Session::start(executor, call).await?));
        all.insert(name.to_owned(), Arc::clone(&session));
        Ok(session)
    }

    /// Ends a session and everything in it; one that is not there is ended already.
    pub(crate) async fn close(&self, name: &str) {
        // A command that is under way there holds the session until it ends, or is dropped.
        let _ended = self.0.lock().await.remove(name);
    }

    async fn forget(&self, name: &str, session: &Arc<Mutex<Session>>) {
        let mut all = self.0.lock().await;
        if all.get(name).is_some_and(|known| Arc::ptr_eq(known, session)) {
            all.remove(name);
        }
    }
}

impl Session {
    async fn start(executor: &Executor, call: &Call) -> Result<Session, ExecutorError> {
        let mut limits = call.limits;
        limits.runtime_ms_max = LIFE_SECONDS_MAX * 1000;
        let plan = plan(&executor.options, &call.capability, limits, &line(LIFE_SECONDS_MAX))?;
        let (out, stdout) = pipes::from_jail().map_err(system("a pipe"))?;
        let (err, stderr) = pipes::from_jail().map_err(system("a pipe"))?;
        let (script, their_script) = pipes::to_jail().map_err(system("a pipe"))?;
        let (reports, their_reports) = pipes::from_jail().map_err(system("a pipe"))?;
        let streams = Streams { stdin: their_script, stdout, stderr, extra: vec![their_reports] };
        let running = executor
            .start(&call.tool, plan, Reach { network: &call.capability.network, secrets: &[] }, streams)
            .await?;
        let output = Output::new(out, err, call.limits.output_bytes_max);
        let (capability, running) = (call.capability.clone(), Arc::new(running));
        Ok(Session { capability, running, script, reports, output, jobs: 0, is_broken: false })
    }

    /// What the shell is told to do. It keeps its standard input and its third descriptor to itself.
    fn script_of(&mut self, action: &Action) -> String {
        match action {
            Action::Run(command) => format!("command eval {} </dev/null 3>&-", quoted(command)),
            Action::Start(command) => {
                self.jobs += 1;
                let (job, command) = (self.jobs, quoted(command));
                format!(
                    "setsid sh -c {command} >/tmp/job-{job}.log 2>&1 </dev/null 3>&- & \
                     aether_job_{job}=$!; echo \"job {job}; its output is in /tmp/job-{job}.log\""
                )
            }
            // `jobs` takes note of those that are over.
            Action::Jobs => format!("jobs >/dev/null\n{}:", (1..=self.jobs).map(listing).collect::<String>()),
            Action::Kill(job) if *job > self.jobs => format!("echo 'there is no job {job}'; (exit 1)"),
            Action::Kill(job) => format!(
                "if kill -9 -\"$aether_job_{job}\" 2>/dev/null; \
                 then wait \"$aether_job_{job}\" 2>/dev/null; echo 'job {job} is killed'; \
                 else echo 'job {job} is over already'; (exit 1); fi"
            ),
        }
    }

    /// Runs one piece of script; `None` if the shell ended in it.
    async fn command(&mut self, script: &str, pieces: Option<&Pieces>) -> Result<Option<Finished>, ExecutorError> {
        self.output.restart();
        let script = format!("{script}\nprintf '%s %s\\0' \"$?\" \"$PWD\" >&3\n");
        // A shell that is gone reads nothing; its end is seen below.
        let _gone = self.script.write_all(script.as_bytes()).await;
        let mut report = Vec::new();
        while !report.ends_with(&[0]) && report.len() <= REPORT_BYTES_MAX {
            tokio::select! {
                biased;
                () = self.output.read(pieces) => {
                    if self.output.is_flooded() {
                        self.running.kill();
                        return Ok(None);
                    }
                }
                piece = pipes::next(&mut self.reports) => {
                    match piece {
                        Ok(piece) if !piece.is_empty() => report.extend_from_slice(&piece),
                        _ => return Ok(None),
                    }
                }
            }
        }
        let settle = Duration::from_millis(SETTLE_MS);
        while matches!(tokio::time::timeout(settle, self.output.take()).await, Ok(true)) {
            self.output.send(pieces).await;
            if self.output.is_flooded() {
                self.running.kill();
                return Ok(None);
            }
        }
        Ok(Some(self.finished(&report)))
    }

    fn finished(&self, report: &[u8]) -> Finished {
        let report = String::from_utf8_lossy(report);
        let report = report.trim_end_matches('\0');
        let (code, folder) = report.split_once(' ').unwrap_or((report, ""));
        let exit_code = code.parse::<i32>().ok();
        let mut text = self.output.text();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&match exit_code {
            Some(0) => format!("[in {folder}]"),
            _ => format!("[exit code {code}; in {folder}]"),
        });
        Finished {
            is_success: exit_code == Some(0),
            text,
            exit_code,
            signal: None,
            breach: None,
            usage: None,
            enforcement: String::new(),
        }
    }

    /// What to say of a command that took too long, with which the session ends.
    fn overdue(&self, executor: &Executor, call: &Call, limit: Duration) -> Finished {
        self.running.kill();
        let breach = Breach::Runtime { runtime_ms_max: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) };
        (executor.watcher)(&Fact::Breached { tool: &call.tool, breach: &breach });
        let mut text = self.output.text();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("[killed: {breach}]\n{OVER}"));
        Finished {
            is_success: false,
            text,
            exit_code: None,
            signal: None,
            breach: Some(breach.to_string()),
            usage: None,
            enforcement: String::new(),
        }
    }

    /// What to say of a shell that ended in the middle of a command.
    async fn gone(&mut self, executor: &Executor, call: &Call) -> Result<Finished, ExecutorError> {
        let ended = executor.noted(&self.running, self.running.ended().await)?;
        self.output.drain(None).await;
        let mut finished = executor.report(&call.tool, &self.running, &ended, &self.output);
        finished.text.push_str(&format!("\n{OVER}"));
        Ok(finished)
    }
}

/// A command that has not ended. Dropping it kills the session that it runs in (E4).
struct Unfinished(Option<Arc<Running>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.kill();
        }
    }
}

/// A text as one word of a shell (POSIX.1-2017, XCU 2.2.2).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One line about a job, with the end of its output.
fn listing(job: u64) -> String {
    format!(
        "if kill -0 \"$aether_job_{job}\" 2>/dev/null; then echo 'job {job}: running'; else echo 'job {job}: over'; fi; \
         tail -n 3 /tmp/job-{job}.log 2>/dev/null\n"
    )
}
