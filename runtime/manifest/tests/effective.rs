//! Effective authority: between random grants, manifests and policies nothing grows (M5).

#![cfg(test)]

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::policy::{Asker, Decision};
use aether_core::tool::{Act, Acts, Grant, Limits};
use aether_manifest::{Bounds, Effective, PolicyFile, ToolManifest, Withheld};

const PLACES: &[&str] = &["$workspace", "$workspace/a", "$workspace/a/b", "$home/x", "/srv", "/srv/data", "/opt/x"];
const HOSTS: &[&str] = &["a.com", "x.a.com", "*.a.com", "b.org:8443", "y.x.a.com", "b.org:80"];

fn manifest(text: &str) -> ToolManifest {
    ToolManifest::parse(text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"))
}

fn policy(text: &str) -> PolicyFile {
    PolicyFile::parse(text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:#?}"))
}

fn everything() -> Grant {
    let places = |texts: &[&str]| texts.iter().map(|text| Place::parse(text).unwrap()).collect::<Vec<Place>>();
    let all = places(&["$workspace", "$home", "/"]);
    Grant {
        acts: Acts::ALL,
        capability: Capability::default()
            .with_network(Network::Public)
            .with_read(all.clone())
            .with_write(all.clone())
            .with_programs(all),
        tools: None,
        limits: Limits { runtime_ms_max: 120_000, ..Limits::BUILTIN },
    }
}

#[test]
fn the_simple_form_is_the_widest_that_grant_and_policy_allow() {
    let simple =
        manifest("name = \"t\"\nnetwork = true\nfilesystem = true\nmax_runtime = \"3s\"\nmemory_limit = \"20mb\"\n");
    let (grant, open) = (everything(), PolicyFile::default());
    let of = |policy: &PolicyFile, asker: Asker| Effective::of(simple.core(), &Bounds { grant: &grant, policy, asker });
    let terminal = of(&open, Asker::Terminal);
    assert_eq!(terminal.acts, simple.core().acts);
    assert_eq!(terminal.asked, Acts::of(&[Act::Write, Act::Execute, Act::NetworkRead, Act::NetworkSend]));
    assert_eq!(terminal.capability, simple.core().capability);
    let guest = of(&open, Asker::Guest);
    assert_eq!((guest.acts, &guest.capability), (Acts::NONE, &Capability::default()));
    assert!(guest.withheld.iter().all(|(_, why)| *why == Withheld::Policy));
    let schedule = of(&open, Asker::Schedule);
    assert_eq!(schedule.capability.network, Network::None, "sending is denied, so nothing is connected");
    assert!(schedule.withheld.contains(&(Act::NetworkRead, Withheld::Reach)));
    let narrow =
        policy("[network]\nallowed_hosts = [\"*.a.com\", \"b.org\"]\ndenied_hosts = [\"x.a.com\", \"b.org\"]\n");
    let left = of(&narrow, Asker::Terminal);
    assert_eq!(left.capability.network, Network::hosts(vec![Host::parse("*.a.com").unwrap()]));
    assert!(left.reaches(&Host::parse("y.a.com").unwrap()) && !left.reaches(&Host::parse("x.a.com").unwrap()));
    let closed = of(&policy("[network]\nallowed_hosts = []\n"), Asker::Terminal);
    assert_eq!(closed.capability.network, Network::None);
    let without = of(&policy("[tools]\ndenied = [\"t\"]\n"), Asker::Terminal);
    assert_eq!((without.acts, without.withheld[0].1), (Acts::NONE, Withheld::DeniedTool));
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// Texts of which none is within another.
    fn texts(&mut self, of: &[&str], covers: fn(&str, &str) -> bool) -> Vec<String> {
        let mut taken: Vec<String> = Vec::new();
        for text in of {
            if self.below(3) == 0 && !taken.iter().any(|one| covers(one, text) || covers(text, one)) {
                taken.push((*text).to_owned());
            }
        }
        taken
    }

    fn places(&mut self) -> Vec<String> {
        self.texts(PLACES, |a, b| Place::parse(a).unwrap().covers(&Place::parse(b).unwrap()))
    }

    fn hosts(&mut self) -> Vec<String> {
        self.texts(HOSTS, |a, b| Host::parse(a).unwrap().covers(&Host::parse(b).unwrap()))
    }

    fn manifest(&mut self) -> ToolManifest {
        let network = match self.below(3) {
            0 => "true".to_owned(),
            1 => "false".to_owned(),
            _ => format!("{:?}", self.hosts()),
        };
        // The workspace as a whole is too broad to execute, and what is in it is enough here.
        let programs: Vec<String> = self.places().into_iter().filter(|place| place != "$workspace").collect();
        manifest(&format!(
            "name = \"t{}\"\nnetwork = {network}\nfilesystem = {{ read = {:?}, write = {:?} }}\nprograms = {programs:?}\nmax_runtime = \"{}ms\"\nmemory_limit = \"{}mb\"\nprocesses_max = {}\n",
            self.below(3),
            self.places(),
            self.places(),
            1 + self.below(200_000),
            1 + self.below(100),
            1 + self.below(5),
        ))
    }

    fn grant(&mut self) -> Grant {
        let places = |texts: Vec<String>| texts.iter().map(|text| Place::parse(text).unwrap()).collect::<Vec<Place>>();
        let network = match self.below(3) {
            0 => Network::Public,
            _ => Network::hosts(self.hosts().iter().map(|text| Host::parse(text).unwrap()).collect()),
        };
        let acts: Vec<Act> = Act::ALL.iter().copied().filter(|_| self.below(4) > 0).collect();
        let tools = ["t0", "t1", "t2"].into_iter().filter(|_| self.below(3) > 0).map(Into::into).collect();
        Grant {
            acts: Acts::of(&acts),
            capability: Capability::default()
                .with_network(network)
                .with_read(places(self.places()))
                .with_write(places(self.places()))
                .with_programs(places(self.places())),
            tools: Some(tools).filter(|_| self.below(2) == 0),
            limits: Limits { runtime_ms_max: 1 + self.below(200_000) as u64, ..Limits::BUILTIN },
        }
    }

    fn policy(&mut self) -> PolicyFile {
        let mut text = String::new();
        for asker in Asker::ALL {
            text.push_str(&format!("[{asker}]\n"));
            for act in Act::ALL {
                text.push_str(&format!("{act} = \"{}\"\n", Decision::ALL[self.below(3)]));
            }
        }
        text.push_str("[network]\n");
        if self.below(2) == 0 {
            text.push_str(&format!("allowed_hosts = {:?}\n", self.hosts()));
        }
        text.push_str(&format!(
            "denied_hosts = {:?}\n[tools]\ndenied = {:?}\n",
            self.hosts(),
            &["t0"][self.below(2)..]
        ));
        policy(&text)
    }
}

#[test]
fn m5_nothing_exceeds_grant_manifest_or_policy() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    println!("SEED={seed}");
    let mut random = Random(seed);
    let mut reached = 0;
    for _ in 0..3_000 {
        let (tool, grant, policy) = (random.manifest(), random.grant(), random.policy());
        let asker = Asker::ALL[random.below(Asker::ALL.len())];
        let core = tool.core();
        let left = Effective::of(core, &Bounds { grant: &grant, policy: &policy, asker });
        assert!(grant.acts.covers(left.acts) && core.acts.covers(left.acts) && left.acts.covers(left.asked));
        assert!(grant.capability.covers(&left.capability), "{grant:?}\n{left:?}");
        assert!(core.capability.covers(&left.capability), "{core:?}\n{left:?}");
        assert_eq!(left.limits, left.limits.meet(grant.limits).meet(core.limits));
        for act in Act::ALL {
            let why = left.withheld.iter().find(|(other, _)| other == act);
            assert_eq!(left.acts.has(*act), core.acts.has(*act) && why.is_none(), "left or withheld: {act}");
            let decision = policy.table().decision(*act, asker);
            assert!(!left.acts.has(*act) || decision != Decision::Deny);
            assert_eq!(left.asked.has(*act), left.acts.has(*act) && decision == Decision::Ask);
        }
        for text in HOSTS {
            let host = Host::parse(text).unwrap();
            if left.reaches(&host) {
                reached += 1;
                let one = Network::hosts(vec![host.clone()]);
                assert!(policy.hosts_allowed().is_none_or(|hosts| hosts.iter().any(|allowed| allowed.covers(&host))));
                assert!(!policy.hosts_denied().iter().any(|denied| denied.covers(&host)));
                assert!(grant.capability.network.covers(&one) && core.capability.network.covers(&one));
                assert!(left.acts.covers(Acts::of(&[Act::NetworkRead, Act::NetworkSend])));
            }
        }
        let is_barred = policy.tools_denied().contains(&core.name) || !grant.has_tool(&core.name);
        assert!(!is_barred || (left.acts == Acts::NONE && left.capability == Capability::default()));
        assert!(left.capability.write().is_empty() || left.acts.has(Act::Write));
        assert!(left.capability.programs().is_empty() || left.acts.has(Act::Execute));
        assert!(
            left.capability.read().is_empty() || left.acts.has(Act::ReadWorkspace) || left.acts.has(Act::ReadPrivate)
        );
    }
    assert!(reached > 100, "the test has something to look at: {reached}");
}
