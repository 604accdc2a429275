//! The rows of a trace in words, and numbers as a person reads them.

use crate::trace::{Approval, Ask, Decision, Run, Task, Tokens, What};
use crate::tree::Thing;

/// A row in words.
pub(crate) struct Phrase {
    pub(crate) title: String,
    /// What came of it; may be empty.
    pub(crate) note: String,
    pub(crate) tone: Tone,
}

/// What kind of row it is, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Task,
    Ask,
    Tool,
    Person,
    Quiet,
    Warn,
    Bad,
}

/// `thing` in words.
pub(crate) fn phrase(thing: &Thing<'_>) -> Phrase {
    match thing {
        Thing::Task(task) => of_task(task),
        Thing::Row(row) => of_row(&row.what),
    }
}

fn of_task(task: &Task) -> Phrase {
    let title = format!("task {}", task.name);
    let Some(end) = &task.end else {
        return Phrase { title, note: "no end in the trace".to_owned(), tone: Tone::Warn };
    };
    let note = format!("verdict {}, {}, {}", spaced(&end.verdict), tokens(end.usage), money(end.cost_micro_usd));
    let tone = if matches!(end.verdict.as_str(), "done" | "length") { Tone::Task } else { Tone::Bad };
    Phrase { title, note, tone }
}

fn of_row(what: &What) -> Phrase {
    let (title, note, tone) = match what {
        What::Ask(ask) => return of_ask(ask),
        What::Run(run) => return of_run(run),
        What::Approval(approval) => return of_approval(approval),
        What::Child { outcome, .. } => ("child task".to_owned(), or(outcome, "never began"), Tone::Warn),
        What::Refused { tool, why } => (format!("refused {tool}"), spaced(why), Tone::Warn),
        What::Labelled { label } => ("label".to_owned(), label.join(" + "), label_tone(label)),
        What::Tripped { governor } => ("governor".to_owned(), format!("{}: closing", spaced(governor)), Tone::Warn),
        What::Folded { how, entries, bytes_before, bytes_after } => {
            let note = format!(
                "{} into {}, {} to {}",
                count(*entries, "entry", "entries"),
                how,
                bytes(*bytes_before),
                bytes(*bytes_after)
            );
            ("folded".to_owned(), note, Tone::Quiet)
        }
        What::Steered => ("message from the person".to_owned(), String::new(), Tone::Person),
    };
    Phrase { title, note, tone }
}

fn of_ask(ask: &Ask) -> Phrase {
    let mut title = match (ask.provider.as_str(), ask.model.as_str()) {
        (_, "") => format!("ask model {}", ask.model_index),
        ("", model) => format!("ask {model}"),
        (provider, model) => format!("ask {provider}/{model}"),
    };
    if ask.attempt > 0 {
        title.push_str(&format!(", attempt {}", ask.attempt.saturating_add(1)));
    }
    let mut notes = Vec::new();
    if let Some(answer) = &ask.answer {
        notes.push(tokens(answer.usage));
        if answer.calls > 0 {
            notes.push(count(answer.calls, "call", "calls"));
        }
        notes.extend(
            answer.finish_reasons.iter().filter(|why| *why != "stop" && *why != "tool_call").map(|w| spaced(w)),
        );
    }
    if ask.tool_use == "forbidden" {
        notes.push("no tools".to_owned());
    }
    let mut tone = Tone::Ask;
    if let Some(failure) = &ask.failure {
        notes.push(format!("{}, {}", spaced(&failure.kind), next(&failure.next, failure.after_ms)));
        tone = if failure.next == "give_up" { Tone::Bad } else { Tone::Warn };
    } else if ask.answer.is_none() {
        notes.push(format!("{} asked, no answer", bytes(ask.bytes)));
        tone = Tone::Warn;
    }
    Phrase { title, note: notes.join(", "), tone }
}

fn next(next: &str, after_ms: u64) -> String {
    match next {
        "retry" => format!("again in {}", duration(i64::try_from(after_ms).unwrap_or(i64::MAX))),
        "fallback" => "the next model is asked".to_owned(),
        "fold" => "asked again with less".to_owned(),
        "give_up" => "given up".to_owned(),
        other => spaced(other),
    }
}

