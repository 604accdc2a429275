//! The terminal as the operating system gives it.

#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use portable::{Device, Knock, standard_columns};
#[cfg(unix)]
pub(crate) use unix::{Device, Knock, Raw, interrupt_group, standard_columns, suspend_group};

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// There is something to read, or the other side is gone: reading tells.
    Input,
    /// Somebody knocked.
    #[cfg(unix)]
    Knocked,
    /// Time has passed.
    #[cfg(unix)]
    Timeout,
}
