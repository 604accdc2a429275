//! Which proxy stands between this machine and a host, read from the customary variables.

use std::fmt;

use crate::error::NetError;
use crate::pattern::HostPatterns;
use crate::url::{Host, Scheme, Url};

/// The proxies of this machine and the hosts that need none.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    http: Option<ProxyServer>,
    https: Option<ProxyServer>,
    exceptions: HostPatterns,
    ignored: Vec<Box<str>>,
}

/// One HTTP proxy. Its credentials show up neither in `Debug` nor in errors.
#[derive(Clone)]
pub struct ProxyServer {
    url: Url,
    authorization: Option<Box<str>>,
}

impl Proxy {
    /// No proxy at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`, each in lower case first, then in upper case.
    ///
    /// `lookup` is asked for a variable by name. An empty value counts as absent. `HTTP_PROXY` in upper case is not read
    /// where `REQUEST_METHOD` is set: in a CGI program it would be a header of the visitor's request (CVE-2016-5385).
    ///
    /// # Errors
    ///
    /// [`NetError::Proxy`] naming the variable, when a value is not the address of an HTTP proxy.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, NetError> {
        let lookup = &lookup as &dyn Fn(&str) -> Option<String>;
        let everything = read_server(lookup, &["all_proxy", "ALL_PROXY"])?;
        let names: &[&str] =
            if lookup("REQUEST_METHOD").is_some() { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        let http = read_server(lookup, names)?.or_else(|| everything.clone());
        let https = read_server(lookup, &["https_proxy", "HTTPS_PROXY"])?.or(everything);
        let (exceptions, ignored) =
            first(lookup, &["no_proxy", "NO_PROXY"]).map(|(_, list)| HostPatterns::parse(&list)).unwrap_or_default();
        Ok(Self { http, https, exceptions, ignored })
    }

    /// The entries of `NO_PROXY` that were not understood and have no effect.
    #[must_use]
    pub fn ignored(&self) -> &[Box<str>] {
        &self.ignored
    }

    /// The proxy for this address, or `None` when the way is direct. This machine is always reached directly.
    #[must_use]
    pub fn server_for(&self, url: &Url) -> Option<&ProxyServer> {
        let this_machine = match url.host() {
            Host::Address(address) => address.to_canonical().is_loopback(),
            name @ Host::Name(_) => name.is_localhost(),
        };
        if this_machine || self.exceptions.cover(url.host(), url.port()) {
            return None;
        }
        match url.scheme() {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }
    }
}

impl ProxyServer {
    /// Reads `[http[s]://][user[:password]@]host[:port]`. User and password may be percent-encoded.
    ///
    /// # Errors
    ///
    /// A clause that says what was found, without repeating the value.
    pub fn parse(text: &str) -> Result<Self, Box<str>> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        if scheme.to_ascii_lowercase().starts_with("socks") {
            return Err("speaks SOCKS, which is not supported: name an http:// proxy".into());
        }
        let url = Url::parse(&[scheme, "://", host].concat())
            .map_err(|fault| Box::<str>::from(format!("is not an address: {fault}")))?;
        let authorization = credentials.map(|credentials| {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            let mut plain = percent_decoded(user);
            plain.push(b':');
            plain.extend(percent_decoded(password));
            ["Basic ", &base64(&plain)].concat().into()
        });
        Ok(Self { url, authorization })
    }

    /// Where the proxy is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The value of a `proxy-authorization` header (RFC 7617), where there are credentials.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.url, f)
    }
}

fn first(lookup: &dyn Fn(&str) -> Option<String>, names: &[&str]) -> Option<(Box<str>, String)> {
    names.iter().find_map(|name| {
        let value = lookup(name)?;
        (!value.trim().is_empty()).then(|| ((*name).into(), value))
    })
}

