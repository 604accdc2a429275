//! Names and numbers of system calls, looked up in either direction.

use crate::table::{NONE, ROWS};

/// A processor architecture, as a filter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit x86 without x32.
    X86_64,
    /// 64-bit ARM, little endian.
    Aarch64,
}

impl Arch {
    /// The one this was compiled for, `None` where there is no table for it.
    #[must_use]
    pub const fn native() -> Option<Arch> {
        if cfg!(target_arch = "x86_64") {
            Some(Arch::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Arch::Aarch64)
        } else {
            None
        }
    }

    /// `AUDIT_ARCH_X86_64` or `AUDIT_ARCH_AARCH64` of `linux/audit.h`: what the kernel puts into `seccomp_data.arch`.
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 => 0xC000_003E,
            Arch::Aarch64 => 0xC000_00B7,
        }
    }

    /// The first number that means another calling convention (x32, `__X32_SYSCALL_BIT`), if there is one.
    pub(crate) const fn foreign_from(self) -> Option<u32> {
        match self {
            Arch::X86_64 => Some(0x4000_0000),
            Arch::Aarch64 => None,
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call(u16);

impl Call {
    /// The call of this name. Only for constants: a name that is not in the table does not compile.
    pub(crate) const fn named(name: &str) -> Call {
        let (mut from, mut to) = (0, ROWS.len());
        while from < to {
            let middle = from.midpoint(to);
            if is_before(ROWS[middle].0, name) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        assert!(from < ROWS.len() && !is_before(name, ROWS[from].0), "no such system call");
        Call(from as u16)
    }

    /// Every call of the table.
    pub(crate) fn all() -> impl Iterator<Item = Call> {
        (0..ROWS.len() as u16).map(Call)
    }

    /// Its number, `None` where the architecture lacks it.
    pub(crate) fn number(self, arch: Arch) -> Option<u32> {
        let [x86_64, aarch64] = NUMBERS[usize::from(self.0)];
        let number = match arch {
            Arch::X86_64 => x86_64,
            Arch::Aarch64 => aarch64,
        };
        (number != NONE).then_some(u32::from(number))
    }

    fn name(self) -> &'static str {
        let index = usize::from(self.0);
        let from = index.checked_sub(1).map_or(0, |before| usize::from(ENDS[before]));
        NAMES.get(from..usize::from(ENDS[index])).and_then(|name| str::from_utf8(name).ok()).unwrap_or("")
    }
}

/// The name of a call of this number, as in the kernel's tables; `None` for a number that Linux 6.18 does not know.
#[must_use]
pub fn syscall_name(arch: Arch, number: u32) -> Option<&'static str> {
    Call::all().find(|call| call.number(arch) == Some(number)).map(Call::name)
}

/// The number of the call of this name; `None` for a name that Linux 6.18 does not know or this architecture lacks.
#[must_use]
pub fn syscall_number(arch: Arch, name: &str) -> Option<u32> {
    Call::all().find(|call| call.name() == name)?.number(arch)
}

/// A list of calls by name, looked up when compiling.
macro_rules! calls {
    ($($name:literal)*) => {{
        const CALLS: &[$crate::syscall::Call] = &[$($crate::syscall::Call::named($name)),*];
        CALLS
    }};
}
pub(crate) use calls;

const fn is_before(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return one[at] < other[at];
        }
        at += 1;
    }
    one.len() < other.len()
}

// The table is taken apart when compiling: one text and two arrays have no pointers to relocate at each start.

const NAMES_BYTES: usize = {
    let (mut bytes, mut row) = (0, 0);
    while row < ROWS.len() {
        bytes += ROWS[row].0.len();
        row += 1;
    }
    bytes
};

static NAMES: [u8; NAMES_BYTES] = {
    let mut all = [0; NAMES_BYTES];
    let (mut end, mut row) = (0, 0);
    while row < ROWS.len() {
        let name = ROWS[row].0.as_bytes();
        let mut at = 0;
        while at < name.len() {
            all[end] = name[at];
            end += 1;
            at += 1;
        }
        row += 1;
    }
    all
};

static ENDS: [u16; ROWS.len()] = {
    let mut ends = [0; ROWS.len()];
    let (mut end, mut row) = (0, 0);
    while row < ROWS.len() {
        end += ROWS[row].0.len();
        ends[row] = end as u16;
        row += 1;
    }
    ends
};

static NUMBERS: [[u16; 2]; ROWS.len()] = {
    let mut numbers = [[NONE; 2]; ROWS.len()];
    let mut row = 0;
    while row < ROWS.len() {
        numbers[row] = [ROWS[row].1, ROWS[row].2];
        row += 1;
    }
    numbers
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_numbers_and_back() {
        assert_eq!(ROWS.len(), 383);
        assert!(ROWS.is_sorted_by(|one, other| one.0 < other.0), "a search by halves needs the order");
        for row in ROWS {
            for (arch, number) in [(Arch::X86_64, row.1), (Arch::Aarch64, row.2)] {
                let number = (number != NONE).then_some(u32::from(number));
                assert_eq!(syscall_number(arch, row.0), number, "{}", row.0);
                if let Some(number) = number {
                    assert_eq!(syscall_name(arch, number), Some(row.0));
                }
            }
        }
        assert_eq!(syscall_name(Arch::X86_64, 470), None);
        assert_eq!(syscall_name(Arch::X86_64, u32::from(NONE)), None);
        assert_eq!(syscall_number(Arch::Aarch64, "fork"), None, "aarch64 never had it");
        assert_eq!(syscall_number(Arch::Aarch64, "spoon"), None);
    }

    #[test]
    fn a_number_has_one_name() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let mut numbers: Vec<u32> = Call::all().filter_map(|call| call.number(arch)).collect();
            let all = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), all);
            assert_eq!(all, if arch == Arch::X86_64 { 383 } else { 325 });
            assert_eq!(numbers.last(), Some(&469), "the last of Linux 6.18");
        }
    }
}
