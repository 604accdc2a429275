//! Arbitrary log lines in every view: no view fails, none changes between two runs, and no markup comes from outside
//! (O2, O3, O4).
#![no_main]

use aether_fuzz::Draw;
use aether_observe::{Colour, html, otlp_traces, timeline};
use libfuzzer_sys::fuzz_target;

/// Every element that the page itself writes, by the start of its tag.
const TAGS: [&str; 27] = [
    "<tr>",
    "</tr>",
    "<td class=\"",
    "</td>",
    "<div class=\"",
    "</div>",
    "<span class=\"",
    "</span>",
    "<p>",
    "</p>",
    "<code>",
    "</code>",
    "<time datetime=\"",
    "</time>",
    "<h2>",
    "</h2>",
    "<dl>",
    "</dl>",
    "<dt>",
    "</dt>",
    "<dd>",
    "</dd>",
    "<table>",
    "</table>",
    "<caption class=\"",
    "</caption>",
    "<th",
];
const ENDS: [&str; 6] = ["</th", "</tbody>", "<tbody>", "</main>", "</body>", "</html>"];

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let width = draw.within(0..300);
    let colour = draw.one_of(&[Colour::On, Colour::Off, Colour::Ascii]);
    let title = draw.text();
    let lines = draw.rest_text();
    let shown = timeline(&lines, width, colour);
    assert_eq!(shown, timeline(&lines, width, colour), "O4");
    let steers = |c: char| c.is_control() && c != '\n' && (c != '\u{1b}' || colour != Colour::On);
    assert!(!shown.contains(steers), "O2: {shown:?}");
    let page = html(&lines, &title);
    assert_eq!(page, html(&lines, &title), "O4");
    markup(&page);
    let spans = otlp_traces(&lines, &title);
    assert_eq!(spans, otlp_traces(&lines, &title), "O4");
    if !spans.is_empty() {
        assert!(std::str::from_utf8(&spans).is_ok_and(is_json) || is_message(&spans), "no OTLP");
    }
});

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Every `<` behind the head starts an element of the page, and every attribute ends where it should.
fn markup(page: &str) {
    let (head, body) = page.split_once("<main>").expect("the page has a main part");
    let title = head.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title");
    assert!(!title.contains(['<', '>', '"', '\'']), "O2: {title}");
    let body = body.strip_prefix("\n<h1>").expect("a heading");
    let (heading, mut rest) = body.split_once("</h1>").expect("it ends");
    assert_eq!(heading, title);
    rest = rest.strip_prefix('\n').unwrap_or(rest);
    while let Some(at) = rest.find(['<', '>']) {
        let tag = &rest[at..];
        let is_ours = TAGS.iter().chain(&ENDS).any(|ours| tag.starts_with(ours))
            || tag.starts_with("<thead>")
            || tag.starts_with("</thead>");
        assert!(is_ours, "O2: {}", tag.chars().take(60).collect::<String>());
        let end = tag.find('>').expect("a tag ends");
        assert!(tag[1..end].matches('"').count().is_multiple_of(2), "O2: {}", &tag[..end]);
        rest = &tag[end + 1..];
    }
}

/// Whether these are fields of a Protocol Buffers message (Encoding, "Message Structure"), and nothing else.
fn is_message(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(key) = varint(&mut rest) else { return false };
        let skipped = match key & 7 {
            0 => varint(&mut rest).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut rest),
            5 => Some(4),
            _ => None,
        };
        let Some(left) = skipped.and_then(|bytes| rest.get(usize::try_from(bytes).ok()?..)) else { return false };
        rest = left;
    }
    true
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, left) = rest.split_first()?;
        *rest = left;
        number |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
