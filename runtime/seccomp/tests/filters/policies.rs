//! What each policy says, call by call, on both architectures.

use std::path::Path;
use std::{env, fs};

use aether_seccomp::{
    Action, Arch, Breach, Code, Internet, Namespaces, Policy, Tool, Unix, syscall_name, syscall_number,
};

use crate::machine::{Data, action, run};

const ARCHS: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];
const REFUSED: Action = Action::Errno(1);
const NO_ACCESS: Action = Action::Errno(13);
const ABSENT: Action = Action::Errno(38);

/// Each line: name, arguments in the order of the call, verdict. Calls that an architecture lacks are left out there.
fn check(policy: &Policy, lines: &[(&str, &[u64], Action)]) {
    for arch in ARCHS {
        let filter = policy.filter(arch).unwrap();
        let program = filter.program().unwrap();
        for (name, given, wanted) in lines {
            let Some(number) = syscall_number(arch, name) else {
                assert!(arch == Arch::Aarch64 && syscall_number(Arch::X86_64, name).is_some(), "{name}");
                continue;
            };
            let mut arguments = [0; 6];
            arguments[..given.len()].copy_from_slice(given);
            let data = Data { arch: arch.audit(), number, arguments };
            assert_eq!(action(run(&program, &data)), *wanted, "{arch:?} {name} {given:#x?}");
        }
    }
}

fn tool(change: impl FnOnce(&mut Tool)) -> Policy {
    let mut tool = Tool::default();
    change(&mut tool);
    Policy::Tool(tool)
}

#[test]
fn a_tool_computes_and_uses_its_files() {
    let allowed = [
        "read",
        "write",
        "openat",
        "open",
        "execve",
        "execveat",
        "fork",
        "vfork",
        "wait4",
        "exit_group",
        "mmap",
        "futex",
        "epoll_wait",
        "epoll_pwait",
        "rename",
        "renameat2",
        "unlinkat",
        "getdents64",
        "statx",
        "kill",
        "setsid",
        "seccomp",
        "landlock_create_ruleset",
        "rseq",
        "arch_prctl",
        "sched_setaffinity",
        "shmget",
        "chown",
        "set_mempolicy",
    ];
    let lines: Vec<(&str, &[u64], Action)> = allowed.iter().map(|name| (*name, &[][..], Action::Allow)).collect();
    check(&Policy::Tool(Tool::default()), &lines);
}

#[test]
fn breaking_out_is_a_breach() {
    let breaches = [
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "move_mount",
        "open_tree",
        "open_tree_attr",
        "mount_setattr",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "setns",
        "bpf",
        "init_module",
        "finit_module",
        "delete_module",
        "kexec_load",
        "kexec_file_load",
        "reboot",
        "swapon",
        "swapoff",
        "open_by_handle_at",
        "perf_event_open",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "iopl",
        "ioperm",
        "acct",
        "quotactl",
        "quotactl_fd",
        "settimeofday",
        "clock_settime",
        "userfaultfd",
    ];
    for (breach, wanted) in [(Breach::Kill, Action::KillProcess), (Breach::Notify, Action::Notify)] {
        let policy = tool(|tool| tool.breach = breach);
        let lines: Vec<(&str, &[u64], Action)> = breaches.iter().map(|name| (*name, &[][..], wanted)).collect();
        check(&policy, &lines);
        for bit in [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000_u64] {
            check(
                &policy,
                &[
                    ("clone", &[bit | 17], wanted),
                    ("clone", &[bit | 0x003D_0F00 | 7 << 32], wanted),
                    ("unshare", &[bit], wanted),
                ],
            );
        }
        check(
            &policy,
            &[
                ("unshare", &[0x80], wanted),
                ("unshare", &[0x0004_0600], Action::Allow),
                ("clone", &[17], Action::Allow),
                // Threads, as libraries make them, and a signal number that looks like a time namespace.
                ("clone", &[0x003D_0F00], Action::Allow),
                ("clone", &[0x80 | 17], Action::Allow),
            ],
        );
    }
}

