//! The head: how long the log is, kept elsewhere and signed, so that a shorter one does not pass for it.
//!
//! Two slots of [`SLOT_BYTES`], written in turn: a write that breaks off leaves the other. Each update has the next
//! generation, and stands in slot `generation % 2`; so both slots are always known to be the two newest.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use aether_core::digest::Digest;
use serde_json::Value;

use crate::chain::{Checker, Purpose, Signer, statement};
use crate::directory::{Place, private, sync_directory};
use crate::error::AuditError;
use crate::line::End;
use crate::record::{push_hex, unhex};

pub(crate) const SLOT_BYTES: usize = 512;
const BLANK: [u8; 2 * SLOT_BYTES] = [b' '; 2 * SLOT_BYTES];

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// How often it was written.
    pub(crate) generation: u64,
    /// The end of the chain.
    pub(crate) end: End,
    /// The file that the last line is in, from 1, and how long that is with this line.
    pub(crate) file: u32,
    pub(crate) bytes: u64,
    /// The number of the last line that a checkpoint covers, itself included.
    pub(crate) signed: u64,
}

/// What was found in place of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no such file.
    Missing,
    /// Nothing was appended yet.
    Blank,
    /// Both slots are as they should be.
    Sound(Head),
    /// A slot is damaged; the other one, if that is good.
    Damaged(Option<Head>),
    /// Another key signed it.
    Foreign([u8; 32]),
}

impl Head {
    /// Before the first line.
    pub(crate) const NONE: Head = Head { generation: 0, end: End::NONE, file: 1, bytes: 0, signed: 0 };

    fn message(&self) -> Vec<u8> {
        let rest = [self.generation, u64::from(self.file), self.bytes, self.signed].map(u64::to_be_bytes).concat();
        statement(Purpose::Head, self.end.count, &self.end.hash, &rest)
    }

    fn slot(&self, key: &[u8; 32], signature: &[u8; 64]) -> Vec<u8> {
        let Head { generation, end, file, bytes, signed } = self;
        let mut text = format!(
            "{{\"v\":1,\"generation\":{generation},\"count\":{},\"file\":{file},\"bytes\":{bytes},\"signed\":{signed},\"hash\":\"",
            end.count
        );
        push_hex(&mut text, &end.hash.0);
        text.push_str("\",\"key\":\"");
        push_hex(&mut text, key);
        text.push_str("\",\"signature\":\"");
        push_hex(&mut text, signature);
        text.push_str("\"}");
        let mut slot = text.into_bytes();
        slot.resize(SLOT_BYTES - 1, b' ');
        slot.push(b'\n');
        slot
    }
}

enum Slot {
    Blank,
    Good(Head),
    Foreign([u8; 32]),
    Bad,
}

/// What the bytes of a head file say.
pub(crate) fn judge(bytes: &[u8], key: &[u8; 32], check: Checker) -> Found {
    if bytes.len() != BLANK.len() {
        return Found::Damaged(None);
    }
    let (even, odd) = bytes.split_at(SLOT_BYTES);
    match (slot(even, key, check), slot(odd, key, check)) {
        (Slot::Blank, Slot::Blank) => Found::Blank,
        // The first one stands alone.
        (Slot::Blank, Slot::Good(head)) if head.generation == 1 => Found::Sound(head),
        (Slot::Good(even), Slot::Good(odd))
            if even.generation % 2 == 0 && even.generation.abs_diff(odd.generation) == 1 =>
        {
            Found::Sound(if even.generation > odd.generation { even } else { odd })
        }
        (Slot::Good(head), Slot::Bad) if head.generation % 2 == 0 => Found::Damaged(Some(head)),
        (Slot::Bad, Slot::Good(head)) if head.generation % 2 == 1 => Found::Damaged(Some(head)),
        (Slot::Foreign(key), _) | (_, Slot::Foreign(key)) => Found::Foreign(key),
        _ => Found::Damaged(None),
    }
}

fn slot(bytes: &[u8], key: &[u8; 32], check: Checker) -> Slot {
    if bytes.iter().all(|byte| *byte == b' ') {
        return Slot::Blank;
    }
    let Some((head, signer, signature)) = fields(bytes) else { return Slot::Bad };
    // There is one way to write it, to the last blank.
    if head.slot(&signer, &signature) != bytes {
        Slot::Bad
    } else if signer != *key {
        Slot::Foreign(signer)
    } else if check(key, &head.message(), &signature) {
        Slot::Good(head)
    } else {
        Slot::Bad
    }
}

fn fields(bytes: &[u8]) -> Option<(Head, [u8; 32], [u8; 64])> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let word = |name: &str| value.get(name).and_then(Value::as_str);
    let head = Head {
        generation: number("generation")?,
        end: End { count: number("count")?, hash: Digest(unhex(word("hash")?)?) },
        file: u32::try_from(number("file")?).ok()?,
        bytes: number("bytes")?,
        signed: number("signed")?,
    };
    Some((head, unhex(word("key")?)?, unhex(word("signature")?)?))
}

