//! Providers, asked by the built program: five formats end to end, and every way in which one can fail.

use std::io::Write;
use std::time::Duration;

use aether_testkit::script::{Failure, Item, Place, Script, Transport, Turn, Usage};
use aether_testkit::server::Server;
use serde_json::Value;

use crate::ground::{KEY, Nest, asking, asking_with, provider};
use crate::web::{Opening, Page, Web};

/// A provider as it is configured, one for each format and one whose quirk is to want its reasoning back.
struct Known {
    name: &'static str,
    model: &'static str,
    /// What its paths stand behind.
    base: &'static str,
    /// Where its key is looked for.
    variable: &'static str,
}

const KNOWN: [Known; 6] = [
    Known { name: "anthropic", model: "claude-sonnet-5-5", base: "", variable: "ANTHROPIC_API_KEY" },
    Known { name: "openai", model: "gpt-6.1-terra", base: "/v1", variable: "OPENAI_API_KEY" },
    Known { name: "openai-chat", model: "gpt-4.1", base: "/v1", variable: "OPENAI_API_KEY" },
    Known { name: "gemini", model: "gemini-3.8-flash", base: "", variable: "GEMINI_API_KEY" },
    Known { name: "ollama", model: "qwen3:8b", base: "", variable: "OLLAMA_API_KEY" },
    Known { name: "llama-cpp", model: "qwen3-8b", base: "/v1", variable: "LLAMA_API_KEY" },
];

const DELIVERIES: [&[&str]; 2] = [&[], &["--no-stream"]];

impl Known {
    fn nest(&self, server: &Server) -> Nest {
        let Known { name, model, base, .. } = self;
        Nest::with(&format!(
            "model = \"{name}/{model}\"\n[providers.{name}]\nbase_url = \"{}{base}\"\n[prices.\"{model}\"]\n\
             input_micro_usd_per_mtok = 1000000\noutput_micro_usd_per_mtok = 10000000\n",
            server.base_url()
        ))
    }

    /// Runs it and checks that a real provider would have taken every question.
    #[track_caller]
    fn run(&self, nest: &Nest, server: &Server, words: &[&str]) -> crate::ground::Ended {
        let words: Vec<&str> = ["run", "--json"].into_iter().chain(words.iter().copied()).collect();
        let ended = nest.aether(&words).env(self.variable, KEY).run();
        assert!(server.refused().is_empty(), "{} {words:?}: {:#?}", self.name, server.refused());
        ended.exits(0)
    }
}

const COST: Usage =
    Usage { input_tokens: 900, output_tokens: 30, cached_tokens: 400, cache_write_tokens: 0, reasoning_tokens: 7 };

