//! Governors: the finite budgets every task spends from, and what it has spent.

use crate::model::Usage;
use crate::words::names;

/// The most a task may use. Every field is finite and has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Governors {
    /// Wall-clock milliseconds from spawn to end, the closing turn included.
    pub wall_ms_max: u64,
    /// Of those, kept for the closing turn; at most half of them.
    pub closing_ms_max: u64,
    /// Questions to a model; the closing turn is one more.
    pub model_calls_max: u32,
    /// Tool calls.
    pub tool_calls_max: u32,
    /// Input tokens over all questions.
    pub input_tokens_max: u64,
    /// Output tokens over all answers.
    pub output_tokens_max: u64,
    /// Millionths of a US dollar.
    pub cost_micro_usd_max: u64,
    /// Bytes of text said to the person.
    pub output_bytes_max: u64,
    /// Generations of child tasks below this one.
    pub depth_max: u8,
    /// How often the same call may bring the same result.
    pub repeats_max: u32,
}

impl Default for Governors {
    fn default() -> Governors {
        Governors {
            wall_ms_max: 30 * 60 * 1000,
            closing_ms_max: 60 * 1000,
            model_calls_max: 60,
            tool_calls_max: 200,
            input_tokens_max: 5_000_000,
            output_tokens_max: 200_000,
            cost_micro_usd_max: 5_000_000,
            output_bytes_max: 1 << 20,
            depth_max: 2,
            repeats_max: 4,
        }
    }
}

impl Governors {
    /// Milliseconds after the start at which the closing turn begins.
    pub fn soft_ms(&self) -> u64 {
        self.wall_ms_max - self.closing_ms_max.min(self.wall_ms_max / 2)
    }

    /// The first budget that leaves no room for another question.
    pub fn exhausted(&self, spent: &Spending) -> Option<Governor> {
        let budgets = [
            (u64::from(spent.model_calls), u64::from(self.model_calls_max), Governor::ModelCalls),
            (spent.usage.input_tokens, self.input_tokens_max, Governor::InputTokens),
            (spent.usage.output_tokens, self.output_tokens_max, Governor::OutputTokens),
            (spent.cost_micro_usd(), self.cost_micro_usd_max, Governor::Cost),
        ];
        budgets.into_iter().find(|(spent, max, _)| spent >= max).map(|(_, _, governor)| governor)
    }

    /// What one child may use when what is left is shared evenly among `shares`, this task's own share
    /// included, and `wall_ms` are left until this task's closing turn (K5).
    pub fn share(&self, spent: &Spending, wall_ms: u64, shares: u32) -> Governors {
        let part = |max: u64, spent: u64| max.saturating_sub(spent) / u64::from(shares.max(1));
        let part32 = |max: u32, spent: u32| max.saturating_sub(spent) / shares.max(1);
        Governors {
            wall_ms_max: wall_ms,
            model_calls_max: part32(self.model_calls_max, spent.model_calls),
            tool_calls_max: part32(self.tool_calls_max, spent.tool_calls),
            input_tokens_max: part(self.input_tokens_max, spent.usage.input_tokens),
            output_tokens_max: part(self.output_tokens_max, spent.usage.output_tokens),
            cost_micro_usd_max: part(self.cost_micro_usd_max, spent.cost_micro_usd()),
            output_bytes_max: part(self.output_bytes_max, spent.output_bytes),
            depth_max: self.depth_max.saturating_sub(1),
            ..*self
        }
    }
}

/// What a task has used so far, its children included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Questions to a model.
    pub model_calls: u32,
    /// Tool calls.
    pub tool_calls: u32,
    /// Tokens.
    pub usage: Usage,
    /// Millionths of a millionth of a US dollar.
    pub cost_pico_usd: u64,
    /// Bytes said to the person.
    pub output_bytes: u64,
}

impl Spending {
    /// Cost in millionths of a US dollar, rounded down.
    pub fn cost_micro_usd(&self) -> u64 {
        self.cost_pico_usd / 1_000_000
    }

    /// Both together.
    pub fn plus(self, other: Spending) -> Spending {
        Spending {
            model_calls: self.model_calls.saturating_add(other.model_calls),
            tool_calls: self.tool_calls.saturating_add(other.tool_calls),
            usage: self.usage.plus(other.usage),
            cost_pico_usd: self.cost_pico_usd.saturating_add(other.cost_pico_usd),
            output_bytes: self.output_bytes.saturating_add(other.output_bytes),
        }
    }
}

/// What a model's tokens cost, in millionths of a US dollar per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Input that was not cached.
    pub input: u64,
    /// Input read from the provider's cache.
    pub cached: u64,
    /// Output.
    pub output: u64,
}

impl Price {
    /// The cost of `usage` in millionths of a millionth of a US dollar.
    pub fn cost_pico_usd(&self, usage: &Usage) -> u64 {
        let fresh = usage.input_tokens.saturating_sub(usage.cached_tokens);
        let parts = [(fresh, self.input), (usage.cached_tokens, self.cached), (usage.output_tokens, self.output)];
        parts.iter().fold(0, |sum: u64, (tokens, price)| sum.saturating_add(tokens.saturating_mul(*price)))
    }
}

names! {
    /// The name of a budget, for verdicts, events and messages.
    pub enum Governor {
        /// [`Governors::wall_ms_max`].
        Wall = "wall",
        /// [`Governors::model_calls_max`].
        ModelCalls = "model_calls",
        /// [`Governors::tool_calls_max`].
        ToolCalls = "tool_calls",
        /// [`Governors::input_tokens_max`].
        InputTokens = "input_tokens",
        /// [`Governors::output_tokens_max`].
        OutputTokens = "output_tokens",
        /// [`Governors::cost_micro_usd_max`].
        Cost = "cost",
        /// [`Governors::output_bytes_max`].
        OutputBytes = "output_bytes",
        /// [`Governors::depth_max`].
        Depth = "depth",
        /// [`Governors::repeats_max`].
        Repeats = "repeats",
    }
}

impl Governor {
    /// Why the task has to close, in words for the model.
    pub fn reason(self) -> &'static str {
        match self {
            Governor::Wall => "the time is up",
            Governor::ModelCalls => "the budget of model calls is spent",
            Governor::ToolCalls => "the budget of tool calls is spent",
            Governor::InputTokens => "the budget of input tokens is spent",
            Governor::OutputTokens => "the budget of output tokens is spent",
            Governor::Cost => "the budget of money is spent",
            Governor::OutputBytes => "the limit on output is reached",
            Governor::Depth => "child tasks may not go deeper",
            Governor::Repeats => "the same call keeps bringing the same result",
        }
    }
}
