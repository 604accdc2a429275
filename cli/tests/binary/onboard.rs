//! `aether onboard` without a terminal: flags in, one private configuration out, or nothing at all.

use std::path::PathBuf;

use aether_testkit::script::{Script, Turn};
use aether_testkit::server::{Server, Verdict};

use crate::ground::{Nest, mode};

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

fn key_file(nest: &Nest, provider: &str) -> PathBuf {
    nest.path(&format!(".local/share/aether/keys/{provider}"))
}

#[test]
fn offline_needs_nothing_and_twice_is_once() {
    let nest = Nest::new();
    let ran = nest.run(&["onboard", "--offline"]).exits(0);
    assert!(
        ran.stdout.contains("builtin/offline is saved in") && ran.stdout.contains("next: aether run"),
        "{}",
        ran.stdout
    );
    assert_eq!(nest.config(), "model = \"builtin/offline\"\n");
    assert_eq!(mode(&nest.config_file()), 0o600);
    let before = nest.files();
    assert!(nest.run(&["onboard", "--offline"]).exits(0).stdout.contains("was saved already"));
    assert_eq!(nest.files(), before);
    assert_eq!(nest.run(&["onboard", "--offline", "--json"]).exits(0).json()["changed"], false);
    // What is in use stays in use where nothing else is said.
    nest.run(&["onboard", "--yes"]).exits(0);
    assert_eq!(nest.files(), before);
}

#[test]
fn a_key_from_standard_input_is_stored_for_its_owner_alone() {
    let server = server();
    let nest = Nest::new();
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
    let ran = nest.aether(&words).input(format!("  {SECRET}\n")).run().exits(0).hides(SECRET);
    assert!(ran.stdout.starts_with("Hello!\ngroq/tiny-1 answered: "), "{}", ran.stdout);
    let key = key_file(&nest, "groq");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), format!("{SECRET}\n"));
    assert_eq!((mode(&key), mode(key.parent().unwrap())), (0o600, 0o700));
    assert_eq!(
        nest.config(),
        format!(
            "model = \"groq/tiny-1\"\n\n[providers.groq]\nbase_url = \"{}\"\nkey = \"file:{}\"\n",
            base_url(&server),
            key.display()
        )
    );
    assert_eq!(nest.files_with(SECRET), [key]);
    let sent = server.requests();
    assert!(
        sent.iter().all(|request| request.header("authorization") == Some(&format!("Bearer {SECRET}"))),
        "{sent:?}"
    );
    let before = nest.files();
    let words = ["onboard", "--provider", "groq", "--model", "groq/tiny-1", "--base-url", &base_url(&server), "--json"];
    let report = nest.run(&words).exits(0).hides(SECRET).json();
    assert_eq!(nest.files(), before, "the stored key is used again, and nothing is written");
    assert_eq!((&report["changed"], &report["tested"]), (&false.into(), &true.into()));
    assert_eq!(report["trial"]["answer"], "Hello!");
    nest.run(&["model", "test"]).exits(0).hides(SECRET);
    nest.run(&["run", "hello"]).exits(0).hides(SECRET);
    assert_eq!(nest.files_with(SECRET), [key_file(&nest, "groq")]);
}

