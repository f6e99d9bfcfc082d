//! Multipart forms: inputs as fields, files as files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, OptionalFromRequest, Request};
use axum::response::Response;
use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;

use crate::server::App;
use crate::server::api::MAX_TEXT_BYTES;
use crate::server::api::error::ApiError;

/// The largest text field, in bytes.
const MAX_FIELD_BYTES: usize = 1 << 20;
/// The most parts of a form, files included.
const MAX_PARTS: usize = 1000;
/// How much of a form is read in search of the next part; the headers of a part are far shorter.
const MAX_HEADER_BYTES: usize = 1 << 20;
/// The longest file name, in bytes: file systems allow 255, and names of derived files are longer.
const MAX_NAME_BYTES: usize = 160;

/// A form that has not been read yet, or none.
pub(crate) struct FormUpload {
    form: Option<Multipart>,
    /// How many bytes may be read before the next part, or the next chunk of one, must appear.
    budget: Arc<AtomicUsize>,
}

impl FormUpload {
    /// The form without that budget: the limit of the body bounds it.
    pub(super) fn into_form(self) -> Option<Multipart> {
        self.budget.store(usize::MAX, Ordering::Relaxed);
        self.form
    }
}

impl<S: Send + Sync> FromRequest<S> for FormUpload {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        use axum::response::IntoResponse;
        let budget = Arc::new(AtomicUsize::new(MAX_HEADER_BYTES));
        let left = budget.clone();
        let request = request.map(|body| {
            let counted = body.into_data_stream().and_then(move |chunk: Bytes| {
                let taken = left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(chunk.len()));
                std::future::ready(taken.map(|_| chunk).map_err(|_| axum::Error::new(NoMultipart)))
            });
            Body::from_stream(counted)
        });
        let form = <Multipart as OptionalFromRequest<S>>::from_request(request, state).await;
        let unreadable =
            |_| ApiError::unprocessable("the form cannot be read: send it with `curl -F NAME=VALUE`").into_response();
        Ok(Self { form: form.map_err(unreadable)?, budget })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the form has no part within {MAX_HEADER_BYTES} bytes")]
struct NoMultipart;

/// Inputs of an execution. Its files are in a folder that is removed when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct InputForm {
    /// Names and values; for a file its path.
    pub(crate) inputs: Vec<(String, String)>,
    /// The bytes of all text fields.
    text_bytes: usize,
    folder: Option<PathBuf>,
}

impl Drop for InputForm {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What cannot be removed now is removed at the server's next start.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl InputForm {
    /// Reads a form. Files are streamed to the server's uploads, whatever their size.
    ///
    /// # Errors
    /// When the form is cut off, its fields are too large, or a file cannot be written.
    pub(crate) async fn read(upload: FormUpload, app: &App) -> Result<Self, ApiError> {
        let mut read = Self::default();
        let FormUpload { form: Some(mut form), budget } = upload else { return Ok(read) };
        while let Some(mut field) = form.next_field().await.map_err(form_error)? {
            budget.store(MAX_HEADER_BYTES, Ordering::Relaxed);
            if read.inputs.len() >= MAX_PARTS {
                return Err(ApiError::unprocessable(format!("the form has more than {MAX_PARTS} parts")));
            }
            let name = field.name().unwrap_or_default().to_owned();
            let value = match field.file_name().map(safe_name) {
                Some(file) => read.store(&mut field, &budget, &app.settings.uploads(), &file).await?,
                None => read.text(&mut field, &budget, &name).await?,
            };
            read.inputs.push((name, value));
        }
        Ok(read)
    }

    async fn text(&mut self, field: &mut Field<'_>, budget: &AtomicUsize, name: &str) -> Result<String, ApiError> {
        let mut bytes = Vec::new();
        while let Some(data) = chunk(field, budget).await? {
            bytes.extend_from_slice(&data);
            self.text_bytes += data.len();
            if bytes.len() > MAX_FIELD_BYTES {
                let message = format!("the field `{name}` has more than {MAX_FIELD_BYTES} bytes; send it as a file");
                return Err(ApiError::unprocessable(message));
            }
            if self.text_bytes > MAX_TEXT_BYTES {
                return Err(ApiError::unprocessable(format!(
                    "the fields of the form have more than {MAX_TEXT_BYTES} bytes in total"
                )));
            }
        }
        String::from_utf8(bytes).map_err(|_| ApiError::unprocessable(format!("the field `{name}` is not UTF-8 text")))
    }

    async fn store(
        &mut self,
        field: &mut Field<'_>,
        budget: &AtomicUsize,
        uploads: &Path,
        name: &str,
    ) -> Result<String, ApiError> {
        let folder = uploads.join(uuid::Uuid::new_v4().to_string());
        let folder = self.folder.get_or_insert(folder).join(self.inputs.len().to_string());
        let failed = |error: std::io::Error| ApiError::internal(&error);
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).await.map_err(failed)?;
        let path = folder.join(name);
        let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
        while let Some(data) = chunk(field, budget).await? {
            file.write_all(&data).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(path.display().to_string())
    }
}

/// The next chunk of a part.
async fn chunk(field: &mut Field<'_>, budget: &AtomicUsize) -> Result<Option<Bytes>, ApiError> {
    let chunk = field.chunk().await.map_err(form_error)?;
    budget.store(MAX_HEADER_BYTES, Ordering::Relaxed);
    Ok(chunk)
}

/// The error of a form that cannot be read, with its root cause.
pub(super) fn form_error(error: MultipartError) -> ApiError {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    let (message, cause) = (error.body_text(), cause.to_string());
    ApiError::unprocessable(if message.contains(&cause) { message } else { format!("{message}: {cause}") })
}

/// A file's name without folders, which could lead anywhere, and without characters that terminals or file systems do not
/// accept. Asterisks stand for secrets in the journal.
fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String =
        last.chars().map(|letter| if letter.is_control() || letter == '*' { '_' } else { letter }).collect();
    if name.is_empty() || name == "." || name == ".." { "file".to_owned() } else { shortened(&name) }
}

/// A name without its middle if it is too long: the extension is kept.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let (start, end) =
        (name.floor_char_boundary(MAX_NAME_BYTES / 2), name.ceil_char_boundary(name.len() - MAX_NAME_BYTES / 2));
    format!("{}{}", &name[..start], &name[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_is_one_that_every_file_system_accepts() {
        let names =
            [("../../etc/passwd", "passwd"), ("a\\b.csv", "b.csv"), ("..", "file"), ("", "file"), ("a\0b*\n", "a_b__")];
        for (name, plain) in names {
            assert_eq!(safe_name(name), plain);
        }
        for letter in ["a", "ä", "語"] {
            let plain = safe_name(&format!("{}.csv.gz", letter.repeat(300)));
            assert!(
                plain.len() <= MAX_NAME_BYTES && plain.starts_with(letter) && plain.ends_with(".csv.gz"),
                "{plain}"
            );
        }
    }
}
