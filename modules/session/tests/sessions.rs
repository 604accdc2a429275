//! Sessions on a real disk: round trips, tears at every byte, locks, lists and kills.

#![cfg(test)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aether_core::label::{Label, Origin};
use aether_core::model::Part;
use aether_core::tool::ToolCall;
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};
use aether_session::{LIST_MAX, RECORD_BYTES_MAX, SessionStore, StoreError, private};

const CODECS: &[&str] = &["anthropic", "gemini"];
const NOW: u64 = 1_795_080_972_417;

fn store(directory: &Path) -> SessionStore {
    SessionStore::new(directory.join("sessions"), CODECS)
}

fn goal(text: &str) -> Entry {
    Entry::Person { text: text.into(), images: Vec::new(), label: Label::from(Origin::Person) }
}

/// xorshift64*, so that a failure can be run again from its seed.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    (seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize
}

fn any_text(seed: &mut u64) -> Box<str> {
    let alphabet: Vec<char> = "ab \"\\/\n\r\t\u{0}\u{1f}\u{7f}\u{85}\u{2028}é💥\u{fffd}{}[]:,".chars().collect();
    (0..next(seed) % 12).map(|_| alphabet[next(seed) % alphabet.len()]).collect::<String>().into()
}

fn any_label(seed: &mut u64) -> Label {
    let mut label = Label::default();
    for origin in Origin::ALL.iter().copied() {
        if next(seed).is_multiple_of(3) {
            label = label.join(Label::from(origin));
        }
    }
    label.untrusted = next(seed).is_multiple_of(2);
    label.private = next(seed).is_multiple_of(2);
    label
}

fn any_part(seed: &mut u64) -> Part {
    match next(seed) % 3 {
        0 => Part::Text(any_text(seed)),
        1 => Part::Carried(any_text(seed)),
        _ => Part::Call(ToolCall { id: any_text(seed), name: any_text(seed), input: any_text(seed) }),
    }
}

fn any_image(seed: &mut u64) -> Image {
    let bytes: Vec<u8> = (0..next(seed) % 9).map(|_| next(seed) as u8).collect();
    Image { media_type: any_text(seed), bytes: Arc::from(bytes) }
}

fn any_entry(seed: &mut u64) -> Entry {
    match next(seed) % 4 {
        0 => {
            let images = (0..next(seed) % 3).map(|_| any_image(seed)).collect();
            Entry::Person { text: any_text(seed), images, label: any_label(seed) }
        }
        1 => {
            let parts = (0..=next(seed) % 4).map(|_| any_part(seed)).collect();
            Entry::Model { parts, codec: CODECS[next(seed) % CODECS.len()] }
        }
        2 => Entry::Tool(ToolEntry {
            call: any_text(seed),
            name: any_text(seed),
            outcome: if next(seed).is_multiple_of(2) { ToolOutcome::Done } else { ToolOutcome::Failed },
            text: any_text(seed),
            folded: (next(seed).is_multiple_of(2)).then(|| any_text(seed)),
            label: any_label(seed),
        }),
        _ => Entry::Note { text: any_text(seed), label: any_label(seed) },
    }
}

#[test]
fn any_entry_comes_back_as_it_was() {
    let mut seed = 0x5eed_0003;
    println!("SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let mut session = store.create(NOW, "/work \"space\"").unwrap();
    let entries: Vec<Entry> = (0..3_000).map(|_| any_entry(&mut seed)).collect();
    for some in entries.chunks(100) {
        session.append(some, NOW).unwrap();
    }
    let resumed = store.read(session.id()).unwrap();
    assert_eq!(resumed.entries, entries);
    assert_eq!((resumed.made_unix_ms, resumed.workspace.as_str()), (NOW, "/work \"space\""));
    assert_eq!((resumed.skipped, resumed.damaged, resumed.torn_bytes), (0, 0, 0));
}

