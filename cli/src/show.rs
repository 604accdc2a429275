//! What a running task shows: the answer on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

use aether_core::event::{Event, Next};
use aether_core::facts::{Outcome, Verdict};
use aether_core::words::TaskId;
use aether_driver::Told;
use aether_observe::{Level, Names, Stamp, TraceId, level, line};
use aether_terminal::{Neutral, Printer, Stream, Style, neutral};
use serde_json::{Value, json};

use crate::args::Invocation;
use crate::audit::Audit;
use crate::boot::Boot;
use crate::secure::Wrote;
use crate::telemetry::Telemetry;
use crate::trouble::Trouble;

/// How the answer is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Piece by piece, as it comes.
    Live,
    /// In one, at the end: for programs that read it.
    Last,
    /// JSON lines.
    Json,
}

/// What a program writes while it runs, as a JSON line.
pub(crate) fn tool_output(wrote: &Wrote<'_>) {
    let line = json!({
        "event": "tool_output",
        "task": wrote.task.map(|task| task.to_string()),
        "tool": wrote.tool,
        "stream": wrote.stream,
        "text": String::from_utf8_lossy(wrote.bytes),
    });
    // That nobody reads any more is noticed with the next event.
    let _unheard = write_out(&format!("{line}\n"));
}

/// Shows one task and what it spawns.
pub(crate) struct Show {
    form: Form,
    style: Style,
    root: Option<TaskId>,
    models: Vec<String>,
    trace: Trace,
    log: Log,
    telemetry: Telemetry,
    audit: Audit,
    neutral: Neutral,
    /// Whether the last thing on standard output was the end of a line, or nothing.
    is_fresh: bool,
    /// Where everything goes while a line is being typed below it.
    printer: Option<Printer>,
    /// Nobody reads standard output any more.
    is_unheard: bool,
}

/// Where events are written down.
struct Trace {
    id: TraceId,
    file: Option<aether_session::Trace>,
}

/// Which events are shown while the task runs.
struct Log {
    level: Option<Level>,
    file: Option<std::fs::File>,
}

