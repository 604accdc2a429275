//! How a key is written: by a person, in TOML, and as a name of [`aether_core::config::Config`].
//!
//! A person and TOML quote a segment that holds a dot: `prices."openai/gpt-4.1".input_micro_usd_per_mtok`.
//! `Config` knows no quotes, so in its names a dot within a segment is `%2E`, a percent sign `%25` and an
//! asterisk, which would stand for any name, `%2A` (after RFC 3986, section 2.1).

use crate::error::EditError;

/// The name under which [`aether_core::config::Config`] knows the key with these segments.
#[must_use]
pub fn join<S: AsRef<str>>(segments: &[S]) -> String {
    let mut name = String::new();
    for (n, segment) in segments.iter().enumerate() {
        if n > 0 {
            name.push('.');
        }
        for c in segment.as_ref().chars() {
            match c {
                '.' => name.push_str("%2E"),
                '%' => name.push_str("%25"),
                '*' => name.push_str("%2A"),
                _ => name.push(c),
            }
        }
    }
    name
}

/// The segments of a name of [`aether_core::config::Config`]: the inverse of [`join`].
#[must_use]
pub fn segments(name: &str) -> Vec<String> {
    // The percent sign comes last, so that what it protects is not read twice.
    let plain = |segment: &str| segment.replace("%2E", ".").replace("%2A", "*").replace("%25", "%");
    name.split('.').map(plain).collect()
}

/// A name of [`aether_core::config::Config`] as TOML and people write it.
#[must_use]
pub fn spelled(name: &str) -> String {
    let mut out = String::new();
    for (n, segment) in segments(name).iter().enumerate() {
        if n > 0 {
            out.push('.');
        }
        push_segment(&mut out, segment);
    }
    out
}

/// Reads a key as a person types it, quotes around a segment with dots included, into the name under which
/// [`aether_core::config::Config`] knows it. Such a name is taken as it is.
///
/// Between quotes every character stands for itself.
///
/// # Errors
/// [`EditError::BadKey`] for an empty segment or an open quote.
pub fn key_name(typed: &str) -> Result<String, EditError> {
    let bad = |found| Err(EditError::BadKey { typed: typed.into(), found });
    let mut name = String::new();
    let mut rest = typed;
    loop {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let end = if let Some(quote) = quote {
            let Some(length) = rest[1..].find(quote) else { return bad("a quote that is not closed") };
            name.push_str(&join(&[&rest[1..=length]]));
            length + 2
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            name.push_str(&rest[..end]);
            end
        };
        if end == 0 || (quote.is_some() && end == 2) {
            return bad("an empty name");
        }
        rest = match rest[end..].strip_prefix('.') {
            Some(rest) => rest,
            None if end == rest.len() => return Ok(name),
            None => return bad("something other than a dot behind a quote"),
        };
        name.push('.');
    }
}

/// Appends one segment as TOML writes it: bare where it can be, else quoted (TOML 1.0, "Keys").
pub(crate) fn push_segment(out: &mut String, segment: &str) {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !segment.is_empty() && segment.chars().all(is_bare) {
        out.push_str(segment);
    } else {
        push_text(out, segment);
    }
}

/// Appends a text as TOML writes it on one line (TOML 1.0, "String", basic strings).
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04X}", c as u32)),
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_within_a_segment_survives_every_spelling() {
        let segments_given = ["prices", "openai/gpt-4.1", "100%2E", "*"];
        let name = join(&segments_given);
        assert_eq!(name, "prices.openai/gpt-4%2E1.100%252E.%2A");
        assert_eq!(segments(&name), segments_given);
        assert_eq!(spelled(&name), r#"prices."openai/gpt-4.1"."100%2E"."*""#);
        assert_eq!(key_name(&spelled(&name)).unwrap(), name);
        assert_eq!(key_name(&name).unwrap(), name);
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for typed in ["", ".", "a.", ".a", "a..b", "\"a", "a.'b", "\"a\"b", "''", "a.\"\""] {
            assert!(key_name(typed).is_err(), "{typed}");
        }
        assert_eq!(
            key_name("a..b").unwrap_err().to_string(),
            "`a..b` is not a key: found an empty name, wanted names with dots between, such as `limits.wall_ms`"
        );
    }
}
