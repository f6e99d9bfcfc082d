//! Flows to begin with, and the files that they read.

/// A flow to begin with. It runs without changes, except for what its first lines say that it needs.
#[derive(Clone, Copy, Debug)]
pub struct FlowTemplate {
    /// Its name, which is its flow's id too.
    pub name: &'static str,
    /// The subject under which it is listed.
    pub group: &'static str,
    /// The files that belong next to it.
    pub files: &'static [TemplateFile],
    text: &'static str,
}

/// A file that a template reads, or another flow that it runs.
#[derive(Clone, Copy, Debug)]
pub struct TemplateFile {
    /// Its name.
    pub name: &'static str,
    /// Its bytes.
    pub content: &'static [u8],
}

/// The templates of one subject.
#[derive(Clone, Debug)]
pub struct TemplateGroup {
    /// The subject.
    pub name: &'static str,
    /// Its templates, the simplest first.
    pub templates: Vec<FlowTemplate>,
}

/// What stands for a key in templates of webhooks. Everybody knows it, so [`FlowTemplate::text`] replaces it.
const PUBLIC_KEY: &str = "change_this_key";

const ORDERS: &[TemplateFile] =
    &[TemplateFile { name: "orders.csv", content: include_bytes!("../../templates/files/orders.csv") }];
const SALES: &[TemplateFile] =
    &[TemplateFile { name: "umsatz.csv", content: include_bytes!("../../templates/files/umsatz.csv") }];
const COUNTRY: &[TemplateFile] =
    &[TemplateFile { name: "subflow_country.yaml", content: include_bytes!("../../templates/subflow_country.yaml") }];

macro_rules! template {
    ($group:expr, $name:literal) => {
        template!($group, $name, &[])
    };
    ($group:expr, $name:literal, $files:expr) => {
        FlowTemplate {
            name: $name,
            group: $group,
            files: $files,
            text: include_str!(concat!("../../templates/", $name, ".yaml")),
        }
    };
}

const FIRST: &str = "First steps";
const TAXI: &str = "Taxi trips";
const FILES: &str = "Your own files";
const WEB: &str = "APIs and other programs";
const CODE: &str = "SQL, Python and dbt";
const CONTROL: &str = "Control flow";

/// All of them, those of a group together.
pub const ALL: &[FlowTemplate] = &[
    template!(FIRST, "hello"),
    template!(FIRST, "http_python"),
    template!(FIRST, "postgres_report"),
    template!(TAXI, "postgres_taxi"),
    template!(TAXI, "tlc_parquet"),
    template!(TAXI, "taxi_scheduled"),
    template!(TAXI, "taxi_zones"),
    template!(TAXI, "taxi_bigquery"),
    template!(FILES, "csv", ORDERS),
    template!(FILES, "csv_latin1", SALES),
    template!(FILES, "file_arrival", ORDERS),
    template!(FILES, "quality_gate", ORDERS),
    template!(FILES, "postgres_to_parquet"),
    template!(WEB, "api_incremental"),
    template!(WEB, "webhook"),
    template!(WEB, "reverse_etl"),
    template!(WEB, "slack_on_failure"),
    template!(CODE, "duckdb_report", ORDERS),
    template!(CODE, "python_pandas", ORDERS),
    template!(CODE, "dbt", ORDERS),
    template!(CONTROL, "for_each_month"),
    template!(CONTROL, "subflow", COUNTRY),
    template!(CONTROL, "subflow_country"),
    template!(CONTROL, "approval"),
];

/// The template of this name.
pub fn find(name: &str) -> Option<FlowTemplate> {
    ALL.iter().find(|template| template.name == name).copied()
}

/// The templates by subject.
pub fn groups() -> Vec<TemplateGroup> {
    let same = ALL.chunk_by(|one, other| one.group == other.group);
    let group = |templates: &[FlowTemplate]| {
        Some(TemplateGroup { name: templates.first()?.group, templates: templates.to_vec() })
    };
    same.filter_map(group).collect()
}

impl FlowTemplate {
    /// Its text. A webhook's key in it is a new one each time.
    pub fn text(&self) -> String {
        if self.text.contains(PUBLIC_KEY) {
            return self.text.replace(PUBLIC_KEY, &uuid::Uuid::new_v4().simple().to_string());
        }
        self.text.to_owned()
    }

    /// What it does, by its own description.
    pub fn description(&self) -> &'static str {
        self.text.lines().find_map(|line| line.strip_prefix("description: ")).unwrap_or_default()
    }

    /// What it needs to run, by the comment in its first lines: `Needs internet access, …`.
    pub fn needs(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
        let needs = comment.skip_while(|line| !line.starts_with("Needs ")).take_while(|line| !line.is_empty());
        needs.collect::<Vec<_>>().join(" ")
    }

    /// The command that runs it, by the first one in its comment.
    pub fn command(&self) -> &'static str {
        let comment = self.text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
        let command = comment.filter(|line| !line.contains("…")).find(|line| line.starts_with("jitney run "));
        command.map_or("", |line| line.split("  ").next().unwrap_or_default())
    }

    /// The command that runs it from a file of this path.
    pub fn command_for(&self, path: &str) -> String {
        self.command().replace(&format!(" {}.yaml", self.name), &format!(" {path}"))
    }

    /// Its text and its files under another id: the file names and texts that are to be written. The file `path` is the
    /// flow's own.
    pub fn named(&self, id: &str, path: &str) -> (String, Vec<(String, Vec<u8>)>) {
        let text = self.text().replace(&format!(" {}.yaml", self.name), &format!(" {path}"));
        let text = text.replacen(&format!("\nid: {}\n", self.name), &format!("\nid: {id}\n"), 1);
        let text = text.replace(&format!("/examples/{}/", self.name), &format!("/examples/{id}/"));
        // The flows that it runs are named after it.
        let child = |text: &str| text.replace(&format!("{}_", self.name), &format!("{id}_"));
        let own = if self.files.iter().any(TemplateFile::is_flow) { child(&text) } else { text };
        let file = |file: &TemplateFile| match std::str::from_utf8(file.content) {
            Ok(text) if file.is_flow() => (child(file.name), child(text).into_bytes()),
            _ => (file.name.to_owned(), file.content.to_vec()),
        };
        (own, self.files.iter().map(file).collect())
    }
}

impl TemplateFile {
    fn is_flow(&self) -> bool {
        self.name.ends_with(".yaml")
    }
}
