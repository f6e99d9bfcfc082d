//! Pieces under one key of the key-value store.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FoundPiece, StoredPiece, nearness, other_length};
use crate::clock;
use crate::journal::{Kv, KvType, NewKvEntry};
use crate::task::{TaskContext, TaskError};
use crate::text::{hex, thousands};

/// The most pieces: all of them are read for each search.
const MAX_PIECES: usize = 10_000;

/// What is kept under the key.
#[derive(Default, Serialize, Deserialize)]
struct KeptPieces {
    /// The model that made the vectors.
    model: String,
    /// How many numbers each has.
    dimensions: usize,
    pieces: Vec<KeptPiece>,
}

#[derive(Serialize, Deserialize)]
struct KeptPiece {
    id: String,
    text: String,
    metadata: Map<String, Value>,
    /// Its numbers as 32-bit floats in base64, which takes a third of what digits do.
    vector: String,
}

/// Adds pieces, or puts them in place of all others.
pub(super) fn store(
    context: &TaskContext,
    key: &str,
    pieces: Vec<StoredPiece>,
    model: &str,
    drop: bool,
) -> Result<(), TaskError> {
    let kv = open(context)?;
    let mut kept = if drop { None } else { read(&kv, context, key)? }.unwrap_or_default();
    let dimensions = pieces.first().map_or(kept.dimensions, |piece| piece.vector.len());
    if !kept.pieces.is_empty() && kept.dimensions != dimensions {
        return Err(other_length(kept.dimensions, dimensions));
    }
    if !kept.pieces.is_empty() && kept.model != model {
        context.warn(format!("the pieces that are there are of the model `{}`, the new ones of `{model}`", kept.model));
    }
    let new: Vec<KeptPiece> = pieces.into_iter().map(KeptPiece::of).collect();
    let ids: std::collections::BTreeSet<&str> = new.iter().map(|piece| piece.id.as_str()).collect();
    kept.pieces.retain(|piece| !ids.contains(piece.id.as_str()));
    kept.pieces.extend(new);
    (kept.model, kept.dimensions) = (model.to_owned(), dimensions);
    if kept.pieces.len() > MAX_PIECES {
        let most = thousands(MAX_PIECES as u64);
        return Err(TaskError::permanent(format!("the key-value store takes at most {most} pieces of documents"))
            .help("use `embeddings: {type: postgres, table: …}`, or larger pieces"));
    }
    let value = serde_json::to_value(&kept).map_err(|error| unusable(key).caused_by(error))?;
    let description = Some("pieces of documents, written by ai.ingest".to_owned());
    let entry = NewKvEntry { value, kind: Some(KvType::Json), description, ..NewKvEntry::default() };
    let stored = kv.set(&context.namespace, key, entry, true, clock::now());
    stored.map(|_| ()).map_err(|error| TaskError::transient(format!("cannot store `{key}`")).caused_by(error))
}

/// The nearest pieces.
pub(super) fn search(
    context: &TaskContext,
    key: &str,
    vector: &[f32],
    max_results: usize,
) -> Result<Vec<FoundPiece>, TaskError> {
    let kept = read(&open(context)?, context, key)?.ok_or_else(|| {
        let message = format!("there is no embedding store `{key}` in namespace `{}`", context.namespace);
        TaskError::permanent(message).help("fill it with ai.ingest first")
    })?;
    if !kept.pieces.is_empty() && kept.dimensions != vector.len() {
        return Err(other_length(kept.dimensions, vector.len()));
    }
    let mut scored = Vec::with_capacity(kept.pieces.len());
    for piece in kept.pieces {
        let stored = piece.numbers().ok_or_else(|| unusable(key))?;
        scored.extend(nearness(&stored, vector).map(|score| (score, piece)));
    }
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.truncate(max_results);
    let found = scored.into_iter();
    Ok(found.map(|(score, piece)| FoundPiece { text: piece.text, metadata: piece.metadata, score }).collect())
}

fn open(context: &TaskContext) -> Result<Kv, TaskError> {
    Kv::open(&context.settings.kv())
        .map_err(|error| TaskError::transient("cannot open the key-value store").caused_by(error))
}

fn read(kv: &Kv, context: &TaskContext, key: &str) -> Result<Option<KeptPieces>, TaskError> {
    let entry = kv
        .get(&context.namespace, key, clock::now())
        .map_err(|error| TaskError::transient(format!("cannot read `{key}`")).caused_by(error))?;
    entry.map(|entry| serde_json::from_value(entry.value).map_err(|_| unusable(key))).transpose()
}

fn unusable(key: &str) -> TaskError {
    TaskError::permanent(format!("the value of `{key}` is not an embedding store"))
        .help("ingest the documents again with `drop: true`, or choose another `kvName`")
}

impl KeptPiece {
    fn of(piece: StoredPiece) -> Self {
        let bytes: Vec<u8> = piece.vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        Self { id: hex(&piece.id), text: piece.text, metadata: piece.metadata, vector: STANDARD.encode(bytes) }
    }

    fn numbers(&self) -> Option<Vec<f32>> {
        let bytes = STANDARD.decode(&self.vector).ok()?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}
