//! What a statement waits for, asked of the server over a second connection, and when to stop waiting.
//!
//! A statement may rightly take hours. So the limit is not on its time: it is on the time for which nobody could say
//! that the server works on it.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::{GenericClient, SimpleQueryMessage};

use crate::task::{TaskContext, TaskError};

use super::connect::{PostgresSession, SessionControl, open};
use super::copy_error::CopyError;
use super::dial::DialError;
use super::error;
use super::sql::quote;

/// How long a statement may take before anybody asks about it.
const FIRST_CHECK_DELAY: Duration = Duration::from_secs(3);
/// Between two looks.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// What one look may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(20);
/// The log hears of the same wait again after so long.
const REMINDER_INTERVAL: Duration = Duration::from_secs(600);
/// The names of the server's own catalog mean what they say, whatever the session's settings are.
const SAFE_SEARCH_PATH: &str = "SET search_path TO pg_catalog;";
/// How long a lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3600);

/// Looks after the waits of one session for one task.
pub struct WaitMonitor<'a> {
    handle: SessionControl,
    context: &'a TaskContext,
    /// The server's process of the session; 0 while it is not known.
    process: AtomicI32,
    /// When the process began, as the server writes it: numbers are given out again.
    backend_start: OnceLock<String>,
    /// Whether the process is certainly ours, so that a wait may be ended by what is seen of it.
    is_certain: AtomicBool,
}

/// What a look has found.
#[derive(Debug, PartialEq)]
enum WaitStatus {
    /// The server works, or cannot say whether it does.
    Working,
    /// Another session holds what is wanted.
    Blocked(String),
    /// The server has nothing to do for this session, or waits for data: what was sent has not arrived.
    Idle,
    /// The server has no such session.
    Gone,
    /// The server cannot be asked.
    Unreachable,
}

impl<'a> WaitMonitor<'a> {
    pub(super) fn new(handle: SessionControl, context: &'a TaskContext) -> Self {
        Self {
            handle,
            context,
            process: AtomicI32::new(0),
            backend_start: OnceLock::new(),
            is_certain: AtomicBool::new(true),
        }
    }

    /// Asks which of the server's processes this session is. Behind a pooler it stays the same only within a
    /// transaction; outside of one, waits are reported and not limited.
    pub async fn identify(&self, client: &impl GenericClient, in_transaction: bool) -> Result<(), TaskError> {
        let doing = "asking for the session's process";
        let failed = |error: tokio_postgres::Error| error::explain(doing, &error);
        let answer = async {
            let sql = "SELECT pid, backend_start::pg_catalog.text FROM pg_catalog.pg_stat_activity
                       WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()";
            client.query_one(sql, &[]).await.map_err(failed)
        };
        let row = self.over(doing, answer).await?;
        self.process.store(row.try_get(0).map_err(failed)?, Ordering::Relaxed);
        // Hidden from a role that is not a member of the user's, which `SET role` may have made of it.
        if let Some(backend_start) = row.try_get(1).map_err(failed)? {
            // A session is identified once.
            let _ = self.backend_start.set(backend_start);
        }
        self.is_certain.store(in_transaction, Ordering::Relaxed);
        Ok(())
    }

