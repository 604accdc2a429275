//! Events to test with: one of every kind, a story of two tasks, and any at random.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::digest::Sha256;
use aether_core::event::{Event, Folding, Next, Scope};
use aether_core::gate::Reason;
use aether_core::governor::{Governor, Spending};
use aether_core::label::{Label, Origin};
use aether_core::model::{ModelErrorKind, Stop, ToolUse, Usage};
use aether_core::tool::{Act, Acts, Limits, Manifest, Runtime};
use aether_core::transcript::ToolOutcome;
use aether_core::words::{TaskId, WishId};
use aether_observe::{Names, Stamp, TraceId, line};

/// 2026-11-20T09:00:00.000Z.
const BEGIN_MS: i64 = 1_795_165_200_000;

const ROOT: TaskId = TaskId { slot: 0, generation: 0 };
const CHILD: TaskId = TaskId { slot: 1, generation: 3 };

pub(crate) fn trace() -> TraceId {
    TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap()
}

pub(crate) fn models() -> Vec<String> {
    ["anthropic/claude-sonnet-5-5", "groq/openai/gpt-oss-120b"].map(str::to_owned).to_vec()
}

pub(crate) fn stamp() -> Stamp {
    Stamp { unix_ms: BEGIN_MS, trace: trace(), task: CHILD, parent: Some(ROOT) }
}

pub(crate) fn tool(name: &str, acts: &[Act]) -> Arc<Manifest> {
    Arc::new(Manifest {
        name: name.into(),
        version: "1.0.0".into(),
        description: "PLANTED description".into(),
        input: "PLANTED schema".into(),
        runtime: Runtime::Builtin,
        acts: Acts::of(acts),
        capability: Capability::default(),
        limits: Limits::BUILTIN,
    })
}

pub(crate) fn allowed(run: u32, name: &str, acts: &[Act]) -> Event {
    Event::Allowed {
        run: WishId(run),
        tool: tool(name, acts),
        digest: Sha256::of(name.as_bytes()),
        acts: Acts::of(acts),
    }
}

pub(crate) fn wanted(approval: u32, name: &str, reason: Reason) -> Event {
    Event::Wanted { approval: WishId(approval), tool: tool(name, &[]), digest: Sha256::of(name.as_bytes()), reason }
}

fn asked(ask: u32, model: usize, attempt: u32, tool_use: ToolUse) -> Event {
    Event::Asked { ask: WishId(ask), model, attempt, entries: ask as usize, bytes: 5_120 * ask as usize, tool_use }
}

fn answered(ask: u32, usage: Usage, stop: Stop, calls: usize) -> Event {
    Event::Answered { ask: WishId(ask), usage, stop, calls }
}

fn failed(ask: u32, kind: ModelErrorKind, next: Next) -> Event {
    Event::Failed { ask: WishId(ask), kind, next }
}

fn returned(run: u32, outcome: ToolOutcome, bytes: usize, label: Label) -> Event {
    Event::Returned { run: WishId(run), outcome, bytes, label }
}

pub(crate) fn refused(tool: &str, why: &'static str) -> Event {
    Event::Refused { tool: tool.into(), why }
}

fn usage(input_tokens: u64, cached_tokens: u64, output_tokens: u64, reasoning_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, cached_tokens, cache_write_tokens: 0, reasoning_tokens }
}

fn spending(model_calls: u32, tool_calls: u32, usage: Usage, cost_micro_usd: u64) -> Spending {
    Spending { model_calls, tool_calls, usage, cost_pico_usd: cost_micro_usd * 1_000_000 + 999_999, output_bytes: 812 }
}

