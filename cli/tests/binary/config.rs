//! `aether config`: nothing that the person wrote is lost, and no secret gets in.

use std::fs;

use crate::ground::{Nest, mode};
use crate::person::Person;

const SECRET: &str = "sk-planted-5f1c0d2e9b";

#[test]
fn with_nothing_configured_every_command_has_an_answer() {
    let nest = Nest::new();
    assert_eq!(nest.run(&["config", "path"]).exits(0).stdout, format!("{}\n", nest.config_file().display()));
    assert_eq!(nest.run(&["config", "get", "limits.wall_ms"]).exits(0).stdout, "1800000\n");
    nest.run(&["config", "get", "model"]).exits(1).says_all(&["`model` is not set", "config explain model"]);
    assert!(nest.run(&["config", "check"]).exits(0).stdout.contains("does not have to"));
    assert!(nest.run(&["config", "explain"]).exits(0).stdout.lines().count() > 80);
    nest.run(&["config", "unset", "model"]).exits(0).says("was not set");
    assert_eq!(nest.files(), [], "looking makes no files");
    let paths = nest.run(&["config", "path", "--json"]).exits(0).json();
    assert_eq!(paths["exists"], false);
    assert_eq!(paths["keys"], nest.path(".local/share/aether/keys").to_str().unwrap());
}

#[test]
fn set_makes_a_private_file_and_changes_nothing_else_in_it() {
    let nest = Nest::new();
    nest.run(&["config", "set", "limits.wall_ms", "600000"]).exits(0);
    assert_eq!(mode(&nest.config_file()), 0o600);
    assert_eq!(mode(&nest.path(".config/aether")), 0o700);
    assert_eq!(nest.config(), "[limits]\nwall_ms = 600000\n");

    let mine =
        "# my own words\nmodel = \"builtin/offline\"   # for trains\n\n[limits]   # budget\n\twall_ms = 1 # soon\n";
    nest.configure(mine);
    nest.run(&["config", "set", "limits.wall_ms", "5"]).exits(0).says("`limits.wall_ms` is set in");
    assert_eq!(nest.config(), mine.replace("wall_ms = 1", "wall_ms = 5"));
    let report = nest.run(&["config", "set", "limits.wall_ms", "5", "--json"]).exits(0).json();
    assert_eq!((&report["changed"], &report["value"]), (&false.into(), &5.into()));
    nest.run(&["config", "unset", "limits.wall_ms"])
        .exits(0)
        .says_all(&["is removed from", "it is now 1800000, from: default"]);
    assert_eq!(nest.config(), mine.replace("\twall_ms = 1 # soon\n", ""));
}

#[test]
fn a_wrong_key_or_value_is_refused_with_what_would_be_right() {
    let nest = Nest::new();
    nest.configure("# mine\n");
    for (words, wanted) in [
        (&["limits.wal_ms", "5"][..], &["unknown key `limits.wal_ms`", "did you mean `limits.wall_ms`?"][..]),
        (&["providers.openai.bse_url", "x"], &["did you mean `providers.openai.base_url`?"]),
        (&["limits.wall_ms", "soon"], &["found `soon`", "a whole number from 1 to"]),
        (&["color", "red"], &["found `red`", "auto, always, never"]),
        (&["limits", "5"], &["is a table of keys", "config explain limits"]),
        (&["a..b", "5"], &["an empty name"]),
        (&["limits.wall_ms"], &["needs a value"]),
        (&[], &["needs a key"]),
    ] {
        nest.run(&[&["config", "set"], words].concat()).exits(2).says_all(wanted);
    }
    nest.run(&["config", "get", "modle"]).exits(2).says("did you mean `model`?");
    nest.run(&["config", "unset", "modle"]).exits(2).says("did you mean `model`?");
    assert_eq!(nest.config(), "# mine\n");
    // A misspelt key that is in the file can be taken out of it.
    nest.configure("modle = 1\n");
    nest.run(&["config", "unset", "modle"]).exits(0);
    assert_eq!(nest.config(), "");
}

