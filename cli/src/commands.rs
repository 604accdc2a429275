//! Every command, as data.

use crate::args::Command;
use crate::{help, run, setup, tools, trace};

/// All commands, in the order of help.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        operands: "[GOAL | -]",
        operands_max: 2,
        summary: "Work on one goal and print the answer",
        flags: &[setup::TASK_FLAGS, run::FLAGS],
        examples: &[
            "run \"What went wrong in server.log?\"",
            "run --file goal.txt --model anthropic/claude-sonnet-5 --allow write",
            "run --tool read_file --input '{\"path\": \"notes.md\"}'",
        ],
        run: run::run,
    },
    Command {
        name: "tool list",
        operands: "",
        operands_max: 0,
        summary: "List the tools and what policy says of each",
        flags: &[tools::FLAGS],
        examples: &["tool list", "tool list --json"],
        run: tools::list,
    },
    Command {
        name: "tool show",
        operands: "NAME",
        operands_max: 1,
        summary: "Show what a tool declares and may do",
        flags: &[tools::FLAGS],
        examples: &["tool show http_fetch"],
        run: tools::show,
    },
    Command {
        name: "tool run",
        operands: "NAME [JSON]",
        operands_max: 2,
        summary: "Run one tool by hand",
        flags: &[tools::FLAGS],
        examples: &["tool run calculate '{\"expression\": \"17% * 2340\"}'"],
        run: tools::run,
    },
    Command {
        name: "trace",
        operands: "[ID | last]",
        operands_max: 1,
        summary: "Show what a task did, step by step",
        flags: &[trace::FLAGS],
        examples: &["trace", "trace --list", "trace last --html trace.html"],
        run: trace::run,
    },
    Command {
        name: "version",
        operands: "",
        operands_max: 0,
        summary: "Print the version",
        flags: &[help::VERSION_FLAGS],
        examples: &["version", "version --features"],
        run: help::version,
    },
    Command {
        name: "help",
        operands: "[COMMAND]",
        operands_max: 2,
        summary: "Say how commands are used",
        flags: &[],
        examples: &["help", "help run"],
        run: help::help,
    },
];
