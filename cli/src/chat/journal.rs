//! What of a conversation is on the disk.
//!
//! A session only ever grows, and the kernel may replace what was said by a summary. So this is the rule: entries are
//! appended as they settle, each once; when a summary took the place of earlier entries, the whole transcript is
//! appended anew, from the summary on. Whoever reads a session begins at its last summary. The message that was
//! being answered then stands in the file twice, once on either side.

use aether_core::label::{Label, Origin};
use aether_core::model::Part;
use aether_core::tool::ToolCall;
use aether_core::transcript::{Entry, ToolEntry, ToolOutcome};
use aether_session::{Session, SessionStore, StoreError};

use crate::trouble::Trouble;

/// How the kernel begins a summary.
const SUMMARY_HEAD: &str = "[Summary of what came before]\n";

/// What the model is told of a call that a kill has left without a result.
const INTERRUPTED: &str = "interrupted: the program ended before this call reported";

/// Writes a conversation down as it goes.
pub(crate) struct Journal {
    store: Option<SessionStore>,
    session: Option<Session>,
    workspace: String,
    /// How many entries of the transcript are on the disk.
    saved: usize,
    /// The summary the transcript on the disk begins with.
    summary: Option<Box<str>>,
    /// The last error that was reported.
    reported: Option<String>,
    is_new: bool,
}

/// A session that goes on.
pub(crate) struct Resumed {
    pub(crate) journal: Journal,
    pub(crate) entries: Vec<Entry>,
    found: aether_session::Resumed,
    repaired: usize,
}

impl Journal {
    /// A conversation that begins; its session is made with the first entry. Without a store nothing is written.
    pub(crate) fn new(store: Option<SessionStore>, workspace: String) -> Journal {
        Journal { store, session: None, workspace, saved: 0, summary: None, reported: None, is_new: false }
    }

    /// The session called, or beginning with, `given`; `last` is the newest.
    pub(crate) fn resume(store: SessionStore, given: &str) -> Result<Resumed, Trouble> {
        let id = match given {
            "last" => store
                .latest()
                .map_err(Trouble::failed)?
                .ok_or_else(|| Trouble::usage("there is no session to go on with yet; `aether chat` begins one"))?,
            given => given.to_owned(),
        };
        let (session, mut found) = store.resume(&id).map_err(|error| match error {
            StoreError::Unknown { .. } | StoreError::Ambiguous { .. } => Trouble::usage(error),
            error => Trouble::failed(error),
        })?;
        let (entries, repaired) = whole(std::mem::take(&mut found.entries));
        let journal = Journal {
            saved: entries.len(),
            summary: entries.first().and_then(summary).map(Into::into),
            session: Some(session),
            ..Journal::new(Some(store), found.workspace.clone())
        };
        Ok(Resumed { journal, entries, found, repaired })
    }

    /// Brings to the disk what of the transcript is not there yet.
    ///
    /// On `Err` the next call tries again; `None` where the same was reported before.
    pub(crate) fn keep(&mut self, transcript: &[Entry], now_unix_ms: u64) -> Result<(), Option<String>> {
        match self.append(transcript, now_unix_ms) {
            Ok(()) => {
                self.reported = None;
                Ok(())
            }
            Err(error) => {
                let sentence = error.to_string();
                let is_known = self.reported.as_ref() == Some(&sentence);
                self.reported = Some(sentence.clone());
                Err((!is_known).then_some(sentence))
            }
        }
    }

    /// The session's name, once it has one.
    pub(crate) fn id(&self) -> Option<&str> {
        self.session.as_ref().map(Session::id)
    }

    /// The same, once.
    pub(crate) fn begun(&mut self) -> Option<&str> {
        if std::mem::take(&mut self.is_new) { self.id() } else { None }
    }

    /// The store, where there is one.
    pub(crate) fn store(&self) -> Option<&SessionStore> {
        self.store.as_ref()
    }

    /// A conversation that begins in the place of this one.
    pub(crate) fn begin_anew(&mut self) {
        *self = Journal::new(self.store.take(), std::mem::take(&mut self.workspace));
    }

