//! Misbehaviour does what it says; S4 and S5.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aether_testkit::dialect::Dialect;
use aether_testkit::script::{
    Comments, DataLines, Framing, Item, LastLine, LineEnd, Outcome, Place, Script, Transport, Turn, When,
};
use aether_testkit::server::Server;
use serde_json::{Value, json};

use crate::client::{Response, ask, connect, door, head_of, receive, send};
use crate::meaning::meaning;

fn question() -> Value {
    json!({"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": "hi"}]})
}

fn asked(turn: Turn) -> Response {
    let server = Server::start(Script::new().turn(turn)).unwrap();
    ask(&server, Dialect::Chat, &question())
}

fn pieces() -> Turn {
    Turn::reply(vec![Item::texts(&["Zeit 🕘", " in", " Oslo"])])
}

fn said(response: &Response) -> String {
    meaning(Dialect::Chat, response.header("content-type").unwrap(), &response.body).text
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let made = work();
    (made, start.elapsed())
}

#[test]
fn delays_are_kept() {
    let transport = Transport { head_delay_ms: 120, ..Transport::default() };
    let (response, took) = timed(|| asked(pieces().transport(transport)));
    assert_eq!(said(&response), "Zeit 🕘 in Oslo");
    assert!(took >= Duration::from_millis(120), "{took:?}");
    // Role, three pieces, reason, [DONE]: six events.
    let transport = Transport { piece_delay_ms: 30, ..Transport::default() };
    let (response, took) = timed(|| asked(pieces().transport(transport)));
    assert_eq!(said(&response), "Zeit 🕘 in Oslo");
    assert!(took >= Duration::from_millis(180), "{took:?}");
    let transport = Transport { chunk_bytes: 200, chunk_delay_ms: 20, ..Transport::default() };
    let (response, took) = timed(|| asked(pieces().transport(transport)));
    assert!(took >= Duration::from_millis(20 * response.chunks.len() as u64), "{took:?}");
}

#[test]
fn every_byte_travels_alone() {
    let transport = Transport { chunk_bytes: 1, ..Transport::default() };
    let response = asked(pieces().transport(transport));
    assert!(response.whole && response.chunks.iter().all(|chunk| chunk.len() == 1));
    assert_eq!(said(&response), "Zeit 🕘 in Oslo");
    assert_eq!(response.body, asked(pieces()).body);
}

