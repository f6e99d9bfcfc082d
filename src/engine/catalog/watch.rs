//! Seeing that files have changed: the system says so, and a slow look finds what it does not say.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, Event, EventKind};
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Catalog, CatalogError, RefreshReport};
use crate::engine::health::{Component, Health};

/// How long a folder must be quiet before it is looked at: editors write a file in several steps.
const QUIET_PERIOD: Duration = Duration::from_millis(100);
/// How often to look where the system says nothing: network folders, and those that are mounted into a container.
const POLL_INTERVAL: Duration = Duration::from_secs(15);
/// How often to look for a folder that is away.
const AWAY_INTERVAL: Duration = Duration::from_secs(1);

impl Catalog {
    /// Keeps the catalog up to date until it is cancelled. Whatever a look finds goes to `report`, and
    /// why nothing can be seen to `health`.
    pub async fn watch(
        self: Arc<Self>,
        health: Health,
        shutdown: CancellationToken,
        report: impl Fn(Result<RefreshReport, CatalogError>) + Send,
    ) {
        let changed = Arc::new(Notify::new());
        let signal = changed.clone();
        let on_event = move |event: notify::Result<Event>| {
            if may_be_change(&event) {
                signal.notify_one();
            }
        };
        // A link may lead anywhere.
        let watcher = RecommendedWatcher::new(on_event, Config::default().with_follow_symlinks(false));
        // Without a watcher the slow look must do.
        let (mut watcher, mut unwatched) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut watched = vec![None; self.folders.len()];
        let mut pause = POLL_INTERVAL;
        loop {
            for (folder, known) in self.folders.iter().zip(&mut watched) {
                match keep_watching(folder, known, watcher.as_mut()) {
                    // What changed before it was watched is seen now.
                    Ok(true) => changed.notify_one(),
                    Ok(false) => {}
                    Err(error) => unwatched = Some(format!("{}: {error}", folder.display())),
                }
            }
            if let Some(problem) = unwatched.take() {
                health.report_error(
                    Component::Watcher,
                    &format!("changes of flows are noticed with a delay: cannot watch {problem}"),
                );
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = changed.notified() => tokio::time::sleep(QUIET_PERIOD).await,
                () = tokio::time::sleep(pause) => {}
            }
            let catalog = self.clone();
            match tokio::task::spawn_blocking(move || catalog.refresh()).await {
                Ok(found) => {
                    let is_away = found.as_ref().map_or(true, |look| !look.unreadable.is_empty());
                    pause = if is_away { AWAY_INTERVAL } else { POLL_INTERVAL };
                    let unreported =
                        std::mem::take(&mut *self.unreported.lock().unwrap_or_else(PoisonError::into_inner));
                    unreported.into_iter().for_each(|look| report(Ok(look)));
                    report(found);
                }
                Err(error) => {
                    health.report_failure(Component::Flows, format!("checking the folders of flows failed: {error}"))
                }
            }
        }
    }
}

/// What tells a folder from another one of the same name; numbers are used again.
type FolderIdentity = (u64, u64, Option<SystemTime>);

/// Watches a folder from now on, if that is another one than the one watched so far: one that was removed and made
/// anew, or is mounted again, is not seen by the old watch.
fn keep_watching(
    folder: &Path,
    known: &mut Option<FolderIdentity>,
    watcher: Option<&mut RecommendedWatcher>,
) -> notify::Result<bool> {
    // A folder that is away is reported by the look at it.
    let now = std::fs::metadata(folder).ok().map(|about| (about.dev(), about.ino(), about.created().ok()));
    if *known == now {
        return Ok(false);
    }
    *known = now;
    let Some(watcher) = watcher.filter(|_| now.is_some()) else { return Ok(false) };
    // There is nothing to end the first time, and the watch of a folder that is gone has ended by itself.
    let _ = watcher.unwatch(folder);
    watcher.watch(folder, RecursiveMode::Recursive).map(|()| true)
}

/// Whether there may be something new. A look opens folders and files itself: looking again for that would never
/// come to rest.
fn may_be_change(event: &notify::Result<Event>) -> bool {
    let is_look = |kind: &AccessKind| *kind != AccessKind::Close(AccessMode::Write);
    !matches!(event, Ok(Event { kind: EventKind::Access(kind), .. }) if is_look(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_no_change_and_the_end_of_writing_is() {
        let event = |kind| may_be_change(&Ok(Event::new(kind)));
        assert!(!event(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!event(EventKind::Access(AccessKind::Read)));
        assert!(event(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(event(EventKind::Create(notify::event::CreateKind::File)));
        assert!(may_be_change(&Err(notify::Error::generic("too many at once"))));
    }

    #[test]
    fn a_folder_that_was_made_anew_is_watched_like_the_first() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("flows");
        let (report, heard) = std::sync::mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let _ = report.send(event.map(|event| event.paths).unwrap_or_default());
        })
        .unwrap();
        let mut known = None;
        assert!(!keep_watching(&folder, &mut known, Some(&mut watcher)).unwrap(), "it is not there");
        for name in ["first", "second"] {
            std::fs::create_dir(&folder).unwrap();
            assert!(keep_watching(&folder, &mut known, Some(&mut watcher)).unwrap());
            assert!(!keep_watching(&folder, &mut known, Some(&mut watcher)).unwrap(), "it is watched already");
            std::fs::write(folder.join(name), "").unwrap();
            let is_it = |paths: Vec<std::path::PathBuf>| paths.iter().any(|path| path.ends_with(name));
            while !is_it(heard.recv_timeout(Duration::from_secs(60)).unwrap()) {}
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
}
