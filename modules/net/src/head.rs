//! The heads of HTTP/1.1 messages: written for a request, read for an answer.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::chunks::Chunks;
use crate::fault::Fault;
use crate::request::Request;

/// Largest head of an answer, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most header lines of an answer.
const HEADERS_MAX: usize = 128;

/// The head of an answer.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
}

/// Where the body of an answer ends (RFC 9112 section 6.3).
#[derive(Debug)]
pub(crate) enum Framing {
    /// Here: nothing more comes.
    Over,
    /// After this many bytes.
    Length(u64),
    /// Where the last chunk ends.
    Chunked(Chunks),
    /// Where the connection ends.
    UntilClose,
}

/// Whether the connection may serve another request after this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
}

/// The head of a request. `target` is its origin form or, for a proxy, its absolute form; the credentials are for that
/// proxy.
pub(crate) fn write(request: &Request, target: &str, proxy_authorization: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + target.len());
    let mut push = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    let authority = request.url.authority();
    push(&[request.method.as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\nhost: ", authority.as_bytes()]);
    for (name, value) in &request.headers {
        push(&[b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()]);
    }
    if let Some(value) = proxy_authorization {
        push(&[b"\r\nproxy-authorization: ", value.as_bytes()]);
    }
    let says_length = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
    if says_length || !request.body.is_empty() {
        push(&[b"\r\ncontent-length: ", request.body.len().to_string().as_bytes()]);
    }
    push(&[b"\r\n\r\n"]);
    out
}

/// Whether `bytes` may be the beginning of an answer, as far as they go. Empty lines in front are forgiven.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    const VERSION: &[u8] = b"HTTP/1.";
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let begun = &bytes[start..];
    let common = begun.len().min(VERSION.len());
    begun[..common] == VERSION[..common]
}

/// Where an empty line ends that begins at or after `from`, if there is one. Lines may end in a bare line feed
/// (RFC 9112 section 2.2).
pub(crate) fn empty_line(bytes: &[u8], from: usize) -> Option<usize> {
    let window = bytes.get(from..)?;
    let at = window.iter().enumerate().find(|(at, byte)| {
        **byte == b'\n' && (window[at + 1..].starts_with(b"\n") || window[at + 1..].starts_with(b"\r\n"))
    });
    at.map(|(at, _)| from + at + 1)
}

/// An answer's head, what it says about the body and the connection, and its length in bytes. `None` while it is not whole.
pub(crate) fn read(bytes: &Bytes, method: &Method) -> Result<Option<(Head, Framing, After, usize)>, Fault> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut lines);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Fault::Protocol(format!("in its head: {error}").into())),
    };
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Fault::Protocol("a head without a status".into()));
    };
    // Three digits may still be none of the five classes (RFC 9110 section 15).
    if status < 100 {
        return Err(Fault::Protocol("a status below 100".into()));
    }
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Fault::Protocol("a header that is none".into()));
        };
        headers.append(name, value);
    }
    let framing = framing(status, version, &headers, method)?;
    let after = after(version, &headers, &framing);
    Ok(Some((Head { status, headers }, framing, after, length)))
}

fn framing(status: u16, version: u8, headers: &HeaderMap, method: &Method) -> Result<Framing, Fault> {
    let refuse = |found: &str| Err(Fault::Protocol(found.into()));
    if *method == Method::HEAD || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Over);
    }
    let mut codings = tokens(headers, &header::TRANSFER_ENCODING);
    if let Some(first) = codings.next() {
        // Nothing but chunked was asked for, and HTTP/1.0 has no codings (RFC 9112 section 6.1).
        if version == 0 || !first.eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
            return refuse("a transfer coding that nobody asked for");
        }
        return Ok(Framing::Chunked(Chunks::new()));
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return refuse("an empty transfer coding");
    }
    let mut length = None;
    for word in tokens(headers, &header::CONTENT_LENGTH) {
        let digits = std::str::from_utf8(word).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match (digits.and_then(|digits| digits.parse::<u64>().ok()), length) {
            (Some(number), None) => length = Some(number),
            (Some(number), Some(before)) if number == before => {}
            _ => return refuse("a content-length that is no number, or two that differ"),
        }
    }
    match length {
        Some(0) => Ok(Framing::Over),
        Some(bytes) => Ok(Framing::Length(bytes)),
        None if headers.contains_key(header::CONTENT_LENGTH) => refuse("an empty content-length"),
        None => Ok(Framing::UntilClose),
    }
}

/// RFC 9112 section 9.3.
fn after(version: u8, headers: &HeaderMap, framing: &Framing) -> After {
    let says = |word: &[u8]| tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case(word));
    // Both a coding and a length: somebody on the way may see another end than we do (RFC 9112 section 6.1).
    let doubtful = matches!(framing, Framing::Chunked(_)) && headers.contains_key(header::CONTENT_LENGTH);
    let persistent = if version == 0 { says(b"keep-alive") } else { !says(b"close") };
    if persistent && !doubtful && !matches!(framing, Framing::UntilClose) { After::Keep } else { After::Close }
}