#[test]
fn what_cannot_be_judged_is_absent() {
    let lines: Vec<(&str, &[u64], Action)> = [
        "clone3",
        "openat2",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "memfd_secret",
        "uprobe",
        "uselib",
    ]
    .iter()
    .map(|name| (*name, &[][..], ABSENT))
    .collect();
    check(&Policy::Tool(Tool::default()), &lines);
    let lines: Vec<_> = lines.into_iter().filter(|(name, ..)| *name != "openat2").collect();
    check(&Policy::Broker, &lines);
    check(&Policy::Broker, &[("openat2", &[], Action::Allow)]);
}

/// S3.
#[test]
fn an_unknown_call_never_passes() {
    let policies = [Policy::Tool(Tool::default()), Policy::Init, Policy::Compute, Policy::Broker];
    for (policy, wanted) in policies.iter().zip([ABSENT, Action::KillProcess, Action::KillProcess, ABSENT]) {
        for arch in ARCHS {
            let program = policy.program(arch).unwrap();
            let unknown = (0..2000).filter(|number| syscall_name(arch, *number).is_none());
            for number in unknown.chain([0x3FFF_FFFF]) {
                let data = Data { arch: arch.audit(), number, arguments: [0; 6] };
                assert_eq!(action(run(&program, &data)), wanted, "{policy:?} {arch:?} {number}");
            }
        }
    }
}

/// S2.
#[test]
fn a_foreign_call_kills() {
    for policy in [Policy::Tool(Tool::default()), Policy::Init, Policy::Compute, Policy::Broker] {
        for arch in ARCHS {
            let program = policy.program(arch).unwrap();
            for (foreign, number) in [(0x4000_0003, 1), (0x4000_0028, 1), (0, 1)] {
                let data = Data { arch: foreign, number, arguments: [0; 6] };
                assert_eq!(action(run(&program, &data)), Action::KillProcess);
            }
        }
        let program = policy.program(Arch::X86_64).unwrap();
        for number in [0x4000_0000, 0x4000_0001, 0x4000_0208, 0xFFFF_FFFF] {
            let data = Data { arch: Arch::X86_64.audit(), number, arguments: [0; 6] };
            assert_eq!(action(run(&program, &data)), Action::KillProcess, "x32 {number:#x}");
        }
    }
}

#[test]
fn refusals_that_libraries_can_live_with() {
    let names = [
        "keyctl",
        "add_key",
        "request_key",
        "mbind",
        "migrate_pages",
        "move_pages",
        "fanotify_init",
        "lookup_dcookie",
        "modify_ldt",
        "kcmp",
        "vhangup",
        "syslog",
        "adjtimex",
    ];
    let lines: Vec<(&str, &[u64], Action)> = names.iter().map(|name| (*name, &[][..], REFUSED)).collect();
    check(&Policy::Tool(Tool::default()), &lines);
    check(
        &Policy::Tool(Tool::default()),
        &[
            ("personality", &[0], Action::Allow),
            ("personality", &[0xFFFF_FFFF], Action::Allow),
            ("personality", &[u64::MAX], Action::Allow),
            ("personality", &[0x0040_0000], REFUSED),
            ("personality", &[0x0004_0000], REFUSED),
            ("personality", &[8], REFUSED),
            ("ioctl", &[0, 0x5401], Action::Allow),
            ("ioctl", &[0, 0x5412], REFUSED),
            ("ioctl", &[0, 0x5412 | 9 << 32], REFUSED),
            ("ioctl", &[0, 0x541C], REFUSED),
            ("ioctl", &[0, 0x541D], REFUSED),
            ("prctl", &[15], Action::Allow),
            ("prctl", &[22, 2], Action::Allow),
            ("prctl", &[38, 1], Action::Allow),
            ("prctl", &[35], REFUSED),
            ("prctl", &[67], REFUSED),
            ("prlimit64", &[0, 7, 0x7FFF_0000], Action::Allow),
            ("prlimit64", &[1, 7, 0], Action::Allow),
            ("prlimit64", &[1, 7, 0x7FFF_0000], REFUSED),
            ("prlimit64", &[1, 7, 1 << 32], REFUSED),
        ],
    );
}