/// One event of every kind at least, and every kind of next step, verdict source and reason.
pub(crate) fn every() -> Vec<Event> {
    let label = Label::from(Origin::Web).join(Label::from(Origin::Person).private());
    let mut events = vec![
        Event::Spawned { depth: 1, label: Label::default() },
        asked(1, 0, 0, ToolUse::Allowed),
        asked(2, 7, 1, ToolUse::Forbidden),
        failed(1, ModelErrorKind::RateLimited, Next::Retry { after_ms: 500 }),
        failed(1, ModelErrorKind::Unavailable, Next::Fallback),
        failed(1, ModelErrorKind::ContextTooLong, Next::Fold),
        failed(1, ModelErrorKind::Unauthorized, Next::GiveUp),
        allowed(3, "write_file", &[Act::Write]),
        wanted(4, "write_file", Reason::Policy(Act::Write)),
        wanted(5, "http_fetch", Reason::Sink(Act::NetworkRead)),
        Event::Approved { approval: WishId(4), scope: Scope::Once },
        Event::Approved { approval: WishId(5), scope: Scope::Task },
        refused("bash", "unreadable"),
        refused("bash", Governor::ToolCalls.name()),
        returned(3, ToolOutcome::Done, 1290, label),
        returned(3, ToolOutcome::Failed, 0, Label::default()),
        Event::Delegated { run: WishId(6) },
        Event::Labelled { label },
        Event::Folded { how: Folding::References, entries: 12, bytes_before: 40_100, bytes_after: 2_000 },
        Event::Folded { how: Folding::Summary, entries: 1, bytes_before: 40_100, bytes_after: 900 },
        Event::Steered,
        Event::Ended { verdict: "done", spending: spending(3, 4, usage(10, 5, 3, 1), 42) },
        Event::Ended { verdict: Governor::Wall.name(), spending: Spending::default() },
    ];
    for stop in Stop::ALL {
        events.push(answered(1, usage(1204, 900, 88, 12), *stop, 2));
    }
    events.extend(Governor::ALL.iter().map(|governor| Event::Tripped { governor: *governor }));
    events
}

/// Lines of a task that reads, delegates, is stopped by its label, retries, folds and runs out of money.
pub(crate) fn lines() -> String {
    let models = models();
    let names = Names { models: &models };
    let mut text = String::new();
    for (after_ms, task, event) in told() {
        let parent = (task == CHILD).then_some(ROOT);
        let stamp = Stamp { unix_ms: BEGIN_MS + after_ms, trace: trace(), task, parent };
        text.push_str(&line(&stamp, &names, &event));
        text.push('\n');
    }
    text
}

