//! Heads of HTTP/1.x messages, read without any leniency (RFC 9112 sections 2, 3, 5 and 6).
//!
//! Two readers that understand one message differently are how requests are smuggled. So whatever RFC 9112 lets a
//! recipient forgive is refused here: bare line feeds, folded lines, blanks before a colon, repeated lengths.

use std::fmt;

use crate::names::Peer;

/// Longest head, in bytes, with the empty line that ends it.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Most header lines of one head.
pub const FIELDS_MAX: usize = 128;

/// Digits of a length: more than any body has, and no overflow.
const LENGTH_DIGITS_MAX: usize = 18;

/// Why a head is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// Longer than [`HEAD_BYTES_MAX`], or more than [`FIELDS_MAX`] lines.
    TooLong,
    /// It breaks a rule; holds which.
    Malformed(&'static str),
    /// It says in two ways where its body ends, or in one that is not understood.
    Ambiguous(&'static str),
    /// It is for somebody else; holds what it names (with other characters replaced), empty for nobody.
    OtherHost(Box<str>),
    /// HTTP/2 without a TLS handshake to agree on it.
    Http2,
    /// It asks to speak another protocol on the connection, or for a tunnel.
    Upgrade,
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadFault::TooLong => {
                write!(f, "the HTTP head has more than {HEAD_BYTES_MAX} bytes or {FIELDS_MAX} lines")
            }
            HeadFault::Malformed(what) => write!(f, "the HTTP head is malformed ({what})"),
            HeadFault::Ambiguous(what) => write!(f, "the HTTP head does not say where its body ends ({what})"),
            HeadFault::OtherHost(host) if host.is_empty() => f.write_str("the HTTP request names no host"),
            HeadFault::OtherHost(host) => write!(f, "the HTTP request is for `{host}`"),
            HeadFault::Http2 => f.write_str("HTTP/2 in the clear is not carried: use HTTP/1.1, or TLS"),
            HeadFault::Upgrade => f.write_str("a change of protocol or a tunnel is not carried on plain HTTP"),
        }
    }
}

/// A header line: its name in lower case and its value without blanks around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// In lower case.
    pub name: String,
    /// Visible bytes, blanks and tabs.
    pub value: Vec<u8>,
}

/// Where the body of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// After this many bytes; 0 for no body.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// With the connection; answers only.
    UntilClose,
}

/// Which HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Ten,
    /// HTTP/1.1.
    Eleven,
}

/// Looks for the end of a head in bytes that come piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finder {
    seen: usize,
}

impl Finder {
    /// How many bytes the head at the start of `bytes` has, with its empty line; `None` while it is incomplete. Each call
    /// gets the bytes of the one before and more.
    ///
    /// # Errors
    /// [`HeadFault::TooLong`], or [`HeadFault::Malformed`] for a carriage return or a line feed on its own.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
        while let Some(byte) = bytes.get(self.seen) {
            if self.seen >= HEAD_BYTES_MAX {
                return Err(HeadFault::TooLong);
            }
            let before = self.seen.checked_sub(1).map(|at| bytes[at]);
            if (*byte == b'\n') != (before == Some(b'\r')) {
                return Err(HeadFault::Malformed("a line that does not end in CRLF"));
            }
            self.seen += 1;
            if bytes[..self.seen].ends_with(b"\r\n\r\n") {
                return Ok(Some(self.seen));
            }
        }
        Ok(None)
    }
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, as written.
    pub method: String,
    /// Path and query, or `*`.
    pub target: String,
    /// The version.
    pub version: Version,
    /// Every line, in order.
    pub fields: Vec<Field>,
    /// Where the body ends.
    pub body: Body,
    /// Whether another request may follow.
    pub is_persistent: bool,
}

