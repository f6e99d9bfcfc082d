//! The index at the end of a Parquet file, checked before Polars reads it: Polars makes room for as many columns and row
//! groups as a list says that it has.

use super::thrift::{Known, Reader, STATISTICS, Type, UNKNOWN};

/// Whether the index has the form that the format gives it, and its lists no more items than it can hold.
pub(super) fn is_sound(bytes: &[u8]) -> bool {
    Reader::new(bytes).fields(FILE, &mut |_, _| {}).is_some()
}

const SCHEMA_ELEMENT: Known = Known {
    name: "",
    fields: &[
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Bytes,
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Struct(UNKNOWN),
    ],
};
const KEY_VALUE: Known = Known { name: "", fields: &[Type::Bytes, Type::Bytes] };
const SORTING_COLUMN: Known = Known { name: "", fields: &[Type::Int32, Type::Flag, Type::Flag] };
const ENCODING_STATISTICS: Known = Known { name: "", fields: &[Type::Int32, Type::Int32, Type::Int32] };
const SIZE_STATISTICS: Known =
    Known { name: "", fields: &[Type::Int64, Type::List(&Type::Int64), Type::List(&Type::Int64)] };
const COLUMN: Known = Known {
    name: "",
    fields: &[
        Type::Int32,
        Type::List(&Type::Int32),
        Type::List(&Type::Bytes),
        Type::Int32,
        Type::Int64,
        Type::Int64,
        Type::Int64,
        Type::List(&Type::Struct(KEY_VALUE)),
        Type::Int64,
        Type::Int64,
        Type::Int64,
        Type::Struct(STATISTICS),
        Type::List(&Type::Struct(ENCODING_STATISTICS)),
        Type::Int64,
        Type::Int32,
        Type::Struct(SIZE_STATISTICS),
    ],
};
const COLUMN_CHUNK: Known = Known {
    name: "",
    fields: &[
        Type::Bytes,
        Type::Int64,
        Type::Struct(COLUMN),
        Type::Int64,
        Type::Int32,
        Type::Int64,
        Type::Int32,
        Type::Struct(UNKNOWN),
        Type::Bytes,
    ],
};
const ROW_GROUP: Known = Known {
    name: "",
    fields: &[
        Type::List(&Type::Struct(COLUMN_CHUNK)),
        Type::Int64,
        Type::Int64,
        Type::List(&Type::Struct(SORTING_COLUMN)),
        Type::Int64,
        Type::Int64,
        Type::Int16,
    ],
};
const FILE: Known = Known {
    name: "",
    fields: &[
        Type::Int32,
        Type::List(&Type::Struct(SCHEMA_ELEMENT)),
        Type::Int64,
        Type::List(&Type::Struct(ROW_GROUP)),
        Type::List(&Type::Struct(KEY_VALUE)),
        Type::Bytes,
        Type::List(&Type::Struct(UNKNOWN)),
        Type::Struct(UNKNOWN),
        Type::Bytes,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_more_items_than_there_are_bytes_and_fields_of_other_types_are_found() {
        // Version 1, a schema of one nameless element, no rows, no row groups.
        assert!(is_sound(&[0x15, 2, 0x19, 0x1c, 0x48, 0, 0, 0x16, 0, 0x19, 0x0c, 0]));
        // Row groups: 2,147,483,647; then as many as there are bytes, but none of them is one.
        assert!(!is_sound(&[0x15, 2, 0x39, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]));
        assert!(!is_sound(&[0x15, 2, 0x39, 0xfc, 0x02, 0]));
        // The schema as a text, which a reader that goes by the number would take for a list.
        assert!(!is_sound(&[0x15, 2, 0x18, 6, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]));
        // Many small lists, whose items add up.
        let mut many = vec![0x15, 2, 0x59, 0xfc, 0xc0, 0x84, 0x3d];
        many.resize(2_000_000, 0);
        assert!(!is_sound(&[many.as_slice(), &[0x29, 0xfc, 0xc0, 0x84, 0x3d], &vec![0; 1_500_000]].concat()));
    }
}
