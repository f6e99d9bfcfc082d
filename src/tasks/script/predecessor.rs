//! What an attempt left behind that could not end it: its process was killed.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::process::mark::ProcessMark;
use crate::task::{TaskContext, TaskError};

/// The file in an attempt's folder that names its task run.
pub(super) const MARK: &str = "run";
/// The file whose lock is held as long as the attempt runs; the process that kills the attempt's processes once jitney is gone
/// holds it until they are.
pub(super) const LOCK: &str = "lock";
/// How long the processes of an attempt whose jitney is gone may take to be gone too.
const EXIT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long between two looks at a lock.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Makes sure that nothing of an earlier attempt of this task run is running, and removes its folders. Whether there
/// may have been one.
///
/// # Errors
/// When something of it will not end, or this attempt is stopped meanwhile.
pub(super) async fn end(context: &TaskContext, folders: &Path) -> Result<bool, TaskError> {
    let mark = ProcessMark::of(context);
    let left = leftover_folders(context, folders, &mark);
    if left.is_empty() && context.attempt == 1 {
        return Ok(false);
    }
    let until = Instant::now() + EXIT_TIMEOUT;
    for folder in &left {
        wait_for_lock(context, folder, until).await?;
    }
    let killed = tokio::task::spawn_blocking(move || mark.kill_all()).await;
    if !killed.unwrap_or_default() {
        return Err(still_running());
    }
    // What cannot be removed is only untidy.
    for folder in &left {
        let _ = fs::remove_dir_all(folder);
    }
    Ok(true)
}

fn leftover_folders(context: &TaskContext, folders: &Path, mark: &ProcessMark) -> Vec<PathBuf> {
    let begin = format!("{}.", context.execution);
    let is_ours = |folder: &PathBuf| fs::read_to_string(folder.join(MARK)).is_ok_and(|text| text == mark.as_str());
    let entries = fs::read_dir(folders).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin));
    named.map(|entry| entry.path()).filter(is_ours).collect()
}

async fn wait_for_lock(context: &TaskContext, folder: &Path, until: Instant) -> Result<(), TaskError> {
    loop {
        // A folder that somebody else removes meanwhile has nothing to wait for.
        let Ok(file) = File::open(folder.join(LOCK)) else { return Ok(()) };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() > until => return Err(still_running()),
            Err(TryLockError::WouldBlock) => {}
            _ => return Ok(()),
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = context.cancel.cancelled() => return Err(TaskError::cancelled("it was stopped")),
        }
    }
}

fn still_running() -> TaskError {
    TaskError::transient("an earlier attempt of this task is still running and cannot be killed").help(
        "its processes have the variable JITNEY_TASK_RUN in their environment; kill them, then resume the execution",
    )
}
