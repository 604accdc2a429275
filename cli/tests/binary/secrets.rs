//! Secrets: planted keys and private text, looked for in everything that the program leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use aether_testkit::script::{Item, Script, Turn};
use aether_testkit::server::Server;

use crate::ground::{Ended, KEY, Nest, asking, asking_with, provider};

const DIARY: &str = "PRIVATE-on-Tuesday-the-cat-was-sick";

#[track_caller]
fn hidden(secret: &str, nest: &Nest, ended: &Ended) {
    let places = [("output", &ended.stdout), ("errors", &ended.stderr), ("files", &nest.all_written())];
    for (place, text) in places {
        assert!(!text.contains(secret), "`{secret}` is in the {place}:\n{text}");
    }
}

/// A server that accepts one key, so that a test proves that the key was used.
fn server(script: Script) -> Server {
    Server::start(script.key(KEY)).expect("a server")
}

const LOUD: &str = "[log]\nlevel = \"debug\"\n";

/// The key is used and stands nowhere: not in answers, messages, events, logs or traces.
#[test]
fn keys_are_used_and_shown_nowhere() {
    for (tables, flags) in [("", &[][..]), (LOUD, &[]), (LOUD, &["--json"])] {
        let script = Script::new().turn(Turn::call("list_dir", "{}")).turn(Turn::text("done"));
        let server = server(script);
        let nest = asking_with(&server, tables);
        let words: Vec<&str> = ["run", "go"].into_iter().chain(flags.iter().copied()).collect();
        let ended = nest.aether(&words).run().exits(0);
        hidden(KEY, &nest, &ended);
        assert_eq!(server.requests()[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
}

/// A server that echoes the key in its refusal does not get it printed, however it is written there.
#[test]
fn a_key_that_a_server_echoes_is_not_repeated() {
    for message in [
        format!("Incorrect API key provided: {KEY}. You can find your API key at https://example.com"),
        format!("invalid x-api-key \"{KEY}\""),
        format!("Bearer {KEY} is not known"),
    ] {
        for status in [400, 401, 403, 500] {
            let server = server(Script::new().turn(Turn::failure(status, &message).always()));
            let nest = asking_with(&server, &format!("{LOUD}[retry]\nattempts_max = 1\n"));
            let ended = nest.aether(&["run", "--json", "go"]).run().exits(1);
            hidden(KEY, &nest, &ended);
        }
        let server = server(Script::new().turn(Turn::raw(200, "text/html", format!("<p>{message}</p>").as_bytes())));
        let nest = asking_with(&server, "[retry]\nattempts_max = 1\n");
        let ended = nest.aether(&["run", "go"]).run().exits(1);
        hidden(KEY, &nest, &ended);
    }
}

/// A key in a file is taken from there only while nobody else can read it.
#[test]
fn a_key_in_a_file_is_taken_only_from_a_private_one() {
    let server = server(Script::new().turn(Turn::text("ok").always()));
    let nest = Nest::new();
    let file = nest.outside("key");
    fs::write(&file, format!("{KEY}\n")).expect("a file");
    let table = provider("test", "openai_chat", &format!("{}/v1", server.base_url()));
    let table = table.replace("env:TEST_PROVIDER_KEY", &format!("file:{}", file.display()));
    nest.configure(&format!("model = \"test/gpt-4.1\"\n{table}{LOUD}"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    let ended = nest.aether(&["run", "--json", "go"]).run().exits(0);
    hidden(KEY, &nest, &ended);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    let ended = nest.aether(&["run", "go"]).run();
    assert!(matches!(ended.status.code(), Some(1 | 2)), "{ended:#?}");
    hidden(KEY, &nest, &ended);
    let ended = ended.says("chmod 600");
    assert!(ended.stderr.contains(&file.display().to_string()), "{ended:#?}");
    assert_eq!(server.requests().len(), 1);
}

/// A key that stands in the configuration itself is refused, and not printed with the refusal.
#[test]
fn a_key_in_the_configuration_is_refused_unseen() {
    let nest = Nest::with(&format!("[providers.openai]\nkey = \"{KEY}\"\n"));
    let ended = nest.aether(&["run", "go"]).run().exits(2).says("providers.openai.key").says("env:");
    assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY), "{ended:#?}");
    let nest = Nest::with(&format!("[providers.openai]\nkey = \"{KEY}\n"));
    let ended = nest.aether(&["run", "go"]).run().exits(2).says("config.toml:2:");
    assert!(!ended.stderr.contains(KEY), "a broken line is not shown where it may hold a key: {ended:#?}");
}

/// What tools read is shown to the model and to nobody else: no event, log line or trace holds a word of it.
#[test]
fn private_text_stays_between_the_file_and_the_model() {
    for (tables, flags) in [("", &[][..]), (LOUD, &[]), (LOUD, &["--json"])] {
        let read = vec![
            Item::call("read_file", r#"{"path":"diary.txt"}"#),
            Item::call("search_text", &format!(r#"{{"pattern":"{DIARY}"}}"#)),
        ];
        let server = server(Script::new().turn(Turn::reply(read)).turn(Turn::text("It was a day.")));
        let nest = asking_with(&server, tables);
        nest.file("diary.txt", format!("dear diary\n{DIARY}\n"));
        let words: Vec<&str> = ["run", "GOAL-about-the-cat"].into_iter().chain(flags.iter().copied()).collect();
        let ended = nest.aether(&words).run().exits(0);
        assert!(server.requests()[1].body.to_string().contains(DIARY), "the model was shown it");
        hidden(DIARY, &nest, &ended);
        hidden("GOAL-about-the-cat", &nest, &ended);
    }
}

/// The same holds for a log in a file, at its most talkative.
#[test]
fn a_log_file_holds_no_text() {
    let server = server(Script::new().turn(Turn::call("read_file", r#"{"path":"diary.txt"}"#)).turn(Turn::text("ok")));
    let nest = asking(&server);
    nest.file("diary.txt", DIARY);
    let log = nest.outside("log.jsonl");
    let call = nest.aether(&["run", "go"]).env("AETHER_LOG__LEVEL", "debug").env("AETHER_LOG__FILE", &log);
    let ended = call.run().exits(0);
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.lines().count() >= 5 && !text.contains(DIARY) && !text.contains(KEY), "{text}");
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
    hidden(DIARY, &nest, &ended);
}

/// What the program writes down is readable by its owner alone.
#[test]
fn traces_are_private_files() {
    let server = server(Script::new().turn(Turn::text("ok")));
    let nest = asking(&server);
    nest.aether(&["run", "go"]).run().exits(0);
    let name = &crate::ground::names_in(&nest.traces())[0];
    let mode = fs::metadata(nest.traces().join(name)).expect("a trace").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
