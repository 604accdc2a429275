//! One call after another, each in its own jail.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aether_core::capability::{Capability, Network};
use aether_core::tool::Limits;
use aether_egress::{Bounds, Broker, Quotas, Range, Rules, Secret, Serving};
use aether_jail::{
    Access, Bind, Ended, Enforcement, Guarantees, JailError, Plan, Sandbox, Spawner, Status, Streams, Strength, Usage,
};
use aether_programs::{Line, Order, Programs};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use crate::bundle::Bundle;
use crate::capture::Capture;
use crate::error::{ExecutorError, system};
use crate::pipes;
use crate::plan::plan;
use crate::session::{Sessions, Wish};
use crate::watch::{Fact, Watcher};

/// The most bytes that one call may write; most of them are never kept.
pub(crate) const WRITTEN_BYTES_MAX: u64 = 64 << 20;

/// What is kept free of a call's output for what is said of its end.
const NOTICE_BYTES_MAX: usize = 256;

/// What an executor works with.
pub struct Options {
    /// The workspace, absolute and without symbolic links.
    pub workspace: PathBuf,
    /// The person's home, absolute, for places below `$home`.
    pub home: Option<PathBuf>,
    /// The tools that execute programs.
    pub programs: Programs,
    /// Further directories of programs, to read and to execute.
    pub programs_in: Vec<PathBuf>,
    /// Further variables of every program.
    pub environment: Vec<(String, String)>,
    /// Which guarantees may be approximate.
    pub guarantees: Guarantees,
    /// How the network is reached.
    pub network: aether_egress::Options,
    /// Addresses that are not public and may be reached all the same.
    pub exceptions: Vec<Range>,
    /// Hosts that nobody reaches, and those that may be reached at all.
    pub bounds: Bounds,
    /// How many jails are kept ready for the next call of the same kind, for calls that change nothing outside of their
    /// jail. Each is used once; 0 where no next call is expected.
    pub ahead: u32,
    /// Starts a spawner where there is none.
    pub spawner: Arc<dyn Fn() -> Result<Spawner, JailError> + Send + Sync>,
}

/// One untrusted call, as it was authorised.
#[derive(Clone, Debug)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// Its input, a JSON text.
    pub input: String,
    /// What it may reach.
    pub capability: Capability,
    /// Its limits.
    pub limits: Limits,
}

/// Something that a program wrote.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// To its standard output.
    Out(Vec<u8>),
    /// To its standard error.
    Err(Vec<u8>),
}

/// Where pieces go while a call runs. A slow reader slows the program.
pub type Pieces = mpsc::Sender<Piece>;

/// What became of a call.
#[derive(Debug)]
pub struct Finished {
    /// Whether the program ended by itself with exit code 0.
    pub is_success: bool,
    /// What it wrote, within the call's limit, and how it ended if not well.
    pub text: String,
    /// The exit code, where it ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// The limit that was broken, in words.
    pub breach: Option<String>,
    /// What it used; `None` for a command in a session that goes on.
    pub usage: Option<Usage>,
    /// Which limits were held approximately, in words; empty where all held exactly.
    pub enforcement: String,
}

/// Carries out calls.
pub struct Executor {
    pub(crate) options: Options,
    pub(crate) watcher: Watcher,
    spawner: Mutex<Option<Arc<Spawner>>>,
    broker: Mutex<Option<Arc<Broker>>>,
    pub(crate) sessions: Sessions,
}

impl Executor {
    /// An executor; processes are started when they are needed.
    #[must_use]
    pub fn new(options: Options, spawner: Option<Spawner>, watcher: Watcher) -> Executor {
        Executor {
            options,
            watcher,
            spawner: Mutex::new(spawner.map(Arc::new)),
            broker: Mutex::new(None),
            sessions: Sessions::default(),
        }
    }

