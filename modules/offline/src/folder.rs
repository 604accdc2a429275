//! Facts of a folder: its files by type and size, and what stands out among them.

use crate::carry::carry;
use crate::report::Report;
use crate::shelf::{self, Shelf};
use crate::words::{self, count, counted};

/// Types of files that are counted.
const TYPES_MAX: usize = 60;
/// Files of each kind that are named.
const NAMED_MAX: usize = 5;
/// Entries of the top level that are named.
const TOP_MAX: usize = 24;

/// Files of one type.
#[derive(Clone, Debug, Default, PartialEq)]
struct Type {
    files: u64,
    bytes: u64,
}
carry!(Type { files, bytes });

/// One file.
#[derive(Clone, Debug, PartialEq)]
struct File {
    path: String,
    bytes: u64,
}
carry!(File { path, bytes });

/// What a listing comes to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    files: u64,
    folders: u64,
    links: u64,
    bytes: u64,
}
carry!(Tally { files, folders, links, bytes });

/// Everything that is known of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Folder {
    pub(crate) path: String,
    tally: Tally,
    /// How deep it was listed, where not as deep as possible.
    pub(crate) depth: Option<u64>,
    types: Shelf<String, Type>,
    largest: Vec<File>,
    top: Vec<String>,
    top_total: u64,
    notable: Vec<String>,
    /// What the listing left out, as the tool said.
    cut: Option<String>,
    pub(crate) readme: Option<String>,
}
carry!(Folder { path, tally, depth, types, largest, top, top_total, notable, cut, readme });

/// What files of these names tell, in lower case.
const NOTABLE: [(&str, &str); 20] = [
    ("cargo.toml", "a Rust package"),
    ("package.json", "a JavaScript package"),
    ("pyproject.toml", "a Python package"),
    ("setup.py", "a Python package"),
    ("requirements.txt", "Python requirements"),
    ("go.mod", "a Go module"),
    ("pom.xml", "a Maven project"),
    ("build.gradle", "a Gradle project"),
    ("gemfile", "a Ruby bundle"),
    ("composer.json", "a PHP package"),
    ("makefile", "a Makefile"),
    ("cmakelists.txt", "a CMake project"),
    ("dockerfile", "a container image"),
    ("docker-compose.yml", "a set of containers"),
    ("license", "a licence"),
    ("license.md", "a licence"),
    ("license.txt", "a licence"),
    ("changelog.md", "a change log"),
    (".gitignore", "a Git working tree"),
    (".env", "an environment file, which may hold secrets"),
];

impl Folder {
    pub(crate) fn new(path: &str) -> Folder {
        Folder { path: path.to_owned(), ..Folder::default() }
    }

    /// Takes in a listing of all depths: a heading, then `folder/` or `file bytes` per line.
    pub(crate) fn take(&mut self, output: &str) {
        let mut lines = output.lines();
        let heading = lines.next().unwrap_or("");
        if let Some((_, told)) = heading.split_once(" (") {
            self.cut = Some(told.trim_end_matches(')').to_owned());
        }
        for line in lines {
            if line.starts_with('[') && line.ends_with(']') {
                self.cut = Some(line.trim_matches(['[', ']']).to_owned());
            } else if let Some(folder) = line.strip_suffix('/') {
                self.folder(folder);
            } else if let Some((path, bytes)) = line.rsplit_once(' ')
                && let Ok(bytes) = bytes.parse()
            {
                self.file(path, bytes);
            } else if !line.is_empty() {
                self.tally.links += 1;
            }
        }
    }

