//! `aether policy set|edit|sign|reset`: changes by the person, each with a new signature.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use aether_core::config::{Kind, nearest};
use aether_core::policy::Asker;
use aether_core::tool::Act;
use aether_manifest::PolicyFile;
use aether_session::Directories;
use aether_terminal::{Stream, Tty, is_terminal, neutral};

use super::file::{self, State};
use super::{BUILT_IN, DECISIONS, words_of_set};
use crate::args::Invocation;
use crate::boot::Boot;
use crate::config::file::ConfigFile;
use crate::config::{Editing, edit_file};
use crate::show::{self, eprint};
use crate::trouble::{Exit, Trouble};

/// The most lines of a difference that are shown.
const DIFFERENCE_LINES_MAX: usize = 400;

/// `aether policy set ASKER.ACT DECISION`.
pub(crate) fn set(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let directories = &boot.directories;
    let cell = cell(invocation.operand(0, "a cell such as terminal.write")?)?;
    let decision = invocation.operand(1, "a decision: allow, ask, deny or default")?;
    if decision != BUILT_IN && !DECISIONS.contains(&decision) {
        return Err(Trouble::usage(format!(
            "`{decision}` is no decision, wanted {} or {BUILT_IN}",
            DECISIONS.join(", ")
        )));
    }
    let held = ConfigFile::open(&file::place(directories))?;
    // What somebody wrote by hand is not signed along with it.
    let before = file::load(directories)?;
    let text = if decision == BUILT_IN {
        aether_settings::unset(held.text(), &cell).map(|text| text.unwrap_or_else(|| held.text().to_owned()))
    } else {
        aether_settings::set(held.text(), &cell, decision, Kind::Choice(DECISIONS))
    }
    .map_err(Trouble::usage)?;
    let path = file::path(directories);
    let after = PolicyFile::parse(&text).map_err(|wrong| Trouble::usage(file::sentences(&path, &wrong)))?;
    if text == held.text() {
        eprint(&format!("`{cell}` was so already in {}", path.display()));
        return Ok(Exit::Done);
    }
    file::accept(&boot, &held, &text)?;
    for difference in before.differences(&after) {
        eprint(&difference);
    }
    eprint(&format!("{} is saved and signed", path.display()));
    Ok(Exit::Done)
}

/// A cell as it was typed, which is one of the table.
fn cell(typed: &str) -> Result<String, Trouble> {
    let all: Vec<String> = words_of_set().into_iter().filter(|word| word.contains('.')).collect();
    let plain = typed.replace('-', "_");
    if all.contains(&plain) {
        return Ok(plain);
    }
    Err(Trouble::usage(match nearest(&plain, all.iter().map(String::as_str)) {
        Some(near) => format!("`{typed}` is no cell of the policy; did you mean `{near}`?"),
        None => format!(
            "`{typed}` is no cell of the policy; wanted ASKER.ACT with one of {} and one of {}",
            Asker::ALL.iter().map(|asker| asker.name()).collect::<Vec<_>>().join(", "),
            Act::ALL.iter().map(|act| act.name()).collect::<Vec<_>>().join(", ")
        ),
    }))
}

/// `aether policy edit`.
pub(crate) fn edit(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let directories = &boot.directories;
    if let State::Untrusted { .. } | State::Gone(_) = file::look(directories) {
        // What is not trusted is shown first.
        file::load(directories)?;
    }
    edit_file(&Editing {
        place: &file::place(directories),
        stem: "policy",
        template,
        mistakes: |path, text| match PolicyFile::parse(text) {
            Ok(_) => Vec::new(),
            Err(found) => found.iter().map(|mistake| format!("{}:{mistake}", path.display())).collect(),
        },
        save: &|held, text| file::accept(&boot, held, text),
    })
}

/// What a first policy is written into: the built-in table and everything else, as comments.
fn template() -> String {
    let table = PolicyFile::default();
    let mut text =
        "# The policy of aether: who may do what. A line takes effect once its first `#` is gone.\n# A cell says allow, ask or deny; `aether policy show` shows all of them.\n"
            .to_owned();
    for asker in Asker::ALL {
        text.push_str(&format!("\n# [{asker}]\n"));
        for act in Act::ALL {
            text.push_str(&format!("# {act} = \"{}\"\n", table.table().decision(*act, *asker)));
        }
    }
    text.push_str(REST);
    text
}

const REST: &str = "
# [network]
# allowed_hosts = [\"api.example.com\"]     # these and no other
# denied_hosts = [\"ads.example.com\"]      # on every port, unless one is written
# private_exceptions = [\"10.1.2.0/24\"]    # addresses that are not public and may be reached nevertheless

# [tools]
# denied = [\"shell\"]

# [sandbox]
# approximate = [\"memory\"]                # memory, cpu, processes: where this machine cannot hold a limit exactly;
#                                           # names, execution, scratch, signals: where it gives no namespaces

# [secrets]
# github_token = \"env:GITHUB_TOKEN\"       # or file:/PATH; never the secret itself
";

