//! A trace on a terminal.

use crate::moment;
use crate::phrase::{Phrase, Tone, count, duration, offset, phrase};
use crate::totals::Totals;
use crate::trace::Trace;
use crate::tree::{Node, Thing, outline};

/// The narrowest and the widest that a timeline gets, in columns; other widths are taken as the nearest of them.
const WIDTH_MIN: usize = 60;
const WIDTH_MAX: usize = 240;

/// The most lines of one row; what is left over is cut.
const ROW_LINES_MAX: usize = 4;

/// How rich the output may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Colours (ECMA-48 SGR) and box-drawing characters.
    On,
    /// Box-drawing characters without colours.
    Off,
    /// ASCII alone, without colours.
    Ascii,
}

/// What the picture is made of.
struct Brush {
    span: char,
    /// The part of a bar that has no end in the trace.
    open: char,
    moment: char,
    /// More rows follow, this row with more, this row as the last, none: each three columns.
    guides: [&'static str; 4],
    cut: &'static str,
}

const DRAWN: Brush =
    Brush { span: '█', open: '▒', moment: '◆', guides: ["│  ", "├─ ", "└─ ", "   "], cut: "…" };
const ASCII: Brush = Brush { span: '#', open: '~', moment: '*', guides: ["|  ", "|- ", "`- ", "   "], cut: "..." };

/// The first line of a row, or one below it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Rest,
}

/// The columns of a picture.
struct Canvas<'a> {
    trace: &'a Trace,
    brush: &'static Brush,
    colour: Colour,
    start_columns: usize,
    bar_columns: usize,
    what_columns: usize,
}

/// The trace of the first event in `lines` as a picture `width` columns wide (taken as 60 to 240): a row for each
/// task, question, tool run, approval, refusal, label, governor and folding, with its start in seconds since the trace
/// began, a bar, how long it took and what came of it; then totals.
///
/// Never fails: lines that cannot be read are counted in the last row, and no line at all gives a sentence. Ends with
/// a line break.
#[must_use]
pub fn timeline(lines: &str, width: usize, colour: Colour) -> String {
    let trace = Trace::read(lines);
    let mut text = String::new();
    head(&trace, &mut text);
    if trace.id.is_some() {
        let canvas = Canvas::new(&trace, width, colour);
        canvas.caption(&mut text);
        for node in outline(&trace) {
            canvas.row(&node, &mut text);
        }
        text.push('\n');
    }
    for (name, value) in Totals::of(&trace).write(&trace.aside) {
        text.push_str(&format!("{name:<10} {value}\n"));
    }
    if colour == Colour::Ascii {
        text = text.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect();
    }
    text
}

fn head(trace: &Trace, text: &mut String) {
    match trace.id {
        None => text.push_str("no events\n"),
        Some(id) => text.push_str(&format!(
            "trace {id}\n{}, {}, {}\n\n",
            moment::write(trace.begin_ms),
            duration(trace.end_ms - trace.begin_ms),
            count(trace.tasks.len() as u64, "task", "tasks")
        )),
    }
}

