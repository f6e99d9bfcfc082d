//! What an attempt of a task may use.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::engine::context::ExecutionContext;
use crate::engine::notice::Notice;
use crate::engine::plan::Start;
use crate::engine::runner::Runner;
use crate::flow::Flow;
use crate::journal::{JournalError, State};
use crate::storage::Storage;
use crate::task::{EngineServices, Level, LogSource, SubflowStarter, TaskContext};

impl Runner {
    /// What an attempt of a task may use; `subflows` starts other flows, where there is an execution to start them.
    pub(super) fn task_context(
        &self,
        run: &ExecutionContext,
        flow: &Flow,
        start: &Start,
        state: &State,
        subflows: Option<Arc<dyn SubflowStarter>>,
        cancel: CancellationToken,
    ) -> TaskContext {
        let (journal, observer, execution) = (self.journal.clone(), self.observer.clone(), run.id.clone());
        let lowest = start.step.common.log_level.unwrap_or(Level::Debug);
        let folder = start.folder.as_ref().map(|folder| self.settings.home.join("work").join(folder));
        let files = self.files_of_task(flow, start, state);
        let full = CancellationToken::new();
        let no_room = full.clone();
        TaskContext {
            flow: flow.id.clone(),
            namespace: flow.namespace.clone(),
            execution: run.id.clone(),
            task: start.step.id.clone(),
            run: start.run.clone(),
            attempt: start.attempt,
            files,
            storage: Storage::new(self.settings.storage(), run.id.clone()),
            settings: self.settings.clone(),
            cancel,
            progress: Arc::default(),
            labels: Mutex::default(),
            warning: AtomicBool::default(),
            said: run.said.clone(),
            pinned: Mutex::default(),
            log: Arc::new(move |task, level, message| {
                if level < lowest {
                    return;
                }
                let source = LogSource::from(task);
                observer(Notice::Log { source: &source, level, message });
                // A line that cannot be kept has been shown. Without room on the disk there is no end of them, nor of
                // what the task does.
                if let Err(JournalError::Full) = journal.log(&execution, clock::now(), source, level, message) {
                    no_room.cancel();
                }
            }),
            services: EngineServices { subflows, folder, pause: Mutex::default(), quota: run.quota.clone(), full },
        }
    }
}
