//! What is done to a log behind its back is found, and where (A3).

use std::fs;
use std::path::PathBuf;

use aether_audit::{Durability, Log, Notice, Record, Wrong};
use aether_trust::Keyring;

use crate::ground::{CHECK, Ground, Machine, NOW, broken, record};

/// The number of the line that the byte at `at` of these files is in.
fn line_of(files: &[(PathBuf, Vec<u8>)], file: usize, at: usize) -> u64 {
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    files[..file].iter().map(|(_, bytes)| count(bytes)).sum::<u64>() + count(&files[file].1[..at]) + 1
}

#[test]
fn a3_each_byte_that_is_changed_is_found_where_it_is() {
    let ground = Ground::with(6);
    let copy = ground.copy();
    let files = &copy[..copy.len() - 1];
    for (nth, (path, bytes)) in files.iter().enumerate() {
        for at in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[at] ^= if at % 2 == 0 { 1 } else { 0x80 };
            fs::write(path, &edited).unwrap();
            let (name, sequence) = ground.fault().unwrap_or_else(|| panic!("byte {at} of {}", path.display()));
            let expected = line_of(files, nth, at);
            assert_eq!(sequence, expected, "byte {at} of {} is {name}", path.display());
            assert!(["edited", "truncated", "removed", "no_log"].contains(&name), "{name}");
        }
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(ground.fault(), None);
}

#[test]
fn a3_each_byte_of_the_head_that_is_changed_is_found() {
    let ground = Ground::with(3);
    let head = ground.place().head;
    let bytes = fs::read(&head).unwrap();
    for at in 0..bytes.len() {
        let mut edited = bytes.clone();
        edited[at] ^= 1;
        fs::write(&head, &edited).unwrap();
        assert!(matches!(ground.fault(), Some(("head_damaged" | "unknown_key", _))), "byte {at}");
        fs::write(&head, &bytes[..at]).unwrap();
        assert!(matches!(ground.fault(), Some(("head_damaged", _))), "cut at {at}");
    }
    fs::remove_file(&head).unwrap();
    assert!(matches!(ground.fault(), Some(("head_missing", _))));
    assert_eq!(broken(ground.log().append(&record(0), NOW, Durability::Now).unwrap_err()), Wrong::HeadMissing);
}

#[test]
fn a3_each_length_that_is_too_short_is_found() {
    let ground = Ground::with(5);
    let copy = ground.copy();
    let files = &copy[..copy.len() - 1];
    let count = line_of(files, files.len() - 1, files.last().unwrap().1.len()) - 1;
    for nth in (0..files.len()).rev() {
        let (path, bytes) = &files[nth];
        for length in (0..bytes.len()).rev() {
            fs::write(path, &bytes[..length]).unwrap();
            let (name, sequence) = ground.fault().unwrap();
            assert_eq!((name, sequence), ("truncated", line_of(files, nth, length)), "{length} of {}", path.display());
            if let Some(Wrong::Truncated { count: known }) = ground.verify().unwrap().fault.map(|fault| fault.wrong) {
                assert_eq!(known, count);
            }
            if length % 97 == 0 {
                let error = ground.log().append(&record(0), NOW, Durability::Now).unwrap_err();
                assert!(matches!(broken(error), Wrong::Truncated { .. } | Wrong::Edited), "{length}");
                assert_eq!(fs::read(path).unwrap(), &bytes[..length], "a6: nothing is appended");
            }
        }
        fs::remove_file(path).unwrap();
    }
    assert!(matches!(ground.fault(), Some(("truncated", 1))));
}

#[test]
fn a3_a_file_in_the_middle_that_is_cut_or_gone_is_found() {
    let ground = Ground::with(12);
    let copy = ground.copy();
    let (path, bytes) = &copy[1];
    let first = line_of(&copy, 1, 0);
    for length in 0..bytes.len() {
        fs::write(path, &bytes[..length]).unwrap();
        assert_eq!(ground.fault(), Some(("removed", line_of(&copy, 1, length))), "{length}");
    }
    fs::remove_file(path).unwrap();
    assert_eq!(ground.fault(), Some(("removed", first)));
    ground.put_back(&copy);
    fs::remove_file(&copy[0].0).unwrap();
    assert_eq!(ground.fault(), Some(("removed", 1)));
}

