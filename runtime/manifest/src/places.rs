//! Which places a manifest may name: neither everything at once nor what holds keys or starts programs (M3).
//!
//! These rules look at names alone. What a name leads to is looked at again when a place is opened.

use aether_core::capability::Place;
use aether_core::config::nearest;

use crate::hosts::Wrong;
use crate::mistake::{MistakeKind, is_invisible};

/// The roots that a place can begin with: the directory of the task, and the home of the person.
pub const ROOTS: &[&str] = &["$workspace", "$home"];

/// The machine's own programs and libraries, all of them, to execute: for tools that start what they are told to.
pub(crate) const SYSTEM: &str = "$system";

/// The longest path, in bytes (`PATH_MAX` of Linux, without its end).
const PATH_BYTES_MAX: usize = 4095;

/// What is wanted of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
    Execute,
}

/// What holds keys, tokens and what this program believes: beneath a home, for no use.
const HOME_SECRETS: &[&str] = &[
    ".aws",
    ".azure",
    ".cargo/credentials.toml",
    ".config/aether",
    ".config/chromium",
    ".config/gcloud",
    ".config/gh",
    ".config/google-chrome",
    ".docker",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".local/share/aether",
    ".local/share/keyrings",
    ".mozilla",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pypirc",
    ".ssh",
    "Library/Application Support/aether",
    "Library/Keychains",
];

/// What is executed or obeyed later by somebody else: beneath a home, not to be written.
const HOME_STARTERS: &[&str] = &[
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".config/autostart",
    ".config/fish",
    ".config/git",
    ".config/systemd",
    ".gitconfig",
    ".local/bin",
    ".profile",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
    "bin",
    "Library/LaunchAgents",
];

/// Names that are never written at any depth: what is in them can run commands or change what is allowed.
const NAMES_NOT_WRITTEN: &[&str] = &[".git", ".aether", ".mcp.json", ".vscode", ".idea"];

/// The kernel's own, other people's, and what talks to servers of this machine: for no use.
const SYSTEM_SECRETS: &[&str] = &[
    "/boot",
    "/dev",
    "/etc/gshadow",
    "/etc/shadow",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/proc",
    "/run",
    "/sys",
    "/var/lib/docker",
    "/var/run",
    "/var/spool/cron",
];

/// What the system starts: not to be written.
const SYSTEM_STARTERS: &[&str] = &["/bin", "/etc", "/lib", "/lib32", "/lib64", "/sbin", "/usr"];

/// Directories that are too much by themselves.
const WHOLE: &[&str] = &["/", "/home", "/media", "/mnt", "/tmp", "/Users", "/var", "/var/tmp"];

/// Directories full of programs: too much to execute.
const PROGRAMS: &[&str] = &[
    "/bin",
    "/lib",
    "/opt",
    "/sbin",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/libexec",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "$workspace",
];

/// Reads a place that a tool asks for.
pub(crate) fn declared(text: &str, wanted: Use) -> Result<Place, Wrong> {
    if text == SYSTEM && wanted == Use::Execute {
        return Place::parse(text).map_err(|error| (MistakeKind::Malformed, error.why.to_owned()));
    }
    let place = spelled_well(text)?;
    let path = place.as_str();
    let whole = |what: &str| Err((MistakeKind::TooBroad, format!("is {what}: name the directories or files it needs")));
    if equals(path, &"$home") || at_home(path) == Some("") {
        return whole("a whole home, with all keys in it");
    }
    if WHOLE.iter().any(|one| equals(path, one)) {
        return whole("too much at once");
    }
    if wanted == Use::Execute && PROGRAMS.iter().any(|one| equals(path, one)) {
        let why = "holds any number of programs: name each program, such as `/usr/bin/git`, or say `$system`";
        return Err((MistakeKind::TooBroad, why.to_owned()));
    }
    not_protected(path, wanted)?;
    Ok(place)
}

