//! One file or folder that a goal is about, from its name to its facts, one turn after another.

use crate::carry::{Carry, Items, carry, quoted};
use crate::folder::Folder;
use crate::goal::looks_like_file;
use crate::prose::Prose;
use crate::reading::{Reading, Request};
use crate::report::Report;
use crate::words::{self, count};

/// A tool call to make: the tool's name and its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) tool: &'static str,
    pub(crate) input: String,
}

/// What a tool call brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    Done(&'a str),
    Failed(&'a str),
}

/// What is done next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Read it as a file.
    #[default]
    Read,
    /// List it as a folder.
    List,
    /// Read the README of the folder.
    Readme,
    /// Look for a file of that name elsewhere.
    Find,
    /// Nothing.
    Over,
}

/// Paths that are offered instead of one that is missing.
const OFFERS_MAX: usize = 5;
/// Lines of a README that are read.
const README_LINES_MAX: u64 = 60;
/// The depths to which a folder is listed, all in one turn: the deepest listing that is whole is the one that counts.
/// The tool allows no more than the first.
const DEPTHS: [u64; 3] = [8, 3, 1];

/// One file or folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Subject {
    path: String,
    stage: Stage,
    reading: Option<Reading>,
    folder: Option<Folder>,
    /// The path as the goal had it, where another was found.
    instead_of: Option<String>,
    problem: Option<String>,
    /// It was tried as a file, as a folder.
    was_read: bool,
    was_listed: bool,
}
carry!(Subject { path, stage, reading, folder, instead_of, problem, was_read, was_listed });

