//! `aether chat`: a conversation, one task a message, kept in a session.

mod journal;
mod slash;
mod voice;

use std::collections::VecDeque;
use std::sync::Arc;

use aether_core::dispatcher::Capacity;
use aether_core::event::Event;
use aether_core::facts::{Outcome, Surprise};
use aether_core::governor::{Governors, Spending};
use aether_core::label::{Label, Origin};
use aether_core::policy::Asker;
use aether_core::spec::{Frame, Message, Spec};
use aether_core::tool::Grant;
use aether_core::transcript::{Entry, Image};
use aether_core::words::TaskId;
use aether_driver::{Driver, Signal, Signals, Told};
use aether_session::{SessionStore, private};
use aether_terminal::{Editor, EditorOptions, Lines, Printer, Stream, Style, Tty, Typed, is_terminal};
use serde_json::json;
use tokio::sync::Notify;

use crate::approval::{AtTerminal, Mode};
use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::house::House;
use crate::run::{SHUTDOWN_MS_MAX, exit_of, runtime};
use crate::setup::{Setup, seed};
use crate::show::{Show, unix_ms, write_out};
use crate::trouble::{Exit, Trouble};

use self::journal::Journal;
use self::voice::Voice;

/// Flags of `aether chat` alone.
pub(crate) const FLAGS: &[Flag] = &[
    Flag {
        long: "resume",
        short: None,
        value: Some("ID"),
        key: None,
        doc: "Go on with a session; the beginning of its name, or `last`, will do",
    },
    Flag { long: "continue", short: Some('c'), value: None, key: None, doc: "Go on with the last session" },
    Flag { long: "no-save", short: None, value: None, key: None, doc: "Write neither a session nor a history" },
    Flag { long: "json", short: None, value: None, key: None, doc: "Everything that happens as JSON lines" },
];

/// Names of the codecs that a session's turns may carry.
const CODECS: &[&str] = &[
    "anthropic",
    "gemini",
    "ollama",
    "openai_chat",
    "openai_responses",
    aether_offline::CODEC,
    aether_offline::SCRIPT_CODEC,
];

/// The most messages that wait for their turn.
const WAITING_MAX: usize = 16;

/// Runs it.
pub(crate) fn run(invocation: &Invocation) -> Result<Exit, Trouble> {
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let invocation = Invocation {
            command: invocation.command,
            flags: invocation.flags.clone(),
            operands: invocation.operands.clone(),
        };
        let mut chat = Chat::open(invocation)?;
        chat.driver.world().secure().start().await?;
        let ended = chat.converse().await;
        chat.close().await;
        ended
    });
    // A tool that did not stop in time holds a thread, and must not hold the process.
    runtime.shutdown_background();
    ended
}

/// A conversation.
struct Chat {
    boot: Boot,
    invocation: Invocation,
    ear: Ear,
    voice: Voice,
    signals: Signals,
    driver: Driver<House>,
    plan: Plan,
    journal: Journal,
    /// What was said so far, as the model is shown it.
    history: Vec<Entry>,
    next: Next,
    course: Course,
}

/// What every task of the conversation is made of.
struct Plan {
    frame: Arc<Frame>,
    grant: Grant,
    governors: Governors,
    models: Vec<String>,
    workspace: String,
}

/// What waits for the next task.
#[derive(Default)]
struct Next {
    messages: VecDeque<String>,
    images: Vec<Image>,
}

/// How the conversation goes.
struct Course {
    spending: Spending,
    /// How the last task ended.
    exit: Exit,
    /// The name of its trace.
    trace: Option<String>,
    /// The person pressed Ctrl-C on an empty line.
    is_warned: bool,
    is_leaving: bool,
    /// The process was told to end.
    is_terminated: bool,
}

/// Where messages come from.
struct Ear {
    source: Source,
    wake: Arc<Notify>,
}

enum Source {
    /// A person, who may speak at any time.
    Person(Editor),
    /// A program: one line after the other.
    Program(Lines),
}

