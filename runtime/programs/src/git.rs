//! `git`, so that neither a hostile repository nor this machine's settings decide what it does.

use std::sync::Arc;

use aether_core::capability::Host;
use aether_core::tool::{Manifest, Needs};
use aether_tools::{Kind, Scope, Shape, optional, required};

use crate::hosts::{self, HOSTS};
use crate::order::{Line, Order};
use crate::run_program::arguments;
use crate::shell::folder;
use crate::{Program, SECONDS_DEFAULT, SYSTEM, at_work, declared};

const SHAPE: Shape =
    Shape(&[required("args", Kind::Texts, ""), optional("folder", Kind::Text, ""), optional(HOSTS, Kind::Texts, "")]);

/// Settings that win over the repository's own (`git-config(1)`): whatever could name a program to execute.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.editor=true",
    "core.sshCommand=false",
    "core.askPass=true",
    "core.alternateRefsCommand=",
    "credential.helper=",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "gpg.program=false",
    "diff.external=",
    "sequence.editor=true",
    "uploadpack.packObjectsHook=",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.file.allow=user",
    "submodule.recurse=false",
    "safe.directory=*",
    "advice.detachedHead=false",
];

/// Commands that show differences, and would show them by programs of the repository's choice.
const SHOWING: &[&str] = &["diff", "log", "show", "whatchanged"];
/// Options that keep them from it.
const PLAINLY: &[&str] = &["--no-ext-diff", "--no-textconv"];
/// Options of its commands that name a program to execute, without their `--`. Git takes them shortened, too.
const EXECUTING: &[&str] = &["upload-pack", "receive-pack", "exec", "extcmd", "open-files-in-pager"];
/// The same of one letter, and the commands for which they do. The letter can stand behind others, and before its value.
const EXECUTING_LETTERS: &[(char, &[&str])] =
    &[('u', &["clone", "fetch-pack", "ls-remote", "fetch", "pull"]), ('x', &["difftool", "rebase"]), ('O', &["grep"])];

/// The tool.
pub(crate) struct Git {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl Git {
    pub(crate) fn new(scope: Arc<Scope>) -> Git {
        let description = "Run git, without hooks or helpers.";
        Git { manifest: declared("git", description, &SHAPE, &[SYSTEM]), scope }
    }
}

impl Program for Git {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn read(&self, input: &str) -> Result<(Needs, Order), String> {
        let input = SHAPE.read(input)?;
        let words = arguments(input.texts("args").into_iter().flatten())?;
        check(&words)?;
        let needs = hosts::needs(&input, at_work(&[SYSTEM]), remotes(&words)?)?;
        let mut args = vec!["--no-pager".to_owned()];
        for setting in SETTINGS {
            args.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        args.extend(plainly(words));
        let line = Line {
            program: "git".into(),
            args,
            env: environment(),
            folder: folder(&self.scope, &input)?,
            input: String::new(),
            seconds_max: SECONDS_DEFAULT,
        };
        Ok((needs, Order::Once(line)))
    }
}

/// The same words, so that what they show is shown by `git` itself.
fn plainly(mut words: Vec<String>) -> Vec<String> {
    let at = match words.first().map(String::as_str) {
        Some("stash") if words.get(1).is_some_and(|word| word == "show") => 2,
        Some(command) if SHOWING.contains(&command) => 1,
        _ => return words,
    };
    words.splice(at..at, PLAINLY.iter().map(|option| (*option).to_owned()));
    words
}

/// Refuses what would take a setting or a program from the call (P4).
fn check(words: &[String]) -> Result<(), String> {
    let Some(command) = words.first() else { return Err("`args` is empty; give a command such as `status`".into()) };
    // Options of `git` itself would undo those settings, or lead out of the directory.
    if command.starts_with('-') && command != "--version" {
        return Err(format!("`{command}` is not taken before a command; use `folder` to choose a directory"));
    }
    if let Some(word) = words.iter().find(|word| executes(command, word)) {
        return Err(format!("`{word}` would execute a program, or be taken as if; write values as words of their own"));
    }
    match words.iter().find(|word| word.starts_with("ext::") || word.starts_with("ssh://") || is_scp(word)) {
        Some(word) => Err(format!("`{word}`: only https:// remotes are reached")),
        None => Ok(()),
    }
}

/// Whether a word can be an option that names a program to execute. What comes behind `--` is looked at like the rest:
/// `--` itself may be the value of an option.
fn executes(command: &str, word: &str) -> bool {
    if let Some(option) = word.strip_prefix("--") {
        let name = option.split('=').next().unwrap_or_default();
        return !name.is_empty() && EXECUTING.iter().any(|whole| whole.starts_with(name));
    }
    let Some(letters) = word.strip_prefix('-') else { return false };
    EXECUTING_LETTERS.iter().any(|(letter, commands)| commands.contains(&command) && letters.contains(*letter))
}

/// `git@host:path`, as `scp` writes it.
fn is_scp(word: &str) -> bool {
    word.split_once(':').is_some_and(|(left, _)| left.contains('@') && !left.contains('/'))
}

/// The hosts of the URLs among the arguments.
fn remotes(words: &[String]) -> Result<Vec<Host>, String> {
    let mut hosts = Vec::new();
    for word in words {
        let Some(rest) = word.strip_prefix("https://") else { continue };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("a URL with a user name or password is not taken".into());
        }
        hosts.push(Host::parse(authority).map_err(|error| error.to_string())?);
    }
    Ok(hosts)
}

/// No settings of the machine or the person, no questions, and a name of its own for commits.
fn environment() -> Vec<(&'static str, String)> {
    let fixed = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_LFS_SKIP_SMUDGE", "1"),
        ("GIT_TEMPLATE_DIR", ""),
        ("GIT_AUTHOR_NAME", "Aether"),
        ("GIT_AUTHOR_EMAIL", "aether@localhost"),
        ("GIT_COMMITTER_NAME", "Aether"),
        ("GIT_COMMITTER_EMAIL", "aether@localhost"),
    ];
    fixed.map(|(name, value)| (name, value.to_owned())).to_vec()
}
