//! An error as the server reports it, whichever way it was heard.

use tokio_postgres::error::{DbError, SqlState};

/// The fields of the server's error that a user gets to see.
#[derive(Clone, Debug)]
pub(super) struct PgError {
    pub(super) code: SqlState,
    /// Whether the server closes the connection after it.
    pub(super) is_fatal: bool,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// What the server was doing: `COPY trips, line 12, column fare`.
    pub(super) context: Option<String>,
    /// The table of a constraint that is not kept, without its schema.
    pub(super) table: Option<String>,
    /// Whether a function of the user's raised it with PL/pgSQL's RAISE.
    pub(super) is_raised: bool,
    /// Whether the row is too large for a page, which COPY notices when it stores the rows that it has collected.
    pub(super) is_of_page: bool,
}

/// The server's own routine behind RAISE.
const RAISE: &str = "exec_stmt_raise";
/// The one that looks for a page with room for a row.
const FIND_PAGE: &str = "RelationGetBufferForTuple";

impl From<&DbError> for PgError {
    fn from(error: &DbError) -> Self {
        Self {
            code: error.code().clone(),
            is_fatal: matches!(error.severity(), "FATAL" | "PANIC"),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            context: error.where_().map(str::to_owned),
            table: error.table().map(str::to_owned),
            is_raised: error.routine() == Some(RAISE),
            is_of_page: error.routine() == Some(FIND_PAGE),
        }
    }
}

impl PgError {
    /// Reads the body of an `ErrorResponse`: fields that end with a zero byte, each after a letter for its kind.
    pub(super) fn read(body: &[u8]) -> Self {
        let field = |kind: u8| {
            let found = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(&[kind]));
            found.map(|text| String::from_utf8_lossy(text).into_owned())
        };
        let severity = field(b'V').or_else(|| field(b'S')).unwrap_or_default();
        Self {
            code: SqlState::from_code(&field(b'C').unwrap_or_default()),
            is_fatal: matches!(severity.as_str(), "FATAL" | "PANIC"),
            message: field(b'M').unwrap_or_default(),
            detail: field(b'D'),
            hint: field(b'H'),
            context: field(b'W'),
            table: field(b't'),
            is_raised: field(b'R').as_deref() == Some(RAISE),
            is_of_page: field(b'R').as_deref() == Some(FIND_PAGE),
        }
    }

    /// The message with its SQLSTATE.
    pub(super) fn message_with_code(&self) -> String {
        format!("{} ({})", self.message, self.code.code())
    }
}
