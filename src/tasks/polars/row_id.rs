//! A key for rows that have none: the MD5 of some columns' text, equal to what Postgres computes from the same columns.

use md5::{Digest, Md5};
use polars::prelude::*;

use super::text_column::TextColumn;
use crate::stream::ColumnType;

/// Makes the key column.
#[derive(Clone, Debug)]
pub struct RowId {
    /// The columns that the key is made from, in order, with what they hold.
    pub columns: Vec<(String, ColumnType)>,
    /// The name of the new column.
    pub name: String,
}

impl RowId {
    /// The key of every row of `frame`: `md5(COALESCE(CAST(a AS text), '') || COALESCE(CAST(b AS text), '') …)`, as 32
    /// lower-case hexadecimal digits.
    ///
    /// # Errors
    /// When a column is missing or holds something else than its type says.
    pub fn column(&self, frame: &DataFrame) -> PolarsResult<Column> {
        let texts: Vec<TextColumn> =
            self.columns.iter().map(|(name, kind)| TextColumn::of(frame, name, *kind)).collect::<PolarsResult<_>>()?;
        let mut keys = StringChunkedBuilder::new(self.name.as_str().into(), frame.height());
        let mut text = Vec::with_capacity(256);
        for row in 0..frame.height() {
            text.clear();
            for column in &texts {
                column.push(row, &mut text);
            }
            digest(&text, |key| keys.append_value(key));
        }
        Ok(keys.finish().into_column())
    }

    /// Adds the key column to `frame`, as its last one.
    ///
    /// # Errors
    /// As [`RowId::column`].
    pub fn add(&self, frame: &mut DataFrame) -> PolarsResult<()> {
        let keys = self.column(frame)?;
        frame.with_column(keys)?;
        Ok(())
    }
}

/// Gives the key of a row whose columns have this text.
pub fn digest(text: &[u8], take: impl FnOnce(&str)) {
    let digits = hexadecimal(Md5::digest(text).into());
    take(std::str::from_utf8(&digits).unwrap_or_default());
}

fn hexadecimal(hash: [u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(hash) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_counts_as_empty_and_the_key_is_the_md5_of_the_text() {
        let frame = df!("a" => [Some(1_i64), None], "b" => [Some("x"), None]).unwrap();
        let columns = vec![("a".to_owned(), ColumnType::Int(32)), ("b".to_owned(), ColumnType::Text)];
        let keys = RowId { columns, name: "id".to_owned() }.column(&frame).unwrap();
        let keys: Vec<_> = keys.str().unwrap().iter().flatten().collect();
        assert_eq!(keys, ["38684612f0c6bb6dfa16da92f4a6878f", "d41d8cd98f00b204e9800998ecf8427e"]);
    }
}
