//! `aether model`: what there is, and every way in which it does not answer.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use aether_testkit::script::{Item, Place, Script, Transport, Turn};
use aether_testkit::server::Server;

use crate::ground::Nest;

const SECRET: &str = "sk-planted-77aa51d0c3";

/// A home in which `mine` is a provider at this address.
pub(crate) fn nest_with(kind: &str, base_url: &str) -> Nest {
    let nest = Nest::new().env("MINE", SECRET);
    nest.configure(&format!(
        "model = \"mine/tiny-1\"\n[providers.mine]\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\nkey = \"env:MINE\"\n\
         [retry]\nattempts_max = 1\n[network]\nheaders_ms_max = 400\nconnect_ms_max = 2000\n"
    ));
    nest
}

fn serving(script: Script) -> (Server, Nest) {
    let server = Server::start(script.key(SECRET)).unwrap();
    let nest = nest_with("openai_chat", &format!("{}/v1", server.base_url()));
    (server, nest)
}

#[test]
fn the_list_marks_what_is_in_use_and_where_keys_are() {
    let nest = Nest::new().env("GROQ_API_KEY", SECRET);
    let text = nest.run(&["model", "list", "--color", "never"]).exits(0).hides(SECRET).stdout;
    let line = |name: &str| text.lines().find(|line| line[2..].starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("groq").starts_with("* groq") && line("groq").contains("key: env:GROQ_API_KEY"), "{text}");
    assert!(line("anthropic").contains("no key: ANTHROPIC_API_KEY is not set"), "{text}");
    assert!(line("builtin").contains("no key needed"), "{text}");

    let nest = nest_with("ollama", "http://127.0.0.1:1");
    let all = nest.run(&["model", "list", "--json"]).exits(0).hides(SECRET).json();
    let mine = all.as_array().unwrap().iter().find(|row| row["provider"] == "mine").unwrap();
    assert_eq!((&mine["used"], &mine["configured"], &mine["key"]), (&true.into(), &true.into(), &"found".into()));
    assert_eq!(
        (&mine["format"], &mine["model"], &mine["key_from"]),
        (&"ollama".into(), &"tiny-1".into(), &"env:MINE".into())
    );
}

#[test]
fn a_provider_of_every_format_says_which_models_it_has() {
    for (kind, path) in
        [("openai_chat", "/v1"), ("openai_responses", "/v1"), ("anthropic", ""), ("gemini", ""), ("ollama", "")]
    {
        let server = Server::start(Script::new().key(SECRET).model("tiny-1").model("large-2")).unwrap();
        let nest = nest_with(kind, &format!("{}{path}", server.base_url()));
        let text = nest.run(&["model", "list", "mine"]).exits(0).stdout;
        assert!(text.contains("mine/tiny-1") && text.contains("mine/large-2"), "{kind}: {text}");
        let report = nest.run(&["model", "list", "mine", "--json"]).exits(0).json();
        let names: Vec<&str> = report["models"].as_array().unwrap().iter().filter_map(|m| m["name"].as_str()).collect();
        assert_eq!(names, ["tiny-1", "large-2"], "{kind}");
        assert_eq!(server.refused().len(), 0, "{kind}: {:?}", server.refused());
    }
    let nest = Nest::new();
    nest.run(&["model", "list", "grok"]).exits(2).says("did you mean `groq`?");
    nest.run(&["model", "list", "groq"]).exits(2).says_all(&["no key for groq", "GROQ_API_KEY"]);
    assert_eq!(nest.run(&["model", "list", "builtin"]).exits(0).stdout, "builtin/offline\n");
}

#[test]
fn a_test_says_how_long_it_took_and_what_it_cost() {
    for (kind, path) in
        [("openai_chat", "/v1"), ("openai_responses", "/v1"), ("anthropic", ""), ("gemini", ""), ("ollama", "")]
    {
        let script = Script::new().key(SECRET).turn(Turn::text("Hello there.").always());
        let server = Server::start(script).unwrap();
        let nest = nest_with(kind, &format!("{}{path}", server.base_url()));
        let ran = nest.run(&["model", "test"]).exits(0).hides(SECRET);
        assert!(
            ran.stdout.starts_with("Hello there.\nmine/tiny-1 answered: first token after "),
            "{kind}: {}",
            ran.stdout
        );
        let report = nest.run(&["model", "test", "mine/other", "--json"]).exits(0).json();
        assert_eq!((&report["ok"], &report["model"]), (&true.into(), &"mine/other".into()));
        assert!(
            report["input_tokens"].as_u64().unwrap() > 0 && report["output_tokens"].as_u64().unwrap() > 0,
            "{report}"
        );
        assert!(report["first_ms"].as_u64() <= report["total_ms"].as_u64(), "{report}");
        assert_eq!(server.refused().len(), 0, "{kind}: {:?}", server.refused());
    }
    let nest = Nest::new();
    assert!(nest.run(&["model", "test"]).exits(0).stdout.contains("builtin/offline answered"));
}