#[test]
fn no_secret_gets_into_the_file_or_out_of_it() {
    let nest = Nest::new();
    for (key, value, wanted) in [
        ("providers.openai.key", SECRET.to_owned(), "aether onboard --provider openai"),
        ("providers.openai.headers.Authorization", format!("Bearer {SECRET}"), "aether onboard"),
        ("network.proxy", format!("http://me:{SECRET}@proxy:3128"), "HTTPS_PROXY"),
    ] {
        nest.run(&["config", "set", key, &value]).exits(2).says(wanted).hides(SECRET);
    }
    assert_eq!(nest.files(), []);
    nest.run(&["config", "set", "providers.openai.key", "env:MY_KEY"]).exits(0);

    // One that came in by hand is not shown.
    nest.configure(&format!("providers.a.kind = \"openai_chat\"\nproviders.a.headers.x-api-key = \"{SECRET}\"\n"));
    let nest = nest.env("AETHER_NETWORK__PROXY", &format!("http://me:{SECRET}@proxy:3128"));
    for words in [
        &["explain"][..],
        &["explain", "--json"],
        &["explain", "network.proxy"],
        &["explain", "network.proxy", "--json"],
        &["explain", "providers.a.headers.x-api-key"],
        &["get", "network.proxy"],
        &["get", "network.proxy", "--json"],
        &["set", "network.proxy", "http://other:3128", "--json"],
        &["check"],
    ] {
        nest.run(&[&["config"], words].concat()).hides(SECRET);
    }
    assert_eq!(nest.run(&["config", "get", "network.proxy"]).stdout, "***@proxy:3128\n");
}

#[test]
fn explain_shows_every_layer_and_which_one_won() {
    let nest = Nest::new().env("AETHER_COLOR", "always").env("GROQ_API_KEY", SECRET);
    nest.configure(
        "\ncolor = \"never\"\n[providers.mine]\nkind = \"openai_chat\"\nbase_url = \"http://127.0.0.1:1/v1\"\n",
    );
    let text = nest.run(&["config", "explain", "color"]).exits(0).hides("\u{1b}[31").stdout;
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("    ")).collect();
    assert!(lines[0].contains("default") && lines[0].contains("\"auto\""), "{text}");
    assert!(lines[1].contains("config.toml:2") && lines[1].contains("\"never\""), "{text}");
    assert!(text.lines().last().unwrap().contains("AETHER_COLOR") && text.contains("<- this one"), "{text}");

    let report = nest.run(&["config", "explain", "color", "--color", "never", "--json"]).exits(0).json();
    let sources: Vec<&str> =
        report["layers"].as_array().unwrap().iter().map(|l| l["source"].as_str().unwrap()).collect();
    assert_eq!(sources.len(), 4);
    assert_eq!((sources[0], sources[3]), ("default", "flag --color"));
    assert_eq!(report["value"], "never");
    assert_eq!(report["variable"], "AETHER_COLOR");

    let all = nest.run(&["config", "explain", "--json"]).exits(0).hides(SECRET).json();
    let one = |key: &str| all.as_array().unwrap().iter().find(|row| row["key"] == key).cloned().unwrap_or_default();
    assert_eq!(one("providers.mine.base_url")["value"], "http://127.0.0.1:1/v1");
    assert_eq!(one("limits.depth")["is_default"], true);
    assert!(one("model")["source"].as_str().unwrap().contains("GROQ_API_KEY is set"), "{}", one("model"));
    let key = nest.run(&["config", "explain", "providers.groq.key", "--color", "never"]).exits(0).hides(SECRET).stdout;
    assert!(key.contains("environment variable GROQ_API_KEY is used"), "{key}");
    let table = nest.run(&["config", "explain", "providers.mine", "--color", "never"]).exits(0).stdout;
    assert!(table.starts_with("providers.mine.kind = \"openai_chat\"  ("), "{table}");
    nest.run(&["config", "explain", "colour"]).exits(2).says("did you mean `color`?");
}