    /// What this executor works with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Carries out a call. Dropping the future kills what it started (E4).
    ///
    /// # Errors
    /// Nothing ran.
    pub async fn run(&self, call: &Call, pieces: Option<&Pieces>) -> Result<Finished, ExecutorError> {
        let order = self.options.programs.order(&call.tool, &call.input).map_err(ExecutorError::Input)?;
        let finished = match order {
            Order::Once(line) => self.once(call, &line, pieces).await,
            Order::Session { name, action, seconds_max } => {
                self.sessions.act(self, call, Wish { name: &name, action, seconds_max }, pieces).await
            }
        };
        self.note_unavailable(&call.tool, &finished);
        finished
    }

    /// The plan that a call turns into; nothing is run.
    ///
    /// # Errors
    /// The input is wrong, or names what is not there.
    pub fn plan(&self, call: &Call) -> Result<Plan, ExecutorError> {
        let order = self.options.programs.order(&call.tool, &call.input).map_err(ExecutorError::Input)?;
        let line = match order {
            Order::Once(line) => line,
            Order::Session { seconds_max, .. } => crate::session::line(seconds_max),
        };
        plan(&self.options, &call.capability, call.limits, &line)
    }

    async fn once(&self, call: &Call, line: &Line, pieces: Option<&Pieces>) -> Result<Finished, ExecutorError> {
        let plan = plan(&self.options, &call.capability, call.limits, line)?;
        let input = line.input.clone().into_bytes();
        self.execute(
            Job {
                tool: &call.tool,
                plan,
                reach: Reach { network: &call.capability.network, secrets: &[] },
                stdin: Source::Bytes(input),
            },
            call.limits.output_bytes_max,
            pieces,
        )
        .await
    }

    /// Runs a program by its plan, to its end.
    ///
    /// # Errors
    /// Nothing ran.
    pub async fn execute(
        &self,
        mut job: Job<'_>,
        output_bytes_max: u64,
        pieces: Option<&Pieces>,
    ) -> Result<Finished, ExecutorError> {
        let bundle = self.trust(&mut job)?;
        let ahead = self.ahead(&job.plan).filter(|_| bundle.is_none());
        let (out, their_out) = pipes::from_jail().map_err(system("a pipe"))?;
        let (err, their_err) = pipes::from_jail().map_err(system("a pipe"))?;
        let (feed, stdin) = match job.stdin {
            Source::Fd(fd) => (None, fd),
            Source::Bytes(bytes) if bytes.is_empty() => (None, pipes::nothing().map_err(system("/dev/null"))?),
            Source::Bytes(bytes) => {
                let (ours, theirs) = pipes::to_jail().map_err(system("a pipe"))?;
                (Some(pipes::feed(ours, bytes)), theirs)
            }
        };
        let streams = Streams { stdin, stdout: their_out, stderr: their_err, extra: Vec::new() };
        let running = self.start(job.tool, job.plan, job.reach, streams).await?;
        // The jail's mount keeps it; where this process is killed, no file of it is left.
        drop(bundle);
        let mut output = Output::new(out, err, output_bytes_max);
        let feed = async {
            if let Some(feed) = feed {
                feed.await;
            }
        };
        let (_, ended) = tokio::join!(feed, self.follow(&running, &mut output, pieces));
        let ended = self.noted(&running, ended)?;
        if let Some(plan) = ahead {
            self.keep_ready(plan);
        }
        output.drain(pieces).await;
        Ok(self.report(job.tool, &running, &ended, &output))
    }

    /// The plan, if jails for others like it are to be kept ready: none that could change the workspace, which would be
    /// guarded for as long as they wait.
    fn ahead(&self, plan: &Plan) -> Option<Plan> {
        let changes = |bind: &Bind| bind.access == Access::Write;
        (self.options.ahead > 0 && !plan.binds.iter().any(changes)).then(|| plan.clone())
    }

    /// Has jails made ahead. That none can be made is no failure: the next call gets one of its own.
    fn keep_ready(&self, plan: Plan) {
        if let Ok(spawner) = self.spawner() {
            let ahead = self.options.ahead;
            tokio::task::spawn_blocking(move || {
                let _refused = spawner.park(&plan, ahead);
            });
        }
    }

