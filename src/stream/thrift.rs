//! Thrift's compact protocol, as far as it takes to check what a Parquet file says before anybody else reads it.
//!
//! A field that is known by its number must have its type: its next reader goes by the number alone.

/// How deep structs and lists may nest.
const MAX_DEPTH: usize = 16;
/// The most items of all lists together. Readers make room for the items of a list before they read them; the items of
/// 1,000 columns in 1,000 row groups are as many.
const MAX_ITEMS: u64 = 1_000_000;

/// What marks the end of a struct, in place of a field's number.
pub(super) const END: i64 = 0;

/// What a field must be.
#[derive(Clone, Copy)]
pub(super) enum FieldType {
    Flag,
    Int16,
    Int32,
    Int64,
    Bytes,
    Struct(StructSchema),
    List(&'static Self),
}

impl FieldType {
    /// The number that stands for it before a field's value, or before the items of a list. A flag has two.
    fn code(self) -> u8 {
        match self {
            Self::Flag => 2,
            Self::Int16 => 4,
            Self::Int32 => 5,
            Self::Int64 => 6,
            Self::Bytes => 8,
            Self::List(_) => 9,
            Self::Struct(_) => 12,
        }
    }

    fn has_code(self, code: u8) -> bool {
        code == self.code() || matches!(self, Self::Flag) && code == 1
    }
}

/// The fields of a struct, the first of which has the number 1. Those that follow may be anything.
#[derive(Clone, Copy)]
pub(super) struct StructSchema {
    pub name: &'static str,
    pub fields: &'static [FieldType],
}

/// A struct of whose fields nothing is known.
pub(super) const UNKNOWN: StructSchema = StructSchema { name: "", fields: &[] };

/// The least and the greatest value of a page or a column, and what else is known of its values.
pub(super) const STATISTICS: StructSchema = StructSchema {
    name: "",
    fields: &[
        FieldType::Bytes,
        FieldType::Bytes,
        FieldType::Int64,
        FieldType::Int64,
        FieldType::Bytes,
        FieldType::Bytes,
        FieldType::Flag,
        FieldType::Flag,
    ],
};

/// Reads structs, and gives none as soon as something is wrong.
pub(super) struct ThriftReader<'a> {
    bytes: &'a [u8],
    at: usize,
    items: u64,
}

impl<'a> ThriftReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, items: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Reads a struct, and tells the name of the struct, the number of the field and the value for each 32-bit number in
    /// it, and [`END`] when a struct ends.
    pub(super) fn fields(
        &mut self,
        known: StructSchema,
        tell: &mut impl FnMut((&'static str, i64), i64),
    ) -> Option<()> {
        self.structure(known, 0, tell)
    }

    fn structure(
        &mut self,
        known: StructSchema,
        depth: usize,
        tell: &mut impl FnMut((&'static str, i64), i64),
    ) -> Option<()> {
        let mut id = 0_i64;
        loop {
            let byte = self.byte()?;
            let (step, code) = (byte >> 4, byte & 0x0f);
            if code == 0 {
                tell((known.name, END), 0);
                return Some(());
            }
            id = if step == 0 { self.int()? } else { id + i64::from(step) };
            let field = id.checked_sub(1).and_then(|index| known.fields.get(usize::try_from(index).ok()?));
            match field {
                Some(kind) if !kind.has_code(code) => return None,
                // A flag's value is its code.
                Some(FieldType::Flag) => {}
                Some(FieldType::Int32) => {
                    let number = self.int()?;
                    i32::try_from(number).ok()?;
                    tell((known.name, id), number);
                }
                Some(kind) => self.value(*kind, depth + 1, tell)?,
                None if code <= 2 => {}
                None => self.skip(code, depth + 1)?,
            }
        }
    }

    fn value(&mut self, kind: FieldType, depth: usize, tell: &mut impl FnMut((&'static str, i64), i64)) -> Option<()> {
        match kind {
            FieldType::Struct(known) if depth <= MAX_DEPTH => self.structure(known, depth, tell),
            FieldType::List(item) if depth <= MAX_DEPTH => {
                let (items, code) = self.list()?;
                if items > 0 && !item.has_code(code) {
                    return None;
                }
                (0..items).try_for_each(|_| self.value(*item, depth + 1, tell))
            }
            FieldType::Struct(_) | FieldType::List(_) => None,
            FieldType::Flag => self.pass(1),
            FieldType::Int16 => i16::try_from(self.int()?).ok().map(drop),
            FieldType::Int32 => i32::try_from(self.int()?).ok().map(drop),
            FieldType::Int64 | FieldType::Bytes => self.skip(kind.code(), depth),
        }
    }

    /// The head of a list: how many items, and their code. Each takes at least a byte.
    fn list(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let (short, code) = (byte >> 4, byte & 0x0f);
        let items = if short == 15 { self.varint()? } else { u64::from(short) };
        self.items = self.items.checked_add(items)?;
        let is_possible = items <= (self.bytes.len() - self.at) as u64 && self.items <= MAX_ITEMS;
        is_possible.then_some((items, code))
    }

    fn skip(&mut self, code: u8, depth: usize) -> Option<()> {
        match code {
            _ if depth > MAX_DEPTH => None,
            3 => self.pass(1),
            4..=6 => self.int().map(drop),
            7 => self.pass(8),
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.pass(length)
            }
            9 | 10 => {
                let (items, code) = self.list()?;
                // A flag takes a byte in a list.
                (0..items).try_for_each(|_| if code <= 2 { self.pass(1) } else { self.skip(code, depth + 1) })
            }
            12 => self.structure(UNKNOWN, depth, &mut |_, _| {}),
            _ => None,
        }
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
