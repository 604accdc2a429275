//! How lines hold together: the hash of each, and what is signed.

use aether_core::digest::{Digest, Sha256};

/// Signs for this machine.
pub trait Signer: Send + Sync {
    /// The public half of its Ed25519 key.
    fn public(&self) -> [u8; 32];

    /// Signs `bytes`. What [`Checker`] says of the result and [`Signer::public`] is yes.
    fn sign(&self, bytes: &[u8]) -> [u8; 64];
}

/// Whether a key (the first argument) signed these bytes.
pub type Checker = fn(&[u8; 32], &[u8], &[u8; 64]) -> bool;

/// What the first line has as the hash of the line before it.
pub(crate) const ORIGIN: Digest = Digest([0; 32]);

/// What a signature is for. The words keep one kind of signature from standing in for another.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Checkpoint,
    Export,
    Head,
}

/// The hash of a line whose bytes before its own hash are `body`.
pub(crate) fn hash(body: &[u8]) -> Digest {
    let mut hash = Sha256::default();
    hash.update(b"aether audit line 1\0");
    hash.update(body);
    hash.finish()
}

/// What is signed over the first `count` lines, of which the last has this hash; `rest` is what else is said.
pub(crate) fn statement(purpose: Purpose, count: u64, last: &Digest, rest: &[u8]) -> Vec<u8> {
    let purpose: &[u8] = match purpose {
        Purpose::Checkpoint => b"aether audit checkpoint 1\0",
        Purpose::Export => b"aether audit export 1\0",
        Purpose::Head => b"aether audit head 1\0",
    };
    [purpose, &count.to_be_bytes(), &last.0, rest].concat()
}
