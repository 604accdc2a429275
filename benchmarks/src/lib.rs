//! Wet: measures what docs/SPEC.md promises, on the shipped binary and on the kernel alone; it decides nothing.
//!
//! **What it is.** [`gate::gate`] runs the binary and the kernel through every measurement and gives names and
//! numbers; [`gate::soak`] does the same for the long run, [`sandbox::sandbox`] for the secure runtime. Each measurement is a function that can be read in a
//! minute: [`program`] starts the binary and asks the system what it used, [`kernel`] drives a dispatcher in this very
//! process under an allocator that counts, [`house`] is the place and the provider that the binary is given.
//!
//! **What is not here.** No bound: those stand in docs/SPEC.md. No comparison with other programs but those that
//! nearly every machine has, as a yardstick for its speed; the rest is in `benchmarks/peers`. Nothing here is shipped.
//!
//! **Invariants** (tests cite them):
//!
//! - B1: the allocator counts what the measuring thread allocates between begin and end, and nothing else.
//! - B2: a number that could not be measured is an error that says why; it is never left out and never made up.

pub mod gate;
pub mod heap;
pub mod house;
pub mod kernel;
pub mod program;
pub mod sandbox;

use std::fmt;

/// Why a number could not be measured.
#[derive(Debug)]
pub struct Unmeasured(String);

impl Unmeasured {
    /// With a sentence that names what failed.
    #[must_use]
    pub fn new(what: impl fmt::Display) -> Unmeasured {
        Unmeasured(what.to_string())
    }
}

impl fmt::Display for Unmeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unmeasured {}
