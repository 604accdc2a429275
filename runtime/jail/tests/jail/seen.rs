//! What is seen from inside (J1), and who the program is (J8).

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use aether_jail::{Access, Execute, Strength};

use crate::harness::{Test, folder, granted, is_root, marker, own, processes, run, says, shell, soon, spawner, start};

pub(crate) const TESTS: &[Test] = &[
    ("j1_the_root_has_nothing_but_what_is_granted", root),
    ("j1_settings_are_the_jails_own", settings),
    ("j1_read_only_stays_read_only", read_only),
    ("j1_what_is_written_belongs_to_the_owner_of_the_grant", written),
    ("j1_files_of_others_stay_theirs", others),
    ("j1_no_program_runs_from_a_writable_grant", no_execution),
    ("j1_processes_of_the_host_are_not_seen", no_processes),
    ("j1_scratch_is_shared_with_shared_memory_and_has_an_end", scratch),
    ("j8_the_program_is_nobody_special", user),
];

fn root() {
    let spawner = spawner();
    let seen = says(&spawner, &shell("echo /*; ls -a /home /root /work /var 2>&1; cat /etc/shadow 2>&1; true"));
    for secret in ["/home", "/root", "/work", "/mnt", "/boot", "/sys"] {
        assert!(!seen.lines().next().unwrap().split(' ').any(|path| path == secret), "{seen}");
    }
    assert!(seen.contains("/etc/shadow: No such file"), "{seen}");
    assert!(says(&spawner, &shell("ls -l /bin/sh && readlink /dev/fd && ls /dev")).contains("/proc/self/fd"));
    let (ended, text) = run(&spawner, &shell("mkdir /new; echo > /etc/passwd; echo > /usr/x; rm /etc/hosts"));
    assert_ne!(ended.status, aether_jail::Status::Exited(0));
    assert_eq!(text.matches("Read-only file system").count() + text.matches("Permission denied").count(), 4, "{text}");
}

fn settings() {
    let spawner = spawner();
    let seen = says(&spawner, &shell("cat /etc/hosts /etc/hostname; hostname; ls /etc/resolv.conf 2>&1; id; echo ~"));
    assert!(seen.contains("127.0.0.1 localhost aether\naether\naether\n"), "{seen}");
    assert!(seen.contains("resolv.conf': No such") || seen.contains("resolv.conf: No such"), "{seen}");
    assert!(seen.contains("uid=1000(aether) gid=1000(aether)"), "{seen}");
}

fn read_only() {
    let spawner = spawner();
    let folder = folder();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    let mut plan = shell(
        "cat /given/file; echo x > /given/file; echo y > /given/new; rm /given/file; mv /given/file /given/b; true",
    );
    plan.binds.push(granted(folder.path(), "/given", Access::Read));
    let seen = says(&spawner, &plan);
    assert!(seen.starts_with("text") && seen.matches("Read-only file system").count() >= 4, "{seen}");
    assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "text");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn written() {
    let spawner = spawner();
    let folder = folder();
    if is_root() {
        std::os::unix::fs::chown(folder.path(), Some(4321), Some(4322)).unwrap();
    }
    let mut plan =
        shell("stat -c '%u %g' /w; echo hello > /w/a && mkdir /w/b && mv /w/a /w/b/c && ln -s c /w/b/d && cat /w/b/d");
    plan.binds.push(granted(folder.path(), "/w", Access::Write));
    assert_eq!(says(&spawner, &plan), "1000 1000\nhello");
    let (made, owner) = (folder.path().join("b/c").metadata().unwrap(), folder.path().metadata().unwrap());
    assert_eq!((made.uid(), made.gid()), (owner.uid(), owner.gid()));
    assert_eq!(made.uid(), if is_root() { 4321 } else { rustix::process::getuid().as_raw() });
}