fn spelled_well(text: &str) -> Result<Place, Wrong> {
    let malformed = |why: String| Err((MistakeKind::Malformed, why));
    if let Some(rest) = text.strip_prefix('~') {
        if rest.trim_matches('/').is_empty() {
            return Err((
                MistakeKind::TooBroad,
                "is a whole home: name what it needs, such as `$home/notes`".to_owned(),
            ));
        }
        return malformed(format!("begins with `~`, which only shells know: write `$home/{}`", rest.trim_matches('/')));
    }
    if text == "*" || text.contains('*') {
        return malformed(
            "has a `*`: a place is one file or directory with everything beneath it, without patterns".to_owned(),
        );
    }
    if text.len() > PATH_BYTES_MAX || text.chars().any(|letter| letter.is_control() || is_invisible(letter)) {
        return malformed(format!("has characters that are not seen, or more than {PATH_BYTES_MAX} bytes"));
    }
    let place = Place::parse(text).or_else(|error| malformed(format!("cannot be taken: {}", error.why)))?;
    let root = place.as_str().split('/').next().unwrap_or_default();
    if !root.is_empty() && !ROOTS.contains(&root) {
        let near = nearest(root, ROOTS.iter().copied()).unwrap_or("$workspace");
        return malformed(format!("begins with an unknown root; did you mean `{near}`?"));
    }
    Ok(place)
}

fn not_protected(path: &str, wanted: Use) -> Result<(), Wrong> {
    let refused = |what: &str, why: &str| {
        Err((MistakeKind::Protected, format!("reaches `{what}`, which {why}: name something else")))
    };
    let home = at_home(path);
    if let Some(what) = touched(home.unwrap_or(""), home.map_or(&[], |_| HOME_SECRETS)) {
        return refused(&format!("$home/{what}"), "holds keys or what this program believes");
    }
    if let Some(what) = touched(path, SYSTEM_SECRETS) {
        return refused(what, "is the system's own");
    }
    if wanted != Use::Write {
        return Ok(());
    }
    if let Some(what) = touched(home.unwrap_or(""), home.map_or(&[], |_| HOME_STARTERS)) {
        return refused(&format!("$home/{what}"), "is executed or obeyed later, outside any sandbox");
    }
    if let Some(what) = touched(path, SYSTEM_STARTERS) {
        return refused(what, "holds programs and settings of the system");
    }
    let name = path.split('/').find(|part| NAMES_NOT_WRITTEN.iter().any(|name| part.eq_ignore_ascii_case(name)));
    name.map_or(Ok(()), |name| refused(name, "can run commands or change what is allowed"))
}

/// What is beneath a home, if the path lies in one: `$home`, `/root`, `/home/NAME` or `/Users/NAME`.
fn at_home(path: &str) -> Option<&str> {
    if let Some(rest) = beneath(path, "$home").or_else(|| beneath(path, "/root")) {
        return Some(rest);
    }
    let rest = beneath(path, "/home").or_else(|| beneath(path, "/Users")).filter(|rest| !rest.is_empty())?;
    Some(rest.split_once('/').map_or("", |(_, rest)| rest))
}

/// What of `path` is beneath `root`; empty for the root itself.
fn beneath<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    let (head, rest) = path.split_at_checked(root.len())?;
    let rest = Some(rest).filter(|_| head.eq_ignore_ascii_case(root))?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

/// The first of `protected` that lies in `path`, or in which `path` lies.
fn touched<'p>(path: &str, protected: &[&'p str]) -> Option<&'p str> {
    protected.iter().copied().find(|one| within(path, one) || within(one, path))
}

/// Whether `path` is `other` or beneath it, in any case of letters, as some file systems see it.
fn within(path: &str, other: &str) -> bool {
    let (path, other) = (path.as_bytes(), other.as_bytes());
    path.len() >= other.len()
        && path[..other.len()].eq_ignore_ascii_case(other)
        && (path.len() == other.len() || path[other.len()] == b'/')
}

fn equals(path: &str, other: &&str) -> bool {
    path.eq_ignore_ascii_case(other)
}
