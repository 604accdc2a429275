//! Providers that hang, drip, flood, break off, talk nonsense or go in circles: each costs a limit and no more.

use std::fs;
use std::time::Duration;

use aether_testkit::script::{Item, Place, Script, Transport, Turn, Usage};
use aether_testkit::server::Server;

use crate::ground::{Ended, Nest, asking, asking_with, last_result, provider, results};

/// The limits of these runs, in milliseconds: all of it, and what of that is kept for a last answer.
const SHORT_LIFE: &str = "[limits]\nwall_ms = 1500\nclosing_ms = 300\n[retry]\nattempts_max = 2\nbackoff_ms_min = 1\n";

#[test]
fn a_provider_that_hangs_or_drips_costs_no_more_than_the_limit() {
    let drip = Transport { chunk_bytes: 1, chunk_delay_ms: 1_000, ..Transport::default() };
    for transport in [
        Transport { hang: Some(Place::BeforeHead), ..Transport::default() },
        Transport { hang: Some(Place::InHead), ..Transport::default() },
        Transport { hang: Some(Place::AfterBytes(100)), ..Transport::default() },
        Transport { head_delay_ms: 20_000, ..Transport::default() },
        drip,
    ] {
        let about = format!("{transport:?}");
        let server = Server::start(Script::new().turn(Turn::text("never whole").transport(transport).always()))
            .expect("a server");
        let ended = asking_with(&server, SHORT_LIFE).aether(&["run", "--json", "go"]).run().within(5_000);
        let code = ended.status.code();
        assert_eq!(code, Some(4), "{about}: {ended:#?}");
        assert!(ended.took >= Duration::from_millis(1_000), "{about}: {:?}", ended.took);
    }
}

/// A server that keeps the connection open after a complete answer does not hold the program back.
#[test]
fn an_answer_that_is_complete_ends_the_run_at_once() {
    let body = b"data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n: and then nothing for a long time\n\n";
    let open = Transport { hang: Some(Place::AfterBytes(body.len() as u64 - 5)), ..Transport::default() };
    let server =
        Server::start(Script::new().turn(Turn::raw(200, "text/event-stream", body).transport(open))).expect("a server");
    let ended = asking(&server).aether(&["run", "go"]).run().exits(0).answers("hello").within(1_500);
    assert_eq!(ended.stderr, "");
}

/// The most memory a process had so far, in bytes, as long as it lives.
fn peak_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Runs a task and gives the most memory it had.
fn measured(nest: &Nest) -> (Ended, u64) {
    let live = nest.aether(&["run", "go"]).start();
    let pid = live.pid();
    let watching = std::thread::spawn(move || {
        let mut most = 0;
        while let Some(bytes) = peak_bytes(pid) {
            most = bytes.max(most);
            std::thread::sleep(Duration::from_millis(5));
        }
        most
    });
    let ended = live.wait();
    (ended, watching.join().expect("a number"))
}

#[test]
fn a_hundred_megabytes_are_not_swallowed() {
    let flood = Turn::reply(vec![Item::Text { pieces: vec!["x".repeat(1_000)], times: 100_000 }]);
    let server = Server::start(Script::new().turn(flood)).expect("a server");
    let (ended, bytes) = measured(&asking(&server));
    let ended = ended.exits(4);
    assert!(ended.stdout.len() <= (1 << 20) + 1, "{}", ended.stdout.len());
    assert!(bytes < 64 << 20, "{bytes} bytes of memory");
    for (content_type, piece, status) in [
        ("text/event-stream", "data: {\"choices\":[{\"delta\":{\"content\":\"".to_owned() + &"y".repeat(1 << 20), 200),
        ("text/event-stream", ": a comment\n\n".repeat(80_000), 200),
        ("application/json", "[".repeat(1 << 20), 200),
        ("text/html", "<p>".repeat(350_000), 200),
        ("text/html", "<p>".repeat(350_000), 500),
    ] {
        let mut turn = Turn::raw(status, content_type, piece.as_bytes());
        if let aether_testkit::script::Outcome::Raw(raw) = &mut turn.outcome {
            raw.times = 100;
        }
        let server = Server::start(Script::new().turn(turn.always())).expect("a server");
        let nest = asking_with(&server, "[retry]\nattempts_max = 1\n");
        let (ended, bytes) = measured(&nest);
        let ended = ended.exits(1);
        assert!(ended.stderr.len() < 4_000, "{} bytes of messages", ended.stderr.len());
        assert!(bytes < 160 << 20, "{content_type} {status}: {bytes} bytes of memory");
    }
}

