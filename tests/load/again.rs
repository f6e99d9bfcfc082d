//! A file that is added once more after something has happened to its rows: they are never doubled, never lost, and said
//! to be gone only where they are.

use jitney::id::{ExecutionId, RunId};
use jitney::storage::Storage;

use crate::load::{Place, assert_says, counts};

const T: &str = "CREATE TABLE t (id int, note text)";
const A: &str = "{from: a.csv, table: t}";

/// What a second load of the file ends in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The rows are there, and nothing is done.
    Skipped,
    /// The rows were gone, and are there again.
    Loaded,
    /// Nobody can tell, and nothing is done.
    Refused,
}
use End::{Loaded, Refused, Skipped};

/// Appends `a.csv` (1 x, 2 y) and `b.csv` (3 z), lets something happen, and appends `a.csv` again.
async fn again(name: &str, happened: &str, end: End, rows: &str) {
    let place = Place::with(&format!("again_{name}"), T).await;
    place.file("a.csv", "id,note\n1,x\n2,y\n");
    place.file("b.csv", "id,note\n3,z\n");
    place.load_in("e1", A).await.0.unwrap();
    place.load_in("e2", "{from: b.csv, table: t}").await.0.unwrap();
    for statement in happened.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        place.run(statement).await;
    }
    let (loaded, said) = place.load_in("e3", A).await;
    let found = match &loaded {
        Ok(outputs) if outputs["already_loaded"] == true => Skipped,
        Ok(_) => Loaded,
        Err(_) => Refused,
    };
    assert_eq!(found, end, "{name}: {loaded:?}");
    match loaded {
        Ok(_) if end == Loaded => assert_says(&said, &["its rows were gone from `t`; it was loaded again"]),
        Ok(_) => assert_says(&said, &["execution e1 has already loaded this file; nothing to do"]),
        Err(error) => {
            let error = error.to_string();
            assert_says(
                &error,
                &["execution e1 has already loaded this file", "2 rows", "`if_loaded: load`", "`if_loaded: skip`"],
            );
            assert!(!error.contains("gone"), "{error}");
        }
    }
    assert_eq!(place.t().await, rows, "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_happened_to_the_rows_decides() {
    let both = "1 x\n2 y\n3 z";
    for (name, happened, end, rows) in [
        ("nothing", "", Skipped, both),
        ("truncate", "TRUNCATE t", Loaded, "1 x\n2 y"),
        ("delete_all", "DELETE FROM t", Loaded, "1 x\n2 y"),
        ("delete_own", "DELETE FROM t WHERE id < 3", Loaded, both),
        ("delete_part", "DELETE FROM t WHERE id = 1", Refused, "2 y\n3 z"),
        ("update", "UPDATE t SET note = note || '!' WHERE id < 3", Refused, "1 x!\n2 y!\n3 z"),
        ("update_others", "UPDATE t SET note = 'w' WHERE id = 3", Skipped, "1 x\n2 y\n3 w"),
        ("update_truncate", "UPDATE t SET note = 'w'; TRUNCATE t", Loaded, "1 x\n2 y"),
        ("others_insert", "INSERT INTO t VALUES (4, 'w')", Skipped, "1 x\n2 y\n3 z\n4 w"),
        ("drop", "DROP TABLE t; CREATE TABLE t (id int, note text)", Loaded, "1 x\n2 y"),
        ("vacuum_full", "VACUUM FULL t; VACUUM FULL jitney_loads", Skipped, both),
        ("freeze", "VACUUM FREEZE t; VACUUM FREEZE jitney_loads", Skipped, both),
        ("cluster", "CREATE INDEX i ON t (id); CLUSTER t USING i", Skipped, both),
        ("rewrite", "ALTER TABLE t ALTER id TYPE bigint", Refused, both),
        ("add_column", "ALTER TABLE t ADD more int; ALTER TABLE t DROP more", Skipped, both),
        ("moved", "CREATE TABLE u AS SELECT * FROM t; DROP TABLE t; ALTER TABLE u RENAME TO t", Refused, both),
        ("ledger_changed", "UPDATE jitney_loads SET seconds = 0", Refused, both),
        ("ledger_before", "ALTER TABLE jitney_loads DROP xid, DROP updates", Skipped, both),
        ("ledger_before_empty", "ALTER TABLE jitney_loads DROP xid, DROP updates; TRUNCATE t", Loaded, "1 x\n2 y"),
        (
            "long_ago",
            "UPDATE jitney_loads SET xid = (txid_current()::bit(64) # (1::bigint << 32)::bit(64))::bigint",
            Refused,
            both,
        ),
    ] {
        again(name, happened, end, rows).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_knows_the_file_however_it_was_loaded() {
    let others = ["truncate", "{merge: {key: [id]}}", "{replace_partition: {part: p}}"];
    let orders = others.iter().flat_map(|first| others.iter().map(move |second| [*first, *second]));
    for (number, [first, second]) in orders.enumerate() {
        let place = Place::with(&format!("again_order_{number}"), "CREATE TABLE t (id int, part text)").await;
        place.file("a.csv", "id,part\n1,p\n2,p\n");
        for mode in [first, second] {
            let loaded = place.load(&format!("{{from: a.csv, table: t, mode: {mode}}}")).await;
            loaded.unwrap_or_else(|error| panic!("{first}, {second}: {error}"));
            let shown = place.refused("{from: a.csv, table: t}").await;
            assert_says(&shown, &["has already loaded this file, with other settings of the task"]);
            assert_eq!(place.t().await, "1 p\n2 p", "{first}, {second}");
        }
        for emptied in ["TRUNCATE t", "DROP TABLE t; CREATE TABLE t (id int, part text)"] {
            place.run(emptied).await;
            place.load("{from: a.csv, table: t}").await.unwrap();
            assert_eq!(place.t().await, "1 p\n2 p", "{first}, {second}, {emptied}");
        }
        let again = place.load("{from: a.csv, table: t}").await.unwrap();
        assert_eq!(again["already_loaded"], true, "{first}, {second}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_added_nothing_does_not_keep_a_file_out_of_an_empty_table() {
    let place = Place::with("again_merged_nothing", "CREATE TABLE t (id int, note text)").await;
    place.file("a.csv", "id,note\n1,x\n");
    place.file("b.csv", "id,note\n3,z\n");
    place.run("INSERT INTO t VALUES (1, 'by hand')").await;
    place.load("{from: a.csv, table: t, mode: {merge: {key: [id]}}}").await.unwrap();
    assert_says(&place.refused(A).await, &["with other settings of the task, and `t` may hold its rows"]);
    place.run("DELETE FROM t").await;
    place.load("{from: b.csv, table: t}").await.unwrap();
    place.load(A).await.unwrap();
    assert_eq!(place.t().await, "1 x\n3 z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_without_addresses_knows_the_file_of_a_partition_by_its_name() {
    let place = Place::with("again_no_address", "CREATE TABLE t (id int, note text)").await;
    std::fs::create_dir(place.path().join("raw")).unwrap();
    place.file("raw/c.csv", "id\n1\n");
    let replaced = "{from: raw/c.csv, table: t, on_missing_column: empty, mode: {replace_partition: {note: q}}}";
    place.load_in("e1", replaced).await.0.unwrap();
    place.run("ALTER TABLE jitney_loads DROP address").await;
    let appended = place.load_in("e2", "{from: raw/c.csv, table: t, on_missing_column: empty}").await;
    let shown = appended.0.unwrap_err().to_string();
    assert_says(
        &shown,
        &["has loaded the same content already", "it is not known whether `c.csv` is that file or another one"],
    );
    assert_eq!(place.t().await, "1 q");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_merge_has_changed_are_not_gone() {
    let place = Place::with("again_merged", "CREATE TABLE t (id int PRIMARY KEY, note text)").await;
    place.file("a.csv", "id,note\n1,x\n2,y\n");
    place.file("b.csv", "id,note\n1,w\n2,v\n");
    place.load_in("e1", A).await.0.unwrap();
    place.load_in("e2", "{from: b.csv, table: t, mode: {merge: {key: [id], on_match: update}}}").await.0.unwrap();
    let error = place.load_in("e3", A).await.0.unwrap_err().to_string();
    assert_says(&error, &["2 rows, and of these the table holds 0 as they were loaded, and 2 rows that may have come"]);
    assert_eq!(place.t().await, "1 w\n2 v");
    place.run("DELETE FROM t").await;
    place.load_in("e4", A).await.0.unwrap();
    assert_eq!(place.t().await, "1 x\n2 y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_before_the_load_cannot_have_changed_its_rows() {
    let place = Place::with("again_merged_before", "CREATE TABLE t (id int PRIMARY KEY, note text)").await;
    place.file("a.csv", "id,note\n1,x\n");
    place.file("b.csv", "id,note\n2,v\n");
    place.load_in("e1", "{from: b.csv, table: t, mode: {merge: {key: [id], on_match: update}}}").await.0.unwrap();
    place.load_in("e2", A).await.0.unwrap();
    place.run("DELETE FROM t WHERE id = 1").await;
    let (loaded, _) = place.load_in("e3", A).await;
    assert_eq!(counts(&loaded.unwrap()), [1, 1, 0, 0]);
    assert_eq!(place.t().await, "1 x\n2 v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_trigger_of_a_later_load_has_changed_are_not_gone() {
    let place = Place::with("again_trigger", T).await;
    place.run(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN UPDATE t SET note = 'old' WHERE id < 3 AND note <> 'old'; RETURN NULL; END $$;
         CREATE TRIGGER touch AFTER INSERT ON t FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION touch()",
    )
    .await;
    place.file("a.csv", "id,note\n1,old\n2,old\n");
    place.file("b.csv", "id,note\n3,z\n");
    place.load_in("e1", A).await.0.unwrap();
    place.run("UPDATE t SET note = 'new'").await;
    place.load_in("e2", "{from: b.csv, table: t}").await.0.unwrap();
    place.load_in("e3", A).await.0.unwrap_err();
    assert_eq!(place.t().await, "1 old\n2 old\n3 z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_loads_of_a_file_either_may_be_the_one_that_stayed() {
    let place = Place::with("again_twice", T).await;
    place.file("a.csv", "id,note\n1,x\n");
    place.load_in("e1", A).await.0.unwrap();
    place.load_in("e2", "{from: a.csv, table: t, if_loaded: load}").await.0.unwrap();
    place.run("DELETE FROM t WHERE ctid <> (SELECT min(ctid) FROM t)").await;
    let error = place.load_in("e3", A).await.0.unwrap_err().to_string();
    assert_says(&error, &["1 row of other loads of this file"]);
    assert_eq!(place.t().await, "1 x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_the_user_may_not_see_are_not_gone() {
    let place = Place::with("again_hidden", T).await;
    place.file("a.csv", "id,note\n1,x\n");
    place.load_in("e1", A).await.0.unwrap();
    let role = "again_hidden_role";
    place
        .run(&format!(
            "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT ALL ON t, jitney_loads TO {role};
             ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t FOR INSERT WITH CHECK (true)"
        ))
        .await;
    let theirs = place.of_user(role);
    let error = theirs.load_in("e2", A).await.0.unwrap_err().to_string();
    let place = theirs;
    place.run(&format!("ALTER TABLE t DISABLE ROW LEVEL SECURITY; REVOKE SELECT ON t FROM {role}")).await;
    let blind = place.load_in("e3", A).await.0.unwrap_err().to_string();
    place.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    assert_says(&error, &["policy may hide rows"]);
    assert_says(&blind, &["permission denied", "`if_loaded: skip`"]);
    assert_eq!(place.t().await, "1 x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staging_tables_work_in_every_run() {
    for (name, before) in [
        ("truncate", "TRUNCATE t"),
        ("delete", "DELETE FROM t"),
        ("drop", "DROP TABLE t; CREATE TABLE t (id int, note text)"),
    ] {
        let place = Place::with(&format!("again_staging_{name}"), T).await;
        place.file("a.csv", "id,note\n1,x\n2,y\n");
        for execution in ["e1", "e2", "e3"] {
            place.run(before).await;
            place.load_in(execution, A).await.0.unwrap();
            place.run("UPDATE t SET note = 'key'").await;
            assert_eq!(place.t().await, "1 key\n2 key", "{name} {execution}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_not_taken_for_one_before_the_task_began_anew() {
    for (name, task, rest) in [
        ("load", "postgres.load", ""),
        ("forced", "postgres.load", ", if_loaded: load"),
        ("copied", "postgres.copy_in", ", format: CSV, header: true"),
    ] {
        let place = Place::with(&format!("again_anew_{name}"), T).await;
        place.file("a.csv", "id,note\n1,x\n");
        let yaml = format!("{{from: a.csv, table: t{rest}}}");
        place.run_in("e1", 1, task, &yaml).await.0.unwrap();
        place.run("TRUNCATE t").await;
        place.run_in("e1", 2, task, &yaml).await.0.unwrap();
        assert_eq!(place.t().await, "1 x", "{name}");
        place.run("UPDATE t SET note = 'key'").await;
        place.run_in("e1", 2, task, &yaml).await.0.unwrap_err();
        assert_eq!(place.t().await, "1 key", "{name}");
    }
}

/// A file in the storage of an execution, and what the flow calls it.
fn stored(place: &Place, execution: &str, run: &str, origin: Option<&str>) -> String {
    let context = place.context();
    let storage = Storage::new(context.settings.storage(), ExecutionId::new(execution));
    let file = storage.place(&RunId::new(run), "data.csv").unwrap();
    std::fs::write(&file.path, "id,note\n1,same\n").unwrap();
    if let Some(origin) = origin {
        storage.note_origin(&file.path, origin).unwrap();
    }
    format!("{{from: '{}', table: t}}", file.uri)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_the_same_content_from_two_addresses_are_two_and_each_is_known_again() {
    let place = Place::with("again_origins", T).await;
    for execution in ["e1", "e2"] {
        for (run, origin) in [("get[0]", "https://a/s1/data.csv"), ("get[1]", "https://a/s2/data.csv")] {
            // The second time they come in another order.
            let run = if execution == "e1" { run } else { "get[7]" };
            let (loaded, said) = place.load_in(execution, &stored(&place, execution, run, Some(origin))).await;
            assert_eq!(loaded.unwrap()["already_loaded"], execution == "e2", "{execution} {origin}: {said}");
        }
        assert_eq!(place.t().await, "1 same\n1 same");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_which_only_the_name_is_known_are_two_in_one_execution_and_uncertain_in_another() {
    let place = Place::with("again_names", T).await;
    for run in ["make[0]", "make[1]"] {
        place.load_in("e1", &stored(&place, "e1", run, None)).await.0.unwrap();
    }
    assert_eq!(place.t().await, "1 same\n1 same");
    let (again, _) = place.load_in("e2", &stored(&place, "e2", "make[1]", None)).await;
    assert_eq!(again.unwrap()["already_loaded"], true);
    let error = place.load_in("e2", &stored(&place, "e2", "make[2]", None)).await.0.unwrap_err().to_string();
    assert_says(
        &error,
        &["same content already, from `jitney:///*/make[", "it is not known whether", "`if_loaded: load`"],
    );
    assert_eq!(place.t().await, "1 same\n1 same");
    place.run("TRUNCATE t").await;
    place.load_in("e3", &stored(&place, "e3", "make[3]", None)).await.0.unwrap();
    assert_eq!(place.t().await, "1 same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_keeps_its_origin_when_it_is_copied_and_unpacked() {
    let place = Place::with("again_unpacked", T).await;
    for folder in ["s1", "s2"] {
        std::fs::create_dir(place.path().join(folder)).unwrap();
        place.file(&format!("{folder}/data.csv.gz"), crate::load::gzip("id,note\n1,same\n"));
    }
    for (folder, is_known) in [("s1", false), ("s2", false), ("s1", true), ("s2", true)] {
        let context = || place.context();
        let copied =
            crate::load::run_task("http.download", &format!("{{uri: {folder}/data.csv.gz}}"), context()).await.unwrap();
        let yaml = format!("{{from: '{}'}}", copied["uri"].as_str().unwrap());
        let unpacked = crate::load::run_task("file.decompress", &yaml, context()).await.unwrap();
        let yaml = format!("{{from: '{}', table: t}}", unpacked["uri"].as_str().unwrap());
        assert_eq!(place.load_in("e9", &yaml).await.0.unwrap()["already_loaded"], is_known, "{folder}");
    }
    assert_eq!(place.t().await, "1 same\n1 same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_into_schemas_that_the_user_may_not_use_stop_no_other() {
    let made = "CREATE SCHEMA private; CREATE TABLE private.t (id int, note text)";
    let place = Place::with("again_private", &format!("{T}; {made}")).await;
    place.file("a.csv", "id,note\n1,x\n");
    place.load_in("e1", "{from: a.csv, table: private.t}").await.0.unwrap();
    let role = "again_private_role";
    let granted = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT ALL ON t, jitney_loads TO {role}"
    );
    place.run(&granted).await;
    let theirs = place.of_user(role);
    let outcome = theirs.load_in("e2", A).await.0;
    theirs.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    outcome.unwrap();
    assert_eq!(theirs.t().await, "1 x");
}
