//! The policy file: found, checked against its signature, read; and written together with a new signature.

use std::path::{Path, PathBuf};

use aether_audit::{Kind, Record};
use aether_core::digest::Digest;
use aether_manifest::{Mistake, POLICY_BYTES_MAX, PolicyFile};
use aether_session::{Directories, private};
use aether_trust::{Keyring, SignedFile, TrustError, sha256};

use crate::boot::{Boot, Place};
use crate::config::file::ConfigFile;
use crate::trouble::Trouble;

/// What the signature says the file is, wherever it lies.
const SIGNED_NAME: &str = "policy";

/// How many differences a message names.
const GIST_MAX: usize = 6;

/// Where this machine's key is.
pub(crate) fn keyring_directory(directories: &Directories) -> PathBuf {
    directories.data.join("trust")
}

/// The policy file. There is one for a person, whatever configuration file was named: naming another one must not
/// get around it.
pub(crate) fn path(directories: &Directories) -> PathBuf {
    directories.config.join("policy.toml")
}

/// What there is.
pub(crate) enum State {
    /// No file: the built-in policy holds.
    Absent,
    /// A file that is signed and sound.
    Sound(PolicyFile),
    /// A file that cannot be read as a policy.
    Broken(Vec<Mistake>),
    /// No file, though one was signed, and what is there instead.
    Gone(String),
    /// A file that says something which nobody signed, and what it says.
    Untrusted { why: String, found: Option<PolicyFile> },
}

/// The policy that holds.
///
/// # Errors
/// Everything that is no sound, signed policy: then nothing runs that policy would have to decide.
pub(crate) fn load(directories: &Directories) -> Result<PolicyFile, Trouble> {
    match look(directories) {
        State::Absent => Ok(PolicyFile::default()),
        State::Sound(policy) => Ok(policy),
        State::Broken(mistakes) => Err(Trouble::usage(sentences(&path(directories), &mistakes))),
        State::Gone(why) => Err(Trouble::refused(format!(
            "policy: {why}; nothing runs until you put it back, or return to the built-in policy on purpose with `aether policy reset`"
        ))),
        State::Untrusted { why, found } => {
            let gist = found.map_or(String::new(), |found| gist(directories, &found));
            Err(Trouble::refused(format!(
                "policy: {why}; {gist}nothing runs until `aether policy sign` has shown you the file and you accept it"
            )))
        }
    }
}

/// Looks at the file. Nothing is made and nothing changes.
pub(crate) fn look(directories: &Directories) -> State {
    let path = path(directories);
    let untrusted = |why: String| State::Untrusted { why, found: None };
    if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return absent(directories, &path);
    }
    let text = match private::read_text(&path, POLICY_BYTES_MAX as u64) {
        Ok(text) => text,
        Err(error) => return untrusted(error.to_string()),
    };
    let policy = match PolicyFile::parse(&text) {
        Ok(policy) => policy,
        Err(mistakes) => return State::Broken(mistakes),
    };
    match signed(directories, &path) {
        Ok(signed) if signed == text => State::Sound(policy),
        Ok(_) => State::Untrusted { why: format!("{} changes while it is read", path.display()), found: None },
        Err(error) => State::Untrusted { why: error.to_string(), found: Some(policy) },
    }
}

/// What it means that there is no file: nothing, unless one was signed before. Taking a policy away does not lift it.
fn absent(directories: &Directories, path: &Path) -> State {
    let shown = path.display();
    match SignedFile::new(path.to_owned(), SIGNED_NAME).newest(&keyring_directory(directories)) {
        Ok(0) if signature_of(path).exists() => State::Gone(format!("{shown} is gone, but its signature is there")),
        Ok(0) => State::Absent,
        Ok(newest) => State::Gone(format!("{shown} is gone, though this machine signed it (as number {newest})")),
        Err(error) => State::Untrusted { why: error.to_string(), found: None },
    }
}

