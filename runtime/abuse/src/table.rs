//! The attacks as data.

mod filesystem;
mod ipc;
mod kernel;
mod network;
mod policy;
mod processes;
mod resources;
mod work;

/// What an attack goes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Files that were not granted.
    Filesystem,
    /// Other processes.
    Processes,
    /// The kernel's own surface, and privilege.
    Kernel,
    /// What everybody shares.
    Resources,
    /// Hosts that were not granted.
    Network,
    /// Objects that processes share.
    Ipc,
    /// What decides, and what the launcher knows.
    Policy,
}

impl Group {
    /// All of them, in the order of the table.
    pub const ALL: [Group; 7] = [
        Group::Filesystem,
        Group::Processes,
        Group::Kernel,
        Group::Resources,
        Group::Network,
        Group::Ipc,
        Group::Policy,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Group::Filesystem => "filesystem",
            Group::Processes => "processes",
            Group::Kernel => "kernel",
            Group::Resources => "resources",
            Group::Network => "network",
            Group::Ipc => "ipc",
            Group::Policy => "policy",
        }
    }
}

/// What the manifest of an attack's tool says, as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Under {
    /// The value of `network`.
    pub network: &'static str,
    /// The value of `filesystem`.
    pub filesystem: &'static str,
    /// The value of `programs`.
    pub programs: &'static str,
    /// The value of `max_runtime`.
    pub max_runtime: &'static str,
    /// The value of `cpu_limit`.
    pub cpu_limit: &'static str,
    /// The value of `memory_limit`.
    pub memory_limit: &'static str,
    /// The value of `processes_max`.
    pub processes_max: u32,
    /// Further tables.
    pub more: &'static str,
}

impl Under {
    /// No network; the workspace to write; the system's programs and the attacker.
    pub const PLAIN: Under = Under {
        network: "false",
        filesystem: "{ read = [\"{granted}\"], write = [\"$workspace\"] }",
        programs: "[\"$system\", \"{programs}\"]",
        max_runtime: "10s",
        cpu_limit: "10s",
        memory_limit: "128mb",
        processes_max: 32,
        more: "",
    };

    /// The same with these hosts.
    #[must_use]
    pub const fn network(self, network: &'static str) -> Under {
        Under { network, ..self }
    }

    /// The same with these further tables.
    #[must_use]
    pub const fn more(self, more: &'static str) -> Under {
        Under { more, ..self }
    }

    /// The same with these files.
    #[must_use]
    pub const fn filesystem(self, filesystem: &'static str) -> Under {
        Under { filesystem, ..self }
    }

    /// The manifest's text, with the stage's words still in braces.
    #[must_use]
    pub fn manifest(&self) -> String {
        format!(
            "name = \"attack\"\nversion = \"1.0.0\"\ndescription = \"An attack of the abuse suite\"\n\
             runtime = \"native\"\nnetwork = {}\nfilesystem = {}\nprograms = {}\nmax_runtime = \"{}\"\n\
             cpu_limit = \"{}\"\nmemory_limit = \"{}\"\nprocesses_max = {}\noutput_bytes_max = 65536\n{}",
            self.network,
            self.filesystem,
            self.programs,
            self.max_runtime,
            self.cpu_limit,
            self.memory_limit,
            self.processes_max,
            self.more
        )
    }
}

/// What shows that an attack got through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The attacker says so.
    Said,
    /// This file exists on the host some time later.
    Appears(&'static str),
    /// This file on the host is not what it was.
    Changes(&'static str),
    /// The launcher's process group got the signal.
    Signalled,
    /// A name server outside heard this word.
    Heard(&'static str),
    /// A process with this word in its arguments is alive after the launcher was killed.
    Survives(&'static str),
    /// More bytes of output than this came through.
    Output(usize),
}

/// What else has to stand on the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prop {
    /// A listening Unix socket in the granted directory, there before the run.
    SocketBefore,
    /// The same, made once the run is under way.
    SocketDuring,
    /// `$workspace/out` is a link to what was not granted: what a run before may have left.
    LinkedGrant,
    /// Somebody exchanges `$workspace/swap` and a link to what was not granted, over and over.
    Swapping,
    /// The launcher holds a descriptor of a secret file that nobody closed at exec.
    Descriptor,
    /// The launcher's environment is full of secrets and of variables that change what programs do.
    Environment,
    /// A set-user-id program stands in the granted directory.
    SetUser,
    /// The workspace is a git repository.
    Repository,
    /// The workspace looks like a home.
    Home,
    /// The launcher has a secret for a host, which its policy names.
    Credential,
    /// A second jail runs beside this one: the words of its attack.
    Neighbour(&'static str),
}

/// What an attack needs to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anyone can try it.
    Anyone,
    /// Outside it works for root alone.
    Root,
    /// It works for an ordinary user alone.
    User,
}

/// Whether the attack is tried where nothing holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is, and gets through.
    Yes,
    /// It is, and gets through, unless it ends so: then this machine has not got what it goes for, and the twin
    /// has nothing to show either.
    IfHad(&'static [&'static str]),
    /// It is, and either gets through or ends so: by an answer that only what stands behind the controls gives.
    Then(&'static [&'static str]),
    /// It is not, for this reason.
    No(&'static str),
}

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attack {
    /// Its name, unique.
    pub name: &'static str,
    /// What it goes for.
    pub group: Group,
    /// What it tries, in a sentence.
    pub tries: &'static str,
    /// The attacker's words; `sh`, `bash` or `python` first makes the rest a script.
    pub line: &'static str,
    /// The manifest.
    pub under: Under,
    /// What may come of it inside: an errno, `NOTHING`, `EXIT`, `breach: …`, `refused: …`; each is a beginning.
    pub expect: &'static [&'static str],
    /// The controls that hold it, by the names that unplug them.
    pub controls: &'static [&'static str],
    /// What shows success.
    pub evidence: Evidence,
    /// What else it needs.
    pub prop: Option<Prop>,
    /// Whose attack it is.
    pub who: Who,
    /// Whether it is tried outside.
    pub outside: Shown,
    /// Whether its twin is tried.
    pub twin: Shown,
}

