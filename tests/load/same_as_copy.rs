//! What is stored equals what the server's own COPY stores, whatever the value and the session's settings, and what it
//! refuses is rejected: random values around every form that a type has.
//!
//! `JITNEY_TEST_VALUES` says how many values of each type there are.

use crate::{Place, counts};

const TYPES: &[(&str, &[&str])] = &[
    ("smallint", NUMBERS),
    ("int", NUMBERS),
    ("bigint", NUMBERS),
    ("real", NUMBERS),
    ("double precision", NUMBERS),
    ("numeric", NUMBERS),
    ("numeric(6,2)", NUMBERS),
    ("numeric(3,-2)", NUMBERS),
    ("small", NUMBERS),
    ("money", NUMBERS),
    ("oid", NUMBERS),
    ("boolean", TRUTHS),
    ("date", MOMENTS),
    ("timestamp", MOMENTS),
    ("timestamptz", MOMENTS),
    ("timestamp(0)", MOMENTS),
    ("timestamptz(3)", MOMENTS),
    ("time", MOMENTS),
    ("timetz", MOMENTS),
    ("interval", INTERVALS),
    ("text", TEXTS),
    ("varchar(4)", TEXTS),
    ("char(4)", TEXTS),
    ("\"char\"", TEXTS),
    ("name", TEXTS),
    ("bytea", TEXTS),
    ("mood", TEXTS),
    ("uuid", UUIDS),
    ("json", JSONS),
    ("jsonb", JSONS),
    ("xml", JSONS),
    ("int[]", ARRAYS),
    ("text[]", ARRAYS),
    ("numrange", ARRAYS),
    ("pair", ARRAYS),
    ("inet", NETS),
    ("macaddr", NETS),
    ("bit(4)", NUMBERS),
    ("varbit", NUMBERS),
    ("point", ARRAYS),
    ("tsvector", TEXTS),
    ("code", TEXTS),
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "7",
    "+7",
    "42 ",
    " 13",
    "1.0",
    "1.",
    ".5",
    "-.5",
    "0.1",
    "2.675",
    "1e3",
    "-1E-3",
    "1e400",
    "1e-400",
    "1e39",
    "1e-46",
    "123456789.123456789",
    "12345678901234567890.123456789",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "32767",
    "32768",
    "2147483648",
    "0x1F",
    "1_000",
    "0b101",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "+infinity",
    "1.00000017881393432617187499",
    "16777217",
    "4.35",
    "99.995",
    "9999.994",
    "9999.995",
    "0.30000000000000004",
    "5e-324",
    "2.2250738585072011e-308",
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880",
    "1e20000",
    "1e-20000",
    "$12.50",
    "1,5",
    "1,234.5",
    "1010",
    "10101",
    "4294967295",
    "0e999999",
    "--1",
    "1e",
    "e1",
    "12x",
    "٣",
];
const TRUTHS: &[&str] = &[
    "t", "f", "true", "FALSE", "tr", "fals", "yes", "NO", "y", "n", "on", "off", "of", "o", "1", "0", "2", " true ",
    "T", "ye", "nein", "truee",
];
const MOMENTS: &[&str] = &[
    "2020-04-01",
    "2020-04-01 00:44:02",
    "2020-04-01T00:44:02Z",
    "2020-04-01 00:44:02.5",
    "2020-04-01 00:44:02.123456789",
    "2020-04-01 00:44:02.9999995",
    "2020-4-1 0:44:02",
    "04/01/2020 12:44:02 AM",
    "13/01/2020",
    "01.04.2020 10:00",
    "April 1, 2020 10:00",
    "1 Apr 2020",
    "20200401",
    "20200401T004402",
    "2020-04-01 24:00:00",
    "2020-04-01 23:59:60",
    "2020-04-01 24:00:01",
    "0044-03-15 12:00:00 BC",
    "0001-01-01",
    "0000-01-01",
    "infinity",
    "-infinity",
    "epoch",
    "2020-02-29",
    "2021-02-29",
    "2020-13-01",
    "2020-04-31",
    "10000-01-01",
    "294276-12-31",
    "294277-01-01",
    "4714-11-24 BC",
    "4714-11-23 BC",
    "5874897-12-31",
    "2020-04-01 12:00:00+02",
    "2020-04-01 12:00:00-05:30",
    "2020-04-01 12:00:00 CET",
    "2020-04-01 12:00:00 Europe/Berlin",
    "2020-03-29 02:30:00",
    "2020-10-25 02:30:00",
    "2020-04-01 12:00:00+15:59:59",
    "2020-04-01 12:00:00+16",
    "2020-04-01 12:00:00 UTC",
    "2020-04-01 12:00:00 z",
    "2020-04-01  12:00",
    " 2020-04-01 12:00 ",
    "2020-04-01 12",
    "2020-04-01 12:00:00.",
    "2020-04-01t12:00",
    "2020.092",
    "J2451187",
    "08:30",
    "08:30:05.25",
    "083005",
    "8:30 PM",
    "24:00",
    "23:59:60",
    "04:05:06.789-8",
    "04:05:06 PST",
    "allballs",
    "2020-04-01 12:00:00 AD",
    "99-01-08",
    "2020-04-01 12:00:00 +02",
    "2020-04-01 12:00:00,5",
    "2020-04-01 12:00:00.1234567 +00",
    "yesterdayy",
    "1020-04-01 00:00",
    "2020-04-01 12:60:00",
    "2020-04-01 25:00:00",
    "2020-04-01 12:00:61",
    "0100-01-01 00:00:00",
];
const INTERVALS: &[&str] = &[
    "1 day 02:00:00",
    "1 day",
    "-1 day +02:03:04",
    "P1Y2M3DT4H5M6.789S",
    "1-2",
    "3 4:05:06",
    "1.5 hours",
    "2 weeks ago",
    "1 mon -1 day",
    "@ 1 minute",
    "00:00:00.0000005",
    "1e3 s",
    "178000000 years",
    "1 fortnight",
    "1 year 13 mons",
    "infinity",
];
const TEXTS: &[&str] = &[
    "abc",
    "abcd",
    "abcde",
    "abcd   ",
    "a\tb",
    "a\\b",
    "\\N",
    "\\.",
    "a\nb",
    "a\r\nb",
    "é",
    "日本語だ",
    "\"",
    "a\"b",
    "'",
    "a,b",
    "\\xdeadbeef",
    "\\xDEADBEE",
    "\\x zz",
    "\\000\\001",
    "\\\\",
    "happy",
    "sad",
    "angry",
    "fat:1 rat",
    "'fat cat':3A",
    "AB",
    "ab",
    "\u{feff}a",
    "NULL",
    "🚕",
    "a\u{b}b",
    "\u{7f}",
    "sixty-four bytes are one more than a name of Postgres's may have, so it is cut",
];
const UUIDS: &[&str] = &[
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
    "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
    "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
    "+0eebc999c0b4ef8bb6d6bb9bd380a11",
    "{{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}}",
    " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ",
    "a-0eebc999c0b-4ef8-bb6d-6bb9bd380a11",
];
const JSONS: &[&str] = &[
    "{}",
    "[]",
    "{\"a\": 1}",
    "{\"a\":1,\"a\":2}",
    "[1, 2.50, 1e5]",
    "\"x\"",
    "null",
    "true",
    "1e400",
    "{bad}",
    "\"\\u0000\"",
    "\"\\ud83d\\ude95\"",
    "\"\\ud83d\"",
    "{\"a\": \"\t\"}",
    " {\"b\" : [ ] } ",
    "[1,]",
    "01",
    "-0",
    "12345678901234567890.10",
    "<a>1</a>",
    "<a>",
    "<?xml version=\"1.0\"?><a/>",
    "\"a\nb\"",
    "'a'",
    "NaN",
    "{\"z\":1,\"aa\":2}",
];
const ARRAYS: &[&str] = &[
    "{1,2,NULL}",
    "{}",
    "{{1,2},{3,4}}",
    "{1,x}",
    "{\"a b\",c\\,d,\"\"}",
    "[2:3]={1,2}",
    "{1",
    "[1,5)",
    "(,3]",
    "empty",
    "[5,1]",
    "(1,x)",
    "(1,\"a,b\")",
    "(,)",
    "(1,2)",
    "1,2",
    "(1e3, -2)",
    "{\"null\"}",
    "{NULL}",
    "{ 1 , 2 }",
    "{1}{2}",
];
const NETS: &[&str] = &[
    "10.0.0.1",
    "10.0.0.1/8",
    "::1",
    "2001:db8::/32",
    "10.1",
    "256.0.0.1",
    "08:00:2b:01:02:03",
    "08002b:010203",
    "0800.2b01.0203",
    "10.0.0.1/33",
    "::ffff:1.2.3.4",
    "010.0.0.1",
];
/// What a mutation puts in.
const LETTERS: &[char] = &[
    '0', '1', '5', '9', '-', '+', '.', ':', ' ', 'e', 'E', 'T', 'Z', 'a', 'x', ',', '/', '_', '"', '\\', '{', '}', '(',
    't', 'é', '\t', 'N',
];

