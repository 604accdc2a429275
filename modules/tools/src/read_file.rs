//! `read_file`: a part of a text file, with a first line that says which part and how to go on.

use std::sync::Arc;

use aether_core::capability::{Capability, Place};
use aether_core::tool::{Authorized, Hands, Limits, Manifest, Needs, Output, Runtime, Tool};

use crate::charset::{SNIFF_BYTES, binary_kind};
use crate::input::{Kind, Shape, optional, required};
use crate::page::{self, HEADER_BYTES_MAX};
use crate::scope::{Scope, explained, file_label, shown};

const SHAPE: Shape = Shape(&[
    required("path", Kind::Text, ""),
    optional("from_line", Kind::Whole { min: 1, max: u32::MAX as u64 }, ""),
    optional("lines", Kind::Whole { min: 1, max: u32::MAX as u64 }, ""),
    optional("from_byte", Kind::Whole { min: 0, max: 1 << 50 }, "continue inside a long line"),
]);

/// Beyond so many bytes after what is shown, lines are no longer counted.
const COUNT_BYTES_MAX: u64 = 64 << 20;
const PIECE_BYTES: usize = 256 << 10;

/// The tool.
pub(crate) struct ReadFile {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl ReadFile {
    pub(crate) fn new(scope: Arc<Scope>) -> ReadFile {
        let manifest = Arc::new(Manifest {
            name: "read_file".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Read a text file. The first line of output says which lines follow and how to continue."
                .into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: scope.read_acts(),
            capability: Capability::default().with_read(scope.places()),
            limits: Limits::BUILTIN,
        });
        ReadFile { manifest, scope }
    }
}

impl Tool for ReadFile {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        let input = SHAPE.read(input)?;
        Ok(self.scope.reading(self.scope.place(input.required("path"))?))
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let place = self.scope.place(input.required("path"))?;
        let wanted = Wanted {
            from_line: input.whole("from_line").unwrap_or(1),
            lines_max: input.whole("lines").unwrap_or(u64::MAX),
            from_byte: input.whole("from_byte").unwrap_or(0),
            bytes_max: page::bytes_max(call).saturating_sub(HEADER_BYTES_MAX).max(64),
        };
        if wanted.from_byte > 0 && wanted.from_line > 1 {
            return Err("give from_line or from_byte, not both".into());
        }
        let text = read(&wanted, &place, hands)?;
        Ok(page::done(call, text, file_label()))
    }
}

struct Wanted {
    from_line: u64,
    lines_max: u64,
    from_byte: u64,
    bytes_max: usize,
}

/// What one pass over the file found.
#[derive(Default)]
struct Found {
    /// Bytes read so far: the file's size once its end was seen.
    bytes: u64,
    /// Line ends before what is shown.
    lines_before: u64,
    /// Line ends in all.
    line_ends: u64,
    /// Where what is shown begins.
    start: Option<u64>,
    shown: Vec<u8>,
    /// Line ends in `shown`.
    shown_lines: u64,
    is_full: bool,
    last: Option<u8>,
    has_end: bool,
}

fn read(wanted: &Wanted, place: &Place, hands: &mut dyn Hands) -> Result<String, String> {
    let mut found = Found::default();
    loop {
        let piece = hands.read(place, found.bytes, PIECE_BYTES).map_err(|error| explained(place, &error))?;
        if found.bytes == 0
            && let Some(kind) = binary_kind(&piece[..piece.len().min(SNIFF_BYTES)])
        {
            let bytes = size(place, hands, piece.len() as u64)?;
            return Ok(format!("{}: {kind}, {bytes}; not text, so it is not shown", shown(place)));
        }
        if piece.is_empty() {
            found.has_end = true;
            break;
        }
        found.take(&piece, wanted);
        let shown_until = found.start.map(|start| start + found.shown.len() as u64);
        if found.is_full && shown_until.is_some_and(|until| found.bytes - until > COUNT_BYTES_MAX) {
            break;
        }
    }
    found.told(wanted, place)
}

/// The size of a file that is not shown: as listed, or what was read at least.
fn size(place: &Place, hands: &mut dyn Hands, read: u64) -> Result<String, String> {
    match hands.list(place) {
        Ok(entries) if entries.len() == 1 => Ok(format!("{} bytes", entries[0].bytes)),
        Err(aether_core::tool::HandsError::Stopped) => Err(aether_core::tool::HandsError::Stopped.to_string()),
        _ => Ok(format!("at least {read} bytes")),
    }
}

