//! `aether config edit`, and whatever else is edited so: the person's editor on a copy, which takes the file's place
//! once it is sound.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use aether_core::config::Config;
use aether_driver::Signals;
use aether_session::private;
use aether_settings::keys::TABLES;
use aether_terminal::{Stream, Tty, is_terminal, neutral};

use super::file::ConfigFile;
use crate::args::Invocation;
use crate::boot::Place;
use crate::run::runtime;
use crate::show::{self, eprint};
use crate::trouble::{Exit, Trouble};

/// How often a text with mistakes may be edited again.
const ROUNDS_MAX: u32 = 100;

/// Editors that are looked for where no variable names one.
const USUAL_EDITORS: &[&str] = if cfg!(windows) { &["notepad.exe"] } else { &["sensible-editor", "nano", "vi"] };

/// What is edited.
pub(crate) struct Editing<'a> {
    /// Where it is.
    pub(crate) place: &'a Place,
    /// What the names of copies beside it begin with.
    pub(crate) stem: &'static str,
    /// What is edited where there is no file yet.
    pub(crate) template: fn() -> String,
    /// All that would be wrong with a text in the file at this path.
    pub(crate) mistakes: fn(&Path, &str) -> Vec<String>,
    /// Makes the text that of the file.
    pub(crate) save: &'a dyn Fn(&ConfigFile, &str) -> Result<(), Trouble>,
}

/// `aether config edit`.
pub(crate) fn edit(invocation: &Invocation) -> Result<Exit, Trouble> {
    let place = Place::new(invocation)?;
    let save = |file: &ConfigFile, text: &str| file.save(text);
    edit_file(&Editing { place: &place, stem: "config", template, mistakes, save: &save })
}

/// Edits a file.
pub(crate) fn edit_file(editing: &Editing<'_>) -> Result<Exit, Trouble> {
    let editor = editor()?;
    let before = ConfigFile::open(editing.place)?.into_text();
    let first = before.clone().unwrap_or_else(editing.template);
    let copy = Copy::new(editing, &first)?;
    // Ctrl-C means the editor while there is one: what was edited must not be lost with this process.
    let runtime = runtime()?;
    let signals = runtime.block_on(async { Signals::new() }).map_err(Trouble::failed)?;
    let ended = rounds(&editor, editing, before, &first, copy);
    drop(signals);
    ended
}

/// Edits, checks and saves, until the text is sound or the person has had enough.
fn rounds(
    editor: &[String],
    editing: &Editing<'_>,
    before: Option<String>,
    first: &str,
    copy: Copy,
) -> Result<Exit, Trouble> {
    let path = &editing.place.config_file;
    for _ in 0..ROUNDS_MAX {
        open(editor, &copy.path)?;
        let text = copy.text()?;
        if text == first {
            eprint(&format!("nothing was changed; {} stays as it was", path.display()));
            return Ok(Exit::Done);
        }
        let mistakes = (editing.mistakes)(path, &text);
        if mistakes.is_empty() {
            return save(editing, before, &text, copy);
        }
        for mistake in &mistakes {
            eprint(&neutral(mistake));
        }
        if !is_terminal(Stream::Input) || !is_terminal(Stream::Error) {
            let kept = copy.keep()?;
            return Err(Trouble::usage(format!(
                "{} stays as it was; what was edited is in {}",
                path.display(),
                kept.display()
            )));
        }
        if !again()? {
            return Err(Trouble::usage(format!("{} stays as it was", path.display())));
        }
    }
    Err(Trouble::usage(format!("{} stays as it was after {ROUNDS_MAX} attempts", path.display())))
}

/// Puts the text in the file's place, unless somebody else has changed the file meanwhile.
fn save(editing: &Editing<'_>, before: Option<String>, text: &str, copy: Copy) -> Result<Exit, Trouble> {
    let path = editing.place.config_file.display();
    let file = ConfigFile::open(editing.place)?;
    if file.is_there() != before.is_some() || file.text() != before.unwrap_or_default() {
        let kept = copy.keep()?;
        return Err(Trouble::failed(format!(
            "{path} was changed by somebody else in the meantime and stays as it is; what was edited is in {}",
            kept.display()
        )));
    }
    (editing.save)(&file, text)?;
    show::report(&format!("{path} is saved\n"))?;
    Ok(Exit::Done)
}

/// Asks whether to go on.
fn again() -> Result<bool, Trouble> {
    let mut tty = Tty::open().map_err(Trouble::failed)?;
    let prompt = "[e]dit again, or [k]eep the old configuration: ";
    let given = tty.key(prompt, &['e', 'k'], &AtomicBool::new(false)).map_err(Trouble::failed)?;
    Ok(given == Some('e'))
}

