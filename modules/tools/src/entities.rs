//! HTML character references: numeric ones, and the named ones that pages use.

use crate::charset::WINDOWS_1252;

/// The named references that are known (HTML Living Standard, section 13.5), sorted by name.
const NAMED: [(&str, &str); 97] = [
    ("AMP", "&"),
    ("Aacute", "Á"),
    ("Aring", "Å"),
    ("Auml", "Ä"),
    ("Ccedil", "Ç"),
    ("Eacute", "É"),
    ("GT", ">"),
    ("LT", "<"),
    ("Oslash", "Ø"),
    ("Ouml", "Ö"),
    ("QUOT", "\""),
    ("Uuml", "Ü"),
    ("aacute", "á"),
    ("acirc", "â"),
    ("acute", "´"),
    ("aelig", "æ"),
    ("agrave", "à"),
    ("alpha", "α"),
    ("amp", "&"),
    ("apos", "'"),
    ("aring", "å"),
    ("asymp", "≈"),
    ("atilde", "ã"),
    ("auml", "ä"),
    ("bdquo", "„"),
    ("beta", "β"),
    ("bull", "•"),
    ("ccedil", "ç"),
    ("cent", "¢"),
    ("copy", "©"),
    ("darr", "↓"),
    ("deg", "°"),
    ("delta", "δ"),
    ("divide", "÷"),
    ("eacute", "é"),
    ("ecirc", "ê"),
    ("egrave", "è"),
    ("emsp", " "),
    ("ensp", " "),
    ("eth", "ð"),
    ("euml", "ë"),
    ("euro", "€"),
    ("frac12", "½"),
    ("frac14", "¼"),
    ("frac34", "¾"),
    ("ge", "≥"),
    ("gt", ">"),
    ("hellip", "…"),
    ("iacute", "í"),
    ("icirc", "î"),
    ("iexcl", "¡"),
    ("infin", "∞"),
    ("iquest", "¿"),
    ("iuml", "ï"),
    ("lambda", "λ"),
    ("laquo", "«"),
    ("larr", "←"),
    ("ldquo", "“"),
    ("le", "≤"),
    ("lsaquo", "‹"),
    ("lsquo", "‘"),
    ("lt", "<"),
    ("mdash", "—"),
    ("micro", "µ"),
    ("middot", "·"),
    ("minus", "−"),
    ("mu", "μ"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("ne", "≠"),
    ("ntilde", "ñ"),
    ("oacute", "ó"),
    ("ocirc", "ô"),
    ("oslash", "ø"),
    ("otilde", "õ"),
    ("ouml", "ö"),
    ("para", "¶"),
    ("pi", "π"),
    ("plusmn", "±"),
    ("pound", "£"),
    ("quot", "\""),
    ("raquo", "»"),
    ("rarr", "→"),
    ("rdquo", "”"),
    ("reg", "®"),
    ("rsaquo", "›"),
    ("rsquo", "’"),
    ("sect", "§"),
    ("shy", ""),
    ("szlig", "ß"),
    ("thinsp", " "),
    ("times", "×"),
    ("trade", "™"),
    ("uacute", "ú"),
    ("uarr", "↑"),
    ("uuml", "ü"),
    ("yen", "¥"),
];

/// The longest reference that is looked for.
const REFERENCE_BYTES_MAX: usize = 12;

/// A text with its character references replaced. What is no known reference stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end =
            after.bytes().take(REFERENCE_BYTES_MAX).take_while(|b| b.is_ascii_alphanumeric() || *b == b'#').count();
        match read(&after[..end]) {
            Some(Read::One(read)) => out.push(read),
            Some(Read::Some(read)) => out.push_str(read),
            None => {
                out.push('&');
                rest = after;
                continue;
            }
        }
        rest = after[end..].strip_prefix(';').unwrap_or(&after[end..]);
    }
    out.push_str(rest);
    out
}

enum Read {
    One(char),
    Some(&'static str),
}

fn read(name: &str) -> Option<Read> {
    let Some(number) = name.strip_prefix('#') else {
        let found = NAMED.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        return Some(Read::Some(NAMED[found].1));
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    Some(match code {
        0 => Read::One(char::REPLACEMENT_CHARACTER),
        0xa0 => Read::One(' '),
        // HTML Living Standard, section 13.2.5.80: these mean what windows-1252 says.
        0x80..=0x9f => Read::One(WINDOWS_1252[(code - 0x80) as usize]),
        code => Read::One(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(NAMED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn references_are_replaced_and_the_rest_is_left() {
        let cases = [
            ("a &amp; b &lt;c&gt; &quot;d&quot;", "a & b <c> \"d\""),
            ("caf&eacute;&nbsp;&euro;5", "café €5"),
            ("&#65;&#x42;&#X43; &#128; &#0; &#x110000;", "ABC € \u{fffd} \u{fffd}"),
            ("AT&T & co; &unknown; &", "AT&T & co; &unknown; &"),
            ("&amp;lt;", "&lt;"),
            ("&amp", "&"),
            ("&ä;", "&ä;"),
        ];
        for (text, wanted) in cases {
            assert_eq!(decoded(text), wanted, "{text}");
        }
    }
}
