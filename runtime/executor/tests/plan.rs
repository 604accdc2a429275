//! From random manifests to plans: no bind, port, limit or variable of a jail is more than the manifest says (E2).
#![cfg(test)]
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::policy::{Asker, Decision};
use aether_core::tool::{Act, Acts, Grant, Limits};
use aether_executor::{ExecutorError, Options, environment, plan, system};
use aether_jail::{Access, Bind, Execute, Guarantees, JailError, Plan, libraries};
use aether_manifest::{Bounds, Effective, PolicyFile, ToolManifest};
use aether_programs::{Line, Programs, SYSTEM};
use aether_tools::Scope;

const CASES: u64 = 1_000;
const HOSTS: &[&str] = &["a.com", "x.a.com", "*.a.com", "b.org:8443", "y.x.a.com", "b.org:80"];
/// The port on which HTTP without TLS is listened for, so that it can be refused in words.
const PLAIN_PORT: u16 = 80;

/// A workspace, a home and a few places beside them, all of them real.
struct Ground {
    folder: tempfile::TempDir,
    options: Options,
    /// Every place that a manifest here may name.
    places: Vec<String>,
}

impl Ground {
    fn new() -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["work/a/b", "work/tools", "home/notes/old", "home/x", "srv/data", "more/bin", "opt"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join("opt/program"), "").unwrap();
        let absolute = ["srv", "srv/data", "opt/program"].map(|name| root.join(name).to_string_lossy().into_owned());
        let named = ["$workspace", "$workspace/a", "$workspace/a/b", "$workspace/tools", "$home/notes", "$home/x"];
        let places = named.map(str::to_owned).into_iter().chain(absolute).collect();
        let options = Options {
            programs: Programs::new(&Scope::workspace(&root.join("work").to_string_lossy()), &[]),
            workspace: root.join("work"),
            home: Some(root.join("home")),
            programs_in: vec![root.join("more")],
            environment: vec![("GREETING".into(), "hello".into())],
            guarantees: Guarantees::default(),
            network: aether_egress::Options::default(),
            exceptions: Vec::new(),
            bounds: aether_egress::Bounds::default(),
            ahead: 0,
            spawner: Arc::new(|| Err(JailError::Gone { why: "nothing is run here".into() })),
        };
        Ground { folder, options, places }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn plan(&self, capability: &Capability, limits: Limits) -> Result<Plan, ExecutorError> {
        plan(&self.options, capability, limits, &line())
    }

    /// A path inside a jail, as a manifest would name it.
    fn place(&self, target: &Path) -> Place {
        let below = |root: &Path, name: &str| {
            let rest = target.strip_prefix(root).ok()?;
            Some(if rest.as_os_str().is_empty() { name.to_owned() } else { format!("{name}/{}", rest.display()) })
        };
        let home = self.options.home.as_deref().unwrap();
        let named = below(&self.options.workspace, "$workspace").or_else(|| below(home, "$home"));
        Place::parse(&named.unwrap_or_else(|| target.display().to_string())).unwrap()
    }
}

fn line() -> Line {
    Line {
        program: "sh".into(),
        args: vec!["-c".into(), "true".into()],
        env: vec![("EXTRA", "1".into())],
        folder: String::new(),
        input: String::new(),
        seconds_max: 120,
    }
}

/// xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// Some of them, of which none is within another: a manifest says nothing twice.
    fn texts(&mut self, of: &[String], covers: fn(&str, &str) -> bool) -> Vec<String> {
        let mut taken: Vec<String> = Vec::new();
        for text in of {
            if self.below(3) == 0 && !taken.iter().any(|one| covers(one, text) || covers(text, one)) {
                taken.push(text.clone());
            }
        }
        taken
    }

    fn places(&mut self, of: &[String]) -> Vec<String> {
        self.texts(of, |a, b| Place::parse(a).unwrap().covers(&Place::parse(b).unwrap()))
    }

    fn hosts(&mut self) -> Vec<String> {
        let all: Vec<String> = HOSTS.iter().map(|host| (*host).to_owned()).collect();
        self.texts(&all, |a, b| Host::parse(a).unwrap().covers(&Host::parse(b).unwrap()))
    }

    fn manifest(&mut self, places: &[String]) -> ToolManifest {
        let network = match self.below(4) {
            0 => "true".to_owned(),
            1 => "false".to_owned(),
            _ => format!("{:?}", self.hosts()),
        };
        let mut programs = self.places(places);
        programs.retain(|place| place != "$workspace");
        if self.below(4) == 0 {
            programs.push(SYSTEM.to_owned());
        }
        let text = format!(
            "name = \"t\"\nruntime = \"native\"\nnetwork = {network}\nfilesystem = {{ read = {:?}, write = {:?} }}\nprograms = {programs:?}\n\
             max_runtime = \"{}ms\"\nmemory_limit = \"{}mb\"\ncpu_limit = \"{}ms\"\nprocesses_max = {}\n",
            self.places(places),
            self.places(places),
            1 + self.below(200_000),
            1 + self.below(1_000),
            1 + self.below(200_000),
            1 + self.below(64),
        );
        ToolManifest::parse(&text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"))
    }

    fn policy(&mut self) -> PolicyFile {
        let mut text = format!("[network]\ndenied_hosts = {:?}\n", self.hosts());
        if self.below(2) == 0 {
            text.push_str(&format!("allowed_hosts = {:?}\n", self.hosts()));
        }
        for act in Act::ALL {
            text = format!("{act} = \"{}\"\n{text}", Decision::ALL[self.below(3)]);
        }
        PolicyFile::parse(&format!("[terminal]\n{text}")).unwrap()
    }

    fn grant(&mut self, places: &[String]) -> Grant {
        let parsed = |texts: Vec<String>| texts.iter().map(|text| Place::parse(text).unwrap()).collect::<Vec<Place>>();
        let capability = Capability::default()
            .with_network(if self.below(2) == 0 { Network::Public } else { hosts(&self.hosts()) })
            .with_read(parsed(self.places(places)))
            .with_write(parsed(self.places(places)))
            .with_programs(parsed(self.places(places)));
        let limits = Limits { runtime_ms_max: 1 + self.below(200_000) as u64, ..Limits::BUILTIN };
        Grant { acts: Acts::ALL, capability, tools: None, limits }
    }
}

fn hosts(texts: &[String]) -> Network {
    Network::hosts(texts.iter().map(|text| Host::parse(text).unwrap()).collect())
}

/// Nothing of the plan is more than this.
fn covered(ground: &Ground, plan: &Plan, capability: &Capability, limits: Limits) {
    let whole = capability.programs().iter().any(|place| place.as_str() == SYSTEM);
    let own = if whole { system(&ground.options) } else { Vec::new() };
    let machine: BTreeSet<PathBuf> = own.into_iter().chain(libraries()).map(|bind: Bind| bind.target).collect();
    for bind in &plan.binds {
        assert_eq!(bind.source, bind.target, "without links a place is the same inside");
        if machine.contains(&bind.target) {
            assert_eq!(bind.access, Access::Read, "{bind:?}");
            continue;
        }
        let place = ground.place(&bind.target);
        let has = |places: &[Place]| places.iter().any(|granted| granted.covers(&place));
        let (may_write, may_execute) = (has(capability.write()), has(capability.programs()));
        assert!(may_write || bind.access == Access::Read, "{bind:?} is not written by {capability:?}");
        assert!(may_write || may_execute || has(capability.read()), "{bind:?} is not seen by {capability:?}");
        assert!(may_execute || bind.execute == Execute::Denied, "{bind:?} is not executed by {capability:?}");
    }
    let ports = match &plan.network {
        aether_jail::Network::None => Vec::new(),
        aether_jail::Network::Brokered { ports } => ports.clone(),
    };
    match &capability.network {
        Network::None => assert_eq!(plan.network, aether_jail::Network::None),
        Network::Public => assert!(ports.iter().all(|port| aether_egress::PUBLIC_PORTS.contains(port)), "{ports:?}"),
        Network::Hosts(hosts) => {
            let of = |host: &Host| host.to_string().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            let granted: BTreeSet<u16> = hosts.iter().filter_map(of).chain([PLAIN_PORT]).collect();
            assert!(ports.iter().all(|port| granted.contains(port)), "{ports:?} of {hosts:?}");
        }
    }
    assert!(plan.limits.runtime_ms_max <= limits.runtime_ms_max && plan.limits.cpu_ms_max <= limits.cpu_ms_max);
    assert!(plan.limits.memory_bytes_max <= limits.memory_bytes_max);
    assert!(plan.limits.scratch_bytes_max <= limits.memory_bytes_max, "its temporary files are memory");
    assert!(plan.limits.processes_max <= limits.processes_max);
    let mut known: BTreeSet<_> = environment().into_iter().map(|(name, _)| name).collect();
    known.extend(["GREETING".into(), "EXTRA".into()]);
    assert!(plan.command.env.iter().all(|(name, _)| known.contains(name)), "{:?}", plan.command.env);
}