#[test]
fn no_file_gets_the_rights_of_its_owner_and_no_device_is_made() {
    check(
        &Policy::Tool(Tool::default()),
        &[
            ("chmod", &[0, 0o755], Action::Allow),
            ("chmod", &[0, 0o1777], Action::Allow),
            ("chmod", &[0, 0o4755], REFUSED),
            ("chmod", &[0, 0o2755 | 1 << 40], REFUSED),
            ("fchmod", &[3, 0o4000], REFUSED),
            ("fchmodat", &[3, 0, 0o6755], REFUSED),
            ("fchmodat", &[3, 0, 0o644], Action::Allow),
            ("fchmodat2", &[3, 0, 0o4755], REFUSED),
            ("creat", &[0, 0o4755], REFUSED),
            ("open", &[0, 0o101, 0o4755], REFUSED),
            ("open", &[0, 0, 0o4755], Action::Allow),
            ("openat", &[0, 0, 0o1101, 0o2755], REFUSED),
            ("openat", &[0, 0, 0o20_200_002, 0o4600], REFUSED),
            ("openat", &[0, 0, 0o1101, 0o755], Action::Allow),
            ("openat", &[0, 0, 0, u64::MAX], Action::Allow),
            ("mknod", &[0, 0o100_644], Action::Allow),
            ("mknod", &[0, 0o010_644], Action::Allow),
            ("mknod", &[0, 0o104_755], REFUSED),
            ("mknod", &[0, 0o020_666, 0x0103], REFUSED),
            ("mknodat", &[0, 0, 0o060_660, 0x0800], REFUSED),
            ("mknodat", &[0, 0, 0o140_755], Action::Allow),
        ],
    );
}

const STREAM: u64 = 1;
const CLOSED_ON_EXEC: u64 = 0o2_000_000;

#[test]
fn sockets_as_declared() {
    let plain = Policy::Tool(Tool::default());
    let families: Vec<u64> = (0..50).collect();
    for family in &families {
        for kind in [1, 2, 3, 5, 10] {
            let wanted = REFUSED;
            check(&plain, &[("socket", &[*family, kind], wanted)]);
        }
    }
    check(
        &plain,
        &[
            ("socket", &[1, STREAM | CLOSED_ON_EXEC], REFUSED),
            ("socketpair", &[1, STREAM | CLOSED_ON_EXEC], Action::Allow),
            ("socketpair", &[1, 5], Action::Allow),
            // One of a pair of datagram sockets can still be sent to a path.
            ("socketpair", &[1, 2], REFUSED),
            ("socketpair", &[1, 3], REFUSED),
            ("socketpair", &[30, STREAM], REFUSED),
            ("connect", &[], Action::Allow),
        ],
    );
    let unix = tool(|tool| tool.unix = Unix::Allowed);
    check(
        &unix,
        &[
            ("socket", &[1, STREAM], Action::Allow),
            ("socket", &[1, 2], Action::Allow),
            ("socketpair", &[1, 2], Action::Allow),
            ("socket", &[2, STREAM], REFUSED),
        ],
    );
    let stream = tool(|tool| tool.internet = Internet::Stream);
    let both = tool(|tool| tool.internet = Internet::StreamAndDatagram);
    for (policy, datagram) in [(&stream, REFUSED), (&both, Action::Allow), (&Policy::Broker, Action::Allow)] {
        for family in [2, 10, 2 | 5 << 32] {
            check(
                policy,
                &[
                    ("socket", &[family, STREAM, 0], Action::Allow),
                    ("socket", &[family, STREAM | 0o4000 | CLOSED_ON_EXEC, 6], Action::Allow),
                    ("socket", &[family, 2, 0], datagram),
                    ("socket", &[family, 2, 17], datagram),
                    // MPTCP, SCTP, ping, UDP-Lite, raw.
                    ("socket", &[family, STREAM, 262], REFUSED),
                    ("socket", &[family, STREAM, 132], REFUSED),
                    ("socket", &[family, 2, 1], REFUSED),
                    ("socket", &[family, 2, 136], REFUSED),
                    ("socket", &[family, 3, 255], REFUSED),
                    ("socket", &[family, 5, 0], REFUSED),
                ],
            );
        }
        // Netlink (of other kinds than routing), packet, ALG, Bluetooth, vsock, XDP.
        for (family, protocol) in [(16, 15), (17, 768), (38, 0), (31, 0), (40, 0), (44, 0)] {
            check(
                policy,
                &[("socket", &[family, 3, protocol], REFUSED), ("socket", &[family, STREAM, protocol], REFUSED)],
            );
        }
    }
    check(&stream, &[("socket", &[16, 3, 0], REFUSED), ("socket", &[1, STREAM], REFUSED)]);
    check(&Policy::Broker, &[("socket", &[16, 3, 0], Action::Allow), ("socket", &[1, STREAM], Action::Allow)]);
}