/// Bodies that are almost an answer, or nothing of the kind, in every format and delivery.
#[test]
fn nonsense_from_a_provider_is_an_error_and_no_more() {
    let deep = "[".repeat(100_000);
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("application/json", b"null".to_vec()),
        ("application/json", b"{}".to_vec()),
        ("application/json", b"[]".to_vec()),
        ("application/json", b"{\"choices\":[{\"message\":{\"content\":7}}],\"content\":\"x\",\"output\":3,\"candidates\":{}}".to_vec()),
        ("application/json", deep.into_bytes()),
        ("application/json", b"\"\xff\xfe\"".to_vec()),
        ("application/json", Vec::new()),
        ("text/event-stream", b"data: nonsense\n\ndata: [DONE]\n\n".to_vec()),
        ("text/event-stream", b"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":99999999999,\"function\":{\"name\":5}}]}}]}\n\n".to_vec()),
        ("text/event-stream", b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":-1,\"delta\":{\"type\":\"text_delta\"}}\n\n".to_vec()),
        ("text/event-stream", b"\x00\x01\x02\xff".to_vec()),
        ("application/x-ndjson", b"{\"message\":{\"tool_calls\":[{}]}}\n{\"done\":\"perhaps\"}\n".to_vec()),
        ("image/png", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("", b"hello".to_vec()),
    ];
    for (kind, base) in
        [("openai_chat", "/v1"), ("openai_responses", "/v1"), ("anthropic", ""), ("ollama", ""), ("gemini", "")]
    {
        for (content_type, body) in &bodies {
            let server =
                Server::start(Script::new().turn(Turn::raw(200, content_type, body).always())).expect("a server");
            let table = provider("odd", kind, &format!("{}{base}", server.base_url()));
            let nest = Nest::with(&format!("model = \"odd/some-model\"\n{table}[retry]\nattempts_max = 1\n"));
            let delivery: &[&str] = if content_type.ends_with("stream") || content_type.ends_with("ndjson") {
                &[]
            } else {
                &["--no-stream"]
            };
            let words: Vec<&str> = ["run", "go"].into_iter().chain(delivery.iter().copied()).collect();
            let ended = nest.aether(&words).run();
            let about =
                format!("{kind} {content_type} {}: {ended:#?}", String::from_utf8_lossy(&body[..body.len().min(60)]));
            assert_eq!(ended.status.code(), Some(1), "{about}");
            assert!(ended.stderr.contains("error: ") && ended.stderr.len() < 4_000, "{about}");
        }
    }
}

/// What an answer costs where its length should not matter.
const CHEAP: Usage =
    Usage { input_tokens: 10, output_tokens: 1, cached_tokens: 0, cache_write_tokens: 0, reasoning_tokens: 0 };

#[test]
fn calls_that_make_no_sense_are_told_to_the_model() {
    let large = format!(r#"{{"path":"{}"}}"#, "x".repeat(5 << 20));
    let long = format!(r#"{{"path":"{}"}}"#, "x".repeat(5_000));
    let content = format!(r#"{{"path":"large.txt","content":"{}"}}"#, "y".repeat(5 << 20));
    for (name, input, words) in [
        ("read_flie", r#"{"path":"a"}"#, "did you mean `read_file`?"),
        ("rm -rf /", "{}", "there is no tool"),
        ("read_file", "{\"path\": ", "not valid JSON"),
        ("read_file", "[]", "path"),
        ("read_file", "null", "path"),
        ("read_file", r#"{"pth":"a"}"#, "path"),
        ("read_file", r#"{"path":7}"#, "path"),
        ("read_file", r#"{"path":"a\u0000b"}"#, "a"),
        ("read_file", &large, "5242891 bytes; at most 2097152 are taken"),
        ("read_file", &long, "at most 4096 are taken"),
        ("calculate", r#"{"expression":"9^9^9^9"}"#, ""),
        ("search_text", r#"{"pattern":"(((("}"#, "pattern"),
        ("write_file", &content, ""),
    ] {
        let server = Server::start(Script::new().turn(Turn::call(name, input).usage(CHEAP)).turn(Turn::text("I see")));
        let server = server.expect("a server");
        let nest = asking(&server);
        let ended = nest.aether(&["run", "go", "--yes"]).run().exits(0).answers("I see").within(10_000);
        assert!(ended.stderr.len() < 2_000, "{name}: {} bytes of messages", ended.stderr.len());
        let told = last_result(&server);
        assert!(
            told.contains(words) && told.len() < 70_000,
            "{name} {}: {}",
            &input[..input.len().min(60)],
            &told[..told.len().min(300)]
        );
    }
}

#[test]
fn a_hundred_calls_at_once_all_have_their_result() {
    let calls = (0..100).map(|n| Item::call("read_file", &format!(r#"{{"path":"{n}.txt"}}"#))).collect();
    let server = Server::start(Script::new().turn(Turn::reply(calls)).turn(Turn::text("read"))).expect("a server");
    let nest = asking(&server);
    for n in 0..100 {
        nest.file(&format!("{n}.txt"), format!("number {n}\n"));
    }
    nest.aether(&["run", "go"]).run().exits(0);
    let told = results(&server.requests()[1]);
    assert_eq!(told.len(), 100);
    for (n, result) in told.iter().enumerate() {
        assert!(result.contains(&format!("number {n}\n")), "{n}: {result}");
    }
}

/// The same call for ever, even in the turn that was to be the last.
#[test]
fn a_model_that_goes_in_circles_is_stopped() {
    for calls in [1, 3] {
        let items = (0..calls).map(|_| Item::call("list_dir", "{}")).collect();
        let server = Server::start(Script::new().turn(Turn::reply(items).always())).expect("a server");
        let ended = asking(&server).aether(&["run", "go"]).run().exits(4).within(10_000);
        assert!(server.requests().len() <= 12, "{}", server.requests().len());
        assert!(ended.stderr.contains("same call"), "{ended:#?}");
    }
    let changing = (0..400)
        .fold(Script::new(), |script, n| script.turn(Turn::call("calculate", &format!(r#"{{"expression":"{n}"}}"#))));
    let server = Server::start(changing).expect("a server");
    asking(&server).aether(&["run", "go"]).run().exits(4).within(20_000);
    assert!(server.requests().len() <= 66, "{}", server.requests().len());
}
