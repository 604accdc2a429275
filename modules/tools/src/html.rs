//! HTML to text that a model can read: headings, paragraphs, lists, links, code and tables; no script, style or menu.
//!
//! A tokenizer after the HTML Living Standard (section 13.2.5), without a tree: what is open is a short stack.

use crate::address::Address;
use crate::entities;

/// A page as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) text: String,
}

/// The most levels of lists that are indented.
const LIST_DEPTH_MAX: usize = 16;
/// The most bytes of one attribute that are kept.
const ATTRIBUTE_BYTES_MAX: usize = 2 << 10;

/// Content that is no text at all, whatever it holds, up to its own end tag.
const RAW: [&str; 7] = ["script", "style", "noscript", "template", "svg", "iframe", "textarea"];
/// Content that surrounds what the page is about.
const NOISE: [&str; 7] = ["nav", "footer", "aside", "form", "button", "select", "dialog"];
const BLOCK: [&str; 27] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "table",
    "tr",
    "thead",
    "tbody",
    "blockquote",
    "figure",
    "figcaption",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "address",
    "details",
];

/// Reads a page. Links are completed against `base`.
pub(crate) fn page(html: &str, base: Option<&Address>) -> Page {
    let page = read(html, base, Noise::Dropped);
    // A page whose whole content stands in a form or an unclosed menu is better shown with it than not at all.
    if page.text.len() < 200 { better(page, read(html, base, Noise::Kept)) } else { page }
}

fn better(short: Page, full: Page) -> Page {
    if full.text.len() > short.text.len() * 4 { full } else { short }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Noise {
    Dropped,
    Kept,
}

fn read(html: &str, base: Option<&Address>, noise: Noise) -> Page {
    let mut writer = Writer { base, ..Writer::default() };
    // The noise element that is left out, and how many of its name are open.
    let mut dropped: Option<(String, usize)> = None;
    let mut rest = html;
    while !rest.is_empty() {
        let at = rest.find('<').unwrap_or(rest.len());
        if dropped.is_none() {
            writer.text(&rest[..at]);
        }
        rest = &rest[at..];
        if rest.is_empty() {
            break;
        }
        let Some((token, after)) = token(rest) else {
            // A `<` that begins no tag is text.
            let step = rest.chars().next().map_or(0, char::len_utf8);
            if dropped.is_none() {
                writer.text(&rest[..step]);
            }
            rest = &rest[step..];
            continue;
        };
        rest = after;
        let Token::Tag(tag) = token else { continue };
        if let Some((name, open)) = &mut dropped {
            if tag.name == *name {
                *open = if tag.is_end { *open - 1 } else { *open + 1 };
            }
            if *open == 0 {
                dropped = None;
            }
            continue;
        }
        if !tag.is_end && RAW.contains(&tag.name.as_str()) {
            if !tag.is_closed {
                rest = after_end_tag(rest, &tag.name).1;
            }
        } else if !tag.is_end && tag.name == "title" {
            let (title, after) = after_end_tag(rest, "title");
            if writer.title.is_empty() {
                writer.title = collapsed(&entities::decoded(title));
            }
            rest = after;
        } else if !tag.is_end && !tag.is_closed && noise == Noise::Dropped && NOISE.contains(&tag.name.as_str()) {
            dropped = Some((tag.name, 1));
        } else {
            writer.tag(&tag);
        }
    }
    Page { title: writer.title.clone(), text: writer.finish() }
}

enum Token {
    Tag(Tag),
    Comment,
}

#[derive(Default)]
struct Tag {
    name: String,
    is_end: bool,
    is_closed: bool,
    href: Option<String>,
    alt: Option<String>,
    start: Option<u32>,
}

/// The token at the start of `text`, which starts with `<`, and what follows it.
fn token(text: &str) -> Option<(Token, &str)> {
    if let Some(rest) = text.strip_prefix("<!--") {
        let end = rest.find("-->").map_or(rest.len(), |at| at + 3);
        return Some((Token::Comment, &rest[end..]));
    }
    if text.starts_with("<!") || text.starts_with("<?") {
        let end = text.find('>').map_or(text.len(), |at| at + 1);
        return Some((Token::Comment, &text[end..]));
    }
    let is_end = text.starts_with("</");
    let rest = &text[if is_end { 2 } else { 1 }..];
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').unwrap_or(rest.len());
    let mut tag = Tag { name: rest[..end].to_ascii_lowercase(), is_end, ..Tag::default() };
    let rest = attributes(&rest[end..], &mut tag);
    Some((Token::Tag(tag), rest))
}

/// Reads attributes up to the end of the tag (HTML Living Standard, sections 13.2.5.32 to 13.2.5.40).
fn attributes<'a>(mut rest: &'a str, tag: &mut Tag) -> &'a str {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return after;
        }
        if let Some(after) = rest.strip_prefix('/') {
            tag.is_closed = after.starts_with('>');
            rest = after;
            continue;
        }
        let ends_name = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        let first = rest.chars().next().map_or(0, char::len_utf8);
        if first == 0 {
            return rest;
        }
        let end = rest[first..].find(ends_name).map_or(rest.len(), |at| at + first);
        let name = &rest[..end];
        rest = rest[end..].trim_start();
        let Some(after) = rest.strip_prefix('=') else { continue };
        rest = after.trim_start();
        let value;
        (value, rest) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
            _ => rest.split_at(rest.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(rest.len())),
        };
        let kept = || entities::decoded(&value[..crate::page::floor(value, ATTRIBUTE_BYTES_MAX)]);
        match name.to_ascii_lowercase().as_str() {
            "href" => tag.href = Some(kept()),
            "alt" => tag.alt = Some(kept()),
            "start" => tag.start = value.trim().parse().ok(),
            _ => {}
        }
    }
}

