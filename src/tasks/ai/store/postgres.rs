//! Pieces in a table of Postgres: as vectors of the extension pgvector where the server has it, and as arrays otherwise,
//! whose nearness the server computes exactly.

use serde_json::Value;

use super::{FoundPiece, StoredPiece, other_length};
use crate::postgres::name::TableName;
use crate::postgres::{FlowAddress, PostgresSession, connect_for, explain};
use crate::task::{TaskContext, TaskError};
use crate::text::hex;

/// The most numbers of a vector that pgvector puts into an index.
const MAX_INDEXED: usize = 2000;

/// The table, and a session with its server.
pub(super) struct VectorTable {
    session: PostgresSession,
    table: TableName,
}

/// How a table holds vectors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum VectorType {
    Pgvector,
    Array,
}

impl VectorType {
    fn sql(self) -> &'static str {
        match self {
            Self::Pgvector => "vector",
            Self::Array => "real[]",
        }
    }

    /// A vector as the type is written.
    fn literal(self, vector: &[f32]) -> String {
        let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
        match self {
            Self::Pgvector => format!("[{}]", numbers.join(",")),
            Self::Array => format!("{{{}}}", numbers.join(",")),
        }
    }
}

impl VectorTable {
    /// Connects to the server.
    pub(super) async fn open(address: FlowAddress, table: &str, context: &TaskContext) -> Result<Self, TaskError> {
        let table = TableName::parse(table)?;
        Ok(Self { session: connect_for(context, Some(&address)).await?, table })
    }

    /// Adds pieces, or puts them in place of all others.
    pub(super) async fn store(
        &self,
        context: &TaskContext,
        pieces: &[StoredPiece],
        (drop, bulk): (bool, usize),
        uses_index: bool,
    ) -> Result<(), TaskError> {
        let work = async {
            self.run("BEGIN").await?;
            let dimensions = pieces.first().map_or(0, |piece| piece.vector.len());
            let kind = self.prepare(dimensions, drop).await?;
            for rows in pieces.chunks(bulk.max(1)) {
                self.insert(kind, rows).await?;
                context.progress.add_rows(rows.len() as u64);
            }
            if uses_index {
                self.index(kind, dimensions).await?;
            }
            self.run("COMMIT").await
        };
        self.session.unless_cancelled(&context.cancel, "storing documents", work).await
    }

    /// The nearest pieces.
    pub(super) async fn search(
        &self,
        context: &TaskContext,
        vector: &[f32],
        max_results: usize,
    ) -> Result<Vec<FoundPiece>, TaskError> {
        let work = async {
            let Some((kind, dimensions)) = self.existing().await? else {
                let message = format!("there is no table `{}`", self.table);
                return Err(TaskError::permanent(message).help("fill it with ai.ingest first"));
            };
            if dimensions.is_some_and(|dimensions| dimensions != vector.len()) {
                return Err(other_length(dimensions.unwrap_or_default(), vector.len()));
            }
            let cosine = match kind {
                VectorType::Pgvector => "1 - (embedding <=> $1::text::vector)",
                VectorType::Array => {
                    "(SELECT sum(a::float8 * b) / nullif(sqrt(sum(a::float8 * a) * sum(b::float8 * b)), 0) \
                     FROM unnest(embedding, $1::text::real[]) AS pair(a, b))"
                }
            };
            let order = match kind {
                VectorType::Pgvector => "embedding <=> $1::text::vector",
                VectorType::Array => "cosine DESC NULLS LAST",
            };
            let sql = format!(
                "SELECT text, metadata::text, ({cosine})::float8 AS cosine FROM {} ORDER BY {order} LIMIT $2",
                self.table.sql()
            );
            let most = i64::try_from(max_results).unwrap_or(i64::MAX);
            let rows = self.session.client.query(&sql, &[&kind.literal(vector), &most]).await;
            let rows = rows.map_err(|error| explain(&format!("searching {}", self.table), &error))?;
            let mut found = Vec::new();
            for row in rows {
                let wrong = |error| explain("reading a document", &error);
                let text: Option<String> = row.try_get(0).map_err(wrong)?;
                let metadata: Option<String> = row.try_get(1).map_err(wrong)?;
                let Some(cosine) = row.try_get::<_, Option<f64>>(2).map_err(wrong)? else { continue };
                let metadata = metadata.and_then(|text| serde_json::from_str::<Value>(&text).ok());
                found.push(FoundPiece {
                    text: text.unwrap_or_default(),
                    metadata: metadata.and_then(|value| value.as_object().cloned()).unwrap_or_default(),
                    score: f64::midpoint(1.0, cosine).clamp(0.0, 1.0),
                });
            }
            Ok(found)
        };
        self.session.unless_cancelled(&context.cancel, "the search", work).await
    }

    async fn run(&self, sql: &str) -> Result<(), TaskError> {
        let ran = self.session.client.batch_execute(sql).await;
        ran.map_err(|error| explain(&format!("storing documents in {}", self.table), &error))
    }

