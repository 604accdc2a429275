//! Addresses of the web: the subset of RFC 3986 that this client speaks, parsed once and then trusted.
//!
//! The subset: `http` and `https`, a host, an optional port, a path and a query. A fragment is read and dropped (it never
//! leaves the client). User information, IPv6 zones, percent signs in hosts, host names outside ASCII and the short,
//! octal and hexadecimal spellings of IPv4 addresses are refused, because parsers disagree about them. Characters that
//! RFC 3986 does not allow in a path or a query are percent-encoded as UTF-8; dot segments are removed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest address that is read, in bytes.
pub const URL_BYTES_MAX: usize = 16 * 1024;

/// Longest host name, in bytes (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// Longest label of a host name, in bytes (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// An absolute `http` or `https` address in canonical form.
///
/// Two equal values name the same resource of the same origin. The value holds no user information and no fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    host: Host,
    port: u16,
    target: Box<str>,
}

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Inside TLS.
    Https,
}

/// The machine that an address names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A lower-case ASCII name without a trailing dot.
    Name(Box<str>),
    /// An IPv4 or IPv6 literal.
    Address(IpAddr),
}

/// Why a text is not an address that this client speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// Longer than [`URL_BYTES_MAX`]; holds the length in bytes.
    TooLong(usize),
    /// A control character, at this byte.
    Control(usize),
    /// No scheme in front.
    NoScheme,
    /// A scheme other than `http` and `https`.
    Scheme(Box<str>),
    /// A user name or a password in the address.
    Credentials,
    /// No host.
    NoHost,
    /// A host that is neither a name nor an address.
    Host(Box<str>),
    /// A host name outside ASCII.
    International(Box<str>),
    /// A host that looks like an IPv4 address in a spelling other than four decimal numbers.
    Numeric(Box<str>),
    /// A port outside 1 to 65535.
    Port(Box<str>),
}

impl Url {
    /// Reads an absolute address; spaces around it are ignored.
    ///
    /// # Errors
    ///
    /// A [`UrlFault`] that says what was found.
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        let text = checked(text)?;
        let parts = Parts::split(text);
        let scheme = Scheme::parse(parts.scheme.ok_or(UrlFault::NoScheme)?)?;
        Self::assemble(scheme, &parts)
    }

    /// Resolves a reference, such as the value of a `location` header, against this address (RFC 3986 section 5.2,
    /// strict).
    ///
    /// # Errors
    ///
    /// A [`UrlFault`] when the reference leads to something other than an `http` or `https` address.
    pub fn join(&self, reference: &str) -> Result<Self, UrlFault> {
        let reference = checked(reference)?;
        let parts = Parts::split(reference);
        if let Some(scheme) = parts.scheme {
            return Self::assemble(Scheme::parse(scheme)?, &parts);
        }
        if parts.authority.is_some() {
            return Self::assemble(self.scheme, &parts);
        }
        let (base_path, base_query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*self.target, None),
        };
        let target = if parts.path.is_empty() {
            target_of(base_path, parts.query.or(base_query))
        } else if parts.path.starts_with('/') {
            target_of(parts.path, parts.query)
        } else {
            let folder = base_path.rfind('/').map_or("/", |at| &base_path[..=at]);
            target_of(&[folder, parts.path].concat(), parts.query)
        };
        Ok(Self { scheme: self.scheme, host: self.host.clone(), port: self.port, target })
    }

    /// How the bytes travel.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The machine.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, 1 to 65535; the scheme's own (80, 443) where the text had none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query as they stand in a request line (origin form, RFC 9112 section 3.2.1). Begins with `/`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and, where it is not the scheme's own, port: the value of a `host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.to_string() } else { self.host_and_port() }
    }

    /// Host and port, both always written.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn assemble(scheme: Scheme, parts: &Parts<'_>) -> Result<Self, UrlFault> {
        let authority = parts.authority.ok_or(UrlFault::NoHost)?;
        let (host, port) = parse_authority(authority)?;
        let target = target_of(parts.path, parts.query);
        Ok(Self { scheme, host, port: port.unwrap_or(scheme.port()), target })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.name())?;
        f.write_str("://")?;
        f.write_str(&self.authority())?;
        f.write_str(&self.target)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Url {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        Self::parse(text)
    }
}

