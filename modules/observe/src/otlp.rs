//! A trace as spans for an OpenTelemetry collector: OTLP/HTTP with JSON (OTLP specification, "JSON Protobuf Encoding").
//!
//! Names and attributes follow the OpenTelemetry semantic conventions for generative AI ("Inference", "Invoke agent
//! internal span", "Execute tool span"); what they have no name for begins with `aether.`.

use aether_core::digest::Sha256;

use crate::json::Json;
use crate::phrase::decision;
use crate::stamp::TraceId;
use crate::trace::{Ask, End, Row, Run, Task, Tokens, Trace, What};

/// Values of `SpanKind` in `trace.proto`.
const INTERNAL: u64 = 1;
const CLIENT: u64 = 3;
/// `STATUS_CODE_ERROR` of `Status` in `trace.proto`.
const STATUS_ERROR: u64 = 2;

/// The trace of the first event in `lines` as the body of an `ExportTraceServiceRequest`, to be posted as
/// `application/json` to a collector's `/v1/traces`: an `invoke_agent` span for each task, below it a `chat` span for
/// each question and an `execute_tool` span for each tool run, with labels, refusals, approvals, governors and
/// foldings as events of the task's span and failures as events of the question's.
///
/// `service_version` becomes the resource's `service.version`. Ids of spans are made from trace, task and wish, so
/// that the same lines give the same spans. What has no end in the lines ends where they do. Never fails: without an
/// event there are no spans.
#[must_use]
pub fn otlp_traces(lines: &str, service_version: &str) -> Vec<u8> {
    let trace = Trace::read(lines);
    let mut json = Json::new(4096);
    json.open('{');
    json.key("resourceSpans");
    json.open('[');
    if let Some(id) = trace.id {
        json.open('{');
        json.key("resource");
        json.open('{');
        let mut resource = Attributes::begin(&mut json);
        resource.text("service.name", "aether");
        resource.text("service.version", service_version);
        resource.end();
        json.close('}');
        json.key("scopeSpans");
        json.open('[');
        json.open('{');
        json.key("scope");
        json.open('{');
        json.text("name", "aether-observe");
        json.text("version", env!("CARGO_PKG_VERSION"));
        json.close('}');
        json.key("spans");
        json.open('[');
        Writer { json: &mut json, trace: &trace, id }.tasks();
        json.close(']');
        json.close('}');
        json.close(']');
        json.close('}');
    }
    json.close(']');
    json.close('}');
    json.finish().into_bytes()
}

/// The spans of one trace.
struct Writer<'a> {
    json: &'a mut Json,
    trace: &'a Trace,
    id: TraceId,
}

/// What every span begins with.
struct Span<'a> {
    task: &'a Task,
    /// The wish it carries out; 0 for the task itself.
    wish: u64,
    name: String,
    kind: u64,
    begin_ms: i64,
    end_ms: Option<i64>,
}

