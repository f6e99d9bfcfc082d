//! The layout of a graph, in whole pixels from its upper left corner. Each part is laid out at the origin and then shifted
//! into its container.

use std::collections::BTreeMap;

use crate::flow::graph::{FlowGraph, GraphLane, GraphNode, GraphOrder, clip};

/// Space between tasks that follow one another, and between those side by side.
const ROW_GAP: i32 = 32;
const COLUMN_GAP: i32 = 22;
/// Space between a frame and what is in it.
const INSET: i32 = 16;
/// Nodes per row of a parallel lane.
const MAX_COLUMNS: usize = 4;
/// A line of text in a box, and the width of a letter of the two sizes.
pub(super) const LINE_HEIGHT: i32 = 17;
pub(super) const CHAR_WIDTH: i32 = 8;
const SMALL_CHAR_WIDTH: i32 = 7;

/// Things with their places.
#[derive(Default)]
pub(super) struct GraphLayout<'a> {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) boxes: Vec<PlacedNode<'a>>,
    pub(super) frames: Vec<PlacedNode<'a>>,
    /// Names of branches.
    pub(super) labels: Vec<(i32, i32, String)>,
    /// Lines between the branches of a frame: x, and from y to y.
    pub(super) rules: Vec<(i32, i32, i32)>,
    /// Frames around what runs for errors and at the end: x, y, width, height.
    pub(super) endings: Vec<(i32, i32, i32, i32)>,
    /// What runs after what.
    pub(super) arrows: Vec<Arrow>,
    /// Where the first and the last task stand, to be joined from above and below.
    head: Option<(i32, i32)>,
    tail: Option<(i32, i32)>,
}

/// A task, or a frame around tasks.
#[derive(Clone)]
pub(super) struct PlacedNode<'a> {
    pub(super) node: &'a GraphNode,
    /// The lines below its head.
    pub(super) lines: Vec<String>,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) is_trigger: bool,
}

/// From below one thing to above another.
#[derive(Clone, Copy)]
pub(super) struct Arrow {
    pub(super) from: (i32, i32),
    pub(super) to: (i32, i32),
    pub(super) is_light: bool,
}

impl<'a> GraphLayout<'a> {
    /// The whole flow: triggers, tasks, and side by side what runs for errors and at the end.
    pub(super) fn of(graph: &'a FlowGraph) -> Self {
        let triggers: Vec<GraphLayout> = graph.triggers.iter().map(|trigger| leaf(trigger, true)).collect();
        let mut rows: Vec<GraphLayout> = Vec::new();
        if !triggers.is_empty() {
            rows.push(side_by_side(triggers));
        }
        let (endings, tasks): (Vec<&GraphLane>, Vec<&GraphLane>) =
            graph.lanes.iter().partition(|lane| !lane.label.is_empty());
        rows.extend(tasks.iter().map(|lane| lane_layout(lane)));
        if !endings.is_empty() {
            rows.push(side_by_side(endings.into_iter().map(|lane| framed(vec![lane], None)).collect()));
        }
        let unjoined = rows.into_iter().map(|row| GraphLayout { head: None, tail: None, ..row }).collect();
        let mut layout = stack(unjoined);
        let joints = tasks.first().map(|lane| layout.joints(lane)).unwrap_or_default();
        layout.arrows.extend(joints);
        layout
    }

    /// The arrows from the triggers to the tasks, and from these to what runs at the end.
    fn joints(&self, lane: &GraphLane) -> Vec<Arrow> {
        let places = self.places();
        let place = |node: Option<&GraphNode>| node.and_then(|node| places.get(node.id.as_str()));
        let (Some(first), Some(last)) = (place(lane.nodes.first()), place(lane.nodes.last())) else {
            return Vec::new();
        };
        let top = (first.x + first.width / 2, first.y);
        let bottom = (last.x + last.width / 2, last.y + last.height);
        let light = |from, to| Arrow { from, to, is_light: true };
        let triggers = self.boxes.iter().filter(|placed| placed.is_trigger);
        let starts = triggers.map(|placed| light((placed.x + placed.width / 2, placed.y + placed.height), top));
        starts.chain(self.endings.iter().map(|(x, y, width, _)| light(bottom, (x + width / 2, *y)))).collect()
    }

