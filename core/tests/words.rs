//! The words that others branch on, write down and read: names, sentences, hosts, places, digests.

use std::sync::Arc;

use aether_core::capability::{Capability, Excess, Host, Network, Place};
use aether_core::digest::Sha256;
use aether_core::dispatcher::{Capacity, Dispatcher, Full};
use aether_core::event::{Folding, Scope};
use aether_core::facts::{Surprise, Verdict};
use aether_core::gate::{Gate, Judgement, Reason, Refusal};
use aether_core::governor::{Governor, Governors, Price, Spending};
use aether_core::label::{Label, Origin};
use aether_core::model::{ModelError, ModelErrorKind, ModelOptions, Part, Stop, Usage};
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::spec::{Frame, Message, ModelChoice, Retry, Spec};
use aether_core::task::Task;
use aether_core::tool::{Act, Acts, EntryKind, Grant, HandsError, Limits, Needs, Runtime, ToolCall, Toolbox, manifest};
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};
use aether_core::words::{Millis, TaskId, WishId};
use aether_testkit::play::toolbox::{ToyTools, everything};

#[cfg(test)]
fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

#[cfg(test)]
fn place(text: &str) -> Place {
    Place::parse(text).unwrap()
}

#[test]
fn names_are_distinct_and_found_again() {
    macro_rules! check {
        ($($type:ty)*) => {$(
            for one in <$type>::ALL {
                assert_eq!(<$type>::named(one.name()), Some(*one));
                assert_eq!(one.to_string(), one.name());
                assert_eq!(<$type>::ALL.iter().filter(|other| other.name() == one.name()).count(), 1);
                assert!(one.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            }
            assert_eq!(<$type>::named("nothing of the kind"), None);
        )*};
    }
    check!(Origin Act Runtime Asker Decision Governor Stop ModelErrorKind ToolOutcome Scope Folding);
}

#[test]
fn hosts_are_read_as_they_are_written() {
    for (text, written) in [
        ("a.org", "a.org:443"),
        ("A.Org:80", "a.org:80"),
        ("*.a.org", "*.a.org:443"),
        ("*.a.org:65535", "*.a.org:65535"),
        ("localhost:1", "localhost:1"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("a-b_c.org", "a-b_c.org:443"),
        ("[::1]", "[::1]:443"),
        ("[FE80::1]:80", "[fe80::1]:80"),
        ("[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80"),
    ] {
        assert_eq!(host(text).to_string(), written);
        assert_eq!(host(written), host(text));
    }
}

#[test]
fn what_is_no_host_is_refused_with_a_reason() {
    let port = "a port is a number from 1 to 65535";
    let name = "a host is labels of letters, digits and hyphens with dots between, or an IPv6 address in brackets";
    let star = "a wildcard needs at least two labels to its right";
    for (text, why) in [
        ("a.org:0", port),
        ("a.org:65536", port),
        ("a.org:", port),
        ("a.org:+80", port),
        ("a.org:8o", port),
        ("[::1]:x", port),
        ("", name),
        (".", name),
        ("a..org", name),
        ("a.org.", name),
        (":80", name),
        ("a org", name),
        ("ø.org", name),
        ("a.*.org", name),
        ("*", name),
        ("*a.org", name),
        ("http://a.org", port),
        ("a/b", name),
        ("[]", name),
        ("[1]", name),
        ("[::1", name),
        ("[::g]", name),
        ("*.[::1]", name),
        ("a:b:80", name),
        ("*.org", star),
    ] {
        let error = Host::parse(text).unwrap_err();
        assert_eq!((error.why, &*error.text), (why, text));
    }
    assert_eq!(Host::parse("*.org").unwrap_err().to_string(), format!("`*.org`: {star}"));
}

#[test]
fn hosts_cover_what_they_stand_for() {
    for (wide, narrow, covers) in [
        ("a.org", "a.org", true),
        ("a.org", "a.org:80", false),
        ("a.org", "b.org", false),
        ("a.org", "x.a.org", false),
        ("a.org", "*.a.org", false),
        ("*.a.org", "a.org", false),
        ("*.a.org", "x.a.org", true),
        ("*.a.org", "y.x.a.org", true),
        ("*.a.org", "xa.org", false),
        ("*.a.org", "*.a.org", true),
        ("*.a.org", "*.x.a.org", true),
        ("*.x.a.org", "*.a.org", false),
        ("*.a.org", "x.a.org:80", false),
        ("*.a.org", "x.a.org.b.org", false),
    ] {
        assert_eq!(host(wide).covers(&host(narrow)), covers, "{wide} {narrow}");
    }
}

#[test]
fn places_are_read_and_cover_what_is_beneath() {
    for (text, written) in [
        ("/", "/"),
        ("/.", "/"),
        ("//a/./b/", "/a/b"),
        ("$workspace", "$workspace"),
        ("$workspace/a//b/.", "$workspace/a/b"),
        ("/a b/ø", "/a b/ø"),
        ("/..a/b..", "/..a/b.."),
    ] {
        assert_eq!(place(text).as_str(), written);
        assert_eq!(place(text).to_string(), written);
    }
    for (text, why) in [
        ("", "a path starts with `/` or with a root such as `$workspace`"),
        ("a/b", "a path starts with `/` or with a root such as `$workspace`"),
        ("./a", "a path starts with `/` or with a root such as `$workspace`"),
        ("$", "a path starts with `/` or with a root such as `$workspace`"),
        ("$/a", "a path starts with `/` or with a root such as `$workspace`"),
        ("/a/../b", "`..` is not allowed in a path"),
        ("$workspace/..", "`..` is not allowed in a path"),
        ("/a\0b", "a path has no NUL"),
    ] {
        assert_eq!(Place::parse(text).unwrap_err().why, why, "{text}");
    }
    for (wide, narrow, covers) in [
        ("/", "/", true),
        ("/", "/a", true),
        ("/a", "/a", true),
        ("/a", "/a/b", true),
        ("/a", "/ab", false),
        ("/a/b", "/a", false),
        ("/", "$workspace", false),
        ("$workspace", "/", false),
        ("$workspace", "$workspace/a", true),
        ("$work", "$workspace", false),
    ] {
        assert_eq!(place(wide).covers(&place(narrow)), covers, "{wide} {narrow}");
    }
}

#[test]
fn capabilities_are_kept_in_one_form() {
    let places = |texts: &[&str]| texts.iter().map(|text| place(text)).collect::<Vec<_>>();
    let one = Capability::default().with_read(places(&["/b", "/a/x", "/a", "/b"]));
    assert_eq!(one.read(), places(&["/a", "/b"]));
    assert_eq!(one, Capability::default().with_read(places(&["/a", "/b"])));
    assert_eq!(Network::hosts(vec![]), Network::None);
    let hosts = Network::hosts(vec![host("x.a.org"), host("*.a.org"), host("b.org"), host("b.org")]);
    assert_eq!(hosts, Network::Hosts(vec![host("*.a.org"), host("b.org")]));
    let all = one.clone().with_write(places(&["/w"])).with_programs(places(&["/p"]));
    assert_eq!((all.write(), all.programs()), (&places(&["/w"])[..], &places(&["/p"])[..]));
}

#[test]
fn what_exceeds_is_named() {
    let wide = Capability::default().with_network(Network::hosts(vec![host("a.org")]));
    for (narrow, sentence) in [
        (Capability::default().with_network(Network::Public), "network to any public host"),
        (wide.clone().with_network(Network::hosts(vec![host("a.org"), host("b.org")])), "network to b.org:443"),
        (wide.clone().with_read(vec![place("/a")]), "reading /a"),
        (wide.clone().with_write(vec![place("/a")]), "writing /a"),
        (wide.clone().with_programs(vec![place("/a")]), "executing /a"),
    ] {
        let excess: Excess = wide.attenuate(narrow.clone()).unwrap_err();
        assert_eq!(excess.to_string(), sentence);
        assert_eq!(wide.excess(&narrow), Some(excess));
    }
    assert_eq!(wide.excess(&wide), None);
}

#[test]
fn sentences_say_what_and_why() {
    let wish = WishId(3);
    for (said, sentence) in [
        (Surprise::Ended.to_string(), "the task is over"),
        (Surprise::NotOpen(wish).to_string(), "wish #3 is not open"),
        (Surprise::Full.to_string(), "16 messages wait already"),
        (Surprise::Closing.to_string(), "the task is giving its last answer"),
        (Full::Draining.to_string(), "shutting down: no new task is taken"),
        (Full::Tasks { max: 4 }.to_string(), "the limit of 4 living tasks is reached"),
        (Full::Tenant { tenant: 7, max: 4 }.to_string(), "the limit of 4 living tasks of tenant 7 is reached"),
        (TaskId { slot: 3, generation: 1 }.to_string(), "t3.1"),
        (Reason::Policy(Act::Write).to_string(), "policy asks before write"),
        (ModelError::new(ModelErrorKind::Cut, "it was cut").to_string(), "it was cut"),
        (HandsError::Missing.to_string(), "no such file or directory"),
        (HandsError::Exists.to_string(), "it exists already"),
        (HandsError::WrongKind(EntryKind::Directory).to_string(), "it is a directory"),
        (HandsError::WrongKind(EntryKind::File).to_string(), "it is a file, not a directory"),
        (HandsError::WrongKind(EntryKind::Link).to_string(), "it is a symbolic link"),
        (HandsError::WrongKind(EntryKind::Other).to_string(), "it is not a regular file"),
        (HandsError::Outside("out".to_owned()).to_string(), "out"),
        (HandsError::Limit("much".to_owned()).to_string(), "much"),
        (HandsError::Failed("no".to_owned()).to_string(), "no"),
        (HandsError::Denied.to_string(), "permission denied by the operating system"),
        (HandsError::Stopped.to_string(), "stopped: cancelled or out of time"),
    ] {
        assert_eq!(said, sentence);
    }
    for governor in Governor::ALL {
        let others = Governor::ALL.iter().filter(|other| other.reason() == governor.reason());
        assert_eq!(others.count(), 1, "{governor}");
        assert!(!governor.reason().ends_with('.'));
        assert_eq!(Refusal::Spent(*governor).to_string(), format!("not run: {}", governor.reason()));
    }
    assert_eq!(Governor::OutputBytes.reason(), "the limit on output is reached");
}

#[test]
fn verdicts_and_refusals_have_names() {
    for (verdict, name) in [
        (Verdict::Done, "done"),
        (Verdict::Length, "length"),
        (Verdict::Refused, "refused"),
        (Verdict::Spent(Governor::Cost), "cost"),
        (Verdict::Failed(ModelError::new(ModelErrorKind::Timeout, "")), "timeout"),
        (Verdict::Interrupted, "interrupted"),
    ] {
        assert_eq!(verdict.name(), name);
    }
    for (refusal, name) in [
        (Refusal::Unreadable("x".into()), "unreadable"),
        (Refusal::Tool, "tool"),
        (Refusal::Undeclared, "undeclared"),
        (Refusal::Act(Act::Write), "act"),
        (Refusal::Reach(Excess::Network(None)), "reach"),
        (Refusal::Policy(Act::Write, Asker::Guest), "policy"),
        (Refusal::Declined("".into()), "declined"),
        (Refusal::Unanswered, "unanswered"),
        (Refusal::Spent(Governor::Depth), "depth"),
    ] {
        assert_eq!(refusal.name(), name);
    }
}

#[test]
fn only_errors_that_pass_are_repeated() {
    let passing = ["rate_limited", "unavailable", "unreachable", "timeout", "cut", "malformed"];
    for kind in ModelErrorKind::ALL {
        assert_eq!(kind.is_passing(), passing.contains(&kind.name()), "{kind}");
    }
}

#[test]
fn moments_do_not_overflow() {
    assert_eq!(Millis(5).after(3), Millis(8));
    assert_eq!(Millis(5).after(u64::MAX), Millis(u64::MAX));
    assert_eq!(Millis(8).since(Millis(5)), 3);
    assert_eq!(Millis(5).since(Millis(8)), 0);
}

#[test]
fn the_default_policy_reads_asks_and_denies() {
    let policy = Policy::default();
    let row =
        |act| Asker::ALL.iter().map(|asker| &policy.decision(act, *asker).name()[..2]).collect::<Vec<_>>().join(" ");
    for (act, decisions) in [
        (Act::ReadWorkspace, "al al de al al de"),
        (Act::ReadPrivate, "as as de de as de"),
        (Act::Write, "as as de de as de"),
        (Act::Execute, "as as de de as de"),
        (Act::NetworkRead, "as as de as as de"),
        (Act::NetworkSend, "as as de de as de"),
        (Act::MessagePerson, "as as de as as de"),
        (Act::Install, "as as de de de de"),
        (Act::Spend, "as as de de de de"),
    ] {
        assert_eq!(row(act), decisions, "{act}");
    }
    let mut policy = policy.clone();
    policy.set(Act::Write, Asker::Guest, Decision::Allow);
    assert_eq!(policy.decision(Act::Write, Asker::Guest), Decision::Allow);
    assert_eq!(policy.decision(Act::Write, Asker::Peer), Decision::Deny);
}

#[test]
fn sinks_are_what_leaves_the_machine() {
    let sinks: Vec<&str> = Act::ALL.iter().filter(|act| act.is_sink()).map(|act| act.name()).collect();
    assert_eq!(sinks, ["network_read", "network_send", "message_person", "spend"]);
}

#[test]
fn governors_are_finite_and_shared() {
    let all = Governors::default();
    assert_eq!(all.soft_ms(), 29 * 60 * 1000);
    assert_eq!(Governors { wall_ms_max: 100, ..all.clone() }.soft_ms(), 50);
    let usage =
        Usage { input_tokens: 10, output_tokens: 20, cached_tokens: 5, cache_write_tokens: 2, reasoning_tokens: 3 };
    let spent = Spending { model_calls: 10, tool_calls: 20, usage, cost_pico_usd: 30_999_999, output_bytes: 40 };
    assert_eq!(spent.cost_micro_usd(), 30);
    assert_eq!(
        spent.plus(spent),
        Spending {
            model_calls: 20,
            tool_calls: 40,
            usage: usage.plus(usage),
            cost_pico_usd: 61_999_998,
            output_bytes: 80,
        }
    );
    let twice =
        Usage { input_tokens: 20, output_tokens: 40, cached_tokens: 10, cache_write_tokens: 4, reasoning_tokens: 6 };
    assert_eq!(usage.plus(usage), twice);
    let share = all.share(&spent, 1_000, 2);
    let expected = Governors {
        wall_ms_max: 1_000,
        closing_ms_max: 60_000,
        model_calls_max: 25,
        tool_calls_max: 90,
        input_tokens_max: 2_499_995,
        output_tokens_max: 99_990,
        cost_micro_usd_max: 2_499_985,
        output_bytes_max: ((1 << 20) - 40) / 2,
        depth_max: 1,
        repeats_max: 4,
    };
    assert_eq!(share, expected);
    assert_eq!(all.share(&spent, 1, 0).model_calls_max, 50);
    let spent = Spending { model_calls: 99, ..spent };
    assert_eq!(all.share(&spent, 1, 1).model_calls_max, 0);
}

#[test]
fn the_first_budget_that_is_spent_is_named() {
    let all = Governors::default();
    let spent = Spending::default();
    assert_eq!(all.exhausted(&spent), None);
    let usage = |input_tokens, output_tokens| Usage { input_tokens, output_tokens, ..Usage::default() };
    for (spent, governor) in [
        (Spending { model_calls: 60, ..spent }, Some(Governor::ModelCalls)),
        (Spending { model_calls: 59, ..spent }, None),
        (Spending { usage: usage(5_000_000, 0), ..spent }, Some(Governor::InputTokens)),
        (Spending { usage: usage(4_999_999, 199_999), ..spent }, None),
        (Spending { usage: usage(0, 200_000), ..spent }, Some(Governor::OutputTokens)),
        (Spending { cost_pico_usd: 5_000_000_000_000, ..spent }, Some(Governor::Cost)),
        (Spending { cost_pico_usd: 4_999_999_999_999, ..spent }, None),
        (Spending { tool_calls: 1_000, output_bytes: u64::MAX, ..spent }, None),
    ] {
        assert_eq!(all.exhausted(&spent), governor, "{spent:?}");
    }
}

#[test]
fn tokens_have_their_price() {
    let price = Price { input: 3_000_000, cached: 300_000, output: 15_000_000 };
    let usage = Usage { input_tokens: 1_000, cached_tokens: 400, output_tokens: 10, ..Usage::default() };
    assert_eq!(price.cost_pico_usd(&usage), 600 * 3_000_000 + 400 * 300_000 + 10 * 15_000_000);
    let odd = Usage { input_tokens: 1, cached_tokens: 2, ..Usage::default() };
    assert_eq!(price.cost_pico_usd(&odd), 600_000);
    let much = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() };
    assert_eq!(price.cost_pico_usd(&much), u64::MAX);
}

#[test]
fn digests_bind_name_and_input() {
    let call = |name: &str, input: &str| ToolCall { id: "c1".into(), name: name.into(), input: input.into() };
    let digest = call("ab", "c").digest();
    assert_ne!(digest, call("a", "bc").digest());
    assert_eq!(digest, ToolCall { id: "c2".into(), ..call("ab", "c") }.digest());
    let bytes = [&2u64.to_be_bytes()[..], b"ab", &1u64.to_be_bytes()[..], b"c"].concat();
    assert_eq!(digest, Sha256::of(&bytes));
    assert_eq!(digest.to_string().len(), 64);
    assert_eq!(Sha256::of(b"").to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

fn tool_entry(text: &str, folded: Option<&str>) -> ToolEntry {
    ToolEntry {
        call: "c1".into(),
        name: "clock".into(),
        outcome: ToolOutcome::Done,
        text: text.into(),
        folded: folded.map(Into::into),
        label: Label::from(Origin::Tool),
    }
}

#[test]
fn entries_know_their_size_and_label() {
    let image = Image { media_type: "image/png".into(), bytes: vec![0; 50].into() };
    let label = Label::from(Origin::Guest);
    let call = ToolCall { id: "c1".into(), name: "clock".into(), input: "here".into() };
    let parts = vec![Part::Text("abc".into()), Part::Carried("de".into()), Part::Call(call.clone())];
    for (entry, shown, held, label) in [
        (Entry::Person { text: "hello".into(), images: vec![image.clone(), image], label }, 105, 105, label),
        (Entry::Note { text: "note".into(), label }, 4, 4, label),
        (Entry::Tool(tool_entry("0123456789", None)), 10, 10, Label::from(Origin::Tool)),
        (Entry::Tool(tool_entry("0123456789", Some("gone"))), 4, 14, Label::from(Origin::Tool)),
        (Entry::Model { parts: parts.clone(), codec: "toy" }, 14, 14, Label::from(Origin::Model)),
    ] {
        assert_eq!((entry.shown_bytes(), entry.held_bytes(), entry.label()), (shown, held, label));
    }
    assert_eq!(tool_entry("all", None).shown(), "all");
    assert_eq!(tool_entry("all", Some("less")).shown(), "less");
    assert_eq!(parts.iter().filter_map(Part::call).collect::<Vec<_>>(), [&call]);
}

#[cfg(test)]
fn spec() -> Spec {
    let choice = ModelChoice { name: "a".into(), codec: "toy", window_tokens: 1_000, price: Price::default() };
    let frame = Frame {
        system: "system".into(),
        toolbox: Arc::new(ToyTools::all()),
        models: vec![choice],
        options: ModelOptions::default(),
        policy: Policy::default(),
        retry: Retry::default(),
    };
    Spec {
        frame: Arc::new(frame),
        history: Vec::new(),
        goal: Message::typed("go"),
        grant: Grant { acts: Acts::ALL, capability: everything(), tools: None, limits: Limits::BUILTIN },
        governors: Governors::default(),
        asker: Asker::Owner,
        depth: 0,
        tenant: 5,
        seed: 1,
    }
}

#[test]
fn a_task_shows_what_it_is_made_of() {
    let task = Task::new(Millis(7), spec());
    assert_eq!((task.spec().tenant, task.spec().asker), (5, Asker::Owner));
    assert!(task.spec().goal.text.is_empty(), "the goal has moved to the transcript");
    assert_eq!(task.spending().model_calls, 1);
    assert_eq!(task.bytes_held(), 2);
    assert_eq!(task.deadline(), Some(Millis(7 + 29 * 60 * 1000)));
    let question = task.question().unwrap();
    assert_eq!((question.model, question.system, question.tools.len()), ("a", "system", 13));
    assert_eq!(
        format!("{:?}", task.spec().frame),
        "Frame { models: [ModelChoice { name: \"a\", codec: \"toy\", window_tokens: 1000, price: Price { input: 0, cached: 0, output: 0 } }], .. }"
    );
}

#[test]
fn a_dispatcher_shows_its_tasks() {
    let mut dispatcher = Dispatcher::new(Capacity { tasks_max: 2, tenant_tasks_max: 2 });
    let id = dispatcher.spawn(Millis(3), spec()).unwrap();
    assert_eq!(dispatcher.task(id).unwrap().spec().tenant, 5);
    assert_eq!(dispatcher.parent(id), None);
    assert_eq!(dispatcher.bytes_held(), 2);
    for nobody in [TaskId { slot: 0, generation: 1 }, TaskId { slot: 9, generation: 0 }] {
        assert!(dispatcher.task(nobody).is_none());
        assert_eq!(dispatcher.parent(nobody), None);
    }
    let mut none = Dispatcher::default();
    assert_eq!(none.spawn(Millis(0), spec()), Err(Full::Tasks { max: 0 }));
}

#[test]
fn k4_the_gate_judges_alone() {
    let tools = ToyTools::all();
    let read = manifest(&tools, "read").unwrap();
    assert_eq!(&*read.name, "read");
    assert!(manifest(&tools, "nothing").is_none());
    let grant =
        Grant { acts: Acts::ALL, capability: everything(), tools: Some(vec!["clock".into()]), limits: Limits::BUILTIN };
    let policy = Policy::default();
    let (label, askers) = (Label::default(), [Asker::Terminal; 2]);
    let gate = Gate { grant: &grant, policy: &policy, askers, label, standing: &[] };
    let call = ToolCall { id: "c1".into(), name: "read".into(), input: "x".into() };
    let needs = Needs { acts: Acts::NONE, capability: Capability::default(), label };
    assert_eq!(gate.judge(read, call.clone(), needs.clone()), Judgement::Deny(Refusal::Tool));
    let grant = Grant { tools: None, ..grant.clone() };
    let gate = Gate { grant: &grant, ..gate };
    let Judgement::Allow(authorized) = gate.judge(read, call.clone(), needs.clone()) else { panic!("it may run") };
    assert_eq!((authorized.call(), authorized.needs(), authorized.limits()), (&call, &needs, read.limits));
    assert_eq!(*authorized.digest(), call.digest());
    let needs = Needs { acts: Acts::of(&[Act::ReadWorkspace]), ..needs };
    let gate = Gate { askers: [Asker::Terminal, Asker::Guest], ..gate };
    let denied = Refusal::Policy(Act::ReadWorkspace, Asker::Guest);
    assert_eq!(gate.judge(read, call.clone(), needs), Judgement::Deny(denied));
    let write = manifest(&tools, "write").unwrap();
    let gate = Gate { askers, ..gate };
    let needs = Needs { acts: Acts::of(&[Act::Write]), capability: Capability::default(), label };
    let Judgement::Ask(pending) = gate.judge(write, call.clone(), needs.clone()) else { panic!("it is asked about") };
    assert_eq!((pending.call(), pending.needs(), pending.reason()), (&call, &needs, Reason::Policy(Act::Write)));
}

#[test]
fn a_built_in_tool_has_limits() {
    let Limits { runtime_ms_max, cpu_ms_max, memory_bytes_max, processes_max, output_bytes_max } = Limits::BUILTIN;
    assert_eq!((runtime_ms_max, cpu_ms_max, processes_max), (30_000, 30_000, 1));
    assert_eq!((memory_bytes_max, output_bytes_max), (67_108_864, 32_768));
}

#[test]
fn the_toolbox_of_a_play_knows_its_tools() {
    assert_eq!(ToyTools::of(&["clock", "nothing"]).manifests().len(), 1);
}
