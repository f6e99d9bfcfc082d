//! The index at the end of a Parquet file, checked before Polars reads it: Polars makes room for as many columns and row
//! groups as a list says that it has.

use super::thrift::{END, FieldType, STATISTICS, StructSchema, ThriftReader, UNKNOWN};

/// How deep columns may nest. Polars takes memory by the square of it, and at some hundreds its stack ends.
const MAX_LEVELS: usize = 64;
const ELEMENT: &str = "element";
/// The field with the number of elements within an element.
const CHILDREN: i64 = 5;

/// What is wrong with the index, if it has not the form that the format gives it, its lists have more items than it can
/// hold, or its columns nest too deeply.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    // How many elements are still to come on each level that is open: an element is before those within it.
    let (mut open, mut children, mut deepest) = (Vec::new(), 0, 0);
    let read = ThriftReader::new(bytes).fields(FILE, &mut |place, number| match place {
        (ELEMENT, CHILDREN) => children = number,
        (ELEMENT, END) => {
            if let Some(last) = open.last_mut() {
                *last -= 1;
            }
            open.push(std::mem::take(&mut children));
            deepest = deepest.max(open.len());
            while open.last().is_some_and(|left| *left <= 0) {
                open.pop();
            }
        }
        _ => {}
    });
    if read.is_none() {
        return Err("its index is damaged".to_owned());
    }
    // The first element is the file itself.
    if deepest > MAX_LEVELS + 1 {
        return Err(format!("its columns nest more than {MAX_LEVELS} levels deep"));
    }
    Ok(())
}

const SCHEMA_ELEMENT: StructSchema = StructSchema {
    name: ELEMENT,
    fields: &[
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Bytes,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Int32,
        FieldType::Struct(UNKNOWN),
    ],
};
const KEY_VALUE: StructSchema = StructSchema { name: "", fields: &[FieldType::Bytes, FieldType::Bytes] };
const SORTING_COLUMN: StructSchema =
    StructSchema { name: "", fields: &[FieldType::Int32, FieldType::Flag, FieldType::Flag] };
const ENCODING_STATISTICS: StructSchema =
    StructSchema { name: "", fields: &[FieldType::Int32, FieldType::Int32, FieldType::Int32] };
const SIZE_STATISTICS: StructSchema = StructSchema {
    name: "",
    fields: &[FieldType::Int64, FieldType::List(&FieldType::Int64), FieldType::List(&FieldType::Int64)],
};
const COLUMN: StructSchema = StructSchema {
    name: "",
    fields: &[
        FieldType::Int32,
        FieldType::List(&FieldType::Int32),
        FieldType::List(&FieldType::Bytes),
        FieldType::Int32,
        FieldType::Int64,
        FieldType::Int64,
        FieldType::Int64,
        FieldType::List(&FieldType::Struct(KEY_VALUE)),
        FieldType::Int64,
        FieldType::Int64,
        FieldType::Int64,
        FieldType::Struct(STATISTICS),
        FieldType::List(&FieldType::Struct(ENCODING_STATISTICS)),
        FieldType::Int64,
        FieldType::Int32,
        FieldType::Struct(SIZE_STATISTICS),
    ],
};
const COLUMN_CHUNK: StructSchema = StructSchema {
    name: "",
    fields: &[
        FieldType::Bytes,
        FieldType::Int64,
        FieldType::Struct(COLUMN),
        FieldType::Int64,
        FieldType::Int32,
        FieldType::Int64,
        FieldType::Int32,
        FieldType::Struct(UNKNOWN),
        FieldType::Bytes,
    ],
};
const ROW_GROUP: StructSchema = StructSchema {
    name: "",
    fields: &[
        FieldType::List(&FieldType::Struct(COLUMN_CHUNK)),
        FieldType::Int64,
        FieldType::Int64,
        FieldType::List(&FieldType::Struct(SORTING_COLUMN)),
        FieldType::Int64,
        FieldType::Int64,
        FieldType::Int16,
    ],
};
const FILE: StructSchema = StructSchema {
    name: "",
    fields: &[
        FieldType::Int32,
        FieldType::List(&FieldType::Struct(SCHEMA_ELEMENT)),
        FieldType::Int64,
        FieldType::List(&FieldType::Struct(ROW_GROUP)),
        FieldType::List(&FieldType::Struct(KEY_VALUE)),
        FieldType::Bytes,
        FieldType::List(&FieldType::Struct(UNKNOWN)),
        FieldType::Struct(UNKNOWN),
        FieldType::Bytes,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn is_damaged(bytes: &[u8]) -> bool {
        check(bytes) == Err("its index is damaged".to_owned())
    }

    /// An index of a column of so many levels.
    fn nested(levels: u8) -> Vec<u8> {
        let element = |children: u8| [0x48, 1, b'a', 0x15, 2 * children, 0];
        let elements: Vec<u8> = (0..=levels).flat_map(|level| element(u8::from(level < levels))).collect();
        [&[0x15, 2, 0x19, 0xfc, levels + 1], elements.as_slice(), &[0x16, 0, 0x19, 0x0c, 0]].concat()
    }

    #[test]
    fn columns_nest_so_many_levels_and_no_more() {
        assert_eq!(check(&nested(64)), Ok(()));
        assert_eq!(check(&nested(65)), Err("its columns nest more than 64 levels deep".to_owned()));
        // Wide is not deep.
        let wide = [0x15, 2, 0x19, 0x5c, 0x48, 1, b'a', 0x15, 8, 0];
        let columns = [0x48, 1, b'b', 0].repeat(4);
        assert_eq!(check(&[&wide, columns.as_slice(), &[0x16, 0, 0x19, 0x0c, 0]].concat()), Ok(()));
    }

    #[test]
    fn lists_of_more_items_than_there_are_bytes_and_fields_of_other_types_are_found() {
        // Version 1, a schema of one nameless element, no rows, no row groups.
        assert_eq!(Ok(()), check(&[0x15, 2, 0x19, 0x1c, 0x48, 0, 0, 0x16, 0, 0x19, 0x0c, 0]));
        // Row groups: 2,147,483,647; then as many as there are bytes, but none of them is one.
        assert!(is_damaged(&[0x15, 2, 0x39, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]));
        assert!(is_damaged(&[0x15, 2, 0x39, 0xfc, 0x02, 0]));
        // The schema as a text, which a reader that goes by the number would take for a list.
        assert!(is_damaged(&[0x15, 2, 0x18, 6, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]));
        // Many small lists, whose items add up.
        let mut many = vec![0x15, 2, 0x59, 0xfc, 0xc0, 0x84, 0x3d];
        many.resize(2_000_000, 0);
        assert!(is_damaged(&[many.as_slice(), &[0x29, 0xfc, 0xc0, 0x84, 0x3d], &vec![0; 1_500_000]].concat()));
    }
}
