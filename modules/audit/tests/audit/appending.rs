//! Lines go in, and are found again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use aether_audit::{AuditError, Durability, Filter, Kind, Limits, Notice, RECORDS_MAX, Record, Signer, read};

use crate::ground::{CHECK, Ground, NOW, record};

#[test]
fn a1_what_has_a_receipt_is_in_the_log() {
    let ground = Ground::new();
    let log = ground.log();
    assert!(!ground.root.join("audit").exists(), "opening touches nothing");
    assert_eq!(log.close(NOW, Durability::Now).unwrap(), None);
    assert!(matches!(ground.verify(), Err(AuditError::Empty { .. })));
    for n in 0..40 {
        let receipt = log.append(&record(n), NOW + n, Durability::Now).unwrap();
        let report = ground.verify().unwrap();
        assert_eq!(report.fault, None);
        assert_eq!((report.lines, report.hash), (receipt.sequence, receipt.hash));
    }
    let last = log.close(NOW + 40, Durability::Now).unwrap();
    let report = ground.verify().unwrap();
    assert!(last.is_none_or(|last| last.sequence == report.lines));
    assert_eq!(log.close(NOW + 41, Durability::Now).unwrap(), None, "there is nothing left to sign");
    assert_eq!(report.key, Some(ground.machine().public()));
    assert_eq!(report.unix_ms[0], NOW);
    assert!(report.checkpoints >= 8 && ground.files().len() > 3 && report.notices.is_empty(), "{report:?}");
    for path in ground.files().into_iter().chain([ground.place().head]) {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(fs::metadata(ground.root.join("audit")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn several_records_go_in_at_once() {
    let ground = Ground::new();
    let log = ground.log();
    let records: Vec<(u64, Record)> = (0..RECORDS_MAX as u64).map(|n| (NOW + n, record(n))).collect();
    let receipt = log.append_all(&records, Durability::Later).unwrap();
    assert_eq!(receipt.sequence, RECORDS_MAX as u64 + 2, "with the first line and a checkpoint");
    let one_more = [&records[..], &records[..1]].concat();
    assert_eq!(log.append_all(&one_more, Durability::Later), Err(AuditError::TooMany { records: RECORDS_MAX + 1 }));
    let own = Record::new(Kind::Checkpoint);
    assert_eq!(log.append(&own, NOW, Durability::Later), Err(AuditError::Own { kind: Kind::Checkpoint }));
    assert_eq!(ground.verify().unwrap().lines, receipt.sequence);
}

#[test]
fn lines_are_found_by_kind_and_task() {
    let ground = Ground::with(20);
    let find = |filter: Filter| read(&ground.place(), &ground.machine().public(), CHECK, &filter).unwrap();
    let all = find(Filter { last: 1_000, ..Filter::default() });
    assert_eq!((all.entries.len() as u64, all.unreadable), (ground.verify().unwrap().lines, 0));
    let last = find(Filter { last: 3, kind: Some(Kind::Allow), task: None });
    let numbers: Vec<_> = last.entries.iter().map(|entry| entry.number("n")).collect();
    assert_eq!(numbers, [Some(17), Some(18), Some(19)]);
    let task = find(Filter { last: 100, kind: None, task: Some("t1.0".into()) });
    assert_eq!(task.entries.len(), 7);
    assert!(task.entries.iter().all(|entry| entry.text("task") == Some("t1.0")));
    assert!(find(Filter { last: 0, ..Filter::default() }).entries.is_empty());
}

#[test]
fn a7_a_log_that_is_full_says_so_and_an_archive_makes_room() {
    let mut ground = Ground::new();
    ground.limits = Limits { files_max: 2, ..ground.limits };
    let log = ground.log();
    let refused = (0..100).find_map(|n| log.append(&record(n), NOW, Durability::Later).err()).unwrap();
    assert!(matches!(refused, AuditError::Full { files_max: 2, .. }), "{refused}");
    let before = ground.verify().unwrap();
    assert_eq!(before.fault, None);
    log.archive(NOW, None).unwrap();
    log.append(&record(0), NOW, Durability::Now).unwrap();
    let after = ground.verify().unwrap();
    assert_eq!((after.fault, after.lines), (None, 3));
    assert_eq!(after.notices, [Notice::Follows { count: before.lines, fault: None }]);
    assert!(ground.root.join(format!("audit/archive-{NOW}/audit-000002.jsonl")).exists());
    assert!(ground.root.join(format!("audit/archive-{NOW}/head")).exists());
}

#[test]
fn an_archive_of_nothing_is_refused() {
    let ground = Ground::new();
    assert!(matches!(ground.log().archive(NOW, None), Err(AuditError::Empty { .. })));
    assert!(!ground.root.join("audit").exists());
}

/// How long an append takes; printed for whoever wants to know.
#[test]
fn an_append_is_measured() {
    let ground = Ground::new().limited(Limits::default());
    let log = ground.log();
    for durability in [Durability::Later, Durability::Now] {
        let start = Instant::now();
        for n in 0..100 {
            log.append(&record(n), NOW, durability).unwrap();
        }
        let each = start.elapsed() / 100;
        println!("{durability:?}: {each:?} each");
        assert!(each.as_millis() < 1_000, "{each:?}");
    }
}
