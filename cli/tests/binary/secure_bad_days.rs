//! Bad days of the secure runtime: programs that misbehave, and machines that lack something. Each ends in a clear result
//! within its limit, nothing runs outside a jail, and everything else goes on.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::ground::{BINARY, Call, Nest, asking, last_result, names_in, results};
use crate::yard::{MODES, WORK, Who, calling, calling_at_once, command, gone, input, manifest, mark, words};

const SMALL: &str = "max_runtime = \"4s\"\nmemory_limit = \"60mb\"\nprocesses_max = 20";

/// Programs that take what they can, all at once, each held by its own limit; one that behaves is served beside them.
#[test]
fn programs_that_take_what_they_can() {
    let descriptors = "python3 -c 'import os\nwhile True: os.open(\"/dev/null\", 0)'";
    let cases: [(&str, &[i32], &[&str]); 8] = [
        ("yes | head -c 10G", &[137], &["output limit 64 MB exceeded", "runtime limit 4 s exceeded"]),
        ("trap '' TERM INT HUP QUIT; sleep 600", &[137], &["runtime limit 4 s exceeded"]),
        ("while :; do :; done", &[137], &["runtime limit 4 s exceeded", "cpu limit", "processor time limit"]),
        ("dd if=/dev/zero of=/tmp/x bs=1M count=3000", &[1, 137], &["No space left", "memory limit 60 MiB exceeded"]),
        (descriptors, &[1], &["Too many open files"]),
        ("b() { b | b & b; }; b", &[2, 137], &["Cannot fork", "runtime limit 4 s exceeded", "memory limit"]),
        ("head -c 500m /dev/zero | tail >/dev/null", &[1, 137], &["memory limit 60 MiB exceeded", "memory exhausted"]),
        ("(setsid sh -c 'sleep 600' >/dev/null 2>&1 &); echo left >&2", &[0], &["left"]),
    ];
    for who in Who::all() {
        let nest = Nest::new();
        let path = manifest(&nest, SMALL);
        who.owns(&nest);
        let marks: Vec<String> = cases.iter().map(|_| mark()).collect();
        let start = |line: &str, name: &str| {
            let words = ["sandbox", "run", "--manifest", &path, "--", "sh", "-c", line, name];
            who.aether(&nest, &words).input("").start()
        };
        let live: Vec<_> = cases.iter().zip(&marks).map(|((line, ..), mark)| start(line, mark)).collect();
        let behaved = start("echo fine", "behaved").wait().exits(0);
        assert_eq!(behaved.stdout, "fine\n");
        for (live, (line, codes, sayings)) in live.into_iter().zip(&cases) {
            let mut ended = live.wait();
            ended.stdout.truncate(200);
            let code = ended.status.code().unwrap_or(-1);
            assert!(codes.contains(&code), "{who:?} {line}: {ended:#?}");
            assert!(sayings.iter().any(|words| ended.stderr.contains(words)), "{who:?} {line}: {ended:#?}");
        }
        marks.iter().for_each(|mark| gone(mark, 2_000));
        assert!(nest.names().is_empty(), "{:?}", nest.names());
        start("echo still fine", "after").wait().exits(0).answers("still fine");
    }
}

/// The same as a model meets it, in both modes.
#[test]
fn what_a_model_is_told_of_them() {
    for who in Who::all() {
        for mode in MODES {
            let mark = mark();
            let timed = |line: String| input(json!({ "command": line, "seconds": 2 }));
            let calls = [
                command("yes no more of this | head -c 10G"),
                timed(format!("trap '' TERM INT; (setsid sleep {mark} &); sleep {mark}")),
                command("echo fine"),
                timed(format!("(setsid sleep {mark} >/dev/null 2>&1 &); echo left")),
            ];
            let calls: Vec<(&str, &str)> = calls.iter().map(|input| ("shell", input.as_str())).collect();
            let server = calling_at_once(&calls);
            let nest = asking(&server);
            who.aether(&nest, &words(&[&["run", "go"], mode, WORK])).run().exits(0);
            let told = results(&server.requests()[1]);
            assert!(told[0].ends_with("[killed: output limit 64 MB exceeded]") && told[0].len() < 40_000, "{mode:?}");
            assert_eq!(told[1], "error: [killed: runtime limit 2 s exceeded]", "{who:?} {mode:?}");
            assert_eq!((told[2].as_str(), told[3].as_str()), ("fine\n", "left\n"), "{who:?} {mode:?}");
            gone(&mark, 2_000);
            assert!(nest.names().is_empty());
        }
    }
}

