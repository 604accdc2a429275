//! The one message each way with which a sidecar is started (`docs/ipc-security.md`, section 3).

use std::fmt;

/// Bytes of a hello's settings.
pub const SETTINGS_BYTES_MAX: usize = 65_536;

/// Bytes of a hello.
pub const HELLO_BYTES_MAX: usize = HELLO_BYTES + SETTINGS_BYTES_MAX;

/// Bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = HEAD_BYTES + 2 + SENTENCE_BYTES_MAX;

const MAGIC: [u8; 4] = *b"AEBS";
const VERSION: u8 = 1;
const KIND_HELLO: u8 = 1;
const KIND_READY: u8 = 2;
const KIND_FAILED: u8 = 3;
const HEAD_BYTES: usize = 6;
/// A hello without its settings.
const HELLO_BYTES: usize = 122;
const SENTENCE_BYTES_MAX: usize = 1024;

/// What a sidecar is told when it starts.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// SHA-256 of the certificate with which the kernel's process will come.
    pub pin: [u8; 32],
    /// The Ed25519 public key that signs the first block of every proof.
    pub root: [u8; 32],
    /// Who the sidecar is to proofs, made anew at every start.
    pub audience: [u8; 32],
    /// Milliseconds to add to the boot clock for protocol time.
    pub clock_offset_ms: i64,
    /// Runs at once.
    pub in_flight_max: u32,
    /// Bytes of one message.
    pub message_bytes_max: u32,
    /// What the worker is told, as the house writes it; at most [`SETTINGS_BYTES_MAX`] bytes.
    pub settings: Vec<u8>,
}

/// Settings may hold secrets, so they are not shown.
impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("in_flight_max", &self.in_flight_max)
            .field("message_bytes_max", &self.message_bytes_max)
            .field("settings_bytes", &self.settings.len())
            .finish_non_exhaustive()
    }
}

impl Hello {
    /// The message.
    ///
    /// # Errors
    /// [`BootstrapError::TooLong`] for settings over the limit.
    pub fn encode(&self) -> Result<Vec<u8>, BootstrapError> {
        let length = u32::try_from(self.settings.len()).ok().filter(|_| self.settings.len() <= SETTINGS_BYTES_MAX);
        let length = length.ok_or(BootstrapError::TooLong { bytes: self.settings.len() })?;
        let mut bytes = Vec::with_capacity(HELLO_BYTES + self.settings.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, KIND_HELLO]);
        bytes.extend_from_slice(&self.pin);
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&self.audience);
        bytes.extend_from_slice(&self.clock_offset_ms.to_be_bytes());
        bytes.extend_from_slice(&self.in_flight_max.to_be_bytes());
        bytes.extend_from_slice(&self.message_bytes_max.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.settings);
        Ok(bytes)
    }

    /// The message at the start of `bytes`, or `None` while its end has not come.
    ///
    /// # Errors
    /// See [`BootstrapError`]; as soon as what has come cannot become a hello.
    pub fn decode(bytes: &[u8]) -> Result<Option<Hello>, BootstrapError> {
        let mut rest = Reader { bytes };
        if rest.kind()?.is_some_and(|kind| kind != KIND_HELLO) {
            return Err(BootstrapError::Malformed("a hello was wanted"));
        }
        let Some(hello) = rest.hello() else { return Ok(None) };
        let (hello, length) = hello;
        if length > SETTINGS_BYTES_MAX {
            return Err(BootstrapError::TooLong { bytes: length });
        }
        rest.end_at(length).map(|settings| settings.map(|settings| Hello { settings: settings.to_vec(), ..hello }))
    }
}

/// What a sidecar answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It will serve, with the certificate of this SHA-256.
    Ready {
        /// The pin.
        pin: [u8; 32],
    },
    /// It cannot, and says why.
    Failed(String),
}

impl Answer {
    /// The message. A sentence over 1,024 bytes is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        match self {
            Answer::Ready { pin } => {
                bytes.push(KIND_READY);
                bytes.extend_from_slice(pin);
            }
            Answer::Failed(sentence) => {
                let sentence = &sentence[..sentence.floor_char_boundary(SENTENCE_BYTES_MAX)];
                bytes.push(KIND_FAILED);
                bytes.extend_from_slice(&u16::try_from(sentence.len()).unwrap_or(u16::MAX).to_be_bytes());
                bytes.extend_from_slice(sentence.as_bytes());
            }
        }
        bytes
    }

    /// The message at the start of `bytes`, or `None` while its end has not come.
    ///
    /// # Errors
    /// See [`BootstrapError`]; as soon as what has come cannot become an answer.
    pub fn decode(bytes: &[u8]) -> Result<Option<Answer>, BootstrapError> {
        let mut rest = Reader { bytes };
        match rest.kind()? {
            None => Ok(None),
            Some(KIND_READY) => match rest.array() {
                Some(pin) => rest.end_at(0).map(|end| end.map(|_| Answer::Ready { pin })),
                None => Ok(None),
            },
            Some(KIND_FAILED) => {
                let Some(length) = rest.array().map(|length| usize::from(u16::from_be_bytes(length))) else {
                    return Ok(None);
                };
                if length > SENTENCE_BYTES_MAX {
                    return Err(BootstrapError::TooLong { bytes: length });
                }
                let Some(sentence) = rest.end_at(length)? else { return Ok(None) };
                let sentence = std::str::from_utf8(sentence);
                let sentence = sentence.map_err(|_| BootstrapError::Malformed("a sentence is UTF-8"))?;
                Ok(Some(Answer::Failed(sentence.to_owned())))
            }
            Some(_) => Err(BootstrapError::Malformed("an answer was wanted")),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Magic and version, then the kind.
    fn kind(&mut self) -> Result<Option<u8>, BootstrapError> {
        let [m0, m1, m2, m3] = MAGIC;
        let head = [m0, m1, m2, m3, VERSION];
        if self.bytes.iter().zip(&head).any(|(found, wanted)| found != wanted) {
            return Err(BootstrapError::Malformed("it does not begin with AEBS and version 1"));
        }
        let Some((head, rest)) = self.bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        self.bytes = rest;
        Ok(head.last().copied())
    }

    /// The fixed part of a hello, and the length of its settings.
    fn hello(&mut self) -> Option<(Hello, usize)> {
        let hello = Hello {
            pin: self.array()?,
            root: self.array()?,
            audience: self.array()?,
            clock_offset_ms: i64::from_be_bytes(self.array()?),
            in_flight_max: u32::from_be_bytes(self.array()?),
            message_bytes_max: u32::from_be_bytes(self.array()?),
            settings: Vec::new(),
        };
        Some((hello, u32::from_be_bytes(self.array()?) as usize))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (found, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*found)
    }

    /// What is left, if it is exactly `length` bytes; `None` if it is fewer.
    fn end_at(self, length: usize) -> Result<Option<&'a [u8]>, BootstrapError> {
        match self.bytes.len() {
            found if found == length => Ok(Some(self.bytes)),
            found if found < length => Ok(None),
            _ => Err(BootstrapError::Malformed("something follows its end")),
        }
    }
}

