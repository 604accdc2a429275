//! What the program is held to (J4), and its network.

use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use aether_jail::{Access, Breach, Guarantees, Network, Status, Streams, Strength};

use crate::harness::{Test, command, folder, granted, null, output, own, run, says, shell, spawner, start_into, text};

pub(crate) const TESTS: &[Test] = &[
    ("codes_and_signals_come_back", codes),
    ("j4_the_environment_is_the_plans", environment),
    ("j4_there_is_no_right_left", rights),
    ("j4_forbidden_calls_end_everything_with_their_name", forbidden),
    ("j4_after_a_forbidden_call_nothing_runs_on", at_once),
    ("j4_no_socket_leads_out", sockets),
    ("j4_descriptors_are_those_that_were_given", descriptors),
    ("a_brokered_jail_reaches_its_gateway_and_nothing_else", gateway),
    ("a_plan_larger_than_a_packet_arrives", large),
    ("a_jail_made_ahead_is_the_same", parked),
    ("fifty_at_once", fifty),
];

fn codes() {
    let spawner = spawner();
    assert_eq!(run(&spawner, &command(&["/bin/true"])).0.status, Status::Exited(0));
    assert_eq!(run(&spawner, &command(&["/bin/false"])).0.status, Status::Exited(1));
    assert_eq!(run(&spawner, &shell("exit 77")).0.status, Status::Exited(77));
    assert_eq!(run(&spawner, &shell("kill -11 $$")).0.status, Status::Signaled(11));
    assert_eq!(run(&spawner, &shell("kill -9 $$")).0.status, Status::Signaled(9));
    assert_eq!(says(&spawner, &shell("sleep 0.05; echo out; echo err >&2")), "out\nerr");
}

fn environment() {
    let spawner = spawner();
    let mut plan = command(&["/usr/bin/env"]);
    plan.command.env = vec![("ONE".into(), "1".into()), ("TWO".into(), "a b=c".into())];
    assert_eq!(says(&spawner, &plan), "ONE=1\nTWO=a b=c");
    plan.command.env.clear();
    assert_eq!(says(&spawner, &plan), "");
    let seen = says(&spawner, &shell("ulimit -c; umask; trap; cat /proc/self/stat | cut -d' ' -f6"));
    assert!(seen.starts_with("0\n0077"), "{seen}");
}

fn rights() {
    let spawner = spawner();
    let seen = says(&spawner, &shell("cat /proc/self/status"));
    for line in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert!(seen.contains(&format!("{line}\t0000000000000000")), "{line} {seen}");
    }
    assert!(seen.contains("NoNewPrivs:\t1") && seen.contains("Seccomp:\t2"), "{seen}");
    assert!(seen.contains("SigBlk:\t0000000000000000") && seen.contains("SigIgn:\t0000000000000000"), "{seen}");
}

fn forbidden() {
    let spawner = spawner();
    for (script, name) in [
        ("unshare -U true; echo survived", "unshare"),
        ("(unshare -U true; sleep 9) & wait; echo survived", "unshare"),
        ("mount -t tmpfs none /tmp; echo survived", "mount"),
    ] {
        let (ended, seen) = run(&spawner, &shell(script));
        // Newer tools mount in other ways.
        let is_it = matches!(&ended.breach, Some(Breach::Syscall { name: found })
            if found == name || ["fsopen", "open_tree", "mount_setattr"].contains(&found.as_str()));
        assert!(is_it && !seen.contains("survived"), "{script}: {ended:?} {seen}");
    }
}

/// From the moment of a forbidden call nothing goes on, whichever thread it is in.
fn at_once() {
    let spawner = spawner();
    let script = "import ctypes, threading\nlibc = ctypes.CDLL(None)\ndef act():\n  libc.unshare(0x10000000)\n  \
                  print('ran on', flush=True)\nall = [threading.Thread(target=act) for _ in range(8)]\n\
                  for one in all: one.start()\nfor one in all: one.join()\nprint('ran on')";
    for _ in 0..15 {
        let (ended, seen) = run(&spawner, &command(&["/usr/bin/python3", "-c", script]));
        assert_eq!((ended.breach, seen.as_str()), (Some(Breach::Syscall { name: "unshare".into() }), ""));
    }
}

fn sockets() {
    let spawner = spawner();
    let folder = folder();
    let path = folder.path().join("deep/deeper/socket");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _listener = UnixListener::bind(&path).unwrap();
    let (_kept, mut plan) = own(&["sockets", "/given/deep/deeper/socket"]);
    plan.binds.push(granted(folder.path(), "/given", Access::Read));
    assert_eq!(says(&spawner, &plan), "Some(1) Some(1) None");
    let near = folder.path().join("near");
    let _other = UnixListener::bind(near).unwrap();
    let error = start_into(&spawner, &plan, &output()).err().unwrap().to_string();
    assert!(error.contains("has the socket near"), "{error}");
    plan.guarantees = Guarantees { sockets_absent: Strength::Approximate, ..Guarantees::default() };
    assert_eq!(says(&spawner, &plan), "Some(1) Some(1) None");
}

