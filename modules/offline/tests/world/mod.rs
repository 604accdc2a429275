//! A workspace in memory, its tools, and the loop that asks the model and runs what it calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::label::{Label, Origin};
use aether_core::model::{ModelEvent, ModelOptions, Part, Question, Stop, ToolUse, Usage};
use aether_core::tool::{Acts, Limits, Manifest, Runtime, ToolCall};
use aether_core::transcript::{Entry, ToolEntry, ToolOutcome};

/// Bytes of text that one `read_file` shows.
const SHOWN_BYTES_MAX: usize = (32 << 10) - 400;
const TOOLS: [&str; 6] = ["read_file", "list_dir", "find_files", "search_text", "time", "calculate"];

/// Files, and what happens to a conversation about them.
#[derive(Clone, Default)]
pub(crate) struct World {
    files: BTreeMap<String, Vec<u8>>,
    /// Where the lines of each file begin, and where the last one ends.
    starts: BTreeMap<String, Vec<usize>>,
    folds: bool,
    forbidden_after: Option<usize>,
    has_no_tools: bool,
    steering: Option<(usize, String)>,
}

/// What became of a goal.
pub(crate) struct Outcome {
    pub(crate) answer: String,
    pub(crate) turns: usize,
    pub(crate) calls: usize,
    pub(crate) usage: Usage,
}

pub(crate) fn question<'a>(
    entries: &'a [Entry],
    tools: &'a [Arc<Manifest>],
    options: &'a ModelOptions,
    tool_use: ToolUse,
) -> Question<'a> {
    Question { model: aether_offline::NAME, system: "Be brief.", tools, tool_use, entries, options }
}

pub(crate) fn call(id: &str, name: &str, input: &str) -> Part {
    Part::Call(ToolCall { id: id.into(), name: name.into(), input: input.into() })
}

fn person(text: &str) -> Entry {
    Entry::Person { text: text.into(), images: Vec::new(), label: Label::from(Origin::Person) }
}

impl World {
    pub(crate) fn file(&mut self, path: &str, bytes: Vec<u8>) {
        let ends = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
        let mut starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
        if starts.last() != Some(&bytes.len()) {
            starts.push(bytes.len());
        }
        self.starts.insert(path.to_owned(), starts);
        self.files.insert(path.to_owned(), bytes);
    }

    /// The same, with every result folded away that is older than the last turn.
    pub(crate) fn folding(&self) -> World {
        World { folds: true, ..self.clone() }
    }

    /// The same, with tools forbidden after so many turns.
    pub(crate) fn forbidden_after(&self, turns: usize) -> World {
        World { forbidden_after: Some(turns), ..self.clone() }
    }

    pub(crate) fn without_tools(&self) -> World {
        World { has_no_tools: true, ..self.clone() }
    }

    /// The same, with a message of the person after so many turns.
    pub(crate) fn steering(&self, turns: usize, text: &str) -> World {
        World { steering: Some((turns, text.to_owned())), ..self.clone() }
    }

    pub(crate) fn run(&self, goal: &str) -> Outcome {
        self.run_from(goal, Vec::new())
    }

    pub(crate) fn run_from(&self, goal: &str, before: Vec<Entry>) -> Outcome {
        let tools: Vec<Arc<Manifest>> = if self.has_no_tools { Vec::new() } else { TOOLS.map(manifest).into() };
        let mut entries = before;
        entries.insert(0, person(goal));
        let mut outcome = Outcome { answer: String::new(), turns: 0, calls: 0, usage: Usage::default() };
        loop {
            assert!(outcome.turns < 300, "no end: {}", outcome.answer);
            let is_forbidden = self.forbidden_after.is_some_and(|turns| outcome.turns >= turns);
            let tool_use = if is_forbidden { ToolUse::Forbidden } else { ToolUse::Allowed };
            if is_forbidden {
                let text = "[No more tool calls: the budget of tool calls is spent. Give your best answer now.]";
                entries.push(Entry::Note { text: text.into(), label: Label::default() });
            }
            let events = aether_offline::answer(&question(&entries, &tools, &ModelOptions::default(), tool_use));
            outcome.turns += 1;
            let calls = self.keep(events, &mut entries, &mut outcome);
            if calls.is_empty() {
                return outcome;
            }
            assert!(!is_forbidden, "called although forbidden");
            outcome.calls += calls.len();
            entries.extend(calls.iter().map(|call| self.answer(call)));
            if let Some((_, text)) = self.steering.as_ref().filter(|(turns, _)| *turns == outcome.turns) {
                entries.push(person(text));
            }
        }
    }

