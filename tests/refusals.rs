//! Everything that a flow may be refused for, on one page: tests/snapshots/refusals__every_refusal_reads_well.snap.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use jitney::flow::parse;
use jitney::tasks::ALL;

/// A heading, and a whole flow.
const FLOWS: &[(&str, &str)] = &[
    ("an empty file", ""),
    ("a list", "- id: a\n"),
    ("two documents", "id: a\nnamespace: n\n---\nid: b\n"),
    ("a tab", "id: f\nnamespace: n\ntasks:\n\t- id: a\n"),
    ("a quote that stays open", "id: f\nnamespace: n\ndescription: \"open\ntasks: []\n"),
    ("a list that stays open", "id: f\nnamespace: [n\ntasks: []\n"),
    ("a line that is indented too far", "id: f\n  namespace: n\n"),
    ("a key that is indented less", "id: f\nnamespace: n\ntasks:\n  - id: a\n   type: log\n"),
    ("a task that is indented less", "id: f\nnamespace: n\ntasks:\n  - id: a\n    type: log\n - id: b\n"),
    ("a key without a blank", "id: f\nnamespace:n\ntasks: []\n"),
    (
        "a template without quotes",
        "id: f\nnamespace: n\ntasks:\n  - id: a\n    type: log\n    message: {{ inputs.x }}\n",
    ),
    ("a key given twice", "id: f\nnamespace: n\nid: g\ntasks: []\n"),
    ("an anchor that is not there", "id: f\nnamespace: n\ntasks: *none\n"),
    ("nothing but an id", "id: f\n"),
    ("names that are none", "id: a b\nnamespace: 7/8\ntasks: [{id: a, type: log, message: x}]\n"),
    (
        "unknown keys",
        "id: f\nnamespace: n\ntaks: []\nlisteners: []\nsla: []\ntasks: [{id: a, type: log, message: x}]\n",
    ),
    (
        "lists and maps in each other's place",
        "id: f\nnamespace: n\nlabels: x\nvariables: [a]\ninputs: {a: b}\ntriggers: x\ntasks: {a: b}\n",
    ),
    ("a tab after a colon", "id: f\nnamespace:\tn\n"),
    ("a tab on the next line", "id: f\nnamespace: n\n\ttasks: []\n"),
    ("a quote that opens on a line of its own", "id: f\nnamespace: 'n\n"),
    ("a template and more without quotes", "id: f\nnamespace: n\nvariables:\n  file: {{ inputs.x }}.csv\ntasks: []\n"),
    ("a task list of another name", "id: f\nnamespace: n\ntask: []\n"),
    (
        "keys of older versions",
        "id: f\nnamespace: n\ntaskDefaults: []\npluginDefaults: {log: {level: WARN}}\ntasks: []\n",
    ),
    ("no tasks", "id: f\nnamespace: n\ntasks: []\n"),
];

/// A heading, and what stands under `inputs`.
const INPUTS: &[(&str, &str)] = &[
    ("an input of an unknown type", "  - {id: a, type: STRNG}\n"),
    ("an input without a type", "  - {id: a}\n"),
    ("an unknown key of an input", "  - {id: a, type: STRING, default: x}\n"),
    ("a SELECT without values", "  - {id: a, type: SELECT}\n"),
    (
        "a default that does not fit",
        "  - {id: a, type: INT, defaults: seven}\n  - {id: b, type: DATE, defaults: yesterday}\n",
    ),
    ("a validator that is no regular expression", "  - {id: a, type: STRING, validator: \"[a\"}\n"),
    ("two inputs of one name", "  - {id: a, type: STRING}\n  - {id: a, type: INT}\n"),
];

