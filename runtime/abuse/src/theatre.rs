//! Where the attacks take place: namespaces of their own, with a network that has everything an attacker hopes for (X2).

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::net;

/// Under whom and under what conditions the suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// As whoever started it.
    Plain,
    /// No user namespace may be made.
    NoUserNamespaces,
    /// The rules of a container engine's default filter.
    ContainerFilter,
    /// Control groups can be seen and not changed.
    ReadOnlyGroups,
}

/// What an attacker's uid may be told from.
pub fn is_root() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

fn checked(result: i32, what: &str) -> Result<(), String> {
    if result < 0 { Err(format!("{what}: {}", io::Error::last_os_error())) } else { Ok(()) }
}

/// Becomes an ordinary user for good.
///
/// # Errors
/// What the system refused.
pub fn become_user(uid: u32) -> Result<(), String> {
    // SAFETY: three calls with numbers and an empty list.
    unsafe {
        checked(libc::setgroups(0, std::ptr::null()), "no groups")?;
        checked(libc::setresgid(uid, uid, uid), "another group")?;
        checked(libc::setresuid(uid, uid, uid), "another user")?;
        // The change made this process unreadable for itself: its map of users could not be written.
        checked(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0), "readable again")
    }
}

/// Runs `play` in the theatre and gives its exit code. `log` hears the names that are asked for outside.
///
/// # Errors
/// A namespace, mount or address that cannot be had, by name.
pub fn enter(condition: Condition, log: &Path, play: impl FnOnce() -> i32) -> Result<i32, String> {
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) }; // SAFETY: asks for two numbers.
    if uid != 0 {
        // SAFETY: one thread; a number.
        checked(unsafe { libc::unshare(libc::CLONE_NEWUSER) }, "a user namespace for the suite")?;
        let write = |file: &str, text: String| fs::write(file, text).map_err(|error| format!("{file}: {error}"));
        write("/proc/self/setgroups", "deny".to_owned())?;
        write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let spaces = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWPID;
    // SAFETY: one thread; a number.
    checked(unsafe { libc::unshare(spaces) }, "namespaces for the suite")?;
    // SAFETY: one thread.
    let child = unsafe { libc::fork() };
    checked(child, "a process for the suite")?;
    if child == 0 {
        let code = prepare(condition, log).map_or_else(|error| complain(&error), |()| play());
        // SAFETY: ends the first process of the namespace, and with it everything in there.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live integer.
    checked(unsafe { libc::waitpid(child, &raw mut status, 0) }, "waiting for the suite")?;
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 })
}

fn complain(error: &str) -> i32 {
    // Nobody may be listening; the exit code says the same.
    let _ = writeln!(io::stderr(), "the stage cannot be set: {error}");
    2
}

fn prepare(condition: Condition, log: &Path) -> Result<(), String> {
    // SAFETY: numbers.
    unsafe {
        checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), "an end with the parent")?;
        libc::umask(0);
    }
    mount(None, "/", None, libc::MS_REC | libc::MS_PRIVATE)?;
    mount(Some("proc"), "/proc", Some("proc"), 0)?;
    mount(Some("tmpfs"), "/dev/shm", Some("tmpfs"), 0)?;
    let resolver = log.with_file_name("resolv.conf");
    let text = format!("nameserver {}\noptions timeout:1 attempts:1\n", net::NAME_SERVER);
    fs::write(&resolver, text).map_err(|error| format!("{}: {error}", resolver.display()))?;
    let place = fs::canonicalize("/etc/resolv.conf").map_err(|error| format!("/etc/resolv.conf: {error}"))?;
    mount(resolver.to_str(), &place.to_string_lossy(), None, libc::MS_BIND)?;
    certificate(log)?;
    network(log)?;
    condition.impose()
}

fn mount(source: Option<&str>, target: &str, kind: Option<&str>, flags: libc::c_ulong) -> Result<(), String> {
    let text = |text: Option<&str>| CString::new(text.unwrap_or_default()).map_err(|error| error.to_string());
    let (from, to, kind) = (text(source)?, text(Some(target))?, text(kind)?);
    // SAFETY: the strings outlive the call.
    let done = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
    checked(done, &format!("a mount on {target}"))
}

