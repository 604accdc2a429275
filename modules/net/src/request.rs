//! A request: what to ask, and how long, how much and where to it may go.

use std::fmt;

use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, header};

use crate::error::NetError;
use crate::url::Url;

/// Most header lines that a request may have.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// Largest value of one request header, in bytes.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// How long each wait may last and how much may come. There is no "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start to a connection that can carry the request: look-up, TCP, proxy and TLS. Milliseconds.
    pub connect_ms_max: u64,
    /// From a standing connection to the head of the answer, the upload of the body included. Milliseconds.
    pub headers_ms_max: u64,
    /// Between two pieces of the body. Milliseconds.
    pub idle_ms_max: u64,
    /// From the start to the last byte of the body. Milliseconds.
    pub total_ms_max: u64,
    /// Bytes of the body, as they come.
    pub body_bytes_max: u64,
}

impl Default for Limits {
    /// 10 s to connect, 2 min to the head, 1 min between pieces, 15 min in all, 64 MiB.
    fn default() -> Self {
        Self {
            connect_ms_max: 10_000,
            headers_ms_max: 120_000,
            idle_ms_max: 60_000,
            total_ms_max: 900_000,
            body_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Which addresses a request may go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any address. For hosts that the configuration names.
    #[default]
    Any,
    /// Only public addresses. For hosts that a model or a stranger names.
    ///
    /// The name is resolved once, every address it has must be public, and the connection goes to exactly one of those
    /// (N3). Where a proxy is configured for the host, it is the proxy that resolves the name: what it can reach is its
    /// affair, but literal addresses that are not public and names that never are public are refused here all the same.
    PublicOnly,
}

/// Whether a request may be sent a second time when a reused connection closes before the first byte of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// As HTTP defines it: GET, HEAD, PUT, DELETE, OPTIONS and TRACE may, others may not (RFC 9110 section 9.2.2).
    #[default]
    ByMethod,
    /// It may: receiving it twice does no harm.
    Harmless,
}

/// One request. `Debug` shows method and host only (N6).
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) limits: Limits,
    pub(crate) reach: Reach,
    pub(crate) repeat: Repeat,
}

impl Request {
    /// A request without headers or body, with default [`Limits`], that may go anywhere.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limits: Limits::default(),
            reach: Reach::default(),
            repeat: Repeat::default(),
        }
    }

    /// Adds one header line. The client itself writes `host`, `content-length`, `connection` and the other headers that
    /// frame a message.
    ///
    /// # Errors
    ///
    /// [`NetError::Request`] for a name or a value that HTTP does not allow, for a framing header, and above
    /// [`REQUEST_HEADERS_MAX`] or [`HEADER_BYTES_MAX`]. The value is not repeated.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, NetError> {
        let refuse = |found: &str| NetError::Request { found: found.into() };
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(refuse("a header name holds something other than letters, digits and `-`: correct the name"));
        };
        if is_framing(&name) {
            return Err(refuse(&format!("the header {name} is written by the client itself: leave it out")));
        }
        if value.len() > HEADER_BYTES_MAX || self.headers.len() >= REQUEST_HEADERS_MAX {
            return Err(refuse(&format!(
                "the header {name} is too long or one too many: at most {REQUEST_HEADERS_MAX} headers of {HEADER_BYTES_MAX} bytes"
            )));
        }
        let Some(mut value) = HeaderValue::from_str(value).ok().filter(|_| value.is_ascii()) else {
            return Err(refuse(&format!(
                "the value of the header {name} holds a line break or a character outside ASCII: remove it"
            )));
        };
        value.set_sensitive(is_secret(&name));
        self.headers.append(name, value);
        Ok(self)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where the request may go.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// Sets whether the request may be sent twice.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Where the request goes.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        self.repeat == Repeat::Harmless || self.method.is_idempotent()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.host_and_port())
    }
}

/// Headers that decide where a message ends or that belong to one connection (RFC 9110 section 7.6.1).
fn is_framing(name: &HeaderName) -> bool {
    *name == header::HOST
        || *name == header::CONTENT_LENGTH
        || *name == header::TRANSFER_ENCODING
        || *name == header::CONNECTION
        || *name == header::UPGRADE
        || *name == header::TE
        || *name == header::TRAILER
        || *name == header::EXPECT
        || *name == header::PROXY_AUTHORIZATION
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Headers that usually carry a credential: HTTP/2 must not keep them in its compression tables (RFC 7541 section 7.1.3).
fn is_secret(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION || *name == header::COOKIE || name.as_str().ends_with("-key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::new(Method::POST, Url::parse("https://example.com/secret?key=hunter2").expect("url"))
    }

    /// N6: what a header holds is in no error and no debug output.
    #[test]
    fn headers_are_checked_and_never_shown() {
        for (name, value) in
            [("x y", "hunter2"), ("x", "hunter2\r\ny: z"), ("x", "hünter2"), ("Host", "hunter2"), ("", "hunter2")]
        {
            let error = request().header(name, value).expect_err(name).to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains(": "), "no next step: {error}");
        }
        for name in ["content-length", "transfer-encoding", "connection", "te", "keep-alive", "proxy-authorization"] {
            assert!(request().header(name, "x").is_err(), "{name}");
        }
        let shown = format!("{:?}", request().header("authorization", "hunter2").expect("header").body("hunter2"));
        assert_eq!(shown, "POST example.com:443");
    }

    #[test]
    fn headers_are_bounded() {
        let mut filled = request();
        for at in 0..REQUEST_HEADERS_MAX {
            filled = filled.header(&format!("x-{at}"), "v").expect("header");
        }
        assert!(matches!(filled.header("x-last", "v"), Err(NetError::Request { .. })));
        let long = "v".repeat(HEADER_BYTES_MAX + 1);
        assert!(matches!(request().header("x", &long), Err(NetError::Request { .. })));
    }

    /// N5.
    #[test]
    fn what_may_be_sent_twice() {
        assert!(!request().is_repeatable());
        assert!(request().repeat(Repeat::Harmless).is_repeatable());
        let get = Request::new(Method::GET, request().url);
        assert!(get.is_repeatable());
    }
}
