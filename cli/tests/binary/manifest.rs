//! `aether tool check|show` in the built program: every mistake at once, and what a manifest means in plain words.

use crate::ground::Nest;

const SIMPLE: &str =
    "name = \"weather\"\nnetwork = true\nfilesystem = true\nmax_runtime = \"3s\"\nmemory_limit = \"20mb\"\n";

const FULL: &str = r#"name = "http_request"
version = "1.0.0"
description = "Fetch one URL and return its text"
runtime = "wasm"
network = ["api.github.com:443"]
filesystem = { read = ["$workspace"], write = ["$workspace/out"] }
max_runtime = "3s"
memory_limit = "20mb"
cpu_limit = "1s"

[[secrets]]
name = "github_token"
host = "api.github.com"
header = "authorization: Bearer {}"

[input]
required = ["url"]
properties.url = { type = "string" }
"#;

/// The words of a row of the table.
fn row<'t>(text: &'t str, subject: &str) -> Vec<&'t str> {
    let line = text.lines().find(|line| line.split("  ").next() == Some(subject));
    let line = line.unwrap_or_else(|| panic!("no row {subject} in\n{text}"));
    line[subject.len()..].split("  ").map(str::trim).filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_simple_form_is_sound_and_said_in_words() {
    let nest = Nest::new();
    nest.file("weather.toml", SIMPLE);
    let ended = nest.run(&["tool", "check", "weather.toml"]).exits(0);
    ended.stdout.lines().next().filter(|line| *line == "weather.toml is sound").expect("first it says so");
    assert_eq!(row(&ended.stdout, "network")[0], "any public host");
    assert_eq!(row(&ended.stdout, "reads"), ["$workspace"; 3]);
    assert_eq!(row(&ended.stdout, "writes"), ["$workspace"; 3]);
    assert_eq!(row(&ended.stdout, "memory")[0], "20 MB");
    assert_eq!(row(&ended.stdout, "time")[0], "3 s");
    ended.answers("ask for the person at the terminal");
    nest.decide("terminal.write", "deny");
    let ended = nest.run(&["tool", "check", "weather.toml"]).exits(0);
    assert_eq!(row(&ended.stdout, "writes"), ["$workspace", "$workspace", "none"]);
    ended.answers("without    write: policy denies it");
}

#[test]
fn every_mistake_is_named_with_line_and_column() {
    let nest = Nest::new();
    nest.file(
        "bad.toml",
        "name = \"Bad\"\nnetwrk = true\nnetwork = [\"*\"]\nfilesystem = { read = [\"~\"] }\nmax_runtime = \"3\"\n",
    );
    nest.run(&["tool", "check", "bad.toml"]).exits(2).says_all(&[
        "bad.toml:1:8: `name`: found `Bad`",
        "bad.toml:1:1: `memory_limit` is missing",
        "bad.toml:2:1: unknown key `netwrk`; did you mean `network`?",
        "bad.toml:3:12: `network`: `*` is every host",
        "bad.toml:4:24: `filesystem.read`: `~` is a whole home",
        "bad.toml:5:15: `max_runtime`: found `3`",
    ]);
    let report = &nest.run(&["tool", "check", "bad.toml", "--json"]).exits(2).lines()[0];
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(6), "{report}");
    assert!(report["tool"].is_null());
    nest.run(&["tool", "check", "none.toml"]).exits(2).says("none.toml");
    nest.run(&["tool", "check"]).exits(2).says("the path of a manifest");
    nest.file("escape.toml", "name = \"\\u001b[2J\\u202ex\"\nmax_runtime = \"1s\"\nmemory_limit = \"1mb\"\n");
    nest.run(&["tool", "check", "escape.toml"]).exits(2).hides("\u{1b}").hides("\u{202e}");
}

#[test]
fn declared_granted_and_effective_stand_side_by_side() {
    let nest = Nest::new();
    nest.file("full.toml", FULL);
    let shown = nest.run(&["tool", "show", "./full.toml"]).exits(0);
    let head = shown.stdout.lines().find(|line| line.contains("declared")).expect("a head");
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["declared", "granted", "effective"]);
    assert_eq!(row(&shown.stdout, "writes"), ["$workspace/out", "$workspace", "$workspace/out"]);
    let shown = shown.answers("github_token for api.github.com:443").answers("does not say where it is");
    shown.answers("3 s, 1 s of processor");
    let report = &nest.run(&["tool", "show", "full.toml", "--json"]).exits(0).lines()[0];
    let tool = &report["tool"];
    assert_eq!((&tool["name"], &tool["declared"]["writes"]), (&"http_request".into(), &"$workspace/out".into()));
    assert_eq!(tool["secrets"][0]["found"], false);
    assert_eq!(tool["input"]["type"], "object");
    let builtin = nest.run(&["tool", "show", "write_file"]).exits(0);
    assert_eq!(row(&builtin.stdout, "does")[0], "write");
    nest.run(&["tool", "show", "write_fil"]).exits(2).says("did you mean `write_file`?");
    nest.run(&["tool", "show", "none/at/all.toml"]).exits(2).says("none/at/all.toml");
}
