//! `aether sandbox`: the jail alone, for one program, and what a manifest turns into.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aether_core::capability::{Capability, Network, Place};
use aether_core::gate::{Gate, Judgement};
use aether_core::label::Label;
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::tool::{Act, Grant, Limits, Manifest, Needs, ToolCall};
use aether_egress::Secret;
use aether_executor::{Executor, ExecutorError, Finished, Job, Options, Piece, Reach, Source, plan};
use aether_jail::Plan;
use aether_manifest::{PolicyFile, SecretReference, ToolManifest};
use aether_programs::{LIMITS, Line};
use aether_terminal::Neutral;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::policy;
use crate::run::runtime;
use crate::secure::record;
use crate::secure::sentence;
use crate::secure::settings::Settings;
use crate::setup::{whole_grant, workspace};
use crate::show::{eprint, write_out};
use crate::trouble::{Exit, Trouble};

/// Flags of both commands.
pub(crate) const FLAGS: &[Flag] = &[
    Flag {
        long: "manifest",
        short: None,
        value: Some("FILE"),
        key: None,
        doc: "What the program may do; without one: the workspace, no network",
    },
    Flag {
        long: "workspace",
        short: Some('w'),
        value: Some("DIR"),
        key: Some("workspace"),
        doc: "The directory that `$workspace` stands for",
    },
];

/// The name of a run without a manifest.
const UNNAMED: &str = "sandbox";
/// The signal that nobody survives (`signal(7)`).
const SIGKILL: i32 = 9;
/// Pieces of output that wait to be written.
const PIECES_MAX: usize = 16;
/// The most bytes of a manifest.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// One program and what it may do.
struct Case {
    boot: Boot,
    policy: PolicyFile,
    options: Options,
    manifest: Arc<Manifest>,
    secrets: Vec<Secret>,
    capability: Capability,
    limits: Limits,
    plan: Plan,
}

/// `aether sandbox run [--manifest FILE] -- PROGRAM [ARGUMENT…]`.
pub(crate) fn run(invocation: &Invocation) -> Result<Exit, Trouble> {
    let case = Case::read(invocation, &invocation.operands)?;
    case.authorize(&invocation.operands)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(case.run());
    runtime.shutdown_background();
    let finished = match ended {
        Ok(finished) => finished,
        Err(error @ ExecutorError::Input(_)) => return Err(Trouble::usage(sentence(&error))),
        Err(error) => return Err(Trouble::failed(sentence(&error))),
    };
    if let Some(breach) = &finished.breach {
        eprint(&format!("aether: killed: {breach}"));
    }
    // The program's own code; one that was killed is reported as a shell does it: 128 and the signal.
    let code = finished.exit_code.unwrap_or_else(|| 128 + finished.signal.unwrap_or(SIGKILL));
    if code == 0 { Ok(Exit::Done) } else { std::process::exit(code) }
}