/// Runs the test against this turn and returns what it says.
fn failing(turn: Turn) -> String {
    let (_server, nest) = serving(Script::new().turn(turn));
    nest.run(&["model", "test"]).exits(1).hides(SECRET).stderr
}

/// A server that knows no TLS, and says so in the clear.
fn plain() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    address
}

#[test]
fn every_failure_has_its_own_sentence() {
    let mut said = BTreeSet::new();
    let mut is_new = |sentence: String, wanted: &[&str]| {
        for text in wanted {
            assert!(sentence.contains(text), "`{text}` is not in: {sentence}");
        }
        assert!(sentence.contains("mine/tiny-1"), "{sentence}");
        assert!(said.insert(sentence.clone()), "said twice: {sentence}");
    };
    let wrong_key = Server::start(Script::new().key("another")).unwrap();
    let nest = nest_with("openai_chat", &format!("{}/v1", wrong_key.base_url()));
    is_new(
        nest.run(&["model", "test"]).exits(1).hides(SECRET).stderr,
        &["did not accept the key (HTTP 401)", "check that"],
    );

    let (_server, nest) = serving(Script::new().model("tiny-10").model("large-2"));
    let ran = nest.run(&["model", "test"]).exits(1);
    is_new(ran.stderr, &["no such model", "HTTP 404", "did you mean `mine/tiny-10`?"]);
    let report = nest.run(&["model", "test", "mine/unheard-of", "--json"]).exits(1).json();
    assert_eq!((&report["ok"], &report["kind"]), (&false.into(), &"unknown_model".into()));
    assert!(report["message"].as_str().unwrap().contains("`aether model list mine` shows them"), "{report}");

    is_new(failing(Turn::failure(429, "slow down").retry_after("7")), &["rate limit", "429", "to wait 7 s"]);
    is_new(failing(Turn::failure(503, "overloaded")), &["failed or is overloaded (HTTP 503)", "try again"]);
    is_new(failing(Turn::failure(402, "no credit")), &["no credit left", "add credit"]);
    let hang = Transport { hang: Some(Place::BeforeHead), ..Transport::default() };
    is_new(failing(Turn::text("x").transport(hang)), &["did not begin to answer within 400 ms"]);
    let cut = Transport { cut: Some(Place::AfterBytes(30)), ..Transport::default() };
    is_new(failing(Turn::reply(vec![Item::text("a long answer")]).transport(cut)), &["mine/tiny-1: ", "try again"]);
    is_new(failing(Turn::raw(200, "text/html", b"<html>sign in</html>")), &["an HTML page", "proxy"]);
    is_new(failing(Turn::raw(502, "text/html", b"<html>bad gateway</html>")), &["502", "HTML page, as from a proxy"]);

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nest = nest_with("openai_chat", &format!("http://127.0.0.1:{port}/v1"));
    is_new(
        nest.run(&["model", "test"]).exits(1).stderr,
        &["refused the connection", "start the server or correct the port"],
    );
    let nest = nest_with("openai_chat", &format!("https://{}/v1", plain()));
    is_new(nest.run(&["model", "test"]).exits(1).stderr, &["no TLS with", "check the port"]);
    let nest = nest_with("openai_chat", "https://no-such-host.invalid/v1");
    is_new(nest.run(&["model", "test"]).exits(1).stderr, &["no-such-host.invalid:443", "check the"]);
    let nest = nest_with("openai_chat", "http://192.0.2.1/v1");
    is_new(nest.run(&["model", "test"]).exits(1).stderr, &["unencrypted", "use https://"]);
}

#[test]
fn a_test_asks_with_the_configured_options() {
    let (server, nest) = serving(Script::new().turn(Turn::text("Hello.").always()));
    let nest = nest.env("AETHER_MODEL_OPTIONS__EFFORT", "low").env("AETHER_MODEL_OPTIONS__OUTPUT_TOKENS_MAX", "77");
    nest.run(&["model", "test"]).exits(0);
    let asked = server.requests().pop().unwrap().body;
    assert_eq!((&asked["reasoning_effort"], &asked["max_tokens"]), (&"low".into(), &77.into()));
}

#[test]
fn a_key_that_cannot_be_had_is_named_and_not_shown() {
    let nest = Nest::new();
    let key = nest.write("key", SECRET, 0o644);
    nest.configure(&format!(
        "[providers.mine]\nkind = \"ollama\"\nbase_url = \"http://127.0.0.1:1\"\nkey = \"file:{}\"\n",
        key.display()
    ));
    nest.run(&["model", "test", "mine/x"]).exits(1).hides(SECRET).says_all(&[
        "the key of mine",
        "mode 644",
        "chmod 600",
    ]);
    nest.run(&["model", "test", "openai"]).exits(2).says_all(&[
        "no key for openai",
        "OPENAI_API_KEY",
        "aether onboard",
    ]);
    nest.run(&["model", "test", "mine"]).exits(1);
}
