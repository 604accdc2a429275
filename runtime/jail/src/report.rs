//! Errors and ends as bytes, from a spawner or a jail to whoever waits.

use crate::error::{Breach, Ended, Enforcement, JailError, Missing, Status, Step, Tier, Usage};
use crate::plan::Strength;
use crate::wire::{Reader, WireError, Writer, read_looseness, write_looseness};

/// Most things that one error says are missing.
const MISSING_MAX: usize = 64;

pub(crate) fn write_error(out: &mut Writer, error: &JailError) {
    match error {
        JailError::Unavailable { missing } => {
            out.byte(0);
            out.count(missing.len());
            for one in missing {
                [&one.mechanism, &one.found, &one.remedy].iter().for_each(|text| out.bytes(text.as_bytes()));
            }
        }
        JailError::Refused { what, why } => {
            out.byte(1);
            out.bytes(what.as_bytes());
            out.bytes(why.as_bytes());
        }
        JailError::Step { step, what, errno } => {
            out.byte(2);
            out.byte(*step as u8);
            out.bytes(what.as_bytes());
            out.number(u64::from(errno.unsigned_abs()));
        }
        JailError::Busy { sandboxes_max } => {
            out.byte(3);
            out.number((*sandboxes_max).into());
        }
        JailError::Gone { why } => {
            out.byte(4);
            out.bytes(why.as_bytes());
        }
    }
}

pub(crate) fn read_error(from: &mut Reader<'_>) -> Result<JailError, WireError> {
    Ok(match from.byte()? {
        0 => JailError::Unavailable {
            missing: from.list(MISSING_MAX, |from| {
                Ok(Missing { mechanism: from.text()?, found: from.text()?, remedy: from.text()? })
            })?,
        },
        1 => JailError::Refused { what: from.text()?, why: from.text()? },
        2 => JailError::Step {
            step: *Step::ALL.get(usize::from(from.byte()?)).ok_or(WireError::Value)?,
            what: from.text()?,
            errno: from.small()?,
        },
        3 => JailError::Busy { sandboxes_max: from.small()? },
        4 => JailError::Gone { why: from.text()? },
        _ => return Err(WireError::Value),
    })
}

pub(crate) fn write_enforcement(out: &mut Writer, held: &Enforcement) {
    out.byte(held.tier as u8);
    for strength in [held.memory, held.cpu, held.process_view] {
        out.byte((strength == Strength::Approximate).into());
    }
    write_looseness(out, held.without_namespaces);
    out.number(held.landlock_abi.into());
}

pub(crate) fn read_enforcement(from: &mut Reader<'_>) -> Result<Enforcement, WireError> {
    let tier = match from.byte()? {
        0 => Tier::A,
        1 => Tier::B,
        2 => Tier::W,
        3 => Tier::None,
        _ => return Err(WireError::Value),
    };
    let mut strength = || from.choice(Strength::Exact, Strength::Approximate);
    let [memory, cpu, process_view] = [strength()?, strength()?, strength()?];
    let without_namespaces = read_looseness(from)?;
    Ok(Enforcement { tier, memory, cpu, process_view, without_namespaces, landlock_abi: from.small()? })
}

pub(crate) fn write_ended(out: &mut Writer, ended: &Ended) {
    let (kind, value) = match ended.status {
        Status::Exited(code) => (0, code),
        Status::Signaled(signal) => (1, signal),
    };
    out.byte(kind);
    out.number(u64::from(value.unsigned_abs()));
    match &ended.breach {
        None => out.byte(0),
        Some(Breach::Memory { bytes_max }) => (out.byte(1), out.number(*bytes_max)).1,
        Some(Breach::Cpu { cpu_ms_max }) => (out.byte(2), out.number(*cpu_ms_max)).1,
        Some(Breach::Runtime { runtime_ms_max }) => (out.byte(3), out.number(*runtime_ms_max)).1,
        Some(Breach::FileSize { bytes_max }) => (out.byte(4), out.number(*bytes_max)).1,
        Some(Breach::Syscall { name }) => (out.byte(5), out.bytes(name.as_bytes())).1,
    }
    [ended.usage.wall_ms, ended.usage.cpu_ms, ended.usage.memory_bytes_peak].iter().for_each(|n| out.number(*n));
}

pub(crate) fn read_ended(from: &mut Reader<'_>) -> Result<Ended, WireError> {
    let kind = from.byte()?;
    let value = from.small()?;
    let status = match kind {
        0 => Status::Exited(value),
        1 => Status::Signaled(value),
        _ => return Err(WireError::Value),
    };
    let breach = match from.byte()? {
        0 => None,
        1 => Some(Breach::Memory { bytes_max: from.number()? }),
        2 => Some(Breach::Cpu { cpu_ms_max: from.number()? }),
        3 => Some(Breach::Runtime { runtime_ms_max: from.number()? }),
        4 => Some(Breach::FileSize { bytes_max: from.number()? }),
        5 => Some(Breach::Syscall { name: from.text()? }),
        _ => return Err(WireError::Value),
    };
    let usage = Usage { wall_ms: from.number()?, cpu_ms: from.number()?, memory_bytes_peak: from.number()? };
    Ok(Ended { status, breach, usage })
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
