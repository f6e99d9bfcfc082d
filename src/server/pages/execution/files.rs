//! The files of an execution, and the beginning of the one that the address names.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::id::ExecutionId;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::files::find;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::format::ShownTime;
use crate::storage::Storage;
use crate::stream::preview::{ColumnProfile, FilePreview};
use crate::text::{count, size};

/// The most files that are listed.
const MAX_FILES: usize = 500;
/// The size of a histogram.
const BAR_WIDTH: usize = 8;
const HEIGHT: f64 = 24.0;

/// The files of an execution.
pub(super) struct FilesView {
    pub(super) files: Vec<ListedFile>,
    /// How many there are.
    pub(super) count: usize,
    pub(super) chosen: Option<ChosenFile>,
}

/// A file in the list.
pub(super) struct ListedFile {
    pub(super) uri: String,
    pub(super) name: String,
    pub(super) size: String,
    pub(super) written: Option<ShownTime>,
    pub(super) origin: String,
    pub(super) is_chosen: bool,
}

/// A file whose beginning is shown.
pub(super) struct ChosenFile {
    pub(super) uri: String,
    pub(super) name: String,
    pub(super) content: ShownContent,
}

/// What is shown of a file.
pub(super) enum ShownContent {
    Table(PreviewTable),
    /// Its text, and whether there is more.
    Text(String, bool),
    /// It cannot be shown, and why.
    Nothing(String),
}

/// The first rows of a file.
pub(super) struct PreviewTable {
    pub(super) heads: Vec<ColumnHead>,
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// How much of the file this is.
    pub(super) summary: String,
}

/// A column.
pub(super) struct ColumnHead {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) nulls: String,
    pub(super) range: String,
    pub(super) bars: Vec<HistogramBar>,
    pub(super) is_number: bool,
}

/// A bar of a histogram.
pub(super) struct HistogramBar {
    pub(super) x: usize,
    pub(super) y: String,
    pub(super) height: String,
}

/// How many files there are.
pub(super) fn number(app: &App, id: &ExecutionId) -> usize {
    Storage::new(app.settings.storage(), id.clone()).files().map_or(0, |files| files.len())
}

pub(super) fn of(app: &App, id: &ExecutionId, parameters: &QueryParameters) -> Result<FilesView, ApiError> {
    let storage = Storage::new(app.settings.storage(), id.clone());
    let files = storage.files().map_err(|error| ApiError::internal(&error))?;
    let chosen = parameters.one("file");
    let listed = |file: &crate::storage::StoredFile| {
        let data = file.path.metadata().ok();
        ListedFile {
            name: storage.within(&file.path).unwrap_or_default(),
            size: data.as_ref().map(|data| size(data.len())).unwrap_or_default(),
            written: data.and_then(|data| data.modified().ok()).map(moment),
            origin: storage.origin(&file.path).unwrap_or_default(),
            is_chosen: chosen == Some(&file.uri),
            uri: file.uri.clone(),
        }
    };
    let count = files.len();
    let files = files.iter().take(MAX_FILES).map(listed).collect();
    let chosen = chosen.map(|uri| find(app, id, uri).map(|path| look(uri, path))).transpose()?;
    Ok(FilesView { files, count, chosen })
}

fn moment(time: SystemTime) -> ShownTime {
    ShownTime::of(time.into())
}

fn look(uri: &str, path: PathBuf) -> ChosenFile {
    let content = match FilePreview::of(&path) {
        Ok(FilePreview::Table(table)) => {
            let rows = count(table.rows_profiled as u64, "row");
            let part = if table.is_whole { rows } else { format!("the first {rows}; figures are of these") };
            let more =
                if table.more_columns > 0 { format!(" · {} more columns", table.more_columns) } else { String::new() };
            let shown = if table.rows_profiled > table.rows.len() {
                format!(" · {} shown", table.rows.len())
            } else {
                String::new()
            };
            let heads = table.columns.into_iter().map(|column| head(column, table.rows_profiled)).collect();
            ShownContent::Table(PreviewTable { heads, rows: table.rows, summary: part + &shown + &more })
        }
        Ok(FilePreview::Text(text, is_cut)) => ShownContent::Text(text, is_cut),
        Ok(FilePreview::Binary) => ShownContent::Nothing("This file is neither text nor a table.".to_owned()),
        Err(finding) => ShownContent::Nothing(finding.sentence()),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ChosenFile { uri: uri.to_owned(), name, content }
}

fn head(column: ColumnProfile, rows: usize) -> ColumnHead {
    let most = column.bars.iter().copied().max().unwrap_or_default().max(1);
    let bar = |(index, count): (usize, &u32)| {
        let height = HEIGHT * f64::from(*count) / f64::from(most);
        let height = if *count > 0 { height.max(1.0) } else { 0.0 };
        HistogramBar { x: index * BAR_WIDTH, y: format!("{:.1}", HEIGHT - height), height: format!("{height:.1}") }
    };
    let range = column.range.map(|(least, most)| if least == most { least } else { format!("{least} – {most}") });
    ColumnHead {
        bars: column.bars.iter().enumerate().map(bar).collect(),
        nulls: match column.nulls {
            0 => "no nulls".to_owned(),
            nulls => format!("{:.0} % null", 100.0 * nulls as f64 / rows.max(1) as f64),
        },
        range: range.unwrap_or_default(),
        is_number: ["integer", "number"].contains(&column.kind),
        kind: column.kind,
        name: column.name,
    }
}
