//! Typed values as text that Postgres reads: what it prints for them itself, and lists and structs as JSON or as its arrays.

use std::io::Write as _;
use std::ops::Range;

use polars::prelude::{AnyValue, DataType, Field, PolarsResult, Series, TimeUnit};

use super::ColumnType;
use super::float::{push_float, push_real};
use super::print::{push_date, push_int, push_timestamp};

const SECOND: i64 = 1_000_000;

/// The texts of a column.
pub(super) struct PrintedColumn {
    bytes: Vec<u8>,
    places: Vec<Option<Range<usize>>>,
    /// Rows whose values have no text.
    pub unprintable: Vec<usize>,
}

impl PrintedColumn {
    /// Prints values for a column of this type.
    ///
    /// # Errors
    /// When Polars cannot tell a value.
    pub(super) fn of(values: &Series, kind: ColumnType) -> PolarsResult<Self> {
        let mut printed = Self { bytes: Vec::new(), places: Vec::with_capacity(values.len()), unprintable: Vec::new() };
        let values = values.rechunk();
        for row in 0..values.len() {
            let (value, start) = (values.get(row)?, printed.bytes.len());
            let place = if value.is_null() {
                None
            } else if text(&value, kind, &mut printed.bytes).is_some() {
                Some(start..printed.bytes.len())
            } else {
                printed.unprintable.push(row);
                None
            };
            printed.places.push(place);
        }
        Ok(printed)
    }

    pub(super) fn texts(&self) -> Vec<Option<&[u8]>> {
        self.places.iter().map(|place| self.bytes.get(place.clone()?)).collect()
    }
}

/// A moment in microseconds, rounded as Postgres rounds the decimals of a text; none when it is out of range.
pub(super) fn micros(value: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Milliseconds => value.checked_mul(1000),
        TimeUnit::Microseconds => Some(value),
        // What an old kind of timestamp becomes that nanoseconds cannot hold.
        TimeUnit::Nanoseconds if value == i64::MAX => None,
        TimeUnit::Nanoseconds => {
            let fraction = value.rem_euclid(1000 * SECOND) as f64 / 1e9;
            Some(value.div_euclid(1000 * SECOND) * SECOND + (fraction * 1e6).round_ties_even() as i64)
        }
    }
}

fn text(value: &AnyValue<'_>, kind: ColumnType, out: &mut Vec<u8>) -> Option<()> {
    match value {
        AnyValue::Binary(bytes) if is_other(kind) => hex(bytes, out),
        AnyValue::BinaryOwned(bytes) if is_other(kind) => hex(bytes, out),
        AnyValue::Binary(bytes) => out.extend_from_slice(bytes),
        AnyValue::BinaryOwned(bytes) => out.extend_from_slice(bytes),
        AnyValue::List(items) | AnyValue::Array(items, _)
            if is_other(kind) && lengths_without_items(items).is_some() =>
        {
            out.extend_from_slice(b"{}");
        }
        AnyValue::List(items) | AnyValue::Array(items, _) if is_other(kind) => array(items, kind, out)?,
        AnyValue::List(_) | AnyValue::Array(..) | AnyValue::Struct(..) | AnyValue::StructOwned(_) => json(value, out)?,
        value if kind == ColumnType::Json && value.get_str().is_none() => json(value, out)?,
        value => scalar(value, out)?,
    }
    Some(())
}

/// Lists of single precision as lists of doubles, as Postgres casts them and as values outside of lists become; none for
/// others.
pub(super) fn with_doubles(values: &Series) -> Option<PolarsResult<Series>> {
    fn kind(found: &DataType) -> Option<DataType> {
        match found {
            DataType::Float32 => Some(DataType::Float64),
            DataType::List(items) => Some(DataType::List(Box::new(kind(items)?))),
            _ => None,
        }
    }
    kind(values.dtype()).map(|kind| values.cast(&kind))
}

/// The lengths of the dimensions of a list that holds nothing but empty lists, all of one shape: an empty array for
/// Postgres, which it does not read in braces within braces.
fn lengths_without_items(items: &Series) -> Option<Vec<usize>> {
    let below = |index: usize| match items.get(index).ok()? {
        AnyValue::List(items) | AnyValue::Array(items, _) => lengths_without_items(&items),
        _ => None,
    };
    if items.is_empty() {
        return Some(vec![0]);
    }
    let mut lengths = below(0)?;
    if !(1..items.len()).all(|index| below(index).as_ref() == Some(&lengths)) {
        return None;
    }
    lengths.push(items.len());
    Some(lengths)
}

fn is_other(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Other | ColumnType::Array | ColumnType::JsonArray)
}

