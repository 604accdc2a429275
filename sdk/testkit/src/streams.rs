//! Complete provider answers as they travel, each with what it means: for tests of what reads them.
//!
//! A reader of provider answers must find the same meaning in [`Recording::body`], in each of its
//! [`Recording::variants`], and in all of them cut at any byte:
//!
//! ```
//! for recording in aether_testkit::streams::recordings() {
//!     for (name, body) in recording.variants() {
//!         for cut in 0..=body.len() {
//!             let (_first, _second) = body.split_at(cut);
//!             // feed both to a reader, collect `events`, and then:
//!             // recording.expected.verify(&events).unwrap_or_else(|fault| panic!("{name} at {cut}: {fault}"));
//!         }
//!     }
//! }
//! ```

use aether_core::model::{ModelErrorKind, ModelEvent, Stop, Usage};

use crate::dialect::Dialect;

mod library;

/// A provider's whole response.
#[derive(Clone, Copy, Debug)]
pub struct Recording {
    /// What it shows, such as `parallel`.
    pub name: &'static str,
    /// Its format.
    pub dialect: Dialect,
    /// Its HTTP status.
    pub status: u16,
    /// Its media type, without parameters.
    pub content_type: &'static str,
    /// What its `retry-after` header asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Its body.
    pub body: &'static [u8],
    /// What it means.
    pub expected: Expected,
}

/// What a response means.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The answer's text.
    pub text: &'static str,
    /// The reasoning that is shown.
    pub reasoning: &'static str,
    /// The tool calls in order.
    pub calls: &'static [ExpectedCall],
    /// What it cost; `None`: not looked at.
    pub usage: Option<Usage>,
    /// How it ends.
    pub ending: Ending,
    /// Whether something must be carried back.
    pub carries: Carries,
}

/// A tool call of a response.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedCall {
    /// Its id; empty: the provider gave none and the reader makes one.
    pub id: &'static str,
    /// The tool.
    pub name: &'static str,
    /// The input, compared without the white space between its tokens.
    pub input: &'static str,
}

/// How a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Completely.
    Stop(Stop),
    /// With an error of this kind.
    Error(ModelErrorKind),
    /// With an error of this kind that asks to wait so many milliseconds.
    Wait(ModelErrorKind, u64),
}

/// Whether a response holds something that must be carried back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// It does.
    Something,
    /// It does not.
    Nothing,
    /// A reader may carry it or not.
    Either,
}

/// All recordings.
pub fn recordings() -> impl Iterator<Item = &'static Recording> {
    library::ALL.iter().copied().flatten()
}

/// The recording of that name.
#[must_use]
pub fn recording(dialect: Dialect, name: &str) -> Option<&'static Recording> {
    recordings().find(|recording| recording.dialect == dialect && recording.name == name)
}

impl Recording {
    /// The body as it stands, and other spellings that mean the same: line ends, comments, data spread over
    /// several lines, blank lines, no end of the last line. Only streams have any.
    #[must_use]
    pub fn variants(&self) -> Vec<(String, Vec<u8>)> {
        let name = |kind: &str| format!("{}/{}/{kind}", self.dialect.name(), self.name);
        let plain = String::from_utf8_lossy(self.body).replace("\r\n", "\n");
        let mut variants = vec![(name("as recorded"), self.body.to_vec())];
        match self.content_type {
            "text/event-stream" => {
                variants.push((name("lf"), plain.clone().into_bytes()));
                variants.push((name("crlf"), plain.replace('\n', "\r\n").into_bytes()));
                variants.push((name("comments"), commented(&plain).into_bytes()));
                variants.push((name("two data lines"), plain.replace("data: {", "data: {\ndata:").into_bytes()));
                variants.push((name("no space"), plain.replace("data: ", "data:").into_bytes()));
                variants.push((name("no last blank line"), plain.trim_end_matches('\n').as_bytes().to_vec()));
            }
            "application/x-ndjson" => {
                variants.push((name("crlf"), plain.replace('\n', "\r\n").into_bytes()));
                variants.push((name("blank lines"), plain.replace('\n', "\n\n").into_bytes()));
                variants.push((name("no last line end"), plain.trim_end_matches('\n').as_bytes().to_vec()));
            }
            _ => {}
        }
        variants
    }
}

/// With comment lines before, between and inside of the events, and fields nobody knows.
fn commented(plain: &str) -> String {
    let mut out = String::from(": OPENROUTER PROCESSING\n\n:\n");
    for line in plain.split_inclusive('\n') {
        out.push_str(line);
        if line.starts_with("data:") {
            out.push_str(": keep-alive\nid: 7\nretry: 10\n");
        }
    }
    out
}