/// A heading, and what stands under `tasks`.
const TASKS: &[(&str, &str)] = &[
    ("a task that is no map", "  - log\n"),
    ("a task without id and type", "  - message: x\n"),
    ("several fields that are missing", "  - {id: a, type: io.kestra.plugin.jdbc.postgresql.CopyIn}\n  - {}\n"),
    (
        "a text in place of a list",
        "  - {id: a, type: shell.commands, commands: \"echo {{ flow.id }} {{ flow.namespace }}\"}\n  - id: b\n    type: shell.commands\n    commands:\n      -echo\n",
    ),
    ("a mistake after a template", "  - {id: a, type: log, level: \"{{ inputs.taxi }}\", mesage: x}\n"),
    (
        "expressions where none can be",
        "  - {id: a, type: log, message: x, disabled: \"{{ inputs.taxi == 'green' }}\", retry: {type: constant, interval: 1s, maxAttempts: \"{{ 3 }}\"}}\n",
    ),
    ("a condition without braces", "  - {id: a, type: log, message: x, runIf: inputs.taxi == 'green'}\n"),
    ("an id that is no name", "  - {id: \"a b\", type: log, message: x}\n"),
    ("two tasks of one name", "  - {id: a, type: log, message: x}\n  - {id: a, type: log, message: y}\n"),
    ("a misspelt task type", "  - {id: a, type: postgres.lod}\n"),
    (
        "task types of other systems",
        "  - {id: a, type: io.kestra.plugin.aws.s3.Upload}\n  - {id: b, type: io.kestra.plugin.jdbc.mysql.Query}\n  - {id: c, type: io.kestra.plugin.dbt.cli.DbtCLI}\n  - {id: d, type: io.kestra.plugin.notifications.slack.SlackIncomingWebhook}\n  - {id: e, type: io.kestra.plugin.scripts.node.Script}\n  - {id: g, type: s3.upload}\n",
    ),
    (
        "language models",
        "  - {id: a, type: io.kestra.plugin.ai.completion.ImageGeneration}\n  - {id: b, type: ai.chat, messages: [{type: USER, content: x}], provider: {type: io.kestra.plugin.ai.provider.AzureOpenAI, modelName: m}}\n  - {id: c, type: ai.chat, messages: [{type: AI, content: x}], memory: {type: x}}\n  - {id: d, type: ai.answer, memory: {type: x}, prompt: x, chatProvider: {type: openai, modelName: m}, embeddings: {type: kv}}\n  - {id: e, type: ai.ingest, provider: {type: openai, modelName: m}, embeddings: {type: io.kestra.plugin.ai.embeddings.Milvus}}\n  - {id: f, type: ai.chat, messages: [{type: USER, content: x}], provider: {type: openai, modelName: m}, configuration: {topK: 5}}\n  - {id: g, type: io.kestra.plugin.core.http.SseRequest}\n",
    ),
    (
        "a misspelt type of Kestra's",
        "  - {id: a, type: io.kestra.plugin.core.http.Downlaod}\n  - {id: b, type: io.kestra.core.tasks.debugs.Retrun}\n",
    ),
    ("a trigger among the tasks", "  - {id: a, type: io.kestra.plugin.core.trigger.Schedule, cron: \"@daily\"}\n"),
    ("an unknown field", "  - {id: a, type: log, mesage: x}\n"),
    ("a field that is missing", "  - {id: a, type: http.download}\n"),
    (
        "values of the wrong kind",
        "  - {id: a, type: http.download, uri: [x]}\n  - {id: b, type: log, message: x, disabled: maybe}\n  - {id: c, type: sleep, duration: soon}\n  - {id: d, type: log, message: x, timeout: 5}\n",
    ),
    (
        "a word that wants more, or a form that is another",
        "  - {id: a, type: postgres.load, from: x, table: t, mode: replace_partition}\n  \
           - {id: b, type: postgres.load, from: x, table: t, mode: merge, on_bad_row: {reject: {maximum: 3}}}\n  \
           - {id: c, type: postgres.load, from: x, table: t, mode: {append: {a: 1}}, on_bad_row: [reject]}\n  \
           - {id: d, type: postgres.load, from: x, table: t, mode: {replace_partition: [a]}, on_bad_row: reject}\n  \
           - {id: e, type: polars.transform, from: x, dedupe: 3, on_bad_row: {reject: {max: -1}}}\n  \
           - {id: f, type: bigquery.load, from: x, table: d.t, mode: merge}\n",
    ),
    (
        "outputs that a task with sub-tasks does not have",
        "  - {id: if1, type: if, condition: true, then: [{id: a, type: log, message: x}]}\n  \
           - {id: b, type: log, message: \"{{ outputs.if1.branch }} {{ outputs.if1.evaluationResult }}\"}\n",
    ),
    ("a word that is no choice", "  - {id: a, type: postgres.load, from: x, table: t, mode: replace}\n"),
    (
        "a retry that cannot be",
        "  - {id: a, type: log, message: x, retry: {type: linear, interval: PT1S, maxAttempt: 3}}\n",
    ),
    (
        "templates that cannot be read",
        "  - {id: a, type: log, message: \"{{ inputs.taxi\"}\n  - {id: b, type: log, message: \"{{ 1 + }}\"}\n  - {id: c, type: log, message: \"{% if true %}x\"}\n  - {id: d, type: log, message: \"{{ a.b( }}\"}\n",
    ),
    (
        "filters, functions and tests that are not there",
        "  - {id: a, type: log, message: \"{{ inputs.taxi | uper }}\"}\n  - {id: b, type: log, message: \"{{ nw() }}\"}\n  - {id: c, type: log, message: \"{{ 1 is prime }}\"}\n  - {id: d, type: log, message: \"{{ 'a' | date }} {{ 'a' | replace }}\"}\n",
    ),
    (
        "names that are not there",
        "  - {id: a, type: log, message: \"{{ input.taxi }} {{ inputs.tax }} {{ vars.x }} {{ taxi }}\"}\n",
    ),
    (
        "outputs of a task that is disabled",
        "  - {id: a, type: http.download, uri: x, disabled: true}\n  - {id: b, type: log, message: \"{{ outputs.a.uri }} {{ outputs.a.uri ?? 'none' }}\"}\n",
    ),
    (
        "names with a dash",
        "  - {id: my-file, type: http.download, uri: x}\n  - {id: b, type: log, message: \"{{ outputs.my-file.uri }}\"}\n",
    ),
    (
        "brackets around what is not there",
        "  - {id: a, type: http.download, uri: x}\n  - {id: b, type: log, message: \"{{ outputs['c'].uri }} {{ outputs.a.url['x'] }}\"}\n",
    ),
    (
        "outputs that are not there",
        "  - {id: a, type: http.download, uri: x}\n  - {id: b, type: log, message: \"{{ outputs.a.url }} {{ outputs.aa.uri }} {{ outputs.c.uri }}\"}\n  - {id: c, type: http.download, uri: x}\n",
    ),
    (
        "a circle in a dag",
        "  - id: g\n    type: dag\n    tasks:\n      - {task: {id: a, type: log, message: x}, dependsOn: [b]}\n      - {task: {id: b, type: log, message: x}, dependsOn: [a]}\n",
    ),
    (
        "a dag that waits for nobody",
        "  - id: g\n    type: dag\n    tasks:\n      - {task: {id: a, type: log, message: x}, dependsOn: [z]}\n      - {id: b, type: log, message: x}\n",
    ),
    (
        "branches that are no lists",
        "  - {id: a, type: if, condition: true, then: {id: b, type: log, message: x}}\n  - {id: c, type: switch, value: x, cases: [a]}\n  - {id: d, type: for_each, values: [1], tasks: []}\n",
    ),
    (
        "a mistake in a case that looks like a number",
        "  - id: month\n    type: switch\n    value: \"01\"\n    cases:\n      01: [{id: a, type: log, mesage: x}]\n      2: [{id: b, type: log, message: x, level: LOUD}]\n",
    ),
    ("an if without anything to do", "  - {id: a, type: if, condition: true}\n"),
];

