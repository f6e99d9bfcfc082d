//! Flows that cannot be meant: each problem with its place and a remedy, the same from `validate` and from `run`.

use serde_json::json;

use crate::cli::world::{CommandOutput, World};

const HEAD: &str = "id: f\nnamespace: n\n";

/// Both commands refuse the flow in these very words, and nothing runs.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let world = World::new();
    world.write("f.yaml", text);
    let validated = world.jitney(&["validate", "f.yaml"]).ended(3);
    assert_eq!(validated.out, expected.iter().map(|finding| format!("{finding}\n\n")).collect::<String>());
    let ran: CommandOutput = world.jitney(&["run", "f.yaml"]).ended(3).without_data();
    assert_eq!(ran.err, format!("{}\n", expected.join("\n\n")));
    assert!(!world.home().exists(), "something was written");
}

/// The same for tasks under a good head.
#[track_caller]
fn tasks_refused(tasks: &str, expected: &[&str]) {
    refused(&format!("{HEAD}tasks:\n{tasks}"), expected);
}

#[test]
fn an_unclosed_quote_is_reported_at_its_start() {
    tasks_refused(
        "  - id: a\n    type: log\n    message: \"open\n",
        &["error: this is not YAML: the text that begins here has no closing quotation mark
  --> f.yaml:6:14
   |
 6 |     message: \"open
   |              ^
  help: add the closing quotation mark, or remove the opening one"],
    );
}

#[test]
fn a_flow_that_is_not_utf_8_is_an_error() {
    let world = World::new();
    world.write("f.yaml", b"id: f\nnamespace: n\ndescription: caf\xe9\n");
    let result = world.jitney(&["validate", "f.yaml"]).ended(3);
    assert_eq!(result.out, "error: the flow `f.yaml` is not UTF-8 text\n  help: save it as UTF-8 in your editor\n\n");
}

#[test]
fn an_indentation_error_shows_its_line() {
    tasks_refused(
        "  - id: a\n    type: log\n     message: x\n",
        &["error: this is not YAML: mapping values are not allowed in this context
  --> f.yaml:6:13
   |
 6 |      message: x
   |             ^
  help: check indentation, quotes and brackets, here and on the previous line"],
    );
}

#[test]
fn tabs_are_reported_as_tabs() {
    tasks_refused(
        "\t- id: a\n",
        &["error: there is a tab in the indentation
  --> f.yaml:4:1
   |
 4 | \t- id: a
   | ^
  help: indent with spaces: YAML allows no tabs here"],
    );
}

#[test]
fn a_duplicate_key_is_an_error() {
    tasks_refused(
        "  - id: a\n    type: log\n    message: x\n    message: y\n",
        &["error: the key `message` is defined twice
  --> f.yaml:7:5
   |
 7 |     message: y
   |     ^
  help: remove one of the two"],
    );
}

#[test]
fn an_unknown_task_type_suggests_a_similar_one() {
    tasks_refused(
        "  - id: a\n    type: postgres.lod\n",
        &["error: unknown task type `postgres.lod`
  --> f.yaml:5:11
   |
 5 |     type: postgres.lod
   |           ^
  help: did you mean `postgres.load`? `jitney tasks` lists all types"],
    );
}

#[test]
fn an_unknown_field_suggests_a_similar_one() {
    tasks_refused(
        "  - id: a\n    type: log\n    mesage: x\n    message: y\n",
        &["error: unknown field `mesage`
  --> f.yaml:6:5
   |
 6 |     mesage: x
   |     ^
  help: did you mean `message`?"],
    );
}

#[test]
fn a_missing_field_is_named() {
    tasks_refused(
        "  - id: a\n    type: http.download\n",
        &["error: `uri` is missing
  --> f.yaml:4:5
   |
 4 |   - id: a
   |     ^
  help: add `uri: …`"],
    );
}

#[test]
fn a_list_instead_of_a_text_is_an_error() {
    tasks_refused(
        "  - id: a\n    type: http.download\n    uri: [a, b]\n",
        &["error: `uri` must be a string, not a list
  --> f.yaml:6:10
   |
 6 |     uri: [a, b]
   |          ^"],
    );
}

#[test]
fn an_unknown_key_of_the_flow_suggests_a_similar_one() {
    refused(
        &format!("{HEAD}taks: []\ntasks:\n  - {{id: a, type: log, message: x}}\n"),
        &["error: unknown key `taks`
  --> f.yaml:3:1
   |
 3 | taks: []
   | ^
  help: did you mean `tasks`?"],
    );
}

#[test]
fn duplicate_task_ids_are_rejected() {
    tasks_refused(
        "  - {id: a, type: log, message: x}\n  - {id: a, type: log, message: y}\n",
        &["error: there are two tasks called `a`
  --> f.yaml:5:10
   |
 5 |   - {id: a, type: log, message: y}
   |          ^
  help: rename one of them: outputs are addressed by task id"],
    );
}

#[test]
fn outputs_of_an_unknown_task_are_rejected() {
    tasks_refused(
        "  - {id: extract, type: http.download, uri: x}\n  - {id: b, type: log, message: \"{{ outputs.extrct.uri }}\"}\n",
        &["error: `outputs.extrct`: task `extrct` is not in the flow
  --> f.yaml:5:37
   |
 5 |   - {id: b, type: log, message: \"{{ outputs.extrct.uri }}\"}
   |                                     ^
  help: did you mean `extract`?"],
    );
}

#[test]
fn outputs_of_a_later_task_are_rejected() {
    tasks_refused(
        "  - {id: b, type: log, message: \"{{ outputs.extract.uri }}\"}\n  - {id: extract, type: http.download, uri: x}\n",
        &["error: `outputs.extract`: task `extract` does not run before this one
  --> f.yaml:4:37
   |
 4 |   - {id: b, type: log, message: \"{{ outputs.extract.uri }}\"}
   |                                     ^
  help: move `extract` before this task"],
    );
}

#[test]
fn unknown_outputs_of_a_task_are_rejected() {
    tasks_refused(
        "  - {id: extract, type: http.download, uri: x}\n  - {id: b, type: log, message: \"{{ outputs.extract.url }}\"}\n",
        &["error: `outputs.extract.url`: `http.download` has no output `url`
  --> f.yaml:5:37
   |
 5 |   - {id: b, type: log, message: \"{{ outputs.extract.url }}\"}
   |                                     ^
  help: did you mean `uri`?"],
    );
}

#[test]
fn unknown_names_in_expressions_suggest_similar_ones() {
    for (reference, message, help) in [
        ("flow.idd", "`flow.idd` is not defined", "did you mean `flow.id`?"),
        ("trigger.dat", "`trigger.dat` is not defined", "did you mean `trigger.date`?"),
        ("execution.foo", "`execution.foo` is not defined", "`execution` has `id`, `originalId`, `startDate`, `state`"),
        ("taskrun.valeu", "`taskrun.valeu` is not defined", "did you mean `taskrun.value`?"),
        ("task.foo", "`task.foo` is not defined", "`task` has `id`, `type`"),
        ("tasks.a.stat", "`tasks.a.stat` is not defined", "there is `tasks.a.state`"),
        ("tasks.c.state", "`tasks.c`: task `c` is not in the flow", "there is `a`, `b`"),
        ("env.x", "`env` is not defined", "did you mean `envs`?"),
        ("outputs.a.y", "`outputs.a.y`: `log` has no output `y`", "`log` has no outputs"),
    ] {
        let line = format!("  - {{id: b, type: log, message: \"{{{{ {reference} }}}}\"}}");
        let finding =
            format!("error: {message}\n  --> f.yaml:5:37\n   |\n 5 | {line}\n   | {:>37}\n  help: {help}", "^");
        tasks_refused(&format!("  - {{id: a, type: log, message: x}}\n{line}\n"), &[&finding]);
    }
    refused(
        &format!(
            "{HEAD}tasks:\n  - {{id: a, type: log, message: x}}\ntriggers:\n  - {{id: t, type: webhook, key: abcdefghijklmnopqrst, when: \"{{{{ trigger.bdy.x == 1 }}}}\"}}\n"
        ),
        &["error: `trigger.bdy` is not defined
  --> f.yaml:6:65
   |
 6 |   - {id: t, type: webhook, key: abcdefghijklmnopqrst, when: \"{{ trigger.bdy.x == 1 }}\"}
   |                                                                 ^
  help: did you mean `trigger.body`?"],
    );
}

#[test]
fn names_available_at_run_time_pass_validation() {
    let world = World::new();
    let flow = |message: &str| {
        let show = format!("{{id: show, type: log, message: \"{message}\"}}");
        let inner = format!("{{id: inner, type: if, condition: \"true\", then: [{show}]}}");
        format!(
            "{HEAD}tasks:\n  - {{id: each, type: for_each, values: [a], tasks: [{inner}]}}\ntriggers:\n  - {{id: s, type: schedule, cron: '@daily'}}\n"
        )
    };
    world.write("f.yaml", flow("CONTEXT {{ printContext() }}"));
    let result = world.jitney(&["run", "f.yaml"]).ended(0);
    let line = result.err.lines().find_map(|line| line.split_once("CONTEXT ")).expect("the context").1;
    let context: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let mut names = String::new();
    for root in ["execution", "flow", "item", "parent", "task", "taskrun", "trigger"] {
        let members = context[root].as_object().unwrap_or_else(|| panic!("no {root}"));
        assert!(!members.is_empty(), "{root}");
        members.keys().for_each(|member| names.push_str(&format!("{{{{ {root}.{member} }}}} ")));
    }
    // What only a server knows, and what users put there.
    for name in [
        "body.x",
        "headers.x",
        "parameters.x",
        "uri",
        "blobs[0].uri",
        "executionId",
        "flowId",
        "outputs.x",
        "state",
        "statusCode",
    ] {
        names.push_str(&format!("{{{{ trigger.{name} }}}} "));
    }
    names.push_str("{{ labels.x }} {{ envs.x }} {{ tasks.each.state }} {{ parents[0].taskrun.value }} {{ kv('x') }}");
    world.write("f.yaml", flow(&names));
    world.jitney(&["validate", "f.yaml"]).ended(0);
}

#[test]
fn malformed_templates_are_shown() {
    tasks_refused(
        "  - {id: a, type: log, message: \"{{ inputs.taxi\"}\n  - {id: b, type: log, message: \"{{ inputs. }}\"}\n",
        &[
            "error: this template is malformed: the end `}}` is missing
  --> f.yaml:4:34
   |
 4 |   - {id: a, type: log, message: \"{{ inputs.taxi\"}
   |                                  ^
  help: write `{{ inputs.name }}` or `{{ outputs.task.field }}`",
            "error: this template is malformed: expected a name after the dot, found `}}`
  --> f.yaml:5:45
   |
 5 |   - {id: b, type: log, message: \"{{ inputs. }}\"}
   |                                             ^
  help: write `{{ inputs.name }}` or `{{ outputs.task.field }}`",
        ],
    );
}

#[test]
fn unknown_variables_and_inputs_suggest_similar_ones() {
    refused(
        &format!(
            "{HEAD}variables: {{table: t}}\ntasks:\n  - {{id: a, type: log, message: \"{{{{ vars.tabel }}}} {{{{ input.x }}}}\"}}\n"
        ),
        &[
            "error: `vars.tabel` is not defined
  --> f.yaml:5:37
   |
 5 |   - {id: a, type: log, message: \"{{ vars.tabel }} {{ input.x }}\"}
   |                                     ^
  help: did you mean `table`?",
            "error: `input` is not defined
  --> f.yaml:5:54
   |
 5 |   - {id: a, type: log, message: \"{{ vars.tabel }} {{ input.x }}\"}
   |                                                      ^
  help: did you mean `inputs`?",
        ],
    );
}

#[test]
fn an_invalid_value_in_a_nested_field_is_located() {
    tasks_refused(
        "  - id: a\n    type: postgres.load\n    from: x\n    table: t\n    mode:\n      merge:\n        key: [a]\n        on_match: updat\n",
        &["error: unknown value `updat`
  --> f.yaml:11:19
    |
 11 |         on_match: updat
    |                   ^
  help: did you mean `update`?"],
    );
    tasks_refused(
        "  - id: a\n    type: postgres.load\n    from: x\n    table: t\n    mode: {replace_partion: {a: b}}\n",
        &["error: unknown value `replace_partion`
  --> f.yaml:8:12
   |
 8 |     mode: {replace_partion: {a: b}}
   |            ^
  help: did you mean `replace_partition`?"],
    );
}

#[test]
fn all_problems_of_a_file_are_reported_at_once_in_order() {
    let world = World::new();
    let tasks = "  - {id: a, type: lgo}\n  - {id: b, type: log, mesage: x}\n  - {id: b, type: log, message: \"{{ vars.x }}\"}\n";
    world.write("f.yaml", format!("{HEAD}slas: []\ntasks:\n{tasks}"));
    world.write("good.yaml", format!("{HEAD}tasks:\n  - {{id: a, type: log, message: x}}\n"));
    let result = world.jitney(&["validate", "f.yaml", "good.yaml", "--json"]).ended(3);
    assert_eq!(result.err, "");
    let report = result.json();
    assert_eq!((&report["flows"], &report["errors"]), (&json!(2), &json!(5)));
    let findings: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| json!([finding["line"], finding["message"]]))
        .collect();
    let expected = json!([
        [3, "unknown key `slas`"],
        [5, "unknown task type `lgo`"],
        [6, "unknown field `mesage`"],
        [7, "there are two tasks called `b`"],
        [7, "`vars.x` is not defined"],
    ]);
    assert_eq!(json!(findings), expected);
    let first = &report["findings"][0];
    assert_eq!((&first["severity"], &first["file"], &first["column"]), (&json!("error"), &json!("f.yaml"), &json!(1)));
    assert_eq!(first["snippet"], "slas: []");
}

#[test]
fn unknown_fields_are_found_regardless_of_their_values() {
    let found = |line: usize, column: usize, field: &str, text: &str, near: &str| {
        format!(
            "error: unknown field `{field}`\n  --> f.yaml:{line}:{column}\n   |\n {line} | {text}\n   | {}^\n  help: did you mean `{near}`?",
            " ".repeat(column - 1)
        )
    };
    let tasks = [
        "  - {id: a, type: log, message: x, mesage: \"{{ 1 }}\"}",
        "  - {id: b, type: return, formt: \"{{ flow.id }}\"}",
        "  - {id: c, type: http.request, uri: \"{{ flow.id }}\", options: {timout: \"{{ flow.id }}\"}}",
    ];
    let world = World::new();
    world.write("f.yaml", format!("{HEAD}tasks:\n{}\n", tasks.join("\n")));
    let result = world.jitney(&["validate", "f.yaml"]).ended(3);
    assert!(result.out.contains(&found(4, 36, "mesage", tasks[0], "message")), "{}", result.out);
    assert!(result.out.contains(&found(5, 27, "formt", tasks[1], "format")), "{}", result.out);
    assert!(result.out.contains("unknown field `timout`"), "{}", result.out);
}

#[test]
fn a_task_with_an_invalid_field_is_still_known_to_other_checks() {
    tasks_refused(
        "  - {id: a, type: return, format: x, retry: {attempts: 3}}\n  - {id: b, type: log, message: \"{{ outputs.a.value }}\"}\n",
        &["error: unknown field `attempts`
  --> f.yaml:4:46
   |
 4 |   - {id: a, type: return, format: x, retry: {attempts: 3}}
   |                                              ^
  help: did you mean `maxAttempts`?"],
    );
}

#[test]
fn a_malformed_template_is_located_and_hides_no_other_problem() {
    tasks_refused(
        "  - {id: a, type: log, message: \"{{ flow.id }} and {{ flow. }}\"}\n  - {id: b, type: log, message: \"{{ inputs.foo }}\"}\n",
        &[
            "error: this template is malformed: expected a name after the dot, found `}}`
  --> f.yaml:4:61
   |
 4 |   - {id: a, type: log, message: \"{{ flow.id }} and {{ flow. }}\"}
   |                                                             ^
  help: write `{{ inputs.name }}` or `{{ outputs.task.field }}`",
            "error: `inputs.foo` is not defined
  --> f.yaml:5:37
   |
 5 |   - {id: b, type: log, message: \"{{ inputs.foo }}\"}
   |                                     ^
  help: declare it: `inputs: [{id: foo, type: STRING}]`",
        ],
    );
}

#[test]
fn unsupported_values_are_rejected_before_the_run_with_exit_code_1() {
    let before = "  - {id: before, type: shell.commands, commands: [touch ran]}\n";
    for (task, words) in [
        ("type: postgres.load, from: a.csv, table: t, encoding: latin-99", "there is no encoding `latin-99`"),
        ("type: postgres.copy_in, from: a.csv, table: t, format: CSV, encoding: latin-99", "there is no encoding"),
        ("type: postgres.copy_in, from: a.csv, table: t, format: BINARY, header: true", "the format BINARY has no"),
        ("type: postgres.load, from: a.csv, table: 'a b'", "is not a valid table name"),
        ("type: http.download, uri: a.csv, method: POST", "applies only to requests to a server"),
        ("type: sleep, duration: 5 parsecs", "`duration`: "),
    ] {
        let world = World::new();
        world.write("f.yaml", format!("{HEAD}tasks:\n{before}  - {{id: a, {task}}}\n"));
        let result = world.jitney(&["validate", "f.yaml"]).ended(3);
        assert!(result.out.contains(words) && result.out.contains("--> f.yaml:5:"), "{result}");
        let ran = world.jitney(&["run", "f.yaml"]).ended(1).without_data();
        assert_eq!(format!("{}\n\n", ran.err.trim_end()), result.out.split_inclusive("\n\n").next().unwrap());
        assert!(!world.home().exists() && !world.path("ran").exists(), "something ran");
        // What cannot be read as a flow is invalid, whatever else is wrong with it.
        for broken in ["tsaks: []\n", "labels: x\n"] {
            world.write("f.yaml", format!("{HEAD}tasks:\n{before}  - {{id: a, {task}}}\n{broken}"));
            world.jitney(&["run", "f.yaml"]).ended(3).without_data();
        }
    }
}

#[test]
fn flows_that_are_too_deep_or_too_large_are_rejected_with_a_position() {
    for text in ["- ".repeat(20_000), "? ".repeat(20_000), "[".repeat(5_000)] {
        let world = World::new();
        world.write("f.yaml", format!("{HEAD}variables:\n  a:\n    {text}x\n"));
        for command in ["validate", "run"] {
            let result = world.jitney(&[command, "f.yaml"]).ended(3);
            let text = format!("{}{}", result.out, result.err);
            assert!(text.starts_with("error: this is nested more than 100 levels deep\n  --> f.yaml:5:"), "{}", text);
        }
    }
    let world = World::new();
    world.write("f.yaml", format!("{HEAD}description: {}\n", "x".repeat(300_000)));
    let result = world.jitney(&["validate", "f.yaml"]).ended(3);
    assert!(result.out.starts_with("error: the flow is larger than 256 kB\n  --> f.yaml:1:1"), "{}", result.out);
}

/// Texts that cost more than their length would: they end all the same, with findings.
#[test]
fn checking_a_flow_has_a_time_limit() {
    let chain = |from: usize, to: usize, value: &dyn Fn(usize) -> String| {
        (from..to).map(|n| format!("  v{n}: \"{}\"\n", value(n))).collect::<String>()
    };
    let render = "tasks:\n  - {id: a, type: log, message: \"{{ render(vars.v0) }}\"}\n";
    let fan = chain(0, 60, &|n| format!("{{{{ vars.v{} }}}}{{{{ vars.v{} }}}}", n + 1, n + 2));
    let long = chain(0, 6_000, &|n| format!("{{{{ vars.v{} }}}}", n + 1));
    let path = format!("tasks:\n  - {{id: a, type: log, message: \"{{{{ inputs{} }}}}\"}}\n", ".a".repeat(40_000));
    for (rest, finding) in [
        (format!("variables:\n{fan}{render}"), "`vars.v60` is not defined"),
        (format!("variables:\n{long}{render}"), ""),
        (path, "a name has more than 64 parts"),
    ] {
        let world = World::new();
        world.write("f.yaml", format!("{HEAD}{rest}"));
        let result = world.jitney(&["validate", "f.yaml"]).ended(if finding.is_empty() { 0 } else { 3 });
        assert!(result.out.contains(finding), "{}", result.out);
    }
}

#[test]
fn external_values_in_shell_commands_cause_a_warning() {
    let world = World::new();
    let flow = "inputs:
  - {id: name, type: STRING}
  - {id: taxi, type: SELECT, values: [green, yellow]}
  - {id: month, type: STRING, validator: \"[0-9]+\"}
  - {id: count, type: INT}
tasks:
  - id: a
    type: shell.commands
    env: {NAME: \"{{ inputs.name }}\"}
    commands:
      - echo \"$NAME\" {{ inputs.taxi }} {{ inputs.month }} {{ inputs.count }} {{ inputs.name | shellQuote }}
      - echo {{ inputs.name | upper }} {{ trigger.date }} {{ outputs.b.value ?? '' }}
  - id: b
    type: shell.script
    script: |
      echo {{ trigger.body }}
  - {id: c, type: shell.commands, interpreter: [node, -e], commands: [\"{{ inputs.name }}\"]}
  - {id: d, type: log, message: \"{{ inputs.name }}\"}
  - id: e
    type: shell.commands
    commands:
      - echo \"{{ inputs.name | shellQuote }}\" \"$(cat {{ inputs.name | shellQuote }})\" # it's {{ inputs.name | shellQuote }}
      - cat {{ inputs.name | shellQuote }}
  - id: f
    type: python.script
    script: |
      print('{{ inputs.name }}', {{ inputs.name | json }}, {{ inputs.count }}, '{{ inputs.taxi }}')
  - {id: g, type: postgres.query, sql: \"SELECT '{{ inputs.name }}', {{ inputs.count }}, '{{ inputs.month }}'\"}
  - {id: h, type: postgres.query, sql: \"SELECT :name\", parameters: {name: \"{{ inputs.name }}\"}}
triggers:
  - {id: call, type: webhook, key: a-key-of-some-length}\n";
    world.write("f.yaml", format!("{HEAD}{flow}"));
    let result = world.jitney(&["validate", "f.yaml"]).ended(0);
    assert_eq!(result.out.matches("warning: ").count(), 6, "{result}");
    for part in [
        "the program executes whatever `inputs.name` contains",
        "f.yaml:19:",
        "`{{ inputs.name | shellQuote }}` is inside quotes, where `shellQuote` does not protect it",
        "f.yaml:24:",
        "os.environ[\"VALUE\"]",
        "f.yaml:29:",
        "the database executes whatever `inputs.name` contains",
        "parameters: {value: \"{{ inputs.name }}\"}",
        "f.yaml:30:",
        "the shell executes whatever `inputs.name` contains",
        "f.yaml:14:17",
        "the shell executes whatever `trigger.body` contains",
        "f.yaml:18:15",
        "env: {VALUE: \"{{ inputs.name }}\"}",
        "{{ trigger.body | shellQuote }}",
    ] {
        assert!(result.out.contains(part), "`{part}` is not in {result}");
    }
}

/// Tasks that name files, by field, each with a file that is not there.
const MISSING: &str = "id: f
namespace: n
inputs: [{id: taxi, type: STRING, defaults: green}]
tasks:
  - {id: load, type: postgres.load, from: away.csv, table: t, ddl: away.sql}
  - {id: loads, type: postgres.load, from: \"in/{{ inputs.taxi }}.csv\", table: t, ddl: \"sql/{{ inputs.taxi }}.sql\"}
  - {id: query, type: postgres.query, file: file:///away/query.sql}
  - {id: big, type: bigquery.load, from: \"gs://b/o\", table: d.t, schema: away.json}
  - {id: script, type: shell.commands, commands: [\"cat x\"], inputFiles: [away.txt]}
  - {id: named, type: shell.commands, commands: [\"cat x\"], inputFiles: {x: \"file:///away/x\", y: a text}}
  - {id: get, type: http.download, uri: ./away/month.csv}
  - {id: web, type: http.download, uri: \"https://example.com/month.csv\"}
  - {id: unpack, type: file.decompress, from: \"{{ outputs.web.uri }}\"}
  - {id: say, type: log, message: \"{{ read('away.md') }}\"}
  - {id: there, type: postgres.query, file: there.sql}
";

#[test]
fn missing_files_of_a_flow_are_reported_before_anything_runs() {
    let world = World::new();
    world.write("f.yaml", MISSING);
    world.write("there.sql", "SELECT 1");
    let result = world.jitney(&["validate", "f.yaml", "--json"]).ended(3);
    let found: Vec<(String, u64, String)> = result.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let message = finding["message"].as_str().unwrap().split(';').next().unwrap().to_owned();
            (finding["severity"].as_str().unwrap().to_owned(), finding["line"].as_u64().unwrap(), message)
        })
        .collect();
    let mut found: Vec<(&str, u64, &str)> =
        found.iter().map(|(severity, line, message)| (severity.as_str(), *line, message.as_str())).collect();
    found.sort_by_key(|(severity, line, _)| (*line, *severity));
    let expected = [
        ("error", 5, "there is no file `away.sql`"),
        ("warning", 5, "there is no file `away.csv`"),
        ("error", 6, "there is no folder `sql`"),
        ("warning", 6, "there is no folder `in`"),
        ("error", 7, "there is no file `/away/query.sql`"),
        ("error", 8, "there is no file `away.json`"),
        ("warning", 9, "there is no file `away.txt`"),
        ("warning", 10, "there is no file `/away/x`"),
        ("warning", 11, "there is no file `./away/month.csv`"),
        ("warning", 14, "there is no file `away.md`"),
    ];
    assert_eq!(found, expected, "{result}");
    assert!(result.out.contains("relative paths are relative to the flow's folder"), "{result}");
    // What is a part of the flow must be there before anything runs.
    let ran = world.jitney(&["run", "f.yaml"]).ended(3);
    assert!(ran.err.contains("there is no file `away.sql`") && !ran.err.contains("file `away.csv`"), "{ran}");
    assert!(!world.home().exists(), "something was written");
}
