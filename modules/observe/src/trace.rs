//! A trace put together from its lines: tasks, and what each did from when to when.

use std::collections::BTreeMap;

use crate::record::{LINES_MAX, Line, Record};
use crate::stamp::TraceId;

/// How deep tasks are nested when shown; what is deeper is shown at this depth.
const DEPTH_MAX: usize = 12;

/// A trace.
#[derive(Default)]
pub(crate) struct Trace {
    /// `None` when not one line could be read.
    pub(crate) id: Option<TraceId>,
    /// In the order of their first line; a task's parent stands before it.
    pub(crate) tasks: Vec<Task>,
    pub(crate) begin_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) aside: Aside,
}

/// Lines that are not part of the picture.
#[derive(Default)]
pub(crate) struct Aside {
    /// No JSON.
    pub(crate) torn: usize,
    /// JSON, but no event of this version.
    pub(crate) foreign: usize,
    /// Events of this version that this reader does not know.
    pub(crate) unknown: usize,
    /// Events of another trace than the first.
    pub(crate) other: usize,
    /// Lines above [`LINES_MAX`].
    pub(crate) beyond: usize,
    /// Where whoever stored the lines stopped.
    pub(crate) cut_bytes: Option<u64>,
}

/// A task.
pub(crate) struct Task {
    pub(crate) name: String,
    /// Its parent's place in [`Trace::tasks`].
    pub(crate) parent: Option<usize>,
    pub(crate) depth: usize,
    pub(crate) begin_ms: i64,
    /// `None` when the lines end before it.
    pub(crate) end: Option<End>,
    /// Everything that went into it, as far as the lines say.
    pub(crate) label: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// How a task ended.
pub(crate) struct End {
    pub(crate) at_ms: i64,
    pub(crate) verdict: String,
    pub(crate) usage: Tokens,
    pub(crate) cost_micro_usd: u64,
}

/// Tokens of one answer or of many.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) reasoning: u64,
}

/// One thing a task did, or that happened to it.
pub(crate) struct Row {
    pub(crate) begin_ms: i64,
    /// `None` while nothing has ended it. What takes no time ends when it begins.
    pub(crate) end_ms: Option<i64>,
    pub(crate) what: What,
}

/// What a row is about.
pub(crate) enum What {
    Ask(Ask),
    Run(Run),
    Approval(Approval),
    Child { run: u64, task: Option<usize>, outcome: String },
    Refused { tool: String, why: String },
    Labelled { label: Vec<String> },
    Tripped { governor: String },
    Folded { how: String, entries: u64, bytes_before: u64, bytes_after: u64 },
    Steered,
}

/// A question to a model.
#[derive(Default)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) model_index: u64,
    pub(crate) attempt: u64,
    pub(crate) bytes: u64,
    pub(crate) tool_use: String,
    pub(crate) answer: Option<Answer>,
    pub(crate) failure: Option<Failure>,
}

/// A model's answer.
pub(crate) struct Answer {
    pub(crate) usage: Tokens,
    pub(crate) finish_reasons: Vec<String>,
    pub(crate) calls: u64,
}

/// Why a question failed.
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) next: String,
    pub(crate) after_ms: u64,
}

/// A run of a tool.
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) tool: String,
    pub(crate) runtime: String,
    pub(crate) acts: Vec<String>,
    pub(crate) digest: String,
    /// `done` or `failed`; empty while it has not reported.
    pub(crate) outcome: String,
    pub(crate) bytes: u64,
    pub(crate) label: Vec<String>,
}

/// A question to the person.
pub(crate) struct Approval {
    pub(crate) id: u64,
    pub(crate) tool: String,
    pub(crate) rule: String,
    pub(crate) act: String,
    pub(crate) digest: String,
    /// The task's label when the person was asked.
    pub(crate) label: Vec<String>,
    pub(crate) result: Decision,
    /// Whether the call that it approved has begun.
    is_used: bool,
}

/// What came of a question to the person.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing yet.
    Open,
    /// Yes, in this scope.
    Approved(String),
    /// Another approval let it pass.
    Covered,
    /// The call was refused, for this reason.
    Refused(String),
}

impl Trace {
    /// The trace of the first event in `lines`.
    pub(crate) fn read(lines: &str) -> Trace {
        let mut trace = Trace::default();
        let mut places = BTreeMap::new();
        let mut lines = lines.lines().filter(|line| !line.trim().is_empty());
        for line in lines.by_ref().take(LINES_MAX) {
            match Line::read(line) {
                Line::Torn => trace.aside.torn += 1,
                Line::Foreign => trace.aside.foreign += 1,
                Line::Cut(bytes) => trace.aside.cut_bytes = Some(bytes),
                Line::Event(record) if trace.id.is_some_and(|id| id != record.trace) => trace.aside.other += 1,
                Line::Event(record) => trace.take(&record, &mut places),
            }
        }
        trace.aside.beyond = lines.count();
        trace
    }

