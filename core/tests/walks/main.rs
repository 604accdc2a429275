//! Seeded random walks: any facts in any order, and what holds of every task and every dispatcher nevertheless.
//!
//! `SEED=n WALK_STEPS=1 cargo test -p aether-core --test walks` replays one walk; `WALK_STEPS` says how many facts there
//! are in all.

#[cfg(test)]
mod algebra;
#[cfg(test)]
mod dispatcher;
#[cfg(test)]
mod random;
#[cfg(test)]
mod setting;
#[cfg(test)]
mod task;
#[cfg(test)]
mod watch;