#[test]
fn keys_in_variables_and_files_stay_where_they_are() {
    let server = server();
    let nest = Nest::new().env("ANTHROPIC_API_KEY", SECRET);
    let words = ["onboard", "--provider", "anthropic", "--model", "tiny-1", "--base-url", &server.base_url()];
    let report = nest.run(&[&words[..], &["--json"]].concat()).exits(0).hides(SECRET).json();
    assert_eq!(report["key"], "env:ANTHROPIC_API_KEY");
    assert!(nest.files_with(SECRET).is_empty());

    // Found without being named, too; the model is the preset's.
    let script = Script::new().key(SECRET).turn(Turn::text("Hi").always());
    let any = Server::start(script).unwrap();
    let nest = Nest::new().env("MISTRAL_API_KEY", SECRET).env("AETHER_PROVIDERS__MISTRAL__BASE_URL", &base_url(&any));
    let report = nest.run(&["onboard", "--json"]).exits(0).json();
    assert_eq!(report["model"], "mistral/mistral-medium-latest");

    let nest = Nest::new().env("ELSEWHERE", SECRET);
    let words = ["onboard", "--provider", "xai", "--model", "tiny-1", "--base-url", &base_url(&server), "--key-env"];
    nest.run(&[&words[..], &["NOWHERE"]].concat()).exits(2).says("NOWHERE is not set");
    nest.run(&[&words[..], &["ELSEWHERE"]].concat()).exits(0);
    assert!(nest.config().contains("key = \"env:ELSEWHERE\""), "{}", nest.config());

    let nest = Nest::new();
    let words = [
        "onboard",
        "--provider",
        "xai",
        "--model",
        "tiny-1",
        "--base-url",
        &base_url(&server),
        "--key-file",
        "../home/k",
    ];
    nest.run(&words).exits(2).says("--key-file ../home/k");
    nest.write("k", SECRET, 0o644);
    nest.run(&words).exits(2).says_all(&["can be read by others", "chmod 600"]).hides(SECRET);
    nest.write("k", SECRET, 0o600);
    nest.run(&words).exits(0);
    assert!(nest.config().contains(&format!("key = \"file:{}\"", nest.path("k").canonicalize().unwrap().display())));
    assert_eq!(nest.files_with(SECRET), [nest.path("k")]);
}

#[test]
fn a_key_in_an_argument_is_refused_and_not_repeated() {
    let nest = Nest::new();
    for words in [
        &["onboard", "--key", SECRET][..],
        &["onboard", "--provider", "Sk-Planted-C01DBEE7F4"],
        &["onboard", "--provider", "openai", "--key-stdin", "--key-env", "X"],
    ] {
        nest.aether(words).input(SECRET).run().exits(2).hides(SECRET).hides("Sk-Planted");
    }
    nest.run(&["onboard", "--key", SECRET]).exits(2).says_all(&["--key-stdin", "--key-file FILE", "--key-env NAME"]);
    for wrong in ["", "\n", "two words\n", "ключ\n"] {
        let words = ["onboard", "--provider", "openai", "--key-stdin", "--no-test"];
        nest.aether(&words).input(wrong).run().exits(2).says("standard input: ");
    }
    assert_eq!(nest.files(), []);
}

#[test]
fn what_does_not_work_changes_nothing() {
    let server = server();
    let nest = Nest::new();
    nest.configure("# mine\ncolor = \"never\"\n");
    nest.write(".local/share/aether/keys/groq", "old\n", 0o600);
    let before = nest.files();
    let words = ["onboard", "--provider", "groq", "--base-url", &base_url(&server), "--key-stdin", "--yes", "--model"];
    let ran =
        nest.aether(&[&words[..], &["tiny-1"]].concat()).input("sk-wrong-one").run().exits(1).hides("sk-wrong-one");
    ran.says_all(&["did not accept the key", "nothing was changed", "--no-test"]);
    nest.aether(&[&words[..], &["tiny-11"]].concat()).input(SECRET).run().exits(1).says("did you mean `groq/tiny-1`?");
    nest.run(&["onboard", "--provider", "groqq"]).exits(2).says("did you mean `groq`?");
    nest.run(&["onboard", "--provider", "mine"]).exits(2).says("--base-url URL");
    nest.run(&["onboard", "--provider", "openai"]).exits(2).says_all(&["no key for openai", "OPENAI_API_KEY"]);
    nest.run(&["onboard", "--offline", "--profile", "codr"]).exits(2).says("did you mean `coder`?");
    nest.run(&["onboard", "--provider", "a", "--base-url", "x", "--kind", "openai"]).exits(2).says("openai_chat");
    nest.run(&["onboard", "--provider", "a", "--base-url", "x", "--no-test", "--model", "m"]).exits(2).says("base_url");
    nest.run(&["onboard", "--provider", "azure", "--key-env", "PATH", "--model", "m"]).exits(2).says("has no address");
    assert_eq!(nest.files(), before);
    nest.configure("broken = [\n");
    nest.run(&["onboard", "--offline", "--yes"]).exits(2).says("config.toml:");
    assert_eq!(nest.config(), "broken = [\n");
}