    /// Puts a turn into the transcript and says what it calls.
    fn keep(&self, events: Vec<ModelEvent>, entries: &mut Vec<Entry>, outcome: &mut Outcome) -> Vec<ToolCall> {
        let (mut parts, mut calls, mut stop) = (Vec::new(), Vec::new(), None);
        outcome.answer.clear();
        for event in events {
            assert!(stop.is_none(), "{event:?} after the stop");
            match event {
                ModelEvent::Text(text) => {
                    assert!(text.ends_with('\n'));
                    outcome.answer.push_str(&text);
                    parts.push(Part::Text(text.into()));
                }
                ModelEvent::Reasoning(_) => {}
                ModelEvent::Carried(text) => {
                    assert!(text.len() < 200_000, "{} bytes carried", text.len());
                    parts.push(Part::Carried(text));
                }
                ModelEvent::Call(call) => {
                    calls.push(call.clone());
                    parts.push(Part::Call(call));
                }
                ModelEvent::Usage(usage) => outcome.usage = outcome.usage.plus(usage),
                ModelEvent::Stop(why) => stop = Some(why),
                ModelEvent::Error(error) => panic!("{error}"),
            }
        }
        assert_eq!(stop, Some(if calls.is_empty() { Stop::Done } else { Stop::Calls }));
        if self.folds {
            for entry in entries.iter_mut() {
                if let Entry::Tool(tool) = entry {
                    tool.folded = Some(format!("[folded away: {} bytes of {}]", tool.text.len(), tool.name).into());
                }
            }
        }
        entries.push(Entry::Model { parts, codec: aether_offline::CODEC });
        calls
    }

    fn answer(&self, call: &ToolCall) -> Entry {
        let input: serde_json::Value = serde_json::from_str(&call.input).unwrap();
        let text = |key: &str| input[key].as_str().unwrap_or(".").trim_start_matches("./").to_owned();
        let result = match &*call.name {
            "read_file" => self.read_file(&text("path"), &input),
            "list_dir" => self.list_dir(&text("path"), input["depth"].as_u64().unwrap_or(1) as usize),
            "find_files" => Ok(self.find_files(&text("pattern"))),
            "search_text" => Ok(self.search_text(&text("pattern"), &text("path"))),
            name => Ok(format!("{name} {}", call.input)),
        };
        let (outcome, text) = match result {
            Ok(text) => (ToolOutcome::Done, text),
            Err(text) => (ToolOutcome::Failed, text),
        };
        let label = Label::from(Origin::Tool).private();
        Entry::Tool(ToolEntry {
            call: call.id.clone(),
            name: call.name.clone(),
            outcome,
            text: text.into(),
            folded: None,
            label,
        })
    }

