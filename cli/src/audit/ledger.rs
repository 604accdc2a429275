//! Writing the audit log: what permits an effect before the effect, everything else when there is time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use aether_audit::{Checker, Durability, Kind, Limits, Log, Place, RECORDS_MAX, Record, Signer};
use aether_core::capability::{Capability, Network};
use aether_core::digest::Sha256;
use aether_core::event::Event;
use aether_core::tool::{Act, Acts, Authorized};
use aether_core::words::TaskId;
use aether_trust::{Keyring, PublicKey, Signature};

use crate::show::{eprint, unix_ms};

/// What signatures of the log are for.
const DOMAIN: &str = "audit";

/// How signatures of the log are checked.
pub(super) const CHECK: Checker =
    |key, bytes, signature| aether_trust::verify(&PublicKey(*key), DOMAIN, bytes, &Signature(*signature));

/// Where the log is, beneath the data directory.
pub(super) fn place(data: &Path) -> Place {
    Place { directory: data.join("audit"), head: data.join("trust").join("audit.head") }
}

/// This machine's key, as the log sees it.
pub(super) struct Machine(pub(super) Keyring);

impl Signer for Machine {
    fn public(&self) -> [u8; 32] {
        self.0.public().0
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(DOMAIN, bytes).0
    }
}

/// The audit log, shared by everybody who writes to it. Nothing is read or made before the first line.
#[derive(Clone)]
pub(crate) struct Audit(Arc<Ledger>);

struct Ledger {
    data: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log: Option<Arc<Log>>,
    /// Lines that permit nothing, and wait for company.
    held: Vec<(u64, Record)>,
    /// The trace that this is about.
    trace: Option<Box<str>>,
    /// Whether anything was appended since the last checkpoint.
    is_open: bool,
}

impl Audit {
    /// The log beneath this data directory.
    pub(crate) fn new(data: &Path) -> Audit {
        Audit(Arc::new(Ledger { data: data.to_owned(), state: Mutex::default() }))
    }

    /// From now on lines name this trace.
    pub(crate) fn follow(&self, trace: Option<&str>) {
        self.0.state().trace = trace.map(Into::into);
    }

    /// Writes down what permits an effect, with everything that waits, and comes back when it is on the disk.
    ///
    /// # Errors
    /// A sentence. Then the effect must not happen.
    pub(crate) fn permit(&self, record: Record) -> Result<(), String> {
        self.0.write(vec![(unix_ms(), record)], Durability::Now)
    }

    /// Writes the line that has to be there before this call runs, if one has to be: any act but reading the workspace.
    ///
    /// # Errors
    /// A sentence for the model. Then the call must not run.
    pub(crate) fn admit(&self, task: Option<TaskId>, call: &Authorized) -> Result<(), String> {
        if !is_audited(call.needs().acts) {
            return Ok(());
        }
        let mut record = self.about(Kind::Allow, task).text("tool", &call.call().name);
        record = record.text("acts", &call.needs().acts.to_string()).digest("call", call.digest());
        let reach = reach(&call.needs().capability);
        if !reach.is_empty() {
            record = record.text("reach", &reach);
        }
        self.permit(record).map_err(|why| format!("not run: it cannot be written to the audit log ({why})"))
    }

    /// Writes down that the file of the configuration or of the policy is about to change, by the digests of both texts.
    ///
    /// # Errors
    /// A sentence. Then it must not change.
    pub(crate) fn change(&self, path: &Path, before: &str, after: &str) -> Result<(), String> {
        let is_policy = path.file_name().is_some_and(|name| name == "policy.toml");
        let record =
            Record::new(if is_policy { Kind::Policy } else { Kind::Config }).text("file", &path.to_string_lossy());
        let record = record.digest("before", &Sha256::of(before.as_bytes()));
        let written = self.permit(record.digest("after", &Sha256::of(after.as_bytes())));
        written.map_err(|why| format!("it cannot be written to the audit log ({why})"))
    }

    /// Writes a line that permits nothing, with everything that waits. The system brings it to the disk when it gets to it.
    ///
    /// # Errors
    /// A sentence, when lines cannot be written; they are lost then.
    #[cfg(all(feature = "sandbox", target_os = "linux"))]
    pub(crate) fn note(&self, record: Record) -> Result<(), String> {
        self.0.write(vec![(unix_ms(), record)], Durability::Later)
    }

