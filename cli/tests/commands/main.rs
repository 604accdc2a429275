//! The commands around the agent, on the built binary: an empty home, a scripted provider, and a real terminal.
#![cfg(test)]
#![cfg(unix)]

mod completions;
mod config;
mod doctor;
mod home;
mod model;
mod onboard;
mod wizard;
