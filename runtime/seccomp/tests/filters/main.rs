//! Programs against their tables, against another generator, and against the kernel.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[cfg(target_os = "linux")]
mod kernel;
mod machine;
mod numbers;
#[cfg(target_os = "linux")]
mod oracle;
mod policies;
mod walk;
