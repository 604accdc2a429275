//! `manifest.toml`: what a tool declares of itself.

use std::ops::RangeInclusive;
use std::sync::Arc;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::config::nearest;
use aether_core::tool::{Act, Acts, Limits, Manifest, Runtime};
use serde_json::Value;

use crate::fields::{Fields, text, texts, wrong_type};
use crate::hosts::{self, Wrong};
use crate::mistake::{Mistake, MistakeKind, Report, is_invisible, shown};
use crate::places::{self, Use};
use crate::secrets::{self, SecretDeclaration};
use crate::tree::{self, Content, Node};
use crate::{schema, units};

/// The largest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 64 << 10;

/// Every key of a manifest, in canonical order.
pub const KEYS: &[&str] = &[
    "name",
    "version",
    "description",
    "runtime",
    "network",
    "filesystem",
    "programs",
    "max_runtime",
    "memory_limit",
    "cpu_limit",
    "processes_max",
    "output_bytes_max",
    "secrets",
    "input",
];

/// The longest name of a tool or a secret, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 1024;

/// The longest version, in bytes.
const VERSION_BYTES_MAX: usize = 64;

/// The most hosts, and the most places of one kind.
const ITEMS_MAX: usize = 64;

/// What stands for what a manifest in the simple form leaves out.
const VERSION: &str = "0.0.0";
const DESCRIPTION: &str = "No description.";
const OUTPUT_BYTES: u64 = 64 << 10;

/// The ranges of the limits, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// Milliseconds of `max_runtime` and of `cpu_limit`.
    pub runtime_ms: RangeInclusive<u64>,
    /// Bytes of `memory_limit`.
    pub memory_bytes: RangeInclusive<u64>,
    /// Processes at once.
    pub processes: RangeInclusive<u64>,
    /// Bytes of output.
    pub output_bytes: RangeInclusive<u64>,
}

impl Ranges {
    /// The ranges that hold.
    pub const ALL: Ranges = Ranges {
        runtime_ms: 1..=3_600_000,
        memory_bytes: 1 << 20..=64 << 30,
        processes: 1..=1024,
        output_bytes: 1..=1 << 20,
    };
}

/// What a tool declares. It can only come from a text that was found sound (M1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolManifest {
    core: Arc<Manifest>,
    secrets: Vec<SecretDeclaration>,
    schema: Value,
}

impl ToolManifest {
    /// Reads the text of a `manifest.toml`.
    ///
    /// `name`, `max_runtime` and `memory_limit` have to be there. What is absent is not granted: no network, no files,
    /// no programs, one process. `network = true` is any public host, `filesystem = true` the whole workspace, to read
    /// and to write. `runtime` is `native` where it is not said, `cpu_limit` as long as `max_runtime`,
    /// `output_bytes_max` 64 KiB.
    ///
    /// The acts follow from the rest: any network is `network_read` and `network_send`, because what a tool sends
    /// cannot be told from what it asks for; places to read are `read_workspace` within the workspace and
    /// `read_private` outside it; places to write are `write`; a program of its own (`native`, `mcp`) or programs to
    /// execute are `execute`.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text, at most [`crate::MISTAKES_MAX`].
    pub fn parse(text: &str) -> Result<ToolManifest, Vec<Mistake>> {
        let mut report = Report::new(text);
        let root = tree::parse(text, MANIFEST_BYTES_MAX, &mut report);
        let read = root.as_ref().and_then(|root| {
            let fields = Fields::of(root, "", KEYS, &mut report)?;
            Reading { fields, report: &mut report }.tool()
        });
        report.finish(read)
    }

    /// What the kernel knows of it.
    #[must_use]
    pub fn core(&self) -> &Arc<Manifest> {
        &self.core
    }

    /// The secrets it wants, in the order of the text.
    #[must_use]
    pub fn secrets(&self) -> &[SecretDeclaration] {
        &self.secrets
    }

    /// The schema of its input; the same as the text of [`Manifest::input`].
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }
}

/// Whether a text is `[a-z][a-z0-9_]*` and short enough.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

struct Reading<'n, 'r, 't> {
    fields: Fields<'n>,
    report: &'r mut Report<'t>,
}

