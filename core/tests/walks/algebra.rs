//! The laws of the algebras: capabilities, acts, limits, grants and labels.

use aether_core::capability::{Capability, Excess, Network};
use aether_core::label::{Label, Origin};
use aether_core::tool::{Act, Acts, Grant, Limits};

use super::random::{Random, plan};
use super::setting::{capability, label};
use super::watch::reaches;

#[test]
fn the_meet_of_capabilities_is_their_greatest_lower_bound() {
    let (seed, rounds) = plan(30_000);
    let mut random = Random::new(seed);
    for _ in 0..rounds / 20 {
        let (a, b, c) = (capability(&mut random), capability(&mut random), capability(&mut random));
        let meet = a.meet(&b);
        assert_eq!(meet, b.meet(&a), "commutative");
        assert_eq!(meet.meet(&c), a.meet(&b.meet(&c)), "associative");
        assert_eq!(a.meet(&a), a, "idempotent");
        assert!(a.covers(&meet) && b.covers(&meet), "a lower bound");
        assert!(!(a.covers(&c) && b.covers(&c)) || meet.covers(&c), "the greatest: {a:?} {b:?} {c:?}");
        assert_eq!(a.covers(&b), a.meet(&b) == b, "the order is that of the meet");
        assert_eq!(a.covers(&b), reaches(&a, &b), "the order is what the texts say: {a:?} {b:?}");
        assert_eq!(a.covers(&b) && b.covers(&a), a == b, "antisymmetric");
        assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c), "transitive");
        assert_eq!(a.covers(&b), a.attenuate(b.clone()).is_ok(), "attenuate never widens");
        assert_eq!(a.attenuate(meet.clone()), Ok(meet));
        if let Err(excess) = a.attenuate(b.clone()) {
            let only = match excess {
                Excess::Network(None) => Capability::default().with_network(Network::Public),
                Excess::Network(Some(host)) => Capability::default().with_network(Network::hosts(vec![host])),
                Excess::Read(place) => Capability::default().with_read(vec![place]),
                Excess::Write(place) => Capability::default().with_write(vec![place]),
                Excess::Program(place) => Capability::default().with_programs(vec![place]),
            };
            assert!(b.covers(&only) && !a.covers(&only), "what is named is what exceeds");
        }
    }
}

fn acts(random: &mut Random) -> Acts {
    Acts::of(&Act::ALL.iter().copied().filter(|_| random.once_in(2)).collect::<Vec<_>>())
}

fn limits(random: &mut Random) -> Limits {
    let mut number = || random.below(3) as u64;
    Limits {
        runtime_ms_max: number(),
        cpu_ms_max: number(),
        memory_bytes_max: number(),
        processes_max: number() as u32,
        output_bytes_max: number(),
    }
}

fn grant(random: &mut Random) -> Grant {
    let names = ["a", "b", "c"].into_iter().filter(|_| random.once_in(2)).map(Into::into).collect();
    let tools = if random.once_in(3) { None } else { Some(names) };
    let capability = if random.once_in(2) { Capability::default() } else { capability(random) };
    let acts = if random.once_in(2) { Acts::ALL } else { acts(random) };
    Grant { acts, capability, tools, limits: if random.once_in(2) { Limits::BUILTIN } else { limits(random) } }
}

#[test]
fn the_meet_of_grants_is_their_greatest_lower_bound() {
    let (seed, rounds) = plan(30_000);
    let mut random = Random::new(seed);
    for _ in 0..rounds / 20 {
        let (a, b, c) = (grant(&mut random), grant(&mut random), grant(&mut random));
        let meet = a.meet(&b);
        assert!(a.covers(&meet) && b.covers(&meet), "a lower bound");
        assert!(!(a.covers(&c) && b.covers(&c)) || meet.covers(&c), "the greatest");
        assert_eq!(a.meet(&a), a, "idempotent");
        assert_eq!(meet.meet(&c), a.meet(&b.meet(&c)), "associative");
        let back = b.meet(&a);
        assert!(meet.covers(&back) && back.covers(&meet), "commutative");
        assert!(a.covers(&a));
        for tool in ["a", "b", "c", "d"] {
            assert_eq!(meet.has_tool(tool), a.has_tool(tool) && b.has_tool(tool));
        }
        let fields = |l: &Limits| {
            [l.runtime_ms_max, l.cpu_ms_max, l.memory_bytes_max, u64::from(l.processes_max), l.output_bytes_max]
        };
        let least = fields(&a.limits).into_iter().zip(fields(&b.limits)).map(|(a, b)| a.min(b));
        assert_eq!(fields(&meet.limits).to_vec(), least.collect::<Vec<_>>());
        let is_wider = fields(&a.limits).into_iter().zip(fields(&c.limits)).all(|(a, c)| a >= c);
        assert!(is_wider || !a.covers(&c));
        assert!(c.acts.iter().all(|act| a.acts.has(act)) || !a.covers(&c));
    }
}

#[test]
fn acts_are_sets() {
    let (seed, rounds) = plan(20_000);
    let mut random = Random::new(seed);
    for _ in 0..rounds / 20 {
        let (a, b) = (acts(&mut random), acts(&mut random));
        for act in Act::ALL {
            assert_eq!(a.meet(b).has(*act), a.has(*act) && b.has(*act));
            assert_eq!(a.union(b).has(*act), a.has(*act) || b.has(*act));
        }
        assert_eq!(a.covers(b), b.iter().all(|act| a.has(act)));
        assert_eq!(Acts::of(&a.iter().collect::<Vec<_>>()), a);
        assert!(Acts::ALL.covers(a) && a.covers(Acts::NONE));
    }
    assert!(Act::ALL.iter().all(|act| Acts::ALL.has(*act) && !Acts::NONE.has(*act)));
    assert_eq!(Acts::of(&[Act::Spend, Act::Write]).to_string(), "write+spend");
    assert_eq!(Acts::NONE.to_string(), "nothing");
}

#[test]
fn labels_join_to_their_least_upper_bound() {
    let (seed, rounds) = plan(20_000);
    let mut random = Random::new(seed);
    for _ in 0..rounds / 20 {
        let (a, b, c) = (label(&mut random), label(&mut random), label(&mut random));
        let join = a.join(b);
        assert_eq!(join, b.join(a), "commutative");
        assert_eq!(join.join(c), a.join(b.join(c)), "associative");
        assert_eq!(a.join(a), a, "idempotent");
        assert!(a.within(join) && b.within(join), "an upper bound");
        assert!(!(a.within(c) && b.within(c)) || join.within(c), "the least");
        assert_eq!(join.untrusted, a.untrusted || b.untrusted);
        assert_eq!(join.private, a.private || b.private);
        assert_eq!(join.is_tainted(), join.untrusted && join.private);
        assert!(Origin::ALL.iter().all(|origin| join.has(*origin) == (a.has(*origin) || b.has(*origin))));
    }
    for origin in Origin::ALL {
        let label = Label::from(*origin);
        let strangers = [Origin::Web, Origin::Guest, Origin::Peer];
        assert_eq!((label.untrusted, label.private), (strangers.contains(origin), false));
        assert!(label.has(*origin));
        assert!(Label::default().within(label) && !label.within(Label::default()));
    }
    assert_eq!(Label::default().to_string(), "none");
    assert_eq!(Label::from(Origin::Web).private().to_string(), "web+untrusted+private");
    assert_eq!(Label::from(Origin::Person).join(Label::from(Origin::Tool)).to_string(), "person+tool");
}