/// The members of a comma-separated header, empty ones left out.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    lines.flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(method: &Method, head: &str) -> String {
        let bytes = Bytes::copy_from_slice(head.replace('|', "\r\n").as_bytes());
        match read(&bytes, method) {
            Ok(None) => "partial".to_owned(),
            Ok(Some((head, framing, after, length))) => {
                assert_eq!(length, bytes.len());
                let framing = match framing {
                    Framing::Chunked(_) => "chunked".to_owned(),
                    other => format!("{other:?}"),
                };
                format!("{} {framing} {after:?}", head.status)
            }
            Err(Fault::Protocol(found)) => format!("! {found}"),
            Err(_) => "another fault".to_owned(),
        }
    }

    #[test]
    fn where_bodies_end() {
        for (method, head, want) in [
            (Method::GET, "HTTP/1.1 200 OK|content-length: 5||", "200 Length(5) Keep"),
            (Method::GET, "HTTP/1.1 200 OK|content-length: 5, 5|Content-Length: 5||", "200 Length(5) Keep"),
            (Method::GET, "HTTP/1.1 200 OK|content-length: 0||", "200 Over Keep"),
            (Method::GET, "HTTP/1.1 200 OK||", "200 UntilClose Close"),
            (Method::GET, "HTTP/1.1 200 OK|Transfer-Encoding: Chunked||", "200 chunked Keep"),
            (Method::GET, "HTTP/1.1 200 OK|transfer-encoding: chunked|content-length: 5||", "200 chunked Close"),
            (Method::GET, "HTTP/1.1 200 OK|connection: x, CLOSE|content-length: 5||", "200 Length(5) Close"),
            (Method::GET, "HTTP/1.0 200 OK|content-length: 5||", "200 Length(5) Close"),
            (Method::GET, "HTTP/1.0 200 OK|connection: keep-alive|content-length: 5||", "200 Length(5) Keep"),
            (Method::HEAD, "HTTP/1.1 200 OK|content-length: 5||", "200 Over Keep"),
            (Method::HEAD, "HTTP/1.1 200 OK|transfer-encoding: chunked||", "200 Over Keep"),
            (Method::GET, "HTTP/1.1 204 No Content||", "204 Over Keep"),
            (Method::GET, "HTTP/1.1 304 Not Modified|content-length: 5||", "304 Over Keep"),
            (Method::GET, "HTTP/1.1 200||", "200 UntilClose Close"),
            (Method::GET, "HTTP/1.1 200 OK|content-length: 5|", "partial"),
            (Method::GET, "HTTP/1.1 2", "partial"),
        ] {
            assert_eq!(verdict(&method, head), want, "{head}");
        }
    }

    #[test]
    fn doubtful_heads_are_refused() {
        for head in [
            "HTTP/1.1 200 OK|content-length: 5|content-length: 6||",
            "HTTP/1.1 200 OK|content-length: +5||",
            "HTTP/1.1 200 OK|content-length: 5x||",
            "HTTP/1.1 200 OK|content-length: ||",
            "HTTP/1.1 200 OK|content-length: 99999999999999999999||",
            "HTTP/1.1 200 OK|transfer-encoding: gzip, chunked||",
            "HTTP/1.1 200 OK|transfer-encoding: chunked, chunked||",
            "HTTP/1.1 200 OK|transfer-encoding: identity||",
            "HTTP/1.1 200 OK|transfer-encoding: ||",
            "HTTP/1.0 200 OK|transfer-encoding: chunked||",
            "HTTP/1.1 200 OK|x y: z||",
            "HTTP/1.1 200 OK|x: y| folded||",
            "HTTP/1.1 200 OK|x: \u{1}||",
            "HTTP/1.1 2x0 OK||",
            "HTTP/1.1 099 OK||",
            "HTTP/2.0 200 OK||",
        ] {
            assert!(verdict(&Method::GET, head).starts_with("! "), "{head}: {}", verdict(&Method::GET, head));
        }
        let many = format!("HTTP/1.1 200 OK|{}|", "x: y|".repeat(HEADERS_MAX + 1));
        assert!(verdict(&Method::GET, &many).starts_with("! "));
    }

    #[test]
    fn beginnings_and_empty_lines() {
        for (bytes, want) in
            [("", true), ("H", true), ("HTTP/1.", true), ("\r\nHTTP/1.1 2", true), ("HTTP/2", false), ("SSH-", false)]
        {
            assert_eq!(may_begin(bytes.as_bytes()), want, "{bytes:?}");
        }
        for (bytes, from, want) in [
            ("a\r\n\r\n", 0, Some(3)),
            ("a\n\n", 0, Some(2)),
            ("a\r\nb\r\n", 0, None),
            ("a\r\n\r", 0, None),
            ("a\r\n\r\n", 3, None),
            ("a", 9, None),
        ] {
            assert_eq!(empty_line(bytes.as_bytes(), from), want, "{bytes:?} from {from}");
        }
    }

    /// Bytes that are almost a head are read or refused, never worse.
    #[test]
    fn mutated_heads() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n";
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut bytes = whole.to_vec();
                bytes[at] = byte;
                let _verdict = read(&Bytes::from(bytes), &Method::GET);
            }
        }
    }
}