impl Found {
    fn take(&mut self, piece: &[u8], wanted: &Wanted) {
        let mut rest = piece;
        while self.start.is_none() && !rest.is_empty() {
            let at = self.bytes + (piece.len() - rest.len()) as u64;
            let is_here =
                if wanted.from_byte > 0 { at >= wanted.from_byte } else { self.lines_before + 1 >= wanted.from_line };
            if is_here {
                self.start = Some(at);
                break;
            }
            let stop = if wanted.from_byte > 0 {
                usize::try_from(wanted.from_byte - at).map_or(rest.len(), |left| left.min(rest.len()))
            } else {
                rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |n| n + 1)
            };
            let ends = line_ends(&rest[..stop]);
            self.lines_before += ends;
            self.line_ends += ends;
            rest = &rest[stop..];
        }
        self.line_ends += line_ends(rest);
        while !self.is_full && !rest.is_empty() {
            let line = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |n| n + 1);
            let room = wanted.bytes_max - self.shown.len();
            self.shown.extend_from_slice(&rest[..line.min(room)]);
            if line > room {
                self.is_full = true;
                break;
            }
            self.shown_lines += u64::from(rest[line - 1] == b'\n');
            self.is_full = self.shown_lines >= wanted.lines_max;
            rest = &rest[line..];
        }
        self.bytes += piece.len() as u64;
        self.last = piece.last().copied().or(self.last);
    }

    fn told(mut self, wanted: &Wanted, place: &Place) -> Result<String, String> {
        let name = shown(place);
        let is_open_ended = self.last.is_some_and(|last| last != b'\n');
        let total = self.line_ends + u64::from(is_open_ended);
        if self.has_end && self.bytes == 0 {
            return Ok(format!("{name}: empty file (0 bytes)"));
        }
        let Some(start) = self.start else {
            let (asked, has) = if wanted.from_byte > 0 {
                (format!("from_byte={}", wanted.from_byte), format!("{} bytes", self.bytes))
            } else {
                (format!("from_line={}", wanted.from_line), format!("{total} lines"))
            };
            return Err(format!("`{name}` has {has}; {asked} is beyond its end"));
        };
        let is_all = self.has_end && start + self.shown.len() as u64 == self.bytes;
        let cut_line = self.trim(wanted.bytes_max, is_all);
        let end = start + self.shown.len() as u64;
        let first = self.lines_before + 1;
        let ends = line_ends(&self.shown);
        let last = if self.shown.last() == Some(&b'\n') { first + ends - 1 } else { first + ends };
        let total = if self.has_end { total.to_string() } else { format!("more than {total}") };
        let mut head = format!("{name}: lines {first}-{last} of {total}");
        if wanted.from_byte > 0 {
            head.push_str(&format!(", from byte {start}"));
        }
        if cut_line {
            head.push_str(&format!("; line {last} is cut: continue with from_byte={end}"));
        } else if !is_all {
            head.push_str(&format!("; continue with from_line={}", last + 1));
        }
        let text = String::from_utf8_lossy(&self.shown);
        if let std::borrow::Cow::Owned(_) = text {
            head.push_str("; invalid UTF-8 shown as \u{fffd}");
        }
        let mut text = text.into_owned();
        if text.contains("\r\n") {
            head.push_str("; line ends are CRLF");
            text = text.replace("\r\n", "\n");
        }
        if is_all && is_open_ended {
            head.push_str("; no line end at the end");
        }
        Ok(format!("{head}\n{text}"))
    }

    /// Ends what is shown at a line end, or, where it is part of one long line, between two characters. Whether
    /// the last line is cut. Bytes that are no UTF-8 grow threefold when shown; what is shown shrinks accordingly.
    fn trim(&mut self, bytes_max: usize, is_all: bool) -> bool {
        let mut end = self.shown.len();
        while end > 1 && String::from_utf8_lossy(&self.shown[..end]).len() > bytes_max {
            end = end * 2 / 3;
        }
        let is_whole = end == self.shown.len() && (is_all || self.shown.last() == Some(&b'\n'));
        self.shown.truncate(end);
        if is_whole {
            return false;
        }
        if let Some(line_end) = self.shown.iter().rposition(|b| *b == b'\n') {
            self.shown.truncate(line_end + 1);
            return false;
        }
        let border = (0..4).find(|back| {
            let at = self.shown.len().saturating_sub(*back);
            std::str::from_utf8(&self.shown[..at]).is_ok()
        });
        self.shown.truncate(self.shown.len() - border.unwrap_or(0).min(self.shown.len()));
        true
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
