//! The headers of a Parquet file's pages, as far as they say how large a page is and what is in it.
//!
//! A header whose fields have other types than the format gives them is refused: whoever reads it next would read
//! something else.

/// How deep structs may nest in fields that nobody knows.
const DEPTH: usize = 8;

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
        let mut reader = Reader { bytes, at: 0 };
        reader.fields(PAGE, 0, &mut |place, number| match place {
            (Part::Page, 1) => header.kind = number,
            (Part::Page, 2) => header.unpacked = number,
            (Part::Page, 3) => header.packed = number,
            (Part::Data, 1) if header.kind == Self::DATA => header.values = number,
            (Part::Dictionary, 1) if header.kind == Self::DICTIONARY => header.values = number,
            (Part::DataV2, 1) if header.kind == Self::DATA_V2 => header.values = number,
            // A length below zero must not be hidden by the other.
            (Part::DataV2, 5 | 6) => header.levels = if number < 0 { i64::MIN / 2 } else { header.levels + number },
            _ => {}
        })?;
        header.length = reader.at;
        Some(header)
    }
}

/// The struct that a number stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Page,
    Data,
    Dictionary,
    DataV2,
    Other,
}

/// What a field must be.
#[derive(Clone, Copy)]
enum Type {
    Flag,
    Int32,
    Int64,
    Bytes,
    Struct(Known),
}

/// The fields of a struct, the first of which has the number 1.
#[derive(Clone, Copy)]
struct Known {
    part: Part,
    fields: &'static [Type],
}

const STATISTICS: Known = Known {
    part: Part::Other,
    fields: &[Type::Bytes, Type::Bytes, Type::Int64, Type::Int64, Type::Bytes, Type::Bytes, Type::Flag, Type::Flag],
};
const DATA: Known =
    Known { part: Part::Data, fields: &[Type::Int32, Type::Int32, Type::Int32, Type::Int32, Type::Struct(STATISTICS)] };
const INDEX: Known = Known { part: Part::Other, fields: &[] };
const DICTIONARY: Known = Known { part: Part::Dictionary, fields: &[Type::Int32, Type::Int32, Type::Flag] };
const DATA_V2: Known = Known {
    part: Part::DataV2,
    fields: &[
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Flag,
        Type::Struct(STATISTICS),
    ],
};
const PAGE: Known = Known {
    part: Part::Page,
    fields: &[
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Int32,
        Type::Struct(DATA),
        Type::Struct(INDEX),
        Type::Struct(DICTIONARY),
        Type::Struct(DATA_V2),
    ],
};

/// Thrift's compact protocol.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Reads a struct, and tells of the numbers in it.
    fn fields(&mut self, known: Known, depth: usize, tell: &mut impl FnMut((Part, i64), i64)) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        let mut id = 0_i64;
        loop {
            let byte = self.byte()?;
            let (step, kind) = (byte >> 4, byte & 0x0f);
            if kind == 0 {
                return Some(());
            }
            id = if step == 0 { self.int()? } else { id + i64::from(step) };
            let field = id.checked_sub(1).and_then(|index| known.fields.get(usize::try_from(index).ok()?));
            match (field, kind) {
                (Some(Type::Flag), 1 | 2) => {}
                (Some(Type::Int32), 5) => {
                    let number = self.int()?;
                    i32::try_from(number).ok()?;
                    tell((known.part, id), number);
                }
                (Some(Type::Int64), 6) => drop(self.int()?),
                (Some(Type::Bytes), 8) => self.skip(kind, depth)?,
                (Some(Type::Struct(inner)), 12) => self.fields(*inner, depth + 1, tell)?,
                (Some(_), _) => return None,
                (None, _) => self.skip(kind, depth)?,
            }
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.int().map(drop),
            7 => self.pass(8),
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.pass(length)
            }
            9 | 10 => self.skip_list(depth),
            12 => self.fields(INDEX, depth + 1, &mut |_, _| {}),
            _ => None,
        }
    }

    fn skip_list(&mut self, depth: usize) -> Option<()> {
        let byte = self.byte()?;
        let (short, kind) = (byte >> 4, byte & 0x0f);
        let items = if short == 15 { self.varint()? } else { u64::from(short) };
        if depth >= DEPTH || items > self.bytes.len() as u64 {
            return None;
        }
        // A flag takes a byte in a list.
        (0..items).try_for_each(|_| if kind <= 2 { self.pass(1) } else { self.skip(kind, depth + 1) })
    }

    fn pass(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn int(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_how_large_its_page_is() {
        // Type 0, 38 bytes unpacked, 30 packed, a data page of 5 values in encoding 0, levels in encoding 3.
        let bytes = [0x15, 0, 0x15, 76, 0x15, 60, 0x2c, 0x15, 10, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0, 0xff];
        let header = PageHeader::read(&bytes).unwrap();
        let expected =
            PageHeader { length: 17, kind: PageHeader::DATA, unpacked: 38, packed: 30, values: 5, levels: 0 };
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
