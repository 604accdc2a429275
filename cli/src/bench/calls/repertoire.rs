//! The calls that are made: good ones, ones that break their limits, ones that leave something behind if they can.

use aether_core::tool::Limits;
use aether_executor::Call;
use aether_programs::Programs;

use crate::bench::weather::Random;
use crate::trouble::Trouble;

/// One call in so many is given up while it runs.
const GIVEN_UP_ONE_IN: u64 = 5;
/// When, at the latest, in milliseconds.
const GIVEN_UP_MS_MAX: u64 = 60;

/// What most calls may use.
const LIMITS: Limits = Limits {
    runtime_ms_max: 10_000,
    cpu_ms_max: 10_000,
    memory_bytes_max: 64 << 20,
    processes_max: 32,
    output_bytes_max: 8 << 10,
};

/// Tool, input, and how often it is made beside the others.
const CALLS: &[(&str, &str, u64)] = &[
    ("shell", r#"{"command":"echo hello"}"#, 12),
    ("shell", r#"{"command":"exit 3"}"#, 2),
    ("shell", r#"{"command":"kill -9 $$"}"#, 1),
    ("shell", r#"{"command":"sleep 0.02; echo late >&2"}"#, 6),
    // What is started and left alone, in the same session and in one of its own, and by a parent that is gone.
    ("shell", r#"{"command":"sleep 60 & echo started"}"#, 3),
    ("shell", r#"{"command":"setsid sleep 60 </dev/null >/dev/null 2>&1 & echo started"}"#, 3),
    ("shell", r#"{"command":"( (trap '' TERM HUP; sleep 60) & ) & exit 0"}"#, 3),
    ("shell", r#"{"command":"for n in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait","seconds":1}"#, 1),
    // Files, in its own places and in the workspace.
    (
        "shell",
        r#"{"command":"head -c 3000000 /dev/zero >/tmp/x; head -c 1000000 /dev/zero >/dev/shm/y; mkfifo /tmp/z"}"#,
        3,
    ),
    ("shell", r#"{"command":"echo changed >made.txt; cat notes.txt"}"#, 3),
    ("shell", r#"{"command":"yes | head -c 400000; yes no | head -c 400000 >&2"}"#, 2),
    ("run_program", r#"{"program":"cat","stdin":"some input"}"#, 4),
    ("run_program", r#"{"program":"no-such-program"}"#, 1),
    ("shell", r#"{"command":"true","folder":"no-such-folder"}"#, 1),
    // A jail with a network, and the broker beside it.
    (
        "shell",
        r#"{"command":"exec 2>/dev/null; getent hosts a.example","hosts":["a.example:443","b.example:8080"]}"#,
        3,
    ),
    ("shell", r#"{"command":"sleep 60","hosts":["a.example"],"seconds":1}"#, 1),
    // Shells that live on, with jobs.
    ("shell", r#"{"command":"cd /tmp; x=1; pwd","session":"one"}"#, 3),
    ("shell", r#"{"command":"sleep 60","session":"one","background":true}"#, 2),
    ("shell", r#"{"session":"one"}"#, 1),
    ("shell", r#"{"session":"one","kill":1}"#, 1),
    ("shell", r#"{"command":"sleep 0.05; echo two","session":"two"}"#, 2),
    ("shell", r#"{"command":"exit","session":"two"}"#, 1),
];

/// Calls that break a limit, with the limit.
const BREACHES: &[(&str, Limits)] = &[
    (r#"{"command":"sleep 60"}"#, Limits { runtime_ms_max: 60, ..LIMITS }),
    (r#"{"command":"trap '' TERM INT; sleep 60 & wait"}"#, Limits { runtime_ms_max: 60, ..LIMITS }),
    (r#"{"command":"while :; do :; done"}"#, Limits { cpu_ms_max: 60, ..LIMITS }),
    (r#"{"command":"head -c 90000000 /dev/zero | tail"}"#, Limits { memory_bytes_max: 24 << 20, ..LIMITS }),
    (r#"{"command":"f() { f | f & }; f; sleep 60"}"#, Limits { runtime_ms_max: 150, processes_max: 16, ..LIMITS }),
];
/// One call in so many is one of them.
const BREACH_ONE_IN: u64 = 16;

/// A call, and how long somebody waits for it; `None` for as long as it takes.
pub(super) struct Wanted {
    pub(super) call: Call,
    pub(super) patience_ms: Option<u64>,
}

impl Wanted {
    /// A call that does what it should.
    pub(super) fn plain(programs: &Programs) -> Result<Wanted, Trouble> {
        let (tool, input, _) = CALLS[0];
        Ok(Wanted { call: call(programs, (tool, input), LIMITS)?, patience_ms: None })
    }
}

/// Any of them.
pub(super) fn wanted(random: &mut Random, programs: &Programs) -> Result<Wanted, Trouble> {
    let patience_ms = (random.below(GIVEN_UP_ONE_IN) == 0).then(|| random.below(GIVEN_UP_MS_MAX));
    if random.below(BREACH_ONE_IN) == 0 {
        let at = usize::try_from(random.below(BREACHES.len() as u64)).unwrap_or(0);
        let (input, limits) = BREACHES[at];
        return Ok(Wanted { call: call(programs, ("shell", input), limits)?, patience_ms });
    }
    let mut drawn = random.below(CALLS.iter().map(|(_, _, weight)| weight).sum());
    let mut chosen = CALLS[0];
    for one in CALLS {
        if drawn < one.2 {
            chosen = *one;
            break;
        }
        drawn -= one.2;
    }
    Ok(Wanted { call: call(programs, (chosen.0, chosen.1), LIMITS)?, patience_ms })
}

fn call(programs: &Programs, (tool, input): (&str, &str), limits: Limits) -> Result<Call, Trouble> {
    let needs = programs.needs(tool, input).map_err(Trouble::failed)?;
    Ok(Call { tool: tool.into(), input: input.into(), capability: needs.capability, limits })
}