/// The program in a world of its own that this script makes; it ends with `exec "$@"` or the like.
fn in_a_world(nest: &Nest, flags: &str, script: &str, words: &[&str]) -> Call {
    let all: Vec<&str> = [flags, "sh", "-euc", script, "sh", BINARY].into_iter().chain(words.iter().copied()).collect();
    nest.through("unshare", &all)
}

/// Whether a test may make such worlds; only root can.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("only root can take the machine away from a program: this test shows nothing here");
    }
    is_root
}

/// A run whose model calls `touch ran` and then `calculate`, in this world; gives what the model was told.
#[track_caller]
fn run_in(flags: &str, script: &str, mode: &[&str]) -> (Nest, Vec<String>) {
    let server = calling(&[("shell", &command("touch ran; echo it ran")), ("calculate", r#"{"expression":"6*7"}"#)]);
    let nest = asking(&server);
    // One that did not come as far as the first question tells why by itself.
    in_a_world(&nest, flags, script, &words(&[&["run", "go"], mode, WORK])).run().exits(0);
    let told = results(server.requests().last().expect("a request"));
    (nest, told)
}

/// Nobody's world: only user 0 or user 1000 exists, and no user namespace can be made in it any more.
const FORBIDDEN_TO_ROOT: &str = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"";
const FORBIDDEN_TO_OTHERS: &str = "flag=$HOME/flag; rm -f $flag.*; ( until [ -e $flag.made ]; do sleep 0.01; done; \
     echo 0 > /proc/sys/user/max_user_namespaces; touch $flag.set ) & \
     exec unshare --user --map-user=1000 sh -c 'touch $0.made; until [ -e $0.set ]; do sleep 0.01; done; exec \"$@\"' $flag \"$@\"";

/// No namespaces: nothing untrusted runs, the error says what to do, and the rest of the conversation goes on.
#[test]
fn where_namespaces_are_forbidden_nothing_runs() {
    let possible = Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|status| status.success());
    if !possible {
        eprintln!("no user namespaces on this system: there are none to forbid");
        return;
    }
    for script in [FORBIDDEN_TO_ROOT, FORBIDDEN_TO_OTHERS] {
        for mode in MODES {
            let (nest, told) = run_in("-Ur", script, mode);
            assert!(told[0].starts_with("error: SANDBOX_UNAVAILABLE: "), "{mode:?}: {told:#?}");
            assert!(told[0].contains("this machine cannot give") && told[0].contains("aether doctor"), "{told:#?}");
            assert_eq!(told[1], "42", "{told:#?}");
            assert!(nest.names().is_empty(), "{mode:?}: {:?}", nest.names());
        }
        let nest = Nest::new();
        let ended = in_a_world(&nest, "-Ur", script, &["sandbox", "run", "--", "touch", "ran"]).run().exits(1);
        ended.says("SANDBOX_UNAVAILABLE");
        assert!(nest.names().is_empty());
        // A jail without namespaces may be possible; that nothing runs in it until policy allows it, the call above shows.
        let doctor = in_a_world(&nest, "-Ur", script, &["doctor"]).run();
        let without = doctor.stdout.contains("note     sandbox") && doctor.stdout.contains("tier B");
        let nothing = doctor.stdout.contains("broken   sandbox");
        assert!((without || nothing) && doctor.stdout.contains("-> "), "{doctor:#?}");
    }
    let server = calling(&[("shell", &command("touch ran"))]);
    let nest = asking(&server);
    let talk = words(&[&["chat", "--kernel", "--no-save"], WORK]);
    in_a_world(&nest, "-Ur", FORBIDDEN_TO_ROOT, &talk).input("first\nsecond\n").run().exits(0);
    assert_eq!(server.requests().len(), 3, "the second message was answered, too");
    assert!(nest.names().is_empty());
}

/// Without `/proc` nothing runs that has to be held, and the reason is told.
#[test]
fn without_proc_nothing_runs() {
    if !is_root() {
        return;
    }
    for mode in MODES {
        let server = calling(&[("shell", &command("touch ran"))]);
        let nest = asking(&server);
        let script = "mount -t tmpfs none /proc; exec \"$@\"";
        let ended = in_a_world(&nest, "-m", script, &words(&[&["run", "go"], mode, WORK])).run();
        assert!(nest.names().is_empty(), "{mode:?}: {ended:#?}");
        let told = if server.requests().len() > 1 { last_result(&server) } else { ended.stderr };
        assert!(told.contains("/proc"), "{mode:?}: {told}");
    }
}

/// A control group file system that cannot be written: programs run, and their memory is held another way.
#[test]
fn without_control_groups_memory_is_held_all_the_same() {
    if !is_root() {
        return;
    }
    let script = "for place in $(grep -o ' /sys/fs/cgroup[^ ]*' /proc/self/mounts); do mount -o remount,bind,ro $place; done; exec \"$@\"";
    for mode in MODES {
        let (nest, told) = run_in("-m", script, mode);
        assert_eq!((told[0].as_str(), told[1].as_str()), ("it ran\n", "42"), "{mode:?}");
        assert_eq!(nest.names(), ["ran"]);
    }
    let nest = Nest::new();
    let path = manifest(&nest, SMALL);
    let line = "import time\nx = []\nwhile True: x.append(bytearray(1 << 20)); time.sleep(0.001)";
    let greedy = ["sandbox", "run", "--manifest", &path, "--", "python3", "-c", line];
    let ended = in_a_world(&nest, "-m", script, &greedy).run();
    assert_ne!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.stderr.contains("memory limit 60 MiB") || ended.stderr.contains("MemoryError"), "{ended:#?}");
    in_a_world(&nest, "-m", script, &["doctor"]).run().exits(0).answers("read-only").answers("tier A");
}

/// Starts a program under a filter that answers one system call as a kernel does that does not have it (`seccomp(2)`).
const WITHOUT_CALL: &str = "import ctypes, os, struct, sys
def op(code, yes, no, k): return struct.pack('HBBI', code, yes, no, k)
code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, int(sys.argv[1])) + op(0x06, 0, 0, 0x00050026) + op(0x06, 0, 0, 0x7FFF0000)
held = ctypes.create_string_buffer(code)
class Program(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]
program = Program(len(code) // 8, ctypes.addressof(held))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
";

/// The program on a kernel without one system call; numbers below are the same on all architectures that it runs on.
fn without_call(nest: &Nest, number: &str, words: &[&str]) -> Call {
    let all: Vec<&str> = ["-c", WITHOUT_CALL, number, BINARY].into_iter().chain(words.iter().copied()).collect();
    nest.through("python3", &all)
}

/// Without Landlock the mounts hold by themselves, and it is said.
#[test]
fn without_landlock_mounts_hold() {
    for mode in MODES {
        let server = calling(&[("shell", &command("touch ran; touch /usr/ran; cat ~/../home/x; ls /root /home"))]);
        let nest = asking(&server);
        without_call(&nest, "444", &words(&[&["run", "go"], mode, WORK])).run().exits(0);
        let told = last_result(&server);
        assert!(told.contains("Read-only file system") && told.matches("No such file").count() == 3, "{told}");
        assert_eq!(nest.names(), ["ran"]);
    }
    let nest = Nest::new();
    let ended = without_call(&nest, "444", &["doctor"]).run().exits(0);
    assert!(ended.stdout.contains("landlock") && ended.stdout.contains("lsm=landlock"), "{ended:#?}");
}

/// A kernel that lacks what every jail needs: nothing runs, the step is named, and the conversation goes on.
#[test]
fn on_an_old_kernel_nothing_runs() {
    // clone3, open_tree, mount_setattr.
    for number in ["435", "428", "442"] {
        for mode in MODES {
            let server = calling(&[("shell", &command("touch ran")), ("calculate", r#"{"expression":"6*7"}"#)]);
            let nest = asking(&server);
            let ended = without_call(&nest, number, &words(&[&["run", "go"], mode, WORK])).run().exits(0);
            let told = results(server.requests().last().expect("a request"));
            let is_clear = told[0].contains("so nothing ran") || told[0].contains("SANDBOX_UNAVAILABLE");
            assert!(is_clear && told[0].contains("aether doctor"), "{number} {mode:?}: {told:#?} {ended:#?}");
            assert_eq!(told[1], "42");
            assert!(nest.names().is_empty(), "{number} {mode:?}");
        }
    }
}

/// A machine without `/tmp`, and one where nothing in it can be executed.
#[test]
fn without_a_usable_tmp_programs_run() {
    if !is_root() {
        return;
    }
    let noexec = "mount --bind /tmp /tmp; mount -o remount,bind,noexec /tmp; exec \"$@\"";
    let missing = "n=/mnt; mount -t tmpfs none $n; cd $n; mkdir usr etc sys dev proc nest old; \
         for part in usr etc sys dev proc; do mount --rbind /$part $part; done; \
         for part in bin sbin lib lib64; do ln -s usr/$part $part; done; \
         mount --bind \"$HOME/..\" nest; touch aether; mount --bind \"$1\" aether; shift; \
         pivot_root . old; umount -l /old; cd /nest/workspace; [ ! -e /tmp ]; HOME=/nest/home exec /aether \"$@\"";
    for script in [noexec, missing] {
        if script == noexec && std::path::Path::new(BINARY).starts_with("/tmp") {
            continue;
        }
        for mode in MODES {
            let (nest, told) = run_in("-m", script, mode);
            assert_eq!((told[0].as_str(), told[1].as_str()), ("it ran\n", "42"), "{mode:?}");
            assert_eq!(nest.names(), ["ran"], "{mode:?}");
        }
    }
}

/// What has to be in the audit log before it happens does not happen where there is no room for the line.
#[test]
fn on_a_full_disk_nothing_is_executed() {
    let script = "data=$HOME/.local/share/aether; mkdir -p $data; mount -t tmpfs -o size=16k none $data; \
                  head -c 100k /dev/zero > $data/full 2>/dev/null || true; exec \"$@\"";
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    for mode in MODES {
        let server = calling(&[("shell", &command("touch ran")), ("calculate", r#"{"expression":"6*7"}"#)]);
        let nest = asking(&server);
        let ended = in_a_world(&nest, flags, script, &words(&[&["run", "go"], mode, WORK])).run();
        let told = server.requests().last().map(results).unwrap_or_default();
        assert!(nest.names().is_empty(), "{mode:?}: {ended:#?} {told:#?}");
        assert!(told[0].contains("audit") && !told[0].contains("ran\n"), "{mode:?}: {told:#?}");
        assert_eq!(told[1], "42", "{mode:?}: {told:#?}");
    }
    let nest = Nest::new();
    let ended = in_a_world(&nest, flags, script, &["sandbox", "run", "--", "touch", "ran"]).run().exits(1);
    ended.says("audit");
    assert!(names_in(&nest.workspace()).is_empty());
    assert!(fs::read_dir(nest.home()).is_ok());
}
