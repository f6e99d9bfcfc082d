//! What a transform is, as YAML says it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration::DurationSpec;
use crate::fingerprint::FingerprintBuilder;
use crate::stream::ColumnType;

/// Defines a struct with fields of its own, followed by a transform's steps, which `fn steps` gives as a
/// [`Transform`]. (`serde(flatten)` would do it in less, but loses unknown fields and the place of an error.)
macro_rules! with_steps {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// What columns of the file hold, by name: `text`, `smallint`, `int`, `bigint`, `float`, `numeric`, `bool`,
            /// `date`, `timestamp` or `timestamptz`. A row that does not fit is a bad row. Columns that are not named
            /// hold what the target table or the file's own types say, and text otherwise.
            #[serde(default)]
            pub schema: $crate::tasks::polars::spec::Pairs<$crate::tasks::polars::spec::TypeName>,
            /// Keeps the rows for which this SQL expression is true, such as `total_amount > 0`. It reads the file's
            /// columns, one row at a time.
            #[serde(default)]
            pub filter: Option<String>,
            /// New or replaced columns, by name: SQL expressions over the file's columns, one row at a time.
            #[serde(default)]
            pub with_columns: $crate::tasks::polars::spec::Pairs<String>,
            /// Columns to convert to another type, by name, after `with_columns`.
            #[serde(default)]
            pub cast: $crate::tasks::polars::spec::Pairs<$crate::tasks::polars::spec::TypeName>,
            /// Columns to call otherwise: the name so far and the new name. Later steps use the new names.
            #[serde(default)]
            pub rename: $crate::tasks::polars::spec::Pairs<String>,
            /// The columns to keep, in this order. All by default.
            #[serde(default)]
            pub select: Vec<String>,
            /// Keeps one row of those that are equal in these columns: a list, or `{columns, keep: first|last}`. NULLs
            /// count as equal, and so do numbers such as 1.0 and 1.00.
            #[serde(default)]
            pub dedupe: Option<$crate::tasks::polars::spec::Dedupe>,
            /// A SQL query over all rows so far, as the table `self`. Where a query sees more than one row at a time (sums,
            /// groups, joins, orders), an error in it, such as a division by zero, ends the task and names no row.
            #[serde(default)]
            pub sql: Option<String>,
            /// Adds a key made from other columns, the same as Postgres's
            /// `md5(COALESCE(CAST(a AS text), '') || COALESCE(CAST(b AS text), ''))`. In a load it is that of the row as the
            /// table stores it, before triggers change it.
            #[serde(default)]
            pub row_id: Option<$crate::tasks::polars::spec::RowIdSpec>,
            /// What must be true of the result. A rule that fails stops the task, unless it says `on_fail: warn`.
            #[serde(default)]
            pub expect: Vec<$crate::tasks::polars::spec::Rule>,
        }

        impl $name {
            /// The steps alone.
            pub fn steps(&self) -> $crate::tasks::polars::spec::Transform {
                $crate::tasks::polars::spec::Transform {
                    schema: self.schema.clone(),
                    filter: self.filter.clone(),
                    with_columns: self.with_columns.clone(),
                    cast: self.cast.clone(),
                    rename: self.rename.clone(),
                    select: self.select.clone(),
                    dedupe: self.dedupe.clone(),
                    sql: self.sql.clone(),
                    row_id: self.row_id.clone(),
                    expect: self.expect.clone(),
                }
            }
        }
    };
}
pub(crate) use with_steps;

with_steps! {
    /// Steps from a file's rows to the rows that are wanted, always in this order: `schema` (types, on reading),
    /// `filter`, `with_columns`, `cast`, `rename`, `select`, `dedupe`, `sql`, `row_id`, `expect`. Rows keep their order.
    ///
    /// Columns are named as the file names them; blanks around a name and its case do not matter where that is
    /// unambiguous, but SQL wants the exact name.
    ///
    /// SQL means what it means in Postgres: `7 / 2` is 3, `-7 % 3` is -1, `CAST(2.5 AS int)` is 3, and division by zero and
    /// numbers out of range are errors, for which `on_bad_row` rejects the row. Whole numbers have 64 bits. `numeric` columns
    /// keep all their digits: they are passed on, compared, sorted, summed and cast, and arithmetic with them is refused,
    /// since expressions compute in double precision, unless they are cast to it. What would have another result than in
    /// Postgres is refused before a row is read: `div`, `initcap`, `rank`, casts to `varchar(n)` and `numeric`, a backslash
    /// in LIKE, `position` of a text that is not a literal, intervals as results, and windows with an order but no frame.
    /// Texts are compared byte by byte, as `COLLATE "C"` does. `postgres.load` refuses to order texts whose collation in the
    /// table or database has another order, unless `COLLATE "C"` follows one of them, and to compare values of types
    /// that steps have as texts, such as `citext`, `char(n)` and `interval`. `upper` and `lower` follow Unicode, whatever the
    /// server's locale.
    #[derive(Default)]
    pub struct Transform {}
}

