//! The rule table: which call, looked at how, is answered with what.

use std::fmt;

use crate::program::{self, INSTRUCTIONS_MAX, Instruction};
use crate::syscall::{Arch, syscall_name};

/// The greatest system call number a rule may be for; Linux 6.18 ends at 469.
pub const NUMBER_MAX: u32 = 1023;
/// How many arguments a system call has at most.
const ARGUMENTS_MAX: u8 = 6;
/// The most allowed calls that are named when a filter is written for people.
const ALLOWED_NAMED_MAX: usize = 100;

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Carries it out.
    Allow,
    /// Returns this error number, 1 to 4095, and does nothing.
    Errno(u16),
    /// Holds the caller and asks whoever has the listener. Where nobody has, the caller gets `ENOSYS`.
    Notify,
    /// Ends the whole process with `SIGSYS`.
    KillProcess,
}

impl Action {
    /// The value a program returns for it: `SECCOMP_RET_*` of `linux/seccomp.h`.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Action::Allow => 0x7FFF_0000,
            Action::Errno(number) => 0x0005_0000 | number as u32,
            Action::Notify => 0x7FC0_0000,
            Action::KillProcess => 0x8000_0000,
        }
    }
}

/// How much of an argument the kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// The low 32 bits: an `int`, an `unsigned int`, a mode. What a caller puts above is not looked at.
    Half,
    /// All 64 bits: a `long`, a size, a pointer.
    Full,
}

/// What is asked of an argument. Numbers are compared without sign.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// It is this.
    Equal(u64),
    /// Of the bits in `mask` exactly those of `value` are set.
    MaskedEqual {
        /// The bits that are looked at.
        mask: u64,
        /// What they have to be.
        value: u64,
    },
    /// At least one of these bits is set.
    AnyOf(u64),
    /// It is none of these.
    NotIn(Vec<u64>),
    /// It is less than this.
    LessThan(u64),
}

impl Test {
    fn holds(&self, value: u64) -> bool {
        match self {
            Test::Equal(wanted) => value == *wanted,
            Test::MaskedEqual { mask, value: wanted } => value & mask == *wanted,
            Test::AnyOf(mask) => value & mask != 0,
            Test::NotIn(values) => !values.contains(&value),
            Test::LessThan(limit) => value < *limit,
        }
    }
}

/// One question about one argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// Which argument, from 0 to 5.
    pub argument: u8,
    /// How much of it counts.
    pub width: Width,
    /// What is asked.
    pub test: Test,
}

impl Check {
    /// A question about the low half of an argument.
    #[must_use]
    pub const fn half(argument: u8, test: Test) -> Check {
        Check { argument, width: Width::Half, test }
    }

    /// A question about a whole argument.
    #[must_use]
    pub const fn full(argument: u8, test: Test) -> Check {
        Check { argument, width: Width::Full, test }
    }

    fn holds(&self, arguments: &[u64; 6]) -> bool {
        let value = arguments.get(usize::from(self.argument)).copied().unwrap_or(0);
        self.test.holds(if self.width == Width::Half { value & u64::from(u32::MAX) } else { value })
    }
}

/// If every check holds, the action. Without a check it always holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clause {
    /// What has to hold.
    pub checks: Vec<Check>,
    /// What then happens.
    pub action: Action,
}

/// What happens with one system call: the first clause that holds decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Asked in this order.
    pub clauses: Vec<Clause>,
    /// Where none holds.
    pub otherwise: Action,
}

impl Rule {
    /// One answer whatever the arguments are.
    #[must_use]
    pub const fn always(action: Action) -> Rule {
        Rule { clauses: Vec::new(), otherwise: action }
    }

    /// One answer, but for what later [`Rule::when`] adds.
    #[must_use]
    pub fn when(mut self, checks: Vec<Check>, action: Action) -> Rule {
        self.clauses.push(Clause { checks, action });
        self
    }

    fn decide(&self, arguments: &[u64; 6]) -> Action {
        let holding = self.clauses.iter().find(|clause| clause.checks.iter().all(|check| check.holds(arguments)));
        holding.map_or(self.otherwise, |clause| clause.action)
    }
}

/// Why there is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// A rule for a number above [`NUMBER_MAX`].
    Number {
        /// The number.
        number: u32,
    },
    /// A check of an argument that no system call has.
    Argument {
        /// The argument.
        argument: u8,
    },
    /// More than [`INSTRUCTIONS_MAX`] instructions.
    TooLong {
        /// How many it would take.
        instructions: usize,
    },
    /// This machine's architecture has no table.
    Architecture,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterError::Number { number } => {
                write!(f, "a rule is for system call {number}, the greatest number is {NUMBER_MAX}")
            }
            FilterError::Argument { argument } => {
                write!(f, "a rule looks at argument {argument}, system calls have arguments 0 to 5")
            }
            FilterError::TooLong { instructions } => {
                write!(
                    f,
                    "the filter takes {instructions} instructions, the kernel takes {INSTRUCTIONS_MAX}: use fewer rules"
                )
            }
            FilterError::Architecture => {
                f.write_str("there is no system call table for this processor, only for x86_64 and aarch64")
            }
        }
    }
}

impl std::error::Error for FilterError {}