#[test]
fn the_lines_are_what_the_format_says() {
    let directory = tempfile::tempdir().unwrap();
    let mut session = store(directory.path()).create(NOW, "/w").unwrap();
    let call = Part::Call(ToolCall { id: "c1".into(), name: "time".into(), input: "{}".into() });
    let label = Label::from(Origin::Tool).private();
    let tool = ToolEntry {
        call: "c1".into(),
        name: "time".into(),
        outcome: ToolOutcome::Done,
        text: "09:05".into(),
        folded: Some("…".into()),
        label,
    };
    let image = Image { media_type: "image/png".into(), bytes: Arc::from(*b"abc") };
    let entries = [
        Entry::Person { text: "hi".into(), images: vec![image], label: Label::from(Origin::Person) },
        Entry::Model { parts: vec![Part::Text("ok".into()), Part::Carried("s".into()), call], codec: "gemini" },
        Entry::Tool(tool),
        Entry::Note { text: "stop\n".into(), label: Label::from(Origin::Web) },
    ];
    session.append(&entries, NOW + 1).unwrap();
    let wanted = r#"{"v":1,"kind":"session","at_unix_ms":1795080972417,"id":"20261119-093612-417","workspace":"/w"}
{"v":1,"kind":"person","at_unix_ms":1795080972418,"text":"hi","images":[{"media_type":"image/png","base64":"YWJj"}],"label":["person"]}
{"v":1,"kind":"model","at_unix_ms":1795080972418,"codec":"gemini","parts":[{"text":"ok"},{"carried":"s"},{"call":"c1","name":"time","input":"{}"}]}
{"v":1,"kind":"tool","at_unix_ms":1795080972418,"call":"c1","name":"time","outcome":"done","text":"09:05","folded":"…","label":["tool","private"]}
{"v":1,"kind":"note","at_unix_ms":1795080972418,"text":"stop\n","label":["web","untrusted"]}
"#;
    assert_eq!(fs::read_to_string(session.path()).unwrap(), wanted);
}

#[test]
fn a_file_cut_at_any_byte_reads_cleanly_and_goes_on() {
    let mut seed = 0x5eed_0004;
    println!("SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let mut session = store.create(NOW, "/w").unwrap();
    let entries: Vec<Entry> = (0..8).map(|_| any_entry(&mut seed)).collect();
    session.append(&entries, NOW).unwrap();
    let (id, path) = (session.id().to_owned(), session.path().to_owned());
    drop(session);
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let torn_path = path.with_extension("torn");
        drop(fs::remove_file(&torn_path));
        let (mut session, resumed) = store.resume(&id).unwrap();
        // A record is whole as soon as its closing brace is there, even without the line break.
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        let count = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(resumed.entries, entries[..count.saturating_sub(1)], "cut at {cut}");
        let kept = ends.iter().filter(|end| **end <= cut).map(|end| (end + 1).min(cut)).max().unwrap_or(0);
        assert_eq!(resumed.torn_bytes, (cut - kept) as u64, "cut at {cut}");
        assert_eq!((resumed.skipped, resumed.damaged), (0, 0));
        session.append(&[goal("go on")], NOW).unwrap();
        drop(session);
        let after = store.read(&id).unwrap();
        assert_eq!(after.entries.last(), Some(&goal("go on")), "D2: cut at {cut}");
        assert_eq!(after.entries.len(), count.saturating_sub(1) + 1);
        assert_eq!((after.torn_bytes, after.damaged), (0, 0));
        if kept < cut {
            let mut torn = whole[kept..cut].to_vec();
            torn.push(b'\n');
            assert_eq!(fs::read(&torn_path).unwrap(), torn, "cut at {cut}");
        } else {
            assert!(!torn_path.exists());
        }
    }
}

#[test]
fn unknown_and_damaged_lines_are_counted_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let mut session = store.create(NOW, "/w").unwrap();
    session.append(&[goal("one")], NOW).unwrap();
    let (id, path) = (session.id().to_owned(), session.path().to_owned());
    drop(session);
    let strange = "{\"v\":1,\"kind\":\"mood\",\"x\":1}\n{\"v\":2,\"kind\":\"person\"}\n\0\0\0\n{\"v\":1,\"kind\":\"tool\"}\n[1]\n\n\
                   {\"v\":1,\"kind\":\"note\",\"text\":\"x\",\"label\":[\"martian\"]}\n\
                   {\"v\":1,\"kind\":\"model\",\"codec\":\"other\",\"parts\":[{\"text\":\"x\"}]}\n";
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(strange.as_bytes()).unwrap();
    let (mut session, resumed) = store.resume(&id).unwrap();
    assert_eq!((resumed.skipped, resumed.damaged, resumed.torn_bytes), (2, 5, 0));
    assert_eq!(resumed.entries[1..], [Entry::Model { parts: vec![Part::Text("x".into())], codec: "unknown" }]);
    session.append(&[goal("two")], NOW).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(strange), "they stay");
}

#[test]
fn a_last_line_that_the_disk_lost_is_set_aside_even_with_a_line_break() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let session = store.create(NOW, "/w").unwrap();
    let (id, path) = (session.id().to_owned(), session.path().to_owned());
    drop(session);
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\0\0\0\0\n").unwrap();
    let (mut session, resumed) = store.resume(&id).unwrap();
    assert_eq!((resumed.torn_bytes, resumed.damaged), (5, 0));
    session.append(&[goal("on")], NOW).unwrap();
    assert_eq!(fs::read(path.with_extension("torn")).unwrap(), b"\0\0\0\0\n\n");
    assert_eq!(store.read(&id).unwrap().entries, [goal("on")]);
}

