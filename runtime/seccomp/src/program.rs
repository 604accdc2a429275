//! From a filter to classic BPF.

use crate::filter::{Action, Check, Filter, FilterError, Rule, Test, Width};

/// The most instructions a program may have: `BPF_MAXINSNS` of `linux/bpf_common.h`.
pub const INSTRUCTIONS_MAX: usize = 4096;

/// One instruction, laid out as `struct sock_filter` of `linux/filter.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip where a test holds.
    pub jump_true: u8,
    /// How many instructions to skip where it does not.
    pub jump_false: u8,
    /// The number it works with.
    pub constant: u32,
}

// `linux/bpf_common.h`: loads are `BPF_LD | BPF_W | BPF_ABS`, tests `BPF_JMP | … | BPF_K`.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
const IS_EQUAL: u16 = 0x15;
const IS_GREATER: u16 = 0x25;
const IS_AT_LEAST: u16 = 0x35;
const HAS_ANY: u16 = 0x45;

// Offsets in `struct seccomp_data` of `linux/seccomp.h`; an argument has eight bytes, the low half first.
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

/// The farthest that a test can jump.
const REACH_MAX: usize = u8::MAX as usize;

/// From `start` to the next segment's start, one verdict.
#[derive(Clone, Copy)]
struct Segment {
    start: u32,
    leaf: Leaf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Action(Action),
    Rule(u32),
}

/// Where a jump leads: an instruction that was written already, by its place from the end, or a verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    At(usize),
    Verdict(Action),
}

/// Writes a program from its end to its start, because every jump leads forward.
struct Writer<'a> {
    filter: &'a Filter,
    backwards: Vec<Instruction>,
    returns: Vec<(Action, usize)>,
}

/// The program of a filter.
pub(crate) fn write(filter: &Filter) -> Result<Vec<Instruction>, FilterError> {
    let mut writer = Writer { filter, backwards: Vec::new(), returns: Vec::new() };
    let tree = writer.tree(&segments(filter));
    writer.settle(tree);
    let tree = writer.push(LOAD, OFFSET_NUMBER);
    writer.branch(IS_EQUAL, filter.arch().audit(), tree, Target::Verdict(Action::KillProcess));
    writer.push(LOAD, OFFSET_ARCH);
    let mut program = writer.backwards;
    if program.len() > INSTRUCTIONS_MAX {
        return Err(FilterError::TooLong { instructions: program.len() });
    }
    program.reverse();
    Ok(program)
}

/// All numbers there are, cut where the verdict changes.
fn segments(filter: &Filter) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut add = |start, leaf| {
        if segments.last().is_none_or(|last| last.leaf != leaf) {
            segments.push(Segment { start, leaf });
        }
    };
    for number in 0..filter.numbers_end() {
        let leaf = match filter.rule(number) {
            Some(rule) if !rule.clauses.is_empty() => Leaf::Rule(number),
            Some(rule) => Leaf::Action(rule.otherwise),
            None => Leaf::Action(filter.default_action()),
        };
        add(number, leaf);
    }
    add(filter.numbers_end(), Leaf::Action(filter.default_action()));
    if let Some(foreign) = filter.arch().foreign_from() {
        add(foreign, Leaf::Action(Action::KillProcess));
    }
    segments
}

