//! What the server prints for a value that it has stored: the text of `CAST(column AS text)`, which depends on the
//! column's type and its modifier, as `numeric(10,2)`, and on settings of the session.

use polars::prelude::{DataFrame, DataType, PolarsResult, StringChunked};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::encode::parse_uuid;
use crate::postgres::explain;
use crate::postgres::name::quote_name;
use crate::stream::ColumnType;
use crate::stream::float::{push_float, push_real};
use crate::stream::print::{push_date, push_int, push_numeric, push_timestamp};
use crate::stream::timestamp::{parse_date, parse_timestamp, parse_timestamptz};
use crate::stream::value::{parse_bool, parse_float, parse_int, parse_numeric, parse_real};
use crate::task::TaskError;
use crate::tasks::polars::text_column::TextColumn;
use crate::tasks::postgres::collation::DatabaseCollation;
use crate::tasks::postgres::kind::Kind;
use crate::tasks::postgres::table::TableField;

/// Microseconds from 1970 to 2000, from where Postgres rounds.
const EPOCH: i64 = 946_684_800_000_000;
/// What the modifiers of lengths and scales are counted from. Source: `VARHDRSZ` in Postgres's `c.h`.
const MODIFIER_OFFSET: i32 = 4;
/// Longer numbers are left to the server, which has limits of its own.
const MAX_DIGITS: usize = 1000;

/// The settings of a session that decide how values are read and printed.
#[derive(Clone, Debug)]
pub(super) struct SessionSettings {
    /// The role that it has, as SET ROLE takes it.
    pub(super) role: String,
    /// Whether it is in UTC, so that a time without an offset needs no table of time zones.
    pub(super) is_utc: bool,
    /// Whether dates and times are printed as ISO 8601 has them.
    is_iso: bool,
    /// Whether floating-point numbers are printed with all their digits.
    is_exact: bool,
    /// Whether the server stores the bytes of texts that this program has.
    pub(super) is_utf8: bool,
    /// Whether the database takes the bytes of texts for what they are.
    pub(super) is_sql_ascii: bool,
    /// The isolation level of transactions that do not name one.
    pub(super) default_isolation: String,
    /// How the database compares texts, for the steps that do.
    pub(super) collation: DatabaseCollation,
}

impl SessionSettings {
    /// Asks for the settings.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn of(transaction: &Transaction<'_>) -> Result<Self, TaskError> {
        let sql = "SELECT upper(current_setting('TimeZone')) IN ('UTC', 'ETC/UTC', 'GMT', 'ETC/GMT', 'UCT', 'ZULU'),
                          current_setting('DateStyle') LIKE 'ISO%', current_setting('extra_float_digits')::int > 0,
                          current_setting('server_encoding'), to_jsonb(d)::text, current_setting('role'),
                          current_setting('default_transaction_isolation')
                   FROM pg_database d WHERE d.datname = current_database()";
        let row = transaction.query_one(sql, &[]).await;
        let row = row.map_err(|error| explain("asking for the session's settings", &error))?;
        let encoding: &str = row.get(3);
        let role: &str = row.get(5);
        Ok(Self {
            role: if role == "none" { "NONE".to_owned() } else { quote_name(role) },
            is_utc: row.get(0),
            is_iso: row.get(1),
            is_exact: row.get(2),
            is_utf8: ["UTF8", "SQL_ASCII"].contains(&encoding),
            is_sql_ascii: encoding == "SQL_ASCII",
            default_isolation: row.get(6),
            collation: DatabaseCollation::read(row.get(4), encoding),
        })
    }

    /// What texts may be read as here before they are sent, because the column stores each value as it is then.
    pub(super) fn reads(&self, field: &TableField) -> Option<ColumnType> {
        match field.kind {
            Kind::Timestamp | Kind::TimestampTz if field.modifier >= 0 => None,
            Kind::TimestampTz if !self.is_utc => Some(ColumnType::Instant),
            Kind::Int2
            | Kind::Int4
            | Kind::Int8
            | Kind::Float4
            | Kind::Float8
            | Kind::Bool
            | Kind::Date
            | Kind::Timestamp
            | Kind::TimestampTz => Some(field.kind.column_type()),
            Kind::Numeric | Kind::Text | Kind::Json | Kind::Jsonb | Kind::Uuid | Kind::Other => None,
        }
    }

    /// Whether values that are typed already are certainly printed as this program prints them.
    pub(super) fn prints(&self, kind: ColumnType, field: &TableField) -> bool {
        match (kind, field.kind) {
            (ColumnType::Bool, Kind::Bool) | (ColumnType::Int(_), Kind::Int2 | Kind::Int4 | Kind::Int8) => true,
            (ColumnType::Float, Kind::Float8) | (ColumnType::Real, Kind::Float4) => self.is_exact,
            (ColumnType::Date, Kind::Date) => self.is_iso,
            (ColumnType::Timestamp, Kind::Timestamp) => self.is_iso && field.modifier < 0,
            (ColumnType::TimestampTz, Kind::TimestampTz) => self.is_iso && self.is_utc && field.modifier < 0,
            _ => false,
        }
    }

    /// Appends what the server prints for a text that is stored in a column; `false` when that is not certain.
    pub(super) fn push(&self, text: &str, field: &TableField, out: &mut Vec<u8>) -> bool {
        let bytes = text.as_bytes();
        if !field.kind.holds_blanks() && bytes.trim_ascii().is_empty() {
            return true;
        }
        match field.kind {
            Kind::Int2 => parse_int(bytes, 16).map(|value| push_int(value, out)).is_some(),
            Kind::Int4 => parse_int(bytes, 32).map(|value| push_int(value, out)).is_some(),
            Kind::Int8 => parse_int(bytes, 64).map(|value| push_int(value, out)).is_some(),
            Kind::Float4 if self.is_exact => parse_real(bytes).map(|value| push_real(value as f32, out)).is_some(),
            Kind::Float8 if self.is_exact => parse_float(bytes).map(|value| push_float(value, out)).is_some(),
            Kind::Numeric => push_decimal(bytes, field.modifier, out),
            Kind::Bool => {
                let value = parse_bool(bytes);
                value.map(|value| out.extend_from_slice(if value { b"true" } else { b"false" })).is_some()
            }
            Kind::Text => push_string(text, field, out),
            Kind::Json => {
                out.extend_from_slice(bytes);
                true
            }
            Kind::Uuid => parse_uuid(text).map(|value| push_uuid(value, out)).is_some(),
            Kind::Date if self.is_iso => parse_date(bytes).map(|days| push_date(i64::from(days), out)).is_some(),
            Kind::Timestamp if self.is_iso => {
                let micros = parse_timestamp(bytes).and_then(|micros| rounded(micros, field.modifier));
                micros.map(|micros| push_timestamp(micros, "", out)).is_some()
            }
            Kind::TimestampTz if self.is_iso && self.is_utc => {
                let micros = parse_timestamptz(bytes).and_then(|micros| rounded(micros, field.modifier));
                micros.map(|micros| push_timestamp(micros, "+00", out)).is_some()
            }
            _ => false,
        }
    }
}

