//! Whole answers, over a workspace in memory whose tools answer as the real ones do.
//!
//! Each answer is compared with a file in `tests/golden`; `UPDATE=1` accepts the new text.

#[cfg(test)]
mod world;

use aether_core::label::{Label, Origin};
use aether_core::model::{ModelErrorKind, ModelEvent, ModelOptions, Part, Stop, ToolUse};
use aether_core::transcript::Entry;

use world::{Outcome, World};

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Compares an answer with its golden file.
#[cfg(test)]
fn check(name: &str, answer: &str) {
    let path = format!("{}/tests/golden/{name}.md", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, answer).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == answer, "{path} differs; UPDATE=1 accepts this:\n{answer}");
}

/// The answer about one fixture, as it is and with every older result folded away (N6).
fn told(name: &str) -> String {
    let mut world = World::default();
    world.file(name, fixture(name));
    let outcome = world.run(&format!("What is in {name}?"));
    let folded = world.folding().run(&format!("What is in {name}?"));
    assert_eq!(outcome.answer, folded.answer, "folding changed the answer about {name}");
    outcome.answer
}

#[test]
fn n2_logs_of_every_format_are_told() {
    for name in ["auth.log", "access.log", "events.jsonl", "app.log"] {
        check(name, &told(name));
    }
}

#[test]
fn n2_tables_json_and_texts_are_told() {
    for name in ["orders.csv", "tree.json", "broken.json", "notes.md"] {
        check(name, &told(name));
    }
}

#[test]
fn the_example_log_is_told() {
    let path = format!("{}/../../examples/log-summary/server.log", env!("CARGO_MANIFEST_DIR"));
    let mut world = World::default();
    world.file("examples/log-summary/server.log", std::fs::read(path).unwrap());
    let goal = "Summarise examples/log-summary/server.log";
    let outcome = world.run(goal);
    check("server.log", &outcome.answer);
    assert!(outcome.turns <= 4, "{} turns", outcome.turns);
    assert!(outcome.answer.lines().count() <= 60);
    assert_eq!(world.folding().run(goal).answer, outcome.answer);
}

#[test]
fn a_folder_is_told() {
    let mut world = World::default();
    for name in ["shop/README.md", "shop/Cargo.toml", "shop/src/main.rs"] {
        world.file(name, fixture(name));
    }
    check("folder", &world.run("What is in the shop folder?").answer);
    check("code", &world.run("describe shop/src/main.rs").answer);
    assert!(world.run("Describe this project").answer.starts_with("The workspace holds 3 files in 2 folders"));
}

#[test]
fn several_files_are_told_one_after_another() {
    let mut world = World::default();
    world.file("a.csv", b"x,y\n1,2\n3,4\n".to_vec());
    world.file("b.md", b"# Title\n\nWords.\n".to_vec());
    let answer = world.run("Compare a.csv with b.md").answer;
    let (a, b) = (answer.find("`a.csv` is a table of 2 rows"), answer.find("`b.md` is text of 3 lines"));
    assert!(a.is_some() && a < b, "{answer}");
}

#[test]
fn a_file_elsewhere_is_found_by_name() {
    let mut world = World::default();
    world.file("deep/er/x.csv", b"a,b\n1,2\n".to_vec());
    let answer = world.run("what is in x.csv?").answer;
    assert!(answer.starts_with("There is no `x.csv`; this is about `deep/er/x.csv`.\n"), "{answer}");
    world.file("other/x.csv", b"a,b\n1,2\n".to_vec());
    let answer = world.run("what is in x.csv?").answer;
    assert!(answer.contains("files of that name are `deep/er/x.csv`, `other/x.csv`: name one of them"), "{answer}");
    let answer = world.run("what is in y.csv?").answer;
    assert!(answer.contains("no file of that name elsewhere"), "{answer}");
}

#[test]
fn a_folder_may_be_called_like_a_file_and_the_other_way_round() {
    let mut world = World::default();
    world.file("conf.d/a.txt", b"hello\n".to_vec());
    world.file("data/plain", b"some words\n".to_vec());
    assert!(
        world.run("look at conf.d").answer.starts_with("`conf.d` holds 1 file"),
        "{}",
        world.run("look at conf.d").answer
    );
    assert!(
        world.run("look at data/plain").answer.starts_with("`data/plain` is text of 1 line"),
        "{}",
        world.run("look at data/plain").answer
    );
}

