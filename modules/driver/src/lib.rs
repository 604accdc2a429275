//! Wet: the driver. It carries out what the kernel wishes, on a clock, one loop and a few worker threads.
//!
//! **What it is.** A [`Driver`] owns the dispatcher, the clock and everything that was started for a wish.
//! [`Driver::next`] runs the loop until there is something to tell the person. What a question, a tool run
//! or an approval means is the [`World`]'s affair.
//!
//! **What is not here.** No decision about a task, no socket, no file, no format.
//!
//! **Invariants**
//!
//! - **D1** Whatever was started for a wish is stopped when the wish is cancelled, and joined before
//!   [`Driver::shutdown`] returns.
//! - **D2** Every wait is bounded by the dispatcher's deadline.
//! - **D3** [`Driver::next`] loses nothing when it is dropped half-way.

mod breaker;
mod driver;
mod signals;
mod world;

pub use breaker::{Breaker, BreakerLimits};
pub use driver::{Driver, Shutdown, Told};
pub use signals::{Signal, Signals};
pub use world::{Boxed, Job, Sink, Stop, World};