impl Chat {
    fn open(invocation: Invocation) -> Result<Chat, Trouble> {
        let mut boot = Boot::new(&invocation)?;
        let signals = Signals::new().map_err(Trouble::failed)?;
        let is_saved = !invocation.has("no-save");
        let store = is_saved.then(|| SessionStore::new(boot.directories.sessions(), CODECS));
        // What is wrong with the command line is said before the terminal is taken over.
        let (plan, house) = plan(&boot, &invocation, None)?;
        let resumed = match (&store, wanted(&invocation)) {
            (_, None) => None,
            (None, Some(_)) => return Err(Trouble::usage("--no-save and --resume exclude each other; leave one out")),
            (Some(store), Some(id)) => Some(Journal::resume(store.clone(), id)?),
        };
        let ear = ear(&boot, &invocation)?;
        let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Error);
        let voice = Voice::new(ear.printer(), style);
        boot.notices.drain(..).for_each(|notice| voice.note(&notice));
        let (journal, history) = match resumed {
            Some(resumed) => {
                resumed.notes(&plan.workspace).iter().for_each(|note| voice.note(note));
                voice.recall(&resumed.entries);
                (resumed.journal, resumed.entries)
            }
            None => (Journal::new(store, plan.workspace.clone()), Vec::new()),
        };
        let mut chat = Chat {
            driver: Driver::new(Capacity { tasks_max: 64, tenant_tasks_max: 64 }, house),
            boot,
            invocation,
            ear,
            voice,
            signals,
            plan,
            journal,
            history,
            next: Next::default(),
            course: Course {
                spending: Spending::default(),
                exit: Exit::Done,
                trace: None,
                is_warned: false,
                is_leaving: false,
                is_terminated: false,
            },
        };
        if chat.ear.is_live() {
            // Only now is there somebody to leave the terminal to a question.
            chat.fit()?;
            chat.voice.aside(&format!("{} · /help lists commands", chat.plan.models.join(", ")));
        }
        Ok(chat)
    }

    /// Makes plan and house anew, from the configuration and the flags as they are now.
    fn fit(&mut self) -> Result<(), Trouble> {
        let mut boot = Boot::new(&self.invocation)?;
        boot.notices.clear();
        let (plan, house) = plan(&boot, &self.invocation, self.ear.printer())?;
        self.boot = boot;
        self.plan = plan;
        *self.driver.world() = house;
        Ok(())
    }

    /// Message by message, until there are no more.
    async fn converse(&mut self) -> Result<Exit, Trouble> {
        while !self.course.is_leaving {
            let message = match self.next.messages.pop_front() {
                Some(message) => message,
                None => match self.listen().await {
                    Some(message) => message,
                    None => continue,
                },
            };
            self.answer(message).await?;
        }
        Ok(match (self.course.is_terminated, self.ear.is_live()) {
            (true, _) => Exit::Interrupted,
            // A person has read how each answer ended, and left because they wanted to.
            (false, true) => Exit::Done,
            (false, false) => self.course.exit,
        })
    }

    /// What is said next, if it is for the model.
    async fn listen(&mut self) -> Option<String> {
        let typed = tokio::select! {
            biased;
            signal = self.signals.next() => {
                if self.is_final(signal) {
                    return None;
                }
                Typed::Interrupted
            }
            typed = self.ear.next() => typed,
        };
        let was_warned = std::mem::take(&mut self.course.is_warned);
        match typed {
            Typed::Line(line) if line.trim().is_empty() => None,
            Typed::Line(line) if line.starts_with('/') => {
                self.command(&line);
                None
            }
            Typed::Line(line) => Some(line),
            Typed::Refused(why) => {
                self.voice.trouble(&why);
                if !self.ear.is_live() {
                    self.course.exit = Exit::Usage;
                }
                None
            }
            Typed::Interrupted => {
                self.course.is_leaving = was_warned;
                self.course.is_warned = true;
                if !was_warned {
                    self.voice.aside("press Ctrl-C again, or Ctrl-D, to leave");
                }
                None
            }
            Typed::End | Typed::Stopped => {
                self.course.is_leaving = true;
                None
            }
        }
    }

    /// Whether a signal ends the conversation, and not just an answer; it does where nobody can type any more.
    fn is_final(&mut self, signal: Signal) -> bool {
        let is_final = signal == Signal::Terminate || !self.ear.is_live();
        self.course.is_terminated |= is_final;
        self.course.is_leaving |= is_final;
        is_final
    }

    /// Has one task answer one message.
    async fn answer(&mut self, text: String) -> Result<(), Trouble> {
        let message = Message {
            text: text.into(),
            images: std::mem::take(&mut self.next.images),
            label: Label::from(Origin::Person),
        };
        // Before the model is asked, so that a kill loses nothing that was typed.
        self.history.push(message.clone().into_entry());
        self.keep_history();
        self.history.pop();
        let mut show = Show::new(&self.boot, &self.invocation, &self.plan.models)?.above(self.ear.printer());
        self.course.trace = show.trace_name().map(str::to_owned);
        let spec = Spec {
            frame: self.plan.frame.clone(),
            history: std::mem::take(&mut self.history),
            goal: message,
            grant: self.plan.grant.clone(),
            governors: self.plan.governors.clone(),
            asker: Asker::Terminal,
            depth: 0,
            tenant: 0,
            seed: seed(),
        };
        let root = self.driver.spawn(spec).map_err(Trouble::failed)?;
        show.begin(root);
        let outcome = self.follow(&mut show).await?;
        show.export(&self.boot).await;
        show.end(&outcome)?;
        if show.is_unheard() {
            self.course.is_leaving = true;
        }
        self.course.spending = self.course.spending.plus(outcome.spending);
        self.course.exit = exit_of(&outcome.verdict);
        self.history = outcome.entries;
        self.keep_history();
        Ok(())
    }

    /// Runs the loop until the task is over.
    async fn follow(&mut self, show: &mut Show) -> Result<Outcome, Trouble> {
        let mut outcome = None;
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => {
                    self.is_final(signal);
                    self.interrupt(show.root());
                }
                typed = self.ear.next(), if self.ear.is_live() && !self.course.is_leaving => {
                    self.meanwhile(show.root(), typed);
                }
                told = self.driver.next() => match told {
                    Some((task, told)) => {
                        if let (Told::Noted(Event::Asked { .. }), true) = (&told, task == show.root()) {
                            self.keep_so_far(task);
                        }
                        let parent = self.driver.dispatcher().parent(task).map(|(parent, _)| parent);
                        match show.tell(task, parent, told) {
                            Ok(Some(ended)) => outcome = Some(ended),
                            Ok(None) => {}
                            // What is said reaches nobody: there is nothing left to do.
                            Err(_) => {
                                self.course.is_leaving = true;
                                self.interrupt(show.root());
                            }
                        }
                    }
                    None => return outcome.ok_or_else(|| Trouble::failed("the task ended without a verdict")),
                },
            }
        }
    }

    /// The person does something while the task works.
    fn meanwhile(&mut self, task: TaskId, typed: Typed) {
        match typed {
            Typed::Line(line) if line.trim().is_empty() => {}
            Typed::Line(line) if line.starts_with('/') => {
                self.command(&line);
                if self.course.is_leaving {
                    self.interrupt(task);
                }
            }
            Typed::Line(line) => self.steer(task, line),
            Typed::Refused(why) => self.voice.trouble(&why),
            Typed::Interrupted => self.interrupt(task),
            Typed::End | Typed::Stopped => {
                self.course.is_leaving = true;
                self.interrupt(task);
            }
        }
    }

    /// Says something to the task on its way; where it is too late for that, it is the next message.
    fn steer(&mut self, task: TaskId, line: String) {
        match self.driver.steer(task, Message::typed(line.as_str())) {
            Ok(()) => self.voice.aside("steering: taken in at the next step"),
            Err(Surprise::Full) => {
                self.voice.trouble(&format!("not taken: {}; wait for the next step", Surprise::Full))
            }
            Err(_) if self.next.messages.len() == WAITING_MAX => {
                self.voice.trouble(&format!("not taken: {WAITING_MAX} messages wait already"));
            }
            Err(_) => {
                self.voice.aside("comes next, after this answer");
                self.next.messages.push_back(line);
            }
        }
    }

    fn interrupt(&mut self, task: TaskId) {
        self.next.messages.clear();
        // A task that is over already needs no interrupt.
        let _taken = self.driver.interrupt(task);
    }

    /// Writes down what of the running task is settled already.
    fn keep_so_far(&mut self, task: TaskId) {
        let Some(question) = self.driver.dispatcher().task(task).and_then(|task| task.question()) else { return };
        // A note at the end may be the kernel's question for a summary, which is taken back with the answer.
        let end =
            question.entries.iter().rposition(|entry| !matches!(entry, Entry::Note { .. })).map_or(0, |at| at + 1);
        let kept = self.journal.keep(&question.entries[..end], unix_ms());
        self.kept(kept);
    }

    fn keep_history(&mut self) {
        let kept = self.journal.keep(&self.history, unix_ms());
        self.kept(kept);
    }

    /// Says what could not be kept, once.
    fn kept(&mut self, kept: Result<(), Option<String>>) {
        match kept {
            Ok(()) => {
                if let Some(id) = self.journal.begun().filter(|_| self.invocation.has("json")) {
                    // That nobody reads standard output shows with the next event.
                    let _written = write_out(&format!("{}\n", json!({"event": "session", "id": id})));
                }
            }
            Err(Some(why)) => self.voice.trouble(&format!("not saved yet: {why}")),
            Err(None) => {}
        }
    }

    /// Ends what is still under way.
    async fn close(self) {
        let Chat { ear, voice, journal, mut driver, mut signals, .. } = self;
        if let (Some(id), true) = (journal.id(), ear.is_live()) {
            voice.aside(&format!("aether chat --resume {id}"));
        }
        drop(ear);
        let secure = driver.world().secure();
        tokio::select! {
            _ = signals.next() => {}
            _ = driver.shutdown(SHUTDOWN_MS_MAX, |_, _| {}) => {}
        }
        secure.stop().await;
    }
}