/// Reads the head, whatever state it is in.
pub(crate) fn read(place: &Place, key: &[u8; 32], check: Checker) -> Result<Found, AuditError> {
    let file = match File::open(&place.head) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Missing),
        opened => opened.map_err(|error| AuditError::refused("read", &place.head, &error))?,
    };
    let mut bytes = Vec::with_capacity(BLANK.len());
    let read = file.take(BLANK.len() as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| AuditError::refused("read", &place.head, &error))?;
    Ok(judge(&bytes, key, check))
}

/// Makes an empty head, whole, in the place of whatever was there.
pub(crate) fn clear(path: &Path) -> Result<(), AuditError> {
    let refused = |error| AuditError::refused("write", path, &error);
    let draft = path.with_extension("draft");
    let mut file = private().write(true).create(true).truncate(true).open(&draft).map_err(refused)?;
    file.write_all(&BLANK).and_then(|()| file.sync_all()).map_err(refused)?;
    fs::rename(&draft, path).map_err(refused)?;
    sync_directory(path.parent().unwrap_or(Path::new("."))).map_err(refused)
}

/// Writes the next head into its slot. When that fails, the slot is put back as it was.
pub(crate) fn write(
    path: &Path,
    head: &Head,
    signer: &dyn Signer,
    sync: fn(&File) -> std::io::Result<()>,
) -> Result<(), AuditError> {
    let refused = |error| AuditError::refused("write", path, &error);
    let at = SeekFrom::Start((head.generation % 2) * SLOT_BYTES as u64);
    let slot = head.slot(&signer.public(), &signer.sign(&head.message()));
    let mut file = private().read(true).write(true).open(path).map_err(refused)?;
    let mut before = [0; SLOT_BYTES];
    file.seek(at).and_then(|_| file.read_exact(&mut before)).map_err(refused)?;
    let written = file.seek(at).and_then(|_| file.write_all(&slot)).and_then(|()| sync(&file));
    written.map_err(|error| {
        // If this fails too, the slot counts as damaged, and the log is what the other one says.
        drop(file.seek(at).and_then(|_| file.write_all(&before)));
        refused(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Toy;

    impl Signer for Toy {
        fn public(&self) -> [u8; 32] {
            [7; 32]
        }

        fn sign(&self, bytes: &[u8]) -> [u8; 64] {
            let digest = aether_core::digest::Sha256::of(bytes).0;
            let mut out = [0; 64];
            out[..32].copy_from_slice(&digest);
            out
        }
    }

    fn check(key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
        *key == [7; 32] && Toy.sign(bytes) == *signature
    }

    fn head(generation: u64) -> Head {
        Head { generation, end: End { count: generation, hash: Digest([1; 32]) }, file: 1, bytes: 100, signed: 0 }
    }

    fn bytes(generation: u64) -> Vec<u8> {
        head(generation).slot(&Toy.public(), &Toy.sign(&head(generation).message()))
    }

    #[test]
    fn slots_take_turns() {
        let blank = vec![b' '; SLOT_BYTES];
        let found = |even: &[u8], odd: &[u8]| judge(&[even, odd].concat(), &[7; 32], check);
        assert_eq!(found(&blank, &blank), Found::Blank);
        assert_eq!(found(&blank, &bytes(1)), Found::Sound(head(1)));
        assert_eq!(found(&bytes(2), &bytes(1)), Found::Sound(head(2)));
        assert_eq!(found(&bytes(2), &bytes(3)), Found::Sound(head(3)));
        // An older slot put back, a slot in the wrong place, one that was blanked.
        for (even, odd) in [(2, 5), (3, 2), (1, 1)] {
            assert_eq!(found(&bytes(even), &bytes(odd)), Found::Damaged(None), "{even} {odd}");
        }
        assert_eq!(found(&bytes(2), &blank), Found::Damaged(None));
        assert_eq!(found(&blank, &bytes(3)), Found::Damaged(None));
        assert_eq!(judge(b"", &[7; 32], check), Found::Damaged(None));
        assert_eq!(judge(&[bytes(2), bytes(3)].concat(), &[8; 32], check), Found::Foreign([7; 32]));
    }

    #[test]
    fn a3_every_byte_of_the_head_counts() {
        let whole = [bytes(2), bytes(3)].concat();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut edited = whole.clone();
                edited[at] ^= 1 << bit;
                let found = judge(&edited, &[7; 32], check);
                assert!(!matches!(found, Found::Sound(_) | Found::Blank | Found::Missing), "byte {at} bit {bit}");
            }
        }
    }
}
