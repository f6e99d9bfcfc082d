//! Stories about months in a Postgres.

use super::{has_browser, play};
use crate::common::postgres;
use crate::rest::world::Place;

const TRIPS: &str = "id: trips\nnamespace: shop\ninputs:\n  - {id: month, type: STRING, defaults: 2019-01}\ntriggers:\n  \
    - {id: monthly, type: schedule, cron: '@monthly', disabled: true, inputs: {month: \"{{ trigger.date | date('yyyy-MM') }}\"}}\n\
    tasks:\n  - id: load\n    type: postgres.load\n    from: 'trips-{{ inputs.month }}.csv'\n    table: trips\n    \
    mode: {replace_partition: {month: '{{ inputs.month }}'}}\n";

/// Half a year of trips, loaded; a row of March has a letter in a number.
async fn half_a_year(database: &str, march: &str) -> Place {
    let place = Place { postgres: Some(postgres::database(database).await), ..Place::new() };
    let flow = place.write("flows/trips.yaml", TRIPS);
    for month in 1..=6 {
        let second = if month == 3 { march } else { "4.50" };
        let text = format!("id,distance,month\n1,2.50,2019-0{month}\n2,{second},2019-0{month}\n3,7.00,2019-0{month}\n");
        place.write(&format!("flows/trips-2019-0{month}.csv"), text);
    }
    let client = postgres::client(place.postgres.as_deref().unwrap()).await;
    client.batch_execute("CREATE TABLE trips (id int, distance numeric, month text)").await.unwrap();
    place.jitney(&["backfill", flow.to_str().unwrap(), "--from", "2019-01", "--to", "2019-06"]);
    place
}

/// A place with a private Postgres, which is stopped at the end.
struct PrivatePlace(Place);

impl Drop for PrivatePlace {
    fn drop(&mut self) {
        self.0.jitney(&["postgres", "stop"]);
    }
}

#[test]
fn an_empty_server_has_a_month_after_three_clicks() {
    if has_browser() {
        let place = PrivatePlace(Place::new());
        play("loads_a_sample_month", &place.0.server(), &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_failed_is_found_and_fixed() {
    if has_browser() {
        let place = half_a_year("story_march", "x96").await;
        play("finds_why_march_failed", &place.server(), &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_is_asked() {
    if has_browser() {
        let place = half_a_year("story_data", "9.60").await;
        play("asks_the_data", &place.server(), &[]);
    }
}
