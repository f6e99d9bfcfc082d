//! Server-sent events: an execution's state and log as they change.
//!
//! A stream does not send the updates that it receives from the journal. They only say when to read the journal again, so that
//! a client which is slow, or a receiver that lags behind, misses nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::blocking::run_blocking;
use crate::engine::health::Component;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, Journal, JournalError, JournalUpdate, LogFilter, LogPosition, NumberedLine};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::response::ExecutionResponse;
use crate::text::chain;

type EventStream =
    Sse<axum::response::sse::KeepAliveStream<std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>>>;

/// Follows an execution to its end, with the events `start`, `progress` after each change, and `end`.
#[utoipa::path(get, path = "/executions/{id}/follow", tag = "executions",
    responses((status = 200, description = "Server-sent events with the execution", content_type = "text/event-stream", body = ExecutionResponse),
        (status = 404, body = ApiError)))]
pub(super) async fn execution(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<EventStream, ApiError> {
    let id: ExecutionId = id.parse()?;
    // Subscribe before reading: an update in between is then not missed.
    let updates = app.executor.journal().subscribe();
    run_blocking(|| app.executor.journal().state(&id))?.ok_or_else(|| ApiError::execution_not_found(&id))?;
    let permit = app.connections.acquire_stream()?;
    let follower = ExecutionFollower { app, id, updates, next_event: Some("start") };
    Ok(stream(permit, futures_util::stream::unfold(follower, ExecutionFollower::next)))
}

/// A response of events that holds the permit until it ends.
fn stream(
    permit: OwnedSemaphorePermit,
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> EventStream {
    let events = events.inspect(move |_| {
        let _ = &permit;
    });
    let events: std::pin::Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(events);
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

struct ExecutionFollower {
    app: Arc<App>,
    id: ExecutionId,
    updates: Receiver<Arc<JournalUpdate>>,
    /// The name of the next event; none after the last.
    next_event: Option<&'static str>,
}

impl ExecutionFollower {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let name = self.next_event?;
        if name != "start" {
            self.until_changed().await?;
        }
        let state = read(&self.app, |journal| journal.state(&self.id)).flatten()?;
        let is_over = is_over(state.status);
        let name = if is_over { "end" } else { name };
        self.next_event = (!is_over).then_some("progress");
        Some((Ok(event(name, &ExecutionResponse::whole(&self.id, &state, false))), self))
    }

    /// Waits until something has happened to the execution; none when it is gone.
    async fn until_changed(&mut self) -> Option<()> {
        loop {
            match self.updates.recv().await.as_deref() {
                Ok(JournalUpdate::Event { id, .. }) if *id == self.id => return Some(()),
                Ok(JournalUpdate::Deleted { id }) if *id == self.id => return None,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Some(()),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Reads the journal. If that fails, the stream ends early, which its client notices by the missing `end`.
fn read<T>(app: &App, reading: impl FnOnce(&Journal) -> Result<T, JournalError>) -> Option<T> {
    let read = run_blocking(|| reading(app.executor.journal()));
    read.inspect_err(|error| {
        let problem = format!("an execution cannot be followed any longer: {}", chain(error));
        app.executor.health().report_error(Component::Api, &problem);
    })
    .ok()
}

fn is_over(state: ExecutionState) -> bool {
    use ExecutionState::{Cancelled, Failed, Killed, Success, Warning};
    matches!(state, Success | Warning | Failed | Killed | Cancelled)
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().id(name).event(name);
    event.json_data(data).unwrap_or_else(|_| Event::default().event(name))
}

/// Follows the log of an execution: existing and new lines, until it ends.
#[utoipa::path(get, path = "/logs/{id}/follow", tag = "logs",
    params(("minLevel" = Option<String>, Query)),
    responses((status = 200, description = "Server-sent events with log lines", content_type = "text/event-stream", body = Object),
        (status = 404, body = ApiError)))]
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> Result<EventStream, ApiError> {
    let id: ExecutionId = id.parse()?;
    let updates = app.executor.journal().subscribe();
    let state =
        run_blocking(|| app.executor.journal().state(&id))?.ok_or_else(|| ApiError::execution_not_found(&id))?;
    let filter = super::logs::filter(&parameters)?;
    let permit = app.connections.acquire_stream()?;
    let mut reader = LogReader { app, id, filter, updates, last: 0, has_more: false, is_over: is_over(state.status) };
    let lines = async_stream(move |events| async move {
        loop {
            // Taken before the read: a read that follows the end finds every line.
            let is_over = reader.is_over;
            for (_, line) in &reader.next_page()? {
                events.send(event("line", line)).await.ok()?;
            }
            if is_over && !reader.has_more {
                return events.send(Event::default().event("end").data("{}")).await.ok();
            }
            reader.until_changed().await?;
        }
    });
    Ok(stream(permit, lines))
}

/// How many lines are read at a time.
const PAGE_SIZE: u32 = 500;

/// Reads a log as it grows.
struct LogReader {
    app: Arc<App>,
    id: ExecutionId,
    filter: LogFilter,
    updates: Receiver<Arc<JournalUpdate>>,
    /// The last line that was read.
    last: i64,
    has_more: bool,
    is_over: bool,
}

impl LogReader {
    /// The next lines; none when the journal cannot be read.
    fn next_page(&mut self) -> Option<Vec<NumberedLine>> {
        let lines = read(&self.app, |journal| {
            journal.log_lines(&self.id, &self.filter, LogPosition::After(self.last), PAGE_SIZE)
        })?;
        self.last = lines.last().map_or(self.last, |(number, _)| *number);
        self.has_more = lines.len() == PAGE_SIZE as usize;
        Some(lines)
    }

    /// Waits until there may be more; none when the execution is gone.
    async fn until_changed(&mut self) -> Option<()> {
        let mut is_changed = self.has_more || self.is_over;
        while !is_changed {
            let update = self.updates.recv().await;
            is_changed = self.is_relevant(update)?;
        }
        // One read is enough for all updates that have come by now.
        while let Ok(update) = self.updates.try_recv() {
            self.is_relevant(Ok(update))?;
        }
        Some(())
    }

    /// Whether an update is a reason to read; none when the execution is gone.
    fn is_relevant(&mut self, update: Result<Arc<JournalUpdate>, RecvError>) -> Option<bool> {
        match update.as_deref() {
            Ok(update) if *update.id() != self.id => Some(false),
            Ok(JournalUpdate::Event { status, .. }) => {
                self.is_over |= is_over(*status);
                Some(true)
            }
            Ok(JournalUpdate::Log { .. }) => Some(true),
            Ok(JournalUpdate::Deleted { .. }) | Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(_)) => {
                let status = read(&self.app, |journal| journal.state(&self.id)).flatten()?.status;
                self.is_over |= is_over(status);
                Some(true)
            }
        }
    }
}

/// A stream of what a task sends. The task ends when it sends the next event after the stream was dropped.
fn async_stream<F: Future<Output = Option<()>> + Send + 'static>(
    work: impl FnOnce(tokio::sync::mpsc::Sender<Event>) -> F,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    tokio::spawn(work(sender));
    futures_util::stream::unfold(receiver, async |mut receiver| Some((Ok(receiver.recv().await?), receiver)))
}
