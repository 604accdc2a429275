//! The filter of a native program, with a reason for every group of calls.

use crate::filter::{Action, Check, Filter, FilterError, Rule, Test};
use crate::policy::{ABSENT, NO_ACCESS, NOT_PERMITTED, everything_known, set};
use crate::syscall::{Arch, Call, calls};

/// What one native program may do beyond computing and using its files. The default is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tool {
    /// Local sockets with a name.
    pub unix: Unix,
    /// Internet sockets.
    pub internet: Internet,
    /// Where machine code may come from.
    pub code: Code,
    /// Whose processes and shared memory it would meet.
    pub namespaces: Namespaces,
    /// What follows on an attempt to break out.
    pub breach: Breach,
}

/// Local sockets (`AF_UNIX`). Connected pairs are always allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unix {
    /// No socket that could name another: only connected pairs of streams or of packets.
    #[default]
    Denied,
    /// Any local socket.
    Allowed,
}

/// Internet sockets (`AF_INET`, `AF_INET6`). Raw, packet, netlink, vsock and every other family are never allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Internet {
    /// None.
    #[default]
    Denied,
    /// TCP.
    Stream,
    /// TCP, and UDP for names.
    StreamAndDatagram,
    /// TCP without a network namespace: `connect` asks the broker, which connects in the program's place; there is no
    /// other way to name an address, and no listening.
    Brokered,
}

/// Where machine code may come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Code {
    /// Files alone: no page is writable and executable, none becomes executable later. Not for programs that compile
    /// while they run.
    Files,
    /// Files, and memory that the program filled itself; but not files that exist only in memory, because rules on
    /// paths do not reach those.
    #[default]
    Memory,
    /// Anywhere.
    Anywhere,
}

/// Whose processes and shared memory a program would meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Namespaces {
    /// It has process and IPC namespaces of its own.
    #[default]
    Own,
    /// It shares the host's: shared memory, semaphores and queues by key or name, changes of another process's
    /// scheduling, and changes of files' modes, owners, dates and attributes are refused. Signals are not judged here:
    /// the scope of Landlock is for them.
    Host,
}

/// What follows on an attempt to break out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Breach {
    /// The process is killed by the kernel.
    #[default]
    Kill,
    /// Whoever has the listener is told and has to kill.
    Notify,
}

impl Breach {
    fn action(self) -> Action {
        match self {
            Breach::Kill => Action::KillProcess,
            Breach::Notify => Action::Notify,
        }
    }
}

/// No program in a jail has a use for these: they change what is mounted, which namespace one is in, other processes,
/// the kernel or the clock. Trying is a breach.
const BREACHES: &[Call] = calls![
    "mount" "umount2" "pivot_root" "chroot" "move_mount" "open_tree" "open_tree_attr" "mount_setattr"
    "fsopen" "fsconfig" "fsmount" "fspick" "setns" "open_by_handle_at"
    "bpf" "perf_event_open" "userfaultfd"
    "init_module" "finit_module" "delete_module" "create_module" "kexec_load" "kexec_file_load" "reboot"
    "swapon" "swapoff" "acct" "quotactl" "quotactl_fd" "iopl" "ioperm"
    "ptrace" "process_vm_readv" "process_vm_writev" "pidfd_getfd"
    "settimeofday" "clock_settime"
];

/// Libraries ask for these and do without: keys that outlive the process, memory of other nodes, watching of whole
/// file systems, names of the machine, the kernel's log. Reading the clock's state is refused with setting it.
const REFUSED: &[Call] = calls![
    "keyctl" "add_key" "request_key" "mbind" "migrate_pages" "move_pages" "set_mempolicy_home_node"
    "fanotify_init" "fanotify_mark" "lookup_dcookie" "modify_ldt" "kcmp" "vhangup" "syslog"
    "sethostname" "setdomainname" "adjtimex" "clock_adjtime" "lsm_set_self_attr"
];

/// Absent, so that libraries fall back on what can be judged. `clone3` and `openat2` pass flags and modes in memory,
/// which a filter cannot read; `io_uring` does system calls that no filter sees. The others are left-overs.
const LEFT_OUT: &[Call] = calls![
    "clone3" "openat2" "io_uring_setup" "io_uring_enter" "io_uring_register"
    "memfd_secret" "statmount" "listmount" "uprobe" "uselib" "_sysctl" "nfsservctl" "sysfs" "ustat"
    "vserver" "security" "tuxcall" "afs_syscall" "getpmsg" "putpmsg" "get_kernel_syms" "query_module" "epoll_ctl_old"
    "epoll_wait_old"
];

