//! Rows that the server refused in a COPY: which one, and why.

use tokio_postgres::error::SqlState;

use super::copy_place::{CONTEXT_LABEL, CopyPlace};
use super::pg_error::PgError;
use crate::task::TaskError;

/// The classes of the server's own SQLSTATEs that speak of no row's values. Source: `errcodes.txt` of Postgres. A class
/// that is not the server's own is one that a trigger has raised.
const CLASSES_WITHOUT_ROW: [&str; 33] = [
    "00", "01", "02", "03", "08", "0A", "0B", "0L", "0P", "0Z", "20", "24", "25", "26", "28", "2B", "2D", "34", "38",
    "39", "3B", "3D", "3F", "40", "42", "53", "55", "57", "58", "72", "F0", "HV", "XX",
];
/// Those of the server's state, whichever row was on its way; 2200H is a sequence that has no numbers left.
const SERVER_STATE_CODES: [&str; 12] =
    ["08", "2200H", "25", "40", "53", "55P03", "57", "58", "72", "F0", "XX001", "XX002"];
/// Those of a value, of a NULL and of a check, which speak of one row alone.
const SINGLE_ROW_CODES: [&str; 3] = ["22", "23502", "23514"];
/// Those of keys: foreign, unique and excluded.
const KEY_CODES: [&str; 3] = ["23503", "23505", "23P01"];
/// Mistakes in SQL and missing rights.
const SQL_CODES: [&str; 1] = ["42"];

/// What the server said of the rows of a COPY.
#[derive(Clone, Debug)]
pub struct CopyError {
    error: PgError,
}

impl CopyError {
    pub(super) fn new(error: PgError) -> Self {
        Self { error }
    }

    /// Whether a row on its way into `table` is to blame, whether COPY or an INSERT stores it. The server names the row or
    /// the function that was at work on it, or its SQLSTATE says that it is about values (class 22), constraints (23), a
    /// view's check (44), what a value takes (54) or what a trigger raised (P0 and all classes that are not the server's
    /// own). Lost connections, full disks, stops and the like are nobody's fault, whichever row was on its way. A mistake
    /// in a function's SQL or a right that is missing, such as one to a sequence, concerns all rows, unless a function
    /// raises it itself, or it is a value that cannot be read: the types of names and of queries have codes of that class.
    /// XX000 is what functions raise that give no code.
    pub fn blames_row(&self, table: &str) -> bool {
        if self.has_code_in(&SERVER_STATE_CODES) {
            return false;
        }
        let blames_all_rows = self.has_code_in(&SQL_CODES) && !self.error.is_raised && !self.names_column(table);
        !blames_all_rows && (self.error.context.is_some() || !self.has_code_in(&CLASSES_WITHOUT_ROW))
    }

    /// Whether the row might be taken if others were not there: it is none whose value cannot be read, or does not pass a
    /// check.
    pub fn may_depend_on_others(&self) -> bool {
        !self.has_code_in(&SINGLE_ROW_CODES)
    }

    /// Whether the server was at work on a column, whichever line of the CONTEXT is its own.
    fn names_column(&self, table: &str) -> bool {
        let places = self.error.context.as_deref().map(|context| CopyPlace::all(context, table));
        places.is_some_and(|places| !places.is_empty() && places.iter().all(CopyPlace::names_column))
    }

    /// A problem without the row of the COPY into `table`, whose number says nothing about the file.
    pub fn without_row(table: &str, mut problem: TaskError) -> TaskError {
        let place = CopyPlace::all(&problem.message, table).pop().map(|place| place.range.start);
        if let Some(start) = place {
            let before = &problem.message[..start];
            let end = before.strip_suffix(CONTEXT_LABEL).or(before.strip_suffix('\n')).unwrap_or(before).len();
            problem.message.truncate(end);
        }
        problem
    }

    /// Whether a foreign key is not kept.
    pub fn is_foreign_key_violation(&self) -> bool {
        self.error.code == SqlState::FOREIGN_KEY_VIOLATION
    }

    /// Whether a row is larger than the server can store.
    pub fn is_program_limit(&self) -> bool {
        self.error.code == SqlState::PROGRAM_LIMIT_EXCEEDED
    }

    /// Whether it speaks of one of the rows that COPY had collected, of which the row that it names is the last.
    pub fn is_of_collected_rows(&self) -> bool {
        self.error.is_of_page
    }

