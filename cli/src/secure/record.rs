//! What the secure runtime does, as lines of the audit log.

use std::sync::Arc;

use aether_audit::{Kind, Record};
use aether_egress::{Verdict, What};
use aether_executor::{Fact, Watcher};
use aether_sidecar::Notice;

use crate::audit::Audit;
use crate::show::eprint;

/// Writes down every fact that is about authority. That a program started follows from the line that permitted it.
pub(crate) fn watcher(audit: Audit) -> Watcher {
    Arc::new(move |fact: &Fact<'_>| {
        let record = match fact {
            Fact::Started { .. } => return,
            Fact::Breached { tool, breach } => {
                Record::new(Kind::Breach).text("tool", tool).text("breach", &breach.to_string())
            }
            Fact::Flooded { tool, bytes_max } => Record::new(Kind::Breach)
                .text("tool", tool)
                .text("breach", "output limit")
                .number("bytes_max", *bytes_max),
            Fact::Unavailable { tool, why } => Record::new(Kind::Deny).text("tool", tool).text("reason", why),
            Fact::Network { tool, decision } => network(tool, decision),
        };
        keep(&audit, record);
    })
}

fn network(tool: &str, decision: &aether_egress::Decision) -> Record {
    let (kind, what) = match &decision.what {
        What::Dns => (Kind::Egress, "name"),
        What::Connect => (Kind::Egress, "connection"),
        What::Secret(_) => (Kind::Secret, "secret"),
        What::Quota => (Kind::Egress, "quota"),
    };
    let mut record = Record::new(kind).text("tool", tool).text("about", what);
    if let What::Secret(name) = &decision.what {
        record = record.text("secret", name);
    }
    record = record.text("host", &decision.host).number("port", decision.port.into());
    if let Some(address) = decision.address {
        record = record.text("address", &address.to_string());
    }
    match &decision.verdict {
        Verdict::Allowed => record.text("verdict", "allowed"),
        Verdict::Refused(why) => record.text("verdict", "refused").text("reason", &why.to_string()),
    }
}

/// Writes down what happened to the sidecar's process.
pub(crate) fn notice(audit: &Audit, notice: &Notice) {
    let record = Record::new(Kind::Sidecar);
    keep(
        audit,
        match notice {
            Notice::Serving { process, start_ms } => {
                record.text("state", "serving").number("process", (*process).into()).number("start_ms", *start_ms)
            }
            Notice::Ended(how) => record.text("state", "ended").text("how", how),
            Notice::NotStarted(why) => record.text("state", "not started").text("reason", why),
            Notice::Resting { failures } => record.text("state", "resting").number("failures", (*failures).into()),
        },
    );
}

/// Writes down a request that the sidecar did not take.
pub(crate) fn refused(audit: &Audit, reason: &str, sentence: &str) {
    keep(audit, Record::new(Kind::Deny).text("by", "sidecar").text("reason", reason).text("sentence", sentence));
}

/// None of these lines permits anything, so one that cannot be written stops nothing; it is said.
fn keep(audit: &Audit, record: Record) {
    if let Err(why) = audit.note(record) {
        eprint(&format!("note: the audit log is not complete: {why}"));
    }
}