/// A copy beside the file, for its owner alone, that goes away by itself.
struct Copy {
    path: PathBuf,
    stem: &'static str,
    is_kept: bool,
}

impl Copy {
    fn new(editing: &Editing<'_>, text: &str) -> Result<Copy, Trouble> {
        let name = format!("{}.edit.{}.toml", editing.stem, std::process::id());
        let path = editing.place.config_file.with_file_name(name);
        private::write(&path, text.as_bytes()).map_err(Trouble::failed)?;
        Ok(Copy { path, stem: editing.stem, is_kept: false })
    }

    fn text(&self) -> Result<String, Trouble> {
        private::read_text(&self.path, aether_settings::CONFIG_BYTES_MAX as u64).map_err(Trouble::usage)
    }

    fn keep(mut self) -> Result<PathBuf, Trouble> {
        self.is_kept = true;
        let kept = self.path.with_file_name(format!("{}.rejected.toml", self.stem));
        let moved = std::fs::rename(&self.path, &kept);
        moved.map_err(|error| Trouble::failed(format!("{}: {error}", kept.display())))?;
        Ok(kept)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.is_kept {
            // A copy that cannot be removed is of its owner alone, like the file itself.
            let _removed = std::fs::remove_file(&self.path);
        }
    }
}

/// All that is wrong with a text that would be the file at `path`.
fn mistakes(path: &Path, text: &str) -> Vec<String> {
    let read = aether_settings::read(&path.to_string_lossy(), text, &mut Config::new(TABLES));
    read.err().iter().flatten().map(ToString::to_string).collect()
}

/// The person's editor and its arguments.
fn editor() -> Result<Vec<String>, Trouble> {
    let named = ["VISUAL", "EDITOR"].iter().find_map(|name| env::var(name).ok().filter(|text| !text.trim().is_empty()));
    if let Some(named) = named {
        // A program may have a space in its path; else what follows a space is an argument.
        let is_program = Path::new(&named).is_file();
        return Ok(if is_program { vec![named] } else { named.split_whitespace().map(str::to_owned).collect() });
    }
    let directories = env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&&str| env::split_paths(&directories).any(|directory| directory.join(name).is_file());
    USUAL_EDITORS
        .iter()
        .find(is_there)
        .map(|name| vec![(*name).to_owned()])
        .ok_or_else(|| Trouble::usage("no editor was found; name one in EDITOR, or use `aether config set KEY VALUE`"))
}

fn open(editor: &[String], path: &Path) -> Result<(), Trouble> {
    let (program, arguments) = editor.split_first().ok_or_else(|| Trouble::usage("EDITOR names no program"))?;
    let ended = Command::new(program).args(arguments).arg(path).status();
    let status = ended.map_err(|error| {
        Trouble::usage(format!("the editor `{program}` does not start: {error}; name another one in EDITOR"))
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Trouble::failed(format!("the editor `{program}` ended with {status}; the configuration stays as it was")))
}

/// What a first configuration is written into: every key, its default and its meaning, as comments.
fn template() -> String {
    let mut text = "# The configuration of aether. A line takes effect once its first `#` is gone.\n".to_owned();
    for key in TABLES.iter().copied().flatten() {
        let value = match key.default {
            Some(default) if matches!(key.kind, aether_core::config::Kind::Int { .. }) => default.to_owned(),
            Some(default) if key.kind == aether_core::config::Kind::List => {
                if default.is_empty() {
                    "[]".to_owned()
                } else {
                    format!("{:?}", default.split(',').collect::<Vec<_>>())
                }
            }
            default => format!("{:?}", default.unwrap_or("")),
        };
        text.push_str(&format!("\n# {}\n# {} = {value}\n", key.doc, key.name.replace('*', "NAME")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_says_nothing_and_its_defaults_can_be_uncommented() {
        let text = template();
        assert_eq!(mistakes(Path::new("t"), &text), [""; 0]);
        let uncommented: String = text
            .lines()
            .filter(|line| {
                line.starts_with("# ") && line.contains(" = ") && !line.contains("NAME") && !line.ends_with("\"\"")
            })
            .map(|line| format!("{}\n", &line[2..]))
            .collect();
        assert!(uncommented.lines().count() > 20, "{uncommented}");
        assert_eq!(mistakes(Path::new("t"), &uncommented), [""; 0], "{uncommented}");
    }
}
