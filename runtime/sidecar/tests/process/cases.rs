//! The life of a sidecar, from its start to every kind of end.

use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aether_core::capability::Capability;
use aether_core::tool::Limits;
use aether_proto::{Answer, Hello};
use aether_sidecar::{Call, Event, Finished, Notice, Options, Outcome, Piece, SIDECAR_WORD, Sidecar, SidecarError};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, wait};
use zeroize::Zeroizing;

use crate::house::descriptors;

/// Every case by name.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("it_starts_answers_and_stops_without_a_trace", it_starts_answers_and_stops_without_a_trace),
    ("it_inherits_nothing_and_keeps_to_itself", it_inherits_nothing_and_keeps_to_itself),
    ("ends_of_every_kind_come_through", ends_of_every_kind_come_through),
    ("killed_in_mid_call_it_says_so_and_starts_again", killed_in_mid_call_it_says_so_and_starts_again),
    ("a_call_that_kills_it_is_not_sent_again", a_call_that_kills_it_is_not_sent_again),
    ("it_is_gone_when_its_parent_is_killed", it_is_gone_when_its_parent_is_killed),
    ("it_is_gone_when_its_parent_is_killed_while_it_is_stuck", it_is_gone_when_its_parent_is_killed_while_it_is_stuck),
    ("a_start_that_fails_says_why_and_leaves_nothing", a_start_that_fails_says_why_and_leaves_nothing),
    ("one_that_fails_again_and_again_is_left_alone", one_that_fails_again_and_again_is_left_alone),
    ("two_hundred_calls_at_once", two_hundred_calls_at_once),
    ("pieces_come_in_order_and_whole", pieces_come_in_order_and_whole),
    ("giving_up_reaches_the_worker", giving_up_reaches_the_worker),
    ("stopping_lets_calls_end", stopping_lets_calls_end),
    ("stopping_one_that_is_stuck_ends_in_time", stopping_one_that_is_stuck_ends_in_time),
    ("dropping_kills_at_once", dropping_kills_at_once),
    ("whoever_has_another_certificate_is_not_served", whoever_has_another_certificate_is_not_served),
    ("a_wrong_hello_ends_it", a_wrong_hello_ends_it),
    ("started_by_hand_it_refuses", started_by_hand_it_refuses),
    ("a_thousand_calls_leave_nothing", a_thousand_calls_leave_nothing),
    ("a_thousand_starts_leave_nothing", a_thousand_starts_leave_nothing),
];

fn play<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

fn options(settings: &str) -> Options {
    Options { settings: Zeroizing::new(settings.as_bytes().to_vec()), ..Options::default() }
}

fn call(tool: &str, input: &str) -> Call {
    Call {
        tool: tool.into(),
        input: input.into(),
        task: 1,
        capability: Capability::default(),
        limits: Limits::BUILTIN,
        session: None,
    }
}

async fn finish(sidecar: &Sidecar, tool: &str, input: &str) -> Result<Finished, SidecarError> {
    sidecar.run(call(tool, input)).await?.finish(|_| ()).await
}

/// Runs until its first piece.
async fn begin(sidecar: &Sidecar, tool: &str) -> aether_sidecar::Running {
    let mut running = sidecar.run(call(tool, "")).await.unwrap();
    assert!(matches!(running.next().await.unwrap(), Event::Piece(Piece::Stdout(_))));
    running
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

fn is_alive(id: u32) -> bool {
    test_kill_process(pid(id)).is_ok()
}

/// That this process has no child, alive or dead.
fn no_child() {
    assert_eq!(wait(WaitOptions::NOHANG).err(), Some(rustix::io::Errno::CHILD));
}

fn it_starts_answers_and_stops_without_a_trace() {
    // S6
    // The first runtime of a process makes what all of them share, and keeps it.
    play(async {});
    let before = descriptors();
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let process = sidecar.process().unwrap();
        assert_eq!(finish(&sidecar, "echo", "\u{1f512}").await.unwrap().text, "\u{1f512}");
        let health = sidecar.status().await.unwrap();
        assert_eq!((health.in_flight, health.calls_total), (0, 1));
        assert!(health.text.starts_with("hanging 0, ran 1"));
        sidecar.close("any").await.unwrap();
        let began = Instant::now();
        sidecar.stop().await;
        assert!(began.elapsed() < Duration::from_secs(1));
        assert!(!is_alive(process));
        no_child();
    });
    // The thread that kept the process closes its ends when it is over, which may be a moment later.
    let end = Instant::now() + Duration::from_secs(2);
    while descriptors() != before && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(descriptors(), before);
}