#[test]
fn a_variable_that_wins_is_named_when_the_file_is_set() {
    let nest = Nest::new().env("AETHER_COLOR", "always");
    nest.run(&["config", "set", "color", "never"]).exits(0).says("AETHER_COLOR says otherwise and wins");
    assert_eq!(nest.run(&["config", "get", "color"]).exits(0).stdout, "always\n");
    let report = nest.run(&["config", "get", "color", "--json"]).exits(0).json();
    assert_eq!(report["source"], "environment variable AETHER_COLOR");
    let nest = Nest::new();
    nest.run(&["config", "set", "model", "opnai/gpt"]).exits(0).says("did you mean `openai`?");
}

#[test]
fn check_reports_all_mistakes_at_once() {
    let nest = Nest::new().env("AETHER_LIMITS__DEPTH", "99");
    nest.configure("colour = \"red\"\n[limits]\nwall_ms = \"long\"\n");
    let ran = nest.run(&["config", "check"]).exits(2);
    let ran = ran.says_all(&[
        "config.toml:1: unknown key `colour`",
        "did you mean `color`?",
        "config.toml:3: `limits.wall_ms`",
    ]);
    ran.says("AETHER_LIMITS__DEPTH: `limits.depth`: found the text `99`");
    let report = nest.run(&["config", "check", "--json"]).exits(2).json();
    let lines: Vec<i64> = report["errors"].as_array().unwrap().iter().filter_map(|e| e["line"].as_i64()).collect();
    assert_eq!(lines, [1, 3]);
    // The same in every other command, before it does anything.
    nest.run(&["run", "hello"]).exits(2).says_all(&["unknown key `colour`", "limits.depth"]);

    let nest = Nest::new();
    nest.configure("model = \"x/y\"\nfallback = [\n");
    nest.run(&["config", "check"]).exits(2).says("config.toml:2:");
    let report = nest.run(&["config", "check", "--json"]).exits(2).json();
    assert!(report["errors"][0]["column"].as_i64().unwrap() > 0, "{report}");
    nest.run(&["config", "set", "color", "never"]).exits(2).says_all(&["config.toml:2:", "aether config edit"][1..]);
    assert_eq!(nest.config(), "model = \"x/y\"\nfallback = [\n");

    let nest = Nest::new();
    nest.configure(
        "model = \"antropic/x\"\n[providers.mine]\nkind = \"ollama\"\n[network]\nproxy = \"socks5://p:1\"\n",
    );
    let ran = nest.run(&["config", "check"]).exits(2);
    ran.says_all(&["did you mean `anthropic`?", "provider mine has no address", "SOCKS"]);
    let other = nest.write("other.toml", "color = \"never\"\n", 0o600);
    nest.run(&["config", "check", "--config", other.to_str().unwrap()]).exits(0);
    nest.run(&["config", "check", "--config", "nowhere.toml"]).exits(2).says_all(&["nowhere.toml", "does not exist"]);
}

/// An editor that replaces the text by the next of its files, and notes what it was given.
fn editor(nest: &Nest, texts: &[&str]) -> String {
    for (at, text) in texts.iter().enumerate() {
        nest.write(&format!("edits/{at}"), text, 0o600);
    }
    let edits = nest.path("edits").display().to_string();
    let script = format!(
        "#!/bin/sh\nn=$(cat {edits}/count 2>/dev/null || echo 0)\ncp \"$2\" {edits}/given.$n\n\
         cp {edits}/$n \"$2\" || exit 9\necho $((n+1)) > {edits}/count\n"
    );
    nest.write("edit.sh", &script, 0o700).display().to_string()
}