#[test]
fn a3_lines_that_are_removed_doubled_or_exchanged_are_found() {
    let ground = Ground::with(9);
    let copy = ground.copy();
    let lines = ground.lines();
    let count = lines.len();
    let check = |edited: Vec<String>, name: &str, line: usize| {
        ground.put(&edited);
        assert_eq!(ground.fault(), Some((name, line as u64 + 1)), "line {}", line + 1);
        ground.put_back(&copy);
    };
    for line in 0..count {
        let without: Vec<String> = [&lines[..line], &lines[line + 1..]].concat();
        check(without, if line + 1 < count { "removed" } else { "truncated" }, line);
        let doubled = [&lines[..=line], &lines[line..]].concat();
        // Behind the last line stands what no head knows: that is what a dead writer leaves.
        if line + 1 < count {
            check(doubled, "inserted", line + 1);
        }
        for other in line + 1..count {
            let mut exchanged = lines.clone();
            exchanged.swap(line, other);
            check(exchanged, "reordered", line);
        }
    }
    let gap = [&lines[..3], &lines[6..]].concat();
    ground.put(&gap);
    assert_eq!(ground.verify().unwrap().fault.unwrap().wrong, Wrong::Removed { through: 6 });
}

/// Somebody who knows the format but has no key: every hash is right.
fn forged(lines: &[String], from: usize, edit: impl Fn(&str) -> String) -> Vec<String> {
    let mut out = lines[..from].to_vec();
    let mut previous = lines[from - 1][lines[from - 1].len() - 66..lines[from - 1].len() - 2].to_owned();
    for (nth, line) in lines[from..].iter().enumerate() {
        let body = &line[..line.len() - 75];
        let body = if nth == 0 { edit(body) } else { body.to_owned() };
        let (before, _) = body.split_once("\"prev\":\"").unwrap();
        let body = format!("{before}\"prev\":\"{previous}\"");
        let digest = aether_trust::sha256(format!("aether audit line 1\0{body}").as_bytes());
        previous = aether_trust::hex(&digest);
        out.push(format!("{body},\"hash\":\"{previous}\"}}"));
    }
    out
}

#[test]
fn a3_a_chain_that_was_written_anew_fails_at_the_next_signature() {
    let ground = Ground::new();
    let log = ground.log();
    for n in 0..9 {
        log.append(&record(n), NOW, Durability::Later).unwrap();
    }
    let lines = ground.lines();
    let count = lines.len();
    let checkpoints: Vec<usize> = (0..count).filter(|line| lines[*line].contains("\"kind\":\"checkpoint\"")).collect();
    for from in (1..count).filter(|line| !checkpoints.contains(line)) {
        let edited = forged(&lines, from, |body| body.replace("write_file", "read_file"));
        assert_eq!(edited.len(), count);
        ground.put(&edited);
        let next = checkpoints.iter().find(|line| **line > from);
        let expected = match next {
            Some(line) => ("bad_signature", *line as u64 + 1),
            // The edit made the line a byte shorter, so what the head knows ends elsewhere.
            None => ("rewritten", count as u64),
        };
        assert_eq!(ground.fault(), Some(expected), "from line {}", from + 1);
    }
}

#[test]
fn a3_one_line_that_was_written_anew_is_named() {
    let ground = Ground::with(9);
    let lines = ground.lines();
    for line in (1..lines.len() - 1).filter(|line| lines[*line].contains("write_file")) {
        let mut edited = lines.clone();
        edited[line] = forged(&lines, line, |body| body.replace("write_file", "send_file"))[line].clone();
        ground.put(&edited);
        assert_eq!(ground.fault(), Some(("edited", line as u64 + 1)));
    }
}

