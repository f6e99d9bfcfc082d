//! What is stored equals what the server's own COPY stores, whatever the value and the session's settings, and what it
//! refuses is rejected: random values around every form that a type has.
//!
//! `JITNEY_TEST_VALUES` says how many random values of each type there are, in addition to the forms themselves. All that COPY takes are loaded; of those that even a
//! cast refuses, `JITNEY_TEST_REFUSED` at most, since each takes statements of its own.

mod kinds;
mod numbers;
mod oracle;
mod random;
mod texts;

use crate::load::{Place, counts};
use kinds::{Kind, MADE, Read, built_in, extended, types};
use oracle::{copy_what_fits, sorted_by_cast};
use random::Random;

/// Columns of a table.
const WIDTH: usize = 10;

/// A value of one of the columns.
#[derive(Clone)]
struct Row {
    id: usize,
    value: String,
}

impl Row {
    /// As CSV, without the other columns.
    fn line(&self) -> String {
        format!("{},\"{}\"\n", self.id, self.value.replace('"', "\"\""))
    }

    /// As CSV of so many columns, of which this is one.
    fn wide_line(&self, column: usize, columns: usize) -> String {
        let (before, after) = (",".repeat(column), ",".repeat(columns - 1 - column));
        format!("{},{before}\"{}\"{after}\n", self.id, self.value.replace('"', "\"\""))
    }
}