impl<'a> Canvas<'a> {
    fn new(trace: &'a Trace, width: usize, colour: Colour) -> Canvas<'a> {
        let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
        let brush = if colour == Colour::Ascii { &ASCII } else { &DRAWN };
        let start_columns = offset(trace.took_ms()).len().max("start".len());
        let bar_columns = (width / 5).min(40);
        // Start, blank, bar with a mark on either side, blank, 9 columns for how long, two blanks, the rest.
        let what_columns = width.saturating_sub(start_columns + 1 + bar_columns + 2 + 1 + 9 + 2);
        Canvas { trace, brush, colour, start_columns, bar_columns, what_columns }
    }

    fn caption(&self, text: &mut String) {
        let (start, bar) = (self.start_columns, self.bar_columns + 2);
        text.push_str(&format!("{:>start$} {:bar$} {:>9}  what\n", "start", "", "took"));
    }

    fn row(&self, node: &Node<'_>, text: &mut String) {
        let thing = &node.thing;
        let Phrase { title, note, tone } = phrase(thing);
        let begin = offset(thing.begin_ms() - self.trace.begin_ms);
        let took = match thing.end_ms() {
            _ if thing.is_moment() => String::new(),
            Some(end) => duration(end - thing.begin_ms()),
            None => "open".to_owned(),
        };
        let start = self.start_columns;
        let bar = self.tint(&self.bar(thing), tone);
        let room = self.what_columns.saturating_sub(3 * node.guides.len());
        let title = self.cut(&title, room);
        let mut rows = self.wrap(&title, &note, room).into_iter();
        let first = rows.next().unwrap_or_default();
        let (title, rest) = first.split_at(title.len());
        let title = self.tint(title, tone);
        let guides = self.guides(&node.guides, Part::First);
        text.push_str(&format!("{begin:>start$} |{bar}| {took:>9}  {guides}{title}{rest}\n"));
        let guides = self.guides(&node.guides, Part::Rest);
        let blank = self.bar_columns + 2;
        for row in rows {
            text.push_str(&format!("{:start$} {:blank$} {:9}  {guides}{row}\n", "", "", ""));
        }
    }

    /// Title and note in lines of at most `room` columns.
    fn wrap(&self, title: &str, note: &str, room: usize) -> Vec<String> {
        let mut rows = vec![title.to_owned()];
        let mut gap = "  ";
        for word in note.split(' ').filter(|word| !word.is_empty()) {
            let is_last = rows.len() == ROW_LINES_MAX;
            let Some(row) = rows.last_mut() else { break };
            if columns(row) + gap.len() + columns(word) <= room {
                row.push_str(gap);
                row.push_str(word);
            } else if is_last {
                *row = self.cut(&format!("{row} {word}"), room);
                break;
            } else {
                rows.push(self.cut(&format!("  {word}"), room));
            }
            gap = " ";
        }
        rows
    }

    fn guides(&self, guides: &[bool], part: Part) -> String {
        let [more, with_more, last, none] = self.brush.guides;
        let mut text = String::new();
        for (level, follows) in guides.iter().enumerate() {
            let is_own = level + 1 == guides.len() && part == Part::First;
            text.push_str(match (is_own, *follows) {
                (true, true) => with_more,
                (true, false) => last,
                (false, true) => more,
                (false, false) => none,
            });
        }
        text
    }

    /// Where in the trace it happened; a span covers every column that it touches, one at least.
    fn bar(&self, thing: &Thing<'_>) -> String {
        let begin = thing.begin_ms() - self.trace.begin_ms;
        let end = thing.end_ms().unwrap_or(self.trace.end_ms) - self.trace.begin_ms;
        let took = self.trace.took_ms();
        let columns = self.bar_columns as i64;
        let first = (scaled(begin, columns, took)).min(columns - 1);
        let last = (scaled(end, columns, took) + i64::from(!is_whole(end, columns, took))).clamp(first + 1, columns);
        let fill = if thing.is_moment() {
            self.brush.moment
        } else if thing.end_ms().is_none() {
            self.brush.open
        } else {
            self.brush.span
        };
        let last = if thing.is_moment() { first + 1 } else { last };
        (0..columns).map(|column| if (first..last).contains(&column) { fill } else { ' ' }).collect()
    }

    fn cut(&self, text: &str, room: usize) -> String {
        if columns(text) <= room {
            return text.to_owned();
        }
        let room = room.saturating_sub(columns(self.brush.cut));
        text.chars().take(room).chain(self.brush.cut.chars()).collect()
    }

    fn tint(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Task => "1",
            Tone::Ask => "36",
            Tone::Tool => "32",
            Tone::Person => "35",
            Tone::Quiet => "2",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        match self.colour {
            Colour::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::Off | Colour::Ascii => text.to_owned(),
        }
    }
}

/// Columns of a text, taking every character for one column wide.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// `part` of `whole` on a scale of `columns`, rounded down.
fn scaled(part: i64, columns: i64, whole: i64) -> i64 {
    part.max(0).saturating_mul(columns) / whole
}

fn is_whole(part: i64, columns: i64, whole: i64) -> bool {
    part.max(0).saturating_mul(columns) % whole == 0
}
