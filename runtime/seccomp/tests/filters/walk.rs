//! Random tables: whatever the rules are, the program decides as the table does (S1, S2, S4, S5).

use std::env;

use aether_seccomp::{
    Action, Arch, Check, Filter, FilterError, INSTRUCTIONS_MAX, Instruction, NUMBER_MAX, Rule, Test, Width,
};

use crate::machine::{Data, Dice, action, run};

const ACTIONS: [Action; 5] = [Action::Allow, Action::Errno(1), Action::Errno(38), Action::Notify, Action::KillProcess];
/// Values at which comparisons of 32 and 64 bits turn.
const VALUES: [u64; 14] = [
    0,
    1,
    2,
    3,
    7,
    0x1F,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x1_0000_0000,
    0x1_0000_0001,
    0x2_0000_0000,
    0xFFFF_FFFF_0000_0000,
    u64::MAX,
];

fn value(dice: &mut Dice) -> u64 {
    match dice.below(4) {
        0 => dice.next(),
        1 => dice.one_of(&VALUES).wrapping_add(dice.below(3) as u64).wrapping_sub(1),
        _ => dice.one_of(&VALUES),
    }
}

fn test(dice: &mut Dice) -> Test {
    match dice.below(5) {
        0 => Test::Equal(value(dice)),
        1 => {
            let mask = value(dice);
            let value = if dice.below(4) == 0 { value(dice) } else { value(dice) & mask };
            Test::MaskedEqual { mask, value }
        }
        2 => Test::AnyOf(value(dice)),
        3 => Test::NotIn((0..dice.below(4)).map(|_| value(dice)).collect()),
        _ => Test::LessThan(value(dice)),
    }
}

fn rule(dice: &mut Dice) -> Rule {
    let mut rule = Rule::always(dice.one_of(&ACTIONS));
    for _ in 0..dice.below(4) {
        let checks = (0..dice.below(4)).map(|_| Check {
            argument: dice.below(6) as u8,
            width: dice.one_of(&[Width::Half, Width::Full]),
            test: test(dice),
        });
        let checks = checks.collect();
        rule = rule.when(checks, dice.one_of(&ACTIONS));
    }
    rule
}

/// Values around what the rule looks for, so that both answers come up.
fn arguments(dice: &mut Dice, rule: Option<&Rule>) -> [u64; 6] {
    let mut arguments = [(); 6].map(|()| value(dice));
    for check in rule.iter().flat_map(|rule| &rule.clauses).flat_map(|clause| &clause.checks) {
        if dice.below(3) == 0 {
            continue;
        }
        let near = match &check.test {
            Test::Equal(value) | Test::AnyOf(value) | Test::MaskedEqual { value, .. } | Test::LessThan(value) => *value,
            Test::NotIn(values) => values.first().copied().unwrap_or(0),
        };
        let near = near.wrapping_add(dice.one_of(&[0, 0, 0, 1, u64::MAX]));
        let above = if check.width == Width::Half && dice.below(2) == 0 { dice.next() << 32 } else { 0 };
        arguments[usize::from(check.argument)] = near | above;
    }
    arguments
}

/// What the kernel's checker asks of a program: it ends, and every jump stays inside.
fn assert_well_formed(program: &[Instruction]) {
    assert!(program.len() <= INSTRUCTIONS_MAX);
    for (place, one) in program.iter().enumerate() {
        let farthest = match one.code {
            0x05 => one.constant as usize,
            0x06 => continue,
            0x20 | 0x54 => 0,
            _ => usize::from(one.jump_true.max(one.jump_false)),
        };
        assert!(place + 1 + farthest < program.len(), "{place}: {one:?} of {}", program.len());
    }
}

