//! The types that are compared, each with forms of its values, and which of those have a binary form in this program.

use jitney::stream::timestamp::{parse_date, parse_instant, parse_timestamp, parse_timestamptz};
use jitney::stream::value::{parse_bool, parse_float, parse_int, parse_numeric, parse_real};

use super::numbers::{INTERVALS, MOMENTS, NUMBERS, TRUTHS};
use super::texts::{ARRAYS, JSONS, NETS, TEXTS, UUIDS};

/// How a column's values are read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Read {
    Int(u8),
    Real,
    Float,
    Numeric,
    Bool,
    Date,
    Timestamp,
    TimestampTz,
    Uuid,
    /// Sent in binary as it is.
    Text,
    /// Never sent in binary.
    Server,
}

impl Read {
    /// Whether a value is certainly sent in binary by a session whose time zone is UTC, or another one.
    pub(super) fn knows(self, value: &str, is_utc: bool) -> bool {
        let bytes = value.as_bytes();
        match self {
            Self::Int(bits) => parse_int(bytes, bits).is_some(),
            Self::Real => parse_real(bytes).is_some(),
            Self::Float => parse_float(bytes).is_some(),
            Self::Numeric => parse_numeric(bytes).is_some_and(has_small_exponent),
            Self::Bool => parse_bool(bytes).is_some(),
            Self::Date => parse_date(bytes).is_some(),
            Self::Timestamp => parse_timestamp(bytes).is_some(),
            Self::TimestampTz if is_utc => parse_timestamptz(bytes).is_some(),
            Self::TimestampTz => parse_instant(bytes).is_some(),
            Self::Uuid => value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()),
            Self::Text => true,
            Self::Server => false,
        }
    }

    /// What the manual of `postgres.load` promises beyond COPY: blanks are NULL unless the column holds text, and zeros
    /// may follow the point of a whole number.
    pub(super) fn is_left_out(self, value: &str) -> bool {
        let is_text = matches!(self, Self::Text | Self::Server);
        let is_whole = matches!(self, Self::Int(_));
        let zeros = value.trim().split_once('.').is_some_and(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
        !is_text && value.trim_ascii().is_empty() || is_whole && zeros
    }
}

/// Infinity and what is near it are left to the server.
fn has_small_exponent(number: &str) -> bool {
    if number.contains(['i', 'I']) {
        return false;
    }
    let exponent = number.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    exponent.parse::<i32>().is_ok_and(|exponent| exponent.abs() < 1000)
}

/// A type, how its values are read, and forms of them.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) read: Read,
    pub(super) forms: Vec<String>,
}

