//! A trace as the rows of an outline: each task, what it did below it, its children in their places.

use crate::trace::{Row, Task, Trace, What};

/// One row of the outline.
pub(crate) struct Node<'a> {
    /// For every level from the outermost: whether more rows follow on it. Empty for the root of a trace.
    pub(crate) guides: Vec<bool>,
    pub(crate) thing: Thing<'a>,
}

/// What a row is about.
pub(crate) enum Thing<'a> {
    Task(&'a Task),
    Row(&'a Row),
}

impl Thing<'_> {
    pub(crate) fn begin_ms(&self) -> i64 {
        match self {
            Thing::Task(task) => task.begin_ms,
            Thing::Row(row) => row.begin_ms,
        }
    }

    /// `None` when the lines end before it does.
    pub(crate) fn end_ms(&self) -> Option<i64> {
        match self {
            Thing::Task(task) => task.end.as_ref().map(|end| end.at_ms),
            Thing::Row(row) => row.end_ms,
        }
    }

    /// Whether it is a moment and takes no time by its nature.
    pub(crate) fn is_moment(&self) -> bool {
        match self {
            Thing::Task(_) => false,
            Thing::Row(row) => {
                !matches!(row.what, What::Ask(_) | What::Run(_) | What::Approval(_) | What::Child { .. })
            }
        }
    }
}

/// The outline of `trace`.
pub(crate) fn outline(trace: &Trace) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    for task in trace.tasks.iter().filter(|task| task.parent.is_none()) {
        grow(trace, task, &[], &mut nodes);
    }
    nodes
}

/// Adds `task` and everything below it; tasks are at most as deep as [`Trace`] nests them.
fn grow<'a>(trace: &'a Trace, task: &'a Task, guides: &[bool], nodes: &mut Vec<Node<'a>>) {
    nodes.push(Node { guides: guides.to_vec(), thing: Thing::Task(task) });
    for (at, row) in task.rows.iter().enumerate() {
        let mut guides = guides.to_vec();
        guides.push(at + 1 < task.rows.len());
        match row.what {
            What::Child { task: Some(child), .. } => grow(trace, &trace.tasks[child], &guides, nodes),
            _ => nodes.push(Node { guides, thing: Thing::Row(row) }),
        }
    }
}
