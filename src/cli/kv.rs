//! `jitney kv`

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::cli::out::{self, data, errln, outln};
use crate::cli::table::Table;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::duration::DurationSpec;
use crate::journal::{Kv, KvEntry, KvError, KvType, NewKvEntry};
use crate::text::plain;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: KvCommand,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum KvCommand {
    /// List all keys with their values; secrets are shown as ***
    List {
        /// List only keys of this namespace
        #[arg(short, long)]
        namespace: Option<String>,
    },
    /// Print the value of a key
    Get {
        /// The key
        key: String,
        /// The namespace of the key; its parent namespaces are searched, too
        #[arg(short, long)]
        namespace: String,
    },
    /// Store a value under a key
    Set {
        /// The key
        key: String,
        /// The value
        value: String,
        /// The namespace of the key
        #[arg(short, long)]
        namespace: String,
        /// STRING, NUMBER, BOOLEAN, DATETIME, DATE, DURATION or JSON [default: STRING]
        #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
        kind: Option<KvType>,
        /// The time until the key expires, such as 12h [default: never]
        #[arg(long)]
        ttl: Option<DurationSpec>,
        /// What the key is for
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete a key
    Delete {
        /// The key
        key: String,
        /// The namespace of the key
        #[arg(short, long)]
        namespace: String,
    },
}

pub(super) fn run(arguments: Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let is_reading = matches!(arguments.command, KvCommand::List { .. } | KvCommand::Get { .. });
    let open = if is_reading { Kv::open_to_read } else { Kv::open };
    let (store, now) = (open(&settings.kv())?, clock::now());
    match arguments.command {
        KvCommand::List { namespace } => {
            let entries = store.list(namespace.as_deref(), now)?;
            list(&entries.into_iter().map(KvEntry::without_secrets).collect::<Vec<_>>(), arguments.json);
        }
        KvCommand::Get { key, namespace } => match store.find(&namespace, &key, now)? {
            Some(entry) if arguments.json => outln!("{}", serde_json::json!(entry)),
            Some(entry) => data(&format!("{}\n", plain(&entry.value))),
            None => return Err(missing(&key, &namespace)),
        },
        KvCommand::Set { key, value, namespace, kind, ttl, description } => {
            let new = NewKvEntry {
                value: value.into(),
                kind,
                description,
                ttl: ttl.map(|span| span.0),
                ..NewKvEntry::default()
            };
            let entry = store.set(&namespace, &key, new, true, now).map_err(set_error)?;
            if arguments.json {
                outln!("{}", serde_json::json!(entry));
            }
        }
        KvCommand::Delete { key, namespace } => {
            if !store.delete(&namespace, &key, now)? {
                return Err(missing(&key, &namespace));
            }
        }
    }
    Ok(ExitStatus::Ok)
}

fn list(entries: &[KvEntry], as_json: bool) {
    if as_json {
        outln!("{}", serde_json::json!(entries));
        return;
    }
    let shown = |time: DateTime<Utc>| time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M").to_string();
    let mut table = Table::new(["namespace", "key", "type", "value", "updated", "expires", "description"])
        .breaking(&["value"])
        .spilling(&["description"]);
    for entry in entries {
        table.add_row([
            entry.namespace.clone(),
            entry.key.clone(),
            entry.kind.to_string(),
            plain(&entry.value),
            shown(entry.updated),
            entry.expires.map(shown).unwrap_or_default(),
            entry.description.clone().unwrap_or_default(),
        ]);
    }
    if entries.is_empty() {
        errln!("No values are stored. Flows store values with the task kv.set; on the command line: jitney kv set");
    } else {
        out::table(&table);
    }
}

/// A type by its name in any case.
fn parse_type(text: &str) -> Result<KvType, String> {
    serde_json::from_value(text.to_uppercase().into())
        .map_err(|_| "expected STRING, NUMBER, BOOLEAN, DATETIME, DATE, DURATION or JSON".to_owned())
}

fn missing(key: &str, namespace: &str) -> anyhow::Error {
    let finding = Diagnostic::error(format!("there is no key `{key}` in namespace `{namespace}`"));
    InvalidFlow::from(finding.help("`jitney kv list` lists all keys")).into()
}

/// Turns an invalid value into a finding; other errors are unchanged.
fn set_error(error: KvError) -> anyhow::Error {
    match error {
        KvError::Sqlite(_) | KvError::Folder(_) => error.into(),
        wrong => InvalidFlow::from(Diagnostic::error(wrong.to_string())).into(),
    }
}