/// The values of a column of the key.
pub(super) enum StoredValues<'a> {
    /// Printed by this program.
    Own(TextColumn<'a>),
    /// Texts that the server reads for this column.
    Text(&'a StringChunked, &'a TableField),
    /// Values that only the server can print as it stores them.
    Unknown,
}

impl<'a> StoredValues<'a> {
    /// The values under a name of the frame, on their way into a column of the table. `kind` is what they are if they are
    /// no texts.
    ///
    /// # Errors
    /// When there are none, or they are something else.
    pub(super) fn of(
        (frame, name): (&'a DataFrame, &str),
        kind: ColumnType,
        field: &'a TableField,
        session: &SessionSettings,
    ) -> PolarsResult<Self> {
        let series = frame.column(name)?.as_materialized_series();
        Ok(match series.dtype() {
            DataType::String => Self::Text(series.str()?, field),
            _ if session.prints(kind, field) => Self::Own(TextColumn::of(frame, name, kind)?),
            _ => Self::Unknown,
        })
    }

    /// Appends the text of a row's value, nothing for NULL; `false` when it may differ from the server's.
    pub(super) fn push(&self, row: usize, session: &SessionSettings, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Own(texts) => {
                texts.push(row, out);
                true
            }
            Self::Text(values, field) => values.get(row).is_none_or(|text| session.push(text, field, out)),
            Self::Unknown => false,
        }
    }
}

/// A text as `varchar(n)` stores it, without the blanks beyond its length. One that is too long otherwise stays.
pub(super) fn stored_text<'a>(text: &'a str, field: &TableField) -> &'a str {
    let Ok(length) = usize::try_from(field.modifier - MODIFIER_OFFSET) else { return text };
    match text.char_indices().nth(length).map(|(end, _)| text.split_at(end)) {
        Some((stored, rest)) if rest.bytes().all(|byte| byte == b' ') => stored,
        _ => text,
    }
}

