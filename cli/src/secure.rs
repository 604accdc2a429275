//! Untrusted tools: what of them this build and this machine have, and who runs them.
//!
//! In pico mode the executor is part of this process; in kernel mode it is part of the sidecar, which proves every call
//! for itself. Both are the same executor and the same jail.

#[cfg(not(all(feature = "sandbox", target_os = "linux")))]
mod absent;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod kernel;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod own;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(crate) mod record;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(crate) mod settings;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod worker;

#[cfg(not(all(feature = "sandbox", target_os = "linux")))]
pub(crate) use absent::{Secure, hidden};
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(crate) use own::{Secure, hidden};
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(crate) use worker::sentence;

/// The most that a program may use; `None` where none can be run.
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(crate) const LIMITS: Option<aether_core::tool::Limits> = Some(aether_programs::LIMITS);
#[cfg(not(all(feature = "sandbox", target_os = "linux")))]
pub(crate) const LIMITS: Option<aether_core::tool::Limits> = None;

/// From where programs may be executed: the machine's own, and those of the workspace.
pub(crate) const PROGRAMS: &[&str] = &["$system", "$workspace"];

/// Something that a program wrote while it runs.
pub(crate) struct Wrote<'a> {
    /// The task it runs for; `None` for a call that the person typed.
    pub(crate) task: Option<aether_core::words::TaskId>,
    /// The tool.
    pub(crate) tool: &'a str,
    /// `stdout` or `stderr`.
    pub(crate) stream: &'static str,
    /// What was written; may begin and end within a character.
    pub(crate) bytes: &'a [u8],
}

/// Whoever watches programs write.
pub(crate) type Tap = std::sync::Arc<dyn Fn(&Wrote<'_>) + Send + Sync>;

/// Where untrusted tools run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In jails of this process.
    Pico,
    /// In jails of the sidecar.
    Kernel,
}

impl Mode {
    /// As the person chose it.
    pub(crate) fn of(invocation: &crate::args::Invocation) -> Mode {
        if invocation.has(crate::args::KERNEL.long) { Mode::Kernel } else { Mode::Pico }
    }
}

/// Where there is a secure runtime, for messages of builds and systems without.
#[cfg(not(all(feature = "sandbox", target_os = "linux")))]
pub(crate) const ABSENT: &str = if cfg!(target_os = "linux") {
    "this build has no secure runtime; aether-sandbox and the default build have it"
} else {
    "the secure runtime needs Linux; on this system only built-in tools can be used"
};
