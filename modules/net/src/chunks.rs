//! The chunked transfer coding, decoded as the bytes come (RFC 9112 section 7.1).

use crate::fault::Fault;

/// Bytes between two pieces of data that are not data: sizes, extensions, trailers.
const OVERHEAD_BYTES_MAX: u32 = 16 * 1024;

/// Hexadecimal digits of a chunk's size.
const DIGITS_MAX: u8 = 15;

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    TrailerStart,
    Trailer,
    TrailerEnd,
    LastEnd,
    Over,
}

/// A decoder of one chunked body (RFC 9112 section 7.1). It may be fed in pieces of any size.
#[derive(Debug)]
pub struct Chunks {
    place: Place,
    /// Of this chunk: what was read of its size, then what is missing of its data. Bytes.
    left: u64,
    digits: u8,
    overhead: u32,
}

/// Bytes that are no chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenChunks;

impl std::fmt::Display for BrokenChunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a chunk that does not begin or end as chunks do")
    }
}

impl std::error::Error for BrokenChunks {}

impl Default for Chunks {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunks {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self { place: Place::Size, left: 0, digits: 0, overhead: 0 }
    }

    /// Decodes `input` up to the end of the body, trailers included, and appends the data to `out`. Returns how many bytes
    /// were used.
    ///
    /// # Errors
    ///
    /// [`BrokenChunks`] for what is not chunked, and for sizes, extensions and trailers without end.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, BrokenChunks> {
        self.feed(input, out).map_err(|_| BrokenChunks)
    }

    /// Whether the body is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Decodes `input` up to the end of the body and appends the data to `out`. Returns how many bytes were used.
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty() && !self.is_over()) {
            if self.place == Place::Data {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                out.extend_from_slice(&rest[..take]);
                self.left -= take as u64;
                at += take;
                if self.left == 0 {
                    self.place = Place::DataReturn;
                }
            } else {
                self.step(rest[0])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<(), Fault> {
        self.overhead += 1;
        if self.overhead > OVERHEAD_BYTES_MAX {
            return Err(Fault::Protocol("a chunk whose size or trailers are too long".into()));
        }
        self.place = match (self.place, byte) {
            (Place::Size, b'\r') if self.digits > 0 => Place::SizeEnd,
            (Place::Size, b';' | b' ' | b'\t') if self.digits > 0 => Place::Extension,
            (Place::Size, digit) if digit.is_ascii_hexdigit() && self.digits < DIGITS_MAX => {
                self.digits += 1;
                self.left = self.left * 16 + u64::from(char::from(digit).to_digit(16).unwrap_or(0));
                Place::Size
            }
            (Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Extension, other) if other != b'\n' => Place::Extension,
            (Place::SizeEnd, b'\n') if self.left == 0 => Place::TrailerStart,
            (Place::SizeEnd, b'\n') => {
                self.overhead = 0;
                Place::Data
            }
            (Place::DataReturn, b'\r') => Place::DataEnd,
            (Place::DataEnd, b'\n') => {
                self.digits = 0;
                Place::Size
            }
            (Place::TrailerStart, b'\r') => Place::LastEnd,
            (Place::Trailer, b'\r') => Place::TrailerEnd,
            (Place::TrailerStart | Place::Trailer, other) if other != b'\n' => Place::Trailer,
            (Place::TrailerEnd, b'\n') => Place::TrailerStart,
            (Place::LastEnd, b'\n') => Place::Over,
            _ => return Err(Fault::Protocol("a chunk that does not begin or end as chunks do".into())),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of pieces of these sizes: the data, how many bytes were used, whether the body is over.
    fn fed(input: &[u8], piece: usize) -> Option<(Vec<u8>, usize, bool)> {
        let (mut chunks, mut out, mut used) = (Chunks::new(), Vec::new(), 0);
        for bytes in input.chunks(piece.max(1)) {
            used += chunks.feed(bytes, &mut out).ok()?;
        }
        Some((out, used, chunks.is_over()))
    }

    #[test]
    fn bodies_read_the_same_in_pieces_of_any_size() {
        for (input, want) in [
            (&b"0\r\n\r\n"[..], &b""[..]),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5;a=\"b\"\r\nhello\r\n6 \r\n world\r\n000\r\nx: y\r\nz: w\r\n\r\n", b"hello world"),
            (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"),
            (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        ] {
            for piece in 1..=input.len() {
                assert_eq!(fed(input, piece), Some((want.to_vec(), input.len(), true)), "pieces of {piece}");
            }
            let mut data = Vec::new();
            assert_eq!(Chunks::default().decode(input, &mut data), Ok(input.len()));
            assert_eq!(data, want);
            let mut more = input.to_vec();
            more.extend_from_slice(b"HTTP/1.1 200 OK");
            assert_eq!(fed(&more, more.len()).map(|(_, used, _)| used), Some(input.len()), "what follows is left");
            for cut in 0..input.len() {
                assert!(fed(&input[..cut], 3).is_some_and(|(_, _, over)| !over), "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for input in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"5\nhello",
            b"5\r\nhelloX",
            b"5\r\nhello\rX",
            b"5\r\rhello",
            b"5;\n",
            b"0\r\nx: y\n",
            b"0\r\n\rX",
            b"1234567812345678\r\n",
        ] {
            for piece in 1..=input.len() {
                assert_eq!(fed(input, piece), None, "{:?}", String::from_utf8_lossy(input));
            }
            assert_eq!(Chunks::new().decode(input, &mut Vec::new()), Err(BrokenChunks));
        }
        let mut endless = b"0\r\n".to_vec();
        endless.extend(std::iter::repeat_n(b"x: y\r\n", 10_000).flatten());
        assert_eq!(fed(&endless, 100), None, "trailers are bounded");
    }

    /// A seeded walk: data cut into random chunks, coded, cut into random pieces, comes out as it went in.
    #[test]
    fn random_chunks_in_random_pieces() {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).expect("fits") % below
        };
        for _ in 0..500 {
            let data: Vec<u8> = (0..next(2_000)).map(|at| (at % 256) as u8).collect();
            let (mut coded, mut rest) = (Vec::new(), &data[..]);
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(1 + next(rest.len()));
                coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                coded.extend_from_slice(chunk);
                coded.extend_from_slice(b"\r\n");
                rest = after;
            }
            coded.extend_from_slice(b"0\r\n\r\n");
            let (mut chunks, mut out, mut pieces) = (Chunks::new(), Vec::new(), &coded[..]);
            while !pieces.is_empty() {
                let (piece, after) = pieces.split_at(1 + next(pieces.len()));
                assert!(matches!(chunks.feed(piece, &mut out), Ok(used) if used == piece.len()));
                pieces = after;
            }
            assert!(chunks.is_over() && out == data);
        }
    }
}
