//! `polars.transform`: what comes out of each step, and what a user hears when a step is not possible.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common;
use std::sync::{Arc, Mutex};

use jitney::task::{Outputs, TaskError};
use jitney::tasks;
use serde_json::{Value, json};

const TRIPS: &str = "\
VendorID,pickup,total,flag
1,2020-04-01 00:44:02,8.5,N
2,2020-04-01 00:24:39,6.3,
,2020-04-02 10:00:00,-3.25,Y
2,2020-04-01 00:24:39,6.3,N
";

struct Run {
    home: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Run {
    fn new(text: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("trips.csv"), text).unwrap();
        Self { home, log: Arc::default() }
    }

    /// Runs the task on `trips.csv` with these steps.
    async fn task(&self, steps: Value) -> Result<Outputs, TaskError> {
        let mut fields = json!({"from": "trips.csv", "to": "out.csv"});
        fields.as_object_mut().unwrap().extend(steps.as_object().unwrap().clone());
        let mut context = common::context(self.home.path());
        let log = self.log.clone();
        context.log = Arc::new(move |_, _, line| log.lock().unwrap().push(line.to_owned()));
        (tasks::find("polars.transform").unwrap().run)(fields, Arc::new(context)).await
    }

    fn read(&self, uri: &Value) -> String {
        let context = common::context(self.home.path());
        std::fs::read_to_string(context.input_file("from", uri.as_str().unwrap()).unwrap()).unwrap()
    }
}

/// The new file's text.
async fn transform(steps: Value) -> String {
    let run = Run::new(TRIPS);
    let outputs = run.task(steps).await.unwrap();
    assert_eq!(outputs["rows_read"], 4);
    run.read(&outputs["uri"])
}

async fn error(steps: Value) -> String {
    Run::new(TRIPS).task(steps).await.unwrap_err().to_string()
}

fn schema() -> Value {
    json!({"VendorID": "int", "pickup": "timestamp", "total": "float"})
}

#[tokio::test]
async fn a_name_that_says_no_format_or_another_one_is_refused() {
    for name in ["out.xlsx", "out", "out.json", "out.csv.zst", "out.parquet.gz"] {
        let shown = error(json!({"to": name})).await;
        assert!(shown.contains("name a file `.parquet`, `.csv` or `.csv.gz`"), "{name}: {shown}");
    }
    for name in ["OUT.CSV", "out.pq", "out.csv.gz"] {
        Run::new(TRIPS).task(json!({"to": name})).await.unwrap();
    }
}

#[tokio::test]
async fn without_steps_the_file_stays_as_it_is() {
    assert_eq!(transform(json!({})).await, TRIPS);
}

#[tokio::test]
async fn rows_and_columns_change_in_the_documented_order() {
    let steps = json!({
        "schema": schema(),
        "filter": "total > 0 AND pickup < '2020-04-02'",
        "with_columns": {"cents": "total * 100"},
        "cast": {"cents": "bigint"},
        "rename": {"VendorID": "vendor"},
        "select": ["cents", "vendor"],
    });
    assert_eq!(transform(steps).await, "cents,vendor\n850,1\n630,2\n630,2\n");
}

#[tokio::test]
async fn a_repeated_row_is_dropped_and_the_rest_keeps_its_order() {
    let first = transform(json!({"dedupe": ["VendorID", "pickup"], "select": ["VendorID", "pickup", "flag"]})).await;
    assert_eq!(
        first,
        "VendorID,pickup,flag\n1,2020-04-01 00:44:02,N\n2,2020-04-01 00:24:39,\n,2020-04-02 10:00:00,Y\n"
    );
    let last =
        transform(json!({"dedupe": {"columns": ["vendorid"], "keep": "last"}, "select": ["VendorID", "flag"]})).await;
    assert_eq!(last, "VendorID,flag\n1,N\n,Y\n2,N\n");
}

#[tokio::test]
async fn sql_sees_all_rows() {
    let sql = "SELECT VendorID, COUNT(*) AS trips, SUM(total) AS total FROM self GROUP BY VendorID ORDER BY VendorID NULLS LAST";
    let text = transform(json!({"schema": schema(), "sql": sql})).await;
    assert_eq!(text, "VendorID,trips,total\n1,1,8.5\n2,2,12.6\n,1,-3.25\n");
}

#[tokio::test]
async fn the_row_id_is_the_md5_of_the_text_that_postgres_prints() {
    let steps = json!({"schema": schema(), "row_id": {"columns": ["VendorID", "pickup", "total"]}, "select": ["VendorID", "pickup", "total"]});
    let text = transform(steps).await;
    // echo -n '12020-04-01 00:44:028.5' | md5sum
    assert_eq!(text.lines().nth(1), Some("1,2020-04-01 00:44:02,8.5,0ca7328ade8d3f48d1dabf6b0ff75ec4"));
}

