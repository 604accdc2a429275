//! The handle on a spawner, and on what it makes.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use crate::controls::{Control, is_on};
use crate::error::{Ended, Enforcement, JailError, Step};
use crate::identity::write_maps;
use crate::plan::{Network, Plan};
use crate::report::{read_ended, read_enforcement, read_error};
use crate::server::{ENDED, ERROR, PARK, PARKED, SPAWN, STARTED, SURVEY, SURVEYED, Server, Surroundings};
use crate::socket::{self, Packet};
use crate::sys::{self, Side, Wait};
use crate::tier_b;
use crate::wire::{PLAN_BYTES_MAX, Reader, Writer};

/// The first argument that makes a program a spawner. A `main` that sees it calls [`serve`] and does nothing else.
pub const SPAWNER_WORD: &str = "--aether-spawner";
/// Most descriptors of a program beside the first three.
pub const EXTRA_MAX: usize = 16;
/// How long a spawner that was told to end may take, in milliseconds; then it is killed.
const END_MS_MAX: u32 = 2000;

/// The descriptors of a program.
pub struct Streams {
    /// Descriptor 0.
    pub stdin: OwnedFd,
    /// Descriptor 1.
    pub stdout: OwnedFd,
    /// Descriptor 2.
    pub stderr: OwnedFd,
    /// 3, 4 and so on; at most [`EXTRA_MAX`].
    pub extra: Vec<OwnedFd>,
}

/// A process of one thread that makes sandboxes and watches over them. It ends with its handle, or with the process
/// that has the handle, and every sandbox ends with it.
#[derive(Debug)]
pub struct Spawner {
    line: OwnedFd,
    pid: i32,
    protected: Vec<PathBuf>,
}

impl Spawner {
    /// Starts a spawner by executing this program again, with [`SPAWNER_WORD`] as its first argument, no environment,
    /// and nothing open but the line to it.
    ///
    /// # Errors
    /// [`JailError::Step`] if it cannot be executed.
    pub fn exec() -> Result<Spawner, JailError> {
        let failed = || JailError::at(Step::Start, "");
        let (line, other) = socket::pair().map_err(failed())?;
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg(SPAWNER_WORD).stdin(Stdio::from(other)).stdout(Stdio::null()).stderr(Stdio::null());
        if is_on(Control::Environment) {
            command.env_clear();
        }
        #[cfg(feature = "unplug")]
        command.envs(std::env::var_os(crate::controls::UNPLUG).map(|off| (crate::controls::UNPLUG, off)));
        let child = command.spawn().map_err(JailError::at(Step::Start, "/proc/self/exe"))?;
        Ok(Spawner { line, pid: child.id() as i32, protected: Vec::new() })
    }

    /// Starts a spawner as a copy of this process, which must have one thread: for a program that cannot execute itself
    /// again. What this process has in memory, the spawner has, too, though no sandbox can see it.
    ///
    /// # Errors
    /// [`JailError::Refused`] with more than one thread, [`JailError::Step`] if there can be no new process.
    pub fn fork() -> Result<Spawner, JailError> {
        let threads = fs::read_dir("/proc/self/task").map_err(JailError::at(Step::Start, "/proc/self/task"))?.count();
        if threads != 1 {
            let why = format!("has {threads} threads, and only a process of one can be copied: start it earlier");
            return Err(JailError::Refused { what: "this process".into(), why });
        }
        let (line, other) = socket::pair().map_err(JailError::at(Step::Start, ""))?;
        match sys::fork().map_err(JailError::at(Step::Start, ""))? {
            Side::Child => become_spawner(other),
            Side::Parent(pid, _) => Ok(Spawner { line, pid, protected: Vec::new() }),
        }
    }

    /// The same, that refuses every plan with a bind that is or lies in one of these places of the host, where keys and
    /// the program's own state are. Below a bind that contains one, it is hidden.
    #[must_use]
    pub fn protecting(mut self, places: Vec<PathBuf>) -> Spawner {
        self.protected = places;
        self
    }

    /// Runs a program in a jail. Returns when the program runs, which takes one or two milliseconds.
    ///
    /// # Errors
    /// Any [`JailError`]; then nothing ran.
    pub fn spawn(&self, plan: &Plan, streams: Streams) -> Result<Sandbox, JailError> {
        plan.check()?;
        if streams.extra.len() > EXTRA_MAX {
            return Err(JailError::Refused {
                what: "the descriptors".into(),
                why: "are more than 16 beside three".into(),
            });
        }
        let (control, other) = socket::pair().map_err(JailError::at(Step::Exchange, ""))?;
        let mut fds = vec![other.as_fd(), streams.stdin.as_fd(), streams.stdout.as_fd(), streams.stderr.as_fd()];
        fds.extend(streams.extra.iter().map(AsFd::as_fd));
        self.ask(SPAWN, 0, plan, &fds)?;
        drop((other, streams));
        let packet = answer(&control)?;
        let mut from = Reader(&packet.bytes[1..]);
        let read = |error| JailError::Gone { why: format!("its answer cannot be read: {error}") };
        let id = from.number().map_err(read)?;
        let enforcement = read_enforcement(&mut from).map_err(read)?;
        let gateway = match &plan.network {
            Network::None => None,
            Network::Brokered { ports } => Some(gateway(ports, packet.fds)?),
        };
        Ok(Sandbox { control, id, enforcement, gateway, ended: None })
    }