impl RequestHead {
    /// Reads a complete head, which has to be for `peer` at `port`.
    ///
    /// # Errors
    /// A [`HeadFault`].
    pub fn read(head: &[u8], peer: &Peer, port: u16) -> Result<RequestHead, HeadFault> {
        let (line, fields) = read_lines(head)?;
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(HeadFault::Malformed("request line"));
        };
        let version = match version {
            "HTTP/1.1" => Version::Eleven,
            "HTTP/1.0" => Version::Ten,
            "HTTP/2.0" if method == "PRI" => return Err(HeadFault::Http2),
            _ => return Err(HeadFault::Malformed("version")),
        };
        if !is_token(method) {
            return Err(HeadFault::Malformed("method"));
        }
        if method == "CONNECT" || fields.iter().any(|field| field.name == "upgrade") {
            return Err(HeadFault::Upgrade);
        }
        let target = origin_form(method, target, peer, port)?;
        let mut hosts = fields.iter().filter(|field| field.name == "host");
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => check_authority(&host.value, peer, port)?,
            (None, _) => return Err(HeadFault::OtherHost("".into())),
            (Some(_), Some(_)) => return Err(HeadFault::Malformed("two Host lines")),
        }
        // A relay further on would drop what is named here, and read another message.
        if ["host", "content-length", "transfer-encoding"].iter().any(|name| has_token(&fields, "connection", name)) {
            return Err(HeadFault::Malformed("a Connection line that takes the frame away"));
        }
        let body = framing(&fields, version)?.unwrap_or(Body::Length(0));
        let is_persistent = version == Version::Eleven && !has_token(&fields, "connection", "close");
        Ok(RequestHead { method: method.to_owned(), target, version, fields, body, is_persistent })
    }

    /// Whether the client waits for a go-ahead before it sends the body (RFC 9110 section 10.1.1).
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.version == Version::Eleven && has_token(&self.fields, "expect", "100-continue")
    }
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// 100 to 999.
    pub status: u16,
    /// Every line, in order.
    pub fields: Vec<Field>,
    /// Where the body ends.
    pub body: Body,
    /// Whether the connection serves another request.
    pub is_persistent: bool,
}

impl AnswerHead {
    /// Reads a complete head of the answer to a request with this method.
    ///
    /// # Errors
    /// A [`HeadFault`].
    pub fn read(head: &[u8], method: &str) -> Result<AnswerHead, HeadFault> {
        let (line, fields) = read_lines(head)?;
        let mut words = line.splitn(3, ' ');
        let version = match words.next() {
            Some("HTTP/1.1") => Version::Eleven,
            Some("HTTP/1.0") => Version::Ten,
            _ => return Err(HeadFault::Malformed("version")),
        };
        let status = words.next().filter(|text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(status) = status.and_then(|text| text.parse().ok()).filter(|status| *status >= 100) else {
            return Err(HeadFault::Malformed("status"));
        };
        let framed = framing(&fields, version)?;
        let body = match status {
            100..=199 | 204 | 304 => Body::Length(0),
            _ if method == "HEAD" => Body::Length(0),
            _ => framed.unwrap_or(Body::UntilClose),
        };
        let is_persistent =
            version == Version::Eleven && !has_token(&fields, "connection", "close") && body != Body::UntilClose;
        Ok(AnswerHead { status, fields, body, is_persistent })
    }
}

/// Whether a line belongs to one connection only, or says where a body ends (RFC 9110 section 7.6.1): no relay passes
/// it on.
#[must_use]
pub fn is_hop(fields: &[Field], name: &str) -> bool {
    const HOP: [&str; 12] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    HOP.contains(&name) || has_token(fields, "connection", name)
}

/// Whether the comma-separated lines `name` hold `token`, in any case.
#[must_use]
pub fn has_token(fields: &[Field], name: &str, token: &str) -> bool {
    let values = fields.iter().filter(|field| field.name == name).map(|field| &field.value);
    values
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The first line and the header lines of a head that a [`Finder`] found.
fn read_lines(head: &[u8]) -> Result<(&str, Vec<Field>), HeadFault> {
    let text = head.strip_suffix(b"\r\n\r\n").ok_or(HeadFault::Malformed("no end"))?;
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let is_plain = first.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let first = std::str::from_utf8(first).ok().filter(|_| is_plain).ok_or(HeadFault::Malformed("first line"))?;
    let mut fields = Vec::new();
    for line in lines {
        if fields.len() == FIELDS_MAX {
            return Err(HeadFault::TooLong);
        }
        fields.push(read_field(line)?);
    }
    Ok((first, fields))
}

fn read_field(line: &[u8]) -> Result<Field, HeadFault> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(HeadFault::Malformed("a folded line"));
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadFault::Malformed("a line without a colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_token(name)) else {
        return Err(HeadFault::Malformed("header name"));
    };
    if value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        return Err(HeadFault::Malformed("header value"));
    }
    Ok(Field { name: name.to_ascii_lowercase(), value: value.to_vec() })
}

