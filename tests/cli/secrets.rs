//! What is secret is used and never seen: not on the screen, not in the journal, not in what `executions` shows.

use crate::cli::world::World;

const FLOW: &str = r#"id: f
namespace: n
inputs:
  - {id: token, type: SECRET}
  - {id: server, type: STRING}
tasks:
  - {id: say, type: log, message: "token {{ inputs.token }} for {{ inputs.server }}"}
  - {id: give, type: return, format: "{{ inputs.token }} {{ inputs.server }}"}
  - {id: use, type: log, message: "got {{ outputs.give.value }}"}
  - {id: shout, type: http.download, uri: "nowhere-{{ inputs.token }}", allowFailure: true}
  - id: login
    type: postgres.query
    sql: SELECT 1
    url: "{{ inputs.server }}"
    password: pass-in-field
    allowFailure: true
  - id: address
    type: postgres.query
    sql: SELECT 1
    url: postgres://someone:pass-in-url@127.0.0.1:1/d
    allowFailure: true
  - {id: inline, type: postgres.query, sql: SELECT 1, url: "postgres://x@127.0.0.1:1/d", password: pass-inline, allowFailure: true}
  - id: parameter
    type: postgres.query
    sql: SELECT 1
    url: jdbc:postgresql://127.0.0.1:1/d?user=x&password=pass-in-parameter
  - {id: odd, type: postgres.query, sql: SELECT 1, url: "postgres://x:pass/in'odd@127.0.0.1:1/d", allowFailure: true}
  - {id: bare, type: postgres.query, sql: SELECT 1, url: "x:pass-in-bare@127.0.0.1", allowFailure: true}
  - {id: pairs, type: postgres.query, sql: SELECT 1, url: "host=127.0.0.1 port=1 password = pass-in-pairs", allowFailure: true}
  - {id: ask, type: http.request, uri: "http://127.0.0.1:1/x?token=pass-in-query", allowFailure: true}
  - {id: get, type: http.download, uri: "http://127.0.0.1:1/x?sig=pass-in-signature", attempts: 1, allowFailure: true}
  - id: header
    type: http.request
    uri: "http://127.0.0.1:1/"
    headers: {X-Api-Key: pass-in-header}
    allowFailure: true
"#;

#[test]
fn no_secret_is_displayed_or_stored() {
    let world = World::new();
    world.write("f.yaml", FLOW);
    let inputs = ["-i", "token=secret-input", "-i", "server=postgres://u:pass-in-input@127.0.0.1:1/d"];
    let run = [&["run", "f.yaml"][..], &inputs].concat();
    let result =
        world.jitney(&run).ended(1).says("token *** for postgres://u:***@127.0.0.1:1/d").says("no Postgres server");
    let mut seen = format!("{result}");
    seen += &world.jitney(&[&run[..], &["--json"]].concat()).ended(1).to_string();
    let id = world.newest_id();
    for command in [&["executions"][..], &["executions", "show", &id], &["executions", "logs", &id]] {
        seen += &world.jitney(command).ended(0).to_string();
        seen += &world.jitney(&[command, &["--json"]].concat()).ended(0).to_string();
    }
    let journal = world.journal_text();
    assert!(journal.contains("someone:***@127.0.0.1"), "the journal should hold the flow's text");
    for secret in [
        "secret-input",
        "pass-in-input",
        "pass-in-field",
        "pass-in-url",
        "pass-inline",
        "pass-in-parameter",
        "pass/in",
        "in'odd",
        "pass-in-bare",
        "pass-in-pairs",
        "pass-in-query",
        "pass-in-signature",
        "pass-in-header",
    ] {
        assert!(!seen.contains(secret), "`{secret}` is on the screen\n{seen}");
        assert!(!journal.contains(secret), "`{secret}` is in the journal");
    }
}

#[tokio::test]
async fn the_password_of_a_working_server_is_not_stored() {
    let world = World::with_database("cli_secret").await;
    world.month(100);
    let result = world.load().ended(0);
    let address = world.postgres.clone().unwrap();
    let password = address.split_once("://").unwrap().1.split_once(':').unwrap().1.split_once('@').unwrap().0;
    assert!(password.len() > 8);
    assert!(!result.to_string().contains(password) && !world.journal_text().contains(password));
}

