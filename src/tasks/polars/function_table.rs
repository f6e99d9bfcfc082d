//! The functions of a step's SQL, one line each, with all that the checks of a step need to know about them.
//!
//! [`SQL_FUNCTIONS`] are those that a step may call: their results are those of Postgres, or Postgres has none of that
//! name. [`INTERNAL_FUNCTIONS`] are those of [`super::pg_function`], to which calls and operators are rewritten.

use super::class::Class;
use super::comparison_rule::Comparability;
use super::number::NumberType;
use super::pg_function::PgFunction;
use crate::stream::ColumnType;

/// What the names of internal functions begin with.
pub(super) const PREFIX: &str = "jitney_";

/// A function and its properties.
#[derive(Debug)]
pub(super) struct SqlFunction {
    name: &'static str,
    pub(super) class: ClassRule,
    pub(super) number: NumberRule,
    /// What the bytes of its arguments must say about them, so that it gives what Postgres gives.
    pub(super) comparability: Comparability,
    /// It sees more than one row.
    pub(super) is_aggregate: bool,
    /// It computes with numbers, and does not only compare them.
    pub(super) is_arithmetic: bool,
    /// Its result is finite for finite arguments, or an error.
    pub(super) is_finite: bool,
    /// It takes decimal numbers as texts: it passes them on, counts them, or reads all their digits.
    pub(super) takes_digits: bool,
    /// It gives one of its arguments in each row.
    pub(super) is_choice: bool,
    /// What computes it, in so many bits; none for a function that Polars has.
    pub(super) kernel: Option<fn(u8) -> PgFunction>,
}

/// The class of what a function gives.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClassRule {
    Is(Class),
    /// That of its first argument.
    OfArgument,
    Unknown,
}

/// The type of number that a function gives.
#[derive(Clone, Copy, Debug)]
pub(super) enum NumberRule {
    Unknown,
    Is(NumberType),
    /// A whole number of as many bits as the function's name says.
    OfName,
    /// That of the first argument.
    OfFirst,
    /// That which the arguments have together.
    OfAll,
    /// That of an operator between the arguments.
    OfOperator,
    /// That of a number with another sign.
    OfSign,
    /// A sum of whole numbers is one of 64 bits.
    OfSum,
    /// Decimal for whole and decimal numbers.
    OfAverage,
    /// Decimal for decimal numbers, double precision for others.
    OfDecimals,
    /// The same, and decimal where a number of digits is given.
    OfRounding,
}

use NumberRule::{OfAll, OfAverage, OfDecimals, OfFirst, OfName, OfOperator, OfRounding, OfSign, OfSum, Unknown};
use NumberType::{Double, Numeric, Real, Whole};

/// Functions that stand over a window alone.
pub(super) const WINDOW_FUNCTIONS: &[&str] = &["first_value", "lag", "last_value", "lead", "row_number"];