impl Scheme {
    /// The scheme's name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant when none is written (RFC 9110 section 4.2).
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn parse(name: &str) -> Result<Self, UrlFault> {
        if name.eq_ignore_ascii_case("https") {
            Ok(Self::Https)
        } else if name.eq_ignore_ascii_case("http") {
            Ok(Self::Http)
        } else {
            Err(UrlFault::Scheme(name.into()))
        }
    }
}

impl Host {
    /// Reads a host as it stands in an address: a name, four decimal numbers, or IPv6 in square brackets.
    ///
    /// # Errors
    ///
    /// A [`UrlFault`] about the host.
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        let fault = || UrlFault::Host(text.into());
        if text.is_empty() {
            return Err(UrlFault::NoHost);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(fault)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| fault())?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        if !text.is_ascii() {
            return Err(UrlFault::International(text.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let labels_fit = name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= LABEL_BYTES_MAX
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        });
        if !labels_fit || name.len() > NAME_BYTES_MAX {
            return Err(fault());
        }
        if ends_in_number(&name) {
            return Err(UrlFault::Numeric(text.into()));
        }
        Ok(Self::Name(name.into()))
    }

    /// Whether this is `localhost` or a name below it: this machine, whatever a name server says (RFC 6761 section 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        match self {
            Self::Name(name) => &**name == "localhost" || name.ends_with(".localhost"),
            Self::Address(_) => false,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => fmt::Display::fmt(address, f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(f, "the address has {bytes} bytes, at most {URL_BYTES_MAX} are read: shorten it")
            }
            Self::Control(at) => write!(f, "the address has a control character at byte {at}: remove it"),
            Self::NoScheme => f.write_str("the address has no scheme: begin it with https://"),
            Self::Scheme(scheme) => {
                write!(
                    f,
                    "the address begins with the scheme `{scheme}`, only https and http are spoken: begin it with https://"
                )
            }
            Self::Credentials => f.write_str(
                "the address carries a user name or a password: take them out and send an authorization header instead",
            ),
            Self::NoHost => f.write_str("the address names no host: write it as https://host/path"),
            Self::Host(host) => write!(
                f,
                "`{host}` is neither a host name nor an address: use letters, digits, `-` and dots, or IPv6 in square brackets"
            ),
            Self::International(host) => {
                write!(f, "the host `{host}` is not ASCII: write it in its xn-- form (punycode)")
            }
            Self::Numeric(host) => {
                write!(f, "the host `{host}` is an unusual spelling of an IPv4 address: write four decimal numbers")
            }
            Self::Port(port) => write!(f, "`{port}` is not a port: use a number from 1 to 65535"),
        }
    }
}

impl std::error::Error for UrlFault {}

/// The five components of a reference, before any of them is believed (RFC 3986 appendix B). The fragment is dropped.
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Self {
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, text),
        };
        let (before, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match before.strip_prefix("//") {
            Some(after) => {
                let at = after.find('/').unwrap_or(after.len());
                (Some(&after[..at]), &after[at..])
            }
            None => (None, before),
        };
        Self { scheme, authority, path, query }
    }
}

fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn checked(text: &str) -> Result<&str, UrlFault> {
    if text.len() > URL_BYTES_MAX {
        return Err(UrlFault::TooLong(text.len()));
    }
    match text.bytes().position(|byte| byte.is_ascii_control()) {
        Some(at) => Err(UrlFault::Control(at)),
        None => Ok(text.trim_matches(' ')),
    }
}

/// Splits `host[:port]`. An empty port is no port (RFC 3986 section 3.2.3).
pub(crate) fn parse_authority(text: &str) -> Result<(Host, Option<u16>), UrlFault> {
    if text.contains('@') {
        return Err(UrlFault::Credentials);
    }
    // The colons inside square brackets are the address's own.
    let inside = if text.starts_with('[') { text.find(']').unwrap_or(text.len()) } else { 0 };
    let split = match text.rfind(':') {
        Some(at) if at >= inside => Some((&text[..at], &text[at + 1..])),
        _ => None,
    };
    let Some((host, port)) = split else {
        return Ok((Host::parse(text)?, None));
    };
    let host = Host::parse(host)?;
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits_only = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if number > 0 && digits_only => Ok((host, Some(number))),
        _ => Err(UrlFault::Port(port.into())),
    }
}

