//! What a Parquet file's index says of its column chunks, held against the file before Polars believes it: Polars
//! reads where the index points, without looking whether that is within the file.

use std::collections::BTreeMap;
use std::ops::Range;

use polars::io::parquet::read::FileMetadata;
use polars_parquet::parquet::schema::types::PhysicalType;

use super::pages::PageHeader;
use super::unsupported::UnsupportedColumn;
use super::{Result, UnpackLimits, parquet::broken};
use crate::diagnostic::Diagnostic;

/// The largest page, unpacked. Writers make pages of about 1 MiB; few make one of a whole column.
const MAX_PAGE_BYTES: i64 = 256 << 20;
/// Unpacked bytes of the wanted columns that are held at a time, as far as the file can be divided.
const PORTION_BYTES: u64 = 64 << 20;
/// What a text takes besides its letters.
const TEXT_OVERHEAD: u64 = 16;

/// How a file is read: rows by rows, so many at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Rows of each row group.
    groups: Vec<u64>,
    /// Of each row group and column chunk: the column's name and its size in memory.
    sizes: Vec<Vec<(String, u64)>>,
    /// Columns of fixed-length bytes with pages of encodings that Polars does not read for them.
    encoded: BTreeMap<String, &'static str>,
}

impl Layout {
    /// Holds the index against the file's bytes.
    ///
    /// # Errors
    /// When it points out of the file, contradicts itself or the pages, or unpacks as a bomb does.
    pub(super) fn check(metadata: &FileMetadata, file: &[u8], name: &str, limits: UnpackLimits) -> Result<Self> {
        if metadata.num_rows == 0 && metadata.row_groups.iter().all(|group| group.num_rows() == 0) {
            // Nothing is read of it, and writers leave the places of its columns open.
            return Ok(Self::default());
        }
        let mut layout = Self::default();
        let mut unpacked = 0_u64;
        for (number, group) in metadata.row_groups.iter().enumerate() {
            let rows = group.num_rows();
            let mut sizes = Vec::new();
            for column in group.parquet_columns() {
                let path = column.descriptor().path_in_schema.join(".");
                let chunk = Chunk {
                    start: column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset()),
                    data: column.data_page_offset(),
                    length: column.compressed_size(),
                    values: column.num_values(),
                    rows: (column.descriptor().descriptor.max_rep_level == 0).then_some(rows),
                };
                let pages = chunk.check(file).map_err(|reason| {
                    damaged(name, &format!("column `{path}` of row group {}: {reason}", number + 1))
                })?;
                unpacked = unpacked.saturating_add(pages.unpacked);
                let in_memory = pages.data.saturating_add(TEXT_OVERHEAD.saturating_mul(chunk.values.unsigned_abs()));
                let root = column.descriptor().path_in_schema.first().map(ToString::to_string);
                let root = root.unwrap_or_default();
                if let (PhysicalType::FixedLenByteArray(_), Some(encoding)) = (column.physical_type(), pages.other) {
                    layout.encoded.insert(root.clone(), encoding);
                }
                sizes.push((root, in_memory));
            }
            layout.groups.push(rows as u64);
            layout.sizes.push(sizes);
        }
        if layout.groups.iter().sum::<u64>() != metadata.num_rows as u64 {
            return Err(damaged(name, "its row groups have not as many rows as the file"));
        }
        match limits.check(unpacked, file.len() as u64) {
            Some(bomb) => Err(Box::new(Diagnostic { file: name.to_owned(), ..bomb })),
            None => Ok(layout),
        }
    }

    /// Columns that Polars does not read for how they are encoded.
    pub(super) fn unreadable(&self) -> impl Iterator<Item = UnsupportedColumn> {
        self.encoded.iter().map(|(column, encoding)| UnsupportedColumn::of_encoding(column.clone(), encoding))
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.groups.iter().sum()
    }

    /// The rows to read at a time, so that the wanted columns of a portion fit into memory.
    pub(super) fn portions(&self, wanted: &[&str]) -> Vec<Range<u64>> {
        let (mut portions, mut held) = (Vec::<Range<u64>>::new(), 0);
        let mut start = 0;
        for (rows, sizes) in self.groups.iter().zip(&self.sizes) {
            let size = sizes.iter().filter(|(name, _)| wanted.contains(&name.as_str())).map(|(_, size)| size).sum();
            let end = start + rows;
            match portions.last_mut() {
                Some(last) if held + size <= PORTION_BYTES && end - last.start <= u64::from(u32::MAX) => {
                    last.end = end;
                    held += size;
                }
                _ => {
                    let step = rows.div_ceil(u64::div_ceil(size, PORTION_BYTES).max(1)).clamp(1, u64::from(u32::MAX));
                    portions.extend((start..end).step_by(step as usize).map(|from| from..end.min(from + step)));
                    held = size;
                }
            }
            start = end;
        }
        portions
    }
}

