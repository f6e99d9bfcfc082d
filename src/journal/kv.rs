//! The key-value store: what flows keep between executions.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open::{empty, open_file, open_to_read};
use super::row::json;
use super::stamp;
use crate::duration::DurationSpec;
use crate::text::plain;

/// Why the store cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// SQLite's own words.
    #[error("the key-value store cannot be used")]
    Sqlite(#[from] rusqlite::Error),
    /// The folder or the lock file cannot be made.
    #[error("the key-value store's folder cannot be used")]
    Folder(#[from] std::io::Error),
    /// A key or namespace that is none.
    #[error(
        "`{0}` is not a valid name for a {1}: use letters, digits, `.`, `_` and `-`, and begin with a letter or digit"
    )]
    Name(String, &'static str),
    /// A value that its type does not allow.
    #[error("the value of `{key}` is not of type {kind}: {reason}")]
    Value {
        /// The key.
        key: String,
        /// The type.
        kind: KvType,
        /// What is wrong.
        reason: String,
    },
    /// The key is taken and may not be overwritten.
    #[error("the key `{key}` already exists in namespace `{namespace}`")]
    Taken {
        /// The key.
        key: String,
        /// Its namespace.
        namespace: String,
    },
}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum KvType {
    /// Text.
    String,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A moment, `2024-05-06T07:08:09Z`.
    Datetime,
    /// A day, `2024-05-06`.
    Date,
    /// A time span, `PT15S` or `15s`.
    Duration,
    /// A list, a map, or anything else that JSON has.
    Json,
}

impl std::fmt::Display for KvType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{self:?}").to_uppercase())
    }
}

/// A value in the store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KvEntry {
    /// The namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// The value's type.
    #[serde(rename = "type")]
    pub kind: KvType,
    /// The value.
    pub value: Value,
    /// What it is for.
    pub description: Option<String>,
    /// When the key was first set.
    pub created: DateTime<Utc>,
    /// When it was last set.
    pub updated: DateTime<Utc>,
    /// When it goes.
    pub expires: Option<DateTime<Utc>>,
    /// The pieces of the value that are secret.
    #[serde(skip)]
    pub secrets: Vec<String>,
}

impl KvEntry {
    /// The entry as it may be shown: `***` for what is secret in its value.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.value = hidden(self.value, &self.secrets);
        self
    }
}

fn hidden(value: Value, secrets: &[String]) -> Value {
    let text = |text: String| secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"));
    match value {
        Value::String(shown) => Value::String(text(shown)),
        Value::Number(number) if secrets.iter().any(|secret| number.to_string().contains(secret)) => "***".into(),
        Value::Array(items) => items.into_iter().map(|item| hidden(item, secrets)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (text(key), hidden(value, secrets))).collect(),
        other => other,
    }
}

/// What lists say of a value: all but the value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KvSummary {
    /// The namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// The value's type.
    #[serde(rename = "type")]
    pub kind: KvType,
    /// How many bytes the value has as JSON.
    pub size: u64,
    /// What it is for.
    pub description: Option<String>,
    /// When it was last set.
    pub updated: DateTime<Utc>,
    /// When it goes.
    pub expires: Option<DateTime<Utc>>,
}

/// A value for the store.
#[derive(Clone, Debug, Default)]
pub struct NewKvEntry {
    /// The value; text is read as its type has it.
    pub value: Value,
    /// Its type; by default what the value itself is.
    pub kind: Option<KvType>,
    /// What it is for; by default as before.
    pub description: Option<String>,
    /// After how long it goes; by default never.
    pub ttl: Option<Duration>,
    /// The pieces of the value that are secret: its readers hide them.
    pub secrets: Vec<String>,
}

/// An open store. Several processes may have the same file open.
pub struct Kv {
    connection: Mutex<Connection>,
    /// Whether the file has the column, which one of an earlier version that is only read has not.
    knows_secrets: bool,
}

/// The result of a call.
type Result<T> = std::result::Result<T, KvError>;

fn tables(connection: &mut Connection) -> Result<()> {
    connection.execute_batch(include_str!("kv.sql"))?;
    if !knows_secrets(connection)? {
        // A file of an earlier version.
        connection.execute_batch("ALTER TABLE kv ADD COLUMN secrets TEXT NOT NULL DEFAULT '[]'")?;
    }
    Ok(())
}