/// `aether sandbox explain [--manifest FILE] [-- PROGRAM [ARGUMENT…]]`.
pub(crate) fn explain(invocation: &Invocation) -> Result<Exit, Trouble> {
    let words = if invocation.operands.is_empty() { vec!["true".to_owned()] } else { invocation.operands.clone() };
    let case = Case::read(invocation, &words)?;
    write_out(&format!("{}\n", case.plan.to_string().trim_end())).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

impl Case {
    fn read(invocation: &Invocation, words: &[String]) -> Result<Case, Trouble> {
        let Some((program, args)) = words.split_first() else {
            return Err(Trouble::usage(
                "there is no program; usage: aether sandbox run [--manifest FILE] -- PROGRAM [ARGUMENT…]",
            ));
        };
        let boot = Boot::new(invocation)?;
        let workspace = workspace(&boot)?;
        let policy = policy::load(&boot.directories)?;
        let declared = invocation.value("manifest").map(declared).transpose()?;
        let program = typed(program, &workspace)?;
        let manifest = declared.as_ref().map_or_else(|| Arc::new(unnamed()), |manifest| manifest.core().clone());
        let mut capability = manifest.capability.clone();
        if capability.programs().is_empty() {
            // The person typed the program; a manifest that names none allows that one.
            let path = located(&program, &policy)?;
            let place = Place::parse(&path.to_string_lossy()).map_err(Trouble::usage)?;
            capability = capability.with_programs(vec![place]);
        }
        let secrets = match &declared {
            Some(manifest) => secrets(manifest, &policy)?,
            None => Vec::new(),
        };
        let settings = Settings::new(&boot, &workspace, &policy);
        let options = settings.options()?;
        let limits = manifest.limits;
        let line = Line {
            program,
            args: args.to_vec(),
            env: Vec::new(),
            folder: String::new(),
            input: String::new(),
            seconds_max: u64::MAX / 1000,
        };
        let plan = plan(&options, &capability, limits, &line).map_err(Trouble::usage)?;
        Ok(Case { boot, policy, options, manifest, secrets, capability, limits, plan })
    }

    /// Policy has the last word; what it would ask about, the person has answered by typing the command.
    fn authorize(&self, words: &[String]) -> Result<(), Trouble> {
        let mut table: Policy = self.policy.table().clone();
        for act in Act::ALL {
            if table.decision(*act, Asker::Terminal) == Decision::Ask {
                table.set(*act, Asker::Terminal, Decision::Allow);
            }
        }
        let manifest = Manifest { capability: self.capability.clone(), ..Manifest::clone(&self.manifest) };
        let network = self.policy.hosts_allowed().map_or(Network::Public, |hosts| Network::hosts(hosts.to_vec()));
        let whole = whole_grant();
        let grant = Grant {
            acts: whole.acts.union(self.manifest.acts),
            capability: self.capability.clone().with_network(network),
            tools: None,
            limits: manifest.limits,
        };
        let gate = Gate {
            grant: &grant,
            policy: &table,
            askers: [Asker::Terminal; 2],
            label: Label::default(),
            standing: &[],
        };
        let needs = Needs { acts: manifest.acts, capability: self.capability.clone(), label: Label::default() };
        let input = serde_json::to_string(words).unwrap_or_default();
        let call = ToolCall { id: "typed".into(), name: manifest.name.clone(), input: input.into() };
        match gate.judge(&manifest, call, needs) {
            Judgement::Allow(authorized) => {
                policy::Guard::new(&self.policy, &self.boot.directories, &self.options.workspace)
                    .refusal(&authorized)
                    .map_or(Ok(()), |why| Err(Trouble::refused(why)))?;
                self.boot.audit().admit(None, &authorized).map_err(Trouble::failed)
            }
            Judgement::Ask(pending) => Err(Trouble::refused(pending.reason())),
            Judgement::Deny(refusal) => {
                if let Err(why) = self.boot.audit().refuse(None, &manifest.name, refusal.name()) {
                    eprint(&format!("note: the audit log is not complete: {why}"));
                }
                Err(Trouble::refused(format!("{}: {refusal}; `aether policy show` shows the policy", manifest.name)))
            }
        }
    }

    async fn run(self) -> Result<Finished, ExecutorError> {
        let executor = Executor::new(self.options, None, record::watcher(self.boot.audit()));
        let (sender, mut pieces) = mpsc::channel(PIECES_MAX);
        let stdin = Source::Fd(stdin()?);
        let job = Job {
            tool: &self.manifest.name,
            plan: self.plan,
            reach: Reach { network: &self.capability.network, secrets: &self.secrets },
            stdin,
        };
        let run = async {
            let ended = executor.execute(job, self.limits.output_bytes_max, Some(&sender)).await;
            drop(sender);
            ended
        };
        let show = async {
            let mut screen = Screen::new();
            while let Some(piece) = pieces.recv().await {
                if screen.write(piece).is_err() {
                    // Nobody reads any more: what is still written is dropped, and the program goes on.
                    pieces.close();
                }
            }
            // Whoever does not read any more misses nothing.
            let _unread = screen.end();
        };
        let (ended, ()) = tokio::join!(run, show);
        ended
    }
}

/// Where a program's output goes: as it is where a program reads it, harmless where a terminal would obey it.
struct Screen {
    out: Option<Pane>,
    err: Option<Pane>,
}

impl Screen {
    fn new() -> Screen {
        let pane = |is_terminal: bool| is_terminal.then(Pane::default);
        Screen { out: pane(std::io::stdout().is_terminal()), err: pane(std::io::stderr().is_terminal()) }
    }

    fn write(&mut self, piece: Piece) -> std::io::Result<()> {
        match piece {
            Piece::Out(bytes) => put(&mut std::io::stdout().lock(), &mut self.out, &bytes),
            Piece::Err(bytes) => put(&mut std::io::stderr().lock(), &mut self.err, &bytes),
        }
    }

    /// Shows what was still held back.
    fn end(self) -> std::io::Result<()> {
        let rest = |pane: Option<Pane>| pane.map_or(String::new(), Pane::end);
        std::io::stdout().lock().write_all(rest(self.out).as_bytes())?;
        std::io::stderr().lock().write_all(rest(self.err).as_bytes())
    }
}

fn put(to: &mut impl Write, pane: &mut Option<Pane>, bytes: &[u8]) -> std::io::Result<()> {
    match pane {
        Some(pane) => to.write_all(pane.push(bytes).as_bytes())?,
        None => to.write_all(bytes)?,
    }
    to.flush()
}

/// A stream of bytes as a terminal may see it, wherever it is cut into pieces.
#[derive(Default)]
struct Pane {
    neutral: Neutral,
    /// The beginning of a character whose rest is still to come.
    begun: Vec<u8>,
}

impl Pane {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let rest = self.begun.split_off(whole(&self.begun));
        let bytes = std::mem::replace(&mut self.begun, rest);
        self.neutral.push(&String::from_utf8_lossy(&bytes))
    }

    fn end(mut self) -> String {
        let last = self.neutral.push(&String::from_utf8_lossy(&self.begun));
        last + &self.neutral.end()
    }
}

/// How many of these bytes come before a character that has only begun (RFC 3629, section 3).
fn whole(bytes: &[u8]) -> usize {
    let begins = |byte: &u8| *byte & 0xC0 != 0x80;
    let Some(back) = bytes.iter().rev().take(3).position(begins) else { return bytes.len() };
    let at = bytes.len() - 1 - back;
    let length = match bytes[at] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    if length > bytes.len() - at { at } else { bytes.len() }
}

