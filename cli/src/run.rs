//! `aether run`: one goal, one task, one answer.

use std::io::{IsTerminal, Read};
use std::sync::Arc;

use aether_core::dispatcher::Capacity;
use aether_core::facts::{Outcome, Verdict};
use aether_core::label::{Label, Origin};
use aether_core::spec::Message;
use aether_core::transcript::Image;
use aether_driver::{Driver, Signals};
use tokio::runtime::Runtime;

use crate::approval::{AtTerminal, Mode};
use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::house::House;
use crate::setup::Setup;
use crate::show::{self, Show};
use crate::tools::run_tool;
use crate::trouble::{Exit, Trouble};

/// Flags of `aether run` alone.
pub(crate) const FLAGS: &[Flag] = &[
    Flag { long: "file", short: Some('f'), value: Some("FILE"), key: None, doc: "Read the goal from a file" },
    Flag {
        long: "image",
        short: None,
        value: Some("FILE"),
        key: None,
        doc: "Show the model an image (PNG, JPEG, GIF, WebP)",
    },
    Flag {
        long: "schema",
        short: None,
        value: Some("FILE"),
        key: None,
        doc: "The answer must satisfy this JSON Schema",
    },
    Flag { long: "json", short: None, value: None, key: None, doc: "Everything that happens as JSON lines" },
    Flag { long: "tool", short: None, value: Some("NAME"), key: None, doc: "Run one tool instead of a task" },
    Flag { long: "input", short: None, value: Some("JSON"), key: None, doc: "The input of --tool" },
];

/// The most bytes of a goal, from wherever it comes.
const GOAL_BYTES_MAX: u64 = 16 << 20;
/// The most bytes of one image.
const IMAGE_BYTES_MAX: u64 = 20 << 20;
/// How long what is under way may take to end after the first Ctrl-C, in milliseconds.
pub(crate) const SHUTDOWN_MS_MAX: u64 = 3_000;

/// Runs it.
pub(crate) fn run(invocation: &Invocation) -> Result<Exit, Trouble> {
    if let Some(name) = invocation.value("tool") {
        return run_tool(invocation, name, invocation.value("input").unwrap_or("{}"));
    }
    let boot = Boot::new(invocation)?;
    let message =
        Message { text: goal(invocation)?.into(), images: images(invocation)?, label: Label::from(Origin::Person) };
    let schema = invocation.value("schema").map(schema).transpose()?;
    let mode = if invocation.has("yes") { Mode::Yes } else { Mode::Terminal };
    let setup = Setup::new(&boot, invocation, schema, Box::new(AtTerminal::new(mode)))?;
    let mut show = Show::new(&boot, invocation, &setup.models)?;
    let spec = setup.spec(Vec::new(), message);
    let runtime = runtime()?;
    let secure = setup.house.secure();
    if invocation.has("json") {
        secure.tap(Arc::new(show::tool_output));
    }
    let outcome = runtime.block_on(async {
        secure.start().await?;
        let mut driver = Driver::new(Capacity { tasks_max: 64, tenant_tasks_max: 64 }, setup.house);
        let root = driver.spawn(spec).map_err(Trouble::failed)?;
        show.begin(root);
        let outcome = drive(&mut driver, &mut show).await;
        end(driver, &show).await?;
        secure.stop().await;
        show.export(&boot).await;
        outcome
    });
    // A tool that did not stop in time holds a thread, and must not hold the process.
    runtime.shutdown_background();
    let outcome = outcome?;
    show.end(&outcome)?;
    Ok(exit_of(&outcome.verdict))
}

/// A runtime with one thread and, for blocking tools, a few workers that start when they are needed.
pub(crate) fn runtime() -> Result<Runtime, Trouble> {
    #[cfg(unix)]
    raise_descriptors();
    let built =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(16).build();
    built.map_err(|error| Trouble::failed(format!("the event loop cannot start: {error}")))
}

/// Takes as many descriptors as the system allows this process: each agent that waits for a provider over HTTP/1.1 holds one.
#[cfg(unix)]
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that is refused the limit stays, and who runs into it is told by the client.
    let _raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Runs the loop until the task that `show` follows is over. The first signal interrupts it, the second ends the process.