#[test]
fn e2_no_plan_exceeds_its_manifest() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(12);
    println!("SEED={seed}");
    let (mut random, ground) = (Random(seed), Ground::new());
    let mut sound = 0;
    for _ in 0..CASES {
        let tool = random.manifest(&ground.places);
        let core = tool.core();
        let plan = ground.plan(&core.capability, core.limits).unwrap();
        covered(&ground, &plan, &core.capability, core.limits);
        sound += u64::from(plan.check().is_ok());
    }
    assert!(sound > CASES / 2, "most of what a manifest says can be had: {sound}");
}

#[test]
fn e2_no_plan_exceeds_what_grant_manifest_and_policy_leave() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(13);
    println!("SEED={seed}");
    let (mut random, ground) = (Random(seed), Ground::new());
    let mut reached = 0;
    for _ in 0..CASES {
        let (tool, grant, policy) = (random.manifest(&ground.places), random.grant(&ground.places), random.policy());
        let core = tool.core();
        let left = Effective::of(core, &Bounds { grant: &grant, policy: &policy, asker: Asker::Terminal });
        let plan = ground.plan(&left.capability, left.limits).unwrap();
        covered(&ground, &plan, &left.capability, left.limits);
        for (capability, limits) in [(&core.capability, core.limits), (&grant.capability, grant.limits)] {
            // Policy and grant may leave a part of a host, so only the network that is left is compared with ports.
            let narrowed = capability.clone().with_network(left.capability.network.clone());
            covered(&ground, &plan, &narrowed, limits);
        }
        let is_read_only = policy.table().decision(Act::Write, Asker::Terminal) == Decision::Deny;
        assert!(!is_read_only || plan.binds.iter().all(|bind| bind.access == Access::Read));
        reached += u64::from(plan.network != aether_jail::Network::None);
    }
    assert!(reached > CASES / 20, "the network is left now and then: {reached}");
}

#[test]
fn e2_a_link_leads_nowhere_else() {
    let ground = Ground::new();
    let root = ground.root();
    symlink(root.join("srv"), root.join("work/out")).unwrap();
    symlink(".", root.join("work/all")).unwrap();
    symlink(root.join("home/x"), root.join("home/notes/link")).unwrap();
    symlink(root.join("home"), root.join("srv/link")).unwrap();
    let absolute = root.join("srv/link").to_string_lossy().into_owned();
    for text in
        ["$workspace/out", "$workspace/out/data", "$workspace/all", "$workspace/all/a", "$home/notes/link", &absolute]
    {
        let places = vec![Place::parse(text).unwrap()];
        for capability in [Capability::default().with_read(places.clone()), Capability::default().with_write(places)] {
            let error = ground.plan(&capability, Limits::BUILTIN).unwrap_err();
            assert!(error.to_string().contains("lead"), "{text}: {error}");
        }
    }
    // A link of the system's own, which no jail can change, is what it leads to.
    let shell = Capability::default().with_programs(vec![Place::parse("/bin/sh").unwrap()]);
    assert!(ground.plan(&shell, Limits::BUILTIN).is_ok());
}
