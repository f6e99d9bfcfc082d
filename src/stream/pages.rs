//! The headers of a Parquet file's pages, as far as they say how large a page is and what is in it.
//!
//! A header whose fields have other types than the format gives them is refused: its next reader would read
//! something else.

use super::thrift::{FieldType, STATISTICS, StructSchema, ThriftReader, UNKNOWN};

/// What the header of a page says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Bytes of the header itself.
    pub length: usize,
    /// What the page holds; see the constants of this type.
    pub kind: i64,
    /// Bytes once unpacked.
    pub unpacked: i64,
    /// Bytes as stored.
    pub packed: i64,
    /// Values, NULL included.
    pub values: i64,
    /// How the values are encoded.
    pub encoding: i64,
    /// Of a data page of version 2: bytes of both kinds of levels, which are never packed.
    pub levels: i64,
}

impl PageHeader {
    pub(super) const DATA: i64 = 0;
    pub(super) const DICTIONARY: i64 = 2;
    pub(super) const DATA_V2: i64 = 3;

    /// Reads the header with which `bytes` begins; none when it is damaged.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self { kind: -1, values: -1, ..Self::default() };
        let mut reader = ThriftReader::new(bytes);
        reader.fields(PAGE, &mut |place, number| match place {
            (PAGE_NAME, 1) => header.kind = number,
            (PAGE_NAME, 2) => header.unpacked = number,
            (PAGE_NAME, 3) => header.packed = number,
            (DATA_NAME, 1) if header.kind == Self::DATA => header.values = number,
            (DATA_NAME, 2) if header.kind == Self::DATA => header.encoding = number,
            (DICTIONARY_NAME, 1) if header.kind == Self::DICTIONARY => header.values = number,
            (DATA_V2_NAME, 1) if header.kind == Self::DATA_V2 => header.values = number,
            (DATA_V2_NAME, 4) if header.kind == Self::DATA_V2 => header.encoding = number,
            // A length below zero must not be hidden by the other.
            (DATA_V2_NAME, 5 | 6) => header.levels = if number < 0 { i64::MIN / 2 } else { header.levels + number },
            _ => {}
        })?;
        header.length = reader.position();
        Some(header)
    }
}

/// The structs whose numbers count.
const PAGE_NAME: &str = "page";
const DATA_NAME: &str = "data";
const DICTIONARY_NAME: &str = "dictionary";
const DATA_V2_NAME: &str = "data v2";

const DATA: StructSchema = StructSchema {
    name: DATA_NAME,
    fields: &[FieldType::Int32, FieldType::Int32, FieldType::Int32, FieldType::Int32, FieldType::Struct(STATISTICS)],
};
const DICTIONARY: StructSchema =
    StructSchema { name: DICTIONARY_NAME, fields: &[FieldType::Int32, FieldType::Int32, FieldType::Flag] };
const DATA_V2: StructSchema = StructSchema {
    name: DATA_V2_NAME,
    fields: &[
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Flag,
        FieldType::Struct(STATISTICS),
    ],
};
const PAGE: StructSchema = StructSchema {
    name: PAGE_NAME,
    fields: &[
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Struct(DATA),
        FieldType::Struct(UNKNOWN),
        FieldType::Struct(DICTIONARY),
        FieldType::Struct(DATA_V2),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_how_large_its_page_is() {
        // Type 0, 38 bytes unpacked, 30 packed, a data page of 5 values in encoding 0, levels in encoding 3.
        let bytes = [0x15, 0, 0x15, 76, 0x15, 60, 0x2c, 0x15, 10, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0, 0xff];
        let header = PageHeader::read(&bytes).unwrap();
        let expected = PageHeader {
            length: 17,
            kind: PageHeader::DATA,
            unpacked: 38,
            packed: 30,
            values: 5,
            encoding: 0,
            levels: 0,
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn a_damaged_header_is_none() {
        let nested = [0xac_u8; 64];
        let bytes: [&[u8]; 5] = [&[], &[0x15], &[0x18, 0x7f, 1], &[0x16, 0, 0], &nested];
        for bytes in bytes {
            assert_eq!(PageHeader::read(bytes), None, "{bytes:?}");
        }
    }
}
