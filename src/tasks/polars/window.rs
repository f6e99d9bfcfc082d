//! Functions over windows, which Polars computes otherwise than Postgres in many cases.

use sqlparser::ast::{Function, WindowSpec, WindowType};

use super::dialect::sql;
use super::unsupported::{SqlResult, unsupported};

/// Aggregates that take the rows before this one, in the order of their window.
const NEEDS_FRAME: &[&str] = &["sum", "count", "min", "max", "last_value"];

/// A window function: NULLs come last in ascending order, and rows that are equal in the window's order are not told
/// apart by Postgres.
pub(super) fn rewrite_window(function: &Function, name: &str, window: &WindowSpec) -> SqlResult<Option<Function>> {
    if window.order_by.is_empty() {
        return check_unordered(name, window);
    }
    if ["rank", "dense_rank"].contains(&name) {
        return unsupported(format!("`{name}`, which would not count NULL"), "use `row_number`");
    }
    if name == "avg" {
        return unsupported("`avg` over a window with an order", "divide `sum` by `count` over the same window");
    }
    if NEEDS_FRAME.contains(&name) && window.window_frame.is_none() {
        return unsupported(
            format!("`{name}` over an order without a frame, which would treat equal rows differently"),
            "add `ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`",
        );
    }
    if window.order_by.iter().any(|order| order.options.nulls_first.is_some()) {
        return unsupported(
            "NULLS FIRST or NULLS LAST in a window",
            "leave it out, or order by `column IS NULL` first",
        );
    }
    if window.order_by.iter().any(|order| order.options.asc == Some(false)) {
        return Ok(None);
    }
    let mut function = function.clone();
    if let Some(WindowType::WindowSpec(window)) = &mut function.over {
        let orders = std::mem::take(&mut window.order_by);
        for order in orders {
            let mut nulls = order.clone();
            // A sum with a number first has no column's name, which the key beside it has.
            nulls.expr = sql(&format!("0 + CAST(({}) IS NULL AS int)", order.expr))?;
            window.order_by.extend([nulls, order]);
        }
    }
    Ok(Some(function))
}

/// A window without an order.
fn check_unordered<T>(name: &str, window: &WindowSpec) -> SqlResult<Option<T>> {
    if ["first_value", "last_value", "nth_value", "lag", "lead"].contains(&name) {
        return unsupported(format!("`{name}` over a window without an order"), "add `ORDER BY` to the window");
    }
    if window.partition_by.is_empty() && name != "row_number" {
        let help = "add `PARTITION BY`, or compute it in SQL after the load";
        return unsupported(format!("`{name}` over all rows, which would give one row"), help);
    }
    Ok(None)
}