const HOSTILE: &str = r#"id: f
namespace: n
inputs: [{id: text, type: STRING}]
tasks:
  - {id: say, type: log, message: "said {{ inputs.text }}"}
  - {id: give, type: return, format: "{{ inputs.text }}"}
  - {id: script, type: shell.commands, env: {TEXT: "{{ inputs.text }}"}, commands: ['echo "$TEXT"; echo "$TEXT" >&2']}
  - {id: file, type: http.download, uri: "nowhere/{{ inputs.text }}", allowFailure: true}
  - {id: stop, type: fail, errorMessage: "over: {{ inputs.text }}"}
"#;

#[test]
fn control_characters_in_data_are_made_visible() {
    let world = World::new();
    let text = "a\u{1b}[31mRED\u{1b}]0;title\u{7}\u{202e}\u{9b}b\nerror: forged\n  ✓ forged";
    world.write("f.yaml", HOSTILE);
    let input = format!("text={text}");
    let result = world.jitney(&["run", "f.yaml", "-i", &input]).ended(1);
    let result = result.says("said a\\x1b[31mRED\\x1b]0;title\\x07\\u202e\\u009bb");
    let id = world.newest_id();
    let mut seen = vec![result.err];
    for command in [&["executions"][..], &["executions", "show", &id], &["executions", "logs", &id]] {
        seen.push(world.jitney(command).ended(0).out);
    }
    for text in &seen {
        let obeyed: Vec<char> = text.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect();
        assert!(obeyed.is_empty(), "{obeyed:?} in {text}");
        assert!(
            !text.lines().any(|line| line.starts_with("error: forged") || line.starts_with("  ✓ forged")),
            "{text}"
        );
    }
    let shown = world.jitney(&["executions", "show", &id, "--json"]).ended(0);
    assert!(!shown.out.contains('\u{202e}'), "{shown}");
    let state = shown.json();
    let given = state["tasks"]["give"]["outputs"]["value"].as_str();
    assert_eq!(given, Some(text), "data are changed in {state}");
    let error = state["tasks"]["stop"]["error"]["message"].to_string();
    assert!(error.contains("\\\\x1b[31mRED"), "the journal keeps {error}");
}

#[test]
fn control_characters_in_column_names_and_flows_are_made_visible() {
    let world = World::new();
    world.write("a.csv", "a\u{1b}[31mRED\u{1b}]0;title\u{7},b\n1,2\n");
    world.write(
        "f.yaml",
        "id: f\nnamespace: n\ntasks:\n  - {id: t, type: polars.transform, from: a.csv, filter: \"nothing > 1\"}\n",
    );
    let result = world.jitney(&["run", "f.yaml"]).ended(1);
    assert!(result.err.contains("\\x1b[31mRED") && !result.err.contains('\u{1b}'), "{result}");
    world.write("g.yaml", "id: g\nnamespace: n\ntasks: [{id: \u{202e}t, typ: log}]\n");
    let result = world.jitney(&["validate", "g.yaml"]).ended(3);
    assert!(!result.to_string().contains('\u{202e}') && result.to_string().contains("\\u202e"), "{result}");
}

#[cfg(unix)]
#[test]
fn invalid_utf_8_is_at_most_an_error() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let bad = OsStr::from_bytes(b"x\xff");
    let output_of = |arguments: &[&str], name: &str| -> crate::cli::world::CommandOutput {
        world.command(arguments).env(name, bad).output().unwrap().into()
    };
    output_of(&["executions"], "BAD").ended(0);
    output_of(&["executions"], "JITNEY_TOKEN").ended(3).says("`JITNEY_TOKEN` is not UTF-8 text");
    world.write("f.yaml", "id: f\nnamespace: n\ntasks: [{id: a, type: log, message: \"{{ secret('BAD') }}\"}]\n");
    output_of(&["run", "f.yaml"], "BAD").ended(1).says("`BAD` is not UTF-8 text");
    let output = world.command(&["run", "f.yaml", "-i"]).arg(bad).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = world.command(&["run"]).arg(bad).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let folder = world.path("_files/n");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(bad), "").unwrap();
    world.write(
        "f.yaml",
        "id: f\nnamespace: n\ntasks: [{id: a, type: shell.commands, namespaceFiles: true, commands: [ls]}]\n",
    );
    world.jitney(&["run", "f.yaml"]).ended(1).says("is not UTF-8 text");
}

#[test]
fn flows_cannot_read_settings_of_jitney_as_secrets() {
    let world = World::new();
    let flow = "id: f\nnamespace: n\ntasks:\n  - {id: a, type: log, message: \"{{ secret('JITNEY_PASSWORD') }}\"}\n";
    let file = world.write("f.yaml", flow);
    let mut command = world.command(&["run", file.to_str().unwrap()]);
    let ended = command.env("JITNEY_PASSWORD", "hunter22").output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && !said.contains("hunter22"), "{said}");
    assert!(said.contains("`JITNEY_PASSWORD` is a setting of jitney itself"), "{said}");
}

