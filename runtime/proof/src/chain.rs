//! How a proof is made: begun by an issuer, narrowed by whoever holds it, presented to a verifier.

use std::fmt;

use aether_core::digest::Digest;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::authority::{Authority, Excess};
use crate::verifier::presentation_digest;
use crate::walk::{self, BLOCKS_MAX, FORM_HELD, FORM_PRESENTED, Frame, PROOF_BYTES_MAX, ProofError};
use crate::wire::{Malformed, PLACES_MAX, TEXT_BYTES_MAX, write_authority, write_maybe};

/// The secret from which an Ed25519 key pair is made: a private key as RFC 8032, section 5.1.5, has it.
///
/// It is wiped when it is dropped. It is never written into a debug text.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A fresh one from the system's source of randomness: the one place of this crate that touches the world.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Seed, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut *seed).map_err(|_| KeyError::NoRandomness)?;
        Ok(Seed(seed))
    }

    /// This one. The bytes have to be secret and uniformly random.
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Seed {
        Seed(bytes)
    }

    fn pair(&self) -> Result<Ed25519KeyPair, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(&*self.0).map_err(|_| KeyError::Rejected)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

fn public(pair: &Ed25519KeyPair) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(pair.public_key().as_ref());
    public
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The system has no randomness to give.
    NoRandomness,
    /// The library of signatures does not take the seed.
    Rejected,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::NoRandomness => "the system gave no randomness for a key; look at its log and start again",
            KeyError::Rejected => "the seed of a key was rejected; make another one",
        })
    }
}

impl std::error::Error for KeyError {}

/// The root of all proofs of one start: it signs the first block of each.
#[derive(Debug)]
pub struct Issuer {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl Issuer {
    /// With this root key.
    ///
    /// # Errors
    /// [`KeyError::Rejected`].
    pub fn new(seed: &Seed) -> Result<Issuer, KeyError> {
        let pair = seed.pair()?;
        Ok(Issuer { public: public(&pair), pair })
    }

    /// With a fresh root key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Issuer, KeyError> {
        Issuer::new(&Seed::generate()?)
    }

    /// The public half of the root key: what a [`crate::Verifier`] is made with.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// A proof for somebody who may narrow it and hand it on; `next` is theirs alone.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub fn issue(&self, authority: &Authority, next: Seed) -> Result<Proof, IssueError> {
        let chain = self.root().extend(&self.pair, Some(&public(&next.pair()?)), authority)?;
        Ok(Proof { chain, authority: authority.clone(), next })
    }

    /// A proof of one block that can only be used: the shortest way from an issuer to a verifier.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub fn present(&self, authority: &Authority) -> Result<Presentation, IssueError> {
        self.root().extend(&self.pair, None, authority)?.present()
    }

    fn root(&self) -> Chain {
        Chain { link: Digest(self.public), ids: Vec::new(), blocks: Vec::new() }
    }
}

/// A proof in the hands of its holder, with the key that narrows it. A secret.
#[derive(Clone, Debug)]
pub struct Proof {
    chain: Chain,
    authority: Authority,
    next: Seed,
}

impl Proof {
    /// What it gives.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The ids of its blocks, from the first: what [`crate::Revocation::Block`] names. Never empty.
    pub fn ids(&self) -> &[Digest] {
        &self.chain.ids
    }

    /// A longer proof that gives this and no more; `next` belongs to whoever gets it.
    ///
    /// # Errors
    /// [`IssueError::Wider`] where `narrower` is not narrower, and the others of [`IssueError`].
    pub fn attenuate(&self, narrower: &Authority, next: Seed) -> Result<Proof, IssueError> {
        let key = public(&next.pair()?);
        let chain = self.extend(Some(&key), narrower)?;
        Ok(Proof { chain, authority: narrower.clone(), next })
    }

    /// What is sent to a verifier: a last block with exactly this authority, and no key (P4).
    ///
    /// # Errors
    /// As for [`Proof::attenuate`].
    pub fn present(&self, exact: &Authority) -> Result<Presentation, IssueError> {
        self.extend(None, exact)?.present()
    }

    fn extend(&self, next: Option<&[u8; 32]>, narrower: &Authority) -> Result<Chain, IssueError> {
        if let Some(excess) = self.authority.excess(narrower) {
            return Err(IssueError::Wider(excess));
        }
        self.chain.extend(&self.next.pair()?, next, narrower)
    }

    /// The bytes of it with its key, for the holder it is handed to and for nobody else.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it: bytes that move while they grow would leave the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.chain.bytes() + self.next.0.len()));
        self.chain.write(&mut bytes, FORM_HELD);
        bytes.extend_from_slice(&*self.next.0);
        bytes
    }

    /// Reads a held proof, and follows it from the root key.
    ///
    /// # Errors
    /// [`ProofError::Malformed`], also for a presented proof and for a key that is not its own;
    /// [`ProofError::Forged`] and [`ProofError::Widened`].
    pub fn decode(bytes: &[u8], root: &[u8; 32]) -> Result<Proof, ProofError> {
        let walked = walk::walk(&Frame::parse(bytes)?, root)?;
        let wrong = |why| ProofError::Malformed(Malformed { at_bytes: bytes.len(), why });
        let (key, seed) = walked.open.ok_or(wrong("a presented proof has no key and cannot be narrowed"))?;
        let mut next = Seed(Zeroizing::new([0; 32]));
        next.0.copy_from_slice(seed);
        let pair = next.pair().map_err(|_| wrong("a held proof ends with a private key"))?;
        if public(&pair) != key {
            return Err(wrong("the private key of a held proof is that of its last block"));
        }
        let link = walked.ids.last().copied().unwrap_or(Digest(*root));
        let chain = Chain { link, ids: walked.ids, blocks: walked.blocks.to_vec() };
        Ok(Proof { chain, authority: walked.authority, next })
    }
}