/// What Postgres prints for a value that is not made of others.
fn scalar(value: &AnyValue<'_>, out: &mut Vec<u8>) -> Option<()> {
    match value {
        AnyValue::Boolean(true) => out.extend_from_slice(b"true"),
        AnyValue::Boolean(false) => out.extend_from_slice(b"false"),
        AnyValue::Int8(value) => push_int(*value, out),
        AnyValue::Int16(value) => push_int(*value, out),
        AnyValue::Int32(value) => push_int(*value, out),
        AnyValue::Int64(value) => push_int(*value, out),
        AnyValue::Int128(value) => push_int(*value, out),
        AnyValue::UInt8(value) => push_int(*value, out),
        AnyValue::UInt16(value) => push_int(*value, out),
        AnyValue::UInt32(value) => push_int(*value, out),
        AnyValue::UInt64(value) => push_int(*value, out),
        AnyValue::UInt128(value) => push_int(*value, out),
        AnyValue::Float32(value) => push_real(*value, out),
        AnyValue::Float64(value) => push_float(*value, out),
        AnyValue::Decimal(value, _, scale) => decimal(*value, *scale, out),
        AnyValue::Date(days) => push_date(i64::from(*days), out),
        AnyValue::Datetime(value, unit, zone) => moment(*value, *unit, zone.is_some(), out)?,
        AnyValue::DatetimeOwned(value, unit, zone) => moment(*value, *unit, zone.is_some(), out)?,
        AnyValue::Time(nanos) if nanos % 1000 != 0 && *nanos >= 0 => {
            clock(nanos / (1000 * SECOND) * SECOND, out);
            let _ = write!(out, ".{:09}", nanos % (1000 * SECOND));
        }
        AnyValue::Time(nanos) => clock(micros(*nanos, TimeUnit::Nanoseconds)?, out),
        AnyValue::Duration(value, unit) => clock(micros(*value, *unit)?, out),
        value => out.extend_from_slice(value.get_str()?.as_bytes()),
    }
    Some(())
}

fn moment(value: i64, unit: TimeUnit, has_zone: bool, out: &mut Vec<u8>) -> Option<()> {
    const NANOS: i64 = 1000 * SECOND;
    let zone = if has_zone { "+00" } else { "" };
    if unit == TimeUnit::Nanoseconds && value % 1000 != 0 && value != i64::MAX {
        // The server rounds them, where it does not keep the text.
        push_timestamp(value.div_euclid(NANOS) * SECOND, "", out);
        let _ = write!(out, ".{:09}{zone}", value.rem_euclid(NANOS));
        return Some(());
    }
    push_timestamp(micros(value, unit)?, zone, out);
    Some(())
}