#[test]
fn no_bytes_make_reading_panic_or_swallow_a_sound_line() {
    let mut seed = 0x5eed_0006;
    println!("SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let mut session = store.create(NOW, "/w").unwrap();
    let entries: Vec<Entry> = (0..6).map(|_| any_entry(&mut seed)).collect();
    session.append(&entries, NOW).unwrap();
    let (id, path) = (session.id().to_owned(), session.path().to_owned());
    let sound = fs::read(&path).unwrap();
    for _ in 0..3_000 {
        let mut bytes = sound.clone();
        for _ in 0..=next(&mut seed) % 4 {
            let at = next(&mut seed) % bytes.len();
            match next(&mut seed) % 3 {
                0 => bytes[at] = next(&mut seed) as u8,
                1 => bytes.insert(at, b"\"{}[],:\n\\0"[next(&mut seed) % 10]),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes.splice(0..0, *b"?\n");
        bytes.extend_from_slice(b"\n{\"v\":1,\"kind\":\"note\",\"text\":\"end\",\"label\":[]}\n");
        fs::write(&path, &bytes).unwrap();
        let resumed = store.read(&id).unwrap();
        assert_eq!(resumed.entries.last(), Some(&Entry::Note { text: "end".into(), label: Label::default() }));
        assert!(resumed.damaged >= 1 && resumed.torn_bytes == 0);
        assert!(store.list(1).is_ok());
    }
}

#[test]
fn a_session_is_appended_to_by_one_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let session = store.create(NOW, "/w").unwrap();
    let id = session.id().to_owned();
    let error = store.resume(&id).unwrap_err();
    let wanted =
        format!("session {id} is in use by process {}; end that one first, or start a new session", std::process::id());
    assert_eq!(error.to_string(), wanted, "D3");
    assert!(store.read(&id).is_ok(), "reading needs no lock");
    drop(session);
    assert!(!directory.path().join(format!("sessions/{id}.lock")).exists());
    drop(store.resume(&id).unwrap());
}

#[test]
fn names_of_the_same_moment_differ_and_sort() {
    let directory = tempfile::tempdir().unwrap();
    let makers: Vec<_> = (0..8)
        .map(|_| {
            let store = store(directory.path());
            std::thread::spawn(move || {
                (0..20).map(|_| store.create(NOW, "/w").unwrap().id().to_owned()).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut ids: Vec<String> = makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 160);
    assert_eq!((ids[0].as_str(), ids[159].as_str()), ("20261119-093612-417", "20261119-093612-417-159"));
    assert_eq!(store(directory.path()).latest().unwrap().as_deref(), Some("20261119-093612-417-159"));
}

#[test]
fn a_list_shows_the_newest_first_with_their_titles() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    assert_eq!(store.list(10).unwrap(), [], "no directory yet");
    assert_eq!(store.latest().unwrap(), None);
    for (n, title) in ["first goal\nmore of it", "", "third"].into_iter().enumerate() {
        let mut session = store.create(NOW + n as u64, "/w").unwrap();
        if !title.is_empty() {
            session
                .append(&[goal(title), goal("steer"), Entry::Note { text: "n".into(), label: Label::default() }], NOW)
                .unwrap();
        }
    }
    let list = store.list(LIST_MAX).unwrap();
    let shown: Vec<(&str, u32)> = list.iter().map(|one| (one.title.as_str(), one.turns)).collect();
    assert_eq!(shown, [("third", 2), ("", 0), ("first goal", 2)]);
    assert!(list.iter().all(|one| one.changed_unix_ms > 0 && one.bytes > 0));
    assert_eq!(store.list(1).unwrap().len(), 1);
    assert_eq!(store.find("20261119-093612-419").unwrap(), list[0].id);
    assert!(matches!(store.find("2026"), Err(StoreError::Ambiguous { .. })));
    let error = store.find("20261119-093612-410").unwrap_err().to_string();
    assert_eq!(error, "no session is called `20261119-093612-410`; did you mean `20261119-093612-417`?");
}

#[test]
fn an_entry_above_the_limit_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut session = store(directory.path()).create(NOW, "/w").unwrap();
    let before = fs::read(session.path()).unwrap();
    let text = "x".repeat(usize::try_from(RECORD_BYTES_MAX).unwrap());
    let error = session.append(&[goal("fits"), goal(&text)], NOW).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { bytes_max: RECORD_BYTES_MAX, .. }));
    assert_eq!(fs::read(session.path()).unwrap(), before, "D4");
}

#[cfg(unix)]
#[test]
fn sessions_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let session = store(directory.path()).create(NOW, "/w").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(session.path()), 0o600, "D5");
    assert_eq!(mode(&directory.path().join("sessions")), 0o700, "D5");
}

