//! The firings of triggers, so that each happens once.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{ExecutionEnd, Journal, Result, ends, stamp};
use crate::id::ExecutionId;

/// A trigger of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TriggerKey {
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// The trigger's id.
    pub trigger: String,
}

/// The firing of a trigger: it starts one execution at most, ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerFiring {
    /// The trigger.
    pub trigger: TriggerKey,
    /// The moment, the file or the execution that it is about.
    pub key: String,
    /// The moment that the trigger has then dealt with, if it goes by time.
    pub moment: Option<DateTime<Utc>>,
    /// The number of the end that it has then dealt with, if it goes by ends of executions.
    pub end: Option<i64>,
}

/// The progress of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerProgress {
    /// The latest date that it has processed.
    pub last: DateTime<Utc>,
    /// The number of the latest end of an execution that it has dealt with.
    pub last_end: i64,
    /// Whether it is switched off.
    pub is_off: bool,
}

impl std::fmt::Display for TriggerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.namespace, self.flow, self.trigger)
    }
}

impl TriggerFiring {
    /// The firing of a schedule.
    pub fn at(trigger: TriggerKey, moment: DateTime<Utc>) -> Self {
        Self { trigger, key: stamp(moment), moment: Some(moment), end: None }
    }

    /// A firing that is about something else than a moment.
    pub fn about(trigger: TriggerKey, key: impl Into<String>) -> Self {
        Self { trigger, key: key.into(), moment: None, end: None }
    }

    /// A firing that is about an end of an execution.
    pub fn after(trigger: TriggerKey, end: &ExecutionEnd) -> Self {
        let (key, moment) = (end.summary.id.to_string(), end.summary.ended);
        Self { trigger, key, moment, end: Some(end.number) }
    }

    /// Records it; false when it has been recorded before.
    pub(super) fn record(&self, transaction: &Transaction, execution: Option<&ExecutionId>) -> Result<bool> {
        let TriggerKey { namespace, flow, trigger } = &self.trigger;
        let sql = "INSERT OR IGNORE INTO ticks VALUES (?, ?, ?, ?, ?)";
        let values = params![namespace, flow, trigger, self.key, execution.map(ExecutionId::as_str)];
        let is_new = transaction.prepare_cached(sql)?.execute(values)? == 1;
        if let Some(moment) = self.moment {
            remember(transaction, &self.trigger, moment, self.end.unwrap_or(0))?;
        }
        Ok(is_new)
    }
}

/// A trigger's latest moment and latest end never go back.
fn remember(connection: &Connection, trigger: &TriggerKey, moment: DateTime<Utc>, end: i64) -> Result<()> {
    let sql = "INSERT INTO triggers (namespace, flow, trigger, last, last_end) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET last = max(last, excluded.last), last_end = max(last_end, excluded.last_end)";
    let values = params![trigger.namespace, trigger.flow, trigger.trigger, stamp(moment), end];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

impl Journal {
    /// The progress of each trigger. One that has not been seen before has dealt with all up to now; that is recorded, so that
    /// it makes up for what comes after.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn triggers_progress(&self, triggers: &[TriggerKey], now: DateTime<Utc>) -> Result<Vec<TriggerProgress>> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut found = Vec::with_capacity(triggers.len());
        {
            let newest = ends::newest(&transaction)?;
            let sql =
                "INSERT OR IGNORE INTO triggers (namespace, flow, trigger, last, last_end) VALUES (?, ?, ?, ?, ?)";
            let mut insert = transaction.prepare_cached(sql)?;
            let sql = "SELECT last, last_end, disabled FROM triggers WHERE namespace = ? AND flow = ? AND trigger = ?";
            let mut select = transaction.prepare_cached(sql)?;
            for trigger in triggers {
                insert.execute(params![trigger.namespace, trigger.flow, trigger.trigger, stamp(now), newest])?;
                let row = |row: &rusqlite::Row| {
                    Ok(TriggerProgress { last: row.get(0)?, last_end: row.get(1)?, is_off: row.get(2)? })
                };
                found.push(select.query_row([&trigger.namespace, &trigger.flow, &trigger.trigger], row)?);
            }
        }
        transaction.commit()?;
        Ok(found)
    }

    /// Notes that a trigger has dealt with all moments up to this one and with all ends so far; the number of the newest.
    pub fn set_trigger_last(&self, trigger: &TriggerKey, moment: DateTime<Utc>) -> Result<i64> {
        let connection = self.lock();
        let newest = ends::newest(&connection)?;
        remember(&connection, trigger, moment, newest)?;
        Ok(newest)
    }

    /// Switches a trigger off or on.
    pub fn set_trigger_disabled(&self, trigger: &TriggerKey, disabled: bool, now: DateTime<Utc>) -> Result<()> {
        let sql = "INSERT INTO triggers (namespace, flow, trigger, last, disabled) VALUES (?, ?, ?, ?, ?)
                   ON CONFLICT DO UPDATE SET disabled = excluded.disabled";
        self.lock().execute(sql, params![trigger.namespace, trigger.flow, trigger.trigger, stamp(now), disabled])?;
        Ok(())
    }

    /// Notes a firing that starts nothing; false when it has been noted before.
    pub fn record_firing(&self, firing: &TriggerFiring) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let is_new = firing.record(&transaction, None)?;
        transaction.commit()?;
        Ok(is_new)
    }

    /// Whether a firing has been noted.
    pub fn has_fired(&self, trigger: &TriggerKey, key: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM ticks WHERE namespace = ? AND flow = ? AND trigger = ? AND date = ?";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement
            .query_row([&trigger.namespace, &trigger.flow, &trigger.trigger, key], |_| Ok(()))
            .optional()?
            .is_some())
    }

    /// An execution that this trigger started and that has not ended.
    pub fn open_execution_of(&self, trigger: &TriggerKey) -> Result<Option<ExecutionId>> {
        let sql = "SELECT id FROM executions
                   WHERE namespace = ? AND flow = ? AND ended IS NULL AND trigger_id = ? LIMIT 1";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let found = statement
            .query_row([&trigger.namespace, &trigger.flow, &trigger.trigger], |row| row.get::<_, String>(0))
            .optional()?;
        Ok(found.map(ExecutionId::new))
    }
}
