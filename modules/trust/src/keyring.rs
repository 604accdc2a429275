//! The machine key: one Ed25519 key pair (RFC 8032) in one directory.

use std::fmt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::error::TrustError;
use crate::hex::{hex, unhex};
use crate::place::{self, Lock, Privacy};

/// The longest domain, in bytes.
pub const DOMAIN_BYTES_MAX: usize = 64;

/// What stands before the domain in every signed message, so that no other program's signature fits.
const PREFIX: &[u8] = b"aether signature 1\0";

/// The file of the machine key: this word, a blank, 64 hexadecimal digits of seed (RFC 8032, section 5.1.5).
const KEY_FILE: &str = "machine.key";
const KEY_WORD: &str = "ed25519-seed-1 ";
const KEY_BYTES_MAX: u64 = 256;
const KEY_FORM: &str = "one line `ed25519-seed-1` and 64 hexadecimal digits";

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// A signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl PublicKey {
    /// Reads 64 lower-case hexadecimal digits; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<PublicKey> {
        unhex(text).map(PublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Signature {
    /// Reads 128 lower-case hexadecimal digits; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Signature> {
        unhex(text).map(Signature)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Whether `key` signed `bytes` for `domain`.
#[must_use]
pub fn verify(key: &PublicKey, domain: &str, bytes: &[u8], signature: &Signature) -> bool {
    let Some(message) = message(domain, bytes) else { return false };
    UnparsedPublicKey::new(&ED25519, key.0).verify(&message, &signature.0).is_ok()
}

/// What is signed: the prefix, the domain preceded by its length, the bytes. `None` for a domain that is too long.
fn message(domain: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(domain.len()).ok().filter(|length| usize::from(*length) <= DOMAIN_BYTES_MAX)?;
    Some([PREFIX, &[length], domain.as_bytes(), bytes].concat())
}

/// The keys of this machine: today one, that signs. Keys of other people would be files beside it.
pub struct Keyring {
    directory: PathBuf,
    pair: Pair,
}

/// A key pair that is overwritten when it is dropped.
struct Pair(Box<Ed25519KeyPair>);

impl Drop for Pair {
    fn drop(&mut self) {
        // The pair offers no way to clear it, so another one takes its place in memory (T6).
        if let Ok(blank) = Ed25519KeyPair::from_seed_unchecked(&[0; 32]) {
            *self.0 = blank;
            std::hint::black_box(&self.0);
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.public())
    }
}

impl Keyring {
    /// The keyring in `directory`. Both the directory (mode 0700) and the key (0600) are made if they are missing.
    ///
    /// # Errors
    /// [`TrustError::Exposed`] and [`TrustError::Foreign`] for a key that is not its owner's alone,
    /// [`TrustError::Malformed`] for a file that is no key, [`TrustError::Busy`], [`TrustError::NoRandom`],
    /// [`TrustError::Refused`].
    pub fn open(directory: &Path) -> Result<Keyring, TrustError> {
        if let Some(keyring) = Keyring::existing(directory)? {
            return Ok(keyring);
        }
        place::make_directory(directory)?;
        let _lock = Lock::take(directory)?;
        // Another process may have been faster.
        if let Some(keyring) = Keyring::existing(directory)? {
            return Ok(keyring);
        }
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut *seed).map_err(|_| TrustError::NoRandom)?;
        let digits = Zeroizing::new(hex(&*seed));
        let mut line = Zeroizing::new(String::with_capacity(KEY_WORD.len() + 65));
        line.extend([KEY_WORD, &digits, "\n"]);
        let path = directory.join(KEY_FILE);
        place::write(&path, line.as_bytes())?;
        Ok(Keyring { directory: directory.to_owned(), pair: pair(&*seed, &path)? })
    }

    /// The keyring in `directory`; `None` where no key was made yet. Makes nothing.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn existing(directory: &Path) -> Result<Option<Keyring>, TrustError> {
        let path = directory.join(KEY_FILE);
        let Some(bytes) = place::read(&path, KEY_BYTES_MAX, Privacy::Secret)? else { return Ok(None) };
        place::check_directory(directory)?;
        let malformed = || TrustError::Malformed { path: path.clone(), wanted: KEY_FORM };
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        let digits = text.strip_prefix(KEY_WORD).and_then(|rest| rest.strip_suffix('\n'));
        let seed = Zeroizing::new(digits.and_then(unhex::<32>).ok_or_else(malformed)?);
        Ok(Some(Keyring { directory: directory.to_owned(), pair: pair(&*seed, &path)? }))
    }

    /// The public half of the machine key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.0.public_key().as_ref());
        PublicKey(key)
    }

    /// Signs `bytes` for `domain`, a word that says what the signature means, such as `policy`.
    ///
    /// A domain above [`DOMAIN_BYTES_MAX`] is the caller's mistake: such a signature never verifies.
    #[must_use]
    pub fn sign(&self, domain: &str, bytes: &[u8]) -> Signature {
        let mut out = [0; 64];
        if let Some(message) = message(domain, bytes) {
            out.copy_from_slice(self.pair.0.sign(&message).as_ref());
        }
        Signature(out)
    }

    /// Whether this machine's key signed `bytes` for `domain`.
    #[must_use]
    pub fn verify(&self, domain: &str, bytes: &[u8], signature: &Signature) -> bool {
        verify(&self.public(), domain, bytes, signature)
    }

    /// Where the keys are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn pair(seed: &[u8], path: &Path) -> Result<Pair, TrustError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed);
    pair.map(|pair| Pair(Box::new(pair))).map_err(|_| TrustError::Malformed { path: path.to_owned(), wanted: KEY_FORM })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1, in this crate's framing: the raw key agrees with the standard.
    #[test]
    fn keys_are_those_of_the_standard() {
        let seed = unhex::<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let pair = pair(&seed, Path::new("k")).unwrap();
        let public = hex(pair.0.public_key().as_ref());
        assert_eq!(public, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    }

    #[test]
    fn t3_a_signature_holds_for_its_domain_alone() {
        let directory = tempfile::tempdir().unwrap();
        let ring = Keyring::open(&directory.path().join("trust")).unwrap();
        let signature = ring.sign("policy", b"allow");
        assert!(ring.verify("policy", b"allow", &signature));
        for (domain, bytes) in [("audit", &b"allow"[..]), ("policy", b"deny"), ("polic", b"yallow"), ("", b"")] {
            assert!(!ring.verify(domain, bytes, &signature), "{domain}");
        }
        let mut other = signature;
        other.0[5] ^= 1;
        assert!(!ring.verify("policy", b"allow", &other));
        let long = "d".repeat(DOMAIN_BYTES_MAX + 1);
        assert!(!ring.verify(&long, b"", &ring.sign(&long, b"")));
        assert_eq!(PublicKey::parse(&ring.public().to_string()), Some(ring.public()));
        assert_eq!(Signature::parse(&signature.to_string()), Some(signature));
    }

    #[test]
    fn t6_nothing_private_is_printed() {
        let directory = tempfile::tempdir().unwrap();
        let ring = Keyring::open(&directory.path().join("trust")).unwrap();
        let file = std::fs::read_to_string(directory.path().join("trust/machine.key")).unwrap();
        let seed = file.strip_prefix(KEY_WORD).unwrap().trim();
        let shown = format!("{ring:?}");
        assert!(!shown.contains(seed) && shown.contains(&ring.public().to_string()), "{shown}");
    }
}
