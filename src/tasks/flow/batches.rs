//! A file cut into batches of items.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// How a file is cut; the first of `partitions`, `bytes` and `rows` that is given counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BatchSpec {
    /// How many items are in a batch; one by default.
    rows: Option<u64>,
    /// The size of a batch, such as `10MB`; an item is never split.
    #[serde(default, deserialize_with = "size")]
    #[schemars(with = "Option<String>")]
    bytes: Option<u64>,
    /// The number of batches.
    partitions: Option<u64>,
    /// The separator between items; a line break by default.
    separator: Option<String>,
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let upper = text.trim().to_uppercase();
    let (number, unit) = upper.split_at(upper.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(upper.len()));
    let factor = match unit.trim() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(1 << 10),
        "M" | "MB" | "MIB" => Some(1 << 20),
        "G" | "GB" | "GIB" => Some(1 << 30),
        _ => None,
    };
    let bytes = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    let bytes = bytes.filter(|bytes| *bytes > 0);
    bytes.map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a size; write for example 10MB")))
}

/// Writes the items of a file into files of these paths, and says how many.
///
/// # Errors
/// When the file cannot be read, or one of the others not written.
pub(super) fn split(source: &Path, batch: &BatchSpec, path: impl Fn(usize) -> PathBuf) -> io::Result<usize> {
    let separator = batch.separator.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| "\n".to_owned());
    let mut items = Items { source: BufReader::new(File::open(source)?), separator: separator.into_bytes() };
    if let Some(partitions) = batch.partitions.filter(|count| *count > 0 && batch.bytes.is_none()) {
        return deal(&mut items, usize::try_from(partitions).unwrap_or(usize::MAX), path);
    }
    let rows = if batch.bytes.is_some() { u64::MAX } else { batch.rows.unwrap_or(1).max(1) };
    let most = batch.bytes.unwrap_or(u64::MAX);
    let (mut count, mut open): (usize, Option<(BufWriter<File>, u64, u64)>) = (0, None);
    while let Some(item) = items.next()? {
        let length = item.len() as u64;
        let is_full =
            |(_, rows_in, bytes_in): &(_, u64, u64)| *rows_in >= rows || bytes_in.saturating_add(length) > most;
        if open.as_ref().is_some_and(is_full)
            && let Some((mut file, ..)) = open.take()
        {
            file.flush()?;
        }
        if open.is_none() {
            open = Some((BufWriter::new(File::create(path(count))?), 0, 0));
            count += 1;
        }
        if let Some((file, rows_in, bytes_in)) = &mut open {
            file.write_all(&item)?;
            *rows_in += 1;
            *bytes_in += length;
        }
    }
    match open {
        Some((mut file, ..)) => file.flush().map(|()| count),
        None => Ok(count),
    }
}

/// Items in turn to each of so many files; fewer when there are fewer items.
fn deal(items: &mut Items, partitions: usize, path: impl Fn(usize) -> PathBuf) -> io::Result<usize> {
    let mut files: Vec<BufWriter<File>> = Vec::new();
    let mut turn = 0;
    while let Some(item) = items.next()? {
        if turn == files.len() {
            files.push(BufWriter::new(File::create(path(turn))?));
        }
        files[turn].write_all(&item)?;
        turn = (turn + 1) % partitions;
    }
    files.iter_mut().try_for_each(Write::flush)?;
    Ok(files.len())
}

struct Items {
    source: BufReader<File>,
    separator: Vec<u8>,
}

impl Items {
    /// The next item with the separator after it; empty ones are left out.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let last = self.separator.last().copied().unwrap_or(b'\n');
        loop {
            let mut item = Vec::new();
            while self.source.read_until(last, &mut item)? > 0 && !item.ends_with(&self.separator) {}
            if item.is_empty() {
                return Ok(None);
            }
            if !item.ends_with(&self.separator) {
                item.extend_from_slice(&self.separator);
            }
            if item.len() > self.separator.len() {
                return Ok(Some(item));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, batch: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("items");
        std::fs::write(&source, text).unwrap();
        let place = |index: usize| folder.path().join(format!("b{index}"));
        let count = split(&source, &serde_json::from_str(batch).unwrap(), place).unwrap();
        (0..count).map(|index| std::fs::read_to_string(place(index)).unwrap()).collect()
    }

    #[test]
    fn items_are_cut_by_number_size_or_share() {
        assert_eq!(cut("a\nb\nc\n", "{}"), ["a\n", "b\n", "c\n"]);
        assert_eq!(cut("a\n\nb\nc", r#"{"rows": 2}"#), ["a\nb\n", "c\n"]);
        assert_eq!(cut("aa\nb\nc\n", r#"{"bytes": "4B"}"#), ["aa\n", "b\nc\n"]);
        assert_eq!(cut("a\nb\nc\n", r#"{"partitions": 2}"#), ["a\nc\n", "b\n"]);
        assert_eq!(cut("a--b--c", r#"{"separator": "--"}"#), ["a--", "b--", "c--"]);
        assert_eq!(cut("", "{}"), [""; 0]);
    }
}
