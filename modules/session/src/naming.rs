//! Names of files that sort by time, and how a person finds one again.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use aether_core::config::nearest;

use crate::error::StoreError;
use crate::private;

/// How many files may be made in one directory in one millisecond.
const SAME_MOMENT_MAX: u32 = 1_000;

/// How many names of one directory are looked at; a directory with more is not ours.
const NAMES_MAX: usize = 100_000;

/// The last millisecond of the year 9999: later moments would not sort.
const LAST_UNIX_MS: u64 = 253_402_300_799_999;

/// `unix_ms`, in milliseconds since 1970, as UTC: `20261120-093612-417`.
fn stamp(unix_ms: u64) -> String {
    let ms = unix_ms.min(LAST_UNIX_MS);
    let (year, month, day) = civil(ms / 86_400_000);
    let (hour, minute, second) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{:03}", ms % 1_000)
}

/// The date of a day counted from 1970-01-01, in the proleptic Gregorian calendar, counting years from March
/// so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Makes a file that nobody else has, named after the moment. The operating system's exclusive creation
/// decides between processes that ask in the same millisecond.
pub(crate) fn create(directory: &Path, unix_ms: u64, extension: &str) -> Result<(String, File), StoreError> {
    private::make_directory(directory)?;
    let stamp = stamp(unix_ms);
    for n in 0..SAME_MOMENT_MAX {
        let id = if n == 0 { stamp.clone() } else { format!("{stamp}-{n:03}") };
        let path = directory.join(format!("{id}.{extension}"));
        match private::options().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((id, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::refused("create", &path, &error)),
        }
    }
    Err(StoreError::Crowded { path: directory.to_owned() })
}

/// The names of all files with this extension, oldest first; none where there is no directory.
pub(crate) fn names(directory: &Path, extension: &str) -> Result<Vec<String>, StoreError> {
    let refused = |error| StoreError::refused("list", directory, &error);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(refused)?,
    };
    let mut names = Vec::new();
    for entry in entries.take(NAMES_MAX) {
        let name = entry.map_err(refused)?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(extension)?.strip_suffix('.'));
        names.extend(id.map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// The one name that is, or begins with, what was given.
pub(crate) fn find(names: &[String], what: &'static str, given: &str) -> Result<String, StoreError> {
    if let Some(exact) = names.iter().find(|name| *name == given) {
        return Ok(exact.clone());
    }
    let mut fitting = names.iter().filter(|name| name.starts_with(given) && !given.is_empty());
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(one), Some(other)) => {
            let examples = [one.as_str().into(), other.as_str().into()];
            Err(StoreError::Ambiguous { what, given: given.into(), examples })
        }
        _ => {
            let nearest = nearest(given, names.iter().map(String::as_str)).map(Into::into);
            Err(StoreError::Unknown { what, given: given.into(), nearest })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_utc() {
        assert_eq!(stamp(0), "19700101-000000-000");
        assert_eq!(stamp(951_782_400_000), "20000229-000000-000");
        assert_eq!(stamp(1_709_251_199_999), "20240229-235959-999");
        assert_eq!(stamp(1_709_251_200_000), "20240301-000000-000");
        assert_eq!(stamp(1_795_080_972_417), "20261119-093612-417");
        assert_eq!(stamp(4_107_542_400_000), "21000301-000000-000");
        assert_eq!(stamp(u64::MAX), "99991231-235959-999");
    }

    #[test]
    fn names_are_found_by_their_beginning() {
        let names: Vec<String> = ["20260101-1", "20260101-2", "20270101-1"].map(String::from).to_vec();
        assert_eq!(find(&names, "trace", "2027").unwrap(), "20270101-1");
        assert_eq!(find(&names, "trace", "20260101-1").unwrap(), "20260101-1");
        for (given, wanted) in [
            (
                "2026",
                "more than one trace begins with `2026`, such as 20260101-1 and 20260101-2; give more of its name",
            ),
            ("20270101-3", "no trace is called `20270101-3`; did you mean `20270101-1`?"),
            ("", "no trace is called ``; list them to see which there are"),
            ("../x", "no trace is called `../x`; list them to see which there are"),
        ] {
            assert_eq!(find(&names, "trace", given).unwrap_err().to_string(), wanted);
        }
    }
}
