//! Web servers' access logs: status codes, paths and clients.
//!
//! The format is the Common Log Format of Apache httpd (documentation of `mod_log_config`, "Access Log"), which
//! nginx's `combined` extends.

use crate::carry::carry;
use crate::report::Report;
use crate::shelf::{self, Shelf};
use crate::words;

/// Different paths, clients and status codes that are counted.
const DISTINCT_MAX: usize = 400;
/// Bytes of a path that are kept.
const PATH_BYTES_MAX: usize = 80;

/// One request as its line tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit<'a> {
    pub(crate) client: &'a str,
    pub(crate) method: &'a str,
    /// Without its query.
    pub(crate) path: &'a str,
    pub(crate) status: u64,
    pub(crate) bytes: u64,
    /// What follows the size: referrer, agent, whatever the server adds.
    pub(crate) tail: &'a str,
}

impl<'a> Hit<'a> {
    /// The request of a line whose stamp ends at `stamp_end`.
    pub(crate) fn parse(line: &'a str, stamp_end: usize) -> Option<Hit<'a>> {
        let client = line.split(' ').next()?;
        let rest = line.get(stamp_end..)?.strip_prefix("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut request = request.split(' ');
        let method = request.next()?;
        let path = request.next().unwrap_or("-");
        let path = path.split(['?', '#']).next()?;
        let mut fields = rest.splitn(3, ' ');
        let status = fields.next()?.parse().ok().filter(|s| (100..600).contains(s))?;
        let bytes = fields.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Hit { client, method, path, status, bytes, tail: fields.next().unwrap_or("") })
    }
}

/// How often something occurred, and where first and last.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    count: u64,
    first_line: u64,
    last_line: u64,
}
carry!(Seen { count, first_line, last_line });

/// All requests of one log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Access {
    pub(crate) hits: u64,
    bytes: u64,
    statuses: Shelf<u64, Seen>,
    paths: Shelf<String, Seen>,
    clients: Shelf<String, Seen>,
}
carry!(Access { hits, bytes, statuses, paths, clients });

impl Access {
    pub(crate) fn add(&mut self, hit: &Hit<'_>, line: u64) {
        self.hits += 1;
        self.bytes = self.bytes.saturating_add(hit.bytes);
        match self.statuses.value(&hit.status) {
            Some(seen) => {
                seen.count += 1;
                seen.last_line = line;
            }
            None => self.statuses.insert(hit.status, Seen { count: 1, first_line: line, last_line: line }),
        }
        see(&mut self.paths, words::head(hit.path, PATH_BYTES_MAX), line);
        see(&mut self.clients, words::head(hit.client, PATH_BYTES_MAX), line);
    }

    /// Requests whose status lies in this hundred.
    pub(crate) fn of_class(&self, hundred: u64) -> u64 {
        self.statuses.iter().filter(|(status, _)| **status / 100 == hundred).map(|(_, seen)| seen.count).sum()
    }

    pub(crate) fn write(&self, report: &mut Report) {
        report.section("Requests");
        let classes = (1..6).filter(|class| self.of_class(*class) > 0);
        let classes: Vec<String> = classes
            .map(|class| {
                format!(
                    "{class}xx {} ({})",
                    words::count(self.of_class(class)),
                    words::share(self.of_class(class), self.hits)
                )
            })
            .collect();
        report.item(format!(
            "{} requests, {} sent: {}",
            words::count(self.hits),
            words::bytes(self.bytes),
            classes.join(" · ")
        ));
        for (status, seen) in self.statuses.iter().filter(|(status, _)| **status >= 500) {
            report.item(format!("status {status}: {}× ({})", words::count(seen.count), range("first ", seen)));
        }
        let top = |seen: &Shelf<String, Seen>| -> String {
            let ranked = shelf::ranked(seen.iter(), |(_, seen)| (seen.count, seen.first_line));
            let named = ranked
                .iter()
                .take(5)
                .map(|(name, seen)| format!("{} {}×", words::code(name, 60), words::count(seen.count)));
            named.collect::<Vec<_>>().join(", ")
        };
        report.item(format!("top paths: {}", top(&self.paths)));
        report.item(format!(
            "top clients ({}): {}",
            words::counted(self.clients.len() as u64, "address", "addresses"),
            top(&self.clients)
        ));
    }
}

fn range(prefix: &str, seen: &Seen) -> String {
    match seen.count {
        1 => words::lines(seen.first_line, seen.first_line),
        _ => format!("{prefix}line {}, last line {}", words::count(seen.first_line), words::count(seen.last_line)),
    }
}

fn see(map: &mut Shelf<String, Seen>, name: &str, line: u64) {
    if let Some(seen) = map.value(name) {
        seen.count += 1;
        seen.last_line = line;
    } else if map.len() < DISTINCT_MAX {
        map.insert(name.to_owned(), Seen { count: 1, first_line: line, last_line: line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_has_its_parts() {
        let line =
            r#"10.0.0.7 - bob [19/Nov/2026:03:14:15 +0000] "GET /a/b?q=1 HTTP/1.1" 502 157 "-" "curl/8" rt=0.250"#;
        let end = crate::stamp::find(line).unwrap().end;
        let hit = Hit::parse(line, end).unwrap();
        assert_eq!((hit.client, hit.method, hit.path, hit.status, hit.bytes), ("10.0.0.7", "GET", "/a/b", 502, 157));
        assert_eq!(hit.tail, r#""-" "curl/8" rt=0.250"#);
        for wrong in ["", "a [19/Nov/2026:03:14:15 +0000] x", r#"a [19/Nov/2026:03:14:15 +0000] "GET / HTTP/1.1" 99 -"#]
        {
            let end = crate::stamp::find(wrong).map_or(0, |stamp| stamp.end);
            assert_eq!(Hit::parse(wrong, end), None);
        }
    }

    #[test]
    fn distinct_things_are_bounded() {
        let mut access = Access::default();
        for n in 0..1000u64 {
            let path = format!("/{n}");
            access.add(&Hit { client: "c", method: "GET", path: &path, status: 200, bytes: 1, tail: "" }, n + 1);
        }
        assert_eq!((access.hits, access.paths.len(), access.of_class(2)), (1000, DISTINCT_MAX, 1000));
    }
}
