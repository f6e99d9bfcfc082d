//! The names that cross layers, as types: a task's id is never mistaken for a flow's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a name that is already known to be valid.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id! {
    /// A flow's `id`, unique in its namespace.
    FlowId
}
id! {
    /// A task's `id`, unique in its flow.
    TaskId
}
id! {
    /// One run of a task in an execution: the task's id, after the iterations of the loops around it, as in
    /// `months[3].load`.
    RunId
}
id! {
    /// One execution of a flow: 16 characters that sort by the time of creation.
    ExecutionId
}

id! {
    /// One backfill of a flow: made like the id of an execution.
    BackfillId
}

impl From<ExecutionId> for BackfillId {
    fn from(id: ExecutionId) -> Self {
        Self(id.0)
    }
}

/// A flow among all of them. It is written as `namespace.id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub id: String,
}

impl FlowKey {
    /// The key of a flow.
    pub fn new(namespace: impl Into<String>, id: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), id: id.into() }
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.id)
    }
}

impl RunId {
    /// What the ids of all task runs of one iteration begin with.
    pub fn iteration(&self, index: u32) -> String {
        format!("{}[{index}].", self.0)
    }

    /// The id of the task.
    pub fn task(&self) -> &str {
        self.0.rsplit_once("].").map_or(&self.0, |(_, task)| task)
    }
}

/// Crockford's base 32 in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of the id of an execution or a backfill.
const LENGTH: usize = 16;

/// Why a text from outside is not the id of an execution or a backfill.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// It has another length, or characters that ids do not have.
    #[error("`{0}` is not an id: ids have {LENGTH} lowercase letters and digits")]
    Id(String),
    /// No id begins with it.
    #[error("`{0}` is neither an id nor the beginning of one: ids have {LENGTH} lowercase letters and digits")]
    Prefix(String),
}

impl FromStr for ExecutionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.len() == LENGTH && has_id_characters(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidId::Id(text.to_owned())),
        }
    }
}

impl FromStr for BackfillId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse::<ExecutionId>().map(Self::from)
    }
}

/// The beginning of the id of an execution or a backfill, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPrefix(String);

impl IdPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdPrefix {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match (1..=LENGTH).contains(&text.len()) && has_id_characters(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidId::Prefix(text.to_owned())),
        }
    }
}

fn has_id_characters(text: &str) -> bool {
    text.bytes().all(|letter| ALPHABET.contains(&letter))
}

impl ExecutionId {
    /// A new id: 9 characters of milliseconds since 1970, then 7 random ones, in Crockford's base 32.
    pub fn generate(now: chrono::DateTime<chrono::Utc>) -> Self {
        Self::of_millis(now.timestamp_millis().max(0).unsigned_abs())
    }

    /// A new id that sorts after another one, also when the clock has been set back since that was made.
    pub fn generate_after(other: &str, now: chrono::DateTime<chrono::Utc>) -> Self {
        let millis = now.timestamp_millis().max(0).unsigned_abs();
        Self::of_millis(millis_of(other).map_or(millis, |last| millis.max(last + 1)))
    }

    fn of_millis(millis: u64) -> Self {
        let random: u64 = rand::random();
        let mut text = String::with_capacity(LENGTH);
        push_base32(&mut text, millis, 9);
        push_base32(&mut text, random, 7);
        Self(text)
    }
}

/// The milliseconds in an id; none in one that was not made here.
fn millis_of(id: &str) -> Option<u64> {
    let digit = |letter: &u8| ALPHABET.iter().position(|known| known == letter);
    let head = id.as_bytes().get(..9).filter(|_| id.len() == LENGTH)?;
    head.iter().try_fold(0, |millis, letter| Some(millis * 32 + digit(letter)? as u64))
}

fn push_base32(text: &mut String, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        let index = (value >> (5 * place)) & 31;
        text.push(char::from(ALPHABET[index as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use chrono::{TimeZone, Utc};

    fn early_time() -> chrono::DateTime<Utc> {
        Utc.timestamp_millis_opt(1_600_000_000_000).unwrap()
    }

    #[test]
    fn only_texts_that_could_be_ids_are_parsed() {
        let id = ExecutionId::generate(early_time());
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.as_str().parse(), Ok(BackfillId::from(id.clone())));
        assert_eq!(id.as_str()[..3].parse::<IdPrefix>().map(|prefix| prefix.0), Ok(id.as_str()[..3].to_owned()));
        for text in [
            "",
            "..",
            "../../etc/passwd",
            "1m84pwtr39kkxzg",
            "1M84PWTR39KKXZGH",
            "1m84pwtr39kkxzghx",
            "é84pwtr39kkxzgh",
        ] {
            assert_eq!(text.parse::<ExecutionId>(), Err(InvalidId::Id(text.to_owned())));
        }
        for text in ["", "..", "o", "1m84pwtr39kkxzghx"] {
            assert_eq!(text.parse::<IdPrefix>(), Err(InvalidId::Prefix(text.to_owned())));
        }
    }

    #[test]
    fn execution_ids_sort_by_time_and_never_repeat() {
        let early = ExecutionId::generate(Utc.timestamp_millis_opt(1_600_000_000_000).unwrap());
        let late = ExecutionId::generate(Utc.timestamp_millis_opt(1_600_000_000_001).unwrap());
        assert!(early < late, "{early} should sort before {late}");
        assert_eq!(early.as_str().len(), 16);
        let before = Utc.timestamp_millis_opt(1_500_000_000_000).unwrap();
        assert!(ExecutionId::generate_after(late.as_str(), before) > late, "the clock was set back");
        let later = Utc.timestamp_millis_opt(1_700_000_000_000).unwrap();
        assert!(ExecutionId::generate_after(late.as_str(), later) > ExecutionId::generate_after("e1", early_time()));
        let now = clock::now();
        assert_ne!(ExecutionId::generate(now), ExecutionId::generate(now));
    }
}
