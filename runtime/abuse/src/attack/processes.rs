//! Attacks on other processes: signals, tracing, memory, and what `/proc` tells of them.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;

use crate::attempt::{Attempt, Stopped, Verb, Words, call, first, fork, in_child, wait};

/// The verbs of this file.
pub(crate) const VERBS: &[Verb] = &[
    ("signal", signal),
    ("signal-thread", signal_thread),
    ("signal-queue", signal_queue),
    ("signal-descriptor", signal_descriptor),
    ("signal-group", signal_group),
    ("signal-all", signal_all),
    ("trace", trace),
    ("trace-child", trace_child),
    ("trace-me", trace_me),
    ("memory-read", memory_read),
    ("memory-write", memory_write),
    ("memory-child", memory_child),
    ("descriptor-of", descriptor_of),
    ("descriptor-of-child", descriptor_of_child),
    ("limit-of", limit_of),
    ("priority-of", priority_of),
    ("affinity-of", affinity_of),
    ("session-of", session_of),
    ("processes-seen", processes_seen),
    ("setns", setns),
    ("compare", compare),
    ("witness", witness),
];

/// A signal that nobody minds: ignored unless a handler is set.
const HARMLESS: usize = libc::SIGURG as usize;

fn signal(words: &Words) -> Attempt {
    call(libc::SYS_kill, &[words.number(0)?, HARMLESS])?;
    Ok(format!("signalled process {}", words.text(0)?))
}

fn signal_thread(words: &Words) -> Attempt {
    let victim: usize = words.number(0)?;
    call(libc::SYS_tgkill, &[victim, victim, HARMLESS])?;
    Ok(format!("signalled thread {victim}"))
}

fn signal_queue(words: &Words) -> Attempt {
    let mut info = [0u32; 32];
    info[0] = libc::SIGURG.cast_unsigned();
    info[2] = (-1i32).cast_unsigned();
    call(libc::SYS_rt_sigqueueinfo, &[words.number(0)?, HARMLESS, info.as_ptr() as usize])?;
    Ok(format!("queued a signal to process {}", words.text(0)?))
}

fn signal_descriptor(words: &Words) -> Attempt {
    let fd = call(libc::SYS_pidfd_open, &[words.number(0)?, 0])?;
    call(libc::SYS_pidfd_send_signal, &[fd, HARMLESS, 0, 0])?;
    Ok(format!("signalled process {} through a descriptor", words.text(0)?))
}

/// Signals its own process group: the launcher, if it is still in it.
fn signal_group(_: &Words) -> Attempt {
    call(libc::SYS_kill, &[0, HARMLESS])?;
    Err(Stopped::Nothing("whoever was in the group got a signal".to_owned()))
}

/// Asks, with signal 0, whether any other process at all would take a signal.
fn signal_all(_: &Words) -> Attempt {
    call(libc::SYS_kill, &[usize::MAX, 0])?;
    Ok("some other process can be signalled".to_owned())
}

fn trace(words: &Words) -> Attempt {
    call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, words.number(0)?, 0, 0])?;
    Ok(format!("traces process {}", words.text(0)?))
}

/// A child that waits until it is killed.
fn sleeper() -> Result<i32, Stopped> {
    let child = first("a child", fork())?;
    if child == 0 {
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
    Ok(child)
}

/// Ends a child of ours.
fn end(child: i32) -> io::Result<()> {
    call(libc::SYS_kill, &[child.cast_unsigned() as usize, libc::SIGKILL as usize])?;
    wait(child).map(|_| ())
}

fn trace_child(_: &Words) -> Attempt {
    let child = sleeper()?;
    let traced = call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, child.cast_unsigned() as usize, 0, 0]);
    first("the child's end", end(child))?;
    traced?;
    Ok("traced a child".to_owned())
}

fn trace_me(_: &Words) -> Attempt {
    let status = first("a child", in_child(|| i32::from(call(libc::SYS_ptrace, &[0, 0, 0, 0]).is_err())))?;
    match status {
        0 => Ok("a child asked to be traced".to_owned()),
        _ => Err(Stopped::By(io::Error::from_raw_os_error(libc::EPERM))),
    }
}

/// The start of the heap of a process: an address that is mapped, from its own map file.
fn mapped(process: &str) -> Result<usize, Stopped> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let writable = maps.lines().find(|line| line.contains(" rw-p"));
    let start = writable.and_then(|line| line.split('-').next()).and_then(|hex| usize::from_str_radix(hex, 16).ok());
    start.ok_or_else(|| Stopped::Unclear("no writable map".to_owned()))
}