#[test]
fn without_a_network_namespace_the_broker_connects() {
    let policy = tool(|tool| tool.internet = Internet::Brokered);
    check(
        &policy,
        &[
            ("socket", &[2, STREAM, 6], Action::Allow),
            ("socket", &[2, 2, 17], REFUSED),
            ("connect", &[], Action::Notify),
            ("bind", &[], REFUSED),
            ("listen", &[], REFUSED),
            ("sendto", &[3, 0, 1, 0x4000], Action::Allow),
            ("sendto", &[3, 0, 1, 0x2000_0000, 0x7FFF_0000, 16], REFUSED),
            ("sendmsg", &[3, 0, 0x2000_4000], REFUSED),
            ("sendmsg", &[3, 0, 0x4000], Action::Allow),
            ("sendmmsg", &[3, 0, 1, 0x2000_0000], REFUSED),
        ],
    );
}

#[test]
fn without_namespaces_others_are_left_alone() {
    let policy = tool(|tool| tool.namespaces = Namespaces::Host);
    check(
        &policy,
        &[
            ("shmget", &[], REFUSED),
            ("shmat", &[], REFUSED),
            ("semget", &[], REFUSED),
            ("msgget", &[], REFUSED),
            ("mq_open", &[], REFUSED),
            ("sched_setaffinity", &[0], Action::Allow),
            ("sched_setaffinity", &[1], REFUSED),
            ("setpriority", &[0, 0, 5], Action::Allow),
            ("setpriority", &[0, 1, 5], REFUSED),
            ("setpriority", &[2, 0, 5], REFUSED),
            ("ioprio_set", &[1, 0], Action::Allow),
            ("ioprio_set", &[3, 0], REFUSED),
            ("process_madvise", &[], REFUSED),
            ("prlimit64", &[0, 7, 0], Action::Allow),
            ("prlimit64", &[1, 7, 0], REFUSED),
            ("fcntl", &[3, 2, 1], Action::Allow),
            ("fcntl", &[3, 8, 1], REFUSED),
            ("fcntl", &[3, 10, 9], REFUSED),
        ],
    );
}

#[test]
fn without_mounts_attributes_of_files_stay_as_they_are() {
    let policy = tool(|tool| tool.namespaces = Namespaces::Host);
    let names =
        ["chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchownat", "utimensat", "fsetxattr", "lremovexattr"];
    for name in names {
        check(&policy, &[(name, &[], REFUSED)]);
        check(&Policy::Tool(Tool::default()), &[(name, &[], Action::Allow)]);
    }
    check(
        &policy,
        &[
            ("ioctl", &[3, 0x5401], Action::Allow),
            ("ioctl", &[3, 0x5412], REFUSED),
            ("ioctl", &[3, 0x4008_6602], REFUSED),
            ("ioctl", &[3, 0x401C_5820], REFUSED),
            ("ioctl", &[3, 0x8901], REFUSED),
        ],
    );
}

#[test]
fn code_comes_from_where_it_may() {
    let files = tool(|tool| tool.code = Code::Files);
    check(
        &files,
        &[
            ("mmap", &[0, 4096, 5], Action::Allow),
            ("mmap", &[0, 4096, 3], Action::Allow),
            ("mmap", &[0, 4096, 7], REFUSED),
            ("mmap", &[0, 4096, 6 | 1 << 32], REFUSED),
            ("mprotect", &[0, 4096, 1], Action::Allow),
            ("mprotect", &[0, 4096, 5], REFUSED),
            ("pkey_mprotect", &[0, 4096, 4], REFUSED),
            ("shmat", &[0, 0, 0o100_000], REFUSED),
            ("memfd_create", &[0, 1], NO_ACCESS),
        ],
    );
    check(
        &Policy::Tool(Tool::default()),
        &[
            ("mmap", &[0, 4096, 7], Action::Allow),
            ("mprotect", &[0, 4096, 5], Action::Allow),
            ("memfd_create", &[0, 1], NO_ACCESS),
            ("memfd_create", &[0, 0x10], NO_ACCESS),
            ("memfd_create", &[0, 8 | 1], Action::Allow),
        ],
    );
    check(&tool(|tool| tool.code = Code::Anywhere), &[("memfd_create", &[0, 0x10], Action::Allow)]);
    let shared = tool(|tool| (tool.code, tool.namespaces) = (Code::Files, Namespaces::Host));
    check(&shared, &[("shmat", &[0, 0, 0], REFUSED)]);
}