    /// Whether the listing left something out.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.contains("not shown") || cut.contains("stopped"))
    }

    /// Whether the listing is that of a single file instead of a folder.
    pub(crate) fn is_file(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or("");
        self.tally.files == 1
            && self.tally.folders == 0
            && self.path != "."
            && self.top.first().is_some_and(|only| only == name)
    }

    /// The path of a README at the top level, if there is one.
    pub(crate) fn readme_path(&self) -> Option<String> {
        let name = self.top.iter().find(|name| {
            let name = name.to_ascii_lowercase();
            name == "readme" || name.starts_with("readme.") && !name.ends_with('/')
        })?;
        Some(if self.path == "." { name.clone() } else { format!("{}/{name}", self.path) })
    }

    fn folder(&mut self, path: &str) {
        self.tally.folders += 1;
        if !path.contains('/') {
            self.top(format!("{path}/"));
            if matches!(path, "tests" | "test" | "spec") {
                self.note(format!("`{path}/`: tests"));
            }
        }
    }

    fn top(&mut self, name: String) {
        self.top_total += 1;
        if self.top.len() < TOP_MAX {
            self.top.push(name);
        }
    }

    fn note(&mut self, text: String) {
        if self.notable.len() < NAMED_MAX * 2 {
            self.notable.push(text);
        }
    }

    fn file(&mut self, path: &str, bytes: u64) {
        self.tally.files += 1;
        self.tally.bytes = self.tally.bytes.saturating_add(bytes);
        let name = path.rsplit('/').next().unwrap_or(path);
        if !path.contains('/') {
            self.top(path.to_owned());
            let known = NOTABLE.iter().find(|(notable, _)| name.eq_ignore_ascii_case(notable));
            if let Some((_, meaning)) = known {
                self.note(format!("{}: {meaning}", words::code(path, 60)));
            }
        }
        let extension =
            name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, extension)| extension);
        let extension = words::head(extension, 16).to_ascii_lowercase();
        if let Some(known) = self.types.value(&extension) {
            known.files += 1;
            known.bytes = known.bytes.saturating_add(bytes);
        } else if self.types.len() < TYPES_MAX {
            self.types.insert(extension, Type { files: 1, bytes });
        }
        let at = self.largest.partition_point(|file| file.bytes >= bytes);
        if at < NAMED_MAX && bytes > 0 {
            self.largest.insert(at, File { path: path.to_owned(), bytes });
            self.largest.truncate(NAMED_MAX);
        }
    }

    /// Writes what is known.
    pub(crate) fn write(&self, report: &mut Report) {
        let name = if self.path == "." { "The workspace".to_owned() } else { words::code(&self.path, 80) };
        let mut text = format!(
            "{name} holds {} in {}, {} in all",
            counted(self.tally.files, "file", "files"),
            counted(self.tally.folders, "folder", "folders"),
            words::bytes(self.tally.bytes)
        );
        if self.is_cut() {
            text += " in the part that one listing shows";
        } else if let Some(depth) = self.depth {
            text += &format!(", counted {} deep", counted(depth, "level", "levels"));
        }
        let types = shelf::ranked(self.types.iter(), |(_, known)| (known.files, u64::MAX - known.bytes));
        if let Some((extension, known)) =
            types.first().filter(|(extension, known)| !extension.is_empty() && known.files * 2 > self.tally.files)
        {
            text += &format!(", most of them `.{extension}` ({})", count(known.files));
        }
        report.say(text + ".");
        if let Some(readme) = self.readme.as_ref().filter(|readme| !readme.is_empty()) {
            report.section("What its README says first");
            report.item(words::clip(readme, 400));
        }
        report.section("Worth knowing");
        for note in &self.notable {
            report.item(note);
        }
        report.section("Types");
        for (extension, known) in types.iter().take(8) {
            let name = if extension.is_empty() { "without extension".to_owned() } else { format!("`.{extension}`") };
            let language =
                crate::prose::language(extension).map_or_else(String::new, |language| format!(" ({language})"));
            report.item(format!(
                "{name}{language}: {}, {}",
                counted(known.files, "file", "files"),
                words::bytes(known.bytes)
            ));
        }
        if types.len() > 8 {
            report.item(format!("{} more types", types.len() - 8));
        }
        report.section("Largest");
        for file in &self.largest {
            report.item(format!("{}, {}", words::code(&file.path, 100), words::bytes(file.bytes)));
        }
        self.rest(report);
    }

    fn rest(&self, report: &mut Report) {
        report.section("Top level");
        let mut top: Vec<String> = self.top.iter().map(|name| words::code(name, 60)).collect();
        if self.top_total > self.top.len() as u64 {
            top.push(format!("and {} more", count(self.top_total - self.top.len() as u64)));
        }
        if !top.is_empty() {
            report.item(top.join(", "));
        }
        report.section("Not counted");
        if self.tally.links > 0 {
            report.item(counted(self.tally.links, "link or other special file", "links and other special files"));
        }
        if let Some(cut) = &self.cut {
            report.item(format!("the listing was cut: {}", words::clip(cut, 200)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told() {
        let mut folder = Folder::new(".");
        folder.take(".: 8 entries\nsrc/\nsrc/main.rs 1200\nsrc/a b.rs 300\nsrc/deep/\nCargo.toml 100\nREADME.md 50\nlink (symbolic link)\ntests/\n[3 more not shown; list a directory deeper down, or use find_files]");
        folder = crate::carry::read(&crate::carry::write(&folder)).unwrap();
        assert_eq!(folder.readme_path().as_deref(), Some("README.md"));
        folder.readme = Some("It counts.".into());
        let mut report = Report::default();
        folder.write(&mut report);
        let expected = "\
The workspace holds 4 files in 3 folders, 1.6 KiB in all in the part that one listing shows.

**What its README says first**
- It counts.

**Worth knowing**
- `Cargo.toml`: a Rust package
- `tests/`: tests

**Types**
- `.rs` (Rust): 2 files, 1.5 KiB
- `.toml`: 1 file, 100 bytes
- `.md`: 1 file, 50 bytes

**Largest**
- `src/main.rs`, 1.2 KiB
- `src/a b.rs`, 300 bytes
- `Cargo.toml`, 100 bytes
- `README.md`, 50 bytes

**Top level**
- `src/`, `Cargo.toml`, `README.md`, `tests/`

**Not counted**
- 1 link or other special file
- the listing was cut: 3 more not shown; list a directory deeper down, or use find_files
";
        assert_eq!(report.into_pieces().concat(), expected);
    }

    #[test]
    fn a_listing_may_be_that_of_a_file() {
        let mut folder = Folder::new("a/b");
        folder.take("a/b: 1 entry\nb 12");
        assert!(folder.is_file());
        let mut folder = Folder::new("a");
        folder.take("a: 1 entry\nb 12");
        assert!(!folder.is_file());
    }
}