/// Runs `ip` with the capabilities that an exec as an ordinary user would drop.
fn ip(line: &str) -> Result<(), String> {
    let mut command = Command::new("/usr/sbin/ip");
    command.args(line.split(' '));
    // SAFETY: two system calls on a buffer of the closure's own.
    unsafe { command.pre_exec(keep_capabilities) };
    let ended = command.output().map_err(|error| format!("ip (of iproute2): {error}"))?;
    if ended.status.success() { Ok(()) } else { Err(format!("ip {line}: {}", String::from_utf8_lossy(&ended.stderr))) }
}

/// Makes `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` survive an exec.
fn keep_capabilities() -> io::Result<()> {
    const WANTED: [u32; 2] = [12, 21];
    let header = [0x2008_0522u32, 0];
    let mut sets = [0u32; 6];
    // SAFETY: the header and the sets are as long as version 3 wants them.
    unsafe {
        if libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        sets[2] = WANTED.iter().fold(0, |all, wanted| all | 1 << wanted);
        if libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        for wanted in WANTED {
            if libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, wanted, 0, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// A wire to a far end in a network of its own, where one process answers for every address.
fn network(log: &Path) -> Result<(), String> {
    ip("link set lo up")?;
    let mut ends = [0i32; 2];
    // SAFETY: room for two descriptors.
    checked(
        unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) },
        "a pair of sockets",
    )?;
    // SAFETY: the kernel just gave us both.
    let (mut near, mut far) = unsafe { (fs::File::from_raw_fd(ends[0]), fs::File::from_raw_fd(ends[1])) };
    // SAFETY: one thread.
    let child = unsafe { libc::fork() };
    checked(child, "a far end")?;
    if child == 0 {
        let ended = far_end(&mut far, log);
        let code = ended.map_or_else(|error| complain(&error), |()| 0);
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    drop(far);
    let mut word = [0];
    near.read_exact(&mut word).map_err(|error| format!("the far end: {error}"))?;
    ip(&format!("link add up0 type veth peer name up1 netns {child}"))?;
    ip(&format!("addr add {}/30 dev up0", net::OWN))?;
    ip("-6 addr add fd99::1/64 dev up0 nodad")?;
    ip("link set up0 up")?;
    near.write_all(&word).map_err(|error| format!("the far end: {error}"))?;
    near.read_exact(&mut word).map_err(|error| format!("the far end: {error}"))?;
    ip(&format!("route add default via {}", net::PEER))?;
    ip("-6 route add default via fd99::2")?;
    host_servers()
}

fn far_end(speak: &mut fs::File, log: &Path) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    // SAFETY: numbers; one thread.
    unsafe {
        checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), "an end with the parent")?;
        checked(libc::unshare(libc::CLONE_NEWNET), "a network for the far end")?;
    }
    speak.write_all(&[1]).map_err(said)?;
    speak.read_exact(&mut [0]).map_err(said)?;
    ip("link set lo up")?;
    ip(&format!("addr add {}/30 dev up1", net::PEER))?;
    ip("-6 addr add fd99::2/64 dev up1 nodad")?;
    ip("link set up1 up")?;
    for address in net::ADDRESSES {
        let (family, bits) = if address.contains(':') { ("-6 ", "128 dev lo nodad") } else { ("", "32 dev lo") };
        ip(&format!("{family}addr add {address}/{bits}"))?;
    }
    let listeners: Vec<_> = net::PORTS.iter().map(|port| ([0u16; 8], *port).into()).collect();
    net::serve(&listeners).map_err(said)?;
    net::echo("93.184.216.34").map_err(said)?;
    secure_server(log)?;
    speak.write_all(&[1]).map_err(said)?;
    net::name(log).map_err(said)
}

/// The certificate of the far end's server in TLS, beside the log of names.
pub const CERTIFICATE: &str = "far.pem";
/// Its key.
const KEY: &str = "far.key";

/// Makes the certificate: for one host that has a secret, and for another that has none.
fn certificate(log: &Path) -> Result<(), String> {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-days", "2", "-subj", "/CN=far end", "-addext", "basicConstraints=critical,CA:FALSE"]);
    command.args(["-addext", "subjectAltName=DNS:allowed.example,DNS:other.example"]);
    command.arg("-keyout").arg(log.with_file_name(KEY)).arg("-out").arg(log.with_file_name(CERTIFICATE));
    let ended = command.output().map_err(|error| format!("openssl: {error}"))?;
    if ended.status.success() { Ok(()) } else { Err(format!("openssl: {}", String::from_utf8_lossy(&ended.stderr))) }
}

