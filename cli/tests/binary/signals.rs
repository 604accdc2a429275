//! Ctrl-C and its like, at every stage of a task: it ends soon, says so, and leaves nothing behind.

use std::time::{Duration, Instant};

use aether_testkit::script::{Item, Place, Script, Transport, Turn, Usage};
use aether_testkit::server::Server;

use crate::ground::{Ended, Live, Nest, asking, asking_with, until};
use crate::web::{Opening, Page, Web};

/// How soon a task ends after a signal, in milliseconds.
const END_MS_MAX: u64 = 1_500;

/// Sends a signal and gives what came of it.
#[track_caller]
fn stopped(live: Live, signal: &str) -> Ended {
    let begun = Instant::now();
    live.signal(signal);
    let ended = live.wait().exits(130);
    assert!(begun.elapsed() < Duration::from_millis(END_MS_MAX), "{signal}: {:?} {ended:#?}", begun.elapsed());
    ended.says("interrupted")
}

fn silent(place: Place) -> Transport {
    Transport { hang: Some(place), ..Transport::default() }
}

#[test]
fn before_and_in_the_middle_of_an_answer() {
    for signal in ["INT", "TERM"] {
        for place in [Place::BeforeHead, Place::InHead, Place::AfterBytes(10), Place::AfterBytes(3_000)] {
            let answer = Turn::reply(vec![Item::Text { pieces: vec!["word ".to_owned()], times: 100 }]);
            let server = Server::start(Script::new().turn(answer.transport(silent(place)))).expect("a server");
            let nest = asking(&server);
            let live = nest.aether(&["run", "go"]).start();
            until("the question", || server.requests().len() == 1);
            // What was sent up to the silence is given the time to arrive.
            std::thread::sleep(Duration::from_millis(60));
            stopped(live, signal);
        }
    }
}

#[test]
fn while_it_waits_for_its_next_attempt() {
    for signal in ["INT", "TERM"] {
        let busy = Turn::failure(503, "busy").retry_after("60").always();
        let server = Server::start(Script::new().turn(busy)).expect("a server");
        let nest = asking(&server);
        let live = nest.aether(&["run", "go"]).start();
        until("the question", || server.requests().len() == 1);
        std::thread::sleep(Duration::from_millis(60));
        stopped(live, signal);
        assert_eq!(server.requests().len(), 1);
    }
}