const MADE: &str = "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN small AS int CHECK (value < 100); CREATE DOMAIN upper_case AS text CHECK (value = upper(value));
    CREATE DOMAIN code AS upper_case CHECK (length(value) < 4);";

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // The constants of Knuth's MMIX generator.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// One of the forms, as it is or with some letters changed.
    fn value(&mut self, forms: &[&str]) -> String {
        let mut letters: Vec<char> = forms[self.below(forms.len())].chars().collect();
        for _ in 0..[0, 0, 1, 1, 2][self.below(5)] {
            let at = self.below(letters.len() + 1);
            let letter = LETTERS[self.below(LETTERS.len())];
            match self.below(3) {
                0 => letters.insert(at, letter),
                1 if at < letters.len() => letters[at] = letter,
                _ if at < letters.len() => drop(letters.remove(at)),
                _ => {}
            }
        }
        letters.into_iter().collect()
    }
}

fn csv(rows: &[(usize, String)]) -> String {
    let rows = rows.iter().map(|(id, value)| format!("{id},\"{}\"\n", value.replace('"', "\"\"")));
    "id,v\n".to_owned() + &rows.collect::<String>()
}

/// What the manual of `postgres.load` promises beyond COPY: blanks are NULL unless the column holds text, and zeros may
/// follow the point of a whole number.
fn is_left_out(kind: &str, value: &str) -> bool {
    let is_whole = ["smallint", "int", "bigint", "small"].contains(&kind);
    let zeros = value.trim().split_once('.').is_some_and(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
    value.trim_ascii().is_empty() || is_whole && zeros
}

async fn compare(place: &Place, kind: &str, forms: &[&str], seed: u64) {
    let many = std::env::var("JITNEY_TEST_VALUES").ok().and_then(|many| many.parse().ok()).unwrap_or(100);
    let mut random = Random(seed);
    let values = (0..many).map(|_| random.value(forms)).filter(|value| !is_left_out(kind, value));
    let values: Vec<(usize, String)> = values.enumerate().collect();
    let tables = ["t", "copied", "sent"].map(|name| format!("CREATE TABLE {name} (id int, v {kind});")).concat();
    place.run(&format!("DROP TABLE IF EXISTS t, copied, sent; {tables}")).await;
    let mut good = Vec::new();
    for row in &values {
        if copy(place, &csv(std::slice::from_ref(row))).await.is_ok() {
            good.push(row.clone());
        }
    }
    place.file("good.csv", csv(&good));
    place.load("{from: good.csv, table: sent}").await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    place.file("all.csv", csv(&values));
    let loaded = place.load("{from: all.csv, table: t, on_bad_row: {reject: {max: 100000}}}").await.unwrap();
    let [read, stored, rejected, skipped] = counts(&loaded);
    assert_eq!((read, stored, skipped), (values.len() as u64, good.len() as u64, 0), "{kind}: {rejected} rejected");
    for table in ["sent", "t"] {
        let differing = format!(
            "SELECT id, a.v::text, b.v::text FROM {table} a FULL JOIN copied b USING (id)
             WHERE a.v::text IS DISTINCT FROM b.v::text OR a.id IS NULL OR b.id IS NULL"
        );
        assert_eq!(place.rows(&differing).await, "", "{kind}: {table} and COPY");
    }
}

/// The server's own COPY.
async fn copy(place: &Place, text: &str) -> Result<u64, tokio_postgres::Error> {
    let sink = place.client.copy_in("COPY copied FROM STDIN (FORMAT csv, HEADER)").await?;
    let mut sink = std::pin::pin!(sink);
    futures_util::SinkExt::send(&mut sink, bytes::Bytes::from(text.to_owned())).await?;
    sink.finish().await
}

async fn under(name: &str, settings: &str, seed: u64) {
    let place = Place::with(&format!("same_{name}"), MADE).await;
    let database = format!("load_same_{name}");
    for setting in settings.split(';').map(str::trim).filter(|setting| !setting.is_empty()) {
        place.run(&format!("ALTER DATABASE {database} SET {setting}; SET {setting}")).await;
    }
    for (index, (kind, forms)) in TYPES.iter().enumerate() {
        compare(&place, kind, forms, seed + index as u64).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_as_by_copy_in_utc() {
    under("utc", "timezone = 'UTC'", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_as_by_copy_where_days_come_first_and_clocks_change() {
    under("berlin", "timezone = 'Europe/Berlin'; datestyle = 'German, DMY'; intervalstyle = 'iso_8601'", 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_as_by_copy_with_sql_dates_and_an_old_way_of_floats() {
    let settings =
        "timezone = 'America/St_Johns'; datestyle = 'SQL, MDY'; intervalstyle = 'sql_standard'; extra_float_digits = 0";
    under("sql", settings, 2000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_and_checks_make_texts_of_dates_as_in_any_session() {
    let table = "(day date CHECK (day::text LIKE '__.__.____'), shown text DEFAULT '2020-02-01'::date::text)";
    let place = Place::with("same_dates", &format!("CREATE TABLE t {table}; CREATE TABLE u {table}")).await;
    let database = place.rows("SELECT current_database()").await;
    place.run(&format!("ALTER DATABASE {database} SET datestyle = 'German, DMY'")).await;
    place.file("a.csv", "day\n2020-03-04\n");
    place.load("{from: a.csv, table: t}").await.unwrap();
    assert_eq!(place.rows("SELECT shown FROM t").await, "01.02.2020");
    place
        .run_in("e1", 1, "postgres.copy_in", "{from: a.csv, table: u, format: CSV, header: true, columns: [day]}")
        .await
        .0
        .unwrap();
    assert_eq!(place.rows("SELECT shown FROM u").await, "01.02.2020");
}
