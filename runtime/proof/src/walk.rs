//! A chain of blocks from its first to its last: framing, signatures, narrowing.

use std::fmt;

use aether_core::digest::Digest;
use ring::{digest, signature};

use crate::authority::{Authority, Excess};
use crate::wire::{Malformed, Reader, read_authority};

/// Blocks of a proof, at most.
pub const BLOCKS_MAX: usize = 8;
/// Bytes of a proof, at most.
pub const PROOF_BYTES_MAX: usize = 64 << 10;

pub(crate) const MAGIC: &[u8; 4] = b"AEPF";
pub(crate) const VERSION: u8 = 1;
pub(crate) const FORM_PRESENTED: u8 = 1;
pub(crate) const FORM_HELD: u8 = 2;
pub(crate) const SIGNATURE_BYTES: usize = 64;

const DOMAIN_BLOCK: &[u8] = b"aether proof v1 block\0";
const DOMAIN_LINK: &[u8] = b"aether proof v1 link\0";

/// What a chain says once every signature in it is good.
pub(crate) struct Walked<'a> {
    /// The authority of the last block, which is the meet over all (P1).
    pub(crate) authority: Authority,
    /// The link after each block: its id. Never empty.
    pub(crate) ids: Vec<Digest>,
    /// Who may append a block, and the seed that shows it; `None` in a presented proof.
    pub(crate) open: Option<([u8; 32], &'a [u8])>,
    /// The blocks as they stand, with their lengths and signatures.
    pub(crate) blocks: &'a [u8],
}

/// Follows a chain from the root key. A block is parsed only after its signature was verified (P2).
pub(crate) fn walk<'a>(frame: &Frame<'a>, root: &[u8; 32]) -> Result<Walked<'a>, ProofError> {
    let mut link = Digest(*root);
    let mut signer = *root;
    let mut ids = Vec::with_capacity(frame.blocks.len());
    let mut last: Option<Authority> = None;
    for (index, block) in frame.blocks.iter().enumerate() {
        let key = signature::UnparsedPublicKey::new(&signature::ED25519, signer);
        let message = message(index, &link, block.bytes);
        key.verify(&message, block.signature).map_err(|_| ProofError::Forged { block: index })?;
        let (next, authority) = block.read()?;
        let is_open = index + 1 < frame.blocks.len() || frame.seed.is_some();
        match next {
            Some(next) if is_open => signer = next,
            None if !is_open => {}
            _ => {
                let why = "every block names a next key but the last one of a presented proof";
                return Err(Malformed { at_bytes: block.place_bytes, why }.into());
            }
        }
        if let Some(excess) = last.as_ref().and_then(|last| last.excess(&authority)) {
            return Err(ProofError::Widened { block: index, excess });
        }
        link = next_link(&link, block.bytes, block.signature);
        ids.push(link);
        last = Some(authority);
    }
    let authority = last.ok_or(Malformed { at_bytes: HEAD_BYTES, why: COUNT })?;
    Ok(Walked { authority, ids, open: frame.seed.map(|seed| (signer, seed)), blocks: frame.span })
}

/// Bytes before the first block.
pub(crate) const HEAD_BYTES: usize = MAGIC.len() + 3;
const COUNT: &str = "a proof has 1 to 8 blocks";

/// A proof in its parts, of which nothing is known yet.
pub(crate) struct Frame<'a> {
    blocks: Vec<Block<'a>>,
    /// All of the blocks with their lengths and signatures.
    span: &'a [u8],
    /// The seed at the end of a held proof.
    pub(crate) seed: Option<&'a [u8]>,
}

struct Block<'a> {
    place_bytes: usize,
    bytes: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Frame<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Frame<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(reader.wrong("a proof has at most 65536 bytes"));
        }
        let wrong = reader.wrong("a proof begins with `AEPF` and version 1");
        if reader.take(MAGIC.len())? != MAGIC || reader.byte()? != VERSION {
            return Err(wrong);
        }
        let wrong = reader.wrong("a form is 1, presented, or 2, held");
        let form = Some(reader.byte()?).filter(|form| [FORM_PRESENTED, FORM_HELD].contains(form)).ok_or(wrong)?;
        let wrong = reader.wrong(COUNT);
        let count = usize::from(reader.byte()?);
        if count == 0 || count > BLOCKS_MAX {
            return Err(wrong);
        }
        let mut blocks = Vec::with_capacity(count);
        for _ in 0..count {
            let length = reader.word()? as usize;
            let place_bytes = reader.place_bytes();
            blocks.push(Block { place_bytes, bytes: reader.take(length)?, signature: reader.take(SIGNATURE_BYTES)? });
        }
        let span = &bytes[HEAD_BYTES..reader.place_bytes()];
        let seed = if form == FORM_HELD { Some(reader.take(32)?) } else { None };
        reader.end()?;
        Ok(Frame { blocks, span, seed })
    }
}

