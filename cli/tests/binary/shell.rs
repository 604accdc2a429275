//! `shell`, `run_program`, `git`, `python` and `node` as a model calls them, in both modes, by root and by nobody.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use aether_testkit::script::{Script, Turn};
use aether_testkit::server::Server;
use serde_json::json;

use crate::ground::{Nest, asking, last_result, results, until};
use crate::person::Person;
use crate::yard::{
    MODES, WORK, Who, audited, audits, calling, calling_at_once, command, gone, input, mark, offspring, told,
    until_marked, words,
};

/// A repository with one commit and one change after it.
fn repository(nest: &Nest) {
    let git = |words: &[&str]| {
        let mut all = vec!["-c", "user.name=Me", "-c", "user.email=me@localhost"];
        all.extend(words);
        let ended = Command::new("git").args(&all).current_dir(nest.workspace()).output().expect("git");
        assert!(ended.status.success(), "{ended:?}");
    };
    nest.file("a.txt", "one\n");
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    nest.file("a.txt", "two\n");
}

/// Every tool that executes programs: what the model is told is the same in both modes, whoever runs the program.
#[test]
fn what_the_model_is_told_is_the_same_in_both_modes() {
    let calls = [
        ("shell", r#"{"command":"pwd; cat a.txt; id -u; exit 4"}"#),
        ("shell", r#"{"command":"mkdir -p sub && cd sub && echo made > note && cat note","folder":"."}"#),
        ("run_program", r#"{"program":"tr","args":["a-z","A-Z"],"stdin":"loud"}"#),
        ("run_program", r#"{"program":"no-such-program"}"#),
        ("git", r#"{"args":["diff","--stat"]}"#),
        ("git", r#"{"args":["-c","core.pager=sh","log"]}"#),
        ("python", r#"{"code":"import sys\nprint(6 * 7)\nsys.exit(3)"}"#),
        ("node", r#"{"code":"console.log([1, 2].map(n => n * 21).join())"}"#),
        ("shell", r#"{"command":"ls","folder":"../home"}"#),
        ("shell", r#"{"comand":"ls"}"#),
        ("launch", r#"{"command":"ls"}"#),
    ];
    for who in Who::all() {
        let mut seen = Vec::new();
        for mode in MODES {
            let server = calling_at_once(&calls);
            let nest = asking(&server);
            repository(&nest);
            who.aether(&nest, &words(&[&["run", "go"], mode, WORK])).run().exits(0);
            let workspace = nest.workspace().canonicalize().expect("a workspace").display().to_string();
            let told: Vec<String> =
                results(&server.requests()[1]).into_iter().map(|text| text.replace(&workspace, "WORKSPACE")).collect();
            assert_eq!(told[0], "error: WORKSPACE\ntwo\n1000\n[exit code 4]", "{who:?} {mode:?}");
            assert_eq!((told[1].as_str(), told[2].as_str()), ("made\n", "LOUD"), "{who:?} {mode:?}");
            assert!(told[3].contains("there is no program `no-such-program`"), "{}", told[3]);
            assert!(told[4].contains("a.txt | 2 +-"), "{}", told[4]);
            assert!(told[5].contains("`-c` is not taken"), "{}", told[5]);
            assert_eq!(
                (told[6].as_str(), told[7].as_str()),
                ("error: 42\n[exit code 3]", "21,42\n"),
                "{who:?} {mode:?}"
            );
            assert!(told[8].contains("leads out of") || told[8].contains("outside"), "{}", told[8]);
            assert!(told[9].contains("comand"), "{}", told[9]);
            assert!(told[10].contains("there is no tool `launch`"), "{}", told[10]);
            assert_eq!(nest.text_of("sub/note"), "made\n");
            assert_eq!(nest.names(), [".git", "a.txt", "sub"], "nothing is left of the jail");
            seen.push(told);
        }
        assert_eq!(seen[0], seen[1], "{who:?}");
    }
}

/// The same from a script of turns, without any provider.
#[test]
fn a_script_plays_a_model() {
    for mode in MODES {
        let nest = Nest::new();
        let script = nest.outside("turns.jsonl");
        let turns = [
            json!({ "say": "First.\n", "calls": [{ "tool": "shell", "input": { "command": "echo $((6 * 7)) | tee n" } }] }),
            json!({ "expect": "42", "calls": [{ "tool": "python", "input": { "code": "print(open('n').read())" } }] }),
            json!({ "expect": "42", "say": "It is 42.\n" }),
        ];
        fs::write(&script, turns.map(|turn| format!("{turn}\n")).concat()).expect("a script");
        let script = script.to_string_lossy().into_owned();
        let flags = ["run", "go", "--model", "builtin/script", "--script", &script];
        nest.aether(&words(&[&flags, mode, WORK])).run().exits(0).answers("It is 42.");
        assert_eq!(nest.text_of("n"), "42\n");
    }
}

#[test]
fn policy_is_asked_before_anything_is_executed() {
    let mark_file = command("touch executed");
    for mode in MODES {
        // Where nobody can be asked, nothing runs, and one act that is allowed does not allow another.
        for flags in [&[][..], &["--allow", "write"], &["--allow", "execute"]] {
            let server = calling(&[("shell", &mark_file)]);
            let nest = asking(&server);
            nest.aether(&words(&[&["run", "go"], mode, flags])).run().exits(0);
            let told = last_result(&server);
            assert!(told.contains("refused") && told.contains("--allow"), "{mode:?} {flags:?}: {told}");
            assert!(nest.names().is_empty(), "{mode:?} {flags:?}");
        }
        let server = calling(&[("shell", &mark_file)]);
        let nest = asking(&server);
        nest.aether(&words(&[&["run", "go"], mode, WORK])).run().exits(0);
        assert_eq!(nest.names(), ["executed"], "{}", last_result(&server));
        audits(Who::Self_, &nest, &["\"kind\":\"allow\"", "\"tool\":\"shell\"", "execute"]);
    }
}

#[test]
fn what_policy_denies_is_not_executed() {
    for mode in MODES {
        let server =
            calling(&[("shell", &command("touch executed")), ("python", r#"{"code":"open('executed','w')"}"#)]);
        let nest = asking(&server);
        nest.decide("terminal.execute", "deny");
        nest.aether(&words(&[&["run", "go"], mode, WORK])).run().exits(3).says("policy denies execute");
        nest.aether(&words(&[&["run", "go", "--yes"], mode])).run().exits(0);
        assert!(last_result(&server).contains("policy denies execute"), "{}", last_result(&server));
        nest.aether(&words(&[&["tool", "run"], mode, &["shell", r#"{"command":"touch executed"}"#]]))
            .run()
            .exits(3)
            .says("policy denies execute");
        assert!(nest.names().is_empty());
        assert!(audited(Who::Self_, &nest).iter().any(|line| line.contains("\"kind\":\"deny\"")));
    }
}

/// A name that no tool has goes nowhere: neither to the jail nor to the sidecar.
#[test]
fn an_unknown_tool_goes_nowhere() {
    for mode in MODES {
        let server = calling(&[("sudo", r#"{"command":"touch executed"}"#)]);
        let nest = asking(&server);
        nest.aether(&words(&[&["run", "go", "--yes"], mode, WORK])).run().exits(0);
        assert!(last_result(&server).contains("there is no tool `sudo`"), "{}", last_result(&server));
        assert!(nest.names().is_empty());
        nest.aether(&words(&[&["tool", "run"], mode, &["sudo"]])).run().exits(2).says("there is no tool `sudo`");
    }
}

/// By hand: done is 0, a program that fails is 1, a wrong input is 2.
#[test]
fn one_program_by_hand() {
    for mode in MODES {
        let nest = Nest::new();
        let run = |tool: &str, input: &str| nest.aether(&words(&[&["tool", "run"], mode, &[tool, input]])).run();
        run("shell", r#"{"command":"echo out"}"#).exits(0).answers("out\n");
        run("shell", r#"{"command":"echo out; exit 9"}"#).exits(1).says("out").says("[exit code 9]");
        run("shell", r#"{"command":7}"#).exits(2).says("command");
        run("run_program", r#"{"program":"printf","args":["\\033[31mred\\033[0m"]}"#).exits(0).hides("\u{1b}");
    }
}

/// What a program writes is told while it runs, to whoever reads JSON lines.
#[test]
fn output_is_told_while_a_program_runs() {
    for mode in MODES {
        let server = calling(&[("shell", &command("echo first; sleep 0.5; echo wrong >&2; sleep 0.2; echo last"))]);
        let nest = asking(&server);
        let ended = nest.aether(&words(&[&["run", "go", "--json"], mode, WORK])).run().exits(0);
        let told: Vec<(String, String)> = ended
            .events("tool_output")
            .iter()
            .map(|line| (line["stream"].as_str().unwrap_or("").into(), line["text"].as_str().unwrap_or("").into()))
            .collect();
        let wanted = [("stdout", "first\n"), ("stderr", "wrong\n"), ("stdout", "last\n")];
        let wanted = wanted.map(|(stream, text)| (stream.to_owned(), text.to_owned()));
        assert_eq!(told, wanted, "{mode:?}");
        let place = |event: &str| ended.lines().iter().position(|line| line["event"] == event);
        assert!(place("tool_output") < place("returned"), "{mode:?}: {}", ended.stdout);
    }
}

/// What a program writes is bounded, from its beginning to its end.
#[test]
fn output_is_bounded() {
    for mode in MODES {
        let told = told(Who::Self_, mode, &command("seq 1 200000"));
        assert!(told.len() < 40_000, "{} bytes", told.len());
        assert!(
            told.starts_with("1\n2\n") && told.ends_with("199999\n200000\n"),
            "{mode:?}: {:?}",
            &told[told.len() - 400..]
        );
        assert!(told.contains("bytes left out here"), "{mode:?}");
    }
}

/// A session keeps its directory, its variables and its jobs from call to call, and ends with the run.
#[test]
fn a_session_lives_as_long_as_the_run() {
    for who in Who::all() {
        for mode in MODES {
            let mark = mark();
            let in_session = |line: &str| input(json!({ "command": line, "session": "s" }));
            let job =
                input(json!({ "command": format!("echo begun; sleep {mark}"), "session": "s", "background": true }));
            let calls = [
                ("shell", in_session("mkdir sub; cd sub; NAME=value; greet() { echo \"hello $1\"; }")),
                ("shell", in_session("pwd | tail -c 4; greet $NAME; false")),
                ("shell", job.clone()),
                ("shell", job),
                ("shell", input(json!({ "session": "s", "kill": 1 }))),
                ("shell", in_session("sleep 0.2")),
                ("shell", input(json!({ "session": "s" }))),
                ("shell", input(json!({ "session": "none" }))),
            ];
            let calls: Vec<(&str, &str)> = calls.iter().map(|(tool, input)| (*tool, input.as_str())).collect();
            let server = calling(&calls);
            let nest = asking(&server);
            who.aether(&nest, &words(&[&["run", "go"], mode, WORK])).run().exits(0);
            let requests = server.requests();
            let told = results(requests.last().expect("a request"));
            assert!(told[0].ends_with("/workspace/sub]"), "{told:#?}");
            assert!(told[1].starts_with("error: sub\nhello value\n[exit code 1; in "), "{told:#?}");
            assert!(told[2].starts_with("job 1;") && told[3].starts_with("job 2;"), "{told:#?}");
            assert!(told[4].starts_with("job 1 is killed\n"), "{told:#?}");
            assert!(told[6].contains("job 1: over\n") && told[6].contains("job 2: running\nbegun\n"), "{told:#?}");
            assert_eq!(told[7], "error: there is no session `none`", "{told:#?}");
            gone(&mark, 3_000);
            assert_eq!(nest.names(), ["sub"]);
        }
    }
}

/// How soon a run is over after a signal, in milliseconds.
const END_MS_MAX: u64 = 3_000;

/// Ctrl-C ends the run, the call, and everything that the call started.
#[test]
fn a_signal_ends_what_runs() {
    for who in Who::all() {
        for mode in MODES {
            for session in [None, Some("s")] {
                let mark = mark();
                let line = format!("(setsid sleep {mark} >/dev/null 2>&1 &); trap '' INT TERM; echo on; sleep {mark}");
                let asked = input(json!({ "command": line, "session": session }));
                let asked = if session.is_none() { command(&line) } else { asked };
                let server = calling(&[("shell", &asked)]);
                let nest = asking(&server);
                let live = who.aether(&nest, &words(&[&["run", "go"], mode, WORK])).start();
                until_marked(&format!("sleep\0{mark}"));
                let family = offspring(live.pid());
                let begun = Instant::now();
                live.signal("INT");
                live.wait().exits(130).says("interrupted");
                assert!(begun.elapsed() < Duration::from_millis(END_MS_MAX), "{mode:?}: {:?}", begun.elapsed());
                gone(&mark, 2_000);
                until("nothing is left", || !family.iter().any(|process| process.is_alive()));
                assert!(nest.names().is_empty(), "{:?}", nest.names());
            }
        }
    }
}

/// The whole command is shown before it runs, and nothing in it steers the terminal.
#[test]
fn a_person_sees_the_whole_command() {
    let long = format!("echo {}; echo \u{202e}\u{9b}2Jdone; touch executed", "word ".repeat(300));
    let hidden = format!("{{\"command\":{},\"seconds\":5}}", json!(format!("{long} # \u{1b}[2K\u{1b}[1A")));
    for mode in MODES {
        let server = calling(&[("shell", &hidden)]);
        let nest = asking(&server);
        let mut person = Person::at(&nest, &words(&[&["run", "go"], mode]));
        let before = person.sees("[a]lways in this task: ");
        let shown: String = before.chars().filter(|letter| !"\r\n".contains(*letter)).collect();
        assert!(shown.contains("shell wants to read workspace, write, execute"), "{before}");
        assert!(shown.contains(&"word ".repeat(300)) && shown.contains("touch executed"), "{before}");
        assert!(shown.contains("\\u001b[2K\\u001b[1A") && shown.contains("\\u{202e}\\u{9b}2Jdone"), "{before}");
        assert!(shown.contains("why asked: policy asks before"), "{before}");
        assert!(!before.contains('\u{202e}') && !before.contains('\u{9b}'), "{before}");
        person.types("n\n");
        assert_eq!(person.waits(), Some(0));
        assert!(last_result(&server).contains("refused"), "{}", last_result(&server));
        assert!(nest.names().is_empty());
    }
}

/// "Always" holds for what it was said of, in this task, and for nothing else.
#[test]
fn always_is_remembered_in_this_task() {
    let script = Script::new()
        .turn(Turn::call("shell", &command("echo 1 >> ran")))
        .turn(Turn::call("shell", &command("echo 2 >> ran")))
        .turn(Turn::text("first done"))
        .turn(Turn::call("shell", &command("echo 3 >> ran")))
        .turn(Turn::text("second done").always());
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    let mut person = Person::at(&nest, &["chat"]);
    person.types("go\r");
    person.sees("[a]lways in this task: ");
    person.types("a\n");
    person.sees("first done");
    assert_eq!(nest.text_of("ran"), "1\n2\n");
    person.types("again\r");
    person.sees("[a]lways in this task: ");
    person.types("n\n");
    person.sees("second done");
    assert_eq!(nest.text_of("ran"), "1\n2\n");
}

/// A git that is asked in a hostile repository executes nothing of it.
#[test]
fn a_hostile_repository_executes_nothing() {
    let calls = [r#"{"args":["status","--short"]}"#, r#"{"args":["diff"]}"#, r#"{"args":["commit","-am","second"]}"#];
    let calls: Vec<(&str, &str)> = calls.iter().map(|input| ("git", *input)).collect();
    let server = calling(&calls);
    let nest = asking(&server);
    repository(&nest);
    let evil = nest.file(".git/hooks/pre-commit", "#!/bin/sh\ntouch hooked\n");
    Command::new("chmod").args(["755"]).arg(evil).status().expect("chmod");
    let config = nest.text_of(".git/config")
        + "[core]\n\tfsmonitor = touch monitored\n\tpager = touch paged\n[diff]\n\texternal = touch differed\n";
    nest.file(".git/config", &config);
    nest.aether(&words(&[&["run", "go"], WORK])).run().exits(0);
    let requests = server.requests();
    let told = results(requests.last().expect("a request"));
    assert!(told[0].contains("M a.txt") && told[1].contains("+two") && told[2].contains("second"), "{told:#?}");
    assert_eq!(nest.names(), [".git", "a.txt"]);
    assert_eq!(nest.text_of(".git/config"), config);
}