    /// The place of every task, by its id.
    pub(super) fn places(&self) -> BTreeMap<&str, &PlacedNode<'a>> {
        self.boxes.iter().chain(&self.frames).map(|placed| (placed.node.id.as_str(), placed)).collect()
    }

    fn shift(mut self, x: i32, y: i32) -> Self {
        for placed in self.boxes.iter_mut().chain(&mut self.frames) {
            (placed.x, placed.y) = (placed.x + x, placed.y + y);
        }
        self.endings.iter_mut().for_each(|ending| (ending.0, ending.1) = (ending.0 + x, ending.1 + y));
        self.labels.iter_mut().for_each(|label| (label.0, label.1) = (label.0 + x, label.1 + y));
        self.rules.iter_mut().for_each(|rule| *rule = (rule.0 + x, rule.1 + y, rule.2 + y));
        for arrow in &mut self.arrows {
            arrow.from = (arrow.from.0 + x, arrow.from.1 + y);
            arrow.to = (arrow.to.0 + x, arrow.to.1 + y);
        }
        for end in [&mut self.head, &mut self.tail].into_iter().flatten() {
            *end = (end.0 + x, end.1 + y);
        }
        self
    }

    fn append(&mut self, other: Self) {
        self.boxes.extend(other.boxes);
        self.frames.extend(other.frames);
        self.labels.extend(other.labels);
        self.rules.extend(other.rules);
        self.endings.extend(other.endings);
        self.arrows.extend(other.arrows);
    }
}

fn lane_layout(lane: &GraphLane) -> GraphLayout<'_> {
    let layouts = || lane.nodes.iter().map(node_layout).collect::<Vec<_>>();
    match lane.order {
        GraphOrder::Sequence => stack(layouts()),
        GraphOrder::Parallel => rows(layouts()),
        GraphOrder::Dependencies => layers(lane, layouts()),
    }
}

fn node_layout(node: &GraphNode) -> GraphLayout<'_> {
    if node.lanes.is_empty() { leaf(node, false) } else { framed(node.lanes.iter().collect(), Some(node)) }
}

fn lines(node: &GraphNode) -> Vec<String> {
    let kind = [node.kind.clone()];
    let rest = [node.detail.clone(), node.notes.join(", ")];
    kind.into_iter().chain(rest.into_iter().filter(|line| !line.is_empty())).map(|line| clip(&line, 44)).collect()
}

fn width_of(node: &GraphNode, lines: &[String]) -> i32 {
    let letters = |text: &str| i32::try_from(text.chars().count().min(60)).unwrap_or_default();
    let below = lines.iter().map(|line| letters(line) * SMALL_CHAR_WIDTH).max().unwrap_or_default();
    (letters(&node.id) * CHAR_WIDTH).max(below) + 34
}

fn leaf(node: &GraphNode, is_trigger: bool) -> GraphLayout<'_> {
    let lines = lines(node);
    let width = width_of(node, &lines).max(130);
    let height = 30 + LINE_HEIGHT * i32::try_from(lines.len()).unwrap_or_default();
    let placed = PlacedNode { node, lines, x: 0, y: 0, width, height, is_trigger };
    GraphLayout {
        width,
        height,
        boxes: vec![placed],
        head: Some((width / 2, 0)),
        tail: Some((width / 2, height)),
        ..GraphLayout::default()
    }
}

/// A frame around branches that stand side by side. Without a node it is called after its one branch.
fn framed<'a>(lanes: Vec<&'a GraphLane>, node: Option<&'a GraphNode>) -> GraphLayout<'a> {
    let lines = node.map(lines).unwrap_or_default();
    let head = 14 + node.map_or(0, |_| LINE_HEIGHT + LINE_HEIGHT * i32::try_from(lines.len()).unwrap_or_default());
    let mut layout = GraphLayout::default();
    let (mut x, mut height) = (INSET, 0);
    let top = head + if lanes.iter().any(|lane| !lane.label.is_empty()) { 22 } else { 4 };
    for (index, lane) in lanes.iter().enumerate() {
        let inner = lane_layout(lane);
        if index > 0 {
            layout.rules.push((x + COLUMN_GAP / 2, head, 0));
            x += COLUMN_GAP;
        }
        if !lane.label.is_empty() {
            layout.labels.push((x, head + 12, lane.label.clone()));
        }
        let label = i32::try_from(lane.label.chars().count()).unwrap_or_default() * SMALL_CHAR_WIDTH;
        height = height.max(inner.height);
        let width = inner.width.max(label);
        let indent = (width - inner.width) / 2;
        layout.append(inner.shift(x + indent, top));
        x += width;
    }
    let min_width = node.map_or(0, |node| width_of(node, &lines));
    layout.width = (x + INSET).max(min_width);
    layout.height = top + height + INSET;
    layout.rules.iter_mut().for_each(|rule| rule.2 = layout.height - 10);
    if x + INSET < min_width {
        let (width, height) = (layout.width, layout.height);
        layout = GraphLayout { width, height, ..layout.shift((min_width - x - INSET) / 2, 0) };
    }
    let (width, height) = (layout.width, layout.height);
    if let Some(node) = node {
        layout.frames.insert(0, PlacedNode { node, lines, x: 0, y: 0, width, height, is_trigger: false });
    } else {
        layout.endings.push((0, 0, width, height));
    }
    layout.head = Some((layout.width / 2, 0));
    layout.tail = Some((layout.width / 2, layout.height));
    layout
}