const KEEPS: &str = "id: keeps
namespace: n
inputs: [{id: token, type: SECRET}]
tasks:
  - {id: text, type: kv.set, key: text, value: \"Bearer {{ inputs.token }}\"}
  - {id: map, type: kv.set, key: map, kvType: JSON, value: \"{{ {'login': {'token': inputs.token}, 'user': 'ada'} | json }}\"}
  - {id: plain, type: kv.set, key: plain, value: visible}
";
const READS: &str = "id: reads
namespace: n
tasks:
  - {id: say, type: log, message: \"{{ kv('text') }} {{ kv('map').login.token | base64encode }} {{ kv('map').user }} {{ kv('plain') }}\"}
  - {id: give, type: return, format: \"{{ kv('text') }}\"}
  - {id: get, type: kv.get, key: text, allowFailure: true}
";

#[test]
fn a_secret_in_the_key_value_store_is_redacted_when_it_is_read() {
    let world = World::new();
    world.write("keeps.yaml", KEEPS);
    world.write("reads.yaml", READS);
    world.jitney(&["run", "keeps.yaml", "-i", "token=secret-in-store"]).ended(0).says("contains a secret");
    let mut seen = world.jitney(&["run", "reads.yaml"]).ended(0).says("Bearer *** *** ada visible").to_string();
    assert!(seen.contains("the value of `text` contains a secret, which outputs must not contain"), "{seen}");
    let list = world.jitney(&["kv", "list"]).ended(0).out;
    assert!(list.contains("Bearer ***") && list.contains("user\":\"ada\"") && list.contains("visible"), "{list}");
    seen += &list;
    seen += &world.jitney(&["kv", "list", "--json"]).ended(0).to_string();
    seen += &world.journal_text();
    assert!(!seen.contains("secret-in-store") && !seen.contains("c2VjcmV0LWluLXN0b3Jl"), "{seen}");
    let got = world.jitney(&["kv", "get", "text", "-n", "n"]).ended(0).out;
    assert_eq!(got, "Bearer secret-in-store\n", "whoever asks for one key gets it");
    let default = "id: d\nnamespace: n\ninputs: [{id: a, type: STRING, defaults: \"{{ kv('text') }}\"}]\n";
    world.write("d.yaml", format!("{default}tasks: [{{id: a, type: log, message: \"{{{{ inputs.a }}}}\"}}]\n"));
    let refused = world.jitney(&["run", "d.yaml"]).says("may only be used in an input of type SECRET").to_string();
    assert!(!refused.contains("secret-in-store"), "{refused}");
    world.jitney(&["kv", "set", "text", "of-no-secret", "-n", "n"]).ended(0);
    world.jitney(&["run", "reads.yaml"]).ended(0).says("of-no-secret *** ada");
}

#[test]
fn a_secret_passed_to_a_subflow_in_any_form_is_stored_by_neither() {
    let world = World::new();
    world.write(
        "child.yaml",
        "id: child
namespace: n
inputs: [{id: text, type: STRING}, {id: map, type: JSON}, {id: list, type: ARRAY, itemType: STRING}]
outputs: [{id: all, type: STRING, value: \"{{ outputs.give.value }}\"}]
tasks:
  - {id: give, type: return, format: \"{{ inputs.text }} {{ inputs.map.token }} {{ inputs.list[0] | upper }}\"}
  - {id: say, type: log, message: \"{{ inputs.text | length }} {{ inputs.map.token | length }} {{ inputs.map.user }} {{ inputs.list[0] }}\"}
",
    );
    world.write(
        "parent.yaml",
        "id: parent
namespace: n
inputs: [{id: token, type: SECRET}]
tasks:
  - id: sub
    type: subflow
    namespace: n
    flowId: child
    inputs: {text: \"Bearer {{ inputs.token }}\", map: {token: \"{{ inputs.token }}\", user: ada}, list: [\"{{ inputs.token }}\"]}
  - {id: say, type: log, message: \"{{ outputs.sub.outputs.all }}\"}
",
    );
    let result =
        world.jitney(&["run", "parent.yaml", "-i", "token=secret-to-child"]).ended(0).says("22 15 ada ***").to_string();
    let seen = (result + &world.journal_text()).to_lowercase();
    assert!(!seen.contains("secret-to-child") && seen.contains("bearer ***"), "{seen}");
}
