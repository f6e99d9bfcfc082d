//! Columns that the server numbers from a sequence which may run out. A number that a statement has taken stays taken when
//! the statement is undone, so rows of such a table must not be sent twice.

use tokio_postgres::GenericClient;

use crate::postgres::explain;
use crate::postgres::sql::quote;
use crate::task::TaskError;

/// A column with a default that takes numbers of a sequence.
#[derive(Debug)]
pub(super) struct NumberedColumn {
    pub(super) name: String,
    /// What computes its value, where the user may do so and set the column.
    pub(super) expression: Option<String>,
}

/// A load may try its rows again some hundred times; with fewer numbers than this left, that matters.
const PLENTY: i64 = 1_000_000_000;

/// The columns of a table whose sequence has fewer numbers left than a load may use up. One whose numbers begin anew
/// never runs out.
///
/// # Errors
/// When the server refuses.
pub(super) async fn numbered(client: &impl GenericClient, sql_name: &str) -> Result<Vec<NumberedColumn>, TaskError> {
    let sql = format!(
        "WITH used AS (
             SELECT d.adnum AS number, p.refobjid AS sequence, pg_get_expr(d.adbin, d.adrelid) AS expression
             FROM pg_attrdef d JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
                 AND p.refclassid = 'pg_class'::regclass
             WHERE d.adrelid = {0}::regclass
             UNION ALL
             SELECT refobjsubid, objid, format('pg_catalog.nextval(%s::pg_catalog.oid::pg_catalog.regclass)', objid)
             FROM pg_depend WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                 AND refobjid = {0}::regclass AND deptype = 'i' AND refobjsubid > 0)
         SELECT DISTINCT ON (a.attnum) a.attname::text,
                CASE WHEN has_column_privilege(a.attrelid, a.attnum, 'INSERT')
                         AND has_sequence_privilege(s.seqrelid, 'USAGE, UPDATE') THEN expression END
         FROM used JOIN pg_sequence s ON s.seqrelid = sequence
         JOIN pg_attribute a ON a.attrelid = {0}::regclass AND a.attnum = number
         CROSS JOIN LATERAL (SELECT
             CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                 ELSE 9223372036854775807 END::numeric AS most,
             coalesce(CASE WHEN has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
                 THEN pg_sequence_last_value(s.seqrelid::regclass) END, s.seqstart)::numeric AS last) AS at
         WHERE NOT s.seqcycle AND {PLENTY} > abs(
             CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, most) ELSE greatest(s.seqmin, -most) END - last)
             / abs(s.seqincrement)
         ORDER BY a.attnum",
        quote(sql_name)
    );
    let rows = client.query(&sql, &[]).await.map_err(|error| explain("reading the table's sequences", &error))?;
    Ok(rows.iter().map(|row| NumberedColumn { name: row.get(0), expression: row.get(1) }).collect())
}
