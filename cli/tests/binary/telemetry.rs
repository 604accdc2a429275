//! Spans for a collector: sent by a build that can, refused by one that cannot.

use crate::ground::Nest;

/// A build without the export says so instead of sending nothing.
#[cfg(not(feature = "otlp"))]
#[test]
fn a_collector_that_cannot_be_reached_by_this_build_is_an_error() {
    let nest = Nest::with("model = \"builtin/offline\"\n[telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\n");
    let ended = nest.aether(&["run", "hello"]).run().exits(2);
    assert!(ended.stderr.contains("--features otlp"), "{}", ended.stderr);
}

/// One request per task, as OTLP over HTTP with JSON, and nothing of the conversation in it.
#[cfg(feature = "otlp")]
#[test]
fn the_spans_of_a_task_reach_the_collector() {
    use std::io::{Read, Write};
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = collector.local_addr().expect("an address");
    let taken = std::thread::spawn(move || {
        let (mut stream, _) = collector.accept().expect("a connection");
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        let is_whole = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
            length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| body.len() >= length)
        };
        while !is_whole(&bytes) {
            let read = stream.read(&mut piece).expect("a request");
            assert!(read > 0, "the request ended early");
            bytes.extend_from_slice(&piece[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").expect("an answer");
        String::from_utf8(bytes).expect("text")
    });
    let nest = Nest::with(&format!("model = \"builtin/offline\"\n[telemetry]\notlp_endpoint = \"http://{address}\"\n"));
    nest.aether(&["run", "what is 20 + 22?"]).run().exits(0);
    let request = taken.join().expect("a request");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans");
    let names: Vec<&str> = spans.iter().filter_map(|span| span["name"].as_str()).collect();
    assert!(names.iter().any(|name| name.starts_with("chat ")), "{names:?}");
    assert!(names.contains(&"execute_tool calculate"), "{names:?}");
    assert!(!request.contains("20 + 22"), "a span holds what was asked: {request}");
}
