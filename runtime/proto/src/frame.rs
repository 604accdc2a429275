//! Length-prefixed messages in a stream of bytes (gRPC over HTTP2, "Length-Prefixed-Message").

use std::fmt;

use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes before each message: one that says whether it is compressed, four for its length.
pub const FRAME_HEAD_BYTES: usize = 5;

/// Writes `message` with its prefix behind what `out` holds.
///
/// # Errors
/// [`FrameError::TooLong`] if it is longer than `bytes_max`; `out` is as it was.
pub fn put<M: Message>(message: &M, bytes_max: usize, out: &mut BytesMut) -> Result<(), FrameError> {
    let bytes = message.encoded_len();
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= bytes_max);
    let length = length.ok_or(FrameError::TooLong { bytes: bytes as u64, bytes_max })?;
    out.reserve(FRAME_HEAD_BYTES + bytes);
    out.put_u8(0);
    out.put_u32(length);
    message.encode_raw(out);
    Ok(())
}

/// Finds the messages in a stream that comes in pieces of any size.
#[derive(Debug)]
pub struct Frames {
    held: BytesMut,
    bytes_max: usize,
}

impl Frames {
    /// For messages of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Frames {
        Frames { held: BytesMut::new(), bytes_max }
    }

    /// Takes in what came next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` until more has come. To hold no more than one message and one piece, call it
    /// until `None` after each [`Frames::push`].
    ///
    /// # Errors
    /// [`FrameError::TooLong`] as soon as the prefix of a message that is too long is known; [`FrameError::Compressed`].
    /// After an error the stream is of no more use.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((head, _)) = self.held.split_first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
        let [flag, length @ ..] = *head;
        if flag != 0 {
            return Err(FrameError::Compressed);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > self.bytes_max {
            return Err(FrameError::TooLong { bytes: length as u64, bytes_max: self.bytes_max });
        }
        if self.held.len() - FRAME_HEAD_BYTES < length {
            return Ok(None);
        }
        self.held.advance(FRAME_HEAD_BYTES);
        Ok(Some(self.held.split_to(length).freeze()))
    }

    /// Bytes that wait for the rest of their message.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }
}

/// Why a stream of messages cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A message longer than allowed.
    TooLong {
        /// Its length.
        bytes: u64,
        /// What is allowed.
        bytes_max: usize,
    },
    /// A compressed message: compression is not spoken here.
    Compressed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong { bytes, bytes_max } => {
                write!(f, "a message of {bytes} bytes, where {bytes_max} are allowed")
            }
            FrameError::Compressed => f.write_str("a compressed message; send messages uncompressed"),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CloseRequest, RunRequest};

    fn stream() -> Vec<u8> {
        let mut out = BytesMut::new();
        put(&RunRequest { tool: "shell".into(), input: "{}".into(), session: None }, 100, &mut out).unwrap();
        put(&CloseRequest::default(), 100, &mut out).unwrap();
        put(&CloseRequest { session: "s".repeat(90) }, 100, &mut out).unwrap();
        out.to_vec()
    }

    fn read(pieces: &[&[u8]]) -> Result<(Vec<Bytes>, usize), FrameError> {
        let mut frames = Frames::new(100);
        let mut found = Vec::new();
        for piece in pieces {
            frames.push(piece);
            while let Some(message) = frames.next_message()? {
                found.push(message);
            }
        }
        Ok((found, frames.held_bytes()))
    }

    #[test]
    fn a_message_is_found_wherever_the_stream_is_cut() {
        // W3
        let stream = stream();
        let whole = read(&[&stream]).unwrap();
        assert_eq!((whole.0.len(), whole.1), (3, 0));
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let cut = read(&[&stream[..first], &stream[first..second], &stream[second..]]).unwrap();
                assert_eq!(cut, whole, "cut at {first} and {second}");
            }
        }
        let request = RunRequest::decode(whole.0[0].clone()).unwrap();
        assert_eq!((&*request.tool, &*request.input), ("shell", "{}"));
    }

    #[test]
    fn what_is_too_long_is_refused_by_its_prefix_alone() {
        // W2
        assert_eq!(read(&[&[0, 0, 0, 0, 101]]), Err(FrameError::TooLong { bytes: 101, bytes_max: 100 }));
        assert_eq!(read(&[&[0, 255, 255, 255, 255]]), Err(FrameError::TooLong { bytes: 0xffff_ffff, bytes_max: 100 }));
        assert_eq!(read(&[&[1, 0, 0, 0, 0]]), Err(FrameError::Compressed));
        let mut out = BytesMut::from(&b"kept"[..]);
        let long = CloseRequest { session: "x".repeat(100) };
        assert_eq!(put(&long, 100, &mut out), Err(FrameError::TooLong { bytes: 102, bytes_max: 100 }));
        assert_eq!(&out[..], b"kept");
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        // W2
        let mut state = 0x9e37_79b9_u32;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..24)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    if state & 3 == 0 { 0 } else { (state >> 8) as u8 & 31 }
                })
                .collect();
            if let Ok((found, _)) = read(&[&bytes[..7], &bytes[7..]]) {
                for message in found {
                    let _ = RunRequest::decode(message.clone());
                    let _ = crate::RunEvent::decode(message);
                }
            }
        }
    }
}