#[test]
fn what_the_person_wrote_is_kept_and_replaced_only_when_told() {
    let nest = Nest::new();
    let mine = "# mine\nmodel = \"openai/gpt-4.1\" # dear\n\n[limits]\nmodel_calls = 7\n\n[providers.openai]\nkey = \"env:K\"\n";
    nest.configure(mine);
    nest.run(&["onboard", "--offline"]).exits(2).says_all(&["`model` is set to `openai/gpt-4.1`", "--yes replaces it"]);
    assert_eq!(nest.config(), mine);
    nest.run(&["onboard", "--offline", "--yes", "--profile", "coder"]).exits(0);
    let text = nest.config();
    assert!(text.starts_with("# mine\nmodel = \"builtin/offline\" # dear\n"), "{text}");
    assert!(text.contains("model_calls = 7\n") && text.contains("tool_calls = 600\n"), "{text}");
    assert!(text.contains("[providers.openai]\nkey = \"env:K\"\n") && text.contains("profile = \"coder\"\n"), "{text}");
    // Another profile takes back what the first one had set, and nothing else.
    nest.run(&["onboard", "--offline", "--yes", "--profile", "server"]).exits(0);
    let text = nest.config();
    assert!(text.contains("model_calls = 7\n") && !text.contains("tool_calls"), "{text}");
    assert!(text.contains("color = \"never\"\n") && text.contains("level = \"info\"\n"), "{text}");
    nest.run(&["onboard", "--offline", "--yes", "--profile", "edge"]).exits(0);
    let text = nest.config();
    assert!(
        text.contains("files_max = 50\n") && text.contains("tool_calls = 60\n") && !text.contains("color"),
        "{text}"
    );
    nest.run(&["config", "check"]).exits(0);
}

#[test]
fn a_server_of_another_name_needs_an_address_and_maybe_a_format() {
    let server = Server::start(Script::new().model("tiny-1").turn(Turn::text("Hello!").always())).unwrap();
    let nest = Nest::new().env("MINE", SECRET);
    let words = ["onboard", "--provider", "mine", "--base-url", &base_url(&server), "--json"];
    nest.run(&words).exits(1).says_all(&["HTTP 401", "no key was sent"]);
    let report = nest.run(&[&words[..], &["--key-env", "MINE"]].concat()).exits(0).hides(SECRET).json();
    assert_eq!(report["model"], "mine/tiny-1", "the first of its list");
    assert!(nest.config().contains("[providers.mine]\nkind = \"openai_chat\"\n"), "{}", nest.config());
    let words = ["onboard", "--provider", "home", "--base-url", &server.base_url(), "--kind", "ollama", "--yes"];
    nest.run(&words).exits(0);
    assert!(nest.config().starts_with("model = \"home/tiny-1\"\n"), "{}", nest.config());
    assert!(nest.run(&["run", "hello"]).exits(0).stdout.contains("Hello!"));
}

#[test]
fn without_a_test_nobody_is_asked() {
    let server = server();
    let nest = Nest::new();
    let words = ["onboard", "--provider", "mine", "--base-url", &base_url(&server), "--no-test"];
    nest.run(&words).exits(2).says_all(&["which model of mine?", "--model NAME"]);
    nest.run(&[&words[..], &["--model", "any"]].concat()).exits(0);
    assert!(nest.config().starts_with("model = \"mine/any\"\n"));
    assert_eq!(server.connections(), 0);
    assert!(server.requests().iter().all(|request| request.verdict != Verdict::Unscripted));
}

#[test]
fn a_variable_that_names_another_model_is_pointed_out() {
    let nest = Nest::new().env("AETHER_MODEL", "openai/x");
    nest.run(&["onboard", "--offline"]).exits(0).says("AETHER_MODEL names another model");
    let nest = Nest::new();
    let words = ["onboard", "--offline", "--config", "here.toml"];
    nest.run(&words).exits(2).says("here.toml");
    nest.file("here.toml", "");
    nest.run(&words).exits(0);
    assert_eq!(std::fs::read_to_string(nest.workspace().join("here.toml")).unwrap(), "model = \"builtin/offline\"\n");
}
