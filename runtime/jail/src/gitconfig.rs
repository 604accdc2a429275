//! What is kept of the configuration of a repository that a jail made: settings that name no program and no file.
//!
//! The form is that of `git-config(1)`, "Syntax", without what none of the kept settings needs: quoted values, escapes,
//! continued lines, inclusion. A line that is not understood is not kept.

use std::fmt::Write;

/// What may be the value of a kept setting.
#[derive(Clone, Copy)]
enum Value {
    /// Letters, digits, `.`, `_` and `-`: a truth, a number, one of a few words.
    Word,
    /// A name of a person or an address.
    Text,
    /// Where a remote repository is: not on this machine, where its own hooks would run.
    Address,
    /// Which references are fetched, or the name of one.
    References,
    /// The name of a remote that is kept, or `.`.
    Remote,
}

/// Section, setting and value, all names in lower case; sections other than `core`, `extensions` and `user` have a name
/// of their own beside.
const KEPT: &[(&str, &str, Value)] = &[
    ("core", "repositoryformatversion", Value::Word),
    ("core", "filemode", Value::Word),
    ("core", "bare", Value::Word),
    ("core", "logallrefupdates", Value::Word),
    ("core", "ignorecase", Value::Word),
    ("core", "precomposeunicode", Value::Word),
    ("core", "symlinks", Value::Word),
    ("core", "autocrlf", Value::Word),
    ("core", "eol", Value::Word),
    ("extensions", "objectformat", Value::Word),
    ("extensions", "refstorage", Value::Word),
    ("extensions", "partialclone", Value::Remote),
    ("user", "name", Value::Text),
    ("user", "email", Value::Text),
    ("remote", "url", Value::Address),
    ("remote", "fetch", Value::References),
    ("remote", "tagopt", Value::Word),
    ("remote", "promisor", Value::Word),
    ("remote", "partialclonefilter", Value::References),
    ("branch", "remote", Value::Remote),
    ("branch", "merge", Value::References),
    ("branch", "rebase", Value::Word),
    ("submodule", "url", Value::Address),
    ("submodule", "active", Value::Word),
];

/// Longest name or value that is kept, in bytes.
const WORD_BYTES_MAX: usize = 1024;

/// What is kept of a configuration; `None` if that is all of it.
pub(crate) fn tame(text: &str) -> Option<String> {
    let remotes: Vec<&str> = settings(text)
        .filter_map(|line| match line {
            Line::Setting { section: ("remote", Some(name)), key: "url", value } if is_address(value) => Some(name),
            _ => None,
        })
        .collect();
    let (mut kept, mut is_whole, mut last) = (String::new(), true, None);
    for line in settings(text) {
        let Line::Setting { section, key, value } = line else {
            is_whole &= line == Line::Empty;
            continue;
        };
        if !is_kept(section, key, value, &remotes) {
            is_whole = false;
            continue;
        }
        // Writing to a string cannot fail.
        let _written = match (last == Some(section), section) {
            (true, _) => Ok(()),
            (false, (name, Some(own))) => writeln!(kept, "[{name} \"{own}\"]"),
            (false, (name, None)) => writeln!(kept, "[{name}]"),
        };
        last = Some(section);
        let _written = writeln!(kept, "\t{key} = {value}");
    }
    (!is_whole).then_some(kept)
}

type Section<'a> = (&'a str, Option<&'a str>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    /// Nothing, a comment, or a section that can be kept.
    Empty,
    /// A setting.
    Setting { section: Section<'a>, key: &'a str, value: &'a str },
    /// Anything else.
    Odd,
}

fn settings(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut section = None;
    // A line that ends with a backslash goes on: what follows is no line of its own.
    let mut is_continued = false;
    text.split('\n').map(move |line| {
        let goes_on = std::mem::replace(&mut is_continued, line.ends_with('\\'));
        let line = line.trim_matches([' ', '\t']);
        if goes_on || is_continued {
            return Line::Odd;
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Line::Empty;
        }
        if line.starts_with('[') {
            section = header(line);
            return if section.is_some() { Line::Empty } else { Line::Odd };
        }
        let Some(section) = section else { return Line::Odd };
        match line.split_once('=') {
            Some((key, value)) => Line::Setting { section, key: key.trim(), value: value.trim() },
            None => Line::Odd,
        }
    })
}

/// `[name]` or `[name "own name"]`, and nothing behind it.
fn header(line: &str) -> Option<Section<'_>> {
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    match inner.split_once(' ') {
        None => is_name(inner).then_some((inner, None)),
        Some((name, own)) => {
            let own = own.strip_prefix('"')?.strip_suffix('"')?;
            (is_name(name) && is_made_of(own, "-_./@+ ")).then_some((name, Some(own)))
        }
    }
}

