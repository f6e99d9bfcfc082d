//! Renders a graph as a self-contained SVG for light and dark pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::flow::graph::layout::{Arrow, CHAR_WIDTH, GraphLayout, LINE_HEIGHT, PlacedNode};
use crate::flow::graph::{FlowGraph, TaskMark, clip};

/// Space around the picture, and above it for the flow's name.
const MARGIN: i32 = 28;
const HEADER_HEIGHT: i32 = 58;
/// Space around a picture within a page.
const INLINE_MARGIN: i32 = 12;

/// The ends of arrows.
const TIPS: &str = "\
<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker><marker id=\"datatip\" viewBox=\"0 0 8 8\" \
refX=\"7\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\"><path class=\"datatip\" \
d=\"M0 0L8 4L0 8z\"/></marker></defs>";

const STYLE: &str = "\
text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12px;fill:#57606a}\
.paper{fill:#fff}.name{font-size:13px;font-weight:600;fill:#1f2328}.flow{font-size:18px}\
.box{fill:#fff;stroke:#d0d7de}.frame{fill:#f6f8fa;stroke:#d0d7de}.behind,.ending{fill:none;stroke:#d0d7de}.ending{stroke-dasharray:4 4}\
.trigger{fill:#fff8e6;stroke:#e0b94c}.rule{stroke:#d0d7de;stroke-dasharray:3 4}.branch{font-size:11px;font-style:italic}\
.arrow{fill:none;stroke:#8c959f;stroke-width:1.5}.light{stroke-dasharray:4 4}.tip{fill:#8c959f}\
.data{fill:none;stroke:#0969da;stroke-opacity:.4;stroke-width:1.3;stroke-dasharray:2 3}.datatip{fill:#0969da;fill-opacity:.55}\
@media(prefers-color-scheme:dark){text{fill:#9198a1}.paper{fill:#0d1117}.name{fill:#f0f6fc}\
.box{fill:#0d1117;stroke:#3d444d}.frame{fill:#151b23;stroke:#3d444d}.behind,.ending{stroke:#3d444d}\
.trigger{fill:#272115;stroke:#9e7b1f}.rule{stroke:#3d444d}.arrow{stroke:#656c76}.tip{fill:#656c76}\
.data{stroke:#4493f8;stroke-opacity:.55}.datatip{fill:#4493f8}}";

/// The colour of a system's tasks: one that is seen on white and on black.
fn colour(kind: &str) -> &'static str {
    match kind.split('.').next().unwrap_or_default() {
        "http" | "file" => "#2188ff",
        "postgres" => "#336791",
        "polars" | "duckdb" => "#8957e5",
        "gcs" | "bigquery" => "#e8590c",
        "shell" | "python" => "#2da44e",
        "ai" => "#bf3989",
        _ => "#8c959f",
    }
}

pub(super) fn write(graph: &FlowGraph) -> String {
    let layout = GraphLayout::of(graph);
    let title = char_count(&graph.id) * 11 + char_count(&graph.namespace) * CHAR_WIDTH + 40;
    let description = clip(graph.description.as_deref().unwrap_or_default().lines().next().unwrap_or_default(), 90);
    let inner = layout.width.max(title).max(char_count(&description) * 7 + 10);
    let (width, height) = (inner + 2 * MARGIN + data_margin(graph), layout.height + HEADER_HEIGHT + 2 * MARGIN);
    let mut out = String::new();
    opening(&mut out, graph, ("xmlns=\"http://www.w3.org/2000/svg\"", "img"), (width, height));
    let _ = writeln!(
        out,
        "<style>{STYLE}</style>\n{TIPS}\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
    );
    let _ = writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{}\"><tspan class=\"name flow\">{}</tspan> · {}</text>",
        MARGIN + 12,
        escape(&graph.id),
        escape(&graph.namespace)
    );
    if !description.is_empty() {
        let _ = writeln!(out, "<text x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + 34, escape(&description));
    }
    let place = (MARGIN + (inner - layout.width) / 2, MARGIN + HEADER_HEIGHT);
    drawing(&mut out, graph, &layout, place, &BTreeMap::new());
    out
}

/// The same without a name and a style of its own: the page that it is in has both.
pub(super) fn write_inline(graph: &FlowGraph, marks: &BTreeMap<String, TaskMark>) -> String {
    let layout = GraphLayout::of(graph);
    let size = (layout.width + 2 * INLINE_MARGIN + data_margin(graph), layout.height + 2 * INLINE_MARGIN);
    let mut out = String::new();
    // Its tasks are links, which a picture cannot hold.
    opening(&mut out, graph, ("class=\"topology\"", "group"), size);
    let _ = writeln!(out, "{TIPS}");
    drawing(&mut out, graph, &layout, (INLINE_MARGIN, INLINE_MARGIN), marks);
    out
}

fn data_margin(graph: &FlowGraph) -> i32 {
    if graph.data.is_empty() { 0 } else { 40 }
}

fn opening(out: &mut String, graph: &FlowGraph, (attribute, role): (&str, &str), (width, height): (i32, i32)) {
    let name = escape(&format!("The flow {}", graph.id));
    let _ = writeln!(
        out,
        "<svg {attribute} viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"{role}\" \
         aria-label=\"{name}\">"
    );
}

