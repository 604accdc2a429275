//! Durations and sizes, as manifests write them: `"3s"`, `"500ms"`, `"20mb"`.
//!
//! A number is whole and its unit follows at once; letters may be of either case. A kilobyte is 2^10 bytes, a megabyte
//! 2^20, a gigabyte 2^30: what the kernel's memory controller counts.

use std::fmt;

/// Units of time, in milliseconds, the longest first.
const TIMES: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size, in bytes, the largest first.
const SIZES: &[(&str, u64)] = &[("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10), ("b", 1)];

/// Why a text is no duration or size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitError {
    /// It does not begin with a digit, or has a point or a sign.
    NoNumber,
    /// What follows the number is no unit, or nothing follows it.
    NoUnit,
    /// It is larger than 2^64 - 1.
    TooLarge,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnitError::NoNumber => "it does not begin with a whole number",
            UnitError::NoUnit => "its number has no known unit right behind it",
            UnitError::TooLarge => "it is larger than any computer can count",
        })
    }
}

impl std::error::Error for UnitError {}

/// Milliseconds, from a text such as `3s`; the units are `ms`, `s`, `m` and `h`.
///
/// # Errors
/// [`UnitError`].
pub fn duration_ms(text: &str) -> Result<u64, UnitError> {
    read(text, TIMES)
}

/// Bytes, from a text such as `20mb`; the units are `b`, `kb` (2^10), `mb` (2^20) and `gb` (2^30).
///
/// # Errors
/// [`UnitError`].
pub fn bytes(text: &str) -> Result<u64, UnitError> {
    read(text, SIZES)
}

/// Milliseconds in the longest unit that has no rest: what [`duration_ms`] reads back.
#[must_use]
pub fn spelled_duration(ms: u64) -> String {
    write(ms, TIMES)
}

/// Bytes in the largest unit that has no rest: what [`bytes`] reads back.
#[must_use]
pub fn spelled_bytes(bytes: u64) -> String {
    write(bytes, SIZES)
}

fn read(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    let unit = units.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)).ok_or(UnitError::NoUnit)?;
    // Only digits are left, so that the one thing that can be wrong with them is their number.
    let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
    number.checked_mul(unit.1).ok_or(UnitError::TooLarge)
}

fn write(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, size): &&(&str, u64)| amount.is_multiple_of(*size) && amount > 0;
    match units.iter().find(fits).or(units.last()) {
        Some((name, size)) => format!("{}{name}", amount / size),
        None => amount.to_string(),
    }
}