fn it_inherits_nothing_and_keeps_to_itself() {
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let inherited = finish(&sidecar, "inherited", "").await.unwrap().text;
        // Its log, `/dev/null` twice, and the two sockets by their new numbers; and one thread, so that it may fork.
        assert!(inherited.starts_with("descriptors 0 /dev/null,1 /dev/null,2 pipe,"), "{inherited}");
        assert!(inherited.ends_with("; 1 threads") && inherited.matches("socket").count() == 2, "{inherited}");
        let itself = finish(&sidecar, "self", "").await.unwrap().text;
        assert_eq!(
            itself,
            format!(
                "0 variables; in /; own session; dumpable NotDumpable; umask 63; core Some(0); arguments {:?}",
                ["aether", SIDECAR_WORD]
            )
        );
        sidecar.stop().await;
    });
}

fn ends_of_every_kind_come_through() {
    // S3
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let breach = finish(&sidecar, "breach", "").await.unwrap();
        assert_eq!((breach.outcome, breach.signal, breach.usage.cpu_ms), (Outcome::Breach, Some(9), 2));
        assert_eq!((&*breach.breach, &*breach.enforcement), ("memory limit 20 MB exceeded", "memory: approximate"));
        let unknown = finish(&sidecar, "nothing", "").await.unwrap_err();
        assert_eq!(unknown.to_string(), "there is no tool `nothing`");
        let odd = finish(&sidecar, "No Tool", "").await.unwrap_err();
        assert!(matches!(odd, SidecarError::Refused { reason, .. } if reason == "proof-malformed"));
        for _ in 0..500 {
            if !sidecar.log().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(sidecar.log(), "refused: refused: there is no tool `nothing`");
        sidecar.stop().await;
    });
}

fn killed_in_mid_call_it_says_so_and_starts_again() {
    // S3
    let before = descriptors();
    let notices = Arc::new(Mutex::new(Vec::new()));
    play(async {
        let seen = notices.clone();
        let options =
            Options { notice: Some(Arc::new(move |notice| seen.lock().unwrap().push(notice))), ..options("") };
        let sidecar = Sidecar::start(options).await.unwrap();
        let first = sidecar.process().unwrap();
        let mut running = begin(&sidecar, "hang").await;
        kill_process(pid(first), Signal::KILL).unwrap();
        let began = Instant::now();
        let error = running.next().await.unwrap_err();
        assert!(began.elapsed() < Duration::from_millis(500));
        assert_eq!(error.to_string(), "the secure runtime stopped; nothing of this call is known to have finished");
        assert_eq!(finish(&sidecar, "echo", "again").await.unwrap().text, "again");
        assert_ne!(sidecar.process().unwrap(), first);
        assert!(sidecar.status().await.unwrap().text.starts_with("hanging 0, ran 1"));
        sidecar.stop().await;
        no_child();
    });
    let notices = notices.lock().unwrap();
    assert!(
        matches!(&notices[..], [Notice::Serving { .. }, Notice::Ended(how), Notice::Serving { .. }] if how == "signal: 9 (SIGKILL)"),
        "{notices:?}"
    );
    assert_eq!(descriptors(), before);
}

fn a_call_that_kills_it_is_not_sent_again() {
    // S3
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        assert_eq!(finish(&sidecar, "die", "").await, Err(SidecarError::Stopped));
        // The next one has run nothing.
        assert!(sidecar.status().await.unwrap().text.starts_with("hanging 0, ran 0"));
        sidecar.stop().await;
        no_child();
    });
}