/// `aether policy sign`.
pub(crate) fn sign(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let directories = &boot.directories;
    let path = file::path(directories);
    let held = ConfigFile::open(&file::place(directories))?;
    if !held.is_there() {
        // One that was signed and is gone is no reason to sign another one blindly.
        file::load(directories)?;
        return Err(Trouble::usage(format!(
            "there is no {}, so the built-in policy holds; `aether policy set` or `aether policy edit` makes one",
            path.display()
        )));
    }
    let text = held.text().to_owned();
    PolicyFile::parse(&text).map_err(|wrong| Trouble::usage(file::sentences(&path, &wrong)))?;
    if let State::Sound(_) = file::look(directories) {
        eprint(&format!("{} is signed already", path.display()));
        return Ok(Exit::Done);
    }
    shown(directories, &path, &text)?;
    if !invocation.has("yes") && !accepted("`aether policy sign --yes` signs what is shown")? {
        return Err(Trouble::refused(format!("{} is not signed and does not hold", path.display())));
    }
    file::accept(&boot, &held, &text)?;
    eprint(&format!("{} is signed", path.display()));
    Ok(Exit::Done)
}

/// Shows what is about to be signed.
fn shown(directories: &Directories, path: &Path, text: &str) -> Result<(), Trouble> {
    let before = file::accepted(directories);
    let what = if before.is_some() { "what was signed" } else { "nothing, as no signed text is known" };
    let mut out = format!("{}, compared with {what}:\n", path.display());
    out.push_str(&neutral(&difference(before.as_deref().unwrap_or(""), text)));
    let was = before.and_then(|text| PolicyFile::parse(&text).ok()).unwrap_or_default();
    let changes = PolicyFile::parse(text).map(|is| was.differences(&is)).unwrap_or_default();
    out.push_str(if changes.is_empty() { "what is allowed stays the same\n" } else { "what is allowed changes:\n" });
    for change in changes {
        out.push_str(&format!("  {}\n", neutral(&change)));
    }
    show::report(&out)
}

/// What the file says while the built-in policy holds on purpose.
const NOTHING_SET: &str = "# The built-in policy holds: nothing is set here.\n";

/// `aether policy reset`.
pub(crate) fn reset(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let directories = &boot.directories;
    let path = file::path(directories);
    let state = file::look(directories);
    let is_default = match &state {
        State::Absent => true,
        State::Sound(policy) => *policy == PolicyFile::default(),
        State::Gone(_) | State::Broken(_) | State::Untrusted { .. } => false,
    };
    if is_default {
        eprint("the built-in policy holds already");
        return Ok(Exit::Done);
    }
    if let State::Gone(why) | State::Untrusted { why, .. } = &state {
        eprint(&neutral(&format!("policy: {why}")));
    }
    let held = ConfigFile::open(&file::place(directories))?;
    let before = file::accepted(directories).or_else(|| file::remembered(directories));
    let before = before.and_then(|text| PolicyFile::parse(&text).ok()).unwrap_or_default();
    let changes = before.differences(&PolicyFile::default());
    let mut out = format!("{}, compared with what was signed:\n", path.display());
    out.push_str(if changes.is_empty() { "what is allowed stays the same\n" } else { "what is allowed changes:\n" });
    for change in changes {
        out.push_str(&format!("  {}\n", neutral(&change)));
    }
    show::report(&out)?;
    if !invocation.has("yes") && !accepted("`aether policy reset --yes` returns to the built-in policy")? {
        return Err(Trouble::refused(format!("nothing changed: {} stays as it is", path.display())));
    }
    file::accept(&boot, &held, NOTHING_SET)?;
    eprint(&format!("the built-in policy holds; {} says so and is signed", path.display()));
    Ok(Exit::Done)
}

/// Asks whether what was shown is to be signed; `otherwise` is the way to say so without a terminal.
fn accepted(otherwise: &str) -> Result<bool, Trouble> {
    if !is_terminal(Stream::Input) || !is_terminal(Stream::Error) {
        return Err(Trouble::refused(format!("there is no terminal to ask on; {otherwise}")));
    }
    let mut tty = Tty::open().map_err(Trouble::failed)?;
    let given = tty.key("[s]ign it, or [l]eave it: ", &['s', 'l'], &AtomicBool::new(false)).map_err(Trouble::failed)?;
    Ok(given == Some('s'))
}

/// The lines that go and come between what both texts begin and end with.
fn difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let (old, new) = (&before[head..], &after[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let gone = old[..old.len() - tail].iter().map(|line| format!("- {line}\n"));
    let come = new[..new.len() - tail].iter().map(|line| format!("+ {line}\n"));
    let lines: Vec<String> = gone.chain(come).collect();
    let more = lines.len().saturating_sub(DIFFERENCE_LINES_MAX);
    let mut text: String = lines.into_iter().take(DIFFERENCE_LINES_MAX).collect();
    if more > 0 {
        text.push_str(&format!("… and {more} more lines\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_the_lines_that_go_and_come() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "- b\n+ x\n");
        assert_eq!(difference("", "a\nb\n"), "+ a\n+ b\n");
        assert_eq!(difference("a\na\n", "a\n"), "- a\n");
        assert_eq!(difference("a\n", "a\n"), "");
    }

    #[test]
    fn the_template_says_nothing_and_its_lines_can_be_uncommented() {
        let text = template();
        assert_eq!(PolicyFile::parse(&text), Ok(PolicyFile::default()));
        let uncommented: String =
            text.lines().skip(2).map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        let policy = PolicyFile::parse(&uncommented).unwrap();
        assert_eq!(policy.cells().len(), Asker::ALL.len() * Act::ALL.len());
        assert_eq!(policy.table(), PolicyFile::default().table(), "the comments say what is built in");
        assert!(!policy.secrets().is_empty() && !policy.tools_denied().is_empty());
    }
}