fn read_server(lookup: &dyn Fn(&str) -> Option<String>, names: &[&str]) -> Result<Option<ProxyServer>, NetError> {
    let Some((name, value)) = first(lookup, names) else {
        return Ok(None);
    };
    match ProxyServer::parse(&value) {
        Ok(server) => Ok(Some(server)),
        Err(found) => Err(NetError::Proxy { proxy: ["named by ", &name].concat().into(), found }),
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).and_then(|two| u8::from_str_radix(two, 16).ok());
        match escaped {
            Some(value) if byte == b'%' => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| usize::from(group.get(at).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..4 {
            if place <= group.len() {
                out.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &[(&str, &str)]) -> Result<Proxy, NetError> {
        Proxy::from_environment(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn chosen(variables: &[(&str, &str)], url: &str) -> String {
        let proxy = proxy(variables).expect("variables");
        let url = Url::parse(url).expect(url);
        proxy.server_for(&url).map_or_else(|| "direct".to_owned(), |server| server.url().host_and_port())
    }

    #[test]
    fn variables_choose_the_proxy() {
        let both: &[(&str, &str)] = &[("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2")];
        assert_eq!(chosen(both, "https://a.test/"), "s:1");
        assert_eq!(chosen(both, "http://a.test/"), "p:2");
        assert_eq!(chosen(&[], "https://a.test/"), "direct");
        assert_eq!(chosen(&[("ALL_PROXY", "x:3")], "https://a.test/"), "x:3");
        assert_eq!(chosen(&[("ALL_PROXY", "x:3")], "http://a.test/"), "x:3");
        assert_eq!(chosen(&[("ALL_PROXY", "x:3"), ("https_proxy", "y:4")], "https://a.test/"), "y:4");
        assert_eq!(chosen(&[("https_proxy", "low:1"), ("HTTPS_PROXY", "up:2")], "https://a.test/"), "low:1");
        assert_eq!(chosen(&[("https_proxy", " "), ("HTTPS_PROXY", "up:2")], "https://a.test/"), "up:2");
        assert_eq!(chosen(&[("HTTP_PROXY", "p:2")], "http://a.test/"), "p:2");
        assert_eq!(chosen(&[("HTTP_PROXY", "p:2"), ("REQUEST_METHOD", "GET")], "http://a.test/"), "direct");
        assert_eq!(chosen(&[("https_proxy", "https://s")], "https://a.test/"), "s:443");
        for local in ["https://localhost/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/"] {
            assert_eq!(chosen(&[("ALL_PROXY", "x:3")], local), "direct", "{local}");
        }
    }

    #[test]
    fn exceptions_go_direct() {
        let variables: &[(&str, &str)] =
            &[("ALL_PROXY", "x:3"), ("NO_PROXY", "corp.test, .only-below.test,10.0.0.0/8,odd.test:8443,169.254/16")];
        for (url, want) in [
            ("https://corp.test/", "direct"),
            ("https://a.corp.test/", "direct"),
            ("https://only-below.test/", "x:3"),
            ("https://a.only-below.test/", "direct"),
            ("https://10.9.8.7/", "direct"),
            ("https://odd.test/", "x:3"),
            ("https://odd.test:8443/", "direct"),
            ("https://other.test/", "x:3"),
        ] {
            assert_eq!(chosen(variables, url), want, "{url}");
        }
        assert_eq!(chosen(&[("ALL_PROXY", "x:3"), ("no_proxy", "*")], "https://a.test/"), "direct");
        let ignored = proxy(variables).expect("variables");
        assert_eq!(ignored.ignored(), [Box::from("169.254/16")]);
    }

    #[test]
    fn faults_name_the_variable_and_never_the_value() {
        for value in
            ["socks5://user:hunter2@s:1", "http://user:hunter2@a b", "gopher://user:hunter2@s", "user:hunter2@s:99999"]
        {
            let error = proxy(&[("HTTPS_PROXY", value)]).expect_err(value).to_string();
            assert!(error.starts_with("the proxy named by HTTPS_PROXY "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    /// N6: credentials go to the proxy and nowhere else.
    #[test]
    fn credentials_are_encoded_and_hidden() {
        let server = ProxyServer::parse("http://Aladdin:open%20sesame@proxy.test:3128").expect("proxy");
        assert_eq!(server.authorization(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(format!("{server:?}"), "http://proxy.test:3128/");
        let user_only = ProxyServer::parse("me@proxy.test").expect("proxy");
        assert_eq!(user_only.authorization(), Some("Basic bWU6"));
    }

    /// The test vectors of RFC 4648 section 10.
    #[test]
    fn base64_vectors() {
        let words = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let coded = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (word, want) in words.iter().zip(coded) {
            assert_eq!(base64(word.as_bytes()), want);
        }
    }
}
