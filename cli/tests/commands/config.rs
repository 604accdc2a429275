//! `aether config`: nothing that the person wrote is lost, and no secret gets in.

use std::fs;

use crate::home::{Home, Person, mode};

const SECRET: &str = "sk-planted-5f1c0d2e9b";

#[test]
fn with_nothing_configured_every_command_has_an_answer() {
    let home = Home::new();
    assert_eq!(home.run(&["config", "path"]).ended(0).out, format!("{}\n", home.config_file().display()));
    assert_eq!(home.run(&["config", "get", "limits.wall_ms"]).ended(0).out, "1800000\n");
    home.run(&["config", "get", "model"]).ended(1).says(&["`model` is not set", "config explain model"]);
    assert!(home.run(&["config", "check"]).ended(0).out.contains("does not have to"));
    assert!(home.run(&["config", "explain"]).ended(0).out.lines().count() > 80);
    home.run(&["config", "unset", "model"]).ended(0).says(&["was not set"]);
    assert_eq!(home.files(), [], "looking makes no files");
    let paths = home.run(&["config", "path", "--json"]).ended(0).json();
    assert_eq!(paths["exists"], false);
    assert_eq!(paths["keys"], home.path(".local/share/aether/keys").to_str().unwrap());
}

#[test]
fn set_makes_a_private_file_and_changes_nothing_else_in_it() {
    let home = Home::new();
    home.run(&["config", "set", "limits.wall_ms", "600000"]).ended(0);
    assert_eq!(mode(&home.config_file()), 0o600);
    assert_eq!(mode(&home.path(".config/aether")), 0o700);
    assert_eq!(home.config(), "[limits]\nwall_ms = 600000\n");

    let mine =
        "# my own words\nmodel = \"builtin/offline\"   # for trains\n\n[limits]   # budget\n\twall_ms = 1 # soon\n";
    home.write_config(mine);
    home.run(&["config", "set", "limits.wall_ms", "5"]).ended(0).says(&["`limits.wall_ms` is set in"]);
    assert_eq!(home.config(), mine.replace("wall_ms = 1", "wall_ms = 5"));
    let report = home.run(&["config", "set", "limits.wall_ms", "5", "--json"]).ended(0).json();
    assert_eq!((&report["changed"], &report["value"]), (&false.into(), &5.into()));
    home.run(&["config", "unset", "limits.wall_ms"])
        .ended(0)
        .says(&["is removed from", "it is now 1800000, from: default"]);
    assert_eq!(home.config(), mine.replace("\twall_ms = 1 # soon\n", ""));
}

#[test]
fn a_wrong_key_or_value_is_refused_with_what_would_be_right() {
    let home = Home::new();
    home.write_config("# mine\n");
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
        home.run(&[&["config", "set"], words].concat()).ended(2).says(wanted);
    }
    home.run(&["config", "get", "modle"]).ended(2).says(&["did you mean `model`?"]);
    home.run(&["config", "unset", "modle"]).ended(2).says(&["did you mean `model`?"]);
    assert_eq!(home.config(), "# mine\n");
    // A misspelt key that is in the file can be taken out of it.
    home.write_config("modle = 1\n");
    home.run(&["config", "unset", "modle"]).ended(0);
    assert_eq!(home.config(), "");
}

#[test]
fn no_secret_gets_into_the_file_or_out_of_it() {
    let home = Home::new();
    for (key, value, wanted) in [
        ("providers.openai.key", SECRET.to_owned(), "aether onboard --provider openai"),
        ("providers.openai.headers.Authorization", format!("Bearer {SECRET}"), "aether onboard"),
        ("network.proxy", format!("http://me:{SECRET}@proxy:3128"), "HTTPS_PROXY"),
    ] {
        home.run(&["config", "set", key, &value]).ended(2).says(&[wanted]).hides(SECRET);
    }
    assert_eq!(home.files(), []);
    home.run(&["config", "set", "providers.openai.key", "env:MY_KEY"]).ended(0);

    // One that came in by hand is not shown.
    home.write_config(&format!("providers.a.kind = \"openai_chat\"\nproviders.a.headers.x-api-key = \"{SECRET}\"\n"));
    let home = home.with("AETHER_NETWORK__PROXY", &format!("http://me:{SECRET}@proxy:3128"));
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
        home.run(&[&["config"], words].concat()).hides(SECRET);
    }
    assert_eq!(home.run(&["config", "get", "network.proxy"]).out, "***@proxy:3128\n");
}