pub(crate) async fn drive(driver: &mut Driver<House>, show: &mut Show) -> Result<Outcome, Trouble> {
    let mut signals = Signals::new().map_err(Trouble::failed)?;
    let mut outcome = None;
    let mut unwritten = None;
    let mut is_interrupted = false;
    loop {
        tokio::select! {
            biased;
            _ = signals.next() => {
                if is_interrupted {
                    std::process::exit(Exit::Interrupted as i32);
                }
                is_interrupted = true;
                // A task that is over already needs no interrupt.
                let _taken = driver.interrupt(show.root());
            }
            told = driver.next() => match told {
                Some((task, told)) => {
                    let parent = driver.dispatcher().parent(task).map(|(parent, _)| parent);
                    match show.tell(task, parent, told) {
                        Ok(Some(ended)) => outcome = Some(ended),
                        Ok(None) => {}
                        // What is said reaches nobody: there is nothing left to do.
                        Err(error) => {
                            unwritten.get_or_insert(error);
                            let _taken = driver.interrupt(show.root());
                        }
                    }
                }
                None => {
                    return match unwritten {
                        // That a reader goes away is no failure.
                        Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                            Err(Trouble::failed(format!("the answer cannot be written: {error}")))
                        }
                        _ => outcome.ok_or_else(|| Trouble::failed("the task ended without a verdict")),
                    };
                }
            },
        }
    }
}

/// Ends what is still under way. A signal meanwhile ends the process.
async fn end(driver: Driver<House>, show: &Show) -> Result<(), Trouble> {
    let mut signals = Signals::new().map_err(Trouble::failed)?;
    let end = tokio::select! {
        _ = signals.next() => std::process::exit(Exit::Interrupted as i32),
        end = driver.shutdown(SHUTDOWN_MS_MAX, |_, _| {}) => end,
    };
    if end.orphans > 0 {
        show.notice(&format!("tool runs that did not stop in time: {}", end.orphans));
    }
    Ok(())
}

/// The exit code of a verdict.
pub(crate) fn exit_of(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Done => Exit::Done,
        Verdict::Length | Verdict::Spent(_) => Exit::Spent,
        Verdict::Refused => Exit::Refused,
        Verdict::Failed(_) => Exit::Failed,
        Verdict::Interrupted => Exit::Interrupted,
    }
}

/// The goal, from the operands, a file or standard input.
fn goal(invocation: &Invocation) -> Result<String, Trouble> {
    let mut parts = Vec::new();
    if let Some(path) = invocation.value("file") {
        parts.push(text(&read(path, GOAL_BYTES_MAX)?, path)?);
    }
    for operand in &invocation.operands {
        parts.push(if operand == "-" { from_stdin()? } else { operand.clone() });
    }
    if parts.is_empty() && !std::io::stdin().is_terminal() {
        parts.push(from_stdin()?);
    }
    let goal = parts.join("\n\n");
    if goal.trim().is_empty() {
        return Err(Trouble::usage(
            "there is no goal; usage: aether run \"GOAL\", aether run --file FILE, or aether run - to read standard input",
        ));
    }
    if goal.len() as u64 > GOAL_BYTES_MAX {
        return Err(Trouble::usage(format!(
            "the goal has {} bytes; at most {GOAL_BYTES_MAX} are taken; put large data in a file and name the file",
            goal.len()
        )));
    }
    Ok(goal)
}

fn from_stdin() -> Result<String, Trouble> {
    let mut bytes = Vec::new();
    let stdin = std::io::stdin();
    stdin
        .lock()
        .take(GOAL_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Trouble::failed(format!("standard input: {error}")))?;
    text(&bytes, "standard input")
}

/// UTF-8 as it is; anything else is a mistake better named than guessed at.
fn text(bytes: &[u8], from: &str) -> Result<String, Trouble> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(Trouble::usage(format!(
            "{from} is not UTF-8 text (byte {}); convert it first",
            error.valid_up_to() + 1
        ))),
    }
}

fn read(path: &str, bytes_max: u64) -> Result<Vec<u8>, Trouble> {
    let wrong = |error: std::io::Error| Trouble::usage(format!("{path}: {error}"));
    let file = std::fs::File::open(path).map_err(wrong)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Trouble::usage(format!("{path} is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn images(invocation: &Invocation) -> Result<Vec<Image>, Trouble> {
    invocation.values("image").map(image).collect()
}

/// Reads an image that the model is to look at.
pub(crate) fn image(path: &str) -> Result<Image, Trouble> {
    let bytes = read(path, IMAGE_BYTES_MAX)?;
    let media_type = match &bytes[..] {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => return Err(Trouble::usage(format!("{path} is no PNG, JPEG, GIF or WebP image"))),
    };
    Ok(Image { media_type: media_type.into(), bytes: Arc::from(bytes) })
}

fn schema(path: &str) -> Result<Arc<str>, Trouble> {
    let text = text(&read(path, GOAL_BYTES_MAX)?, path)?;
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::Object(_)) => Ok(text.into()),
        Ok(_) => Err(Trouble::usage(format!("{path}: a JSON Schema is an object"))),
        Err(error) => Err(Trouble::usage(format!("{path}: {error}"))),
    }
}