impl Writer<'_> {
    fn tree(&mut self, segments: &[Segment]) -> Target {
        let (left, right) = segments.split_at(segments.len() / 2);
        let Some(first) = right.first() else { return Target::Verdict(self.filter.default_action()) };
        if left.is_empty() {
            return match first.leaf {
                Leaf::Action(action) => Target::Verdict(action),
                Leaf::Rule(number) => self.rule(number),
            };
        }
        let high = self.tree(right);
        let low = self.tree(left);
        self.branch(IS_AT_LEAST, first.start, high, low)
    }

    fn rule(&mut self, number: u32) -> Target {
        let filter = self.filter;
        let Some(Rule { clauses, otherwise }) = filter.rule(number) else {
            return Target::Verdict(filter.default_action());
        };
        clauses.iter().rev().fold(Target::Verdict(*otherwise), |next, clause| {
            clause.checks.iter().rev().fold(Target::Verdict(clause.action), |yes, check| self.check(check, yes, next))
        })
    }

    fn check(&mut self, check: &Check, yes: Target, no: Target) -> Target {
        match &check.test {
            Test::Equal(value) => self.masked(check, (u64::MAX, *value), yes, no),
            Test::MaskedEqual { mask, value } => self.masked(check, (*mask, *value), yes, no),
            Test::AnyOf(mask) => {
                let low = self.any(check, Half::Low, *mask, (yes, no));
                self.any(check, Half::High, *mask, (yes, low))
            }
            Test::NotIn(values) => {
                values.iter().rev().fold(yes, |rest, value| self.masked(check, (u64::MAX, *value), no, rest))
            }
            Test::LessThan(limit) => self.less(check, *limit, yes, no),
        }
    }

    fn masked(&mut self, check: &Check, (mask, value): (u64, u64), yes: Target, no: Target) -> Target {
        let low = self.masked_half(check, Half::Low, (mask, value), (yes, no));
        self.masked_half(check, Half::High, (mask, value), (low, no))
    }

    fn masked_half(&mut self, check: &Check, half: Half, both: (u64, u64), ways: (Target, Target)) -> Target {
        let (mask, value) = (half.of(both.0), half.of(both.1));
        let (yes, no) = ways;
        // Of an argument that is read by half the high half counts as zero, and a masked zero is zero.
        if mask == 0 || half.is_zero(check) {
            return if value == 0 { yes } else { no };
        }
        if yes == no {
            return yes;
        }
        self.branch(IS_EQUAL, value, yes, no);
        if mask != u32::MAX {
            self.push(AND, mask);
        }
        self.load(check, half)
    }

    fn any(&mut self, check: &Check, half: Half, mask: u64, (yes, no): (Target, Target)) -> Target {
        let mask = half.of(mask);
        if mask == 0 || half.is_zero(check) {
            return no;
        }
        if yes == no {
            return yes;
        }
        self.branch(HAS_ANY, mask, yes, no);
        self.load(check, half)
    }

    fn less(&mut self, check: &Check, limit: u64, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        let (low, high) = (Half::Low.of(limit), Half::High.of(limit));
        let by_low = if low == 0 {
            no
        } else {
            self.branch(IS_AT_LEAST, low, no, yes);
            self.load(check, Half::Low)
        };
        if Half::High.is_zero(check) {
            return if high == 0 { by_low } else { yes };
        }
        let not_greater = self.branch(IS_EQUAL, high, by_low, yes);
        self.branch(IS_GREATER, high, no, not_greater);
        self.load(check, Half::High)
    }

    fn load(&mut self, check: &Check, half: Half) -> Target {
        let start = OFFSET_ARGUMENTS + 8 * u32::from(check.argument);
        self.push(LOAD, if half == Half::Low { start } else { start + 4 })
    }

    /// A test, right before what was written last. Where both ways are one there is nothing to test.
    fn branch(&mut self, code: u16, constant: u32, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        // The other way may need one instruction more in between.
        let no = self.near(no, 1);
        let yes = self.near(yes, 0);
        let here = self.backwards.len();
        let [jump_true, jump_false] = [yes, no].map(|place| (here - 1 - place) as u8);
        self.backwards.push(Instruction { code, jump_true, jump_false, constant });
        Target::At(here)
    }

    /// A place that a test can reach, if at most `room` instructions come in between.
    fn near(&mut self, target: Target, room: usize) -> usize {
        let here = self.backwards.len();
        let is_near = |place: usize| here + room - 1 - place <= REACH_MAX;
        match target {
            Target::At(place) if is_near(place) => return place,
            Target::At(place) => {
                self.push(JUMP, (here - 1 - place) as u32);
            }
            Target::Verdict(action) => {
                let known = self.returns.iter().rev().find(|(known, place)| *known == action && is_near(*place));
                if let Some((_, place)) = known {
                    return *place;
                }
                self.push(RETURN, action.code());
                self.returns.push((action, here));
            }
        }
        here
    }

    /// Makes sure that what was written last leads to the target.
    fn settle(&mut self, target: Target) {
        let here = self.backwards.len();
        match target {
            Target::At(place) if place + 1 == here => {}
            Target::At(place) => {
                self.push(JUMP, (here - 1 - place) as u32);
            }
            Target::Verdict(action) => {
                self.push(RETURN, action.code());
                self.returns.push((action, here));
            }
        }
    }

    fn push(&mut self, code: u16, constant: u32) -> Target {
        self.backwards.push(Instruction { code, jump_true: 0, jump_false: 0, constant });
        Target::At(self.backwards.len() - 1)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Low,
    High,
}

impl Half {
    fn of(self, value: u64) -> u32 {
        match self {
            Half::Low => value as u32,
            Half::High => (value >> 32) as u32,
        }
    }

    /// Whether this half counts as zero whatever the caller put there.
    fn is_zero(self, check: &Check) -> bool {
        self == Half::High && check.width == Width::Half
    }
}
