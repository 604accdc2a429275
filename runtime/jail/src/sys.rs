//! The system calls that no safe library has, each behind a function that cannot be called wrongly.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use aether_seccomp::Instruction;
use rustix::io::Errno;

type Result<T> = std::result::Result<T, Errno>;

/// What a system call returned.
fn outcome(value: libc::c_long) -> Result<usize> {
    if value >= 0 {
        return Ok(value as usize);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

/// Which side of a new process this is.
pub(crate) enum Side {
    /// The one that made it: its id, and a descriptor that stands for it where one was asked for.
    Parent(i32, Option<OwnedFd>),
    /// The new one.
    Child,
}

/// Makes a process in new namespaces (`clone3(2)`), with a descriptor that stands for it. `cgroup` is the directory of
/// a version 2 control group to be born in.
///
/// The caller has one thread, so that the child may do whatever the caller may.
pub(crate) fn clone(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    let mut pidfd: RawFd = -1;
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64 | into,
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    // SAFETY: `args` is a `struct clone_args` of 88 bytes that outlives the call, and its `pidfd` points to a `RawFd`
    // that does. Without `CLONE_VM` the child has its own copy of everything, and its stack is that of the parent.
    let child = outcome(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    if child == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: the call succeeded, so the kernel wrote a new descriptor there, which nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Side::Parent(child as i32, Some(pidfd)))
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of `linux/sched.h`, version 2.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Makes a process as `fork(2)` does. The caller has one thread, so that the child may do whatever the caller may.
pub(crate) fn fork() -> Result<Side> {
    // SAFETY: the caller has one thread, so no lock is held by a thread that the child lacks.
    match outcome(unsafe { libc::fork() }.into())? {
        0 => Ok(Side::Child),
        child => Ok(Side::Parent(child as i32, None)),
    }
}

/// Makes a process that shares this one's memory, and waits until it has ended or become another program
/// (`vfork(2)` on a stack of its own). Much cheaper than a copy.
///
/// `act` runs in the child, which ends with what it returns. The caller has one thread.
pub(crate) fn clone_and_wait<A: FnMut() -> libc::c_int>(mut act: A) -> Result<i32> {
    extern "C" fn begin<A: FnMut() -> libc::c_int>(act: *mut libc::c_void) -> libc::c_int {
        // SAFETY: this is the closure below, of this very type, which lives as long as the parent waits.
        let act = unsafe { &mut *act.cast::<A>() };
        act()
    }
    let mut stack: Vec<u128> = Vec::with_capacity(STACK_BYTES / size_of::<u128>());
    // SAFETY: the end of the allocation, aligned to 16 bytes; stacks grow down from there.
    let top = unsafe { stack.as_mut_ptr().add(stack.capacity()) };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs on its own stack and ends or becomes another program without returning. Until then the
    // only thread of the parent stands still, so nothing that they share is used twice at once, and both the closure
    // and the stack live.
    let child = outcome(unsafe { libc::clone(begin::<A>, top.cast(), flags, (&raw mut act).cast()) }.into())?;
    Ok(child as i32)
}

/// The stack of a process that shares its parent's memory.
const STACK_BYTES: usize = 256 * 1024;

/// Leaves namespaces for new ones. The caller has one thread.
pub(crate) fn unshare(flags: libc::c_int) -> Result<()> {
    // SAFETY: touches no memory.
    outcome(unsafe { libc::unshare(flags) }.into())?;
    Ok(())
}

/// Ends this process at once: no destructor, no buffer.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Replaces this process's program. Returns only if that failed.
pub(crate) fn execute(program: &CStr, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |words: &[CString]| -> Vec<*const libc::c_char> {
        words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both lists end with a null pointer, every other element points to a string that ends with NUL, and all
    // of them outlive the call.
    let failed = unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    outcome(failed.into()).err().unwrap_or(Errno::INVAL)
}

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Sets attributes of a mount and, with `everything`, of all below it (`mount_setattr(2)`). `owner` is the user
/// namespace whose map the mount's owners go through.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    depth: Depth,
    set: u64,
    owner: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let set = if owner.is_some() { set | libc::MOUNT_ATTR_IDMAP } else { set };
    let attr = MountAttr { set, clear: 0, propagation: 0, userns: owner.map_or(0, |fd| fd.as_raw_fd() as u64) };
    let recursive = if depth == Depth::Everything { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty string that ends with NUL, and `attr` is a `struct mount_attr` of 32 bytes; both
    // outlive the call.
    outcome(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}

/// How far a change of mounts goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// This mount.
    One,
    /// And every mount below it.
    Everything,
}

/// Closes every descriptor but these.
pub(crate) fn close_except(keep: &mut [RawFd]) -> Result<()> {
    keep.sort_unstable();
    let mut from: u32 = 0;
    for fd in keep.iter().map(|fd| *fd as u32) {
        if fd > from {
            close_range(from, fd - 1)?;
        }
        from = from.max(fd + 1);
    }
    close_range(from, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: closing descriptors touches no memory. The callers are about to replace their program or to end, and use
    // nothing but the descriptors that they keep.
    outcome(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// Makes `to` another name of `from`, to be kept when the program is replaced.
pub(crate) fn duplicate_onto(from: BorrowedFd<'_>, to: RawFd) -> Result<()> {
    // SAFETY: `dup2` touches no memory; what `to` was before is closed, which the callers want.
    outcome(unsafe { libc::dup2(from.as_raw_fd(), to) }.into())?;
    Ok(())
}

/// Makes the descriptor survive the replacement of the program.
#[cfg(feature = "unplug")]
pub(crate) fn leak(fd: RawFd) {
    // SAFETY: changes one flag of a descriptor, or fails if there is none.
    unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
}

/// Whether a descriptor of this number is open.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: reads one flag of a descriptor, or fails if there is none.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Takes over a descriptor that the process was started with.
///
/// # Errors
/// `EBADF` if there is none.
pub(crate) fn inherited(fd: RawFd) -> Result<OwnedFd> {
    if !is_open(fd) {
        return Err(Errno::BADF);
    }
    // SAFETY: it is open, and by the agreement between a spawner and its creator nobody else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes a descriptor by its number.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: touches no memory. The caller never returns to whoever owns the descriptor.
    unsafe { libc::close(fd) };
}

/// Empties the set of capabilities that can ever be had, and fixes that the first user is nobody special
/// (`capabilities(7)`).
pub(crate) fn lock_rights() -> Result<()> {
    // NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, all three locked, and KEEP_CAPS locked off.
    const LOCKED: libc::c_ulong = 0xEF;
    // SAFETY: both options take a number and touch no memory.
    outcome(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, LOCKED, 0, 0, 0) }.into())?;
    for capability in 0..64 {
        // SAFETY: as above.
        match outcome(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as libc::c_ulong, 0, 0, 0) }.into()) {
            // The kernel knows no more.
            Err(Errno::INVAL) => break,
            dropped => dropped.map(|_| ())?,
        }
    }
    Ok(())
}

/// Whether filters of system calls can tell somebody.
pub(crate) fn can_notify() -> bool {
    let action: u32 = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: the operation reads one 32-bit number, which outlives the call, and changes nothing.
    outcome(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) }).is_ok()
}

/// Has the wait of this process interrupted when the thread that made it is gone. Whether the whole process is, the
/// interrupted one looks.
pub(crate) fn tell_parents_death() -> Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a zeroed `sigaction` has no flags and blocks nothing; the handler does nothing, so it may run anywhere.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        outcome(libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()).into())?;
        outcome(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1 as libc::c_ulong, 0, 0, 0).into())?;
    }
    Ok(())
}

