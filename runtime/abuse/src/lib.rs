//! Wet: attacks on the secure runtime, each with a twin that shows it working.
//!
//! An attack is a line of data ([`table`]): what it tries, the manifest it runs under, what must come of it, and
//! the controls that hold it. Three runs make it a proof: *outside*, where it gets through, so that it is a real
//! attack; *inside* the jail of the binary that ships, where exactly the expected thing stops it; and its *twin*,
//! inside with the named controls unplugged, where it gets through again, so that those controls are what holds it.
//!
//! What is not here: the jail, any decision about what is allowed, anything that ships.
//!
//! Invariants, cited by the tests:
//!
//! - **X1** an attack that cannot be told from a failed precondition is a failure of the suite, never a success.
//! - **X2** no attack leaves the machine or harms it where nothing holds it: it runs in its own network, process
//!   and mount namespaces, its arguments bound it, and a dangerous call is made with arguments that the kernel refuses.
//! - **X3** every attack names the controls that hold it, or says why nobody can unplug them.
//! - **X4** the table in `docs/security-attacks.md` is this data.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod page;
pub mod table;

#[cfg(target_os = "linux")]
pub mod net;
#[cfg(target_os = "linux")]
pub mod run;
#[cfg(target_os = "linux")]
pub mod stage;
#[cfg(target_os = "linux")]
pub mod suite;
#[cfg(target_os = "linux")]
pub mod theatre;
#[cfg(target_os = "linux")]
mod without;