/// The session that flags ask for.
fn wanted(invocation: &Invocation) -> Option<&str> {
    invocation.value("resume").or_else(|| invocation.has("continue").then_some("last"))
}

fn plan(boot: &Boot, invocation: &Invocation, printer: Option<Printer>) -> Result<(Plan, House), Trouble> {
    let mode = if invocation.has("yes") { Mode::Yes } else { Mode::Terminal };
    let person = AtTerminal::new(mode).beside(printer);
    let setup = Setup::new(boot, invocation, None, Box::new(person))?;
    let Setup { frame, house, grant, governors, models, workspace } = setup;
    let workspace = workspace.to_string_lossy().into_owned();
    Ok((Plan { frame, grant, governors, models, workspace }, house))
}

/// A person at a terminal, or lines of standard input.
fn ear(boot: &Boot, invocation: &Invocation) -> Result<Ear, Trouble> {
    let wake = Arc::new(Notify::new());
    let for_thread = Arc::clone(&wake);
    let waker = Box::new(move || for_thread.notify_one());
    let is_live = is_terminal(Stream::Input) && is_terminal(Stream::Output) && !invocation.has("json");
    let source = match is_live.then(Tty::open) {
        Some(Ok(tty)) => {
            let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Output);
            let directory = &boot.directories.data;
            let is_kept = !invocation.has("no-save") && private::make_directory(directory).is_ok();
            let options = EditorOptions {
                prompt: style.cyan("> "),
                history: is_kept.then(|| directory.join("history")),
                completions: slash::names(),
                waker,
            };
            Source::Person(Editor::start(tty, options).map_err(Trouble::failed)?)
        }
        _ => Source::Program(Lines::start(waker).map_err(Trouble::failed)?),
    };
    Ok(Ear { source, wake })
}

impl Ear {
    /// What comes next. May be dropped while it waits.
    async fn next(&self) -> Typed {
        loop {
            let typed = match &self.source {
                Source::Person(editor) => editor.next(),
                Source::Program(lines) => lines.next(),
            };
            match typed {
                Some(typed) => return typed,
                None => self.wake.notified().await,
            }
        }
    }

    /// Whether a person may speak at any time.
    fn is_live(&self) -> bool {
        matches!(self.source, Source::Person(_))
    }

    fn printer(&self) -> Option<Printer> {
        match &self.source {
            Source::Person(editor) => Some(editor.printer()),
            Source::Program(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_can_be_found_again_in_a_session() {
        for preset in aether_provider::presets() {
            assert!(CODECS.contains(&preset.codec().name()), "{}", preset.name);
        }
    }
}