fn told() -> Vec<(i64, TaskId, Event)> {
    let person = Label::from(Origin::Person);
    let private = Label::from(Origin::Tool).private();
    let web = Label::from(Origin::Web);
    let both = person.join(private).join(web);
    let mut told = vec![
        (0, ROOT, Event::Spawned { depth: 0, label: person }),
        (2, ROOT, asked(1, 0, 0, ToolUse::Allowed)),
        (402, ROOT, failed(1, ModelErrorKind::RateLimited, Next::Retry { after_ms: 500 })),
        (902, ROOT, asked(2, 0, 1, ToolUse::Allowed)),
        (2_150, ROOT, answered(2, usage(1204, 900, 88, 12), Stop::Calls, 4)),
        (2_151, ROOT, allowed(3, "read_file", &[Act::ReadPrivate])),
        (2_151, ROOT, wanted(4, "write_file", Reason::Policy(Act::Write))),
        (2_151, ROOT, Event::Delegated { run: WishId(5) }),
        (2_152, ROOT, refused("Bash; echo PLANTED", "unreadable")),
        (2_160, ROOT, returned(3, ToolOutcome::Done, 1290, private)),
    ];
    told.extend([
        (2_153, CHILD, Event::Spawned { depth: 1, label: person }),
        (2_154, CHILD, asked(1, 0, 0, ToolUse::Allowed)),
        (3_000, CHILD, answered(1, usage(800, 0, 40, 0), Stop::Calls, 1)),
        (3_001, CHILD, allowed(2, "http_fetch", &[Act::NetworkRead])),
        (4_400, CHILD, returned(2, ToolOutcome::Failed, 77, web)),
        (4_400, CHILD, Event::Labelled { label: person.join(web) }),
        (4_402, CHILD, asked(3, 0, 0, ToolUse::Allowed)),
        (5_000, CHILD, failed(3, ModelErrorKind::Unavailable, Next::Fallback)),
        (5_001, CHILD, asked(4, 1, 0, ToolUse::Allowed)),
        (5_950, CHILD, answered(4, usage(950, 0, 60, 0), Stop::Length, 0)),
        (5_951, CHILD, Event::Ended { verdict: "length", spending: spending(4, 1, usage(1750, 0, 100, 0), 900) }),
    ]);
    told.extend([
        (5_952, ROOT, returned(5, ToolOutcome::Done, 240, web)),
        (9_000, ROOT, Event::Approved { approval: WishId(4), scope: Scope::Once }),
        (9_000, ROOT, allowed(6, "write_file", &[Act::Write])),
        (9_004, ROOT, returned(6, ToolOutcome::Done, 20, private)),
        (9_004, ROOT, Event::Labelled { label: both }),
        (9_005, ROOT, Event::Steered),
        (9_005, ROOT, Event::Folded { how: Folding::References, entries: 6, bytes_before: 40_100, bytes_after: 2_000 }),
        (9_006, ROOT, asked(7, 0, 0, ToolUse::Allowed)),
        (10_500, ROOT, answered(7, usage(2_400, 1_200, 70, 0), Stop::Calls, 1)),
        (10_501, ROOT, wanted(8, "http_fetch", Reason::Sink(Act::NetworkRead))),
        (70_501, ROOT, refused("http_fetch", "unanswered")),
        (70_501, ROOT, Event::Tripped { governor: Governor::Cost }),
        (70_502, ROOT, asked(9, 0, 0, ToolUse::Forbidden)),
        (72_000, ROOT, answered(9, usage(2_500, 2_400, 210, 0), Stop::Done, 0)),
        (72_001, ROOT, Event::Ended { verdict: Governor::Cost.name(), spending: ended() }),
    ]);
    told
}

fn ended() -> Spending {
    spending(8, 6, usage(7_854, 4_500, 468, 12), 12_345)
}

/// A seeded source of numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Any text: of every plane, with a liking for what is dangerous.
    pub(crate) fn text(&mut self, letters_max: usize) -> String {
        const NASTY: &[char] = &['"', '\\', '\n', '\u{1b}', '\u{202e}', '<', '&', '\0', '/', '\u{2028}', '\u{10ffff}'];
        let letters = self.below(letters_max + 1);
        (0..letters)
            .map(|_| match self.below(3) {
                0 => NASTY[self.below(NASTY.len())],
                1 => char::from(b' ' + self.below(95) as u8),
                _ => char::from_u32(self.next() as u32 % 0x11_0000).unwrap_or('x'),
            })
            .collect()
    }

    /// Any event of `every`, with texts and numbers at random.
    pub(crate) fn event(&mut self) -> Event {
        let mut events = every();
        let event = events.swap_remove(self.below(events.len()));
        let huge = self.next();
        match event {
            Event::Refused { why, .. } => Event::Refused { tool: self.text(300).into(), why },
            Event::Allowed { run, digest, acts, .. } => {
                let mut tool = Arc::unwrap_or_clone(tool("x", &[]));
                (tool.name, tool.version) = (self.text(300).into(), self.text(300).into());
                Event::Allowed { run, tool: Arc::new(tool), digest, acts }
            }
            Event::Asked { ask, model, tool_use, .. } => Event::Asked {
                ask,
                model: model % 3,
                attempt: u32::MAX,
                entries: huge as usize,
                bytes: usize::MAX,
                tool_use,
            },
            Event::Answered { ask, stop, .. } => {
                Event::Answered { ask, usage: usage(huge, u64::MAX, huge, u64::MAX), stop, calls: usize::MAX }
            }
            Event::Ended { verdict, .. } => {
                let spending = Spending { usage: usage(huge, huge, u64::MAX, 1), cost_pico_usd: huge, ..ended() };
                Event::Ended { verdict, spending }
            }
            other => other,
        }
    }
}