impl Kv {
    /// Opens or makes the store's file, readable by its owner alone.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn open(file: &Path) -> Result<Self> {
        open_file(file, tables).map(|connection| Self { connection: Mutex::new(connection), knows_secrets: true })
    }

    /// Opens the store for one who only reads, where it cannot be written too; see [`super::Journal::open_to_read`].
    ///
    /// # Errors
    /// When the file cannot be read, or is none and cannot be made.
    pub fn open_to_read(file: &Path) -> Result<Self> {
        Self::open(file).or_else(|error| {
            let empty = || empty(file, tables).and_then(Result::ok);
            let connection = open_to_read(file).ok().or_else(empty).ok_or(error)?;
            let knows_secrets = knows_secrets(&connection)?;
            Ok(Self { connection: Mutex::new(connection), knows_secrets })
        })
    }

    /// What a namespace holds under a key.
    pub fn get(&self, namespace: &str, key: &str, now: DateTime<Utc>) -> Result<Option<KvEntry>> {
        let connection = self.lock();
        let sql = self.select("WHERE namespace = ? AND key = ? AND (expires IS NULL OR expires > ?)");
        Ok(connection.prepare_cached(&sql)?.query_row(params![namespace, key, stamp(now)], entry).optional()?)
    }

    /// What a namespace, or the nearest of those around it, holds under a key: `a.b`, then `a`.
    pub fn find(&self, namespace: &str, key: &str, now: DateTime<Utc>) -> Result<Option<KvEntry>> {
        let mut next = Some(namespace);
        while let Some(namespace) = next {
            if let Some(found) = self.get(namespace, key, now)? {
                return Ok(Some(found));
            }
            next = namespace.rsplit_once('.').map(|(outer, _)| outer);
        }
        Ok(None)
    }

    /// All that a namespace holds, or all namespaces, in order.
    pub fn list(&self, namespace: Option<&str>, now: DateTime<Utc>) -> Result<Vec<KvEntry>> {
        let connection = self.lock();
        let sql = self.select(
            "WHERE (?1 IS NULL OR namespace = ?1) AND (expires IS NULL OR expires > ?2) ORDER BY namespace, key",
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![namespace, stamp(now)], entry)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Lists keys without their values, in order: those of a namespace, or of all, whose key has this text. At most `limit` of
    /// them after the first `offset`, and how many there are.
    pub fn search(
        &self,
        namespace: Option<&str>,
        text: &str,
        (limit, offset): (u32, u32),
        now: DateTime<Utc>,
    ) -> Result<(u64, Vec<KvSummary>)> {
        let connection = self.lock();
        let which = "WHERE (?1 IS NULL OR namespace = ?1) AND instr(key, ?2) > 0 AND (expires IS NULL OR expires > ?3)";
        let total: i64 = connection
            .prepare_cached(&format!("SELECT count(*) FROM kv {which}"))?
            .query_row(params![namespace, text, stamp(now)], |row| row.get(0))?;
        let sql = format!(
            "SELECT namespace, key, type, length(CAST(value AS BLOB)), description, updated, expires FROM kv {which}
             ORDER BY namespace, key LIMIT ?4 OFFSET ?5"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![namespace, text, stamp(now), limit, offset], kv_summary)?;
        Ok((total.unsigned_abs(), rows.collect::<rusqlite::Result<_>>()?))
    }

    /// The namespaces that hold something, in order.
    pub fn namespaces(&self, now: DateTime<Utc>) -> Result<Vec<String>> {
        let connection = self.lock();
        let sql = "SELECT DISTINCT namespace FROM kv WHERE expires IS NULL OR expires > ? ORDER BY namespace";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([stamp(now)], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps a value, in one transaction, and gives it as it is kept.
    ///
    /// # Errors
    /// When a name is none, the value is not of its type, the key is taken and `overwrite` is not set, or the file cannot
    /// be written. Nothing is changed then.
    pub fn set(
        &self,
        namespace: &str,
        key: &str,
        new: NewKvEntry,
        overwrite: bool,
        now: DateTime<Utc>,
    ) -> Result<KvEntry> {
        check_name(namespace, "namespace")?;
        check_name(key, "key")?;
        let kind = new.kind.unwrap_or_else(|| kind_of(&new.value));
        let value = typed(kind, new.value).map_err(|reason| KvError::Value {
            key: key.to_owned(),
            kind,
            reason: reason.to_owned(),
        })?;
        let expires = new.ttl.and_then(|ttl| now.checked_add_signed(chrono::Duration::from_std(ttl).ok()?)).map(stamp);
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Expired entries are gone for every reader; this is a good time to delete them.
        transaction.execute("DELETE FROM kv WHERE expires <= ?", [stamp(now)])?;
        let conflict = if overwrite {
            "UPDATE SET type = excluded.type, value = excluded.value, updated = excluded.updated,
             expires = excluded.expires, secrets = excluded.secrets, description = coalesce(excluded.description, description)"
        } else {
            "NOTHING"
        };
        let sql = format!(
            "INSERT INTO kv (namespace, key, type, value, description, created, updated, expires, secrets)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) ON CONFLICT DO {conflict}"
        );
        let secrets = Value::from(secrets_of(key, &value, new.secrets)).to_string();
        let (kind, value) = (kind.to_string(), value.to_string());
        let values = params![namespace, key, kind, value, new.description, stamp(now), expires, secrets];
        if transaction.execute(&sql, values)? == 0 {
            return Err(KvError::Taken { key: key.to_owned(), namespace: namespace.to_owned() });
        }
        let kept = transaction.query_row(&self.select("WHERE namespace = ? AND key = ?"), [namespace, key], entry)?;
        transaction.commit()?;
        Ok(kept)
    }

    /// Removes a key; whether it was there.
    pub fn delete(&self, namespace: &str, key: &str, now: DateTime<Utc>) -> Result<bool> {
        let connection = self.lock();
        connection.execute("DELETE FROM kv WHERE expires <= ?", [stamp(now)])?;
        Ok(connection.execute("DELETE FROM kv WHERE namespace = ? AND key = ?", [namespace, key])? > 0)
    }

    fn select(&self, which: &str) -> String {
        let secrets = if self.knows_secrets { "secrets" } else { "'[]'" };
        format!("SELECT namespace, key, type, value, description, created, updated, expires, {secrets} FROM kv {which}")
    }

    /// A panic elsewhere cannot have left a transaction open: it rolls back when it is dropped.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kv_type(row: &Row, column: usize) -> rusqlite::Result<KvType> {
    serde_json::from_value(row.get::<_, String>(column)?.into())
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn kv_summary(row: &Row) -> rusqlite::Result<KvSummary> {
    Ok(KvSummary {
        namespace: row.get(0)?,
        key: row.get(1)?,
        kind: kv_type(row, 2)?,
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        description: row.get(4)?,
        updated: row.get(5)?,
        expires: row.get(6)?,
    })
}

fn entry(row: &Row) -> rusqlite::Result<KvEntry> {
    Ok(KvEntry {
        namespace: row.get(0)?,
        key: row.get(1)?,
        kind: kv_type(row, 2)?,
        value: json(row, 3)?,
        description: row.get(4)?,
        created: row.get(5)?,
        updated: row.get(6)?,
        expires: row.get(7)?,
        secrets: json(row, 8)?,
    })
}

fn knows_secrets(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM pragma_table_info('kv') WHERE name = 'secrets'")?.exists([])
}

/// What ends the keys of values that are secret by their keys alone. Tokens are not among them: flows keep those of pages too.
const SECRET_KEYS: [&str; 6] = ["api_key", "apikey", "api-key", "access_key", "password", "passphrase"];

/// The secret pieces of a value: those that are known to be, or all of it if its key says so, such as `GEMINI_API_KEY`.
fn secrets_of(key: &str, value: &Value, known: Vec<String>) -> Vec<String> {
    let key = key.to_ascii_lowercase();
    let is_secret = SECRET_KEYS.iter().any(|end| key.ends_with(end));
    match value {
        Value::String(text) if known.is_empty() && !text.is_empty() && is_secret => vec![text.clone()],
        _ => known,
    }
}

fn check_name(name: &str, what: &'static str) -> Result<()> {
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    if begins && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter)) {
        Ok(())
    } else {
        Err(KvError::Name(name.to_owned(), what))
    }
}

fn kind_of(value: &Value) -> KvType {
    match value {
        Value::String(_) => KvType::String,
        Value::Number(_) => KvType::Number,
        Value::Bool(_) => KvType::Boolean,
        _ => KvType::Json,
    }
}

/// The value as its type has it.
fn typed(kind: KvType, value: Value) -> std::result::Result<Value, &'static str> {
    if value.is_null() {
        return Err("it is null, which cannot be told from a missing key");
    }
    let text = plain(&value);
    let text = text.trim();
    let is_one = match kind {
        KvType::String => return Ok(Value::String(plain(&value))),
        KvType::Number => return number(text).ok_or("write a number, such as 5 or 2.5"),
        KvType::Boolean => return text.parse().map(Value::Bool).map_err(|_| "write true or false"),
        KvType::Json if value.is_string() => {
            return serde_json::from_str(text)
                .map_err(|_| "this text is not valid JSON")
                .and_then(|inner| typed_json(inner));
        }
        KvType::Json => return Ok(value),
        KvType::Datetime => is_moment(text).then_some(()).ok_or("write a date and time, such as 2024-05-06T07:08:09Z"),
        KvType::Date => text.parse::<NaiveDate>().map(drop).map_err(|_| "write a date, such as 2024-05-06"),
        KvType::Duration => {
            text.parse::<DurationSpec>().map(drop).map_err(|_| "write a duration, such as PT15S or 15s")
        }
    };
    is_one.map(|()| Value::String(text.to_owned()))
}

fn typed_json(value: Value) -> std::result::Result<Value, &'static str> {
    if value.is_null() { Err("it is null, which cannot be told from a missing key") } else { Ok(value) }
}

fn number(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_number)
}

fn is_moment(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok() || text.parse::<NaiveDateTime>().is_ok()
}
