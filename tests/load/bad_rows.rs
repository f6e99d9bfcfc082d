//! Rows that do not fit: where they are, where they go, and how they are counted.

use jitney::storage::Storage;

use crate::load::merges::rejected;
use crate::load::{Place, assert_says, counts};

const T: &str = "CREATE TABLE t (id int NOT NULL, fare float8)";
const ODD: &str = "id,fare\n1,2.5\n2,x\n,3\n4,\"4\n5\"\n6,7,8\n9,1\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_bad_row_fails_the_load_and_is_named() {
    let place = Place::with("bad_fail", T).await;
    place.file("a.csv", ODD);
    let shown = place.refused("{from: a.csv, table: t}").await;
    assert_says(
        &shown,
        &["a.csv:3:3: `fare`: invalid input syntax for type double precision: \"x\" (22P02)", "on_bad_row"],
    );
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_are_set_aside_with_their_lines() {
    let place = Place::with("bad_reject", T).await;
    place.file("a.csv", ODD);
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {max: 4, file: bad.csv}}}").await.unwrap();
    assert_eq!(counts(&outputs), [6, 2, 4, 0]);
    assert_eq!(place.t().await, "1 2.5\n9 1");
    assert_eq!(place.ledger().await, "a.csv 6 2 4 0");
    let context = place.context();
    let storage = Storage::new(context.settings.storage(), context.execution);
    let kept = std::fs::read_to_string(storage.path(outputs["rejected_uri"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(
        kept,
        "line,column,message,row\n\
         3,3,\"`fare`: invalid input syntax for type double precision: \"\"x\"\" (22P02)\",\"2,x\"\n\
         4,1,\"`id` is empty, and it is required\",\",3\"\n\
         5,4,\"`fare`: invalid input syntax for type double precision: \"\"4\n5\"\" (22P02)\",\"4,\"\"4\n5\"\"\"\n\
         7,0,\"the row has 3 fields, the header has 2\",\"6,7,8\"\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_too_many_fails_the_load() {
    let place = Place::with("bad_max", T).await;
    place.file("a.csv", ODD);
    let shown = place.refused("{from: a.csv, table: t, on_bad_row: {reject: {max: 3}}}").await;
    assert_says(&shown, &["a.csv:5:4: more than 3 bad rows", "rejected.csv"]);
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_filter_leaves_out_are_skipped() {
    let place = Place::with("bad_filtered", T).await;
    place.file("a.csv", "id,fare\n1,2.5\n2,-3\nx,1\n3,0\n");
    let yaml = "{from: a.csv, table: t, transform: {filter: fare > 0}, on_bad_row: {reject: {}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [4, 1, 1, 2]);
    assert_eq!(place.ledger().await, "a.csv 4 1 1 2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_fails_undoes_the_load() {
    let place = Place::with("bad_rule", T).await;
    place.file("a.csv", "id,fare\n1,2.5\n1,3\n");
    let shown = place.refused("{from: a.csv, table: t, transform: {expect: [{unique: [id]}]}}").await;
    assert_says(&shown, &["`id` repeats in 1 of 2 rows"]);
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_leaves_no_files_beside_its_source() {
    let place = Place::with("bad_scratch", T).await;
    place.file("a.csv", "id,fare\n1,2.5\n1,3\n");
    place.load("{from: a.csv, table: t, transform: {dedupe: [id]}}").await.unwrap();
    assert!(!place.path().join("a.work").exists(), "the flow's folder is the user's");
    assert_eq!(place.t().await, "1 2.5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_is_rejected_with_its_line() {
    let made = "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
        CREATE TABLE t (id int PRIMARY KEY, name varchar(3), doc jsonb, parent int REFERENCES parent, CHECK (id < 100));
        INSERT INTO t VALUES (9, 'old')";
    let place = Place::with("bad_server", made).await;
    place.file(
        "a.csv",
        "id,name,doc,parent\n1,a,{},1\n2,long,{},1\n3,\"c\nd\",{},1\n4,d,{bad},1\n9,e,{},1\n101,f,{},1\n5,g,{},7\n6,h,{},2\n1,i,,\n",
    );
    for mode in ["append", "{merge: {key: [id]}}"] {
        place.run("DELETE FROM t WHERE id <> 9; DROP TABLE IF EXISTS jitney_loads").await;
        // A merge takes a known key for the same row.
        let is_merge = mode.starts_with('{');
        let yaml = format!("{{from: a.csv, table: t, mode: {mode}, on_bad_row: {{reject: {{file: bad.csv}}}}}}");
        let outputs = place.load(&yaml).await.unwrap();
        assert_eq!(counts(&outputs), if is_merge { [9, 3, 4, 2] } else { [9, 3, 6, 0] }, "{mode}");
        assert_eq!(place.rows("SELECT id, name FROM t").await, "1 a\n3 c\nd\n6 h\n9 old", "{mode}");
        let context = place.context();
        let storage = Storage::new(context.settings.storage(), context.execution);
        let kept = std::fs::read_to_string(storage.path(outputs["rejected_uri"].as_str().unwrap()).unwrap()).unwrap();
        let lines: Vec<&str> = kept.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert_eq!(
            lines,
            if is_merge { vec!["3", "6", "8", "9"] } else { vec!["3", "6", "7", "8", "9", "11"] },
            "{kept}"
        );
        assert_says(&kept, &["`name`: value too long", "`doc`: invalid input syntax for type json", "t_id_check"]);
    }
    assert_says(&place.refused("{from: a.csv, table: t, mode: append, if_loaded: load}").await, &["a.csv:3:3: `name`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_offered_where_a_partition_is_looked_for_in_a_large_table() {
    let made =
        "CREATE TABLE t (part int, id int); INSERT INTO t SELECT 1, n FROM generate_series(1, 100000) n; ANALYZE t";
    let place = Place::with("index_offered", made).await;
    place.file("a.csv", "id\n1\n");
    let yaml = "{from: a.csv, table: t, mode: {replace_partition: {part: 2}}, if_loaded: load}";
    let (outputs, log) = place.load_in("e1", yaml).await;
    outputs.unwrap();
    assert_says(&log, &["CREATE INDEX ON public.t (\"part\")"]);
    place.run("CREATE INDEX ON t (part)").await;
    let (outputs, log) = place.load_in("e2", yaml).await;
    outputs.unwrap();
    assert!(!log.contains("CREATE INDEX"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_input_function_raises_without_a_code_is_its_rows_fault() {
    let place = Place::with("bad_internal", "CREATE EXTENSION hstore; CREATE TABLE t (id int, h hstore)").await;
    place.file("a.csv", "id,h\n1,a=>1\n2,a=>\n3,b=>2\n");
    let shown = place.refused("{from: a.csv, table: t}").await;
    assert_says(&shown, &["a.csv:3:3: `h`:", "(XX000)"]);
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(counts(&outputs), [3, 2, 1, 0]);
    assert_eq!(place.rows("SELECT id FROM t").await, "1\n3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_that_cannot_be_computed_is_no_rows_fault() {
    let place = Place::with("bad_default", "CREATE TABLE t (id int, g int DEFAULT 1 / 0)").await;
    place.file("a.csv", "id\n1\n2\n");
    for rest in ["", ", on_bad_row: {reject: {}}"] {
        let shown = place.refused(&format!("{{from: a.csv, table: t{rest}}}")).await;
        assert_says(&shown, &["loading into `t`: division by zero (22012)", "the default of a column"]);
    }
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_behind_a_line_break_has_its_row_s_line_alone() {
    let place = Place::with("bad_rows_line_break", "CREATE TABLE t (note text, id int)").await;
    place.file("a.csv", "note,id\n\"x\ny\",z\n");
    let shown = place.refused("{from: a.csv, table: t}").await;
    assert_says(&shown, &["a.csv:2:1: `id`: invalid input syntax for type integer: \"z\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_the_only_row_of_json_is_located() {
    let place = Place::with("bad_rows_one_json", "CREATE TABLE t (id int)").await;
    place.file("a.ndjson", "{\"id\": NaN}\n");
    let shown = place.refused("{from: a.ndjson, table: t, on_bad_row: {reject: {}}}").await;
    assert_says(&shown, &["a.ndjson:1:8: the line is not a JSON object"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_json_that_the_server_refuses_is_located() {
    let place = Place::with("bad_rows_json_places", "CREATE TABLE t (id int, span interval)").await;
    for (name, content, said) in [
        ("a.json", "[{\"id\": 1, \"span\": \"1 day\"}, {\"id\": 2, \"span\": \"x\"}]", "a.json:1:48: `span`"),
        ("b.json", "{\"id\": 1,\n \"span\": \"1 day\"\n}\n{\"id\": 2,\n \"span\": \"x\"}", "b.json:5:10: `span`"),
        ("c.json", "[{\"id\": 1}, {\"id\": 2147483648}]", "c.json:1:20: `id`"),
        ("d.ndjson", "{\"id\": 1}\n{\"span\": \"x\"}\n", "d.ndjson:2:10: `span`"),
    ] {
        place.file(name, content);
        let yaml = format!("{{from: {name}, table: t, on_missing_column: empty}}");
        assert_says(&place.refused(&yaml).await, &[said]);
        let rejecting = format!("{{from: {name}, table: t, on_missing_column: empty, on_bad_row: {{reject: {{}}}}}}");
        let outputs = place.load(&rejecting).await.unwrap();
        assert_eq!(counts(&outputs), [2, 1, 1, 0], "{name}");
        place.run("TRUNCATE t").await;
    }
}

/// Rows that a step cannot compute, and what is said of the first.
const UNCOMPUTED: &[(&str, &str)] = &[
    ("{with_columns: {r: a / b}}", "a.csv:3:1: `with_columns.r`: division by zero"),
    ("{filter: a / b > 0 OR a < 9}", "a.csv:3:1: `filter`: division by zero"),
    ("{sql: 'SELECT a, b, a / b AS r FROM self'}", "a.csv:3:1: `sql`: division by zero"),
    ("{sql: 'SELECT * FROM self WHERE a % b = 0 OR a < 9'}", "a.csv:3:1: `sql`: division by zero"),
    ("{with_columns: {r: 'CAST(100000 / b AS smallint)'}}", "a.csv:2:1: `with_columns.r`: smallint out of range"),
    ("{with_columns: {r: '2147483646 + a'}}", "a.csv:3:1: `with_columns.r`: integer out of range"),
    ("{with_columns: {r: ln(b)}}", "a.csv:3:1: `with_columns.r`: an argument of a function is out of range"),
    ("{sql: 'SELECT a, b, CAST(n AS bigint) AS r FROM self'}", "a.csv:5:1: `sql`: bigint out of range"),
    ("{cast: {n: int}, select: [a, b, n]}", "a.csv:5:1: `cast.n`: integer out of range"),
    ("{cast: {s: bool}, select: [a, b, s]}", "a.csv:3:1: `cast.s`: `2` is not true or false"),
    ("{cast: {s: int}, select: [a, b, s]}", "a.csv:5:1: `cast.s`: a text is not a whole number"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_a_step_cannot_compute_is_named_and_rejected() {
    let table = "CREATE TABLE t (a int, b int, n numeric, r float8, s text)";
    let place = Place::with("bad_computed", table).await;
    place.file("a.csv", "a,b,n,s\n1,1,1.5,1\n2,0,2.5,2\n3,3,3.5,3\n4,4,12345678901234567890.5,x\n5,5,5,5\n");
    for (steps, said) in UNCOMPUTED {
        let fields = format!("from: a.csv, table: t, on_missing_column: empty, transform: {steps}");
        place.run("TRUNCATE t; DROP TABLE IF EXISTS jitney_loads").await;
        let shown = place.refused(&format!("{{{fields}, on_extra_column: ignore}}")).await;
        assert_says(&shown, &[said, "on_bad_row"]);
        let yaml = format!("{{{fields}, on_extra_column: ignore, on_bad_row: {{reject: {{file: bad.csv}}}}}}");
        let outputs = place.load(&yaml).await.unwrap_or_else(|error| panic!("{steps}: {error}"));
        let [read, loaded, rejected, _] = counts(&outputs);
        assert!(read == 5 && rejected >= 1 && (1..5).contains(&loaded), "{steps}: {outputs:?}");
        let context = place.context();
        let storage = Storage::new(context.settings.storage(), context.execution);
        let kept = std::fs::read_to_string(storage.path(outputs["rejected_uri"].as_str().unwrap()).unwrap()).unwrap();
        let line = said.split(':').nth(1).unwrap();
        let row =
            ["", "", "1,1,1.5,1", "2,0,2.5,2", "", "4,4,12345678901234567890.5,x"][line.parse::<usize>().unwrap()];
        assert_says(&kept, &[&format!("\n{line},0,"), row]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_over_all_rows_says_that_it_has_no_row_to_name() {
    let place = Place::with("bad_query", "CREATE TABLE t (r int)").await;
    place.file("a.csv", "a\n1\n2\n");
    let yaml = "{from: a.csv, table: t, on_bad_row: {reject: {}}, transform: {schema: {a: int}, sql: 'SELECT sum(a) / 0 AS r FROM self'}}";
    assert_says(&place.refused(yaml).await, &["`sql`: division by zero", "cannot name the row"]);
}

/// Conditions over numbers of more digits than a double has.
const LONG: &[&str] = &[
    "n > 12345678901234567890.12",
    "n >= 12345678901234567890.12",
    "n = 12345678901234567890.12",
    "n <> 12345678901234567890.12",
    "n < 12345678901234567890",
    "n > m",
    "n = m",
    "m <= n",
    "n = i",
    "i > n",
    "n IN (9007199254740993, 0.1)",
    "n NOT IN (9007199254740993, 1)",
    "n BETWEEN -12345678901234567890.13 AND 9007199254740992.5",
    "n NOT BETWEEN 9007199254740992.5 AND 9007199254740993",
    "n > -5",
    "n > f",
    "f <= n",
    "n > NULL",
    "CAST(n AS double precision) > 9007199254740992",
    "m > 1 OR n < 0",
    "CASE WHEN n > 9007199254740992 THEN i > 1 ELSE i < 1 END",
    "n > 9007199254740992 AND NOT n = 9007199254740993",
    "n = 'NaN'",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_many_digits_are_compared_as_postgres_does() {
    let table = "CREATE TABLE t (r int, n numeric, m numeric, i bigint, f float8)";
    let place = Place::with("bad_long", &format!("{table}; {}", table.replace("TABLE t", "TABLE s"))).await;
    let values = "0,12345678901234567890.12,12345678901234567890.12,9007199254740993,1e300\n\
                  1,12345678901234567890.13,12345678901234567890.120,1,12345678901234567890\n\
                  2,-12345678901234567890.13,-12345678901234567890.12,-1,-12345678901234567890\n\
                  3,9007199254740993,9007199254740993.00,9007199254740993,9007199254740992\n\
                  4,NaN,Infinity,0,NaN\n5,0.10,0.1,0,0.1\n6,,1,2,3\n";
    place.file("a.csv", format!("r,n,m,i,f\n{values}"));
    place.load("{from: a.csv, table: s}").await.unwrap();
    for condition in LONG {
        let theirs = place.rows(&format!("SELECT * FROM s WHERE {condition}")).await;
        place.run("DROP TABLE IF EXISTS jitney_loads; TRUNCATE t").await;
        let yaml = format!("{{from: a.csv, table: t, transform: {{filter: \"{condition}\"}}}}");
        match place.load(&yaml).await {
            Ok(_) => assert_eq!(place.t().await, theirs, "{condition}"),
            Err(error) => {
                assert_eq!((*condition, error.to_string().contains("`filter`:")), ("n = 'NaN'", true), "{error}")
            }
        }
    }
    let rules = "expect: [{between: {column: n, max: 0.1}}]";
    let yaml = format!("{{from: b.csv, table: t, transform: {{{rules}}}}}");
    place.file("b.csv", "r,n,m,i,f\n1,0.10000000000000000001,,,\n");
    assert_says(&place.refused(&yaml).await, &["`n` is more than 0.1 in 1 of 1 rows"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_trigger_raises_is_its_rows_fault_before_and_after() {
    let place = Place::with("bad_raised", "CREATE TABLE t (id int); CREATE TABLE gone (id int)").await;
    place.file("a.csv", "id\n1\n2\n3\n");
    // Whether the row is rejected: the code is not the server's own or the session's.
    let codes =
        [("0A000", true), ("42P01", true), ("P0001", true), ("28000", true), ("53100", false), ("57014", false)];
    for time in ["BEFORE", "AFTER"] {
        for (code, is_rejected) in codes {
            place.run("DROP TABLE t; CREATE TABLE t (id int); DROP TABLE IF EXISTS jitney_loads").await;
            place
                .run(&format!(
                    "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
                         IF new.id = 2 THEN RAISE ''boom'' USING errcode = ''{code}''; END IF; RETURN new; END';
                     CREATE TRIGGER f {time} INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
                ))
                .await;
            let ended = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await;
            match ended {
                Ok(outputs) => assert!(is_rejected && counts(&outputs) == [3, 2, 1, 0], "{time} {code}"),
                Err(error) => {
                    assert!(!is_rejected, "{time} {code}: {error}");
                    assert!(!error.to_string().contains("COPY t"), "the line of a batch says nothing: {error}");
                }
            }
        }
        // The trigger itself is wrong, and not a row.
        place
            .run(
                "DROP TABLE IF EXISTS gone; CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
                 INSERT INTO gone VALUES (1); RETURN new; END'",
            )
            .await;
        let error = place.refused("{from: a.csv, table: t, if_loaded: load, on_bad_row: {reject: {}}}").await;
        assert_says(&error, &["relation \"gone\" does not exist"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_a_row_that_the_server_does_not_name_says_so() {
    let made = "CREATE TABLE t (id int); CREATE TABLE \"x\ny\" (id int);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not this one''; END';
        CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
    let place = Place::with("bad_unnamed", made).await;
    place.file("a.csv", "id\n1\nx\n");
    let error = place.refused(r#"{from: a.csv, table: "\"x\ny\""}"#).await;
    assert_says(&error, &["a.csv:3:1: `id`: invalid input syntax"]);
    place.file("a.csv", "id\n1\n");
    let error = place.refused("{from: a.csv, table: t}").await;
    assert_says(&error, &["not this one", "Postgres does not say which row it is"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_row_is_kept_as_a_whole_and_a_very_long_one_is_cut_with_a_mark() {
    let place = Place::with("bad_long", "CREATE TABLE t (id int PRIMARY KEY, note text)").await;
    let (long, longer) = ("y".repeat(6000), "z".repeat(2 << 20));
    place.file("a.csv", format!("id,note\n1,a\n1,\"{long},  \"\n1,{long}  \n1,{longer}\n2,b\n"));
    let row = |note: &str| format!("{{\"id\": 1, \"note\": \"{note}\"}}\n");
    place.file("a.ndjson", format!("{}{}{}", row("a"), row(&long), row(&longer)));
    let csv = [format!("1,\"{long},  \""), format!("1,{long}  "), "1,zzz".to_owned()];
    let ndjson = [row(&long).trim_end().to_owned(), "{\"id\": 1, \"note\": \"zzz".to_owned()];
    for (file, rows) in [("a.csv", &csv[..]), ("a.ndjson", &ndjson)] {
        for mode in ["truncate", "{merge: {key: [note]}}"] {
            place.run("TRUNCATE t").await;
            let yaml = format!("{{from: {file}, table: t, mode: {mode}, on_bad_row: {{reject: {{}}}}}}");
            let outputs = place.load(&yaml).await.unwrap();
            let (_, text) = rejected(&place, &outputs);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let kept: Vec<String> = reader.records().map(|record| record.unwrap()[3].to_owned()).collect();
            let (last, whole) = kept.split_last().unwrap();
            assert_eq!((whole, kept.len()), (&rows[..rows.len() - 1], rows.len()), "{file} {mode}");
            assert!(last.starts_with(rows.last().unwrap()) && last.len() < (1 << 20) + 100, "{file} {mode}");
            let size = if file == "a.csv" { longer.len() + 2 } else { row(&longer).len() - 1 };
            assert!(last.ends_with(&format!("z… [cut: the row has {size} bytes]")), "{file} {mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_rejected_rows_is_in_the_order_of_its_lines() {
    let made = "CREATE TABLE t (id int CHECK (id < 5), note text UNIQUE)";
    let place = Place::with("bad_order", made).await;
    place.file("a.csv", "id,note\n1,\"a\nb\"\n9,c\nx,\"d\ne\"\n2,\"a\nb\"\n3\n");
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    let (_, text) = rejected(&place, &outputs);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let kept: Vec<_> =
        reader.records().map(|row| row.map(|row| (row[0].to_owned(), row[3].to_owned())).unwrap()).collect();
    let rows = [("4", "9,c"), ("5", "x,\"d\ne\""), ("7", "2,\"a\nb\""), ("9", "3")];
    assert_eq!(kept, rows.map(|(line, row)| (line.to_owned(), row.to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_count_counts_the_rows_that_were_not_rejected() {
    let kinds = [
        ("CREATE TABLE t (id int CHECK (id > 0), r int)", "append"),
        ("CREATE TABLE t (id int PRIMARY KEY CHECK (id > 0), r int REFERENCES t)", "append"),
        (
            "CREATE TABLE t (id int PRIMARY KEY CHECK (id > 0), r int); INSERT INTO t VALUES (1, 1)",
            "{merge: {key: [id]}}",
        ),
    ];
    let place = Place::new("bad_row_count").await;
    for (made, mode) in kinds {
        // One is the reader's bad row, and one the server's.
        place.file("a.csv", "id,r\n1,\n2,\n-3,\n4\n");
        for (count, says) in [("min: 3", "it has 2 rows, fewer than 3"), ("max: 1", "it has 2 rows, more than 1")] {
            place.run(&format!("DROP TABLE IF EXISTS t, jitney_loads; {made}")).await;
            let before = place.t().await;
            let load = |on_fail: &str| {
                format!(
                    "{{from: a.csv, table: t, mode: {mode}, on_bad_row: {{reject: {{}}}},
                       transform: {{expect: [{{row_count: {{{count}}}, on_fail: {on_fail}}}]}}}}"
                )
            };
            let error = place.refused(&load("fail")).await;
            assert_says(&error, &["the data is not as expected: ", says]);
            assert_eq!((place.t().await, place.ledger().await), (before, String::new()), "{made}");
            let (outputs, log) = place.load_in("e", &load("warn")).await;
            let [read, loaded, rejected, skipped] = counts(&outputs.unwrap());
            assert_eq!((read, loaded + skipped, rejected), (4, 2, 2), "{made}");
            assert_says(&log, &[says]);
        }
        place.run(&format!("DROP TABLE IF EXISTS t, jitney_loads; {made}")).await;
        let rest = "on_bad_row: {reject: {}}, transform: {expect: [{row_count: {min: 2, max: 2}}]}";
        place.load(&format!("{{from: a.csv, table: t, mode: {mode}, {rest}}}")).await.unwrap();
    }
}