/// Our standard input; nothing where it is a terminal, which no jail is given.
fn stdin() -> Result<std::os::fd::OwnedFd, ExecutorError> {
    use std::os::fd::AsFd;
    let refused = |error| ExecutorError::System { what: "standard input", error };
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(std::fs::File::open("/dev/null").map_err(refused)?.into());
    }
    stdin.as_fd().try_clone_to_owned().map_err(refused)
}

fn declared(path: &str) -> Result<ToolManifest, Trouble> {
    let wrong = |error: &dyn std::fmt::Display| Trouble::usage(format!("{path}: {error}"));
    let size = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
    if size > MANIFEST_BYTES_MAX {
        return Err(wrong(&format!("it has {size} bytes, which no manifest has")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    ToolManifest::parse(&text).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{path}:{mistake}")).collect();
        Trouble::usage(lines.join("\n"))
    })
}

/// What a run without a manifest may do: the workspace and the machine's programs, and nothing else.
fn unnamed() -> Manifest {
    let whole = whole_grant();
    let capability = whole.capability.with_network(Network::None);
    let acts = aether_core::tool::Acts::of(&[Act::ReadWorkspace, Act::Write, Act::Execute]);
    Manifest {
        name: UNNAMED.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        description: "".into(),
        input: "{}".into(),
        runtime: aether_core::tool::Runtime::Native,
        acts,
        capability,
        limits: LIMITS,
    }
}

/// A path as it was typed, made absolute; a bare name stays one.
fn typed(program: &str, workspace: &Path) -> Result<String, Trouble> {
    if !program.contains('/') || program.starts_with('/') {
        return Ok(program.to_owned());
    }
    let path = workspace.join(program);
    let path = path.canonicalize().map_err(|error| Trouble::usage(format!("{}: {error}", path.display())))?;
    Ok(path.to_string_lossy().into_owned())
}

/// Where a program is that was typed.
fn located(program: &str, policy: &PolicyFile) -> Result<PathBuf, Trouble> {
    if program.starts_with('/') {
        return Ok(program.into());
    }
    let own = aether_executor::PATH.split(':').map(PathBuf::from);
    let mut folders = own.chain(policy.programs_in().iter().map(|folder| PathBuf::from(&**folder).join("bin")));
    let found = folders.find_map(|folder| Some(folder.join(program)).filter(|path| path.is_file()));
    found.ok_or_else(|| Trouble::usage(format!("there is no program `{program}` on this machine")))
}

/// The values of the secrets that a manifest declares, from where policy says they are.
fn secrets(manifest: &ToolManifest, policy: &PolicyFile) -> Result<Vec<Secret>, Trouble> {
    let found = manifest.secrets().iter().map(|declared| {
        let known = policy.secrets().iter().find(|(name, _)| *name == declared.name);
        let (_, reference) = known.ok_or_else(|| {
            Trouble::usage(format!(
                "the manifest wants the secret `{0}`, which policy does not have; add `{0} = \"env:NAME\"` or `\"file:/PATH\"` below [secrets] with `aether policy edit`",
                declared.name
            ))
        })?;
        Ok(Secret {
            name: declared.name.to_string(),
            host: declared.host.clone(),
            header: declared.header.to_string(),
            template: declared.template.to_string(),
            value: value(&declared.name, reference)?,
        })
    });
    found.collect()
}

fn value(name: &str, reference: &SecretReference) -> Result<Zeroizing<String>, Trouble> {
    let text = match reference {
        SecretReference::Variable(variable) => std::env::var(&**variable).map_err(|_| {
            Trouble::usage(format!("the secret `{name}` is not there: the variable {variable} is not set"))
        })?,
        SecretReference::File(path) => {
            let path = match path.strip_prefix("~/") {
                Some(rest) => std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(rest),
                None => PathBuf::from(&**path),
            };
            let text = aether_session::private::read_secret(&path);
            text.map_err(|error| Trouble::usage(format!("the secret `{name}`: {error}")))?
        }
    };
    Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Pane;

    #[test]
    fn characters_survive_any_cut() {
        let text = "a\u{e4}\u{20ac}\u{1f600}z\r\n\u{1b}[2J\u{e4}";
        let shown = "a\u{e4}\u{20ac}\u{1f600}z\n\\u{1b}[2J\u{e4}";
        for size in 1..=text.len() {
            let mut pane = Pane::default();
            let mut all: String = text.as_bytes().chunks(size).map(|piece| pane.push(piece)).collect();
            all += &pane.end();
            assert_eq!(all.replace("\r\n", "\n"), shown, "{size}");
        }
    }

    #[test]
    fn what_is_no_text_is_not_held_back() {
        let mut pane = Pane::default();
        assert_eq!(pane.push(b"\xff\x80\x80\x80\x80a\xe2\x82"), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}a");
        assert_eq!(pane.push(b"b\r"), "\u{fffd}b");
        assert_eq!(pane.end(), "\\u{d}");
    }
}