    fn read_file(&self, path: &str, input: &serde_json::Value) -> Result<String, String> {
        let Some(bytes) = self.files.get(path) else {
            let is_folder = self.files.keys().any(|file| file.starts_with(&format!("{path}/")));
            return Err(match is_folder {
                true => format!("`{path}`: it is a directory; list_dir shows what is in it"),
                false => format!("`{path}`: no such file or directory; find_files finds files by name"),
            });
        };
        if bytes.is_empty() {
            return Ok(format!("{path}: empty file (0 bytes)"));
        }
        if bytes.contains(&0) {
            return Ok(format!("{path}: binary data, {} bytes; not text, so it is not shown", bytes.len()));
        }
        let starts = &self.starts[path];
        let total = starts.len() - 1;
        let from_byte = input["from_byte"].as_u64();
        let from_line = input["from_line"].as_u64().unwrap_or(1) as usize;
        let start = from_byte.map_or_else(|| starts[from_line - 1], |byte| byte as usize);
        let first = starts.partition_point(|at| *at <= start);
        let lines_max = input["lines"].as_u64().unwrap_or(1 << 40) as usize;
        let wanted = starts[(first - 1 + lines_max).min(total)] - start;
        let mut end = start + wanted.min(SHOWN_BYTES_MAX);
        if wanted > SHOWN_BYTES_MAX {
            end = bytes[start..end].iter().rposition(|b| *b == b'\n').map_or(end, |at| start + at + 1);
        }
        let shown = &bytes[start..end];
        let ends = shown.iter().filter(|b| **b == b'\n').count();
        let last = if shown.ends_with(b"\n") { first + ends - 1 } else { first + ends };
        let mut head = format!("{path}: lines {first}-{last} of {total}");
        if from_byte.is_some() {
            head += &format!(", from byte {start}");
        }
        if end < bytes.len() {
            head += &match shown.ends_with(b"\n") {
                true => format!("; continue with from_line={}", last + 1),
                false => format!("; line {last} is cut: continue with from_byte={end}"),
            };
        }
        Ok(format!("{head}\n{}", String::from_utf8_lossy(shown)))
    }

    fn list_dir(&self, path: &str, depth: usize) -> Result<String, String> {
        if let Some(bytes) = self.files.get(path) {
            let name = path.rsplit('/').next().unwrap();
            return Ok(format!("{path}: 1 entry\n{name} {}", bytes.len()));
        }
        let prefix = if path == "." { String::new() } else { format!("{path}/") };
        let mut lines = BTreeSet::new();
        for (file, bytes) in self.files.iter().filter_map(|(file, bytes)| Some((file.strip_prefix(&prefix)?, bytes))) {
            lines.insert(format!("{file} {}", bytes.len()));
            lines.extend(file.match_indices('/').map(|(at, _)| format!("{}/", &file[..at])));
        }
        if lines.is_empty() {
            return Err(format!("`{path}`: no such file or directory; find_files finds files by name"));
        }
        let is_near = |line: &String| line.trim_end_matches('/').matches('/').count() < depth;
        let listed: Vec<String> = lines.into_iter().filter(is_near).collect();
        let shown = listed.len().min(700);
        let mut text = format!("{path}: {} entries\n{}", listed.len(), listed[..shown].join("\n"));
        if shown < listed.len() {
            text += &format!(
                "\n[{} more not shown; list a directory deeper down, or use find_files]",
                listed.len() - shown
            );
        }
        Ok(text)
    }

    fn find_files(&self, pattern: &str) -> String {
        let suffix = pattern.trim_start_matches('*');
        let is_match = |path: &&String| {
            let name = path.rsplit('/').next().unwrap();
            if pattern.starts_with('*') { name.ends_with(suffix) } else { name == pattern }
        };
        let found: Vec<&str> = self.files.keys().filter(is_match).map(String::as_str).collect();
        let mut text = format!("{} files of {} entries match", found.len(), self.files.len());
        for path in found {
            text += &format!("\n{path}");
        }
        text
    }

    fn search_text(&self, pattern: &str, path: &str) -> String {
        let mut text = String::from("matches\n");
        for (file, bytes) in self.files.iter().filter(|(file, _)| path == "." || file.as_str() == path) {
            for (n, line) in
                String::from_utf8_lossy(bytes).lines().enumerate().filter(|(_, line)| line.contains(pattern))
            {
                text += &format!("{file}:{}: {line}\n", n + 1);
            }
        }
        text
    }
}

fn manifest(name: &str) -> Arc<Manifest> {
    Arc::new(Manifest {
        name: name.into(),
        version: "1.0.0".into(),
        description: "A tool.".into(),
        input: "{}".into(),
        runtime: Runtime::Builtin,
        acts: Acts::NONE,
        capability: Capability::default(),
        limits: Limits::BUILTIN,
    })
}

/// A small generator of pseudo-random numbers (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }
}