#[test]
fn explain_shows_every_layer_and_which_one_won() {
    let home = Home::new().with("AETHER_COLOR", "always").with("GROQ_API_KEY", SECRET);
    home.write_config(
        "\ncolor = \"never\"\n[providers.mine]\nkind = \"openai_chat\"\nbase_url = \"http://127.0.0.1:1/v1\"\n",
    );
    let text = home.run(&["config", "explain", "color"]).ended(0).hides("\u{1b}[31").out;
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("    ")).collect();
    assert!(lines[0].contains("default") && lines[0].contains("\"auto\""), "{text}");
    assert!(lines[1].contains("config.toml:2") && lines[1].contains("\"never\""), "{text}");
    assert!(text.lines().last().unwrap().contains("AETHER_COLOR") && text.contains("<- this one"), "{text}");

    let report = home.run(&["config", "explain", "color", "--color", "never", "--json"]).ended(0).json();
    let sources: Vec<&str> =
        report["layers"].as_array().unwrap().iter().map(|l| l["source"].as_str().unwrap()).collect();
    assert_eq!(sources.len(), 4);
    assert_eq!((sources[0], sources[3]), ("default", "flag --color"));
    assert_eq!(report["value"], "never");
    assert_eq!(report["variable"], "AETHER_COLOR");

    let all = home.run(&["config", "explain", "--json"]).ended(0).hides(SECRET).json();
    let one = |key: &str| all.as_array().unwrap().iter().find(|row| row["key"] == key).cloned().unwrap_or_default();
    assert_eq!(one("providers.mine.base_url")["value"], "http://127.0.0.1:1/v1");
    assert_eq!(one("limits.depth")["is_default"], true);
    assert!(one("model")["source"].as_str().unwrap().contains("GROQ_API_KEY is set"), "{}", one("model"));
    let key = home.run(&["config", "explain", "providers.groq.key", "--color", "never"]).ended(0).hides(SECRET).out;
    assert!(key.contains("environment variable GROQ_API_KEY is used"), "{key}");
    let table = home.run(&["config", "explain", "providers.mine", "--color", "never"]).ended(0).out;
    assert!(table.starts_with("providers.mine.kind = \"openai_chat\"  ("), "{table}");
    home.run(&["config", "explain", "colour"]).ended(2).says(&["did you mean `color`?"]);
}

#[test]
fn a_variable_that_wins_is_named_when_the_file_is_set() {
    let home = Home::new().with("AETHER_COLOR", "always");
    home.run(&["config", "set", "color", "never"]).ended(0).says(&["AETHER_COLOR says otherwise and wins"]);
    assert_eq!(home.run(&["config", "get", "color"]).ended(0).out, "always\n");
    let report = home.run(&["config", "get", "color", "--json"]).ended(0).json();
    assert_eq!(report["source"], "environment variable AETHER_COLOR");
    let home = Home::new();
    home.run(&["config", "set", "model", "opnai/gpt"]).ended(0).says(&["did you mean `openai`?"]);
}

#[test]
fn check_reports_all_mistakes_at_once() {
    let home = Home::new().with("AETHER_LIMITS__DEPTH", "99");
    home.write_config("colour = \"red\"\n[limits]\nwall_ms = \"long\"\n");
    let ran = home.run(&["config", "check"]).ended(2);
    let ran =
        ran.says(&["config.toml:1: unknown key `colour`", "did you mean `color`?", "config.toml:3: `limits.wall_ms`"]);
    ran.says(&["AETHER_LIMITS__DEPTH: `limits.depth`: found the text `99`"]);
    let report = home.run(&["config", "check", "--json"]).ended(2).json();
    let lines: Vec<i64> = report["errors"].as_array().unwrap().iter().filter_map(|e| e["line"].as_i64()).collect();
    assert_eq!(lines, [1, 3]);
    // The same in every other command, before it does anything.
    home.run(&["run", "hello"]).ended(2).says(&["unknown key `colour`", "limits.depth"]);

    let home = Home::new();
    home.write_config("model = \"x/y\"\nfallback = [\n");
    home.run(&["config", "check"]).ended(2).says(&["config.toml:2:"]);
    let report = home.run(&["config", "check", "--json"]).ended(2).json();
    assert!(report["errors"][0]["column"].as_i64().unwrap() > 0, "{report}");
    home.run(&["config", "set", "color", "never"]).ended(2).says(&["config.toml:2:", "aether config edit"][1..]);
    assert_eq!(home.config(), "model = \"x/y\"\nfallback = [\n");

    let home = Home::new();
    home.write_config(
        "model = \"antropic/x\"\n[providers.mine]\nkind = \"ollama\"\n[network]\nproxy = \"socks5://p:1\"\n",
    );
    let ran = home.run(&["config", "check"]).ended(2);
    ran.says(&["did you mean `anthropic`?", "provider mine has no address", "SOCKS"]);
    let other = home.write("other.toml", "color = \"never\"\n", 0o600);
    home.run(&["config", "check", "--config", other.to_str().unwrap()]).ended(0);
    home.run(&["config", "check", "--config", "nowhere.toml"]).ended(2).says(&["nowhere.toml", "does not exist"]);
}

