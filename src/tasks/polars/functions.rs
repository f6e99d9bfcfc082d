//! Calls of functions with Postgres's semantics.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, WindowType};

use super::class::{Class, describe};
use super::datetimes::{Time, of_interval};
use super::dialect::{Rewriter, call, sql, text_of};
use super::fields::{milliseconds, no_field, seconds};
use super::function_table::{self, PREFIX, SqlFunction};
use super::number::NumberType;
use super::pattern::regular_expression;
use super::short_circuit::short_circuit_coalesce;
use super::unsupported::{SqlResult, decimal_arithmetic, session_time_zone, unsupported};
use super::window::rewrite_window;
use crate::stream::ColumnType;

impl Rewriter<'_> {
    pub(super) fn function(&self, function: &Function) -> SqlResult<Option<Expr>> {
        let name = function.name.to_string().to_lowercase();
        let Some(entry) = function_table::find(&name).filter(|entry| !entry.is_internal()) else {
            return unknown(&name);
        };
        let rewrite_window = match &function.over {
            Some(WindowType::WindowSpec(window)) => rewrite_window(function, &name, window)?,
            Some(WindowType::NamedWindow(window)) => {
                return unsupported(format!("the window `{window}`"), "write the window out: `OVER (…)`");
            }
            None => None,
        };
        if let Some(aggregate) = self.aggregate((&name, entry), rewrite_window.as_ref().unwrap_or(function))? {
            return Ok(Some(aggregate));
        }
        if function.over.is_some() {
            return Ok(rewrite_window.map(Expr::Function));
        }
        let arguments = arguments(function);
        if entry.is_arithmetic || entry.is_finite {
            arguments.iter().try_for_each(|argument| self.reject_decimal_text(argument))?;
        }
        match (name.as_str(), arguments.as_slice()) {
            ("left" | "right" | "split_part" | "replace" | "ltrim" | "rtrim", [text, others @ ..])
                if others.iter().any(may_be_null) =>
            {
                null_if_any_is_null(&name, function, text, others).map(Some)
            }
            ("date_part", [field, time]) => self.date_part(function, field, time),
            ("strftime", values) if values.iter().any(|time| self.time(time) == Some(Time::Instant)) => {
                session_time_zone(&function.to_string())
            }
            ("mod", [left, right]) => call("modulo", &[left, right]).map(Some),
            ("abs", [number]) => call(&format!("abs{}", self.bits(number).unwrap_or(64)), &[number]).map(Some),
            ("sign", [number]) => call("sign", &[number]).map(Some),
            ("right", [text, length]) if length.to_string() != "0" => call("right", &[text, length]).map(Some),
            ("split_part", [_, delimiter, at])
                if text_of(delimiter).is_none_or(str::is_empty) || at.to_string() == "0" =>
            {
                unsupported(
                    "`split_part` by a text that is not a literal, or for part 0",
                    "write it as `split_part(text, ',', 1)`",
                )
            }
            ("concat" | "concat_ws", values) => self.concat(function, values).map(Some),
            ("coalesce" | "greatest" | "least" | "nullif", values) => {
                self.require_same_class(&values.iter().collect::<Vec<_>>(), false)?;
                self.want_one_zone(&values.iter().collect::<Vec<_>>())?;
                let mut choice = function.clone();
                let values: Vec<_> = values_of(&mut choice).collect();
                let mut is_changed = self.of_one_type(values)?;
                if name == "coalesce" {
                    is_changed |= short_circuit_coalesce(&mut choice)?;
                }
                match self.extreme(&name, &choice)? {
                    Some(extreme) => Ok(Some(extreme)),
                    None => self.of_single(Expr::Function(choice), is_changed),
                }
            }
            ("reverse", [text]) => call("reverse", &[text]).map(Some),
            ("pow" | "power", [base, exponent]) => call("power", &[base, exponent]).map(Some),
            ("exp" | "radians" | "degrees", arguments) => {
                checked("nonzero", &function.to_string(), &arguments.iter().collect::<Vec<_>>()).map(Some)
            }
            ("regexp_like", [text, pattern]) => {
                self.require_text(text)?;
                let pattern = regular_expression(pattern)?;
                sql(&format!("regexp_like({text}, {pattern})")).map(Some)
            }
            ("regexp_like", _) => unsupported("flags of `regexp_like`", "write `text ~* 'pattern'` to ignore case"),
            ("ltrim" | "rtrim", [text]) => sql(&format!("{name}({text}, ' ')")).map(Some),
            ("lpad" | "rpad", [text, length, fill @ ..]) if fill.len() < 2 => {
                self.padded(&name, text, length, fill.first()).map(Some)
            }
            ("substr" | "substring", [text, start, length @ ..]) if length.len() < 2 => {
                self.substring(text, Some(start), length.first()).map(Some)
            }
            ("log", [number]) => finite(&format!("log10({number})"), &[number]).map(Some),
            ("log", [base, number]) => finite(&format!("log({number}, {base})"), &[base, number]).map(Some),
            ("strpos", [text, part]) => position(text, part).map(Some),
            ("left" | "right", [text, length]) if length.to_string() == "0" => {
                sql(&format!("CASE WHEN ({text}) IS NOT NULL THEN '' END")).map(Some)
            }
            ("replace", [_, part, _]) if text_of(part).is_some_and(str::is_empty) => {
                unsupported("`replace` of an empty text", "leave it out, since it changes nothing")
            }
            ("round" | "trunc", [number, _]) if self.is_decimal(number) => decimal_arithmetic(),
            ("round", [number]) if self.is_decimal(number) => call("round", &[number]).map(Some),
            (_, arguments) if entry.is_finite => {
                finite(&function.to_string(), &arguments.iter().collect::<Vec<_>>()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A field of a time, in double precision where Polars has it in whole numbers.
    fn date_part(&self, function: &Function, field: &Expr, time: &Expr) -> SqlResult<Option<Expr>> {
        if self.time(time) == Some(Time::Interval) {
            return of_interval(&describe(time));
        }
        let Some(name) = text_of(field).filter(|name| self.has_field(name, time)).map(str::to_lowercase) else {
            return no_field(&field.to_string(), time);
        };
        match name.as_str() {
            "epoch" => in_double(&call("epoch", &[time])?),
            _ if self.time(time) == Some(Time::Instant) => session_time_zone(&function.to_string()),
            name if name.starts_with("sec") => in_double(&seconds(time)?),
            name if name.starts_with("millis") || name.starts_with("msec") => in_double(&milliseconds(time)?),
            _ => Ok(None),
        }
    }

    /// The greatest or least of numbers of floating point, among which NaN is the greatest.
    fn extreme(&self, name: &str, choice: &Function) -> SqlResult<Option<Expr>> {
        let word = match name {
            "greatest" => "maximum",
            "least" => "minimum",
            _ => return Ok(None),
        };
        let number = self.number(&Expr::Function(choice.clone()));
        if number < Some(NumberType::Real) {
            return Ok(None);
        }
        let values = arguments(choice);
        let extreme = call(word, &values.iter().collect::<Vec<_>>())?;
        let is_single = number == Some(NumberType::Real) && values.iter().any(|value| self.number(value) != number);
        if is_single { call("single", &[&extreme]).map(Some) } else { Ok(Some(extreme)) }
    }

    /// Texts in a row. Truth values would be `t` and `f`.
    fn concat(&self, function: &Function, values: &[Expr]) -> SqlResult<Expr> {
        let mut function = function.clone();
        let mut texts = Vec::new();
        for value in values {
            if self.class(value) == Some(Class::Boolean) {
                return unsupported(
                    format!("`{}` of {}, a boolean", function.name, describe(value)),
                    "write `CAST(… AS text)`",
                );
            }
            let is_text = matches!(value, Expr::Value(_)) || self.class(value) == Some(Class::Text);
            let value = if is_text { value.clone() } else { self.text(value)? };
            texts.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
        }
        if let FunctionArguments::List(list) = &mut function.args {
            list.args = texts;
        }
        Ok(Expr::Nested(Box::new(Expr::Function(function))))
    }

    /// A sum that may be beyond 64 bits is an error there, and NaN is greater than any number.
    fn aggregate(&self, (name, entry): (&str, &SqlFunction), function: &Function) -> SqlResult<Option<Expr>> {
        let arguments = arguments(function);
        let [argument] = arguments.as_slice() else { return Ok(None) };
        let with_argument = |argument: String| -> SqlResult<Function> {
            let mut function = function.clone();
            if let FunctionArguments::List(list) = &mut function.args {
                list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(sql(&argument)?))];
            }
            Ok(function)
        };
        if let Some(digits) = self.digits(argument)? {
            match name {
                "max" | "min" => {
                    let ranked = with_argument(format!("{PREFIX}sortkey({digits}, TRUE) || ' ' || {digits}"))?;
                    return sql(&format!("{PREFIX}decimal(split_part({ranked}, ' ', 2), TRUE)")).map(Some);
                }
                "sum" => return total(function, &digits).map(Some),
                "count" if self.kind(argument).is_none() => return with_argument(digits).map(Expr::Function).map(Some),
                _ if entry.is_arithmetic => self.reject_decimal_text(argument)?,
                _ => {}
            }
        }
        let kind = self.kind(argument);
        let number = self.number(argument);
        if name == "sum" && number == Some(NumberType::Real) {
            return unsupported(
                format!("`sum` of {}, which Postgres adds in single precision", describe(argument)),
                "write `CAST(column AS double precision)`",
            );
        }
        let is_float = number >= Some(NumberType::Real);
        let class = self.class(argument);
        let is_unsupported = match name {
            "sum" | "avg" | "stddev" | "stddev_samp" | "variance" | "var_samp" => {
                matches!(class, Some(Class::Boolean | Class::Time | Class::Interval | Class::Text))
            }
            "min" | "max" => class == Some(Class::Boolean),
            _ => false,
        };
        if is_unsupported {
            return unsupported(
                format!("`{name}` of {}", describe(argument)),
                "convert it to a number first, for example `CAST(b AS int)`",
            );
        }
        match name {
            "sum" if !is_float && !matches!(kind, Some(ColumnType::Int(16 | 32))) => {
                let double = with_argument(format!("CAST({argument} AS DOUBLE PRECISION)"))?;
                sql(&format!("{PREFIX}sum({function}, {double}, TRUE)")).map(Some)
            }
            "max" if is_float || kind.is_none() && class.is_none_or(|class| class == Class::Number) => {
                let is_nan = with_argument(format!("{PREFIX}isnan({argument}, FALSE)"))?;
                sql(&format!("{PREFIX}largest({function}, {is_nan}, TRUE)")).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The sum of decimal numbers. Polars joins their texts, since it has no sums of ours.
fn total(function: &Function, digits: &str) -> SqlResult<Expr> {
    if function.over.is_some() || function.filter.is_some() || function.to_string().to_uppercase().contains("DISTINCT")
    {
        let help = "write `sum(CASE WHEN … THEN column END)` with GROUP BY, or compute it in SQL after the load";
        return unsupported("`sum` of numeric values with OVER, FILTER or DISTINCT", help);
    }
    sql(&format!("{PREFIX}decimal({PREFIX}total(string_agg({digits}, ','), TRUE), TRUE)"))
}

/// The arguments of a function, to be changed.
pub(super) fn values_of(function: &mut Function) -> impl Iterator<Item = &mut Expr> {
    let list = match &mut function.args {
        FunctionArguments::List(list) => Some(list),
        _ => None,
    };
    list.into_iter().flat_map(|list| &mut list.args).filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
        _ => None,
    })
}

/// Whether an argument is not written out, so that it may be NULL.
fn may_be_null(argument: &Expr) -> bool {
    match argument {
        Expr::Value(value) => value.value == Value::Null,
        Expr::UnaryOp { expr, .. } => may_be_null(expr),
        _ => true,
    }
}

/// A function of texts that is NULL where one of its arguments is.
fn null_if_any_is_null(name: &str, function: &Function, text: &Expr, others: &[Expr]) -> SqlResult<Expr> {
    if name == "replace" {
        return unsupported("`replace` of or by a text that is not a literal", "write it as `replace(text, 'a', 'b')`");
    }
    if name == "split_part" {
        let help = "write it as `split_part(text, ',', 1)`";
        return unsupported("`split_part` by a text or for a part that is not a literal", help);
    }
    let call = match (name, others) {
        ("right", [length]) => call("right", &[text, length])?.to_string(),
        _ => function.to_string(),
    };
    let known: Vec<String> = others.iter().map(|other| format!("({other}) IS NOT NULL")).collect();
    sql(&format!("CASE WHEN {} THEN {call} END", known.join(" AND ")))
}

fn unknown<T>(name: &str) -> SqlResult<T> {
    let help = match name {
        "div" => "write `a / b`, which is whole for whole numbers",
        "initcap" => "use `upper` and `lower`",
        "date" | "timestamp" | "datetime" => "write `CAST(… AS date)` or `CAST(… AS timestamp)`",
        "if" => "write `CASE WHEN … THEN … ELSE … END`",
        "first" | "last" => "use `min` or `max`, or `first_value` with an order",
        "rank" | "dense_rank" => "use `row_number`",
        "sind" | "cosd" | "tand" => "write it with `radians`, as `sin(radians(x))`",
        "asind" | "acosd" | "atand" => "write it with `degrees`, as `degrees(asin(x))`",
        "cot" => "write `1 / tan(x)`",
        "btrim" => "write `trim(BOTH 'x' FROM text)`",
        "median" | "quantile_cont" | "quantile_disc" => {
            "compute it in Postgres after the load, with `postgres.query` and `percentile_cont`"
        }
        "total" => "write `coalesce(sum(…), 0)`",
        _ => "compute it in Postgres after the load, with `postgres.query`",
    };
    unsupported(format!("the function `{name}`, which steps do not compute as Postgres does"), help)
}

fn in_double(number: &Expr) -> SqlResult<Option<Expr>> {
    sql(&format!("CAST({number} AS DOUBLE PRECISION)")).map(Some)
}

fn finite(function: &str, arguments: &[&Expr]) -> SqlResult<Expr> {
    checked("finite", function, arguments)
}

/// What a function returns, given its arguments.
fn checked(check: &str, function: &str, arguments: &[&Expr]) -> SqlResult<Expr> {
    let arguments = arguments.iter().map(|argument| format!(", {argument}")).collect::<String>();
    sql(&format!("{PREFIX}{check}({function}{arguments}, TRUE)"))
}

pub(super) fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().filter_map(argument).collect()
}

/// Where a part of a text begins, in characters.
pub(super) fn position(text: &Expr, part: &Expr) -> SqlResult<Expr> {
    if text_of(part).is_none_or(str::is_empty) {
        return unsupported(
            "the position of a text that is not a literal",
            "look for a text such as 'a', or compare with LIKE",
        );
    }
    sql(&format!(
        "CASE WHEN strpos({text}, {part}) > 0 THEN length(split_part({text}, {part}, 1)) + 1 WHEN ({text}) IS NOT NULL THEN 0 END"
    ))
}
