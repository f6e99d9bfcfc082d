//! `embeddings`: where the pieces of documents are kept with their vectors, and how the nearest ones are found.

mod kv;
mod postgres;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::task::{FieldConflict, TaskContext, TaskError};

/// A piece of a document with its vector.
#[derive(Clone, Debug)]
pub(super) struct StoredPiece {
    /// The same for the same text of the same document: a document that is ingested again replaces itself.
    pub(super) id: [u8; 16],
    pub(super) text: String,
    pub(super) metadata: Map<String, Value>,
    pub(super) vector: Vec<f32>,
}

/// A piece that was found.
#[derive(Clone, Debug)]
pub(super) struct FoundPiece {
    pub(super) text: String,
    pub(super) metadata: Map<String, Value>,
    /// How near it is: 1 for the same direction, 0.5 for nothing in common, 0 for the opposite.
    pub(super) score: f64,
}

/// Where pieces of documents are kept.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EmbeddingStore {
    /// `kv`, the key-value store, for up to 10,000 pieces; or `postgres`, which uses pgvector where the server has it. Or
    /// Kestra's name of one.
    #[serde(rename = "type")]
    kind: StoreKind,
    /// kv: the key. By default the flow's id with `-embedding-store`.
    #[serde(alias = "kv_name")]
    kv_name: Option<String>,
    /// postgres: the table. It is created if it is missing.
    table: Option<String>,
    /// postgres: the server, such as `postgres://user:password@host:5432/database`. Without any address the one of
    /// `--postgres` or of the environment, else the private server.
    url: Option<String>,
    /// postgres: the server's host, instead of `url`.
    host: Option<String>,
    /// postgres: its port. By default 5432.
    port: Option<u16>,
    /// postgres: the user.
    #[serde(alias = "username")]
    user: Option<String>,
    /// postgres: the user's password.
    password: Option<String>,
    /// postgres: the database.
    database: Option<String>,
    /// postgres: whether an index is created, which makes searches fast and approximate. It needs pgvector.
    #[serde(default, alias = "use_index")]
    use_index: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreKind {
    Kv,
    Postgres,
}

/// The names of each kind, Kestra's last.
const KINDS: [(StoreKind, &[&str]); 2] = [
    (StoreKind::Kv, &["kv", "io.kestra.plugin.ai.embeddings.KestraKVStore"]),
    (StoreKind::Postgres, &["postgres", "pgvector", "io.kestra.plugin.ai.embeddings.PGVector"]),
];

impl<'de> Deserialize<'de> for StoreKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = KINDS.iter().find(|(_, names)| names.contains(&name.as_str()));
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            D::Error::custom(format!("the embedding store `{name}` is not supported; use `kv` or `postgres`"))
        })
    }
}

impl JsonSchema for StoreKind {
    fn schema_name() -> Cow<'static, str> {
        "StoreKind".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = KINDS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        json_schema!({"type": "string", "enum": names})
    }
}

impl EmbeddingStore {
    /// What contradicts itself, or is missing.
    pub(super) fn conflicts(&self) -> Vec<FieldConflict> {
        let has_parts = [&self.host, &self.database].iter().any(|field| field.is_some()) || self.port.is_some();
        let has_address = has_parts || self.url.is_some() || self.user.is_some() || self.password.is_some();
        let wrong = match self.kind {
            StoreKind::Kv if has_address || self.table.is_some() || self.use_index => {
                Some("the key-value store has only `kvName`")
            }
            StoreKind::Postgres if self.kv_name.is_some() => Some("`kvName` has no effect in Postgres; name a `table`"),
            StoreKind::Postgres if self.table.is_none() => Some("Postgres needs a `table`"),
            StoreKind::Postgres if has_parts && self.url.is_some() => {
                Some("the server is named twice, by `url` and by its parts; remove one of them")
            }
            StoreKind::Postgres if has_parts && (self.host.is_none() || self.database.is_none()) => {
                Some("the server needs both `host` and `database`, or a `url`")
            }
            _ => None,
        };
        wrong.into_iter().map(|message| FieldConflict::between(["embeddings"], message)).collect()
    }