fn drawing(
    out: &mut String,
    graph: &FlowGraph,
    layout: &GraphLayout,
    (x, y): (i32, i32),
    marks: &BTreeMap<String, TaskMark>,
) {
    let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
    for frame in &layout.frames {
        marked(out, marks, frame, |out| frame_of(out, frame));
    }
    for (x, y, width, height) in &layout.endings {
        let _ = writeln!(
            out,
            "<rect class=\"ending\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
        );
    }
    for (x, from, to) in &layout.rules {
        let _ = writeln!(out, "<path class=\"rule\" d=\"M{x} {from}V{to}\"/>");
    }
    for (x, y, label) in &layout.labels {
        let _ = writeln!(out, "<text class=\"branch\" x=\"{x}\" y=\"{y}\">{}</text>", escape(&clip(label, 40)));
    }
    layout.arrows.iter().for_each(|arrow| arrow_of(out, arrow));
    data_edges(out, graph, layout);
    for placed in &layout.boxes {
        marked(out, marks, placed, |out| box_of(out, placed));
    }
    *out += "</g>\n</svg>\n";
}

/// What is drawn for a task, as a group of its own that has the task's state.
fn marked(out: &mut String, marks: &BTreeMap<String, TaskMark>, placed: &PlacedNode, draw: impl FnOnce(&mut String)) {
    let id = &placed.node.id;
    let Some(mark) = marks.get(id).filter(|_| !placed.is_trigger) else { return draw(out) };
    let (link, name) = (escape(&mark.link), escape(id));
    let _ = writeln!(out, "<a href=\"{link}\"><g class=\"task {}\" data-task=\"{name}\">", mark.class);
    if mark.sign.is_empty() {
        draw(out);
        out.push_str("</g></a>\n");
        return;
    }
    let _ = writeln!(out, "<title>{name}: {}</title>", mark.word);
    draw(out);
    let (x, y) = (placed.x + placed.width - 3, placed.y + 3);
    let _ = writeln!(
        out,
        "<circle class=\"mark\" cx=\"{x}\" cy=\"{y}\" r=\"9\"/><text class=\"sign\" x=\"{x}\" y=\"{}\" \
         text-anchor=\"middle\">{}</text></g></a>",
        y + 4,
        mark.sign
    );
}

fn frame_of(out: &mut String, frame: &PlacedNode) {
    let PlacedNode { node, x, y, width, height, .. } = frame;
    if node.is_loop {
        // A loop looks like a pile.
        let _ = writeln!(
            out,
            "<rect class=\"behind\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>",
            x + 5,
            y + 5
        );
    }
    let _ = writeln!(out, "<rect class=\"frame\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>");
    text_lines(out, frame);
}

fn box_of(out: &mut String, placed: &PlacedNode) {
    let PlacedNode { node, x, y, width, height, is_trigger, .. } = placed;
    let (class, round) = if *is_trigger { ("trigger", 20) } else { ("box", 6) };
    let _ = write!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>"
    );
    if !is_trigger {
        let _ = write!(
            out,
            "<rect x=\"{x}\" y=\"{}\" width=\"4\" height=\"{}\" rx=\"2\" fill=\"{}\"/>",
            y + 6,
            height - 12,
            colour(&node.kind)
        );
    }
    out.push('\n');
    text_lines(out, placed);
}

fn text_lines(out: &mut String, placed: &PlacedNode) {
    let x = placed.x + if placed.is_trigger { 20 } else { 16 };
    let mut y = placed.y + 21;
    let _ = write!(out, "<text class=\"name\" x=\"{x}\" y=\"{y}\">{}</text>", escape(&clip(&placed.node.id, 60)));
    for line in &placed.lines {
        y += LINE_HEIGHT;
        let _ = write!(out, "<text x=\"{x}\" y=\"{y}\">{}</text>", escape(line));
    }
    out.push('\n');
}

fn arrow_of(out: &mut String, arrow: &Arrow) {
    let ((x1, y1), (x2, y2)) = (arrow.from, arrow.to);
    let class = if arrow.is_light { "arrow light" } else { "arrow" };
    let path = if x1 == x2 {
        format!("M{x1} {y1}V{y2}")
    } else {
        let middle = (y1 + y2) / 2;
        format!("M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}")
    };
    let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#tip)\"/>");
}

/// Light curves on the right, from the task that gives to the task that takes.
fn data_edges(out: &mut String, graph: &FlowGraph, layout: &GraphLayout) {
    let places = layout.places();
    for (from, to) in &graph.data {
        let Some((from, to)) = places.get(from.as_str()).zip(places.get(to.as_str())) else { continue };
        let (x1, y1) = (from.x + from.width, from.y + from.height / 2);
        if !to.node.lanes.is_empty() {
            let (x2, y2) = (to.x + to.width - 24, to.y);
            let path = format!("M{x1} {y1}C{} {y1} {x2} {} {x2} {y2}", (x1 + x2) / 2, (y1 + y2) / 2);
            let _ = writeln!(out, "<path class=\"data\" d=\"{path}\" marker-end=\"url(#datatip)\"/>");
            continue;
        }
        let (x2, y2) = (to.x + to.width, to.y + to.height / 2);
        let right = x1.max(x2) + 16 + ((y2 - y1).abs() / 12).min(30);
        let _ = writeln!(
            out,
            "<path class=\"data\" d=\"M{x1} {y1}C{right} {y1} {right} {y2} {x2} {y2}\" marker-end=\"url(#datatip)\"/>"
        );
    }
}

fn char_count(text: &str) -> i32 {
    i32::try_from(text.chars().count().min(200)).unwrap_or_default()
}

fn escape(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c => escaped.push(c),
        }
        escaped
    })
}
