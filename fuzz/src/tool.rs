//! One tool call through the real gate, and what holds for every one of them.

use aether_core::capability::{Capability, Network, Place};
use aether_core::gate::{Gate, Judgement};
use aether_core::label::Label;
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::tool::{Acts, Grant, Limits, Output, Plan, ToolCall, Toolbox};
use aether_tools::{Scope, Tools};

use crate::{Draw, ScriptedHands};

/// The longest sentence in which a tool says why it could not do something.
pub const SENTENCE_BYTES_MAX: usize = 16 << 10;

/// The built-in tools, a workspace and a private root, and a policy that allows everything.
pub struct Workbench {
    tools: Tools,
    policy: Policy,
}

impl Default for Workbench {
    fn default() -> Workbench {
        let mut policy = Policy::default();
        for act in Acts::ALL.iter() {
            policy.set(act, Asker::Terminal, Decision::Allow);
        }
        Workbench { tools: Tools::builtin(&Scope::workspace("/w").with_root("$notes")), policy }
    }
}

impl Workbench {
    /// The tools.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Limits whose output is as small as the next byte says, down to nothing.
    pub fn limits(draw: &mut Draw<'_>) -> Limits {
        let output_bytes_max = draw.one_of(&[32 << 10, 0, 1, 3, 50, 399, 400, 401, 700, 4_000]);
        Limits { output_bytes_max, ..Limits::BUILTIN }
    }

    /// Plans, authorises and runs one call.
    ///
    /// # Panics
    /// When the output is larger than its limit (T1), when its label says less than was planned, when the gate refuses
    /// what the tool itself says it needs (T2), or when a sentence has no end.
    pub fn call(
        &self,
        name: &str,
        input: &str,
        limits: Limits,
        hands: &mut ScriptedHands<'_>,
    ) -> Result<Output, String> {
        let told = self.told(name, input, limits, hands);
        if let Err(sentence) = &told {
            assert!(sentence.len() <= SENTENCE_BYTES_MAX, "a sentence of {} bytes", sentence.len());
            assert!(!sentence.is_empty(), "an empty sentence");
        }
        told
    }

    fn told(&self, name: &str, input: &str, limits: Limits, hands: &mut ScriptedHands<'_>) -> Result<Output, String> {
        let call = ToolCall { id: "c1".into(), name: name.into(), input: input.into() };
        let plan = self.tools.plan(&call)?;
        assert_eq!(self.tools.plan(&call), Ok(plan.clone()), "the same call has two plans");
        let (Plan::Run(needs), Some(tool)) = (plan, self.tools.tool(name)) else {
            return Err("served by the kernel".into());
        };
        let places: Vec<Place> = ["$workspace", "$notes"].map(|name| Place::parse(name).unwrap()).to_vec();
        let capability =
            Capability::default().with_read(places.clone()).with_write(places).with_network(Network::Public);
        let grant = Grant { acts: Acts::ALL, capability, tools: None, limits };
        let askers = [Asker::Terminal; 2];
        let gate = Gate { grant: &grant, policy: &self.policy, askers, label: Label::default(), standing: &[] };
        let authorized = match gate.judge(tool.manifest(), call, needs) {
            Judgement::Allow(authorized) => authorized,
            other => panic!("T2: the gate says {other:?}"),
        };
        let output = tool.run(&authorized, hands)?;
        assert!(output.text.len() as u64 <= limits.output_bytes_max, "T1: {} bytes", output.text.len());
        assert!(output.label.within(authorized.needs().label), "the label was planned otherwise");
        Ok(output)
    }
}
