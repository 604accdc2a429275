//! The terminal room from outside.
#![cfg(unix)]

#[cfg(test)]
mod pty;