type Entry = (&'static str, Read, &'static [&'static str]);

const TYPES: &[Entry] = &[
    ("smallint", Read::Int(16), NUMBERS),
    ("int", Read::Int(32), NUMBERS),
    ("bigint", Read::Int(64), NUMBERS),
    ("real", Read::Real, NUMBERS),
    ("double precision", Read::Float, NUMBERS),
    ("numeric", Read::Numeric, NUMBERS),
    ("numeric(6,2)", Read::Numeric, NUMBERS),
    ("numeric(30,20)", Read::Numeric, NUMBERS),
    ("small", Read::Int(32), NUMBERS),
    ("price", Read::Numeric, NUMBERS),
    ("boolean", Read::Bool, TRUTHS),
    ("date", Read::Date, MOMENTS),
    ("this_century", Read::Date, MOMENTS),
    ("timestamp", Read::Timestamp, MOMENTS),
    ("timestamptz", Read::TimestampTz, MOMENTS),
    ("timestamp(0)", Read::Timestamp, MOMENTS),
    ("timestamptz(3)", Read::TimestampTz, MOMENTS),
    ("moment", Read::TimestampTz, MOMENTS),
    ("text", Read::Text, TEXTS),
    ("varchar", Read::Text, TEXTS),
    ("varchar(4)", Read::Text, TEXTS),
    ("char(4)", Read::Text, TEXTS),
    ("code", Read::Text, TEXTS),
    ("mood", Read::Text, TEXTS),
    ("uuid", Read::Uuid, UUIDS),
    ("json", Read::Text, JSONS),
    ("jsonb", Read::Text, JSONS),
    ("document", Read::Text, JSONS),
    ("money", Read::Server, NUMBERS),
    ("oid", Read::Server, NUMBERS),
    ("bit(4)", Read::Server, NUMBERS),
    ("varbit", Read::Server, NUMBERS),
    ("varbit(3)", Read::Server, NUMBERS),
    ("time", Read::Server, MOMENTS),
    ("time(2)", Read::Server, MOMENTS),
    ("timetz", Read::Server, MOMENTS),
    ("timetz(0)", Read::Server, MOMENTS),
    ("interval", Read::Server, INTERVALS),
    ("interval(0)", Read::Server, INTERVALS),
    ("interval year to month", Read::Server, INTERVALS),
    ("interval day to second(3)", Read::Server, INTERVALS),
    ("\"char\"", Read::Server, TEXTS),
    ("name", Read::Server, TEXTS),
    ("bytea", Read::Server, TEXTS),
    ("tsvector", Read::Server, TEXTS),
    ("tsquery", Read::Server, TEXTS),
    ("xml", Read::Server, JSONS),
    ("jsonpath", Read::Server, JSONS),
    ("inet", Read::Server, NETS),
    ("cidr", Read::Server, NETS),
    ("macaddr", Read::Server, NETS),
    ("macaddr8", Read::Server, NETS),
    ("int[]", Read::Server, ARRAYS),
    ("text[]", Read::Server, ARRAYS),
    ("char(2)[]", Read::Server, ARRAYS),
    ("numeric(4,1)[]", Read::Server, ARRAYS),
    ("timestamptz[]", Read::Server, ARRAYS),
    ("mood[]", Read::Server, ARRAYS),
    ("pair[]", Read::Server, ARRAYS),
    ("few", Read::Server, ARRAYS),
    ("pair", Read::Server, ARRAYS),
    ("nested", Read::Server, ARRAYS),
    ("int4range", Read::Server, ARRAYS),
    ("numrange", Read::Server, ARRAYS),
    ("daterange", Read::Server, ARRAYS),
    ("tstzrange", Read::Server, ARRAYS),
    ("floats", Read::Server, ARRAYS),
    ("span", Read::Server, ARRAYS),
    ("point", Read::Server, ARRAYS),
    ("path", Read::Server, ARRAYS),
    ("polygon", Read::Server, ARRAYS),
];

/// Types that a server has from a version on.
const NEWER: &[(u32, Entry)] = &[
    (14, ("int4multirange", Read::Server, ARRAYS)),
    (14, ("datemultirange", Read::Server, ARRAYS)),
    (14, ("floats_multirange", Read::Server, ARRAYS)),
    (15, ("numeric(3,-2)", Read::Numeric, NUMBERS)),
    (15, ("numeric(2,4)", Read::Numeric, NUMBERS)),
];

/// Types of extensions, where those are installed.
const EXTENSIONS: &[(&str, Entry)] = &[
    ("citext", ("citext", Read::Server, TEXTS)),
    ("citext", ("citext[]", Read::Server, ARRAYS)),
    ("hstore", ("hstore", Read::Server, TEXTS)),
    ("ltree", ("ltree", Read::Server, TEXTS)),
    ("cube", ("cube", Read::Server, ARRAYS)),
];

/// Types that the ones above are made of.
pub(super) const MADE: &str = "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TYPE pair AS (a int, b text);
    CREATE TYPE nested AS (one pair, day date);
    CREATE DOMAIN small AS int CHECK (value < 100); CREATE DOMAIN price AS numeric(6,2) CHECK (value >= 0);
    CREATE DOMAIN this_century AS date CHECK (value >= '2001-01-01'); CREATE DOMAIN moment AS timestamptz(0);
    CREATE DOMAIN upper_case AS text CHECK (value = upper(value));
    CREATE DOMAIN code AS upper_case CHECK (length(value) < 4);
    CREATE DOMAIN document AS jsonb CHECK (jsonb_typeof(value) <> 'null');
    CREATE DOMAIN few AS int[] CHECK (cardinality(value) < 3);
    CREATE DOMAIN span AS int4range CHECK (NOT isempty(value));
    CREATE TYPE floats AS RANGE (SUBTYPE = float8);";

/// The types that a server of this major version has.
pub(super) fn types(version: u32) -> Vec<Kind> {
    let newer = NEWER.iter().filter(|(since, _)| version >= *since).map(|(_, entry)| entry);
    TYPES.iter().chain(newer).map(kind).collect()
}

/// The types of those extensions.
pub(super) fn extended(extensions: &[String]) -> Vec<Kind> {
    let is_there = |name: &str| extensions.iter().any(|extension| extension == name);
    EXTENSIONS.iter().filter(|(name, _)| is_there(name)).map(|(_, entry)| kind(entry)).collect()
}

/// A built-in type, with forms of many others: each on its own, or as items of an array.
pub(super) fn built_in(name: String) -> Kind {
    let all = [NUMBERS, TRUTHS, MOMENTS, INTERVALS, TEXTS, UUIDS, JSONS, ARRAYS, NETS].concat();
    let quoted = |text: &str| format!("{{\"{}\",NULL}}", text.replace('\\', "\\\\").replace('"', "\\\""));
    let forms = if name.ends_with("[]") {
        all.iter().map(|form| quoted(form)).collect()
    } else {
        all.iter().map(|form| (*form).to_owned()).collect()
    };
    Kind { name, read: Read::Server, forms }
}

fn kind((name, read, forms): &Entry) -> Kind {
    Kind { name: (*name).to_owned(), read: *read, forms: forms.iter().map(|form| (*form).to_owned()).collect() }
}