/// An editor that replaces the text by the next of its files, and notes what it was given.
fn editor(home: &Home, texts: &[&str]) -> String {
    for (at, text) in texts.iter().enumerate() {
        home.write(&format!("edits/{at}"), text, 0o600);
    }
    let edits = home.path("edits").display().to_string();
    let script = format!(
        "#!/bin/sh\nn=$(cat {edits}/count 2>/dev/null || echo 0)\ncp \"$2\" {edits}/given.$n\n\
         cp {edits}/$n \"$2\" || exit 9\necho $((n+1)) > {edits}/count\n"
    );
    home.write("edit.sh", &script, 0o700).display().to_string()
}

#[test]
fn edit_keeps_the_old_file_until_the_new_one_is_sound() {
    let home = Home::new();
    let program = editor(&home, &["color = \"never\"\n", "color = 1\nmodle = 2\n"]);
    let home = home.with("EDITOR", &format!("{program} --wait"));
    home.run(&["config", "edit"]).ended(0);
    assert_eq!(home.config(), "color = \"never\"\n");
    assert_eq!(mode(&home.config_file()), 0o600);
    let template = fs::read_to_string(home.path("edits/given.0")).unwrap();
    assert!(
        template.contains("# limits.wall_ms = 1800000") && template.contains("\n# The longest a task"),
        "{template}"
    );

    let ran = home.run(&["config", "edit"]).ended(2);
    ran.says(&[
        "config.toml:1: `color`",
        "config.toml:2: unknown key `modle`",
        "stays as it was",
        "config.rejected.toml",
    ]);
    assert_eq!(home.config(), "color = \"never\"\n");
    assert_eq!(fs::read_to_string(home.path(".config/aether/config.rejected.toml")).unwrap(), "color = 1\nmodle = 2\n");
    // The third time it fails, and the fourth it does nothing.
    home.run(&["config", "edit"]).ended(1).says(&["ended with exit status: 9", "stays as it was"]);
    home.write("edits/2", "color = \"never\"\n", 0o600);
    home.run(&["config", "edit"]).ended(0).says(&["nothing was changed"]);
    let left: Vec<_> = fs::read_dir(home.path(".config/aether")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let home = home.with("VISUAL", "/no/such/editor");
    home.run(&["config", "edit"]).ended(2).says(&["`/no/such/editor` does not start", "EDITOR"]);
}

#[test]
fn ctrl_c_in_the_editor_is_the_editors_affair() {
    let home = Home::new();
    let script = "#!/bin/sh\ntrap '' INT\nkill -INT $PPID\necho 'color = \"never\"' > \"$1\"\n";
    let program = home.write("edit.sh", script, 0o700);
    let home = home.with("EDITOR", program.to_str().unwrap());
    home.run(&["config", "edit"]).ended(0);
    assert_eq!(home.config(), "color = \"never\"\n");
}

#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let home = Home::new();
    let mut command = home.command(&["config", "explain"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn on_a_terminal_mistakes_can_be_mended_at_once() {
    let home = Home::new();
    let program = editor(&home, &["modle = 2\n", "model = \"builtin/offline\"\n", "x = \n"]);
    let home = home.with("EDITOR", &format!("{program} -n"));
    let mut person = Person::starts(&home, &["config", "edit"]);
    person.sees("did you mean `model`?");
    person.sees("[k]eep the old configuration: ");
    person.types("e");
    person.sees("is saved");
    assert_eq!(person.ends(), 0);
    assert_eq!(home.config(), "model = \"builtin/offline\"\n");
    let mut person = Person::starts(&home, &["config", "edit"]);
    person.sees("config.toml:1:");
    person.sees("[k]eep the old configuration: ");
    person.types("k");
    person.sees("stays as it was");
    assert_eq!(person.ends(), 2);
    assert_eq!(home.config(), "model = \"builtin/offline\"\n");
}

#[test]
fn processes_that_set_keys_at_once_lose_none() {
    let home = Home::new();
    let keys: Vec<String> = (0..12).map(|n| format!("prices.m{n}.input_micro_usd_per_mtok")).collect();
    std::thread::scope(|scope| {
        for key in &keys {
            scope.spawn(|| home.run(&["config", "set", key, "7"]).ended(0));
        }
    });
    for key in &keys {
        assert_eq!(home.run(&["config", "get", key]).ended(0).out, "7\n");
    }
}

#[test]
fn where_nothing_can_be_written_the_sentence_says_so() {
    let home = Home::new();
    home.write(".config", "a file stands here", 0o600);
    home.run(&["config", "set", "color", "never"])
        .ended(1)
        .says(&[".config", "a file stands where a directory was wanted"]);
    let home = Home::new();
    fs::create_dir_all(home.config_file()).unwrap();
    home.run(&["config", "get", "color"]).ended(2).says(&["is not a file"]);
    home.run(&["config", "set", "color", "never"]).ended(2).says(&["is not a file"]);
}
