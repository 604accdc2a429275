//! When and where an event happened.

use std::fmt;

use aether_core::words::TaskId;

/// When and where an event happened: what the kernel does not know and the caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: i64,
    /// The trace: everything that one command or request set going.
    pub trace: TraceId,
    /// The task it happened to.
    pub task: TaskId,
    /// The task that spawned it; `None` for the root of a trace.
    pub parent: Option<TaskId>,
}

/// The name of a trace: 16 bytes, as W3C Trace Context (section 3.2.2.3, trace-id) has them.
///
/// All zeros are no valid trace id there, so [`TraceId::new`] turns them into the id that ends in 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// The trace of these bytes, which should be random.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> TraceId {
        match u128::from_be_bytes(bytes) {
            0 => TraceId(1u128.to_be_bytes()),
            _ => TraceId(bytes),
        }
    }

    /// The trace that is written like this: 32 hexadecimal digits, not all of them 0.
    ///
    /// `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<TraceId> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u128::from_str_radix(text, 16).ok().filter(|number| *number != 0)?;
        Some(TraceId(number.to_be_bytes()))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TraceId {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
