//! Cloud Storage and BigQuery, on emulators made by others.

mod common;

mod bigquery;
mod gcs;
#[path = "rest/world.rs"]
mod world;
