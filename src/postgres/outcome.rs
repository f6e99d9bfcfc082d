//! What became of a transaction whose COMMIT got no answer: the server knows.

use std::time::Duration;

use tokio_postgres::{Error, GenericClient, SimpleQueryMessage};

use crate::task::{OutageTracker, TaskContext, TaskError};

use super::connect::{PostgresSession, connect_once};
use super::{FlowAddress, explain};

/// How often the server is asked while the transaction still ends.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const MAX_POLLS: u32 = 120;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// It took effect.
    Committed,
    /// Nothing of it took effect.
    RolledBack,
    /// Nobody can say.
    Unknown,
}

/// The number of the transaction that is in progress; none while it has changed nothing.
pub async fn number(client: &impl GenericClient) -> Result<Option<String>, TaskError> {
    number_after(client, "").await.map_err(|error| explain("asking for the transaction's number", &error))
}

/// The same once a statement without a result has run, in one round trip.
pub async fn number_after(client: &impl GenericClient, statement: &str) -> Result<Option<String>, Error> {
    let messages = client.simple_query(&format!("{statement}; SELECT pg_catalog.txid_current_if_assigned()")).await?;
    Ok(first_value(&messages))
}

/// Connects again, for as long as tasks retry, and asks how the transaction of this number ended.
pub async fn of(context: &TaskContext, address: &FlowAddress, number: Option<&str>) -> TransactionOutcome {
    // What has no number has changed nothing, so that there is nothing to lose.
    let Some(number) = number else { return TransactionOutcome::RolledBack };
    context.warn("the connection to Postgres broke during the commit; asking the server whether it took effect");
    let mut outage = OutageTracker::none(&context.settings);
    for _ in 0..MAX_POLLS {
        let asked = match connect_once(context, Some(address)).await {
            Ok(session) => status(&session, number).await,
            Err(problem) => Err(problem),
        };
        let answer = match asked {
            Ok(answer) => answer,
            Err(problem) => match outage.wait(context, problem).await {
                Ok(()) => continue,
                Err(_) => return TransactionOutcome::Unknown,
            },
        };
        match answer.as_str() {
            "committed" => return TransactionOutcome::Committed,
            "aborted" => return TransactionOutcome::RolledBack,
            // The server has not yet noticed that the connection is gone.
            "in progress" => tokio::time::sleep(POLL_INTERVAL).await,
            _ => return TransactionOutcome::Unknown,
        }
    }
    TransactionOutcome::Unknown
}

async fn status(session: &PostgresSession, number: &str) -> Result<String, TaskError> {
    let messages = session.client.simple_query(&format!("SELECT pg_catalog.txid_status({number})")).await;
    let messages = messages.map_err(|error| explain("asking how the transaction ended", &error))?;
    Ok(first_value(&messages).unwrap_or_default())
}

fn first_value(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}
