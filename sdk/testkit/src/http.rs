//! HTTP/1.1 by hand (RFC 9112): requests are read strictly, responses are written as misshapen as a script asks.
//!
//! A library would keep us from sending half a head or a chunk without its end, and would cost 16 KiB per
//! waiting connection.

use std::fmt::Write as _;

/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The largest body of a request, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Header names in lower case, and their values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the client wants the connection closed after the answer.
    pub(crate) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// What the bytes received so far hold.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A request, and how many bytes it took.
    Complete(Request, usize),
    /// More is needed.
    Partial,
    /// More is needed, and the client waits for `100 Continue` before it sends that.
    Expecting,
}

/// Reads one request from the front of `bytes`.
///
/// # Errors
/// A sentence when the bytes are no HTTP/1.1 request, or one over the limits.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let Some(head_len) = find(bytes, b"\r\n\r\n") else {
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(format!("the head has no end within {HEAD_BYTES_MAX} bytes"));
        }
        return Ok(Parsed::Partial);
    };
    let head = std::str::from_utf8(&bytes[..head_len]).map_err(|_| "the head is not UTF-8".to_owned())?;
    let mut request = parse_head(head)?;
    let rest = &bytes[head_len + 4..];
    let chunked = request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body = if chunked {
        unchunk(rest)?
    } else {
        let len = request.header("content-length").unwrap_or("0");
        let len: usize = len.parse().map_err(|_| format!("content-length is {len}, not a number"))?;
        if len > BODY_BYTES_MAX {
            return Err(format!("the body has {len} bytes, at most {BODY_BYTES_MAX} are read"));
        }
        rest.get(..len).map(|body| (body.to_vec(), len))
    };
    match body {
        Some((body, len)) => {
            request.body = body;
            Ok(Parsed::Complete(request, head_len + 4 + len))
        }
        None if rest.is_empty() && request.header("expect").is_some() => Ok(Parsed::Expecting),
        None => Ok(Parsed::Partial),
    }
}

fn parse_head(head: &str) -> Result<Request, String> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("the request line is {first:?}, not METHOD TARGET HTTP/1.1"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Err(format!("the header line {line:?} has no colon"));
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err(format!("the header name {name:?} is not a token"));
        }
        if headers.len() == HEADERS_MAX {
            return Err(format!("more than {HEADERS_MAX} headers"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    let request = Request { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new() };
    if request.headers.iter().filter(|(name, _)| name == "host").count() != 1 {
        return Err("there must be exactly one host header".to_owned());
    }
    let lengths = request.headers.iter().filter(|(name, _)| name == "content-length").count();
    if lengths > 1 || (lengths == 1 && request.header("transfer-encoding").is_some()) {
        return Err("the body's length is given twice".to_owned());
    }
    if !request.target.starts_with('/') {
        return Err(format!("the target {:?} does not start with a slash", request.target));
    }
    Ok(request)
}

/// A chunked body and its length on the wire, or `None` while it is incomplete.
fn unchunk(mut rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let total = rest.len();
    let mut body = Vec::new();
    loop {
        let Some(line_len) = find(rest, b"\r\n") else { return Ok(None) };
        let line = std::str::from_utf8(&rest[..line_len]).unwrap_or_default();
        let size = line.split(';').next().unwrap_or_default();
        let size =
            usize::from_str_radix(size, 16).map_err(|_| format!("the chunk size {line:?} is not hexadecimal"))?;
        if size > BODY_BYTES_MAX || body.len() + size > BODY_BYTES_MAX {
            return Err(format!("the body has more than {BODY_BYTES_MAX} bytes"));
        }
        let start = line_len + 2;
        let Some(chunk) = rest.get(start..start + size) else { return Ok(None) };
        let Some(end) = rest.get(start + size..start + size + 2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err("a chunk is longer than its size".to_owned());
        }
        body.extend_from_slice(chunk);
        rest = &rest[start + size + 2..];
        if size == 0 {
            return Ok(Some((body, total - rest.len())));
        }
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// How a response's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// `content-length`.
    Bytes(u64),
    /// `transfer-encoding: chunked`.
    Chunked,
}

/// The head of a response.
pub(crate) fn head(status: u16, headers: &[(String, String)], extent: Extent) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    match extent {
        Extent::Bytes(len) => {
            let _ = write!(text, "content-length: {len}\r\n\r\n");
        }
        Extent::Chunked => text.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    text.into_bytes()
}

/// Appends one chunk of a chunked body. Empty chunks are left out: they would end the body.
pub(crate) fn push_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::{Parsed, parse};

    fn complete(text: &str) -> (super::Request, usize) {
        match parse(text.as_bytes()) {
            Ok(Parsed::Complete(request, len)) => (request, len),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_complete_only_with_its_last_byte() {
        let text = "POST /v1/messages?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nX-Y:  z \r\n\r\nbody";
        for len in 0..text.len() {
            assert!(matches!(parse(&text.as_bytes()[..len]), Ok(Parsed::Partial)), "at {len}");
        }
        let (request, len) = complete(&format!("{text}GET "));
        assert_eq!(len, text.len());
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/messages?x=1"));
        assert_eq!((request.header("x-y"), request.body.as_slice()), (Some("z"), b"body".as_slice()));
    }

    #[test]
    fn chunks_are_joined() {
        let text =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        for len in 0..text.len() {
            assert!(matches!(parse(&text.as_bytes()[..len]), Ok(Parsed::Partial)), "at {len}");
        }
        let (request, len) = complete(text);
        assert_eq!((request.body.as_slice(), len), (b"abcde".as_slice(), text.len()));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nbad header: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(&vec![b'a'; super::HEAD_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn a_client_may_wait_for_leave_to_send() {
        let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        assert!(matches!(parse(text.as_bytes()), Ok(Parsed::Expecting)));
    }
}
