//! What is in the table after one load and after its repeat, mode by mode.

use crate::load::{Place, assert_says, counts, many_rows};

const T: &str = "CREATE TABLE t (id int, note text)";
const SAME: &str = "{from: a.csv, table: t}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn append_adds_a_file_once() {
    let place = Place::with("append", T).await;
    place.file("a.csv", "id,note\n1,x\n2,y\n");
    assert_eq!(counts(&place.load(SAME).await.unwrap()), [2, 2, 0, 0]);
    let again = place.load(SAME).await.unwrap();
    assert_eq!((counts(&again), &again["already_loaded"]), ([2, 0, 0, 2], &true.into()));
    place.file("b.csv", "id,note\n3,z\n");
    place.load("{from: b.csv, table: t}").await.unwrap();
    assert_eq!(place.t().await, "1 x\n2 y\n3 z");
    assert_eq!(place.ledger().await, "a.csv 2 2 0 0\nb.csv 1 1 0 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_an_earlier_version_loaded_is_not_loaded_again() {
    let place = Place::with("earlier_version", T).await;
    place.file("a.csv", "id,note\n1,x\n2,y\n");
    place.load(SAME).await.unwrap();
    // What version 0.1 wrote for these settings before fingerprints had a form of their own.
    let former = "28c78fb7624f67abda68dbabd9d49da5ffd5ab08f3b47d661f495ef98c6e6108";
    let entry = format!("UPDATE jitney_loads SET definition_sha256 = '{former}', xid = txid_current()");
    // Entry and rows are those of one transaction.
    place.run(&format!("{entry}; UPDATE t SET id = id")).await;
    let again = place.load(SAME).await.unwrap();
    assert_eq!((counts(&again), &again["already_loaded"]), ([2, 0, 0, 2], &true.into()));
    assert_eq!(place.t().await, "1 x\n2 y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_reports_the_rejected_rows_of_the_first_load() {
    let place = Place::with("repeat_rejected", T).await;
    place.file("a.csv", "id,note\n1,x\nbad,y\n3,z\n");
    let yaml = "{from: a.csv, table: t, on_bad_row: {reject: {}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [3, 2, 1, 0]);
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [3, 0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_file_read_in_another_way_is_another_load() {
    let place = Place::with("read_otherwise", T).await;
    place.file("a.csv", "1,x\n2,y\n");
    let yaml =
        |rest: &str| format!("{{from: a.csv, table: t, mode: truncate, columns: [id, note], header: false{rest}}}");
    place.load(&yaml("")).await.unwrap();
    place.file("b.csv", "id,note,other\n3,'z',1\n");
    place.load("{from: b.csv, table: t, mode: truncate, on_extra_column: ignore}").await.unwrap();
    assert_eq!(place.t().await, "3 'z'");
    place.load("{from: b.csv, table: t, mode: truncate, on_extra_column: ignore, quote: \"'\"}").await.unwrap();
    assert_eq!(place.t().await, "3 z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncate_leaves_the_rows_of_the_last_file_only() {
    let place = Place::with("truncate", T).await;
    let yaml = |file: &str| format!("{{from: {file}, table: t, mode: truncate}}");
    place.file("a.csv", "id,note\n1,x\n2,y\n");
    place.file("b.csv", "id,note\n3,x\n4,y\n");
    place.load(&yaml("a.csv")).await.unwrap();
    assert_eq!(counts(&place.load(&yaml("a.csv")).await.unwrap()), [2, 0, 0, 2]);
    place.load(&yaml("b.csv")).await.unwrap();
    assert_eq!(place.t().await, "3 x\n4 y");
    // As many rows are there as after the first load, but they are another file's.
    assert_eq!(counts(&place.load(&yaml("a.csv")).await.unwrap()), [2, 2, 0, 0]);
    assert_eq!(place.t().await, "1 x\n2 y");
    place.file("a.csv", "id,note\n5,x\n");
    place.load(&yaml("a.csv")).await.unwrap();
    assert_eq!(place.t().await, "5 x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_truncate_keeps_the_rows() {
    let place =
        Place::with("truncate_failed", "CREATE TABLE t (id int, note text); INSERT INTO t VALUES (9, 'old')").await;
    place.file("a.csv", "id,note\n1,x\nbad,y\n");
    place.refused("{from: a.csv, table: t, mode: truncate}").await;
    assert_eq!(place.t().await, "9 old");
    assert_eq!(place.ledger().await, "");
}

const PARTITIONED: &str = "CREATE TABLE t (month text, id int); INSERT INTO t VALUES ('other', 7)";

fn january(file: &str) -> String {
    format!("{{from: {file}, table: t, mode: {{replace_partition: {{month: '2019-01'}}}}}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_is_replaced_and_the_others_are_left_alone() {
    let place = Place::with("partition", PARTITIONED).await;
    place.file("a.csv", "id\n1\n2\n");
    assert_eq!(counts(&place.load(&january("a.csv")).await.unwrap()), [2, 2, 0, 0]);
    assert_eq!(counts(&place.load(&january("a.csv")).await.unwrap()), [2, 0, 0, 2]);
    assert_eq!(place.t().await, "2019-01 1\n2019-01 2\nother 7");
    place.file("a.csv", "id\n3\n");
    assert_eq!(counts(&place.load(&january("a.csv")).await.unwrap()), [1, 1, 0, 0]);
    assert_eq!(place.t().await, "2019-01 3\nother 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_partition_that_were_deleted_by_hand_come_back() {
    let place = Place::with("partition_deleted", PARTITIONED).await;
    place.file("a.csv", "id\n1\n2\n");
    place.load(&january("a.csv")).await.unwrap();
    place.run("DELETE FROM t WHERE id = 1").await;
    assert_eq!(counts(&place.load(&january("a.csv")).await.unwrap()), [2, 2, 0, 0]);
    assert_eq!(place.t().await, "2019-01 1\n2019-01 2\nother 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_says_another_partition_is_a_bad_row() {
    let place = Place::with("partition_own", PARTITIONED).await;
    place.file("a.csv", "Month,id\n,1\n2019-01,2\n");
    place.load(&january("a.csv")).await.unwrap();
    assert_eq!(place.t().await, "2019-01 1\n2019-01 2\nother 7");
    place.file("a.csv", "id,Month\n3,2019-01\n4,other\n5,\n");
    let shown = place.refused(&january("a.csv")).await;
    assert_says(&shown, &["a.csv:3:3: `Month`: `other` is not `2019-01`", "`transform: {select: […]}`", "on_bad_row"]);
    assert_eq!(place.t().await, "2019-01 1\n2019-01 2\nother 7");
    let yaml = january("a.csv").replace("{from", "{on_bad_row: {reject: {}}, from");
    assert_eq!(counts(&place.load(&yaml).await.unwrap()), [3, 2, 1, 0]);
    assert_eq!(place.t().await, "2019-01 3\n2019-01 5\nother 7");
    place.file("b.csv", "old,id\nother,6\n");
    let renamed = january("b.csv").replace("{from", "{transform: {rename: {old: month}}, from");
    assert_says(&place.refused(&renamed).await, &["b.csv:2:1: `old`: `other` is not `2019-01`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_equal_to_the_partitions_are_of_it() {
    let sql = "CREATE EXTENSION citext; CREATE COLLATION same (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
               CREATE DOMAIN loose AS text COLLATE same";
    let place = Place::with("partition_equal", sql).await;
    for (kind, value, same, other) in [
        ("int", "5", "05", "6"),
        ("numeric", "1.0", "1.000", "1.01"),
        ("boolean", "t", "yes", "no"),
        ("date", "2019-01-02", "2019-01-02", "2019-01-03"),
        ("char(4)", "ab", "ab  ", "abc"),
        ("inet", "10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("text", "a\\tb", "a\\tb", "a"),
        ("date", "2020-02-01", "20200201", "20200202"),
        ("date", "2020-02-01", "1 Feb 2020", "1 Feb"),
        ("timestamptz", "2020-02-01 00:00:00+00", "2020-02-01 01:00+01", "2020-02-01 00:00+01"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC99-9C0B4EF8BB6D6BB9BD380A11}", "x"),
        ("numeric(5,2)", "1", "1e0", "1.01"),
        ("float8", "0", "-0", "1e-300"),
        ("interval", "1 day", "24:00", "25:00"),
        ("jsonb", "1", "1.0", "{]"),
        ("varchar(1)", "a", "a ", "ab"),
        ("citext", "a", "A", "b"),
        ("loose", "a", "A", "b"),
    ] {
        place.run(&format!("DROP TABLE IF EXISTS t, jitney_loads; CREATE TABLE t (part {kind}, id int)")).await;
        place.file("a.csv", format!("part,id\n{value},1\n{same},2\n{other},3\n"));
        let yaml = format!(
            "{{from: a.csv, table: t, on_bad_row: {{reject: {{}}}}, mode: {{replace_partition: {{part: '{value}'}}}}}}"
        );
        assert_eq!(counts(&place.load(&yaml).await.unwrap()), [3, 2, 1, 0], "{kind}");
        assert_eq!(place.rows(&format!("SELECT id FROM t WHERE part = '{value}'")).await, "1\n2", "{kind}");
        place.run("TRUNCATE t").await;
        let shown = place.refused(&yaml.replace("{reject: {}}", "fail")).await;
        assert_says(&shown, &["a.csv:4:1: `part`: `", &format!("` is not `{value}`")]);
        assert_eq!(place.rows("SELECT id FROM t").await, "", "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_spellings_of_the_partition_are_known_in_every_batch() {
    let other = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
                 CREATE TRIGGER s AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION f()";
    for (name, trigger) in [("partition_spelled", ""), ("partition_spelled_together", other)] {
        let place = Place::with(name, &format!("CREATE TABLE t (part date, id int, note text); {trigger}")).await;
        let rows = many_rows(60_000).replacen("id,note", "id,note,part", 1);
        let spelled = rows.lines().enumerate().map(|(line, row)| match line {
            0 => row.to_owned() + "\n",
            line if line % 2 == 0 => row.to_owned() + ",2020-02-01\n",
            _ => row.to_owned() + ",20200201\n",
        });
        place.file("a.csv", spelled.collect::<String>());
        let yaml = "{from: a.csv, table: t, mode: {replace_partition: {part: 2020-02-01}}}";
        assert_eq!(counts(&place.load(yaml).await.unwrap()), [60_000, 60_000, 0, 0], "{name}");
        assert_eq!(place.rows("SELECT count(*), min(part), max(part) FROM t").await, "60000 2020-02-01 2020-02-01");
        place.file("a.csv", "id,note,part\n1,x,20200201\n2,y,bad\n3,z,worse\n4,w,20200202\n5,v,\n");
        let yaml = yaml.replace("{from", "{on_bad_row: {reject: {}}, from");
        assert_eq!(counts(&place.load(&yaml).await.unwrap()), [5, 2, 3, 0], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_the_column_stores_otherwise_is_refused() {
    let place = Place::with("partition_rounded", "").await;
    place.file("a.csv", "id\n1\n");
    for (kind, value, stored) in [
        ("varchar(2)", "ab  ", "ab"),
        ("varchar(2)", "abc", "ab"),
        ("numeric(5,2)", "1.005", "1.01"),
        ("timestamp(0)", "2020-01-01 00:00:00.4", "2020-01-01 00:00:00"),
        ("time(0)", "10:00:00.4", "10:00:00"),
        ("interval(0)", "1.4 s", "00:00:01"),
        ("code", "abc ", "abc"),
    ] {
        place
            .run(&format!(
                "DROP TABLE IF EXISTS t; DROP DOMAIN IF EXISTS code; CREATE DOMAIN code AS varchar(3);
                 CREATE TABLE t (part {kind}, id int); INSERT INTO t VALUES ('{stored}', 7)"
            ))
            .await;
        let yaml = |value| format!("{{from: a.csv, table: t, mode: {{replace_partition: {{part: '{value}'}}}}}}");
        let shown = place.refused(&yaml(value)).await;
        assert_says(&shown, &["`replace_partition`", "`part`", &format!("stores `{value}` as `{stored}`")]);
        assert_eq!(place.rows("SELECT id FROM t").await, "7", "{kind}");
        place.load(&yaml(stored)).await.unwrap();
        assert_eq!(place.rows("SELECT id FROM t").await, "1", "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_whose_value_moves_with_the_clock_is_refused() {
    let place = Place::with("partition_moving", "").await;
    place.file("a.csv", "id\n1\n");
    let yaml = |value| format!("{{from: a.csv, table: t, mode: {{replace_partition: {{part: '{value}'}}}}}}");
    for (kind, value, is_refused) in [
        ("timestamp", "now", true),
        ("timestamptz", "Today 04:05", true),
        ("date", "TOMORROW", true),
        ("day", "yesterday", true),
        ("time", "now", true),
        ("date[]", "{2020-01-01,today}", true),
        ("daterange", "[today,tomorrow)", true),
        ("date", "infinity", false),
        ("timestamp", "epoch", false),
        ("text", "now", false),
        ("bytea", "now", false),
    ] {
        let sql = format!("CREATE TABLE t (part {kind}, id int); INSERT INTO t VALUES (NULL, 7)");
        place
            .run(&format!("DROP TABLE IF EXISTS t; DROP DOMAIN IF EXISTS day; CREATE DOMAIN day AS date; {sql}"))
            .await;
        if is_refused {
            let shown = place.refused(&yaml(value)).await;
            let message = format!("`replace_partition`: `{value}` is another value of");
            assert_says(&shown, &[&message, "each time it is read", "write the value itself"]);
            assert_eq!(place.rows("SELECT id FROM t").await, "7", "{kind}");
        } else {
            place.load(&yaml(value)).await.unwrap();
            place.load(&yaml(value)).await.unwrap();
            assert_eq!(place.rows("SELECT id FROM t").await, "1\n7", "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_trigger_takes_out_of_the_partition_fail_the_load() {
    let place = Place::with("partition_trigger", PARTITIONED).await;
    place
        .run(
            "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN new.month = new.month || '!'; RETURN new; END $$;
             CREATE TRIGGER later BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION later()",
        )
        .await;
    place.file("a.csv", "id\n1\n2\n");
    let shown = place.refused(&january("a.csv")).await;
    assert_says(&shown, &["2 rows were stored and the partition `2019-01` of `t` has 0", "a trigger changes `month`"]);
    assert_eq!(place.t().await, "other 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_may_be_of_any_type() {
    let sql = "CREATE TYPE taxi AS ENUM ('green', 'yellow'); CREATE TABLE t (taxi taxi, id int)";
    let place = Place::with("partition_enum", sql).await;
    place.file("a.csv", "id\n1\n");
    let yaml = "{from: a.csv, table: t, mode: {replace_partition: {taxi: green}}}";
    place.load(yaml).await.unwrap();
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [1, 0, 0, 1]);
    assert_eq!(place.t().await, "green 1");
    for (kind, value, other) in [
        ("int", "5", "6"),
        ("date", "2019-01-01", "2019-02-01"),
        ("numeric(4,1)", "2.5", "3.5"),
        ("timestamp", "2019-01-01 10:00:00", "2019-01-01 11:00:00"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"),
        ("inet", "10.0.0.1", "10.0.0.2"),
        ("int4range", "[1,5)", "[5,9)"),
        ("boolean", "t", "f"),
    ] {
        place
            .run(&format!("DROP TABLE t; CREATE TABLE t (part {kind}, id int); INSERT INTO t VALUES ('{other}', 7)"))
            .await;
        let yaml = format!("{{from: a.csv, table: t, mode: {{replace_partition: {{part: '{value}'}}}}}}");
        assert_eq!(counts(&place.load(&yaml).await.unwrap()), [1, 1, 0, 0], "{kind}");
        assert_eq!(counts(&place.load(&yaml).await.unwrap()), [1, 0, 0, 1], "{kind}");
        let rows = format!("SELECT (part = '{value}')::text, id FROM t ORDER BY id DESC");
        assert_eq!(place.rows(&rows).await, "false 7\ntrue 1", "{kind}");
    }
}

const KEYED: &str = "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (1, 'old'), (2, 'same')";
const FILE: &str = "id,note\n1,new\n2,same\n3,first\n3,last\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_ignore_adds_only_rows_whose_key_is_new() {
    let place = Place::with("merge_ignore", KEYED).await;
    place.file("a.csv", FILE);
    let yaml = "{from: a.csv, table: t, mode: {merge: {key: [id]}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [4, 1, 0, 3]);
    assert_eq!(place.t().await, "1 old\n2 same\n3 first");
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [4, 0, 0, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_update_changes_only_rows_that_differ() {
    let place = Place::with("merge_update", KEYED).await;
    place.file("a.csv", FILE);
    let yaml = "{from: a.csv, table: t, mode: {merge: {key: [ID], on_match: update}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [4, 2, 0, 2]);
    assert_eq!(place.t().await, "1 new\n2 same\n3 last");
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [4, 0, 0, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_update_compares_json_as_text() {
    let place =
        Place::with("merge_json", "CREATE TABLE t (id int, doc json); INSERT INTO t VALUES (1, '[1]'), (2, '[2]')")
            .await;
    place.file("a.csv", "id,doc\n1,[1]\n2,[3]\n");
    let yaml = "{from: a.csv, table: t, mode: {merge: {key: [id], on_match: update}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [2, 1, 0, 1]);
    assert_eq!(place.t().await, "1 [1]\n2 [3]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_update_stores_what_is_equal_and_not_the_same() {
    let place = Place::with(
        "merge_equal",
        "CREATE DOMAIN price AS numeric;
         CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    )
    .await;
    for (kind, old, new) in [
        ("numeric", "1.0", "1.00"),
        ("price", "1.0", "1.00"),
        ("float8", "0", "-0"),
        ("real", "0", "-0"),
        ("jsonb", "1", "1.0"),
        ("json", "[1]", "[1 ]"),
        ("bpchar", "a", "a "),
        ("text COLLATE any_case", "abc", "ABC"),
        ("float8[]", "{1}", "{1.0000000000000002}"),
        ("point", "(1,2)", "(1,2.0000000000000004)"),
        ("xml", "<a/>", "<b/>"),
    ] {
        let table = format!("CREATE TABLE t (id int PRIMARY KEY, v {kind}); INSERT INTO t VALUES (1, '{old}')");
        place.run(&format!("DROP TABLE IF EXISTS t, jitney_loads; {table}")).await;
        place.file("a.csv", format!("id,v\n1,\"{new}\"\n"));
        let yaml = "{from: a.csv, table: t, mode: {merge: {key: [id], on_match: update}}}";
        assert_eq!(counts(&place.load(yaml).await.unwrap()), [1, 1, 0, 0], "{kind}");
        assert_eq!(place.rows("SELECT v FROM t").await, new, "{kind}");
        assert_eq!(counts(&place.load(yaml).await.unwrap()), [1, 0, 0, 1], "{kind}");
    }
    for (kind, old, new) in [("numeric", "1.0", "1.00"), ("text COLLATE any_case", "abc", "ABC")] {
        let table = format!("CREATE TABLE t (k {kind} PRIMARY KEY); INSERT INTO t VALUES ('{old}')");
        place.run(&format!("DROP TABLE IF EXISTS t, jitney_loads; {table}")).await;
        place.file("a.csv", format!("k\n{new}\n"));
        let yaml = |on_match| format!("{{from: a.csv, table: t, mode: {{merge: {{key: [k], on_match: {on_match}}}}}}}");
        assert_eq!(counts(&place.load(&yaml("ignore")).await.unwrap()), [1, 0, 0, 1], "{kind}");
        assert_eq!(counts(&place.load(&yaml("update")).await.unwrap()), [1, 1, 0, 0], "{kind}");
        assert_eq!(place.t().await, new, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_update_counts_rows_of_the_file_where_the_table_has_the_key_twice() {
    let place =
        Place::with("merge_twice", "CREATE TABLE t (id int, note text); INSERT INTO t VALUES (1, 'a'), (1, 'b')").await;
    place.file("a.csv", "id,note\n1,new\n");
    let yaml = "{from: a.csv, table: t, mode: {merge: {key: [id], on_match: update}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [1, 1, 0, 0]);
    assert_eq!(place.t().await, "1 new\n1 new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_on_a_row_id_skips_the_rows_of_the_last_time() {
    let place = Place::with("merge_row_id", "CREATE TABLE t (key text, id int, fare float8)").await;
    let yaml = |file: &str| {
        format!(
            "{{from: {file}, table: t, mode: {{merge: {{key: [key]}}}}, transform: {{row_id: {{name: key, columns: [id, fare]}}}}}}"
        )
    };
    place.file("a.csv", "id,fare\n1,2.50\n2,\n");
    place.load(&yaml("a.csv")).await.unwrap();
    place.file("b.csv", "id,fare\n2,\n1,2.5\n3,1e6\n");
    assert_eq!(counts(&place.load(&yaml("b.csv")).await.unwrap()), [3, 1, 0, 2]);
    assert_eq!(place.rows("SELECT count(*) FROM t WHERE key = md5(id::text || coalesce(fare::text, ''))").await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_refuses_a_key_that_is_null_and_says_where() {
    let place = Place::with("merge_null", "CREATE TABLE t (a int, b int)").await;
    place.file("a.csv", "a,b\n1,1\n2,\n");
    let yaml = "{from: a.csv, table: t, mode: {merge: {key: [a, b]}}}";
    assert_says(&place.refused(yaml).await, &["a.csv:3:3: `b` is empty, and it is required"]);
    let computed = "{from: a.csv, table: t, mode: {merge: {key: [b]}}, transform: {filter: a > 1}}";
    assert_says(&place.refused(computed).await, &["the key is NULL in some rows", "row_id"]);
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_names_the_columns_when_the_key_is_none_of_them() {
    let place = Place::with("merge_no_key", KEYED).await;
    place.file("a.csv", FILE);
    let shown = place.refused("{from: a.csv, table: t, mode: {merge: {key: [ident]}}}").await;
    assert_says(&shown, &["table `t` has no column `ident`", "`id`, `note`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_takes_the_keys_of_an_identity_from_the_file() {
    let made = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
                INSERT INTO t (note) VALUES ('old')";
    let place = Place::with("merge_identity", made).await;
    place.file("a.csv", "id,note\n1,new\n7,b\n");
    place.load("{from: a.csv, table: t, mode: {merge: {key: [id], on_match: update}}}").await.unwrap();
    assert_eq!(place.t().await, "1 new\n7 b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_trigger_keeps_out_are_counted_and_reported() {
    let made = "CREATE TABLE t (id int, note text);
                CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN IF new.id = 2 THEN RETURN NULL; END IF; RETURN new; END';
                CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep_out()";
    let place = Place::with("kept_out", made).await;
    place.file("a.csv", "id,note\n1,a\n2,b\n");
    let (outputs, log) = place.load_in("e1", SAME).await;
    assert_eq!(counts(&outputs.unwrap()), [2, 1, 0, 1]);
    assert_says(&log, &["kept out by the table's triggers: 1 row"]);
    assert_eq!(place.t().await, "1 a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merges_tell_what_triggers_kept_out_from_what_was_there() {
    let made = "CREATE TABLE t (id int PRIMARY KEY, note text);
                CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN IF new.note = ''no'' THEN RETURN NULL; END IF; RETURN new; END';
                CREATE TRIGGER a BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keep_out()";
    let place = Place::with("merge_kept_out", made).await;
    place.file("a.csv", "id,note\n1,a\n2,no\n3,c\n3,c\n9,same\n5,bad\n6,x\n");
    let skipped = |outputs: &jitney::task::Outputs| {
        ["rows_skipped", "rows_left_out", "rows_kept_out"].map(|name| outputs[name].as_u64().unwrap())
    };
    for (on_match, rest, expected) in [
        ("update", "", [7, 4, 0, 3]),
        ("ignore", "", [7, 3, 0, 4]),
        ("update", ", on_bad_row: {reject: {}}", [7, 3, 1, 3]),
        ("update", ", transform: {filter: id <> 6}", [7, 3, 0, 4]),
    ] {
        place.run("TRUNCATE t; INSERT INTO t VALUES (1, 'old'), (9, 'same'); DROP TABLE IF EXISTS jitney_loads").await;
        place.run("ALTER TABLE t DROP CONSTRAINT IF EXISTS c").await;
        if rest.contains("reject") {
            place.run("ALTER TABLE t ADD CONSTRAINT c CHECK (note <> 'bad')").await;
        }
        let mode = format!("{{merge: {{key: [id], on_match: {on_match}}}}}");
        let (outputs, log) = place.load_in("e1", &format!("{{from: a.csv, table: t, mode: {mode}{rest}}}")).await;
        let outputs = outputs.unwrap();
        let left_out = u64::from(rest.contains("filter"));
        assert_eq!(counts(&outputs), expected, "{on_match}{rest}");
        assert_eq!(skipped(&outputs), [expected[3], left_out, 1], "{on_match}{rest}");
        assert_says(&log, &["kept out by the table's triggers: 1 row"]);
    }
    place.run("TRUNCATE t; INSERT INTO t VALUES (2, 'old'); DROP TABLE jitney_loads").await;
    place.file("b.csv", "id,note\n2,no\n4,d\n");
    let yaml = "{from: b.csv, table: t, mode: {merge: {key: [id], on_match: update}}}";
    let outputs = place.load(yaml).await.unwrap();
    assert_eq!((counts(&outputs), skipped(&outputs)), ([2, 1, 0, 1], [1, 0, 1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_rows_a_trigger_stores_below_the_table_is_not_loaded_twice() {
    let made = "CREATE TABLE t (id int, note text); CREATE TABLE low () INHERITS (t); CREATE TABLE high () INHERITS (t);
                CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN IF new.id < 2 THEN INSERT INTO low VALUES (new.*); ELSE INSERT INTO high VALUES (new.*); END IF;
                     RETURN NULL; END';
                CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION route()";
    let place = Place::with("kept_below", made).await;
    place.file("a.csv", "id,note\n1,a\n2,b\n");
    let (outputs, log) = place.load_in("e1", "{from: a.csv, table: t}").await;
    assert_eq!(counts(&outputs.unwrap()), [2, 0, 0, 2]);
    assert_says(&log, &["kept out by the table's triggers: 2 rows"]);
    let (outputs, log) = place.load_in("e2", "{from: a.csv, table: t}").await;
    assert_eq!(counts(&outputs.unwrap()), [2, 0, 0, 2]);
    assert_says(&log, &["execution e1 has already loaded this file; nothing to do"]);
    assert!(!log.contains("not known"), "{log}");
    assert_eq!(place.t().await, "1 a\n2 b");
    place.run("DELETE FROM high").await;
    let (outputs, log) = place.load_in("e3", "{from: a.csv, table: t}").await;
    assert_eq!(counts(&outputs.unwrap()), [2, 0, 0, 2]);
    assert_says(&log, &["whether they are still there is not known", "`if_loaded: load`"]);
}