#[test]
fn strange_files_are_told_honestly() {
    let mut world = World::default();
    world.file("empty.txt", Vec::new());
    world.file("a.bin", b"\0\x01\x02".to_vec());
    world.file("odd.log", b"2026-11-19T03:14:15Z INFO caf\xe9\nnonsense\n".to_vec());
    assert!(world.run("read empty.txt").answer.contains("empty file"));
    assert!(world.run("read a.bin").answer.contains("not text"));
    let odd = world.run("read odd.log").answer;
    assert!(odd.contains("bytes that are not UTF-8: 1 line (line 1)"), "{odd}");
    assert!(odd.contains("fits no pattern: 1 line (line 2)"), "{odd}");
}

#[test]
fn n3_what_was_not_read_is_said() {
    let line = "2026-11-19T03:14:15Z INFO all is well and will be well in every way there is\n";
    let mut world = World::default();
    world.file("big.log", line.repeat(100_000).into_bytes());
    let outcome = world.run("Summarise big.log");
    assert!(outcome.answer.contains("**Not all of it was read**: this covers lines 1–"), "{}", outcome.answer);
    assert!(outcome.answer.contains(" of 100,000 of `big.log`"), "{}", outcome.answer);
    assert!(outcome.calls <= 190 && outcome.turns <= 40, "{} calls, {} turns", outcome.calls, outcome.turns);
    // Cut short by the kernel after two turns.
    let short = world.forbidden_after(2).run("Summarise big.log");
    assert!(
        short.answer.contains("**Not all of it was read**") && short.answer.contains("no further tool call is allowed"),
        "{}",
        short.answer
    );
}

#[test]
fn without_tools_it_says_so() {
    let mut world = World::default();
    world.file("a.csv", b"a,b\n1,2\n".to_vec());
    let answer = world.forbidden_after(0).run("read a.csv").answer;
    assert!(answer.contains("Nothing can be said about `a.csv`: no further tool call is allowed (No more tool calls: the budget of tool calls is spent."), "{answer}");
    let answer = world.without_tools().run("read a.csv").answer;
    assert!(answer.contains("the tool `read_file` is not among those that may be used"), "{answer}");
    let answer = world.without_tools().run("what time is it?").answer;
    assert!(answer.contains("This needs the tool `time`"), "{answer}");
}

#[test]
fn small_questions_go_to_one_tool() {
    let mut world = World::default();
    world.file("a.log", b"one\nrefused\n".to_vec());
    assert!(world.run("what is 17% of 2,340?").answer.starts_with("calculate {\"expression\":\"17/100*2340\"}"));
    let time = world.run("What time is it in Oslo and in Lima?");
    assert!(
        time.answer.contains("Europe/Oslo") && time.answer.contains("America/Lima") && time.calls == 2,
        "{}",
        time.answer
    );
    let search = world.run("search for refused in a.log").answer;
    assert!(search.contains("a.log:2: refused"), "{search}");
    assert!(world.run("find *.log").answer.contains("- a.log\n"));
}

#[test]
fn n4_every_answer_says_which_model_this_is() {
    let mut world = World::default();
    world.file("a.csv", b"a,b\n1,2\n".to_vec());
    for goal in [
        "hello",
        "write a poem",
        "read a.csv",
        "read missing.csv",
        "what time is it?",
        "what is 2+2",
        "find *.csv",
        "search for x",
        "",
    ] {
        let answer = world.run(goal).answer;
        assert!(
            answer.contains("`builtin/offline`") && answer.contains("rule-based model without network"),
            "{goal}: {answer}"
        );
    }
}

#[test]
fn a_message_on_the_way_is_minded() {
    let line = "2026-11-19T03:14:15Z INFO all is well and will be well\n";
    let mut world = World::default();
    world.file("big.log", line.repeat(3000).into_bytes());
    world.file("a.csv", b"a,b\n1,2\n".to_vec());
    let vague = world.steering(2, "please hurry").run("Summarise big.log").answer;
    assert!(
        vague.contains("a log of 3,000 lines") && vague.contains("The message “please hurry” was not understood."),
        "{vague}"
    );
    let other = world.steering(2, "no, look at a.csv instead").run("Summarise big.log").answer;
    assert!(other.starts_with("`a.csv` is a table"), "{other}");
}