/// A table of rules for one architecture, and what happens with every other call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    arch: Arch,
    default: Action,
    rules: Vec<Rule>,
    /// By number: one more than the index of its rule, 0 for none.
    slots: Vec<u16>,
}

impl Filter {
    /// A table without a rule.
    #[must_use]
    pub fn new(arch: Arch, default: Action) -> Filter {
        Filter { arch, default, rules: Vec::new(), slots: Vec::new() }
    }

    /// Puts a rule in the place of the one that was there. On `Err` nothing changed.
    ///
    /// # Errors
    ///
    /// [`FilterError::Number`] and [`FilterError::Argument`] for what no system call has.
    pub fn set(&mut self, number: u32, rule: Rule) -> Result<(), FilterError> {
        if number > NUMBER_MAX {
            return Err(FilterError::Number { number });
        }
        let checks = rule.clauses.iter().flat_map(|clause| &clause.checks);
        if let Some(check) = checks.into_iter().find(|check| check.argument >= ARGUMENTS_MAX) {
            return Err(FilterError::Argument { argument: check.argument });
        }
        let place = number as usize;
        if self.slots.len() <= place {
            self.slots.resize(place + 1, 0);
        }
        match self.slots[place] {
            0 => {
                self.rules.push(rule);
                self.slots[place] = self.rules.len() as u16;
            }
            slot => self.rules[usize::from(slot) - 1] = rule,
        }
        Ok(())
    }

    /// Which architecture it is for.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// What happens with a call that has no rule.
    #[must_use]
    pub fn default_action(&self) -> Action {
        self.default
    }

    /// The rule for a number, if there is one.
    #[must_use]
    pub fn rule(&self, number: u32) -> Option<&Rule> {
        let slot = self.slots.get(number as usize)?;
        self.rules.get(usize::from(*slot).checked_sub(1)?)
    }

    /// One more than the greatest number with a rule.
    pub(crate) fn numbers_end(&self) -> u32 {
        self.slots.len() as u32
    }

    /// What happens with a call: the meaning that the program has to have (S1).
    #[must_use]
    pub fn decide(&self, audit: u32, number: u32, arguments: &[u64; 6]) -> Action {
        let foreign = self.arch.foreign_from().is_some_and(|first| number >= first);
        if audit != self.arch.audit() || foreign {
            return Action::KillProcess;
        }
        self.rule(number).map_or(self.default, |rule| rule.decide(arguments))
    }

    /// The program that decides so.
    ///
    /// # Errors
    ///
    /// [`FilterError::TooLong`] where it takes more than [`INSTRUCTIONS_MAX`] instructions.
    pub fn program(&self) -> Result<Vec<Instruction>, FilterError> {
        program::write(self)
    }
}

/// For people: one line for each action with the calls that it always meets, then one for each call that is looked at.
/// Many allowed calls are only counted.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = || (0..self.numbers_end()).filter_map(|number| Some((number, self.rule(number)?)));
        let mut actions: Vec<Action> = Vec::new();
        for (_, rule) in rules().filter(|(_, rule)| rule.clauses.is_empty() && rule.otherwise != self.default) {
            if !actions.contains(&rule.otherwise) {
                actions.push(rule.otherwise);
            }
        }
        for action in actions {
            let met = || rules().filter(|(_, rule)| rule.clauses.is_empty() && rule.otherwise == action);
            write!(f, "{action}:")?;
            match met().count() {
                count if action == Action::Allow && count > ALLOWED_NAMED_MAX => write!(f, " {count} calls")?,
                _ => met().try_for_each(|(number, _)| write!(f, " {}", Named(self.arch, number)))?,
            }
            writeln!(f)?;
        }
        for (number, rule) in rules().filter(|(_, rule)| !rule.clauses.is_empty()) {
            write!(f, "{}:", Named(self.arch, number))?;
            for clause in &rule.clauses {
                for (nth, check) in clause.checks.iter().enumerate() {
                    write!(f, "{} argument {} {}", if nth == 0 { "" } else { " and" }, check.argument, check.test)?;
                }
                write!(f, " {},", clause.action)?;
            }
            writeln!(f, " else {}", rule.otherwise)?;
        }
        writeln!(f, "any other call: {}", self.default)
    }
}

struct Named(Arch, u32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match syscall_name(self.0, self.1) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.1),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Allow => f.write_str("allowed"),
            Action::Errno(1) => f.write_str("refused (EPERM)"),
            Action::Errno(13) => f.write_str("refused (EACCES)"),
            Action::Errno(38) => f.write_str("absent (ENOSYS)"),
            Action::Errno(number) => write!(f, "refused (error {number})"),
            Action::Notify => f.write_str("asks the broker"),
            Action::KillProcess => f.write_str("killed"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Equal(value) => write!(f, "is {value:#x}"),
            Test::MaskedEqual { mask, value } => write!(f, "has {value:#x} of {mask:#x}"),
            Test::AnyOf(mask) => write!(f, "has any of {mask:#x}"),
            Test::NotIn(values) => {
                f.write_str("is none of")?;
                values.iter().try_for_each(|value| write!(f, " {value:#x}"))
            }
            Test::LessThan(limit) => write!(f, "is below {limit:#x}"),
        }
    }
}
