//! What operators and casts mean to Postgres where Polars computes something else: whole numbers divide to whole ones, a
//! remainder has the sign of the dividend, and what is out of range or divided by zero is an error.
//!
//! Each function takes as its last argument where it may fail. Elsewhere it is NULL: Polars computes all branches of a
//! CASE for all rows.

use polars::prelude::*;
use polars::sql::FunctionRegistry;
use polars_plan::dsl::{BaseColumnUdf, UserDefinedFunction};
use polars_plan::prelude::FunctionOptions;

use crate::stream::float::push_float;
use crate::stream::print::push_timestamp;

/// What the names of these functions begin with.
pub(super) const PREFIX: &str = "jitney_";

/// The functions as queries call them.
pub(super) struct Functions;

impl FunctionRegistry for Functions {
    fn register(&mut self, name: &str, _: UserDefinedFunction) -> PolarsResult<()> {
        Err(PolarsError::ComputeError(format!("`{name}` cannot be defined").into()))
    }

    fn get_udf(&self, name: &str) -> PolarsResult<Option<UserDefinedFunction>> {
        Ok(Meaning::of(name).map(Meaning::function))
    }

    fn contains(&self, name: &str) -> bool {
        Meaning::of(name).is_some()
    }
}

/// One of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
    /// A whole number that fits so many bits.
    Whole(u8),
    /// Halves rounded away from zero.
    Round,
    Text,
    /// A decimal number of at most 15 digits, in double precision.
    Exact,
    /// The first argument, which is finite if all others are.
    Finite,
}

impl Meaning {
    /// The function of a name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name.strip_prefix(PREFIX)? {
            "plus" => Self::Plus,
            "minus" => Self::Minus,
            "times" => Self::Times,
            "divide" => Self::Divide,
            "modulo" => Self::Modulo,
            "int16" => Self::Whole(16),
            "int32" => Self::Whole(32),
            "int64" => Self::Whole(64),
            "round" => Self::Round,
            "text" => Self::Text,
            "exact" => Self::Exact,
            "finite" => Self::Finite,
            _ => return None,
        })
    }

    fn function(self) -> UserDefinedFunction {
        let name = PlSmallStr::from_string(format!("{PREFIX}{self:?}"));
        let kernel = move |columns: &mut [Column]| self.compute(columns);
        let kind = move |_: &Schema, fields: &[Field]| self.field(fields);
        let mut function = UserDefinedFunction::new(name, BaseColumnUdf::new(kernel, kind));
        function.options = FunctionOptions::elementwise();
        function
    }

    /// A call of the function.
    pub(super) fn call(self, arguments: Vec<Expr>) -> Expr {
        self.function().call(arguments)
    }

    fn field(self, fields: &[Field]) -> PolarsResult<Field> {
        let name = fields.first().map(|field| field.name().clone()).unwrap_or_default();
        let numbers = fields.get(..fields.len().saturating_sub(1)).unwrap_or_default();
        let are_whole = numbers.iter().all(|field| is_whole(field.dtype()));
        let is_number = |dtype: &DataType| is_whole(dtype) || is_float(dtype) || *dtype == DataType::Null;
        if self.is_arithmetic()
            && let Some(field) = numbers.iter().find(|field| !is_number(field.dtype()))
        {
            let message = format!("`{}` is {}, not a number", field.name(), shown(field.dtype()));
            return Err(PolarsError::InvalidOperation(message.into()));
        }
        Ok(Field::new(
            name,
            match self {
                Self::Whole(_) => DataType::Int64,
                Self::Text => DataType::String,
                Self::Round | Self::Finite | Self::Exact => DataType::Float64,
                _ if are_whole => DataType::Int64,
                _ => DataType::Float64,
            },
        ))
    }

    fn is_arithmetic(self) -> bool {
        matches!(self, Self::Plus | Self::Minus | Self::Times | Self::Divide | Self::Modulo | Self::Round)
    }

    fn compute(self, columns: &[Column]) -> PolarsResult<Column> {
        let (guard, columns) = columns.split_last().ok_or_else(|| PolarsError::ComputeError("no argument".into()))?;
        let rows = Rows::of(columns, guard)?;
        let first = columns.first().ok_or_else(|| PolarsError::ComputeError("no argument".into()))?;
        let name = first.name().clone();
        Ok(match self {
            Self::Text => texts(first, rows.count)?.with_name(name),
            Self::Whole(bits) if first.dtype().is_string() => {
                let texts = first.str()?;
                rows.ints(name, |row| whole_text(texts.get(row.min(texts.len().saturating_sub(1))), bits))?
            }
            Self::Whole(bits) if is_whole(first.dtype()) || *first.dtype() == DataType::Boolean => {
                let values = Ints::of(first)?;
                rows.ints(name, |row| values.get(row).map(|value| fitting(value, bits)).transpose())?
            }
            Self::Whole(bits) => {
                let values = Floats::of(first)?;
                rows.ints(name, |row| values.get(row).map(|value| rounded(value, bits)).transpose())?
            }
            Self::Round => {
                let values = Floats::of(first)?;
                rows.floats(name, |row| Ok(values.get(row).map(f64::round)))?
            }
            Self::Exact => {
                let texts = first.str()?;
                rows.floats(name, |row| texts.get(row).map(exact).transpose())?
            }
            Self::Finite => finite(&rows, name, columns)?,
            _ if columns.iter().all(|column| is_whole(column.dtype())) => self.whole_numbers(&rows, name, columns)?,
            _ => self.numbers(&rows, name, columns)?,
        })
    }

    fn whole_numbers(self, rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
        let [left, right] = columns else { return Err(PolarsError::ComputeError("it takes two numbers".into())) };
        let (left, right) = (Ints::of(left)?, Ints::of(right)?);
        rows.ints(name, |row| {
            let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
            if right == 0 && matches!(self, Self::Divide | Self::Modulo) {
                return Err("division by zero");
            }
            let result = match self {
                Self::Plus => left.checked_add(right),
                Self::Minus => left.checked_sub(right),
                Self::Times => left.checked_mul(right),
                Self::Divide => left.checked_div(right),
                // The one remainder that cannot be computed is 0.
                _ => Some(left.checked_rem(right).unwrap_or(0)),
            };
            result.map(Some).ok_or("bigint out of range")
        })
    }

    fn numbers(self, rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
        let [left, right] = columns else { return Err(PolarsError::ComputeError("it takes two numbers".into())) };
        let (left, right) = (Floats::of(left)?, Floats::of(right)?);
        rows.floats(name, |row| {
            let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
            if right == 0.0 && !left.is_nan() && matches!(self, Self::Divide | Self::Modulo) {
                return Err("division by zero");
            }
            let result = match self {
                Self::Plus => left + right,
                Self::Minus => left - right,
                Self::Times => left * right,
                Self::Divide => left / right,
                _ => left % right,
            };
            let is_lost =
                result == 0.0 && matches!(self, Self::Times | Self::Divide) && left != 0.0 && right.is_finite();
            let is_lost = is_lost && (right != 0.0 || self == Self::Divide);
            match result {
                _ if result.is_infinite() && left.is_finite() && right.is_finite() => {
                    Err("value out of range: overflow")
                }
                _ if is_lost => Err("value out of range: underflow"),
                _ => Ok(Some(result)),
            }
        })
    }
}

