//! The modules that the targets need, taken from the program's source as they stand: without Polars and the servers'
//! clients this builds in two minutes.
#![allow(dead_code, unused_imports, reason = "only parts of the modules are called here")]

#[path = "../../src/config.rs"]
pub mod config;
#[path = "../../src/diagnostic.rs"]
pub mod diagnostic;
#[path = "../../src/duration.rs"]
pub mod duration;
#[path = "../../src/file_access.rs"]
pub mod file_access;
#[path = "../../src/id.rs"]
pub mod id;
#[path = "../../src/jq/mod.rs"]
pub mod jq;
#[path = "../../src/secret/mod.rs"]
pub mod secret;
#[path = "../../src/storage.rs"]
pub mod storage;
#[path = "../../src/text.rs"]
pub mod text;

#[cfg(feature = "rows")]
pub mod rows;

#[path = "../../src/web/backoff.rs"]
mod backoff;

/// What tasks need of it.
pub mod web {
    pub(crate) use crate::backoff;
}

#[path = "../../src/task/mod.rs"]
pub mod task;

#[path = "../../src/flow/mod.rs"]
pub mod flow;

/// What `tasks::flow` has for tasks without outputs of their own.
#[derive(schemars::JsonSchema)]
struct NoOutputs {}

#[path = "../../src/tasks/flow/dag.rs"]
mod dag;
#[path = "../../src/tasks/flow/for_each.rs"]
mod for_each;
#[path = "../../src/tasks/flow/if_.rs"]
mod if_;
#[path = "../../src/tasks/core/log.rs"]
mod log;
#[path = "../../src/tasks/flow/parallel.rs"]
mod parallel;
#[path = "../../src/tasks/core/returns.rs"]
mod returns;
#[path = "../../src/tasks/core/sleep.rs"]
mod sleep;
#[path = "../../src/tasks/flow/switch.rs"]
mod switch;

/// Task types that need no more than the modules above, under the names that they know one another by.
pub mod tasks {
    /// Some that do their own work.
    pub mod core {
        pub(crate) use crate::{log, returns, sleep};
    }

    use crate::task::TaskType;
    use crate::{dag, for_each, if_, log, parallel, returns, sleep, switch};

    /// Every task type, by name.
    pub static ALL: &[TaskType] = &[
        TaskType::of::<log::Log>(),
        TaskType::of::<returns::Return>(),
        TaskType::of::<sleep::Sleep>(),
        TaskType::of::<dag::Dag>(),
        TaskType::of::<for_each::ForEach>(),
        TaskType::of::<if_::If>(),
        TaskType::of::<parallel::Parallel>(),
        TaskType::of::<switch::Switch>(),
    ];
}
