//! Conversions of a step, and numbers of single precision, have Postgres's results.

use jitney::stream::{ColumnType, LINE};
use jitney::tasks::polars::Transform;
use jitney::tasks::polars::spec::{Pairs, TypeName};
use polars::prelude::*;

use crate::load::Place;
use crate::load::step_semantics::{off_runtime, stored_of};

/// A row with one column `v`, and its line.
fn row(value: Column) -> DataFrame {
    DataFrame::new(1, vec![value, Column::new(LINE.into(), [2_i64])]).unwrap()
}

/// What tells our result from Postgres's, if anything; both may refuse.
fn difference(
    what: &str,
    ours: &Result<Option<String>, String>,
    theirs: Result<Option<String>, tokio_postgres::Error>,
) -> Option<String> {
    let is_right = match (ours, &theirs) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Err(_), Err(_)) => true,
        _ => false,
    };
    let theirs = theirs.map_err(|error| error.as_db_error().unwrap().message().to_owned());
    (!is_right).then(|| format!("{what}: {ours:?}, and Postgres says {theirs:?}"))
}

/// The value of a text as readers have one of a type.
fn read(text: &str, kind: ColumnType) -> Column {
    let texts = Column::new("v".into(), [text]);
    match kind {
        ColumnType::Bool => Column::new("v".into(), [text == "t"]),
        ColumnType::Int(_) => Column::new("v".into(), [text.parse::<i64>().unwrap()]),
        ColumnType::Float => Column::new("v".into(), [text.parse::<f64>().unwrap()]),
        ColumnType::Real => Column::new("v".into(), [f64::from(text.parse::<f32>().unwrap())]),
        ColumnType::Date => {
            let days = text.parse::<chrono::NaiveDate>().unwrap() - chrono::NaiveDate::default();
            Column::new("v".into(), [i32::try_from(days.num_days()).unwrap()]).cast(&DataType::Date).unwrap()
        }
        ColumnType::Timestamp | ColumnType::TimestampTz => {
            let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap();
            let zone = (kind == ColumnType::TimestampTz).then_some(TimeZone::UTC);
            let micros = Column::new("v".into(), [time.and_utc().timestamp_micros()]);
            micros.cast(&DataType::Datetime(TimeUnit::Microseconds, zone)).unwrap()
        }
        _ => texts,
    }
}

/// Types of columns with texts of their values.
const VALUES: &[(&str, ColumnType, &[&str])] = &[
    (
        "text",
        ColumnType::Text,
        &[
            "t",
            "T",
            " t ",
            "tru",
            "yes",
            "ye",
            "on",
            "o",
            "of",
            "off",
            "nO",
            "1",
            "0",
            "2",
            "",
            "maybe",
            "2020-01-31",
            " 2020-01-31 ",
            "2020-1-2",
            "2020-02-30",
            "2020-13-01",
            "2020-01-31 10:11:12.123456789",
            "2020-01-31 10:11:12.1234565",
            "2020-01-31 10:11:12.9999999",
            "20200131",
            "20200131T101112Z",
            "20200131 101112.5",
            "2020/01/31",
            "2020/1/31 10:11:12+02",
            "2020.01.31",
            "2020-Jan-31",
            "2020-jAN-1 10:11",
            "2020-01-31 24:00",
            "2020-01-31 24:00:00",
            "2020-01-31 24:00:01",
            "2020-01-31 10:11:60",
            "2020-01-31 10:11:60.5",
            "2020-01-31 10:11:61",
            "2020-01-31 10:11 PM",
            "2020-01-31 10:11:12.5pm",
            "2020-01-31 12:11 am",
            "2020-01-31 13:11 PM",
            "20200230",
            "2020-01-31 10:11:12",
            "2020-01-31T10:11:12.5",
            "2020-01-31 1:02:03",
            "2020-01-31 10:11",
            "2020-01-31 24:11:00",
            "2020-01-31 10:11:12+00",
            "2020-01-31 10:11:12+05:30",
            "2020-01-31 10:11:12Z",
            "2020-1-31-05",
            " 42 ",
            "+7",
            "7.5",
            "1e3",
            "32768",
            "99999999999999999999",
            "NaN",
            "-Infinity",
            "1e400",
            "1e-400",
            "abc",
            "1.50",
            " 1.50 ",
            ".5",
            "5.",
            "0.10",
        ],
    ),
    ("boolean", ColumnType::Bool, &["t", "f"]),
    ("smallint", ColumnType::Int(16), &["0", "1", "-32768"]),
    ("integer", ColumnType::Int(32), &["0", "1", "32768", "16777217"]),
    ("bigint", ColumnType::Int(64), &["0", "1", "2147483648", "9007199254740993"]),
    (
        "double precision",
        ColumnType::Float,
        &[
            "0",
            "-0",
            "0.1",
            "0.30000000000000004",
            "2.5",
            "-3.5",
            "1e15",
            "100000",
            "1e20",
            "1e-7",
            "1e300",
            "NaN",
            "-Infinity",
        ],
    ),
    ("real", ColumnType::Real, &["0", "0.1", "2.5", "-3.5", "16777216", "1e-7", "3.4e38", "NaN", "123456.789"]),
    (
        "numeric",
        ColumnType::Numeric,
        &[
            "0",
            "1",
            "1.10",
            "1e5",
            "1.50e-3",
            "2.5",
            "-2.5",
            "123456789012345678901234567890.5",
            "1e400",
            "NaN",
            "0.000",
        ],
    ),
    ("date", ColumnType::Date, &["2020-01-31", "1969-12-31", "9999-12-31"]),
    ("timestamp", ColumnType::Timestamp, &["2020-01-31 10:11:12.1", "1969-12-31 23:59:59", "2020-01-31 00:00:00"]),
    ("timestamptz", ColumnType::TimestampTz, &["2020-01-31 10:11:12.000001", "1969-12-31 23:59:59"]),
];

