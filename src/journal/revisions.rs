//! The texts that flows have had.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, TransactionBehavior, params};
use serde::Serialize;

use super::{Journal, Result, stamp};

/// A text of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// Its number, from 1.
    pub number: u32,
    /// When it was first seen.
    pub time: DateTime<Utc>,
    /// SHA-256 of the flow's own text, in hex.
    pub sha256: String,
    /// The file that it stood in.
    pub file: String,
    /// The text, passwords blanked.
    pub text: String,
}

const COLUMNS: &str = "number, time, sha256, file, text";

impl Journal {
    /// The numbers of flows' texts, each of `(namespace, flow, revision)`; a text that is not the flow's newest gets
    /// the next number, and one that has moved to another file is there from now on. The revisions' own numbers
    /// are not looked at.
    pub fn number_revisions(&self, texts: &[(&str, &str, Revision)]) -> Result<Vec<u32>> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut numbers = Vec::with_capacity(texts.len());
        {
            let sql = "SELECT number, sha256, file FROM revisions WHERE namespace = ? AND flow = ?
                       ORDER BY number DESC LIMIT 1";
            let mut newest = transaction.prepare_cached(sql)?;
            let mut move_ = transaction
                .prepare_cached("UPDATE revisions SET file = ? WHERE namespace = ? AND flow = ? AND number = ?")?;
            let mut insert = transaction.prepare_cached("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?)")?;
            for (namespace, flow, text) in texts {
                let row = |row: &rusqlite::Row| {
                    Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
                };
                let last = newest.query_row([namespace, flow], row).optional()?;
                let number = match last {
                    Some((number, sha256, file)) if sha256 == text.sha256 => {
                        if file != text.file {
                            move_.execute(params![text.file, namespace, flow, number])?;
                        }
                        number
                    }
                    last => {
                        let number = last.map_or(1, |(number, ..)| number + 1);
                        let values =
                            params![namespace, flow, number, stamp(text.time), text.sha256, text.file, text.text];
                        insert.execute(values)?;
                        number
                    }
                };
                numbers.push(number);
            }
        }
        transaction.commit()?;
        Ok(numbers)
    }

    /// The texts of a flow, the newest first.
    pub fn revisions(&self, namespace: &str, flow: &str) -> Result<Vec<Revision>> {
        let connection = self.lock();
        let sql = format!("SELECT {COLUMNS} FROM revisions WHERE namespace = ? AND flow = ? ORDER BY number DESC");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([namespace, flow], revision)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The numbers and times of a flow's newest texts, the newest first.
    pub fn revision_times(&self, namespace: &str, flow: &str, most: u32) -> Result<Vec<(u32, DateTime<Utc>)>> {
        let connection = self.lock();
        let sql = "SELECT number, time FROM revisions WHERE namespace = ? AND flow = ? ORDER BY number DESC LIMIT ?";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![namespace, flow, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One of the texts that a flow has had.
    pub fn revision(&self, namespace: &str, flow: &str, number: u32) -> Result<Option<Revision>> {
        let connection = self.lock();
        let sql = format!("SELECT {COLUMNS} FROM revisions WHERE namespace = ? AND flow = ? AND number = ?");
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![namespace, flow, number], revision).optional()?)
    }

    /// The newest text that each of the flows in a file has had.
    pub fn revisions_of_file(&self, file: &str) -> Result<Vec<Revision>> {
        let connection = self.lock();
        // Of one flow the number says which is the newest; a clock may have been set back.
        let sql = format!(
            "SELECT {COLUMNS} FROM revisions AS own WHERE file = ? AND number =
                 (SELECT max(number) FROM revisions WHERE file = own.file AND namespace = own.namespace AND flow = own.flow)
             ORDER BY time DESC"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([file], revision)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn revision(row: &rusqlite::Row) -> rusqlite::Result<Revision> {
    Ok(Revision { number: row.get(0)?, time: row.get(1)?, sha256: row.get(2)?, file: row.get(3)?, text: row.get(4)? })
}
