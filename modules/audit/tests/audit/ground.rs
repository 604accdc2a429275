//! What every test stands on: a directory, a key, a log, and ways to look at it.

use std::fs;
use std::path::{Path, PathBuf};

use aether_audit::{AuditError, Checker, Durability, Kind, Limits, Log, Place, Record, Report, Signer, Wrong, verify};
use aether_trust::{Keyring, PublicKey, Signature};
use tempfile::TempDir;

/// When everything happens.
pub(crate) const NOW: u64 = 1_764_000_000_000;
/// Few enough lines to be read by eye, and more than one file of them.
pub(crate) const SMALL: Limits =
    Limits { file_bytes_max: 2_000, files_max: 50, checkpoint_lines: 5, lock_ms_max: 30_000 };

pub(crate) const CHECK: Checker =
    |key, bytes, signature| aether_trust::verify(&PublicKey(*key), "audit", bytes, &Signature(*signature));

/// The machine key, as the log sees it.
pub(crate) struct Machine(pub(crate) Keyring);

impl Signer for Machine {
    fn public(&self) -> [u8; 32] {
        self.0.public().0
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign("audit", bytes).0
    }
}

pub(crate) struct Ground {
    _home: Option<TempDir>,
    pub(crate) root: PathBuf,
    pub(crate) limits: Limits,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        let home = TempDir::new().unwrap();
        Ground { root: home.path().to_owned(), _home: Some(home), limits: SMALL }
    }

    pub(crate) fn at(root: &Path) -> Ground {
        Ground { _home: None, root: root.to_owned(), limits: SMALL }
    }

    pub(crate) fn limited(mut self, limits: Limits) -> Ground {
        self.limits = limits;
        self
    }

    /// With this many lines besides the log's own, and a checkpoint at the end.
    pub(crate) fn with(lines: u64) -> Ground {
        let ground = Ground::new();
        let log = ground.log();
        for n in 0..lines {
            log.append(&record(n), NOW + n, Durability::Later).unwrap();
        }
        log.close(NOW + lines, Durability::Later).unwrap();
        ground
    }

    pub(crate) fn place(&self) -> Place {
        Place { directory: self.root.join("audit"), head: self.root.join("trust/audit.head") }
    }

    pub(crate) fn machine(&self) -> Machine {
        Machine(Keyring::open(&self.root.join("trust")).unwrap())
    }

    pub(crate) fn log(&self) -> Log {
        Log::open(self.place(), Box::new(self.machine()), CHECK, self.limits)
    }

    pub(crate) fn verify(&self) -> Result<Report, AuditError> {
        verify(&self.place(), &self.machine().public(), CHECK)
    }

    /// What is wrong, in one word with the number of the line; nothing where all is well.
    #[track_caller]
    pub(crate) fn fault(&self) -> Option<(&'static str, u64)> {
        let fault = self.verify().unwrap().fault?;
        assert!(fault.to_string().starts_with("the audit log is damaged, "), "{fault}");
        Some((fault.wrong.name(), fault.sequence))
    }

    /// The log's files, in order.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join("audit")).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        files
    }

    /// All lines of all files.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text: String = self.files().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        text.lines().map(str::to_owned).collect()
    }

    /// Puts these lines into the first file, and takes the others away.
    pub(crate) fn put(&self, lines: &[String]) {
        let files = self.files();
        for path in &files {
            fs::remove_file(path).unwrap();
        }
        fs::write(&files[0], lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    /// A copy of everything, to be put back.
    pub(crate) fn copy(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let head = self.place().head;
        self.files().into_iter().chain([head]).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    pub(crate) fn put_back(&self, copy: &[(PathBuf, Vec<u8>)]) {
        for path in self.files() {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in copy {
            fs::write(path, bytes).unwrap();
        }
    }
}

pub(crate) fn record(n: u64) -> Record {
    Record::new(Kind::Allow).text("task", &format!("t{}.0", n % 3)).text("tool", "write_file").number("n", n)
}

/// What a broken log answers to who wants to append.
#[track_caller]
pub(crate) fn broken(error: AuditError) -> Wrong {
    match error {
        AuditError::Broken(fault) => fault.wrong,
        other => panic!("{other}"),
    }
}