impl Attack {
    const fn new(group: Group, name: &'static str, tries: &'static str, line: &'static str) -> Attack {
        Attack {
            name,
            group,
            tries,
            line,
            under: Under::PLAIN,
            expect: &[],
            controls: &[],
            evidence: Evidence::Said,
            prop: None,
            who: Who::Anyone,
            outside: Shown::Yes,
            twin: Shown::Yes,
        }
    }

    const fn held(self, expect: &'static [&'static str], controls: &'static [&'static str]) -> Attack {
        Attack { expect, controls, ..self }
    }

    const fn under(self, under: Under) -> Attack {
        Attack { under, ..self }
    }

    const fn shown_by(self, evidence: Evidence) -> Attack {
        Attack { evidence, ..self }
    }

    const fn with(self, prop: Prop) -> Attack {
        Attack { prop: Some(prop), ..self }
    }

    const fn as_root(self) -> Attack {
        Attack { who: Who::Root, ..self }
    }

    const fn as_user(self) -> Attack {
        Attack { who: Who::User, ..self }
    }

    const fn not_outside(self, why: &'static str) -> Attack {
        Attack { outside: Shown::No(why), ..self }
    }

    const fn if_had(self, missing: &'static [&'static str]) -> Attack {
        Attack { outside: Shown::IfHad(missing), ..self }
    }

    const fn then(self, answers: &'static [&'static str]) -> Attack {
        Attack { twin: Shown::Then(answers), ..self }
    }

    const fn no_twin(self, why: &'static str) -> Attack {
        Attack { twin: Shown::No(why), ..self }
    }
}

/// Every attack, group by group.
pub fn all() -> impl Iterator<Item = &'static Attack> {
    [
        filesystem::ATTACKS,
        processes::ATTACKS,
        kernel::ATTACKS,
        resources::ATTACKS,
        network::ATTACKS,
        ipc::ATTACKS,
        policy::ATTACKS,
    ]
    .into_iter()
    .flatten()
}

/// Honest work, as attacks that must get through: outside and inside alike.
pub fn work() -> impl Iterator<Item = &'static Attack> {
    work::WORK.iter()
}

/// The controls that can be unplugged in a test build, by name.
pub const CONTROLS: &[&str] = &[
    "mounts",
    "userns_uid",
    "pidns",
    "ipcns",
    "utsns",
    "netns",
    "landlock",
    "seccomp",
    "capabilities",
    "no_new_privs",
    "close_fds",
    "environment",
    "limits_memory",
    "limits_cpu",
    "limits_time",
    "limits_processes",
    "limits_files",
    "setsid",
    "pdeathsig",
    "nosuid",
    "nodev",
    "noexec",
    "readonly",
    "protected",
    "proc",
    "dns_rule",
    "sni_rule",
    "http_rule",
    "address_rule",
    "port_rule",
    "quota",
    "scrub",
    "audience",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_there_are_many() {
        let mut names: Vec<&str> = all().map(|attack| attack.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(count >= 120, "{count}");
    }

    #[test]
    fn x3_every_attack_says_what_is_expected_and_what_holds_it() {
        for attack in all() {
            assert!(!attack.expect.is_empty(), "{} expects nothing", attack.name);
            let is_explained = !attack.controls.is_empty() || matches!(attack.twin, Shown::No(_));
            assert!(is_explained, "{} names no control", attack.name);
            assert!(!attack.tries.ends_with('.') && !attack.line.is_empty(), "{}", attack.name);
        }
    }

    #[test]
    fn what_stands_behind_the_controls_answers_otherwise() {
        for attack in all() {
            let Shown::Then(answers) = attack.twin else { continue };
            let is_told_apart = answers.iter().all(|answer| !attack.expect.contains(answer));
            assert!(is_told_apart && !answers.is_empty(), "{}: its twin cannot be told from it", attack.name);
        }
    }

    #[test]
    fn every_control_that_can_be_unplugged_holds_an_attack() {
        for control in CONTROLS {
            assert!(all().any(|attack| attack.controls.contains(control)), "{control} holds no attack of the table");
        }
        for attack in all() {
            for control in attack.controls {
                assert!(CONTROLS.contains(control), "{}: no control `{control}`", attack.name);
            }
        }
    }
}
