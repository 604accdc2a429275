//! Commands within a conversation: lines that begin with a slash.

use std::path::Path;

use aether_core::config::nearest;
use aether_core::transcript::Entry;
use aether_observe::{Colour, timeline};
use aether_session::private;
use aether_terminal::neutral_line;

use super::voice::text_of;
use super::{Chat, Journal};
use crate::args::Flag;
use crate::run::image;
use crate::tools::decision;
use crate::trace;
use crate::trouble::Trouble;

/// The most sessions that are listed.
const SESSIONS_MAX: usize = 20;

/// One command.
struct Slash {
    /// With its slash.
    name: &'static str,
    /// What follows it.
    operand: &'static str,
    summary: &'static str,
    when: When,
    run: fn(&mut Chat, &str) -> Result<String, Trouble>,
}

/// When a command makes sense.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Not while a task works.
    Between,
}

const COMMANDS: &[Slash] = &[
    Slash { name: "/help", operand: "", summary: "List these commands", when: When::Always, run: help },
    Slash { name: "/exit", operand: "", summary: "Leave (Ctrl-D does too)", when: When::Always, run: exit },
    Slash { name: "/new", operand: "", summary: "Begin a new session", when: When::Between, run: begin_anew },
    Slash { name: "/sessions", operand: "", summary: "List the latest sessions", when: When::Always, run: sessions },
    Slash { name: "/resume", operand: "ID", summary: "Go on with a session", when: When::Between, run: resume },
    Slash { name: "/model", operand: "[NAME]", summary: "Say or choose the model", when: When::Between, run: model },
    Slash {
        name: "/tools",
        operand: "",
        summary: "List the tools and what policy says",
        when: When::Always,
        run: tools,
    },
    Slash { name: "/allow", operand: "ACT", summary: "Do not ask before this act", when: When::Between, run: allow },
    Slash { name: "/deny", operand: "ACT|TOOL", summary: "Refuse this act or tool", when: When::Between, run: deny },
    Slash {
        name: "/image",
        operand: "FILE",
        summary: "Show an image with the next message",
        when: When::Always,
        run: show_image,
    },
    Slash {
        name: "/save",
        operand: "FILE",
        summary: "Write the conversation as Markdown",
        when: When::Between,
        run: save,
    },
    Slash { name: "/usage", operand: "", summary: "What was used so far", when: When::Always, run: usage },
    Slash {
        name: "/trace",
        operand: "",
        summary: "What the last task did, and when",
        when: When::Between,
        run: show_trace,
    },
];

/// The names, for completion.
pub(super) fn names() -> Vec<String> {
    COMMANDS.iter().map(|command| command.name.to_owned()).collect()
}

impl Chat {
    /// Runs a line that begins with a slash.
    pub(super) fn command(&mut self, line: &str) {
        let (name, operand) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        let done = match COMMANDS.iter().find(|command| command.name == name) {
            Some(command) if command.when == When::Between && self.driver.counters().alive > 0 => {
                Err(Trouble::usage(format!("{name} has to wait for the answer; Ctrl-C stops it")))
            }
            Some(command) => (command.run)(self, operand.trim()),
            None => Err(unknown(name)),
        };
        match done {
            Ok(text) if text.is_empty() => {}
            Ok(text) => self.voice.say(&text),
            Err(trouble) => self.voice.trouble(&trouble.to_string()),
        }
    }