    fn append(&mut self, transcript: &[Entry], now_unix_ms: u64) -> Result<(), StoreError> {
        let Some(store) = &self.store else { return Ok(()) };
        let summary = transcript.first().and_then(summary);
        let is_folded = summary.is_some() && summary != self.summary.as_deref();
        let from = if is_folded { 0 } else { self.saved };
        let Some(fresh) = transcript.get(from..).filter(|fresh| !fresh.is_empty()) else { return Ok(()) };
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                self.is_new = true;
                self.session.insert(store.create(now_unix_ms, &self.workspace)?)
            }
        };
        session.append(fresh, now_unix_ms)?;
        self.saved = transcript.len();
        self.summary = summary.map(Into::into);
        Ok(())
    }
}

impl Resumed {
    /// What the person should know.
    pub(crate) fn notes(&self, workspace: &str) -> Vec<String> {
        let found = &self.found;
        let mut notes = Vec::new();
        let mut say = |is_so: bool, note: String| {
            if is_so {
                notes.push(note);
            }
        };
        say(
            !found.workspace.is_empty() && found.workspace != workspace,
            format!("this session was begun in {}; the workspace is {workspace} now", found.workspace),
        );
        say(found.damaged > 0, format!("{} damaged lines of the session were left out", found.damaged));
        say(found.skipped > 0, format!("{} lines of a newer version were left out", found.skipped));
        say(found.torn_bytes > 0, format!("the last {} bytes were torn and were set aside", found.torn_bytes));
        say(self.repaired > 0, format!("{} tool calls had no result; they count as interrupted", self.repaired));
        say(
            matches!(self.entries.last(), Some(Entry::Person { .. })),
            "the last message has no answer yet; say `go on`, or something else".to_owned(),
        );
        notes
    }
}

/// The text of a summary, if the entry is one.
fn summary(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Note { text, .. } if text.starts_with(SUMMARY_HEAD) => Some(text),
        _ => None,
    }
}

/// The transcript that a file's entries make: from the last summary on, every call with its result, and how many
/// results had to be made up.
fn whole(entries: Vec<Entry>) -> (Vec<Entry>, usize) {
    let from = entries.iter().rposition(|entry| summary(entry).is_some()).unwrap_or(0);
    let (mut out, mut open, mut repaired): (Vec<Entry>, Vec<ToolCall>, usize) = (Vec::new(), Vec::new(), 0);
    for entry in entries.into_iter().skip(from) {
        match entry {
            Entry::Tool(tool) => {
                // A result without its call means nothing to anybody.
                if let Some(at) = open.iter().position(|call| call.id == tool.call) {
                    repaired += close(&mut out, open.drain(..at));
                    open.remove(0);
                    out.push(Entry::Tool(tool));
                }
            }
            other => {
                repaired += close(&mut out, open.drain(..));
                if let Entry::Model { parts, .. } = &other {
                    open.extend(parts.iter().filter_map(|part| match part {
                        Part::Call(call) => Some(call.clone()),
                        Part::Text(_) | Part::Carried(_) => None,
                    }));
                }
                out.push(other);
            }
        }
    }
    repaired += close(&mut out, open.drain(..));
    (out, repaired)
}

