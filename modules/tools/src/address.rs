//! Addresses as a model or a server writes them (RFC 3986), as far as fetching needs them.

use aether_core::capability::Host;

/// The longest address.
const ADDRESS_BYTES_MAX: usize = 8 << 10;

/// A `http` or `https` address without fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    is_secure: bool,
    /// Host and port as written, lower case.
    authority: String,
    /// Path and query; starts with `/`.
    path: String,
    host: Host,
}

impl Address {
    /// Reads an address; `example.com/x` is taken for `https://example.com/x`.
    ///
    /// # Errors
    /// A sentence: another scheme, user information, characters that no address has, no host.
    pub(crate) fn parse(text: &str) -> Result<Address, String> {
        let shown = crate::page::clipped(text, 200);
        let wrong = |why: &str| format!("`{shown}` is not an address that can be fetched: {why}");
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(wrong("it is longer than 8192 bytes"));
        }
        if text.bytes().any(|b| b <= b' ' || b == b'\\' || b == 0x7f) {
            return Err(wrong("it holds a space, a backslash or a control character; percent-encode it"));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (scheme.to_ascii_lowercase(), rest),
            _ if !text.starts_with(['/', '?', '#']) => ("https".to_owned(), text),
            _ => return Err(wrong("it has no host")),
        };
        let is_secure = match scheme.as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("only https:// and http:// are known")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') || authority.contains('*') {
            return Err(wrong("no user name and no wildcard may stand in the host"));
        }
        let after = authority.rfind(']').map_or(0, |at| at);
        let port = if authority[after..].contains(':') {
            ""
        } else if is_secure {
            ":443"
        } else {
            ":80"
        };
        let host = Host::parse(&format!("{authority}{port}")).map_err(|malformed| wrong(malformed.why))?;
        let path = if path.starts_with('/') { encoded(path) } else { format!("/{}", encoded(path)) };
        Ok(Address { is_secure, authority: authority.to_ascii_lowercase(), path, host })
    }

    /// The host and port that the connection goes to.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// What a reference found at this address means (RFC 3986, section 5.2). `None` if it leads to no web page.
    pub(crate) fn join(&self, reference: &str) -> Option<Address> {
        let reference = reference.trim();
        let scheme_end = reference.find(':').filter(|at| !reference[..*at].contains(['/', '?', '#']));
        if let Some(at) = scheme_end {
            let is_web = ["http", "https"].iter().any(|scheme| reference[..at].eq_ignore_ascii_case(scheme));
            return if is_web { Address::parse(reference).ok() } else { None };
        }
        let scheme = if self.is_secure { "https" } else { "http" };
        if let Some(rest) = reference.strip_prefix("//") {
            return Address::parse(&format!("{scheme}://{rest}")).ok();
        }
        let reference = reference.split('#').next().unwrap_or_default();
        let (base, _) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let path = if reference.is_empty() {
            self.path.clone()
        } else if reference.starts_with('/') {
            without_dots(reference)
        } else if reference.starts_with('?') {
            format!("{base}{reference}")
        } else {
            let directory = &base[..base.rfind('/').map_or(0, |at| at + 1)];
            without_dots(&format!("{directory}{reference}"))
        };
        Address::parse(&format!("{scheme}://{}{path}", self.authority)).ok()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", if self.is_secure { "https" } else { "http" }, self.authority, self.path)
    }
}

/// Letters beyond ASCII, percent-encoded as UTF-8 (RFC 3987, section 3.1); everything else as it is.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'"' | b'<' | b'>' | 0x80.. => out.push_str(&format!("%{byte:02X}")),
            byte => out.push(char::from(byte)),
        }
    }
    out
}

/// RFC 3986, section 5.2.4, on a path that may carry a query.
fn without_dots(path: &str) -> String {
    let (path, query) = match path.find('?') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    let mut parts: Vec<&str> = Vec::new();
    let mut names = path.split('/').skip(1).peekable();
    while let Some(name) = names.next() {
        match name {
            "." | ".." => {
                if name == ".." {
                    parts.pop();
                }
                if names.peek().is_none() {
                    parts.push("");
                }
            }
            name => parts.push(name),
        }
    }
    format!("/{}{query}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_told() {
        let cases = [
            ("example.com", "https://example.com/", "example.com:443"),
            ("HTTPS://Example.COM/A?b=C#d", "https://example.com/A?b=C", "example.com:443"),
            ("http://example.com:8080?x", "http://example.com:8080/?x", "example.com:8080"),
            ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x", "[2001:db8::1]:443"),
            ("https://example.com/ä?ö", "https://example.com/%C3%A4?%C3%B6", "example.com:443"),
            ("example.com:8443/x://y", "https://example.com:8443/x://y", "example.com:8443"),
        ];
        for (text, wanted, host) in cases {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.host().to_string().as_str()), (wanted, host));
            assert_eq!(Address::parse(wanted).unwrap(), address);
        }
        for text in [
            "",
            "/x",
            "ftp://x/",
            "file:///etc/passwd",
            "https://a@b/",
            "https://a b",
            "https://*.x.y/",
            "javascript:alert(1)",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    /// The examples of RFC 3986, section 5.4, as far as they are web pages.
    #[test]
    fn references_mean_what_the_standard_says() {
        let base = Address::parse("http://a/b/c/d;p?q").unwrap();
        let cases = [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("./../g", "http://a/b/g"),
            ("g/./h", "http://a/b/c/g/h"),
            ("https://x.example/y", "https://x.example/y"),
        ];
        for (reference, wanted) in cases {
            assert_eq!(base.join(reference).map(|a| a.to_string()).as_deref(), Some(wanted), "{reference}");
        }
        for reference in ["mailto:x@y", "javascript:void(0)", "data:text/plain,x", "http://a@b/"] {
            assert_eq!(base.join(reference), None, "{reference}");
        }
    }
}
