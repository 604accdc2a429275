//! Seals: one request, with its proof, on one connection, once, in time.

use std::fmt;

use aether_core::digest::Digest;
use ring::hmac;
use zeroize::Zeroizing;

use crate::AHEAD_MS_MAX;
use crate::walk::sha256;
use crate::wire::{Malformed, Reader};

/// The label under which the key of seals is exported from a TLS connection; the context is the audience (RFC 8446,
/// section 7.5; RFC 5705).
pub const SEAL_EXPORTER_LABEL: &[u8] = b"EXPORTER-aether-seal-v1";
/// Bytes of a seal.
pub const SEAL_BYTES: usize = 49;
/// How many sequence numbers, up to the highest, may still arrive.
pub const SEAL_WINDOW: u64 = 1_024;
/// What stands for the digest of a proof where a method needs none.
pub const NO_PROOF: Digest = Digest([0; 32]);

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"aether seal v1 request\0";

/// What one request carries to show that it is of this connection, unchanged, new and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seal {
    /// The number of the request on its connection, from 1.
    pub sequence: u64,
    /// Until when it is to be answered, in milliseconds since 1970-01-01 UTC.
    pub deadline_unix_ms: u64,
    /// HMAC-SHA256 over everything that the seal covers.
    pub code: [u8; 32],
}

impl Seal {
    /// The bytes of it.
    pub fn encode(&self) -> [u8; SEAL_BYTES] {
        let mut bytes = [VERSION; SEAL_BYTES];
        bytes[1..9].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.deadline_unix_ms.to_be_bytes());
        bytes[17..].copy_from_slice(&self.code);
        bytes
    }

    /// Reads what [`Seal::encode`] wrote.
    ///
    /// # Errors
    /// [`SealError::Malformed`]: another length, or another version.
    pub fn decode(bytes: &[u8]) -> Result<Seal, SealError> {
        let read = |reader: &mut Reader<'_>| {
            let wrong = reader.wrong("a seal begins with version 1");
            if reader.byte()? != VERSION {
                return Err(wrong);
            }
            let seal = Seal { sequence: reader.long()?, deadline_unix_ms: reader.long()?, code: reader.array()? };
            reader.end().map(|()| seal)
        };
        read(&mut Reader::new(bytes)).map_err(SealError::Malformed)
    }
}

/// The parts of a request that a seal covers.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The path of its method, such as `/aether.runtime.v1.Runtime/Run`.
    pub method: &'a str,
    /// Its message as it stands on the wire, without what the protocol puts before it.
    pub body: &'a [u8],
    /// The digest of the proof that comes with it, or [`NO_PROOF`].
    pub proof: Digest,
}

impl Request<'_> {
    /// What the code is over.
    fn message(&self, sequence: u64, deadline_unix_ms: u64) -> Vec<u8> {
        let mut message = Vec::with_capacity(DOMAIN.len() + 88 + self.method.len());
        message.extend_from_slice(DOMAIN);
        message.extend_from_slice(&self.proof.0);
        for number in [sequence, deadline_unix_ms, self.method.len() as u64] {
            message.extend_from_slice(&number.to_be_bytes());
        }
        message.extend_from_slice(self.method.as_bytes());
        message.extend_from_slice(&sha256(&[self.body]).0);
        message
    }
}

/// Seals the requests of one end of one connection.
#[derive(Debug)]
pub struct Sealer {
    key: hmac::Key,
    sequence: u64,
}

impl Sealer {
    /// With the key that was exported from the connection. It is used for one connection and never again.
    pub fn new(key: &Zeroizing<[u8; 32]>) -> Sealer {
        Sealer { key: hmac::Key::new(hmac::HMAC_SHA256, &**key), sequence: 0 }
    }

    /// The seal of the next request: the path of its method, its body as it is sent, the digest of its proof or
    /// [`NO_PROOF`], and until when it is to be answered.
    ///
    /// After 2^64 - 1 requests every further one gets the last number again, which no opener takes.
    pub fn seal(&mut self, method: &str, body: &[u8], proof: &Digest, deadline_unix_ms: u64) -> Seal {
        self.sequence = self.sequence.saturating_add(1);
        let request = Request { method, body, proof: *proof };
        let message = request.message(self.sequence, deadline_unix_ms);
        let mut code = [0; 32];
        code.copy_from_slice(hmac::sign(&self.key, &message).as_ref());
        Seal { sequence: self.sequence, deadline_unix_ms, code }
    }
}

/// Opens the seals of the other end of one connection, each once.
#[derive(Debug)]
pub struct Opener {
    key: hmac::Key,
    window: Window,
    latest_unix_ms: u64,
}

