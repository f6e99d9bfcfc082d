//! What operators and casts mean to Postgres where Polars computes something else: whole numbers divide to whole ones, a
//! remainder has the sign of the dividend, and what is out of range or divided by zero is an error.
//!
//! Each function takes as its last argument where it may fail. Elsewhere it is NULL: Polars computes all branches of a
//! CASE for all rows.

use std::cmp::Ordering;

use polars::prelude::*;
use polars::sql::FunctionRegistry;
use polars_plan::dsl::{BaseColumnUdf, UserDefinedFunction};
use polars_plan::prelude::FunctionOptions;

use super::function_table::{self, PREFIX};
use super::kernels::{
    compared, days, extreme_float, finite, fitting, is_nan, largest, last_characters, later, magnitude, out_of_range,
    parsed, powers, rounded, singles, sort_keys, summed, totals, whole_text,
};
use super::pg_text::{decimals, epoch, epoch_digits, extreme, reals, shifted, significant, texts};
use super::rows::{FloatValues, IntValues, KernelRows, TextValues};
use super::text_parts::{padded, substrings};
use super::{decimal, expression};
use crate::stream::ColumnType;

/// The functions as queries call them.
pub(super) struct PgFunctionRegistry;

impl FunctionRegistry for PgFunctionRegistry {
    fn register(&mut self, name: &str, _: UserDefinedFunction) -> PolarsResult<()> {
        Err(PolarsError::ComputeError(format!("`{name}` cannot be defined").into()))
    }

    fn get_udf(&self, name: &str) -> PolarsResult<Option<UserDefinedFunction>> {
        Ok(PgFunction::of(name).map(PgFunction::function))
    }

    fn contains(&self, name: &str) -> bool {
        PgFunction::of(name).is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PgFunction {
    /// Of whole numbers that fit so many bits, as all of these.
    Plus(u8),
    Minus(u8),
    Times(u8),
    Divide(u8),
    Modulo(u8),
    Abs(u8),
    Negate(u8),
    /// A whole number that fits so many bits.
    Whole(u8),
    /// The nearest whole number to a decimal one, which fits so many bits.
    Nearest(u8),
    /// The greatest of decimal numbers.
    Greatest,
    /// The least of decimal numbers.
    Least,
    /// Halves rounded away from zero.
    Round,
    Text,
    /// A decimal number in double precision, as near as that is.
    Double,
    /// A decimal number as Postgres prints it.
    Decimal,
    /// A number of floating point as a decimal one with so many digits.
    Digits(u8),
    /// A text in the order of decimal numbers.
    SortKey,
    /// The sum of decimal numbers, which are one text with commas between them.
    Total,
    /// The nearest number of single precision.
    Single,
    /// The text of a number of single precision.
    RealText,
    /// What a text is as a value of this type.
    Parse(ColumnType),
    /// Seconds since 1970.
    Epoch,
    /// The same with all its digits.
    EpochDigits,
    /// Microseconds in a unit of so many powers of ten.
    Micros(u8),
    /// The same with all its digits.
    MicrosDigits(u8),
    /// A number raised to a power.
    Power,
    /// A part of a text.
    Substring,
    /// A text filled up to a length, from the left or the right.
    Padded(bool),
    /// The days from the second date to the first.
    Days,
    /// A date so many days later.
    AddDays,
    /// The greatest of numbers of floating point: NaN, if it is among them.
    Maximum,
    /// The least of numbers of floating point, none of which is less than NaN alone.
    Minimum,
    /// -1, 0 or 1 by the order of two decimal numbers, each kept as its text.
    Compare,
    /// The first argument, which is finite if all others are.
    Finite,
    /// The same, and not zero where the second is not.
    NonZero,
    /// 1, 0 or -1 by the sign of a number; 0 for NaN.
    Sign,
    /// The last characters of a text.
    Right,
    /// The characters of a text from the last to the first.
    Reverse,
    /// The first argument, a sum of whole numbers whose sum in double precision is the second.
    Sum,
    /// The first argument, or NaN where the second is 1.
    Largest,
    /// 1 for NaN, 0 for another value.
    IsNan,
}

impl PgFunction {
    /// The function of a name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let kernel = function_table::find(name)?.kernel?;
        match function_table::bits(name) {
            None => Some(kernel(64)),
            Some(bits) => [16, 32, 64].contains(&bits).then(|| kernel(bits)),
        }
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
            let message = format!("`{}` is {}, not a number", field.name(), dtype_name(field.dtype()));
            return Err(PolarsError::InvalidOperation(message.into()));
        }
        Ok(Field::new(
            name,
            match self {
                Self::Whole(_) | Self::Nearest(_) | Self::IsNan | Self::Compare | Self::Days => DataType::Int64,
                Self::AddDays => DataType::Date,
                Self::Sum | Self::Largest => match fields.first().map(Field::dtype) {
                    Some(dtype) if self == Self::Sum && is_whole(dtype) => DataType::Int64,
                    dtype => dtype.cloned().unwrap_or(DataType::Null),
                },
                Self::Parse(kind) => expression::dtype_of(kind),
                Self::Text | Self::Right | Self::Reverse | Self::Decimal | Self::Greatest | Self::Least => {
                    DataType::String
                }
                Self::EpochDigits | Self::MicrosDigits(_) | Self::Substring | Self::Padded(_) => DataType::String,
                Self::Micros(_) | Self::Power => DataType::Float64,
                Self::Digits(_) | Self::SortKey | Self::Total | Self::RealText => DataType::String,
                Self::Round | Self::Finite | Self::NonZero | Self::Sign | Self::Single | Self::Double | Self::Epoch => {
                    DataType::Float64
                }
                Self::Maximum | Self::Minimum => DataType::Float64,
                _ if are_whole => DataType::Int64,
                _ => DataType::Float64,
            },
        ))
    }

