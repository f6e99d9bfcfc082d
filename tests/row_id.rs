//! The row id equals, byte for byte, what Postgres computes from the same values.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common::postgres;
use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use futures_util::SinkExt;
use jitney::stream::ColumnType;
use jitney::tasks::polars::row_id::RowId;
use polars::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_postgres::Client;

const ROWS: usize = 5000;

/// A column's values for this side, and the same values as text that Postgres reads.
struct Values {
    kind: ColumnType,
    postgres: &'static str,
    series: Series,
    texts: Vec<Option<String>>,
}

impl Values {
    fn name(&self) -> &str {
        self.series.name()
    }
}

fn column<T: Clone>(
    random: &mut StdRng,
    (kind, postgres): (ColumnType, &'static str),
    mut value: impl FnMut(&mut StdRng) -> T,
    series: impl Fn(Vec<Option<T>>) -> Series,
    text: impl Fn(&T) -> String,
) -> Values {
    let values: Vec<Option<T>> = (0..ROWS).map(|_| (random.random_range(0..10) > 0).then(|| value(random))).collect();
    let texts = values.iter().map(|value| value.as_ref().map(&text)).collect();
    let name = format!("c_{}", postgres.replace(' ', "_"));
    Values { kind, postgres, series: series(values).with_name(name.into()), texts }
}

fn whole(random: &mut StdRng) -> i64 {
    let edges = [0, 1, -1, 9, 10, 99, 100, i64::MIN, i64::MAX, i64::from(i32::MAX)];
    if random.random() {
        edges[random.random_range(0..edges.len())]
    } else {
        random.random::<i64>() >> random.random_range(0..64)
    }
}

/// Money, any bits, decimals of any length, numbers between two decimals, powers of two, and the special ones.
fn double(random: &mut StdRng) -> f64 {
    let sign = if random.random() { 1.0 } else { -1.0 };
    sign * match random.random_range(0..7) {
        0 => random.random_range(0..100_000) as f64 / 100.0,
        1 => f64::from_bits(random.random()),
        2 => {
            let length = random.random_range(1..18);
            let digits = random.random_range(0..10_i64.pow(length));
            format!("{digits}e{}", random.random_range(-25..25)).parse().unwrap()
        }
        3 => format!("{}e{}", random.random_range(0..100_000), random.random_range(15..40)).parse().unwrap(),
        4 => 2_f64.powi(random.random_range(-1074..1024)),
        5 => {
            let near = 10_f64.powi(random.random_range(-6..18));
            f64::from_bits((near.to_bits() as i64 + random.random_range(-2..3)) as u64)
        }
        _ => [0.0, f64::NAN, f64::INFINITY, 5e-324, f64::MAX, 1e23, 8.41e21, 0.1 + 0.2][random.random_range(0..8)],
    }
}

fn decimal(random: &mut StdRng) -> String {
    let sign = ["", "-", "+"][random.random_range(0..3)];
    let whole = ["", "0", "00", "7", "0012", "123456789012345678901234567890"][random.random_range(0..6)];
    let fraction = ["0", "5", "50", "000", "0001", "12345678901234567890"][random.random_range(0..6)];
    let exponent = ["", "", "", "e0", "E3", "e-4", "e+2"][random.random_range(0..7)];
    format!("{sign}{whole}.{fraction}{exponent}")
}

fn text(random: &mut StdRng) -> String {
    let words = ["", "N", "é", "a,b", "\"q\"", "line\nend", "back\\slash", "\t", "日本", "NULL", " "];
    (0..random.random_range(0..4)).map(|_| words[random.random_range(0..words.len())]).collect()
}

/// A moment from 3000 BC to 20000 AD, most of them in this century.
fn moment(random: &mut StdRng) -> i64 {
    let seconds = match random.random_range(0..4) {
        0 => random.random_range(-156_000_000_000..569_000_000_000_i64),
        _ => random.random_range(1_200_000_000..1_700_000_000),
    };
    let micros = [0, 0, 1, 10, 999_999, 123_450, 500_000][random.random_range(0..7)];
    seconds * 1_000_000 + micros
}

fn date_text(day: NaiveDate) -> (String, &'static str) {
    let year = day.year();
    let (shown, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{shown:04}-{:02}-{:02}", day.month(), day.day()), era)
}

fn moment_text(micros: i64, offset: &str) -> String {
    let time = DateTime::from_timestamp_micros(micros).unwrap().naive_utc();
    let (date, era) = date_text(time.date());
    let (hour, minute, second, micros) = (time.hour(), time.minute(), time.second(), time.nanosecond() / 1000);
    format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}{offset}{era}")
}

fn values() -> Vec<Values> {
    let random = &mut StdRng::seed_from_u64(20_200_401);
    let ints = |values: Vec<Option<i64>>| Series::new("".into(), values);
    let times = |zone: Option<TimeZone>| {
        move |values| ints(values).cast(&DataType::Datetime(TimeUnit::Microseconds, zone.clone())).unwrap()
    };
    let texts = |values: Vec<Option<String>>| Series::new("".into(), values);
    let dates = |values: Vec<Option<i32>>| Series::new("".into(), values).cast(&DataType::Date).unwrap();
    let day = |days: &i32| NaiveDate::default() + chrono::TimeDelta::days(i64::from(*days));
    vec![
        column(random, (ColumnType::Int(64), "bigint"), whole, ints, i64::to_string),
        column(random, (ColumnType::Int(32), "int"), |random| i64::from(random.random::<i32>()), ints, i64::to_string),
        column(
            random,
            (ColumnType::Float, "double precision"),
            double,
            |v| Series::new("".into(), v),
            |v| format!("{v:e}"),
        ),
        column(random, (ColumnType::Text, "text"), text, texts, String::clone),
        column(random, (ColumnType::Numeric, "numeric"), decimal, texts, String::clone),
        column(
            random,
            (ColumnType::Bool, "boolean"),
            |random| random.random(),
            |v: Vec<Option<bool>>| Series::new("".into(), v),
            bool::to_string,
        ),
        column(
            random,
            (ColumnType::Date, "date"),
            |random| random.random_range(-1_000_000..4_000_000),
            dates,
            |days| {
                let (date, era) = date_text(day(days));
                date + era
            },
        ),
        column(random, (ColumnType::Timestamp, "timestamp"), moment, times(None), |v| moment_text(*v, "")),
        column(random, (ColumnType::TimestampTz, "timestamptz"), moment, times(Some(TimeZone::UTC)), |v| {
            moment_text(*v, "+00")
        }),
    ]
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Loads the values and the keys that were computed for them.
async fn load(client: &Client, all: &[Values], keys: &[Column]) {
    let mut names: Vec<String> = all.iter().map(|values| format!("{} {}", values.name(), values.postgres)).collect();
    names.extend(keys.iter().map(|key| format!("{} text", key.name())));
    client.batch_execute(&format!("SET TIME ZONE 'UTC'; CREATE TABLE t ({})", names.join(", "))).await.unwrap();
    let sink = client.copy_in::<_, bytes::Bytes>("COPY t FROM STDIN (FORMAT csv)").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    for row in 0..ROWS {
        let mut fields: Vec<String> =
            all.iter().map(|values| values.texts[row].as_deref().map_or(String::new(), quoted)).collect();
        fields.extend(keys.iter().map(|key| key.str().unwrap().get(row).unwrap().to_owned()));
        sink.send(bytes::Bytes::from(fields.join(",") + "\n")).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), ROWS as u64);
}

/// How many keys differ from Postgres's, with an example.
async fn differing(client: &Client, columns: &[&str], key: &str) -> (i64, Option<String>) {
    let text =
        columns.iter().map(|name| format!("COALESCE(CAST({name} AS text), '')")).collect::<Vec<_>>().join(" || ");
    let query = format!("SELECT count(*), min({text}) FROM t WHERE {key} IS DISTINCT FROM md5({text})");
    let row = client.query_one(&query, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn postgres_computes_the_same_key_from_every_kind_of_value() {
    let all = values();
    let frame = DataFrame::new(ROWS, all.iter().map(|values| values.series.clone().into_column()).collect()).unwrap();
    let kinds: Vec<(String, ColumnType)> = all.iter().map(|values| (values.name().to_owned(), values.kind)).collect();
    let key = |columns: &[(String, ColumnType)], name: String| {
        RowId { columns: columns.to_vec(), name }.column(&frame).unwrap()
    };
    let mut keys: Vec<Column> =
        kinds.iter().map(|kind| key(std::slice::from_ref(kind), format!("key_of_{}", kind.0))).collect();
    keys.push(key(&kinds, "key".to_owned()));

    let client = postgres::client(&postgres::database("row_id").await).await;
    load(&client, &all, &keys).await;
    for (name, _) in &kinds {
        assert_eq!(differing(&client, &[name], &format!("key_of_{name}")).await, (0, None), "keys of {name} differ");
    }
    let names: Vec<&str> = kinds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(differing(&client, &names, "key").await, (0, None), "keys of all columns differ");
}
