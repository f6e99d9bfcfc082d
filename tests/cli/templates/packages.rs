//! Templates that need packages of Python.

use super::attempt;
use crate::cli::world::{CommandOutput, World};

/// Runs a template where packages can be installed. None where they cannot, unless the tests are strict.
fn run(template: &str, more: &[&str]) -> Option<(World, CommandOutput)> {
    let world = World::new();
    world.jitney(&["new", template]).ended(0);
    let file = format!("{template}.yaml");
    let mut command = world.command(&[&["run", &file][..], more].concat());
    // The installer of the machine, with its settings and its cache.
    let is_its = |name: &str| {
        ["PIP_", "UV_", "SSL_", "REQUESTS_", "HOME", "https_proxy"].iter().any(|its| name.starts_with(its))
    };
    command.envs(std::env::vars().filter(|(name, _)| is_its(name)));
    let told = CommandOutput::from(command.output().unwrap());
    if told.err.contains("cannot install the Python packages") {
        attempt::skip(&told.err);
        return None;
    }
    Some((world, told.ended(0)))
}

#[test]
fn duckdb_report_sums_up_the_sample() {
    let Some((world, told)) = run("duckdb_report", &[]) else { return };
    let told = told.says("US: 4 orders, 501.9").says("GB: 4 orders, 376.24");
    let file = told.err.split("The months: ").nth(1).unwrap().split_whitespace().next().unwrap();
    world.jitney(&["files", file, "-o", "report.parquet"]).ended(0);
    assert_eq!(&std::fs::read(world.path("report.parquet")).unwrap()[..4], b"PAR1");
}

#[test]
fn python_pandas_makes_a_pivot_table() {
    let Some((world, told)) = run("python_pandas", &[]) else { return };
    let told = told.says("10 orders, most of them from US");
    let file = told.err.split("most of them from US: ").nth(1).unwrap().split_whitespace().next().unwrap();
    let csv = world.jitney(&["files", file]).ended(0).out;
    assert!(csv.starts_with("country,2024-01,2024-02,2024-03\n") && csv.contains("\nNL,42.25,75.5,0"), "{csv}");
}

#[test]
fn dbt_builds_and_tests_its_models() {
    let Some((_, told)) = run("dbt", &[]) else { return };
    told.says("shop.duckdb").says("Completed successfully").says("orders_by_country");
}
