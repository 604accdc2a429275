//! Bytes of a log, cut into lines, from files or from memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::directory::Piece;
use crate::record::LINE_BYTES_MAX;

/// Where lines come from.
pub(crate) enum Source<'a> {
    /// The files of a log, each as long as it was when it was looked at.
    Pieces(&'a [Piece]),
    /// One file.
    File(&'a Path),
    /// Bytes in memory.
    Text(&'a [u8]),
}

/// Reads line after line.
pub(crate) struct Lines<'a> {
    source: Source<'a>,
    reader: Option<Box<dyn BufRead + 'a>>,
    /// Pieces that were opened.
    opened: usize,
    /// The line that was read last, without its line break.
    pub(crate) bytes: Vec<u8>,
    /// Where it stands.
    pub(crate) at: At,
}

/// The place of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) path: PathBuf,
    /// The number of its file.
    pub(crate) file: u32,
    /// From 1; 0 before the first line of a file.
    pub(crate) line: u64,
    /// The byte of the file that it begins with.
    pub(crate) start: u64,
    /// The byte behind it.
    pub(crate) end: u64,
    /// Whether a line break ends it.
    pub(crate) is_ended: bool,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(source: Source<'a>) -> Lines<'a> {
        Lines { source, reader: None, opened: 0, bytes: Vec::new(), at: At::default() }
    }

    /// Goes to the next line; `false` behind the last. A line that is longer than any line may be is cut.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        loop {
            if self.reader.is_none() && !self.open()? {
                return Ok(false);
            }
            let Some(reader) = &mut self.reader else { return Ok(false) };
            self.bytes.clear();
            let length = reader.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut self.bytes)?;
            if length == 0 {
                self.reader = None;
                continue;
            }
            self.at.line += 1;
            self.at.start = self.at.end;
            self.at.end += length as u64;
            self.at.is_ended = self.bytes.pop_if(|byte| *byte == b'\n').is_some();
            return Ok(true);
        }
    }

    fn open(&mut self) -> io::Result<bool> {
        let nth = self.opened;
        self.opened += 1;
        let (reader, path, file): (Box<dyn BufRead + 'a>, &Path, u32) = match self.source {
            Source::Pieces(pieces) => {
                let Some(piece) = pieces.get(nth) else { return Ok(false) };
                let reader = BufReader::new(File::open(&piece.path)?.take(piece.bytes));
                (Box::new(reader), &piece.path, piece.number)
            }
            Source::File(path) if nth == 0 => (Box::new(BufReader::new(File::open(path)?)), path, 1),
            Source::Text(text) if nth == 0 => (Box::new(text), Path::new("log"), 1),
            Source::File(_) | Source::Text(_) => return Ok(false),
        };
        self.reader = Some(reader);
        self.at = At { path: path.to_owned(), file, ..At::default() };
        Ok(true)
    }
}