/// Puts the functions in where an expression calls them: `coalesce('jitney_divide', a, b, guard)`, since Polars knows no
/// functions of others in expressions.
pub(super) fn resolved(node: Expr) -> Expr {
    let meaning = match &node {
        Expr::Function { input, .. } => input.first().and_then(marked),
        _ => None,
    };
    match (meaning, node) {
        (Some(meaning), Expr::Function { input, .. }) => meaning.call(input.into_iter().skip(1).collect()),
        (_, node) => node,
    }
}

fn marked(expr: &Expr) -> Option<Meaning> {
    match expr {
        Expr::Literal(text) => text.extract_str().and_then(Meaning::of),
        _ => None,
    }
}

/// The rows that a function is computed for, and where it may fail.
struct Rows {
    count: usize,
    guard: BooleanChunked,
}

impl Rows {
    fn of(columns: &[Column], guard: &Column) -> PolarsResult<Self> {
        // A value that is the same in all rows comes as one row.
        let lengths = columns.iter().chain([guard]).map(Column::len);
        let count = if lengths.clone().any(|length| length == 0) { 0 } else { lengths.max().unwrap_or(0) };
        Ok(Self { count, guard: guard.cast(&DataType::Boolean)?.bool()?.clone() })
    }

    fn may_fail(&self, row: usize) -> bool {
        let row = if self.guard.len() == 1 { 0 } else { row };
        self.guard.get(row) == Some(true)
    }

    fn each<T>(&self, compute: impl Fn(usize) -> Result<Option<T>, &'static str>) -> PolarsResult<Vec<Option<T>>> {
        let value = |row| match compute(row) {
            Ok(value) => Ok(value),
            Err(message) if self.may_fail(row) => Err(PolarsError::ComputeError(message.into())),
            Err(_) => Ok(None),
        };
        (0..self.count).map(value).collect()
    }

