//! Renders a graph for a terminal: tasks on a vertical line, and frames around nested tasks.

use crate::flow::graph::{FlowGraph, GraphLane, GraphNode, GraphOrder, clip};

/// The most letters of what is said in a frame's head.
const MAX_HEADER_LENGTH: usize = 64;

pub(super) fn write(graph: &FlowGraph) -> String {
    let mut lines = vec![format!("{}  ({})", graph.id, graph.namespace)];
    lines.extend(graph.description.as_ref().map(|text| clip(text.lines().next().unwrap_or_default().trim(), 100)));
    lines.push(String::new());
    let width = graph.triggers.iter().map(|trigger| count(&trigger.id)).max().unwrap_or_default();
    for trigger in &graph.triggers {
        lines.push(format!("  ◇ {}", task(graph, trigger, width)));
    }
    if !graph.triggers.is_empty() {
        lines.push("  │".to_owned());
    }
    for lane in &graph.lanes {
        if !lane.label.is_empty() {
            lines.extend([String::new(), format!("{}:", heading(&lane.label))]);
        }
        lines.extend(block(graph, lane, lane.label.is_empty() && !graph.triggers.is_empty()));
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn heading(label: &str) -> &str {
    match label {
        "errors" => "if a task fails",
        "finally" => "in any case, at the end",
        other => other,
    }
}

/// The tasks of a lane; the line that joins them is in the third column, and may come from above.
fn block(graph: &FlowGraph, lane: &GraphLane, from_above: bool) -> Vec<String> {
    let leaves = lane.nodes.iter().filter(|node| node.lanes.is_empty());
    let width = leaves.map(|node| count(&node.id)).max().unwrap_or_default();
    let is_joined = lane.order == GraphOrder::Sequence;
    let mut lines = Vec::new();
    for (index, node) in lane.nodes.iter().enumerate() {
        if index > 0 && is_joined {
            lines.push("  │".to_owned());
        }
        if node.lanes.is_empty() {
            let mark = if lane.order == GraphOrder::Parallel { '∥' } else { '○' };
            lines.push(format!("  {mark} {}", task(graph, node, width)));
        } else {
            let (above, below) = (is_joined && (index > 0 || from_above), is_joined && index + 1 < lane.nodes.len());
            lines.extend(frame(graph, node, above, below));
        }
    }
    lines
}

fn task(graph: &FlowGraph, node: &GraphNode, width: usize) -> String {
    let mut text = format!("{:width$}  {}", node.id, node.kind);
    for part in [node.detail.clone(), node.notes.join(", "), origins(graph, node)] {
        if !part.is_empty() {
            text += "  ";
            text += &part;
        }
    }
    text
}

/// Where a task's data come from, and what it waits for.
fn origins(graph: &FlowGraph, node: &GraphNode) -> String {
    let mut parts = Vec::new();
    if !node.depends_on.is_empty() {
        parts.push(format!("after {}", node.depends_on.join(", ")));
    }
    let sources: Vec<&str> = graph.sources(&node.id).collect();
    if !sources.is_empty() {
        parts.push(format!("← {}", sources.join(", ")));
    }
    parts.join("  ")
}

/// A task around its sub-tasks, one compartment for each branch.
fn frame(graph: &FlowGraph, node: &GraphNode, above: bool, below: bool) -> Vec<String> {
    let compartments: Vec<Vec<String>> = node.lanes.iter().map(|lane| compartment(graph, lane)).collect();
    let header = [node.detail.clone(), node.notes.join(", "), origins(graph, node)];
    let header: Vec<String> = header.into_iter().filter(|part| !part.is_empty()).collect();
    let header = clip(&header.join("  "), MAX_HEADER_LENGTH);
    let title =
        format!(" {} · {}{} ", node.id, node.kind, if header.is_empty() { header } else { format!("  {header}") });
    let widest = compartments.iter().flatten().map(|line| count(line)).max().unwrap_or_default();
    let inner = (widest + 1).max(count(&title) + 2);
    let rule = |length: usize| "─".repeat(length);
    let join = |is_joined: bool, joint: &str| format!("─{}", if is_joined { joint } else { "─" });
    let mut lines =
        vec![format!("┌{}{title}{}┐", join(above, "┴"), rule((inner + 1).saturating_sub(count(&title) + 2)))];
    for (index, compartment) in compartments.iter().enumerate() {
        if index > 0 {
            lines.push(format!("├{}┤", rule(inner + 1)));
        }
        lines.extend(compartment.iter().map(|line| format!("│ {line}{}│", " ".repeat(inner - count(line)))));
    }
    lines.push(format!("└{}{}┘", join(below, "┬"), rule(inner - 1)));
    lines
}

fn compartment(graph: &FlowGraph, lane: &GraphLane) -> Vec<String> {
    let label = (!lane.label.is_empty()).then(|| format!("{}:", lane.label));
    label.into_iter().chain(block(graph, lane, false)).collect()
}

fn count(text: &str) -> usize {
    text.chars().count()
}