#[test]
fn n1_the_same_question_has_the_same_answer_and_usage_grows_with_it() {
    let mut world = World::default();
    world.file("auth.log", fixture("auth.log"));
    let (one, two) = (world.run("read auth.log"), world.run("read auth.log"));
    assert_eq!((&one.answer, one.usage), (&two.answer, two.usage));
    assert!(one.usage.input_tokens > 100 && one.usage.output_tokens > 100);
}

#[test]
fn a_schema_is_refused() {
    let options = ModelOptions { schema: Some("{}".into()), ..ModelOptions::default() };
    let entries = [Entry::Person { text: "hello".into(), images: Vec::new(), label: Label::from(Origin::Person) }];
    let events = aether_offline::answer(&world::question(&entries, &[], &options, ToolUse::Allowed));
    assert!(
        matches!(&events[..], [ModelEvent::Error(error)] if error.kind == ModelErrorKind::Unsupported),
        "{events:?}"
    );
}

#[test]
fn a_summary_is_short_and_keeps_what_is_carried() {
    let entries = [Entry::Note {
        text: "[The context window is almost full. Summarise everything above.]".into(),
        label: Label::default(),
    }];
    let events = aether_offline::answer(&world::question(&entries, &[], &ModelOptions::default(), ToolUse::Forbidden));
    assert!(
        matches!(&events[..], [ModelEvent::Text(_), ModelEvent::Usage(_), ModelEvent::Stop(Stop::Done)]),
        "{events:?}"
    );
}

#[test]
fn a_turn_carried_by_another_hand_is_no_trouble() {
    let mut world = World::default();
    world.file("a.csv", b"a,b\n1,2\n".to_vec());
    for carried in ["", "[]", "[\"offline/1\"]", "nonsense"] {
        let parts = vec![Part::Carried(carried.into()), world::call("offline-1", "read_file", "{}")];
        let outcome: Outcome = world.run_from("read a.csv", vec![Entry::Model { parts, codec: aether_offline::CODEC }]);
        assert!(outcome.answer.starts_with("`a.csv` is a table"), "{}", outcome.answer);
    }
}

/// N5: files of random bytes and of torn pieces of real ones.
#[test]
fn n5_no_file_makes_it_panic() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_119_u64);
    println!("SEED={seed}");
    let mut random = world::Random(seed);
    let fixtures: Vec<Vec<u8>> =
        ["auth.log", "access.log", "events.jsonl", "app.log", "orders.csv", "tree.json", "notes.md"]
            .map(fixture)
            .into();
    for round in 0..1500 {
        let mut bytes = Vec::new();
        for _ in 0..random.below(12) {
            let source = &fixtures[random.below(fixtures.len())];
            let from = random.below(source.len());
            bytes.extend_from_slice(&source[from..(from + random.below(400)).min(source.len())]);
            if random.below(3) == 0 {
                let noise: Vec<u8> = (0..random.below(20)).map(|_| random.below(255) as u8 + 1).collect();
                bytes.extend(noise);
            }
        }
        let name = ["x.log", "x.csv", "x.json", "x.md", "x.jsonl", "x.rs", "x"][round % 7];
        let mut world = World::default();
        world.file(name, bytes);
        let outcome = world.run(&format!("read ./{name}"));
        assert!(outcome.answer.lines().count() <= 100 && outcome.answer.len() < 40_000, "{}", outcome.answer);
    }
}

#[test]
fn n3_a_folder_too_large_for_one_listing_is_counted_less_deep() {
    let mut world = World::default();
    for n in 0..900 {
        world.file(&format!("a/b/c/d/file-with-a-name-of-some-length-{n}.txt"), b"x\n".to_vec());
    }
    world.file("top.md", b"# Top\n".to_vec());
    let answer = world.run("What is in this folder?").answer;
    assert!(
        answer.starts_with("The workspace holds 1 file in 3 folders, 6 bytes in all, counted 3 levels deep"),
        "{answer}"
    );
}
