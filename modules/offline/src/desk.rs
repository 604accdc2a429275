//! One turn at the desk: what the conversation asks for, what is known so far, and what to do next.

use aether_core::model::{Part, Question, ToolUse};
use aether_core::transcript::{Entry, ToolOutcome};

use crate::CODEC;
use crate::carry::{self, carry, quoted};
use crate::goal::{self, Goal};
use crate::report::Report;
use crate::subject::{Reply, Subject, Wish};
use crate::words;

/// What is kept from turn to turn.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    /// The goal in the person's words.
    goal: String,
    subjects: Vec<Subject>,
    /// Messages on the way that were not understood.
    missed: Vec<String>,
}
carry!(State { goal, subjects, missed });

/// What a turn comes to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Call these tools and carry this on.
    Call { wishes: Vec<Wish>, carried: String, progress: String },
    /// Answer.
    Say(Report),
}

/// Messages on the way that are kept.
const MISSED_MAX: usize = 3;
/// Lines of a tool's output that are passed on as they are.
const QUOTED_LINES_MAX: usize = 30;
const QUOTED_CHARS_MAX: usize = 240;

/// Works out the next turn.
pub(crate) fn turn(question: &Question<'_>) -> Turn {
    let (mut state, replies) = resume(question.entries);
    let goal = goal::read(&state.goal);
    match &goal {
        Goal::Hello => return Turn::Say(hello()),
        Goal::Unknown => return Turn::Say(unknown()),
        Goal::Report(paths) => {
            if state.subjects.is_empty() {
                state.subjects = paths.iter().map(|path| Subject::new(path)).collect();
            } else if let Some(subject) = state.subjects.iter_mut().find(|subject| !subject.is_over()) {
                subject.take(replies.as_deref().unwrap_or(&[]));
            }
        }
        Goal::Time(_) | Goal::Calculate(_) | Goal::Search { .. } | Goal::Find(_) => {
            if let Some(replies) = &replies {
                return Turn::Say(passed_on(&goal, replies, &state));
            }
        }
    }
    let wishes = wishes(&goal, &state);
    match refusal(question, &wishes) {
        _ if wishes.is_empty() => Turn::Say(told(&state)),
        None => {
            let current = state.subjects.iter().find(|subject| !subject.is_over());
            let progress = current.map_or_else(|| format!("asking the tool {}", wishes[0].tool), Subject::progress);
            Turn::Call { carried: carry::write(&state), wishes, progress }
        }
        Some(why) => {
            if state.subjects.is_empty() {
                let mut report = Report::default();
                report.say(format!("This needs the tool `{}`, and {why}.", wishes[0].tool));
                return Turn::Say(report);
            }
            state.subjects.iter_mut().for_each(|subject| subject.stop(&why));
            Turn::Say(told(&state))
        }
    }
}

/// What is known of the task in hand, and the replies to the last calls, if calls were made.
fn resume(entries: &[Entry]) -> (State, Option<Vec<Reply<'_>>>) {
    let last_turn = entries.iter().rposition(|entry| matches!(entry, Entry::Model { .. }));
    if let Some(at) = last_turn
        && let Entry::Model { parts, codec } = &entries[at]
        && *codec == CODEC
        && parts.iter().any(|part| matches!(part, Part::Call(_)))
        && let Some(mut state) = parts.iter().find_map(carried)
    {
        let mut is_new = false;
        for text in entries[at..].iter().filter_map(person) {
            if goal::read(text) != Goal::Unknown {
                state = State { goal: text.to_owned(), ..State::default() };
                is_new = true;
            } else if state.missed.len() < MISSED_MAX {
                state.missed.push(words::clip(text, 120));
            }
        }
        return (state, (!is_new).then(|| replies(parts, &entries[at + 1..])));
    }
    let goal = entries.iter().rev().find_map(person).unwrap_or("");
    (State { goal: goal.to_owned(), ..State::default() }, None)
}

fn carried(part: &Part) -> Option<State> {
    match part {
        Part::Carried(text) => carry::read(text),
        _ => None,
    }
}

fn person(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Person { text, .. } => Some(text),
        _ => None,
    }
}

/// The replies to the calls of a turn, in the order of the calls, up to the first that is missing.
fn replies<'a>(parts: &[Part], after: &'a [Entry]) -> Vec<Reply<'a>> {
    let calls = parts.iter().filter_map(|part| if let Part::Call(call) = part { Some(&call.id) } else { None });
    let reply = |id: &str| {
        after.iter().find_map(|entry| match entry {
            Entry::Tool(tool) if &*tool.call == id && tool.outcome == ToolOutcome::Done => {
                Some(Reply::Done(tool.shown()))
            }
            Entry::Tool(tool) if &*tool.call == id => Some(Reply::Failed(tool.shown())),
            _ => None,
        })
    };
    calls.map_while(|id| reply(id)).collect()
}

