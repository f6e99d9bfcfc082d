//! `ai.ingest`: documents into an embedding store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::document::{self, SourceDocument};
use super::outputs::TokenTally;
use super::provider::ProviderSpec;
use super::splitter::{DocumentPiece, DocumentSplitter};
use super::store::{EmbeddingStore, StoredPiece};
use crate::ai::{EmbedPurpose, Usage};
use crate::task::{FieldConflict, Task, TaskContext, TaskError};
use crate::text::{count, thousands};

/// The most documents of a folder, and the most pieces of all documents.
const MAX_FILES: usize = 1000;
const MAX_PIECES: usize = 50_000;

/// Reads documents, cuts them into pieces and stores each with its vector, so that `ai.answer` and `ai.search` find it.
///
/// Text, Markdown and HTML are read. Documents are cut at headings, and into pieces of at most 1000 characters that
/// overlap by up to 100, unless `documentSplitter` says otherwise. A document that is ingested again replaces the pieces that
/// are the same, and `drop: true` replaces everything.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AiIngest {
    /// The model that turns texts into vectors.
    provider: ProviderSpec,
    /// Where the pieces are stored.
    embeddings: EmbeddingStore,
    /// A file or a folder of files.
    #[serde(alias = "from_path")]
    from_path: Option<String>,
    /// Storage addresses of other tasks' files: a list, or one.
    #[serde(default, rename = "fromInternalURIs", alias = "from_internal_uris")]
    from_internal_uris: Addresses,
    /// `http://` and `https://` addresses: a list, or one.
    #[serde(default, rename = "fromExternalURLs", alias = "from_external_urls")]
    from_external_urls: Addresses,
    /// Documents that are written here.
    #[serde(default, alias = "from_documents")]
    from_documents: Vec<InlineDocument>,
    /// What is stored with every piece, in addition to `source`, `heading` and `index`.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// How documents are cut.
    #[serde(default, alias = "document_splitter")]
    document_splitter: DocumentSplitter,
    /// Whether everything that the store has is replaced.
    #[serde(default)]
    drop: bool,
    /// Postgres: how many pieces one statement stores.
    #[serde(default = "usual_bulk", alias = "bulk_size")]
    bulk_size: usize,
}

fn usual_bulk() -> usize {
    500
}

/// One address, or several.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Addresses {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl Addresses {
    fn list(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(address) => std::slice::from_ref(address),
            Self::Several(addresses) => addresses,
        }
    }
}

/// A document that is written in the flow.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InlineDocument {
    /// Its text.
    content: String,
    /// What is stored with its pieces.
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// What was stored.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The number of documents.
    ingested_documents: u64,
    /// The number of pieces.
    segments: u64,
    /// The tokens that the vectors took, as far as the provider tells them.
    input_token_count: Option<u64>,
    /// The same as `inputTokenCount`.
    total_token_count: Option<u64>,
    /// Tokens of answers: there are none.
    output_token_count: Option<u64>,
    /// What they cost, if the price of the model is in the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// Where the pieces are: `kvName` or `table`.
    embedding_store_outputs: Map<String, Value>,
    /// The same as metrics.
    metrics: Vec<Value>,
}

impl Task for AiIngest {
    const NAME: &'static str = "ai.ingest";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.ai.rag.IngestDocument", "io.kestra.plugin.langchain4j.rag.IngestDocument"];
    const FILES: &'static [&'static str] = &["fromPath", "fromInternalURIs"];
    const EXAMPLE: &'static str = "\
- id: ingest
  type: ai.ingest
  provider: {type: ollama, modelName: nomic-embed-text}
  embeddings: {type: kv}
  fromExternalURLs:
    - https://raw.githubusercontent.com/rust-lang/book/main/README.md
  drop: true";
    type Outputs = Outputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let mut found = self.embeddings.conflicts();
        let has_none = self.from_path.is_none()
            && self.from_internal_uris.list().is_empty()
            && self.from_external_urls.list().is_empty()
            && self.from_documents.is_empty();
        if has_none {
            let message =
                "there is nothing to ingest: set `fromPath`, `fromInternalURIs`, `fromExternalURLs` or `fromDocuments`";
            found.push(FieldConflict::between(
                ["fromPath", "fromInternalURIs", "fromExternalURLs", "fromDocuments"],
                message,
            ));
        }
        let wrong = self.document_splitter.problem();
        found.extend(wrong.map(|message| FieldConflict::between(["documentSplitter"], message)));
        found
    }

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let documents = self.documents(context).await?;
        let pieces = self.pieces(&documents)?;
        context.info(format!(
            "{} in {}",
            count(pieces.len() as u64, "piece"),
            count(documents.len() as u64, "document")
        ));
        let texts = pieces.iter().map(|(_, piece)| piece.to_embed()).collect();
        let (embeddings, model) = self.provider.embed(context, texts, EmbedPurpose::Document).await?;
        let mut tally = TokenTally::new(&context.settings);
        tally.add(&model, embeddings.usage);
        let stored = pieces.into_iter().zip(embeddings.vectors).enumerate();
        let stored = stored.map(|(index, ((document, piece), vector))| self.stored(index, document, piece, vector));
        let mut stored: Vec<StoredPiece> = stored.collect();
        // A text that a document repeats is stored once.
        let mut ids = BTreeSet::new();
        stored.retain(|piece| ids.insert(piece.id));
        let segments = stored.len() as u64;
        self.embeddings.store(context, stored, &model, (self.drop, self.bulk_size)).await?;
        let Usage { input_token_count, output_token_count, total_token_count } = tally.usage();
        Ok(Outputs {
            ingested_documents: documents.len() as u64,
            segments,
            input_token_count,
            total_token_count,
            output_token_count,
            cost: tally.cost(),
            embedding_store_outputs: self.embeddings.outputs(context),
            metrics: tally.metrics(&[("indexed.documents", documents.len() as u64), ("indexed.segments", segments)]),
        })
    }
}

