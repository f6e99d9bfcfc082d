//! Flows that people edit: what the file holds now, and saving over nothing but what the edit began with.

use std::io;
use std::sync::{Arc, PoisonError};

use super::{Catalog, CatalogEntry, CatalogError, file_error};
use crate::diagnostic::Diagnostic;
use crate::engine::{flow_file, snapshot};
use crate::flow::parse;
use crate::id::FlowKey;

/// A flow's file as an edit begins with it.
#[derive(Clone, Debug)]
pub struct EditedText {
    /// The text, byte for byte.
    pub text: String,
    /// What tells it from any other text.
    pub digest: String,
}

impl EditedText {
    fn of(text: String) -> Self {
        Self { digest: snapshot::fingerprint(&text), text }
    }
}

impl Catalog {
    /// The text of a flow's file, read anew; of a file that is gone it is empty.
    ///
    /// # Errors
    /// When there is no such flow, or its file cannot be read.
    pub fn text_to_edit(&self, namespace: &str, id: &str) -> Result<EditedText, CatalogError> {
        let unknown = || CatalogError::NotFound(FlowKey::new(namespace, id));
        let file = self.get(namespace, id).ok_or_else(unknown)?.file.clone();
        match flow_file::read(&file) {
            Ok(text) => Ok(EditedText::of(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(EditedText::of(String::new())),
            Err(error) => Err(file_error("read", &file)(error)),
        }
    }

    /// Saves the edited text of a flow, if its file still has the text of `digest`.
    ///
    /// # Errors
    /// When the text is no flow or another one, the file has changed meanwhile, or cannot be written; nothing is changed
    /// then.
    pub fn save_edit(&self, key: &FlowKey, digest: &str, text: &str) -> Result<Arc<CatalogEntry>, CatalogError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.text_to_edit(&key.namespace, &key.id)?;
        let file = self.get(&key.namespace, &key.id).map(|entry| entry.file.clone()).unwrap_or_default();
        let parsed = parse(&file.display().to_string(), text, self.tasks);
        let flow = parsed.flow.ok_or(CatalogError::Invalid(parsed.findings))?;
        if flow.namespace != key.namespace || flow.id.as_str() != key.id {
            let what = if flow.id.as_str() == key.id { "namespace" } else { "id" };
            let finding = Diagnostic::error(format!("the {what} is not that of the flow {key}"))
                .help("a renamed flow is another one: save it as a new flow");
            return Err(CatalogError::Invalid(vec![flow.document.locate(&[what.to_owned()], finding)]));
        }
        if now.digest != digest {
            return Err(CatalogError::Changed { file, text: now.text });
        }
        self.write(text)
    }

    /// Saves a flow that does not exist yet.
    ///
    /// # Errors
    /// When the text is no flow, there is one of its name, or the file cannot be written.
    pub fn create(&self, text: &str) -> Result<Arc<CatalogEntry>, CatalogError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let parsed = parse("flow.yaml", text, self.tasks);
        let flow = parsed.flow.ok_or(CatalogError::Invalid(parsed.findings))?;
        if self.get(&flow.namespace, flow.id.as_str()).is_some() {
            return Err(CatalogError::Exists(FlowKey::new(&flow.namespace, flow.id.as_str())));
        }
        self.write(text)
    }
}