/// Another process that has a sidecar, says its id, and makes the call that is named.
pub(crate) fn as_parent() -> ExitCode {
    let tool = std::env::args().nth(2).unwrap();
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let _running = begin(&sidecar, &tool).await;
        println!("{}", sidecar.process().unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    ExitCode::SUCCESS
}

fn it_is_gone_when_its_parent_is_killed() {
    // S5
    gone_with_its_parent("hang");
}

fn it_is_gone_when_its_parent_is_killed_while_it_is_stuck() {
    // S5
    gone_with_its_parent("block");
}

fn gone_with_its_parent(tool: &str) {
    let mut parent = Command::new("/proc/self/exe").args(["--as-parent", tool]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let sidecar = line.trim().parse().unwrap();
    assert!(is_running(sidecar));
    parent.kill().unwrap();
    let began = Instant::now();
    while is_running(sidecar) {
        assert!(began.elapsed() < Duration::from_millis(100), "it is still there");
        std::thread::sleep(Duration::from_millis(1));
    }
    parent.wait().unwrap();
}

/// Whether a process runs; one that waits to be reaped by somebody else does not.
fn is_running(id: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
    !matches!(status.rsplit(") ").next().and_then(|rest| rest.chars().next()), Some('Z' | 'X'))
}

fn a_start_that_fails_says_why_and_leaves_nothing() {
    // S6
    let before = descriptors();
    play(async {
        let start = async |options| match Sidecar::start(options).await {
            Err(SidecarError::Start { why, log }) => (why, log),
            other => panic!("{other:?}"),
        };
        let (why, log) = start(options("fail worker")).await;
        assert!(why.starts_with("the worker cannot be made: as asked"), "{why}");
        assert!(log.is_empty() || log == "the worker cannot be made: as asked", "{log}");
        assert!(start(options("fail confine")).await.0.starts_with("cannot be confined: as asked"));
        let (why, _) = start(options("exit")).await;
        assert!(why.starts_with("it ended before it was ready"), "{why}");
        let (why, log) = start(options("talk")).await;
        assert!(why.starts_with("it ended before it was ready"), "{why}");
        assert_eq!(log, "something odd \u{fffd}[31m");
        let none = Options { program: "/nowhere/at/all".into(), ..options("") };
        assert!(start(none).await.0.starts_with("/nowhere/at/all: "));
        let other = Options { program: "/bin/true".into(), ..options("") };
        assert!(!start(other).await.0.is_empty());
        let late = Options { start_ms_max: 200, ..options("sleep") };
        let began = Instant::now();
        assert!(start(late).await.0.starts_with("it said nothing in time"));
        assert!(began.elapsed() < Duration::from_secs(1));
        let large = Options { settings: Zeroizing::new(vec![0; 65_537]), ..options("") };
        assert!(start(large).await.0.contains("65537 bytes"));
        no_child();
    });
    assert_eq!(descriptors(), before);
}

fn one_that_fails_again_and_again_is_left_alone() {
    // S4
    let notices = Arc::new(Mutex::new(Vec::new()));
    play(async {
        let seen = notices.clone();
        let options = Options {
            failures_max: 3,
            rest_ms: 400,
            notice: Some(Arc::new(move |notice| seen.lock().unwrap().push(notice))),
            ..options("")
        };
        let sidecar = Sidecar::start(options).await.unwrap();
        for _ in 0..3 {
            assert_eq!(finish(&sidecar, "die", "").await, Err(SidecarError::Stopped));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let error = sidecar.run(call("echo", "")).await.err().unwrap();
        assert!(matches!(error, SidecarError::Broken { failures: 3, .. }), "{error:?}");
        assert!(error.to_string().contains("failed 3 times in a row"));
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(finish(&sidecar, "echo", "rested").await.unwrap().text, "rested");
        sidecar.stop().await;
        no_child();
    });
    let notices = notices.lock().unwrap();
    assert_eq!(notices.iter().filter(|notice| matches!(notice, Notice::Serving { .. })).count(), 4);
    assert!(notices.contains(&Notice::Resting { failures: 3 }));
}

fn two_hundred_calls_at_once() {
    // S4
    play(async {
        let sidecar = Arc::new(Sidecar::start(options("")).await.unwrap());
        let calls: Vec<_> = (0..200)
            .map(|number: u32| {
                let sidecar = sidecar.clone();
                tokio::spawn(async move {
                    let tool = if number.is_multiple_of(2) { "echo" } else { "nap" };
                    finish(&sidecar, tool, &number.to_string()).await.unwrap().text
                })
            })
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            let text = call.await.unwrap();
            assert_eq!(text, if number % 2 == 0 { number.to_string() } else { "rested".to_owned() });
        }
        let health = sidecar.status().await.unwrap();
        assert_eq!((health.in_flight, health.calls_total, health.refused_total), (0, 200, 0));
        Arc::into_inner(sidecar).unwrap().stop().await;
    });
}

fn pieces_come_in_order_and_whole() {
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let mut bytes = Vec::new();
        let running = sidecar.run(call("stream", "")).await.unwrap();
        running
            .finish(|piece| match piece {
                Piece::Stdout(more) => bytes.extend(more),
                other => panic!("{other:?}"),
            })
            .await
            .unwrap();
        let wanted: Vec<u8> = (0..1_000u32).flat_map(|number| number.to_be_bytes().repeat(1_000)).collect();
        assert!(bytes == wanted);
        sidecar.stop().await;
    });
}