    /// From now on, keeps `count` (at most 16) jails of this plan made ahead, whatever its command; 0 ends that. Each is
    /// used once. Returns when they are there.
    ///
    /// # Errors
    /// Any [`JailError`]; then none is made any more.
    pub fn park(&self, plan: &Plan, count: u32) -> Result<(), JailError> {
        plan.check()?;
        let (control, other) = socket::pair().map_err(JailError::at(Step::Exchange, ""))?;
        self.ask(PARK, count, plan, &[other.as_fd()])?;
        drop(other);
        answer(&control).map(drop)
    }

    /// Asks for a try of each namespace.
    pub(crate) fn ask_for_survey(&self, control: BorrowedFd<'_>) -> Result<(), JailError> {
        socket::send(&self.line, &[SURVEY], &[control]).map_err(JailError::at(Step::Exchange, ""))
    }

    fn ask(&self, kind: u8, count: u32, plan: &Plan, fds: &[BorrowedFd<'_>]) -> Result<(), JailError> {
        let mut out = Writer::default();
        out.byte(kind);
        out.number(count.into());
        out.count(self.protected.len());
        for place in &self.protected {
            out.bytes(place.as_os_str().as_encoded_bytes());
        }
        let plan = plan.encode();
        if plan.len() > PLAN_BYTES_MAX {
            return Err(JailError::Refused { what: "the plan".into(), why: "has more than 4 MiB".into() });
        }
        out.0.extend_from_slice(&plan);
        socket::send_body(&self.line, &out.0, fds).map_err(|errno| match errno {
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => JailError::Gone { why: "it has ended".into() },
            other => JailError::at(Step::Exchange, "")(other),
        })
    }
}

/// The first answer to a request, if it is no error.
pub(crate) fn answer(control: &OwnedFd) -> Result<Packet, JailError> {
    let packet = match socket::receive(control) {
        Err(Errno::CONNRESET) => return Err(JailError::Gone { why: "it has ended".into() }),
        received => received.map_err(JailError::at(Step::Exchange, ""))?,
    };
    match packet.bytes.first() {
        Some(&(STARTED | PARKED | SURVEYED)) => Ok(packet),
        Some(&ERROR) => match read_error(&mut Reader(&packet.bytes[1..])) {
            Ok(error) => Err(error),
            Err(error) => Err(JailError::Gone { why: format!("its answer cannot be read: {error}") }),
        },
        Some(_) => Err(JailError::Gone { why: "it spoke out of turn".into() }),
        None => Err(JailError::Gone { why: "it has ended".into() }),
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // It sees the end of the line, and ends everything. Closing alone would not do while a copy of the descriptor
        // is somewhere.
        let _shut = rustix::net::shutdown(&self.line, rustix::net::Shutdown::Both);
        for _ in 0..END_MS_MAX {
            match sys::reap(self.pid, Wait::Now) {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        if let Some(pid) = Pid::from_raw(self.pid) {
            // Our child, not waited for: this is the one that is meant.
            let _killed = rustix::process::kill_process(pid, Signal::KILL);
            let _reaped = sys::reap(self.pid, Wait::Until);
        }
    }
}

/// What a program becomes whose first argument is [`SPAWNER_WORD`].
pub fn serve() -> ! {
    match sys::inherited(0) {
        Ok(line) => become_spawner(line),
        Err(_) => sys::exit(2),
    }
}

fn become_spawner(line: OwnedFd) -> ! {
    let code = match prepare(line).and_then(Server::new) {
        Ok(server) => {
            server.serve();
            0
        }
        Err(_) => 1,
    };
    sys::exit(code)
}

/// Leaves everything behind that the spawner came from.
fn prepare(line: OwnedFd) -> Result<(OwnedFd, Surroundings), JailError> {
    use std::os::fd::AsRawFd;
    let failed = || JailError::at(Step::Start, "");
    let moved = rustix::io::fcntl_dupfd_cloexec(&line, 3).map_err(failed())?;
    // Its own session, so that no signal of a terminal reaches it. It may lead one already.
    let _session = rustix::process::setsid();
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()).map_err(failed())?;
    for place in 0..3 {
        sys::duplicate_onto(null.as_fd(), place).map_err(failed())?;
    }
    sys::close_except(&mut [0, 1, 2, moved.as_raw_fd()]).map_err(failed())?;
    // Both are closed already, under whatever numbers they had.
    std::mem::forget((line, null));
    rustix::thread::set_name(c"aether-spawner").map_err(failed())?;
    if is_on(Control::Pdeathsig) {
        sys::tell_parents_death().map_err(failed())?;
    }
    if rustix::process::geteuid().is_root() {
        // Where groups cannot be changed, no dedicated user is chosen either.
        let _groups = rustix::thread::set_thread_groups(&[]);
    }
    Ok((moved, leave_network()?))
}

/// Goes where there is no network. Where that cannot be had, every jail gets a network namespace of its own.
fn leave_network() -> Result<Surroundings, JailError> {
    if tier_b::is_needed() {
        tier_b::prepare().map_err(JailError::at(Step::Start, ""))?;
        return Ok(Surroundings::Bare);
    }
    // Sharing one is sound only together with the filter.
    if !is_on(Control::Netns) || !is_on(Control::Seccomp) {
        return Ok(Surroundings::Host);
    }
    if rustix::process::geteuid().is_root() {
        return Ok(match sys::unshare(libc::CLONE_NEWNET) {
            Ok(()) => Surroundings::Empty,
            Err(_) => Surroundings::Host,
        });
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET).is_err() {
        return Ok(Surroundings::Host);
    }
    let same = |id: u32| format!("{id} {id} 1");
    write_maps("/proc/self", &same(uid), &same(gid)).map_err(JailError::at(Step::Map, ""))?;
    Ok(Surroundings::Empty)
}

/// A program in a jail. Dropping it ends the program and everything that it started.
#[derive(Debug)]
pub struct Sandbox {
    control: OwnedFd,
    id: u64,
    enforcement: Enforcement,
    gateway: Option<Gateway>,
    ended: Option<Ended>,
}

/// Sockets inside the network namespace of a jail, listening and non-blocking.
#[derive(Debug)]
pub struct Gateway {
    /// One for each declared port.
    pub listeners: Vec<(u16, OwnedFd)>,
    /// The resolver's, for UDP.
    pub dns_udp: OwnedFd,
    /// The resolver's, for TCP.
    pub dns_tcp: OwnedFd,
}

fn gateway(ports: &[u16], mut fds: Vec<OwnedFd>) -> Result<Gateway, JailError> {
    match (fds.len() == ports.len() + 2, fds.pop(), fds.pop()) {
        (true, Some(dns_tcp), Some(dns_udp)) => {
            Ok(Gateway { listeners: ports.iter().copied().zip(fds).collect(), dns_udp, dns_tcp })
        }
        _ => Err(JailError::Gone { why: "it handed out too few sockets".into() }),
    }
}

impl Sandbox {
    /// Ends the program and everything that it started. How it ended is still told.
    pub fn kill(&self) {
        // If the spawner is gone, so is the sandbox.
        let _told = socket::send_now(&self.control, b"k", &[]);
    }

    /// Becomes readable when the program has ended.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// How the program ended, if it has. Never blocks.
    ///
    /// # Errors
    /// [`JailError::Gone`] if the spawner ended first.
    pub fn ended(&mut self) -> Result<Option<Ended>, JailError> {
        if self.ended.is_none() {
            match socket::receive_now(&self.control) {
                Err(Errno::AGAIN) => return Ok(None),
                received => self.ended = Some(ended(received)?),
            }
        }
        Ok(self.ended.clone())
    }

    /// Waits until the program has ended, and says how.
    ///
    /// # Errors
    /// [`JailError::Gone`] if the spawner ended first.
    pub fn wait(&mut self) -> Result<Ended, JailError> {
        if let Some(ended) = &self.ended {
            return Ok(ended.clone());
        }
        let found = ended(socket::receive(&self.control))?;
        self.ended = Some(found.clone());
        Ok(found)
    }

    /// Takes the sockets of a brokered jail; there are none without, or the second time.
    pub fn take_gateway(&mut self) -> Option<Gateway> {
        self.gateway.take()
    }

    /// What holds this sandbox.
    #[must_use]
    pub fn enforcement(&self) -> &Enforcement {
        &self.enforcement
    }

    /// Distinct among all sandboxes of its spawner.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl AsFd for Sandbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

fn ended(received: Result<Packet, Errno>) -> Result<Ended, JailError> {
    let gone = |why: &str| JailError::Gone { why: why.into() };
    let packet = match received {
        Err(Errno::CONNRESET) => return Err(gone("it ended before the program did, and the program with it")),
        received => received.map_err(JailError::at(Step::Exchange, ""))?,
    };
    match packet.bytes.first() {
        None => Err(gone("it ended before the program did, and the program with it")),
        Some(&ENDED) => read_ended(&mut Reader(&packet.bytes[1..])).map_err(|_| gone("its answer cannot be read")),
        Some(_) => Err(gone("it spoke out of turn")),
    }
}