impl<'n> Reading<'n, '_, '_> {
    /// Everything is looked at, so that everything that is wrong is found.
    fn tool(mut self) -> Option<ToolManifest> {
        let name = self.name();
        let version = self.version();
        let description = self.description();
        let runtime = self.runtime();
        let network = self.network();
        let [read, write] = self.filesystem();
        let programs = self.programs(runtime);
        let limits = self.limits();
        let secrets = match self.fields.find("secrets") {
            Some(node) => secrets::read(node, network.as_ref(), self.report),
            None => Vec::new(),
        };
        let schema = match self.fields.find("input") {
            Some(node) => schema::read(node, self.report),
            None => Some(schema::empty()),
        }?;
        let capability =
            Capability::default().with_network(network?).with_read(read).with_write(write).with_programs(programs);
        let core = Manifest {
            name: name?.into(),
            version: version?.into(),
            description: description?.into(),
            input: schema.to_string().into(),
            runtime: runtime?,
            acts: acts(&capability, runtime?),
            capability,
            limits: limits?,
        };
        Some(ToolManifest { core: Arc::new(core), secrets, schema })
    }

    fn wrong(&mut self, at: usize, kind: MistakeKind, sentence: String) {
        self.report.add(at, kind, sentence);
    }

    fn name(&mut self) -> Option<&'n str> {
        self.fields.demand("name", "what models call the tool, such as `name = \"weather\"`", self.report)?;
        let (at, name) = self.fields.text("name", "a text", self.report)?;
        if !is_name(name) {
            let sentence = format!(
                "`name`: found `{}`, wanted small letters, digits and `_`, a letter first, at most {NAME_BYTES_MAX} of them",
                shown(name)
            );
            self.wrong(at, MistakeKind::Malformed, sentence);
        }
        Some(name)
    }

    fn version(&mut self) -> Option<&'n str> {
        if self.fields.find("version").is_none() {
            return Some(VERSION);
        }
        let (at, version) = self.fields.text("version", "a text", self.report)?;
        if !is_version(version) {
            let sentence = format!("`version`: found `{}`, wanted a semantic version such as `1.0.0`", shown(version));
            self.wrong(at, MistakeKind::Malformed, sentence);
        }
        Some(version)
    }

    fn description(&mut self) -> Option<&'n str> {
        if self.fields.find("description").is_none() {
            return Some(DESCRIPTION);
        }
        let (at, text) = self.fields.text("description", "a text", self.report)?;
        let chars = text.chars().count();
        if text.trim().is_empty() || chars > DESCRIPTION_CHARS_MAX {
            let sentence = format!(
                "`description`: found {chars} characters, wanted 1 to {DESCRIPTION_CHARS_MAX} that say what the tool does"
            );
            self.wrong(at, MistakeKind::OutOfRange, sentence);
        }
        if text.chars().any(|letter| (letter.is_control() && letter != '\n') || is_invisible(letter)) {
            let sentence =
                "`description` has characters that are not seen: a person has to be able to read what a model reads";
            self.wrong(at, MistakeKind::Malformed, sentence.to_owned());
        }
        Some(text)
    }

    fn runtime(&mut self) -> Option<Runtime> {
        if self.fields.find("runtime").is_none() {
            return Some(Runtime::Native);
        }
        let (at, name) = self.fields.text("runtime", "`wasm`, `native` or `mcp`", self.report)?;
        let sentence = match Runtime::named(name) {
            Some(Runtime::Builtin) => {
                "`runtime`: `builtin` is trusted code of this program, which no file can add: write `wasm`, `native` or `mcp`".to_owned()
            }
            Some(runtime) => return Some(runtime),
            None => {
                let near = nearest(name, ["wasm", "native", "mcp"]).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                format!("`runtime`: found `{}`, wanted `wasm`, `native` or `mcp`{near}", shown(name))
            }
        };
        self.wrong(at, MistakeKind::Malformed, sentence);
        None
    }

    fn network(&mut self) -> Option<Network> {
        let wanted = "`false`, `true` for any public host, or a list of hosts such as `[\"api.example.com\"]`";
        let Some(node) = self.fields.find("network") else { return Some(Network::None) };
        match &node.content {
            Content::Bool(false) => Some(Network::None),
            Content::Bool(true) => Some(Network::Public),
            Content::List(_) => {
                let hosts = self.list(node, "network", hosts::declared, Host::covers);
                Some(Network::hosts(hosts))
            }
            Content::Text(text) if text == "*" => {
                let sentence = "`network`: `*` is every host: write `network = true` for any public host, or name the hosts it needs";
                self.wrong(node.at, MistakeKind::TooBroad, sentence.to_owned());
                None
            }
            _ => {
                wrong_type(node, "network", wanted, self.report);
                None
            }
        }
    }

    fn filesystem(&mut self) -> [Vec<Place>; 2] {
        let Some(node) = self.fields.find("filesystem") else { return Default::default() };
        match &node.content {
            Content::Bool(false) => Default::default(),
            Content::Bool(true) => {
                let workspace: Vec<Place> = Place::parse("$workspace").into_iter().collect();
                [workspace.clone(), workspace]
            }
            Content::Table(_) => {
                let Some(fields) = Fields::of(node, "filesystem", &["read", "write"], self.report) else {
                    return Default::default();
                };
                [("read", Use::Read), ("write", Use::Write)].map(|(key, wanted)| match fields.find(key) {
                    Some(node) => self.places(node, &format!("filesystem.{key}"), wanted),
                    None => Vec::new(),
                })
            }
            _ => {
                let wanted = "`false`, `true` for the whole workspace, or `{ read = [\"$workspace\"], write = [] }`";
                wrong_type(node, "filesystem", wanted, self.report);
                Default::default()
            }
        }
    }

    fn programs(&mut self, runtime: Option<Runtime>) -> Vec<Place> {
        let Some(node) = self.fields.find("programs") else { return Vec::new() };
        let programs = self.places(node, "programs", Use::Execute);
        if !programs.is_empty() && runtime.is_some_and(|runtime| runtime != Runtime::Native) {
            let sentence =
                "`programs`: only a native tool can execute programs: write `runtime = \"native\"`, or leave them out";
            self.wrong(node.at, MistakeKind::Conflict, sentence.to_owned());
        }
        programs
    }

    fn places(&mut self, node: &'n Node, name: &str, wanted: Use) -> Vec<Place> {
        self.list(node, name, |text| places::declared(text, wanted), Place::covers)
    }

    /// A list of hosts or places, none of which covers another.
    fn list<T: PartialEq>(
        &mut self,
        node: &'n Node,
        name: &str,
        read: impl Fn(&str) -> Result<T, Wrong>,
        covers: fn(&T, &T) -> bool,
    ) -> Vec<T> {
        let texts = texts(node, name, "a list of texts", self.report);
        if texts.len() > ITEMS_MAX {
            let sentence = format!("`{name}`: found {} entries, wanted at most {ITEMS_MAX}", texts.len());
            self.wrong(node.at, MistakeKind::TooLarge, sentence);
        }
        let mut taken: Vec<(T, &str)> = Vec::new();
        for (at, text) in texts.into_iter().take(ITEMS_MAX) {
            match read(text) {
                Err((kind, why)) => self.wrong(at, kind, format!("`{name}`: `{}` {why}", shown(text))),
                Ok(item) => {
                    if let Some((_, other)) = taken.iter().find(|(one, _)| covers(one, &item) || covers(&item, one)) {
                        let sentence = format!(
                            "`{name}`: `{}` and `{}` say the same or one is in the other: keep one of them",
                            shown(other),
                            shown(text)
                        );
                        self.wrong(at, MistakeKind::Duplicate, sentence);
                    }
                    taken.push((item, text));
                }
            }
        }
        taken.into_iter().map(|(item, _)| item).collect()
    }

    fn limits(&mut self) -> Option<Limits> {
        let ranges = Ranges::ALL;
        self.fields.demand(
            "max_runtime",
            "every tool says how long one call may take, such as `max_runtime = \"3s\"`",
            self.report,
        );
        self.fields.demand(
            "memory_limit",
            "every tool says how much memory it may use, such as `memory_limit = \"20mb\"`",
            self.report,
        );
        let runtime = self.amount("max_runtime", &DURATION, &ranges.runtime_ms);
        let memory = self.amount("memory_limit", &SIZE, &ranges.memory_bytes);
        let cpu = self.amount("cpu_limit", &DURATION, &ranges.runtime_ms);
        let processes = self.amount("processes_max", &COUNT, &ranges.processes);
        let output = self.amount("output_bytes_max", &BYTES, &ranges.output_bytes);
        Some(Limits {
            runtime_ms_max: runtime?,
            cpu_ms_max: cpu.or(runtime)?,
            memory_bytes_max: memory?,
            processes_max: u32::try_from(processes.unwrap_or(1)).ok()?,
            output_bytes_max: output.unwrap_or(OUTPUT_BYTES),
        })
    }

    fn amount(&mut self, key: &str, unit: &Unit, range: &RangeInclusive<u64>) -> Option<u64> {
        let node = self.fields.find(key)?;
        let wanted = format!("{} from {} to {}", unit.wanted, (unit.write)(*range.start()), (unit.write)(*range.end()));
        let amount = match (&node.content, unit.takes) {
            (Content::Int(number), Takes::Number | Takes::Both) => {
                // Nothing negative is within any range.
                u64::try_from(*number).unwrap_or(0)
            }
            (Content::Text(_), Takes::Text | Takes::Both) => {
                let (at, written) = text(node, key, &wanted, self.report)?;
                match (unit.read)(written) {
                    Ok(amount) => amount,
                    Err(why) => {
                        let sentence = format!("`{key}`: found `{}`, but {why}; wanted {wanted}", shown(written));
                        self.wrong(at, MistakeKind::Malformed, sentence);
                        return None;
                    }
                }
            }
            _ => {
                wrong_type(node, key, &wanted, self.report);
                return None;
            }
        };
        if range.contains(&amount) {
            return Some(amount);
        }
        self.wrong(node.at, MistakeKind::OutOfRange, format!("`{key}`: out of range, wanted {wanted}"));
        None
    }
}

