//! A session file and a trace file with any bytes: they are read, and what is appended later is not joined with them (D2).
#![no_main]

use std::path::Path;

use aether_core::label::{Label, Origin};
use aether_core::transcript::Entry;
use aether_session::{SessionStore, TraceLimits, TraceStore};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const CODECS: &[&str] = &["anthropic", "openai_chat"];
const FILE_BYTES_MAX: u64 = 2_048;

thread_local! {
    static DIRECTORY: TempDir = directory();
}

/// In memory where the system has a place for that.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory")
}

fuzz_target!(|bytes: &[u8]| {
    DIRECTORY.with(|directory| {
        session(directory.path(), bytes);
        trace(directory.path(), bytes);
    });
});

fn session(directory: &Path, bytes: &[u8]) {
    let id = "20260101-000000-000";
    let path = directory.join("sessions");
    let store = SessionStore::new(path.clone(), CODECS);
    std::fs::create_dir_all(&path).expect("a directory");
    std::fs::write(path.join(format!("{id}.jsonl")), bytes).expect("a file");
    let before = store.read(id).expect("any bytes can be read");
    let listed = store.list(10).expect("any bytes can be listed");
    assert!(listed.iter().any(|summary| summary.id == id && summary.bytes == bytes.len() as u64));
    assert!(before.torn_bytes <= bytes.len() as u64);
    let (mut session, resumed) = store.resume(id).expect("any bytes can be gone on with");
    assert_eq!(resumed, before);
    let entry =
        Entry::Person { text: "go on\n\u{2028}".into(), images: Vec::new(), label: Label::from(Origin::Person) };
    session.append(std::slice::from_ref(&entry), 1).expect("appended");
    drop(session);
    let after = store.read(id).expect("read again");
    let wanted: Vec<Entry> = before.entries.into_iter().chain([entry]).collect();
    assert_eq!(after.entries, wanted, "D2");
    assert_eq!(after.torn_bytes, 0, "D2: the torn line was set aside");
}

fn trace(directory: &Path, bytes: &[u8]) {
    let path = directory.join("traces");
    let store = TraceStore::new(path.clone(), TraceLimits { file_bytes_max: FILE_BYTES_MAX, files_max: 2 });
    let begun = store.begin(0).expect("a trace");
    let id = begun.id().to_owned();
    begun.finish().expect("finished");
    let file = std::fs::read_dir(&path).expect("a directory").filter_map(Result::ok).map(|entry| entry.path());
    let file = file.filter(|file| file.file_stem().is_some_and(|stem| *stem == *id)).next().expect("its file");
    std::fs::write(&file, bytes).expect("written");
    let events = store.read(&id).expect("any bytes can be read");
    assert!(events.iter().all(|event| !event.contains('\n')));
    assert!(events.iter().map(|event| event.len() as u64).sum::<u64>() <= FILE_BYTES_MAX, "D6");
    std::fs::remove_file(file).expect("removed");
}