const TARGETS: &[(&str, TypeName)] = &[
    ("text", TypeName::Text),
    ("smallint", TypeName::Smallint),
    ("integer", TypeName::Int),
    ("bigint", TypeName::Bigint),
    ("double precision", TypeName::Float),
    ("numeric", TypeName::Numeric),
    ("boolean", TypeName::Bool),
    ("date", TypeName::Date),
    ("timestamp", TypeName::Timestamp),
    ("timestamptz", TypeName::Timestamptz),
];

#[tokio::test]
async fn the_step_cast_has_postgres_results() {
    let place = Place::new("step_casts").await;
    let mut wrong = Vec::new();
    for (own, kind, texts) in VALUES {
        let file = [("v".to_owned(), Some(*kind))];
        for (text, (name, target)) in texts.iter().flat_map(|text| TARGETS.iter().map(move |target| (text, target))) {
            if text.contains("nfinity")
                && matches!(target, TypeName::Date | TypeName::Timestamp | TypeName::Timestamptz)
            {
                // See below.
                continue;
            }
            let sql = format!("SELECT CAST(CAST(CAST('{text}' AS {own}) AS {name}) AS text)");
            let theirs = place.client.query_one(&sql, &[]).await.map(|row| row.get::<_, Option<String>>(0));
            let steps = Transform { cast: Pairs(vec![("v".to_owned(), *target)]), ..Transform::default() };
            let ours = off_runtime(|| stored_of(&file, &steps, None, &row(read(text, *kind))));
            wrong.extend(difference(&format!("'{text}'::{own}::{name}"), &ours, theirs));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Texts that Postgres takes, and whose meaning depends on its settings or has no place in a step.
const REJECTED: &[(&str, TypeName)] = &[
    ("01/02/2020", TypeName::Date),
    ("Jan 2 2020", TypeName::Date),
    ("infinity", TypeName::Date),
    ("0044-03-15 BC", TypeName::Date),
    ("now", TypeName::Timestamp),
    ("-infinity", TypeName::Timestamp),
    ("2020-01-31 10:00 America/New_York", TypeName::Timestamptz),
];

#[test]
fn a_text_that_only_the_server_could_read_is_a_bad_row() {
    for (text, target) in REJECTED {
        let file = [("v".to_owned(), Some(ColumnType::Text))];
        let steps = Transform { cast: Pairs(vec![("v".to_owned(), *target)]), ..Transform::default() };
        let error = off_runtime(|| stored_of(&file, &steps, None, &row(read(text, ColumnType::Text)))).unwrap_err();
        assert!(error.starts_with(&format!("`cast.v`: `{text}` is not a ")), "{error}");
    }
}

/// Expressions over `v`, a `real`.
const SINGLE: &[&str] = &[
    "v",
    "v + v",
    "v - v / 3::float8",
    "v * v",
    "v / v",
    "v * v * v * v * v * v",
    "v + 1",
    "v * 0.1",
    "v / 3",
    "-v",
    "abs(v)",
    "v + v > v",
    "v = 0.1",
    "v = 2.5",
    "coalesce(v, 0.1)",
    "coalesce(v, 16777217)",
    "greatest(v, 1)",
    "CASE WHEN v > 1 THEN v ELSE 0.1 END",
    "nullif(v, 0)",
    "CAST(v AS text)",
    "CAST(v AS double precision)",
    "CAST(v AS double precision) * v",
    "CAST(v AS int)",
    "'x' || v",
    "concat(v, 'x')",
    "round(v)",
    "sqrt(abs(v))",
];

#[tokio::test]
async fn numbers_of_single_precision_are_counted_in_it() {
    let place = Place::new("step_reals").await;
    let file = [("v".to_owned(), Some(ColumnType::Real))];
    let mut wrong = Vec::new();
    for sql in SINGLE {
        for text in ["0", "0.1", "2.5", "-3.5", "1e-30", "3e30", "123456.79", "NaN"] {
            let query = format!("SELECT CAST(({sql}) AS text) FROM (SELECT CAST('{text}' AS real) AS v) AS x");
            let theirs = place.client.query_one(&query, &[]).await.map(|row| row.get::<_, Option<String>>(0));
            let steps =
                Transform { with_columns: Pairs(vec![("v".to_owned(), (*sql).to_owned())]), ..Transform::default() };
            let ours = off_runtime(|| stored_of(&file, &steps, None, &row(read(text, ColumnType::Real))));
            wrong.extend(difference(&format!("{sql} of {text}"), &ours, theirs));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let sum = Transform { sql: Some("SELECT sum(v) AS v FROM self".to_owned()), ..Transform::default() };
    let error = off_runtime(|| stored_of(&file, &sum, None, &row(read("1", ColumnType::Real)))).unwrap_err();
    assert!(error.contains("in single precision"), "{error}");
}