    /// How long it took, at least 1 ms.
    pub(crate) fn took_ms(&self) -> i64 {
        (self.end_ms - self.begin_ms).max(1)
    }

    fn take(&mut self, record: &Record, places: &mut BTreeMap<String, usize>) {
        if self.id.is_none() {
            self.id = Some(record.trace);
            (self.begin_ms, self.end_ms) = (record.at_ms, record.at_ms);
        }
        self.begin_ms = self.begin_ms.min(record.at_ms);
        self.end_ms = self.end_ms.max(record.at_ms);
        let place = match places.get(&record.task) {
            Some(place) => *place,
            None => self.adopt(record, places),
        };
        if !self.tasks[place].take(record) {
            self.aside.unknown += 1;
        }
    }

    /// Makes the task of its first line, below its parent's next open delegation.
    fn adopt(&mut self, record: &Record, places: &mut BTreeMap<String, usize>) -> usize {
        let place = self.tasks.len();
        let mut parent = record.parent.as_ref().and_then(|name| places.get(name)).copied();
        while let Some(deep) = parent.filter(|parent| self.tasks[*parent].depth >= DEPTH_MAX) {
            parent = self.tasks[deep].parent;
        }
        let depth = parent.map_or(0, |parent| self.tasks[parent].depth + 1);
        if let Some(parent) = parent {
            self.tasks[parent].deliver(place, record.at_ms);
        }
        let (name, begin_ms) = (record.task.clone(), record.at_ms);
        self.tasks.push(Task { name, parent, depth, begin_ms, end: None, label: Vec::new(), rows: Vec::new() });
        places.insert(record.task.clone(), place);
        place
    }
}

impl Task {
    /// Takes in one event; `false` if it is unknown.
    fn take(&mut self, record: &Record) -> bool {
        let at_ms = record.at_ms;
        match record.event.as_str() {
            "spawned" => self.label = record.words("label"),
            "asked" => self.begin(at_ms, What::Ask(Ask::read(record))),
            "answered" => self.answered(record),
            "failed" => self.failed(record),
            "allowed" => self.allowed(record),
            "wanted" => {
                let label = self.label.clone();
                self.begin(at_ms, What::Approval(Approval::read(record, label)));
            }
            "approved" => {
                let id = record.number("approval");
                self.decide(at_ms, &Decision::Approved(record.text("scope")), &|approval| approval.id == id);
            }
            "refused" => self.refused(record),
            "returned" => self.returned(record),
            "delegated" => {
                self.begin(at_ms, What::Child { run: record.number("run"), task: None, outcome: String::new() });
            }
            "labelled" => {
                self.label = record.words("label");
                let label = self.label.clone();
                self.mark(at_ms, What::Labelled { label });
            }
            "tripped" => self.mark(at_ms, What::Tripped { governor: record.text("governor") }),
            "folded" => self.mark(
                at_ms,
                What::Folded {
                    how: record.text("how"),
                    entries: record.number("entries"),
                    bytes_before: record.number("bytes_before"),
                    bytes_after: record.number("bytes_after"),
                },
            ),
            "steered" => self.mark(at_ms, What::Steered),
            "ended" => self.ended(record),
            _ => return false,
        }
        true
    }

    /// A row that something will end.
    fn begin(&mut self, at_ms: i64, what: What) {
        self.rows.push(Row { begin_ms: at_ms, end_ms: None, what });
    }

    /// A row that takes no time.
    fn mark(&mut self, at_ms: i64, what: What) {
        self.rows.push(Row { begin_ms: at_ms, end_ms: Some(at_ms), what });
    }

    fn deliver(&mut self, child: usize, at_ms: i64) {
        let open = self.rows.iter_mut().find_map(|row| match &mut row.what {
            What::Child { task: task @ None, .. } if row.end_ms.is_none() => Some(task),
            _ => None,
        });
        match open {
            Some(task) => *task = Some(child),
            None => self.begin(at_ms, What::Child { run: 0, task: Some(child), outcome: String::new() }),
        }
    }

    /// The newest question of that id; an answer that was of no use fails afterwards.
    fn ask(&mut self, record: &Record) -> Option<&mut Ask> {
        let id = record.number("ask");
        let row = self.rows.iter_mut().rev().find(|row| matches!(&row.what, What::Ask(ask) if ask.id == id))?;
        row.end_ms = Some(record.at_ms.max(row.begin_ms));
        match &mut row.what {
            What::Ask(ask) => Some(ask),
            _ => None,
        }
    }

    fn answered(&mut self, record: &Record) {
        if let Some(ask) = self.ask(record) {
            let finish_reasons = record.words("gen_ai.response.finish_reasons");
            ask.answer = Some(Answer { usage: Tokens::read(record), finish_reasons, calls: record.number("calls") });
        }
    }

