//! Wet: carries out one untrusted call: jail, network, limits, output.
//!
//! An [`Executor`] turns a call that was authorised elsewhere into processes in a jail, lets them reach the hosts that
//! the call was granted through the egress broker, and brings back what they wrote. The same executor serves a process
//! that runs agents by itself and the sidecar that serves one.
//!
//! What is not here: the decision whether a call may run, proofs of it, the jail's mechanics, DNS and TLS, the audit
//! log (whoever watches gets every [`Fact`]).
//!
//! Invariants, cited by the tests:
//!
//! - **E1** nothing runs but in a jail, and nothing that ran outlives its call, but for the session it belongs to.
//! - **E2** a call sees the places of its capability and the machine's own programs, and nothing else.
//! - **E3** every output is bounded in memory, whatever a program writes.
//! - **E4** whoever stops waiting for a call stops the call.
//! - **E5** a session keeps the rights it was started with; a call with other rights never gets into it.
#![forbid(unsafe_code)]

mod bundle;
mod capture;
mod error;
mod executor;
mod pipes;
mod plan;
mod session;
mod watch;

pub use capture::plain;
pub use error::ExecutorError;
pub use executor::{Call, Executor, Finished, Job, Options, Piece, Pieces, Reach, Source};
pub use plan::{PATH, environment, plan, system};
pub use watch::{Fact, Watcher};
