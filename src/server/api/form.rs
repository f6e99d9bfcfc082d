//! What a form brings: inputs as fields, files as files.

use std::path::PathBuf;

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use tokio::io::AsyncWriteExt;

use crate::server::api::problem::Problem;

/// Inputs of an execution. Files of the form lie in a folder that goes with this value.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Names and values; of a file the path.
    pub(crate) inputs: Vec<(String, String)>,
    folder: Option<PathBuf>,
}

impl Drop for Form {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What cannot be removed lies in the system's temporary folder, which is emptied anyway.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Form {
    /// Reads a form; files go to `uploads`, in pieces, whatever their size.
    ///
    /// # Errors
    /// When the form breaks off or a file cannot be written.
    pub(crate) async fn read(form: Option<Multipart>, uploads: PathBuf) -> Result<Self, Problem> {
        let mut read = Self::default();
        let Some(mut form) = form else { return Ok(read) };
        let broken = |error: axum::extract::multipart::MultipartError| Problem::wrong(error.body_text());
        while let Some(mut field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            let value = match field.file_name().map(plain_name) {
                Some(file) => read.store(&mut field, &uploads, &file).await?,
                None => field.text().await.map_err(broken)?,
            };
            read.inputs.push((name, value));
        }
        Ok(read)
    }

    async fn store(&mut self, field: &mut Field<'_>, uploads: &std::path::Path, name: &str) -> Result<String, Problem> {
        let folder = uploads.join(uuid::Uuid::new_v4().to_string());
        let folder = self.folder.get_or_insert(folder).join(self.inputs.len().to_string());
        let failed = |error: std::io::Error| Problem::internal(&error);
        tokio::fs::create_dir_all(&folder).await.map_err(failed)?;
        let path = folder.join(name);
        let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
        while let Some(piece) = field.chunk().await.map_err(|error| Problem::wrong(error.body_text()))? {
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(path.display().to_string())
    }
}

/// A file's name without folders, which could lead anywhere.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    if last.is_empty() || last == "." || last == ".." { "file".to_owned() } else { last.to_owned() }
}
