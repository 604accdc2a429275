//! Reading lines back: each is an event of ours or set aside.

use serde_json::{Map, Value};

use crate::json::is_harmless;
use crate::line::NAME_BYTES_MAX;
use crate::moment;
use crate::schema::VERSION;
use crate::stamp::TraceId;

/// The most lines that are read of one trace; more are counted and set aside.
pub const LINES_MAX: usize = 100_000;

/// The most words that are read of one array.
const WORDS_MAX: usize = 16;

/// What a line is.
pub(crate) enum Line {
    /// An event.
    Event(Record),
    /// The word of whoever stored the lines that no more were kept above this many bytes.
    Cut(u64),
    /// No JSON: the end of a file that was being written, or damage.
    Torn,
    /// JSON, but no event of this version.
    Foreign,
}

/// One event, its fields still by name.
pub(crate) struct Record {
    pub(crate) at_ms: i64,
    pub(crate) trace: TraceId,
    pub(crate) task: String,
    pub(crate) parent: Option<String>,
    pub(crate) event: String,
    fields: Map<String, Value>,
}

impl Line {
    pub(crate) fn read(text: &str) -> Line {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Line::of(fields),
            Ok(_) => Line::Foreign,
            Err(_) => Line::Torn,
        }
    }

    fn of(fields: Map<String, Value>) -> Line {
        if fields.get("v").and_then(Value::as_u64) != Some(VERSION) {
            return Line::Foreign;
        }
        if fields.get("kind").and_then(Value::as_str) == Some("trace_cut") {
            return Line::Cut(fields.get("file_bytes_max").and_then(Value::as_u64).unwrap_or(0));
        }
        Record::of(fields).map_or(Line::Foreign, Line::Event)
    }
}

impl Record {
    fn of(fields: Map<String, Value>) -> Option<Record> {
        let text = |key| fields.get(key).and_then(Value::as_str);
        let at_ms = moment::parse(text("at")?)?;
        let trace = TraceId::parse(text("trace")?)?;
        let (task, event) = (clean(text("task")?), clean(text("event")?));
        let parent = text("parent").map(clean);
        Some(Record { at_ms, trace, task, parent, event, fields })
    }

    /// A text field, harmless and cut to [`NAME_BYTES_MAX`]; empty where there is none.
    pub(crate) fn text(&self, key: &str) -> String {
        self.fields.get(key).and_then(Value::as_str).map(clean).unwrap_or_default()
    }

    /// A number; 0 where there is none.
    pub(crate) fn number(&self, key: &str) -> u64 {
        self.fields.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    /// An array of strings, at most [`WORDS_MAX`] of them.
    pub(crate) fn words(&self, key: &str) -> Vec<String> {
        let Some(Value::Array(words)) = self.fields.get(key) else { return Vec::new() };
        words.iter().take(WORDS_MAX).filter_map(Value::as_str).map(clean).collect()
    }
}

/// `text` as it may be shown: what a terminal would act on becomes U+FFFD, and it is cut to [`NAME_BYTES_MAX`].
pub(crate) fn clean(text: &str) -> String {
    let short = &text[..text.floor_char_boundary(NAME_BYTES_MAX)];
    short.chars().map(|letter| if is_harmless(letter) { letter } else { '\u{fffd}' }).collect()
}