/// Why something on the bootstrap socket is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapError {
    /// Not as the table prescribes.
    Malformed(&'static str),
    /// A part that is longer than allowed.
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl fmt::Display for BootstrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootstrapError::Malformed(why) => write!(f, "a bootstrap message is malformed: {why}"),
            BootstrapError::TooLong { bytes } => write!(
                f,
                "a bootstrap message has a part of {bytes} bytes; settings may have {SETTINGS_BYTES_MAX}, a sentence {SENTENCE_BYTES_MAX}"
            ),
        }
    }
}

impl std::error::Error for BootstrapError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            pin: [1; 32],
            root: [2; 32],
            audience: [3; 32],
            clock_offset_ms: -5,
            in_flight_max: 256,
            message_bytes_max: 1 << 24,
            settings: b"settings".to_vec(),
        }
    }

    #[test]
    fn a_hello_has_the_offsets_of_the_document() {
        let bytes = hello().encode().unwrap();
        assert_eq!(bytes.len(), 122 + 8);
        assert_eq!(&bytes[..6], b"AEBS\x01\x01");
        assert_eq!((bytes[6], bytes[38], bytes[70]), (1, 2, 3));
        assert_eq!(bytes[102..110], (-5i64).to_be_bytes());
        assert_eq!(bytes[110..122], [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 8]);
        assert!(!format!("{:?}", hello()).contains("115"));
    }

    #[test]
    fn messages_are_read_back_whole_and_wait_while_short() {
        // W3
        let hello = hello();
        let bytes = hello.encode().unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(Hello::decode(&bytes), Ok(Some(hello)));
        for answer in
            [Answer::Ready { pin: [9; 32] }, Answer::Failed("no \u{e9}".into()), Answer::Failed(String::new())]
        {
            let bytes = answer.encode();
            for cut in 0..bytes.len() {
                assert_eq!(Answer::decode(&bytes[..cut]), Ok(None), "{cut}");
            }
            assert_eq!(Answer::decode(&bytes), Ok(Some(answer)));
        }
        let long = Answer::Failed("\u{1f512}".repeat(300)).encode();
        assert_eq!(long.len(), ANSWER_BYTES_MAX);
        assert!(matches!(Answer::decode(&long), Ok(Some(Answer::Failed(text))) if text.len() == 1024));
    }

    #[test]
    fn what_is_no_message_is_refused_at_once() {
        // W2
        let good = hello().encode().unwrap();
        for (at, bit) in [(0, 1), (3, 1), (4, 1), (5, 3)] {
            let mut bytes = good.clone();
            bytes[at] ^= bit;
            assert!(matches!(Hello::decode(&bytes), Err(BootstrapError::Malformed(_))), "{at}");
            assert!(matches!(Hello::decode(&bytes[..6]), Err(BootstrapError::Malformed(_))), "{at}");
        }
        let mut long = good.clone();
        long.push(0);
        assert!(matches!(Hello::decode(&long), Err(BootstrapError::Malformed(_))));
        let mut large = good[..122].to_vec();
        large[118..122].copy_from_slice(&65_537u32.to_be_bytes());
        assert_eq!(Hello::decode(&large), Err(BootstrapError::TooLong { bytes: 65_537 }));
        let settings = vec![0; SETTINGS_BYTES_MAX + 1];
        assert!(matches!(Hello { settings, ..hello() }.encode(), Err(BootstrapError::TooLong { bytes: 65_537 })));
        assert!(matches!(Answer::decode(&good), Err(BootstrapError::Malformed(_))));
        assert!(matches!(Answer::decode(b"AEBS\x01\x03\xff\xff"), Err(BootstrapError::TooLong { bytes: 65_535 })));
        assert!(matches!(Answer::decode(b"AEBS\x01\x03\x00\x01\xff"), Err(BootstrapError::Malformed(_))));
        assert!(matches!(Answer::decode(b"AEBS\x01\x02\x00\x01\xff"), Ok(None)));
    }
}
