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

use super::connect::{PostgresSession, SessionHandle, open};
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
const OWN_NAMES: &str = "SET search_path TO pg_catalog;";
/// How long a lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3600);

/// Looks after the waits of one session for one task.
pub struct WaitMonitor<'a> {
    handle: SessionHandle,
    context: &'a TaskContext,
    /// The server's process of the session; 0 while it is not known.
    process: AtomicI32,
    /// When the process began, as the server writes it: numbers are given out again.
    began: OnceLock<String>,
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
    pub(super) fn new(handle: SessionHandle, context: &'a TaskContext) -> Self {
        Self { handle, context, process: AtomicI32::new(0), began: OnceLock::new(), is_certain: AtomicBool::new(true) }
    }

    /// Asks which of the server's processes this session is. Behind a pooler it stays the same only within a
    /// transaction; outside of one, waits are reported and not limited.
    pub async fn identify(&self, client: &impl GenericClient, in_transaction: bool) -> Result<(), TaskError> {
        let doing = "asking for the session's process";
        let failed = |error: tokio_postgres::Error| error::explain(doing, &error);
        let asked = async {
            let sql = "SELECT pid, backend_start::pg_catalog.text FROM pg_catalog.pg_stat_activity
                       WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()";
            client.query_one(sql, &[]).await.map_err(failed)
        };
        let row = self.over(doing, asked).await?;
        self.process.store(row.try_get(0).map_err(failed)?, Ordering::Relaxed);
        // Hidden from a role that is not a member of the user's, which `SET role` may have made of it.
        if let Some(began) = row.try_get(1).map_err(failed)? {
            // A session is identified once.
            let _ = self.began.set(began);
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
                (problem, beside) = observed => {
                    self.give_up(beside).await;
                    Err(problem)
                }
            };
            self.context.progress.set_waiting(None);
            ended.map_err(|problem| self.handle.with_reason(problem))
        }
    }

    /// Forgets what the server complained of until now, before a COPY begins.
    pub fn before_copy(&self) {
        self.handle.heard.forget();
    }

    /// What the server has said against the rows of the COPY that [`WaitMonitor::before_copy`] announced.
    pub fn refusal(&self) -> Option<CopyError> {
        self.handle.heard.last().map(CopyError::new)
    }

    /// Waits for `work` on the data of a COPY. Ends as soon as the server complains, which the driver would only look
    /// at when everything is sent.
    ///
    /// # Errors
    /// The work's own, or the server's complaint.
    pub async fn unless_refused<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, TaskError>>,
    ) -> Result<T, TaskError> {
        tokio::select! {
            biased;
            complaint = self.handle.heard.error() => Err(error::from_server(doing, &complaint, None)),
            ended = work => ended,
        }
    }

    /// Looks at the server now and then, and ends when there is nothing more to wait for.
    async fn observe(&self, doing: &str) -> (TaskError, Option<PostgresSession>) {
        let mut wait = StatementWait::new(Instant::now(), self.context.settings.stall_timeout);
        let pause = CHECK_INTERVAL.min(wait.stall_timeout / 4);
        let (mut beside, mut rows) = (None, self.rows());
        tokio::time::sleep(FIRST_CHECK_DELAY.min(wait.stall_timeout / 2)).await;
        loop {
            let mut seen = self.look(&mut beside).await;
            let is_certain = self.is_certain.load(Ordering::Relaxed);
            if rows != self.rows() || (!is_certain && matches!(seen, WaitStatus::Idle | WaitStatus::Gone)) {
                (seen, rows) = (WaitStatus::Working, self.rows());
            }
            if let Some(line) = wait.news(&seen, Instant::now()) {
                self.context.info(line);
            }
            self.context.progress.set_waiting(wait.shown(&seen, Instant::now()));
            if let Some(why) = wait.verdict(&seen, Instant::now()).filter(|_| is_certain) {
                let mut problem = error::lost(doing);
                problem.message = format!("{}: {why}", problem.message);
                let help = "look for a proxy or a firewall in between; the server's log may say more";
                return (problem.help(help), beside);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Closes the connection. The server may not hear of it through whatever stands in between, and would keep the
    /// session with all its locks, so it is asked to end that too.
    async fn give_up(&self, beside: Option<PostgresSession>) {
        self.handle.close();
        let (process, Some(began)) = (self.process.load(Ordering::Relaxed), self.began.get()) else { return };
        let end = async {
            let session = match beside {
                Some(session) => session,
                None => open(self.handle.way.clone()).await?,
            };
            let sql = format!(
                "{OWN_NAMES} SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {process} AND backend_start = {}",
                quote(began)
            );
            session.client.simple_query(&sql).await.map_err(DialError::from)
        };
        // A server that cannot be asked ends the session when it sees the connection gone.
        let _ = tokio::time::timeout(CHECK_TIMEOUT, end).await;
    }

    fn rows(&self) -> u64 {
        self.context.progress.rows.load(Ordering::Relaxed)
    }

    async fn look(&self, beside: &mut Option<PostgresSession>) -> WaitStatus {
        let process = self.process.load(Ordering::Relaxed);
        if process == 0 {
            // What comes before that takes no time.
            return WaitStatus::Idle;
        }
        let asked = tokio::time::timeout(CHECK_TIMEOUT.min(self.context.settings.stall_timeout), async {
            let session = match beside.take() {
                Some(session) => session,
                None => open(self.handle.way.clone()).await?,
            };
            let answer = session.client.simple_query(&question(process)).await.map_err(DialError::from)?;
            *beside = Some(session);
            Ok(answer)
        });
        match asked.await {
            Ok(Ok(messages)) => read(&messages),
            // It speaks, if only to say that there are too many connections.
            Ok(Err(DialError::Driver(_) | DialError::WrongKind(_))) => WaitStatus::Working,
            Ok(Err(DialError::Connection(_) | DialError::Silent(_))) | Err(_) => WaitStatus::Unreachable,
        }
    }
}

/// What the server knows of a process, and who holds what it waits for.
fn question(process: i32) -> String {
    format!(
        "{OWN_NAMES} SELECT a.state, a.wait_event_type, (
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
    alive: Instant,
    blocked: Option<Instant>,
    told: Option<(String, Instant)>,
    gone: u32,
}

impl StatementWait {
    fn new(now: Instant, stall_timeout: Duration) -> Self {
        Self { stall_timeout, alive: now, blocked: None, told: None, gone: 0 }
    }

    /// What the log should hear of: who holds the lock, at first, when it is somebody else, and once in a while.
    fn news(&mut self, seen: &WaitStatus, now: Instant) -> Option<String> {
        let WaitStatus::Blocked(holder) = seen else { return None };
        if self.told.as_ref().is_some_and(|(told, at)| told == holder && now.duration_since(*at) < REMINDER_INTERVAL) {
            return None;
        }
        self.told = Some((holder.clone(), now));
        Some(format!("waiting for a lock held by {holder}"))
    }

    /// What stands in the live line.
    fn shown(&self, seen: &WaitStatus, now: Instant) -> Option<String> {
        match seen {
            WaitStatus::Working => None,
            WaitStatus::Blocked(holder) => Some(format!("waiting for a lock held by {holder}")),
            _ => Some(format!("no answer from Postgres for {} s", now.duration_since(self.alive).as_secs())),
        }
    }

    /// Why waiting is of no use any more.
    fn verdict(&mut self, seen: &WaitStatus, now: Instant) -> Option<String> {
        match seen {
            WaitStatus::Working | WaitStatus::Blocked(_) => self.alive = now,
            _ => {}
        }
        self.gone = if *seen == WaitStatus::Gone { self.gone + 1 } else { 0 };
        let WaitStatus::Blocked(holder) = seen else {
            self.blocked = None;
            let quiet = now.duration_since(self.alive);
            return match seen {
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
        assert_eq!(wait.verdict(&WaitStatus::Working, at(7200)), None);
        assert_eq!(wait.verdict(&WaitStatus::Unreachable, at(7400)), None);
        assert_eq!(wait.shown(&WaitStatus::Idle, at(7400)).as_deref(), Some("no answer from Postgres for 200 s"));
        assert_eq!(wait.verdict(&WaitStatus::Idle, at(7500)).as_deref(), Some("nothing got through for 300 s"));
        assert_eq!(wait.verdict(&WaitStatus::Gone, at(7201)), None);
        assert_eq!(wait.verdict(&WaitStatus::Gone, at(7202)).as_deref(), Some("the server has ended the session"));
    }

    #[test]
    fn who_holds_a_lock_is_told_once_and_for_an_hour_waited_for() {
        let begin = Instant::now();
        let mut wait = StatementWait::new(begin, Duration::from_secs(300));
        let at = |seconds| begin + Duration::from_secs(seconds);
        let (one, other) = (WaitStatus::Blocked("process 7".to_owned()), WaitStatus::Blocked("process 8".to_owned()));
        assert_eq!(wait.news(&one, at(0)).as_deref(), Some("waiting for a lock held by process 7"));
        assert_eq!(wait.news(&one, at(60)), None);
        assert!(wait.news(&other, at(60)).is_some() && wait.news(&other, at(700)).is_some());
        assert_eq!(wait.verdict(&one, at(0)), None);
        assert_eq!(wait.verdict(&other, at(3599)), None);
        assert!(wait.verdict(&other, at(3600)).is_some_and(|why| why.ends_with("held by process 8")));
    }
}