    /// Gives a program whose credentials the broker adds a trust store with the broker's certificate, so that it can
    /// speak TLS to it. The file is removed with what this returns, which has to last until the jail is made.
    fn trust(&self, job: &mut Job<'_>) -> Result<Option<Bundle>, ExecutorError> {
        if job.reach.secrets.is_empty() {
            return Ok(None);
        }
        let Some(own) = self.broker()?.certificate_pem(&self.rules(job.reach))? else { return Ok(None) };
        let bundle = Bundle::write(&own).map_err(system("a certificate for the jail"))?;
        bundle.enter(&mut job.plan);
        Ok(Some(bundle))
    }

    fn rules(&self, reach: Reach<'_>) -> Rules {
        Rules {
            network: reach.network.clone(),
            secrets: reach.secrets.to_vec(),
            quotas: Quotas::default(),
            exceptions: self.options.exceptions.clone(),
            bounds: self.options.bounds.clone(),
        }
    }

    /// Ends a session and everything in it.
    pub async fn close(&self, session: &str) {
        self.sessions.close(session).await;
    }

    /// Starts a program in a jail, and the broker beside it where it may reach hosts.
    pub(crate) async fn start(
        &self,
        tool: &str,
        plan: Plan,
        reach: Reach<'_>,
        streams: Streams,
    ) -> Result<Running, ExecutorError> {
        let program = plan.command.program.display().to_string();
        if plan.network != aether_jail::Network::None {
            // Before there is a program: one that runs cannot be taken back.
            self.broker()?.check(&self.rules(reach))?;
        }
        let (mut sandbox, spawner) = self.spawn(plan, streams).await?;
        let serving = match sandbox.take_gateway() {
            Some(gateway) => Some(self.serve(tool, gateway, reach)?),
            None => None,
        };
        (self.watcher)(&Fact::Started { tool, program: &program });
        let fd = sandbox.fd().try_clone_to_owned().map_err(system("a descriptor"))?;
        let end = std::os::unix::net::UnixDatagram::from(fd);
        end.set_nonblocking(true).map_err(system("a descriptor"))?;
        let end = UnixDatagram::from_std(end).map_err(system("a descriptor"))?;
        let enforcement = approximate(sandbox.enforcement());
        Ok(Running { sandbox: Mutex::new(sandbox), spawner, end, enforcement, _serving: serving })
    }

    async fn spawn(&self, plan: Plan, streams: Streams) -> Result<(Sandbox, Arc<Spawner>), ExecutorError> {
        let spawner = self.spawner()?;
        let used = Arc::clone(&spawner);
        let spawned = tokio::task::spawn_blocking(move || used.spawn(&plan, streams)).await;
        let spawned = spawned.map_err(|error| system("a worker thread")(io::Error::other(error)))?;
        if let Err(JailError::Gone { .. }) = spawned {
            self.forget(&spawner);
        }
        Ok((spawned?, spawner))
    }

