//! The command line of AetherCore.
fn main() {}
