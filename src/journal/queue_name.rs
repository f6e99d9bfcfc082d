//! The names of queues.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::StartedBy;

/// How the names of queues begin that belong to a command in a terminal, and those of servers.
const TERMINAL: &str = "terminal-";
const SERVER: &str = "queue-";

/// The name of a process's queue: the kind of process, its id, and a random number, since ids are used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueName(String);

impl QueueName {
    /// A name for the queue of this process.
    pub fn generate(kind: StartedBy) -> Self {
        let prefix = if kind == StartedBy::Terminal { TERMINAL } else { SERVER };
        Self(format!("{prefix}{}-{:08x}", std::process::id(), rand::random::<u32>()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the queue of such a process.
    pub fn is_of(&self, kind: StartedBy) -> bool {
        self.0.starts_with(TERMINAL) == (kind == StartedBy::Terminal)
    }
}

impl FromSql for QueueName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}

impl ToSql for QueueName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}