static SQL_FUNCTIONS: &[SqlFunction] = &[
    number("abs", Unknown).arithmetic(),
    number("acos", NumberRule::Is(Double)).finite(),
    number("asin", NumberRule::Is(Double)).finite(),
    number("atan", NumberRule::Is(Double)),
    number("atan2", NumberRule::Is(Double)),
    number("avg", OfAverage).aggregate().arithmetic(),
    number("bit_length", NumberRule::Is(Whole(32))),
    number("cbrt", NumberRule::Is(Double)),
    number("ceil", OfDecimals).arithmetic(),
    number("ceiling", OfDecimals),
    number("char_length", NumberRule::Is(Whole(32))),
    number("character_length", NumberRule::Is(Whole(32))),
    argument("coalesce").compares(Comparability::OtherType).choice(),
    text("concat"),
    text("concat_ws"),
    number("cos", NumberRule::Is(Double)).finite(),
    number("count", NumberRule::Is(Whole(64))).aggregate().compares(Comparability::OtherType).digits(),
    number("date_part", NumberRule::Is(Double)),
    number("degrees", NumberRule::Is(Double)),
    boolean("ends_with").compares(Comparability::Equality),
    number("exp", OfDecimals).finite(),
    argument("first_value").aggregate().compares(Comparability::OtherType).digits(),
    number("floor", OfDecimals).arithmetic(),
    argument("greatest").compares(Comparability::Order).choice(),
    argument("ifnull").compares(Comparability::OtherType),
    argument("lag").compares(Comparability::OtherType).digits(),
    argument("last_value").aggregate().compares(Comparability::OtherType).digits(),
    argument("lead").compares(Comparability::OtherType).digits(),
    argument("least").compares(Comparability::Order).choice(),
    text("left"),
    number("length", NumberRule::Is(Whole(32))),
    number("ln", OfDecimals).finite(),
    number("log", OfDecimals).finite(),
    number("log10", OfDecimals).finite(),
    text("lower"),
    text("lpad"),
    text("ltrim"),
    argument("max").aggregate().compares(Comparability::Order),
    argument("min").aggregate().compares(Comparability::Order),
    number("mod", Unknown).arithmetic(),
    argument("nullif").compares(Comparability::Equality).choice(),
    number("octet_length", NumberRule::Is(Whole(32))),
    number("pi", NumberRule::Is(Double)),
    number("pow", OfDecimals).finite(),
    number("power", OfDecimals).finite(),
    number("radians", NumberRule::Is(Double)),
    boolean("regexp_like").compares(Comparability::Equality),
    text("replace").compares(Comparability::Equality),
    text("reverse"),
    text("right"),
    number("round", OfRounding).arithmetic(),
    number("row_number", NumberRule::Is(Whole(64))),
    text("rpad"),
    text("rtrim"),
    number("sign", Unknown).arithmetic(),
    number("sin", NumberRule::Is(Double)).finite(),
    text("split_part").compares(Comparability::Equality),
    number("sqrt", OfDecimals).finite(),
    boolean("starts_with").compares(Comparability::Equality),
    number("stddev", OfAverage).aggregate().arithmetic(),
    number("stddev_samp", OfAverage).aggregate().arithmetic(),
    text("strftime"),
    text("string_agg").aggregate(),
    number("strpos", NumberRule::Is(Whole(32))).compares(Comparability::Equality),
    time("strptime"),
    text("substr"),
    text("substring"),
    number("sum", OfSum).aggregate().arithmetic(),
    number("tan", NumberRule::Is(Double)).finite(),
    number("trunc", OfRounding).arithmetic(),
    text("upper"),
    number("var_samp", OfAverage).aggregate().arithmetic(),
    number("variance", OfAverage).aggregate().arithmetic(),
];

static INTERNAL_FUNCTIONS: &[SqlFunction] = &[
    number("abs", OfSign).by(PgFunction::Abs),
    time("adddays").by(|_| PgFunction::AddDays),
    boolean("bool").by(|_| PgFunction::Parse(ColumnType::Bool)),
    number("compare", NumberRule::Is(Whole(32))).digits().by(|_| PgFunction::Compare),
    time("date").by(|_| PgFunction::Parse(ColumnType::Date)),
    number("days", NumberRule::Is(Whole(32))).by(|_| PgFunction::Days),
    number("decimal", NumberRule::Is(Numeric)).digits().by(|_| PgFunction::Decimal),
    number("divide", OfOperator).by(PgFunction::Divide),
    number("double", NumberRule::Is(Double)).digits().by(|_| PgFunction::Double),
    number("epoch", Unknown).by(|_| PgFunction::Epoch),
    number("epochdigits", NumberRule::Is(Numeric)).by(|_| PgFunction::EpochDigits),
    number("finite", OfFirst).by(|_| PgFunction::Finite),
    number("greatest", NumberRule::Is(Numeric)).digits().by(|_| PgFunction::Greatest),
    number("int", OfName).by(PgFunction::Whole),
    number("isnan", NumberRule::Is(Whole(32))).by(|_| PgFunction::IsNan),
    function("largest", ClassRule::Unknown, OfFirst).aggregate().by(|_| PgFunction::Largest),
    number("least", NumberRule::Is(Numeric)).digits().by(|_| PgFunction::Least),
    text("lpad").by(|_| PgFunction::Padded(true)),
    number("maximum", OfAll).by(|_| PgFunction::Maximum),
    number("milliseconds", NumberRule::Is(Double)).by(|_| PgFunction::Micros(3)),
    number("millisecondsdigits", NumberRule::Is(Numeric)).by(|_| PgFunction::MicrosDigits(3)),
    number("minimum", OfAll).by(|_| PgFunction::Minimum),
    number("minus", OfOperator).by(PgFunction::Minus),
    number("modulo", OfOperator).by(PgFunction::Modulo),
    number("nearest", Unknown).digits().by(PgFunction::Nearest),
    number("negate", OfSign).by(PgFunction::Negate),
    number("nonzero", OfFirst).by(|_| PgFunction::NonZero),
    number("plus", OfOperator).by(PgFunction::Plus),
    number("power", OfDecimals).by(|_| PgFunction::Power),
    text("realtext").by(|_| PgFunction::RealText),
    text("reverse").by(|_| PgFunction::Reverse),
    text("right").by(|_| PgFunction::Right),
    number("round", OfFirst).by(|_| PgFunction::Round),
    text("rpad").by(|_| PgFunction::Padded(false)),
    number("seconds", NumberRule::Is(Double)).by(|_| PgFunction::Micros(6)),
    number("secondsdigits", NumberRule::Is(Numeric)).by(|_| PgFunction::MicrosDigits(6)),
    number("sign", NumberRule::Is(Double)).by(|_| PgFunction::Sign),
    number("single", NumberRule::Is(Real)).by(|_| PgFunction::Single),
    text("sortkey").digits().by(|_| PgFunction::SortKey),
    text("substr").by(|_| PgFunction::Substring),
    number("sum", OfFirst).aggregate().by(|_| PgFunction::Sum),
    text("text").by(|_| PgFunction::Text),
    number("times", OfOperator).by(PgFunction::Times),
    time("timestamp").by(|_| PgFunction::Parse(ColumnType::Timestamp)),
    time("timestamptz").by(|_| PgFunction::Parse(ColumnType::TimestampTz)),
    text("total").by(|_| PgFunction::Total),
];

