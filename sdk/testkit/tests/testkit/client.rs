//! A client that shows what is on the wire: status, headers, chunks, and whether the response was whole.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use aether_testkit::dialect::Dialect;
use aether_testkit::server::Server;
use serde_json::Value;

/// The longest silence before a test fails, in milliseconds.
const SILENCE_MS_MAX: u64 = 5_000;

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The HTTP chunks, if it came in such.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether all of the body came.
    pub(crate) whole: bool,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The events of a stream: name and data.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let text = self.text().replace("\r\n", "\n");
        let field = |block: &str, name: &str| {
            let lines = block.lines().filter_map(|line| line.strip_prefix(name));
            lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
        };
        let events = text.split("\n\n").map(|block| (field(block, "event:"), field(block, "data:")));
        events.filter(|(_, data)| !data.is_empty()).collect()
    }
}

pub(crate) fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(SILENCE_MS_MAX))).unwrap();
    stream
}

pub(crate) fn head_of(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: testkit\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

pub(crate) fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
    stream.write_all(head_of(method, path, headers, body).as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

/// Reads one response; an empty one when the server closes before its head is whole.
pub(crate) fn receive(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    let nothing = Response { status: 0, headers: Vec::new(), body: Vec::new(), chunks: Vec::new(), whole: false };
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if !more(stream, &mut bytes) {
            return Response { body: bytes, ..nothing };
        }
    };
    let head = String::from_utf8(bytes[..head_len].to_vec()).unwrap();
    let mut rest = bytes.split_off(head_len + 4);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    let headers: Vec<_> = lines.map(pair).collect();
    let mut response = Response { status, headers, ..nothing };
    if let Some(len) = response.header("content-length") {
        let len: usize = len.parse().unwrap();
        while rest.len() < len && more(stream, &mut rest) {}
        response.whole = rest.len() == len;
        response.body = rest;
        return response;
    }
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    let mut at = 0;
    loop {
        let Some(line) = rest[at..].windows(2).position(|window| window == b"\r\n") else {
            if more(stream, &mut rest) {
                continue;
            } else {
                return response;
            };
        };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[at..at + line]).unwrap(), 16).unwrap();
        let start = at + line + 2;
        while rest.len() < start + size + 2 {
            if !more(stream, &mut rest) {
                response.body.extend_from_slice(&rest[start..]);
                return response;
            }
        }
        if size == 0 {
            response.whole = true;
            return response;
        }
        response.body.extend_from_slice(&rest[start..start + size]);
        response.chunks.push(rest[start..start + size].to_vec());
        at = start + size + 2;
    }
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 65536];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(len) => {
            bytes.extend_from_slice(&buffer[..len]);
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
        Err(error) => panic!("{error}"),
    }
}

/// The path and the headers of a proper question.
pub(crate) fn door(dialect: Dialect) -> (&'static str, Vec<(&'static str, &'static str)>) {
    let json = ("content-type", "application/json");
    match dialect {
        Dialect::Chat => ("/v1/chat/completions", vec![json, ("authorization", "Bearer k")]),
        Dialect::Responses => ("/v1/responses", vec![json, ("authorization", "Bearer k")]),
        Dialect::Anthropic => ("/v1/messages", vec![json, ("x-api-key", "k"), ("anthropic-version", "2026-10-21")]),
        Dialect::Ollama => ("/api/chat", vec![json]),
        Dialect::Gemini => ("/v1beta/models/gemini-3.8-flash:generateContent", vec![json, ("x-goog-api-key", "k")]),
    }
}

/// Asks at the usual door of a format, on a connection of its own.
pub(crate) fn ask(server: &Server, dialect: Dialect, body: &Value) -> Response {
    let (path, headers) = door(dialect);
    ask_at(server, path, &headers, body)
}

pub(crate) fn ask_at(server: &Server, path: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    let mut stream = connect(server);
    send(&mut stream, "POST", path, headers, body.to_string().as_bytes());
    receive(&mut stream)
}

pub(crate) fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut stream = connect(server);
    send(&mut stream, "GET", path, headers, b"");
    receive(&mut stream)
}
