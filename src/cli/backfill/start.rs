//! `jitney backfill FLOW`

use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

use super::{execute, explain, preview, silent_runner, texts_with_absolute_paths};
use crate::cli::inputs::{missing_paths, parse_pair};
use crate::cli::out::errln;
use crate::cli::{ExitStatus, InvalidFlow, flows};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::{BackfillPlan, BackfillRequest};
use crate::flow::Flow;
use crate::journal::{BackfillSpec, DesiredState, PartitionFilter};

#[derive(Args)]
pub(super) struct StartArguments {
    /// The flow's file
    #[arg(required = true)]
    flow: Option<PathBuf>,
    /// The schedule whose times are the partitions [default: the flow's only one]
    #[arg(long, value_name = "ID", conflicts_with = "every")]
    trigger: Option<String>,
    /// The step, for a flow without a schedule: month, day or hour [default: month]
    #[arg(long, value_name = "STEP")]
    every: Option<String>,
    /// The first partition: a month, a day, an hour or a year, in the schedule's time zone
    #[arg(long, required = true, value_name = "WHEN")]
    from: Option<String>,
    /// The last partition, inclusive: all of the month 2019-01, the day 2019-01-31 or the hour 2019-01-31T06:00, the
    /// minute 2019-01-31T06:30, the moment 2019-01-31T06:00:00
    #[arg(long, required = true, value_name = "WHEN")]
    to: Option<String>,
    /// An input of the flow; expressions may name `trigger.date`: -i "year={{ trigger.date | date('yyyy') }}"
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = parse_pair)]
    input: Vec<(String, String)>,
    /// Which partitions run: all, those that the target's ledger does not have, or those whose last run failed
    #[arg(long, value_enum, default_value_t = FilterArgument::All)]
    only: FilterArgument,
    /// How many partitions run at a time, within the flow's own `concurrency`
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=64))]
    parallel: u32,
    /// Whether the earliest partition comes first, or the latest
    #[arg(long, value_enum, default_value_t = OrderArgument::Asc)]
    order: OrderArgument,
    /// Show what would run and the state of each partition, without running anything
    #[arg(long)]
    dry_run: bool,
    /// A label for the executions; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    label: Vec<(String, String)>,
    /// Start no more partitions after one has failed
    #[arg(long)]
    stop_on_failure: bool,
    /// Print the backfill as JSON when it ends
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OrderArgument {
    Asc,
    Desc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FilterArgument {
    All,
    Missing,
    Failed,
}

impl From<FilterArgument> for PartitionFilter {
    fn from(which: FilterArgument) -> Self {
        match which {
            FilterArgument::All => Self::All,
            FilterArgument::Missing => Self::Missing,
            FilterArgument::Failed => Self::Failed,
        }
    }
}

pub(super) async fn run(arguments: StartArguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let (flow, warnings) = flows::read(&arguments.flow.clone().unwrap_or_default())?;
    warnings.iter().for_each(|warning| errln!("{warning}"));
    let given: Vec<(String, Value)> =
        arguments.input.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let missing = missing_paths(&flow, &given);
    if !missing.is_empty() {
        return Err(InvalidFlow(missing).into());
    }
    let spec = spec(&arguments, &flow)?;
    let runner = silent_runner(settings)?;
    let request = BackfillRequest::new(&runner, Arc::new(flow), spec).map_err(explain)?;
    let earlier = if arguments.dry_run { None } else { request.find_unfinished(&runner).map_err(explain)? };
    let backfill = match earlier {
        Some(earlier) => {
            errln!("Resuming backfill {}, which was created before and has not ended.", earlier.id);
            runner.set_desired_state(&earlier.id, DesiredState::Run).map_err(explain)?;
            earlier
        }
        None => {
            let plan = request.plan(&runner).await.map_err(explain)?;
            show(&request, &plan, &arguments)?;
            if arguments.dry_run || plan.runs() == 0 {
                return Ok(ExitStatus::Ok);
            }
            let backfill = request.backfill(&runner, &plan, clock::now())?;
            runner.journal.create_backfill(&backfill)?;
            backfill
        }
    };
    execute::execute(runner, request, &backfill, arguments.json).await
}

fn show(request: &BackfillRequest, plan: &BackfillPlan, arguments: &StartArguments) -> anyhow::Result<()> {
    if let Some(why) = &plan.unsure {
        errln!("Cannot tell what the target holds ({why}); the decision is based on earlier executions.");
    }
    let warnings = request.warnings(clock::now());
    warnings.iter().for_each(|warning| errln!("{}", Diagnostic::warning(warning.as_str())));
    match (arguments.json, arguments.dry_run || plan.runs() == 0) {
        (false, _) => preview::print(request, plan).map_err(explain)?,
        (true, true) => preview::print_json(request, plan, &warnings),
        (true, false) => {}
    }
    if !arguments.json && !arguments.dry_run && plan.runs() == 0 {
        errln!("SUCCESS: there is nothing to run");
    }
    Ok(())
}

fn spec(arguments: &StartArguments, flow: &Flow) -> anyhow::Result<BackfillSpec> {
    let file = std::path::absolute(arguments.flow.clone().unwrap_or_default())?;
    let labels = arguments.label.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    Ok(BackfillSpec {
        file: file.display().to_string(),
        trigger: arguments.trigger.clone(),
        every: arguments.every.clone(),
        from: arguments.from.clone().unwrap_or_default(),
        to: arguments.to.clone().unwrap_or_default(),
        inputs: texts_with_absolute_paths(flow, &arguments.input),
        only: arguments.only.into(),
        labels: labels.collect(),
        parallel: arguments.parallel,
        descending: arguments.order == OrderArgument::Desc,
        stop_on_failure: arguments.stop_on_failure,
        by_server: false,
        target: None,
    })
}