/// Every signal as a new program expects it: none blocked, none ignored, none handled.
pub(crate) fn reset_signals() {
    // The kernel's own structure, which is not that of the C library: that one keeps some signals to itself.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads at most 32 bytes, all zero: the default disposition, no flags, nothing blocked.
        // Signals that cannot be changed are refused without effect.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<u8>(), 8_usize);
        }
    }
    // SAFETY: the kernel reads 8 bytes, all zero: nothing is blocked.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, default.as_ptr(), ptr::null_mut::<u8>(), 8_usize);
    }
}

/// The version of Landlock that the kernel has, 0 if none.
pub(crate) fn landlock_abi() -> u32 {
    // SAFETY: with a null pointer, no size and the flag 1, the call returns the version and touches nothing.
    let version =
        outcome(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0_usize, 1_u32) });
    version.map_or(0, |version| version as u32)
}

/// A new set of Landlock rules. `handled` are the rights that are denied where no rule grants them: of the file system,
/// of the network, and the scopes; as many of the three as the kernel knows.
pub(crate) fn landlock_ruleset(handled: &[u64]) -> Result<OwnedFd> {
    // SAFETY: `handled` is the beginning of a `struct landlock_ruleset_attr`, which is nothing but 64-bit numbers, and
    // its size is given.
    let fd = outcome(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, handled.as_ptr(), size_of_val(handled), 0_u32)
    })?;
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `struct landlock_path_beneath_attr` of `linux/landlock.h`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// Grants rights to a file, or to a directory and everything below it.
pub(crate) fn landlock_allow(ruleset: BorrowedFd<'_>, place: BorrowedFd<'_>, allowed: u64) -> Result<()> {
    let rule = PathBeneath { allowed, parent: place.as_raw_fd() };
    // SAFETY: rule type 1 takes a `struct landlock_path_beneath_attr`, which outlives the call.
    outcome(unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), 1_u32, &raw const rule, 0_u32) })?;
    Ok(())
}