impl Writer<'_> {
    fn tasks(&mut self) {
        let trace = self.trace;
        for task in &trace.tasks {
            self.task(task);
            for row in &task.rows {
                match &row.what {
                    What::Ask(ask) => self.ask(task, row, ask),
                    What::Run(run) => self.run(task, row, run),
                    _ => {}
                }
            }
        }
    }

    fn task(&mut self, task: &Task) {
        let end = task.end.as_ref();
        let span = Span {
            task,
            wish: 0,
            name: "invoke_agent aether".to_owned(),
            kind: INTERNAL,
            begin_ms: task.begin_ms,
            end_ms: end.map(|end| end.at_ms),
        };
        let error = end.map(|end| end.verdict.as_str()).filter(|verdict| !is_answer(verdict));
        self.begin(&span);
        let mut attributes = Attributes::begin(self.json);
        attributes.text("gen_ai.operation.name", "invoke_agent");
        attributes.text("gen_ai.agent.name", "aether");
        attributes.text("gen_ai.agent.id", &task.name);
        if let Some(ask) = task.rows.iter().find_map(Row::ask) {
            attributes.model(ask);
        }
        if let Some(End { verdict, usage, cost_micro_usd, .. }) = end {
            attributes.tokens(usage);
            attributes.text("aether.verdict", verdict);
            attributes.number("aether.cost_micro_usd", *cost_micro_usd);
        }
        attributes.words("aether.label", &task.label);
        attributes.error(error);
        attributes.end();
        self.events(task);
        self.status(error);
        self.json.close('}');
    }

    fn ask(&mut self, task: &Task, row: &Row, ask: &Ask) {
        let name = if ask.model.is_empty() { "chat".to_owned() } else { format!("chat {}", ask.model) };
        let span = Span { task, wish: ask.id, name, kind: CLIENT, begin_ms: row.begin_ms, end_ms: row.end_ms };
        let error = ask.failure.as_ref().map(|failure| failure.kind.as_str());
        self.begin(&span);
        let mut attributes = Attributes::begin(self.json);
        attributes.text("gen_ai.operation.name", "chat");
        attributes.model(ask);
        attributes.number("aether.attempt", ask.attempt);
        attributes.number("aether.question_bytes", ask.bytes);
        if let Some(answer) = &ask.answer {
            attributes.tokens(&answer.usage);
            attributes.words("gen_ai.response.finish_reasons", &answer.finish_reasons);
            attributes.number("aether.tool_calls", answer.calls);
        } else {
            attributes.words("gen_ai.response.finish_reasons", &["error".to_owned()]);
        }
        attributes.error(error);
        attributes.end();
        if let Some(failure) = &ask.failure {
            self.json.key("events");
            self.json.open('[');
            let mut event = self.event("aether.failed", row.end_ms.unwrap_or(row.begin_ms));
            event.text("error.type", &failure.kind);
            event.text("aether.next", &failure.next);
            if failure.next == "retry" {
                event.number("aether.after_ms", failure.after_ms);
            }
            event.end();
            self.json.close('}');
            self.json.close(']');
        }
        self.status(error);
        self.json.close('}');
    }

    fn run(&mut self, task: &Task, row: &Row, run: &Run) {
        let name = format!("execute_tool {}", run.tool);
        let span = Span { task, wish: run.id, name, kind: INTERNAL, begin_ms: row.begin_ms, end_ms: row.end_ms };
        let error = (run.outcome == "failed").then_some("_OTHER");
        self.begin(&span);
        let mut attributes = Attributes::begin(self.json);
        attributes.text("gen_ai.operation.name", "execute_tool");
        attributes.text("gen_ai.tool.name", &run.tool);
        attributes.text("gen_ai.tool.type", "function");
        attributes.text("aether.tool_runtime", &run.runtime);
        attributes.words("aether.acts", &run.acts);
        attributes.text("aether.digest", &run.digest);
        if !run.outcome.is_empty() {
            attributes.number("aether.output_bytes", run.bytes);
            attributes.words("aether.label", &run.label);
        }
        attributes.error(error);
        attributes.end();
        self.status(error);
        self.json.close('}');
    }

    /// Opens a span: everything before its attributes.
    fn begin(&mut self, span: &Span<'_>) {
        let end_ms = span.end_ms.unwrap_or(self.trace.end_ms).max(span.begin_ms);
        let task = &span.task.name;
        let parent = match (span.wish, span.task.parent) {
            (0, None) => None,
            (0, Some(parent)) => Some(span_id(self.id, &self.trace.tasks[parent].name, 0)),
            _ => Some(span_id(self.id, task, 0)),
        };
        self.json.open('{');
        self.json.text("traceId", &self.id.to_string());
        self.json.text("spanId", &span_id(self.id, task, span.wish));
        if let Some(parent) = parent {
            self.json.text("parentSpanId", &parent);
        }
        self.json.text("name", &span.name);
        self.json.count("kind", span.kind);
        self.json.text("startTimeUnixNano", &nanos(span.begin_ms));
        self.json.text("endTimeUnixNano", &nanos(end_ms));
    }

    fn status(&mut self, error: Option<&str>) {
        if let Some(error) = error {
            self.json.key("status");
            self.json.open('{');
            self.json.count("code", STATUS_ERROR);
            if error != "_OTHER" {
                self.json.text("message", error);
            }
            self.json.close('}');
        }
    }

    /// What happened to the task as a whole, and to calls that never ran.
    fn events(&mut self, task: &Task) {
        self.json.key("events");
        self.json.open('[');
        for row in &task.rows {
            self.moment(row);
        }
        self.json.close(']');
    }

    fn moment(&mut self, row: &Row) {
        let at_ms = row.begin_ms;
        match &row.what {
            What::Approval(approval) => {
                let mut event = self.event("aether.approval", at_ms);
                event.text("gen_ai.tool.name", &approval.tool);
                event.text("aether.rule", &approval.rule);
                event.text("aether.act", &approval.act);
                event.words("aether.label", &approval.label);
                event.text("aether.decision", &decision(&approval.result));
                event.end();
            }
            What::Refused { tool, why } => {
                let mut event = self.event("aether.refused", at_ms);
                event.text("gen_ai.tool.name", tool);
                event.text("aether.why", why);
                event.end();
            }
            What::Labelled { label } => {
                let mut event = self.event("aether.labelled", at_ms);
                event.words("aether.label", label);
                event.end();
            }
            What::Tripped { governor } => {
                let mut event = self.event("aether.tripped", at_ms);
                event.text("aether.governor", governor);
                event.end();
            }
            What::Folded { how, entries, bytes_before, bytes_after } => {
                let mut event = self.event("aether.folded", at_ms);
                event.text("aether.how", how);
                event.number("aether.entries", *entries);
                event.number("aether.bytes_before", *bytes_before);
                event.number("aether.bytes_after", *bytes_after);
                event.end();
            }
            What::Steered => self.event("aether.steered", at_ms).end(),
            What::Ask(_) | What::Run(_) | What::Child { .. } => return,
        }
        self.json.close('}');
    }

    /// Opens an event of a span; the caller ends its attributes and closes it.
    fn event(&mut self, name: &str, at_ms: i64) -> Attributes<'_> {
        self.json.open('{');
        self.json.text("timeUnixNano", &nanos(at_ms));
        self.json.text("name", name);
        Attributes::begin(self.json)
    }
}