    /// Keeps a line that permits nothing. It is written with the next one that does, or when [`Audit::flush`] is called.
    fn hold(&self, record: Record) -> Result<(), String> {
        let mut state = self.0.state();
        state.held.push((unix_ms(), record));
        let is_full = state.held.len() >= RECORDS_MAX;
        drop(state);
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Keeps that a call was refused, and why, without its input.
    ///
    /// # Errors
    /// A sentence, when lines cannot be written; they are lost then.
    pub(crate) fn refuse(&self, task: Option<TaskId>, tool: &str, why: &str) -> Result<(), String> {
        let record = self.about(Kind::Deny, task);
        // What a model calls a tool may be anything; only what could be a tool's name goes in.
        let is_name = tool.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        let record = if is_name { record.text("tool", tool) } else { record.number("tool_bytes", tool.len() as u64) };
        self.hold(record.text("reason", why))
    }

    /// Keeps what an event says about authority, if it says anything.
    ///
    /// # Errors
    /// A sentence, when lines cannot be written; they are lost then.
    pub(crate) fn hear(&self, task: TaskId, event: &Event) -> Result<(), String> {
        let about = |kind| self.about(kind, Some(task));
        match event {
            // Everything else was written before it ran.
            Event::Allowed { tool, digest, acts, .. } if *acts != Acts::NONE && !is_audited(*acts) => {
                let record = about(Kind::Allow).text("tool", &tool.name);
                self.hold(record.text("acts", &acts.to_string()).digest("call", digest))
            }
            Event::Wanted { approval, tool, digest, reason } => {
                let record = about(Kind::Ask).number("approval", approval.0.into()).text("tool", &tool.name);
                self.hold(record.digest("call", digest).text("reason", &reason.to_string()))
            }
            Event::Approved { approval, scope } => {
                self.hold(about(Kind::Approve).number("approval", approval.0.into()).text("scope", scope.name()))
            }
            Event::Refused { tool, why } => self.refuse(Some(task), tool, why),
            _ => Ok(()),
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// A sentence, when lines cannot be written; they are lost then.
    pub(crate) fn flush(&self) -> Result<(), String> {
        self.0.write(Vec::new(), Durability::Later)
    }

    /// A record about a task of the trace that is followed.
    fn about(&self, kind: Kind, task: Option<TaskId>) -> Record {
        let mut record = Record::new(kind);
        if let Some(trace) = &self.0.state().trace {
            record = record.text("trace", trace);
        }
        if let Some(task) = task {
            record = record.text("task", &task.to_string());
        }
        record
    }
}

impl Ledger {
    /// What a panic elsewhere left is still a list of lines.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes what waits and these, in pieces that one append takes. The state is free meanwhile: nobody waits for a disk.
    fn write(&self, records: Vec<(u64, Record)>, durability: Durability) -> Result<(), String> {
        let mut all = std::mem::take(&mut self.state().held);
        all.extend(records);
        if all.is_empty() {
            return Ok(());
        }
        let log = self.log()?;
        for piece in all.chunks(RECORDS_MAX) {
            log.append_all(piece, durability).map_err(|error| error.to_string())?;
        }
        self.state().is_open = true;
        Ok(())
    }

    fn log(&self) -> Result<Arc<Log>, String> {
        let mut state = self.state();
        if let Some(log) = &state.log {
            return Ok(log.clone());
        }
        let keyring = Keyring::open(&self.data.join("trust")).map_err(|error| error.to_string())?;
        let log = Arc::new(Log::open(place(&self.data), Box::new(Machine(keyring)), CHECK, Limits::default()));
        state.log = Some(log.clone());
        Ok(log)
    }
}

impl Drop for Ledger {
    /// What waits is written, and what was written is signed.
    fn drop(&mut self) {
        let mut ended = self.write(Vec::new(), Durability::Later);
        let state = self.state();
        if let Some(log) = state.log.as_ref().filter(|_| state.is_open) {
            let closed = log.close(unix_ms(), Durability::Later).map(drop).map_err(|error| error.to_string());
            ended = ended.and(closed);
        }
        if let Err(why) = ended {
            eprint(&format!("note: the audit log is not complete: {why}"));
        }
    }
}

/// Whether a call that does this runs only after its line is on the disk.
fn is_audited(acts: Acts) -> bool {
    !Acts::of(&[Act::ReadWorkspace]).covers(acts)
}

/// What a call reaches, by name: where it writes, what it runs, whom it talks to.
fn reach(capability: &Capability) -> String {
    let places = [("write", capability.write()), ("program", capability.programs())];
    let places =
        places.into_iter().flat_map(|(what, places)| places.iter().map(move |place| format!("{what} {place}")));
    let hosts: Vec<String> = match &capability.network {
        Network::None => Vec::new(),
        Network::Public => vec!["network public".to_owned()],
        Network::Hosts(hosts) => hosts.iter().map(|host| format!("network {host}")).collect(),
    };
    places.chain(hosts).collect::<Vec<_>>().join(", ")
}