/// Lines of files with the columns `id`, `v0`, `v1` …
#[derive(Default)]
struct Files {
    /// What COPY takes and this program sends in binary.
    binary: Vec<String>,
    /// What COPY takes else.
    text: Vec<String>,
    /// What COPY refuses.
    refused: Vec<String>,
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Compares the types' values, each type in a column of one table.
async fn compare(place: &Place, types: &[Kind], is_utc: bool, seed: u64) {
    let columns: Vec<String> =
        types.iter().enumerate().map(|(index, kind)| format!("v{index} {}", kind.name)).collect();
    let columns = columns.join(", ");
    place
        .run(&format!(
            "DROP TABLE IF EXISTS copied, sent; CREATE UNLOGGED TABLE copied (id int, {columns});
             CREATE UNLOGGED TABLE sent (id int, {columns}, statement text DEFAULT current_query())"
        ))
        .await;
    let files = files(place, types, is_utc, seed).await;
    let names: Vec<&str> = types.iter().map(|kind| kind.name.as_str()).collect();
    let header = (0..types.len()).fold("id".to_owned(), |header, index| format!("{header},v{index}")) + "\n";
    let load = async |name: &str, lines: &[String], field: &str| {
        place.file(name, header.clone() + &lines.concat());
        let yaml = format!("{{from: {name}, table: sent, on_missing_column: empty{field}}}");
        let loaded = place.load(&yaml).await.unwrap_or_else(|error| panic!("{names:?}: {error}"));
        assert_eq!(counts(&loaded)[0], lines.len() as u64, "rows read of {name}: {names:?}");
    };
    load("binary.csv", &files.binary, "").await;
    let as_text = place.rows("SELECT count(*) FROM sent WHERE statement NOT LIKE '%(FORMAT binary)'").await;
    assert_eq!(as_text, "0", "{names:?}: rows went as text");
    load("text.csv", &files.text, "").await;
    load("refused.csv", &files.refused, ", on_bad_row: {reject: {max: 10000000}}").await;
    assert_same(place, types).await;
}

/// The forms as they are. Those of types that have no forms of their own are too many.
fn always(kind: &Kind) -> &[String] {
    if kind.forms.len() < 200 { &kind.forms } else { &[] }
}

/// Has COPY judge random values.
async fn files(place: &Place, types: &[Kind], is_utc: bool, seed: u64) -> Files {
    let many = number("JITNEY_TEST_VALUES", 50);
    let most_refused = number("JITNEY_TEST_REFUSED", 10);
    let mut files = Files::default();
    for (column, kind) in types.iter().enumerate() {
        let values = Random(seed + column as u64).values(&kind.forms, always(kind), many);
        let values = values.into_iter().filter(|value| !kind.read.is_left_out(value)).enumerate();
        let rows = values.map(|(index, value)| Row { id: column + index * types.len(), value }).collect();
        let (mut rows, refused) = sorted_by_cast(&place.client, &kind.name, rows).await;
        rows.extend(refused.into_iter().take(most_refused));
        let fits = copy_what_fits(&place.client, column, &rows).await;
        let mut refused = 0;
        for (row, fits) in rows.iter().zip(fits) {
            let line = row.wide_line(column, types.len());
            if fits && kind.read.knows(&row.value, is_utc) {
                files.binary.push(line);
            } else if fits {
                files.text.push(line);
            } else if refused < most_refused {
                files.refused.push(line);
                refused += 1;
            }
        }
    }
    files
}

/// The two tables hold the same, to the last bit.
async fn assert_same(place: &Place, types: &[Kind]) {
    let list = |table: &str| (0..types.len()).map(|index| format!("{table}.v{index}")).collect::<Vec<_>>().join(", ");
    let (sent, copied) = (list("sent"), list("copied"));
    let differing = format!(
        "SELECT id, statement, ROW({sent})::text, ROW({copied})::text FROM sent FULL JOIN copied USING (id)
         WHERE sent.id IS NULL OR copied.id IS NULL OR ROW({sent})::record *<> ROW({copied})::record LIMIT 20"
    );
    let names: Vec<&str> = types.iter().map(|kind| kind.name.as_str()).collect();
    assert_eq!(place.rows(&differing).await, "", "sent and copied: {names:?}");
}

/// Compares all types in a database with these settings.
async fn under(name: &str, settings: &str, seed: u64) {
    let place = with_settings(name, settings).await;
    let version: u32 = place.rows("SHOW server_version_num").await.parse().unwrap();
    let is_utc = settings.contains("'UTC'");
    let extensions = place.rows("SELECT name FROM pg_available_extensions").await;
    let extensions: Vec<String> = extensions.lines().map(str::to_owned).collect();
    let mut types = types(version / 10_000);
    for kind in extended(&extensions) {
        let name = kind.name.trim_end_matches("[]");
        place.run(&format!("CREATE EXTENSION IF NOT EXISTS {name}")).await;
        types.push(kind);
    }
    let (known, others): (Vec<Kind>, Vec<Kind>) = types.into_iter().partition(|kind| kind.read != Read::Server);
    for (index, types) in known.chunks(WIDTH).chain(others.chunks(WIDTH)).enumerate() {
        compare(&place, types, is_utc, seed + 100 * index as u64).await;
    }
}

/// A database with these settings, and a session in it that shows all digits.
async fn with_settings(name: &str, settings: &str) -> Place {
    let place = Place::with(&format!("same_{name}"), MADE).await;
    let database = format!("load_same_{name}");
    for setting in settings.split(';').map(str::trim) {
        place.run(&format!("ALTER DATABASE {database} SET {setting}; SET {setting}")).await;
    }
    // The server need not log what it refuses.
    place.run(&format!("ALTER DATABASE {database} SET log_min_messages = panic")).await;
    place.run("SET log_min_messages = panic; SET synchronous_commit = off").await;
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_as_by_copy_in_utc() {
    under("utc", "timezone = 'UTC'", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_as_by_copy_where_days_come_first_and_clocks_change() {
    under("berlin", "timezone = 'Europe/Berlin'; datestyle = 'German, DMY'; intervalstyle = 'iso_8601'", 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_as_by_copy_with_sql_dates_and_an_old_way_of_floats() {
    let settings =
        "timezone = 'America/St_Johns'; datestyle = 'SQL, MDY'; intervalstyle = 'sql_standard'; extra_float_digits = 0";
    under("sql", settings, 20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_as_by_copy_with_years_first_and_settings_of_old() {
    let settings = "timezone = 'Australia/Lord_Howe'; datestyle = 'Postgres, YMD'; intervalstyle = 'postgres_verbose';
        extra_float_digits = -4; bytea_output = 'escape'; array_nulls = off; xmloption = document;
        timezone_abbreviations = 'Australia'";
    under("old", settings, 30_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_every_built_in_type_are_stored_as_by_copy() {
    let place = with_settings("built_in", "timezone = 'UTC'").await;
    // Pseudotypes have no columns; the types that are read here are compared above.
    let sql = "SELECT format_type(oid, NULL) FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace
               AND typtype IN ('b', 'r', 'm') AND typrelid = 0
               AND NOT EXISTS (SELECT FROM pg_type item WHERE item.oid = pg_type.typelem AND item.typtype IN ('c', 'p'))
               AND typname NOT IN ('int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'bool', 'date', 'timestamp',
                                   'timestamptz', 'uuid')";
    let names = place.rows(sql).await;
    let types: Vec<Kind> = names.lines().map(|name| built_in(name.to_owned())).collect();
    assert!(types.len() > 100, "{names}");
    for (index, types) in types.chunks(3 * WIDTH).enumerate() {
        compare(&place, types, true, 40_000 + 100 * index as u64).await;
    }
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
