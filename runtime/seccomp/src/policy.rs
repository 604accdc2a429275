//! Filters with a purpose.

use crate::filter::{Action, Check, Filter, FilterError, Rule, Test};
use crate::program::Instruction;
use crate::syscall::{Arch, Call, calls};
use crate::tool::{self, Tool};

/// Which process a filter is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// A native program: what is dangerous is forbidden, the rest of what the table knows passes.
    Tool(Tool),
    /// The first process of a jail, after it started the program: it waits, passes signals on, reports and ends.
    /// Anything else kills it.
    Init,
    /// A worker that computes and speaks over descriptors it already has. Opening a file is refused, anything that is
    /// neither computing nor speaking kills it.
    Compute,
    /// The broker after its start: sockets, files and timers, but no new program, no mount, no look into another
    /// process. What an intact broker never tries kills it.
    Broker,
}

impl Policy {
    /// The rule table of this policy.
    ///
    /// # Errors
    ///
    /// None with the tables of this crate; the type is that of [`Filter::set`].
    pub fn filter(&self, arch: Arch) -> Result<Filter, FilterError> {
        match self {
            Policy::Tool(tool) => tool::filter(tool, arch),
            Policy::Init => init(arch),
            Policy::Compute => compute(arch),
            Policy::Broker => broker(arch),
        }
    }

    /// The program of this policy.
    ///
    /// # Errors
    ///
    /// As [`Filter::program`]; none with the tables of this crate.
    pub fn program(&self, arch: Arch) -> Result<Vec<Instruction>, FilterError> {
        self.filter(arch)?.program()
    }

    /// The program of this policy for the machine this was compiled for.
    ///
    /// # Errors
    ///
    /// [`FilterError::Architecture`] where there is no table for it.
    pub fn native_program(&self) -> Result<Vec<Instruction>, FilterError> {
        self.program(Arch::native().ok_or(FilterError::Architecture)?)
    }
}

/// `EPERM`, the same on both architectures (`asm-generic/errno-base.h`).
pub(crate) const NOT_PERMITTED: Action = Action::Errno(1);
/// `EACCES`.
pub(crate) const NO_ACCESS: Action = Action::Errno(13);
/// `ENOSYS`: libraries then do it in the way they did before the call existed.
pub(crate) const ABSENT: Action = Action::Errno(38);

/// Gives each of these calls, where the architecture has it, this rule.
pub(crate) fn set(filter: &mut Filter, calls: &[Call], rule: &Rule) -> Result<(), FilterError> {
    let arch = filter.arch();
    calls.iter().filter_map(|call| call.number(arch)).try_for_each(|number| filter.set(number, rule.clone()))
}

/// Everything the table knows is allowed, everything else is absent (S3).
pub(crate) fn everything_known(arch: Arch) -> Result<Filter, FilterError> {
    let mut filter = Filter::new(arch, ABSENT);
    for number in Call::all().filter_map(|call| call.number(arch)) {
        filter.set(number, Rule::always(Action::Allow))?;
    }
    Ok(filter)
}

const INIT: &[Call] = calls![
    "wait4" "waitid" "kill" "getpid" "exit" "exit_group" "restart_syscall"
    "read" "write" "close" "poll" "ppoll"
    "rt_sigaction" "rt_sigprocmask" "rt_sigreturn" "rt_sigtimedwait"
];

fn init(arch: Arch) -> Result<Filter, FilterError> {
    let mut filter = Filter::new(arch, Action::KillProcess);
    set(&mut filter, INIT, &Rule::always(Action::Allow))?;
    Ok(filter)
}

const COMPUTE: &[Call] = calls![
    "read" "write" "readv" "writev" "close" "fstat" "fcntl" "lseek" "pread64"
    "sendto" "recvfrom" "sendmsg" "recvmsg" "shutdown"
    "epoll_create1" "epoll_ctl" "epoll_wait" "epoll_pwait" "poll" "ppoll" "eventfd2" "pipe2"
    "timerfd_create" "timerfd_settime"
    "mmap" "munmap" "mremap" "mprotect" "madvise" "brk" "membarrier"
    "futex" "set_robust_list" "rseq" "sched_yield" "sched_getaffinity" "sigaltstack"
    "rt_sigaction" "rt_sigprocmask" "rt_sigreturn" "tgkill" "tkill" "getpid" "gettid"
    "clock_gettime" "clock_getres" "clock_nanosleep" "nanosleep" "gettimeofday" "time" "getrandom" "getrusage"
    "exit" "exit_group" "restart_syscall"
];

/// What a runtime tries of its own accord (limits of its control group, the time zone) and does without.
const COMPUTE_REFUSED: &[Call] = calls![
    "open" "openat" "access" "faccessat" "faccessat2" "stat" "lstat" "newfstatat" "statx" "readlink" "readlinkat"
    "getcwd" "prctl"
];

/// `CLONE_VM | CLONE_SIGHAND | CLONE_THREAD` of `linux/sched.h`: a thread.
const CLONE_A_THREAD: u64 = 0x0001_0900;

fn compute(arch: Arch) -> Result<Filter, FilterError> {
    let mut filter = Filter::new(arch, Action::KillProcess);
    set(&mut filter, COMPUTE, &Rule::always(Action::Allow))?;
    set(&mut filter, COMPUTE_REFUSED, &Rule::always(NO_ACCESS))?;
    set(&mut filter, calls!["clone3"], &Rule::always(ABSENT))?;
    let thread = Test::MaskedEqual { mask: CLONE_A_THREAD | tool::CLONE_NEW, value: CLONE_A_THREAD };
    let clone = Rule::always(Action::KillProcess).when(vec![Check::half(0, thread)], Action::Allow);
    set(&mut filter, calls!["clone"], &clone)?;
    // Another process is out of sight, and its limits are not to be changed.
    let own_limits = Rule::always(NOT_PERMITTED)
        .when(vec![Check::half(0, Test::Equal(0)), Check::full(2, Test::Equal(0))], Action::Allow);
    set(&mut filter, calls!["prlimit64"], &own_limits)?;
    Ok(filter)
}

/// Routing answers (`AF_NETLINK`, `NETLINK_ROUTE`) say which addresses this machine has: those are never connected to.
const NETLINK: u64 = 16;

fn broker(arch: Arch) -> Result<Filter, FilterError> {
    let mut filter = everything_known(arch)?;
    tool::forbid(&mut filter, Action::KillProcess)?;
    set(&mut filter, calls!["execve" "execveat" "memfd_create"], &Rule::always(NOT_PERMITTED))?;
    // Paths that others chose are walked with it, so that a link leads nowhere.
    set(&mut filter, calls!["openat2"], &Rule::always(Action::Allow))?;
    let netlink = Rule::always(NOT_PERMITTED)
        .when(vec![Check::half(0, Test::Equal(NETLINK)), Check::half(2, Test::Equal(0))], Action::Allow);
    let socket = tool::internet(netlink, &tool::STREAM_AND_DATAGRAM);
    let socket = socket.when(vec![Check::half(0, Test::Equal(tool::AF_UNIX))], Action::Allow);
    set(&mut filter, calls!["socket"], &socket)?;
    let pair = Rule::always(NOT_PERMITTED).when(vec![Check::half(0, Test::Equal(tool::AF_UNIX))], Action::Allow);
    set(&mut filter, calls!["socketpair"], &pair)?;
    Ok(filter)
}