/// One below the other, joined by arrows.
fn stack(layouts: Vec<GraphLayout<'_>>) -> GraphLayout<'_> {
    let width = layouts.iter().map(|layout| layout.width).max().unwrap_or_default();
    let mut stacked = GraphLayout { width, ..GraphLayout::default() };
    let mut y = 0;
    for layout in layouts {
        let height = layout.height;
        let indent = (width - layout.width) / 2;
        let layout = layout.shift(indent, y);
        if let Some((from, to)) = stacked.tail.zip(layout.head) {
            stacked.arrows.push(Arrow { from, to, is_light: false });
        }
        stacked.head = stacked.head.or(layout.head);
        stacked.tail = layout.tail;
        stacked.append(layout);
        y += height + ROW_GAP;
    }
    stacked.height = (y - ROW_GAP).max(0);
    stacked
}

fn side_by_side(layouts: Vec<GraphLayout<'_>>) -> GraphLayout<'_> {
    let mut row = GraphLayout::default();
    let mut x = 0;
    for layout in layouts {
        let width = layout.width;
        row.height = row.height.max(layout.height);
        row.append(layout.shift(x, 0));
        x += width + COLUMN_GAP;
    }
    row.width = (x - COLUMN_GAP).max(0);
    row.head = Some((row.width / 2, 0));
    row.tail = Some((row.width / 2, row.height));
    row
}

/// Rows of some side by side.
fn rows(layouts: Vec<GraphLayout<'_>>) -> GraphLayout<'_> {
    let mut remaining = layouts.into_iter().peekable();
    let mut rows = Vec::new();
    while remaining.peek().is_some() {
        rows.push(GraphLayout {
            tail: None,
            head: None,
            ..side_by_side(remaining.by_ref().take(MAX_COLUMNS).collect())
        });
    }
    let layout = stack(rows);
    GraphLayout { head: Some((layout.width / 2, 0)), tail: Some((layout.width / 2, layout.height)), ..layout }
}

/// Tasks below those that they depend on.
fn layers<'a>(lane: &'a GraphLane, layouts: Vec<GraphLayout<'a>>) -> GraphLayout<'a> {
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    let mut layers: Vec<Vec<GraphLayout>> = Vec::new();
    // The flow is in topological order.
    for (node, layout) in lane.nodes.iter().zip(layouts) {
        let before = node.depends_on.iter().filter_map(|id| depths.get(id.as_str()));
        let depth = before.max().map_or(0, |depth| depth + 1);
        depths.insert(&node.id, depth);
        if layers.len() <= depth {
            layers.resize_with(depth + 1, Vec::new);
        }
        layers[depth].push(layout);
    }
    let rows = layers.into_iter().map(|layer| GraphLayout { head: None, tail: None, ..side_by_side(layer) }).collect();
    let mut layout = stack(rows);
    let arrows: Vec<Arrow> = {
        let places = layout.places();
        let all = lane.nodes.iter().flat_map(|node| node.depends_on.iter().map(move |before| (before, node)));
        let arrow = |(before, node): (&String, &GraphNode)| {
            let (from, to) = (places.get(before.as_str())?, places.get(node.id.as_str())?);
            let from = (from.x + from.width / 2, from.y + from.height);
            Some(Arrow { from, to: (to.x + to.width / 2, to.y), is_light: false })
        };
        all.filter_map(arrow).collect()
    };
    layout.arrows.extend(arrows);
    GraphLayout { head: Some((layout.width / 2, 0)), tail: Some((layout.width / 2, layout.height)), ..layout }
}
