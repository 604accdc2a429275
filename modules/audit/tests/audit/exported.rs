//! One file that is checked elsewhere, with no key and no head.

use std::fs;

use aether_audit::{AuditError, Durability, Record, Signer, Trust, Wrong, export, verify_file, verify_text};

use crate::ground::{CHECK, Ground, NOW, broken, record};

fn exported(ground: &Ground) -> Vec<u8> {
    let mut out = Vec::new();
    let receipt = export(&ground.place(), &ground.machine(), CHECK, NOW, &mut out).unwrap();
    assert_eq!(receipt.sequence as usize, out.iter().filter(|byte| **byte == b'\n').count());
    out
}

#[test]
fn a3_an_export_stands_for_itself() {
    let ground = Ground::with(12);
    let text = exported(&ground);
    let key = ground.machine().public();
    for trust in [Trust::Key(key), Trust::Stated] {
        let report = verify_text(&text, trust, CHECK);
        assert_eq!((report.fault, report.key), (None, Some(key)));
        assert_eq!(report.lines, ground.verify().unwrap().lines + 1);
    }
    let stranger = verify_text(&text, Trust::Key([1; 32]), CHECK).fault.unwrap();
    assert!(matches!(stranger.wrong, Wrong::UnknownKey { .. }));
    let path = ground.root.join("export.jsonl");
    fs::write(&path, &text).unwrap();
    assert_eq!(verify_file(&path, Trust::Stated, CHECK).unwrap().fault, None);
    assert!(matches!(verify_file(&ground.root.join("none"), Trust::Stated, CHECK), Err(AuditError::Refused { .. })));
    // The log goes on, and the export stays what it was.
    ground.log().append(&record(0), NOW, Durability::Now).unwrap();
    assert_eq!(verify_text(&text, Trust::Key(key), CHECK).fault, None);
}

#[test]
fn a3_each_byte_and_each_length_of_an_export_counts() {
    let ground = Ground::with(4);
    let text = exported(&ground);
    for at in 0..text.len() {
        let mut edited = text.clone();
        edited[at] ^= 1;
        let line = text[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let fault = verify_text(&edited, Trust::Stated, CHECK).fault.unwrap_or_else(|| panic!("byte {at}"));
        assert_eq!((fault.line, fault.sequence), (line, line), "byte {at}: {fault}");
        let fault = verify_text(&text[..at], Trust::Stated, CHECK).fault.unwrap_or_else(|| panic!("cut at {at}"));
        assert!(matches!(fault.wrong, Wrong::Truncated { .. } | Wrong::NoLog), "cut at {at}: {fault}");
    }
    for more in [&b"\n"[..], b"x", b"{}\n", &text] {
        let longer = [&text, more].concat();
        assert!(verify_text(&longer, Trust::Stated, CHECK).fault.is_some());
    }
}

#[test]
fn other_texts_are_no_log() {
    for text in [&b""[..], b"\n", b"hello\n", b"{}\n{}\n", &[0xff; 100], &[b'x'; 100_000]] {
        let fault = verify_text(text, Trust::Stated, CHECK).fault.unwrap();
        assert!(matches!(fault.wrong, Wrong::NoLog | Wrong::Edited), "{fault}");
    }
}

#[test]
fn a_broken_log_is_not_exported() {
    let ground = Ground::with(4);
    let mut lines = ground.lines();
    lines.remove(2);
    ground.put(&lines);
    let mut out = Vec::new();
    let error = export(&ground.place(), &ground.machine(), CHECK, NOW, &mut out).unwrap_err();
    assert_eq!(broken(error), Wrong::Removed { through: 3 });
    assert!(out.is_empty());
}

#[test]
fn nothing_secret_and_no_content_has_a_way_in_but_as_a_digest() {
    let ground = Ground::new();
    let digest = aether_core::digest::Sha256::of(b"the content");
    let record = Record::new(aether_audit::Kind::Secret).text("name", "github_token").digest("input", &digest);
    ground.log().append(&record, NOW, Durability::Now).unwrap();
    let text = String::from_utf8(exported(&ground)).unwrap();
    assert!(text.contains(&digest.to_string()) && !text.contains("the content"));
    let seed = fs::read_to_string(ground.root.join("trust/machine.key")).unwrap();
    assert!(!text.contains(seed.split_whitespace().last().unwrap()));
}