/// IPC by key or by name, which reaches the host's objects without a namespace.
const SHARED: &[Call] = calls![
    "shmget" "shmat" "shmctl" "shmdt" "msgget" "msgsnd" "msgrcv" "msgctl" "semget" "semop" "semtimedop" "semctl"
    "mq_open" "mq_unlink" "mq_timedsend" "mq_timedreceive" "mq_notify" "mq_getsetattr"
];

/// `asm-generic/ioctls.h`: TIOCSTI and TIOCLINUX type into a terminal, TIOCCONS takes the console's output, TIOCSETD
/// loads line disciplines.
const TERMINAL: [u64; 4] = [0x5412, 0x541C, 0x541D, 0x5423];

// `linux/sched.h`.
const CLONE_NEWTIME: u64 = 0x80;
/// Every `CLONE_NEW*` that `clone` knows; there 0x80 is part of the signal number.
pub(crate) const CLONE_NEW: u64 = 0x7E02_0000;

// `linux/socket.h`, `linux/net.h`, `linux/in.h`.
pub(crate) const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const SOCK_TYPE: u64 = 0xF;
const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
const SOCK_SEQPACKET: u64 = 5;
const IPPROTO_TCP: u64 = 6;
const IPPROTO_UDP: u64 = 17;
const MSG_FASTOPEN: u64 = 0x2000_0000;

/// A type of socket and its only protocol beside 0.
type Kind = (u64, u64);
pub(crate) const STREAM_AND_DATAGRAM: [Kind; 2] = [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)];
const STREAM: [Kind; 1] = [(SOCK_STREAM, IPPROTO_TCP)];

/// The filter of a tool.
pub(crate) fn filter(tool: &Tool, arch: Arch) -> Result<Filter, FilterError> {
    let mut filter = everything_known(arch)?;
    forbid(&mut filter, tool.breach.action())?;
    sockets(&mut filter, tool)?;
    code(&mut filter, tool.code)?;
    if tool.namespaces == Namespaces::Host {
        set(&mut filter, SHARED, &Rule::always(NOT_PERMITTED))?;
        strangers(&mut filter)?;
        attributes(&mut filter)?;
    }
    Ok(filter)
}

/// What no program of ours may do, whichever it is.
pub(crate) fn forbid(filter: &mut Filter, breach: Action) -> Result<(), FilterError> {
    set(filter, BREACHES, &Rule::always(breach))?;
    set(filter, REFUSED, &Rule::always(NOT_PERMITTED))?;
    set(filter, LEFT_OUT, &Rule::always(ABSENT))?;
    let allowed = || Rule::always(Action::Allow);
    // The kernel reads the flags of `clone` by their low half. `unshare` also knows the time namespace.
    set(filter, calls!["clone"], &allowed().when(vec![Check::half(0, Test::AnyOf(CLONE_NEW))], breach))?;
    let new = Test::AnyOf(CLONE_NEW | CLONE_NEWTIME);
    set(filter, calls!["unshare"], &allowed().when(vec![Check::half(0, new)], breach))?;
    modes(filter)?;
    // Only `PER_LINUX` and the question which one it is: others switch protections of memory off.
    let foreign = Test::NotIn(vec![0, 0xFFFF_FFFF]);
    set(filter, calls!["personality"], &allowed().when(vec![Check::half(0, foreign)], NOT_PERMITTED))?;
    let ioctl = TERMINAL
        .into_iter()
        .fold(allowed(), |rule, request| rule.when(vec![Check::half(1, Test::Equal(request))], NOT_PERMITTED));
    set(filter, calls!["ioctl"], &ioctl)?;
    // `linux/prctl.h`: PR_MCE_KILL, PR_SET_MM, PR_SET_SPECULATION_CTRL, PR_SET_IO_FLUSHER, PR_SET_MEMORY_MERGE. A filter
    // of its own (PR_SET_SECCOMP) only takes away.
    let prctl = [33, 35, 53, 57, 67]
        .into_iter()
        .fold(allowed(), |rule, option| rule.when(vec![Check::half(0, Test::Equal(option))], NOT_PERMITTED));
    set(filter, calls!["prctl"], &prctl)?;
    // Limits of others are not to be changed; its own can only shrink.
    let others = vec![Check::half(0, Test::NotIn(vec![0])), Check::full(2, Test::NotIn(vec![0]))];
    set(filter, calls!["prlimit64"], &allowed().when(others, NOT_PERMITTED))
}