    /// Stores pieces in one transaction, in place of all others if `drop` is set, and in rows of `bulk` at a time.
    ///
    /// # Errors
    /// When the store cannot be written, or has vectors of another length. Nothing is changed then.
    pub(super) async fn store(
        &self,
        context: &TaskContext,
        pieces: Vec<StoredPiece>,
        model: &str,
        (drop, bulk): (bool, usize),
    ) -> Result<(), TaskError> {
        match self.kind {
            StoreKind::Kv => kv::store(context, &self.key(context), pieces, model, drop),
            StoreKind::Postgres => {
                let table = postgres::VectorTable::open(self.address(context), self.table(), context).await?;
                table.store(context, &pieces, (drop, bulk), self.use_index).await
            }
        }
    }

    /// The nearest pieces, the nearest first.
    ///
    /// # Errors
    /// When the store is empty or cannot be read, or has vectors of another length.
    pub(super) async fn search(
        &self,
        context: &TaskContext,
        vector: &[f32],
        (max_results, min_score): (usize, f64),
    ) -> Result<Vec<FoundPiece>, TaskError> {
        let mut found = match self.kind {
            StoreKind::Kv => kv::search(context, &self.key(context), vector, max_results)?,
            StoreKind::Postgres => {
                let table = postgres::VectorTable::open(self.address(context), self.table(), context).await?;
                table.search(context, vector, max_results).await?
            }
        };
        found.retain(|piece| piece.score >= min_score);
        Ok(found)
    }

    /// What the store is called in outputs.
    pub(super) fn outputs(&self, context: &TaskContext) -> Map<String, Value> {
        let (name, value) = match self.kind {
            StoreKind::Kv => ("kvName", self.key(context)),
            StoreKind::Postgres => ("table", self.table().to_owned()),
        };
        Map::from_iter([(name.to_owned(), value.into())])
    }

    fn key(&self, context: &TaskContext) -> String {
        self.kv_name.clone().unwrap_or_else(|| format!("{}-embedding-store", context.flow))
    }

    fn table(&self) -> &str {
        self.table.as_deref().unwrap_or_default()
    }

    fn address(&self, context: &TaskContext) -> crate::postgres::FlowAddress {
        let encode = crate::text::percent_encode;
        let of_parts = self.host.as_ref().map(|host| {
            let database = encode(self.database.as_deref().unwrap_or_default());
            format!("postgres://{}:{}/{database}", encode(host), self.port.unwrap_or(5432))
        });
        let url = self.url.clone().or(of_parts);
        crate::postgres::FlowAddress::of(url.as_ref(), self.user.as_ref(), self.password.as_ref(), &context.files)
    }
}

/// How near two vectors are, from 0 to 1; none where one of them has no direction.
fn nearness(a: &[f32], b: &[f32]) -> Option<f64> {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let length = (product(a, a) * product(b, b)).sqrt();
    (length > 0.0).then(|| f64::midpoint(1.0, product(a, b) / length).clamp(0.0, 1.0))
}

/// The error of vectors that cannot be compared.
fn other_length(stored: usize, given: usize) -> TaskError {
    TaskError::permanent(format!("the store has vectors of {stored} numbers, and the model makes some of {given}"))
        .help("use the model that the documents were ingested with, or ingest them again with `drop: true`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_is_one_for_the_same_direction_and_zero_for_the_opposite() {
        assert_eq!(nearness(&[1.0, 2.0], &[2.0, 4.0]), Some(1.0));
        assert_eq!(nearness(&[1.0, 0.0], &[0.0, 1.0]), Some(0.5));
        assert_eq!(nearness(&[1.0, 0.0], &[-1.0, 0.0]), Some(0.0));
        assert_eq!(nearness(&[0.0, 0.0], &[1.0, 0.0]), None);
    }
}
