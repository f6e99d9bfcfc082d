//! Flows in the constructs of the Zoomcamp's course, run as a student runs them: by the program, with Kestra's type
//! names, on real Postgres, Python and DuckDB.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(dead_code, reason = "the world offers more than these tests use")]

use self::world::{World, expected, held};
use crate::cli::world;
use jitney::cli::demo::serve::serve;
use jitney::postgres::{AddressOrigin, PostgresAddress};
use tokio_util::sync::{CancellationToken, DropGuard};

const ROWS: u64 = 3000;

/// A flow of the folder `flows`, copied to where a user would have it.
fn flow(world: &World, name: &str) -> String {
    let text = std::fs::read_to_string(format!("{}/tests/course/flows/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let text = match &world.postgres {
        Some(url) => {
            let address = PostgresAddress::parse(url, AddressOrigin::Flag).unwrap();
            let (login, server) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
            let (user, password) = login.split_once(':').unwrap();
            assert!(server.contains(&address.port().to_string()));
            text.replace("SERVER/DATABASE", server).replace("USER", user).replace("PASSWORD", password)
        }
        None => text,
    };
    world.write(name, text).display().to_string()
}

/// A mirror of what is in the world's folder `mirror`.
async fn mirror(world: &World) -> (String, DropGuard) {
    let shutdown = CancellationToken::new();
    let guard = shutdown.clone().drop_guard();
    let (address, _) = serve(world.path("mirror"), shutdown).await.unwrap();
    (format!("mirror=http://{address}"), guard)
}

#[test]
fn hello_world() {
    let world = World::new();
    let flow = flow(&world, "hello_world.yaml");
    world.jitney(&["validate", &flow]).ended(0);
    let ran = world.jitney(&["run", &flow, "-i", "name=Ada"]).ended(0);
    let lines = ["Hello, Ada!", "This is an output: I was generated during this workflow.", "Goodbye, Ada!"];
    lines.iter().fold(ran, |ran, line| ran.says(line));
}

#[test]
fn a_python_script_gives_outputs_through_the_package_of_kestra() {
    let world = World::new();
    let flow = flow(&world, "python.yaml");
    world.jitney(&["run", &flow, "--script-runner", "process"]).ended(0).says("Downloads: 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_to_python_to_duckdb() {
    let world = World::new();
    flow(&world, "data_pipeline.yaml");
    let product = |brand: &str, price: f64| serde_json::json!({"brand": brand, "price": price, "stock": 3});
    let products = serde_json::json!({"products": [product("A", 1.0), product("B", 9.5), product("A", 2.5)]});
    world.write("mirror/products.json", products.to_string());
    let (mirror, _stop) = mirror(&world).await;
    // From the flow's own folder, as most people do.
    world.jitney(&["run", "data_pipeline.yaml", "-i", &mirror]).ended(0);
    let execution = world.jitney(&["executions", "show", &world.newest_id(), "--json"]).ended(0).json();
    assert_eq!(execution["tasks"]["query"]["outputs"]["size"], 2, "{execution}");
    let stored = world.left_in_storage().into_iter().find(|file| file.to_string_lossy().contains("/query/")).unwrap();
    let rows = std::fs::read_to_string(stored).unwrap();
    assert!(rows.find("\"B\"").unwrap() < rows.find("1.75").unwrap(), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_taxi_flow_in_sql_loads_what_the_native_flow_loads() {
    let native = World::with_database("course_native").await;
    let facts = native.month(ROWS);
    native.load().ended(0);
    let mut world = World::with_database("course_sql").await;
    world.month(ROWS);
    let flow = flow(&world, "postgres_taxi.yaml");
    let client = world.client().await;
    // The flow's own address must do.
    world.postgres = None;
    let (mirror, _stop) = mirror(&world).await;
    let run = ["run", &flow, "-i", &mirror, "-i", "taxi=green", "-i", "year=2020", "-i", "month=04"];
    for _ in 0..2 {
        world.jitney(&run).ended(0);
        assert_eq!(held(&client).await, expected(&facts));
        assert_eq!(world.left_in_storage().len(), 0, "the flow purges its files");
    }
    assert_eq!(rows(&client).await, rows(&native.client().await).await);
    assert_eq!(world.newest()["labels"]["taxi"], "green");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_scheduled_variant_loads_the_month_of_its_date() {
    let mut world = World::with_database("course_scheduled").await;
    let facts = world.month(ROWS);
    let flow = flow(&world, "postgres_taxi_scheduled.yaml");
    let client = world.client().await;
    world.postgres = None;
    let (mirror, _stop) = mirror(&world).await;
    world.jitney(&["run", &flow, "-i", &mirror, "-i", "taxi=green", "--trigger-date", "2020-04-01"]).ended(0);
    assert_eq!(held(&client).await, expected(&facts));
}

/// Every row as text, in order.
async fn rows(client: &tokio_postgres::Client) -> Vec<String> {
    let rows = client.query("SELECT t::text FROM green_tripdata t ORDER BY 1", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