impl AiIngest {
    async fn documents(&self, context: &TaskContext) -> Result<Vec<SourceDocument>, TaskError> {
        let mut found = Vec::new();
        if let Some(from) = &self.from_path {
            for (path, name) in files(from, context)? {
                let mut document = document::read("fromPath", &path, context).await?;
                document.metadata.insert("source".to_owned(), name.into());
                found.push(document);
            }
        }
        for uri in self.from_internal_uris.list() {
            found.push(document::read("fromInternalURIs", uri, context).await?);
        }
        for url in self.from_external_urls.list() {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                let message =
                    "`fromExternalURLs` takes http and https addresses; use `fromPath` or `fromInternalURIs` for files";
                return Err(TaskError::permanent(message));
            }
            found.push(document::read("fromExternalURLs", url, context).await?);
        }
        let inline = self.from_documents.iter().enumerate().map(|(index, document)| {
            let mut metadata = Map::from_iter([("source".to_owned(), format!("fromDocuments[{index}]").into())]);
            metadata.extend(document.metadata.clone());
            SourceDocument { text: document.content.clone(), metadata }
        });
        found.extend(inline);
        if let Some(empty) = found.iter().find(|document| document.text.trim().is_empty()) {
            let source = empty.metadata.get("source").map(crate::text::plain).unwrap_or_default();
            context.warn(format!("the document `{source}` has no text"));
        }
        Ok(found)
    }

    fn pieces<'a>(
        &self,
        documents: &'a [SourceDocument],
    ) -> Result<Vec<(&'a SourceDocument, DocumentPiece)>, TaskError> {
        let mut pieces = Vec::new();
        for document in documents {
            pieces.extend(self.document_splitter.split(&document.text).into_iter().map(|piece| (document, piece)));
            if pieces.len() > MAX_PIECES {
                let most = thousands(MAX_PIECES as u64);
                return Err(TaskError::permanent(format!("the documents have more than {most} pieces"))
                    .help("ingest them in several tasks, or in larger pieces"));
            }
        }
        if pieces.is_empty() {
            return Err(TaskError::permanent("the documents have no text").code("bad data"));
        }
        Ok(pieces)
    }

    fn stored(&self, index: usize, document: &SourceDocument, piece: DocumentPiece, vector: Vec<f32>) -> StoredPiece {
        let mut metadata = document.metadata.clone();
        if !piece.heading.is_empty() {
            metadata.insert("heading".to_owned(), piece.heading.into());
        }
        metadata.insert("index".to_owned(), index.into());
        metadata.extend(self.metadata.clone());
        let source = document.metadata.get("source").map(crate::text::plain).unwrap_or_default();
        let digest = Sha256::digest(format!("{source}\0{}", piece.text));
        let mut id = [0; 16];
        id.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        StoredPiece { id, text: piece.text, metadata, vector }
    }
}

/// The files that `fromPath` names, each with the name that its pieces have as their source. A working folder that tasks
/// share comes first.
fn files(from: &str, context: &TaskContext) -> Result<Vec<(String, String)>, TaskError> {
    let shared = context.services.folder.as_deref().filter(|_| Path::new(from).is_relative());
    let inside = shared.and_then(|folder| {
        let path = folder.join(from).canonicalize().ok()?;
        path.starts_with(folder.canonicalize().ok()?).then_some(path)
    });
    let path = match inside {
        Some(path) => path,
        None => context.named_path("fromPath", from)?,
    };
    if !path.is_dir() {
        let named = if context.services.folder.is_some() { path.display().to_string() } else { from.to_owned() };
        return Ok(vec![(named, from.to_owned())]);
    }
    let (mut found, mut open) = (Vec::new(), vec![path.clone()]);
    while let Some(folder) = open.pop() {
        let failed =
            |error| TaskError::permanent(format!("cannot read the folder {}", folder.display())).caused_by(error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            // Links may lead anywhere, and hidden files are nobody's documents.
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            match (is_hidden, kind.is_dir(), kind.is_file()) {
                (false, true, _) => open.push(entry.path()),
                (false, _, true) => found.push(entry.path()),
                _ => {}
            }
            if found.len() + open.len() > MAX_FILES {
                let message = format!("the folder `{from}` has more than {MAX_FILES} files");
                return Err(TaskError::permanent(message).help("ingest its folders one by one"));
            }
        }
    }
    found.sort();
    let name = |file: &PathBuf| file.strip_prefix(&path).unwrap_or(file).display().to_string();
    Ok(found.iter().map(|file| (file.display().to_string(), name(file))).collect())
}