/// Tells every visitor which credentials came with the request.
const SECURE: &str = "
import http.server, ssl, sys
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        text = 'reached %s with %s' % (self.headers['host'], self.headers['authorization'])
        self.send_response(200)
        self.send_header('content-length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(('0.0.0.0', int(sys.argv[1])), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print('ready', flush=True)
server.serve_forever()
";

/// Starts the far end's server in TLS; it ends with the suite's namespace.
fn secure_server(log: &Path) -> Result<(), String> {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-I", "-c", SECURE, &net::SECURE_PORT.to_string()]);
    command.arg(log.with_file_name(CERTIFICATE)).arg(log.with_file_name(KEY)).stdout(Stdio::piped());
    let mut server = command.spawn().map_err(|error| format!("python3: {error}"))?;
    let mut word = [0; 5];
    let said = server.stdout.as_mut().map(|out| out.read_exact(&mut word));
    match said {
        Some(Ok(())) if &word == b"ready" => Ok(()),
        _ => Err("the far end's server in TLS did not start".to_owned()),
    }
}

/// What listens on the suite's own machine: its loopback, and its address on the wire.
fn host_servers() -> Result<(), String> {
    // SAFETY: one thread.
    let child = unsafe { libc::fork() };
    checked(child, "the host's servers")?;
    if child == 0 {
        // SAFETY: numbers.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let listeners = [([0u8; 4], 80).into(), ([127, 0, 0, 1], HOST_PORT).into()];
        let code = net::serve(&listeners).map_or_else(
            |error| complain(&error.to_string()),
            |()| loop {
                std::thread::park();
            },
        );
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    Ok(())
}

/// Where a server listens on the host's loopback.
pub const HOST_PORT: u16 = 20_480;

impl Condition {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Condition::Plain => "plain",
            Condition::NoUserNamespaces => "no-user-namespaces",
            Condition::ContainerFilter => "container-filter",
            Condition::ReadOnlyGroups => "read-only-groups",
        }
    }

    fn impose(self) -> Result<(), String> {
        match self {
            Condition::Plain => Ok(()),
            Condition::NoUserNamespaces => fs::write("/proc/sys/user/max_user_namespaces", "0")
                .map_err(|error| format!("/proc/sys/user/max_user_namespaces: {error}")),
            Condition::ContainerFilter => container_filter(),
            Condition::ReadOnlyGroups => read_only_groups(),
        }
    }
}

/// Makes every mount of control groups read-only.
fn read_only_groups() -> Result<(), String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("the mounts: {error}"))?;
    for line in mounts.lines().filter(|line| line.contains(" - cgroup")) {
        let Some(place) = line.split(' ').nth(4) else { continue };
        mount(None, place, None, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY)?;
    }
    Ok(())
}

/// What container engines refuse by default, of the calls that matter to a jail: an errno each, for good.
fn container_filter() -> Result<(), String> {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const AND: u16 = 0x54;
    const ANSWER: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    const SPACES: u32 = 0x7e02_0080;
    let refused = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_mount_setattr,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_userfaultfd,
        libc::SYS_open_by_handle_at,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_move_pages,
        libc::SYS_quotactl,
        libc::SYS_io_uring_setup,
    ];
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut filter = vec![step(LOAD, 0, 0, 0)];
    for number in refused {
        filter.push(step(EQUAL, number as u32, 0, 1));
        filter.push(step(ANSWER, ERRNO | libc::EPERM.cast_unsigned(), 0, 0));
    }
    filter.push(step(EQUAL, libc::SYS_clone3 as u32, 0, 1));
    filter.push(step(ANSWER, ERRNO | libc::ENOSYS.cast_unsigned(), 0, 0));
    filter.push(step(EQUAL, libc::SYS_clone as u32, 0, 4));
    filter.push(step(LOAD, 16, 0, 0));
    filter.push(step(AND, SPACES, 0, 0));
    filter.push(step(EQUAL, 0, 1, 0));
    filter.push(step(ANSWER, ERRNO | libc::EPERM.cast_unsigned(), 0, 0));
    filter.push(step(ANSWER, ALLOW, 0, 0));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the call, which copies it.
    unsafe {
        checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")?;
        checked(libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program), "the container's filter")
    }
}
