//! A trace as one HTML file that needs nothing else.

use crate::moment;
use crate::phrase::{Phrase, Tone, count, duration, offset, phrase};
use crate::totals::Totals;
use crate::trace::Trace;
use crate::tree::{Node, outline};

/// The most characters of a title.
const TITLE_CHARACTERS_MAX: usize = 200;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--paper:#fff;--line:#d0d7de;--task:#24292f;--ask:#0550ae;\
--tool:#116329;--person:#6639ba;--quiet:#6e7781;--warn:#7d4e00;--bad:#a40e26}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--paper:#0d1117;--line:#30363d;--task:#e6edf3;\
--ask:#79c0ff;--tool:#56d364;--person:#d2a8ff;--quiet:#8b949e;--warn:#e3b341;--bad:#ff7b72}}
body{margin:2rem auto;max-width:80rem;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);\
background:var(--paper)}
h1{font-size:1.3rem;margin:0}p{margin:.2rem 0 1.5rem;color:var(--dim)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.2rem .5rem;border-bottom:1px solid var(--line)}
th.number,td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{width:30%;min-width:8rem}.track{position:relative;height:1.2em}
.span{position:absolute;top:.2em;bottom:.2em;min-width:3px;border-radius:2px;background:currentColor}
.open{opacity:.5}.note{color:var(--dim)}.what{overflow-wrap:anywhere}
.task{color:var(--task);font-weight:600}.ask{color:var(--ask)}.tool{color:var(--tool)}.person{color:var(--person)}
.quiet{color:var(--quiet)}.warn{color:var(--warn)}.bad{color:var(--bad)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:var(--dim)}dd{margin:0}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media print{.scroll{overflow:visible}}
";

/// The trace of the first event in `lines` as one HTML file: the rows and totals of [`crate::timeline()`] as a table,
/// light or dark as the reader's system is, without script and without a reference to anything outside; `title` is cut
/// to 200 characters.
///
/// Everything from outside is escaped (HTML Living Standard, section 13.3), and the file forbids its reader to load
/// anything (Content Security Policy Level 3, `default-src 'none'`). Never fails: see [`crate::timeline()`].
#[must_use]
pub fn html(lines: &str, title: &str) -> String {
    let trace = Trace::read(lines);
    let title = escaped(&title.chars().take(TITLE_CHARACTERS_MAX).collect::<String>());
    let mut page = String::with_capacity(4096);
    page.push_str(&format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    ));
    match trace.id {
        None => page.push_str("<p>no events</p>\n"),
        Some(id) => {
            let begin = moment::write(trace.begin_ms);
            page.push_str(&format!(
                "<p>trace <code>{id}</code>, <time datetime=\"{begin}\">{begin}</time>, {}, {}</p>\n",
                duration(trace.end_ms - trace.begin_ms),
                count(trace.tasks.len() as u64, "task", "tasks")
            ));
            table(&trace, &mut page);
        }
    }
    page.push_str("<h2>Totals</h2>\n<dl>\n");
    for (name, value) in Totals::of(&trace).write(&trace.aside) {
        page.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(&value)));
    }
    page.push_str("</dl>\n</main>\n</body>\n</html>\n");
    page
}

fn table(trace: &Trace, page: &mut String) {
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline\">\n<table>\n\
         <caption class=\"unseen\">What happened, in order; rows are indented below the task that did it</caption>\n\
         <thead><tr><th scope=\"col\" class=\"number\">start (s)</th><th scope=\"col\" class=\"number\">took</th>\
         <th scope=\"col\" class=\"bar\">when</th><th scope=\"col\">what</th></tr></thead>\n<tbody>\n",
    );
    for node in outline(trace) {
        row(trace, &node, page);
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
}

fn row(trace: &Trace, node: &Node<'_>, page: &mut String) {
    let thing = &node.thing;
    let Phrase { title, note, tone } = phrase(thing);
    let begin = thing.begin_ms() - trace.begin_ms;
    let end = thing.end_ms().unwrap_or(trace.end_ms) - trace.begin_ms;
    let took = match thing.end_ms() {
        _ if thing.is_moment() => String::new(),
        Some(end) => duration(end - thing.begin_ms()),
        None => "open".to_owned(),
    };
    let (from, span) = (share(begin, trace.took_ms()), share(end - begin, trace.took_ms()));
    let open = if thing.end_ms().is_none() { " open" } else { "" };
    let level = node.guides.len();
    let class = class(tone);
    page.push_str(&format!(
        "<tr><td class=\"number\">{}</td><td class=\"number\">{took}</td><td class=\"bar {class}\" \
         aria-hidden=\"true\"><div class=\"track\"><div class=\"span{open}\" style=\"left:{from};width:{span}\"></div>\
         </div></td><td class=\"what\" style=\"padding-left:{}em\"><span class=\"unseen\">level {}: </span>\
         <span class=\"{class}\">{}</span>",
        offset(begin),
        f64::from(u32::try_from(level).unwrap_or(u32::MAX)) * 1.5 + 0.5,
        level + 1,
        escaped(&title)
    ));
    if !note.is_empty() {
        page.push_str(&format!(" <span class=\"note\">{}</span>", escaped(&note)));
    }
    page.push_str("</td></tr>\n");
}

/// `part` of `whole` in percent with two digits.
fn share(part: i64, whole: i64) -> String {
    let hundredths = (part.max(0).saturating_mul(10_000) / whole).min(10_000);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Task => "task",
        Tone::Ask => "ask",
        Tone::Tool => "tool",
        Tone::Person => "person",
        Tone::Quiet => "quiet",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
    }
}

/// Text that stays text, in an element and in a quoted attribute; what changes the direction of text is shown as
/// U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ if crate::json::is_harmless(letter) => out.push(letter),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}