/// The text, if this machine's key signed it last.
fn signed(directories: &Directories, path: &Path) -> Result<String, TrustError> {
    match Keyring::existing(&keyring_directory(directories))? {
        None => Err(TrustError::Unsigned { path: path.to_owned() }),
        Some(keyring) => Ok(SignedFile::new(path.to_owned(), SIGNED_NAME).read(&keyring)?.text),
    }
}

/// What differs, in a few words with a `; ` behind them.
fn gist(directories: &Directories, found: &PolicyFile) -> String {
    let (before, name) = match accepted(directories).and_then(|text| PolicyFile::parse(&text).ok()) {
        Some(before) => (before, "what was signed"),
        None => (PolicyFile::default(), "the built-in policy"),
    };
    let differences = before.differences(found);
    if differences.is_empty() {
        return format!("it allows the same as {name}; ");
    }
    let more = differences.len().saturating_sub(GIST_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let shown: Vec<&str> = differences.iter().take(GIST_MAX).map(String::as_str).collect();
    format!("it differs from {name} in {}{more}; ", shown.join(", "))
}

/// The text that was signed last, as far as a copy of it is there and is what the signature says.
pub(crate) fn accepted(directories: &Directories) -> Option<String> {
    let text = private::read_text(&copy_path(directories), POLICY_BYTES_MAX as u64).ok()?;
    let keyring = Keyring::existing(&keyring_directory(directories)).ok()??;
    let is_accepted = match SignedFile::new(path(directories), SIGNED_NAME).read(&keyring) {
        Ok(signed) => signed.text == text,
        Err(TrustError::Changed { signed, .. }) => signed == sha256(text.as_bytes()),
        Err(_) => false,
    };
    is_accepted.then_some(text)
}

/// The text that was signed last, also where file or signature are gone and nothing but the copy says so. It serves to
/// show what changes, and decides nothing.
pub(crate) fn remembered(directories: &Directories) -> Option<String> {
    private::read_text(&copy_path(directories), POLICY_BYTES_MAX as u64).ok()
}

/// Where a copy of the text that was signed last is kept, so that changes by hand can be shown.
fn copy_path(directories: &Directories) -> PathBuf {
    keyring_directory(directories).join("policy.signed.toml")
}

fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// The place of the policy file, as [`ConfigFile`] and the editor take it.
pub(crate) fn place(directories: &Directories) -> Place {
    Place { directories: directories.clone(), config_file: path(directories), is_named: false }
}

/// Makes `text` that of the held file and signs it, once the audit log has it that this was done.
///
/// # Errors
/// Trouble with the log, the key or a file; and a file that somebody changed meanwhile, which then is not trusted.
pub(crate) fn accept(boot: &Boot, held: &ConfigFile, text: &str) -> Result<(), Trouble> {
    let directories = &boot.directories;
    let after = PolicyFile::parse(text).map_err(|mistakes| Trouble::usage(sentences(&path(directories), &mistakes)))?;
    let before = accepted(directories).or_else(|| remembered(directories));
    let before = before.and_then(|text| PolicyFile::parse(&text).ok()).unwrap_or_default();
    let record = Record::new(Kind::Policy)
        .digest("digest", &Digest(sha256(text.as_bytes())))
        .text("changes", &before.differences(&after).join(", "));
    boot.audit().permit(record).map_err(|why| {
        Trouble::failed(format!("the policy stays as it was: its change cannot be written to the audit log ({why})"))
    })?;
    let keyring = Keyring::open(&keyring_directory(directories)).map_err(Trouble::failed)?;
    if held.text() != text || !held.is_there() {
        held.save(text)?;
    }
    let signed = SignedFile::new(path(directories), SIGNED_NAME).sign(&keyring).map_err(Trouble::failed)?;
    if signed.text != text {
        return Err(Trouble::failed(format!(
            "{} was changed by somebody else at this moment; look at it with `aether policy sign`",
            path(directories).display()
        )));
    }
    private::write(&copy_path(directories), text.as_bytes()).map_err(Trouble::failed)
}

/// Every mistake with its place, a line each.
pub(crate) fn sentences(path: &Path, mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{}:{mistake}", path.display())).collect();
    lines.join("\n")
}
