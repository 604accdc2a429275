//! What the process that serves jails has given up (J4): each try in a process of its own, for there is no way back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Test, folder, is_root};

pub(crate) const TESTS: &[Test] = &[
    ("j4_a_confined_process_goes_on_serving", serves),
    ("j4_a_confined_process_changes_nothing_elsewhere", changes),
    ("j4_a_confined_process_starts_nothing", starts),
    ("j4_a_confined_process_has_no_rights", rights),
    ("j4_a_confined_process_dies_of_what_it_has_no_use_for", dies),
];

/// In a process of its own: confines itself, tries something, says what came of it.
pub(crate) fn be_confined(what: &str, folder: &Path) {
    let writable = folder.join("writable");
    let parent = rustix::process::getppid().unwrap();
    let line = rustix::process::pidfd_open(parent, rustix::process::PidfdFlags::empty()).unwrap();
    aether_jail::confine(&[&writable]).unwrap();
    match what {
        "serve" => println!("{}", serve()),
        "change" => println!("{}", change(folder, &writable)),
        "start" => println!("{:?}", Command::new("/bin/true").status().err().map(|error| error.kind())),
        "rights" => println!("{}", std::fs::read_to_string("/proc/self/status").unwrap()),
        "mount" => {
            println!("{:?}", rustix::mount::mount("none", "/", "tmpfs", rustix::mount::MountFlags::empty(), None))
        }
        "unmount" => println!("{:?}", rustix::mount::unmount("/", rustix::mount::UnmountFlags::DETACH)),
        "steal" => println!("{:?}", rustix::process::pidfd_getfd(&line, 0, rustix::process::PidfdGetfdFlags::empty())),
        "root" => println!("{:?}", rustix::process::chroot("/tmp")),
        other => panic!("{other} is nothing that can be tried"),
    }
}

/// Sockets, threads, clocks and files to be read: what a broker does all day.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || TcpStream::connect(address).unwrap().write_all(b"over tcp").unwrap());
    let mut text = String::new();
    listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    client.join().unwrap();
    let (mut one, mut other) = UnixStream::pair().unwrap();
    one.write_all(b", over a pair").unwrap();
    drop(one);
    other.read_to_string(&mut text).unwrap();
    let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap();
    let data = rustix::event::epoll::EventData::new_u64(7);
    rustix::event::epoll::add(&epoll, &other, data, rustix::event::epoll::EventFlags::IN).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1));
    let name = std::fs::read_to_string("/proc/sys/kernel/ostype").unwrap();
    format!("{text}, on {}", name.trim())
}

fn change(folder: &Path, writable: &Path) -> String {
    let number = |result: std::io::Result<()>| result.err().and_then(|error| error.raw_os_error());
    let tries = [
        std::fs::write(writable.join("file"), "x"),
        std::fs::create_dir(writable.join("folder")),
        std::fs::write(folder.join("new"), "x"),
        std::fs::write(folder.join("file"), "x"),
        std::fs::remove_file(folder.join("file")),
        std::fs::rename(writable.join("file"), folder.join("moved")),
        std::fs::create_dir(folder.join("folder")),
        std::os::unix::fs::symlink("/", folder.join("link")),
    ];
    format!("{:?}", tries.map(number))
}

fn confined(what: &str) -> (std::process::ExitStatus, String) {
    let folder = folder();
    std::fs::create_dir(folder.path().join("writable")).unwrap();
    std::fs::write(folder.path().join("file"), "good").unwrap();
    let ended = Command::new("/proc/self/exe").args(["confined", what]).arg(folder.path()).output().unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "good");
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    (ended.status, said)
}

fn serves() {
    let (status, said) = confined("serve");
    assert!(status.success() && said.trim() == "over tcp, over a pair, on Linux", "{status} {said}");
}

fn changes() {
    let (status, said) = confined("change");
    let denied = "[None, None, Some(13), Some(13), Some(13), Some(13), Some(13), Some(13)]";
    // Renaming across directories is refused by another name.
    assert!(status.success() && said.trim().replace("Some(18)", "Some(13)") == denied, "{status} {said}");
}

fn starts() {
    let (status, said) = confined("start");
    assert!(status.success() && said.trim() == "Some(PermissionDenied)", "{status} {said}");
}

fn rights() {
    let (status, said) = confined("rights");
    assert!(status.success(), "{said}");
    let bound = if is_root() { &["CapBnd:"][..] } else { &[] };
    for line in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"].iter().chain(bound) {
        assert!(said.contains(&format!("{line}\t0000000000000000")), "{line} {said}");
    }
    assert!(said.contains("NoNewPrivs:\t1") && said.contains("Seccomp:\t2"), "{said}");
}

fn dies() {
    const SIGSYS: i32 = 31;
    for what in ["mount", "unmount", "steal", "root"] {
        let (status, said) = confined(what);
        assert_eq!(status.signal(), Some(SIGSYS), "{what}: {status} {said}");
    }
}