/// Text, reasoning, two calls at once on a real file, the reasoning carried back, usage and cost, in both deliveries.
#[test]
fn a_tool_loop_works_with_every_format() {
    for known in &KNOWN {
        for delivery in DELIVERIES {
            let first = vec![
                Item::reasoning("Two things to find out."),
                Item::texts(&["Look", "ing 🦀"]),
                Item::call("read_file", r#"{"path":"notes.txt"}"#),
                Item::call("calculate", r#"{"expression":"6*7"}"#),
            ];
            let second = vec![Item::reasoning("One more."), Item::call("read_file", r#"{"path":"none.txt"}"#)];
            let script = Script::new()
                .key(KEY)
                .turn(Turn::reply(first).usage(COST))
                .turn(Turn::reply(second).usage(COST))
                .turn(Turn::reply(vec![Item::texts(&["Læsø: ", "42."])]).usage(COST));
            let server = Server::start(script).expect("a server");
            let nest = known.nest(&server);
            nest.file("notes.txt", "the ferry leaves at 09:05\n");
            let about = format!("{} {delivery:?}", known.name);
            let words: Vec<&str> = ["When does it leave?"].into_iter().chain(delivery.iter().copied()).collect();
            let ended = known.run(&nest, &server, &words);
            let outcome = ended.outcome();
            assert_eq!(outcome["answer"], "Læsø: 42.", "{about}");
            assert_eq!((&outcome["model_calls"], &outcome["tool_calls"]), (&3.into(), &3.into()), "{about}");
            assert_eq!((&outcome["input_tokens"], &outcome["output_tokens"]), (&2_700.into(), &90.into()), "{about}");
            // Without a price of their own, cached tokens cost what others do.
            assert_eq!(outcome["cost_micro_usd"], 2_700 + 900, "{about}");
            if known.name != "ollama" {
                assert_eq!(outcome["cached_tokens"], 1_200, "{about}");
            }
            let requests = server.requests();
            let shown = requests[1].body.to_string();
            assert!(shown.contains("the ferry leaves at 09:05") && shown.contains("42"), "{about}: {shown}");
            assert!(requests[2].body.to_string().contains("none.txt"), "{about}");
            let streams = requests.iter().all(|r| r.path.contains("streamGenerate") || r.body["stream"] == true);
            assert_eq!(streams, delivery.is_empty(), "{about}");
        }
    }
}

/// What a provider said in reasoning comes back to it in the next question, where its format has a place for that.
#[test]
fn reasoning_is_carried_back() {
    for (known, marks) in KNOWN.iter().zip([
        &["signature"][..],
        &["encrypted_content"],
        &[],
        &["thoughtSignature"],
        &[],
        &["reasoning_content", "Think first."],
    ]) {
        let first = vec![Item::reasoning("Think first."), Item::call("calculate", r#"{"expression":"6*7"}"#)];
        let script = Script::new().turn(Turn::reply(first)).turn(Turn::text("42"));
        let server = Server::start(script).expect("a server");
        known.run(&known.nest(&server), &server, &["go"]);
        let body = server.requests()[1].body.to_string();
        for mark in marks {
            assert!(body.contains(mark), "{}: `{mark}` is not in {body}", known.name);
        }
    }
}

/// The smallest PNG: one transparent pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\0\x01\0\0\x05\0\x01\r\n-\xb4\0\0\0\0IEND\xaeB`\x82";

#[test]
fn an_image_and_a_schema_reach_every_format() {
    let schema = r#"{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"],"additionalProperties":false}"#;
    for known in &KNOWN {
        for delivery in DELIVERIES {
            let server = Server::start(Script::new().turn(Turn::text(r#"{"colour":"none"}"#))).expect("a server");
            let nest = known.nest(&server);
            nest.file("pixel.png", PIXEL);
            nest.file("schema.json", schema);
            let words = ["What colour?", "--image", "pixel.png", "--schema", "schema.json"];
            let words: Vec<&str> = words.into_iter().chain(delivery.iter().copied()).collect();
            let ended = known.run(&nest, &server, &words);
            assert_eq!(ended.outcome()["answer"], r#"{"colour":"none"}"#, "{}", known.name);
            let body = server.requests()[0].body.to_string();
            assert!(
                body.contains("iVBORw0KGgo") && body.contains("image/png") || known.name == "ollama",
                "{}",
                known.name
            );
            assert!(body.contains("iVBORw0KGgo") && body.contains("\"colour\""), "{}: {body}", known.name);
        }
    }
}

#[test]
fn what_is_no_image_or_no_schema_is_a_mistake_of_usage() {
    let nest = Nest::new();
    nest.file("image.png", "not an image");
    nest.file("list.json", "[1]");
    nest.file("broken.json", "{\"type\": ");
    nest.aether(&["run", "x", "--image", "image.png"]).run().exits(2).says("no PNG, JPEG, GIF or WebP");
    nest.aether(&["run", "x", "--image", "none.png"]).run().exits(2).says("none.png");
    nest.aether(&["run", "x", "--schema", "list.json"]).run().exits(2).says("a JSON Schema is an object");
    nest.aether(&["run", "x", "--schema", "broken.json"]).run().exits(2).says("broken.json: ").says("line 1");
    nest.aether(&["run", "x", "--schema", "none.json"]).run().exits(2).says("none.json");
}

/// One attempt each, so that every failure is told at once.
const ONE_ATTEMPT: &str = "[retry]\nattempts_max = 1\n";
/// Limits on a request under which a silent server is given up soon.
const SHORT: &str = "[retry]\nattempts_max = 1\n[network]\nheaders_ms_max = 300\nidle_ms_max = 300\n";

fn cut_at(bytes: u64) -> Transport {
    Transport { cut: Some(Place::AfterBytes(bytes)), ..Transport::default() }
}

fn silent_at(place: Place) -> Transport {
    Transport { hang: Some(place), ..Transport::default() }
}

/// Every way in which a provider fails, with the words that only that failure has.
fn failures() -> Vec<(&'static str, Turn, &'static str)> {
    let mut quota = Failure::new(429, "You exceeded your current quota");
    quota.code = Some("insufficient_quota".to_owned());
    let unpaid = Turn { outcome: aether_testkit::script::Outcome::Failure(quota), ..Turn::text("") };
    let in_stream = Turn::reply(vec![Item::text("Well"), Item::Failure(Failure::new(500, "The engine stopped"))]);
    let html = b"<!doctype html><title>Sign in</title><p>Please sign in to the guest network</p>";
    vec![
        ("unauthorized", Turn::failure(401, "Incorrect API key provided"), "did not accept the key"),
        ("unauthorized", Turn::failure(403, "Region not supported"), "does not allow this"),
        ("unknown_model", Turn::failure(404, "The model `gpt-4.1` does not exist"), "no such model"),
        ("unpaid", unpaid, "no credit left"),
        ("rate_limited", Turn::failure(429, "Rate limit reached"), "rate limit is reached"),
        ("unavailable", Turn::failure(500, "Internal error"), "failed or is overloaded"),
        ("unavailable", Turn::failure(503, "Overloaded"), "Overloaded"),
        ("bad_request", Turn::failure(400, "Unknown parameter"), "refused the request"),
        ("context_too_long", Turn::failure(400, "maximum context length is 8192 tokens"), "does not fit the model"),
        ("malformed", Turn::raw(200, "text/html", html), "an HTML page"),
        (
            "malformed",
            Turn::raw(200, "text/event-stream", b"data: {\"choices\": [\n\n"),
            "not in this provider's format",
        ),
        ("cut", Turn::text("A longer answer than that").transport(cut_at(150)), "in mid-answer"),
        (
            "cut",
            Turn::text("x").transport(Transport { cut: Some(Place::BeforeHead), ..Transport::default() }),
            "before it answered",
        ),
        ("timeout", Turn::text("x").transport(silent_at(Place::BeforeHead)), "did not begin to answer within 300 ms"),
        (
            "timeout",
            Turn::text("A longer answer").transport(silent_at(Place::AfterBytes(150))),
            "fell silent for 300 ms",
        ),
        ("unavailable", in_stream, "The engine stopped"),
    ]
}

/// Each failure is one sentence of its own on standard error, with nothing on standard output and exit code 1.
#[test]
fn every_failure_has_its_own_sentence() {
    let mut told: Vec<String> = Vec::new();
    for (kind, turn, words) in failures() {
        let server = Server::start(Script::new().turn(turn)).expect("a server");
        let ended = asking_with(&server, SHORT).aether(&["run", "hello"]).run().exits(1).says(words);
        assert!(matches!(ended.stdout.as_str(), "" | "Well\n"), "{kind}: {ended:#?}");
        let sentence = ended.stderr.lines().last().expect("a sentence").to_owned();
        assert!(sentence.starts_with("error: ") && !sentence.ends_with('.'), "{kind}: {sentence}");
        assert!(!told.contains(&sentence), "said before: {sentence}");
        told.push(sentence);
    }
}

#[test]
fn no_connection_and_no_tls_have_theirs() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let config = |url: &str| format!("model = \"test/m\"\n{}{ONE_ATTEMPT}", provider("test", "openai_chat", url));
    let nest = Nest::with(&config(&format!("http://{closed}/v1")));
    nest.aether(&["run", "hello"]).run().exits(1).says("refused the connection").says("start the server");

    let web = Web::start("localhost", Opening::Tls, Page::Text("hello"));
    let address = format!("https://localhost:{}/v1", web.address.port());
    let nest = Nest::with(&config(&address));
    nest.aether(&["run", "hello"]).run().exits(1).says("nobody that this machine trusts").says("network.ca_file");
    assert_eq!(web.requests(), 0, "nothing was sent");
    let nest = Nest::with(&format!("{}{}", config(&address), web.network(Opening::Tls)));
    nest.aether(&["run", "hello"]).run().exits(1).says("where a model's answer was expected");
    assert_eq!(web.requests(), 1, "with the authority named, TLS stands");

    let plain = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nest = Nest::with(&config(&format!("https://{}/v1", plain.local_addr().expect("an address"))));
    std::thread::spawn(move || {
        plain.accept().map(|(mut stream, _)| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    });
    nest.aether(&["run", "hello"]).run().exits(1).says("did not answer in TLS");
    let nest = Nest::with(&config("http://198.51.100.7/v1"));
    nest.aether(&["run", "hello"]).run().exits(1).says("unencrypted").says("https://");
    let nest = Nest::with(&config("https://no-such-host.invalid/v1"));
    nest.aether(&["run", "hello"]).run().exits(1).says("no-such-host.invalid");
}

#[test]
fn a_missing_key_is_a_mistake_of_usage() {
    let nest = Nest::new();
    for (model, variable) in [
        ("anthropic/claude-sonnet-5-5", "ANTHROPIC_API_KEY"),
        ("openai/gpt-5", "OPENAI_API_KEY"),
        ("gemini", "GEMINI_API_KEY"),
    ] {
        nest.aether(&["run", "hello", "--model", model]).run().exits(2).says("no key for").says(variable);
    }
    let server = Server::start(Script::new()).expect("a server");
    let ended = asking(&server).aether(&["run", "hello"]).without("TEST_PROVIDER_KEY").run();
    assert!(matches!(ended.status.code(), Some(1 | 2)), "{ended:#?}");
    ended.says("TEST_PROVIDER_KEY is not set");
    assert!(server.requests().is_empty());
}

/// With a second model in the chain, every failure of the first is made good by it.
#[test]
fn the_next_model_of_the_chain_answers_when_the_first_fails() {
    for (kind, turn, _) in failures() {
        let first = Server::start(Script::new().turn(turn.always())).expect("a server");
        let second = Server::start(Script::new().turn(Turn::text("I am here"))).expect("a server");
        let other = provider("other", "anthropic", &second.base_url());
        let nest = asking_with(&first, &format!("{other}{SHORT}"));
        let words = ["run", "--json", "hello", "--fallback", "other/claude-haiku-4-5"];
        let ended = nest.aether(&words).run().exits(0);
        assert_eq!(ended.outcome()["answer"], "I am here", "{kind}");
        let failed = ended.events("failed");
        assert_eq!(failed.len(), 1, "{kind}: {failed:#?}");
        assert!(failed[0].to_string().contains("fallback"), "{kind}: {failed:#?}");
        assert!(second.refused().is_empty(), "{kind}: {:#?}", second.refused());
    }
}

/// The chain goes on in the middle of a task: what the first model did is told to the second in its own format.
#[test]
fn a_chain_goes_on_in_the_middle_of_a_task() {
    let call = vec![Item::reasoning("Hm."), Item::call("calculate", r#"{"expression":"6*7"}"#)];
    let first = Script::new().turn(Turn::reply(call)).turn(Turn::failure(401, "revoked"));
    let first = Server::start(first).expect("a server");
    let second = Server::start(Script::new().turn(Turn::text("42"))).expect("a server");
    let other = provider("other", "gemini", &second.base_url());
    let nest = asking_with(&first, &other);
    nest.aether(&["run", "go", "--fallback", "other/gemini-3.8-flash"]).run().exits(0).answers("42");
    assert!(second.refused().is_empty(), "{:#?}", second.refused());
    assert!(second.requests()[0].body.to_string().contains("6*7"));
}

/// A question is put again as often as allowed and no more; what a server asks to wait is waited.
#[test]
fn retries_are_bounded_and_wait_as_asked() {
    let quick = "[retry]\nattempts_max = 3\nbackoff_ms_min = 1\nbackoff_ms_max = 5\n";
    let failing = Server::start(Script::new().turn(Turn::failure(500, "down").always())).expect("a server");
    asking_with(&failing, quick).aether(&["run", "go"]).run().exits(1).within(5_000);
    assert_eq!(failing.requests().len(), 3);

    let flaky = Script::new().turn(Turn::failure(503, "busy").uses(2)).turn(Turn::text("at last"));
    let flaky = Server::start(flaky).expect("a server");
    asking_with(&flaky, quick).aether(&["run", "go"]).run().exits(0).answers("at last");

    for wait in ["1", "Fri, 01 Jan 1999 00:00:00 GMT"] {
        let busy = Script::new().turn(Turn::failure(429, "busy").retry_after(wait)).turn(Turn::text("at last"));
        let busy = Server::start(busy).expect("a server");
        let ended = asking_with(&busy, quick).aether(&["run", "go"]).run().exits(0).answers("at last");
        assert_eq!(ended.took >= Duration::from_secs(1), wait == "1", "{wait}: {:?}", ended.took);
    }
    for status in [400, 401, 404] {
        let sure = Server::start(Script::new().turn(Turn::failure(status, "no").always())).expect("a server");
        asking_with(&sure, quick).aether(&["run", "go"]).run().exits(1);
        assert_eq!(sure.requests().len(), 1, "{status} stays wrong however often it is tried");
    }
}

/// An answer that broke off half-way is void: what is printed is the whole one that came after it.
#[test]
fn half_an_answer_is_not_printed() {
    let long = Turn::reply(vec![Item::Text { pieces: vec!["wrong ".to_owned()], times: 200 }]);
    let script = Script::new().turn(long.transport(cut_at(4_000))).turn(Turn::text("right"));
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    let ended = nest.aether(&["run", "--json", "go"]).run().exits(0);
    assert_eq!(ended.outcome()["answer"], "right");
    assert!(!ended.events("said").is_empty() && ended.events("unsaid").len() == 1, "{ended:#?}");
    let server = Server::start(
        Script::new().turn(Turn::text("a wrong answer").transport(cut_at(200))).turn(Turn::text("right")),
    );
    let ended = asking(&server.expect("a server")).aether(&["run", "go"]).run().exits(0);
    assert_eq!(ended.stdout, "right\n");
}

/// A provider that keeps failing is left alone: its server sees no request until the rest is over.
#[test]
fn a_broken_provider_is_left_alone() {
    let broken = Server::start(Script::new().turn(Turn::failure(500, "down").always())).expect("a server");
    let table = "[retry]\nattempts_max = 4\nbackoff_ms_min = 1\nbackoff_ms_max = 2\nbreaker_failures_max = 2\n\
                 breaker_rest_ms = 700\n";
    let ended = asking_with(&broken, table).aether(&["run", "go"]).run().exits(1);
    assert_eq!(broken.requests().len(), 3, "two failures, a rest, one more try");
    assert!(ended.took >= Duration::from_millis(700), "{:?}", ended.took);
}

/// Nobody waits for a provider that is left alone while another one stands by.
#[test]
fn behind_a_broken_provider_the_next_one_is_asked_at_once() {
    let script = Script::new().turn(Turn::failure(500, "down").always());
    let broken = Server::start(script).expect("a server");
    let table = "[retry]\nattempts_max = 4\nbackoff_ms_min = 1\nbackoff_ms_max = 20000\nbreaker_failures_max = 2\n\
                 breaker_rest_ms = 15000\n";
    let nest = asking_with(&broken, table);
    let ended = nest.aether(&["run", "--fallback", "builtin/offline", "hello"]).run().exits(0);
    assert_eq!(broken.requests().len(), 2, "two failures, and it is left alone");
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
}

/// A long context is folded and the question put again, not given up.
#[test]
fn a_context_that_is_too_long_is_folded() {
    let big = r#"{"path":"big.txt"}"#;
    let too_long = Turn::failure(400, "This model's maximum context length is 8192 tokens");
    let script = Script::new()
        .turn(Turn::call("read_file", big))
        .turn(Turn::call("read_file", r#"{"path":"big.txt","from_line":2}"#))
        .turn(too_long)
        .turn(Turn::text("read in part"));
    let server = Server::start(script).expect("a server");
    let nest = asking(&server);
    nest.file("big.txt", "0123456789\n".repeat(3_000));
    let ended = nest.aether(&["run", "--json", "read it"]).run().exits(0);
    assert!(!ended.events("folded").is_empty(), "{ended:#?}");
    let sizes: Vec<usize> = server.requests().iter().map(|request| request.body.to_string().len()).collect();
    assert!(sizes[3] < sizes[2], "{sizes:?}");
}

/// A system prompt and a list of tools that are the same bytes in every question, so that providers can cache them.
#[test]
fn the_beginning_of_every_question_is_the_same() {
    let script = Script::new()
        .turn(Turn::call("calculate", r#"{"expression":"1"}"#))
        .turn(Turn::call("calculate", r#"{"expression":"2"}"#))
        .turn(Turn::text("done"));
    let server = Server::start(script).expect("a server");
    asking(&server).aether(&["run", "go"]).run().exits(0);
    let requests = server.requests();
    let begin =
        |body: &Value| (body["messages"][0].to_string(), body["messages"][1].to_string(), body["tools"].to_string());
    assert_eq!(begin(&requests[0].body), begin(&requests[1].body));
    assert_eq!(begin(&requests[0].body), begin(&requests[2].body));
}

#[test]
fn configured_headers_go_along() {
    let server = Server::start(Script::new().turn(Turn::text("ok"))).expect("a server");
    let nest = asking_with(&server, "[providers.test.headers]\nx-team = \"north\"\n");
    nest.aether(&["run", "go"]).run().exits(0);
    let request = &server.requests()[0];
    assert_eq!(request.header("x-team"), Some("north"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert!(request.header("user-agent").is_some_and(|agent| agent.starts_with("aether/")), "{request:?}");
}