fn others() {
    if !is_root() {
        // An ordinary user cannot make a file of another: there, the kernel's own rule is all there is.
        return;
    }
    let spawner = spawner();
    let folder = folder();
    std::os::unix::fs::chown(folder.path(), Some(4321), Some(4322)).unwrap();
    for (name, owner, mode) in [("own", 4321, 0o600), ("closed", 0, 0o600), ("open", 0, 0o644), ("wide", 7, 0o666)] {
        let path = folder.path().join(name);
        std::fs::write(&path, name).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut plan =
        shell("cd /w; cat own open wide; cat closed 2>&1; (echo >> closed) 2>&1; chmod 666 closed 2>&1; true");
    plan.binds.push(granted(folder.path(), "/w", Access::Write));
    let seen = says(&spawner, &plan);
    assert!(seen.starts_with("ownopenwide"), "{seen}");
    assert!(seen.contains("cat: closed: Permission denied"), "{seen}");
    assert_eq!(std::fs::read_to_string(folder.path().join("closed")).unwrap(), "closed");
    assert_eq!(folder.path().join("closed").metadata().unwrap().mode() & 0o777, 0o600);
}

fn no_execution() {
    let spawner = spawner();
    let folder = folder();
    let script = "cp /bin/true /w/t; /w/t; echo $?; cp /bin/true /tmp/t; /tmp/t; echo $?; \
                  l=$(ls /lib64/ld-* /lib/ld-linux-* 2>/dev/null | head -1); $l /w/t; echo $?";
    let mut plan = shell(script);
    plan.binds.push(granted(folder.path(), "/w", Access::Write));
    let seen = says(&spawner, &plan);
    assert_eq!(seen.matches("Permission denied").count(), 2, "{seen}");
    assert!(!seen.lines().any(|line| line == "0"), "{seen}");
    plan.binds.last_mut().unwrap().execute = Execute::Allowed;
    assert!(says(&spawner, &plan).lines().any(|line| line == "0"));
}

fn no_processes() {
    let spawner = spawner();
    let seen = says(&spawner, &shell("echo $$; ls -d /proc/[0-9]*; ls /proc | wc -l; kill -9 -1 2>&1; echo still"));
    let count = seen.lines().filter(|line| line.starts_with("/proc/")).count();
    assert!(count <= 3, "{seen}");
    assert!(seen.starts_with('2'), "the second process of its namespace: {seen}");
    assert!(
        says(&spawner, &shell("ls /proc/sys /proc/kcore /proc/1/environ 2>&1; true")).matches("No such").count() >= 2
    );
}

fn scratch() {
    let spawner = spawner();
    let mut plan = shell("echo a > /dev/shm/x && ls /tmp/.shm; df -k /tmp | tail -1; head -c 30m /dev/zero > /tmp/big");
    plan.limits.scratch_bytes_max = 1 << 20;
    let (ended, seen) = run(&spawner, &plan);
    assert_ne!(ended.status, aether_jail::Status::Exited(0));
    assert!(seen.contains("No space left"), "{seen}");
    assert!(seen.contains(" 1024 "), "{seen}");
}

fn user() {
    let spawner = spawner();
    let word = marker("user");
    let mut sandbox = start(&spawner, &shell(&format!("sleep {word}"))).unwrap();
    assert_eq!(sandbox.enforcement().process_view, Strength::Exact);
    soon("it sleeps", || !processes(&word).is_empty());
    for process in processes(&word) {
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let ids = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(|id| id.parse().unwrap()).collect()
        };
        let expected = rustix::process::getuid().as_raw();
        let is_right = |id: u32| if is_root() { (0x7000_0000..0x8000_0000).contains(&id) } else { id == expected };
        assert!(ids("Uid:").into_iter().all(is_right), "{status}");
        assert!(!is_root() || ids("Groups:").is_empty(), "{status}");
    }
    sandbox.kill();
    assert_eq!(sandbox.wait().unwrap().status, aether_jail::Status::Signaled(9));
    let (_kept, plan) = own(&["descriptors"]);
    assert_eq!(says(&spawner, &plan), "[0, 1, 2]");
}