#[tokio::test]
async fn the_row_id_of_a_parquet_file_is_that_of_its_types() {
    let run = Run::new("");
    // Written with Arrow's types `float` and `date64`.
    let content = include_bytes!("load/files/real_and_date64.parquet");
    std::fs::write(run.home.path().join("a.parquet"), content).unwrap();
    let steps =
        json!({"from": "a.parquet", "row_id": {"columns": ["f", "d"]}, "with_columns": {"t": "CAST(f AS text)"}});
    let text = run.read(&run.task(steps).await.unwrap()["uri"]);
    let client = common::postgres::client(&common::postgres::database("transform_row_id").await).await;
    let rows = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()).collect::<Vec<_>>();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let [_, day, real, id] = row.as_slice() else { panic!("{row:?}") };
        let sql = format!(
            "SELECT md5(coalesce(CAST(CAST(nullif('{real}', '') AS real) AS text), '') \
             || coalesce(CAST(CAST(nullif('{day}', '') AS date) AS text), ''))"
        );
        let theirs: String = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(*id, theirs, "{real} {day}");
    }
    assert!(text.contains(",1970-01-01,0.1,"), "{text}");
}

#[tokio::test]
async fn a_file_without_rows_goes_through_every_step() {
    let run = Run::new("VendorID,pickup,total,flag\n");
    let steps = json!({
        "schema": schema(),
        "filter": "total > 0",
        "dedupe": ["pickup"],
        "sql": "SELECT VendorID, total FROM self",
        "row_id": {"columns": ["total"]},
    });
    let outputs = run.task(steps).await.unwrap();
    assert_eq!((&outputs["rows_read"], &outputs["rows_written"]), (&json!(0), &json!(0)));
    assert_eq!(run.read(&outputs["uri"]), "VendorID,total,unique_row_id\n");
}

#[tokio::test]
async fn many_rows_pass_through_files_on_disk_and_leave_none_behind() {
    let rows: String = (0..100_000).map(|row| format!("{},{}\n", row % 70_000, row)).collect();
    let run = Run::new(&format!("key,row\n{rows}"));
    let steps = json!({"schema": {"key": "int", "row": "int"}, "dedupe": ["key"], "sql": "SELECT row FROM self",
                       "expect": [{"unique": ["row"]}, {"row_count": {"min": 70000, "max": 70000}}]});
    let outputs = run.task(steps).await.unwrap();
    let expected: String = (0..70_000).map(|row| format!("{row}\n")).collect();
    assert!(run.read(&outputs["uri"]) == format!("row\n{expected}"), "other rows, or in another order");
    let stored =
        std::fs::read_dir(common::context(run.home.path()).output_file("x").unwrap().path.parent().unwrap()).unwrap();
    assert_eq!(stored.count(), 1, "only the new file should be left");
}

#[tokio::test]
async fn a_failed_expectation_leaves_no_file_and_a_warning_is_logged() {
    let failed = error(json!({"schema": schema(), "expect": [{"not_null": ["VendorID"]}]})).await;
    assert!(failed.starts_with("the data is not as expected: `VendorID` is NULL in 1 of 4 rows"), "{failed}");
    let run = Run::new(TRIPS);
    let rule = json!({"between": {"column": "total", "min": 0}, "on_fail": "warn"});
    let outputs = run.task(json!({"schema": schema(), "expect": [rule]})).await.unwrap();
    assert_eq!(outputs["rows_written"], 4);
    assert_eq!(*run.log.lock().unwrap(), ["`total` is less than 0 in 1 of 4 rows, such as -3.25"]);
}

#[tokio::test]
async fn a_bad_row_is_located_or_set_aside() {
    let text = "a,b\n1,x\n2,y\nthree,z\n4,w\n";
    let failed = Run::new(text).task(json!({"schema": {"a": "int"}})).await.unwrap_err().to_string();
    assert!(failed.starts_with("trips.csv:4:1: "), "{failed}");
    let run = Run::new(text);
    let outputs = run.task(json!({"schema": {"a": "int"}, "on_bad_row": {"reject": {"max": 1}}})).await.unwrap();
    assert_eq!(
        (&outputs["rows_read"], &outputs["rows_written"], &outputs["rows_rejected"]),
        (&json!(4), &json!(3), &json!(1))
    );
    let rejected = run.read(&outputs["rejected_uri"]);
    assert!(rejected.starts_with("line,column,message,row\n4,1,"), "{rejected}");
    assert!(rejected.ends_with("\"three,z\"\n"), "{rejected}");
    let too_many = run.task(json!({"schema": {"a": "int"}, "on_bad_row": {"reject": {"max": 0}}})).await.unwrap_err();
    assert!(too_many.message.contains("more than 0 bad rows"), "{too_many}");
}

#[tokio::test]
async fn expressions_as_long_as_they_may_be_are_worked_out() {
    let sum = format!("total{}", " + 0".repeat(399));
    let and = format!("total > 0{}", " AND total > 0".repeat(133));
    let union = vec!["SELECT total FROM self"; 50].join(" UNION ALL ");
    let steps = json!({"schema": schema(), "filter": and, "with_columns": {"total": sum}, "sql": union});
    let text = transform(steps).await;
    assert!(text.lines().count() > 50 && text.starts_with("total\n"), "{text}");
}