    /// The next call gets a new spawner.
    fn forget(&self, spawner: &Arc<Spawner>) {
        let mut kept = self.spawner.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|kept| Arc::ptr_eq(kept, spawner));
    }

    /// Takes note of a spawner that went away under a program.
    pub(crate) fn noted<T>(&self, running: &Running, ended: Result<T, ExecutorError>) -> Result<T, ExecutorError> {
        if let Err(ExecutorError::Jail(JailError::Gone { .. })) = ended {
            self.forget(&running.spawner);
        }
        ended
    }

    fn spawner(&self) -> Result<Arc<Spawner>, ExecutorError> {
        let mut kept = self.spawner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spawner) = &*kept {
            return Ok(Arc::clone(spawner));
        }
        let spawner = Arc::new((self.options.spawner)()?);
        Ok(Arc::clone(kept.insert(spawner)))
    }

    fn serve(&self, tool: &str, gateway: aether_jail::Gateway, reach: Reach<'_>) -> Result<Serving, ExecutorError> {
        let broker = self.broker()?;
        let gateway =
            aether_egress::Gateway { listeners: gateway.listeners, dns_udp: gateway.dns_udp, dns_tcp: gateway.dns_tcp };
        let rules = self.rules(reach);
        let (watcher, tool) = (Arc::clone(&self.watcher), tool.to_owned());
        let sink = Arc::new(move |decision: &aether_egress::Decision| {
            watcher(&Fact::Network { tool: &tool, decision });
        });
        Ok(broker.serve(gateway, rules, sink)?)
    }

    fn broker(&self) -> Result<Arc<Broker>, ExecutorError> {
        let mut kept = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broker) = &*kept {
            return Ok(Arc::clone(broker));
        }
        let broker = Arc::new(Broker::new(self.options.network.clone())?);
        Ok(Arc::clone(kept.insert(broker)))
    }

    /// Reads what the program writes until it has ended.
    async fn follow(
        &self,
        running: &Running,
        output: &mut Output,
        pieces: Option<&Pieces>,
    ) -> Result<Ended, ExecutorError> {
        loop {
            tokio::select! {
                biased;
                () = output.read(pieces) => {
                    if output.is_flooded() {
                        running.kill();
                    }
                }
                ended = running.ended() => return ended,
            }
        }
    }

    pub(crate) fn report(&self, tool: &str, running: &Running, ended: &Ended, output: &Output) -> Finished {
        let mut text = output.text();
        let mut breach = None;
        if let Some(broken) = &ended.breach {
            (self.watcher)(&Fact::Breached { tool, breach: broken });
            breach = Some(broken.to_string());
        } else if output.is_flooded() {
            (self.watcher)(&Fact::Flooded { tool, bytes_max: WRITTEN_BYTES_MAX });
            breach = Some(format!("output limit {} MB exceeded", WRITTEN_BYTES_MAX >> 20));
        }
        let exit_code = match ended.status {
            Status::Exited(code) if breach.is_none() => Some(code),
            _ => None,
        };
        let how = match (&breach, ended.status) {
            (Some(breach), _) => Some(format!("killed: {breach}")),
            (None, Status::Exited(0)) => None,
            (None, Status::Exited(code)) => Some(format!("exit code {code}")),
            (None, Status::Signaled(signal)) => Some(format!("killed by signal {signal}")),
        };
        if let Some(how) = how {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("[{how}]"));
        }
        let signal = if let Status::Signaled(signal) = ended.status { Some(signal) } else { None };
        Finished {
            is_success: exit_code == Some(0),
            text,
            exit_code,
            signal,
            breach,
            usage: Some(ended.usage),
            enforcement: running.enforcement.clone(),
        }
    }

    fn note_unavailable(&self, tool: &str, finished: &Result<Finished, ExecutorError>) {
        if let Err(ExecutorError::Jail(error @ JailError::Unavailable { .. })) = finished {
            (self.watcher)(&Fact::Unavailable { tool, why: &error.to_string() });
        }
    }
}

/// Which limits are held approximately, in words.
fn approximate(enforcement: &Enforcement) -> String {
    let limits = [
        ("memory", enforcement.memory),
        ("processor time", enforcement.cpu),
        ("the view of processes", enforcement.process_view),
        ("the number of processes", enforcement.without_namespaces.processes),
        ("names of files and processes", enforcement.without_namespaces.names),
        ("what may be executed", enforcement.without_namespaces.execution),
        ("temporary files", enforcement.without_namespaces.scratch),
        ("signals", enforcement.without_namespaces.signals),
    ];
    let loose: Vec<&str> =
        limits.iter().filter(|(_, strength)| *strength == Strength::Approximate).map(|(name, _)| *name).collect();
    loose.join(", ")
}

/// A program to run by its plan.
pub struct Job<'a> {
    /// The tool it belongs to.
    pub tool: &'a str,
    /// The plan.
    pub plan: Plan,
    /// What of the network it may reach.
    pub reach: Reach<'a>,
    /// Its standard input.
    pub stdin: Source,
}

/// What of the network a program may reach.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// The hosts.
    pub network: &'a Network,
    /// Credentials that the broker adds, each for one host.
    pub secrets: &'a [Secret],
}

/// What a program reads.
pub enum Source {
    /// These bytes.
    Bytes(Vec<u8>),
    /// This descriptor.
    Fd(OwnedFd),
}

/// Something that runs in a jail. Dropping it kills everything in it.
pub(crate) struct Running {
    sandbox: Mutex<Sandbox>,
    spawner: Arc<Spawner>,
    /// Readable once it has ended.
    end: UnixDatagram,
    enforcement: String,
    _serving: Option<Serving>,
}

