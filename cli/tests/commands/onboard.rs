//! `aether onboard` without a terminal: flags in, one private configuration out, or nothing at all.

use std::path::PathBuf;

use aether_testkit::script::{Script, Turn};
use aether_testkit::server::{Server, Verdict};

use crate::home::{Home, mode};

const SECRET: &str = "sk-planted-c01dbee7f4";

/// A server that knows this key and answers everything.
pub(crate) fn server() -> Server {
    let script = Script::new().key(SECRET).model("tiny-1").model("large-2").turn(Turn::text("Hello!").always());
    Server::start(script).unwrap()
}

/// The address of the OpenAI-compatible part of a server.
pub(crate) fn base_url(server: &Server) -> String {
    format!("{}/v1", server.base_url())
}

fn key_file(home: &Home, provider: &str) -> PathBuf {
    home.path(&format!(".local/share/aether/keys/{provider}"))
}

#[test]
fn offline_needs_nothing_and_twice_is_once() {
    let home = Home::new();
    let ran = home.run(&["onboard", "--offline"]).ended(0);
    assert!(ran.out.contains("builtin/offline is saved in") && ran.out.contains("next: aether run"), "{}", ran.out);
    assert_eq!(home.config(), "model = \"builtin/offline\"\n");
    assert_eq!(mode(&home.config_file()), 0o600);
    let before = home.files();
    assert!(home.run(&["onboard", "--offline"]).ended(0).out.contains("was saved already"));
    assert_eq!(home.files(), before);
    assert_eq!(home.run(&["onboard", "--offline", "--json"]).ended(0).json()["changed"], false);
    // What is in use stays in use where nothing else is said.
    home.run(&["onboard", "--yes"]).ended(0);
    assert_eq!(home.files(), before);
}

#[test]
fn a_key_from_standard_input_is_stored_for_its_owner_alone() {
    let server = server();
    let home = Home::new();
    let words = [
        "onboard",
        "--provider",
        "groq",
        "--model",
        "tiny-1",
        "--base-url",
        &base_url(&server),
        "--key-stdin",
        "--yes",
    ];
    let ran = home.run_with(&words, &format!("  {SECRET}\n")).ended(0).hides(SECRET);
    assert!(ran.out.starts_with("Hello!\ngroq/tiny-1 answered: "), "{}", ran.out);
    let key = key_file(&home, "groq");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), format!("{SECRET}\n"));
    assert_eq!((mode(&key), mode(key.parent().unwrap())), (0o600, 0o700));
    assert_eq!(
        home.config(),
        format!(
            "model = \"groq/tiny-1\"\n\n[providers.groq]\nbase_url = \"{}\"\nkey = \"file:{}\"\n",
            base_url(&server),
            key.display()
        )
    );
    assert_eq!(home.files_with(SECRET), [key]);
    let sent = server.requests();
    assert!(
        sent.iter().all(|request| request.header("authorization") == Some(&format!("Bearer {SECRET}"))),
        "{sent:?}"
    );
    let before = home.files();
    let words = ["onboard", "--provider", "groq", "--model", "groq/tiny-1", "--base-url", &base_url(&server), "--json"];
    let report = home.run(&words).ended(0).hides(SECRET).json();
    assert_eq!(home.files(), before, "the stored key is used again, and nothing is written");
    assert_eq!((&report["changed"], &report["tested"]), (&false.into(), &true.into()));
    assert_eq!(report["trial"]["answer"], "Hello!");
    home.run(&["model", "test"]).ended(0).hides(SECRET);
    home.run(&["run", "hello"]).ended(0).hides(SECRET);
    assert_eq!(home.files_with(SECRET), [key_file(&home, "groq")]);
}