impl Show {
    /// Nothing is shown yet.
    pub(crate) fn new(boot: &Boot, invocation: &Invocation, models: &[String]) -> Result<Show, Trouble> {
        let form = if invocation.has("json") {
            Form::Json
        } else if io::stdout().is_terminal() {
            Form::Live
        } else {
            Form::Last
        };
        let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Error);
        for notice in &boot.notices {
            eprint(&style.yellow(&format!("note: {notice}")));
        }
        let id = TraceId::new(random_bytes());
        let trace = Trace { id, file: trace_file(boot) };
        let audit = boot.audit();
        audit.follow(trace.file.as_ref().map(aether_session::Trace::id));
        Ok(Show {
            form,
            style,
            root: None,
            models: models.to_vec(),
            trace,
            log: log(boot)?,
            telemetry: Telemetry::new(boot)?,
            audit,
            neutral: Neutral::default(),
            is_fresh: true,
            printer: None,
            is_unheard: false,
        })
    }

    /// The same, above a line that is being typed.
    pub(crate) fn above(mut self, printer: Option<Printer>) -> Show {
        self.printer = printer;
        self
    }

    /// Follows this task.
    pub(crate) fn begin(&mut self, root: TaskId) {
        self.root = Some(root);
    }

    /// The task that is followed.
    pub(crate) fn root(&self) -> TaskId {
        self.root.unwrap_or(TaskId { slot: 0, generation: 0 })
    }

    /// Shows one thing. `Some` once the task that is followed is over.
    pub(crate) fn tell(&mut self, task: TaskId, parent: Option<TaskId>, told: Told) -> io::Result<Option<Outcome>> {
        let is_root = Some(task) == self.root;
        match told {
            Told::Noted(event) => self.event(task, parent, &event)?,
            Told::Said { text, .. } if self.form == Form::Json => {
                self.json(&json!({"event": "said", "task": task.to_string(), "text": text}))?;
            }
            Told::Reasoned { text, .. } if self.form == Form::Json => {
                self.json(&json!({"event": "reasoned", "task": task.to_string(), "text": text}))?;
            }
            Told::Unsaid { .. } if self.form == Form::Json => {
                self.json(&json!({"event": "unsaid", "task": task.to_string()}))?;
            }
            Told::Said { text, .. } if is_root && self.form == Form::Live => self.say(&text)?,
            Told::Unsaid { .. } if is_root && self.form == Form::Live => {
                self.fresh_line()?;
                self.notice("the answer broke off; what stands above is void, the question is asked again");
            }
            Told::Said { .. } | Told::Reasoned { .. } | Told::Unsaid { .. } => {}
            Told::Ended(outcome) => {
                if is_root {
                    return Ok(Some(*outcome));
                }
            }
        }
        Ok(None)
    }

    /// Shows how it ended.
    pub(crate) fn end(&mut self, outcome: &Outcome) -> Result<(), Trouble> {
        let shown = match self.form {
            Form::Live => self.fresh_line(),
            Form::Last if outcome.answer.is_empty() => Ok(()),
            Form::Last => {
                let newline = if outcome.answer.ends_with('\n') { "" } else { "\n" };
                write_out(&format!("{}{newline}", outcome.answer))
            }
            Form::Json => self.json(&ending(outcome)),
        };
        self.audited(self.audit.flush());
        match shown {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(Trouble::failed(format!("the answer cannot be written: {error}")));
            }
            shown => self.is_unheard = shown.is_err(),
        }
        if let Some(sentence) = sentence(&outcome.verdict) {
            self.aside(&self.style.red(&sentence));
        }
        Ok(())
    }

    /// Whether the answer reached nobody, because nobody reads standard output any more.
    pub(crate) fn is_unheard(&self) -> bool {
        self.is_unheard
    }

    /// The name of the trace that is written, if one is.
    pub(crate) fn trace_name(&self) -> Option<&str> {
        self.trace.file.as_ref().map(aether_session::Trace::id)
    }

    /// Tells the person something besides the answer.
    pub(crate) fn notice(&self, text: &str) {
        self.aside(&self.style.yellow(&format!("note: {text}")));
    }

    /// A line besides the answer.
    fn aside(&self, text: &str) {
        match &self.printer {
            Some(printer) => {
                printer.fresh_line();
                printer.print(&format!("{text}\n"));
            }
            None => eprint(text),
        }
    }

    /// Lines of the audit log that permit nothing are no reason to stop; that they are missing is said.
    fn audited(&self, written: Result<(), String>) {
        if let Err(why) = written {
            self.notice(&format!("the audit log is not complete: {why}"));
        }
    }

    /// Hands the spans to the collector, if there is one. That it does not take them is no failure of the task.
    pub(crate) async fn export(&mut self, boot: &Boot) {
        if let Err(trouble) = self.telemetry.send(boot).await {
            self.notice(&trouble.to_string());
        }
    }

    fn say(&mut self, piece: &str) -> io::Result<()> {
        let text = self.neutral.push(piece);
        if text.is_empty() {
            return Ok(());
        }
        if let Some(printer) = &self.printer {
            printer.print(&text);
            return Ok(());
        }
        self.is_fresh = text.ends_with('\n');
        write_out(&text)
    }

    fn fresh_line(&mut self) -> io::Result<()> {
        if let Some(printer) = &self.printer {
            printer.fresh_line();
            return Ok(());
        }
        if self.is_fresh {
            return Ok(());
        }
        self.is_fresh = true;
        write_out("\n")
    }

    fn event(&mut self, task: TaskId, parent: Option<TaskId>, event: &Event) -> io::Result<()> {
        let stamp = Stamp { unix_ms: i64::try_from(unix_ms()).unwrap_or(i64::MAX), trace: self.trace.id, task, parent };
        let text = line(&stamp, &Names { models: &self.models }, event);
        if let Some(Err(error)) = self.trace.file.as_mut().map(|file| file.append(&text)) {
            self.trace.file = None;
            self.notice(&format!("the trace ends here: {error}"));
        }
        self.telemetry.keep(&text);
        self.audited(self.audit.hear(task, event));
        if self.log.level.is_some_and(|most| level(event) <= most) {
            match &mut self.log.file {
                Some(file) => file.write_all(format!("{text}\n").as_bytes())?,
                None => self.aside(&text),
            }
        }
        let is_watched = self.printer.is_some() || io::stderr().is_terminal();
        match self.form {
            Form::Json => write_out(&format!("{text}\n")),
            Form::Live | Form::Last if Some(task) == self.root && is_watched => self.progress(event),
            Form::Live | Form::Last => Ok(()),
        }
    }

    /// What a person at a terminal wants to know on the way.
    fn progress(&mut self, event: &Event) -> io::Result<()> {
        let text = match event {
            Event::Allowed { tool, .. } => format!("· {}", tool.name),
            Event::Refused { tool, why } => format!("· {} refused ({why})", neutral(tool)),
            Event::Failed { kind, next: Next::Retry { after_ms }, .. } => {
                format!("· {kind}, trying again in {after_ms} ms")
            }
            Event::Failed { kind, next: Next::Fallback, .. } => format!("· {kind}, asking the next model"),
            Event::Tripped { governor } => format!("· {}: {}", governor, governor.reason()),
            Event::Folded { entries, .. } => format!("· folded {entries} older entries to make room"),
            Event::Delegated { .. } => "· a child task begins".to_owned(),
            _ => return Ok(()),
        };
        self.fresh_line()?;
        self.aside(&self.style.dim(&text));
        Ok(())
    }

    fn json(&self, value: &Value) -> io::Result<()> {
        write_out(&format!("{value}\n"))
    }
}