/// Whether some resolver would read this name as an IPv4 address (the "ends in a number" rule of the WHATWG URL
/// standard, section 3.5).
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}

fn target_of(path: &str, query: Option<&str>) -> Box<str> {
    let mut target = String::with_capacity(path.len() + query.map_or(0, str::len) + 2);
    encode_into(&mut target, &without_dot_segments(path), |byte| matches!(byte, b':' | b'@' | b'/'));
    if let Some(query) = query {
        target.push('?');
        encode_into(&mut target, query, |byte| matches!(byte, b':' | b'@' | b'/' | b'?'));
    }
    target.into()
}

/// RFC 3986 section 5.2.4, on whole segments. The result begins with `/`.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    for segment in kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

/// Copies `text`, percent-encoding every byte that is neither unreserved, nor a sub-delimiter, nor in `also`
/// (RFC 3986 sections 2.1 to 2.3). Complete escapes stay as they are; a lone `%` becomes `%25`.
fn encode_into(out: &mut String, text: &str, also: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = byte == b'%' && bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        if escape || plain || also(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match Url::parse(text) {
            Ok(url) => url.to_string(),
            Err(fault) => format!("! {fault}"),
        }
    }

    #[test]
    fn canonical_forms() {
        for (text, want) in [
            ("https://Example.COM", "https://example.com/"),
            ("HTTPS://example.com:443/a", "https://example.com/a"),
            ("http://example.com:80?x=1#frag", "http://example.com/?x=1"),
            ("http://example.com:8080/", "http://example.com:8080/"),
            ("https://example.com:/a", "https://example.com/a"),
            ("https://example.com./a", "https://example.com/a"),
            ("  https://example.com/a b  ", "https://example.com/a%20b"),
            ("https://example.com/%41%zz%", "https://example.com/%41%25zz%25"),
            ("https://example.com/ü?q=ü&r=[1]", "https://example.com/%C3%BC?q=%C3%BC&r=%5B1%5D"),
            ("https://example.com/a/./b/../c/..", "https://example.com/a/"),
            ("https://example.com/../../x", "https://example.com/x"),
            ("https://example.com/a//b/", "https://example.com/a//b/"),
            ("https://example.com/a\\b\"<>^`{|}", "https://example.com/a%5Cb%22%3C%3E%5E%60%7B%7C%7D"),
            ("https://example.com/?a?b/c:d@e", "https://example.com/?a?b/c:d@e"),
            ("https://[2001:DB8:0::1]:8443/", "https://[2001:db8::1]:8443/"),
            ("http://127.0.0.1:1/", "http://127.0.0.1:1/"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
            ("https://under_score.example/", "https://under_score.example/"),
        ] {
            assert_eq!(read(text), want, "{text}");
            assert_eq!(read(want), want, "canonical form is stable: {want}");
        }
    }

    #[test]
    fn refusals() {
        let faults: &[(&str, UrlFault)] = &[
            ("example.com/a", UrlFault::NoScheme),
            ("", UrlFault::NoScheme),
            ("//example.com", UrlFault::NoScheme),
            ("ftp://example.com/", UrlFault::Scheme("ftp".into())),
            ("localhost:8080/x", UrlFault::Scheme("localhost".into())),
            ("file:///etc/passwd", UrlFault::Scheme("file".into())),
            ("https:example.com", UrlFault::NoHost),
            ("https:///a", UrlFault::NoHost),
            ("https://:80/", UrlFault::NoHost),
            ("https://user:pass@example.com/", UrlFault::Credentials),
            ("https://user@example.com/", UrlFault::Credentials),
            ("https://bücher.example/", UrlFault::International("bücher.example".into())),
            ("https://exa mple.com/", UrlFault::Host("exa mple.com".into())),
            ("https://a..b/", UrlFault::Host("a..b".into())),
            ("https://%6c/", UrlFault::Host("%6c".into())),
            ("https://a\\b/", UrlFault::Host("a\\b".into())),
            ("https://[::1/", UrlFault::Host("[::1".into())),
            ("https://[fe80::1%25eth0]/", UrlFault::Host("[fe80::1%25eth0]".into())),
            ("https://::1/", UrlFault::Host(":".into())),
            ("https://127.1/", UrlFault::Numeric("127.1".into())),
            ("https://2130706433/", UrlFault::Numeric("2130706433".into())),
            ("https://0x7f.0.0.1/", UrlFault::Numeric("0x7f.0.0.1".into())),
            ("https://0177.0.0.1/", UrlFault::Numeric("0177.0.0.1".into())),
            ("https://0x7f000001/", UrlFault::Numeric("0x7f000001".into())),
            ("https://1.2.3.4.5/", UrlFault::Numeric("1.2.3.4.5".into())),
            ("https://a:0/", UrlFault::Port("0".into())),
            ("https://a:65536/", UrlFault::Port("65536".into())),
            ("https://a:+80/", UrlFault::Port("+80".into())),
            ("https://a/\nb", UrlFault::Control(10)),
        ];
        for (text, want) in faults {
            assert_eq!(Url::parse(text).as_ref().err(), Some(want), "{text}");
            let sentence = want.to_string();
            assert!(sentence.contains(": ") && !sentence.ends_with('.'), "no next step in: {sentence}");
        }
        let long = format!("https://{}/", "a".repeat(64));
        assert!(matches!(Url::parse(&long), Err(UrlFault::Host(_))));
        let endless = format!("https://a/{}", "a".repeat(URL_BYTES_MAX));
        assert!(matches!(Url::parse(&endless), Err(UrlFault::TooLong(_))));
    }

    /// The examples of RFC 3986 section 5.4, where the result is an address that this client speaks.
    #[test]
    fn references_resolve_as_in_the_rfc() {
        let base = Url::parse("http://a/b/c/d;p?q").expect("base");
        for (reference, want) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://z:1/w", "https://z:1/w"),
        ] {
            let got = base.join(reference).expect(reference);
            assert_eq!(got.to_string(), want, "{reference}");
        }
        assert_eq!(base.join("g:h"), Err(UrlFault::Scheme("g".into())));
        assert_eq!(base.join("http:g"), Err(UrlFault::NoHost));
        assert_eq!(base.join("//u:p@h/"), Err(UrlFault::Credentials));
        let odd_port = Url::parse("https://a:8443/x").expect("base");
        assert_eq!(odd_port.join("/y").expect("join").to_string(), "https://a:8443/y");
        assert_eq!(odd_port.join("//b").expect("join").to_string(), "https://b/");
    }

    #[test]
    fn localhost_and_everything_below_it() {
        for (text, want) in [
            ("http://localhost/", true),
            ("http://LOCALHOST./", true),
            ("http://a.localhost/", true),
            ("http://notlocalhost/", false),
            ("http://127.0.0.1/", false),
        ] {
            assert_eq!(Url::parse(text).expect(text).host().is_localhost(), want, "{text}");
        }
    }

    /// Whatever comes in, reading ends without a panic, and what was read reads the same again.
    #[test]
    fn random_texts_are_read_or_refused() {
        let alphabet: Vec<char> = "htps:/?#[]@.%0129afxAZ-_ \\ü\u{1F600}\t~".chars().collect();
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let base = Url::parse("https://a/b/c?d").expect("base");
        for _ in 0..20_000 {
            let mut text = String::from(if state & 1 == 0 { "http://" } else { "" });
            for _ in 0..(state >> 32) % 24 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(state >> 33).expect("fits") % alphabet.len();
                text.push(alphabet[at]);
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            for url in [Url::parse(&text), base.join(&text)].into_iter().flatten() {
                let written = url.to_string();
                assert_eq!(Url::parse(&written).as_ref(), Ok(&url), "{text:?} gave {written:?}");
                assert!(written.is_ascii() && !written.contains(' '));
            }
        }
    }
}
