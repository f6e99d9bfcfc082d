//! What is secret is used and never seen: not on the screen, not in the journal, not in what `executions` shows.

use crate::world::World;

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
"#;

#[test]
fn no_secret_is_ever_shown_or_kept() {
    let world = World::new();
    world.write("f.yaml", FLOW);
    let inputs = ["-i", "token=secret-input", "-i", "server=postgres://u:pass-in-input@127.0.0.1:1/d"];
    let run = [&["run", "f.yaml"][..], &inputs].concat();
    let told =
        world.jitney(&run).ended(1).says("token *** for postgres://u:***@127.0.0.1:1/d").says("no Postgres server");
    let mut seen = format!("{told}");
    seen += &world.jitney(&[&run[..], &["--json"]].concat()).ended(1).to_string();
    let id = world.newest_id();
    for command in [&["executions"][..], &["executions", "show", &id], &["executions", "logs", &id]] {
        seen += &world.jitney(command).ended(0).to_string();
        seen += &world.jitney(&[command, &["--json"]].concat()).ended(0).to_string();
    }
    let journal = world.journal_text();
    assert!(journal.contains("someone:***@127.0.0.1"), "the journal should hold the flow's text");
    for secret in ["secret-input", "pass-in-input", "pass-in-field", "pass-in-url", "pass-inline", "pass-in-parameter"]
    {
        assert!(!seen.contains(secret), "`{secret}` is on the screen\n{seen}");
        assert!(!journal.contains(secret), "`{secret}` is in the journal");
    }
}

#[tokio::test]
async fn the_password_of_a_server_that_works_is_not_kept_either() {
    let world = World::with_database("cli_secret").await;
    world.month(100);
    let told = world.load().ended(0);
    let address = world.postgres.clone().unwrap();
    let password = address.split_once("://").unwrap().1.split_once(':').unwrap().1.split_once('@').unwrap().0;
    assert!(password.len() > 8);
    assert!(!told.to_string().contains(password) && !world.journal_text().contains(password));
}