/// How a task ended, as the last JSON line says it.
pub(crate) fn ending(outcome: &Outcome) -> Value {
    let spending = &outcome.spending;
    json!({
        "event": "outcome",
        "verdict": outcome.verdict.name(),
        "message": sentence(&outcome.verdict),
        "answer": &*outcome.answer,
        "label": outcome.label.to_string(),
        "model_calls": spending.model_calls,
        "tool_calls": spending.tool_calls,
        "input_tokens": spending.usage.input_tokens,
        "output_tokens": spending.usage.output_tokens,
        "cached_tokens": spending.usage.cached_tokens,
        "cost_micro_usd": spending.cost_micro_usd(),
    })
}

/// What the person should know of a verdict; nothing where all went well.
pub(crate) fn sentence(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Done => None,
        Verdict::Length => {
            Some("the answer reached the limit on output tokens; raise model_options.output_tokens_max".to_owned())
        }
        Verdict::Refused => {
            Some("the model declined to answer; put the goal differently or ask another model".to_owned())
        }
        Verdict::Spent(governor) => {
            Some(format!("stopped: {} ({governor}); raise it with a --max-… flag or in [limits]", governor.reason()))
        }
        Verdict::Failed(error) => Some(format!("error: {error}")),
        Verdict::Interrupted => Some("interrupted".to_owned()),
    }
}

/// Writes to standard output and flushes it.
pub(crate) fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a report to standard output. A reader who has seen enough and left is no failure.
pub(crate) fn report(text: &str) -> Result<(), Trouble> {
    match write_out(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Trouble::failed(format!("the report cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error. A standard error that is closed is nobody's loss.
pub(crate) fn eprint(text: &str) {
    let _written = writeln!(io::stderr().lock(), "{text}");
}

fn trace_file(boot: &Boot) -> Option<aether_session::Trace> {
    if boot.number("trace.files_max") == 0 {
        return None;
    }
    // A trace is a convenience: a data directory that cannot be written must not keep a task from running.
    crate::trace::store(boot).begin(unix_ms()).ok()
}

fn log(boot: &Boot) -> Result<Log, Trouble> {
    let name = boot.config.text("log.level").unwrap_or("off");
    let file = match boot.config.text("log.file").filter(|path| !path.is_empty()) {
        Some(path) => {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
            Some(opened.map_err(|error| Trouble::usage(format!("log.file {path}: {error}")))?)
        }
        None => None,
    };
    Ok(Log { level: Level::named(name), file })
}

pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn random_bytes() -> [u8; 16] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let half = || RandomState::new().build_hasher().finish().to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half());
    bytes[8..].copy_from_slice(&half());
    bytes
}