    /// Makes the table ready for vectors of this length; returns how it holds them.
    async fn prepare(&self, dimensions: usize, drop: bool) -> Result<VectorType, TaskError> {
        let table = self.table.sql();
        match self.existing().await? {
            Some((_, Some(length))) if length != dimensions && dimensions > 0 && !drop => {
                return Err(other_length(length, dimensions));
            }
            Some((_, Some(length))) if length != dimensions && dimensions > 0 => {
                self.run(&format!("DROP TABLE {table}")).await?;
            }
            Some((kind, _)) => {
                if drop {
                    self.run(&format!("DELETE FROM {table}")).await?;
                }
                return Ok(kind);
            }
            None => {}
        }
        let kind = if self.has_pgvector().await? { VectorType::Pgvector } else { VectorType::Array };
        let column = match kind {
            VectorType::Pgvector => format!("vector({dimensions})"),
            VectorType::Array => kind.sql().to_owned(),
        };
        self.run(&format!(
            "CREATE TABLE {table} (embedding_id uuid PRIMARY KEY, embedding {column} NOT NULL, text text, metadata json)"
        ))
        .await?;
        Ok(kind)
    }

    /// How the table holds vectors, and of which length; none if there is no table.
    async fn existing(&self) -> Result<Option<(VectorType, Option<usize>)>, TaskError> {
        let doing = format!("looking at the table {}", self.table);
        let failed = |error| explain(&doing, &error);
        let sql = "SELECT format_type(a.atttypid, NULL), a.atttypmod FROM pg_attribute a
                   WHERE a.attrelid = to_regclass($1::text) AND a.attname = 'embedding' AND NOT a.attisdropped";
        let client = &self.session.client;
        let column = client.query_opt(sql, &[&self.table.sql()]).await.map_err(failed)?;
        let Some(column) = column else {
            let there = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&self.table.sql()]).await;
            return match there.and_then(|row| row.try_get(0)).map_err(failed)? {
                false => Ok(None),
                true => Err(TaskError::permanent(format!("the table {} has no column `embedding`", self.table))
                    .help("name another table; it is created if it is missing")),
            };
        };
        let kind: String = column.try_get(0).map_err(failed)?;
        let modifier: i32 = column.try_get(1).map_err(failed)?;
        if kind.ends_with("vector") {
            return Ok(Some((VectorType::Pgvector, usize::try_from(modifier).ok().filter(|length| *length > 0))));
        }
        if kind != "real[]" {
            let message = format!("the column `embedding` of {} is of type {kind}, not vector or real[]", self.table);
            return Err(TaskError::permanent(message).help("name another table"));
        }
        let sql = format!("SELECT array_length(embedding, 1) FROM {} LIMIT 1", self.table.sql());
        let row = client.query_opt(&sql, &[]).await.map_err(failed)?;
        let length = row.map(|row| row.try_get::<_, Option<i32>>(0)).transpose().map_err(failed)?.flatten();
        Ok(Some((VectorType::Array, length.and_then(|length| usize::try_from(length).ok()))))
    }

    /// Whether the database has pgvector, or can have it.
    async fn has_pgvector(&self) -> Result<bool, TaskError> {
        let sql = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector'),
                          EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')";
        let failed = |error| explain("looking for pgvector", &error);
        let row = self.session.client.query_one(sql, &[]).await.map_err(failed)?;
        let (is_there, is_available): (bool, bool) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        if is_there || !is_available {
            return Ok(is_there);
        }
        // Whoever may not create extensions has arrays.
        self.run("SAVEPOINT extension").await?;
        let created = self.session.client.batch_execute("CREATE EXTENSION vector").await.is_ok();
        self.run(if created { "RELEASE extension" } else { "ROLLBACK TO extension" }).await?;
        Ok(created)
    }

    async fn insert(&self, kind: VectorType, pieces: &[StoredPiece]) -> Result<(), TaskError> {
        let sql = format!(
            "INSERT INTO {} (embedding_id, embedding, text, metadata)
             SELECT id::uuid, vector::{}, text, metadata::json
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS piece(id, vector, text, metadata)
             ON CONFLICT (embedding_id) DO UPDATE
             SET embedding = excluded.embedding, text = excluded.text, metadata = excluded.metadata",
            self.table.sql(),
            kind.sql()
        );
        let column = |of: &dyn Fn(&StoredPiece) -> String| pieces.iter().map(of).collect::<Vec<String>>();
        let ids = column(&|piece| hex(&piece.id));
        let vectors = column(&|piece| kind.literal(&piece.vector));
        // Postgres keeps no zero bytes in texts.
        let texts = column(&|piece| piece.text.replace('\0', ""));
        let metadata = column(&|piece| Value::Object(piece.metadata.clone()).to_string());
        let inserted = self.session.client.execute(&sql, &[&ids, &vectors, &texts, &metadata]).await;
        inserted.map(drop).map_err(|error| explain(&format!("storing documents in {}", self.table), &error))
    }

    async fn index(&self, kind: VectorType, dimensions: usize) -> Result<(), TaskError> {
        if kind == VectorType::Array || dimensions > MAX_INDEXED {
            let why = if kind == VectorType::Array {
                "the server does not have the extension pgvector".to_owned()
            } else {
                format!("pgvector indexes vectors of at most {MAX_INDEXED} numbers, and these have {dimensions}")
            };
            return Err(TaskError::permanent(format!("no index can be created: {why}")).help("remove `useIndex`"));
        }
        let name =
            format!("{}_embedding_idx", self.table.sql().rsplit('.').next().unwrap_or_default().trim_matches('"'));
        let name = crate::postgres::name::quote_name(crate::postgres::name::truncated(&name));
        let table = self.table.sql();
        self.run(&format!("CREATE INDEX IF NOT EXISTS {name} ON {table} USING hnsw (embedding vector_cosine_ops)"))
            .await
    }
}
