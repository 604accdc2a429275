//! Wet: trust, this machine's key and the files that are signed with it.
//!
//! **What it is.** A [`Keyring`] is one directory with one Ed25519 key, made when it is first needed. A
//! [`SignedFile`] is a text with a signature beside it (`FILE.sig`) and a number that only grows.
//!
//! **What is not here.** No decision about what must be signed, no format of a signed text, no keys of other
//! people. Whoever can read the key file can sign as this machine: nothing here protects against the same
//! user, or against the administrator.
//!
//! **Invariants**
//!
//! - **T1** A directory has one machine key, however many processes make it at once.
//! - **T2** A key that others can read, or a directory in which they can replace it, is refused.
//! - **T3** A signature holds for the domain it was made for, and for no other.
//! - **T4** What is read of a signed file is byte for byte what was signed, and not older than the newest
//!   signature that this keyring made for that name.
//! - **T5** A file is written whole or not at all.
//! - **T6** No private byte is printed, and none stays in memory once its owner is dropped.
#![forbid(unsafe_code)]

mod error;
mod hex;
mod keyring;
mod place;
mod signed;

pub use error::{Cause, TrustError};
pub use hex::{hex, unhex};
pub use keyring::{DOMAIN_BYTES_MAX, Keyring, PublicKey, Signature, verify};
pub use signed::{SIGNED_BYTES_MAX, SignedFile, SignedText};

/// SHA-256 (FIPS 180-4) of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}
