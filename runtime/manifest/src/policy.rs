//! `policy.toml`: what the operator allows.

use aether_core::capability::Host;
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::tool::Act;

use crate::cidr::Cidr;
use crate::fields::{Fields, texts, wrong_type};
use crate::mistake::{Mistake, MistakeKind, Report, is_invisible, shown};
use crate::tool::is_name;
use crate::tree::{self, Content, Entry, Node};

/// The largest policy, in bytes.
pub const POLICY_BYTES_MAX: usize = 64 << 10;

/// The most entries of one list, and the most secrets.
pub const LIST_MAX: usize = 256;

/// What the operator allows: the table of acts and askers, and what holds besides. The default is the built-in table
/// and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFile {
    table: Policy,
    cells: Vec<Cell>,
    hosts_allowed: Option<Vec<Host>>,
    hosts_denied: Vec<DeniedHost>,
    private_exceptions: Vec<Cidr>,
    tools_denied: Vec<Box<str>>,
    approximate: Option<Vec<Guarantee>>,
    programs_in: Vec<Box<str>>,
    environment: Vec<(Box<str>, Box<str>)>,
    secrets: Vec<(Box<str>, SecretReference)>,
}

/// One cell of the table that the file sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The column.
    pub asker: Asker,
    /// The row.
    pub act: Act,
    /// What it says.
    pub decision: Decision,
    /// The line in the file, from 1.
    pub line: u32,
}

/// A host that is denied whatever a grant or a manifest says: on one port, or on every port where none is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedHost {
    /// As it was written, in lower case.
    text: Box<str>,
    /// With the port, or with 443 where none is written.
    host: Host,
    every_port: bool,
}

/// A guarantee of the sandbox that the operator accepts as approximate where the machine cannot hold it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// The memory limit, watched instead of enforced by a control group.
    Memory,
    /// The limit on processes, per user instead of per sandbox.
    Processes,
    /// Names, sizes and dates of files that are not granted, and numbers of processes: they can be told, not read.
    Names,
    /// What may not be executed can still be mapped as code by a loader.
    Execution,
    /// The limit of temporary files, per file instead of in total.
    Scratch,
    /// Signals to processes outside, where the kernel cannot keep them in.
    Signals,
}

/// Where a secret's value is found. The value itself is never in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretReference {
    /// In this environment variable.
    Variable(Box<str>),
    /// In this file, on its first line.
    File(Box<str>),
}

impl Guarantee {
    /// All of them.
    pub const ALL: &'static [Guarantee] = &[
        Guarantee::Memory,
        Guarantee::Processes,
        Guarantee::Names,
        Guarantee::Execution,
        Guarantee::Scratch,
        Guarantee::Signals,
    ];

    /// What may be approximate where nobody says: most desktops have no memory control group for an ordinary user.
    pub const DEFAULT: &'static [Guarantee] = &[Guarantee::Memory];

    /// The name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::Memory => "memory",
            Guarantee::Processes => "processes",
            Guarantee::Names => "names",
            Guarantee::Execution => "execution",
            Guarantee::Scratch => "scratch",
            Guarantee::Signals => "signals",
        }
    }
}

impl DeniedHost {
    fn parse(text: &str) -> Result<DeniedHost, String> {
        let host = Host::parse(text).map_err(|malformed| format!("cannot be taken: {}", malformed.why))?;
        let every_port = match text.rsplit_once(':') {
            None => true,
            Some((_, port)) => port.ends_with(']'),
        };
        Ok(DeniedHost { text: text.to_ascii_lowercase().into(), host, every_port })
    }

    /// As it was written, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it denies everything that `host` stands for.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        if !self.every_port {
            return self.host.covers(host);
        }
        let spelled = host.to_string();
        let port = spelled.rsplit_once(':').map_or("443", |(_, port)| port);
        // A text that was a host without a port is one with a port.
        Host::parse(&format!("{}:{port}", self.text)).is_ok_and(|same_port| same_port.covers(host))
    }
}