/// A text in `text`, `varchar(n)`, `char(n)` or an enum. Blanks beyond a length are cut; other characters are refused.
/// `char` is printed without the blanks at its end.
fn push_string(text: &str, field: &TableField, out: &mut Vec<u8>) -> bool {
    let stored = match Type::from_oid(field.oid) {
        Some(Type::BPCHAR) => text.trim_end_matches(' '),
        Some(Type::VARCHAR) => match usize::try_from(field.modifier - MODIFIER_OFFSET) {
            Ok(length) => text.char_indices().nth(length).map_or(text, |(end, _)| text.get(..end).unwrap_or(text)),
            Err(_) => text,
        },
        _ => text,
    };
    out.extend_from_slice(stored.as_bytes());
    true
}

/// A decimal number, rounded to the column's scale. One with an exponent, infinity and a negative scale are left to the
/// server.
pub(super) fn push_decimal(text: &[u8], modifier: i32, out: &mut Vec<u8>) -> bool {
    let Some(text) = parse_numeric(text).filter(|text| text.len() < MAX_DIGITS) else { return false };
    if text.eq_ignore_ascii_case("nan") {
        out.extend_from_slice(b"NaN");
        return true;
    }
    if text.contains(['e', 'E', 'i', 'I']) {
        return false;
    }
    if modifier < MODIFIER_OFFSET {
        push_numeric(text, out);
        return true;
    }
    // Eleven bits with a sign. Source: `numeric_typmod_scale` in Postgres's `numeric.c`.
    let scale = (((modifier - MODIFIER_OFFSET) & 0x7ff) ^ 1024) - 1024;
    let Ok(scale) = usize::try_from(scale) else { return false };
    push_numeric(&round(text, scale), out);
    true
}

/// A plain decimal number with `scale` decimals; halves are rounded away from zero.
fn round(text: &str, scale: usize) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() <= scale {
        let point = if scale > 0 { "." } else { "" };
        return format!("{whole}{point}{fraction:0<scale$}");
    }
    let (digits_kept, rest) = fraction.split_at(scale);
    let mut digits: Vec<u8> = whole.trim_start_matches(['+', '-']).bytes().chain(digits_kept.bytes()).collect();
    if rest.as_bytes().first().is_some_and(|digit| *digit >= b'5') {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let at = digits.len() - nines;
        digits.splice(at.., std::iter::repeat_n(b'0', nines));
        match at.checked_sub(1).and_then(|at| digits.get_mut(at)) {
            Some(digit) => *digit += 1,
            None => digits.insert(0, b'1'),
        }
    }
    let point = digits.len() - scale;
    let shown = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
    let (whole, digits_kept) = digits.split_at(point);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let dot = if scale > 0 { "." } else { "" };
    format!("{sign}{}{dot}{}", shown(whole), shown(digits_kept))
}

/// A moment as `timestamp(n)` keeps it. Source: `AdjustTimestampForTypmod` in Postgres's `timestamp.c`.
pub(super) fn rounded(micros: i64, modifier: i32) -> Option<i64> {
    let Ok(digits) = u32::try_from(modifier) else { return Some(micros) };
    let unit = 10_i64.pow(6_u32.checked_sub(digits)?);
    let time = micros.checked_sub(EPOCH)?;
    let magnitude = time.checked_abs()?.checked_add(unit / 2)? / unit * unit;
    Some(if time < 0 { EPOCH - magnitude } else { EPOCH + magnitude })
}

fn push_uuid(value: [u8; 16], out: &mut Vec<u8>) {
    let digits = format!("{:032x}", u128::from_be_bytes(value));
    for (index, part) in [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        out.extend_from_slice(digits.get(part).unwrap_or_default().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_away_from_zero() {
        let cases = [
            ("8.5", 2, "8.50"),
            ("-3", 2, "-3.00"),
            ("1.005", 2, "1.01"),
            ("-1.005", 2, "-1.01"),
            ("0.995", 2, "1.00"),
            ("9.5", 0, "10"),
            ("-0.4", 0, "-0"),
            (".5", 0, "1"),
            ("+1.25", 1, "1.3"),
            ("7", 0, "7"),
        ];
        for (text, scale, expected) in cases {
            assert_eq!(round(text, scale), expected, "{text} to {scale}");
        }
    }

    #[test]
    fn a_number_that_is_printed_otherwise_is_left_to_the_server() {
        for text in ["1e3", "inf", "-Infinity"] {
            let mut out = Vec::new();
            assert!(!push_decimal(text.as_bytes(), -1, &mut out) && out.is_empty(), "{text}");
        }
    }

    #[test]
    fn moments_are_rounded_from_2000() {
        assert_eq!(rounded(EPOCH + 500_000, 0), Some(EPOCH + 1_000_000));
        assert_eq!(rounded(EPOCH - 500_000, 0), Some(EPOCH - 1_000_000));
        assert_eq!(rounded(EPOCH + 1_499, 3), Some(EPOCH + 1_000));
        assert_eq!(rounded(17, -1), Some(17));
    }
}