fn is_kept((name, own): Section<'_>, key: &str, value: &str, remotes: &[&str]) -> bool {
    let is_named = !matches!(name, "core" | "extensions" | "user");
    let of_kind = |(section, setting, _): &&(&str, &str, Value)| *section == name && key.eq_ignore_ascii_case(setting);
    let Some((_, _, kind)) = KEPT.iter().find(of_kind) else { return false };
    if own.is_some() != is_named || (name == "remote" && !own.is_some_and(|own| remotes.contains(&own))) {
        return false;
    }
    match kind {
        Value::Word => is_made_of(value, "._-"),
        Value::Text => is_made_of(value, " .,_-@+'()<>") || value.chars().all(|c| c.is_alphanumeric() || c == ' '),
        Value::Address => is_address(value),
        Value::References => is_made_of(value, "+*/:._-@") && !value.starts_with('-'),
        Value::Remote => value == "." || remotes.contains(&value),
    }
}

/// Letters and digits of ASCII, and these.
fn is_made_of(text: &str, others: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    !text.is_empty() && text.len() <= WORD_BYTES_MAX && text.chars().all(fits)
}

/// A repository on another machine: by a scheme, or as `user@host:path`. Neither a path of this one nor a helper
/// (`ext::`), which is a program.
fn is_address(value: &str) -> bool {
    if !is_made_of(value, "+/:._-@~%?=&,[]") || value.starts_with('-') || value.contains("::") {
        return false;
    }
    if let Some((scheme, rest)) = value.split_once("://") {
        return matches!(scheme, "https" | "http" | "ssh" | "git") && !rest.starts_with(['-', '/']);
    }
    let Some((host, path)) = value.split_once(':') else { return false };
    is_made_of(host, "@._-") && !path.is_empty() && !path.starts_with('-') && host.contains(['@', '.'])
}

#[cfg(test)]
mod tests {
    use super::tame;

    const MADE: &str =
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n";

    #[test]
    fn j7_what_git_init_and_git_clone_write_is_kept_whole() {
        let clone = "[remote \"origin\"]\n\turl = https://example.org/a/b.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
                     [branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n\
                     [submodule \"libs/part\"]\n\tactive = true\n\turl = git@example.org:a/part.git\n\
                     [user]\n\tname = A. Person\n\temail = a@example.org\n";
        assert_eq!(tame(MADE), None);
        assert_eq!(tame(&format!("{MADE}{clone}")), None);
    }

    #[test]
    fn j7_nothing_that_names_a_program_or_a_file_is_kept() {
        for evil in [
            "[core]\n\tfsmonitor = ./evil\n",
            "[core]\n\thooksPath = evil\n",
            "[core]\n\tworktree = /home/me\n",
            "[core] fsmonitor = ./evil\n",
            "[CORE]\n\tfsmonitor = ./evil\n",
            "[core]\n\tsshCommand = sh -c evil\n",
            "[core]\n\tbare = false \\\n\tfsmonitor = evil\n",
            "[core]\n\tbare = \"fal\\\nse\"\n",
            "[include]\n\tpath = ../evil\n",
            "[includeIf \"gitdir:/\"]\n\tpath = ../evil\n",
            "[filter \"x\"]\n\tsmudge = evil\n",
            "[alias]\n\tst = !evil\n",
            "[credential]\n\thelper = !evil\n",
            "[remote \"x\"]\n\turl = ext::sh -c evil\n",
            "[remote \"x\"]\n\turl = ext::evil\n",
            "[remote \"x\"]\n\turl = ../evil\n",
            "[remote \"x\"]\n\turl = /tmp/evil\n",
            "[remote \"x\"]\n\turl = file:///tmp/evil\n",
            "[remote \"x\"]\n\turl = evil\n",
            "[remote \"x\"]\n\turl = -oProxyCommand=evil\n",
            "[remote \"x\"]\n\turl = ssh://-oProxyCommand=evil/x\n",
            "[remote \"x\"]\n\tuploadpack = evil\n",
            "[branch \"main\"]\n\tremote = evil\n",
            "[submodule \"x\"]\n\tupdate = !evil\n",
            "[remote.x]\n\turl = https://example.org/evil\n",
            "evil = 1\n",
        ] {
            let kept = tame(&format!("{evil}{MADE}")).unwrap_or_else(|| panic!("kept whole: {evil}"));
            assert!(!kept.contains("evil") && !kept.contains("/home"), "{evil}: {kept}");
            assert!(kept.contains("logallrefupdates = true") || evil.contains('\\'), "{evil}: {kept}");
            assert_eq!(tame(&kept), None, "what was kept is kept");
        }
    }

    #[test]
    fn j7_a_branch_of_a_remote_that_goes_goes_with_it() {
        let text = "[remote \"a\"]\n\turl = ../evil\n\tfetch = +refs/heads/*:refs/x/*\n[branch \"b\"]\n\tremote = a\n";
        assert_eq!(tame(text).as_deref(), Some(""));
    }
}