/// What the index says of a column chunk.
struct Chunk {
    start: i64,
    data: i64,
    length: i64,
    values: i64,
    /// Of a column without lists, how many values there must be.
    rows: Option<usize>,
}

/// What the pages of a chunk take, unpacked.
#[derive(Default)]
struct ChunkPages {
    /// All of them.
    unpacked: u64,
    /// Those with the rows' values.
    data: u64,
    /// An encoding of theirs that is neither plain nor by a dictionary.
    other: Option<&'static str>,
}

impl Chunk {
    fn check(&self, file: &[u8]) -> std::result::Result<ChunkPages, String> {
        let place = |number: i64| usize::try_from(number).map_err(|_| "a negative place or length".to_owned());
        let (start, data, length) = (place(self.start)?, place(self.data)?, place(self.length)?);
        let end = start.checked_add(length).filter(|end| *end <= file.len());
        let end = end.ok_or("it reaches beyond the end of the file")?;
        if data < start || data > end {
            return Err("its rows begin outside of it".to_owned());
        }
        if self.values < 0 || self.rows.is_some_and(|rows| rows as u64 != self.values.unsigned_abs()) {
            return Err("it does not have as many values as rows".to_owned());
        }
        self.pages(file.get(start..end).unwrap_or_default())
    }

    fn pages(&self, mut rest: &[u8]) -> std::result::Result<ChunkPages, String> {
        let (mut pages, mut values, mut is_first) = (ChunkPages::default(), 0, true);
        while values < self.values {
            let page = PageHeader::read(rest).ok_or("the header of a page is damaged")?;
            let is_negative = page.unpacked < 0 || page.packed < 0 || page.values < 0 || page.levels < 0;
            if is_negative || page.levels > page.packed.min(page.unpacked) {
                return Err("the header of a page is damaged".to_owned());
            }
            if page.unpacked > MAX_PAGE_BYTES {
                return Err(format!("a page is larger than {} MiB", MAX_PAGE_BYTES >> 20));
            }
            match page.kind {
                PageHeader::DICTIONARY if is_first => {}
                PageHeader::DATA | PageHeader::DATA_V2 => {
                    values += page.values;
                    pages.data += page.unpacked.unsigned_abs();
                    pages.other = pages.other.or(other_encoding(page.encoding));
                }
                _ => return Err("a page is of an unknown kind".to_owned()),
            }
            is_first = false;
            pages.unpacked += page.unpacked.unsigned_abs();
            let packed = usize::try_from(page.packed).unwrap_or(usize::MAX);
            rest = page.length.checked_add(packed).and_then(|length| rest.get(length..)).ok_or("a page is cut off")?;
        }
        if values == self.values { Ok(pages) } else { Err("its pages have more values than it has".to_owned()) }
    }
}

/// An encoding that is neither plain nor by a dictionary.
fn other_encoding(number: i64) -> Option<&'static str> {
    match number {
        0 | 2 | 8 => None,
        3 => Some("RLE"),
        5 => Some("DELTA_BINARY_PACKED"),
        6 => Some("DELTA_LENGTH_BYTE_ARRAY"),
        7 => Some("DELTA_BYTE_ARRAY"),
        9 => Some("BYTE_STREAM_SPLIT"),
        _ => Some("of an unknown number"),
    }
}

fn damaged(name: &str, reason: &str) -> Box<Diagnostic> {
    broken(name, format!("the Parquet file is damaged: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(groups: &[(u64, u64)]) -> Layout {
        Layout {
            groups: groups.iter().map(|(rows, _)| *rows).collect(),
            sizes: groups
                .iter()
                .map(|(_, size)| vec![("a".to_owned(), *size), ("b".to_owned(), 9 * PORTION_BYTES)])
                .collect(),
            encoded: BTreeMap::new(),
        }
    }

    #[test]
    fn small_row_groups_are_read_together_and_large_ones_in_parts() {
        let together = layout(&[(10, 100), (5, 100)]).portions(&["a"]);
        assert_eq!((together.len(), together.first()), (1, Some(&(0..15))));
        assert_eq!(layout(&[(10, 100), (6, 3 * PORTION_BYTES)]).portions(&["a"]), [0..10, 10..12, 12..14, 14..16]);
        assert_eq!(layout(&[(2, 9 * PORTION_BYTES)]).portions(&["a"]), [0..1, 1..2]);
        assert_eq!(layout(&[]).portions(&["a"]), Vec::<Range<u64>>::new());
    }
}
