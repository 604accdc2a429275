//! A jail from inside: the first process, which makes it and waits in it, and the program's own.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::binds::{self, Known, Tree};
use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::filter::Filters;
use crate::identity::{INSIDE, Identity, Owners};
use crate::plan::{Command, Network, Plan, Strength};
use crate::report::write_error;
use crate::root::{self, NAME};
use crate::sys::{self, Wait};
use crate::tier_b::{self, Scratch};
use crate::wire::{Reader, Writer, read_command};
use crate::{landlock, limits, network, socket};

/// Spawner to jail: the maps are written, the control group holds.
pub(crate) const GO: u8 = b'g';
/// Spawner to jail: the command, with its streams.
pub(crate) const COMMAND: u8 = b'c';
/// Jail to spawner: the sockets of its network.
pub(crate) const GATEWAY: u8 = b'n';
/// Jail to spawner: everything holds, the program is next; with the line to use from then on, and the listener of its
/// filter.
pub(crate) const READY: u8 = b'r';
/// Jail to spawner: a step failed.
pub(crate) const FAILED: u8 = b'f';
/// What the first process says when the program has ended: status, processor time, largest process.
pub(crate) const RECORD_BYTES: usize = 24;
/// The first number that is free for descriptors which are on their way to their places.
const TRANSIT: RawFd = 32;

/// What a new process needs to become a jail.
pub(crate) struct Birth<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) known: Known<'a>,
    pub(crate) identity: Identity,
    /// What is granted, where the spawner had to open it.
    pub(crate) trees: Option<Vec<Tree>>,
    /// To the spawner, until the program runs.
    pub(crate) line: OwnedFd,
    /// To the spawner, for the record.
    pub(crate) status: OwnedFd,
    /// Descriptors 0, 1, 2 and so on of the program; none if it is to be told later.
    pub(crate) streams: Option<Vec<OwnedFd>>,
    /// What is written to, to be in a control group.
    pub(crate) doors: Vec<OwnedFd>,
    pub(crate) filters: &'a Filters,
    pub(crate) memory: Strength,
    pub(crate) landlock_abi: u32,
    /// The directory for temporary files of a jail without namespaces; none with.
    pub(crate) scratch: Option<Scratch>,
}

/// Becomes the jail. Whatever fails is told to the spawner, and nothing has run.
pub(crate) fn live(mut birth: Birth<'_>) -> ! {
    let Err(error) = if birth.scratch.is_some() { tier_b::lead(&mut birth) } else { first(&mut birth) };
    report(birth.line.as_fd(), &error);
    sys::exit(127)
}

pub(crate) fn report(line: BorrowedFd<'_>, error: &JailError) {
    let mut out = Writer::default();
    out.byte(FAILED);
    write_error(&mut out, error);
    // If the spawner cannot be told, it sees the end of the process instead.
    let _told = socket::send(line, &out.0, &[]);
}

/// The first process.
fn first(birth: &mut Birth<'_>) -> Result<Infallible, JailError> {
    let mut keep = vec![birth.line.as_raw_fd(), birth.status.as_raw_fd()];
    keep.extend(birth.streams.iter().flatten().map(AsRawFd::as_raw_fd));
    keep.extend(birth.trees.iter().flatten().filter_map(|tree| tree.fd.as_ref()).map(AsRawFd::as_raw_fd));
    keep.extend(birth.doors.iter().map(AsRawFd::as_raw_fd));
    close_others(&mut keep)?;
    for door in birth.doors.drain(..) {
        // `0` is whoever writes it (cgroups(7)).
        rustix::io::write(&door, b"0").map_err(JailError::at(Step::Group, "(enter it)"))?;
    }
    let go = socket::receive(&birth.line).map_err(JailError::at(Step::Parent, ""))?;
    if go.bytes != [GO] {
        sys::exit(0);
    }
    birth.identity.assume()?;
    if is_on(Control::Pdeathsig) {
        // After the change of identity, which would clear it.
        let signal = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        signal.map_err(JailError::at(Step::Parent, ""))?;
    }
    if socket::receive_now(&birth.line).err() != Some(Errno::AGAIN) {
        // The spawner died before it could be watched.
        sys::exit(0);
    }
    if is_on(Control::Utsns) {
        rustix::system::sethostname(NAME.as_bytes()).map_err(JailError::at(Step::Hostname, ""))?;
    }
    if let Network::Brokered { ports } = &birth.plan.network {
        let sockets = network::prepare(ports)?;
        let fds: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        socket::send(&birth.line, &[GATEWAY], &fds).map_err(JailError::at(Step::Report, "the network"))?;
    }
    let view = if is_on(Control::Mounts) { enter(birth)? } else { Strength::Exact };
    if is_on(Control::NoNewPrivs) {
        drop_rights()?;
    }
    let child = sys::clone_and_wait(|| {
        let Err(error) = program(birth, view);
        report(birth.line.as_fd(), &error);
        sys::exit(127)
    });
    supervise(birth, child.map_err(JailError::at(Step::Fork, ""))?)
}

