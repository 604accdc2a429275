//! Asking the person before a call runs.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aether_core::event::Scope;
use aether_core::facts::{Answer, ApprovalRequest};
use aether_core::gate::Reason;
use aether_core::words::TaskId;
use aether_driver::Boxed;
use aether_terminal::{Printer, Tty, neutral};

use crate::house::Person;

/// What is done when policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The person is asked on the terminal, if there is one.
    Terminal,
    /// The person said yes to everything beforehand (`--yes`).
    Yes,
}

/// The person at the terminal.
pub(crate) struct AtTerminal {
    mode: Mode,
    /// One question at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whoever has the terminal and must leave it to a question.
    printer: Option<Printer>,
}

impl AtTerminal {
    pub(crate) fn new(mode: Mode) -> AtTerminal {
        AtTerminal { mode, turn: Arc::default(), printer: None }
    }

    /// The same, beside a line that is being typed.
    pub(crate) fn beside(mut self, printer: Option<Printer>) -> AtTerminal {
        self.printer = printer;
        self
    }
}

impl Person for AtTerminal {
    fn approve(&mut self, _task: TaskId, request: ApprovalRequest) -> Boxed<Answer> {
        let may_leak = matches!(request.reason, Reason::Sink(_));
        if self.mode == Mode::Yes && !may_leak {
            return Box::pin(std::future::ready(Answer::Yes(Scope::Once)));
        }
        if !std::io::stderr().is_terminal() {
            let why = if may_leak {
                "this could leak private data, and there is no terminal to ask on"
            } else {
                "approval is needed and there is no terminal to ask on; the person can allow it with --allow or --yes"
            };
            return Box::pin(std::future::ready(Answer::No(why.into())));
        }
        let (turn, printer) = (self.turn.clone(), self.printer.clone());
        Box::pin(async move {
            let _turn = turn.lock().await;
            let withdrawn = Withdrawn(Arc::default());
            let stop = withdrawn.0.clone();
            let asked = tokio::task::spawn_blocking(move || {
                let _pause = printer.as_ref().map(Printer::pause);
                ask(&request, &stop)
            });
            asked.await.unwrap_or_else(|_| Answer::No("the terminal could not be read".into()))
        })
    }
}

/// Stops the question on the terminal when nobody waits for its answer any more.
struct Withdrawn(Arc<AtomicBool>);

impl Drop for Withdrawn {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shows the exact call, in full, and reads a key.
fn ask(request: &ApprovalRequest, stop: &AtomicBool) -> Answer {
    let mut tty = match Tty::open() {
        Ok(tty) => tty,
        Err(error) => return Answer::No(format!("there is no terminal to ask on: {error}").into()),
    };
    let is_once = matches!(request.reason, Reason::Sink(_));
    let choices: &[char] = if is_once { &['y', 'n'] } else { &['y', 'n', 'a'] };
    let ways = if is_once { "[y]es once, [n]o" } else { "[y]es once, [n]o, [a]lways in this task" };
    let prompt = format!(
        "\n{} wants to {}\n  {}\n  why asked: {}\n{ways}: ",
        request.tool.name,
        request.acts.to_string().replace('_', " ").replace('+', ", "),
        neutral(&request.call.input),
        request.reason,
    );
    match tty.key(&prompt, choices, stop) {
        Ok(Some('y')) => Answer::Yes(Scope::Once),
        Ok(Some('a')) => Answer::Yes(Scope::Task),
        Ok(Some(_)) => Answer::No("".into()),
        Ok(None) => Answer::No("the question was left unanswered".into()),
        Err(error) => Answer::No(format!("the terminal could not be read: {error}").into()),
    }
}