/// A heading, and what stands under `triggers`.
const TRIGGERS: &[(&str, &str)] = &[
    ("a trigger that is no map", "  - daily\n"),
    (
        "trigger types that are not there",
        "  - {id: a, type: shedule, cron: \"@daily\"}\n  - {id: b, type: io.kestra.plugin.core.trigger.Schedul, cron: \"@daily\"}\n  - {id: c, type: io.kestra.plugin.aws.s3.Trigger}\n  - {id: d, type: io.kestra.plugin.gcp.gcs.Trigger}\n",
    ),
    (
        "two triggers of one name",
        "  - {id: a, type: schedule, cron: \"@daily\"}\n  - {id: a, type: webhook, key: aLongKeyOfTwentyOnes}\n",
    ),
    (
        "cron expressions that are none",
        "  - {id: a, type: schedule, cron: \"61 * * * *\"}\n  - {id: b, type: schedule, cron: \"0 25 * * *\"}\n  - {id: c, type: schedule, cron: \"0 0 0 * *\"}\n  - {id: d, type: schedule, cron: \"0 0 1 13 *\"}\n  - {id: e, type: schedule, cron: \"0 0 * * MUN\"}\n",
    ),
    (
        "cron expressions of the wrong length",
        "  - {id: a, type: schedule, cron: \"0 9 * *\"}\n  - {id: b, type: schedule, cron: \"0 0 9 1 * *\"}\n  - {id: c, type: schedule, cron: \"0 9 1 * *\", withSeconds: true}\n  - {id: d, type: schedule, cron: \"@dayly\"}\n",
    ),
    ("a day that never comes", "  - {id: a, type: schedule, cron: \"0 0 31 2 *\"}\n"),
    ("a time zone that is not there", "  - {id: a, type: schedule, cron: \"@daily\", timezone: America/NewYork}\n"),
    (
        "inputs that are not there, or do not fit",
        "  - {id: a, type: schedule, cron: \"@daily\", inputs: {taxy: green, taxi: blue}}\n",
    ),
    (
        "states that are none",
        "  - {id: a, type: schedule, cron: \"@daily\", stopAfter: [FAILURE], recoverMissedSchedules: SOME}\n",
    ),
    (
        "conditions that are none",
        "  - {id: a, type: schedule, cron: \"@daily\", conditions: [{type: weekday}, {type: io.kestra.plugin.core.condition.DayWek, dayOfWeek: MONDAY}, {type: day_week, dayOfWeek: MON}, weekend]}\n",
    ),
    (
        "times that are none",
        "  - {id: a, type: schedule, cron: \"@daily\", conditions: [{type: time_between, after: nine}, {type: date_time_between, before: tomorrow}, {type: date_time_between}]}\n",
    ),
    (
        "a country whose holidays are not known",
        "  - {id: a, type: schedule, cron: \"@daily\", conditions: [{type: public_holiday, country: IT}]}\n",
    ),
    (
        "an execution where there is none",
        "  - {id: a, type: schedule, cron: \"@daily\", conditions: [{type: execution_status, in: [SUCCESS]}]}\n",
    ),
    (
        "a name that a trigger does not know",
        "  - {id: a, type: schedule, cron: \"@daily\", when: \"{{ triger.date | date('dd') == '01' }}\"}\n",
    ),
    ("a key that is no part of an address", "  - {id: a, type: webhook, key: \"a/b\"}\n  - {id: b, type: webhook}\n"),
    (
        "a window without its time",
        "  - {id: a, type: flow, preconditions: {flows: [{namespace: n}], timeWindow: {type: DAILY_TIME_DEADLINE}}}\n",
    ),
    ("a flow trigger that waits for anything", "  - {id: a, type: flow}\n"),
];