pub(crate) fn close_others(keep: &mut [RawFd]) -> Result<(), JailError> {
    if is_on(Control::CloseFds) {
        return sys::close_except(keep).map_err(JailError::at(Step::Descriptors, ""));
    }
    #[cfg(feature = "unplug")]
    (0..1024).filter(|fd| !keep.contains(fd)).for_each(sys::leak);
    Ok(())
}

fn enter(birth: &mut Birth<'_>) -> Result<Strength, JailError> {
    let granted = match birth.trees.take() {
        Some(trees) => trees,
        None => binds::open_all(birth.plan, birth.known, birth.identity, &mut Owners::default())?,
    };
    root::enter(birth.plan, root::open_own()?, granted)
}

/// Gives up every right over the jail's namespaces, for good.
fn drop_rights() -> Result<(), JailError> {
    if is_on(Control::Capabilities) {
        sys::lock_rights().map_err(JailError::at(Step::Capabilities, ""))?;
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::clear_ambient_capability_set()
            .and_then(|()| rustix::thread::set_capabilities(None, sets))
            .map_err(JailError::at(Step::Capabilities, ""))?;
    }
    if is_on(Control::NoNewPrivs) {
        rustix::thread::set_no_new_privs(true).map_err(JailError::at(Step::Privileges, ""))?;
    }
    Ok(())
}

