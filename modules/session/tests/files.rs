//! Private files and traces on a real disk.

#![cfg(test)]

use std::fs;
use std::path::Path;

use aether_session::{Cause, StoreError, TraceLimits, TraceStore, private};

const NOW: u64 = 1_795_080_972_417;

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er/config.toml");
    private::write(&path, b"one").unwrap();
    private::write(&path, b"two").unwrap();
    assert_eq!(private::read_text(&path, 100).unwrap(), "two");
    assert_eq!(names(path.parent().unwrap()), ["config.toml"]);
}

#[cfg(unix)]
#[test]
fn files_and_directories_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys/groq");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    private::write(&path, b"secret\n").unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700), "D5");
    assert_eq!(private::read_secret(&path).unwrap(), "secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = private::read_secret(&path).unwrap_err();
    let path_shown = path.display();
    let wanted =
        format!("{path_shown} holds a secret and can be read by others (mode 644); run `chmod 600 {path_shown}`");
    assert_eq!(error.to_string(), wanted);
    private::write(&path, b"secret").unwrap();
    assert_eq!(mode(&path), 0o600, "writing makes it private again");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_followed_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (real, link) = (directory.path().join("real"), directory.path().join("link"));
    fs::write(&real, "one").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    private::write(&link, b"two").unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "two");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn what_is_no_small_text_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let missing = private::read_text(&path, 9).unwrap_err();
    assert_eq!(missing.to_string(), format!("cannot read {}: it does not exist", path.display()));
    assert!(matches!(missing, StoreError::Refused { cause: Cause::Missing, .. }));
    let error = private::read_text(directory.path(), 9).unwrap_err();
    assert_eq!(error, StoreError::NotAFile { path: directory.path().into() });
    assert_eq!(private::write(directory.path(), b"x").unwrap_err(), error);
    private::write(&path, b"0123456789").unwrap();
    assert_eq!(
        private::read_text(&path, 9).unwrap_err(),
        StoreError::TooLarge { path: path.clone(), bytes: 10, bytes_max: 9 }
    );
    assert_eq!(private::read_text(&path, 10).unwrap(), "0123456789");
    private::write(&path, b"a\nb\n\xff").unwrap();
    assert_eq!(private::read_text(&path, 9).unwrap_err(), StoreError::NotText { path: path.clone(), line: 3 });
    private::write(&path, b" \n x").unwrap();
    assert_eq!(private::read_secret(&path).unwrap_err(), StoreError::Empty { path: path.clone() });
    let error = private::write(&path.join("below"), b"x").unwrap_err();
    assert!(matches!(error, StoreError::Refused { cause: Cause::WrongKind | Cause::Other(_), .. }), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn devices_and_kernel_files_are_no_places_to_write() {
    assert!(matches!(private::read_text(Path::new("/dev/zero"), 9), Err(StoreError::NotAFile { .. })));
    let error = private::write(Path::new("/proc/aether/key"), b"x").unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
}

fn traces(directory: &Path, file_bytes_max: u64, files_max: usize) -> TraceStore {
    TraceStore::new(directory.join("traces"), TraceLimits { file_bytes_max, files_max })
}

#[test]
fn a_trace_keeps_its_events_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = traces(directory.path(), 1 << 20, 10);
    assert_eq!(store.latest().unwrap(), None);
    let mut trace = store.begin(NOW).unwrap();
    let id = trace.id().to_owned();
    let wanted: Vec<String> = (0..2_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    for event in &wanted {
        trace.append(event).unwrap();
    }
    assert!(matches!(trace.append("{\n}"), Err(StoreError::BrokenLine { .. })));
    trace.finish().unwrap();
    assert_eq!(store.read(&id[..15]).unwrap(), wanted);
    assert_eq!(store.latest().unwrap(), Some(id));
}

#[test]
fn a_full_trace_says_so_and_stays_within_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let store = traces(directory.path(), 1_000, 10);
    let mut trace = store.begin(NOW).unwrap();
    for n in 0..500 {
        trace.append(&format!("{{\"n\":{n}}}")).unwrap();
    }
    let (id, dropped) = (trace.id().to_owned(), trace.dropped());
    drop(trace);
    let events = store.read(&id).unwrap();
    assert_eq!(events.last().unwrap(), "{\"v\":1,\"kind\":\"trace_cut\",\"file_bytes_max\":1000}");
    assert_eq!(events.len() as u64 - 1 + dropped, 500);
    assert!(fs::metadata(directory.path().join(format!("traces/{id}.trace"))).unwrap().len() <= 1_000, "D6");
}

#[test]
fn the_oldest_traces_make_room() {
    let directory = tempfile::tempdir().unwrap();
    let store = traces(directory.path(), 1_000, 3);
    for n in 0..7 {
        store.begin(NOW + n).unwrap().finish().unwrap();
    }
    let wanted = ["20261119-093612-423", "20261119-093612-422", "20261119-093612-421"];
    assert_eq!(store.list(10).unwrap(), wanted);
    assert_eq!(store.list(1).unwrap(), wanted[..1]);
}

#[test]
fn a_torn_event_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = traces(directory.path(), 1_000, 3);
    let id = store.begin(NOW).unwrap().id().to_owned();
    fs::write(directory.path().join(format!("traces/{id}.trace")), "{\"n\":1}\n{\"n\"").unwrap();
    assert_eq!(store.read(&id).unwrap(), ["{\"n\":1}"]);
}
