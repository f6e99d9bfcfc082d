//! `messages`: what was said, as a flow writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

use super::document;
use crate::ai::{ChatMessage, MessagePart};
use crate::task::{FieldConflict, TaskContext, TaskError};

/// A message of a conversation.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MessageSpec {
    /// Who says it: `SYSTEM`, `USER`, or `AI` for the model.
    #[serde(rename = "type", alias = "role")]
    kind: MessageKind,
    /// The text.
    content: Option<String>,
    /// Several parts instead, for images and PDFs.
    #[serde(default, alias = "content_blocks")]
    content_blocks: Vec<ContentBlock>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum MessageKind {
    #[serde(alias = "system")]
    System,
    #[serde(alias = "ai", alias = "assistant")]
    Ai,
    #[serde(alias = "user")]
    User,
}

/// A part of a message.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContentBlock {
    /// `TEXT`, `IMAGE` or `PDF`.
    #[serde(rename = "type")]
    kind: BlockKind,
    /// Of a text: the text.
    text: Option<String>,
    /// Of an image or a PDF: its file, by the storage address of another task's file, a path or an `http(s)://` address.
    uri: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum BlockKind {
    #[serde(alias = "text")]
    Text,
    #[serde(alias = "image")]
    Image,
    #[serde(alias = "pdf")]
    Pdf,
}

/// What is wrong with a conversation.
pub(super) fn conflicts(messages: &[MessageSpec]) -> Vec<FieldConflict> {
    let systems = messages.iter().filter(|message| message.kind == MessageKind::System).count();
    let wrong = if messages.is_empty() {
        Some("there must be at least one message, of type USER".to_owned())
    } else if systems > 1 {
        Some("there can be only one message of type SYSTEM".to_owned())
    } else if messages.last().is_some_and(|message| message.kind != MessageKind::User) {
        Some("the last message must be of type USER: it is what the model answers".to_owned())
    } else {
        messages.iter().find_map(MessageSpec::problem)
    };
    wrong.into_iter().map(|message| FieldConflict::between(["messages"], message)).collect()
}

impl MessageSpec {
    fn problem(&self) -> Option<String> {
        let has_files = self.content_blocks.iter().any(|block| block.kind != BlockKind::Text);
        if self.content.is_some() != self.content_blocks.is_empty() {
            return Some("a message needs either `content` or `contentBlocks`".to_owned());
        }
        if has_files && self.kind != MessageKind::User {
            return Some("only messages of type USER can have images and PDFs".to_owned());
        }
        let wrong = self.content_blocks.iter().find(|block| match block.kind {
            BlockKind::Text => block.text.is_none() || block.uri.is_some(),
            BlockKind::Image | BlockKind::Pdf => block.uri.is_none() || block.text.is_some(),
        });
        wrong.map(|_| "a part of type TEXT needs `text`, and one of type IMAGE or PDF needs `uri`".to_owned())
    }

    fn text(&self) -> String {
        let blocks: Vec<&str> = self.content_blocks.iter().filter_map(|block| block.text.as_deref()).collect();
        self.content.clone().unwrap_or_else(|| blocks.join("\n\n"))
    }
}

/// The system's message and the others, with the files that they name.
///
/// # Errors
/// When a file cannot be read, or is no image or PDF.
pub(super) async fn conversation(
    messages: &[MessageSpec],
    context: &TaskContext,
) -> Result<(Option<String>, Vec<ChatMessage>), TaskError> {
    let (mut system, mut all) = (None, Vec::new());
    for message in messages {
        match message.kind {
            MessageKind::System => system = Some(message.text()),
            MessageKind::Ai => all.push(ChatMessage::assistant(message.text())),
            MessageKind::User if message.content_blocks.is_empty() => all.push(ChatMessage::user(message.text())),
            MessageKind::User => {
                let mut parts = Vec::new();
                for block in &message.content_blocks {
                    parts.push(part(block, context).await?);
                }
                all.push(ChatMessage::User(parts));
            }
        }
    }
    Ok((system, all))
}

async fn part(block: &ContentBlock, context: &TaskContext) -> Result<MessagePart, TaskError> {
    let Some(uri) = &block.uri else { return Ok(MessagePart::Text(block.text.clone().unwrap_or_default())) };
    let bytes = document::read_bytes("messages", uri, context).await?.bytes;
    let wanted = if block.kind == BlockKind::Pdf { "application/pdf" } else { "image/" };
    let media_type = media_type(&bytes).filter(|found| found.starts_with(wanted)).ok_or_else(|| {
        let what = if block.kind == BlockKind::Pdf { "a PDF" } else { "an image of type PNG, JPEG, GIF or WebP" };
        TaskError::permanent(format!("the file `{uri}` is not {what}"))
    })?;
    Ok(MessagePart::File { media_type: media_type.to_owned(), base64: STANDARD.encode(bytes) })
}

/// The type of a file by its first bytes.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let signatures: [(&[u8], &str); 4] = [
        (b"\x89PNG", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"%PDF", "application/pdf"),
    ];
    let found = signatures.into_iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, kind)| kind);
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    found.or(is_webp.then_some("image/webp"))
}
