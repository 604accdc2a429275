//! A text with a signature beside it.

use std::path::{Path, PathBuf};

use crate::error::TrustError;
use crate::hex::{hex, unhex};
use crate::keyring::{Keyring, PublicKey, Signature, verify};
use crate::place::{self, Lock, Privacy};
use crate::sha256;

/// The largest signed text, in bytes.
pub const SIGNED_BYTES_MAX: u64 = 4 << 20;

/// The largest `FILE.sig`, in bytes.
const SIG_BYTES_MAX: u64 = 1 << 10;
const SIG_HEAD: &str = "aether-signature 1\nalgorithm ed25519\n";
const SIG_FORM: &str = "the six lines of a signature file";
const COUNTER_BYTES_MAX: u64 = 32;
const COUNTER_FORM: &str = "one number";

/// A text file and its signature, `FILE.sig`.
///
/// The signature covers the name, the number and the SHA-256 of the text, not the path: a signed file may move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedFile {
    path: PathBuf,
    name: &'static str,
}

/// A text whose signature was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText {
    /// The text.
    pub text: String,
    /// The number it was signed with; the newest has the highest.
    pub counter: u64,
    /// Its SHA-256.
    pub digest: [u8; 32],
}

/// What `FILE.sig` says.
struct Sig {
    key: PublicKey,
    digest: [u8; 32],
    counter: u64,
    signature: Signature,
}

impl SignedFile {
    /// The file at `path`. `name`, such as `policy`, is what it is wherever it lies: lower-case letters, at most 32
    /// bytes. Nothing is touched yet.
    #[must_use]
    pub fn new(path: PathBuf, name: &'static str) -> SignedFile {
        SignedFile { path, name }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the text if its signature is this machine's and the newest.
    ///
    /// # Errors
    /// [`TrustError::Unsigned`], [`TrustError::Changed`], [`TrustError::UnknownKey`], [`TrustError::BadSignature`],
    /// [`TrustError::RolledBack`]; [`TrustError::Exposed`] and [`TrustError::Foreign`] where others may write;
    /// [`TrustError::Malformed`], [`TrustError::TooLarge`], [`TrustError::Refused`].
    pub fn read(&self, keyring: &Keyring) -> Result<SignedText, TrustError> {
        let bytes = self.bytes()?;
        let path = || self.path.clone();
        let sig = self.sig()?.ok_or_else(|| TrustError::Unsigned { path: path() })?;
        if sig.key != keyring.public() {
            return Err(TrustError::UnknownKey { path: path(), key: sig.key });
        }
        let message = self.message(&sig.digest, sig.counter);
        if !verify(&sig.key, self.name, &message, &sig.signature) {
            return Err(TrustError::BadSignature { path: path() });
        }
        let found = sha256(&bytes);
        if found != sig.digest {
            return Err(TrustError::Changed { path: path(), signed: sig.digest, found });
        }
        let newest = self.newest(keyring.directory())?;
        if sig.counter < newest {
            return Err(TrustError::RolledBack { path: path(), counter: sig.counter, newest });
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| TrustError::Malformed { path: path(), wanted: "UTF-8 text" })?
            .to_owned();
        Ok(SignedText { text, counter: sig.counter, digest: found })
    }

    /// Signs what the file holds now, with the next number.
    ///
    /// # Errors
    /// Those of reading and writing files; see [`SignedFile::read`].
    pub fn sign(&self, keyring: &Keyring) -> Result<SignedText, TrustError> {
        let _lock = Lock::take(keyring.directory())?;
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| TrustError::Malformed { path: self.path.clone(), wanted: "UTF-8 text" })?
            .to_owned();
        // A signature file that is damaged has no number to go on from; the keyring's own remains.
        let before = self.sig().ok().flatten().filter(|sig| sig.key == keyring.public()).map_or(0, |sig| sig.counter);
        let counter = self.newest(keyring.directory())?.max(before).saturating_add(1);
        let digest = sha256(&bytes);
        let signature = keyring.sign(self.name, &self.message(&digest, counter));
        let (key, shown) = (keyring.public(), hex(&digest));
        let sig = format!("{SIG_HEAD}key {key}\ndigest {shown}\ncounter {counter}\nsignature {signature}\n");
        place::write(&self.sig_path(), sig.as_bytes())?;
        // Last, so that a kill in between leaves a signature that is newer than the number, never an older one.
        place::write(&self.counter_path(keyring.directory()), format!("{counter}\n").as_bytes())?;
        Ok(SignedText { text, counter, digest })
    }

    /// The newest number that was given for this name with the keys in `directory`; 0 where nothing was ever signed.
    /// It tells a file that was signed once and is gone from one that never was. Makes nothing.
    ///
    /// # Errors
    /// [`TrustError::Exposed`], [`TrustError::Foreign`], [`TrustError::Malformed`], [`TrustError::Refused`].
    pub fn newest(&self, directory: &Path) -> Result<u64, TrustError> {
        let path = self.counter_path(directory);
        let Some(bytes) = place::read(&path, COUNTER_BYTES_MAX, Privacy::Secret)? else { return Ok(0) };
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        text.and_then(number).ok_or(TrustError::Malformed { path, wanted: COUNTER_FORM })
    }

    fn bytes(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, TrustError> {
        let missing = || TrustError::refused("read", &self.path, &std::io::ErrorKind::NotFound.into());
        place::read(&self.path, SIGNED_BYTES_MAX, Privacy::Readable)?.ok_or_else(missing)
    }

    fn sig_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".sig");
        PathBuf::from(name)
    }

    fn sig(&self) -> Result<Option<Sig>, TrustError> {
        let path = self.sig_path();
        let Some(bytes) = place::read(&path, SIG_BYTES_MAX, Privacy::Readable)? else { return Ok(None) };
        let sig = std::str::from_utf8(&bytes).ok().and_then(parse);
        sig.map(Some).ok_or(TrustError::Malformed { path, wanted: SIG_FORM })
    }

    fn message(&self, digest: &[u8; 32], counter: u64) -> Vec<u8> {
        [&counter.to_be_bytes()[..], digest].concat()
    }

    fn counter_path(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.counter", self.name))
    }
}

/// A number in its one decimal form.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn parse(text: &str) -> Option<Sig> {
    let mut lines = text.strip_prefix(SIG_HEAD)?.strip_suffix('\n')?.split('\n');
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let sig = Sig {
        key: PublicKey::parse(field("key")?)?,
        digest: unhex(field("digest")?)?,
        counter: number(field("counter")?)?,
        signature: Signature::parse(field("signature")?)?,
    };
    lines.next().is_none().then_some(sig)
}
