//! What the executor is told: read from configuration and policy here, and handed to the sidecar as one text.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aether_core::capability::{Host, Malformed};
use aether_egress::{Bounds, DeniedHost, Range};
use aether_executor::Options;
use aether_jail::{Guarantees, Looseness, Spawner, Strength, protected_in};
use aether_manifest::{Guarantee, PolicyFile};
use aether_programs::{Available, Programs};
use aether_tools::Scope;
use serde_json::{Value, json};

use crate::boot::Boot;
use crate::trouble::Trouble;

/// Where `git`, `python3` and `node` are looked for, so that only tools that can work are offered.
const LOOKED_FOR: &[(&str, Available)] =
    &[("git", Available::Git), ("python3", Available::Python), ("node", Available::Node)];

/// What the executor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    workspace: PathBuf,
    home: Option<PathBuf>,
    programs_in: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    guarantees: Guarantees,
    protected: Vec<PathBuf>,
    exceptions: Vec<String>,
    hosts_allowed: Option<Vec<String>>,
    hosts_denied: Vec<String>,
    ca_file: Option<PathBuf>,
    tools_denied: Vec<String>,
}

impl Settings {
    /// As configuration and policy say.
    pub(crate) fn new(boot: &Boot, workspace: &Path, policy: &PolicyFile) -> Settings {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let mut protected: Vec<PathBuf> = home.iter().flat_map(|home| protected_in(home)).collect();
        protected.extend([boot.directories.config.clone(), boot.directories.data.clone()]);
        Settings {
            workspace: workspace.to_owned(),
            home,
            programs_in: policy.programs_in().iter().map(|path| PathBuf::from(&**path)).collect(),
            environment: policy
                .environment()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            guarantees: guarantees(|guarantee| policy.approximate().contains(&guarantee)),
            protected,
            exceptions: policy.private_exceptions().iter().map(ToString::to_string).collect(),
            hosts_allowed: policy.hosts_allowed().map(|hosts| hosts.iter().map(ToString::to_string).collect()),
            hosts_denied: policy.hosts_denied().iter().map(|host| host.as_str().to_owned()).collect(),
            ca_file: boot.config.text("network.ca_file").filter(|path| !path.is_empty()).map(PathBuf::from),
            tools_denied: policy.tools_denied().iter().map(|name| name.to_string()).collect(),
        }
    }

    /// The tools that this machine has programs for, and that policy does not deny.
    pub(crate) fn programs(&self) -> Programs {
        let is_there = |name: &str| {
            let own = aether_executor::PATH.split(':').map(PathBuf::from);
            let more = self.programs_in.iter().map(|folder| folder.join("bin"));
            own.chain(more).any(|folder| folder.join(name).is_file())
        };
        let available: Vec<Available> =
            LOOKED_FOR.iter().filter(|(name, _)| is_there(name)).map(|(_, available)| *available).collect();
        let programs = Programs::new(&Scope::workspace(&self.workspace.to_string_lossy()), &available);
        programs.only(|name| !self.tools_denied.iter().any(|denied| denied == name))
    }

    /// As the executor takes them.
    ///
    /// # Errors
    /// An exception from the rule against private addresses that is no range.
    pub(crate) fn options(&self) -> Result<Options, Trouble> {
        let exceptions: Result<Vec<Range>, _> = self.exceptions.iter().map(|text| Range::parse(text)).collect();
        let network = aether_egress::Options { ca_file: self.ca_file.clone(), ..aether_egress::Options::default() };
        let protected = self.protected();
        Ok(Options {
            workspace: self.workspace.clone(),
            home: self.home.clone(),
            programs: self.programs(),
            programs_in: self.programs_in.clone(),
            environment: self.environment.clone(),
            guarantees: self.guarantees,
            network,
            exceptions: exceptions.map_err(|why| Trouble::usage(format!("policy: {why}")))?,
            bounds: self.bounds().map_err(|why| Trouble::usage(format!("policy: {why}")))?,
            ahead: 0,
            spawner: Arc::new(move || Spawner::exec().map(|spawner| spawner.protecting(protected.clone()))),
        })
    }

    /// The operator's word about hosts.
    fn bounds(&self) -> Result<Bounds, Malformed> {
        let allowed = |hosts: &Vec<String>| hosts.iter().map(|text| Host::parse(text)).collect::<Result<Vec<_>, _>>();
        Ok(Bounds {
            hosts_allowed: self.hosts_allowed.as_ref().map(allowed).transpose()?,
            hosts_denied: self.hosts_denied.iter().map(|text| DeniedHost::parse(text)).collect::<Result<_, _>>()?,
        })
    }

