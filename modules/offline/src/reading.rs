//! Reads one file by many calls of `read_file`, slice by slice, and hands its lines to what gathers facts.

use crate::carry::{carry, quoted};
use crate::facts::Facts;
use crate::words;

/// Slices asked for in one turn. Their results must stay in the transcript until the next turn has read them.
pub(crate) const SLICES_PER_TURN_MAX: usize = 8;
/// Slices of one file, those included that came too early to be used.
pub(crate) const SLICES_MAX: u64 = 184;
/// Bytes of one file: what the slices hold when each is full.
pub(crate) const BYTES_MAX: u64 = 5 << 20;
/// Bytes that are kept of a line that comes in pieces.
const PARTIAL_BYTES_MAX: usize = 16 << 10;

/// Whether a piece of text is the end of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The line ends with it.
    Complete,
    /// The line goes on.
    Open,
}

/// One part of a file, as `read_file` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice<'a> {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// `None` when the tool did not count to the end.
    pub(crate) total: Option<u64>,
    pub(crate) from_byte: Option<u64>,
    pub(crate) next_line: Option<u64>,
    pub(crate) next_byte: Option<u64>,
    pub(crate) text: &'a str,
}

impl<'a> Slice<'a> {
    /// Reads `NAME: lines A-B of N; continue with from_line=C`, and the text below it.
    pub(crate) fn parse(output: &'a str) -> Option<Slice<'a>> {
        let (head, text) = output.split_once('\n').unwrap_or((output, ""));
        let (_, range) = head.rsplit_once(": lines ").or_else(|| head.rsplit_once(": line "))?;
        let (first, rest) = leading_number(range)?;
        let (last, rest) = rest.strip_prefix('-').and_then(leading_number).unwrap_or((first, rest));
        let rest = rest.strip_prefix(" of ")?;
        let total = leading_number(rest).map(|(total, _)| total);
        let after =
            |key: &str| rest.find(key).and_then(|at| leading_number(&rest[at + key.len()..])).map(|(number, _)| number);
        Some(Slice {
            first,
            last: last.max(first),
            total,
            from_byte: after("from byte "),
            next_line: after("continue with from_line="),
            next_byte: after("continue with from_byte="),
            text,
        })
    }
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// One slice to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Lines { from: u64, count: Option<u64> },
    Bytes { from: u64 },
}

/// How far one file was read, and what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) path: String,
    next_line: u64,
    /// Where to go on within a long line; 0 at a line's beginning.
    next_byte: u64,
    pub(crate) lines_total: u64,
    lines_per_slice: u64,
    slices: u64,
    bytes: u64,
    partial: String,
    partial_bytes: u64,
    pub(crate) is_over: bool,
    /// Why it ended before the file did, or why there is nothing to tell.
    pub(crate) ending: Option<String>,
    pub(crate) facts: Option<Facts>,
}
carry!(Reading {
    path,
    next_line,
    next_byte,
    lines_total,
    lines_per_slice,
    slices,
    bytes,
    partial,
    partial_bytes,
    is_over,
    ending,
    facts
});

impl Reading {
    pub(crate) fn new(path: &str) -> Reading {
        Reading { path: path.to_owned(), next_line: 1, ..Reading::default() }
    }

    /// The last line that was read whole.
    pub(crate) fn lines_read(&self) -> u64 {
        self.next_line.saturating_sub(1)
    }

    /// The slices to ask for next; none when it is over.
    pub(crate) fn requests(&self) -> Vec<Request> {
        if self.is_over {
            return Vec::new();
        }
        if self.next_byte > 0 {
            return vec![Request::Bytes { from: self.next_byte }];
        }
        if self.lines_per_slice == 0 {
            return vec![Request::Lines { from: self.next_line, count: None }];
        }
        let room = SLICES_MAX.saturating_sub(self.slices).clamp(1, SLICES_PER_TURN_MAX as u64);
        let starts = (0..room).map(|n| self.next_line + n * self.lines_per_slice);
        let known = starts.take_while(|from| self.lines_total == 0 || *from <= self.lines_total);
        known.map(|from| Request::Lines { from, count: Some(self.lines_per_slice) }).collect()
    }

