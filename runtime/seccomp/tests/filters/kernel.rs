//! Programs in the kernel of this machine, each in a child of its own.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_long};
use std::io::Error;
use std::ptr;

use aether_seccomp::{Breach, Code, Instruction, Internet, Policy, Tool, Unix};

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Code(i32),
    Signal(i32),
}

const SIGSYS: End = End::Signal(libc::SIGSYS);
/// What a child says when the filter could not be installed.
const NOT_INSTALLED: i32 = 99;

/// Installs a program for the calling thread; `flags` are those of `seccomp`. The result of the call.
fn install(program: &[Instruction], flags: u64) -> c_long {
    #[repr(C)]
    struct Program {
        length: u16,
        first: *const Instruction,
    }
    let program = Program { length: u16::try_from(program.len()).unwrap_or(0), first: program.as_ptr() };
    // SAFETY: plain numbers; the program outlives the call, which copies it.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return -1;
        }
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, ptr::from_ref(&program))
    }
}

/// Forks, and has the child do this and exit with what comes out.
fn child(act: impl FnOnce() -> i32) -> c_int {
    // SAFETY: between fork and exit the child only makes system calls; it owns a copy of everything it reads.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0, "{}", Error::last_os_error());
        if pid == 0 {
            let code = act();
            libc::_exit(code);
        }
        pid
    }
}

fn end(pid: c_int) -> End {
    let mut status = 0;
    // SAFETY: the child is ours and was not waited for.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    if libc::WIFSIGNALED(status) { End::Signal(libc::WTERMSIG(status)) } else { End::Code(libc::WEXITSTATUS(status)) }
}

/// Does this under a policy: the error number, or 0.
fn under(policy: &Policy, act: impl FnOnce() -> c_long) -> End {
    let program = policy.native_program().unwrap();
    end(child(|| {
        if install(&program, 0) != 0 {
            return NOT_INSTALLED;
        }
        if act() >= 0 { 0 } else { Error::last_os_error().raw_os_error().unwrap_or(-1) }
    }))
}

fn call(number: c_long, arguments: [u64; 4]) -> c_long {
    let [a, b, c, d] = arguments;
    // SAFETY: callers pass numbers, null, or the address of a text that lives for ever.
    unsafe { libc::syscall(number, a, b, c, d) }
}

fn address(text: &'static CStr) -> u64 {
    text.as_ptr() as u64
}

#[test]
fn an_ordinary_call_passes() {
    for policy in [Policy::Tool(Tool::default()), Policy::Init, Policy::Compute, Policy::Broker] {
        assert_eq!(under(&policy, || call(libc::SYS_getpid, [0; 4])), End::Code(0), "{policy:?}");
    }
}

#[test]
fn a_breach_kills() {
    let tool = Policy::Tool(Tool::default());
    for number in [libc::SYS_mount, libc::SYS_ptrace, libc::SYS_bpf, libc::SYS_setns, libc::SYS_pidfd_getfd] {
        assert_eq!(under(&tool, || call(number, [0; 4])), SIGSYS, "{number}");
    }
    assert_eq!(under(&tool, || call(libc::SYS_unshare, [0x1000_0000, 0, 0, 0])), SIGSYS);
    assert_eq!(under(&tool, || call(libc::SYS_clone, [0x1000_0000 | 17, 0, 0, 0])), SIGSYS);
    assert_eq!(under(&tool, || call(libc::SYS_unshare, [0, 0, 0, 0])), End::Code(0));
    assert_eq!(under(&Policy::Init, || call(libc::SYS_openat, [0; 4])), SIGSYS);
    assert_eq!(under(&Policy::Compute, || call(libc::SYS_socket, [1, 1, 0, 0])), SIGSYS);
    assert_eq!(under(&Policy::Broker, || call(libc::SYS_mount, [0; 4])), SIGSYS);
}

#[test]
fn refusals_have_the_number_that_was_meant() {
    let tool = Policy::Tool(Tool::default());
    assert_eq!(under(&tool, || call(libc::SYS_clone3, [0; 4])), End::Code(libc::ENOSYS));
    assert_eq!(under(&tool, || call(libc::SYS_io_uring_setup, [1, 0, 0, 0])), End::Code(libc::ENOSYS));
    assert_eq!(under(&tool, || call(600, [0; 4])), End::Code(libc::ENOSYS));
    assert_eq!(under(&tool, || call(libc::SYS_keyctl, [0; 4])), End::Code(libc::EPERM));
    assert_eq!(under(&tool, || call(libc::SYS_personality, [0x0040_0000, 0, 0, 0])), End::Code(libc::EPERM));
    assert_eq!(under(&tool, || call(libc::SYS_personality, [0xFFFF_FFFF, 0, 0, 0])), End::Code(0));
    let memory = address(c"memory");
    assert_eq!(under(&tool, || call(libc::SYS_memfd_create, [memory, 0, 0, 0])), End::Code(libc::EACCES));
    assert_eq!(under(&Policy::Broker, || call(libc::SYS_execve, [0; 4])), End::Code(libc::EPERM));
}

