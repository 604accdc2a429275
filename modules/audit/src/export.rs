//! The log as one file that can be checked anywhere.

use std::io::Write;

use crate::chain::{Checker, Purpose, Signer, statement};
use crate::directory::Place;
use crate::error::AuditError;
use crate::line::{self, End};
use crate::log::{Receipt, signed};
use crate::record::Kind;
use crate::verify::{Snapshot, verify_snapshot};
use crate::walk::{Lines, Source};

/// Writes the whole log to `out`, and behind it a line that signs it all: [`crate::verify_file`] needs nothing else.
///
/// # Errors
/// [`AuditError::Broken`] for a log with a fault, of which nothing is written; [`AuditError::Empty`],
/// [`AuditError::Refused`] (also where `out` takes no more), [`AuditError::Busy`].
pub fn export(
    place: &Place,
    signer: &dyn Signer,
    check: Checker,
    unix_ms: u64,
    out: &mut dyn Write,
) -> Result<Receipt, AuditError> {
    let key = signer.public();
    let snapshot = Snapshot::take(place, &key, check)?;
    let report = verify_snapshot(place, &snapshot, &key, check)?;
    if let Some(fault) = report.fault {
        return Err(AuditError::Broken(fault));
    }
    let limit = snapshot.limit();
    let mut lines = Lines::new(Source::Pieces(&snapshot.pieces));
    let refused = |error| AuditError::refused("write the export of", &place.directory, &error);
    while lines.advance().map_err(|error| AuditError::refused("read", &place.directory, &error))? {
        if (lines.at.file, lines.at.end) > limit {
            break;
        }
        out.write_all(&lines.bytes).and_then(|()| out.write_all(b"\n")).map_err(refused)?;
    }
    let mut end = End { count: report.lines, hash: report.hash };
    let record = signed(Kind::Export, &key, &signer.sign(&statement(Purpose::Export, end.count, &end.hash, &[])));
    let mut last = String::new();
    line::write(&mut last, &mut end, unix_ms, record.kind(), record.facts());
    out.write_all(last.as_bytes()).and_then(|()| out.flush()).map_err(refused)?;
    Ok(Receipt { sequence: end.count, hash: end.hash })
}