impl Expected {
    /// Compares with what a reader made of the response.
    ///
    /// # Errors
    /// A sentence about the first difference.
    pub fn verify(&self, events: &[ModelEvent]) -> Result<(), String> {
        let (mut text, mut reasoning) = (String::new(), String::new());
        let (mut calls, mut usage, mut carried) = (Vec::new(), Usage::default(), 0);
        let mut ending = None;
        for event in events {
            if ending.is_some() {
                return Err(format!("{event:?} comes after the end"));
            }
            match event {
                ModelEvent::Text(piece) => text.push_str(piece),
                ModelEvent::Reasoning(piece) => reasoning.push_str(piece),
                ModelEvent::Carried(_) => carried += 1,
                ModelEvent::Call(call) => calls.push(call),
                ModelEvent::Usage(latest) => usage = *latest,
                ModelEvent::Stop(stop) => ending = Some(Ending::Stop(*stop)),
                ModelEvent::Error(error) => {
                    ending = Some(match (error.retry_after_ms, self.ending) {
                        (Some(wait), Ending::Wait(..)) => Ending::Wait(error.kind, wait),
                        _ => Ending::Error(error.kind),
                    });
                }
            }
        }
        same("text", &text.as_str(), &self.text)?;
        same("reasoning", &reasoning.as_str(), &self.reasoning)?;
        same("number of calls", &calls.len(), &self.calls.len())?;
        for (call, expected) in calls.iter().zip(self.calls) {
            same("tool", &&*call.name, &expected.name)?;
            same("input", &compact(&call.input), &compact(expected.input))?;
            if !expected.id.is_empty() || call.id.is_empty() {
                same("call id", &&*call.id, &expected.id)?;
            }
        }
        if let Some(expected) = self.usage {
            same("usage", &usage, &expected)?;
        }
        match (self.carries, carried) {
            (Carries::Something, 0) => return Err("nothing is carried back".to_owned()),
            (Carries::Nothing, 1..) => return Err("something is carried back".to_owned()),
            _ => {}
        }
        same("ending", &ending, &Some(self.ending))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what} is {found:?}, wanted {wanted:?}")) }
}

/// A JSON text without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        if quoted || !letter.is_ascii_whitespace() {
            out.push(letter);
        }
        quoted ^= letter == '"' && !escaped;
        escaped = quoted && letter == '\\' && !escaped;
    }
    out
}

/// Joins neighbouring pieces and drops usage that a later one replaces, so that two readings of one response
/// that was cut in different places are equal.
#[must_use]
pub fn joined(events: &[ModelEvent]) -> Vec<ModelEvent> {
    let mut out: Vec<ModelEvent> = Vec::new();
    let last_usage = events.iter().rposition(|event| matches!(event, ModelEvent::Usage(_)));
    for (at, event) in events.iter().enumerate() {
        match (out.last_mut(), event) {
            (Some(ModelEvent::Text(text)), ModelEvent::Text(piece))
            | (Some(ModelEvent::Reasoning(text)), ModelEvent::Reasoning(piece)) => text.push_str(piece),
            (_, ModelEvent::Usage(_)) if Some(at) != last_usage => {}
            _ => out.push(event.clone()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Stop, Usage};
    use aether_core::tool::ToolCall;

    use super::{Dialect, Ending, compact, joined, recording, recordings};

    fn events() -> Vec<ModelEvent> {
        let call =
            ToolCall { id: "call_Kq1".into(), name: "clock".into(), input: "{\"zone\": \"Europe/Oslo\"}".into() };
        let usage = Usage { input_tokens: 62, output_tokens: 17, cached_tokens: 48, ..Usage::default() };
        vec![
            ModelEvent::Usage(Usage::default()),
            ModelEvent::Call(call),
            ModelEvent::Usage(usage),
            ModelEvent::Stop(Stop::Calls),
        ]
    }

    #[test]
    fn what_differs_from_a_recording_is_found() {
        let expected = recording(Dialect::Chat, "call").unwrap().expected;
        expected.verify(&events()).unwrap();
        let changes: [fn(&mut Vec<ModelEvent>); 7] = [
            |events| events.push(ModelEvent::Text("more".to_owned())),
            |events| events.insert(0, ModelEvent::Text("more".to_owned())),
            |events| events.insert(0, ModelEvent::Reasoning("more".to_owned())),
            |events| drop(events.remove(1)),
            |events| drop(events.remove(2)),
            |events| drop(events.pop()),
            |events| {
                events.pop();
                events.push(ModelEvent::Error(ModelError::new(ModelErrorKind::Cut, "x")));
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut events = events();
            change(&mut events);
            assert!(expected.verify(&events).is_err(), "change {number}");
        }
    }

    #[test]
    fn joining_keeps_the_meaning() {
        let text = |text: &str| ModelEvent::Text(text.to_owned());
        let split =
            [text("a"), text("b"), ModelEvent::Usage(Usage::default()), text("c"), ModelEvent::Usage(Usage::default())];
        assert_eq!(joined(&split), vec![text("abc"), ModelEvent::Usage(Usage::default())]);
    }

    #[test]
    fn white_space_inside_strings_counts() {
        assert_eq!(compact("{ \"a\" : \"b \\\" c\" ,\n\"d\\\\\": 1 }"), "{\"a\":\"b \\\" c\",\"d\\\\\":1}");
    }

    #[test]
    fn every_format_has_every_kind_of_recording() {
        for dialect in Dialect::ALL {
            for name in
                ["text", "call", "parallel", "reasoning", "unicode", "error", "length", "whole_text", "whole_call"]
            {
                let found = recording(dialect, name).unwrap_or_else(|| panic!("{} {name}", dialect.name()));
                assert!(!found.body.is_empty());
            }
        }
        assert!(recordings().count() > 60);
    }

    #[test]
    fn names_are_unique_and_errors_have_error_statuses() {
        let mut names: Vec<_> = recordings().map(|found| (found.dialect.name(), found.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for found in recordings().filter(|found| found.status != 200) {
            assert!(!matches!(found.expected.ending, Ending::Stop(_)), "{}", found.name);
        }
    }

    #[test]
    fn variants_differ_from_each_other() {
        let found = recording(Dialect::Gemini, "text").unwrap();
        let mut bodies: Vec<_> = found.variants().into_iter().map(|(_, body)| body).collect();
        bodies.sort_unstable();
        bodies.dedup();
        // As recorded and CRLF are the same for Gemini.
        assert_eq!(bodies.len(), found.variants().len() - 1);
    }
}