    fn failed(&mut self, record: &Record) {
        if let Some(ask) = self.ask(record) {
            let (kind, next) = (record.text("error.type"), record.text("next"));
            ask.failure = Some(Failure { kind, next, after_ms: record.number("after_ms") });
        }
    }

    /// A run begins, by the approval of its exact call if there was one; if that still waits for the person, another
    /// approval let the call pass.
    fn allowed(&mut self, record: &Record) {
        let run = Run::read(record);
        let approved = self.rows.iter_mut().find_map(|row| match &mut row.what {
            What::Approval(approval) if approval.is_unused_yes() && approval.digest == run.digest => Some(approval),
            _ => None,
        });
        match approved {
            Some(approval) => approval.is_used = true,
            None => {
                self.decide(record.at_ms, &Decision::Covered, &|approval| approval.digest == run.digest);
            }
        }
        self.begin(record.at_ms, What::Run(run));
    }

    /// A refusal names no approval: it is the answer to the oldest open one for that tool, if it is an answer at all.
    fn refused(&mut self, record: &Record) {
        let (tool, why) = (record.text("gen_ai.tool.name"), record.text("why"));
        let is_answer = matches!(why.as_str(), "declined" | "unanswered");
        let decision = Decision::Refused(why.clone());
        if !is_answer || !self.decide(record.at_ms, &decision, &|approval| approval.tool == tool) {
            self.mark(record.at_ms, What::Refused { tool, why });
        }
    }

    /// Decides the oldest open approval that fits; `false` if there is none.
    fn decide(&mut self, at_ms: i64, decision: &Decision, fits: &dyn Fn(&Approval) -> bool) -> bool {
        for row in self.rows.iter_mut().filter(|row| row.end_ms.is_none()) {
            if let What::Approval(approval) = &mut row.what
                && fits(approval)
            {
                approval.result = decision.clone();
                row.end_ms = Some(at_ms.max(row.begin_ms));
                return true;
            }
        }
        false
    }

    fn returned(&mut self, record: &Record) {
        let id = record.number("run");
        for row in self.rows.iter_mut().rev().filter(|row| row.end_ms.is_none()) {
            match &mut row.what {
                What::Run(run) if run.id == id => {
                    run.outcome = record.text("outcome");
                    run.bytes = record.number("bytes");
                    run.label = record.words("label");
                }
                What::Child { run, outcome, .. } if *run == id => *outcome = record.text("outcome"),
                _ => continue,
            }
            row.end_ms = Some(record.at_ms.max(row.begin_ms));
            return;
        }
    }

    /// The task ends, and with it whatever was still under way.
    fn ended(&mut self, record: &Record) {
        for row in self.rows.iter_mut().filter(|row| row.end_ms.is_none()) {
            row.end_ms = Some(record.at_ms.max(row.begin_ms));
        }
        self.end = Some(End {
            at_ms: record.at_ms.max(self.begin_ms),
            verdict: record.text("verdict"),
            usage: Tokens::read(record),
            cost_micro_usd: record.number("cost_micro_usd"),
        });
    }
}

impl Tokens {
    fn read(record: &Record) -> Tokens {
        Tokens {
            input: record.number("gen_ai.usage.input_tokens"),
            output: record.number("gen_ai.usage.output_tokens"),
            cached: record.number("gen_ai.usage.cache_read.input_tokens"),
            cache_write: record.number("gen_ai.usage.cache_write.input_tokens"),
            reasoning: record.number("gen_ai.usage.reasoning.output_tokens"),
        }
    }

    pub(crate) fn plus(self, other: Tokens) -> Tokens {
        Tokens {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached: self.cached.saturating_add(other.cached),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

impl Ask {
    fn read(record: &Record) -> Ask {
        Ask {
            id: record.number("ask"),
            provider: record.text("gen_ai.provider.name"),
            model: record.text("gen_ai.request.model"),
            model_index: record.number("model_index"),
            attempt: record.number("attempt"),
            bytes: record.number("bytes"),
            tool_use: record.text("tool_use"),
            answer: None,
            failure: None,
        }
    }
}

impl Run {
    fn read(record: &Record) -> Run {
        Run {
            id: record.number("run"),
            tool: record.text("gen_ai.tool.name"),
            runtime: record.text("tool_runtime"),
            acts: record.words("acts"),
            digest: record.text("digest"),
            outcome: String::new(),
            bytes: 0,
            label: Vec::new(),
        }
    }
}

impl Approval {
    /// Whether it ended with a refusal.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.result, Decision::Refused(_))
    }

    fn is_unused_yes(&self) -> bool {
        matches!(self.result, Decision::Approved(_)) && !self.is_used
    }

    fn read(record: &Record, label: Vec<String>) -> Approval {
        Approval {
            id: record.number("approval"),
            tool: record.text("gen_ai.tool.name"),
            rule: record.text("rule"),
            act: record.text("act"),
            digest: record.text("digest"),
            label,
            result: Decision::Open,
            is_used: false,
        }
    }
}
