//! Says to an open page when something that it shows has changed; the page is then read again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::journal::JournalUpdate;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;

/// Changes within this time are one.
const PAUSE: Duration = Duration::from_millis(200);

/// What a page shows.
enum LiveScope {
    Everything,
    Flow(String, String),
    Execution(String),
}

impl LiveScope {
    fn of(parameters: &QueryParameters) -> Self {
        match (parameters.one("execution"), parameters.one("namespace").zip(parameters.one("flow"))) {
            (Some(id), _) => Self::Execution(id.to_owned()),
            (None, Some((namespace, flow))) => Self::Flow(namespace.to_owned(), flow.to_owned()),
            (None, None) => Self::Everything,
        }
    }

    fn has(&self, update: &JournalUpdate) -> bool {
        match (self, update) {
            (Self::Execution(id), update) => update.id().as_str() == id,
            // Lists show no log lines.
            (_, JournalUpdate::Log { .. }) => false,
            (Self::Flow(namespace, flow), JournalUpdate::Event { namespace: of, flow: id, .. }) => {
                of == namespace && id == flow
            }
            _ => true,
        }
    }
}

struct Watch {
    scope: LiveScope,
    updates: Receiver<Arc<JournalUpdate>>,
    /// Held as long as the stream is open.
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    /// Waits until something has changed; none when there will be nothing more.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            match self.updates.recv().await {
                Ok(update) if self.scope.has(&update) => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return None,
            }
        }
        tokio::time::sleep(PAUSE).await;
        while !matches!(self.updates.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        // Browsers drop an event without data.
        Some((Ok(Event::default().event("change").data("changed")), self))
    }
}

/// A `change` event for each time that what the page shows has changed.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let updates = app.executor.journal().subscribe();
    let watch = Watch { scope: LiveScope::of(&parameters), updates, _permit: app.connections.acquire_stream()? };
    let events = futures_util::stream::unfold(watch, Watch::next);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}