impl Transform {
    /// What decides which rows come out.
    pub(in crate::tasks) fn definition(&self) -> FingerprintBuilder {
        let Self { schema, filter, with_columns, cast, rename, select, dedupe, sql, row_id, expect } = self;
        FingerprintBuilder::default()
            .with("schema", schema, &Pairs::default())
            .with_some("filter", filter.as_ref())
            .with("with_columns", with_columns, &Pairs::default())
            .with("cast", cast, &Pairs::default())
            .with("rename", rename, &Pairs::default())
            .with("select", select, &Vec::new())
            .with_some("dedupe", dedupe.as_ref().map(Dedupe::choice))
            .with_some("sql", sql.as_ref())
            .with_some("row_id", row_id.as_ref())
            .with("expect", expect, &Vec::new())
    }
}

/// A YAML map in the order in which it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pairs<T>(pub Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Pairs<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Map_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        std::collections::BTreeMap::<String, T>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

/// What a column holds, by the names that SQL and Kestra's users know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypeName {
    /// Text.
    #[serde(alias = "string", alias = "varchar")]
    Text,
    /// A whole number of 16 bits.
    Smallint,
    /// A whole number of 32 bits.
    #[serde(alias = "integer")]
    Int,
    /// A whole number of 64 bits.
    #[serde(alias = "int64")]
    Bigint,
    /// A double precision number.
    #[serde(alias = "double")]
    Float,
    /// A decimal number of any length.
    #[serde(alias = "decimal")]
    Numeric,
    /// True or false.
    #[serde(alias = "boolean")]
    Bool,
    /// A day.
    Date,
    /// A day and a time of day.
    #[serde(alias = "datetime")]
    Timestamp,
    /// A point in time.
    Timestamptz,
}

impl From<TypeName> for ColumnType {
    fn from(name: TypeName) -> Self {
        match name {
            TypeName::Text => Self::Text,
            TypeName::Smallint => Self::Int(16),
            TypeName::Int => Self::Int(32),
            TypeName::Bigint => Self::Int(64),
            TypeName::Float => Self::Float,
            TypeName::Numeric => Self::Numeric,
            TypeName::Bool => Self::Bool,
            TypeName::Date => Self::Date,
            TypeName::Timestamp => Self::Timestamp,
            TypeName::Timestamptz => Self::TimestampTz,
        }
    }
}

/// Which rows of a group of equal ones go.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list of columns, or a map with `columns` and `keep: first|last`")]
pub enum Dedupe {
    /// Keeps the first row of each group of rows that are equal in these columns.
    Columns(Vec<String>),
    /// The same, with a choice.
    Choice(DedupeChoice),
}

impl Dedupe {
    /// The columns, and which row stays.
    pub fn choice(&self) -> (&[String], Keep) {
        match self {
            Self::Columns(columns) => (columns, Keep::First),
            Self::Choice(choice) => (&choice.columns, choice.keep),
        }
    }
}

/// What makes rows equal, and which of them stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupeChoice {
    /// Rows that are equal in these columns are repeats.
    pub columns: Vec<String>,
    /// The row that stays.
    #[serde(default)]
    pub keep: Keep,
}

/// The row of a group that stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The first in the order of the file.
    #[default]
    First,
    /// The last.
    Last,
}

/// What a row id is made from.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowIdSpec {
    /// The columns whose text is joined, in this order; NULL counts as empty.
    pub columns: Vec<String>,
    /// The name of the new column.
    #[serde(default = "row_id_name")]
    pub name: String,
}

fn row_id_name() -> String {
    "unique_row_id".to_owned()
}

/// One expectation: exactly one of the conditions, and what happens when it does not hold.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// These columns have no NULLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_null: Vec<String>,
    /// No two rows are equal in these columns; rows with a NULL among them do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<String>,
    /// The values of a column lie between two bounds, both included. NULLs do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
    /// The values of a column are among these. NULLs do not count.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub among: Option<Among>,
    /// There are so many rows, without those that `on_bad_row: reject` leaves out, be it for the reader, a step or the
    /// server. The other rules look at rows before the server does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_count: Option<RowCount>,
    /// The newest value of a date or timestamp column is at most so old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
    /// What happens when the rule does not hold.
    #[serde(default)]
    pub on_fail: OnFail,
}

impl Rule {
    /// The columns that it looks at.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let named = self.not_null.iter().chain(&self.unique);
        let named = named.chain(self.between.iter().map(|between| &between.column));
        let named = named.chain(self.among.iter().map(|among| &among.column));
        named.chain(self.freshness.iter().map(|freshness| &freshness.column)).map(String::as_str)
    }
}

/// Bounds of a column's values.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// The column.
    pub column: String,
    /// The smallest value that is right: a number, or a date or timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The largest value that is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
}

/// The values that a column may have.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Among {
    /// The column.
    pub column: String,
    /// The values that are right.
    pub values: Vec<Value>,
}

/// How many rows there may be.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowCount {
    /// At least so many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most so many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// How old the data may be.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// A date or timestamp column.
    pub column: String,
    /// `15s`, `2m`, `36h`, `10d`, or ISO 8601 such as `PT36H` and `P10D`.
    pub max_age: DurationSpec,
}

/// What happens when a rule does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// The task fails.
    #[default]
    Fail,
    /// The task continues, and logs a warning.
    Warn,
}