impl Block<'_> {
    fn read(&self) -> Result<(Option<[u8; 32]>, Authority), Malformed> {
        let mut reader = Reader::within(self.bytes, self.place_bytes);
        let next = reader.maybe()?;
        let authority = read_authority(&mut reader)?;
        reader.end()?;
        Ok((next, authority))
    }
}

/// What the signature of a block is over.
pub(crate) fn message(index: usize, link: &Digest, block: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN_BLOCK.len() + 37 + block.len());
    message.extend_from_slice(DOMAIN_BLOCK);
    message.push(index as u8);
    message.extend_from_slice(&link.0);
    message.extend_from_slice(&length(block));
    message.extend_from_slice(block);
    message
}

/// The link after a block.
pub(crate) fn next_link(link: &Digest, block: &[u8], signed: &[u8]) -> Digest {
    sha256(&[DOMAIN_LINK, &link.0, &length(block), block, signed])
}

/// The length of a block, as it is written; none comes near the end of a u32.
pub(crate) fn length(block: &[u8]) -> [u8; 4] {
    (block.len() as u32).to_be_bytes()
}

/// SHA-256 over all the parts, by the instructions that the processor has for it.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Digest(digest)
}

/// Why a proof is worth nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// Not the encoding of a proof.
    Malformed(Malformed),
    /// A held proof, whose key nobody but its holder may see, was shown where a presented one belongs.
    Held,
    /// The signature of a block does not verify.
    Forged {
        /// Which block, from 0.
        block: usize,
    },
    /// A block reaches more than the one before.
    Widened {
        /// Which block, from 1.
        block: usize,
        /// In what.
        excess: Excess,
    },
    /// It is for another verifier.
    Audience,
    /// It held once.
    Expired {
        /// Until when.
        expires_unix_ms: u64,
        /// What time it is.
        now_unix_ms: u64,
    },
    /// It would hold for longer than [`crate::AHEAD_MS_MAX`] from now.
    TooLong {
        /// Until when.
        expires_unix_ms: u64,
        /// What time it is.
        now_unix_ms: u64,
    },
    /// Its task, or one of its blocks, was revoked.
    Revoked,
    /// It is good, but for another call.
    OtherCall {
        /// The tool it is for.
        tool: String,
    },
}

impl ProofError {
    /// The word to branch on, as in `docs/ipc-security.md`, section 8.
    pub fn reason(&self) -> &'static str {
        match self {
            ProofError::Malformed(_) => "proof-malformed",
            ProofError::Held => "proof-held",
            ProofError::Forged { .. } => "proof-forged",
            ProofError::Widened { .. } => "proof-widened",
            ProofError::Audience => "proof-audience",
            ProofError::Expired { .. } => "proof-expired",
            ProofError::TooLong { .. } => "proof-too-long",
            ProofError::Revoked => "proof-revoked",
            ProofError::OtherCall { .. } => "proof-other-call",
        }
    }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProofError::Malformed(malformed) => write!(f, "no proof of authority: {malformed}"),
            ProofError::Held => {
                f.write_str("a proof with its secret key was shown: present it, which leaves the key behind")
            }
            ProofError::Forged { block } => {
                write!(f, "block {block} of the proof is not signed by the key of the one before; ask for a new proof")
            }
            ProofError::Widened { block, excess } => {
                write!(f, "block {block} of the proof reaches more than the one before: {excess}")
            }
            ProofError::Audience => f.write_str("the proof is for another secure runtime; ask for a new one"),
            ProofError::Expired { expires_unix_ms, now_unix_ms } => {
                write!(f, "the proof held until {expires_unix_ms} ms, and it is {now_unix_ms} ms; ask for a new one")
            }
            ProofError::TooLong { expires_unix_ms, now_unix_ms } => write!(
                f,
                "the proof would hold until {expires_unix_ms} ms, more than a day after {now_unix_ms} ms; ask for a shorter one"
            ),
            ProofError::Revoked => f.write_str("the proof was revoked"),
            ProofError::OtherCall { tool } => {
                write!(
                    f,
                    "the proof is for another call or leaves it open (its tool is `{tool}`); ask for one for this call"
                )
            }
        }
    }
}

impl std::error::Error for ProofError {}

impl From<Malformed> for ProofError {
    fn from(malformed: Malformed) -> ProofError {
        ProofError::Malformed(malformed)
    }
}