    /// Runs on with other flags; on `Err` nothing has changed.
    fn with_flags(&mut self, change: impl FnOnce(&mut Vec<(&'static Flag, String)>)) -> Result<(), Trouble> {
        let before = self.invocation.flags.clone();
        change(&mut self.invocation.flags);
        let fitted = self.fit();
        if fitted.is_err() {
            self.invocation.flags = before;
        }
        fitted
    }

    fn flag(&self, long: &str) -> Result<&'static Flag, Trouble> {
        let found = self.invocation.command.all_flags().find(|flag| flag.long == long);
        found.ok_or_else(|| Trouble::failed(format!("this command has no flag --{long}")))
    }
}

fn unknown(name: &str) -> Trouble {
    let hint = match nearest(name, COMMANDS.iter().map(|command| command.name)) {
        Some(near) => format!("did you mean {near}?"),
        None => "/help lists the known ones".to_owned(),
    };
    Trouble::usage(format!("unknown command {name}; {hint} (a blank before the slash makes it a message)"))
}

fn help(_: &mut Chat, _: &str) -> Result<String, Trouble> {
    let mut text = String::new();
    for command in COMMANDS {
        let usage = format!("{} {}", command.name, command.operand);
        text.push_str(&format!("  {usage:<18} {}\n", command.summary));
    }
    text.push_str(
        "While a task works, a line steers it and Ctrl-C stops it. Alt-Enter breaks a line, Ctrl-R searches earlier \
         ones, and a line that begins with a blank is not remembered.",
    );
    Ok(text)
}

fn exit(chat: &mut Chat, _: &str) -> Result<String, Trouble> {
    chat.course.is_leaving = true;
    Ok(String::new())
}

fn begin_anew(chat: &mut Chat, _: &str) -> Result<String, Trouble> {
    chat.journal.begin_anew();
    chat.history.clear();
    Ok("a new session begins with the next message".to_owned())
}

fn sessions(chat: &mut Chat, _: &str) -> Result<String, Trouble> {
    let store = chat.journal.store().ok_or_else(unsaved)?;
    let list = store.list(SESSIONS_MAX).map_err(Trouble::failed)?;
    if list.is_empty() {
        return Ok("there are no sessions yet".to_owned());
    }
    let mark = |id: &str| if chat.journal.id() == Some(id) { "*" } else { " " };
    let row = |one: &aether_session::Summary| {
        format!("{} {:<24} {:>4} messages  {}", mark(&one.id), one.id, one.turns, neutral_line(&one.title))
    };
    Ok(list.iter().map(row).collect::<Vec<_>>().join("\n"))
}

fn unsaved() -> Trouble {
    Trouble::usage("this conversation is not saved (--no-save), so there are no sessions; start without the flag")
}

fn resume(chat: &mut Chat, operand: &str) -> Result<String, Trouble> {
    if operand.is_empty() {
        return Err(Trouble::usage("/resume needs a session's name; /sessions lists them, and `last` is the newest"));
    }
    let store = chat.journal.store().ok_or_else(unsaved)?.clone();
    let newest = if operand == "last" { store.latest().map_err(Trouble::failed)? } else { None };
    let id = newest.map_or_else(|| store.find(operand), Ok).map_err(Trouble::usage)?;
    if chat.journal.id() == Some(&id) {
        return Ok("this is that session".to_owned());
    }
    let resumed = Journal::resume(store, &id)?;
    resumed.notes(&chat.plan.workspace).iter().for_each(|note| chat.voice.note(note));
    chat.voice.recall(&resumed.entries);
    chat.journal = resumed.journal;
    chat.history = resumed.entries;
    Ok(format!("this is session {} now", chat.journal.id().unwrap_or_default()))
}

fn model(chat: &mut Chat, operand: &str) -> Result<String, Trouble> {
    if !operand.is_empty() {
        let flag = chat.flag("model")?;
        chat.with_flags(|flags| {
            flags.retain(|(known, _)| known.long != flag.long);
            flags.push((flag, operand.to_owned()));
        })?;
    }
    Ok(chat.plan.models.join(", then "))
}

fn tools(chat: &mut Chat, _: &str) -> Result<String, Trouble> {
    let frame = &chat.plan.frame;
    let row = |tool: &std::sync::Arc<aether_core::tool::Manifest>| {
        let granted = chat.plan.grant.has_tool(&tool.name);
        let says = if granted { decision(tool, &frame.policy).name() } else { "deny" };
        let first = tool.description.split(". ").next().unwrap_or_default().trim_end_matches('.');
        format!("  {:<12} {says:<6} {first}", tool.name)
    };
    Ok(frame.toolbox.manifests().iter().map(row).collect::<Vec<_>>().join("\n"))
}

fn allow(chat: &mut Chat, operand: &str) -> Result<String, Trouble> {
    rule(chat, "allow", operand)
}

fn deny(chat: &mut Chat, operand: &str) -> Result<String, Trouble> {
    rule(chat, "deny", operand)
}

/// As the flag of that name; the later word counts where two contradict each other.
fn rule(chat: &mut Chat, long: &str, operand: &str) -> Result<String, Trouble> {
    if operand.is_empty() {
        return Err(Trouble::usage(format!("/{long} needs an act, such as write or net; /tools shows what holds")));
    }
    let flag = chat.flag(long)?;
    chat.with_flags(|flags| {
        flags.retain(|(known, word)| !(matches!(known.long, "allow" | "deny") && word == operand));
        flags.push((flag, operand.to_owned()));
    })?;
    tools(chat, "")
}

fn show_image(chat: &mut Chat, operand: &str) -> Result<String, Trouble> {
    if operand.is_empty() {
        return Err(Trouble::usage("/image needs a file (PNG, JPEG, GIF or WebP)"));
    }
    chat.next.images.push(image(operand)?);
    Ok(format!("{} goes with the next message", neutral_line(operand)))
}

fn save(chat: &mut Chat, operand: &str) -> Result<String, Trouble> {
    if operand.is_empty() {
        return Err(Trouble::usage("/save needs the name of a new file, such as conversation.md"));
    }
    let path = Path::new(operand);
    if path.exists() {
        return Err(Trouble::usage(format!("{operand} exists already; name a new file")));
    }
    let text = markdown(&chat.history);
    private::write(path, text.as_bytes()).map_err(Trouble::failed)?;
    Ok(format!("{} bytes were written to {}", text.len(), neutral_line(operand)))
}

fn markdown(entries: &[Entry]) -> String {
    let mut text = String::from("# Conversation\n");
    for entry in entries {
        match entry {
            Entry::Person { text: said, images, .. } => {
                text.push_str(&format!("\n## Person\n\n{said}\n"));
                images.iter().for_each(|image| text.push_str(&format!("\n(an image: {})\n", image.media_type)));
            }
            Entry::Model { parts, .. } => {
                let said = text_of(parts);
                if !said.is_empty() {
                    text.push_str(&format!("\n## Model\n\n{said}\n"));
                }
            }
            Entry::Tool(tool) => text.push_str(&format!("\n- tool {}: {}\n", tool.name, tool.outcome)),
            Entry::Note { text: note, .. } => text.push_str(&format!("\n> {}\n", note.replace('\n', "\n> "))),
        }
    }
    text
}

fn usage(chat: &mut Chat, _: &str) -> Result<String, Trouble> {
    let spent = &chat.course.spending;
    let cost = spent.cost_micro_usd();
    Ok(format!(
        "{} model calls, {} tool calls\n{} tokens in ({} of them cached), {} tokens out\n{}.{:06} USD, where prices are \
         configured",
        spent.model_calls,
        spent.tool_calls,
        spent.usage.input_tokens,
        spent.usage.cached_tokens,
        spent.usage.output_tokens,
        cost / 1_000_000,
        cost % 1_000_000,
    ))
}

fn show_trace(chat: &mut Chat, _: &str) -> Result<String, Trouble> {
    let name = chat.course.trace.as_deref().ok_or_else(|| {
        Trouble::usage("there is no trace yet; say something first (trace.files_max says how many are kept)")
    })?;
    let lines = trace::store(&chat.boot).read(name).map_err(Trouble::failed)?.join("\n");
    let text = timeline(&lines, aether_terminal::width(), Colour::Ascii);
    Ok(format!("{text}aether trace {name} --html trace.html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_misspelt_gets_the_nearest() {
        assert!(unknown("/modle").to_string().contains("did you mean /model?"));
        assert!(unknown("/xyzzyx").to_string().contains("/help"));
    }

    #[test]
    fn a_conversation_is_written_as_markdown() {
        let label = aether_core::label::Label::default();
        let entries = [
            Entry::Person { text: "hi".into(), images: Vec::new(), label },
            Entry::Model { parts: vec![aether_core::model::Part::Text("hello".into())], codec: "offline" },
        ];
        assert_eq!(markdown(&entries), "# Conversation\n\n## Person\n\nhi\n\n## Model\n\nhello\n");
    }
}