fn giving_up_reaches_the_worker() {
    // S5
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let running = begin(&sidecar, "hang").await;
        assert!(sidecar.status().await.unwrap().text.starts_with("hanging 1"));
        drop(running);
        assert!(sidecar.status().await.unwrap().text.starts_with("hanging 0"));
        sidecar.stop().await;
    });
}

fn stopping_lets_calls_end() {
    // S3
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let process = sidecar.process().unwrap();
        let running = begin(&sidecar, "nap").await;
        let ((), finished) = tokio::join!(sidecar.stop(), running.finish(|_| ()));
        assert_eq!(finished.unwrap().text, "rested");
        assert!(!is_alive(process));
        no_child();
    });
}

fn stopping_one_that_is_stuck_ends_in_time() {
    // S4
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let mut running = begin(&sidecar, "block").await;
        let began = Instant::now();
        sidecar.stop().await;
        assert!((4_900..6_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        assert_eq!(running.next().await, Err(SidecarError::Stopped));
        no_child();
    });
}

fn dropping_kills_at_once() {
    // S5, S6
    let before = descriptors();
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        let process = sidecar.process().unwrap();
        let mut running = begin(&sidecar, "block").await;
        drop(sidecar);
        assert_eq!(running.next().await, Err(SidecarError::Stopped));
        let began = Instant::now();
        while is_alive(process) {
            assert!(began.elapsed() < Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        no_child();
    });
    assert_eq!(descriptors(), before);
}

/// A sidecar that is started by hand, and our ends of its sockets.
fn by_hand() -> (Child, UnixStream, UnixStream) {
    let (connection, its_connection) = UnixStream::pair().unwrap();
    let (bootstrap, its_bootstrap) = UnixStream::pair().unwrap();
    let child = Command::new("/proc/self/exe")
        .arg(SIDECAR_WORD)
        .env_clear()
        .stdin(OwnedFd::from(its_connection))
        .stdout(OwnedFd::from(its_bootstrap))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for socket in [&connection, &bootstrap] {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    (child, connection, bootstrap)
}

fn hello() -> Hello {
    Hello {
        pin: [1; 32],
        root: [2; 32],
        audience: [3; 32],
        clock_offset_ms: 0,
        in_flight_max: 256,
        message_bytes_max: 1 << 24,
        settings: Vec::new(),
    }
}

fn whoever_has_another_certificate_is_not_served() {
    // S2
    let (child, mut connection, mut bootstrap) = by_hand();
    bootstrap.write_all(&hello().encode().unwrap()).unwrap();
    let mut answer = Vec::new();
    bootstrap.read_to_end(&mut answer).unwrap();
    assert!(matches!(Answer::decode(&answer), Ok(Some(Answer::Ready { .. }))));
    // Some other TLS client: it offers what is wanted, and has no certificate at all.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = "aether.invalid".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::Stream::new(&mut client, &mut connection);
    assert!(stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_err());
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("handshake: "));
}

