//! Attacks on other processes.

use super::{Attack, Evidence, Group, Prop, Under};

const fn attack(name: &'static str, tries: &'static str, line: &'static str) -> Attack {
    Attack::new(Group::Processes, name, tries, line)
}

const PIDS: &[&str] = &["pidns", "landlock", "userns_uid", "capabilities"];
const TRACED: &[&str] = &["pidns", "seccomp", "landlock", "userns_uid", "capabilities"];
const TREE: &[&str] = &["pidns", "proc", "mounts", "landlock", "userns_uid", "capabilities"];

pub(super) const ATTACKS: &[Attack] = &[
    attack("signal", "signals a process of the host", "signal {victim}").held(&["ESRCH"], PIDS),
    attack("signal-thread", "signals a thread of the host", "signal-thread {victim}").held(&["ESRCH"], PIDS),
    attack("signal-queue", "queues a signal with a value", "signal-queue {victim}").held(&["ESRCH"], PIDS),
    attack("signal-descriptor", "signals through a process descriptor", "signal-descriptor {victim}")
        .held(&["ESRCH"], PIDS),
    attack("signal-launcher", "signals its process group, where the launcher would be", "signal-group")
        .held(&["NOTHING"], &["setsid", "landlock", "userns_uid", "capabilities"])
        .no_twin("whoever builds jails leads a session of its own as well")
        .shown_by(Evidence::Signalled),
    attack("signal-everybody", "asks whether anybody at all would take its signal", "signal-all")
        .held(&["ESRCH"], PIDS),
    attack("trace", "traces a process of the host", "trace {victim}")
        .held(&["breach: forbidden system call ptrace"], TRACED)
        .then(&["EPERM"])
        .as_root(),
    attack("trace-child", "traces a child of its own, to change its system calls", "trace-child")
        .held(&["breach: forbidden system call ptrace"], &["seccomp"]),
    attack("trace-me", "lets itself be traced", "trace-me")
        .held(&["breach: forbidden system call ptrace"], &["seccomp"]),
    attack("memory-read", "reads a process's memory", "memory-read {victim}")
        .held(&["ENOENT"], &["pidns", "proc", "mounts", "seccomp", "landlock", "userns_uid", "capabilities"])
        .then(&["EACCES"])
        .as_root(),
    attack("memory-write", "writes a process's memory", "memory-write {victim}")
        .held(&["ENOENT"], &["pidns", "proc", "mounts", "seccomp", "landlock", "userns_uid", "capabilities"])
        .then(&["EACCES"])
        .as_root(),
    attack("memory-own", "reaches the call that reads others' memory", "memory-child")
        .held(&["breach: forbidden system call process_vm_readv"], &["seccomp"]),
    attack("descriptor-of", "takes a descriptor out of a process of the host", "descriptor-of {victim}")
        .held(&["ESRCH"], TRACED)
        .then(&["EPERM"])
        .as_root(),
    attack("descriptor-of-child", "takes a descriptor out of a child", "descriptor-of-child")
        .held(&["breach: forbidden system call pidfd_getfd"], &["seccomp"]),
    attack("environment-of", "reads the environment of a process of the host", "read /proc/{victim}/environ")
        .held(&["ENOENT"], TREE)
        .then(&["EACCES"])
        .as_root(),
    attack("memory-file-of", "opens the memory of a process of the host as a file", "open-write /proc/{victim}/mem")
        .held(&["ENOENT"], TREE)
        .then(&["EACCES"])
        .as_root(),
    attack("maps-of", "reads the memory map of a process of the host", "read /proc/{victim}/maps")
        .held(&["ENOENT"], TREE)
        .then(&["EACCES"])
        .as_root(),
    attack("descriptors-of", "looks at the descriptors of a process of the host", "see /proc/{victim}/fd/0")
        .held(&["ENOENT"], TREE)
        .as_root(),
    attack("arguments-of", "reads the arguments of a process of the host", "read /proc/{victim}/cmdline")
        .held(&["ENOENT"], &["pidns", "proc", "mounts", "landlock"]),
    attack("processes-seen", "counts the processes of the host", "processes-seen 4")
        .held(&["NOTHING"], &["pidns", "proc", "mounts", "landlock"]),
    attack("limit-of", "reaches for a process's limits", "limit-of {victim}").held(&["ESRCH"], TRACED).as_root(),
    attack("priority-of", "slows a process of the host down", "priority-of {victim}")
        .held(&["ESRCH"], PIDS)
        .then(&["EPERM"]),
    attack("affinity-of", "moves a process of the host to another processor", "affinity-of {victim}")
        .held(&["ESRCH"], PIDS)
        .then(&["EPERM"]),
    attack("session-of", "learns the session of a process of the host", "session-of {victim}")
        .held(&["ESRCH"], &["pidns"]),
    attack("enter-network", "enters the network of process 1", "setns 1 net")
        .held(&["ENOENT"], &["pidns", "proc", "mounts", "seccomp", "landlock", "userns_uid", "capabilities"])
        .then(&["EACCES"])
        .as_root(),
    attack("enter-mounts", "enters the mounts of process 1", "setns 1 mnt")
        .held(&["ENOENT"], &["pidns", "proc", "mounts", "seccomp", "landlock", "userns_uid", "capabilities"])
        .then(&["EACCES"])
        .as_root(),
    attack("enter-user", "enters the user namespace of a process of the host", "setns {victim} user")
        .held(&["ENOENT"], &["pidns", "proc", "mounts", "seccomp", "landlock", "userns_uid", "capabilities"])
        .not_outside("outside it is in that namespace already")
        .no_twin("a process that is in a namespace cannot enter it once more"),
    attack("compare", "compares kernel objects, which shows kernel addresses' order", "compare")
        .held(&["EPERM"], &["seccomp"]),
    attack("daemon", "leaves a grandchild in a session of its own behind", "daemon 1500 {workspace}/alive")
        .held(&["NOTHING"], &["pidns", "pdeathsig", "limits_time"])
        .no_twin("whoever builds jails ends them, too, when their program has ended")
        .shown_by(Evidence::Appears("{workspace}/alive")),
    attack("outlives-launcher", "goes on when the launcher is killed", "wait-forever {mark}")
        .under(Under { max_runtime: "30s", ..Under::PLAIN })
        .held(&["NOTHING"], &["pidns", "pdeathsig", "limits_time"])
        .no_twin("whoever builds jails ends them, too, when its line to the launcher closes")
        .shown_by(Evidence::Survives("sleeper-{mark}")),
    attack("descriptors", "looks for descriptors that the launcher left open", "descriptors")
        .with(Prop::Descriptor)
        .held(&["NOTHING"], &["close_fds"]),
    attack("set-user-program", "runs a set-user-id program", "set-user-program {granted}/set-user")
        .with(Prop::SetUser)
        .as_root()
        .held(&["EACCES", "NOTHING"], &["nosuid", "no_new_privs", "userns_uid"])
        .not_outside("root gains nothing by it")
        .no_twin("root is not mapped inside: the bit has no user to change to"),
];
