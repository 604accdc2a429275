//! What the secure runtime does, as lines of the audit log. The sidecar has no log of its own, and no key to sign one: it
//! tells the kernel's process, which writes.

use std::sync::Arc;

use aether_audit::{Kind, Record};
use aether_egress::{Decision, Verdict, What};
use aether_executor::{Fact, Watcher};
use aether_sidecar::Notice;
use serde_json::{Map, Value};

use crate::audit::Audit;
use crate::show::eprint;

/// The kinds of lines that come from the secure runtime.
const KINDS: &[Kind] = &[Kind::Breach, Kind::Deny, Kind::Egress, Kind::Secret];
/// The facts that such a line can have, each a text.
const TEXTS: &[&str] = &["tool", "breach", "reason", "about", "secret", "host", "address", "verdict"];
/// The facts that are numbers.
const NUMBERS: &[&str] = &["bytes_max", "port"];

/// Something to be written down: a kind, texts and numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    kind: Kind,
    texts: Vec<(&'static str, String)>,
    numbers: Vec<(&'static str, u64)>,
}

impl Line {
    fn new(kind: Kind, tool: &str) -> Line {
        Line { kind, texts: vec![("tool", tool.to_owned())], numbers: Vec::new() }
    }

    fn text(mut self, name: &'static str, value: impl Into<String>) -> Line {
        self.texts.push((name, value.into()));
        self
    }

    fn number(mut self, name: &'static str, value: u64) -> Line {
        self.numbers.push((name, value));
        self
    }

    /// What a fact amounts to. That a program started follows from the line that permitted it.
    pub(crate) fn of(fact: &Fact<'_>) -> Option<Line> {
        Some(match fact {
            Fact::Started { .. } => return None,
            Fact::Breached { tool, breach } => Line::new(Kind::Breach, tool).text("breach", breach.to_string()),
            Fact::Flooded { tool, bytes_max } => {
                Line::new(Kind::Breach, tool).text("breach", "output limit").number("bytes_max", *bytes_max)
            }
            Fact::Unavailable { tool, why } => Line::new(Kind::Deny, tool).text("reason", *why),
            Fact::Network { tool, decision } => Line::network(tool, decision),
        })
    }

    fn network(tool: &str, decision: &Decision) -> Line {
        let (kind, about) = match &decision.what {
            What::Dns => (Kind::Egress, "name"),
            What::Connect => (Kind::Egress, "connection"),
            What::Secret(_) => (Kind::Secret, "secret"),
            What::Quota => (Kind::Egress, "quota"),
        };
        let mut line = Line::new(kind, tool).text("about", about);
        if let What::Secret(name) = &decision.what {
            line = line.text("secret", &**name);
        }
        line = line.text("host", &*decision.host).number("port", decision.port.into());
        if let Some(address) = decision.address {
            line = line.text("address", address.to_string());
        }
        match &decision.verdict {
            Verdict::Allowed => line.text("verdict", "allowed"),
            Verdict::Refused(why) => line.text("verdict", "refused").text("reason", why.to_string()),
        }
    }

    /// As one text, for the way from the sidecar.
    pub(crate) fn encode(&self) -> String {
        let mut fields = Map::new();
        fields.insert("kind".into(), self.kind.name().into());
        fields.extend(self.texts.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
        fields.extend(self.numbers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        Value::Object(fields).to_string()
    }

    /// From such a text. The sidecar is not believed to be sound: what it could not have meant is none.
    pub(crate) fn decode(text: &str) -> Option<Line> {
        let Value::Object(fields) = serde_json::from_str(text).ok()? else { return None };
        let kind = Kind::named(fields.get("kind")?.as_str()?).filter(|kind| KINDS.contains(kind))?;
        let mut line = Line { kind, texts: Vec::new(), numbers: Vec::new() };
        for name in TEXTS.iter().filter(|name| fields.contains_key(**name)) {
            line = line.text(name, fields.get(*name)?.as_str()?);
        }
        for name in NUMBERS.iter().filter(|name| fields.contains_key(**name)) {
            line = line.number(name, fields.get(*name)?.as_u64()?);
        }
        Some(line)
    }

    fn record(&self) -> Record {
        let texts = self.texts.iter().fold(Record::new(self.kind), |record, (name, value)| record.text(name, value));
        self.numbers.iter().fold(texts, |record, (name, value)| record.number(name, *value))
    }
}

/// Writes down every fact that is about authority.
pub(crate) fn watcher(audit: Audit) -> Watcher {
    Arc::new(move |fact: &Fact<'_>| {
        if let Some(line) = Line::of(fact) {
            keep(&audit, line.record());
        }
    })
}

/// Writes down what the sidecar tells.
pub(crate) fn heard(audit: &Audit, text: &str) {
    match Line::decode(text) {
        Some(line) => keep(audit, line.record()),
        None => keep(audit, Record::new(Kind::Sidecar).text("state", "said what it could not have meant")),
    }
}

/// Writes down what happened to the sidecar's process.
pub(crate) fn notice(audit: &Audit, notice: &Notice) {
    let record = Record::new(Kind::Sidecar);
    let record = match notice {
        Notice::Serving { process, start_ms } => {
            record.text("state", "serving").number("process", (*process).into()).number("start_ms", *start_ms)
        }
        Notice::Ended(how) => record.text("state", "ended").text("how", how),
        Notice::NotStarted(why) => record.text("state", "not started").text("reason", why),
        Notice::Resting { failures } => record.text("state", "resting").number("failures", (*failures).into()),
    };
    keep(audit, record);
}

/// Writes down a request that the sidecar did not take.
pub(crate) fn refused(audit: &Audit, tool: &str, reason: &str) {
    keep(audit, Record::new(Kind::Deny).text("by", "sidecar").text("tool", tool).text("reason", reason));
}

/// None of these lines permits anything, so one that cannot be written stops nothing; it is said.
fn keep(audit: &Audit, record: Record) {
    if let Err(why) = audit.note(record) {
        eprint(&format!("note: the audit log is not complete: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_the_way_from_the_sidecar() {
        let line =
            Line::new(Kind::Egress, "shell").text("host", "a.example").number("port", 443).text("verdict", "allowed");
        let back = Line::decode(&line.encode()).unwrap();
        assert_eq!((back.kind, back.numbers.clone()), (line.kind, line.numbers.clone()));
        assert!(line.texts.iter().all(|text| back.texts.contains(text)));
    }

    #[test]
    fn a_sidecar_cannot_write_what_is_not_its_own() {
        for text in
            ["", "{}", r#"{"kind":"allow","tool":"x"}"#, r#"{"kind":"checkpoint"}"#, r#"{"kind":"egress","port":"x"}"#]
        {
            assert_eq!(Line::decode(text), None, "{text}");
        }
    }
}
