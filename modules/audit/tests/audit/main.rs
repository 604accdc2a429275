//! The log on a real file system: what is appended, what is done to it afterwards, and what is found.
#![cfg(test)]
#![cfg(unix)]

mod appending;
mod bad_days;
mod crowd;
mod exported;
mod faults;
mod ground;