impl Row {
    fn ask(&self) -> Option<&Ask> {
        match &self.what {
            What::Ask(ask) => Some(ask),
            _ => None,
        }
    }
}

/// An array of `KeyValue` under the name `attributes`.
struct Attributes<'a> {
    json: &'a mut Json,
}

impl Attributes<'_> {
    fn begin(json: &mut Json) -> Attributes<'_> {
        json.key("attributes");
        json.open('[');
        Attributes { json }
    }

    fn end(self) {
        self.json.close(']');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.open(key);
        self.json.text("stringValue", text);
        self.close();
    }

    /// 64-bit integers are strings of decimal digits (ProtoJSON).
    fn number(&mut self, key: &str, number: u64) {
        self.open(key);
        self.json.text("intValue", &number.min(i64::MAX as u64).to_string());
        self.close();
    }

    fn words(&mut self, key: &str, words: &[String]) {
        self.open(key);
        self.json.key("arrayValue");
        self.json.open('{');
        self.json.key("values");
        self.json.open('[');
        for word in words {
            self.json.open('{');
            self.json.text("stringValue", word);
            self.json.close('}');
        }
        self.json.close(']');
        self.json.close('}');
        self.close();
    }

    fn model(&mut self, ask: &Ask) {
        if !ask.provider.is_empty() {
            self.text("gen_ai.provider.name", &ask.provider);
        }
        if !ask.model.is_empty() {
            self.text("gen_ai.request.model", &ask.model);
        }
    }

    fn tokens(&mut self, usage: &Tokens) {
        self.number("gen_ai.usage.input_tokens", usage.input);
        self.number("gen_ai.usage.output_tokens", usage.output);
        self.number("gen_ai.usage.cache_read.input_tokens", usage.cached);
        self.number("gen_ai.usage.cache_write.input_tokens", usage.cache_write);
        self.number("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
    }

    fn error(&mut self, error: Option<&str>) {
        if let Some(error) = error {
            self.text("error.type", error);
        }
    }

    fn open(&mut self, key: &str) {
        self.json.open('{');
        self.json.text("key", key);
        self.json.key("value");
        self.json.open('{');
    }

    fn close(&mut self) {
        self.json.close('}');
        self.json.close('}');
    }
}

/// Whether a task that ended so gave the answer that its model meant to give.
fn is_answer(verdict: &str) -> bool {
    matches!(verdict, "done" | "length" | "refused")
}

/// Eight bytes in hexadecimal digits that no other wish of any task is likely to have; never all zeros.
fn span_id(trace: TraceId, task: &str, wish: u64) -> String {
    let digest = Sha256::of(format!("{trace}/{task}/{wish}").as_bytes());
    let id = digest.0.iter().take(8).fold(0u64, |id, byte| id << 8 | u64::from(*byte));
    format!("{:016x}", id.max(1))
}

/// Nanoseconds since 1970, in decimal digits; 0 before, and the largest number that fits after.
fn nanos(unix_ms: i64) -> String {
    u64::try_from(unix_ms).unwrap_or(0).saturating_mul(1_000_000).to_string()
}
