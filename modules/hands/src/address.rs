//! The host of an address, read as strictly as the client reads it: what is in doubt is refused.

use aether_core::capability::Host;
use aether_core::tool::HandsError;

/// The host and port that a `http` or `https` URL names (RFC 3986, section 3.2).
///
/// # Errors
/// [`HandsError::Failed`] for another scheme, user information, or a character that has no place in a URL and
/// that two readers could read in two ways.
pub(crate) fn host(url: &str) -> Result<Host, HandsError> {
    let wrong = |why: &str| HandsError::Failed(format!("`{url}` is not an address that can be fetched: {why}"));
    if url.bytes().any(|b| b <= b' ' || b == b'\\' || b == 0x7f) {
        return Err(wrong("it holds a space, a backslash or a control character"));
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme; start it with https://"))?;
    let port = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" => 80,
        _ => return Err(wrong("only https:// and http:// are known")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || authority.contains('*') {
        return Err(wrong("a user name or a wildcard may not stand before the host"));
    }
    let has_port = match authority.rfind(']') {
        Some(end) => authority[end..].contains(':'),
        None => authority.contains(':'),
    };
    let text = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
    Host::parse(&text).map_err(|malformed| wrong(malformed.why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_the_client_connects_to() {
        let hosts = [
            ("https://Example.com/a?b#c", "example.com:443"),
            ("HTTP://example.com", "example.com:80"),
            ("https://example.com:8443?x=@y", "example.com:8443"),
            ("https://[2001:db8::1]/", "[2001:db8::1]:443"),
            ("https://[2001:db8::1]:444/", "[2001:db8::1]:444"),
        ];
        for (url, wanted) in hosts {
            assert_eq!(host(url).map(|h| h.to_string()), Ok(wanted.to_string()), "{url}");
        }
    }

    #[test]
    fn h1_an_address_with_two_readings_is_refused() {
        let refused = [
            "example.com",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://good.example@evil.example/",
            "https://good.example\\@evil.example/",
            "https://good.example\t.evil.example/",
            "https://a b/",
            "https:///path",
            "https://*.example.com/",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://[::1/",
            "https://exa\u{0}mple.com/",
        ];
        for url in refused {
            assert!(matches!(host(url), Err(HandsError::Failed(_))), "{url}");
        }
    }
}