/// No file that runs with the rights of its owner, no device.
fn modes(filter: &mut Filter) -> Result<(), FilterError> {
    // `linux/stat.h`: S_ISUID | S_ISGID, S_IFMT, S_IFCHR, S_IFBLK; `asm-generic/fcntl.h`: O_CREAT | __O_TMPFILE.
    const SET_ID: u64 = 0o6000;
    const FORMAT: u64 = 0o170_000;
    const DEVICES: [u64; 2] = [0o020_000, 0o060_000];
    const CREATE: u64 = 0o20_000_100;
    let set_id = |argument| Check::half(argument, Test::AnyOf(SET_ID));
    let refuse = |checks| Rule::always(Action::Allow).when(checks, NOT_PERMITTED);
    set(filter, calls!["chmod" "fchmod" "creat"], &refuse(vec![set_id(1)]))?;
    set(filter, calls!["fchmodat" "fchmodat2"], &refuse(vec![set_id(2)]))?;
    // Without one of the two flags nobody reads the mode, and anything may stand there.
    let create = |argument| Check::half(argument, Test::AnyOf(CREATE));
    set(filter, calls!["open"], &refuse(vec![create(1), set_id(2)]))?;
    set(filter, calls!["openat"], &refuse(vec![create(2), set_id(3)]))?;
    for (calls, mode) in [(calls!["mknod"], 1), (calls!["mknodat"], 2)] {
        let rule = DEVICES.into_iter().fold(refuse(vec![set_id(mode)]), |rule, device| {
            let is_device = Test::MaskedEqual { mask: FORMAT, value: device };
            rule.when(vec![Check::half(mode, is_device)], NOT_PERMITTED)
        });
        set(filter, calls, &rule)?;
    }
    Ok(())
}

fn sockets(filter: &mut Filter, tool: &Tool) -> Result<(), FilterError> {
    let is_unix = || Check::half(0, Test::Equal(AF_UNIX));
    let mut socket = Rule::always(NOT_PERMITTED);
    let mut pair = Rule::always(NOT_PERMITTED);
    match tool.unix {
        // An unconnected local socket, and a pair of datagram sockets, can name any socket that has a path.
        Unix::Denied => {
            for kind in [SOCK_STREAM, SOCK_SEQPACKET] {
                let is_kind = Test::MaskedEqual { mask: SOCK_TYPE, value: kind };
                pair = pair.when(vec![is_unix(), Check::half(1, is_kind)], Action::Allow);
            }
        }
        Unix::Allowed => {
            socket = socket.when(vec![is_unix()], Action::Allow);
            pair = pair.when(vec![is_unix()], Action::Allow);
        }
    }
    socket = match tool.internet {
        Internet::Denied => socket,
        Internet::Stream | Internet::Brokered => internet(socket, &STREAM),
        Internet::StreamAndDatagram => internet(socket, &STREAM_AND_DATAGRAM),
    };
    set(filter, calls!["socket"], &socket)?;
    set(filter, calls!["socketpair"], &pair)?;
    if tool.internet == Internet::Brokered {
        set(filter, calls!["connect"], &Rule::always(Action::Notify))?;
        set(filter, calls!["bind" "listen"], &Rule::always(NOT_PERMITTED))?;
        // TCP looks at the address of a message only when it is to open a connection with it.
        for (calls, flags) in [(calls!["sendto" "sendmmsg"], 3), (calls!["sendmsg"], 2)] {
            let opens = vec![Check::half(flags, Test::AnyOf(MSG_FASTOPEN))];
            set(filter, calls, &Rule::always(Action::Allow).when(opens, NOT_PERMITTED))?;
        }
    }
    Ok(())
}

/// Adds internet sockets of these kinds with their plain protocols: neither ping sockets nor MPTCP, SCTP or UDP-Lite,
/// which rules on ports do not reach.
pub(crate) fn internet(rule: Rule, kinds: &[Kind]) -> Rule {
    let mut rule = rule;
    for family in [AF_INET, AF_INET6] {
        for (kind, protocol) in kinds {
            for protocol in [0, *protocol] {
                let checks = vec![
                    Check::half(0, Test::Equal(family)),
                    Check::half(1, Test::MaskedEqual { mask: SOCK_TYPE, value: *kind }),
                    Check::half(2, Test::Equal(protocol)),
                ];
                rule = rule.when(checks, Action::Allow);
            }
        }
    }
    rule
}

