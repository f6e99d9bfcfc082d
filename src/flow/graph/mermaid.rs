//! Renders a graph as a Mermaid flow chart.

use std::fmt::Write as _;

use crate::flow::graph::{FlowGraph, GraphLane, GraphNode, GraphOrder};

/// Node ids are `t_` and a task's id, because Mermaid takes words such as `end` for its own.
pub(super) fn write(graph: &FlowGraph) -> String {
    let mut writer = MermaidWriter { graph, text: String::from("flowchart TB\n"), edges: Vec::new(), lanes: 0 };
    for trigger in &graph.triggers {
        let name = format!("w_{}", plain(&trigger.id));
        writer.line(1, &format!("{name}([\"{}\"])", label(trigger)));
        if let Some(first) = graph.lanes.first().and_then(|lane| lane.nodes.first()) {
            writer.edges.push(format!("{name} --> {}", name_of(&first.id)));
        }
    }
    for lane in &graph.lanes {
        match lane.label.as_str() {
            "" => writer.lane(lane, 1),
            _ => writer.labelled(lane, 1),
        }
    }
    writer.connect_error_lanes();
    for (from, to) in &graph.data {
        writer.edges.push(format!("{} -.-> {}", name_of(from), name_of(to)));
    }
    for edge in std::mem::take(&mut writer.edges) {
        writer.line(1, &edge);
    }
    writer.text
}

struct MermaidWriter<'a> {
    graph: &'a FlowGraph,
    text: String,
    edges: Vec<String>,
    /// How many lanes have a name so far.
    lanes: usize,
}

impl MermaidWriter<'_> {
    fn line(&mut self, depth: usize, line: &str) {
        let indentation = "  ".repeat(depth);
        self.text.extend([indentation.as_str(), line, "\n"]);
    }

    /// The tasks of a lane, and the edges between them.
    fn lane(&mut self, lane: &GraphLane, depth: usize) {
        lane.nodes.iter().for_each(|node| self.node(node, depth));
        if lane.order == GraphOrder::Sequence {
            let pairs =
                lane.nodes.windows(2).map(|pair| format!("{} --> {}", name_of(&pair[0].id), name_of(&pair[1].id)));
            self.edges.extend(pairs);
        }
        for node in &lane.nodes {
            let edges = node.depends_on.iter().map(|before| format!("{} --> {}", name_of(before), name_of(&node.id)));
            self.edges.extend(edges);
        }
    }

    fn labelled(&mut self, lane: &GraphLane, depth: usize) {
        let name = if depth == 1 { format!("lane_{}", lane.label) } else { format!("b{}", self.lanes) };
        self.lanes += 1;
        self.line(depth, &format!("subgraph {name}[\"{}\"]", escape(&lane.label)));
        self.lane(lane, depth + 1);
        self.line(depth, "end");
    }

    fn node(&mut self, node: &GraphNode, depth: usize) {
        let name = name_of(&node.id);
        if node.lanes.is_empty() {
            return self.line(depth, &format!("{name}[\"{}\"]", label(node)));
        }
        self.line(depth, &format!("subgraph {name}[\"{}\"]", label(node)));
        for lane in &node.lanes {
            match lane.label.as_str() {
                "" => self.lane(lane, depth + 1),
                _ => self.labelled(lane, depth + 1),
            }
        }
        self.line(depth, "end");
    }

    /// The edges from the tasks to what runs for errors and at the end.
    fn connect_error_lanes(&mut self) {
        let Some(last) = self.graph.lanes.first().and_then(|lane| lane.nodes.last()) else { return };
        let last = name_of(&last.id);
        for lane in self.graph.lanes.iter().filter(|lane| !lane.label.is_empty()) {
            let mut edge = String::new();
            let when = if lane.label == "errors" { "if a task fails" } else { "in any case" };
            let _ = write!(edge, "{last} -. \"{when}\" .-> lane_{}", lane.label);
            self.edges.push(edge);
        }
    }
}

fn name_of(id: &str) -> String {
    format!("t_{}", plain(id))
}

/// Letters, digits and `_`; anything else by its number, so that two ids never become one name.
fn plain(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:x}", u32::from(c)) }).collect()
}

fn label(node: &GraphNode) -> String {
    let lines = [format!("{} · {}", node.id, node.kind), node.detail.clone(), node.notes.join(", ")];
    let lines: Vec<String> = lines.iter().filter(|line| !line.is_empty()).map(|line| escape(line)).collect();
    lines.join("<br>")
}

/// Mermaid reads labels as HTML, with `#…;` for entities.
fn escape(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '#' | '<' | '>' | '&' | '`' | ';' | '\\' | '*' | '_' | '{' | '}' | '[' | ']' | '$' => {
            format!("#{};", u32::from(c))
        }
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    });
    escaped.collect()
}
