//! The machine that runs a program: classic BPF as far as the kernel lets filters of system calls use it.

use aether_seccomp::{Action, Instruction};

/// What a program is asked about, `struct seccomp_data`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    pub(crate) arch: u32,
    pub(crate) number: u32,
    pub(crate) arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => panic!("no filter of ours reads offset {offset}"),
        }
    }
}

/// Runs it. Panics at what the kernel's checker refuses: a jump out of the program, an end without an answer.
pub(crate) fn run(program: &[Instruction], data: &Data) -> u32 {
    let mut place = 0;
    let mut accumulator = 0;
    loop {
        let Instruction { code, jump_true, jump_false, constant } = program[place];
        place += 1;
        let mut jump = |is_true: bool| place += usize::from(if is_true { jump_true } else { jump_false });
        match code {
            0x20 => accumulator = data.word(constant),
            0x54 => accumulator &= constant,
            0x05 => place += constant as usize,
            0x15 => jump(accumulator == constant),
            0x25 => jump(accumulator > constant),
            0x35 => jump(accumulator >= constant),
            0x45 => jump(accumulator & constant != 0),
            0x06 => return constant,
            _ => panic!("no filter of ours uses {code:#x}"),
        }
    }
}

/// The same for the other generator's type.
#[cfg(target_os = "linux")]
pub(crate) fn run_theirs(program: &[seccompiler::sock_filter], data: &Data) -> u32 {
    let program: Vec<Instruction> = program
        .iter()
        .map(|one| Instruction { code: one.code, jump_true: one.jt, jump_false: one.jf, constant: one.k })
        .collect();
    run(&program, data)
}

/// What a returned value means.
pub(crate) fn action(code: u32) -> Action {
    match code & 0xFFFF_0000 {
        0x7FFF_0000 => Action::Allow,
        0x0005_0000 => Action::Errno(code as u16),
        0x7FC0_0000 => Action::Notify,
        0x8000_0000 => Action::KillProcess,
        _ => panic!("no filter of ours returns {code:#x}"),
    }
}

/// Numbers that come out the same for the same seed (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
