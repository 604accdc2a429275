//! Programs against those that `seccompiler` makes of the same rules, where it can express them.

use std::collections::BTreeMap;

use aether_seccomp::{
    Action, Arch, Breach, Check, Clause, Code, Filter, Internet, Namespaces, Policy, Test, Tool, Unix, Width,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::machine::{Data, Dice, action, run, run_theirs};

/// Its filters have one action for what matches and one for the rest; these two stand for yes and no.
const YES: u32 = 0x8000_0000;
const NUMBERS_END: u32 = 600;

/// One check as alternatives of conditions that hold together; `None` for what never holds.
fn alternatives(check: &Check) -> Vec<Vec<SeccompCondition>> {
    let condition = |operation, value| {
        let length = if check.width == Width::Half { SeccompCmpArgLen::Dword } else { SeccompCmpArgLen::Qword };
        SeccompCondition::new(check.argument, length, operation, value).unwrap()
    };
    match &check.test {
        Test::Equal(value) => vec![vec![condition(SeccompCmpOp::Eq, *value)]],
        Test::MaskedEqual { mask, value } => vec![vec![condition(SeccompCmpOp::MaskedEq(*mask), *value)]],
        Test::AnyOf(mask) => (0..64)
            .map(|bit| 1_u64 << bit)
            .filter(|bit| mask & bit != 0)
            .map(|bit| vec![condition(SeccompCmpOp::MaskedEq(bit), bit)])
            .collect(),
        Test::NotIn(values) => vec![values.iter().map(|value| condition(SeccompCmpOp::Ne, *value)).collect()],
        Test::LessThan(limit) => vec![vec![condition(SeccompCmpOp::Lt, *limit)]],
    }
}

fn rules_of(clause: &Clause) -> Vec<SeccompRule> {
    let mut all: Vec<Vec<SeccompCondition>> = vec![Vec::new()];
    for check in &clause.checks {
        let alternatives = alternatives(check);
        all = all
            .iter()
            .flat_map(|so_far| alternatives.iter().map(|more| [so_far.clone(), more.clone()].concat()))
            .collect();
    }
    all.into_iter().map(|conditions| SeccompRule::new(conditions).unwrap()).collect()
}

/// "Is the verdict this action?" as their program, and the numbers for which they can say it: those without a check,
/// and those whose clauses all have this action while the rest has another.
fn theirs(filter: &Filter, wanted: Action) -> (BpfProgram, Vec<u32>) {
    let mut rules = BTreeMap::new();
    let mut sayable = Vec::new();
    for number in 0..NUMBERS_END {
        let Some(rule) = filter.rule(number) else {
            if filter.default_action() == wanted {
                rules.insert(i64::from(number), Vec::new());
            }
            sayable.push(number);
            continue;
        };
        if rule.clauses.is_empty() {
            if rule.otherwise == wanted {
                rules.insert(i64::from(number), Vec::new());
            }
            sayable.push(number);
        } else if rule.otherwise != wanted && rule.clauses.iter().all(|clause| clause.action == wanted) {
            rules.insert(i64::from(number), rule.clauses.iter().flat_map(rules_of).collect());
            sayable.push(number);
        }
    }
    let arch = if filter.arch() == Arch::X86_64 { TargetArch::x86_64 } else { TargetArch::aarch64 };
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::KillProcess, arch).unwrap();
    (filter.try_into().unwrap(), sayable)
}

/// Arguments as a caller might put them: everything a check mentions, bits above 32, and noise.
fn samples(filter: &Filter, number: u32, dice: &mut Dice) -> Vec<[u64; 6]> {
    let mut values = vec![0, 1, 2, 10, u64::from(u32::MAX), 1 << 32, u64::MAX];
    let rule = filter.rule(number);
    let mut checked: Vec<&Check> = Vec::new();
    for check in rule.iter().flat_map(|rule| &rule.clauses).flat_map(|clause| &clause.checks) {
        checked.push(check);
        match &check.test {
            Test::Equal(value) | Test::LessThan(value) => values.extend([*value, value ^ 1, value | 0xABCD << 32]),
            Test::MaskedEqual { mask, value } => values.extend([*value, *mask, !mask, !mask | value, value | 0o2000]),
            Test::AnyOf(mask) => {
                values.extend((0..64).map(|bit| 1 << bit).filter(|bit| mask & bit != 0));
                values.push(!mask);
            }
            Test::NotIn(some) => values.extend(some),
        }
    }
    let count = if checked.is_empty() { 1 } else { 80 };
    (0..count).map(|_| [(); 6].map(|()| dice.one_of(&values))).collect()
}