/// How a limit is written.
struct Unit {
    takes: Takes,
    read: fn(&str) -> Result<u64, units::UnitError>,
    write: fn(u64) -> String,
    wanted: &'static str,
}

#[derive(Clone, Copy)]
enum Takes {
    Number,
    Text,
    Both,
}

const DURATION: Unit = Unit {
    takes: Takes::Text,
    read: units::duration_ms,
    write: units::spelled_duration,
    wanted: "a duration such as `\"3s\"` or `\"500ms\"`,",
};

const SIZE: Unit =
    Unit { takes: Takes::Text, read: units::bytes, write: units::spelled_bytes, wanted: "a size such as `\"20mb\"`," };

const BYTES: Unit = Unit {
    takes: Takes::Both,
    read: units::bytes,
    write: units::spelled_bytes,
    wanted: "a number of bytes or a size such as `\"64kb\"`,",
};

const COUNT: Unit = Unit { takes: Takes::Number, read: units::bytes, write: plain_number, wanted: "a whole number" };

fn plain_number(number: u64) -> String {
    number.to_string()
}

/// What a tool does that reaches this; see [`ToolManifest::parse`] for the rule.
fn acts(capability: &Capability, runtime: Runtime) -> Acts {
    let in_workspace = |place: &&Place| place.as_str().starts_with("$workspace");
    let inside = capability.read().iter().filter(in_workspace).count();
    let rules = [
        (capability.network != Network::None, [Act::NetworkRead, Act::NetworkSend].as_slice()),
        (inside > 0, &[Act::ReadWorkspace]),
        (inside < capability.read().len(), &[Act::ReadPrivate]),
        (!capability.write().is_empty(), &[Act::Write]),
        (!capability.programs().is_empty() || matches!(runtime, Runtime::Native | Runtime::Mcp), &[Act::Execute]),
    ];
    let held = rules.into_iter().filter(|(holds, _)| *holds);
    held.fold(Acts::NONE, |all, (_, acts)| all.union(Acts::of(acts)))
}

/// Semantic Versioning 2.0.0, section "Backus-Naur Form Grammar".
fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = |part: &str| !part.is_empty() && is_digits(part) && (part == "0" || !part.starts_with('0'));
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.len() <= VERSION_BYTES_MAX
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
        && before.is_none_or(|all| all.split('.').all(|part| is_word(part) && (!is_digits(part) || is_number(part))))
        && build.is_none_or(|all| all.split('.').all(is_word))
}