fn vectors(process: &str, number: libc::c_long) -> Attempt {
    let there = mapped(process)?;
    let mut bytes = [0u8; 8];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: there as *mut libc::c_void, iov_len: bytes.len() };
    let process: usize = process.parse().map_err(|_| Stopped::Unclear("a process is a number".to_owned()))?;
    let read = [process, &raw const local as usize, 1, &raw const remote as usize, 1, 0];
    let count = call(libc::SYS_process_vm_readv, &read)?;
    if number == libc::SYS_process_vm_writev {
        call(number, &read)?;
    }
    Ok(format!("moved {count} bytes of another process's memory"))
}

fn memory_read(words: &Words) -> Attempt {
    vectors(words.text(0)?, libc::SYS_process_vm_readv)
}

fn memory_write(words: &Words) -> Attempt {
    vectors(words.text(0)?, libc::SYS_process_vm_writev)
}

/// Reads its own memory by the call for others': whether the call exists at all.
fn memory_child(_: &Words) -> Attempt {
    let mut bytes = [0u8; 8];
    let source = [1u8; 8];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: source.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let own = std::process::id() as usize;
    call(libc::SYS_process_vm_readv, &[own, &raw const local as usize, 1, &raw const remote as usize, 1, 0])?;
    Ok("the call that reads other processes' memory answers".to_owned())
}

fn take_descriptor(process: usize) -> Attempt {
    let fd = call(libc::SYS_pidfd_open, &[process, 0])?;
    call(libc::SYS_pidfd_getfd, &[fd, 0, 0])?;
    Ok("took a descriptor out of another process".to_owned())
}

fn descriptor_of(words: &Words) -> Attempt {
    take_descriptor(words.number(0)?)
}

fn descriptor_of_child(_: &Words) -> Attempt {
    let child = sleeper()?;
    let taken = take_descriptor(child.cast_unsigned() as usize);
    first("the child's end", end(child))?;
    taken
}

fn limit_of(words: &Words) -> Attempt {
    let mut limits = [0u64; 2];
    call(libc::SYS_prlimit64, &[words.number(0)?, libc::RLIMIT_CORE as usize, 0, limits.as_mut_ptr() as usize])?;
    Ok("another process's limits can be reached".to_owned())
}

fn priority_of(words: &Words) -> Attempt {
    call(libc::SYS_setpriority, &[libc::PRIO_PROCESS as usize, words.number(0)?, 19])?;
    Ok("another process was slowed down".to_owned())
}

fn affinity_of(words: &Words) -> Attempt {
    let mut set = [0u64; 16];
    let count = call(libc::SYS_sched_getaffinity, &[words.number(0)?, 128, set.as_mut_ptr() as usize])?;
    call(libc::SYS_sched_setaffinity, &[words.number(0)?, count, set.as_ptr() as usize])?;
    Ok("another process's processors were set".to_owned())
}

fn session_of(words: &Words) -> Attempt {
    let session = call(libc::SYS_getsid, &[words.number(0)?])?;
    Ok(format!("another process's session is {session}"))
}

/// `processes-seen MAX`: how many processes `/proc` shows.
fn processes_seen(words: &Words) -> Attempt {
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let seen = names.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).count();
    let most: usize = words.number(0)?;
    if seen > most {
        Ok(format!("{seen} processes in /proc"))
    } else {
        Err(Stopped::Nothing(format!("{seen} processes in /proc")))
    }
}

/// `setns PID KIND`: enters a namespace of another process.
fn setns(words: &Words) -> Attempt {
    let file = fs::File::open(format!("/proc/{}/ns/{}", words.text(0)?, words.text(1)?))?;
    call(libc::SYS_setns, &[file.as_raw_fd() as usize, 0])?;
    Ok(format!("entered the {} namespace of {}", words.text(1)?, words.text(0)?))
}

/// Compares kernel objects of two processes: a map of kernel addresses.
fn compare(_: &Words) -> Attempt {
    let own = std::process::id() as usize;
    call(libc::SYS_kcmp, &[own, own, 0, 0, 1])?;
    Ok("kernel objects can be compared".to_owned())
}

/// `witness PATH`: waits for the harmless signal and makes the file when it comes: no attack, but who sees one.
fn witness(words: &Words) -> Attempt {
    // SAFETY: all zeroes are a valid, empty set.
    let mut awaited: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut signal = 0;
    // SAFETY: `awaited` and `signal` are live; an empty set is a valid one.
    unsafe {
        libc::sigemptyset(&raw mut awaited);
        libc::sigaddset(&raw mut awaited, libc::SIGURG);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const awaited, std::ptr::null_mut());
        first("readiness", fs::write(format!("{}.ready", words.text(0)?), ""))?;
        libc::sigwait(&raw const awaited, &raw mut signal);
    }
    first("the mark", fs::write(words.path(0)?, "signalled\n"))?;
    Ok("saw the signal".to_owned())
}