/// A tool that waits for a silent web server is stopped with the task.
#[test]
fn while_a_tool_runs() {
    for signal in ["INT", "TERM"] {
        let web = Web::start("slow.example", Opening::Tunnel, Page::Silence);
        let script = Script::new().turn(Turn::call("http_fetch", r#"{"url":"https://slow.example/"}"#));
        let server = Server::start(script).expect("a server");
        let nest = asking_with(&server, &web.network(Opening::Tunnel));
        let live = nest.aether(&["run", "go", "--allow", "net"]).env("NO_PROXY", "127.0.0.1").start();
        until("the page was asked for", || web.requests() == 1);
        let ended = stopped(live, signal);
        assert!(!ended.stderr.contains("did not stop"), "{ended:#?}");
    }
}

/// The same for a tool that the person runs by hand: the signal ends the process.
#[test]
fn while_a_tool_runs_by_hand() {
    let web = Web::start("slow.example", Opening::Tunnel, Page::Silence);
    let nest = Nest::with(&web.network(Opening::Tunnel));
    let live = nest.aether(&["tool", "run", "http_fetch", r#"{"url":"https://slow.example/"}"#]).start();
    until("the page was asked for", || web.requests() == 1);
    let begun = Instant::now();
    live.signal("INT");
    let ended = live.wait();
    assert_ne!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(begun.elapsed() < Duration::from_millis(END_MS_MAX));
}

#[test]
fn while_it_reads_the_goal() {
    for signal in ["INT", "TERM"] {
        let nest = Nest::new();
        let live = nest.aether(&["run", "-"]).start();
        std::thread::sleep(Duration::from_millis(60));
        live.signal(signal);
        let ended = live.wait();
        assert_ne!(ended.status.code(), Some(0), "{ended:#?}");
        assert!(ended.took < Duration::from_millis(END_MS_MAX), "{ended:#?}");
    }
}

#[test]
fn a_child_task_ends_with_its_parent() {
    let script = Script::new()
        .turn(Turn::call("delegate", r#"{"goal":"take your time"}"#))
        .turn(Turn::text("never").transport(silent(Place::BeforeHead)).always());
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    let live = nest.aether(&["run", "--json", "go"]).start();
    until("the child's question", || server.requests().len() == 2);
    let ended = stopped(live, "INT");
    assert_eq!(ended.events("ended").len(), 2, "{ended:#?}");
    assert_eq!(ended.outcome()["verdict"], "interrupted");
}

/// What was there before the signal is not lost: the trace is whole and tells how it ended.
#[test]
fn an_interrupted_task_leaves_its_trace() {
    let answer = Turn::text("x").transport(silent(Place::BeforeHead));
    let script = Script::new().turn(Turn::call("calculate", r#"{"expression":"1"}"#)).turn(answer);
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    let live = nest.aether(&["run", "go"]).start();
    until("the second question", || server.requests().len() == 2);
    stopped(live, "TERM");
    let trace = nest.all_written();
    for event in ["spawned", "allowed", "returned", "ended"] {
        assert!(trace.contains(&format!("\"event\":\"{event}\"")), "{event}: {trace}");
    }
    assert!(trace.contains("interrupted"), "{trace}");
}

/// A search that is busy with one line for many seconds and does not look up.
fn busy() -> (Server, Nest) {
    let search = Turn::call("search_text", r#"{"pattern":"x{900}y"}"#);
    let server = Server::start(Script::new().turn(search)).expect("a server");
    let nest = asking(&server);
    nest.file("long.txt", format!("{}\n", "x".repeat(60_000)).repeat(10));
    (server, nest)
}

/// A tool that does not look up costs the time that a shutdown may take, and no more.
#[test]
fn while_a_tool_runs_that_does_not_look_up() {
    let (server, nest) = busy();
    let live = nest.aether(&["run", "go"]).start();
    until("the question", || server.requests().len() == 1);
    std::thread::sleep(Duration::from_millis(150));
    let begun = Instant::now();
    live.signal("INT");
    live.wait().exits(130).says("interrupted").says("did not stop in time: 1");
    let took = begun.elapsed().as_millis();
    assert!((2_900..9_000).contains(&took), "{took} ms");
}

#[test]
fn twice_is_at_once() {
    for (first, second) in [("INT", "INT"), ("TERM", "TERM"), ("INT", "TERM")] {
        let (server, nest) = busy();
        let live = nest.aether(&["run", "go"]).start();
        until("the question", || server.requests().len() == 1);
        std::thread::sleep(Duration::from_millis(150));
        live.signal(first);
        std::thread::sleep(Duration::from_millis(200));
        let begun = Instant::now();
        live.signal(second);
        live.wait().exits(130);
        assert!(begun.elapsed() < Duration::from_millis(2_000), "{first} {second}: {:?}", begun.elapsed());
    }
}

/// A kill at any moment leaves the old file or the new one.
#[test]
fn a_kill_leaves_a_whole_file() {
    let (old, new) = ("old\n".repeat(400_000), "new\n".repeat(400_000));
    let input = serde_json::json!({ "path": "file.txt", "content": new, "replace": true }).to_string();
    let (mut kept, mut replaced) = (0, 0);
    for after_ms in (0..60).step_by(4) {
        let write = Turn::call("write_file", &input).usage(Usage::default());
        let server = Server::start(Script::new().turn(write).turn(Turn::text("done"))).expect("a server");
        let nest = asking(&server);
        nest.file("file.txt", &old);
        let live = nest.aether(&["run", "go", "--yes"]).start();
        until("the question", || !server.requests().is_empty());
        std::thread::sleep(Duration::from_millis(after_ms));
        live.signal("KILL");
        live.wait();
        let text = nest.text_of("file.txt");
        assert!(text == old || text == new, "after {after_ms} ms: {} bytes", text.len());
        kept += usize::from(text == old);
        replaced += usize::from(text == new);
    }
    assert!(kept > 0 && kept + replaced == 15, "{kept} {replaced}");
}

/// Tests that need a terminal of their own.
#[cfg(target_os = "linux")]
mod on_a_terminal {
    use std::time::{Duration, Instant};

    use aether_testkit::script::{Script, Turn};
    use aether_testkit::server::Server;

    use super::END_MS_MAX;
    use crate::ground::{Live, Nest, asking, until};

    /// The program on a terminal of its own, whose keys are typed by the test.
    fn started(nest: &Nest, words: &str) -> Live {
        let line = format!("{} {words}", env!("CARGO_BIN_EXE_aether"));
        nest.through("script", &["-qefc", &line, "/dev/null"]).env("TERM", "dumb").start()
    }

    fn writing() -> Server {
        let write = Turn::call("write_file", r#"{"path":"note.txt","content":"hello\n"}"#);
        Server::start(Script::new().turn(write).turn(Turn::text("done"))).expect("a server")
    }

    /// Waits until the question to the person stands on the terminal, which is after the model was asked once.
    fn asked(server: &Server) {
        until("the question to the model", || server.requests().len() == 1);
        std::thread::sleep(Duration::from_millis(300));
    }

    #[test]
    fn a_person_says_yes_or_no() {
        for (key, names) in [("y", &["note.txt"][..]), ("n", &[]), ("a", &["note.txt"])] {
            let server = writing();
            let nest = asking(&server);
            let mut live = started(&nest, "run write-it");
            asked(&server);
            live.type_in(&format!("{key}\n"));
            let ended = live
                .wait()
                .exits(0)
                .answers("write_file wants to write")
                .answers("why asked: policy asks before write");
            assert!(
                ended.stdout.contains(r#"{"path":"note.txt","content":"hello\n"}"#),
                "the exact input is shown: {ended:#?}"
            );
            assert_eq!(nest.names(), names, "{key}");
        }
    }

    #[test]
    fn while_a_person_is_asked() {
        let server = writing();
        let nest = asking(&server);
        let mut live = started(&nest, "run write-it");
        asked(&server);
        let begun = Instant::now();
        live.type_in("\x03");
        let ended = live.wait().exits(130);
        assert!(begun.elapsed() < Duration::from_millis(END_MS_MAX), "{:?} {ended:#?}", begun.elapsed());
        assert!(nest.names().is_empty());
    }
}
