//! The key of `row_id` is the server's own MD5 of the row as it is stored, whatever its types and the session's settings.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::load::{Place, assert_says};

const MADE_TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE DOMAIN price AS numeric(8,2);
    CREATE DOMAIN code AS varchar(4);";

type Types = &'static [(&'static str, &'static [&'static str])];

/// A type, and texts that are values of it.
const TYPES: Types = &[
    ("smallint", &["0", "-32768", " 7 ", "+5"]),
    ("bigint", &["-9223372036854775808", "007", "12"]),
    ("real", &["0.1", "-1.5e10", "1e-30", "NaN", "Infinity", "16777217", "0.30000001"]),
    (
        "double precision",
        &["0.1", "-0", "1e22", "NaN", "-Infinity", "123456789.123456789", "0.30000000000000004", ".5"],
    ),
    ("numeric", &["0", "-0.00", "1e5", "1.50e-3", "NaN", "Infinity", ".5", "5.", "0012.50", "+7"]),
    ("numeric(10,2)", &["8.5", "-3", "1.005", "-1.005", "99.995", "1e3", "-0.004", "NaN"]),
    ("numeric(3,0)", &["1.5", "2.5", "-0.5", "998.5"]),
    ("numeric(3,-2)", &["1234", "1250", "-49"]),
    ("boolean", &["t", "TRUE", "no", "1", "off"]),
    ("text", &["", "a,b", "é日本", " blanks ", "back\\slash"]),
    ("varchar(3)", &["", "abc", "日本語", "ab   "]),
    ("char(3)", &["a", "abc", "", " b", "ab   "]),
    ("bpchar", &["a  ", "abc"]),
    ("\"char\"", &["a", "b"]),
    ("name", &["pg_class"]),
    ("json", &["{\"a\":  1}", "[1, null]"]),
    ("jsonb", &["{\"b\": [1, 2.50], \"a\":   \"é\"}", "1e2"]),
    ("uuid", &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}"]),
    ("date", &["2020-02-29", "0001-01-01", "infinity", "0044-03-15 BC"]),
    ("timestamp", &["2020-04-01 00:44:02", "2020-04-01T00:44:02.123456", "infinity", "2020-04-01"]),
    ("timestamp(0)", &["2020-04-01 00:44:02.5", "1999-12-31 23:59:58.5", "1970-01-01 00:00:00.499999"]),
    ("timestamp(3)", &["2020-04-01 00:44:02.1235", "1999-12-31 23:59:58.0005", "2020-04-01"]),
    ("timestamptz", &["2020-04-01 00:44:02Z", "2020-07-01 00:44:02.5+02", "2020-01-01 00:44:02"]),
    ("timestamptz(1)", &["2020-04-01 00:44:02.25Z", "2020-07-01 00:44:02.05"]),
    ("time", &["10:11", "24:00:00"]),
    ("time(1)", &["10:11:12.25"]),
    ("interval", &["1 day 2 hours", "-3 mons", "P1Y2M"]),
    ("interval minute", &["5", "90"]),
    ("money", &["12.5", "-3"]),
    ("int[]", &["{1,2,NULL}", "{}"]),
    ("inet", &["10.0.0.1/8", "::1"]),
    ("bytea", &["\\xDEADbeef", "abc"]),
    ("bit(3)", &["101"]),
    ("int4range", &["[1,5]", "empty"]),
    ("point", &["(1,2.50)"]),
    ("mood", &["sad", "so so"]),
    ("price", &["8.5", "1.005"]),
    ("code", &["ab", "abcd   "]),
];

/// Time zone, date style, float digits, and how intervals and bytes are shown.
const SETTINGS: &[[&str; 5]] = &[
    ["UTC", "ISO, MDY", "1", "postgres", "hex"],
    ["Europe/Berlin", "German, DMY", "0", "iso_8601", "escape"],
    ["America/New_York", "SQL, DMY", "-5", "sql_standard", "hex"],
];

fn quoted(text: Option<&str>) -> String {
    text.map(|text| format!("\"{}\"", text.replace('"', "\"\""))).unwrap_or_default()
}

fn csv(types: Types, random: &mut StdRng) -> String {
    let names: Vec<String> = (0..types.len()).map(|index| format!("c{index}")).collect();
    let mut lines = vec![names.join(",")];
    let longest = types.iter().map(|(_, texts)| texts.len()).max().unwrap();
    for row in 0..longest + 10 {
        let mut value = |texts: &[&'static str]| match texts.get(row) {
            Some(text) => Some(*text),
            None => (random.random_range(0..4) > 0).then(|| texts[random.random_range(0..texts.len())]),
        };
        let fields: Vec<String> = types.iter().map(|(_, texts)| quoted(value(texts))).collect();
        lines.push(fields.join(",") + ",x");
    }
    lines[0] += ",rest";
    lines.join("\n") + "\n"
}