#[test]
fn a3_junk_between_lines_and_files_is_found() {
    let ground = Ground::with(25);
    let copy = ground.copy();
    let (path, bytes) = &copy[0];
    for junk in [&b"\n"[..], b"{}\n", b"x", &[b'x'; 30_000], &[b'x'; 24 << 10]] {
        let breaks: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        for at in breaks.into_iter().map(|at| at + 1).chain([0]) {
            fs::write(path, [&bytes[..at], junk, &bytes[at..]].concat()).unwrap();
            let (name, sequence) = ground.fault().unwrap_or_else(|| panic!("{} bytes at {at}", junk.len()));
            assert!(["inserted", "edited"].contains(&name), "{name}");
            let expected = line_of(&copy, 0, at);
            assert!((expected.saturating_sub(1)..=expected).contains(&sequence), "{sequence}, not {expected}");
        }
    }
}

#[test]
fn a3_an_older_copy_is_found() {
    let ground = Ground::new();
    let log = ground.log();
    let mut copies = Vec::new();
    for n in 0..12 {
        log.append(&record(n), NOW, Durability::Now).unwrap();
        copies.push(ground.copy());
    }
    let (last, older) = copies.split_last().unwrap();
    for copy in older {
        // The log alone.
        ground.put_back(copy);
        fs::write(&last.last().unwrap().0, &last.last().unwrap().1).unwrap();
        let known = ground.verify().unwrap();
        assert!(matches!(known.fault.unwrap().wrong, Wrong::Truncated { .. }));
        assert!(matches!(broken(log.append(&record(0), NOW, Durability::Now).unwrap_err()), Wrong::Truncated { .. }));
    }
    for copy in &older[..3] {
        // The head alone: there are signed lines that it does not know.
        ground.put_back(last);
        fs::write(&copy.last().unwrap().0, &copy.last().unwrap().1).unwrap();
        assert!(matches!(ground.fault(), Some(("rolled_back", _))), "{:?}", ground.fault());
    }
}

#[test]
fn a3_another_machines_log_is_refused() {
    let ground = Ground::with(3);
    let other = Ground::new();
    let there = Keyring::open(&other.root.join("trust")).unwrap();
    let report = aether_audit::verify(&ground.place(), &there.public().0, CHECK).unwrap();
    assert!(matches!(report.fault.unwrap().wrong, Wrong::UnknownKey { .. }));
    let log = Log::open(ground.place(), Box::new(Machine(there)), CHECK, ground.limits);
    assert!(matches!(broken(log.append(&record(0), NOW, Durability::Now).unwrap_err()), Wrong::UnknownKey { .. }));
}

#[test]
fn a6_a_broken_log_goes_on_only_after_it_was_archived() {
    let ground = Ground::with(9);
    let path = ground.files().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    let log = ground.log();
    for _ in 0..2 {
        assert!(log.append(&record(0), NOW, Durability::Now).is_err());
        assert_eq!(log.close(NOW, Durability::Now), Ok(None), "there is nothing to sign");
    }
    let before = ground.verify().unwrap();
    let fault = before.fault.unwrap();
    log.archive(NOW, Some(&fault)).unwrap();
    log.append(&record(0), NOW, Durability::Now).unwrap();
    let after = ground.verify().unwrap();
    assert_eq!((after.fault, after.lines), (None, 3));
    let lost = ground.verify().unwrap().notices;
    assert_eq!(lost, [Notice::Follows { count: before.lines + 1, fault: Some("truncated".into()) }]);
    // And once more, with a head that says nothing any more.
    fs::write(ground.place().head, "what").unwrap();
    let fault = ground.verify().unwrap().fault.unwrap();
    log.archive(NOW + 1, Some(&fault)).unwrap();
    let record = Record::new(aether_audit::Kind::Config).text("key", "model");
    log.append(&record, NOW, Durability::Now).unwrap();
    assert_eq!(ground.fault(), None);
}