    /// What no jail may be given.
    pub(crate) fn protected(&self) -> Vec<PathBuf> {
        self.protected.clone()
    }

    /// As one text.
    pub(crate) fn encode(&self) -> String {
        let paths =
            |paths: &[PathBuf]| paths.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<String>>();
        json!({
            "workspace": self.workspace.to_string_lossy(),
            "home": self.home.as_ref().map(|path| path.to_string_lossy()),
            "programs_in": paths(&self.programs_in),
            "environment": self.environment,
            "approximate": names(&self.guarantees),
            "protected": paths(&self.protected),
            "exceptions": self.exceptions,
            "hosts_allowed": self.hosts_allowed,
            "hosts_denied": self.hosts_denied,
            "ca_file": self.ca_file.as_ref().map(|path| path.to_string_lossy()),
            "tools_denied": self.tools_denied,
        })
        .to_string()
    }

    /// From such a text.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Settings, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("the settings: {error}"))?;
        let wrong = |name: &str| format!("the settings have no `{name}`");
        let text = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(|| wrong(name));
        let list = |name: &str| -> Result<Vec<String>, String> {
            let items = value[name].as_array().ok_or_else(|| wrong(name))?;
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(name))).collect()
        };
        let pair = |item: &Value| Some((item[0].as_str()?.to_owned(), item[1].as_str()?.to_owned()));
        let environment = value["environment"].as_array().ok_or_else(|| wrong("environment"))?;
        let paths = |name: &str| list(name).map(|all| all.into_iter().map(PathBuf::from).collect());
        Ok(Settings {
            workspace: text("workspace")?.into(),
            home: value["home"].as_str().map(PathBuf::from),
            programs_in: paths("programs_in")?,
            environment: environment.iter().map(pair).collect::<Option<_>>().ok_or_else(|| wrong("environment"))?,
            guarantees: {
                let names = list("approximate")?;
                guarantees(|guarantee| names.iter().any(|name| name == guarantee.name()))
            },
            protected: paths("protected")?,
            exceptions: list("exceptions")?,
            hosts_allowed: match value.get("hosts_allowed") {
                Some(Value::Null) => None,
                // One that is missing is no list of everything.
                _ => Some(list("hosts_allowed")?),
            },
            hosts_denied: list("hosts_denied")?,
            ca_file: value["ca_file"].as_str().map(PathBuf::from),
            tools_denied: list("tools_denied")?,
        })
    }
}

/// What a jail may give approximately, by what the operator allowed.
fn guarantees(is_allowed: impl Fn(Guarantee) -> bool) -> Guarantees {
    let strength = |guarantee| if is_allowed(guarantee) { Strength::Approximate } else { Strength::Exact };
    Guarantees {
        memory: strength(Guarantee::Memory),
        without_namespaces: Looseness {
            processes: strength(Guarantee::Processes),
            names: strength(Guarantee::Names),
            execution: strength(Guarantee::Execution),
            scratch: strength(Guarantee::Scratch),
            signals: strength(Guarantee::Signals),
        },
        ..Guarantees::default()
    }
}

/// The names in policy of what may be approximate.
fn names(guarantees: &Guarantees) -> Vec<&'static str> {
    let loose = guarantees.without_namespaces;
    let all = [
        (Guarantee::Memory, guarantees.memory),
        (Guarantee::Processes, loose.processes),
        (Guarantee::Names, loose.names),
        (Guarantee::Execution, loose.execution),
        (Guarantee::Scratch, loose.scratch),
        (Guarantee::Signals, loose.signals),
    ];
    all.iter().filter(|(_, strength)| *strength == Strength::Approximate).map(|(one, _)| one.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_way_to_the_sidecar() {
        let settings = Settings {
            workspace: "/w".into(),
            home: Some("/home/me".into()),
            programs_in: vec!["/opt/x".into()],
            environment: vec![("A".into(), "b=c".into())],
            guarantees: guarantees(|guarantee| matches!(guarantee, Guarantee::Memory | Guarantee::Names)),
            protected: vec!["/home/me/.ssh".into()],
            exceptions: vec!["10.0.0.0/8".into()],
            hosts_allowed: Some(vec!["*.example.com:443".into()]),
            hosts_denied: vec!["bad.example.com".into()],
            ca_file: Some("/ca.pem".into()),
            tools_denied: vec!["node".into()],
        };
        let open = Settings { hosts_allowed: None, ..settings.clone() };
        for settings in [settings, open] {
            assert_eq!(Settings::decode(settings.encode().as_bytes()), Ok(settings));
        }
        assert!(Settings::decode(b"{}").is_err());
    }
}