impl Running {
    /// Kills everything in it.
    pub(crate) fn kill(&self) {
        self.sandbox.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    /// How it ended, once it has.
    pub(crate) async fn ended(&self) -> Result<Ended, ExecutorError> {
        loop {
            self.end.readable().await.map_err(system("a descriptor"))?;
            let ended = self.sandbox.lock().unwrap_or_else(PoisonError::into_inner).ended()?;
            if let Some(ended) = ended {
                return Ok(ended);
            }
            // There was nothing to read: wait for the next time that there is.
            let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _none = self.end.try_io(Interest::READABLE, nothing);
        }
    }
}

/// What a program writes, as far as it is kept.
pub(crate) struct Output {
    out: Option<Receiver>,
    err: Option<Receiver>,
    kept: Capture,
    /// Taken, and not yet shown to whoever follows the call.
    unsent: Option<Piece>,
}

impl Output {
    pub(crate) fn new(out: Receiver, err: Receiver, bytes_max: u64) -> Output {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let bytes_max = bytes_max.saturating_sub(NOTICE_BYTES_MAX).max(bytes_max / 2);
        Output { out: Some(out), err: Some(err), kept: Capture::new(bytes_max), unsent: None }
    }

    /// Takes one piece and shows it; never comes back once both streams are at their end. Whoever stops waiting for
    /// this loses nothing.
    pub(crate) async fn read(&mut self, pieces: Option<&Pieces>) {
        if self.unsent.is_none() && !self.take().await {
            std::future::pending::<()>().await;
        }
        self.send(pieces).await;
    }

    /// Takes one piece, or notices that a stream is at its end; false once both are.
    pub(crate) async fn take(&mut self) -> bool {
        // What was written to both at about the same time is kept in one order.
        let (piece, is_out) = tokio::select! {
            biased;
            piece = next(&mut self.out), if self.out.is_some() => (piece, true),
            piece = next(&mut self.err), if self.err.is_some() => (piece, false),
            else => return false,
        };
        if !piece.is_empty() {
            self.kept.push(&piece);
            self.unsent = Some(if is_out { Piece::Out(piece) } else { Piece::Err(piece) });
        }
        true
    }

    /// Shows what was taken, at the pace of whoever follows the call.
    pub(crate) async fn send(&mut self, pieces: Option<&Pieces>) {
        if self.unsent.is_none() {
            return;
        }
        // Nobody may be left to show it to; what is kept stays.
        let place = match pieces {
            Some(pieces) => pieces.reserve().await.ok(),
            None => None,
        };
        if let (Some(place), Some(piece)) = (place, self.unsent.take()) {
            place.send(piece);
        }
        self.unsent = None;
    }

    /// Takes what is still in the pipes of a jail that is gone.
    pub(crate) async fn drain(&mut self, pieces: Option<&Pieces>) {
        let nothing_comes = std::time::Duration::from_millis(DRAIN_MS_MAX);
        self.send(pieces).await;
        while !self.is_flooded() && matches!(tokio::time::timeout(nothing_comes, self.take()).await, Ok(true)) {
            self.send(pieces).await;
        }
    }

    /// Forgets what was written, for the next command.
    pub(crate) fn restart(&mut self) {
        self.kept = Capture::new(self.kept.bytes_max());
        self.unsent = None;
    }

    pub(crate) fn is_flooded(&self) -> bool {
        self.kept.bytes() > WRITTEN_BYTES_MAX
    }

    pub(crate) fn text(&self) -> String {
        self.kept.text()
    }
}

/// How long a pipe may take to say that it is at its end once everybody who could write to it is dead.
const DRAIN_MS_MAX: u64 = 100;

/// The next piece of a stream; empty at its end, which closes it.
async fn next(pipe: &mut Option<Receiver>) -> Vec<u8> {
    let Some(open) = pipe else { return Vec::new() };
    match pipes::next(open).await {
        Ok(piece) if !piece.is_empty() => piece,
        _ => {
            *pipe = None;
            Vec::new()
        }
    }
}
