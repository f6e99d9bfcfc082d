//! Names of tables and columns that want to be more than names.

use jitney::task::{Outputs, TaskError};

use crate::load::{Place, assert_says, counts};

/// What an attacker, or a file with odd columns, may give for a name.
const HOSTILE: &[&str] = &[
    "x(id/**/int);DROP/**/TABLE/**/victim;CREATE/**/TABLE/**/pwned(id/**/int);COMMIT;--",
    "x; DROP TABLE victim",
    "x\"; DROP TABLE victim; --",
    "\"x\"; DROP TABLE victim; --",
    "\"x\"\"; DROP TABLE victim; --\"(id int); DROP TABLE victim; --",
    "victim; --",
    "victim WHERE true; TRUNCATE victim",
    "x' OR '1'='1",
    "x\nDROP TABLE victim",
    "x\0y",
    "victim/*",
    "(SELECT 1)",
    "$$x$$",
    "x\\",
    "\u{202e}victim",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

async fn place(name: &str) -> Place {
    let place = Place::with(
        name,
        "CREATE TABLE victim (id int); INSERT INTO victim VALUES (1);
         CREATE TABLE t (id int, part text, note text); INSERT INTO t VALUES (7, 'old', 'here')",
    )
    .await;
    place.file("a.csv", "id,note\n1,x\n");
    place
}

/// Runs a task whose `NAME` is each hostile name in turn: whatever comes of it, the database stays as it is.
async fn survives(place: &Place, task: &str, yaml: &str) {
    for name in HOSTILE {
        let quoted = serde_json::to_string(name).unwrap();
        let (outcome, _): (Result<Outputs, TaskError>, _) =
            place.run_in("e1", 1, task, &yaml.replace("NAME", &quoted)).await;
        let error = outcome.map(|outputs| panic!("{task} {yaml} took {name:?}: {outputs:?}")).unwrap_err().to_string();
        for word in ["syntax error", "42601", "42602"] {
            assert!(!error.contains(word), "{task} {yaml} let {name:?} reach the server: {error}");
        }
        assert_eq!(place.rows("SELECT id FROM victim").await, "1", "{task} {yaml} {name:?}");
        assert_eq!(place.t().await, "7 old here", "{task} {yaml} {name:?}");
        assert_eq!(place.rows("SELECT count(*) FROM pg_class WHERE relname IN ('pwned', 'x')").await, "0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_of_tables_do_nothing() {
    let place = place("names_tables").await;
    survives(&place, "postgres.load", "{from: a.csv, table: NAME, schema: {id: int, note: text}}").await;
    survives(&place, "postgres.load", "{from: a.csv, table: NAME}").await;
    survives(&place, "postgres.copy_in", "{from: a.csv, table: NAME, format: CSV}").await;
    survives(&place, "postgres.copy_out", "{table: NAME}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_of_columns_do_nothing() {
    let place = place("names_columns").await;
    survives(&place, "postgres.load", "{from: a.csv, table: t, mode: {replace_partition: {NAME: x}}}").await;
    survives(&place, "postgres.load", "{from: a.csv, table: t, mode: {merge: {key: [NAME]}}}").await;
    survives(&place, "postgres.load", "{from: a.csv, table: t, transform: {rename: {note: NAME}}}").await;
    survives(&place, "postgres.load", "{from: a.csv, table: t, transform: {row_id: {name: NAME, columns: [id]}}}")
        .await;
    survives(&place, "postgres.load", "{from: a.csv, table: t, header: false, columns: [id, NAME]}").await;
    survives(&place, "postgres.copy_in", "{from: a.csv, table: t, format: CSV, columns: [id, NAME]}").await;
    survives(&place, "postgres.copy_in", "{from: a.csv, table: t, format: CSV, force_null: [NAME]}").await;
    survives(&place, "postgres.copy_out", "{table: t, columns: [NAME]}").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_column_may_have_any_name_that_fits() {
    let place = place("names_new").await;
    for (index, name) in HOSTILE.iter().enumerate() {
        place.file("odd.csv", format!("id,\"{}\"\n1,x\n", name.replace('"', "\"\"")));
        let schema = serde_json::json!({"id": "int", (*name): "text"});
        let yaml = format!("{{from: odd.csv, table: new_{index}, schema: {schema}, on_missing_column: empty}}");
        match place.load(&yaml).await {
            Ok(outputs) => assert_eq!(counts(&outputs), [1, 1, 0, 0]),
            Err(error) => assert!(name.contains('\0') || name.len() > 63, "{name:?}: {error}"),
        }
        assert_eq!(place.rows("SELECT id FROM victim").await, "1", "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_of_new_columns_stay_within_their_column() {
    let place = place("names_types").await;
    for kind in
        ["int, other int", "int) AS SELECT 1 --", "int); DROP TABLE victim", "int DEFAULT $$x$$", "", "int /* x"]
    {
        let kind = serde_json::to_string(kind).unwrap();
        let shown = place.refused(&format!("{{from: a.csv, table: new, schema: {{id: {kind}, note: text}}}}")).await;
        assert_says(&shown, &["`schema.id`", "is not a Postgres type"]);
        let shown = place.refused(&format!("{{from: a.csv, table: victim, schema: {{id: {kind}}}}}")).await;
        assert_says(&shown, &["`schema.id`", "is not a Postgres type"]);
    }
    let types = "{id: 'bigint NOT NULL DEFAULT (1 + 2)', note: 'varchar(3)'}";
    place.load(&format!("{{from: a.csv, table: new, schema: {types}}}")).await.unwrap();
    assert_eq!(place.rows("SELECT * FROM new").await, "1 x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_that_are_names_work_everywhere() {
    let place = Place::with("names_odd", "CREATE SCHEMA \"Odd; schema\"").await;
    let long = "l".repeat(63);
    let names = [
        "\"My Table\"",
        "ünïcode",
        "order",
        "\"select\"",
        "2020-trips",
        "\"a\"\"; DROP TABLE b; --\"",
        "\"Odd; schema\".\"x.y\"",
        long.as_str(),
    ];
    for (index, name) in names.into_iter().enumerate() {
        place.file("a.csv", format!("Id,\"the note\",select,größe\n{index},x,y,z\n"));
        let table = serde_json::to_string(name).unwrap();
        let schema = "{Id: int, the note: text, select: text, größe: text, part: text}";
        let yaml = |mode: &str| format!("{{from: a.csv, table: {table}, schema: {schema}, mode: {mode}}}");
        place.load(&yaml("{replace_partition: {part: p}}")).await.unwrap();
        let merge = yaml("{merge: {key: [the note, select]}}").replace("}, mode", "}, on_missing_column: empty, mode");
        assert_eq!(counts(&place.load(&merge).await.unwrap()), [1, 0, 0, 1], "{name}");
        let (copied, _) =
            place.run_in("e1", 1, "postgres.copy_out", &format!("{{table: {table}, columns: [Id, the note]}}")).await;
        assert_eq!(copied.unwrap()["row_count"], 1, "{name}");
        let copy = format!(
            "{{from: a.csv, table: {table}, format: CSV, header: true, columns: [id, the note, select, größe]}}"
        );
        let (copied, _) = place.run_in("e2", 1, "postgres.copy_in", &copy).await;
        assert_eq!(copied.unwrap()["rowCount"], 1, "{name}");
    }
    assert_eq!(place.rows("SELECT count(*) FROM \"My Table\"").await, "2");
}

/// The name that a flow gives, and the one that the database has.
const SPELLED: &[(&str, &str)] = &[
    ("Small", "small"),
    ("public.Also_Small", "also_small"),
    ("MixedCase", "MixedCase"),
    ("\"QuotedCase\"", "QuotedCase"),
    ("\"dots.in.it\"", "dots.in.it"),
    ("Public.\"Größe\"", "Größe"),
    ("Größe2", "größe2"),
    (
        "LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL",
        "lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_the_same_one_for_every_task_however_its_name_is_spelled() {
    let place = Place::new("names_spelled").await;
    // What exists under capital letters alone is found by them.
    place.run("CREATE TABLE \"MixedCase\" (id int, \"theNote\" text, part text)").await;
    for (given, own) in SPELLED {
        let table = serde_json::to_string(given).unwrap();
        let with = |rest: &str| format!("{{table: {table}, {rest}}}");
        let schema = r#"{id: int, '"theNote"': text, part: text}"#;
        place.file("a.csv", "id,theNote\n1,x\n");
        let month = with(&format!("from: a.csv, schema: {schema}, mode: {{replace_partition: {{Part: p}}}}"));
        place.load_in("e1", &month).await.0.unwrap();
        let again = place.load_in("e2", &month).await.0.unwrap();
        assert_eq!(counts(&again), [1, 0, 0, 1], "{given}: the ledger knows it");
        let context = place.context();
        let look = jitney::tasks::find("postgres.load").unwrap().ledger.unwrap().probe;
        let asked = serde_json::json!({"table": given, "mode": {"replace_partition": {"part": "p"}}});
        let held = look(vec![(asked, context.files)], context.settings).await.unwrap();
        assert!(matches!(held[0], jitney::task::LedgerAnswer::Held(_)), "{given}: {held:?}");
        let merge =
            r#"from: b.csv, on_missing_column: empty, mode: {merge: {key: [ID, '"theNote"'], on_match: update}}"#;
        place.file("b.csv", "id,theNote\n1,x\n2,y\n");
        assert_eq!(counts(&place.load_in("e3", &with(merge)).await.0.unwrap())[0], 2, "{given}");
        let copy = r#"from: c.csv, format: CSV, columns: ['"theNote"', Id]"#;
        place.file("c.csv", "z,3\n");
        place.run_in("e4", 1, "postgres.copy_in", &with(copy)).await.0.unwrap();
        let out = place.run_in("e5", 1, "postgres.copy_out", &with(r#"columns: [id, '"theNote"']"#)).await;
        assert_eq!(out.0.unwrap()["row_count"], 3, "{given}");
        let quoted = format!("\"{own}\"");
        assert_eq!(place.rows(&format!("SELECT id, \"theNote\" FROM {quoted}")).await, "1 x\n2 y\n3 z", "{given}");
        let noted = format!("SELECT count(*) FROM jitney_loads WHERE target = format('public.%I', '{own}')");
        assert_eq!(place.rows(&noted).await, "3", "{given}");
    }
    // Of two tables, the one that Postgres means is meant.
    place.run("CREATE TABLE mixedcase (id int, note text)").await;
    place.file("d.csv", "id,note\n9,n\n");
    place.load("{from: d.csv, table: MixedCase}").await.unwrap();
    assert_eq!(place.rows("SELECT * FROM mixedcase").await, "9 n");
    let missing = place.refused("{from: d.csv, table: Nowhere}").await;
    assert_says(&missing, &["there is no table `Nowhere`"]);
    let long = "ö".repeat(32);
    assert_says(&place.refused(&format!("{{from: d.csv, table: {long}}}")).await, &["64 bytes"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_creates_temporary_tables_first_is_refused() {
    let place = Place::with("names_temporary", "CREATE TABLE t (id int)").await;
    let database = place.rows("SELECT current_database()").await;
    place.run(&format!("ALTER DATABASE {database} SET search_path = pg_temp, public")).await;
    place.file("a.csv", "id\n1\n");
    let shown = place.refused("{from: a.csv, table: public.t}").await;
    assert_says(&shown, &["`search_path`", "begins with pg_temp", "name another schema first"]);
    assert_eq!(place.rows("SELECT count(*) FROM public.t").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_without_a_schema_is_told_that_the_ledger_needs_one() {
    let place = Place::with("names_no_schema", "CREATE TABLE t (id int)").await;
    let database = place.rows("SELECT current_database()").await;
    place.run(&format!("ALTER DATABASE {database} SET search_path = ''")).await;
    place.file("a.csv", "id\n1\n");
    let shown = place.refused("{from: a.csv, table: public.t}").await;
    assert_says(
        &shown,
        &["no schema for the ledger `jitney_loads`", "`search_path`", "options=-c%20search_path%3Dpublic"],
    );
    let at = if place.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{at}options=-c%20search_path%3Dpublic", place.url);
    let (context, _) = crate::load::postgres::context(place.path(), &url);
    crate::load::run("{from: a.csv, table: public.t}", context).await.unwrap();
    assert_eq!(place.rows("SELECT id FROM public.t").await, "1");
}
