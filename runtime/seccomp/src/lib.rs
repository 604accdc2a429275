//! Dry: system call filters, from rules to the programs that the kernel runs for every call.
//!
//! **What it is.** A [`Filter`] is a table: for each system call number of one [`Arch`] a [`Rule`] that looks at
//! arguments and gives an [`Action`]. [`Filter::program`] turns it into classic BPF: a binary search over ranges of
//! numbers with the checks of arguments at its leaves. A [`Policy`] is a filter with a purpose: a native tool, the
//! first process of a jail, a worker that only computes, the broker.
//!
//! **What is not here.** No system call is made and nothing is installed; no memory of a caller is looked at, so what
//! stands behind a pointer is never judged; no list is read from a file.
//!
//! **Invariants**, cited by the tests that hold them:
//!
//! - **S1** A program decides every call as [`Filter::decide`] does.
//! - **S2** A call of another architecture, or of x32, kills the process.
//! - **S3** A call that the table does not know never passes.
//! - **S4** An `int` argument is judged by its low half alone, as the kernel reads it.
//! - **S5** A program has at most [`INSTRUCTIONS_MAX`] instructions and only jumps forward.
#![forbid(unsafe_code)]

mod filter;
mod policy;
mod program;
mod syscall;
mod table;
mod tool;

pub use filter::{Action, Check, Clause, Filter, FilterError, NUMBER_MAX, Rule, Test, Width};
pub use policy::Policy;
pub use program::{INSTRUCTIONS_MAX, Instruction};
pub use syscall::{Arch, syscall_name, syscall_number};
pub use tool::{Breach, Code, Internet, Namespaces, Tool, Unix};
