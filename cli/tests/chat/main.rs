//! `aether chat` from outside: with a person on a real terminal, and with a program on a pipe.
#![cfg(unix)]

#[cfg(test)]
mod conversations;
#[cfg(test)]
mod nest;
#[cfg(test)]
mod person;
