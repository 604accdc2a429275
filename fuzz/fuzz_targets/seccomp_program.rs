//! Filters: whatever the table is, its program ends, stays inside itself and decides as the table does (S1, S2, S4, S5).
#![no_main]

use aether_fuzz::Draw;
use aether_seccomp::{Action, Arch, Check, Filter, FilterError, INSTRUCTIONS_MAX, Instruction, Rule, Test, Width};
use libfuzzer_sys::fuzz_target;

const RULES_MAX: usize = 40;
const CLAUSES_MAX: usize = 4;
const CHECKS_MAX: usize = 4;
const VALUES_MAX: usize = 300;
const CALLS_MAX: usize = 64;
const ACTIONS: [Action; 4] = [Action::Allow, Action::Errno(1), Action::Notify, Action::KillProcess];

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let arch = draw.one_of(&[Arch::X86_64, Arch::Aarch64]);
    let mut filter = Filter::new(arch, draw.one_of(&ACTIONS));
    let mut numbers = vec![0, 0x3FFF_FFFF, 0x4000_0000, u32::MAX];
    for _ in 0..draw.within(0..RULES_MAX) {
        let number = draw.within(0..1100) as u32;
        match filter.set(number, rule(&mut draw)) {
            Ok(()) => numbers.extend([number, number + 1, number.saturating_sub(1)]),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(!filter.to_string().is_empty());
    let program = match filter.program() {
        Ok(program) => program,
        Err(FilterError::TooLong { instructions }) => return assert!(instructions > INSTRUCTIONS_MAX),
        Err(error) => panic!("{error}"),
    };
    assert!(program.len() <= INSTRUCTIONS_MAX);
    for _ in 0..CALLS_MAX {
        let number = numbers[draw.within(0..numbers.len())];
        let arguments = [(); 6].map(|()| value(&mut draw));
        for audit in [arch.audit(), 0xC000_003E, 0x4000_0003] {
            let wanted = filter.decide(audit, number, &arguments).code();
            assert_eq!(run(&program, audit, number, &arguments), wanted, "{number} {arguments:x?}: {:?}", filter.rule(number));
        }
    }
});

fn rule(draw: &mut Draw<'_>) -> Rule {
    let mut rule = Rule::always(draw.one_of(&ACTIONS));
    for _ in 0..draw.within(0..CLAUSES_MAX) {
        let checks = (0..draw.within(0..CHECKS_MAX)).map(|_| check(draw)).collect();
        rule = rule.when(checks, draw.one_of(&ACTIONS));
    }
    rule
}

fn check(draw: &mut Draw<'_>) -> Check {
    let width = draw.one_of(&[Width::Half, Width::Full]);
    let test = match draw.byte() % 5 {
        0 => Test::Equal(value(draw)),
        1 => Test::MaskedEqual { mask: value(draw), value: value(draw) },
        2 => Test::AnyOf(value(draw)),
        3 => {
            let first = value(draw);
            Test::NotIn((0..draw.within(0..VALUES_MAX) as u64).map(|n| first.wrapping_add(n)).collect())
        }
        _ => Test::LessThan(value(draw)),
    };
    Check { argument: draw.byte() % 7, width, test }
}

/// Mostly small, so that a table and a call meet.
fn value(draw: &mut Draw<'_>) -> u64 {
    match draw.byte() % 4 {
        0 => draw.number(),
        1 => u64::from(draw.byte()) << 32,
        2 => u64::from(u32::MAX) - u64::from(draw.byte() % 3),
        _ => u64::from(draw.byte() % 8),
    }
}

fn run(program: &[Instruction], audit: u32, number: u32, arguments: &[u64; 6]) -> u32 {
    let (mut place, mut accumulator) = (0, 0);
    loop {
        let Instruction { code, jump_true, jump_false, constant } = program[place];
        place += 1;
        let mut jump = |is_true: bool| place += usize::from(if is_true { jump_true } else { jump_false });
        match (code, constant) {
            (0x20, 0) => accumulator = number,
            (0x20, 4) => accumulator = audit,
            (0x20, 16..64) => {
                let argument = arguments[(constant as usize - 16) / 8];
                accumulator = if constant.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 };
            }
            (0x54, _) => accumulator &= constant,
            (0x05, _) => place += constant as usize,
            (0x15, _) => jump(accumulator == constant),
            (0x25, _) => jump(accumulator > constant),
            (0x35, _) => jump(accumulator >= constant),
            (0x45, _) => jump(accumulator & constant != 0),
            (0x06, _) => return constant,
            _ => panic!("{code:#x} {constant:#x}"),
        }
    }
}