/// S4: the kernel reads an `int` by its low half, so a family with bits above is still that family.
#[test]
fn bits_above_an_int_open_no_way() {
    let tool = Policy::Tool(Tool::default());
    let socket = |family: u64| call(libc::SYS_socket, [family, 1, 0, 0]);
    let pair = |family: u64| call(libc::SYS_socketpair, [family, 1, 0, 0]);
    for family in [2, 2 | 1 << 32, 2 | 1 << 63] {
        assert_eq!(under(&tool, || socket(family)), End::Code(libc::EPERM), "{family:#x}");
        let stream = Policy::Tool(Tool { internet: Internet::Stream, ..Tool::default() });
        assert_eq!(under(&stream, || socket(family)), End::Code(0), "{family:#x}");
    }
    // Without a place for the two descriptors an allowed pair fails, but later.
    assert_eq!(under(&tool, || pair(1)), End::Code(libc::EFAULT));
    assert_eq!(under(&tool, || socket(1)), End::Code(libc::EPERM));
    let unix = Policy::Tool(Tool { unix: Unix::Allowed, ..Tool::default() });
    assert_eq!(under(&unix, || socket(1)), End::Code(0));
}

#[test]
fn no_file_runs_with_the_rights_of_its_owner() {
    let tool = Policy::Tool(Tool::default());
    let here = address(c"/nowhere/file");
    let at = libc::AT_FDCWD as u64;
    let create = (libc::O_CREAT | libc::O_WRONLY) as u64;
    // Refused before the path is looked at; the twin with an ordinary mode gets as far as the path.
    for (mode, wanted) in [(0o4755, libc::EPERM), (0o2755, libc::EPERM), (0o755, libc::ENOENT)] {
        assert_eq!(under(&tool, || call(libc::SYS_openat, [at, here, create, mode])), End::Code(wanted), "{mode:o}");
        assert_eq!(under(&tool, || call(libc::SYS_fchmodat, [at, here, mode, 0])), End::Code(wanted), "{mode:o}");
        assert_eq!(under(&tool, || call(libc::SYS_mknodat, [at, here, 0o100_000 | mode, 0])), End::Code(wanted));
    }
    assert_eq!(under(&tool, || call(libc::SYS_mknodat, [at, here, 0o020_666, 0x103])), End::Code(libc::EPERM));
}

#[test]
fn pages_are_written_or_run() {
    let files = Policy::Tool(Tool { code: Code::Files, ..Tool::default() });
    let map = |protection: c_int| {
        // SAFETY: a new mapping, of no use to anyone.
        let place =
            unsafe { libc::mmap(ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        if place == libc::MAP_FAILED { -1 } else { 0 }
    };
    assert_eq!(under(&files, || map(libc::PROT_READ | libc::PROT_WRITE)), End::Code(0));
    assert_eq!(under(&files, || map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)), End::Code(libc::EPERM));
    let memory = Policy::Tool(Tool::default());
    assert_eq!(under(&memory, || map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)), End::Code(0));
}

/// S2, by the instruction that 32-bit programs use, and by an x32 number.
#[cfg(target_arch = "x86_64")]
#[test]
fn other_ways_into_the_kernel_kill() {
    let tool = Policy::Tool(Tool::default());
    let twenty_bit = || {
        let result: i64;
        // SAFETY: number 20 of the 32-bit table is `getpid`, which touches nothing.
        unsafe {
            std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
        };
        result
    };
    assert_eq!(under(&tool, twenty_bit), SIGSYS);
    assert_eq!(under(&tool, || call(0x4000_0000 + libc::SYS_getpid, [0; 4])), SIGSYS);
}

/// Whoever has the listener is told which call it was, and the caller waits for ever unless it is answered or killed.
#[test]
fn a_breach_can_be_told() {
    let policy = Policy::Tool(Tool { breach: Breach::Notify, ..Tool::default() });
    let program = policy.native_program().unwrap();
    let told = end(child(|| {
        const NEW_LISTENER: u64 = 8;
        let listener = install(&program, NEW_LISTENER);
        if listener < 0 {
            return NOT_INSTALLED;
        }
        let culprit = child(|| {
            call(libc::SYS_pivot_root, [0; 4]);
            7
        });
        // SAFETY: both structures are plain numbers that the kernel fills.
        let (received, named) = unsafe {
            let mut notice: libc::seccomp_notif = std::mem::zeroed();
            // `SECCOMP_IOCTL_NOTIF_RECV`.
            let received = libc::ioctl(listener as c_int, 0xC050_2100_u64 as _, &raw mut notice);
            libc::kill(culprit, libc::SIGKILL);
            (received, notice.data.nr)
        };
        let was_killed = end(culprit) == End::Signal(libc::SIGKILL);
        i32::from(received != 0 || c_long::from(named) != libc::SYS_pivot_root || !was_killed)
    }));
    assert_eq!(told, End::Code(0));
    // Without anyone to tell, the call is not made either.
    assert_eq!(under(&policy, || call(libc::SYS_pivot_root, [0; 4])), End::Code(libc::ENOSYS));
}