#[test]
fn the_first_process_waits_and_nothing_else() {
    let dead = Action::KillProcess;
    check(
        &Policy::Init,
        &[
            ("wait4", &[], Action::Allow),
            ("waitid", &[], Action::Allow),
            ("kill", &[], Action::Allow),
            ("write", &[], Action::Allow),
            ("exit_group", &[], Action::Allow),
            ("openat", &[], dead),
            ("execve", &[], dead),
            ("clone", &[17], dead),
            ("socket", &[1, 1], dead),
            ("mmap", &[], dead),
            ("ptrace", &[], dead),
        ],
    );
}

#[test]
fn a_computing_worker_cannot_open_start_or_connect() {
    let dead = Action::KillProcess;
    check(
        &Policy::Compute,
        &[
            ("mmap", &[0, 4096, 7], Action::Allow),
            ("futex", &[], Action::Allow),
            ("recvmsg", &[], Action::Allow),
            ("openat", &[], NO_ACCESS),
            ("clone3", &[], ABSENT),
            ("clone", &[0x003D_0F00], Action::Allow),
            ("clone", &[17], dead),
            ("clone", &[0x1000_0000 | 0x003D_0F00], dead),
            ("prlimit64", &[0, 7, 0], Action::Allow),
            ("prlimit64", &[0, 7, 1], REFUSED),
            ("prlimit64", &[9, 7, 0], REFUSED),
            ("execve", &[], dead),
            ("socket", &[1, 1], dead),
            ("connect", &[], dead),
            ("kill", &[], dead),
            ("ptrace", &[], dead),
            ("io_uring_setup", &[], dead),
            ("memfd_create", &[], dead),
        ],
    );
}

#[test]
fn the_broker_serves_and_starts_nothing() {
    check(
        &Policy::Broker,
        &[
            ("accept4", &[], Action::Allow),
            ("connect", &[], Action::Allow),
            ("epoll_wait", &[], Action::Allow),
            ("pidfd_send_signal", &[], Action::Allow),
            ("openat", &[], Action::Allow),
            ("fsync", &[], Action::Allow),
            ("clone", &[0x003D_0F00], Action::Allow),
            ("execve", &[], REFUSED),
            ("execveat", &[], REFUSED),
            ("ptrace", &[], Action::KillProcess),
            ("mount", &[], Action::KillProcess),
            ("bpf", &[], Action::KillProcess),
            ("pidfd_getfd", &[], Action::KillProcess),
            ("unshare", &[0x1000_0000], Action::KillProcess),
            ("socketpair", &[1, 2], Action::Allow),
            ("socketpair", &[30, 1], REFUSED),
        ],
    );
}

/// Sizes that only change when somebody meant it; the kernel's checker and every system call pay for them.
#[test]
fn programs_have_these_lengths() {
    let brokered =
        Tool { internet: Internet::Brokered, namespaces: Namespaces::Host, breach: Breach::Notify, ..Tool::default() };
    let policies = [
        ("tool", Policy::Tool(Tool::default())),
        ("brokered", Policy::Tool(brokered)),
        ("init", Policy::Init),
        ("compute", Policy::Compute),
        ("broker", Policy::Broker),
    ];
    let mut found = String::new();
    for (name, policy) in policies {
        let [x86_64, aarch64] = ARCHS.map(|arch| policy.program(arch).unwrap().len());
        found.push_str(&format!("{name} {x86_64} {aarch64}\n"));
    }
    println!("{found}");
    assert_eq!(found, "tool 198 171\nbrokered 296 258\ninit 26 25\ncompute 103 95\nbroker 249 221\n");
}

/// `UPDATE=1` accepts the new text.
#[test]
fn a_policy_can_be_read() {
    let brokered = tool(|tool| (tool.internet, tool.breach) = (Internet::Brokered, Breach::Notify));
    for (name, policy) in
        [("tool", tool(|_| ())), ("brokered", brokered), ("init", Policy::Init), ("broker", Policy::Broker)]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("txt");
        let text = policy.filter(Arch::X86_64).unwrap().to_string();
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{}", path.display());
    }
}