    fn is_arithmetic(self) -> bool {
        matches!(
            self,
            Self::Plus(_)
                | Self::Minus(_)
                | Self::Times(_)
                | Self::Divide(_)
                | Self::Modulo(_)
                | Self::Abs(_)
                | Self::Negate(_)
                | Self::Sign
                | Self::Round
        )
    }

    fn compute(self, columns: &[Column]) -> PolarsResult<Column> {
        let (may_fail, columns) =
            columns.split_last().ok_or_else(|| PolarsError::ComputeError("no argument".into()))?;
        let rows = KernelRows::of(columns, may_fail)?;
        let first = columns.first().ok_or_else(|| PolarsError::ComputeError("no argument".into()))?;
        let name = first.name().clone();
        Ok(match self {
            Self::Text => texts(first, rows.count)?.with_name(name),
            Self::Whole(bits) if first.dtype().is_string() => {
                let texts = TextValues::of(first)?;
                rows.ints(name, |row| whole_text(texts.get(row), bits))?
            }
            Self::Whole(bits) if is_whole(first.dtype()) || *first.dtype() == DataType::Boolean => {
                let values = IntValues::of(first)?;
                rows.ints(name, |row| values.get(row).map(|value| fitting(value, bits)).transpose())?
            }
            Self::Whole(bits) => {
                let values = FloatValues::of(first)?;
                rows.ints(name, |row| values.get(row).map(|value| rounded(value, bits)).transpose())?
            }
            Self::Round => {
                let values = FloatValues::of(first)?;
                rows.floats(name, |row| Ok(values.get(row).map(f64::round)))?
            }
            Self::Double if !first.dtype().is_string() => first.cast(&DataType::Float64)?,
            Self::Double => {
                let texts = TextValues::of(first)?;
                rows.floats(name, |row| texts.get(row).map(decimal::double).transpose())?
            }
            Self::Decimal => decimals(first, rows.count)?.with_name(name),
            Self::Digits(digits) => significant(first, rows.count, digits)?.with_name(name),
            Self::RealText => reals(first, rows.count)?.with_name(name),
            Self::SortKey => sort_keys(&rows, first)?.with_name(name),
            Self::Total => totals(&rows, first)?.with_name(name),
            Self::Single => singles(&rows, name, first)?,
            Self::Parse(kind) if !first.dtype().is_string() => first.cast(&expression::dtype_of(kind))?,
            Self::Parse(kind) => parsed(&rows, first, kind)?,
            Self::Greatest => extreme(columns, Ordering::Greater, rows.count)?.with_name(name),
            Self::Least => extreme(columns, Ordering::Less, rows.count)?.with_name(name),
            Self::Nearest(bits) => {
                let texts = TextValues::of(first)?;
                let whole = |text| decimal::nearest(text).ok_or(out_of_range(bits));
                rows.ints(name, |row| texts.get(row).map(|text| fitting(whole(text)?, bits)).transpose())?
            }
            Self::Epoch => epoch(&rows, name, first)?,
            Self::EpochDigits => epoch_digits(&rows, first)?.with_name(name),
            Self::Micros(places) => {
                let (micros, unit) = (IntValues::of(first)?, 10_f64.powi(i32::from(places)));
                rows.floats(name, |row| Ok(micros.get(row).map(|micros| micros as f64 / unit)))?
            }
            Self::MicrosDigits(places) => {
                let micros = IntValues::of(first)?;
                rows.texts(|row| Ok(micros.get(row).map(|micros| shifted(micros, places))))?.with_name(name)
            }
            Self::Power => powers(&rows, name, columns)?,
            Self::Substring => substrings(&rows, columns)?.with_name(name),
            Self::Padded(at_start) => padded(&rows, columns, at_start)?.with_name(name),
            Self::Days => days(&rows, name, columns)?,
            Self::AddDays => later(&rows, name, columns)?,
            Self::Maximum => extreme_float(&rows, name, columns, Ordering::Greater)?,
            Self::Minimum => extreme_float(&rows, name, columns, Ordering::Less)?,
            Self::Compare => compared(&rows, name, columns)?,
            Self::Finite | Self::NonZero => finite(&rows, name, columns, self == Self::NonZero)?,
            Self::Right => last_characters(&rows, columns)?.with_name(name),
            Self::Reverse => {
                let texts = TextValues::cast(first)?;
                let reversed = |row| texts.get(row).map(|text| text.chars().rev().collect::<String>());
                Column::new(name, (0..rows.count).map(reversed).collect::<Vec<_>>())
            }
            Self::Sign => {
                let values = FloatValues::of(first)?;
                let sign = |value: f64| f64::from(i8::from(value > 0.0) - i8::from(value < 0.0));
                rows.floats(name, |row| Ok(values.get(row).map(sign)))?
            }
            Self::Sum => summed(&rows, name, columns)?,
            Self::Largest => largest(&rows, name, columns)?,
            Self::IsNan => is_nan(&rows, name, first)?,
            Self::Abs(bits) if is_whole(first.dtype()) => {
                let values = IntValues::of(first)?;
                rows.ints(name, |row| values.get(row).map(|value| magnitude(value, bits)).transpose())?
            }
            Self::Negate(bits) if is_whole(first.dtype()) => {
                let values = IntValues::of(first)?;
                let negative = |value: i64| value.checked_neg().ok_or(out_of_range(bits));
                rows.ints(name, |row| {
                    values.get(row).map(|value| negative(value).and_then(|value| fitting(value, bits))).transpose()
                })?
            }
            Self::Abs(_) | Self::Negate(_) => {
                let values = FloatValues::of(first)?;
                let of = |value: f64| if matches!(self, Self::Abs(_)) { value.abs() } else { -value };
                rows.floats(name, |row| Ok(values.get(row).map(of)))?
            }
            _ => self.operator(&rows, &name, columns)?,
        })
    }

