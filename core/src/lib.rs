//! Dry: the kernel. Tasks, the gate, budgets, labels, and the interfaces of models and tools.
//!
//! **What it is.** A [`task::Task`] is one ephemeral agent as a pure state machine: facts go in by `handle`,
//! wishes come out by `poll`, and `deadline` says when time has to pass. A [`dispatcher::Dispatcher`] holds
//! many of them. A [`gate::Gate`] is the one place where a tool call becomes [`tool::Authorized`].
//! [`model`] and [`tool`] are the interfaces that rooms implement, [`config`] the rules of configuration.
//!
//! ```text
//! loop {
//!     while let Some((task, effect)) = dispatcher.poll() { /* have the world carry it out */ }
//!     /* wait for a fact, or for dispatcher.deadline() */
//!     dispatcher.handle(now, task, input) or dispatcher.tick(now)
//! }
//! ```
//!
//! **What is not here.** No dependency, no I/O, no clock, no randomness, no thread, no lock, no global, no
//! file format, no provider, no channel, no mode. Time and seeds are arguments.
//!
//! **Invariants**, cited by the tests that hold them:
//!
//! - **K1** Same inputs, same effects.
//! - **K2** Every effect that expects an answer has an id, and is answered at most once.
//! - **K3** Every task ends: each path spends from a finite budget.
//! - **K4** A tool runs only within the task's grant.
//! - **K5** A child's grant, budget and labels never exceed its parent's.
//! - **K6** On `Err` nothing changed.
//! - **K7** No task outlives its deadline by more than one tick.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod batch;
pub mod capability;
pub mod config;
mod deadlines;
pub mod digest;
pub mod dispatcher;
pub mod event;
pub mod facts;
pub mod gate;
pub mod governor;
pub mod label;
pub mod model;
pub mod policy;
pub mod spec;
pub mod task;
pub mod tool;
pub mod transcript;
mod turn;
pub mod words;
