//! Functions over windows. Polars computes few of them as Postgres does, and ignores frames and parts of others in silence:
//! only what is listed here was compared.

use sqlparser::ast::{
    Function, FunctionArguments, OrderByExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::dialect::sql;
use super::select_parts::reads_column;
use super::unsupported::{SqlResult, unsupported};

/// Functions over the rows of a partition.
const OVER_PARTITIONS: &[&str] =
    &["avg", "count", "max", "min", "row_number", "stddev", "stddev_samp", "sum", "var_samp", "variance"];
/// Functions over an order, which have no frame.
const OVER_ORDERS: &[&str] = &["first_value", "lag", "lead", "row_number"];
/// Functions over the rows up to this one, in the order of their window.
const OVER_ROWS_BEFORE: &[&str] = &["count", "max", "min", "sum"];
/// The rows that they are over.
const FRAME: &str = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW";

/// A window function: NULLs come last in ascending order, and rows that are equal in the window's order are not told
/// apart by Postgres.
pub(super) fn rewrite_window(function: &Function, name: &str, window: &WindowSpec) -> SqlResult<Option<Function>> {
    let WindowSpec { window_name, partition_by, order_by, window_frame } = window;
    if let Some(base) = window_name {
        return unsupported(format!("a window made of the window `{base}`"), "write the window out: `OVER (…)`");
    }
    if let Some(constant) = partition_by.iter().find(|value| !reads_column(*value)) {
        return unsupported(format!("PARTITION BY {constant}, which reads no column"), "leave it out");
    }
    let order = match order_by.as_slice() {
        [] => return check_unordered(name, window),
        [order] => order,
        _ => {
            let help = "order by one column, which a query in FROM may compute, or number the rows in Postgres";
            return unsupported("a window with an order of several values", help);
        }
    };
    check_ordered(function, name, window_frame.as_ref())?;
    rewrite_order(function, order)
}

fn check_ordered(function: &Function, name: &str, frame: Option<&WindowFrame>) -> SqlResult<()> {
    let counts = matches!(&function.args, FunctionArguments::List(list) if list.args.len() <= 2);
    match frame {
        None if OVER_ORDERS.contains(&name) && counts => Ok(()),
        Some(frame) if OVER_ROWS_BEFORE.contains(&name) && is_rows_before(frame) => Ok(()),
        None if OVER_ROWS_BEFORE.contains(&name) => unsupported(
            format!("`{name}` over an order without a frame, which would treat equal rows differently"),
            "add `ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`",
        ),
        _ if name == "avg" => {
            unsupported("`avg` over a window with an order", "divide `sum` by `count` over the same window")
        }
        _ if name == "last_value" => {
            unsupported("`last_value`", "use `first_value` with the opposite order, or `max` and `min`")
        }
        Some(_) if OVER_ORDERS.contains(&name) => unsupported(format!("a frame of `{name}`"), "leave the frame out"),
        Some(_) if OVER_ROWS_BEFORE.contains(&name) => {
            unsupported(format!("a frame other than `{FRAME}`"), "compute it in Postgres after the load")
        }
        _ => unsupported(
            format!("`{name}` over a window with an order"),
            "leave the order out if it does not matter, or compute it in Postgres after the load",
        ),
    }
}

fn is_rows_before(frame: &WindowFrame) -> bool {
    let WindowFrame { units, start_bound, end_bound } = frame;
    *units == WindowFrameUnits::Rows
        && *start_bound == WindowFrameBound::Preceding(None)
        && matches!(end_bound, None | Some(WindowFrameBound::CurrentRow))
}

/// NULLs come last in ascending order, and first in descending order, as Polars has it.
fn rewrite_order(function: &Function, order: &OrderByExpr) -> SqlResult<Option<Function>> {
    if order.options.nulls_first.is_some() {
        return unsupported(
            "NULLS FIRST or NULLS LAST in a window",
            "leave it out: NULLs are last, and first in descending order",
        );
    }
    if !reads_column(&order.expr) {
        return unsupported(format!("a window with the order {order}, which reads no column"), "order by a column");
    }
    if order.options.asc == Some(false) {
        return Ok(None);
    }
    let mut function = function.clone();
    if let Some(WindowType::WindowSpec(window)) = &mut function.over {
        let mut nulls = order.clone();
        // A sum with a number first has no column's name, which the key next to it has.
        nulls.expr = sql(&format!("0 + CAST(({}) IS NULL AS int)", order.expr))?;
        window.order_by.insert(0, nulls);
    }
    Ok(Some(function))
}

/// A window without an order.
fn check_unordered<T>(name: &str, window: &WindowSpec) -> SqlResult<Option<T>> {
    if window.window_frame.is_some() {
        return unsupported("a frame without an order", "leave the frame out");
    }
    if OVER_ORDERS.contains(&name) && name != "row_number" || name == "last_value" {
        return unsupported(format!("`{name}` over a window without an order"), "add `ORDER BY` to the window");
    }
    if !OVER_PARTITIONS.contains(&name) {
        return unsupported(
            format!("`{name}` over a window"),
            "group the rows in `JOIN (SELECT … GROUP BY …) b`, or compute it in Postgres after the load",
        );
    }
    if window.partition_by.is_empty() && name != "row_number" {
        let help = "add `PARTITION BY`, or compute it in SQL after the load";
        return unsupported(format!("`{name}` over all rows, which would give one row"), help);
    }
    Ok(None)
}