#[test]
fn a_program_decides_as_its_table() {
    let seed = env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(42);
    println!("SEED={seed}");
    let dice = &mut Dice(seed);
    let (mut longest, mut asked) = (0, 0_u64);
    for round in 0..400 {
        let arch = dice.one_of(&[Arch::X86_64, Arch::Aarch64]);
        let mut filter = Filter::new(arch, dice.one_of(&ACTIONS));
        let end = dice.one_of(&[5, 60, 470, 1024]);
        for _ in 0..dice.one_of(&[0, 1, 5, 40, 120]) {
            filter.set(dice.below(end) as u32, rule(dice)).unwrap();
        }
        let program = match filter.program() {
            Ok(program) => program,
            Err(error) => {
                assert!(matches!(error, FilterError::TooLong { instructions } if instructions > INSTRUCTIONS_MAX));
                continue;
            }
        };
        assert_well_formed(&program);
        longest = longest.max(program.len());
        let numbers = (0..NUMBER_MAX + 2).chain([0x3FFF_FFFF, 0x4000_0000, 0x4000_0001, 0x8000_0000, u32::MAX]);
        for number in numbers {
            let samples = if filter.rule(number).is_some() { 12 } else { 1 };
            for _ in 0..samples {
                let arguments = arguments(dice, filter.rule(number));
                let data = Data { arch: arch.audit(), number, arguments };
                let wanted = filter.decide(data.arch, number, &arguments);
                assert_eq!(action(run(&program, &data)), wanted, "round {round}: {data:x?}, {:?}", filter.rule(number));
                asked += 1;
            }
        }
        // S2: the other architecture, 32-bit x86, and nonsense.
        for arch in [0xC000_003E, 0xC000_00B7, 0x4000_0003, 0x4000_0028, 0, u32::MAX] {
            let data = Data { arch, number: dice.below(end) as u32, arguments: [0; 6] };
            assert_eq!(action(run(&program, &data)), filter.decide(arch, data.number, &data.arguments));
            assert!(arch == filter.arch().audit() || action(run(&program, &data)) == Action::KillProcess);
        }
    }
    assert!(longest > 1000, "some programs need jumps beyond 255: the longest has {longest}");
    assert!(asked > 100_000, "{asked}");
}

#[test]
fn what_no_call_has_is_refused_and_nothing_changed() {
    let mut filter = Filter::new(Arch::X86_64, Action::Allow);
    filter.set(NUMBER_MAX, Rule::always(Action::Errno(1))).unwrap();
    let before = filter.clone();
    let number = NUMBER_MAX + 1;
    assert_eq!(filter.set(number, Rule::always(Action::Allow)), Err(FilterError::Number { number }));
    let rule = Rule::always(Action::Allow).when(vec![Check::half(6, Test::Equal(0))], Action::Errno(1));
    assert_eq!(filter.set(0, rule), Err(FilterError::Argument { argument: 6 }));
    assert_eq!(filter, before);
    assert_eq!(
        FilterError::Argument { argument: 6 }.to_string(),
        "a rule looks at argument 6, system calls have arguments 0 to 5"
    );
}

#[test]
fn a_program_that_the_kernel_would_not_take_is_refused() {
    let mut filter = Filter::new(Arch::X86_64, Action::Allow);
    let many = |count| Test::NotIn((0..count).collect());
    filter.set(0, Rule::always(Action::Allow).when(vec![Check::full(0, many(1000))], Action::Errno(1))).unwrap();
    let program = filter.program().unwrap();
    assert_well_formed(&program);
    for (argument, wanted) in
        [(0, Action::Allow), (999, Action::Allow), (1000, Action::Errno(1)), (1 << 32, Action::Errno(1))]
    {
        let data = Data { arch: Arch::X86_64.audit(), number: 0, arguments: [argument, 0, 0, 0, 0, 0] };
        assert_eq!(action(run(&program, &data)), wanted, "{argument}");
    }
    filter.set(0, Rule::always(Action::Allow).when(vec![Check::full(0, many(2000))], Action::Errno(1))).unwrap();
    let error = filter.program().unwrap_err();
    assert!(matches!(error, FilterError::TooLong { instructions } if instructions > 8000), "{error}");
    assert!(error.to_string().ends_with("the kernel takes 4096: use fewer rules"), "{error}");
}

#[test]
fn a_later_rule_takes_the_place_of_an_earlier_one() {
    let mut filter = Filter::new(Arch::Aarch64, Action::KillProcess);
    filter.set(7, Rule::always(Action::Allow)).unwrap();
    filter.set(7, Rule::always(Action::Notify)).unwrap();
    assert_eq!(filter.decide(Arch::Aarch64.audit(), 7, &[0; 6]), Action::Notify);
    assert_eq!(filter.default_action(), Action::KillProcess);
    let program = Filter::new(Arch::Aarch64, Action::Notify).program().unwrap();
    assert_eq!(program.len(), 5, "architecture, number, one answer and the kill: {program:?}");
}
