//! Conversations with a person on a terminal, and with a program on a pipe.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use aether_testkit::script::{Item, Place, Script, Transport, Turn, When};
use aether_testkit::server::{Recorded, Server};
use serde_json::Value;

use crate::ground::{BINARY, Nest, QUICK, asking, asking_with, names_in, results, until};
use crate::person::Person;

fn server(script: Script) -> Server {
    Server::start(script).expect("a server")
}

/// For requests whose last message holds this.
fn about(text: &str) -> When {
    When { contains: Some(text.to_owned()), ..When::default() }
}

/// An answer that takes its time.
fn slow(pieces: &[&str]) -> Turn {
    Turn::reply(vec![Item::texts(pieces)]).transport(Transport { piece_delay_ms: 150, ..Transport::default() })
}

/// An answer that begins and never ends.
fn endless(text: &str) -> Turn {
    Turn::reply(vec![Item::texts(&[text, &"never whole".repeat(1_000)])])
        .transport(Transport { hang: Some(Place::AfterBytes(3_000)), ..Transport::default() })
}

fn sessions(nest: &Nest) -> PathBuf {
    nest.home().join(".local/share/aether/sessions")
}

/// The lines of the only session.
fn session(nest: &Nest) -> Vec<Value> {
    let names = names_in(&sessions(nest));
    let name = names.iter().find(|name| name.ends_with(".jsonl")).cloned().unwrap_or_default();
    let text = fs::read_to_string(sessions(nest).join(name)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn kinds(nest: &Nest) -> Vec<String> {
    session(nest).iter().map(|line| line["kind"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Who said what in a request, without the instructions.
fn said(request: &Recorded) -> Vec<String> {
    let messages = request.body["messages"].as_array().cloned().unwrap_or_default();
    let spoken = messages.iter().filter(|message| message["role"] != "system" && message["role"] != "developer");
    spoken.map(|message| format!("{}: {}", message["role"].as_str().unwrap_or_default(), text(message))).collect()
}

fn text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

#[test]
fn lines_of_a_pipe_are_messages_of_one_conversation() {
    let server = server(Script::new().turn(Turn::text("hello")).turn(Turn::text("goodbye\n")));
    let nest = asking(&server);
    let ended = nest.aether(&["chat"]).input("hi\n\nbye").run().exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("hello\ngoodbye\n", ""));
    assert_eq!(said(&server.requests()[1]), ["user: hi", "assistant: hello", "user: bye"]);
    assert_eq!(kinds(&nest), ["session", "person", "model", "person", "model"]);
    let mode = fs::metadata(sessions(&nest)).expect("sessions").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_offline_model_has_conversations_too() {
    let nest = Nest::new();
    nest.file("notes.txt", "one\ntwo\n");
    nest.aether(&["chat"]).input("hi\nwhat is in notes.txt?\n").run().exits(0).answers("notes.txt");
}

#[test]
fn the_last_verdict_is_the_exit_code_and_nothing_said_is_none() {
    let server = server(Script::new().turn(Turn::text("fine")).turn(Turn::failure(401, "no")));
    let nest = asking(&server);
    nest.aether(&["chat"]).input("one\ntwo\n").run().exits(1).answers("fine");
    let nest = Nest::new();
    let ended = nest.aether(&["chat"]).run().exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    assert!(!sessions(&nest).exists(), "an empty conversation left a session");
}

#[test]
fn everything_as_json_lines() {
    let server = server(Script::new().turn(Turn::text("a")).turn(Turn::text("b")));
    let ended = asking(&server).aether(&["chat", "--json"]).input("one\ntwo\n").run().exits(0);
    assert_eq!(ended.events("session").len(), 1);
    let answers: Vec<Value> = ended.events("outcome").iter().map(|line| line["answer"].clone()).collect();
    assert_eq!(answers, ["a", "b"]);
}

#[test]
fn a_line_that_cannot_be_taken_is_named_and_the_next_is_answered() {
    let server = server(Script::new().turn(Turn::text("fine")));
    let nest = asking(&server);
    let mut input = b"bad \xff byte\n".to_vec();
    input.extend(vec![b'x'; 3 << 20]);
    input.extend_from_slice(b"\n/modle\ngood\n");
    let ended = nest.aether(&["chat"]).input(input).run().exits(0).answers("fine");
    ended.says("line 1 is not UTF-8 text (byte 5)").says("line 2 has 3145728 bytes").says("did you mean /model?");
}

#[test]
fn a_reader_that_goes_away_ends_the_conversation() {
    let server = server(Script::new().turn(Turn::text("first")).turn(Turn::text("second").always()));
    let nest = asking(&server);
    let mut live = nest.aether(&["chat"]).start();
    live.type_in("one\n");
    assert_eq!(live.first_line(), "first");
    live.type_in(&"two\n".repeat(50));
    live.wait();
    assert!(server.requests().len() < 5, "{} questions for nobody", server.requests().len());
}

#[test]
fn a_kill_in_the_middle_of_an_answer_loses_nothing_that_was_typed() {
    let script = Script::new().turn(Turn::text("hello")).turn(endless("I was about to")).turn(Turn::text("again"));
    let server = server(script);
    let nest = asking(&server);
    let mut live = nest.aether(&["chat"]).start();
    live.type_in("first\nsecond\n");
    until("the second question", || server.requests().len() == 2);
    live.kill();
    assert_eq!(kinds(&nest), ["session", "person", "model", "person"]);
    let ended = nest.aether(&["chat", "--continue"]).input("third\n").run().exits(0).answers("again");
    ended.says("the last message has no answer yet");
    let last = server.requests().pop().expect("a request");
    let shown = said(&last).join(" | ");
    assert!(shown.starts_with("user: first | assistant: hello | user: second"), "{shown}");
    assert!(shown.ends_with("third"), "{shown}");
    assert!(server.refused().is_empty());
    assert_eq!(kinds(&nest), ["session", "person", "model", "person", "person", "model"]);
}

#[test]
fn a_kill_after_a_tool_has_run_keeps_what_it_found() {
    let script = Script::new()
        .turn(Turn::call("calculate", r#"{"expression": "6*7"}"#))
        .turn(endless("The answer"))
        .turn(Turn::text("42, as I found"));
    let server = server(script);
    let nest = asking(&server);
    let mut live = nest.aether(&["chat"]).start();
    live.type_in("what is 6*7?\n");
    until("the tool's result on the disk", || kinds(&nest).len() == 4 && server.requests().len() == 2);
    live.kill();
    assert_eq!(kinds(&nest), ["session", "person", "model", "tool"]);
    nest.aether(&["chat", "-c"]).input("well?\n").run().exits(0).answers("42, as I found");
    assert_eq!(results(&server.requests()[2]).len(), 1);
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
}

#[test]
fn a_session_cut_at_any_line_goes_on() {
    let script = Script::new()
        .turn(Turn::reply(vec![
            Item::call("calculate", r#"{"expression": "1+1"}"#),
            Item::call("calculate", r#"{"expression": "2+2"}"#),
        ]))
        .turn(Turn::text("2 and 4"))
        .turn(Turn::text("on we go").always());
    let server = server(script);
    let nest = asking(&server);
    nest.aether(&["chat"]).input("add\n").run().exits(0);
    let name = names_in(&sessions(&nest)).pop().expect("a session");
    let path = sessions(&nest).join(name);
    let whole = fs::read_to_string(&path).expect("a session");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 6);
    for cut in 1..=lines.len() {
        let mut text = lines[..cut].concat();
        text.truncate(text.len() - if cut % 2 == 0 { 9 } else { 0 });
        fs::write(&path, text).expect("a shorter session");
        nest.aether(&["chat", "-c"]).input("go on\n").run().exits(0).answers("on we go");
    }
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
}

#[test]
fn a_second_process_is_told_who_has_the_session() {
    let server = server(Script::new().turn(Turn::text("hello").always()));
    let nest = asking(&server);
    let mut live = nest.aether(&["chat"]).start();
    live.type_in("hi\n");
    until("a session", || kinds(&nest).len() == 3);
    let second = nest.aether(&["chat", "--resume", "last"]).input("me too\n").run().exits(1);
    second.says(&live.pid().to_string());
    live.wait().exits(0);
    nest.aether(&["chat", "--resume", "2"]).input("now\n").run().exits(0).answers("hello");
    nest.aether(&["chat", "--resume", "x"]).input("now\n").run().exits(2).says("no session is called `x`");
    nest.aether(&["chat", "-c", "--no-save"]).input("now\n").run().exits(2).says("exclude each other");
}

#[test]
fn what_cannot_be_saved_is_said_and_the_conversation_goes_on() {
    let server = server(Script::new().turn(Turn::text("hello").always()));
    let nest = asking(&server);
    let data = nest.home().join(".local/share/aether");
    fs::create_dir_all(&data).expect("a directory");
    fs::write(data.join("sessions"), "a file stands here").expect("a file");
    let ended = nest.aether(&["chat"]).input("one\ntwo\n").run().exits(0);
    assert_eq!(ended.stdout, "hello\nhello\n");
    assert_eq!(ended.stderr.matches("not saved yet: cannot").count(), 1, "{ended:#?}");
}

#[test]
fn a_full_disk_leaves_no_half_line() {
    let server = server(Script::new().turn(Turn::text(&"long answer ".repeat(2_000)).always()));
    let nest = asking(&server);
    let place = sessions(&nest);
    fs::create_dir_all(&place).expect("a directory");
    let kept = nest.outside("kept");
    let script = format!(
        "mount -t tmpfs -o size=32k none '{0}' || exit 77; \"$@\"; code=$?; cat '{0}'/*.jsonl > '{1}'; exit $code",
        place.display(),
        kept.display()
    );
    let words = ["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh", BINARY, "chat"];
    let ended = nest.through("unshare", &words).input("one\ntwo\nthree\n").run();
    if ended.status.code() != Some(0) && ended.stdout.is_empty() {
        eprintln!("no small disks on this system: this test shows nothing here");
        return;
    }
    let ended = ended.exits(0).says("not saved yet: cannot write").says("no space is left");
    assert_eq!(ended.stdout.matches("long answer \n").count(), 3);
    let text = fs::read_to_string(kept).expect("a session");
    assert!(text.ends_with('\n'), "a torn line");
    for line in text.lines() {
        serde_json::from_str::<Value>(line).expect("whole lines");
    }
}

#[test]
fn nothing_is_written_where_nothing_shall_be() {
    let nest = Nest::with("[trace]\nfiles_max = 0\n");
    nest.aether(&["chat", "--no-save"]).input("hi\n").run().exits(0);
    let mut person = Person::at(&nest, &["chat", "--no-save"]);
    person.sees("> ");
    person.types("hi\r");
    person.sees("offline");
    person.types("/sessions\r");
    person.sees("not saved");
    person.types("\x04");
    assert_eq!(person.waits(), Some(0));
    assert!(!nest.home().join(".local").exists(), "something was written");
}

#[test]
fn a_long_conversation_is_summarised_and_goes_on_from_there() {
    let script = Script::new()
        .turn(Turn::text("SUMMARY-OF-ALL").when(about("Summarise everything above")).always())
        .turn(Turn::text("noted").always());
    let server = server(script);
    let nest = asking_with(&server, &format!("{QUICK}[model_options]\nwindow_tokens = 5000\n"));
    let message = |word: &str| format!("{word} {}\n", "text ".repeat(1_000));
    let input = message("alpha") + &message("beta") + &message("gamma") + "delta\n";
    nest.aether(&["chat"]).input(input).run().exits(0);
    let lines = session(&nest);
    let folded =
        lines.iter().position(|line| line["text"].as_str().is_some_and(|text| text.contains("SUMMARY-OF-ALL")));
    assert!(folded.is_some_and(|at| lines[at]["kind"] == "note"), "{:?}", kinds(&nest));
    assert!(!lines.iter().any(|line| line["text"].as_str().is_some_and(|text| text.contains("Summarise everything"))));
    nest.aether(&["chat", "-c"]).input("epsilon\n").run().exits(0).answers("noted");
    let last = said(&server.requests().pop().expect("a request")).join(" | ");
    assert!(last.contains("SUMMARY-OF-ALL") && last.contains("delta") && !last.contains("alpha"), "{last}");
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
}

#[test]
fn a_person_types_and_reads() {
    let server = server(Script::new().turn(slow(&["Hel", "lo, ", "Ada\n", "bye"])).turn(Turn::text("again")));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("test/gpt-4.1");
    person.sees("> ");
    person.types("hallo\x02\x02\x02\x02\x04e\r");
    person.sees("> hello");
    person.sees("lo, ");
    person.sees("bye");
    person.types("\x1b[A!\r");
    person.sees("again");
    person.types("\x04");
    person.sees("aether chat --resume 2");
    assert_eq!(person.waits(), Some(0));
    assert!(person.has_usual_terminal());
    assert_eq!(said(&server.requests()[1]), ["user: hello", "assistant: Hello, Ada\nbye", "user: hello!"]);
    let history = nest.home().join(".local/share/aether/history");
    assert_eq!(fs::read_to_string(&history).expect("a history"), "hello\nhello!\n");
    assert_eq!(fs::metadata(&history).expect("a history").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_will_do() {
    let server = server(Script::new().turn(Turn::text("hello")).turn(Turn::text("bye")));
    let nest = asking(&server);
    let mut person = Person::before(&nest, "dumb", &["chat"]);
    person.sees("/help lists commands");
    person.types("hi\n");
    person.sees("hello\r\n");
    person.types("more\n");
    person.sees("bye");
    person.types("\x04");
    assert_eq!(person.waits(), Some(0));
    assert!(!person.looks().contains('\u{1b}'));
}

#[test]
fn what_is_typed_meanwhile_steers_the_task() {
    let script = Script::new()
        .turn(slow(&["In ", "feet ", "it ", "is ", "a ", "lot."]))
        .turn(Turn::text("In metres it is less.").when(about("use metres")));
    let server = server(script);
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("how high is it?\r");
    person.sees("feet");
    person.types("use metres\r");
    person.sees("steering");
    person.sees("less.");
    person.types("/exit\r");
    assert_eq!(person.waits(), Some(0));
    assert_eq!(kinds(&nest), ["session", "person", "model", "person", "model"]);
}

#[test]
fn control_c_stops_the_answer_and_keeps_what_was_said() {
    let server = server(Script::new().turn(endless("So far so good")).turn(Turn::text("as you wish")));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("tell me\r");
    person.sees("So far so good");
    person.types("\x03");
    person.sees("interrupted");
    person.types("shorter\r");
    person.sees("as you wish");
    let shown = said(&server.requests()[1]);
    assert_eq!(shown, ["user: tell me", "assistant: So far so good", "user: shorter"]);
    person.types("not sent\x03");
    person.types("\x03");
    person.sees("press Ctrl-C again");
    person.types("\x03");
    assert_eq!(person.waits(), Some(0));
    assert!(person.has_usual_terminal());
}

#[test]
fn a_signal_to_end_puts_the_terminal_back() {
    let server = server(Script::new().turn(endless("So far so good")));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("tell me\r");
    person.sees("So far so good");
    person.signal("TERM");
    assert_eq!(person.waits(), Some(130));
    assert!(person.has_usual_terminal());
    assert_eq!(kinds(&nest), ["session", "person", "model"]);
}

#[test]
fn a_terminal_that_goes_away_ends_the_conversation() {
    let server = server(Script::new().turn(endless("So far so good")));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("tell me\r");
    person.sees("So far so good");
    person.signal("HUP");
    assert_eq!(person.waits(), None);
    assert_eq!(kinds(&nest), ["session", "person"]);
}

/// A call that writes a file of this name.
fn writing(name: &str) -> Turn {
    Turn::call("write_file", &format!(r#"{{"path": "{name}", "content": "x"}}"#))
}

#[test]
fn approvals_are_asked_for_beside_the_line() {
    let script = Script::new()
        .turn(writing("yes.txt"))
        .turn(writing("no.txt"))
        .turn(writing("always.txt"))
        .turn(writing("again.txt"))
        .turn(Turn::text("all done"));
    let server = server(script);
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("write files\r");
    person.sees("yes.txt");
    person.sees("[a]lways in this task: ");
    assert!(!nest.workspace().join("yes.txt").exists());
    person.types("y");
    person.sees("no.txt");
    person.sees("[a]lways in this task: ");
    person.types("n");
    person.sees("always.txt");
    person.sees("[a]lways in this task: ");
    person.types("always\r");
    person.sees("all done");
    person.types("\x04");
    assert_eq!(person.waits(), Some(0));
    assert_eq!(nest.names(), ["again.txt", "always.txt", "yes.txt"]);
}

#[test]
fn a_question_waits_for_the_end_of_a_word_and_takes_no_key_of_it() {
    let slowly = Transport { head_delay_ms: 400, ..Transport::default() };
    let script = Script::new().turn(writing("a.txt").transport(slowly)).turn(Turn::text("all done"));
    let server = server(script);
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("write a file\r");
    person.sees("> write a file");
    for key in ["y", "y", "y", "y", "y", "y", "y", "y"] {
        person.types(key);
        std::thread::sleep(Duration::from_millis(100));
    }
    person.sees("wants to");
    assert!(!nest.workspace().join("a.txt").exists(), "typing was taken for an answer");
    person.sees("in this task: ");
    person.types("n");
    person.sees("all done");
    person.looks();
    person.types("!\r");
    person.sees("yyyyyyyy!");
    assert!(nest.names().is_empty());
}

#[test]
fn control_c_at_a_question_stops_the_task() {
    let server = server(Script::new().turn(writing("a.txt")).turn(Turn::text("fine")));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("write a file\r");
    person.sees("in this task: ");
    person.types("\x03");
    person.sees("interrupted");
    person.types("hello\r");
    person.sees("fine");
    assert!(nest.names().is_empty());
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
}

#[test]
fn a_paste_of_ten_megabytes_is_refused_and_nothing_else_is_lost() {
    let server = server(Script::new().turn(Turn::text("short and good")));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("before \x1b[200~");
    for _ in 0..10 {
        person.types(&"z".repeat(1_000_000));
    }
    person.types("\x1b[201~after\r");
    person.sees("the paste has 10000000 bytes");
    person.sees("short and good");
    assert_eq!(said(&server.requests()[0]), ["user: before after"]);
}

#[test]
fn commands_begin_with_a_slash() {
    let server = server(Script::new().turn(Turn::text("hello").always()));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    for (typed, wanted) in [
        ("/help", "/resume ID"),
        ("/modle", "did you mean /model?"),
        ("hi", "hello"),
        ("/usage", "1 model calls, 0 tool calls"),
        ("/sessions", "1 messages  hi"),
        ("/tools", "write_file   ask"),
        ("/allow write", "write_file   allow"),
        ("/deny write", "write_file   deny"),
        ("/deny http_fetch", "http_fetch   deny"),
        ("/allow wirte", "did you mean `write`?"),
        ("/save talk.md", "bytes were written to talk.md"),
        ("/save talk.md", "exists already"),
        ("/image missing.png", "missing.png"),
        ("/trace", "aether trace 2"),
        ("/model nowhere/x", "unknown provider `nowhere`"),
        ("/model builtin/offline", "builtin/offline"),
        ("/resume nothing", "no session is called `nothing`"),
        ("/new", "a new session begins"),
        ("who are you?", "offline"),
        ("/resume last", "this is that session"),
    ] {
        person.types(&format!("{typed}\r"));
        person.sees(&format!("> {typed}"));
        person.sees(wanted);
        if !typed.starts_with('/') {
            // Until the answer is complete.
            person.looks();
        }
    }
    let names = names_in(&sessions(&nest));
    let first = names.iter().find_map(|name| name.strip_suffix(".jsonl")).expect("a session");
    person.types(&format!("/resume {first}\r"));
    person.sees("> hi");
    person.sees(&format!("this is session {first} now"));
    person.types("/exit\r");
    assert_eq!(person.waits(), Some(0));
    assert!(nest.text_of("talk.md").contains("## Person\n\nhi\n\n## Model\n\nhello\n"));
    assert_eq!(names_in(&sessions(&nest)).len(), 2);
}

#[test]
fn text_from_the_model_cannot_steer_the_terminal() {
    let server = server(Script::new().turn(Turn::reply(vec![Item::texts(&["a\u{1b}", "[31mb", "\u{202e}c done"])])));
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.sees("> ");
    person.types("go\r");
    person.sees("a\\u{1b}");
    let before = person.sees("done");
    assert!(before.contains("[31mb") && before.contains("\\u{202e}c") && !before.contains("\u{1b}[31m"), "{before:?}");
}
