//! The JSON Schema of flows, as an editor uses it: it takes what the program takes, and refuses what is wrong.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use jitney::flow::trigger::TRIGGERS;
use jitney::flow::{from_yaml, schema};
use jitney::tasks::ALL;
use serde_json::Value;

struct Editor {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Editor {
    /// Reads the schema, which must be a valid one.
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V7);
        compiler.add_resource("flow.json", schema(ALL)).unwrap();
        let index = compiler.compile("flow.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self { schemas, index }
    }

    /// What is underlined; nothing when all is well.
    fn complaint(&self, flow: &str) -> Option<String> {
        let flow: Value = from_yaml(flow).unwrap();
        self.schemas.validate(&flow, self.index).err().map(|error| format!("{error:#}"))
    }

    #[track_caller]
    fn accepts(&self, flow: &str) {
        assert_eq!(self.complaint(flow), None, "{flow}");
    }

    #[track_caller]
    fn refuses(&self, flow: &str, place: &str) {
        let complaint = self.complaint(flow).unwrap_or_else(|| panic!("accepted:\n{flow}"));
        assert!(complaint.contains(place), "`{place}` is not in:\n{complaint}");
    }
}

fn flow(rest: &str) -> String {
    format!("id: f\nnamespace: n\n{rest}")
}

/// A flow of tasks that stand at the left.
fn tasks(items: &str) -> String {
    let lines: Vec<String> = items.lines().map(|line| format!("  {line}")).collect();
    flow(&format!("tasks:\n{}", lines.join("\n")))
}

#[test]
fn flows_that_run_are_accepted() {
    let editor = Editor::new();
    for task in ALL {
        editor.accepts(&tasks(task.example));
        for alias in task.aliases {
            editor.accepts(&tasks(&task.example.replacen(task.name, alias, 1)));
        }
    }
    for trigger in TRIGGERS {
        let items: Vec<String> = trigger.example.lines().map(|line| format!("  {line}\n")).collect();
        editor.accepts(&format!("{}\ntriggers:\n{}", tasks("- {id: a, type: log, message: x}"), items.concat()));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["flows", "templates"] {
        let files = root.join(folder).read_dir().unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "yaml")) {
            editor.accepts(&std::fs::read_to_string(file).unwrap());
        }
    }
}

#[test]
fn what_the_reader_forgives_is_forgiven() {
    let editor = Editor::new();
    // Templates for numbers, flags and lists; texts for numbers; numbers for texts.
    editor.accepts(&tasks("- {id: a, type: for_each, values: \"{{ inputs.x }}\", concurrencyLimit: \"{{ n }}\", tasks: [{id: b, type: log, message: 1}]}"));
    editor.accepts(&tasks("- {id: a, type: postgres.load, from: x, table: t, header: \"{{ h }}\", mode: \"{{ m }}\", transform: \"{{ t }}\", null_string: 0}"));
    editor.accepts(&tasks(
        "- {id: a, type: log, message: x, retry: {type: constant, interval: 15s, maxAttempts: \"3\"}}",
    ));
    // Other spellings of fields, required ones too, and of words.
    editor.accepts(&tasks("- {id: a, type: io.kestra.plugin.core.flow.ForEach, value: [1], concurrency_limit: 2, tasks: [{id: b, type: log, message: x, when: \"{{ c }}\"}]}"));
    editor.accepts(&tasks(
        "- {id: a, type: io.kestra.plugin.jdbc.postgresql.CopyIn, from: x, table: t, format: CSV, nullString: x}",
    ));
    editor.accepts(&tasks("- {id: a, type: postgres.query, sql: SELECT 1, fetchType: fetch_one}"));
    editor.accepts(&tasks("- {id: a, type: postgres.load, from: x, table: t, on_bad_row: reject}"));
    editor.accepts(&flow("inputs: [{id: a, type: BOOLEAN}, {name: b, type: ENUM, values: [1]}]\nlabels: [{key: a, value: b}]\ntasks: [{id: b, type: log, message: x}]"));
}

#[test]
fn what_is_wrong_is_underlined_where_it_stands() {
    let editor = Editor::new();
    editor.refuses(&tasks("- {id: a, type: log, mesage: x}"), "'/tasks/0'");
    editor.refuses(&tasks("- {id: a, type: lag, message: x}"), "'/tasks/0/type'");
    editor.refuses(&tasks("- {type: log, message: x}"), "missing properties 'id'");
    editor.refuses(&tasks("- {id: a, type: for_each, tasks: []}"), "'/tasks/0'");
    for mode in ["replace", "replace_partition", "merge"] {
        editor.refuses(
            &tasks(&format!("- {{id: a, type: postgres.load, from: x, table: t, mode: {mode}}}")),
            "'/tasks/0/mode'",
        );
    }
    editor.refuses(&tasks("- {id: a, type: postgres.load, from: x, table: t, header: maybe}"), "'/tasks/0/header'");
    editor.refuses(
        &tasks("- {id: a, type: if, condition: x, then: [{id: b, type: sequential, tasks: [{id: c, type: log, mesage: x}]}]}"),
        "'/tasks/0/then/0/tasks/0'",
    );
    editor.refuses(&flow("tasks: [{id: a, type: log, message: x}]\ntaks: []"), "'taks'");
    editor.refuses(
        &flow("tasks: [{id: a, type: log, message: x}]\ntriggers: [{id: t, type: schedule, corn: '@daily'}]"),
        "'/triggers/0'",
    );
    editor
        .refuses(&flow("inputs: [{id: a, type: STRNG}]\ntasks: [{id: a, type: log, message: x}]"), "'/inputs/0/type'");
    editor.refuses(
        &flow("inputs: [{id: a, type: STRING, min: 1}]\ntasks: [{id: a, type: log, message: x}]"),
        "'/inputs/0/type'",
    );
}

#[test]
fn an_editor_has_something_to_say_about_everything() {
    let schema = schema(ALL);
    let documented = |place: &str| schema.pointer(place).and_then(|found| found["description"].as_str().map(str::len));
    for place in [
        "/properties/tasks",
        "/definitions/task/properties/retry",
        "/definitions/input/properties/defaults",
        "/definitions/task.postgres.load/properties/mode",
        "/definitions/task.for_each/properties/value",
        "/definitions/task.postgres.load",
    ] {
        assert!(documented(place) > Some(10), "{place}");
    }
}

#[test]
fn keys_without_a_value_are_accepted_and_what_beside_tasks_is_wrong_is_not() {
    let editor = Editor::new();
    let log = "tasks: [{id: a, type: log, message: x, allowFailure: \"yes\", timeout: \"{{ inputs.t }}\"}]\n";
    let empty =
        ["inputs", "labels", "errors", "finally", "triggers", "outputs", "pluginDefaults", "retry", "sla", "checks"];
    let empty: String = empty.iter().map(|key| format!("{key}:\n")).collect();
    editor.accepts(&flow(&format!("{empty}disabled: \"no\"\n{log}")));
    editor.accepts(&flow(&format!("pluginDefaults: [{{type: log, forced: true, values: {{level: WARN}}}}]\n{log}")));
    editor.refuses(&flow(&format!("pluginDefaults: [{{type: log, value: {{level: WARN}}}}]\n{log}")), "pluginDefaults");
    editor.refuses(&flow(&format!("outputs: [{{id: a, value: x}}]\n{log}")), "outputs");
    editor.refuses(&tasks("- {id: a, type: log, message: x, timeout: 5 minutes}"), "timeout");
}
