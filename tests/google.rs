//! Cloud Storage and BigQuery, on emulators made by others.

mod common;

mod bigquery;
mod gcs;
#[path = "rest/world.rs"]
#[allow(dead_code, reason = "other programs use more of it")]
mod world;
