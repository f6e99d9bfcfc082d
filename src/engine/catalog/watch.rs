//! Seeing that files have changed: the system says so, and a slow look finds what it does not say.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, Event, EventKind};
use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Catalog, CatalogError, Look};

/// How long a folder must be quiet before it is looked at: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// How often to look where the system says nothing: network folders, and those that are mounted into a container.
const GLANCE: Duration = Duration::from_secs(15);

impl Catalog {
    /// Keeps the catalog up to date until it is told to stop. Whatever a look finds goes to `tell`.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken, tell: impl Fn(Result<Look, CatalogError>) + Send) {
        let moved = Arc::new(Notify::new());
        let signal = moved.clone();
        let watcher = notify::recommended_watcher(move |event| {
            if may_be_change(&event) {
                signal.notify_one();
            }
        });
        // Without a watcher the slow look must do.
        let mut watcher = watcher.ok();
        for folder in &self.folders {
            let _ = watcher.as_mut().map(|watcher| watcher.watch(folder, RecursiveMode::Recursive));
        }
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = moved.notified() => tokio::time::sleep(QUIET).await,
                () = tokio::time::sleep(GLANCE) => {}
            }
            let catalog = self.clone();
            if let Ok(found) = tokio::task::spawn_blocking(move || catalog.refresh()).await {
                let untold = std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
                untold.into_iter().for_each(|look| tell(Ok(look)));
                tell(found);
            }
        }
    }
}

/// Whether there may be something new. A look opens folders and files itself: whoever looked again for that would never
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
}
