//! How numbers, sizes, times and places in a file are put into words.

/// `2004` as `2,004`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 line`, `2,004 lines`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `line 7`, or `lines 7–9` for a range.
pub(crate) fn lines(first: u64, last: u64) -> String {
    if first == last { format!("line {}", count(first)) } else { format!("lines {}–{}", count(first), count(last)) }
}

/// A list of single lines: `line 7`, `lines 7, 9 and 12`, `lines 7, 9, 12 and 40 more`.
pub(crate) fn line_list(known: &[u64], all: u64) -> String {
    let mut out = String::from(if all == 1 { "line " } else { "lines " });
    let rest = all.saturating_sub(known.len() as u64);
    for (n, line) in known.iter().enumerate() {
        if n > 0 {
            out.push_str(if n + 1 == known.len() && rest == 0 { " and " } else { ", " });
        }
        out.push_str(&count(*line));
    }
    if rest > 0 {
        out.push_str(&format!(" and {} more", count(rest)));
    }
    out
}

/// Bytes in the largest binary unit that leaves a number of at least 1.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return counted(number, "byte", "bytes");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Milliseconds in the two largest units: `26 h 4 min`.
pub(crate) fn span(ms: u64) -> String {
    const UNITS: [(u64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    // A day and a bit is told in hours.
    let first = UNITS
        .iter()
        .position(|(size, _)| ms >= *size && (*size < UNITS[0].0 || ms >= 3 * size))
        .unwrap_or(UNITS.len() - 1);
    let (size, name) = UNITS[first];
    let head = format!("{} {name}", count(ms / size));
    match UNITS.get(first + 1) {
        Some((next, name)) if ms % size >= *next && size > 1000 => format!("{head} {} {name}", ms % size / next),
        _ => head,
    }
}

/// Microseconds as people say them: `870 µs`, `12.5 ms`, `340 ms`, `1.25 s`.
pub(crate) fn micros(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{} ms", number(us as f64 / 1000.0)),
        _ => format!("{} s", number(us as f64 / 1e6)),
    }
}

/// A number with at most two decimals below 100, one below 1,000, and no needless zero.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 {
        let whole = count(size as u64);
        return if value < 0.0 { format!("-{whole}") } else { whole };
    }
    let places: usize = if size >= 1000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 0.01 {
        2
    } else {
        6
    };
    let text = format!("{value:.places$}");
    if (1000.0..1e15).contains(&size) {
        return number(value.round());
    }
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share in percent: `12 %`, `0.4 %`, `<0.1 %`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0 %".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    if part > 0 && percent < 0.1 {
        "<0.1 %".to_owned()
    } else if percent < 10.0 {
        format!("{} %", number((percent * 10.0).round() / 10.0))
    } else if percent > 99.0 && part < whole {
        ">99 %".to_owned()
    } else {
        format!("{percent:.0} %")
    }
}

/// `text` with single spaces in the place of line breaks, control characters and runs of spaces, at most `chars_max`
/// characters, `…` where it was cut.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if c == ' ' && out.ends_with(' ') {
            continue;
        }
        if length == chars_max {
            out.push('…');
            break;
        }
        length += 1;
        out.push(c);
    }
    out
}

/// The first words of `text` as inline code, about 60 characters.
pub(crate) fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let clipped = clip(text, CHARS_MAX);
    match clipped.strip_suffix('…').and_then(|cut| cut.rfind(' ')).filter(|at| *at > 20) {
        Some(at) => code(&format!("{} …", &clipped[..at]), CHARS_MAX + 2),
        None => code(&clipped, CHARS_MAX + 1),
    }
}

/// `text` as inline code of Markdown, clipped.
pub(crate) fn code(text: &str, chars_max: usize) -> String {
    let text = clip(text, chars_max);
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// The first bytes of `text`, at most `bytes_max`, ending between characters.
pub(crate) fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 7, 999, 1000, 1_234_567].map(count), ["0", "7", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 1_572_864].map(bytes),
            ["0 bytes", "1023 bytes".replace("1023", "1,023").as_str(), "1.0 KiB", "1.5 MiB"]
        );
        assert_eq!(
            [0, 900, 61_000, 93_840_000, 262_800_000].map(span),
            ["0 ms", "900 ms", "1 min 1 s", "26 h 4 min", "3 d 1 h"]
        );
        assert_eq!([870, 12_500, 340_000, 1_250_000].map(micros), ["870 µs", "12.5 ms", "340 ms", "1.25 s"]);
        assert_eq!(
            [3.0, -2.5, 0.126, 1234.56, 1e-5, -1234.0].map(number),
            ["3", "-2.5", "0.13", "1,235", "0.00001", "-1,234"]
        );
        assert_eq!(
            [(1, 3), (0, 5), (1, 5000), (999, 1000), (5, 5), (1, 0)].map(|(a, b)| share(a, b)),
            ["33 %", "0 %", "<0.1 %", ">99 %", "100 %", "0 %"]
        );
    }

    #[test]
    fn places_read_well() {
        assert_eq!([lines(7, 7), lines(7, 1900)], ["line 7", "lines 7–1,900"]);
        assert_eq!(
            [line_list(&[7], 1), line_list(&[7, 9], 2), line_list(&[7, 9], 42)],
            ["line 7", "lines 7 and 9", "lines 7, 9 and 40 more"]
        );
        assert_eq!([clip("a\t  bä\n", 9), clip("abc", 2), code("a`b", 9)], ["a bä", "ab…", "`` a`b ``"]);
        assert_eq!(head("aä", 2), "a");
    }
}