/// The variable that makes [`a_disk_that_fills_up_within_a_write_changes_nothing`] play the process on that disk.
const CRAMPED: &str = "AETHER_SESSION_TEST_CRAMPED";

/// Writes more than this process may, and looks at what is left.
fn fill_up(directory: &Path) {
    let store = store(directory);
    let mut session = store.create(NOW, "/w").unwrap();
    session.append(&[goal("small")], NOW).unwrap();
    let before = fs::read(session.path()).unwrap();
    for _ in 0..3 {
        let error = session.append(&[goal("small"), goal(&"x".repeat(100_000))], NOW).unwrap_err();
        assert!(matches!(error, StoreError::Refused { act: "write", .. }), "{error}");
        assert_eq!(fs::read(session.path()).unwrap(), before, "D4");
    }
    session.append(&[goal("after")], NOW).unwrap();
    let id = session.id().to_owned();
    drop(session);
    assert_eq!(store.read(&id).unwrap().entries, [goal("small"), goal("after")]);
    let file = directory.join("private/config.toml");
    private::write(&file, b"old").unwrap();
    let error = private::write(&file, &[b'x'; 100_000]).unwrap_err();
    assert!(matches!(error, StoreError::Refused { act: "write", .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"old", "D4");
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_within_a_write_changes_nothing() {
    if let Some(directory) = std::env::var_os(CRAMPED) {
        fill_up(Path::new(&directory));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // A limit of 64 blocks on the size of each file cuts a long write short, as a full disk does.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" a_disk_that_fills_up_within_a_write_changes_nothing --exact";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(CRAMPED, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// The variable that makes [`killed_at_any_moment`] play the process that is killed.
const VICTIM: &str = "AETHER_SESSION_TEST_VICTIM";

/// A text that says which one it is and is of very different lengths, so that a kill may hit a write in its middle.
fn numbered(n: usize) -> String {
    format!("{n}:{}", "x".repeat(if n % 7 == 2 { 100_000 } else { n % 50 }))
}

/// Resumes the one session and appends numbered goals until it is killed, saying each number once it is on the disk.
fn append_until_killed(directory: PathBuf) -> ! {
    let store = store(&directory);
    let (mut session, resumed) = store.resume(&store.latest().unwrap().unwrap()).unwrap();
    let mut n = resumed.entries.len();
    loop {
        session.append(&[goal(&numbered(n))], NOW).unwrap();
        println!("on disk {n}");
        n += 1;
    }
}

#[cfg(unix)]
#[test]
fn killed_at_any_moment() {
    const KILLS: usize = 200;
    if let Some(directory) = std::env::var_os(VICTIM) {
        append_until_killed(directory.into());
    }
    let mut seed = 0x5eed_0005;
    println!("SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let first = store.create(NOW, "/w").unwrap().id().to_owned();
    let mut torn = 0;
    for kill in 0..KILLS {
        if kill.is_multiple_of(10) {
            // A fresh session, or reading would take longer and longer.
            drop(store.create(NOW + 1 + kill as u64, "/w").unwrap());
        }
        let before = store.read(&store.latest().unwrap().unwrap()).unwrap().entries.len();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["killed_at_any_moment", "--exact", "--nocapture"])
            .env(VICTIM, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let number = |line: &str| line.split_once("on disk ").map(|(_, n)| n.parse::<usize>().unwrap());
        let mut last = lines.by_ref().find_map(|line| number(&line.unwrap())).expect("the victim appends");
        let until = Instant::now() + Duration::from_micros(next(&mut seed) as u64 % 4_000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        last = lines.map_while(Result::ok).filter_map(|line| number(&line)).last().unwrap_or(last);
        let (session, resumed) = store.resume(&store.latest().unwrap().unwrap()).unwrap();
        assert!(resumed.entries.len() > last && last >= before, "D1: {last} was on the disk, kill {kill}");
        for (n, entry) in resumed.entries.iter().enumerate() {
            assert_eq!(*entry, goal(&numbered(n)), "kill {kill}");
        }
        assert_eq!((resumed.damaged, resumed.skipped), (0, 0));
        torn += usize::from(resumed.torn_bytes > 0);
        drop(session);
    }
    println!("{torn} of {KILLS} kills tore a line");
    assert!(store.read(&first).unwrap().entries.is_empty());
}