/// Holds this process and its descendants to the rules.
pub(crate) fn landlock_restrict(ruleset: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes a descriptor and flags, touches no memory.
    outcome(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) })?;
    Ok(())
}

/// Whether a filter tells somebody of the calls that it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listening {
    /// Yes: a descriptor is made for it.
    Yes,
    /// No.
    No,
}

/// Puts this process under a filter of system calls (`seccomp(2)`).
pub(crate) fn install(program: &[Instruction], listening: Listening) -> Result<Option<OwnedFd>> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::INVAL)?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    let flags = if listening == Listening::Yes { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    // SAFETY: an `Instruction` is laid out as `struct sock_filter`, the length is right, and the kernel only reads both.
    let fd =
        outcome(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) })?;
    // SAFETY: with the flag, a success is a new descriptor that nobody else owns.
    Ok((listening == Listening::Yes).then(|| unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
}

/// The number of the system call that a filter holds, from a descriptor of [`install`] that is ready to be read.
pub(crate) fn held_call(listener: BorrowedFd<'_>) -> Result<u32> {
    // SAFETY: an all-zero `seccomp_notif` is valid, and the kernel demands one.
    let mut held: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request takes a pointer to a `struct seccomp_notif`, which outlives the call. Newer kernels may have
    // a larger one only if asked for by another request number.
    outcome(unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut held) }.into())?;
    Ok(held.data.nr as u32)
}

/// `SECCOMP_IOCTL_NOTIF_RECV`: read and write, type `!`, number 0, of 80 bytes.
const SECCOMP_IOCTL_NOTIF_RECV: u32 = 0xC050_2100;

/// Brings up the loopback of this network namespace (`netdevice(7)`).
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: an all-zero `ifreq` is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request takes a pointer to a `struct ifreq` whose name ends with NUL, and which outlives the call.
    outcome(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }.into())?;
    Ok(())
}

/// How a process ended, and what it and all descendants that were waited for used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reaped {
    /// Which.
    pub(crate) pid: i32,
    /// As `wait(2)` says it.
    pub(crate) status: i32,
    /// In microseconds.
    pub(crate) cpu_us: u64,
    /// The largest of them, in bytes.
    pub(crate) memory_bytes_peak: u64,
}

/// Waits for a child, or any child if `pid` is -1. `None` without waiting if `wait` is [`Wait::Now`] and none has ended.
pub(crate) fn reap(pid: i32, wait: Wait) -> Result<Option<Reaped>> {
    let mut status = 0;
    // SAFETY: an all-zero `rusage` is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = libc::__WALL | if wait == Wait::Now { libc::WNOHANG } else { 0 };
    // SAFETY: both pointers are to values that outlive the call.
    let pid = outcome(unsafe { libc::wait4(pid, &raw mut status, flags, &raw mut usage) }.into())? as i32;
    let time_us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Ok((pid != 0).then(|| Reaped {
        pid,
        status,
        cpu_us: time_us(usage.ru_utime) + time_us(usage.ru_stime),
        memory_bytes_peak: usage.ru_maxrss as u64 * 1024,
    }))
}

/// How long to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    Now,
    /// Until it happens.
    Until,
}

/// Makes a process as [`fork`] does, with a descriptor that stands for it.
pub(crate) fn fork_watched() -> Result<Side> {
    let Side::Parent(child, _) = fork()? else { return Ok(Side::Child) };
    let pid = rustix::process::Pid::from_raw(child).ok_or(Errno::CHILD)?;
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Side::Parent(child, Some(pidfd))),
        Err(errno) => {
            // Our child, not waited for: this is the one that is meant. It waits for a word that does not come.
            let _killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            let _reaped = reap(child, Wait::Until);
            Err(errno)
        }
    }
}

/// Lets signals wait: none is delivered any more but the two that cannot be held, and those of [`next_signal`].
pub(crate) fn hold_signals() {
    let every = [u64::MAX; 1];
    // SAFETY: the kernel reads 8 bytes: everything that can be blocked is.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, every.as_ptr(), ptr::null_mut::<u8>(), 8_usize);
    }
}

/// Waits for one of the signals that are held: that a child has ended, or that all is to end.
pub(crate) fn next_signal() -> libc::c_int {
    let wanted = [1_u64 << (libc::SIGCHLD - 1) | 1_u64 << (libc::SIGTERM - 1)];
    // SAFETY: the kernel reads 8 bytes; nothing is written, and there is no limit of time.
    let signal = unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, wanted.as_ptr(), ptr::null_mut::<u8>(), ptr::null::<u8>(), 8_usize)
    };
    signal as libc::c_int
}

/// Sends SIGKILL to every process that this one may signal: in a process namespace of its own, to all in it but the
/// first.
pub(crate) fn kill_all() {
    // SAFETY: signals touch no memory.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}
