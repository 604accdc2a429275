//! What the executor tells whoever keeps the record.

use std::sync::Arc;

use aether_egress::Decision;
use aether_jail::Breach;

/// Something that belongs in the record.
#[derive(Debug)]
pub enum Fact<'a> {
    /// A program was started in a jail.
    Started {
        /// The tool.
        tool: &'a str,
        /// The program's path inside the jail.
        program: &'a str,
    },
    /// A limit was broken, and everything in the jail was killed.
    Breached {
        /// The tool.
        tool: &'a str,
        /// Which.
        breach: &'a Breach,
    },
    /// It wrote more than it may, and was killed.
    Flooded {
        /// The tool.
        tool: &'a str,
        /// The most bytes it may write.
        bytes_max: u64,
    },
    /// The broker decided about a name, a connection or a secret.
    Network {
        /// The tool.
        tool: &'a str,
        /// What it decided.
        decision: &'a Decision,
    },
    /// Nothing ran, because this machine lacks what the call needs.
    Unavailable {
        /// The tool.
        tool: &'a str,
        /// What is missing, as a sentence.
        why: &'a str,
    },
}

/// Told of every fact, from whichever thread it happens on. What an authority rests on is recorded before the call
/// comes here; a watcher that fails has to keep that to itself.
pub type Watcher = Arc<dyn Fn(&Fact<'_>) + Send + Sync>;