    fn has_code_in(&self, classes: &[&str]) -> bool {
        let code = self.error.code.code();
        classes.iter().any(|class| code.starts_with(class))
    }

    /// The message with its SQLSTATE and details.
    pub fn message_with_code(&self) -> String {
        match &self.error.detail {
            Some(detail) => format!("{}: {detail}", self.error.message_with_code()),
            None => self.error.message_with_code(),
        }
    }

    /// The key that breaks a constraint: the names of its columns as the server has them, and its whole DETAIL, such as
    /// `Key (a, b)=(1, 2) is not present in table "p".` None where the constraint is of none of these tables.
    pub fn key(&self, tables: &[String]) -> Option<(&str, &str)> {
        let table = self.error.table.as_ref().filter(|_| self.has_code_in(&KEY_CODES))?;
        let detail = self.error.detail.as_deref().filter(|_| tables.contains(table))?;
        let names = detail.split_once(")=(")?.0.split_once('(')?.1;
        Some((names, detail))
    }

    /// Whether the server was at work on a row, or a function was.
    pub fn has_context(&self) -> bool {
        self.error.context.is_some()
    }

    /// The row of the COPY into `table` (its name without the schema), from 1, if it is certain. Some errors belong to no
    /// row: those of constraints that are checked when all rows are there.
    pub fn row(&self, table: &str) -> Option<u64> {
        self.place(table).map(|place| place.row)
    }

    /// The column that the server names, if it is one of these.
    pub fn column<'a>(&self, table: &str, columns: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        self.place(table)?.column(columns)
    }

    fn place(&self, table: &str) -> Option<CopyPlace<'_>> {
        CopyPlace::unambiguous(self.error.context.as_deref()?, table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_with_context(context: &str) -> CopyError {
        let body = format!("SERROR\0C22P02\0Mbad\0W{context}\0");
        CopyError::new(PgError::read(body.as_bytes()))
    }

    #[test]
    fn server_failures_blame_no_row() {
        assert!(
            error_with_context("SQL statement").blames_row("t") && error_with_context("COPY t, line 1").blames_row("t")
        );
        let full = PgError::read(b"SERROR\0C53100\0Mdisk full\0WCOPY t, line 12\0");
        assert!(!CopyError::new(full).blames_row("t"));
        for (code, blames_row) in [("XX000", true), ("XX001", false)] {
            let raised = PgError::read(format!("SERROR\0C{code}\0Mx\0WCOPY t, line 12\0").as_bytes());
            assert_eq!(CopyError::new(raised).blames_row("t"), blames_row, "{code}");
        }
    }

    #[test]
    fn sqlstates_tell_whether_a_row_is_to_blame() {
        let of = |code: &str| CopyError::new(PgError::read(format!("SERROR\0C{code}\0Mno\0").as_bytes()));
        for code in ["22P05", "23503", "23505", "23514", "44000", "54000", "54001", "P0001", "45000", "JT001", "21000"]
        {
            assert!(of(code).blames_row("t"), "{code}");
        }
        for code in ["42501", "42P01", "0A000", "53100", "57014", "40001", "55000", "XX000", "HV000"] {
            assert!(!of(code).blames_row("t"), "{code}");
        }
        let at = |code: &str, rest: &str| {
            CopyError::new(PgError::read(format!("SERROR\0C{code}\0Mno\0{rest}\0").as_bytes())).blames_row("t")
        };
        let in_function = "WPL/pgSQL function f() line 1 at SQL statement";
        for code in ["0A000", "3D000", "55000", "XX000", "P0001"] {
            assert!(at(code, in_function) && at(code, "WCOPY t, line 2"), "{code}");
        }
        for code in ["42501", "42P01"] {
            let raised = format!("{in_function}\0Rexec_stmt_raise");
            assert!(at(code, &raised) && at(code, "WCOPY t, line 2, column a: \"x\""), "{code}");
            assert!(!at(code, in_function) && !at(code, "WCOPY t, line 2"), "{code}");
        }
        for code in ["08006", "2200H", "40001", "53100", "55P03", "57014", "58030", "XX001"] {
            assert!(!at(code, "WCOPY t, line 2\0Rexec_stmt_raise"), "{code}");
        }
    }
}
