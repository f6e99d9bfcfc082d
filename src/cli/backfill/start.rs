//! `jitney backfill FLOW`

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use clap::Args;
use serde_json::{Map, Value};

use super::{given_here, go, invalid, preview, secrets_of, silent_runner, without_secrets};
use crate::cli::inputs::pair;
use crate::cli::{Exit, Invalid, flows};
use crate::config::Settings;
use crate::engine::Runner;
use crate::engine::backfill::{Beat, Partitioned, is_driven};
use crate::flow::Flow;
use crate::id::BackfillId;
use crate::journal::{BACKFILL_LABEL, Backfill, BackfillSpec, PARTITION_LABEL, Wish};

#[derive(Args)]
pub(super) struct Asked {
    /// The flow's file
    #[arg(required = true)]
    flow: Option<PathBuf>,
    /// The schedule whose moments are made up for [default: the flow's only one]
    #[arg(long, value_name = "ID", conflicts_with = "every")]
    trigger: Option<String>,
    /// The step, for a flow without a schedule: month, day or hour [default: month]
    #[arg(long, value_name = "STEP")]
    every: Option<String>,
    /// The first partition: a month, a day, an hour or a year, in the schedule's time zone
    #[arg(long, required = true, value_name = "WHEN")]
    from: Option<String>,
    /// The last partition, included
    #[arg(long, required = true, value_name = "WHEN")]
    to: Option<String>,
    /// An input of the flow; expressions may name `trigger.date`: -i "year={{ trigger.date | date('yyyy') }}"
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = pair)]
    input: Vec<(String, String)>,
    /// Which partitions run: all, those that the target's ledger does not have, or those whose last run failed
    #[arg(long, value_enum, default_value_t = Only::All)]
    only: Only,
    /// How many run at a time, within the flow's own `concurrency`
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=64))]
    parallel: u32,
    /// Whether the earliest partition comes first, or the latest
    #[arg(long, value_enum, default_value_t = Order::Asc)]
    order: Order,
    /// Only say what would run, and how each partition stands
    #[arg(long)]
    dry_run: bool,
    /// A label for the executions; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Begin nothing more once a partition has failed
    #[arg(long)]
    stop_on_failure: bool,
    /// Print JSON when it has ended
    #[arg(long)]
    json: bool,
}

/// Which partitions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Only {
    All,
    Missing,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Order {
    Asc,
    Desc,
}

impl Only {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Missing => "missing",
            Self::Failed => "failed",
        }
    }
}

pub(super) async fn run(arguments: Asked, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let (flow, warnings) = flows::read(&arguments.flow.clone().unwrap_or_default())?;
    warnings.iter().for_each(|warning| eprintln!("{warning}"));
    let given = given_here(&flow, &arguments.input);
    let spec = spec(&arguments, &flow, &given)?;
    let runner = silent_runner(settings)?;
    let flow = Arc::new(flow);
    let beat = Beat::find(&flow, spec.trigger.as_deref(), spec.every.as_deref()).map_err(invalid)?;
    let slots = beat.slots(&spec.from, &spec.to).map_err(invalid)?;
    let of = Partitioned { flow: &flow, beat: &beat, given: &given };
    let runs = of.runs(&runner, &slots).map_err(Invalid)?;
    let earlier = if arguments.dry_run { None } else { earlier(&runner, &flow, &spec)? };
    let backfill = match earlier {
        Some(backfill) => backfill,
        None => {
            let choices = preview::choose(&runner, &of, &runs, arguments.only).await?;
            let ends_here = arguments.dry_run || preview::is_empty(&choices);
            preview::print(&of, &choices, &spec, arguments.json && ends_here, arguments.json);
            if ends_here {
                return Ok(Exit::Ok);
            }
            let backfill = preview::backfill(BackfillId::generate(Utc::now()), &flow, spec, &runs, &choices);
            runner.journal.create_backfill(&backfill)?;
            backfill
        }
    };
    let secrets = secrets_of(&flow, &given);
    go::go(runner, flow.clone(), &backfill, runs, secrets, arguments.json).await
}

/// The same backfill, asked for before and not ended: a command that is repeated after a crash goes on with it.
fn earlier(runner: &Runner, flow: &Flow, spec: &BackfillSpec) -> anyhow::Result<Option<Backfill>> {
    let mut open = runner.journal.backfills(Some(flow.id.as_str()), 1000)?.into_iter();
    let same = |backfill: &Backfill| {
        backfill.outcome.is_none() && backfill.namespace == flow.namespace && backfill.spec.asks_for_the_same(spec)
    };
    let Some(found) = open.find(same) else { return Ok(None) };
    let id = found.id;
    if is_driven(&runner.settings, &id) {
        let finding =
            crate::diagnostic::Diagnostic::error(format!("this very backfill, {id}, is under way in another process"));
        let help = format!("`jitney backfill show {id}` tells how it stands; `jitney backfill cancel {id}` stops it");
        return Err(Invalid::from(finding.help(help)).into());
    }
    eprintln!("Going on with backfill {id}, which was asked for before and has not ended.");
    runner.journal.wish_backfill(&id, Wish::Run)?;
    Ok(runner.journal.backfill(&id)?)
}

fn spec(arguments: &Asked, flow: &Flow, given: &[(String, String)]) -> anyhow::Result<BackfillSpec> {
    for reserved in [BACKFILL_LABEL, PARTITION_LABEL] {
        if arguments.label.iter().any(|(key, _)| key == reserved) {
            return Err(invalid(format!("the label `{reserved}` is the backfill's own; take another name")).into());
        }
    }
    let file = std::path::absolute(arguments.flow.clone().unwrap_or_default())?;
    let labels = arguments.label.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    Ok(BackfillSpec {
        file: file.display().to_string(),
        trigger: arguments.trigger.clone(),
        every: arguments.every.clone(),
        from: arguments.from.clone().unwrap_or_default(),
        to: arguments.to.clone().unwrap_or_default(),
        inputs: without_secrets(flow, given),
        only: arguments.only.as_str().to_owned(),
        labels: labels.collect::<Map<_, _>>(),
        parallel: arguments.parallel,
        descending: arguments.order == Order::Desc,
        stop_on_failure: arguments.stop_on_failure,
    })
}
