//! Attacks on the kernel's surface: calls that no tool needs, made with arguments that harm nobody.
//!
//! Where a call would do damage if it were let through, it is made with arguments that the kernel itself
//! refuses: that the kernel looked at them is the breach.

use std::ffi::c_long;
use std::fs;
use std::io;

use crate::attempt::{Attempt, Stopped, Verb, Words, address, call, first, in_child, terminated};

/// The verbs of this file.
pub(crate) const VERBS: &[Verb] = &[
    ("reach", reach),
    ("unshare", unshare),
    ("clone", clone),
    ("clone3", clone3),
    ("mount", mount),
    ("mount-bind", mount_bind),
    ("mount-new", mount_new),
    ("root", root),
    ("foreign-call", foreign_call),
    ("x32-call", x32_call),
    ("terminal-input", terminal_input),
    ("ring-open", ring_open),
    ("filter-own", filter_own),
];

/// An address that is never mapped.
const NOWHERE: usize = 1;
/// No descriptor.
const NONE: usize = usize::MAX;
/// The process keyring of whoever asks.
const OWN_KEYRING: usize = (-2isize).cast_unsigned();

/// `kexec_file_load`, which not every C library names.
const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };

/// Calls that a tool has no use for, each with arguments that change nothing.
fn surface(name: &str) -> Option<(c_long, Vec<usize>)> {
    let own = std::process::id() as usize;
    let word = |text: &'static std::ffi::CStr| text.as_ptr() as usize;
    Some(match name {
        "bpf" => (libc::SYS_bpf, vec![9999, NOWHERE, 8]),
        "perf_event_open" => (libc::SYS_perf_event_open, vec![NOWHERE, 0, 0, NONE, 0]),
        "userfaultfd" => (libc::SYS_userfaultfd, vec![0x1000_0000]),
        "io_uring_setup" => (libc::SYS_io_uring_setup, vec![1, NOWHERE]),
        "io_uring_enter" => (libc::SYS_io_uring_enter, vec![NONE, 0, 0, 0, 0, 0]),
        "io_uring_register" => (libc::SYS_io_uring_register, vec![NONE, 0, 0, 0]),
        "keyctl" => (libc::SYS_keyctl, vec![0, OWN_KEYRING, 0]),
        "add_key" => (libc::SYS_add_key, vec![word(c"user"), word(c"attack"), word(c"x"), 1, OWN_KEYRING]),
        "request_key" => (libc::SYS_request_key, vec![word(c"user"), word(c"attack"), 0, 0]),
        "init_module" => (libc::SYS_init_module, vec![NOWHERE, 0, NOWHERE]),
        "finit_module" => (libc::SYS_finit_module, vec![NONE, NOWHERE, 0]),
        "delete_module" => (libc::SYS_delete_module, vec![NOWHERE, 0]),
        "kexec_load" => (libc::SYS_kexec_load, vec![0, 100, NOWHERE, 0x7fff_0000]),
        "kexec_file_load" => (KEXEC_FILE_LOAD, vec![NONE, NONE, 0, 0, 0xff00]),
        "reboot" => (libc::SYS_reboot, vec![0, 0, 0, 0]),
        "swapon" => (libc::SYS_swapon, vec![NOWHERE, 0]),
        "swapoff" => (libc::SYS_swapoff, vec![NOWHERE]),
        "acct" => (libc::SYS_acct, vec![NOWHERE]),
        "quotactl" => (libc::SYS_quotactl, vec![0x00ff_ffff, NOWHERE, 0, 0]),
        "settimeofday" => (libc::SYS_settimeofday, vec![NOWHERE, 0]),
        "clock_settime" => (libc::SYS_clock_settime, vec![0, NOWHERE]),
        "clock_adjtime" => (libc::SYS_clock_adjtime, vec![0, NOWHERE]),
        "syslog" => (libc::SYS_syslog, vec![10, 0, 0]),
        "fanotify_init" => (libc::SYS_fanotify_init, vec![0x200, 0]),
        "mbind" => (libc::SYS_mbind, vec![0, 0, 0, 0, 0, 0]),
        "migrate_pages" => (libc::SYS_migrate_pages, vec![0, 0, 0, 0]),
        "move_pages" => (libc::SYS_move_pages, vec![0, 0, 0, 0, 0, 0]),
        "vhangup" => (libc::SYS_vhangup, vec![]),
        "open_by_handle_at" => (libc::SYS_open_by_handle_at, vec![NONE, NOWHERE, 0]),
        "pidfd_getfd" => (libc::SYS_pidfd_getfd, vec![NONE, 0, 0]),
        "process_madvise" => (libc::SYS_process_madvise, vec![NONE, 0, 0, 20, 0]),
        "process_vm_readv" => (libc::SYS_process_vm_readv, vec![own, 0, 0, 0, 0, 0]),
        "process_vm_writev" => (libc::SYS_process_vm_writev, vec![own, 0, 0, 0, 0, 0]),
        "setns" => (libc::SYS_setns, vec![NONE, 0]),
        "mount" => (libc::SYS_mount, vec![0, NOWHERE, 0, 0, 0]),
        "umount2" => (libc::SYS_umount2, vec![NOWHERE, 0]),
        "pivot_root" => (libc::SYS_pivot_root, vec![NOWHERE, NOWHERE]),
        "fsopen" => (libc::SYS_fsopen, vec![NOWHERE, 0]),
        "fsconfig" => (libc::SYS_fsconfig, vec![NONE, 0, 0, 0, 0]),
        "fsmount" => (libc::SYS_fsmount, vec![NONE, 0, 0]),
        "fspick" => (libc::SYS_fspick, vec![NONE, NOWHERE, 0]),
        "open_tree" => (libc::SYS_open_tree, vec![NONE, NOWHERE, 0]),
        "move_mount" => (libc::SYS_move_mount, vec![NONE, NOWHERE, NONE, NOWHERE, 0]),
        "mount_setattr" => (libc::SYS_mount_setattr, vec![NONE, NOWHERE, 0, NOWHERE, 32]),
        "sethostname" => (libc::SYS_sethostname, vec![NOWHERE, 5]),
        "setdomainname" => (libc::SYS_setdomainname, vec![NOWHERE, 5]),
        "personality-execute" => (libc::SYS_personality, vec![0x0040_0000]),
        "openat2" => (libc::SYS_openat2, vec![NONE, NOWHERE, NOWHERE, 24]),
        "open_tree_attr" => (467, vec![NONE, NOWHERE, 0, NOWHERE, 32]),
        "statmount" => (457, vec![NOWHERE, NOWHERE, 0, 0]),
        "listmount" => (458, vec![NOWHERE, NOWHERE, 0, 0]),
        "memfd_secret" => (447, vec![0xff00]),
        "speculation" => (libc::SYS_prctl, vec![53, 99, 0, 0, 0]),
        "personality-layout" => (libc::SYS_personality, vec![0x0004_0000]),
        _ => return surface_of_machine(name),
    })
}