#[test]
fn connections_are_cut_where_it_says() {
    let cut = |place| asked(pieces().transport(Transport { cut: Some(place), ..Transport::default() }));
    let nothing = cut(Place::BeforeHead);
    assert_eq!((nothing.status, nothing.body.len()), (0, 0));
    let head = cut(Place::InHead);
    assert!(head.status == 0 && head.text().starts_with("HTTP/1.1 200 OK\r\n") && !head.text().contains("\r\n\r\n"));
    for bytes in [0, 1, 99, 333] {
        let response = cut(Place::AfterBytes(bytes));
        assert_eq!((response.status, response.body.len() as u64, response.whole), (200, bytes, false));
    }
    assert!(cut(Place::AfterBytes(1_000_000)).whole, "the body is over before");
    let turn = Turn::text("whole").transport(Transport { cut: Some(Place::AfterBytes(10)), ..Transport::default() });
    let server = Server::start(Script::new().turn(turn)).unwrap();
    let response = ask(&server, Dialect::Chat, &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    assert_eq!((response.body.len(), response.whole), (10, false));
}

/// S4: also for connections on which the server never said anything more.
#[test]
fn silence_lasts_until_the_server_is_dropped() {
    for (place, wanted) in [(Place::BeforeHead, 0), (Place::InHead, 20), (Place::AfterBytes(50), 100)] {
        let turn = pieces().transport(Transport { hang: Some(place), ..Transport::default() });
        let server = Server::start(Script::new().turn(turn)).unwrap();
        let address = server.address();
        let mut stream = connect(&server);
        let (path, headers) = door(Dialect::Chat);
        send(&mut stream, "POST", path, &headers, question().to_string().as_bytes());
        stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let mut got = Vec::new();
        let error = stream.read_to_end(&mut got).unwrap_err();
        assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
        assert!(got.len() >= wanted, "{place:?}: {} bytes", got.len());
        let ((), took) = timed(|| drop(server));
        assert!(took < Duration::from_secs(2), "{took:?}");
        let mut rest = Vec::new();
        let over = stream.read_to_end(&mut rest);
        assert!(over.is_ok() || over.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}

#[test]
fn other_bodies_come_as_they_are() {
    let page = asked(Turn::raw(502, "text/html", b"<h1>502 Bad Gateway</h1>"));
    assert_eq!(
        (page.status, page.header("content-type"), page.text().as_str()),
        (502, Some("text/html"), "<h1>502 Bad Gateway</h1>")
    );
    let nonsense = asked(Turn::raw(200, "application/json", b"{\"choices\": [{]}\xff"));
    assert_eq!(nonsense.body, b"{\"choices\": [{]}\xff");
    let transport =
        Transport { headers: vec![("x-should-retry".to_owned(), "false".to_owned())], ..Transport::default() };
    assert_eq!(asked(Turn::failure(500, "x").transport(transport)).header("x-should-retry"), Some("false"));
}

#[test]
fn a_hundred_megabytes_are_not_held_in_memory() {
    let mut turn = Turn::raw(200, "text/event-stream", &[b'x'; 1 << 20]);
    let Outcome::Raw(raw) = &mut turn.outcome else { unreachable!() };
    raw.times = 100;
    let server = Server::start(Script::new().turn(turn)).unwrap();
    let mut stream = connect(&server);
    let (path, headers) = door(Dialect::Chat);
    send(&mut stream, "POST", path, &headers, question().to_string().as_bytes());
    let (mut buffer, mut total) = (vec![0; 1 << 16], 0_usize);
    while total < 100 << 20 {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            len => total += len,
        }
    }
    assert!(total >= 100 << 20);
    // A text can be as long in its format.
    let long = Turn::reply(vec![Item::Text { pieces: vec!["0123456789".to_owned()], times: 5_000 }]);
    assert_eq!(said(&asked(long)).len(), 50_000);
}

#[test]
fn framing_does_not_change_the_meaning() {
    let framed = |framing| asked(pieces().transport(Transport { framing, ..Transport::default() }));
    let crlf = framed(Framing { line_end: LineEnd::CrLf, ..Framing::default() });
    assert_eq!(crlf.text().matches("\r\n").count(), crlf.text().matches('\n').count());
    let comments = framed(Framing { comments: Comments::Everywhere, ..Framing::default() });
    assert!(comments.text().starts_with(": keep-alive\n\n"));
    let two = framed(Framing { data: DataLines::Two, ..Framing::default() });
    assert!(two.text().starts_with("data: {\ndata:\""));
    let open = framed(Framing { last: LastLine::Open, ..Framing::default() });
    assert!(open.text().ends_with("data: [DONE]"));
    for response in [crlf, comments, two, open] {
        assert_eq!(said(&response), "Zeit 🕘 in Oslo");
    }
}

#[test]
fn connections_are_kept() {
    let server = Server::start(Script::new().turn(Turn::text("x").always())).unwrap();
    let mut stream = connect(&server);
    let (path, headers) = door(Dialect::Chat);
    let body = question().to_string();
    for _ in 0..5 {
        send(&mut stream, "POST", path, &headers, body.as_bytes());
        assert!(receive(&mut stream).whole);
    }
    assert_eq!(server.connections(), 1);
    // The client may ask to close, and to be asked for the body.
    let mut closing = headers.clone();
    closing.push(("connection", "close"));
    closing.push(("expect", "100-continue"));
    stream.write_all(head_of("POST", path, &closing, body.as_bytes()).as_bytes()).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).unwrap();
    assert!(receive(&mut stream).whole);
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    let mut other = connect(&server);
    other.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").unwrap();
    assert_eq!(receive(&mut other).status, 400);
    assert_eq!(server.connections(), 2);
}

#[test]
fn hundreds_wait_at_once() {
    const COUNT: usize = 400;
    let transport = Transport { head_delay_ms: 400, ..Transport::default() };
    let server = Server::start(Script::new().turn(Turn::text("x").always().transport(transport))).unwrap();
    let (path, headers) = door(Dialect::Chat);
    let body = question().to_string();
    let (answers, took) = timed(|| {
        let mut streams: Vec<TcpStream> = (0..COUNT).map(|_| connect(&server)).collect();
        for stream in &mut streams {
            send(stream, "POST", path, &headers, body.as_bytes());
        }
        streams.iter_mut().map(receive).filter(|response| response.whole).count()
    });
    assert_eq!(answers, COUNT);
    assert!(took < Duration::from_millis(400 * 10), "they wait together: {took:?}");
}

#[test]
fn unchecked_servers_answer_and_remember_nothing() {
    let when = When { contains: Some("\"role\":\"tool\"".to_owned()), ..When::default() };
    let script =
        Script::new().turn(Turn::text("done").when(when).always()).turn(Turn::call("clock", "{}").always()).unchecked();
    let server = Server::start(script).unwrap();
    let mut stream = connect(&server);
    let (path, _) = door(Dialect::Chat);
    let mut ask = |body: &str| {
        send(&mut stream, "POST", path, &[], body.as_bytes());
        let response = receive(&mut stream);
        meaning(Dialect::Chat, response.header("content-type").unwrap(), &response.body)
    };
    for _ in 0..3 {
        assert_eq!(ask("{\"stream\":true}").calls.len(), 1);
        assert_eq!(ask("{\"stream\":true,\"messages\":[{\"role\":\"tool\"}]}").text, "done");
        assert_eq!(ask("{\"messages\":[{\"role\":\"tool\"}]}").text, "done");
    }
    assert!(server.requests().is_empty());
    // A delay is kept although the answer is ready.
    let transport = Transport { head_delay_ms: 60, ..Transport::default() };
    let server =
        Server::start(Script::new().turn(Turn::text("late").always().transport(transport)).unchecked()).unwrap();
    for _ in 0..2 {
        let (response, took) = timed(|| ask_plain(&server));
        assert_eq!(said(&response), "late");
        assert!(took >= Duration::from_millis(60), "{took:?}");
    }
}

fn ask_plain(server: &Server) -> Response {
    ask(server, Dialect::Chat, &question())
}

/// S5.
#[test]
fn the_memory_of_requests_is_bounded() {
    let server = Server::start(Script::new()).unwrap();
    let mut stream = connect(&server);
    for _ in 0..10_050 {
        send(&mut stream, "GET", "/api/version", &[], b"");
        assert_eq!(receive(&mut stream).status, 200);
    }
    assert_eq!(server.requests().len(), 10_000);
}