#[tokio::test]
async fn what_is_not_possible_is_said_before_a_row_is_read() {
    let long = format!("total{}", " + 1".repeat(20_000));
    let cases = [
        (json!({"filter": "totl > 0"}), "`filter`: there is no column `totl`\n  help: did you mean `total`?"),
        (
            json!({"select": ["vendor_id"]}),
            "`select`: there is no column `vendor_id`\n  help: did you mean `VendorID`?",
        ),
        (json!({"schema": {"nothing": "int"}}), "help: the columns are `VendorID`, `pickup`, `total`, `flag`"),
        (json!({"filter": "total >"}), "`filter`: "),
        (json!({"filter": "total > 0"}), "`schema` or `cast` gives a column another type"),
        (json!({"filter": "VendorID", "schema": schema()}), "is not true or false"),
        (json!({"filter": "pickup > 'yesterday'", "schema": schema()}), "`yesterday` is not a timestamp"),
        (
            json!({"with_columns": {"share": "total / SUM(total)"}, "schema": schema()}),
            "help: this step looks at one row at a time",
        ),
        (
            json!({"with_columns": {"n": "ROW_NUMBER() OVER (ORDER BY total)"}, "schema": schema()}),
            "`with_columns.n`: ",
        ),
        (json!({"sql": "SELECT totl FROM self"}), "`sql`: there is no column `totl`\n  help: did you mean `total`?"),
        (json!({"sql": "SELECT * FROM read_csv('http://127.0.0.1/x')"}), "`sql`: the query reads `read_csv`"),
        (json!({"filter": "total IN (SELECT a FROM read_csv('x'))"}), "`filter`: an expression cannot hold a query"),
        (json!({"with_columns": {"n": long}}), "`with_columns.n`: more than 400 operators follow one another"),
        (json!({"sql": "SELECT * FROM trips"}), "help: its input is the table `self`: write `SELECT … FROM self`"),
        (json!({"rename": {"flag": "total"}}), "two columns would be named `total`"),
        (json!({"row_id": {"columns": ["total"], "name": "flag"}}), "there is a column `flag` already"),
        (json!({"schema": {"total": "flaot"}}), "unknown value `flaot`"),
        (json!({"selct": ["total"]}), "unknown field `selct`"),
    ];
    for (steps, said) in cases {
        let shown = steps.to_string();
        let error = error(steps).await;
        assert!(error.contains(said), "{shown} gave: {error}");
    }
}

/// Its `from` is the output of another task; all else is taken as it stands.
#[tokio::test]
async fn the_example_runs_on_a_months_columns() {
    let list: Vec<Value> = serde_yaml::from_str(tasks::find("polars.transform").unwrap().example).unwrap();
    let mut fields = list[0].as_object().unwrap().clone();
    fields.retain(|key, _| !["id", "type", "from"].contains(&key.as_str()));
    assert_eq!(fields["to"], "trips.parquet");
    let trips = "VendorID,lpep_pickup_datetime,tip_amount,total_amount\n1,2020-04-01 00:44:02,1.5,8.5\n";
    let outputs = Run::new(trips).task(Value::Object(fields)).await.unwrap();
    assert_eq!(outputs["rows_written"], 1);
}

#[tokio::test]
async fn dates_and_times_are_written_as_postgres_reads_them() {
    let text = "d,t,z\n2020-02-01,2020-01-01 12:00:00.500,2020-01-01 12:00:00+05\n0001-01-01,,\n";
    let steps = json!({"schema": {"d": "date", "t": "timestamp", "z": "timestamptz"}, "with_columns": {
        "far": "d + interval '8000 years'", "near": "d - interval '3000 years'"}});
    let run = Run::new(text);
    let outputs = run.task(steps).await.unwrap();
    assert_eq!(
        run.read(&outputs["uri"]),
        "d,t,z,far,near\n\
         2020-02-01,2020-01-01 12:00:00.5,2020-01-01 07:00:00+00,10020-02-01 00:00:00,0981-02-01 00:00:00 BC\n\
         0001-01-01,,,8001-01-01 00:00:00,3000-01-01 00:00:00 BC\n"
    );
}

#[tokio::test]
async fn the_mark_of_an_end_is_quoted_in_a_file_of_one_column() {
    let run = Run::new("note,id\n\\.,1\n\"say \"\"x\"\"\",2\n,3\n\"\",4\n");
    let outputs = run.task(json!({"select": ["note"]})).await.unwrap();
    assert_eq!(run.read(&outputs["uri"]), "note\n\"\\.\"\n\"say \"\"x\"\"\"\n\n\"\"\n");
}

#[tokio::test]
async fn bytes_are_written_as_postgres_reads_them() {
    use polars::prelude::{Column, DataFrame, ParquetWriter};
    let run = Run::new("");
    let bytes = [Some(&b"\\x41"[..]), Some(b"\x00\xff"), None];
    let mut frame = DataFrame::new(3, vec![Column::new("b".into(), &bytes[..])]).unwrap();
    let file = std::fs::File::create(run.home.path().join("b.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut frame).unwrap();
    let outputs = run.task(json!({"from": "b.parquet"})).await.unwrap();
    assert_eq!(run.read(&outputs["uri"]), "b\n\\x5c783431\n\\x00ff\n\n");
}
