//! Writes down who asks the server to change something.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;

use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::health::Component;
use crate::journal::AuditRow;
use crate::server::App;
use crate::server::access::Sender;
use crate::text::{chain, shortened};

/// The longest text that is kept, in characters.
const MAX_CHARACTERS: usize = 200;
/// How many requests without a valid login are written down in each interval: they must not push out what people did.
const MAX_ANONYMOUS: u32 = 60;
const INTERVAL: Duration = Duration::from_secs(60);

tokio::task_local! {
    static TARGETS: RefCell<Vec<String>>;
}

/// Notes what the request changes that is being answered, where its path does not say it: such as the flow of a text.
pub(in crate::server) fn note_target(target: impl Into<String>) {
    // Calls outside of a request are not recorded.
    let _ = TARGETS.try_with(|targets| targets.borrow_mut().push(target.into()));
}

/// Answers a request, and gives what was noted meanwhile.
pub(in crate::server) async fn with_targets<T>(answer: impl Future<Output = T>) -> (T, String) {
    let noted = async {
        let answered = answer.await;
        (answered, TARGETS.with(RefCell::take).join(", "))
    };
    TARGETS.scope(RefCell::default(), noted).await
}

/// Counts the requests of nobody.
#[derive(Debug, Default)]
pub(crate) struct AnonymousLimit(Mutex<Option<(Instant, u32)>>);

impl AnonymousLimit {
    fn allows(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, count) = state.filter(|(begin, _)| now - *begin < INTERVAL).unwrap_or((now, 0));
        *state = Some((begin, count.saturating_add(1)));
        count < MAX_ANONYMOUS
    }
}

/// Writes a row. That it cannot be written is an error of the server, and the request's response stays as it is.
pub(in crate::server) fn record(
    app: &App,
    user: &str,
    sender: &Sender,
    (action, target): (&str, &str),
    status: StatusCode,
) {
    let is_anonymous = user.is_empty() || status == StatusCode::UNAUTHORIZED;
    if is_anonymous && !app.anonymous.allows(Instant::now()) {
        return;
    }
    let text = |text: &str| app.settings.redactor.clean(&shortened(text, MAX_CHARACTERS));
    let row = AuditRow {
        number: 0,
        time: clock::now(),
        user: shortened(user, MAX_CHARACTERS).into_owned(),
        address: sender.peer.map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default(),
        action: text(action),
        target: text(target),
        status: status.as_u16(),
    };
    if let Err(error) = run_blocking(|| app.executor.journal().add_audit(&row)) {
        let problem = format!("a row of the audit log was lost: {}", chain(&error));
        app.executor.health().report_error(Component::Api, &problem);
    }
}

/// Writes down that somebody has signed in, or tried to.
pub(in crate::server) fn record_login(app: &App, user: &str, sender: &Sender, status: StatusCode) {
    record(app, user, sender, ("sign in", ""), status);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nobody_only_so_many_requests_are_written_down() {
        let (limit, now) = (AnonymousLimit::default(), Instant::now());
        assert_eq!((0..1000).filter(|_| limit.allows(now)).count(), MAX_ANONYMOUS as usize);
        assert!(limit.allows(now + INTERVAL));
    }
}