    /// Waits for `work`, which waits for the server. What it waits for is logged after some seconds and shown.
    ///
    /// # Errors
    /// The work's own, or that the server did nothing for it for too long; the connection is closed then.
    pub fn over<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, TaskError>>,
    ) -> impl Future<Output = Result<T, TaskError>> {
        // On the heap, both: the state of whatever waits would be as large as that of the statement and of a look at the
        // server, and so would the stack of whatever waits for that.
        let work = Box::pin(work);
        async move {
            let observed = Box::pin(self.observe(doing));
            let ended = tokio::select! {
                biased;
                ended = work => ended,
                (problem, monitor) = observed => {
                    self.give_up(monitor).await;
                    Err(problem)
                }
            };
            self.context.progress.set_waiting(None);
            ended.map_err(|problem| self.handle.with_reason(problem))
        }
    }

    /// Forgets what the server complained of until now, before a COPY begins.
    pub fn before_copy(&self) {
        self.handle.last_error.clear();
    }

    /// What the server has said against the rows of the COPY that [`WaitMonitor::before_copy`] announced.
    pub fn copy_error(&self) -> Option<CopyError> {
        self.handle.last_error.last().map(CopyError::new)
    }

    /// Waits for `work` on the data of a COPY. Ends as soon as the server complains, which the driver would only look
    /// at when everything is sent.
    ///
    /// # Errors
    /// The work's own, or the server's complaint.
    pub async fn unless_rejected<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, TaskError>>,
    ) -> Result<T, TaskError> {
        tokio::select! {
            biased;
            error = self.handle.last_error.error() => Err(error::from_server(doing, &error, None)),
            ended = work => ended,
        }
    }

    /// Looks at the server now and then, and ends when there is nothing more to wait for.
    async fn observe(&self, doing: &str) -> (TaskError, Option<PostgresSession>) {
        let mut wait = StatementWait::new(Instant::now(), self.context.settings.stall_timeout);
        let pause = CHECK_INTERVAL.min(wait.stall_timeout / 4);
        let (mut monitor, mut rows) = (None, self.rows());
        tokio::time::sleep(FIRST_CHECK_DELAY.min(wait.stall_timeout / 2)).await;
        loop {
            let mut status = self.check_activity(&mut monitor).await;
            let is_certain = self.is_certain.load(Ordering::Relaxed);
            if rows != self.rows() || (!is_certain && matches!(status, WaitStatus::Idle | WaitStatus::Gone)) {
                (status, rows) = (WaitStatus::Working, self.rows());
            }
            if let Some(line) = wait.changed(&status, Instant::now()) {
                self.context.info(line);
            }
            self.context.progress.set_waiting(wait.describe(&status, Instant::now()));
            if let Some(why) = wait.stall_reason(&status, Instant::now()).filter(|_| is_certain) {
                let mut problem = error::lost(doing);
                problem.message = format!("{}: {why}", problem.message);
                let help = "look for a proxy or a firewall in between; the server's log may say more";
                return (problem.help(help), monitor);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Closes the connection. The server may not hear of it through whatever is in between, and would keep the
    /// session with all its locks, so it is asked to end that too.
    async fn give_up(&self, monitor: Option<PostgresSession>) {
        self.handle.close();
        let (process, Some(backend_start)) = (self.process.load(Ordering::Relaxed), self.backend_start.get()) else {
            return;
        };
        let end = async {
            let session = match monitor {
                Some(session) => session,
                None => open(self.handle.route.clone()).await?,
            };
            let sql = format!(
                "{SAFE_SEARCH_PATH} SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {process} AND backend_start = {}",
                quote(backend_start)
            );
            session.client.simple_query(&sql).await.map_err(DialError::from)
        };
        // A server that cannot be asked ends the session when it sees the connection gone.
        let _ = tokio::time::timeout(CHECK_TIMEOUT, end).await;
    }

    fn rows(&self) -> u64 {
        self.context.progress.rows.load(Ordering::Relaxed)
    }

    async fn check_activity(&self, monitor: &mut Option<PostgresSession>) -> WaitStatus {
        let process = self.process.load(Ordering::Relaxed);
        if process == 0 {
            // What comes before that takes no time.
            return WaitStatus::Idle;
        }
        let answer = tokio::time::timeout(CHECK_TIMEOUT.min(self.context.settings.stall_timeout), async {
            let session = match monitor.take() {
                Some(session) => session,
                None => open(self.handle.route.clone()).await?,
            };
            let answer = session.client.simple_query(&activity_query(process)).await.map_err(DialError::from)?;
            *monitor = Some(session);
            Ok(answer)
        });
        match answer.await {
            Ok(Ok(messages)) => read(&messages),
            // It speaks, if only to say that there are too many connections.
            Ok(Err(DialError::Driver(_) | DialError::WrongSessionKind(_))) => WaitStatus::Working,
            Ok(Err(DialError::Connection(_) | DialError::Timeout(_))) | Err(_) => WaitStatus::Unreachable,
        }
    }
}

/// What the server knows of a process, and who holds what it waits for.
fn activity_query(process: i32) -> String {
    format!(
        "{SAFE_SEARCH_PATH} SELECT a.state, a.wait_event_type, (
             SELECT string_agg(CASE b.pid WHEN 0 THEN 'a prepared transaction' ELSE concat('process ', b.pid, ' (',
                 concat_ws(', ', 'user ' || h.usename, 'application ' || nullif(h.application_name, ''),
                     'from ' || host(h.client_addr), h.state,
                     'last query at ' || to_char(h.query_start, 'YYYY-MM-DD HH24:MI:SS TZ')), ')') END, ' and ')
             FROM (SELECT DISTINCT pid FROM unnest(pg_blocking_pids({process})) AS held (pid)) AS b
             LEFT JOIN pg_stat_activity h ON h.pid = b.pid)
         FROM pg_stat_activity a WHERE a.pid = {process}"
    )
}

fn read(messages: &[SimpleQueryMessage]) -> WaitStatus {
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let Some(row) = row else { return WaitStatus::Gone };
    match (row.get(0), row.get(1), row.get(2)) {
        (_, _, Some(holder)) => WaitStatus::Blocked(holder.to_owned()),
        // With `track_activities = off` the state is `disabled`, whatever the session does; what it waits for is known.
        (Some("active" | "disabled"), Some("Client"), _) => WaitStatus::Idle,
        // Without a state the server does not let this user see it.
        (Some("active" | "disabled") | None, _, _) => WaitStatus::Working,
        _ => WaitStatus::Idle,
    }
}

/// How long a statement has been waited for, and what is known of it.
struct StatementWait {
    stall_timeout: Duration,
    /// When somebody last knew that the server works on it.
    last_active: Instant,
    blocked: Option<Instant>,
    reported: Option<(String, Instant)>,
    gone: u32,
}

impl StatementWait {
    fn new(now: Instant, stall_timeout: Duration) -> Self {
        Self { stall_timeout, last_active: now, blocked: None, reported: None, gone: 0 }
    }

    /// What the log should hear of: who holds the lock, at first, when it is somebody else, and once in a while.
    fn changed(&mut self, status: &WaitStatus, now: Instant) -> Option<String> {
        let WaitStatus::Blocked(holder) = status else { return None };
        if self
            .reported
            .as_ref()
            .is_some_and(|(reported, at)| reported == holder && now.duration_since(*at) < REMINDER_INTERVAL)
        {
            return None;
        }
        self.reported = Some((holder.clone(), now));
        Some(format!("waiting for a lock held by {holder}"))
    }

    /// What the live line shows.
    fn describe(&self, status: &WaitStatus, now: Instant) -> Option<String> {
        match status {
            WaitStatus::Working => None,
            WaitStatus::Blocked(holder) => Some(format!("waiting for a lock held by {holder}")),
            _ => Some(format!("no answer from Postgres for {} s", now.duration_since(self.last_active).as_secs())),
        }
    }

    /// Why waiting is of no use any more.
    fn stall_reason(&mut self, status: &WaitStatus, now: Instant) -> Option<String> {
        match status {
            WaitStatus::Working | WaitStatus::Blocked(_) => self.last_active = now,
            _ => {}
        }
        self.gone = if *status == WaitStatus::Gone { self.gone + 1 } else { 0 };
        let WaitStatus::Blocked(holder) = status else {
            self.blocked = None;
            let quiet = now.duration_since(self.last_active);
            return match status {
                // Twice, since its end may be on its way here.
                WaitStatus::Gone if self.gone > 1 => Some("the server has ended the session".to_owned()),
                _ if quiet < self.stall_timeout => None,
                WaitStatus::Unreachable => Some(format!("the server has not answered for {} s", quiet.as_secs())),
                _ => Some(format!("nothing got through for {} s", quiet.as_secs())),
            };
        };
        let since = *self.blocked.get_or_insert(now);
        let minutes = LOCK_TIMEOUT.as_secs() / 60;
        (now.duration_since(since) >= LOCK_TIMEOUT)
            .then(|| format!("given up after {minutes} min of waiting for a lock held by {holder}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_connection_is_given_up_and_a_statement_at_work_is_not() {
        let begin = Instant::now();
        let mut wait = StatementWait::new(begin, Duration::from_secs(300));
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(wait.stall_reason(&WaitStatus::Working, at(7200)), None);
        assert_eq!(wait.stall_reason(&WaitStatus::Unreachable, at(7400)), None);
        assert_eq!(wait.describe(&WaitStatus::Idle, at(7400)).as_deref(), Some("no answer from Postgres for 200 s"));
        assert_eq!(wait.stall_reason(&WaitStatus::Idle, at(7500)).as_deref(), Some("nothing got through for 300 s"));
        assert_eq!(wait.stall_reason(&WaitStatus::Gone, at(7201)), None);
        assert_eq!(wait.stall_reason(&WaitStatus::Gone, at(7202)).as_deref(), Some("the server has ended the session"));
    }

    #[test]
    fn lock_holders_are_reported_once_and_reminded_of() {
        let begin = Instant::now();
        let mut wait = StatementWait::new(begin, Duration::from_secs(300));
        let at = |seconds| begin + Duration::from_secs(seconds);
        let (one, other) = (WaitStatus::Blocked("process 7".to_owned()), WaitStatus::Blocked("process 8".to_owned()));
        assert_eq!(wait.changed(&one, at(0)).as_deref(), Some("waiting for a lock held by process 7"));
        assert_eq!(wait.changed(&one, at(60)), None);
        assert!(wait.changed(&other, at(60)).is_some() && wait.changed(&other, at(700)).is_some());
        assert_eq!(wait.stall_reason(&one, at(0)), None);
        assert_eq!(wait.stall_reason(&other, at(3599)), None);
        assert!(wait.stall_reason(&other, at(3600)).is_some_and(|why| why.ends_with("held by process 8")));
    }
}
