//! `jitney infer` and `jitney load`: a file of one's own in a table by one line.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::cli::world::{CommandOutput, World, ledger, output_of};

const TRIPS: &str = "ID,Fare,At,code\n1,2.50,2020-04-01 00:44:02,007\n2,,2020-04-02 00:00:00,x\n";

/// Serves these files by name.
pub async fn serve(files: &[(&str, &str)]) -> String {
    let mut router = Router::new();
    for (name, content) in files {
        let content = Arc::new(content.to_string());
        router = router.route(&format!("/{name}"), get(move || async move { content.to_string() }));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

impl World {
    pub fn with_stdin(&self, arguments: &[&str], stdin: &str) -> CommandOutput {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        output_of(child)
    }

    pub async fn rows_of(&self, table: &str) -> i64 {
        self.client().await.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
    }
}

#[test]
fn infer_prints_what_a_file_holds() {
    let world = World::new();
    world.write("trips.csv", TRIPS);
    let result = world.jitney(&["infer", "trips.csv"]).ended(0);
    let expected = "\
format: csv
compression: plain
delimiter: \",\"
header: true
encoding: UTF-8
rows: 2
schema:
  id: bigint
  fare: numeric
  at: timestamp
  code: text
";
    assert_eq!((result.out.as_str(), result.err.as_str()), (expected, ""));
    assert!(!world.home().exists(), "a look at a file makes no home");
    let result = world.with_stdin(&["infer", "-", "--null", "NA", "--decimal-comma"], "a;b\n1,5;NA\n2;7\n").ended(0);
    assert!(result.out.contains("delimiter: \";\"") && result.out.contains("a: numeric\n  b: bigint\n"), "{result}");
    let result = world.with_stdin(&["infer", "-"], "a,b\n1,2\nNA,3\n").ended(0);
    assert!(
        result.out.contains("a: text  # bigint but for `NA` on line 3; if that means NULL, set `--null`"),
        "{result}"
    );
}

#[test]
fn what_is_no_table_is_named() {
    let world = World::new();
    for (name, content, parts) in [
        ("empty.csv", "", &["the file is empty"][..]),
        ("page.csv", "<!doctype html><p>Not found", &["the file is a web page, not data"]),
        (
            "ragged.csv",
            "a,b\n1,2\n3,4\n1,2,3\n",
            &["ragged.csv:4:1: the row has 3 fields, the header has 2", "--reject"],
        ),
        ("wrong.csv", "a,2019\nx,2020\n", &["`--header` or `--no-header`"]),
    ] {
        world.write(name, content);
        let result = world.jitney(&["infer", name]).ended(1);
        parts.iter().for_each(|part| assert!(result.err.contains(part), "{result}"));
    }
    world.jitney(&["infer", "none.csv"]).ended(3).says("cannot read `none.csv`");
    world.jitney(&["infer", "."]).ended(3).says("is a folder");
    world.write("a.csv", "a\n1\n");
    world.jitney(&["infer", "a.csv", "--encoding", "klingon"]).ended(3).says("there is no encoding `klingon`");
    world.jitney(&["infer", "a.csv", "--records", "data"]).ended(1).says("`records` does not apply to a CSV file");
    world.jitney(&["load", "a.csv", "--mode", "merge"]).ended(2).says("--key");
    world.jitney(&["load", "-"]).ended(1).says("the file is empty");
}

#[tokio::test]
async fn one_line_loads_a_file_once_and_says_which_flow_it_was() {
    let world = World::with_database("cli_load_once").await;
    world.write("data/My Trips-2020.csv", TRIPS);
    let arguments = ["load", "data/My Trips-2020.csv", "--save", "flows/trips.yaml"];
    let result =
        world.jitney(&arguments).ended(0).says("id: bigint").says("2 rows loaded").says("Wrote flows/trips.yaml");
    assert!(result.out.contains("my_trips_2020"), "{result}");
    assert_eq!(world.rows_of("my_trips_2020").await, 2);
    world.jitney(&arguments).ended(3).says("flows/trips.yaml already exists");
    world.jitney(&arguments[..2]).ended(0).says("2 already there");
    world.jitney(&["run", "flows/trips.yaml"]).ended(0).says("2 already there");
    assert_eq!((world.rows_of("my_trips_2020").await, ledger(&world.client().await).await), (2, 1));
    let again = world.jitney(&["load", "data/My Trips-2020.csv", "--mode", "replace"]).ended(0).says("2 rows loaded");
    assert!(again.err.contains("mode: truncate"), "{again}");
    assert_eq!(world.rows_of("my_trips_2020").await, 2);
    world.write("next.csv", "id,fare,at,code,tip\n2,9,2020-04-02 00:00:00,y,1\n3,1,2020-04-03 00:00:00,z,1\n");
    let merge = ["load", "next.csv", "my_trips_2020", "--mode", "merge", "--key", "id"];
    world.jitney(&merge).ended(1).says("column `tip`").says("repeat the command");
    world.jitney(&[&merge[..], &["--on-extra-column", "add"]].concat()).ended(0).says("added to table");
    let row = world.client().await.query_one("SELECT string_agg(id || ' ' || code || ' ' || coalesce(tip::text, '-'), ',' ORDER BY id) FROM my_trips_2020", &[]).await;
    assert_eq!(row.unwrap().get::<_, String>(0), "1 007 -,2 y 1,3 z 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_downloaded_once_and_known_again() {
    let world = World::with_database("cli_load_url").await;
    let address = serve(&[("trips.csv", TRIPS), ("page.csv", "<html>sorry</html>")]).await;
    let url = format!("{address}/trips.csv");
    let result = world.jitney(&["load", &url, "--save", "flows/url.yaml"]).ended(0).says("2 rows loaded");
    assert!(result.out.contains("trips"), "{result}");
    assert_eq!(world.left_in_storage(), Vec::<std::path::PathBuf>::new());
    world.jitney(&["load", &url]).ended(0).says("2 already there").says("type: http.download");
    world.jitney(&["run", "flows/url.yaml"]).ended(0).says("2 already there");
    assert_eq!(world.rows_of("trips").await, 2);
    let result = world.jitney(&["infer", &url]).ended(0);
    assert!(result.out.contains("fare: numeric"), "{result}");
    world.jitney(&["load", &format!("{address}/none.csv")]).ended(1).says("404");
    world.jitney(&["load", &format!("{address}/page.csv")]).ended(1).says("web page");
}

#[tokio::test]
async fn stdin_is_loaded_once_and_becomes_an_input_of_the_flow() {
    let world = World::with_database("cli_load_stdin").await;
    let lines = "{\"id\": 1, \"tags\": [\"a\"]}\n{\"id\": 2}\n";
    let result = world.with_stdin(&["load", "-", "public.events", "--json", "--save", "events.yaml"], lines).ended(0);
    let result = result.json();
    assert_eq!(
        (&result["state"], &result["rows_loaded"], &result["table"]),
        (&"SUCCESS".into(), &2.into(), &"public.events".into())
    );
    assert_eq!(result["schema"].to_string(), r#"{"id":"bigint","tags":"jsonb"}"#);
    assert_eq!((&result["file"]["format"], &result["saved"]), (&"json".into(), &"events.yaml".into()));
    let again = world.with_stdin(&["load", "-", "public.events", "--json"], lines).ended(0).json();
    assert_eq!((&again["rows_loaded"], &again["already_loaded"]), (&0.into(), &true.into()));
    world.write("more.json", "{\"id\": 3, \"tags\": null}\n");
    world.jitney(&["run", "events.yaml", "-i", "file=more.json"]).ended(0).says("1 row loaded");
    assert_eq!(world.rows_of("events").await, 3);
    world.with_stdin(&["load", "-"], lines).ended(3).says("the table needs a name");
}

#[tokio::test]
async fn a_dry_run_shows_the_flow_and_changes_nothing() {
    let world = World::with_database("cli_load_dry").await;
    world.write("a.csv", "x;z\n1,5;2\n");
    let result = world.jitney(&["load", "a.csv", "--decimal-comma", "--dry-run"]).ended(0);
    let expected = "\
id: load_a
namespace: jitney
tasks:
  - id: load
    type: postgres.load
    from: a.csv
    table: a
    schema:
      x: numeric
      z: bigint
    decimal: \",\"
    delimiter: \";\"
";
    assert_eq!(result.out, expected);
    let there: Option<String> =
        world.client().await.query_one("SELECT to_regclass('a')::text", &[]).await.unwrap().get(0);
    assert_eq!(there, None);
}

#[test]
fn a_flow_for_bigquery_has_its_types() {
    let world = World::new();
    world.write("a.csv", "Id;At;Price\n1;2020-04-01 00:00:00;1.5\n");
    let result = world.jitney(&["load", "a.csv", "--to", "bigquery:trips", "--dry-run"]).ended(0);
    let expected = "\
id: load_a
namespace: jitney
tasks:
  - id: load
    type: bigquery.load
    from: a.csv
    table: trips.a
    schema:
      - {name: Id, type: INT64}
      - {name: At, type: DATETIME}
      - {name: Price, type: BIGNUMERIC}
    mode: append
    csv_options: {field_delimiter: \";\"}
";
    assert_eq!(result.out, expected);
    for (to, part) in [("redshift:x", "is not a destination"), ("bigquery:", "is not a destination")] {
        world.jitney(&["load", "a.csv", "--to", to, "--dry-run"]).ended(3).says(part);
    }
    world.jitney(&["load", "a.csv", "--to", "bigquery:a", "--decimal-comma", "--dry-run"]).ended(3).says("`--decimal`");
}
