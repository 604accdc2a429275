//! `search_text`: the lines that match, in one file or in all beneath a directory.

use std::sync::Arc;

use aether_core::capability::{Capability, Place};
use aether_core::tool::{Authorized, EntryKind, Hands, HandsError, Limits, Manifest, Needs, Output, Runtime, Tool};
use regex_lite::{Regex, RegexBuilder};

use crate::charset::binary_kind;
use crate::glob::Glob;
use crate::input::{Input, Kind, Shape, optional, required};
use crate::page::{self, HEADER_BYTES_MAX};
use crate::scope::{Scope, file_label, shown};
use crate::walk::{DEPTH_MAX, Met, Next, walk};

const SHAPE: Shape = Shape(&[
    required("pattern", Kind::Text, ""),
    optional("path", Kind::Text, ""),
    optional("glob", Kind::Text, ""),
    optional("literal", Kind::Flag, ""),
    optional("ignore_case", Kind::Flag, ""),
    optional("context", Kind::Whole { min: 0, max: 10 }, "lines around each match"),
]);

/// The most matching lines in all, and in one file.
const MATCHES_MAX: usize = 500;
const MATCHES_PER_FILE_MAX: usize = 100;
/// The most bytes of one file that are searched.
const FILE_BYTES_MAX: usize = 32 << 20;
/// The most bytes of one line that are searched, and shown.
const LINE_BYTES_MAX: usize = 64 << 10;
const LINE_SHOWN_BYTES: usize = 300;
/// The most bytes of a compiled pattern. A line takes at most so many steps per byte as that has states.
const REGEX_BYTES_MAX: usize = 64 << 10;
/// After so many bytes of text, hands are asked whether the call goes on (T6).
const POLL_BYTES: usize = 256 << 10;

/// The tool.
pub(crate) struct SearchText {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl SearchText {
    pub(crate) fn new(scope: Arc<Scope>) -> SearchText {
        let manifest = Arc::new(Manifest {
            name: "search_text".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Search files line by line with a regex.".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: scope.read_acts(),
            capability: Capability::default().with_read(scope.places()),
            limits: Limits::BUILTIN,
        });
        SearchText { manifest, scope }
    }
}

impl Tool for SearchText {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        let input = SHAPE.read(input)?;
        Pattern::parse(&input)?;
        input.text("glob").map(Glob::parse).transpose()?;
        Ok(self.scope.reading(self.scope.place(input.text("path").unwrap_or("."))?))
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let place = self.scope.place(input.text("path").unwrap_or("."))?;
        let glob = input.text("glob").map(Glob::parse).transpose()?;
        let mut search = Search {
            pattern: Pattern::parse(&input)?,
            context: input.whole("context").and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            bytes_max: page::bytes_max(call).saturating_sub(HEADER_BYTES_MAX),
            found: Found::default(),
            text: String::new(),
        };
        let left_out = walk(hands, &place, DEPTH_MAX, |hands, met| {
            let is_wanted =
                met.entry.kind == EntryKind::File && glob.as_ref().is_none_or(|glob| glob.matches(&met.path));
            if is_wanted { search.file(hands, &met) } else { Ok(Next::Continue) }
        })?;
        Ok(page::done(call, search.told(&left_out.told()), file_label()))
    }
}

enum Pattern {
    Literal(String),
    Regex(Regex),
}

impl Pattern {
    fn parse(input: &Input) -> Result<Pattern, String> {
        let text = input.required("pattern");
        if text.is_empty() {
            return Err("`pattern` is empty; give the text to search for".into());
        }
        let is_plain = !text.contains(['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$']);
        if (input.is_set("literal") || is_plain) && !input.is_set("ignore_case") {
            return Ok(Pattern::Literal(text.to_owned()));
        }
        let escaped = if input.is_set("literal") { regex_lite::escape(text) } else { text.to_owned() };
        let mut builder = RegexBuilder::new(&escaped);
        builder.case_insensitive(input.is_set("ignore_case")).size_limit(REGEX_BYTES_MAX);
        let regex = builder.build();
        let explained =
            |error| format!("`pattern` is no regular expression: {error}; literal=true searches for it as it is");
        regex.map(Pattern::Regex).map_err(explained)
    }

    fn is_in(&self, line: &str) -> bool {
        match self {
            Pattern::Literal(text) => line.contains(text.as_str()),
            Pattern::Regex(regex) => regex.is_match(line),
        }
    }
}