/// Waits for the program; then ends everything that it left, and says how it went.
fn supervise(birth: &mut Birth<'_>, program: i32) -> Result<Infallible, JailError> {
    birth.streams = None;
    let (line, status) = (birth.line.as_raw_fd(), birth.status.as_raw_fd());
    if is_on(Control::CloseFds) {
        sys::close_except(&mut [line, status]).map_err(JailError::at(Step::Descriptors, ""))?;
    }
    // Nobody inside may look into this process.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(JailError::at(Step::Check, ""))?;
    let is_alone = rustix::process::getpid().is_init();
    if is_on(Control::Seccomp) && is_alone {
        birth.filters.install_first()?;
    }
    sys::close(line);
    let (mut ended, mut cpu_us, mut memory_bytes_peak) = (None, 0, 0);
    // From here on: no memory is taken, and only what the filter lets through is called.
    loop {
        match sys::reap(-1, Wait::Until) {
            Ok(Some(reaped)) => {
                cpu_us += reaped.cpu_us;
                memory_bytes_peak = reaped.memory_bytes_peak.max(memory_bytes_peak);
                if reaped.pid == program {
                    ended = Some(reaped.status);
                    if is_alone {
                        sys::kill_all();
                    } else {
                        break;
                    }
                }
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let Some(ended) = ended else { sys::exit(126) };
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&i64::from(ended).to_le_bytes());
    record[8..16].copy_from_slice(&cpu_us.to_le_bytes());
    record[16..].copy_from_slice(&memory_bytes_peak.to_le_bytes());
    // If nobody listens any more, nobody has to know.
    let _told = rustix::io::write(&birth.status, &record);
    sys::exit(0)
}

/// The process that becomes the program.
pub(crate) fn program(birth: &mut Birth<'_>, view: Strength) -> Result<Infallible, JailError> {
    if is_on(Control::Setsid) {
        rustix::process::setsid().map_err(JailError::at(Step::Session, ""))?;
    }
    sys::reset_signals();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let mut keep = vec![birth.line.as_raw_fd()];
    keep.extend(birth.streams.iter().flatten().map(AsRawFd::as_raw_fd));
    close_others(&mut keep)?;
    match &birth.scratch {
        Some(scratch) => tier_b::hold(birth, scratch)?,
        None => {
            limits::apply(&birth.plan.limits, birth.memory)?;
            if is_on(Control::Mounts) {
                landlock::restrict(birth.plan, birth.landlock_abi)?;
            }
            check()?;
        }
    }
    // From here on the spawner hears from this process alone: what it is told to do, and that its end is closed when
    // the program is in its place.
    let (line, far) = socket::pair().map_err(JailError::at(Step::Report, ""))?;
    if birth.memory == Strength::Approximate && is_on(Control::LimitsMemory) && is_on(Control::Seccomp) {
        birth.filters.install_seen_alone()?;
    }
    let listener = match (is_on(Control::Seccomp), &birth.scratch) {
        (true, None) => birth.filters.install_tool(&birth.plan.network)?,
        (true, Some(_)) => birth.filters.install_tool_without_namespaces()?,
        (false, _) => None,
    };
    if !is_on(Control::NoNewPrivs) {
        drop_rights()?;
    }
    let fds: Vec<BorrowedFd<'_>> = [&far].into_iter().chain(&listener).map(AsFd::as_fd).collect();
    socket::send(&birth.line, &[READY, view as u8], &fds).map_err(JailError::at(Step::Report, ""))?;
    drop((listener, far));
    let given = match birth.streams.take() {
        Some(streams) => Ok((birth.plan.command.clone(), streams)),
        None => await_command(&line),
    };
    let Err(error) = given.and_then(|(command, streams)| match &birth.scratch {
        Some(scratch) => become_program(&line, &tier_b::adjusted(&command, scratch.path()), streams),
        None => become_program(&line, &command, streams),
    });
    fail(&line, &error)
}

/// Looks whether what was done really holds.
fn check() -> Result<(), JailError> {
    let failed = |what: &str| JailError::Step { step: Step::Check, what: what.into(), errno: libc::EPERM };
    if is_on(Control::Capabilities) && is_on(Control::NoNewPrivs) {
        let sets = rustix::thread::capabilities(None).map_err(JailError::at(Step::Check, "capabilities"))?;
        let all = sets.effective | sets.permitted | sets.inheritable;
        let bound = rustix::thread::capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN);
        if !all.is_empty() || bound != Ok(false) {
            return Err(failed("(capabilities are left)"));
        }
    }
    if is_on(Control::NoNewPrivs) && rustix::thread::no_new_privs() != Ok(true) {
        return Err(failed("(new privileges can be had)"));
    }
    if rustix::process::getuid().as_raw() != INSIDE || rustix::process::geteuid().as_raw() != INSIDE {
        return Err(failed("(the user is another)"));
    }
    Ok(())
}

fn await_command(line: &OwnedFd) -> Result<(Command, Vec<OwnedFd>), JailError> {
    let mut packet = socket::receive(line).map_err(JailError::at(Step::Report, "the command"))?;
    if packet.bytes.is_empty() {
        sys::exit(0);
    }
    let body = socket::body(&mut packet).map_err(JailError::at(Step::Report, "the command"))?;
    let mut from = Reader(&body);
    let kind = from.byte();
    match (kind, read_command(&mut from), from.end()) {
        (Ok(COMMAND), Ok(command), Ok(())) => Ok((command, packet.fds)),
        _ => Err(JailError::Gone { why: "it sent a command that cannot be read".into() }),
    }
}

/// Arranges descriptors, enters the directory, and is the program.
fn become_program(line: &OwnedFd, command: &Command, streams: Vec<OwnedFd>) -> Result<Infallible, JailError> {
    let arranged = || JailError::at(Step::Descriptors, "");
    let count = streams.len() as RawFd;
    let mut transit = Vec::with_capacity(streams.len());
    for stream in &streams {
        transit.push(rustix::io::fcntl_dupfd_cloexec(stream, TRANSIT).map_err(arranged())?);
    }
    // Out of the way of the places, but still there to be told of a failure.
    let moved = rustix::io::fcntl_dupfd_cloexec(line, TRANSIT).map_err(arranged())?;
    for (place, fd) in transit.iter().enumerate() {
        if let Err(errno) = sys::duplicate_onto(fd.as_fd(), place as RawFd) {
            fail(&moved, &arranged()(errno));
        }
    }
    let mut keep: Vec<RawFd> = (0..count).collect();
    keep.push(moved.as_raw_fd());
    if let Err(error) = close_others(&mut keep) {
        fail(&moved, &error);
    }
    let odd = (count..TRANSIT + count + 32).any(|fd| fd != moved.as_raw_fd() && sys::is_open(fd));
    if odd && is_on(Control::CloseFds) {
        fail(&moved, &JailError::Step { step: Step::Check, what: "(descriptors are left)".into(), errno: libc::EBADF });
    }
    fail(&moved, &replace(command))
}

fn fail(line: &OwnedFd, error: &JailError) -> ! {
    report(line.as_fd(), error);
    sys::exit(127)
}

/// Why the program could not be started.
fn replace(command: &Command) -> JailError {
    let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
    if let Err(errno) = rustix::process::chdir(&command.cwd) {
        return JailError::at(Step::Folder, &shown(&command.cwd))(errno);
    }
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVAL);
    let args: Result<Vec<CString>, Errno> = command.args.iter().map(|word| text(word.as_bytes())).collect();
    let env: Result<Vec<CString>, Errno> = command
        .env
        .iter()
        .cloned()
        .chain(leaked_environment())
        .map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    let program = text(command.program.as_os_str().as_bytes());
    let failed = match (&program, &args, &env) {
        (Ok(program), Ok(args), Ok(env)) => sys::execute(program, args, env),
        _ => Errno::INVAL,
    };
    JailError::at(Step::Execute, &shown(&command.program))(failed)
}

/// What the environment is added to where that is switched off: the spawner's own.
fn leaked_environment() -> impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)> {
    (!is_on(Control::Environment)).then(std::env::vars_os).into_iter().flatten()
}
