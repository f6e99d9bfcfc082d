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

use super::rows::{Floats, Ints, Rows, Texts};
use super::shown::{decimals, epoch, extreme, texts};
use super::{decimal, expression};

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
    /// A decimal number of at most 15 digits, in double precision.
    Exact,
    /// A decimal number in double precision, as near as that is.
    Double,
    /// A decimal number as Postgres prints it.
    Decimal,
    /// Seconds since 1970.
    Epoch,
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

impl Meaning {
    /// The function of a name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.strip_prefix(PREFIX)?;
        let word = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let bits = match name.strip_prefix(word)? {
            "" => 64,
            digits => digits.parse().ok().filter(|bits| [16, 32, 64].contains(bits))?,
        };
        Some(match word {
            "plus" => Self::Plus(bits),
            "minus" => Self::Minus(bits),
            "times" => Self::Times(bits),
            "divide" => Self::Divide(bits),
            "modulo" => Self::Modulo(bits),
            "abs" => Self::Abs(bits),
            "int" => Self::Whole(bits),
            "nearest" => Self::Nearest(bits),
            "greatest" => Self::Greatest,
            "least" => Self::Least,
            "round" => Self::Round,
            "text" => Self::Text,
            "exact" => Self::Exact,
            "double" => Self::Double,
            "compare" => Self::Compare,
            "decimal" => Self::Decimal,
            "epoch" => Self::Epoch,
            "finite" => Self::Finite,
            "nonzero" => Self::NonZero,
            "sign" => Self::Sign,
            "right" => Self::Right,
            "reverse" => Self::Reverse,
            "negate" => Self::Negate(bits),
            "sum" => Self::Sum,
            "largest" => Self::Largest,
            "isnan" => Self::IsNan,
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
                Self::Whole(_) | Self::Nearest(_) | Self::IsNan | Self::Compare => DataType::Int64,
                Self::Sum | Self::Largest => match fields.first().map(Field::dtype) {
                    Some(dtype) if self == Self::Sum && is_whole(dtype) => DataType::Int64,
                    dtype => dtype.cloned().unwrap_or(DataType::Null),
                },
                Self::Text | Self::Right | Self::Reverse | Self::Decimal | Self::Greatest | Self::Least => {
                    DataType::String
                }
                Self::Round | Self::Finite | Self::NonZero | Self::Sign | Self::Exact | Self::Double | Self::Epoch => {
                    DataType::Float64
                }
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
        let (guard, columns) = columns.split_last().ok_or_else(|| PolarsError::ComputeError("no argument".into()))?;
        let rows = Rows::of(columns, guard)?;
        let first = columns.first().ok_or_else(|| PolarsError::ComputeError("no argument".into()))?;
        let name = first.name().clone();
        Ok(match self {
            Self::Text => texts(first, rows.count)?.with_name(name),
            Self::Whole(bits) if first.dtype().is_string() => {
                let texts = Texts::of(first)?;
                rows.ints(name, |row| whole_text(texts.get(row), bits))?
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
                let texts = Texts::of(first)?;
                rows.floats(name, |row| texts.get(row).map(exact).transpose())?
            }
            Self::Double if !first.dtype().is_string() => first.cast(&DataType::Float64)?,
            Self::Double => {
                let texts = Texts::of(first)?;
                rows.floats(name, |row| texts.get(row).map(decimal::double).transpose())?
            }
            Self::Decimal => decimals(first, rows.count)?.with_name(name),
            Self::Greatest => extreme(columns, Ordering::Greater, rows.count)?.with_name(name),
            Self::Least => extreme(columns, Ordering::Less, rows.count)?.with_name(name),
            Self::Nearest(bits) => {
                let texts = Texts::of(first)?;
                let whole = |text| decimal::nearest(text).ok_or(out_of_range(bits));
                rows.ints(name, |row| texts.get(row).map(|text| fitting(whole(text)?, bits)).transpose())?
            }
            Self::Epoch => epoch(&rows, name, first)?,
            Self::Compare => compared(&rows, name, columns)?,
            Self::Finite | Self::NonZero => finite(&rows, name, columns, self == Self::NonZero)?,
            Self::Right => last_characters(&rows, columns)?.with_name(name),
            Self::Reverse => {
                let texts = Texts::of(&first.cast(&DataType::String)?)?;
                let reversed = |row| texts.get(row).map(|text| text.chars().rev().collect::<String>());
                Column::new(name, (0..rows.count).map(reversed).collect::<Vec<_>>())
            }
            Self::Sign => {
                let values = Floats::of(first)?;
                let sign = |value: f64| f64::from(i8::from(value > 0.0) - i8::from(value < 0.0));
                rows.floats(name, |row| Ok(values.get(row).map(sign)))?
            }
            Self::Sum => summed(&rows, name, columns)?,
            Self::Largest => largest(&rows, name, columns)?,
            Self::IsNan => is_nan(&rows, name, first)?,
            Self::Abs(bits) if is_whole(first.dtype()) => {
                let values = Ints::of(first)?;
                rows.ints(name, |row| values.get(row).map(|value| magnitude(value, bits)).transpose())?
            }
            Self::Negate(bits) if is_whole(first.dtype()) => {
                let values = Ints::of(first)?;
                let negative = |value: i64| value.checked_neg().ok_or(out_of_range(bits));
                rows.ints(name, |row| {
                    values.get(row).map(|value| negative(value).and_then(|value| fitting(value, bits))).transpose()
                })?
            }
            Self::Abs(_) | Self::Negate(_) => {
                let values = Floats::of(first)?;
                let of = |value: f64| if matches!(self, Self::Abs(_)) { value.abs() } else { -value };
                rows.floats(name, |row| Ok(values.get(row).map(of)))?
            }
            _ if columns.iter().all(|column| is_whole(column.dtype())) => self.whole_numbers(&rows, name, columns)?,
            _ => self.numbers(&rows, name, columns)?,
        })
    }

    fn whole_numbers(self, rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
        let [left, right] = columns else { return Err(PolarsError::ComputeError("it takes two numbers".into())) };
        let (left, right) = (Ints::of(left)?, Ints::of(right)?);
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

    fn numbers(self, rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
        let [left, right] = columns else { return Err(PolarsError::ComputeError("it takes two numbers".into())) };
        let (left, right) = (Floats::of(left)?, Floats::of(right)?);
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

/// Puts the functions in where an expression calls them: `coalesce('jitney_divide', a, b, guard)`, since Polars knows no
/// functions of others in expressions.
pub(super) fn resolved(node: Expr) -> Expr {
    let meaning = match &node {
        Expr::Function { input, .. } => input.first().and_then(marked),
        _ => None,
    };
    match (meaning, node) {
        (Some(meaning), Expr::Function { input, .. }) => {
            let arguments = input.into_iter().skip(1);
            match meaning {
                Meaning::Double | Meaning::Compare | Meaning::Decimal | Meaning::Nearest(_) => {
                    meaning.call(arguments.map(expression::unread).collect())
                }
                meaning => meaning.call(arguments.collect()),
            }
        }
        (_, node) => node,
    }
}

fn marked(expr: &Expr) -> Option<Meaning> {
    match expr {
        Expr::Literal(text) => text.extract_str().and_then(Meaning::of),
        _ => None,
    }
}

fn is_whole(dtype: &DataType) -> bool {
    dtype.is_integer() || matches!(dtype, DataType::Unknown(UnknownKind::Int(_)))
}

pub(super) fn is_float(dtype: &DataType) -> bool {
    dtype.is_float() || matches!(dtype, DataType::Unknown(UnknownKind::Float))
}

pub(super) fn shown(dtype: &DataType) -> &'static str {
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

fn magnitude(value: i64, bits: u8) -> Result<i64, &'static str> {
    value.checked_abs().ok_or(out_of_range(bits)).and_then(|value| fitting(value, bits))
}

/// A sum of whole numbers, which Polars takes modulo 2^64: it is right where the sum in double precision is near it.
fn summed(rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    const NEAR: f64 = 1.0e18;
    let [sum, double] = columns else { return Err(PolarsError::ComputeError("two sums are wanted".into())) };
    if !is_whole(sum.dtype()) {
        return Ok(sum.clone());
    }
    let (sum, double) = (Ints::of(sum)?, Floats::of(double)?);
    rows.ints(name, |row| match (sum.get(row), double.get(row)) {
        (Some(sum), Some(double)) if (sum as f64 - double).abs() > NEAR => {
            Err("a sum is beyond bigint, and steps count in 64 bits")
        }
        (sum, _) => Ok(sum),
    })
}

fn compared(rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    let [left, right] = columns else { return Err(PolarsError::ComputeError("two numbers are wanted".into())) };
    let (left, right) = (Texts::of(&left.cast(&DataType::String)?)?, Texts::of(&right.cast(&DataType::String)?)?);
    rows.ints(name, |row| {
        let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let order = decimal::compare(left, right).ok_or("a numeric value is not a number")?;
        Ok(Some(order as i64))
    })
}

fn largest(rows: &Rows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    let [value, has_nan] = columns else { return Err(PolarsError::ComputeError("two values are wanted".into())) };
    if !is_float(value.dtype()) {
        return Ok(value.clone());
    }
    let (values, has_nan) = (Floats::of(value)?, Ints::of(has_nan)?);
    rows.floats(name, |row| Ok(if has_nan.get(row) == Some(1) { Some(f64::NAN) } else { values.get(row) }))
}

fn is_nan(rows: &Rows, name: PlSmallStr, column: &Column) -> PolarsResult<Column> {
    if !is_float(column.dtype()) {
        return rows.ints(name, |_| Ok(Some(0)));
    }
    let values = Floats::of(column)?;
    rows.ints(name, |row| Ok(values.get(row).map(|value| i64::from(value.is_nan()))))
}

/// The last so many characters, or all but the first so many for a negative number.
fn last_characters(rows: &Rows, columns: &[Column]) -> PolarsResult<Column> {
    let [text, length] = columns else {
        return Err(PolarsError::ComputeError("a text and a number are wanted".into()));
    };
    let (texts, length) = (Texts::of(&text.cast(&DataType::String)?)?, Ints::of(length)?);
    let value = |row: usize| {
        let text = texts.get(row)?;
        let (length, count) = (length.get(row)?, text.chars().count() as i64);
        let skipped = if length < 0 { length.saturating_neg() } else { count - length.min(count) };
        Some(text.chars().skip(usize::try_from(skipped).unwrap_or(0)).collect::<String>())
    };
    Ok(Column::new(PlSmallStr::EMPTY, (0..rows.count).map(value).collect::<Vec<_>>()))
}

fn finite(rows: &Rows, name: PlSmallStr, columns: &[Column], nonzero: bool) -> PolarsResult<Column> {
    let all: Vec<Floats> = columns.iter().map(Floats::of).collect::<PolarsResult<_>>()?;
    let Some((result, arguments)) = all.split_first() else {
        return Err(PolarsError::ComputeError("no argument".into()));
    };
    let is_zero = |row| arguments.first().and_then(|other| other.get(row)) == Some(0.0);
    let is_complex = |row| match arguments {
        [base, exponent] if nonzero => {
            let exponent = exponent.get(row).unwrap_or_default();
            base.get(row).is_some_and(|base| base < 0.0) && exponent.is_finite() && exponent.fract() != 0.0
        }
        _ => false,
    };
    rows.floats(name, |row| match result.get(row) {
        _ if is_complex(row) => Err("a negative number raised to a non-integer power yields a complex result"),
        Some(0.0)
            if nonzero && !is_zero(row) && arguments.iter().all(|other| other.get(row).is_none_or(f64::is_finite)) =>
        {
            Err("value out of range: underflow")
        }
        Some(value)
            if !value.is_finite() && arguments.iter().all(|other| other.get(row).is_none_or(f64::is_finite)) =>
        {
            Err("an argument of a function is out of range")
        }
        Some(value) if value.is_nan() && !arguments.iter().any(|other| other.get(row).is_some_and(f64::is_nan)) => {
            Err("an argument of a function is out of range")
        }
        value => Ok(value),
    })
}
