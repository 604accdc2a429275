//! What the driver needs from the rest of the house.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aether_core::facts::{Answer, ApprovalRequest};
use aether_core::model::{ModelError, ModelEvent, Question};
use aether_core::tool::{Authorized, Output};
use aether_core::words::{TaskId, WishId};
use tokio::sync::mpsc;

/// A future on the heap, so that it weighs what it holds and no more.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Carries out single wishes. None of its methods may block.
pub trait World {
    /// Asks the `model`th model of the task's chain. What comes back goes into `sink`; the future ends after
    /// the sink was given [`ModelEvent::Stop`] or [`ModelEvent::Error`], or with the error that kept it from that.
    fn ask(&mut self, question: &Question<'_>, model: usize, sink: Sink) -> Boxed<Result<(), ModelError>>;

    /// Runs one authorised call of a tool. The job ends early once `stop` is set.
    fn run(&mut self, task: TaskId, authorized: Authorized, stop: Stop) -> Job;

    /// Asks the person. Dropped when the answer is no longer wanted.
    fn approve(&mut self, task: TaskId, request: ApprovalRequest) -> Boxed<Answer>;
}

/// How a tool runs.
pub enum Job {
    /// It is done already.
    Done(Output),
    /// On a worker thread.
    Blocking(Box<dyn FnOnce() -> Output + Send>),
    /// Beside everything else.
    Future(Boxed<Output>),
}

/// Where a model's answer goes, piece by piece.
pub struct Sink {
    pub(crate) facts: mpsc::Sender<Fact>,
    pub(crate) task: TaskId,
    pub(crate) ask: WishId,
}

impl Sink {
    /// Hands on what a piece of the response contained; waits while the driver has too much to do.
    pub async fn send(&self, events: Vec<ModelEvent>) {
        if !events.is_empty() {
            let fact = Fact::Model { task: self.task, ask: self.ask, events };
            // The receiver lives as long as the driver; without one there is nobody left to tell.
            let _sent = self.facts.send(fact).await;
        }
    }
}

/// Tells a running job to end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether it should end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for a room that knows no driver.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What comes back to the driver.
pub(crate) enum Fact {
    Model { task: TaskId, ask: WishId, events: Vec<ModelEvent> },
    Tool { task: TaskId, run: WishId, output: Output },
    Approval { task: TaskId, approval: WishId, answer: Answer },
}