#[cfg(target_arch = "x86_64")]
fn surface_of_machine(name: &str) -> Option<(c_long, Vec<usize>)> {
    Some(match name {
        "iopl" => (libc::SYS_iopl, vec![9]),
        "ioperm" => (libc::SYS_ioperm, vec![0x00ff_ffff, 1, 1]),
        "modify_ldt" => (libc::SYS_modify_ldt, vec![0, 0, 0]),
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn surface_of_machine(_: &str) -> Option<(c_long, Vec<usize>)> {
    None
}

/// `reach CALL`: whether the kernel looks at the call's arguments.
fn reach(words: &Words) -> Attempt {
    let name = words.text(0)?;
    let (number, args) = surface(name).ok_or_else(|| Stopped::Unclear(format!("no call `{name}` here")))?;
    match call(number, &args) {
        Ok(value) => Ok(format!("{name} answered {value}")),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS)) => {
            Err(error.into())
        }
        Err(error) => Ok(format!("{name} was looked at: {error}")),
    }
}

/// The flag of a namespace's kind.
fn flag(kind: &str) -> Result<usize, Stopped> {
    let flag = match kind {
        "user" => libc::CLONE_NEWUSER,
        "mount" => libc::CLONE_NEWNS,
        "pid" => libc::CLONE_NEWPID,
        "network" => libc::CLONE_NEWNET,
        "ipc" => libc::CLONE_NEWIPC,
        "host" => libc::CLONE_NEWUTS,
        "cgroup" => libc::CLONE_NEWCGROUP,
        "time" => 0x80,
        _ => return Err(Stopped::Unclear(format!("no namespace `{kind}`"))),
    };
    Ok(flag.cast_unsigned() as usize)
}

/// `unshare KIND`: leaves a namespace for a fresh one.
fn unshare(words: &Words) -> Attempt {
    call(libc::SYS_unshare, &[flag(words.text(0)?)?])?;
    Ok(format!("has its own {} namespace", words.text(0)?))
}

/// `clone KIND`: the same at a child's birth.
fn clone(words: &Words) -> Attempt {
    let flags = flag(words.text(0)?)? | libc::SIGCHLD as usize;
    let child = call(libc::SYS_clone, &[flags, 0, 0, 0, 0])?;
    if child == 0 {
        // SAFETY: ends the child, which shares nothing with the parent.
        unsafe { libc::_exit(0) };
    }
    Ok(format!("a child has its own {} namespace", words.text(0)?))
}

/// `clone3 KIND`: the same by the call whose flags a filter cannot see.
fn clone3(words: &Words) -> Attempt {
    let mut args = [0u64; 11];
    args[0] = flag(words.text(0)?)? as u64;
    args[4] = libc::SIGCHLD as u64;
    let child = call(libc::SYS_clone3, &[args.as_ptr() as usize, size_of_val(&args)])?;
    if child == 0 {
        // SAFETY: as above.
        unsafe { libc::_exit(0) };
    }
    Ok(format!("a child has its own {} namespace", words.text(0)?))
}

/// `mount KIND DIR`: mounts a file system of that kind.
fn mount(words: &Words) -> Attempt {
    let (kind, dir) = (terminated(words.path(0)?)?, terminated(words.path(1)?)?);
    let options = match words.text(0)? {
        "overlay" => format!("lowerdir=/,upperdir={0},workdir={0}", words.text(1)?),
        _ => String::new(),
    };
    let options = terminated(std::path::Path::new(&options))?;
    call(libc::SYS_mount, &[address(&kind), address(&dir), address(&kind), 0, address(&options)])?;
    Ok(format!("mounted {} on {}", words.text(0)?, words.text(1)?))
}

/// `mount-bind FROM DIR`: shows one directory at another's place.
fn mount_bind(words: &Words) -> Attempt {
    let (from, dir) = (terminated(words.path(0)?)?, terminated(words.path(1)?)?);
    call(libc::SYS_mount, &[address(&from), address(&dir), 0, libc::MS_BIND as usize, 0])?;
    Ok(format!("bound {} to {}", words.text(0)?, words.text(1)?))
}

/// `mount-new DIR`: clones a tree of mounts as a descriptor.
fn mount_new(words: &Words) -> Attempt {
    let dir = terminated(words.path(0)?)?;
    call(libc::SYS_open_tree, &[libc::AT_FDCWD as usize, address(&dir), 1])?;
    Ok("has a mount of its own".to_owned())
}

/// `root DIR`: changes its root directory, the first step of the classic escape.
fn root(words: &Words) -> Attempt {
    let dir = terminated(words.path(0)?)?;
    call(libc::SYS_chroot, &[address(&dir)])?;
    Ok(format!("its root is {}", words.text(0)?))
}

/// The 32-bit way into a 64-bit kernel, which a filter by number alone would misread.
#[cfg(target_arch = "x86_64")]
fn foreign_call(_: &Words) -> Attempt {
    let status = first(
        "a child",
        in_child(|| {
            let answer: u64;
            // SAFETY: asks for the process id (20 there); `rbx` is left alone, nothing else is touched.
            unsafe {
                std::arch::asm!("int 0x80", inlateout("rax") 20u64 => answer,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            }
            i32::from(i64::from(answer as i32) <= 0)
        }),
    )?;
    ended(status, "the 32-bit entry")
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign_call(_: &Words) -> Attempt {
    Err(Stopped::Unclear("this machine has one way in".to_owned()))
}

/// A call of the x32 table, whose numbers a plain deny-list does not know.
fn x32_call(_: &Words) -> Attempt {
    if cfg!(not(target_arch = "x86_64")) {
        return Err(Stopped::Unclear("this machine has no x32 table".to_owned()));
    }
    let x32_getpid = 0x4000_0000 + libc::SYS_getpid;
    // 0: answered; 1: the kernel looked and has no such table.
    let status = first("a child", in_child(|| i32::from(call(x32_getpid, &[]).is_err())))?;
    ended(status, "the x32 table")
}

/// Reads a child's wait status: an answer, an own end without one, or a death by signal.
fn ended(status: i32, what: &str) -> Attempt {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        let name = if signal == libc::SIGSYS { "SIGSYS".to_owned() } else { format!("signal {signal}") };
        return Err(Stopped::Nothing(format!("the child died of {name}")));
    }
    match libc::WEXITSTATUS(status) {
        0 => Ok(format!("{what} answers")),
        _ => Ok(format!("{what} was looked at")),
    }
}

/// Types into the terminal that the launcher sits at.
fn terminal_input(_: &Words) -> Attempt {
    let key = b'x';
    match call(libc::SYS_ioctl, &[0, libc::TIOCSTI as usize, &raw const key as usize]) {
        Ok(_) => Ok("typed a key into the terminal".to_owned()),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Err(error.into()),
        Err(error) => Ok(format!("the terminal driver was asked: {error}")),
    }
}

/// `ring-open PATH`: sets up a ring, through which files and sockets could be opened unseen.
fn ring_open(_: &Words) -> Attempt {
    let mut parameters = [0u32; 30];
    let fd = call(libc::SYS_io_uring_setup, &[4, parameters.as_mut_ptr() as usize])?;
    Ok(format!("has a ring at descriptor {fd}"))
}

/// Asks what filter it is under, and whether it can be taken off.
fn filter_own(_: &Words) -> Attempt {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| Stopped::Unclear(error.to_string()))?;
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:")).map(str::trim);
    if mode != Some("2") {
        return Ok(format!("no filter: mode {}", mode.unwrap_or("unknown")));
    }
    let off = call(libc::SYS_prctl, &[libc::PR_SET_SECCOMP as usize, 0, 0, 0, 0]);
    off.map(|_| "the filter is off".to_owned()).map_err(|error: io::Error| error.into())
}
