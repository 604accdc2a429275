//! Values drawn from the fuzzer's bytes.

use std::ops::Range;

/// The most places at which one body is cut.
const CUTS_MAX: usize = 8;

/// The bytes that are left. Drawing from none gives zeros and empty texts.
#[derive(Clone, Debug)]
pub struct Draw<'a> {
    left: &'a [u8],
}

impl<'a> Draw<'a> {
    /// Draws from these.
    pub fn new(bytes: &'a [u8]) -> Draw<'a> {
        Draw { left: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        *first
    }

    /// Whether the next byte is odd.
    pub fn is_odd(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number within `range`, from two bytes.
    pub fn within(&mut self, range: Range<usize>) -> usize {
        let drawn = usize::from(self.byte()) | usize::from(self.byte()) << 8;
        range.start + drawn % range.len().max(1)
    }

    /// Eight bytes, the least first.
    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, n| number | u64::from(self.byte()) << (8 * n))
    }

    /// One of these, from one byte.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// What comes before the next `0xFF`, as text; foreign bytes become U+FFFD.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.chunk()).into_owned()
    }

    /// What comes before the next `0xFF`.
    pub fn chunk(&mut self) -> &'a [u8] {
        let end = self.left.iter().position(|byte| *byte == 0xFF);
        let chunk = &self.left[..end.unwrap_or(self.left.len())];
        self.left = &self.left[end.map_or(self.left.len(), |end| end + 1)..];
        chunk
    }

    /// Bytes behind their length, which has two bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.within(0..1 << 16).min(self.left.len());
        let (bytes, rest) = self.left.split_at(length);
        self.left = rest;
        bytes
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// All that is left, as text.
    pub fn rest_text(&mut self) -> String {
        String::from_utf8_lossy(self.rest()).into_owned()
    }

    /// All that is left, in pieces. How many cuts there are and where stands before it.
    pub fn pieces(&mut self) -> (&'a [u8], Vec<&'a [u8]>) {
        let cuts: Vec<usize> = (0..self.within(0..CUTS_MAX + 1)).map(|_| self.within(0..1 << 16)).collect();
        let whole = self.rest();
        let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut % (whole.len() + 1)).collect();
        places.sort_unstable();
        places.push(whole.len());
        let mut from = 0;
        let pieces = places.into_iter().map(|to| &whole[std::mem::replace(&mut from, to)..to]).collect();
        (whole, pieces)
    }
}