#[derive(Default)]
struct Found {
    files: usize,
    searched: usize,
    matches: usize,
    /// Matches that were found but not shown.
    hidden: usize,
    binary: usize,
    unreadable: usize,
    shortened: usize,
    is_cut: bool,
}

struct Search {
    pattern: Pattern,
    context: usize,
    bytes_max: usize,
    found: Found,
    text: String,
}

impl Search {
    fn file(&mut self, hands: &mut dyn Hands, met: &Met) -> Result<Next, String> {
        let bytes = match hands.read(&met.place, 0, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(HandsError::Stopped) => return Err(HandsError::Stopped.to_string()),
            Err(_) => {
                self.found.unreadable += 1;
                return Ok(Next::Continue);
            }
        };
        if binary_kind(&bytes).is_some() {
            self.found.binary += 1;
            return Ok(Next::Continue);
        }
        self.found.searched += 1;
        self.found.shortened += usize::from(bytes.len() == FILE_BYTES_MAX);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let hits = self.hits(&lines, hands)?;
        if hits.is_empty() {
            return Ok(Next::Continue);
        }
        self.found.files += 1;
        self.found.matches += hits.len();
        let room = MATCHES_MAX.saturating_sub(self.found.matches - self.found.hidden - hits.len());
        let shown = self.show(&met.place, &lines, &hits[..hits.len().min(MATCHES_PER_FILE_MAX).min(room)]);
        self.found.hidden += hits.len() - shown;
        if self.found.matches - self.found.hidden >= MATCHES_MAX || shown < hits.len().min(MATCHES_PER_FILE_MAX) {
            self.found.is_cut = true;
            return Ok(Next::Enough);
        }
        Ok(Next::Continue)
    }

    fn hits(&self, lines: &[&str], hands: &mut dyn Hands) -> Result<Vec<usize>, String> {
        let mut hits = Vec::new();
        let mut unpolled = 0;
        for (n, line) in lines.iter().enumerate() {
            let line = &line[..page::floor(line, LINE_BYTES_MAX)];
            unpolled += line.len() + 1;
            if unpolled >= POLL_BYTES {
                unpolled = 0;
                hands.clock().map_err(|error| error.to_string())?;
            }
            if self.pattern.is_in(line) {
                hits.push(n);
            }
        }
        Ok(hits)
    }

    /// Shows matches as `path:line: text` and lines around them as `path-line- text`; how many matches fitted.
    fn show(&mut self, place: &Place, lines: &[&str], hits: &[usize]) -> usize {
        let path = shown(place);
        let mut next = 0;
        for (count, hit) in hits.iter().enumerate() {
            let from = hit.saturating_sub(self.context).max(next);
            let until = (hit + self.context + 1).min(lines.len());
            let mut block = String::new();
            if self.context > 0 && !self.text.is_empty() && (from > next || count == 0) {
                block.push_str("--\n");
            }
            for (n, line) in lines.iter().enumerate().take(until).skip(from) {
                // A line that matches by itself has its own turn, but where it stands in this one's context.
                let mark = if n == *hit || hits.binary_search(&n).is_ok() { ':' } else { '-' };
                block.push_str(&format!(
                    "{path}{mark}{}{mark} {}\n",
                    n + 1,
                    page::clipped(line.trim_end(), LINE_SHOWN_BYTES)
                ));
            }
            if self.text.len() + block.len() > self.bytes_max {
                return count;
            }
            self.text.push_str(&block);
            next = next.max(until);
        }
        hits.len()
    }

    fn told(self, left_out: &str) -> String {
        let found = self.found;
        let mut head = format!(
            "{} in {} of {} searched",
            page::counted(found.matches, "match", "matches"),
            page::counted(found.files, "file", "files"),
            found.searched
        );
        if found.hidden > 0 || found.is_cut {
            let so_far = if found.is_cut { " so far, not all files searched" } else { "" };
            head.push_str(&format!(
                "{so_far}; {} shown, narrow pattern, path or glob to see the rest",
                found.matches - found.hidden
            ));
        }
        let skipped = [
            (found.binary, "binary"),
            (found.unreadable, "unreadable"),
            (found.shortened, "only searched in its first 32 MiB"),
        ];
        for (count, what) in skipped.iter().filter(|(count, _)| *count > 0) {
            head.push_str(&format!("; {count} {what}"));
        }
        if !left_out.is_empty() {
            head.push_str(&format!("; {left_out}"));
        }
        format!("{head}\n{}", self.text)
    }
}