#[test]
fn keys_in_variables_and_files_stay_where_they_are() {
    let server = server();
    let home = Home::new().with("ANTHROPIC_API_KEY", SECRET);
    let words = ["onboard", "--provider", "anthropic", "--model", "tiny-1", "--base-url", &server.base_url()];
    let report = home.run(&[&words[..], &["--json"]].concat()).ended(0).hides(SECRET).json();
    assert_eq!(report["key"], "env:ANTHROPIC_API_KEY");
    assert!(home.files_with(SECRET).is_empty());

    // Found without being named, too; the model is the preset's.
    let script = Script::new().key(SECRET).turn(Turn::text("Hi").always());
    let any = Server::start(script).unwrap();
    let home = Home::new().with("MISTRAL_API_KEY", SECRET).with("AETHER_PROVIDERS__MISTRAL__BASE_URL", &base_url(&any));
    let report = home.run(&["onboard", "--json"]).ended(0).json();
    assert_eq!(report["model"], "mistral/mistral-medium-latest");

    let home = Home::new().with("ELSEWHERE", SECRET);
    let words = ["onboard", "--provider", "xai", "--model", "tiny-1", "--base-url", &base_url(&server), "--key-env"];
    home.run(&[&words[..], &["NOWHERE"]].concat()).ended(2).says(&["NOWHERE is not set"]);
    home.run(&[&words[..], &["ELSEWHERE"]].concat()).ended(0);
    assert!(home.config().contains("key = \"env:ELSEWHERE\""), "{}", home.config());

    let home = Home::new();
    let words =
        ["onboard", "--provider", "xai", "--model", "tiny-1", "--base-url", &base_url(&server), "--key-file", "../k"];
    home.run(&words).ended(2).says(&["--key-file ../k"]);
    home.write("k", SECRET, 0o644);
    home.run(&words).ended(2).says(&["can be read by others", "chmod 600"]).hides(SECRET);
    home.write("k", SECRET, 0o600);
    home.run(&words).ended(0);
    assert!(home.config().contains(&format!("key = \"file:{}\"", home.path("k").canonicalize().unwrap().display())));
    assert_eq!(home.files_with(SECRET), [home.path("k")]);
}

#[test]
fn a_key_in_an_argument_is_refused_and_not_repeated() {
    let home = Home::new();
    for words in [
        &["onboard", "--key", SECRET][..],
        &["onboard", "--provider", "Sk-Planted-C01DBEE7F4"],
        &["onboard", "--provider", "openai", "--key-stdin", "--key-env", "X"],
    ] {
        home.run_with(words, SECRET).ended(2).hides(SECRET).hides("Sk-Planted");
    }
    home.run(&["onboard", "--key", SECRET]).ended(2).says(&["--key-stdin", "--key-file FILE", "--key-env NAME"]);
    for wrong in ["", "\n", "two words\n", "ключ\n"] {
        let words = ["onboard", "--provider", "openai", "--key-stdin", "--no-test"];
        home.run_with(&words, wrong).ended(2).says(&["standard input: "]);
    }
    assert_eq!(home.files(), []);
}

#[test]
fn what_does_not_work_changes_nothing() {
    let server = server();
    let home = Home::new();
    home.write_config("# mine\ncolor = \"never\"\n");
    home.write(".local/share/aether/keys/groq", "old\n", 0o600);
    let before = home.files();
    let words = ["onboard", "--provider", "groq", "--base-url", &base_url(&server), "--key-stdin", "--yes", "--model"];
    let ran = home.run_with(&[&words[..], &["tiny-1"]].concat(), "sk-wrong-one").ended(1).hides("sk-wrong-one");
    ran.says(&["did not accept the key", "nothing was changed", "--no-test"]);
    home.run_with(&[&words[..], &["tiny-11"]].concat(), SECRET).ended(1).says(&["did you mean `groq/tiny-1`?"]);
    home.run(&["onboard", "--provider", "groqq"]).ended(2).says(&["did you mean `groq`?"]);
    home.run(&["onboard", "--provider", "mine"]).ended(2).says(&["--base-url URL"]);
    home.run(&["onboard", "--provider", "openai"]).ended(2).says(&["no key for openai", "OPENAI_API_KEY"]);
    home.run(&["onboard", "--offline", "--profile", "codr"]).ended(2).says(&["did you mean `coder`?"]);
    home.run(&["onboard", "--provider", "a", "--base-url", "x", "--kind", "openai"]).ended(2).says(&["openai_chat"]);
    home.run(&["onboard", "--provider", "a", "--base-url", "x", "--no-test", "--model", "m"])
        .ended(2)
        .says(&["base_url"]);
    home.run(&["onboard", "--provider", "azure", "--key-env", "PATH", "--model", "m"])
        .ended(2)
        .says(&["has no address"]);
    assert_eq!(home.files(), before);
    home.write_config("broken = [\n");
    home.run(&["onboard", "--offline", "--yes"]).ended(2).says(&["config.toml:"]);
    assert_eq!(home.config(), "broken = [\n");
}

