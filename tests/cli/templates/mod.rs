//! The templates of `jitney new`, each as it is written: run, with a folder or a small server on this machine in place
//! of what is elsewhere. `taxi_bigquery` runs among the tests on the emulators of Google Cloud.

mod control;
mod files;
mod packages;
mod programs;
mod taxi;

use crate::cli::postgres;
use crate::cli::world::World;
use crate::common::{attempt, receiver};
use crate::rest::world::{Place, until};

/// A place with a database of its own and a template, written as `jitney new` does.
async fn with(template: &str) -> World {
    let world = World::with_database(&format!("template_{template}")).await;
    world.jitney(&["new", template]).ended(0);
    world
}