/// Splits raw content at the end tag of its element, which is dropped.
fn after_end_tag<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let mut from = 0;
    while let Some(at) = text[from..].find("</").map(|at| at + from) {
        let after = &text[at + 2..];
        let is_it = after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
            && !after[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        if is_it {
            let end = after.find('>').map_or(after.len(), |end| end + 1);
            return (&text[..at], &after[end..]);
        }
        from = at + 2;
    }
    (text, "")
}

fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text on its way out: blanks are collapsed, lines are ended once.
#[derive(Default)]
struct Writer<'a> {
    base: Option<&'a Address>,
    title: String,
    out: String,
    /// Line ends that are due before the next text: 1 for a new line, 2 for a new paragraph.
    breaks: usize,
    has_blank: bool,
    pre: usize,
    code: bool,
    /// Open lists: `None` for bullets, else the next number.
    lists: Vec<Option<u32>>,
    /// The open link: where its text begins, and where it leads.
    link: Option<(usize, String)>,
    cells: usize,
}

impl Writer<'_> {
    fn text(&mut self, raw: &str) {
        if raw.is_empty() {
            return;
        }
        let text = entities::decoded(raw);
        if self.pre > 0 {
            if !text.is_empty() {
                self.settle();
                self.out.push_str(&text);
            }
            return;
        }
        self.has_blank |= text.starts_with(char::is_whitespace);
        for (n, word) in text.split_whitespace().enumerate() {
            self.has_blank |= n > 0;
            self.word(word);
        }
        self.has_blank |= text.ends_with(char::is_whitespace);
    }

    fn word(&mut self, word: &str) {
        self.settle();
        self.out.push_str(word);
    }

    /// Writes what is due: line ends or one blank.
    fn settle(&mut self) {
        if self.out.is_empty() {
            self.breaks = 0;
        } else if self.breaks > 0 {
            let have = self.out.len() - self.out.trim_end_matches('\n').len();
            for _ in have..self.breaks {
                self.out.push('\n');
            }
        } else if self.has_blank && !self.out.ends_with([' ', '\n', '[']) && !(self.code && self.out.ends_with('`')) {
            self.out.push(' ');
        }
        self.breaks = 0;
        self.has_blank = false;
    }

    fn end_line(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
        self.has_blank = false;
    }

    fn tag(&mut self, tag: &Tag) {
        let is_end = tag.is_end;
        match tag.name.as_str() {
            "br" => self.end_line(1),
            "hr" => {
                self.end_line(2);
                self.word("---");
                self.end_line(2);
            }
            "a" if is_end => self.close_link(),
            "a" => self.open_link(tag.href.as_deref()),
            "img" => {
                if let Some(alt) = tag.alt.as_deref().map(collapsed).filter(|alt| !alt.is_empty()) {
                    self.word(&format!("[image: {alt}]"));
                }
            }
            "li" if !is_end => self.item(),
            "li" => self.end_line(1),
            "ul" | "ol" => self.list(tag),
            "pre" => self.preformatted(is_end),
            "code" | "kbd" | "samp" if self.pre == 0 => self.inline_code(is_end),
            "td" | "th" if !is_end => {
                if self.cells > 0 {
                    self.word(" |");
                    self.has_blank = true;
                }
                self.cells += 1;
            }
            "tr" => {
                self.cells = 0;
                self.end_line(1);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.close_link();
                self.end_line(2);
                if !is_end {
                    let level = usize::from(tag.name.as_bytes()[1] - b'0');
                    self.word(&"#".repeat(level));
                    self.has_blank = true;
                }
            }
            "blockquote" if !is_end => {
                self.end_line(2);
                self.word(">");
                self.has_blank = true;
            }
            "dt" | "dd" | "thead" | "tbody" => self.end_line(1),
            name if BLOCK.contains(&name) => self.end_line(if name == "div" { 1 } else { 2 }),
            _ => {}
        }
    }

    fn open_link(&mut self, href: Option<&str>) {
        self.close_link();
        let href = href.unwrap_or_default().trim();
        if href.is_empty() || href.starts_with('#') {
            return;
        }
        let whole = match self.base {
            Some(base) => base.join(href).map(|address| address.to_string()),
            None => Some(href.to_owned()),
        };
        if let Some(whole) = whole {
            self.settle();
            self.out.push('[');
            self.link = Some((self.out.len(), whole));
        }
    }

    fn close_link(&mut self) {
        let Some((start, href)) = self.link.take() else { return };
        if self.out.len() == start {
            self.out.pop();
        } else if self.out[start..] == href {
            self.out.remove(start - 1);
        } else {
            self.out.push_str(&format!("]({href})"));
        }
    }

    fn list(&mut self, tag: &Tag) {
        if tag.is_end {
            self.lists.pop();
        } else if self.lists.len() < LIST_DEPTH_MAX {
            self.lists.push((tag.name == "ol").then_some(tag.start.unwrap_or(1)));
        }
        self.end_line(if self.lists.len() <= usize::from(!tag.is_end) { 2 } else { 1 });
    }

    fn item(&mut self) {
        self.end_line(1);
        let indent = "  ".repeat(self.lists.len().saturating_sub(1));
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}.");
                *number = number.saturating_add(1);
                mark
            }
            _ => "-".to_owned(),
        };
        self.word(&format!("{indent}{mark}"));
        self.has_blank = true;
    }

    fn preformatted(&mut self, is_end: bool) {
        if is_end && self.pre > 0 {
            self.pre -= 1;
            if self.pre == 0 {
                if !self.out.ends_with('\n') {
                    self.out.push('\n');
                }
                self.out.push_str("```");
                self.end_line(2);
            }
        } else if !is_end {
            if self.pre == 0 {
                self.end_line(2);
                self.word("```\n");
            }
            self.pre += 1;
        }
    }

    fn inline_code(&mut self, is_end: bool) {
        if is_end == self.code {
            if !is_end {
                self.settle();
            }
            self.out.push('`');
            self.code = !is_end;
            self.has_blank &= !is_end;
        }
    }

    fn finish(mut self) -> String {
        self.close_link();
        if self.pre > 0 {
            self.preformatted_end();
        }
        let lines: Vec<&str> = self.out.lines().map(str::trim_end).collect();
        lines.join("\n").trim().to_owned()
    }

    fn preformatted_end(&mut self) {
        self.pre = 1;
        self.preformatted(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(html: &str, wanted: &str) {
        assert_eq!(read(html, None, Noise::Dropped).text, wanted);
    }

    #[test]
    fn text_is_readable() {
        check("<h1>Title</h1><p>One  two\n three.</p><p>Four</p>", "# Title\n\nOne two three.\n\nFour");
        check("a<br>b<br/>c", "a\nb\nc");
        check("<ul><li>one<li>two<ul><li>deep</ul></ul>after", "- one\n- two\n  - deep\n\nafter");
        check("<ol start=3><li>x</li><li>y</li></ol>", "3. x\n4. y");
        check("see <a href='https://x.example/'>the <b>page</b></a>, ok", "see [the page](https://x.example/), ok");
        check("<a href='#top'>up</a> <a href=x><img src=y></a> <a href='/z'> z </a>", "up [z](/z)");
        check("<a href=https://x.example/>https://x.example/</a>", "https://x.example/");
        check("<pre>a\n  b &lt;c&gt;\n</pre>x <code>let x</code> y", "```\na\n  b <c>\n```\n\nx `let x` y");
        check("<table><tr><th>A<th>B</tr><tr><td>1</td><td>2</td></tr></table>", "A | B\n1 | 2");
        check("<blockquote>wise words</blockquote><hr>x", "> wise words\n\n---\n\nx");
        check("<img alt='a cat' src=c.png> 1 < 2 & 3 > 2", "[image: a cat] 1 < 2 & 3 > 2");
        check("<b>bold</b><i>er</i>", "bolder");
    }

    #[test]
    fn noise_is_dropped() {
        check("<script>if (a</b) alert('</p>')</script>x<style>p{}</style><noscript>y</noscript>", "x");
        check("<nav><ul><li>Menu<nav>inner</nav></ul></nav><p>text</p><footer>©</footer>", "text");
        check("<!doctype html><!-- <p>hidden</p> --><head><meta x></head><SCRIPT>x</ScRiPt >shown", "shown");
        assert_eq!(read("<title> A &amp;\n B </title>x", None, Noise::Dropped).title, "A & B");
        let form = format!("<form><p>{}</p></form>", "all of it stands in a form. ".repeat(20));
        assert!(page(&form, None).text.len() > 400);
    }

    #[test]
    fn links_are_completed() {
        let base = Address::parse("https://x.example/a/b").unwrap();
        let text = read("<a href=../c?d>t</a> <a href='javascript:x'>j</a>", Some(&base), Noise::Dropped).text;
        assert_eq!(text, "[t](https://x.example/c?d) j");
    }

    /// Any bytes, and any pieces of tags in any order, give some text, in linear time.
    #[test]
    fn t4_nothing_breaks_it() {
        let pieces = [
            "<",
            ">",
            "</",
            "<a href=",
            "'",
            "\"",
            "x",
            "ä",
            "<pre>",
            "</pre>",
            "<li>",
            "<ul>",
            "</ul>",
            "<table><td>",
            "&#",
            "&amp",
            ";",
            "<!--",
            "-->",
            "<script>",
            "</script",
            "<nav>",
            "</nav>",
            "<code>",
            "</code>",
            "=",
            "/",
            " ",
            "\n",
            "</a>",
            "<h2>",
            "<!",
            "<title>",
        ];
        let mut seed = 3u64;
        for _ in 0..20_000 {
            let mut html = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                html.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            let text = page(&html, None).text;
            assert!(text.len() < 1_000, "{html}");
        }
        let started = std::time::Instant::now();
        for html in ["<a href='", "<nav>", "<pre>", "&", "</", "<ul><li>", "<!--", "<script>", "<title>", "<a href=x>"]
        {
            let _ = page(&html.repeat(50_000), None);
        }
        assert!(started.elapsed().as_secs() < 20);
    }
}