/// A proof as it is sent. It holds no key; it is of use to nobody but the verifier it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Presentation {
    bytes: Vec<u8>,
    digest: Digest,
    ids: Vec<Digest>,
}

impl Presentation {
    /// What is sent, at most [`PROOF_BYTES_MAX`] bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes: what a seal is bound to.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The ids of its blocks, from the first: what [`crate::Revocation::Block`] names. Never empty.
    pub fn ids(&self) -> &[Digest] {
        &self.ids
    }
}

/// Blocks that were signed so far.
#[derive(Clone, Debug)]
struct Chain {
    /// The link after the last block, or the root key where there is none.
    link: Digest,
    ids: Vec<Digest>,
    /// Each block behind its length and before its signature.
    blocks: Vec<u8>,
}

impl Chain {
    fn extend(
        &self,
        signer: &Ed25519KeyPair,
        next: Option<&[u8; 32]>,
        authority: &Authority,
    ) -> Result<Chain, IssueError> {
        let index = self.ids.len();
        if index == BLOCKS_MAX {
            return Err(IssueError::Blocks);
        }
        let mut block = Vec::with_capacity(256);
        write_maybe(&mut block, next);
        write_authority(&mut block, authority)?;
        let signed = signer.sign(&walk::message(index, &self.link, &block));
        let link = walk::next_link(&self.link, &block, signed.as_ref());
        let mut chain = Chain { link, ..self.clone() };
        chain.ids.push(link);
        for part in [&walk::length(&block)[..], &block, signed.as_ref()] {
            chain.blocks.extend_from_slice(part);
        }
        let found_bytes = chain.bytes() + if next.is_some() { 32 } else { 0 };
        if found_bytes > PROOF_BYTES_MAX { Err(IssueError::Bytes { found_bytes }) } else { Ok(chain) }
    }

    /// Bytes of the whole but the key of a holder.
    fn bytes(&self) -> usize {
        walk::HEAD_BYTES + self.blocks.len()
    }

    fn write(&self, out: &mut Vec<u8>, form: u8) {
        out.extend_from_slice(walk::MAGIC);
        out.extend_from_slice(&[walk::VERSION, form, self.ids.len() as u8]);
        out.extend_from_slice(&self.blocks);
    }

    fn present(self) -> Result<Presentation, IssueError> {
        let mut bytes = Vec::with_capacity(self.bytes());
        self.write(&mut bytes, FORM_PRESENTED);
        Ok(Presentation { digest: presentation_digest(&bytes), bytes, ids: self.ids })
    }
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssueError {
    /// It would give more than what it is made from.
    Wider(Excess),
    /// No tool can have this name.
    Tool {
        /// The name.
        found: String,
    },
    /// More than [`PLACES_MAX`] hosts, places and programs.
    Places,
    /// A host or a place longer than [`TEXT_BYTES_MAX`].
    Text {
        /// Its length.
        found_bytes: usize,
    },
    /// A block more than [`BLOCKS_MAX`].
    Blocks,
    /// More than [`PROOF_BYTES_MAX`] in all.
    Bytes {
        /// How many it would be.
        found_bytes: usize,
    },
    /// There is no key to sign with, or to name.
    Key(KeyError),
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IssueError::Wider(excess) => write!(f, "a proof can only be narrowed, and this reaches more: {excess}"),
            IssueError::Tool { found } => write!(
                f,
                "`{}` is no tool's name: that is a small letter, then small letters, digits and underscores, 64 bytes at most",
                found.escape_debug().take(80).collect::<String>()
            ),
            IssueError::Places => {
                write!(
                    f,
                    "a proof names at most {PLACES_MAX} hosts, places and programs: name directories instead of files"
                )
            }
            IssueError::Text { found_bytes } => {
                write!(
                    f,
                    "a host or place of {found_bytes} bytes is longer than the {TEXT_BYTES_MAX} that a proof takes"
                )
            }
            IssueError::Blocks => {
                write!(
                    f,
                    "a proof was narrowed often enough: {BLOCKS_MAX} blocks are the most; ask its issuer for a new one"
                )
            }
            IssueError::Bytes { found_bytes } => {
                write!(
                    f,
                    "a proof of {found_bytes} bytes is longer than {PROOF_BYTES_MAX}: name fewer hosts and places"
                )
            }
            IssueError::Key(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for IssueError {}

impl From<KeyError> for IssueError {
    fn from(error: KeyError) -> IssueError {
        IssueError::Key(error)
    }
}