#[test]
fn edit_keeps_the_old_file_until_the_new_one_is_sound() {
    let nest = Nest::new();
    let program = editor(&nest, &["color = \"never\"\n", "color = 1\nmodle = 2\n"]);
    let nest = nest.env("EDITOR", &format!("{program} --wait"));
    nest.run(&["config", "edit"]).exits(0);
    assert_eq!(nest.config(), "color = \"never\"\n");
    assert_eq!(mode(&nest.config_file()), 0o600);
    let template = fs::read_to_string(nest.path("edits/given.0")).unwrap();
    assert!(
        template.contains("# limits.wall_ms = 1800000") && template.contains("\n# The longest a task"),
        "{template}"
    );

    let ran = nest.run(&["config", "edit"]).exits(2);
    ran.says_all(&[
        "config.toml:1: `color`",
        "config.toml:2: unknown key `modle`",
        "stays as it was",
        "config.rejected.toml",
    ]);
    assert_eq!(nest.config(), "color = \"never\"\n");
    assert_eq!(fs::read_to_string(nest.path(".config/aether/config.rejected.toml")).unwrap(), "color = 1\nmodle = 2\n");
    // The third time it fails, and the fourth it does nothing.
    nest.run(&["config", "edit"]).exits(1).says_all(&["ended with exit status: 9", "stays as it was"]);
    nest.write("edits/2", "color = \"never\"\n", 0o600);
    nest.run(&["config", "edit"]).exits(0).says("nothing was changed");
    let left: Vec<_> = fs::read_dir(nest.path(".config/aether")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let nest = nest.env("VISUAL", "/no/such/editor");
    nest.run(&["config", "edit"]).exits(2).says_all(&["`/no/such/editor` does not start", "EDITOR"]);
}

#[test]
fn ctrl_c_in_the_editor_is_the_editors_affair() {
    let nest = Nest::new();
    let script = "#!/bin/sh\ntrap '' INT\nkill -INT $PPID\necho 'color = \"never\"' > \"$1\"\n";
    let program = nest.write("edit.sh", script, 0o700);
    let nest = nest.env("EDITOR", program.to_str().unwrap());
    nest.run(&["config", "edit"]).exits(0);
    assert_eq!(nest.config(), "color = \"never\"\n");
}

#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let nest = Nest::new();
    let mut live = nest.aether(&["config", "explain"]).start();
    live.turn_away();
    assert_eq!(live.wait().exits(0).stderr, "");
}

#[test]
fn on_a_terminal_mistakes_can_be_mended_at_once() {
    let nest = Nest::new();
    let program = editor(&nest, &["modle = 2\n", "model = \"builtin/offline\"\n", "x = \n"]);
    let nest = nest.env("EDITOR", &format!("{program} -n"));
    let mut person = Person::in_colour(&nest, &["config", "edit"]);
    person.sees("did you mean `model`?");
    person.sees("[k]eep the old configuration: ");
    person.types("e");
    person.sees("is saved");
    assert_eq!(person.waits(), Some(0));
    assert_eq!(nest.config(), "model = \"builtin/offline\"\n");
    let mut person = Person::in_colour(&nest, &["config", "edit"]);
    person.sees("config.toml:1:");
    person.sees("[k]eep the old configuration: ");
    person.types("k");
    person.sees("stays as it was");
    assert_eq!(person.waits(), Some(2));
    assert_eq!(nest.config(), "model = \"builtin/offline\"\n");
}

#[test]
fn processes_that_set_keys_at_once_lose_none() {
    let nest = Nest::new();
    let keys: Vec<String> = (0..12).map(|n| format!("prices.m{n}.input_micro_usd_per_mtok")).collect();
    std::thread::scope(|scope| {
        for key in &keys {
            scope.spawn(|| nest.run(&["config", "set", key, "7"]).exits(0));
        }
    });
    for key in &keys {
        assert_eq!(nest.run(&["config", "get", key]).exits(0).stdout, "7\n");
    }
}

#[test]
fn where_nothing_can_be_written_the_sentence_says_so() {
    let nest = Nest::new();
    nest.write(".config", "a file stands here", 0o600);
    nest.run(&["config", "set", "color", "never"])
        .exits(1)
        .says_all(&[".config", "a file stands where a directory was wanted"]);
    let nest = Nest::new();
    fs::create_dir_all(nest.config_file()).unwrap();
    nest.run(&["config", "get", "color"]).exits(2).says("is not a file");
    nest.run(&["config", "set", "color", "never"]).exits(2).says("is not a file");
}