    /// The input of `read_file` for a request.
    pub(crate) fn input(&self, request: Request) -> String {
        let path = quoted(&self.path);
        match request {
            Request::Lines { from, count: Some(count) } => {
                format!(r#"{{"path":{path},"from_line":{from},"lines":{count}}}"#)
            }
            Request::Lines { from, count: None } => format!(r#"{{"path":{path},"from_line":{from}}}"#),
            Request::Bytes { from } => format!(r#"{{"path":{path},"from_byte":{from}}}"#),
        }
    }

    /// Takes in what a request brought. `false` when what follows in this turn cannot be used, because a part
    /// before it is still missing.
    pub(crate) fn take(&mut self, request: Request, output: &str) -> bool {
        self.slices += 1;
        let Some(slice) = Slice::parse(output) else {
            let line = output.lines().next().unwrap_or("");
            // A result that was folded away is asked for again, as long as there are slices left.
            if !line.starts_with("[folded away") {
                self.finish(Some(words::clip(line, 200)));
            } else if self.slices >= SLICES_MAX {
                self.finish(Some("its slices were folded away before they were read".to_owned()));
            }
            return false;
        };
        let expected = match request {
            Request::Lines { from, .. } => from == slice.first && from == self.next_line,
            Request::Bytes { from } => slice.from_byte == Some(from) && from == self.next_byte,
        };
        if !expected {
            return false;
        }
        if let Some(total) = slice.total {
            self.lines_total = total;
        }
        self.bytes += slice.text.len() as u64;
        self.feed(&slice);
        self.advance(request, &slice)
    }

    /// So many slices could not be used.
    pub(crate) fn discard(&mut self, slices: u64) {
        self.slices += slices;
    }

    fn feed(&mut self, slice: &Slice<'_>) {
        if self.facts.is_none() {
            self.facts = Some(Facts::detect(&self.path, slice.text));
        }
        let is_open = slice.next_byte.is_some();
        let text = slice.text.strip_suffix('\n').filter(|_| !is_open).unwrap_or(slice.text);
        let mut pieces = text.split('\n').peekable();
        let mut number = slice.first;
        while let Some(piece) = pieces.next() {
            let ending = if pieces.peek().is_none() && is_open { Ending::Open } else { Ending::Complete };
            self.piece(number, piece, ending);
            number += 1;
        }
    }

    fn piece(&mut self, number: u64, piece: &str, ending: Ending) {
        let Some(facts) = &mut self.facts else { return };
        if let Facts::Shape(shape) = facts {
            return shape.line(number, piece, ending);
        }
        if ending == Ending::Complete && self.partial_bytes == 0 {
            return facts.line(number, piece, piece.len() as u64);
        }
        let room = PARTIAL_BYTES_MAX.saturating_sub(self.partial.len());
        self.partial.push_str(words::head(piece, room));
        self.partial_bytes += piece.len() as u64;
        if ending == Ending::Complete {
            facts.line(number, &self.partial, self.partial_bytes);
            self.partial.clear();
            self.partial_bytes = 0;
        }
    }

    fn advance(&mut self, request: Request, slice: &Slice<'_>) -> bool {
        let lines = slice.last - slice.first + 1;
        self.next_byte = slice.next_byte.unwrap_or(0);
        if self.next_byte > 0 {
            self.next_line = slice.last;
            self.lines_per_slice = 1;
        } else {
            self.next_line = slice.next_line.unwrap_or(slice.last + 1);
        }
        let is_short = match request {
            Request::Lines { count: Some(count), .. } => lines < count && slice.next_line.is_some(),
            Request::Lines { count: None, .. } | Request::Bytes { .. } => true,
        };
        if is_short && self.next_byte == 0 {
            // A little less than what fitted, because lines differ in length.
            self.lines_per_slice = (lines * 17 / 20).max(1);
        }
        if slice.next_line.is_none() && slice.next_byte.is_none() {
            self.finish(None);
        } else if self.slices >= SLICES_MAX || self.bytes >= BYTES_MAX {
            self.finish(Some(format!(
                "no more than {} or {SLICES_MAX} slices are read of one file",
                words::bytes(BYTES_MAX)
            )));
        }
        !is_short && self.next_byte == 0 && !self.is_over
    }

    /// Ends the reading here.
    pub(crate) fn finish(&mut self, ending: Option<String>) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        self.ending = ending;
        if self.partial_bytes > 0 {
            let (text, bytes) = (std::mem::take(&mut self.partial), std::mem::take(&mut self.partial_bytes));
            if let Some(facts) = &mut self.facts {
                facts.line(self.next_line, &text, bytes);
            }
        }
        // A JSON text that was not read to its end is not wrong for ending early.
        let is_whole = self.ending.is_none();
        if let Some(facts) = self.facts.as_mut().filter(|facts| is_whole || !matches!(facts, Facts::Shape(_))) {
            facts.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows lines as the tool does, in at most `bytes_max` bytes.
    fn show(file: &str, request: Request, bytes_max: usize) -> String {
        let total = file.lines().count() as u64;
        let (start, first, count) = match request {
            Request::Lines { from, count } => {
                let start: usize = file.split_inclusive('\n').take(from as usize - 1).map(str::len).sum();
                (start, from, count.unwrap_or(u64::MAX))
            }
            Request::Bytes { from } => {
                (from as usize, file[..from as usize].matches('\n').count() as u64 + 1, u64::MAX)
            }
        };
        let rest = &file[start..];
        let wanted: usize = rest.split_inclusive('\n').take(count.min(1 << 40) as usize).map(str::len).sum();
        let mut end = start + wanted.min(bytes_max);
        let mut head = String::new();
        if wanted > bytes_max {
            end = file[start..end].rfind('\n').map_or(end, |at| start + at + 1);
        }
        let is_cut = end < file.len() && !file[..end].ends_with('\n');
        let last = first + file[start..end].trim_end_matches('\n').matches('\n').count() as u64;
        if let Request::Bytes { from } = request {
            head += &format!(", from byte {from}");
        }
        if is_cut {
            head += &format!("; line {last} is cut: continue with from_byte={end}");
        } else if end < file.len() {
            head += &format!("; continue with from_line={}", last + 1);
        }
        format!("x: lines {first}-{last} of {total}{head}\n{}", &file[start..end])
    }

    fn read(path: &str, file: &str, bytes_max: usize) -> (Reading, usize) {
        let mut reading = Reading::new(path);
        let mut turns = 0;
        while !reading.is_over {
            turns += 1;
            for request in reading.requests() {
                if !reading.take(request, &show(file, request, bytes_max)) {
                    break;
                }
            }
            reading = crate::carry::read(&crate::carry::write(&reading)).unwrap();
            assert!(turns < 1000);
        }
        (reading, turns)
    }

    #[test]
    fn slices_are_parsed() {
        let slice = Slice::parse(
            "a: lines b.log: lines 3-9 of more than 12; continue with from_line=10; invalid UTF-8 shown as x\nt\n",
        );
        assert_eq!(
            slice,
            Some(Slice {
                first: 3,
                last: 9,
                total: None,
                from_byte: None,
                next_line: Some(10),
                next_byte: None,
                text: "t\n"
            })
        );
        let slice = Slice::parse("a: lines 1-1 of 4, from byte 7; line 1 is cut: continue with from_byte=30\nt");
        assert_eq!(
            slice,
            Some(Slice {
                first: 1,
                last: 1,
                total: Some(4),
                from_byte: Some(7),
                next_line: None,
                next_byte: Some(30),
                text: "t"
            })
        );
        for wrong in [
            "",
            "a",
            "a: lines ",
            "a: lines 1",
            "a: lines x-2 of 3",
            "a: lines 99999999999999999999-2 of 3",
            "a: empty file (0 bytes)",
        ] {
            assert_eq!(Slice::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_is_the_same_in_slices_of_any_size() {
        let mut file = String::new();
        for n in 0..400 {
            file += &format!("2026-11-19T03:{:02}:{:02}Z INFO {} took {n}ms\n", n / 60, n % 60, "x".repeat(n % 90));
        }
        file += &format!("2026-11-19T04:00:00Z ERROR {}\n2026-11-19T04:00:01Z INFO end", "y".repeat(9000));
        let (whole, turns) = read("a.log", &file, 1 << 20);
        assert_eq!((turns, whole.lines_read(), whole.ending.as_deref()), (1, 402, None));
        for bytes_max in [200, 1000, 5000, 20_000] {
            let (sliced, _) = read("a.log", &file, bytes_max);
            if sliced.ending.is_none() {
                assert_eq!(sliced.facts, whole.facts, "{bytes_max}");
            } else {
                assert!(sliced.slices >= SLICES_MAX && sliced.lines_read() > 50, "{bytes_max}: {:?}", sliced.ending);
            }
        }
    }

    #[test]
    fn json_in_one_long_line_is_read_in_pieces() {
        let file = format!(
            "[{}]",
            (0..3000).map(|n| format!("{{\"id\":{n},\"name\":\"n{n}\"}}")).collect::<Vec<_>>().join(",")
        );
        let (whole, _) = read("a.json", &file, 1 << 20);
        let (sliced, turns) = read("a.json", &file, 4000);
        assert_eq!((sliced.facts, sliced.ending), (whole.facts, None));
        assert!(turns > 10);
    }

    #[test]
    fn what_cannot_be_read_ends_it() {
        let mut reading = Reading::new("a.bin");
        assert!(
            !reading.take(
                Request::Lines { from: 1, count: None },
                "a.bin: PNG image, 12 bytes; not text, so it is not shown"
            )
        );
        assert_eq!(reading.ending.as_deref(), Some("a.bin: PNG image, 12 bytes; not text, so it is not shown"));
        assert!(reading.requests().is_empty());
        let mut folded = Reading::new("a.log");
        for n in 0..SLICES_MAX {
            assert!(!folded.is_over, "{n}");
            folded.take(
                folded.requests()[0],
                "[folded away: 32000 bytes of read_file; run the tool again if it is needed]",
            );
        }
        assert!(folded.is_over);
    }
}