fn close(out: &mut Vec<Entry>, calls: impl Iterator<Item = ToolCall>) -> usize {
    let before = out.len();
    out.extend(calls.map(|call| {
        Entry::Tool(ToolEntry {
            call: call.id,
            name: call.name,
            outcome: ToolOutcome::Failed,
            text: INTERRUPTED.into(),
            folded: None,
            label: Label::from(Origin::Tool),
        })
    }));
    out.len() - before
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: &[&str] = &["offline"];

    fn person(text: &str) -> Entry {
        Entry::Person { text: text.into(), images: Vec::new(), label: Label::from(Origin::Person) }
    }

    fn model(text: &str, calls: &[&str]) -> Entry {
        let mut parts = vec![Part::Text(text.into())];
        let call = |id: &&str| Part::Call(ToolCall { id: (*id).into(), name: "time".into(), input: "{}".into() });
        parts.extend(calls.iter().map(call));
        Entry::Model { parts, codec: "offline" }
    }

    fn tool(call: &str) -> Entry {
        let (name, text) = ("time".into(), "12:00".into());
        let label = Label::from(Origin::Tool);
        Entry::Tool(ToolEntry { call: call.into(), name, outcome: ToolOutcome::Done, text, folded: None, label })
    }

    fn summarised(text: &str) -> Entry {
        Entry::Note { text: format!("{SUMMARY_HEAD}{text}").into(), label: Label::default() }
    }

    fn shown(entries: &[Entry]) -> String {
        let one = |entry: &Entry| match entry {
            Entry::Person { text, .. } => format!("p:{text}"),
            Entry::Model { parts, .. } => format!("m{}", parts.len() - 1),
            Entry::Tool(tool) if &*tool.text == INTERRUPTED => format!("x:{}", tool.call),
            Entry::Tool(tool) => format!("t:{}", tool.call),
            Entry::Note { text, .. } => format!("n:{}", text.lines().last().unwrap_or_default()),
        };
        entries.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn calls_without_results_are_closed_and_results_without_calls_go() {
        for (entries, wanted) in [
            (vec![person("a"), model("", &["1", "2"])], "p:a m2 x:1 x:2"),
            (vec![person("a"), model("", &["1", "2"]), tool("1")], "p:a m2 t:1 x:2"),
            (vec![person("a"), model("", &["1", "2"]), tool("2")], "p:a m2 x:1 t:2"),
            (vec![person("a"), model("", &["1"]), person("b")], "p:a m1 x:1 p:b"),
            (vec![person("a"), tool("9"), model("x", &[])], "p:a m0"),
            (vec![person("a"), model("", &["1"]), tool("1"), tool("1")], "p:a m1 t:1"),
            (vec![], ""),
        ] {
            assert_eq!(shown(&whole(entries).0), wanted);
        }
    }

    #[test]
    fn each_entry_is_written_once_and_a_summary_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let store = SessionStore::new(directory.path().to_owned(), CODECS);
        let mut journal = Journal::new(Some(store.clone()), "/w".into());
        let mut transcript = vec![person("a")];
        journal.keep(&transcript, 1).unwrap();
        assert!(journal.begun().is_some() && journal.begun().is_none());
        transcript.extend([model("x", &["1"]), tool("1")]);
        journal.keep(&transcript, 2).unwrap();
        journal.keep(&transcript, 3).unwrap();
        let id = journal.id().unwrap().to_owned();
        assert_eq!(shown(&store.read(&id).unwrap().entries), "p:a m1 t:1");
        let folded = vec![summarised("s"), person("a"), model("x", &["1"]), tool("1"), model("y", &[])];
        journal.keep(&folded, 4).unwrap();
        journal.keep(&folded, 5).unwrap();
        assert_eq!(shown(&store.read(&id).unwrap().entries), "p:a m1 t:1 n:s p:a m1 t:1 m0");
        drop(journal);
        let mut resumed = Journal::resume(store.clone(), "last").unwrap_or_else(|_| panic!("it was just written"));
        assert_eq!(shown(&resumed.entries), "n:s p:a m1 t:1 m0");
        resumed.entries.push(person("b"));
        resumed.journal.keep(&resumed.entries, 6).unwrap();
        assert_eq!(shown(&store.read(&id).unwrap().entries), "p:a m1 t:1 n:s p:a m1 t:1 m0 p:b");
        let second = Journal::resume(store, &id).err().map(|trouble| trouble.to_string());
        assert!(second.is_some_and(|why| why.contains(&std::process::id().to_string())), "the session is in use");
    }

    #[test]
    fn what_could_not_be_written_is_said_once_and_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let blocked = directory.path().join("sessions");
        std::fs::write(&blocked, "a file stands here").unwrap();
        let store = SessionStore::new(blocked.clone(), CODECS);
        let mut journal = Journal::new(Some(store.clone()), "/w".into());
        assert!(journal.keep(&[person("a")], 1).is_err_and(|why| why.is_some()));
        assert_eq!(journal.keep(&[person("a")], 2), Err(None));
        std::fs::remove_file(&blocked).unwrap();
        journal.keep(&[person("a"), model("x", &[])], 3).unwrap();
        assert_eq!(shown(&store.read(journal.id().unwrap()).unwrap().entries), "p:a m0");
    }

    #[test]
    fn without_a_store_nothing_is_written() {
        let mut journal = Journal::new(None, "/w".into());
        journal.keep(&[person("a")], 1).unwrap();
        assert_eq!(journal.id(), None);
    }
}
