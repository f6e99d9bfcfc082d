//! The tasks of a flow as a picture within a page, each a link to its line of the text.

use std::collections::BTreeMap;

use crate::flow::Flow;
use crate::flow::graph::{FlowGraph, TaskMark};

/// The picture as SVG, in which each task leads to `#L` and its line; what comes from the flow is escaped in it.
pub(super) fn with_lines(flow: &Flow) -> String {
    let mark = |line: usize| TaskMark { class: "", sign: "", word: "", link: format!("#L{line}") };
    let steps = flow.all_steps().into_iter();
    let marks: BTreeMap<String, TaskMark> =
        steps.map(|step| (step.id.to_string(), mark(flow.document.line(&step.path)))).collect();
    FlowGraph::of(flow).to_inline_svg(&marks)
}
