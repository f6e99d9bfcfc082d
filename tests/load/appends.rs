//! Files that are added: which of them the ledger takes for the same, and what becomes of rows that are not there any
//! more.

use crate::load::{Place, assert_says, counts};

const T: &str = "CREATE TABLE t (id int, note text)";
const A: &str = "{from: a.csv, table: t}";
const B: &str = "{from: b.csv, table: t}";

/// A table with the rows of two files.
async fn two_files(name: &str) -> Place {
    let place = Place::with(name, T).await;
    place.file("a.csv", "id,note\n1,x\n2,y\n");
    place.file("b.csv", "id,note\n3,z\n");
    place.load_in("e1", A).await.0.unwrap();
    place.load_in("e2", B).await.0.unwrap();
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_rows_were_deleted_is_added_again_though_other_rows_are_there() {
    let place = two_files("appends_deleted").await;
    place.run("DELETE FROM t WHERE id < 3").await;
    let (loaded, said) = place.load_in("e3", A).await;
    assert_eq!(counts(&loaded.unwrap()), [2, 2, 0, 0]);
    assert_says(&said, &["execution e1 has already loaded this file, but its rows were gone from `t`"]);
    let (loaded, said) = place.load_in("e4", B).await;
    assert_eq!(loaded.unwrap()["already_loaded"], true);
    assert_says(&said, &["execution e2 has already loaded this file; nothing to do"]);
    assert_eq!(place.t().await, "1 x\n2 y\n3 z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_truncate_each_file_is_added_again() {
    let place = two_files("appends_truncated").await;
    for _ in 0..2 {
        place.run("TRUNCATE t").await;
        place.load_in("e3", A).await.0.unwrap();
        place.load_in("e4", B).await.0.unwrap();
        place.load_in("e5", A).await.0.unwrap();
        assert_eq!(place.t().await, "1 x\n2 y\n3 z");
    }
    place.run(&format!("DROP TABLE t; {T}")).await;
    place.load_in("e6", B).await.0.unwrap();
    assert_eq!(place.t().await, "3 z", "a table that was made anew has no rows of an earlier one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_cannot_tell_says_what_it_found_and_changes_nothing() {
    let place = two_files("appends_unclear").await;
    place.run("DELETE FROM t WHERE id = 1; UPDATE t SET note = 'changed' WHERE id = 2").await;
    let error = place.load_in("e3", A).await.0.unwrap_err().to_string();
    let found = "2 rows, and of these the table holds 0 as they were loaded";
    assert_says(
        &error,
        &[
            "execution e1 has already loaded this file",
            found,
            "1 row that may have come from this load",
            "`if_loaded: load`",
            "`if_loaded: skip`",
        ],
    );
    assert_eq!(place.t().await, "2 changed\n3 z");
    let (skipped, said) = place.load_in("e4", "{from: a.csv, table: t, if_loaded: skip}").await;
    assert_eq!(skipped.unwrap()["already_loaded"], true);
    assert_says(&said, &["nothing to do"]);
    let (loaded, said) = place.load_in("e5", "{from: a.csv, table: t, if_loaded: load}").await;
    assert_eq!(counts(&loaded.unwrap()), [2, 2, 0, 0]);
    assert_says(&said, &["it was loaded again, as `if_loaded` says"]);
    assert_eq!(place.t().await, "1 x\n2 changed\n2 y\n3 z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_rows_is_neither_all_of_them_nor_none() {
    let place = two_files("appends_part").await;
    place.run("DELETE FROM t WHERE id = 1").await;
    let error = place.load_in("e3", A).await.0.unwrap_err().to_string();
    assert_says(&error, &["the table holds 1 as they were loaded", "0 rows that may have come"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_under_a_known_name_is_another_file() {
    let place = Place::with("appends_daily", T).await;
    for (day, execution) in ["1,mon", "2,tue", "3,wed"].into_iter().zip(["e1", "e2", "e3"]) {
        place.file("data.csv", format!("id,note\n{day}\n"));
        let (loaded, said) = place.load_in(execution, "{from: data.csv, table: t}").await;
        assert_eq!(counts(&loaded.unwrap()), [1, 1, 0, 0]);
        assert_eq!(said.contains("with other content"), execution != "e1", "{said}");
        assert_eq!(said.contains("`mode: truncate` replaces all rows"), execution != "e1", "{said}");
    }
    assert_eq!(place.t().await, "1 mon\n2 tue\n3 wed");
    place.file("data.csv", "id,note\n1,mon\n");
    let (again, _) = place.load_in("e4", "{from: data.csv, table: t}").await;
    assert_eq!(again.unwrap()["already_loaded"], true, "an older version that is there is known too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_in_two_places_is_two_files_unless_that_is_ruled_out() {
    let place = Place::with("appends_places", T).await;
    for folder in ["north", "south"] {
        std::fs::create_dir(place.path().join(folder)).unwrap();
        place.file(&format!("{folder}/data.csv"), "id,note\n1,same\n");
    }
    place.load_in("e1", "{from: north/data.csv, table: t}").await.0.unwrap();
    let error = place.load_in("e2", "{from: south/data.csv, table: t, if_loaded: fail}").await.0.unwrap_err().message;
    assert_says(&error, &["execution e1 has loaded the same content already, from `/", "/north/data.csv`"]);
    let (loaded, said) = place.load_in("e3", "{from: south/data.csv, table: t}").await;
    assert_eq!(counts(&loaded.unwrap()), [1, 1, 0, 0]);
    assert_says(
        &said,
        &[
            "WARN execution e1 has loaded the same content already, from `/",
            "/north/data.csv`",
            "were added to `t` too",
        ],
    );
    for file in ["north", "south"] {
        let yaml = format!("{{from: {}, table: t}}", place.path().join(file).join("data.csv").display());
        assert_eq!(place.load_in("e4", &yaml).await.0.unwrap()["already_loaded"], true, "the whole path is the same");
    }
    assert_eq!(place.t().await, "1 same\n1 same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_file_by_other_settings_is_not_added_beside_its_own_rows() {
    let place = two_files("appends_settings").await;
    let upper = "{from: a.csv, table: t, transform: {with_columns: {note: upper(note)}}}";
    let error = place.load_in("e3", upper).await.0.unwrap_err().to_string();
    assert_says(
        &error,
        &["execution e1 has already loaded this file", "with other settings", "replace_partition", "`if_loaded: load`"],
    );
    place.run("DELETE FROM t WHERE id < 3").await;
    place.load_in("e4", upper).await.0.unwrap();
    assert_eq!(place.t().await, "1 X\n2 Y\n3 z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_committed_and_could_not_say_so_counts_once() {
    for (name, task, rest) in [
        ("appends_again", "postgres.load", ""),
        ("appends_again_forced", "postgres.load", ", if_loaded: load"),
        ("appends_again_copied", "postgres.copy_in", ", format: CSV, header: true"),
    ] {
        let place = Place::with(name, T).await;
        place.file("a.csv", "id,note\n1,x\n");
        let yaml = format!("{{from: a.csv, table: t{rest}}}");
        place.run_in("e1", 1, task, &yaml).await.0.unwrap();
        let (again, said) = place.run_in("e1", 2, task, &yaml).await;
        assert_eq!(counts(&again.unwrap()), [1, 1, 0, 0], "it is told as what it was");
        assert_says(&said, &["an attempt before this one has"]);
        assert_eq!(place.t().await, "1 x", "{task}{rest}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_replaces_rows_heeds_the_setting_too() {
    let place = Place::with("appends_replaced", T).await;
    place.file("a.csv", "id,note\n1,x\n");
    let yaml = |rest: &str| format!("{{from: a.csv, table: t, mode: truncate{rest}}}");
    place.load_in("e1", &yaml("")).await.0.unwrap();
    place.run("UPDATE t SET note = 'broken'").await;
    let error = place.load_in("e2", &yaml(", if_loaded: fail")).await.0.unwrap_err().message;
    assert_says(&error, &["execution e1 has already loaded this file"]);
    place.load_in("e3", &yaml(", if_loaded: load")).await.0.unwrap();
    assert_eq!(place.t().await, "1 x");
    place.run("DELETE FROM t").await;
    place.load_in("e4", &yaml(", if_loaded: skip")).await.0.unwrap();
    assert_eq!(place.t().await, "");
    let both = place.refused(&yaml(", if_loaded: skip, force: true")).await;
    assert_says(&both, &["`force: true` means `if_loaded: load`"]);
}
