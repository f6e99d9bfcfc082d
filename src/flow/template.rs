//! Flows to begin with.

/// A flow to begin with: it runs without changes.
#[derive(Clone, Copy, Debug)]
pub struct FlowTemplate {
    /// Its name, which is its flow's id too.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All of them.
pub const ALL: &[FlowTemplate] = &[
    FlowTemplate { name: "hello", text: include_str!("../../templates/hello.yaml") },
    FlowTemplate { name: "http_python", text: include_str!("../../templates/http_python.yaml") },
    FlowTemplate { name: "postgres_report", text: include_str!("../../templates/postgres_report.yaml") },
    FlowTemplate { name: "postgres_taxi", text: include_str!("../../templates/postgres_taxi.yaml") },
];

/// The template of this name.
pub fn find(name: &str) -> Option<FlowTemplate> {
    ALL.iter().find(|template| template.name == name).copied()
}

impl FlowTemplate {
    /// What it does, by its own description.
    pub fn description(&self) -> &'static str {
        self.text.lines().find_map(|line| line.strip_prefix("description: ")).unwrap_or_default()
    }
}
