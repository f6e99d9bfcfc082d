//! The world around a flow, as its user sets it up: secrets, files next to the flow, stored values.

use crate::cli::world::{CommandOutput, World};

const SECRETS: &str = r#"id: f
namespace: n
tasks:
  - {id: say, type: log, message: "token {{ secret('API_TOKEN') }}"}
  - {id: give, type: return, format: "{{ secret('api_token') }}"}
  - {id: coded, type: return, format: "{{ secret('API_TOKEN') | base64encode }}"}
  - {id: part, type: return, format: "{{ secret('ACCOUNT', subkey='key') }}"}
  - id: script
    type: shell.commands
    env: {TOKEN: "{{ secret('API_TOKEN') }}", ACCOUNT: "{{ secret('ACCOUNT') }}"}
    commands:
      - test ${#TOKEN} = 15
      - echo "it is $TOKEN"; echo "$ACCOUNT"; printf %s "$TOKEN" | base64 >&2
      - echo "::{\"outputs\":{\"token\":\"$TOKEN\"}}::"
  - {id: label, type: labels, labels: {token: "{{ secret('API_TOKEN') }}"}}
  - {id: file, type: return, format: "{{ secret('FROM_FILE') }} {{ secret('FROM_DOTENV') }}"}
  - {id: ask, type: http.request, uri: "http://127.0.0.1:1/?t={{ secret('API_TOKEN') | urlencode }}", allowFailure: true}
  - {id: wrong, type: log, message: "{{ secret('API_TOKEN') | date }}", allowFailure: true}
  - id: each
    type: for_each
    allowFailure: true
    values: ["{{ secret('API_TOKEN') }}"]
    tasks: [{id: never, type: log, message: never}]
  - {id: stop, type: fail, errorMessage: "no {{ secret('API_TOKEN') }}"}
"#;

/// What each secret is, and other ways to write them.
const NEVER: &[&str] = &["t0p s3cret", "t0p+s3cret", "dDBwIHMzY3JldCZtb3Jl", "in-a-file", "in-dotenv", "account-key"];

fn with_secrets(world: &World, arguments: &[&str]) -> CommandOutput {
    let mut command = world.command(arguments);
    command.env("SECRET_API_TOKEN", "dDBwIHMzY3JldCZtb3Jl");
    command.env("ACCOUNT", "{\n  \"user\": \"me\",\n  \"key\": \"account-key\"\n}");
    command.env("JITNEY_SECRETS_DIR", world.path("secrets"));
    command.output().unwrap().into()
}

#[test]
fn a_secret_is_used_and_never_seen() {
    let world = World::new();
    world.write("flows/f.yaml", SECRETS);
    world.write("flows/.env", "FROM_DOTENV=in-dotenv\n");
    world.write("secrets/from_file", "in-a-file\n");
    let result = with_secrets(&world, &["run", "flows/f.yaml"]).ended(1).says("token ***").says("no ***");
    let result = result.says("it is ***").says("the values of the loop contain a secret");
    let mut seen = result.to_string() + &with_secrets(&world, &["run", "flows/f.yaml", "--json"]).to_string();
    let id = world.newest_id();
    for command in [["executions", "show", &id], ["executions", "logs", &id]] {
        seen += &world.jitney(&command).ended(0).to_string();
    }
    seen += &world.journal_text();
    for secret in NEVER {
        assert!(!seen.contains(secret), "`{secret}` is shown or kept:\n{seen}");
    }
    assert!(seen.contains(r#""value":"*** ***""#), "the outputs of `file` are not there:\n{seen}");
}

#[test]
fn a_missing_secret_is_an_error_that_names_every_place() {
    let world = World::new();
    world
        .write("flows/f.yaml", "id: f\nnamespace: n\ntasks: [{id: a, type: log, message: \"{{ secret('NONE') }}\"}]\n");
    world.jitney(&["validate", "flows/f.yaml"]).ended(0);
    let result = world.jitney(&["run", "flows/f.yaml"]).ended(1).says("there is no secret `NONE`");
    result.says("`SECRET_NONE` (in base64)").says("flows/.env (no such file)").says("/run/secrets").says("f.yaml:3:");
}

#[test]
fn files_of_the_namespace_are_read_and_copied() {
    let world = World::new();
    world.write("flows/_files/team.n/sql/a.sql", "SELECT 1");
    world.write("flows/_files/team.n/main.sh", "cat sql/a.sql; ls");
    world.write("flows/_files/team.n/notes.md", "notes");
    world.write("flows/_files/other/extra.txt", "extra");
    world.write("flows/beside.txt", "beside");
    world.write("outside.txt", "outside");
    world.write(
        "flows/f.yaml",
        "id: f
namespace: team.n
tasks:
  - {id: a, type: log, message: \"{{ read('sql/a.sql') }} {{ fileSize('sql/a.sql') }} {{ read('beside.txt') }} {{ read('extra.txt', 'other') }}\"}
  - {id: b, type: log, message: \"{{ fileExists('gone') }} {{ fileEmpty('sql/a.sql') }} {{ read(fileURI('sql/a.sql')) }}\"}
  - {id: c, type: shell.commands, namespaceFiles: {enabled: true, exclude: '*.md', namespaces: [team.n, other]}, commands: [sh main.sh]}
  - {id: d, type: shell.commands, inputFiles: {q.sql: \"{{ fileURI('sql/a.sql') }}\"}, commands: [cat q.sql]}
  - {id: e, type: log, message: \"{{ read('../outside.txt') }}\"}
",
    );
    let result = world.jitney(&["run", "flows/f.yaml"]).ended(1);
    let result = result.says("SELECT 1 8 beside extra\n").says("false false SELECT 1\n");
    let result = result.says("    SELECT 1extra.txt\n    main.sh\n    sql\n").says("leads out of the folders");
    assert!(!result.err.contains("notes.md"), "{result}");
    world.write(
        "flows/g.yaml",
        "id: g\nnamespace: none\ntasks: [{id: a, type: shell.commands, namespaceFiles: true, commands: [ls]}]\n",
    );
    world.jitney(&["run", "flows/g.yaml"]).ended(1).says("_files/none").says("create this folder");
}

#[test]
fn kept_values_are_set_listed_and_removed_by_hand() {
    let world = World::new();
    world.jitney(&["kv", "set", "limits", r#"{"rows": 5}"#, "-n", "a.b", "--type", "json"]).ended(0).without_data();
    world.jitney(&["kv", "set", "city", "New York", "-n", "a", "--ttl", "12h", "--description", "where"]).ended(0);
    assert_eq!(world.jitney(&["kv", "get", "city", "-n", "a.b"]).ended(0).out, "New York\n");
    let all = world.jitney(&["kv", "list", "--json"]).ended(0).json();
    assert_eq!((all[0]["key"].as_str(), all[1]["value"]["rows"].as_u64()), (Some("city"), Some(5)));
    assert!(all[0]["expires"].is_string() && all[0]["description"] == "where", "{all}");
    world.write(
        "f.yaml",
        "id: f\nnamespace: a.b\ntasks: [{id: a, type: log, message: \"at most {{ kv('limits').rows }}\"}]\n",
    );
    world.jitney(&["run", "f.yaml"]).ended(0).says("at most 5");
    world.jitney(&["kv", "delete", "limits", "-n", "a.b"]).ended(0);
    world.jitney(&["kv", "delete", "limits", "-n", "a.b"]).ended(3).says("there is no key `limits`");
    world.jitney(&["kv", "get", "limits", "-n", "a.b"]).ended(3);
    world.jitney(&["kv", "set", "../x", "1", "-n", "a"]).ended(3).says("is not a valid name for a key");
    world.jitney(&["kv", "set", "x", "many", "-n", "a", "--type", "number"]).ended(3).says("write a number");
}

#[test]
fn docker_tasks_run_as_processes_where_the_user_says_so() {
    let world = World::new();
    world.write(
        "f.yaml",
        "id: f
namespace: n
tasks:
  - {id: a, type: shell.commands, taskRunner: {type: docker}, commands: [echo one]}
  - {id: b, type: shell.commands, docker: {image: 'ubuntu:24.04'}, commands: [echo two]}
",
    );
    let result = world.jitney(&["run", "f.yaml", "--script-runner", "process"]).ended(0).says("one").says("two");
    assert_eq!(result.err.matches("as processes on this machine").count(), 1, "{result}");
    let result = result.says("`runner` and `docker` are deprecated");
    drop(result);
    let mut command = world.command(&["run", "f.yaml"]);
    CommandOutput::from(command.env("JITNEY_SCRIPT_RUNNER", "process").output().unwrap()).ended(0);
    CommandOutput::from(command.env("JITNEY_SCRIPT_RUNNER", "cloud").output().unwrap())
        .says("it can only be `process`");
}
