//! Dry: the kernel of AetherCore.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
extern crate std;
pub mod capability;
pub mod config;
pub mod digest;
pub mod label;
pub mod model;
pub mod policy;
pub mod tool;
pub mod transcript;
pub mod words;
