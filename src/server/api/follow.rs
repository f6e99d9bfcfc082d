//! What happens, as it happens: server-sent events.

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

use crate::id::ExecutionId;
use crate::journal::{ExecutionState, Happened};
use crate::server::App;
use crate::server::api::parameters::Parameters;
use crate::server::api::problem::Problem;
use crate::server::api::shape::ExecutionShape;

type Events =
    Sse<axum::response::sse::KeepAliveStream<std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>>>;

/// Follows an execution to its end: `start`, `progress` each time something changes, `end`.
#[utoipa::path(get, path = "/executions/{id}/follow", tag = "executions",
    responses((status = 200, description = "Server-sent events with the execution", content_type = "text/event-stream", body = ExecutionShape),
        (status = 404, body = Problem)))]
pub(super) async fn execution(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Events, Problem> {
    let id = ExecutionId::new(id);
    // First the ear, then the look: what happens in between is heard.
    let heard = app.executor.journal().subscribe();
    app.executor.journal().state(&id)?.ok_or_else(|| Problem::no_execution(&id))?;
    let permit = app.connections.last()?;
    let follower = Follower { app, id, heard, at: Some("start") };
    Ok(stream(permit, futures_util::stream::unfold(follower, Follower::next)))
}

/// An answer of events, which gives its place among the followers back when it ends.
fn stream(
    permit: OwnedSemaphorePermit,
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> Events {
    let events = events.inspect(move |_| {
        let _ = &permit;
    });
    let events: std::pin::Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(events);
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

struct Follower {
    app: Arc<App>,
    id: ExecutionId,
    heard: Receiver<Arc<Happened>>,
    /// The name of the next event; none after the last.
    at: Option<&'static str>,
}

impl Follower {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let name = self.at?;
        if name != "start" {
            self.until_changed().await?;
        }
        let state = self.app.executor.journal().state(&self.id).ok().flatten()?;
        let is_over = is_over(state.status);
        let name = if is_over { "end" } else { name };
        self.at = (!is_over).then_some("progress");
        Some((Ok(event(name, &ExecutionShape::whole(&self.id, &state, false))), self))
    }

    /// Waits until something has happened to the execution; none when it is gone.
    async fn until_changed(&mut self) -> Option<()> {
        loop {
            match self.heard.recv().await.as_deref() {
                Ok(Happened::Event { id, .. }) if *id == self.id => return Some(()),
                Ok(Happened::Deleted { id }) if *id == self.id => return None,
                Ok(_) => {}
                // Too much happened to hear it all: look again.
                Err(RecvError::Lagged(_)) => return Some(()),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn is_over(state: ExecutionState) -> bool {
    use ExecutionState::{Cancelled, Failed, Killed, Success, Warning};
    matches!(state, Success | Warning | Failed | Killed | Cancelled)
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().id(name).event(name);
    event.json_data(data).unwrap_or_else(|_| Event::default().event(name))
}

/// Follows the log of an execution: the lines that are there, and those that come, until it ends.
#[utoipa::path(get, path = "/logs/{id}/follow", tag = "logs",
    params(("minLevel" = Option<String>, Query)),
    responses((status = 200, description = "Server-sent events with log lines", content_type = "text/event-stream", body = Object),
        (status = 404, body = Problem)))]
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Events, Problem> {
    let id = ExecutionId::new(id);
    let mut heard = app.executor.journal().subscribe();
    let state = app.executor.journal().state(&id)?.ok_or_else(|| Problem::no_execution(&id))?;
    let wanted = super::logs::Wanted::of(&parameters)?;
    let permit = app.connections.last()?;
    let known: Vec<Event> = app
        .executor
        .journal()
        .logs(&id)?
        .iter()
        .filter(|line| wanted.has(line))
        .map(|line| event("line", line))
        .collect();
    let mut is_over = is_over(state.status);
    let coming = async_stream(move |events| async move {
        for line in known {
            events.send(line).await.ok()?;
        }
        while !is_over {
            match heard.recv().await.as_deref() {
                Ok(Happened::Log { id: of, line }) if *of == id && wanted.has(line) => {
                    events.send(event("line", line)).await.ok()?
                }
                Ok(Happened::Event { id: of, status, .. }) if *of == id => is_over = self::is_over(*status),
                Ok(Happened::Deleted { id: of }) if *of == id => return None,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
        events.send(Event::default().event("end").data("{}")).await.ok()
    });
    Ok(stream(permit, coming))
}

/// A stream of what a task sends; the task ends with the stream.
fn async_stream<F: Future<Output = Option<()>> + Send + 'static>(
    work: impl FnOnce(tokio::sync::mpsc::Sender<Event>) -> F,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    tokio::spawn(work(sender));
    futures_util::stream::unfold(receiver, async |mut receiver| Some((Ok(receiver.recv().await?), receiver)))
}
