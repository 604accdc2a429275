//! Lines of a file, each with a limit, and what is behind the last whole one.

use std::io::{self, BufRead};

/// The longest record, in bytes, its line break included.
pub const RECORD_BYTES_MAX: u64 = 64 << 20;

/// One line as it was found.
pub(crate) struct Line {
    /// Bytes in the file, the line break included.
    pub(crate) bytes: u64,
    /// Whether a line break ends it.
    pub(crate) is_ended: bool,
}

/// Reads the next line into `buffer`, at most `kept_max` bytes of it and without its line break; `None` at the
/// end of the file.
pub(crate) fn next(reader: &mut dyn BufRead, buffer: &mut Vec<u8>, kept_max: u64) -> io::Result<Option<Line>> {
    buffer.clear();
    let mut line = Line { bytes: 0, is_ended: false };
    loop {
        let available = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        if available.is_empty() {
            return Ok((line.bytes > 0).then_some(line));
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let piece = &available[..end.unwrap_or(available.len())];
        let room = usize::try_from(kept_max).unwrap_or(usize::MAX).saturating_sub(buffer.len());
        buffer.extend_from_slice(&piece[..piece.len().min(room)]);
        let taken = piece.len() + usize::from(end.is_some());
        line.bytes += taken as u64;
        reader.consume(taken);
        if end.is_some() {
            line.is_ended = true;
            return Ok(Some(line));
        }
    }
}
