//! `aether trace`: what a task did, as a timeline in the terminal or as one HTML file.

use std::path::Path;

use aether_observe::{Colour, html, timeline};
use aether_session::{TraceLimits, TraceStore, private};
use aether_terminal::{Stream, Style, is_terminal};
use serde_json::json;

use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::show::write_out;
use crate::trouble::{Exit, Trouble};

/// Flags of `aether trace`.
pub(crate) const FLAGS: &[Flag] = &[
    Flag {
        long: "html",
        short: None,
        value: Some("FILE"),
        key: None,
        doc: "Write the trace as one self-contained HTML file",
    },
    Flag { long: "list", short: None, value: None, key: None, doc: "List the traces that are kept, newest first" },
    Flag { long: "json", short: None, value: None, key: None, doc: "The trace's own JSON lines, or the list as JSON" },
];

/// The most traces that are listed.
const LIST_MAX: usize = 50;
/// The width of a timeline where no terminal says otherwise, in columns.
const WIDTH: usize = 100;

/// Runs it.
pub(crate) fn run(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let store = store(&boot);
    if invocation.has("list") {
        return list(&store, invocation);
    }
    let id = match invocation.operands.first().map(String::as_str) {
        None | Some("last") => store.latest().map_err(Trouble::failed)?.ok_or_else(|| {
            Trouble::failed("no trace is kept yet; `aether run` makes one (trace.files_max says how many are kept)")
        })?,
        Some(given) => store.find(given).map_err(Trouble::usage)?,
    };
    let lines = store.read(&id).map_err(Trouble::failed)?.join("\n");
    if let Some(path) = invocation.value("html") {
        let page = html(&lines, &format!("aether trace {id}"));
        private::write(Path::new(path), page.as_bytes()).map_err(Trouble::failed)?;
        return Ok(Exit::Done);
    }
    let text = if invocation.has("json") {
        format!("{lines}\n")
    } else {
        let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Output);
        let colour = match (style.has_colour(), is_utf8()) {
            (true, _) => Colour::On,
            (false, true) => Colour::Off,
            (false, false) => Colour::Ascii,
        };
        let width = if is_terminal(Stream::Output) { aether_terminal::width() } else { WIDTH };
        timeline(&lines, width, colour)
    };
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

/// Whether the locale says that text is UTF-8; the first of these that is set decides (POSIX, XBD section 8.2).
fn is_utf8() -> bool {
    let said =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    said.is_some_and(|text| text.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

/// The traces of this person.
pub(crate) fn store(boot: &Boot) -> TraceStore {
    let limits = TraceLimits {
        file_bytes_max: boot.number("trace.file_bytes_max"),
        files_max: usize::try_from(boot.number("trace.files_max")).unwrap_or(0),
    };
    TraceStore::new(boot.directories.traces(), limits)
}

fn list(store: &TraceStore, invocation: &Invocation) -> Result<Exit, Trouble> {
    let ids = store.list(LIST_MAX).map_err(Trouble::failed)?;
    let text = if invocation.has("json") {
        format!("{}\n", json!(ids))
    } else {
        ids.iter().map(|id| format!("{id}\n")).collect()
    };
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}