    /// An operator between two values, or several times between more of them.
    fn operator(self, rows: &KernelRows, name: &PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
        let (first, others) = columns.split_first().ok_or_else(|| PolarsError::ComputeError("no argument".into()))?;
        others.iter().try_fold(first.clone(), |left, right| {
            let pair = [left, right.clone()];
            match pair.iter().all(|column| is_whole(column.dtype())) {
                true => self.whole_numbers(rows, name.clone(), &pair),
                false => self.numbers(rows, name.clone(), &pair),
            }
        })
    }

    fn whole_numbers(self, rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
        let [left, right] = columns else { return Err(PolarsError::ComputeError("it takes two numbers".into())) };
        let (left, right) = (IntValues::of(left)?, IntValues::of(right)?);
        rows.ints(name, |row| {
            let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
            if right == 0 && matches!(self, Self::Divide(_) | Self::Modulo(_)) {
                return Err("division by zero");
            }
            let (result, bits) = match self {
                Self::Plus(bits) => (left.checked_add(right), bits),
                Self::Minus(bits) => (left.checked_sub(right), bits),
                Self::Times(bits) => (left.checked_mul(right), bits),
                Self::Divide(bits) => (left.checked_div(right), bits),
                // The one remainder that cannot be computed is 0.
                _ => (Some(left.checked_rem(right).unwrap_or(0)), 64),
            };
            result.ok_or(out_of_range(bits)).and_then(|result| fitting(result, bits)).map(Some)
        })
    }