impl Subject {
    pub(crate) fn new(path: &str) -> Subject {
        let stage = if looks_like_file(path) { Stage::Read } else { Stage::List };
        Subject { path: path.to_owned(), stage, ..Subject::default() }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// The calls to make next, in the order in which their replies are taken in.
    pub(crate) fn wishes(&self) -> Vec<Wish> {
        let path = quoted(&self.path);
        match self.stage {
            Stage::Read => {
                let fresh = Reading::new(&self.path);
                let reading = self.reading.as_ref().unwrap_or(&fresh);
                let wish = |request: Request| Wish { tool: "read_file", input: reading.input(request) };
                reading.requests().into_iter().map(wish).collect()
            }
            Stage::List => {
                let wish = |depth| Wish { tool: "list_dir", input: format!(r#"{{"path":{path},"depth":{depth}}}"#) };
                DEPTHS.map(wish).into()
            }
            Stage::Readme => {
                let readme = self.folder.as_ref().and_then(Folder::readme_path);
                let input = |path: String| format!(r#"{{"path":{},"lines":{README_LINES_MAX}}}"#, quoted(&path));
                readme.into_iter().map(|path| Wish { tool: "read_file", input: input(path) }).collect()
            }
            Stage::Find => {
                let name = self.path.trim_end_matches('/').rsplit('/').next().unwrap_or(&self.path);
                // The characters that mean something in a pattern stand for any one character.
                let name: String = name.chars().map(|c| if "*?[]{}\\".contains(c) { '?' } else { c }).collect();
                vec![Wish { tool: "find_files", input: format!(r#"{{"pattern":{}}}"#, quoted(&name)) }]
            }
            Stage::Over => Vec::new(),
        }
    }

    /// Takes in the replies to [`Subject::wishes`], in their order.
    pub(crate) fn take(&mut self, replies: &[Reply<'_>]) {
        match self.stage {
            Stage::Read => self.take_slices(replies),
            Stage::List => match replies.first() {
                Some(Reply::Done(_)) => self.take_listings(replies),
                Some(Reply::Failed(why)) => self.failed(why),
                None => self.fail("the listing brought no result"),
            },
            Stage::Readme => {
                if let (Some(Reply::Done(output)), Some(folder)) = (replies.first(), &mut self.folder) {
                    let mut prose = Prose::new(None);
                    let text = output.split_once('\n').map_or("", |(_, text)| text);
                    text.lines().enumerate().for_each(|(n, line)| prose.line(n as u64 + 1, line));
                    folder.readme = Some(prose.first_paragraph().to_owned());
                }
                self.stage = Stage::Over;
            }
            Stage::Find => match replies.first() {
                Some(Reply::Done(output)) => self.take_found(output),
                _ => self.fail("there is no such file or folder, and it could not be searched for"),
            },
            Stage::Over => {}
        }
    }

    fn take_slices(&mut self, replies: &[Reply<'_>]) {
        let mut reading = self.reading.take().unwrap_or_else(|| Reading::new(&self.path));
        for (n, (request, reply)) in reading.requests().into_iter().zip(replies).enumerate() {
            let goes_on = match reply {
                Reply::Done(output) => reading.take(request, output),
                Reply::Failed(why) if reading.facts.is_none() => return self.failed(why),
                Reply::Failed(why) => {
                    reading.finish(Some(words::clip(why, 200)));
                    false
                }
            };
            if !goes_on {
                reading.discard((replies.len() - n - 1) as u64);
                break;
            }
        }
        if replies.is_empty() {
            reading.finish(Some("reading it brought no result".to_owned()));
        }
        if reading.is_over {
            self.stage = Stage::Over;
        }
        self.reading = Some(reading);
    }

    fn take_listings(&mut self, replies: &[Reply<'_>]) {
        let mut folder = Folder::new(&self.path);
        for (depth, reply) in DEPTHS.into_iter().zip(replies) {
            let Reply::Done(output) = reply else { continue };
            folder = Folder::new(&self.path);
            folder.take(output);
            if depth != DEPTHS[0] {
                folder.depth = Some(depth);
            }
            if !folder.is_cut() {
                break;
            }
        }
        if folder.is_file() {
            self.stage = Stage::Read;
            return;
        }
        self.stage = if folder.readme_path().is_some() { Stage::Readme } else { Stage::Over };
        self.folder = Some(folder);
    }

    /// A first look failed: it may be of another kind, or elsewhere.
    fn failed(&mut self, why: &str) {
        if self.stage == Stage::Read {
            self.was_read = true
        } else {
            self.was_listed = true
        }
        let is_missing = why.contains("no such file");
        self.stage = if why.contains("is a directory") && !self.was_listed {
            Stage::List
        } else if why.contains("not a directory") && !self.was_read {
            Stage::Read
        } else if is_missing && self.instead_of.is_none() {
            Stage::Find
        } else {
            return self.fail(why);
        };
    }

    fn take_found(&mut self, output: &str) {
        let found: Vec<&str> = output.lines().skip(1).filter(|line| !line.starts_with('[')).collect();
        match found.as_slice() {
            [] => self.fail("there is no such file or folder, and no file of that name elsewhere in the workspace"),
            [only] => {
                self.instead_of = Some(std::mem::replace(&mut self.path, (*only).to_owned()));
                self.stage = Stage::Read;
            }
            several => {
                let offers: Vec<String> = several.iter().take(OFFERS_MAX).map(|path| words::code(path, 100)).collect();
                let more = several.len().saturating_sub(OFFERS_MAX);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                self.fail(&format!(
                    "there is no such file or folder; files of that name are {}{more}: name one of them",
                    offers.join(", ")
                ));
            }
        }
    }

    fn fail(&mut self, why: &str) {
        self.problem = Some(words::clip(why, 600));
        self.stage = Stage::Over;
    }

    /// No further call will be made.
    pub(crate) fn stop(&mut self, why: &str) {
        if self.is_over() {
            return;
        }
        match &mut self.reading {
            Some(reading) if reading.facts.is_some() => reading.finish(Some(why.to_owned())),
            _ if self.folder.is_some() => {}
            _ => self.problem = Some(why.to_owned()),
        }
        self.stage = Stage::Over;
    }

    /// In a few words what is being done, to be shown while the calls run.
    pub(crate) fn progress(&self) -> String {
        let path = words::clip(&self.path, 80);
        match (self.stage, &self.reading) {
            (Stage::Read, Some(reading)) => {
                format!(
                    "reading {path} from line {} of {}",
                    count(reading.lines_read() + 1),
                    count(reading.lines_total)
                )
            }
            (Stage::Find, _) => format!("looking for {path}"),
            (Stage::List, _) => format!("listing {path}"),
            _ => format!("reading {path}"),
        }
    }

    /// Writes what was found, and what is missing.
    pub(crate) fn write(&self, report: &mut Report) {
        let name = words::code(&self.path, 100);
        if let Some(asked) = &self.instead_of {
            report.say(format!("There is no {}; this is about {name}.", words::code(asked, 100)));
        }
        if let Some(folder) = &self.folder {
            folder.write(report);
        }
        if let Some(reading) = &self.reading {
            if let Some(facts) = &reading.facts {
                facts.write(&name, report);
            }
            if let Some(ending) = &reading.ending {
                report.say(partial(reading, &name, ending));
            }
        }
        if let Some(problem) = &self.problem {
            report.say(format!("Nothing can be said about {name}: {problem}."));
        }
    }
}

fn partial(reading: &Reading, name: &str, ending: &str) -> String {
    let ending = ending.trim_end_matches('.');
    if reading.facts.is_none() {
        return format!("Nothing can be said about what is in {name}: {ending}.");
    }
    let total = if reading.lines_total > 0 { format!(" of {}", count(reading.lines_total)) } else { String::new() };
    format!(
        "**Not all of it was read**: this covers {}{total} of {name}, because {ending}.",
        words::lines(1, reading.lines_read().max(1))
    )
}

impl Carry for Stage {
    fn save(&self, out: &mut String) {
        (*self as u64).save(out);
    }
    fn load(items: &mut Items) -> Option<Stage> {
        [Stage::Read, Stage::List, Stage::Readme, Stage::Find, Stage::Over]
            .get(usize::try_from(u64::load(items)?).ok()?)
            .copied()
    }
}
