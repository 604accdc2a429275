//! The small words everybody shares: time and the names of things inside one kernel.

use alloc::vec::Vec;
use core::fmt;

/// How a type reads in a sentence, which is its `Display`: `reads! { Type: |self, f| write!(f, "…") }`.
macro_rules! reads {
    ($type:ty: |$this:ident, $f:ident| $write:expr) => {
        impl core::fmt::Display for $type {
            fn fmt(&$this, $f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $write
            }
        }
    };
}
pub(crate) use reads;

/// An enumeration of plain words: each variant has one name, used wherever it is written or read.
macro_rules! names {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every one of them, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The name in events, logs, policies, configuration and flags.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            /// The one of that name.
            pub fn named(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        crate::words::reads! { $name: |self, f| f.write_str(self.name()) }
    };
}
pub(crate) use names;

/// Writes names with `+` between them, or `none` where there is no name.
pub(crate) fn joined<'a>(f: &mut fmt::Formatter<'_>, none: &str, all: impl Iterator<Item = &'a str>) -> fmt::Result {
    let names: Vec<&str> = all.collect();
    if names.is_empty() { f.write_str(none) } else { f.write_str(&names.join("+")) }
}

/// A moment, in milliseconds since an arbitrary start that stays fixed for one kernel.
///
/// The kernel reads no clock: every moment it knows was handed to it. The driver's clock never runs
/// backwards; should a caller's do so, a machine treats the earlier moment as the latest one it saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `ms` milliseconds later, or the end of time.
    pub fn after(self, ms: u64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; 0 if `earlier` is not earlier.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A task of one dispatcher. Never reused: a slot that is filled again gets the next generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The place in the dispatcher's slab.
    pub slot: u32,
    /// How many tasks had this place before.
    pub generation: u32,
}

reads! { TaskId: |self, f| write!(f, "t{}.{}", self.slot, self.generation) }

/// One wish of one task that expects an answer: a question to the model, a tool run, an approval or a child.
///
/// Counted up within a task from 1 and never reused (K2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WishId(pub u32);

reads! { WishId: |self, f| write!(f, "#{}", self.0) }