    fn numbers(self, rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
        let [left, right] = columns else { return Err(PolarsError::ComputeError("it takes two numbers".into())) };
        let (left, right) = (FloatValues::of(left)?, FloatValues::of(right)?);
        rows.floats(name, |row| {
            let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
            if right == 0.0 && !left.is_nan() && matches!(self, Self::Divide(_) | Self::Modulo(_)) {
                return Err("division by zero");
            }
            let result = match self {
                Self::Plus(_) => left + right,
                Self::Minus(_) => left - right,
                Self::Times(_) => left * right,
                Self::Divide(_) => left / right,
                _ => left % right,
            };
            let is_lost =
                result == 0.0 && matches!(self, Self::Times(_) | Self::Divide(_)) && left != 0.0 && right.is_finite();
            let is_lost = is_lost && (right != 0.0 || matches!(self, Self::Divide(_)));
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

/// Puts the functions in where an expression calls them: `coalesce('jitney_divide', a, b, may_fail)`, since Polars knows no
/// functions of others in expressions.
pub(super) fn resolved(node: Expr) -> Expr {
    let function = match &node {
        Expr::Function { input, .. } => input.first().and_then(marked),
        _ => None,
    };
    match (function, node) {
        (Some(function), Expr::Function { input, .. }) => {
            let arguments = input.into_iter().skip(1);
            function.call(arguments.collect())
        }
        (_, node) => node,
    }
}

fn marked(expr: &Expr) -> Option<PgFunction> {
    match expr {
        Expr::Literal(text) => text.extract_str().and_then(PgFunction::of),
        _ => None,
    }
}

pub(super) fn is_whole(dtype: &DataType) -> bool {
    dtype.is_integer() || matches!(dtype, DataType::Unknown(UnknownKind::Int(_)))
}

pub(super) fn is_float(dtype: &DataType) -> bool {
    dtype.is_float() || matches!(dtype, DataType::Unknown(UnknownKind::Float))
}

pub(super) fn dtype_name(dtype: &DataType) -> &'static str {
    match dtype {
        DataType::String => "text",
        DataType::Boolean => "true or false",
        DataType::Date => "a date",
        DataType::Datetime(..) => "a timestamp",
        DataType::Duration(_) => "an interval",
        _ => "something else",
    }
}