fn a_wrong_hello_ends_it() {
    // S4
    let fails = |bytes: &[u8], what: &str| {
        let (child, _connection, mut bootstrap) = by_hand();
        bootstrap.write_all(bytes).unwrap();
        let began = Instant::now();
        let mut answer = Vec::new();
        bootstrap.read_to_end(&mut answer).unwrap();
        match Answer::decode(&answer) {
            Ok(Some(Answer::Failed(sentence))) => assert!(sentence.contains(what), "{sentence}"),
            other => panic!("{other:?}"),
        }
        assert!(!child.wait_with_output().unwrap().status.success());
        began.elapsed()
    };
    fails(b"GET / HTTP/1.1", "malformed");
    let good = hello().encode().unwrap();
    fails(&[&good[..], b"x"].concat(), "malformed");
    fails(&Hello { in_flight_max: 257, ..hello() }.encode().unwrap(), "limits beyond");
    fails(&Hello { message_bytes_max: 0, ..hello() }.encode().unwrap(), "limits beyond");
    let waited = fails(&good[..50], "bootstrap");
    assert!((1_900..3_000).contains(&waited.as_millis()), "{waited:?}");
}

fn started_by_hand_it_refuses() {
    let run = |stdin: Stdio| Command::new("/proc/self/exe").arg(SIDECAR_WORD).stdin(stdin).output().unwrap();
    let output = run(Stdio::null());
    assert!(!output.status.success() && output.stdout.is_empty());
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(sentence, "this is started by the program itself, with a socket as its standard input\n");
    // A socket that another process made.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut between = Command::new("/bin/sh");
    between.args(["-c", "\"$0\" \"$1\" <&0 >&0; exit $?"]).arg(program).arg(SIDECAR_WORD);
    let output = between.stdin(OwnedFd::from(theirs)).stderr(Stdio::piped()).output().unwrap();
    drop(ours);
    assert!(!output.status.success());
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(sentence, "whoever made the connection is not the parent process, or is another user\n");
}

fn a_thousand_calls_leave_nothing() {
    // S6
    play(async {
        let sidecar = Sidecar::start(options("")).await.unwrap();
        finish(&sidecar, "echo", "").await.unwrap();
        let before = (descriptors(), sidecar.status().await.unwrap().text);
        for number in 0..1_000 {
            match number % 10 {
                0 => drop(begin(&sidecar, "hang").await),
                1 => drop(sidecar.run(call("stream", "")).await.unwrap()),
                _ => assert_eq!(finish(&sidecar, "echo", &number.to_string()).await.unwrap().text, number.to_string()),
            }
        }
        let after = (descriptors(), sidecar.status().await.unwrap().text);
        assert_eq!(after.0, before.0);
        let count = |text: &str| text.rsplit(' ').next().unwrap().to_owned();
        assert_eq!(count(&after.1), count(&before.1));
        assert!(after.1.starts_with("hanging 0"));
        sidecar.stop().await;
        no_child();
    });
}

fn a_thousand_starts_leave_nothing() {
    // S6
    let before = descriptors();
    play(async {
        for number in 0..1_000 {
            let sidecar = Sidecar::start(options("")).await.unwrap();
            match number % 3 {
                0 => drop(sidecar),
                1 => {
                    kill_process(pid(sidecar.process().unwrap()), Signal::KILL).unwrap();
                    sidecar.stop().await;
                }
                _ => {
                    assert_eq!(finish(&sidecar, "echo", "x").await.unwrap().text, "x");
                    sidecar.stop().await;
                }
            }
        }
    });
    no_child();
    assert_eq!(descriptors(), before);
    assert_eq!(crate::house::entries("/proc/self/task"), 1);
}