impl Opener {
    /// With the key that was exported from the connection.
    pub fn new(key: &Zeroizing<[u8; 32]>) -> Opener {
        Opener { key: hmac::Key::new(hmac::HMAC_SHA256, &**key), window: Window::default(), latest_unix_ms: 0 }
    }

    /// Takes the seal of a request, once (P6). A `now_unix_ms` before the latest one counts as that. On `Err` the
    /// seal was not used up.
    ///
    /// # Errors
    /// See [`SealError`], in the order in which they are looked for.
    pub fn open(&mut self, request: &Request<'_>, seal: &Seal, now_unix_ms: u64) -> Result<(), SealError> {
        self.latest_unix_ms = self.latest_unix_ms.max(now_unix_ms);
        let now_unix_ms = self.latest_unix_ms;
        let deadline_unix_ms = seal.deadline_unix_ms;
        let message = request.message(seal.sequence, deadline_unix_ms);
        hmac::verify(&self.key, &message, &seal.code).map_err(|_| SealError::Forged)?;
        if deadline_unix_ms < now_unix_ms {
            return Err(SealError::Expired { deadline_unix_ms, now_unix_ms });
        }
        if deadline_unix_ms - now_unix_ms > AHEAD_MS_MAX {
            return Err(SealError::TooLong { deadline_unix_ms, now_unix_ms });
        }
        self.window.take(seal.sequence)
    }
}

/// Which numbers were taken: the highest, and a bit for each of those up to it that may still arrive (RFC 4303,
/// section 3.4.3, with the bits in a ring).
#[derive(Debug, Default)]
struct Window {
    highest: u64,
    taken: [u64; (SEAL_WINDOW / 64) as usize],
}

impl Window {
    fn take(&mut self, sequence: u64) -> Result<(), SealError> {
        let highest = self.highest;
        if sequence == 0 || highest.saturating_sub(sequence) >= SEAL_WINDOW {
            return Err(SealError::Stale { sequence, highest });
        }
        // What the window leaves behind on its way up is free for numbers that are new.
        let passed = sequence.saturating_sub(highest).min(SEAL_WINDOW);
        for new in sequence - passed..sequence {
            let (word, bit) = place(new + 1);
            self.taken[word] &= !bit;
        }
        self.highest = highest.max(sequence);
        let (word, bit) = place(sequence);
        if self.taken[word] & bit != 0 {
            return Err(SealError::Replayed { sequence });
        }
        self.taken[word] |= bit;
        Ok(())
    }
}

/// Where the bit of a number is.
fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % SEAL_WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

/// Why a seal does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// Not the encoding of a seal.
    Malformed(Malformed),
    /// It was made with another key, or for another request.
    Forged,
    /// The request was to be answered before now.
    Expired {
        /// By when.
        deadline_unix_ms: u64,
        /// What time it is.
        now_unix_ms: u64,
    },
    /// The request may take longer than [`AHEAD_MS_MAX`] from now.
    TooLong {
        /// By when it is to be answered.
        deadline_unix_ms: u64,
        /// What time it is.
        now_unix_ms: u64,
    },
    /// Its number was taken before.
    Replayed {
        /// The number.
        sequence: u64,
    },
    /// Its number is so far behind that nobody knows any more whether it was taken.
    Stale {
        /// The number.
        sequence: u64,
        /// The highest that was taken.
        highest: u64,
    },
}

impl SealError {
    /// The word to branch on, as in `docs/ipc-security.md`, section 8.
    pub fn reason(&self) -> &'static str {
        match self {
            SealError::Malformed(_) => "seal-malformed",
            SealError::Forged => "seal-forged",
            SealError::Expired { .. } => "seal-expired",
            SealError::TooLong { .. } => "seal-too-long",
            SealError::Replayed { .. } => "seal-replayed",
            SealError::Stale { .. } => "seal-stale",
        }
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::Malformed(malformed) => write!(f, "no seal of a request: {malformed}"),
            SealError::Forged => f.write_str("the seal was not made for this request on this connection; seal it anew"),
            SealError::Expired { deadline_unix_ms, now_unix_ms } => {
                write!(f, "the request was to be answered by {deadline_unix_ms} ms, and it is {now_unix_ms} ms")
            }
            SealError::TooLong { deadline_unix_ms, now_unix_ms } => write!(
                f,
                "the request would run until {deadline_unix_ms} ms, more than a day after {now_unix_ms} ms; set an earlier deadline"
            ),
            SealError::Replayed { sequence } => write!(f, "request {sequence} of this connection was taken before"),
            SealError::Stale { sequence, highest } => write!(
                f,
                "request {sequence} of this connection is too old: {highest} was taken, and {SEAL_WINDOW} up to it are known; seal it anew"
            ),
        }
    }
}

impl std::error::Error for SealError {}