impl PolicyFile {
    /// Reads the text of a `policy.toml`.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text, at most [`crate::MISTAKES_MAX`].
    pub fn parse(text: &str) -> Result<PolicyFile, Vec<Mistake>> {
        let mut report = Report::new(text);
        let root = tree::parse(text, POLICY_BYTES_MAX, &mut report);
        let read = root.as_ref().and_then(|root| file(root, &mut report));
        report.finish(read)
    }

    /// The table of acts and askers.
    #[must_use]
    pub fn table(&self) -> &Policy {
        &self.table
    }

    /// The cells that the file sets, in the order of the file.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The only hosts that anything may reach; `None` where the file does not say.
    #[must_use]
    pub fn hosts_allowed(&self) -> Option<&[Host]> {
        self.hosts_allowed.as_deref()
    }

    /// The hosts that nothing may reach.
    #[must_use]
    pub fn hosts_denied(&self) -> &[DeniedHost] {
        &self.hosts_denied
    }

    /// Addresses that are not public and may be reached nevertheless.
    #[must_use]
    pub fn private_exceptions(&self) -> &[Cidr] {
        &self.private_exceptions
    }

    /// The tools that nobody may use.
    #[must_use]
    pub fn tools_denied(&self) -> &[Box<str>] {
        &self.tools_denied
    }

    /// What may be approximate where the machine cannot hold it exactly: [`Guarantee::DEFAULT`] where the file does not
    /// say, else what it says and no more.
    #[must_use]
    pub fn approximate(&self) -> &[Guarantee] {
        self.approximate.as_deref().unwrap_or(Guarantee::DEFAULT)
    }

    /// Further directories of programs, which every jail that may execute the machine's own can read and execute.
    #[must_use]
    pub fn programs_in(&self) -> &[Box<str>] {
        &self.programs_in
    }

    /// Further variables of every program in a jail.
    #[must_use]
    pub fn environment(&self) -> &[(Box<str>, Box<str>)] {
        &self.environment
    }

    /// Where the values of secrets are found, by the name of the handle.
    #[must_use]
    pub fn secrets(&self) -> &[(Box<str>, SecretReference)] {
        &self.secrets
    }

    /// What is different in `after`, one phrase for each difference: `terminal.write: ask -> allow`.
    #[must_use]
    pub fn differences(&self, after: &PolicyFile) -> Vec<String> {
        let mut found = Vec::new();
        for asker in Asker::ALL {
            for act in Act::ALL {
                let (was, is) = (self.table.decision(*act, *asker), after.table.decision(*act, *asker));
                if was != is {
                    found.push(format!("{asker}.{act}: {was} -> {is}"));
                }
            }
        }
        for (name, was, is) in self.lists().into_iter().zip(after.lists()).map(|((name, was), (_, is))| (name, was, is))
        {
            if was != is {
                found.push(format!("{name}: {was} -> {is}"));
            }
        }
        found
    }