#[test]
fn what_the_person_wrote_is_kept_and_replaced_only_when_told() {
    let home = Home::new();
    let mine = "# mine\nmodel = \"openai/gpt-4.1\" # dear\n\n[limits]\nmodel_calls = 7\n\n[providers.openai]\nkey = \"env:K\"\n";
    home.write_config(mine);
    home.run(&["onboard", "--offline"]).ended(2).says(&["`model` is set to `openai/gpt-4.1`", "--yes replaces it"]);
    assert_eq!(home.config(), mine);
    home.run(&["onboard", "--offline", "--yes", "--profile", "coder"]).ended(0);
    let text = home.config();
    assert!(text.starts_with("# mine\nmodel = \"builtin/offline\" # dear\n"), "{text}");
    assert!(text.contains("model_calls = 7\n") && text.contains("tool_calls = 600\n"), "{text}");
    assert!(text.contains("[providers.openai]\nkey = \"env:K\"\n") && text.contains("profile = \"coder\"\n"), "{text}");
    // Another profile takes back what the first one had set, and nothing else.
    home.run(&["onboard", "--offline", "--yes", "--profile", "server"]).ended(0);
    let text = home.config();
    assert!(text.contains("model_calls = 7\n") && !text.contains("tool_calls"), "{text}");
    assert!(text.contains("color = \"never\"\n") && text.contains("level = \"info\"\n"), "{text}");
    home.run(&["onboard", "--offline", "--yes", "--profile", "edge"]).ended(0);
    let text = home.config();
    assert!(
        text.contains("files_max = 50\n") && text.contains("tool_calls = 60\n") && !text.contains("color"),
        "{text}"
    );
    home.run(&["config", "check"]).ended(0);
}

#[test]
fn a_server_of_another_name_needs_an_address_and_maybe_a_format() {
    let server = Server::start(Script::new().model("tiny-1").turn(Turn::text("Hello!").always())).unwrap();
    let home = Home::new().with("MINE", SECRET);
    let words = ["onboard", "--provider", "mine", "--base-url", &base_url(&server), "--json"];
    home.run(&words).ended(1).says(&["HTTP 401", "no key was sent"]);
    let report = home.run(&[&words[..], &["--key-env", "MINE"]].concat()).ended(0).hides(SECRET).json();
    assert_eq!(report["model"], "mine/tiny-1", "the first of its list");
    assert!(home.config().contains("[providers.mine]\nkind = \"openai_chat\"\n"), "{}", home.config());
    let words = ["onboard", "--provider", "home", "--base-url", &server.base_url(), "--kind", "ollama", "--yes"];
    home.run(&words).ended(0);
    assert!(home.config().starts_with("model = \"home/tiny-1\"\n"), "{}", home.config());
    assert!(home.run(&["run", "hello"]).ended(0).out.contains("Hello!"));
}

#[test]
fn without_a_test_nobody_is_asked() {
    let server = server();
    let home = Home::new();
    let words = ["onboard", "--provider", "mine", "--base-url", &base_url(&server), "--no-test"];
    home.run(&words).ended(2).says(&["which model of mine?", "--model NAME"]);
    home.run(&[&words[..], &["--model", "any"]].concat()).ended(0);
    assert!(home.config().starts_with("model = \"mine/any\"\n"));
    assert_eq!(server.connections(), 0);
    assert!(server.requests().iter().all(|request| request.verdict != Verdict::Unscripted));
}

#[test]
fn a_variable_that_names_another_model_is_pointed_out() {
    let home = Home::new().with("AETHER_MODEL", "openai/x");
    home.run(&["onboard", "--offline"]).ended(0).says(&["AETHER_MODEL names another model"]);
    let home = Home::new();
    let words = ["onboard", "--offline", "--config", "here.toml"];
    home.run(&words).ended(2).says(&["here.toml"]);
    home.write("work/here.toml", "", 0o600);
    home.run(&words).ended(0);
    assert_eq!(std::fs::read_to_string(home.path("work/here.toml")).unwrap(), "model = \"builtin/offline\"\n");
}
