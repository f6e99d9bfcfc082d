//! Months that are damaged, cut or changed: the error names the place and the remedy, and nothing is committed.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jitney::cli::demo::serve::serve;
use tokio::sync::OnceCell;

use crate::cli::postgres;
use crate::cli::world::{APRIL, CommandOutput, World, expected, held};

/// One database for all: what is refused leaves nothing in it.
static DATABASE: OnceCell<String> = OnceCell::const_new();

async fn world() -> World {
    let url = DATABASE.get_or_init(|| postgres::database("cli_bad_file")).await.clone();
    World::at(url)
}

/// A place whose month has had its text changed.
async fn with_month(change: impl FnOnce(String) -> String) -> World {
    let world = world().await;
    world.month(500);
    let path = world.path(&format!("mirror/green/{APRIL}"));
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(change(text).as_bytes()).unwrap();
    std::fs::write(&path, packed.finish().unwrap()).unwrap();
    world
}

/// The text with every field in its line and column, from 0, changed.
fn map_fields(text: &str, change: impl Fn(usize, Vec<&str>) -> Vec<String>) -> String {
    let lines = text.split_terminator("\r\n").enumerate();
    lines.map(|(number, line)| change(number, line.split(',').collect()).join(",") + "\r\n").collect()
}

fn owned(fields: Vec<&str>) -> Vec<String> {
    fields.into_iter().map(str::to_owned).collect()
}

/// The load fails in these words, and the database stays empty.
async fn refused(world: &World, problem: &str, help: &str) -> CommandOutput {
    let result = world.load().ended(1).without_data().says(problem).says(&format!("help: {help}")).says("FAILED in");
    let there = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let relations: i64 = world.client().await.query_one(there, &[]).await.unwrap().get(0);
    assert_eq!(relations, 0, "something was committed\n{result}");
    assert_eq!(world.newest()["state"], "FAILED");
    result
}

#[tokio::test]
async fn an_invalid_number_is_reported_with_line_and_column() {
    let world = with_month(|text| {
        map_fields(&text, |line, fields| {
            let mut fields = owned(fields);
            if line == 6 {
                fields[9] = "12x.5".into();
            }
            fields
        })
    })
    .await;
    let result = refused(
        &world,
        ": `fare_amount`: invalid input syntax for type double precision: \"12x.5\"",
        "correct the row, or reject such rows",
    )
    .await;
    assert!(result.err.contains(&format!("{APRIL}:7:")), "the line is 7\n{result}");
}

#[tokio::test]
async fn a_file_truncated_within_a_row_is_an_error() {
    let world = with_month(|text| text[..text.len() - 60].to_owned()).await;
    let result = refused(&world, "the file seems to be cut in the middle of its last row", "correct the row").await;
    assert!(result.err.contains(&format!("{APRIL}:501:")), "the line is 501\n{result}");
}

