//! Values that flows keep between executions.

pub mod delete;
pub mod get;
pub mod keys;
pub mod set;

use crate::journal::{Kv, KvError};
use crate::task::{TaskContext, TaskError};

/// The store of this process's home.
fn open(context: &TaskContext) -> Result<Kv, TaskError> {
    Kv::open(&context.settings.kv()).map_err(|error| failed("cannot open the key-value store", error))
}

/// What the store refuses will be refused again; a file that is locked or full may be free later.
fn failed(what: &str, error: KvError) -> TaskError {
    match error {
        KvError::Sqlite(_) | KvError::Folder(_) => TaskError::transient(what).caused_by(error),
        other => TaskError::permanent(what).caused_by(other),
    }
}