fn wishes(goal: &Goal, state: &State) -> Vec<Wish> {
    let one = |tool, input| vec![Wish { tool, input }];
    match goal {
        Goal::Time(zones) if zones.is_empty() => one("time", "{}".to_owned()),
        Goal::Time(zones) => {
            zones.iter().map(|zone| Wish { tool: "time", input: format!(r#"{{"zone":{}}}"#, quoted(zone)) }).collect()
        }
        Goal::Calculate(expression) => one("calculate", format!(r#"{{"expression":{}}}"#, quoted(expression))),
        Goal::Search { text, path } => {
            let input =
                format!(r#"{{"pattern":{},"path":{},"literal":true,"ignore_case":true}}"#, quoted(text), quoted(path));
            one("search_text", input)
        }
        Goal::Find(pattern) => one("find_files", format!(r#"{{"pattern":{}}}"#, quoted(pattern))),
        Goal::Report(_) => {
            state.subjects.iter().find(|subject| !subject.is_over()).map_or_else(Vec::new, Subject::wishes)
        }
        Goal::Hello | Goal::Unknown => Vec::new(),
    }
}

/// Why the calls cannot be made, if they cannot.
fn refusal(question: &Question<'_>, wishes: &[Wish]) -> Option<String> {
    if question.tool_use == ToolUse::Forbidden {
        let note = question.entries.iter().rev().find_map(|entry| match entry {
            Entry::Note { text, .. } => Some(words::clip(text.trim_matches(['[', ']']), 160)),
            _ => None,
        });
        return Some(match note {
            Some(note) => format!("no further tool call is allowed ({note})"),
            None => "no tool call is allowed".to_owned(),
        });
    }
    let missing = wishes.iter().find(|wish| !question.tools.iter().any(|tool| &*tool.name == wish.tool))?;
    Some(format!("the tool `{}` is not among those that may be used", missing.tool))
}

/// The results of tools that answer by themselves.
fn passed_on(goal: &Goal, replies: &[Reply<'_>], state: &State) -> Report {
    let mut report = Report::default();
    let head = match goal {
        Goal::Search { text, path } if path == "." => format!("Lines with {}, in any case:", words::code(text, 80)),
        Goal::Search { text, path } => {
            format!("Lines with {} in {}, in any case:", words::code(text, 80), words::code(path, 80))
        }
        Goal::Find(pattern) => format!("Files that match {}:", words::code(pattern, 80)),
        _ => String::new(),
    };
    if !head.is_empty() {
        report.say(head);
    }
    for reply in replies {
        match reply {
            Reply::Done(output) => pass_on(output, &mut report),
            Reply::Failed(why) => {
                report.say(format!("That did not work: {}.", words::clip(why, 300).trim_end_matches('.')))
            }
        }
    }
    if replies.is_empty() {
        report.say("The tool brought no result.");
    }
    close(state, &mut report);
    report
}

fn pass_on(output: &str, report: &mut Report) {
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    if let Some(first) = lines.first() {
        report.say(words::clip(first, QUOTED_CHARS_MAX));
    }
    for line in lines.iter().skip(1).take(QUOTED_LINES_MAX) {
        report.item(words::clip(line, QUOTED_CHARS_MAX));
    }
    if lines.len() > QUOTED_LINES_MAX + 1 {
        report.item(format!("{} more lines", words::count((lines.len() - QUOTED_LINES_MAX - 1) as u64)));
    }
}

fn told(state: &State) -> Report {
    let mut report = Report::default();
    for subject in &state.subjects {
        subject.write(&mut report);
    }
    close(state, &mut report);
    report
}

fn close(state: &State, report: &mut Report) {
    for text in &state.missed {
        report.say(format!("The message “{text}” was not understood."));
    }
    report.say("(`builtin/offline`: a rule-based model without network. It counts and compares; it does not understand language.)");
}

fn hello() -> Report {
    let mut report = Report::default();
    report.say("Hello. This is `builtin/offline`, a small rule-based model without network and without understanding of language.");
    report.section("What it can do");
    report.item("tell the facts of a file: `summarise server.log`, a table, a JSON file, a text, source code");
    report.item("tell the facts of a folder: `what is in this folder?`");
    report.item("search: `search for \"connection refused\" in logs`, `find *.csv`");
    report.item("calculate and tell the time: `what is 17% of 2,340?`, `what time is it in Oslo?`");
    report.say("For everything else connect a real model: `aether onboard`.");
    report
}

fn unknown() -> Report {
    let mut report = Report::default();
    report.say(
        "This is `builtin/offline`, a rule-based model without network: it has no understanding of language and cannot do this. \
         It can tell the facts of a file or folder you name, search for a text, calculate, and tell the time; `aether onboard` \
         connects a model that understands.",
    );
    report
}
