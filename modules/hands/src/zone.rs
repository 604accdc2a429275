//! The person's time zone, as the operating system names it.

use std::path::{Path, PathBuf};

/// Where systems keep the time zone database (tz-link; `TZDIR` comes first, as in the C library).
const ZONE_DIRECTORIES: [&str; 3] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo"];

/// The IANA name of the local time zone, or `UTC` where the system names none.
///
/// Order: the variable `TZ` (POSIX.1, section 8.3; only the form that names a zone), the target of the link
/// `/etc/localtime`, the text of `/etc/timezone`.
pub(crate) fn local() -> String {
    let variable = std::env::var("TZ").ok();
    let link = std::fs::read_link("/etc/localtime").ok();
    let text = || std::fs::read_to_string("/etc/timezone").ok();
    choose(variable.as_deref(), link.as_deref(), text).unwrap_or_else(|| "UTC".to_owned())
}

/// The directories that may hold the time zone database, in the order they are tried.
pub(crate) fn directories() -> Vec<PathBuf> {
    let variable = std::env::var_os("TZDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    variable.into_iter().chain(ZONE_DIRECTORIES.map(PathBuf::from)).collect()
}

fn choose(variable: Option<&str>, link: Option<&Path>, text: impl Fn() -> Option<String>) -> Option<String> {
    if let Some(variable) = variable {
        let name = variable.strip_prefix(':').unwrap_or(variable);
        let name = named_in_path(name).unwrap_or(name);
        // An empty TZ means UTC; a POSIX rule such as `CET-1CEST` is no name.
        if name.is_empty() {
            return Some("UTC".to_owned());
        }
        if is_zone_name(name) {
            return Some(name.to_owned());
        }
    }
    let linked = link.and_then(Path::to_str).and_then(named_in_path).map(str::to_owned);
    linked.or_else(|| text().map(|text| text.trim().to_owned())).filter(|name| is_zone_name(name))
}

fn named_in_path(path: &str) -> Option<&str> {
    path.split_once("zoneinfo/").map(|(_, name)| name.trim_start_matches("posix/").trim_start_matches("right/"))
}

/// Whether it looks like the name of a zone: letters, with at least one `/` or nothing that a rule would hold.
fn is_zone_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
    let is_rule = !name.contains('/') && name.bytes().any(|b| b.is_ascii_digit()) && !name.starts_with("Etc");
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(legal) && !is_rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variable: Option<&str>, link: Option<&str>, text: Option<&str>, wanted: Option<&str>) {
        let chosen = choose(variable, link.map(Path::new), || text.map(str::to_owned));
        assert_eq!(chosen.as_deref(), wanted);
    }

    #[test]
    fn the_first_source_that_names_a_zone_wins() {
        check(Some("Europe/Oslo"), Some("/usr/share/zoneinfo/Asia/Tokyo"), None, Some("Europe/Oslo"));
        check(Some(":America/Lima"), None, None, Some("America/Lima"));
        check(Some("/usr/share/zoneinfo/Asia/Tokyo"), None, None, Some("Asia/Tokyo"));
        check(Some(""), Some("/usr/share/zoneinfo/Asia/Tokyo"), None, Some("UTC"));
        check(Some("CET-1CEST,M3.5.0,M10.5.0/3"), Some("../usr/share/zoneinfo/Asia/Tokyo"), None, Some("Asia/Tokyo"));
        check(None, Some("/var/db/timezone/zoneinfo/Etc/UTC"), Some("Asia/Tokyo\n"), Some("Etc/UTC"));
        check(None, Some("/nowhere"), Some("Asia/Tokyo\n"), Some("Asia/Tokyo"));
        check(None, None, Some("../../etc/passwd"), None);
        check(None, None, None, None);
    }

    #[test]
    fn some_zone_is_always_named() {
        assert!(is_zone_name(&local()), "{}", local());
    }
}