/// A time of day, or a span of time: hours may be many.
fn clock(micros: i64, out: &mut Vec<u8>) {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let (seconds, fraction) = (micros / SECOND.unsigned_abs(), micros % SECOND.unsigned_abs());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    // Writing to memory does not fail.
    let _ = write!(out, "{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60);
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

fn decimal(value: i128, scale: usize, out: &mut Vec<u8>) {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if value < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
    let _ = write!(out, "{sign}{whole}{point}{fraction}");
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    bytes.iter().for_each(|byte| drop(write!(out, "{byte:02x}")));
}

/// A list as an array of Postgres.
fn array(items: &Series, kind: ColumnType, out: &mut Vec<u8>) -> Option<()> {
    out.push(b'{');
    for index in 0..items.len() {
        if index > 0 {
            out.push(b',');
        }
        match items.get(index).ok()? {
            AnyValue::Null => out.extend_from_slice(b"NULL"),
            AnyValue::List(items) | AnyValue::Array(items, _) => array(&items, kind, out)?,
            value if value.is_boolean() || value.is_primitive_numeric() => scalar(&value, out)?,
            value => {
                let mut inner = Vec::new();
                match kind {
                    ColumnType::JsonArray => json(&value, &mut inner)?,
                    _ => text(&value, ColumnType::Other, &mut inner)?,
                }
                out.push(b'"');
                for byte in inner {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(b'\\');
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
        }
    }
    out.push(b'}');
    Some(())
}

/// Any value as JSON, as Postgres's `to_json` writes it. Numbers keep all digits.
fn json(value: &AnyValue<'_>, out: &mut Vec<u8>) -> Option<()> {
    match value {
        AnyValue::Null => out.extend_from_slice(b"null"),
        AnyValue::List(items) | AnyValue::Array(items, _) => return list(items, out),
        AnyValue::Struct(_, _, fields) => {
            let values: Vec<AnyValue> = value._iter_struct_av().collect();
            return object(&values, fields, out);
        }
        AnyValue::StructOwned(content) => return object(&content.0, &content.1, out),
        AnyValue::Float32(number) if number.is_finite() => push_real(*number, out),
        AnyValue::Float64(number) if number.is_finite() => push_float(*number, out),
        value if value.is_boolean() || value.is_integer() || matches!(value, AnyValue::Decimal(..)) => {
            scalar(value, out)?;
        }
        value => {
            let mut inner = Vec::new();
            text(value, ColumnType::Other, &mut inner)?;
            if let AnyValue::Datetime(..) | AnyValue::DatetimeOwned(..) = value {
                inner = iso(inner);
            }
            quoted(&inner, out);
        }
    }
    Some(())
}

/// A timestamp as Postgres writes it in JSON.
fn iso(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(blank) = text.iter_mut().find(|byte| **byte == b' ') {
        *blank = b'T';
    }
    if let Some(offset) = text.iter().position(|byte| *byte == b'+') {
        text.splice(offset + 3..offset + 3, *b":00");
    }
    text
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    // Writing a string to memory does not fail.
    let _ = serde_json::to_writer(out, &String::from_utf8_lossy(text));
}

/// A list; one of pairs of `key` and `value` is a map, and becomes an object.
fn list(items: &Series, out: &mut Vec<u8>) -> Option<()> {
    let fields: Vec<Field> = match items.dtype() {
        DataType::Struct(fields) => fields.clone(),
        _ => Vec::new(),
    };
    let is_map = matches!(fields.as_slice(), [key, value] if key.name == "key" && value.name == "value");
    out.push(if is_map { b'{' } else { b'[' });
    for index in 0..items.len() {
        if index > 0 {
            out.push(b',');
        }
        let item = items.get(index).ok()?;
        if is_map && let AnyValue::Struct(..) | AnyValue::StructOwned(_) = &item {
            pair(&item, out)?;
        } else {
            json(&item, out)?;
        }
    }
    out.push(if is_map { b'}' } else { b']' });
    Some(())
}

fn pair(item: &AnyValue<'_>, out: &mut Vec<u8>) -> Option<()> {
    let values: Vec<AnyValue> = match item {
        AnyValue::StructOwned(content) => content.0.clone(),
        item => item._iter_struct_av().collect(),
    };
    let [key, value] = values.as_slice() else { return None };
    let mut name = Vec::new();
    if !key.is_null() {
        text(key, ColumnType::Other, &mut name)?;
    }
    quoted(&name, out);
    out.push(b':');
    json(value, out)
}

fn object(values: &[AnyValue<'_>], fields: &[Field], out: &mut Vec<u8>) -> Option<()> {
    out.push(b'{');
    for (index, (value, field)) in values.iter().zip(fields).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        quoted(field.name.as_bytes(), out);
        out.push(b':');
        json(value, out)?;
    }
    out.push(b'}');
    Some(())
}

#[cfg(test)]
mod tests {
    use polars::prelude::NamedFrom;

    use super::*;

    fn shown(value: &AnyValue<'_>, kind: ColumnType) -> String {
        let mut out = Vec::new();
        text(value, kind, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_print_as_postgres_prints_them() {
        let cases = [
            (AnyValue::Float32(0.1), "0.1"),
            (AnyValue::Decimal(-5, 10, 3), "-0.005"),
            (AnyValue::Decimal(i128::MAX, 38, 0), "170141183460469231731687303715884105727"),
            (AnyValue::Time(86_399_999_999_400), "23:59:59.999999400"),
            (AnyValue::Duration(-90_061_500, TimeUnit::Milliseconds), "-25:01:01.5"),
            (AnyValue::Datetime(-1, TimeUnit::Nanoseconds, None), "1969-12-31 23:59:59.999999999"),
            (AnyValue::UInt64(u64::MAX), "18446744073709551615"),
            (AnyValue::Binary(b"\x00\xff"), "\\x00ff"),
        ];
        for (value, text) in cases {
            assert_eq!(shown(&value, ColumnType::Other), text);
        }
        assert_eq!(shown(&AnyValue::Float64(f64::NAN), ColumnType::Json), "\"NaN\"");
        assert_eq!(
            shown(&AnyValue::Datetime(1_585_701_842_000_500, TimeUnit::Microseconds, None), ColumnType::Json),
            "\"2020-04-01T00:44:02.0005\""
        );
    }

    #[test]
    fn lists_are_arrays_or_json() {
        let items = Series::new("".into(), [Some("a\"b\\"), None, Some("")]);
        assert_eq!(shown(&AnyValue::List(items.clone()), ColumnType::Other), r#"{"a\"b\\",NULL,""}"#);
        assert_eq!(shown(&AnyValue::List(items), ColumnType::Json), r#"["a\"b\\",null,""]"#);
        let empty = Series::new("".into(), Vec::<i64>::new());
        assert_eq!(shown(&AnyValue::List(empty), ColumnType::Other), "{}");
    }

    #[test]
    fn nanoseconds_are_rounded_as_the_server_rounds_them() {
        let rounded = |nanos| micros(nanos, TimeUnit::Nanoseconds);
        assert_eq!([rounded(499), rounded(501), rounded(-1), rounded(-1_501)].map(Option::unwrap), [0, 1, 0, -2]);
        assert_eq!((rounded(i64::MAX), micros(i64::MAX, TimeUnit::Milliseconds)), (None, None));
    }
}