/// The function of a name, in lower case; an internal one with its prefix, and perhaps its bits.
pub(super) fn find(name: &str) -> Option<&'static SqlFunction> {
    let (functions, name) = match name.strip_prefix(PREFIX) {
        Some(internal) => (INTERNAL_FUNCTIONS, without_bits(internal)),
        None => (SQL_FUNCTIONS, name),
    };
    functions.iter().find(|function| function.name == name)
}

/// The bits that the name of an internal function ends with.
pub(super) fn bits(name: &str) -> Option<u8> {
    name.strip_prefix(without_bits(name))?.parse().ok()
}

fn without_bits(name: &str) -> &str {
    name.trim_end_matches(|digit: char| digit.is_ascii_digit())
}

const fn function(name: &'static str, class: ClassRule, number: NumberRule) -> SqlFunction {
    SqlFunction {
        name,
        class,
        number,
        comparability: Comparability::Nothing,
        is_aggregate: false,
        is_arithmetic: false,
        is_finite: false,
        takes_digits: false,
        is_choice: false,
        kernel: None,
    }
}

const fn text(name: &'static str) -> SqlFunction {
    function(name, ClassRule::Is(Class::Text), Unknown)
}

const fn boolean(name: &'static str) -> SqlFunction {
    function(name, ClassRule::Is(Class::Boolean), Unknown)
}

const fn time(name: &'static str) -> SqlFunction {
    function(name, ClassRule::Is(Class::Time), Unknown)
}

const fn number(name: &'static str, number: NumberRule) -> SqlFunction {
    function(name, ClassRule::Is(Class::Number), number)
}

/// A function that gives one of its arguments.
const fn argument(name: &'static str) -> SqlFunction {
    function(name, ClassRule::OfArgument, OfAll)
}

impl SqlFunction {
    const fn compares(mut self, comparability: Comparability) -> Self {
        self.comparability = comparability;
        self
    }

    const fn aggregate(mut self) -> Self {
        self.is_aggregate = true;
        self
    }

    const fn arithmetic(mut self) -> Self {
        self.is_arithmetic = true;
        self
    }

    const fn finite(mut self) -> Self {
        self.is_finite = true;
        self
    }

    const fn digits(mut self) -> Self {
        self.takes_digits = true;
        self
    }

    const fn choice(mut self) -> Self {
        self.is_choice = true;
        self
    }

    const fn by(mut self, kernel: fn(u8) -> PgFunction) -> Self {
        self.kernel = Some(kernel);
        self
    }

    /// Whether it is one of [`super::pg_function`].
    pub(super) fn is_internal(&self) -> bool {
        self.kernel.is_some()
    }

    /// Whether it gives one of its arguments, of this row or another.
    pub(super) fn passes_argument(&self) -> bool {
        matches!(self.class, ClassRule::OfArgument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_whole_names() {
        for functions in [SQL_FUNCTIONS, INTERNAL_FUNCTIONS] {
            assert!(functions.is_sorted_by_key(|function| function.name), "the table is sorted by name");
        }
        for function in SQL_FUNCTIONS {
            assert!(find(function.name).is_some_and(|found| !found.is_internal()), "{}", function.name);
        }
        for function in INTERNAL_FUNCTIONS {
            let name = format!("{PREFIX}{}", function.name);
            assert!(find(&name).is_some_and(SqlFunction::is_internal) && PgFunction::of(&name).is_some(), "{name}");
        }
        assert!(find("jitney_count").is_none() && find("atan3").is_none() && PgFunction::of("sum").is_none());
        assert_eq!((bits("jitney_plus16"), bits("jitney_text")), (Some(16), None));
    }
}