#[tokio::test]
async fn a_truncated_gzip_stream_is_an_error() {
    let world = world().await;
    world.month(500);
    let path = world.path(&format!("mirror/green/{APRIL}"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(&world, "is damaged: its gzip stream is cut short or its checksum is wrong", "download the file again")
        .await;
}

#[tokio::test]
async fn missing_and_renamed_columns_are_named() {
    let rename = |text: String| text.replacen("tip_amount", "tip_amt", 1);
    let world = with_month(rename).await;
    let problem = "the file has a column `tip_amt`, which table `public.green_tripdata` does not have";
    refused(&world, problem, "did you mean `tip_amount` (`transform: {rename: {tip_amt: tip_amount}}`)?").await;
    let drop = |text: String| {
        map_fields(&text, |_, mut fields| {
            fields.remove(12);
            owned(fields)
        })
    };
    let problem = "the file has no column for `tip_amount` of table `public.green_tripdata`";
    refused(&with_month(drop).await, problem, "name the file's column in `transform: {rename: …}`, or leave it empty")
        .await;
    let key = |text: String| text.replacen("fare_amount", "fare", 1);
    let result =
        refused(&with_month(key).await, "`row_id`: there is no column `fare_amount`", "did you mean `fare`?").await;
    assert!(result.err.contains(&format!("{APRIL}:1: ")), "the file and its header are named\n{result}");
    let key = |text: String| text.replacen("trip_distance", "distance", 1);
    let help = "did you mean `distance`? The file has `distance`, which table `public.green_tripdata` does not have";
    refused(&with_month(key).await, "`row_id`: there is no column `trip_distance`", help).await;
}

#[tokio::test]
async fn an_extra_column_is_named() {
    let add = |text: String| {
        map_fields(&text, |line, fields| {
            let mut fields = owned(fields);
            fields.push(if line == 0 { "cbd_fee".into() } else { "0.75".into() });
            fields
        })
    };
    let problem = "the file has a column `cbd_fee`, which table `public.green_tripdata` does not have";
    let result = refused(&with_month(add).await, problem, "").await;
    assert!(result.err.contains("`on_extra_column: ignore`"), "{result}");
}

#[tokio::test]
async fn columns_may_be_in_any_order() {
    let mut world = with_month(|text| {
        map_fields(&text, |_, fields| {
            let mut fields = owned(fields);
            fields.rotate_left(5);
            fields
        })
    })
    .await;
    world.postgres = Some(postgres::database("cli_reordered").await);
    world.load().ended(0);
    let facts = World::new().month(500);
    assert_eq!(held(&world.client().await).await, expected(&facts));
}

#[tokio::test]
async fn a_missing_file_is_reported_with_similar_names_in_the_folder() {
    let world = world().await;
    for month in ["03", "05"] {
        world.write(&format!("mirror/green/green_tripdata_2020-{month}.csv.gz"), "");
    }
    let neighbours = "green_tripdata_2020-03.csv.gz and green_tripdata_2020-05.csv.gz";
    let result = refused(&world, "there is no file `", "looked at ").await;
    assert!(result.err.contains(&format!("the folder has {neighbours}")), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_and_a_web_page_in_place_of_a_file_have_different_errors() {
    let world = world().await;
    world.write("mirror/green/green_tripdata_2020-05.csv.gz", "");
    let shutdown = tokio_util::sync::CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve(world.path("mirror"), shutdown).await.unwrap();
    let source = format!("source=http://{address}");
    let result = world.jitney(&world.load_from(&source)).ended(1).without_data();
    let missing = format!("there is no file at http://{address}/green/{APRIL}: the server answered 404 Not Found");
    result.says(&missing).says("help: the server has green_tripdata_2020-05.csv.gz");
    world.write(&format!("mirror/green/{APRIL}"), "<!doctype html><title>Rate limit</title>");
    let result = world.jitney(&world.load_from(&source)).ended(1).without_data();
    result
        .says("is a web page, where a gzip file was expected: “Rate limit”")
        .says("help: open the address in a browser");
}

#[tokio::test]
async fn rejected_rows_are_kept_by_purge_files() {
    let world = World::new();
    let database = postgres::database("cli_rejects").await;
    world.write("a.csv", "n\n1\nx\n3\n");
    world.write(
        "f.yaml",
        "id: f\nnamespace: n\ntasks:\n  - {id: load, type: postgres.load, from: a.csv, table: t, \
         schema: {n: int}, on_bad_row: reject}\nfinally:\n  - {id: tidy, type: purge_files}\n",
    );
    let result = world.jitney(&["run", "f.yaml", "--postgres", &database]).ended(0);
    let uri = result.err.split_whitespace().find(|word| word.starts_with("jitney:///")).unwrap().to_owned();
    let uri = uri.trim_end_matches([',', ';', '.']);
    result.says(&format!("kept {uri} (1 row)")).says(&format!("Print it: jitney files {uri}"));
    let rows = world.jitney(&["files", uri]).ended(0).out;
    assert!(rows.starts_with("line,column,message,row\n3,1,") && rows.ends_with(",x\n"), "{rows}");
    let id = uri.trim_start_matches("jitney:///").split('/').next().unwrap();
    let listed = world.jitney(&["files", id]).ended(0);
    assert!(listed.out.contains(uri), "{listed}");
    let listed = world.jitney(&["files", id, "--json"]).ended(0).json();
    assert_eq!(listed, serde_json::json!([{"uri": uri, "bytes": rows.len()}]));
    world.jitney(&["files", uri, "-o", "rejected.csv"]).ended(0).without_data();
    assert_eq!(std::fs::read_to_string(world.path("rejected.csv")).unwrap(), rows);
    world.jitney(&["files", uri, "-o", "rejected.csv"]).ended(3).says("rejected.csv already exists");
    for gone in ["jitney:///../../etc/passwd", "jitney:///none/load/a.csv"] {
        world.jitney(&["files", gone]).ended(3).without_data().says("there is no file");
    }
}