fn policies() -> Vec<Policy> {
    let mut policies = vec![Policy::Init, Policy::Compute, Policy::Broker];
    for unix in [Unix::Denied, Unix::Allowed] {
        for internet in [Internet::Denied, Internet::Stream, Internet::StreamAndDatagram, Internet::Brokered] {
            // The other choices take turns: they have nothing to do with sockets.
            let code = [Code::Files, Code::Memory, Code::Anywhere][policies.len() % 3];
            let (namespaces, breach) =
                [(Namespaces::Own, Breach::Notify), (Namespaces::Host, Breach::Kill)][policies.len() / 2 % 2];
            policies.push(Policy::Tool(Tool { unix, internet, code, namespaces, breach }));
        }
    }
    policies
}

#[test]
fn the_other_generator_agrees_for_every_number_of_every_policy() {
    let dice = &mut Dice(7);
    let (mut asked, mut with_checks) = (0_u64, 0_u64);
    for policy in policies() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let filter = policy.filter(arch).unwrap();
            let ours = filter.program().unwrap();
            for wanted in [
                Action::Allow,
                Action::Errno(1),
                Action::Errno(13),
                Action::Errno(38),
                Action::Notify,
                Action::KillProcess,
            ] {
                let (theirs, sayable) = theirs(&filter, wanted);
                for number in sayable {
                    for arguments in samples(&filter, number, dice) {
                        let data = Data { arch: arch.audit(), number, arguments };
                        let verdict = action(run(&ours, &data));
                        assert_eq!(verdict, filter.decide(data.arch, number, &arguments), "{policy:?}: {data:x?}");
                        assert_eq!(
                            verdict == wanted,
                            run_theirs(&theirs, &data) == YES,
                            "{policy:?}, {wanted:?}: {data:x?}"
                        );
                        asked += 1;
                    }
                    with_checks += u64::from(filter.rule(number).is_some_and(|rule| !rule.clauses.is_empty()));
                }
            }
        }
    }
    assert!(asked > 80_000 && with_checks > 200, "{asked} questions, {with_checks} of rules with checks");
}

#[test]
fn the_other_generator_agrees_on_comparisons() {
    let dice = &mut Dice(11);
    let edges = [0, 1, 5, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, 0x1_0000_0005, u64::MAX];
    for _ in 0..300 {
        let arch = dice.one_of(&[Arch::X86_64, Arch::Aarch64]);
        let mut filter = Filter::new(arch, Action::Allow);
        for number in 0..8 {
            let mut rule = aether_seccomp::Rule::always(Action::Allow);
            for _ in 0..=dice.below(2) {
                // Their comparisons of half an argument want a value that fits: ours then means the same.
                let width = dice.one_of(&[Width::Half, Width::Full]);
                let cut = if width == Width::Half { u64::from(u32::MAX) } else { u64::MAX };
                let mut value = || dice.one_of(&edges) & cut;
                let test = match value() % 5 {
                    0 => Test::Equal(value()),
                    1 => {
                        let mask = value();
                        Test::MaskedEqual { mask, value: value() & mask }
                    }
                    2 => Test::NotIn(vec![value(), value()]),
                    3 => Test::AnyOf(value() | 1),
                    _ => Test::LessThan(value()),
                };
                let argument = dice.below(6) as u8;
                rule = rule.when(vec![Check { argument, width, test }], Action::KillProcess);
            }
            filter.set(number, rule).unwrap();
        }
        let ours = filter.program().unwrap();
        let (theirs, sayable) = theirs(&filter, Action::KillProcess);
        for number in sayable.into_iter().filter(|number| *number < 10) {
            for _ in 0..40 {
                let data = Data { arch: arch.audit(), number, arguments: [(); 6].map(|()| dice.one_of(&edges)) };
                let verdict = run(&ours, &data);
                assert_eq!(verdict == YES, run_theirs(&theirs, &data) == YES, "{data:x?}, {:?}", filter.rule(number));
            }
        }
    }
}
