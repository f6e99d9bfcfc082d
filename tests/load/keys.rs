//! Keys that break a constraint at the end of a statement or of the transaction: the server names the key, and the error
//! the row.

use crate::load::{Place, assert_says};

/// A table, the other fields of the task, a file, and what the error begins with and says.
const LOCATED: &[(&str, &str, &str, &[&str])] = &[
    (
        "CREATE TABLE t (id int, r int REFERENCES p)",
        "",
        "id,r\n1,1\n\n2,2\n3,99\n4,98\n",
        &["a.csv:5:3: `r`: ", "t_r_fkey", "Key (r)=(99) is not present"],
    ),
    (
        "CREATE TABLE t (id int, r int REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
        "transform: {rename: {ref: r}}",
        "id,ref\n1,1\n2,007\n",
        &["a.csv:3:3: `ref`: ", "t_r_fkey", "Key (r)=(7) is not present"],
    ),
    (
        "CREATE TABLE t (id int, k int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
        "",
        "id,k\n1,1\n2,5\n3,1\n4,1\n",
        &["a.csv:4:3: `k`: ", "t_k_key", "Key (k)=(1) already exists"],
    ),
    (
        "CREATE TABLE t (id int, k int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (0, 5)",
        "",
        "id,k\n1,1\n2,5\n",
        &["a.csv:3:3: `k`: ", "Key (k)=(5) already exists"],
    ),
    (
        "CREATE TABLE t (id int, n numeric(5, 2), c char(3), b bool, FOREIGN KEY (n, c, b) REFERENCES q)",
        "",
        "id,n,c,b\n1,7.00,x,no\n2,7,x,no\n3,7,x,yes\n",
        &["a.csv:2:1: loading", "t_n_c_b_fkey", "Key (n, c, b)=(7.00, x  , f) is not present"],
    ),
    (
        "CREATE TABLE t (id int, r int, \"the day\" date, FOREIGN KEY (r, \"the day\") REFERENCES d)",
        "mode: {replace_partition: {the day: 2024-02-01}}",
        "id,r\n1,1\n2,3\n",
        &["a.csv:3:1: loading", "Key (r, the day)=(3, 2024-02-01) is not present"],
    ),
    (
        "CREATE TABLE t (id int, r int REFERENCES p) PARTITION BY LIST (id);
         CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t_2 PARTITION OF t DEFAULT",
        "",
        "id,r\n1,1\n2,3\n",
        &["a.csv:3:3: `r`: ", "Key (r)=(3) is not present"],
    ),
    (
        "CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES t)",
        "mode: {merge: {key: [id]}}",
        "id,r\n1,2\n2,3\n4,1\n",
        &["a.csv:3:3: `r`: ", "Key (r)=(3) is not present"],
    ),
];

/// The same where no row is certain.
const NOT_LOCATED: &[(&str, &str, &str, &str)] = &[
    (
        "CREATE TABLE t (id int, r int DEFAULT 7 REFERENCES p)",
        "on_missing_column: empty",
        "id\n1\n",
        "Key (r)=(7) is not present",
    ),
    (
        "CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES t)",
        "mode: {merge: {key: [id]}}",
        "id,r\n1,9\n1,9\n",
        "Key (r)=(9) is not present",
    ),
    (
        "CREATE TABLE t (id int, r int REFERENCES p);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.r := new.id; RETURN new; END';
         CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "",
        "id,r\n1,3\n3,1\n",
        "Key (r)=(3) is not present",
    ),
];

const OTHERS: &str = "DROP TABLE IF EXISTS t; DROP FUNCTION IF EXISTS f; DROP TABLE IF EXISTS p, q, d;
    CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (2);
    CREATE TABLE q (n numeric(5, 2), c char(3), b bool, PRIMARY KEY (n, c, b)); INSERT INTO q VALUES (7, 'x', true);
    CREATE TABLE d (id int, day date, PRIMARY KEY (id, day)); INSERT INTO d VALUES (1, '2024-02-01')";

async fn refused(place: &Place, made: &str, fields: &str, file: &str) -> String {
    place.run(OTHERS).await;
    place.run(made).await;
    place.file("a.csv", file);
    let fields = if fields.is_empty() { String::new() } else { format!(", {fields}") };
    let error = place.refused(&format!("{{from: a.csv, table: t{fields}}}")).await;
    assert_eq!(place.ledger().await, "", "{error}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_row_with_the_key_that_the_server_names_is_found_in_the_file() {
    let place = Place::new("keys").await;
    for (made, fields, file, parts) in LOCATED {
        let error = refused(&place, made, fields, file).await;
        assert!(error.starts_with(parts[0]), "{made}: {error}");
        assert_says(&error, parts);
        assert_says(&error, &["correct the row, or reject such rows"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_which_no_row_is_certain_is_named_alone() {
    let place = Place::new("keys_alone").await;
    for (made, fields, file, key) in NOT_LOCATED {
        let error = refused(&place, made, fields, file).await;
        assert_says(&error, &["`t`: ", key, "Postgres does not say which row it is"]);
        assert!(!error.contains("a.csv:"), "{made}: {error}");
    }
}