/// A token of RFC 9110 section 5.6.2.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The target without scheme and host, which have to be the peer's (RFC 9112 section 3.2).
fn origin_form(method: &str, target: &str, peer: &Peer, port: u16) -> Result<String, HeadFault> {
    if target.contains('#') {
        return Err(HeadFault::Malformed("a fragment in the target"));
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(target.to_owned());
    }
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    let skip = ["http://", "https://"].iter().find(|scheme| lower.starts_with(**scheme)).map(|scheme| scheme.len());
    let rest = skip.and_then(|skip| target.get(skip..)).ok_or(HeadFault::Malformed("target"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    check_authority(authority.as_bytes(), peer, port)?;
    Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

fn check_authority(text: &[u8], peer: &Peer, port: u16) -> Result<(), HeadFault> {
    const SHOWN_MAX: usize = 80;
    if std::str::from_utf8(text).is_ok_and(|text| peer.is_authority(text, port)) {
        return Ok(());
    }
    let shown = text.iter().take(SHOWN_MAX).map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' });
    Err(HeadFault::OtherHost(shown.collect::<String>().into()))
}

/// What the lines say about the end of the body (RFC 9112 section 6.3); `None` where they say nothing.
fn framing(fields: &[Field], version: Version) -> Result<Option<Body>, HeadFault> {
    let mut codings = fields.iter().filter(|field| field.name == "transfer-encoding");
    let mut lengths = fields.iter().filter(|field| field.name == "content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(HeadFault::Ambiguous("both Content-Length and Transfer-Encoding")),
        (Some(coding), None) => {
            let is_chunked = coding.value.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            if is_chunked && version == Version::Eleven {
                Ok(Some(Body::Chunked))
            } else {
                Err(HeadFault::Ambiguous("Transfer-Encoding other than chunked"))
            }
        }
        (None, Some(length)) => {
            let digits = &length.value;
            let is_number = (1..=LENGTH_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            if !is_number || lengths.next().is_some() {
                return Err(HeadFault::Ambiguous("Content-Length"));
            }
            Ok(Some(Body::Length(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Name;

    fn peer() -> Peer {
        Peer::Name(Name::parse("a.com").expect("name"))
    }

    fn request(head: &str) -> Result<RequestHead, HeadFault> {
        match Finder::default().find(head.as_bytes())? {
            Some(end) => RequestHead::read(&head.as_bytes()[..end], &peer(), 80),
            None => panic!("incomplete: {head:?}"),
        }
    }

    #[test]
    fn requests() {
        let head = request("POST /x?y HTTP/1.1\r\nHost: A.com:80\r\nContent-Length: 12\r\nX:\t v \r\n\r\nmore")
            .expect("request");
        assert_eq!(
            (&*head.method, &*head.target, head.body, head.is_persistent),
            ("POST", "/x?y", Body::Length(12), true)
        );
        assert_eq!(head.fields[2], Field { name: "x".into(), value: b"v".to_vec() });
        let head =
            request("GET http://a.com?q HTTP/1.1\r\nhost: a.com\r\nConnection: x, Close\r\n\r\n").expect("request");
        assert_eq!((&*head.target, head.body, head.is_persistent), ("/?q", Body::Length(0), false));
        assert!(is_hop(&head.fields, "x") && !is_hop(&head.fields, "y") && is_hop(&head.fields, "te"));
        let head =
            request("PUT / HTTP/1.1\r\nhost: a.com\r\ntransfer-encoding: Chunked\r\nexpect: 100-Continue\r\n\r\n")
                .expect("request");
        assert_eq!((head.body, head.is_waiting()), (Body::Chunked, true));
        assert!(request("OPTIONS * HTTP/1.1\r\nhost: a.com\r\n\r\n").is_ok());
        assert!(!request("GET / HTTP/1.0\r\nhost: a.com\r\n\r\n").expect("request").is_persistent);
    }

    /// E5: for another host, for two hosts, for none.
    #[test]
    fn requests_for_somebody_else() {
        let other = |head: &str| match request(head) {
            Err(HeadFault::OtherHost(host)) => host.into_string(),
            found => panic!("{head:?}: {found:?}"),
        };
        assert_eq!(other("GET / HTTP/1.1\r\nhost: b.com\r\n\r\n"), "b.com");
        assert_eq!(other("GET / HTTP/1.1\r\nhost: a.com:8080\r\n\r\n"), "a.com:8080");
        assert_eq!(other("GET / HTTP/1.1\r\nhost: a.com.evil.com\r\n\r\n"), "a.com.evil.com");
        assert_eq!(other("GET http://b.com/ HTTP/1.1\r\nhost: a.com\r\n\r\n"), "b.com");
        assert_eq!(other("GET http://a.com@b.com/ HTTP/1.1\r\nhost: a.com\r\n\r\n"), "a.com@b.com");
        assert_eq!(other("GET http://a.com/ HTTP/1.1\r\nhost: b.com\r\n\r\n"), "b.com");
        assert_eq!(other("GET / HTTP/1.1\r\nhost: a.com, b.com\r\n\r\n"), "a.com,?b.com");
        assert_eq!(other("GET / HTTP/1.1\r\nx: y\r\n\r\n"), "");
        assert_eq!(other("GET / HTTP/1.1\r\nhost:\r\n\r\n"), "");
        assert_eq!(other("GET / HTTP/1.0\r\n\r\n"), "");
        let two = request("GET / HTTP/1.1\r\nhost: a.com\r\nHOST: a.com\r\n\r\n");
        assert_eq!(two, Err(HeadFault::Malformed("two Host lines")));
    }

    /// E5: nothing that two readers could understand differently.
    #[test]
    fn requests_that_smuggle() {
        for lines in [
            "content-length: 1\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 1",
            "content-length: 1\r\ncontent-length: 1",
            "content-length: 1, 1",
            "content-length: +1",
            "content-length: -1",
            "content-length: 0x1",
            "content-length: ",
            "content-length: 1 1",
            "content-length: 9999999999999999999",
            "transfer-encoding: identity",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: xchunked",
            "transfer-encoding: \"chunked\"",
        ] {
            let found = request(&format!("POST / HTTP/1.1\r\nhost: a.com\r\n{lines}\r\n\r\n"));
            assert!(matches!(found, Err(HeadFault::Ambiguous(_))), "{lines}: {found:?}");
        }
        for head in [
            "POST / HTTP/1.1\r\nhost: a.com\r\n folded: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\n\tfolded\r\n\r\n",
            "POST / HTTP/1.1\r\nhost : a.com\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\ntransfer-encoding : chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\nno colon\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\ncontent-length: 5\r\nconnection: x, Content-Length\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\nconnection: host\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\n: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\nx: \0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a.com\r\nx\u{e9}: y\r\n\r\n",
            "POST  / HTTP/1.1\r\nhost: a.com\r\n\r\n",
            "POST / HTTP/1.1 \r\nhost: a.com\r\n\r\n",
            "POST /\tHTTP/1.1\r\nhost: a.com\r\n\r\n",
            "POST / HTTP/1.2\r\nhost: a.com\r\n\r\n",
            "POST /\r\nhost: a.com\r\n\r\n",
            "\r\n\r\n",
            "POST x HTTP/1.1\r\nhost: a.com\r\n\r\n",
            "POST * HTTP/1.1\r\nhost: a.com\r\n\r\n",
            "POST ftp://a.com/ HTTP/1.1\r\nhost: a.com\r\n\r\n",
            "POST /#x HTTP/1.1\r\nhost: a.com\r\n\r\n",
            "PO(ST / HTTP/1.1\r\nhost: a.com\r\n\r\n",
        ] {
            let found = request(head);
            assert!(matches!(found, Err(HeadFault::Malformed(_))), "{head:?}: {found:?}");
        }
        for bare in [
            "GET / HTTP/1.1\nhost: a.com\n\n",
            "GET / HTTP/1.1\r\nhost: a.com\rx: y\r\n\r\n",
            "\nGET",
            "GET / HTTP/1.1\r\r\n",
        ] {
            assert_eq!(
                Finder::default().find(bare.as_bytes()),
                Err(HeadFault::Malformed("a line that does not end in CRLF"))
            );
        }
        assert_eq!(request("PRI * HTTP/2.0\r\n\r\n"), Err(HeadFault::Http2));
        assert_eq!(request("CONNECT a.com:80 HTTP/1.1\r\nhost: a.com\r\n\r\n"), Err(HeadFault::Upgrade));
        assert_eq!(request("GET / HTTP/1.1\r\nhost: a.com\r\nupgrade: h2c\r\n\r\n"), Err(HeadFault::Upgrade));
    }

    #[test]
    fn heads_are_found_in_pieces_and_bounded() {
        let head = b"GET / HTTP/1.1\r\nhost: a.com\r\n\r\n";
        let mut finder = Finder::default();
        for end in 0..head.len() {
            assert_eq!(finder.find(&head[..end]), Ok(None));
        }
        assert_eq!(finder.find(head), Ok(Some(head.len())));
        let long = vec![b'x'; HEAD_BYTES_MAX + 1];
        assert_eq!(Finder::default().find(&long[..HEAD_BYTES_MAX]), Ok(None));
        assert_eq!(Finder::default().find(&long), Err(HeadFault::TooLong));
        let many = format!("GET / HTTP/1.1\r\nhost: a.com\r\n{}\r\n", "x: y\r\n".repeat(FIELDS_MAX));
        assert_eq!(request(&many), Err(HeadFault::TooLong));
    }

    #[test]
    fn answers() {
        let answer = |head: &str, method: &str| AnswerHead::read(head.as_bytes(), method);
        let head = answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "GET").expect("answer");
        assert_eq!((head.status, head.body, head.is_persistent), (200, Body::Length(5), true));
        for (head, method, body) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "HEAD", Body::Length(0)),
            ("HTTP/1.1 304\r\ncontent-length: 5\r\n\r\n", "GET", Body::Length(0)),
            ("HTTP/1.1 204 \r\ntransfer-encoding: chunked\r\n\r\n", "GET", Body::Length(0)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "GET", Body::Chunked),
            ("HTTP/1.1 200 OK\r\n\r\n", "GET", Body::UntilClose),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", "GET", Body::Length(1)),
        ] {
            let found = answer(head, method).expect(head);
            assert_eq!(found.body, body, "{head}");
            assert_eq!(found.is_persistent, head.starts_with("HTTP/1.1") && body != Body::UntilClose, "{head}");
        }
        for head in [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 99 x\r\n\r\n",
            "HTTP/1.1 20 x\r\n\r\n",
            "HTTP/1.1 +20 x\r\n\r\n",
            "HTTP/1.1\r\n\r\n",
        ] {
            assert!(answer(head, "GET").is_err(), "{head}");
        }
        let both = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(matches!(answer(both, "GET"), Err(HeadFault::Ambiguous(_))));
    }
}