    /// Everything but the table, each in words.
    #[must_use]
    pub fn lists(&self) -> [(&'static str, String); 8] {
        let all = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let secrets = self.secrets.iter().map(|(name, reference)| match reference {
            SecretReference::Variable(variable) => format!("{name} from env:{variable}"),
            SecretReference::File(path) => format!("{name} from file:{path}"),
        });
        let allowed = self.hosts_allowed.as_ref();
        [
            ("network.allowed_hosts", allowed.map_or("any".to_owned(), |hosts| all(texts_of(hosts)))),
            ("network.denied_hosts", all(self.hosts_denied.iter().map(|host| host.text.to_string()).collect())),
            ("network.private_exceptions", all(texts_of(&self.private_exceptions))),
            ("tools.denied", all(self.tools_denied.iter().map(|name| name.to_string()).collect())),
            ("sandbox.approximate", all(self.approximate().iter().map(|one| one.name().to_owned()).collect())),
            ("sandbox.programs_in", all(self.programs_in.iter().map(ToString::to_string).collect())),
            (
                "sandbox.environment",
                all(self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            ),
            ("secrets", all(secrets.collect())),
        ]
    }
}

fn texts_of<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn file(root: &Node, report: &mut Report<'_>) -> Option<PolicyFile> {
    let askers = Asker::ALL.iter().map(|asker| asker.name());
    let known: Vec<&str> = askers.chain(["network", "tools", "sandbox", "secrets"]).collect();
    let fields = Fields::of(root, "", &known, report)?;
    let mut policy = PolicyFile::default();
    for asker in Asker::ALL {
        if let Some(node) = fields.find(asker.name()) {
            row(node, *asker, &mut policy, report);
        }
    }
    if let Some(node) = fields.find("network") {
        network(node, &mut policy, report);
    }
    if let Some(node) = fields.find("tools")
        && let Some(fields) = Fields::of(node, "tools", &["denied"], report)
        && let Some(node) = fields.find("denied")
    {
        policy.tools_denied = list(node, "tools.denied", report, |name| {
            let why = "is no name of a tool: small letters, digits and `_`, a letter first";
            if is_name(name) { Ok(name.into()) } else { Err(why.to_owned()) }
        });
    }
    if let Some(node) = fields.find("sandbox") {
        sandbox(node, &mut policy, report);
    }
    if let Some(node) = fields.find("secrets") {
        policy.secrets = secrets(node, report);
    }
    Some(policy)
}

/// The cells of one asker.
fn row(node: &Node, asker: Asker, policy: &mut PolicyFile, report: &mut Report<'_>) {
    let acts: Vec<&str> = Act::ALL.iter().map(|act| act.name()).collect();
    let Some(fields) = Fields::of(node, asker.name(), &acts, report) else { return };
    for act in Act::ALL {
        let Some((at, word)) = fields.text(act.name(), "`allow`, `ask` or `deny`", report) else { continue };
        match Decision::named(word) {
            Some(decision) => {
                policy.table.set(*act, asker, decision);
                policy.cells.push(Cell { asker, act: *act, decision, line: report.line(at) });
            }
            None => {
                let sentence = format!("`{asker}.{act}`: found `{}`, wanted `allow`, `ask` or `deny`", shown(word));
                report.add(at, MistakeKind::Malformed, sentence);
            }
        }
    }
}

fn network(node: &Node, policy: &mut PolicyFile, report: &mut Report<'_>) {
    const KEYS: &[&str] = &["allowed_hosts", "denied_hosts", "private_exceptions"];
    let Some(fields) = Fields::of(node, "network", KEYS, report) else { return };
    if let Some(node) = fields.find("allowed_hosts") {
        policy.hosts_allowed = Some(list(node, "network.allowed_hosts", report, |text| {
            Host::parse(text).map_err(|malformed| format!("cannot be taken: {}", malformed.why))
        }));
    }
    if let Some(node) = fields.find("denied_hosts") {
        policy.hosts_denied = list(node, "network.denied_hosts", report, DeniedHost::parse);
    }
    if let Some(node) = fields.find("private_exceptions") {
        policy.private_exceptions = list(node, "network.private_exceptions", report, |text| {
            Cidr::parse(text).map_err(|why| format!("is no range of addresses: {why}"))
        });
    }
}

fn sandbox(node: &Node, policy: &mut PolicyFile, report: &mut Report<'_>) {
    let Some(fields) = Fields::of(node, "sandbox", &["approximate", "programs_in", "environment"], report) else {
        return;
    };
    if let Some(node) = fields.find("approximate") {
        policy.approximate = Some(list(node, "sandbox.approximate", report, |name| {
            let found = Guarantee::ALL.iter().copied().find(|one| one.name() == name);
            found.ok_or_else(|| {
                "cannot be approximate: wanted `memory`, `processes`, `names`, `execution`, `scratch` or `signals`"
                    .to_owned()
            })
        }));
    }
    if let Some(node) = fields.find("programs_in") {
        policy.programs_in = list(node, "sandbox.programs_in", report, folder);
    }
    if let Some(node) = fields.find("environment") {
        policy.environment = list(node, "sandbox.environment", report, variable);
    }
}

/// An absolute directory, more than a top-level one.
fn folder(text: &str) -> Result<Box<str>, String> {
    let is_plain = !text.chars().any(|letter| letter.is_control() || is_invisible(letter));
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if !text.starts_with('/') || !is_plain || parts.contains(&"..") {
        return Err("is no absolute path without `..`".to_owned());
    }
    if parts.len() < 2 {
        return Err("is too wide: wanted a directory of programs, such as `/home/me/.cargo`".to_owned());
    }
    Ok(format!("/{}", parts.join("/")).into())
}

/// `NAME=VALUE`, for every program in a jail; a name that loaders or shells obey is none.
fn variable(text: &str) -> Result<(Box<str>, Box<str>), String> {
    let (name, value) = text.split_once('=').ok_or("is no `NAME=VALUE`")?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_word) || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("does not begin with a name of letters, digits and `_`".to_owned());
    }
    let obeyed = ["LD_", "DYLD_", "GIT_"].iter().any(|prefix| name.starts_with(prefix));
    if obeyed || ["BASH_ENV", "ENV", "NODE_OPTIONS", "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT"].contains(&name) {
        return Err("names a variable that loads code into programs".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Err("has a control character".to_owned());
    }
    Ok((name.into(), value.into()))
}

/// A list of texts, each said once.
fn list<T: PartialEq>(
    node: &Node,
    name: &str,
    report: &mut Report<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let texts = texts(node, name, "a list of texts", report);
    if texts.len() > LIST_MAX {
        let sentence = format!("`{name}`: found {} entries, wanted at most {LIST_MAX}", texts.len());
        report.add(node.at, MistakeKind::TooLarge, sentence);
    }
    let mut taken = Vec::new();
    for (at, text) in texts.into_iter().take(LIST_MAX) {
        match read(text) {
            Err(why) => report.add(at, MistakeKind::Malformed, format!("`{name}`: `{}` {why}", shown(text))),
            Ok(item) if taken.contains(&item) => {
                report.add(at, MistakeKind::Duplicate, format!("`{name}`: `{}` stands there twice", shown(text)));
            }
            Ok(item) => taken.push(item),
        }
    }
    taken
}

/// Handles and where their values are found. What is no reference may be a value and is never shown (M7).
fn secrets(node: &Node, report: &mut Report<'_>) -> Vec<(Box<str>, SecretReference)> {
    let Content::Table(entries) = &node.content else {
        wrong_type(node, "secrets", "a table of references such as `github_token = \"env:GITHUB_TOKEN\"`", report);
        return Vec::new();
    };
    if entries.len() > LIST_MAX {
        let sentence = format!("`secrets`: found {}, wanted at most {LIST_MAX}", entries.len());
        report.add(node.at, MistakeKind::TooLarge, sentence);
    }
    entries.iter().take(LIST_MAX).filter_map(|entry| secret(entry, report)).collect()
}

fn secret(entry: &Entry, report: &mut Report<'_>) -> Option<(Box<str>, SecretReference)> {
    if !is_name(&entry.name) {
        let sentence = "`secrets`: a handle has small letters, digits and `_`, a letter first, at most 64 of them";
        report.add(entry.at, MistakeKind::Malformed, sentence.to_owned());
        return None;
    }
    let reference = match &entry.value.content {
        Content::Text(text) => reference(text),
        _ => None,
    };
    if reference.is_none() {
        let sentence = format!(
            "`secrets.{}`: wanted `env:NAME` or `file:/PATH`, never the secret itself: whoever reads this file would have it",
            entry.name
        );
        report.add(entry.value.at, MistakeKind::Malformed, sentence);
    }
    Some((entry.name.as_str().into(), reference?))
}

fn reference(text: &str) -> Option<SecretReference> {
    if let Some(name) = text.strip_prefix("env:") {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let fits = !name.is_empty() && name.bytes().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit());
        return fits.then(|| SecretReference::Variable(name.into()));
    }
    let path = text.strip_prefix("file:")?;
    let fits = path.starts_with('/') || path.starts_with("~/") || path.get(1..3) == Some(":\\");
    let is_plain = !path.chars().any(|letter| letter.is_control() || is_invisible(letter));
    (fits && is_plain).then(|| SecretReference::File(path.into()))
}