/// A heading, and a flow that is wrong in one place in such a way that the rest could go unseen.
const AROUND: &[(&str, &str)] = &[
    (
        "a misspelt key, and what stands under it",
        "id: f
namespace: n
task:
  - {id: a, type: postgres.lod, from: \"{{ inputs.foo }}\"}
  - {id: b, type: log, mesage: \"{{ outputs.nix.uri }}\"}
",
    ),
    (
        "keys that are given twice, and what is wrong elsewhere",
        "id: f
namespace: n
tasks:
  - id: a
    type: log
    message: \"{{ inputs.foo }}\"
    message: x
  - id: b
    type: log
    message: \"{{ now( }}\"
    id: c
",
    ),
    (
        "a missing id, a broken retry, and what is wrong elsewhere",
        "namespace: n
tasks:
  - id: a
    type: log
    message: \"{{ inputs.foo }}\"
    retry: {type: sometimes}
    timeout: [1]
",
    ),
    (
        "a text without a closing quotation mark",
        "id: f
namespace: n
tasks:
  - id: a
    type: log
    message: \"it: {{ trigger.date }}
  - {id: b, type: log, message: x}
",
    ),
];

/// A heading, and a flow whose mistakes are in its variables or inputs.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "mistakes in variables",
        "inputs: [{id: taxi, type: STRING}]
variables:
  file: \"{{ inputs.tax }}_{{ taxi | uper }}.csv\"
  path: \"gs://{{ vars.file }}\"
  data: \"{{ outputs.late.uri }}\"
  idle: \"{{ nothing( }}\"
tasks:
  - {id: a, type: log, message: \"{{ render(vars.path) }} {{ render(vars.data) }}\"}
  - {id: b, type: log, message: \"{{ vars.file }}\"}
  - {id: late, type: http.download, uri: x}
",
    ),
    (
        "an input that is wrong, and those who name it",
        "inputs: [{id: taxi, type: SELECT, values: [green], defaults: red}]
tasks: [{id: a, type: log, message: \"{{ inputs.taxi }}\"}]
triggers: [{id: t, type: schedule, cron: \"@daily\", inputs: {taxi: green}}]
",
    ),
];

const HEAD: &str = "id: f\nnamespace: n\n";
const LOG: &str = "tasks: [{id: a, type: log, message: x}]\n";
const TAXI: &str = "inputs: [{id: taxi, type: SELECT, values: [green, yellow], defaults: green}]\n";

fn reported(heading: &str, text: &str) -> String {
    let parsed = parse("f.yaml", text, ALL);
    assert!(!parsed.findings.is_empty(), "{heading}: not refused");
    for finding in &parsed.findings {
        assert!(finding.line > 0 && finding.column > 0, "{heading} has no place: {finding}");
    }
    let findings: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    format!("## {heading}\n\n{}\n\n", findings.join("\n\n"))
}

#[test]
fn every_refusal_reads_well() {
    let mut page = String::new();
    for (heading, text) in FLOWS {
        page += &reported(heading, text);
    }
    for (heading, text) in AROUND {
        page += &reported(heading, text);
    }
    for (heading, inputs) in INPUTS {
        page += &reported(heading, &format!("{HEAD}inputs:\n{inputs}{LOG}"));
    }
    for (heading, tasks) in TASKS {
        page += &reported(heading, &format!("{HEAD}{TAXI}tasks:\n{tasks}"));
    }
    for (heading, rest) in ELSEWHERE {
        page += &reported(heading, &format!("{HEAD}{rest}"));
    }
    for (heading, triggers) in TRIGGERS {
        page += &reported(heading, &format!("{HEAD}{TAXI}triggers:\n{triggers}{LOG}"));
    }
    insta::assert_snapshot!(page);
}
