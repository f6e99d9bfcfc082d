//! What the tasks of a flow reach that do not name it themselves, and whether that is still what they reached when an
//! execution began.

use crate::config::Settings;
use crate::engine::error::EngineError;
use crate::engine::lock::HomeLock;
use crate::engine::runner::Runner;
use crate::flow::{Flow, Step};
use crate::gcp;
use crate::id::ExecutionId;
use crate::journal::{Backfill, Event, ExecutionTarget, ExplicitTargets, GoogleTarget, PostgresTarget};
use crate::postgres::{RequestedServer, connect, managed, resolve};
use crate::task::Capability;

/// The fields by which a task names the Postgres that it reaches.
const ADDRESS: &[&str] = &["url"];
/// The fields by which a task names its Google Cloud project.
const PROJECT: &[&str] = &["project", "projectId", "service_account", "serviceAccount"];

/// What the tasks of a flow reach with these settings. A flow that starts others may reach anything.
pub fn target_of(settings: &Settings, flow: &Flow) -> ExecutionTarget {
    let steps = flow.all_steps();
    let starts_others = steps.iter().any(|step| step.task.has(Capability::StartsFlows));
    let of = |systems: &[&str], fields: &[&str]| {
        let own: Vec<bool> = steps
            .iter()
            .filter(|step| systems.contains(&step.task.system()))
            .map(|step| names_one_of(step, fields))
            .chain(starts_others.then_some(false))
            .collect();
        let named = own.iter().filter(|names| **names).count();
        match (own.len(), named) {
            (0, _) => None,
            (_, 0) => Some(ExplicitTargets::None),
            (all, named) if all == named => Some(ExplicitTargets::All),
            _ => Some(ExplicitTargets::Some),
        }
    };
    ExecutionTarget {
        postgres: of(&["postgres"], ADDRESS).and_then(|own| postgres(settings, own)),
        google: of(&["gcs", "bigquery"], PROJECT).map(|own| google(settings, own)),
    }
}

/// The same for what an execution or a backfill that began with `began` would reach now.
fn target_now(settings: &Settings, began: &ExecutionTarget) -> ExecutionTarget {
    ExecutionTarget {
        postgres: began.postgres.as_ref().and_then(|began| postgres(settings, began.own)),
        google: began.google.as_ref().map(|began| google(settings, began.own)),
    }
}

fn names_one_of(step: &Step, fields: &[&str]) -> bool {
    let given = |field: &&str| step.fields.get(*field).and_then(|value| value.as_str());
    fields.iter().filter_map(given).any(|text| !text.trim().is_empty())
}

/// An address that cannot be read is reported by the task that needs it.
fn postgres(settings: &Settings, own: ExplicitTargets) -> Option<PostgresTarget> {
    let address = match resolve(settings, None).ok()? {
        RequestedServer::Server(address) => Some(address.place()).filter(|_| !managed::is_own(settings, &address)),
        RequestedServer::Managed => None,
    };
    Some(PostgresTarget { address, by_flag: settings.postgres.is_some(), own })
}

fn google(settings: &Settings, own: ExplicitTargets) -> GoogleTarget {
    let services = [gcp::Service::Storage, gcp::Service::BigQuery];
    let emulators = services.iter().filter_map(|service| service.emulator(settings)).collect();
    GoogleTarget { project: gcp::default_project(settings), emulators, own }
}

/// What something began with and what it would reach now, if these are not the same.
pub fn target_mismatch(settings: &Settings, began: Option<&ExecutionTarget>) -> Option<(String, String)> {
    began?.difference(&target_now(settings, began?))
}

impl Runner {
    /// Lets an execution continue with the current target, whatever it began with.
    ///
    /// # Errors
    /// When the Postgres that is set here cannot be reached, another process works on the execution, or the journal
    /// cannot be written; it belongs where it did then.
    pub async fn retarget(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let began = self.state(id)?.target;
        if target_mismatch(&self.settings, began.as_ref()).is_none() {
            return Ok(());
        }
        self.reach(began.as_ref()).await?;
        let _lock = HomeLock::acquire(&self.settings, id)?;
        let mut state = self.state(id)?;
        let Some(began) = &state.target else { return Ok(()) };
        let target = Some(target_now(&self.settings, began));
        self.append(id, &mut state, Event::Moved { started_by: None, target })
    }

    /// The same for a backfill that nobody runs; executions of it that were begun elsewhere begin anew.
    ///
    /// # Errors
    /// When the Postgres that is set here cannot be reached, or the journal cannot be written.
    pub async fn retarget_backfill(&self, backfill: &Backfill) -> Result<(), EngineError> {
        self.reach(backfill.spec.target.as_ref()).await?;
        let Some(began) = &backfill.spec.target else { return Ok(()) };
        Ok(self.journal.retarget_backfill(&backfill.id, &target_now(&self.settings, began))?)
    }

    /// Connects to the Postgres that is set here, if tasks would reach it: a slip in an address must not stick.
    async fn reach(&self, began: Option<&ExecutionTarget>) -> Result<(), EngineError> {
        let now = began.and_then(|began| target_now(&self.settings, began).postgres);
        if now.is_some_and(|now| now.by_flag || now.own != ExplicitTargets::All) {
            connect(&self.settings, None).await?;
        }
        Ok(())
    }

    /// Rejects an execution or a backfill that began with another target than the current one.
    ///
    /// # Errors
    /// [`EngineError::TargetMismatch`]
    pub fn check_target(&self, what: &str, began: Option<&ExecutionTarget>) -> Result<(), EngineError> {
        match target_mismatch(&self.settings, began) {
            Some((recorded, current)) => Err(EngineError::TargetMismatch { what: what.to_owned(), recorded, current }),
            None => Ok(()),
        }
    }
}