fn code(filter: &mut Filter, code: Code) -> Result<(), FilterError> {
    // `asm-generic/mman-common.h`: PROT_WRITE | PROT_EXEC; `linux/shm.h`: SHM_EXEC; `linux/memfd.h`: MFD_NOEXEC_SEAL.
    const WRITE_AND_EXECUTE: u64 = 6;
    const EXECUTE: u64 = 4;
    const SHM_EXEC: u64 = 0o100_000;
    const MFD_NOEXEC_SEAL: u64 = 8;
    let allowed = || Rule::always(Action::Allow);
    if code != Code::Anywhere {
        // As the kernel answers with `vm.memfd_noexec` at 2.
        let sealed = Test::MaskedEqual { mask: MFD_NOEXEC_SEAL, value: 0 };
        set(filter, calls!["memfd_create"], &allowed().when(vec![Check::half(1, sealed)], NO_ACCESS))?;
    }
    if code == Code::Files {
        let both = Test::MaskedEqual { mask: WRITE_AND_EXECUTE, value: WRITE_AND_EXECUTE };
        set(filter, calls!["mmap"], &allowed().when(vec![Check::half(2, both)], NOT_PERMITTED))?;
        let executable = vec![Check::half(2, Test::AnyOf(EXECUTE))];
        set(filter, calls!["mprotect" "pkey_mprotect"], &allowed().when(executable, NOT_PERMITTED))?;
        let shared = vec![Check::half(2, Test::AnyOf(SHM_EXEC))];
        set(filter, calls!["shmat"], &allowed().when(shared, NOT_PERMITTED))?;
    }
    Ok(())
}

/// Without a process namespace the numbers of other processes are in reach.
fn strangers(filter: &mut Filter) -> Result<(), FilterError> {
    let by_number = |argument| Check::half(argument, Test::NotIn(vec![0]));
    let first = Rule::always(Action::Allow).when(vec![by_number(0)], NOT_PERMITTED);
    set(filter, calls!["sched_setaffinity" "sched_setscheduler" "sched_setparam" "sched_setattr"], &first)?;
    // `setpriority` and `ioprio_set` name groups and users as well; `0` of a process is the caller.
    let process = |kind| vec![Check::half(0, Test::Equal(kind)), Check::half(1, Test::Equal(0))];
    let own = |kind| Rule::always(NOT_PERMITTED).when(process(kind), Action::Allow);
    set(filter, calls!["setpriority"], &own(0))?;
    set(filter, calls!["ioprio_set"], &own(1))?;
    set(filter, calls!["process_madvise" "process_mrelease"], &Rule::always(NOT_PERMITTED))?;
    // What others may use is nobody's business either.
    let limits = Rule::always(Action::Allow).when(vec![by_number(0)], NOT_PERMITTED);
    set(filter, calls!["prlimit64"], &limits)?;
    // `asm-generic/fcntl.h`: F_SETOWN, F_SETSIG, F_SETOWN_EX send signals to processes by number.
    let fcntl = [8, 10, 15].into_iter().fold(Rule::always(Action::Allow), |rule, wish| {
        rule.when(vec![Check::half(1, Test::Equal(wish))], NOT_PERMITTED)
    });
    set(filter, calls!["fcntl"], &fcntl)
}

/// Without mounts of its own, a program's files are held by rules on paths, which judge no change of modes, owners,
/// dates and attributes: neither by path nor through a descriptor that was opened for reading.
const ATTRIBUTES: &[Call] = calls![
    "chmod" "fchmod" "fchmodat" "fchmodat2" "chown" "fchown" "lchown" "fchownat"
    "utime" "utimes" "futimesat" "utimensat"
    "setxattr" "lsetxattr" "fsetxattr" "setxattrat" "removexattr" "lremovexattr" "fremovexattr" "removexattrat"
    "file_setattr"
];

fn attributes(filter: &mut Filter) -> Result<(), FilterError> {
    set(filter, ATTRIBUTES, &Rule::always(NOT_PERMITTED))?;
    // `linux/fs.h`: FS_IOC_SETFLAGS, FS_IOC_SETVERSION, FS_IOC_FSSETXATTR; `asm-generic/sockios.h`: FIOSETOWN, SIOCSPGRP.
    let requests = [0x4008_6602, 0x4004_6602, 0x4008_7602, 0x401C_5820, 0x8901, 0x8902];
    let refuse = |rule: Rule, request| rule.when(vec![Check::half(1, Test::Equal(request))], NOT_PERMITTED);
    let ioctl = TERMINAL.into_iter().chain(requests).fold(Rule::always(Action::Allow), refuse);
    set(filter, calls!["ioctl"], &ioctl)
}