fn of_run(run: &Run) -> Phrase {
    let mut notes = vec![run.acts.join(" + ")];
    if run.runtime != "builtin" {
        notes.push(run.runtime.clone());
    }
    if run.outcome.is_empty() {
        notes.push("no result".to_owned());
    } else {
        notes.push(run.outcome.clone());
        notes.push(bytes(run.bytes));
        notes.push(run.label.join(" + "));
    }
    notes.retain(|note| !note.is_empty());
    let tone = match run.outcome.as_str() {
        "done" => Tone::Tool,
        "failed" => Tone::Bad,
        _ => Tone::Warn,
    };
    Phrase { title: run.tool.clone(), note: notes.join(", "), tone }
}

fn of_approval(approval: &Approval) -> Phrase {
    let title = format!("approval of {}", approval.tool);
    let why = if approval.rule == "sink" {
        format!("{} stopped by label {}", approval.act, approval.label.join(" + "))
    } else {
        format!("policy asks before {}", approval.act)
    };
    let tone = if matches!(approval.result, Decision::Refused(_)) { Tone::Warn } else { Tone::Person };
    Phrase { title, note: format!("{why}; {}", decision(&approval.result)), tone }
}

/// What came of a question to the person.
pub(crate) fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Open => "no answer".to_owned(),
        Decision::Approved(scope) if scope == "task" => "approved for the task".to_owned(),
        Decision::Approved(_) => "approved once".to_owned(),
        Decision::Covered => "approved with another".to_owned(),
        Decision::Refused(why) => spaced(why),
    }
}

fn label_tone(label: &[String]) -> Tone {
    let has = |bit: &str| label.iter().any(|word| word == bit);
    if has("untrusted") && has("private") { Tone::Warn } else { Tone::Quiet }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

/// A name with blanks, as in `rate limited`.
pub(crate) fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// `1,204 tokens in (900 cached), 88 out (12 reasoning)`.
pub(crate) fn tokens(usage: Tokens) -> String {
    let part = |number: u64, name: &str| match number {
        0 => String::new(),
        _ => format!(" ({} {name})", grouped(number)),
    };
    format!(
        "{} tokens in{}, {} out{}",
        grouped(usage.input),
        part(usage.cached, "cached"),
        grouped(usage.output),
        part(usage.reasoning, "reasoning")
    )
}

/// `1 call`, `2 calls`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1,204`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `$0.0123`, from millionths of a dollar: six digits below a cent, four below a dollar, else two.
pub(crate) fn money(micro_usd: u64) -> String {
    let (dollars, rest) = (micro_usd / 1_000_000, micro_usd % 1_000_000);
    match micro_usd {
        0 => "$0".to_owned(),
        1..10_000 => format!("$0.{rest:06}"),
        10_000..1_000_000 => format!("$0.{:04}", rest / 100),
        _ => format!("${}.{:02}", grouped(dollars), rest / 10_000),
    }
}

/// `512 B`, `1.2 kB`, `3.4 MB`; thousands, rounded down.
pub(crate) fn bytes(number: u64) -> String {
    match number {
        0..1000 => format!("{number} B"),
        1000..1_000_000 => format!("{}.{} kB", number / 1000, number / 100 % 10),
        _ => format!("{}.{} MB", grouped(number / 1_000_000), number / 100_000 % 10),
    }
}

/// `850 ms`, `1.25 s`, `2 m 05 s`, `1 h 02 m`; rounded down.
pub(crate) fn duration(ms: i64) -> String {
    match ms {
        ..1000 => format!("{} ms", ms.max(0)),
        1000..60_000 => format!("{}.{:02} s", ms / 1000, ms / 10 % 100),
        60_000..3_600_000 => format!("{} m {:02} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {:02} m", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// Seconds since the trace began, `1.250`.
pub(crate) fn offset(ms: i64) -> String {
    let ms = ms.max(0);
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1000), grouped(u64::MAX)].join(" "),
            "0 999 1,000 18,446,744,073,709,551,615"
        );
        assert_eq!([money(0), money(42), money(12_345), money(1_234_567)].join(" "), "$0 $0.000042 $0.0123 $1.23");
        assert_eq!([bytes(999), bytes(1290), bytes(5_000_000)].join(" | "), "999 B | 1.2 kB | 5.0 MB");
        assert_eq!(
            [duration(-1), duration(999), duration(1259), duration(125_000), duration(3_725_000)].join(" | "),
            "0 ms | 999 ms | 1.25 s | 2 m 05 s | 1 h 02 m"
        );
        assert_eq!([offset(-5), offset(61_005)].join(" "), "0.000 61.005");
    }
}
