//! `aether run` on an ordinary day: where the goal comes from, what comes out, and what the exit code says.

use std::fs;

use aether_testkit::script::{End, Item, Script, Turn, Usage};
use aether_testkit::server::Server;

use crate::ground::{Nest, asking, asking_with, last_result, names_in, results};

/// The log that the first command of the README summarises.
const LOG: &str = include_str!("../../../examples/log-summary/make.py");

fn log_file() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/log-summary/server.log")
}

#[test]
fn the_first_command_finds_what_was_planted_with_its_lines() {
    assert!(LOG.contains("db-2:5432"), "the log is made by this script");
    let nest = Nest::new();
    nest.file("examples/log-summary/server.log", fs::read(log_file()).expect("the example"));
    let ended = nest.aether(&["run", "Summarise examples/log-summary/server.log"]).run().exits(0);
    let planted: &[&[&str]] = &[
        &["2026-09-14 05:58:23", "2026-09-15 07:57:36", "1,988 lines"],
        &["ERROR 214", "WARN 46", "INFO 1,359", "DEBUG 363"],
        &["164×", "gateway upstream timeout", "1,518", "1,685", "03:14"],
        &["1,686", "1,687"],
        &["47×", "db-2:5432", "518", "950", "13:10", "18:10"],
        &["disk", "79%", "97%", "147", "1,825"],
        &["KeyError: 'ISK'", "803", "809"],
        &["22 min", "23:10:30", "23:32:34", "1,317", "1,318"],
        &["429"],
        &["6,093", "1,011"],
        &["1,187"],
        &["9874", "961"],
        &["smtp 421", "596", "635"],
        &["builtin/offline"],
    ];
    for word in planted.concat() {
        assert!(ended.stdout.contains(word), "`{word}` is not in the answer:\n{}", ended.stdout);
    }
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_goal_comes_from_words_a_file_or_standard_input() {
    let script = Script::new()
        .turn(Turn::text("from words").when(said("seven words")))
        .turn(Turn::text("from a file").when(said("a goal in a file")))
        .turn(Turn::text("from input").when(said("a goal from input")).uses(2))
        .turn(Turn::text("from both").when(said("first\n\nthen this")));
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    let goal = nest.file("goal.txt", "a goal in a file");
    nest.aether(&["run", "a goal of seven words or so"]).run().exits(0).answers("from words");
    nest.aether(&["run", "--file", goal.to_str().expect("a path")]).run().exits(0).answers("from a file");
    nest.aether(&["run", "-"]).input("a goal from input").run().exits(0).answers("from input");
    nest.aether(&["run"]).input("a goal from input").run().exits(0).answers("from input");
    nest.aether(&["run", "first", "-"]).input("then this").run().exits(0).answers("from both");
    assert_eq!(server.requests().len(), 5);
}

fn said(words: &str) -> aether_testkit::script::When {
    aether_testkit::script::When { contains: Some(words.to_owned()), ..Default::default() }
}

#[test]
fn a_goal_that_is_none_is_a_mistake_of_usage() {
    let nest = Nest::new();
    nest.aether(&["run"]).run().exits(2).says("there is no goal").says("aether run --file FILE");
    nest.aether(&["run", "  \n "]).run().exits(2).says("there is no goal");
    nest.aether(&["run", "-"]).input(b"caf\xe9 au lait").run().exits(2).says("is not UTF-8 text (byte 4)");
    nest.aether(&["run", "--file", "nowhere.txt"]).run().exits(2).says("nowhere.txt");
    nest.aether(&["run", "--file", "."]).run().exits(2).says("directory");
    let large = nest.file("large.txt", vec![b'x'; (16 << 20) + 1]);
    nest.aether(&["run", "--file", large.to_str().expect("a path")]).run().exits(2).says("larger than 16777216 bytes");
}

#[test]
fn what_is_misspelt_gets_the_nearest_right_word() {
    let nest = Nest::new();
    for (words, near) in [
        (&["rum", "x"][..], "aether run"),
        (&["run", "x", "--modle", "y"], "--model"),
        (&["run", "x", "--model", "antropic/claude"], "anthropic"),
        (&["run", "x", "--deny", "write_fil"], "write_file"),
        (&["run", "x", "--allow", "wriet"], "write"),
        (&["tool", "show", "red_file"], "read_file"),
        (&["tool", "shwo", "read_file"], "show"),
        (&["run", "--tool", "calcualte"], "calculate"),
        (&["run", "x", "--max-wall-ms", "soon"], "number"),
        (&["run", "x", "--profile", "codr"], "coder"),
    ] {
        let ended = nest.aether(words).run().exits(2).says(near);
        assert_eq!(ended.stdout, "", "{words:?}");
    }
}

#[test]
fn the_answer_alone_goes_to_standard_output() {
    let script = Script::new()
        .turn(Turn::reply(vec![Item::text("I look first."), Item::call("calculate", r#"{"expression":"6*7"}"#)]))
        .turn(Turn::reply(vec![Item::texts(&["It is ", "42", ".\n"])]));
    let server = Server::start(script).expect("a server");
    let ended = asking(&server).aether(&["run", "What is six times seven?"]).run().exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("It is 42.\n", ""));
}

#[test]
fn json_is_one_value_a_line_and_ends_with_the_outcome() {
    let cost = Usage { input_tokens: 1_000, output_tokens: 100, cached_tokens: 400, ..Usage::default() };
    let script = Script::new()
        .turn(Turn::reply(vec![Item::reasoning("Hm."), Item::call("calculate", r#"{"expression":"6*7"}"#)]).usage(cost))
        .turn(Turn::reply(vec![Item::texts(&["It is ", "42."])]).usage(cost));
    let server = Server::start(script).expect("a server");
    let prices = "[prices.\"gpt-4.1\"]\ninput_micro_usd_per_mtok = 2000000\ncached_micro_usd_per_mtok = 500000\n\
                  output_micro_usd_per_mtok = 8000000\n";
    let ended = asking_with(&server, prices).aether(&["run", "--json", "Six times seven?"]).run().exits(0);
    let outcome = ended.outcome();
    assert_eq!(outcome["verdict"], "done");
    assert_eq!(outcome["answer"], "It is 42.");
    assert_eq!(outcome["message"], serde_json::Value::Null);
    assert_eq!(outcome["label"], "person+model+tool");
    assert_eq!((&outcome["model_calls"], &outcome["tool_calls"]), (&2.into(), &1.into()));
    assert_eq!((&outcome["input_tokens"], &outcome["output_tokens"]), (&2_000.into(), &200.into()));
    assert_eq!(outcome["cached_tokens"], 800);
    // 1,200 tokens at 2 µ$, 800 at 0.5 µ$ and 200 at 8 µ$.
    assert_eq!(outcome["cost_micro_usd"], 2_400 + 400 + 1_600);
    let said: String = ended.events("said").iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(said, "It is 42.");
    for event in ["spawned", "asked", "answered", "allowed", "returned", "ended"] {
        assert!(!ended.events(event).is_empty(), "no event `{event}`");
    }
    let stamped: Vec<_> = ended.lines().into_iter().filter(|line| line.get("v").is_some()).collect();
    assert!(stamped.iter().all(|line| line["v"] == 1 && line["trace"] == stamped[0]["trace"]), "{stamped:#?}");
}

#[test]
fn every_verdict_has_its_exit_code_and_its_words() {
    let reply = |end| Turn::reply(vec![Item::text("So far")]).end(end);
    let looping = || Turn::call("calculate", r#"{"expression":"1+1"}"#).always();
    for (turn, flags, code, verdict) in [
        (reply(End::Done), &[][..], 0, "done"),
        (reply(End::Length), &[], 4, "length"),
        (reply(End::Refused), &[], 3, "refused"),
        (Turn::failure(401, "no"), &[], 1, "unauthorized"),
        (looping(), &["--max-repeats", "3"], 4, ""),
        (looping(), &["--max-tool-calls", "2"], 4, ""),
        (looping(), &["--max-model-calls", "2"], 4, ""),
        (looping(), &["--max-tokens-in", "1"], 4, ""),
        (looping(), &["--max-tokens-out", "1"], 4, ""),
        (reply(End::Done), &["--max-output-bytes", "3"], 4, ""),
    ] {
        let closing = Turn::text("The best I have").when(said("No more tool calls"));
        let server = Server::start(Script::new().turn(closing).turn(turn)).expect("a server");
        let nest = asking(&server);
        let words: Vec<&str> = ["run", "--json", "go"].into_iter().chain(flags.iter().copied()).collect();
        let ended = nest.aether(&words).run().exits(code);
        let outcome = ended.outcome();
        if !verdict.is_empty() {
            assert_eq!(outcome["verdict"], verdict, "{flags:?}");
        }
        assert_eq!(outcome["message"].is_null(), code == 0, "{flags:?}: {outcome}");
        if code != 0 {
            assert!(ended.stderr.contains(outcome["message"].as_str().expect("a message")), "{flags:?}");
        }
    }
}

#[test]
fn a_spent_budget_still_gives_the_best_answer() {
    let script = Script::new()
        .turn(Turn::text("Two, as far as I got").when(said("No more tool calls")))
        .turn(Turn::call("calculate", r#"{"expression":"1+1"}"#).always());
    let server = Server::start(script).expect("a server");
    let ended = asking(&server).aether(&["run", "go", "--max-tool-calls", "2"]).run().exits(4);
    assert_eq!(ended.stdout, "Two, as far as I got\n");
    assert!(ended.stderr.contains("--max-"), "{ended:#?}");
}

#[test]
fn a_child_task_answers_its_parent() {
    let script = Script::new()
        .turn(Turn::call("delegate", r#"{"goal":"count the sheep"}"#).when(said("How many animals")))
        .turn(Turn::text("three sheep").when(said("count the sheep")))
        .turn(Turn::text("Three animals.").when(said("three sheep")));
    let server = Server::start(script).expect("a server");
    let ended = asking(&server).aether(&["run", "--json", "How many animals?"]).run().exits(0);
    assert_eq!(ended.outcome()["answer"], "Three animals.");
    assert_eq!(ended.outcome()["model_calls"], 3, "the child's question counts");
    assert!(last_result(&server).contains("three sheep"));
    assert_eq!(ended.events("spawned").len(), 2);
}

#[test]
fn each_run_leaves_one_trace_and_keeps_no_more_than_allowed() {
    let server = Server::start(Script::new().turn(Turn::text("ok").always())).expect("a server");
    let nest = asking_with(&server, "[trace]\nfiles_max = 3\n");
    for runs in 1..=5_usize {
        nest.aether(&["run", "go"]).run().exits(0);
        assert_eq!(names_in(&nest.traces()).len(), runs.min(3));
    }
    let nest = asking_with(&server, "[trace]\nfiles_max = 0\n");
    nest.aether(&["run", "go"]).run().exits(0);
    assert!(!nest.traces().exists(), "0 keeps none");
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let server = Server::start(Script::new().turn(Turn::text("ok").always())).expect("a server");
    let nest = asking(&server);
    let asked = |server: &Server| {
        let last = server.requests().pop().expect("a request");
        last.body["model"].as_str().unwrap_or_default().to_owned()
    };
    nest.aether(&["run", "go"]).run().exits(0);
    assert_eq!(asked(&server), "gpt-4.1");
    nest.aether(&["run", "go"]).env("AETHER_MODEL", "test/gpt-4o").run().exits(0);
    assert_eq!(asked(&server), "gpt-4o");
    let flagged = nest.aether(&["run", "go", "--model", "test/gpt-5.4"]).env("AETHER_MODEL", "test/gpt-4o");
    flagged.run().exits(0);
    assert_eq!(asked(&server), "gpt-5.4");
}

#[test]
fn several_calls_of_one_turn_come_back_in_their_order() {
    let calls = ["a.txt", "b.txt", "c.txt", "missing.txt"];
    let items = calls.iter().map(|name| Item::call("read_file", &format!(r#"{{"path":"{name}"}}"#))).collect();
    let script = Script::new().turn(Turn::reply(items)).turn(Turn::text("read"));
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    for name in &calls[..3] {
        nest.file(name, format!("content of {name}\n"));
    }
    nest.aether(&["run", "Read them"]).run().exits(0);
    let shown = results(&server.requests()[1]);
    assert_eq!(shown.len(), 4, "{shown:#?}");
    for (name, result) in calls.iter().zip(&shown).take(3) {
        assert!(result.contains(&format!("content of {name}")), "{result}");
    }
    assert!(shown[3].contains("missing.txt"), "{shown:#?}");
}