/// Loads values of these types with a key over all of them; the keys that are not the server's.
async fn wrong_keys(place: &Place, table: &str, types: Types, random: &mut StdRng) -> String {
    place.file("keys.csv", csv(types, random));
    let names: Vec<String> = (0..types.len()).map(|index| format!("c{index}")).collect();
    let columns: Vec<String> = names.iter().zip(types).map(|(name, (kind, _))| format!("{name} {kind}")).collect();
    place.run(&format!("CREATE TABLE {table} ({}, rest text, k text)", columns.join(", "))).await;
    let list = names.join(", ");
    let yaml = format!("{{from: keys.csv, table: {table}, transform: {{row_id: {{columns: [{list}], name: k}}}}}}");
    place.load(&yaml).await.unwrap_or_else(|error| panic!("{types:?}: {error:?}"));
    let client = crate::load::postgres::client(&place.url).await;
    let text = names.iter().map(|name| format!("COALESCE(CAST({name} AS text), '')")).collect::<Vec<_>>().join(" || ");
    let wrong =
        format!("SELECT count(*), min({text}) FROM {table} WHERE k IS DISTINCT FROM md5({text}) HAVING count(*) > 0");
    let rows = client.simple_query(&wrong).await.unwrap();
    rows.iter().filter_map(crate::load::line).collect()
}

#[tokio::test]
async fn keys_are_those_of_the_rows_as_they_are_stored() {
    let random = &mut StdRng::seed_from_u64(7);
    for (index, [zone, dates, digits, intervals, bytes]) in SETTINGS.iter().enumerate() {
        let place = Place::with(&format!("row_ids_{index}"), MADE_TYPES).await;
        let database = place.rows("SELECT current_database()").await;
        let settings = [
            ("TimeZone", zone),
            ("DateStyle", dates),
            ("extra_float_digits", digits),
            ("IntervalStyle", intervals),
            ("bytea_output", bytes),
        ];
        for (name, value) in settings {
            place.run(&format!("ALTER DATABASE {database} SET {name} = '{value}'")).await;
        }
        for (column, kind) in TYPES.iter().enumerate() {
            let wrong = wrong_keys(&place, &format!("t{column}"), std::slice::from_ref(kind), random).await;
            assert_eq!(wrong, "", "keys of {} under {settings:?}", kind.0);
        }
        assert_eq!(wrong_keys(&place, "t_all", TYPES, random).await, "", "keys of all columns under {settings:?}");
    }
}

#[tokio::test]
async fn rows_that_the_server_refuses_do_not_disturb_the_keys_of_others() {
    let place = Place::with("row_ids_bad", "CREATE TABLE t (id int, at interval, k text)").await;
    let rows: String =
        (0..2000).map(|id| format!("{id},{}\n", if id % 700 == 3 { "nonsense" } else { "90 min" })).collect();
    place.file("a.csv", format!("id,at\n{rows}"));
    let yaml =
        "{from: a.csv, table: t, transform: {row_id: {columns: [id, at], name: k}}, on_bad_row: {reject: {max: 10}}}";
    let outputs = place.load(yaml).await.unwrap();
    assert_eq!(crate::load::counts(&outputs), [2000, 1997, 3, 0]);
    assert_eq!(place.rows("SELECT count(*) FROM t WHERE k = md5(id::text || at::text)").await, "1997");
    let error = place
        .refused("{from: a.csv, table: t, if_loaded: load, transform: {row_id: {columns: [id, at], name: k}}}")
        .await;
    assert_says(&error, &["invalid input syntax for type interval: \"nonsense\""]);
}

#[tokio::test]
async fn a_column_that_the_steps_read_as_another_type_has_the_key_of_what_is_stored() {
    let place = Place::with("row_ids_typed", "CREATE TABLE t (id int, fare numeric(10,1), k text)").await;
    place.file("a.csv", "id,fare\n 1 ,2.25\n2,7\n");
    let steps = "{schema: {fare: float}, cast: {id: text}, row_id: {columns: [id, fare], name: k}}";
    place.load(&format!("{{from: a.csv, table: t, transform: {steps}}}")).await.unwrap();
    assert_eq!(place.rows("SELECT count(*) FROM t WHERE k = md5(id::text || fare::text)").await, "2");
}

#[tokio::test]
async fn a_key_that_cannot_be_the_stored_rows_is_refused_before_anything_changes() {
    let place = Place::with("row_ids_refused", "CREATE TABLE t (id int, part text, k text)").await;
    place.file("a.csv", "id,part\n1,x\n");
    let error = place
        .refused("{from: a.csv, table: t, mode: {replace_partition: {part: y}}, transform: {row_id: {columns: [id, part], name: k}}}")
        .await;
    assert_says(&error, &["`row_id`", "`part` is not stored"]);
    let sql = "CREATE TABLE u (id int PRIMARY KEY, up int REFERENCES u, at interval, k text)";
    place.run(sql).await;
    place.file("u.csv", "id,up,at\n1,,1 day\n");
    let error = place.refused("{from: u.csv, table: u, transform: {row_id: {columns: [at], name: k}}}").await;
    assert_says(&error, &["`row_id`", "only the server", "`at`"]);
    assert_eq!(place.rows("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM u)").await, "0");
}