fn descriptors() {
    let spawner = spawner();
    let plan = shell("read line <&3; echo $line; read line <&4; echo $line");
    let out = output();
    let mut extra = output();
    extra.write_all(b"given\n").unwrap();
    extra.seek(std::io::SeekFrom::Start(0)).unwrap();
    let copy = || -> OwnedFd { out.try_clone().unwrap().into() };
    let streams = Streams { stdin: null(), stdout: copy(), stderr: copy(), extra: vec![extra.into(), null()] };
    spawner.spawn(&plan, streams).unwrap().wait().unwrap();
    assert_eq!(text(&out).trim(), "given");
}

fn gateway() {
    let spawner = spawner();
    let (_kept, mut plan) = own(&["connect", "93.184.216.34:443"]);
    plan.network = Network::Brokered { ports: vec![80, 443] };
    let out = output();
    let mut sandbox = start_into(&spawner, &plan, &out).unwrap();
    let gateway = sandbox.take_gateway().unwrap();
    assert!(sandbox.take_gateway().is_none());
    let ports: Vec<u16> = gateway.listeners.iter().map(|(port, _)| *port).collect();
    assert_eq!(ports, [80, 443]);
    let listener = std::net::TcpListener::from(gateway.listeners.into_iter().nth(1).unwrap().1);
    listener.set_nonblocking(false).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    // The address that was meant is the one that it came to.
    assert_eq!(stream.local_addr().unwrap().to_string(), "93.184.216.34:443");
    stream.write_all(b"hello from outside").unwrap();
    drop(stream);
    assert_eq!(sandbox.wait().unwrap().status, Status::Exited(0));
    assert_eq!(text(&out).trim(), "hello from outside");

    plan.command.args[3] = "93.184.216.34:8080".into();
    assert!(says(&spawner, &plan).contains("refused"));
    plan.command.args[3] = "[::1]:443".into();
    assert!(says(&spawner, &plan).contains("unreachable") || says(&spawner, &plan).contains("assign"));

    let (_kept, mut plan) = own(&["ask", "127.0.0.53:53"]);
    plan.network = Network::Brokered { ports: vec![] };
    let out = output();
    let mut sandbox = start_into(&spawner, &plan, &out).unwrap();
    let resolver = std::net::UdpSocket::from(sandbox.take_gateway().unwrap().dns_udp);
    resolver.set_nonblocking(false).unwrap();
    let mut space = [0; 64];
    let (length, from) = resolver.recv_from(&mut space).unwrap();
    assert_eq!(&space[..length], b"question");
    resolver.send_to(b"answer", from).unwrap();
    assert_eq!(sandbox.wait().unwrap().status, Status::Exited(0));
    assert_eq!(text(&out).trim(), "answer from 127.0.0.53:53");
    let mut plan = shell("cat /etc/resolv.conf");
    plan.network = Network::Brokered { ports: vec![443] };
    assert_eq!(says(&spawner, &plan), "nameserver 127.0.0.53");
}

fn large() {
    let spawner = spawner();
    let mut plan = shell("echo ${#1} $#");
    plan.command.args.push("sh".into());
    plan.command.args.extend((0..20).map(|_| "x".repeat(100_000).into()));
    assert_eq!(says(&spawner, &plan), "100000 20");
}

fn parked() {
    let spawner = spawner();
    let (_kept, pattern) = own(&["descriptors"]);
    spawner.park(&pattern, 2).unwrap();
    for round in 0..8 {
        let mut plan = pattern.clone();
        assert_eq!(says(&spawner, &plan), "[0, 1, 2]");
        plan.command = shell(&format!("echo {round}; echo $$; kill -9 -1; pwd; touch /tmp/x; ls /tmp")).command;
        plan.command.cwd = "/usr".into();
        let seen = says(&spawner, &plan);
        assert_eq!(seen.lines().last(), Some("x"), "each is used once: {seen}");
        assert!(seen.contains("\n/usr\n"), "{seen}");
    }
    let mut plan = pattern.clone();
    plan.command.program = "/nothing".into();
    let error = start_into(&spawner, &plan, &output()).err().unwrap().to_string();
    assert!(error.contains("execute /nothing"), "{error}");
    plan.command = shell("while :; do :; done").command;
    let mut limited = plan.clone();
    limited.limits.runtime_ms_max = 300;
    spawner.park(&limited, 1).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let (ended, _) = run(&spawner, &limited);
    assert_eq!(ended.breach, Some(Breach::Runtime { runtime_ms_max: 300 }), "the clock starts with the program");
    spawner.park(&pattern, 0).unwrap();
    spawner.park(&limited, 0).unwrap();
}

fn fifty() {
    let spawner = spawner();
    let mut all: Vec<_> = (0..50)
        .map(|index| {
            let out = output();
            let plan = shell(&format!("sleep 0.3; echo {index}"));
            (start_into(&spawner, &plan, &out).unwrap_or_else(|error| panic!("{error}")), out)
        })
        .collect();
    let mut ids: Vec<u64> = all.iter().map(|(sandbox, _)| sandbox.id()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    for (index, (sandbox, out)) in all.iter_mut().enumerate() {
        assert_eq!(sandbox.wait().unwrap().status, Status::Exited(0));
        assert_eq!(text(out).trim(), index.to_string());
    }
}