    fn ints(
        &self,
        name: PlSmallStr,
        compute: impl Fn(usize) -> Result<Option<i64>, &'static str>,
    ) -> PolarsResult<Column> {
        self.each(compute).map(|values| Column::new(name, values))
    }

    fn floats(
        &self,
        name: PlSmallStr,
        compute: impl Fn(usize) -> Result<Option<f64>, &'static str>,
    ) -> PolarsResult<Column> {
        self.each(compute).map(|values| Column::new(name, values))
    }
}

struct Ints(Int64Chunked);

impl Ints {
    fn of(column: &Column) -> PolarsResult<Self> {
        Ok(Self(column.strict_cast(&DataType::Int64)?.i64()?.rechunk().into_owned()))
    }

    fn get(&self, row: usize) -> Option<i64> {
        self.0.get(if self.0.len() == 1 { 0 } else { row })
    }
}

struct Floats(Float64Chunked);

impl Floats {
    fn of(column: &Column) -> PolarsResult<Self> {
        Ok(Self(column.strict_cast(&DataType::Float64)?.f64()?.rechunk().into_owned()))
    }

    fn get(&self, row: usize) -> Option<f64> {
        self.0.get(if self.0.len() == 1 { 0 } else { row })
    }
}

fn is_whole(dtype: &DataType) -> bool {
    dtype.is_integer() || matches!(dtype, DataType::Unknown(UnknownKind::Int(_)))
}

fn is_float(dtype: &DataType) -> bool {
    dtype.is_float() || matches!(dtype, DataType::Unknown(UnknownKind::Float))
}

fn shown(dtype: &DataType) -> &'static str {
    match dtype {
        DataType::String => "text",
        DataType::Boolean => "true or false",
        DataType::Date => "a date",
        DataType::Datetime(..) => "a timestamp",
        DataType::Duration(_) => "an interval",
        _ => "something else",
    }
}

/// Two decimals of at most 15 digits are equal if and only if they are so in double precision.
fn exact(text: &str) -> Result<f64, &'static str> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    match text.trim().parse() {
        Ok(value) if digits <= 15 => Ok(value),
        _ => Err("a numeric value has more than 15 digits, and expressions count in double precision"),
    }
}

fn fitting(value: i64, bits: u8) -> Result<i64, &'static str> {
    match crate::stream::value::fits(value, bits) {
        true => Ok(value),
        false => Err(out_of_range(bits)),
    }
}

fn out_of_range(bits: u8) -> &'static str {
    match bits {
        16 => "smallint out of range",
        32 => "integer out of range",
        _ => "bigint out of range",
    }
}

/// Halves are rounded to even numbers.
fn rounded(value: f64, bits: u8) -> Result<i64, &'static str> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    let value = value.round_ties_even();
    if !(-BOUND..BOUND).contains(&value) {
        return Err(out_of_range(bits));
    }
    fitting(value as i64, bits)
}

fn whole_text(text: Option<&str>, bits: u8) -> Result<Option<i64>, &'static str> {
    let Some(text) = text else { return Ok(None) };
    let value = text.trim_ascii().parse().map_err(|_| "a text is not a whole number")?;
    fitting(value, bits).map(Some)
}

fn finite(rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    let all: Vec<Floats> = columns.iter().map(Floats::of).collect::<PolarsResult<_>>()?;
    let Some((result, arguments)) = all.split_first() else {
        return Err(PolarsError::ComputeError("no argument".into()));
    };
    rows.floats(name, |row| match result.get(row) {
        Some(value)
            if !value.is_finite() && arguments.iter().all(|other| other.get(row).is_none_or(f64::is_finite)) =>
        {
            Err("an argument of a function is out of range")
        }
        value => Ok(value),
    })
}

/// Values as the texts that Postgres casts them to.
fn texts(column: &Column, count: usize) -> PolarsResult<Column> {
    let text = |push: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    let rows: Vec<Option<String>> = match column.dtype() {
        dtype if is_float(dtype) => {
            let values = Floats::of(column)?;
            (0..count).map(|row| values.get(row).map(|value| text(&|out| push_float(value, out)))).collect()
        }
        DataType::Datetime(_, zone) => {
            let offset = if zone.is_some() { "+00" } else { "" };
            let micros = column.cast(&DataType::Datetime(TimeUnit::Microseconds, zone.clone()))?;
            let values = Ints::of(&micros.to_physical_repr())?;
            (0..count).map(|row| values.get(row).map(|value| text(&|out| push_timestamp(value, offset, out)))).collect()
        }
        _ => return column.cast(&DataType::String),
    };
    Ok(Column::new(column.name().clone(), rows))
}
