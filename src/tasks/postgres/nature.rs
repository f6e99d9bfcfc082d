//! What the server does with rows on their way into a table: its triggers, rules, policies and constraints.

use tokio_postgres::GenericClient;

use crate::postgres::explain;
use crate::postgres::sql::quote;
use crate::task::TaskError;

/// What the server does with rows on their way into the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Nature {
    /// The table's name without its schema, as the server's messages have it.
    pub(super) relation: String,
    /// The same for the table and its partitions.
    pub(super) relations: Vec<String>,
    /// Constraints of the table are checked when the transaction ends.
    pub(super) has_deferred: bool,
    /// Triggers see each row before it is stored, and may leave it out or store it elsewhere.
    pub(super) may_skip_rows: bool,
    /// The same of rows that are changed.
    pub(super) may_skip_updates: bool,
    /// Rows may refer to later ones, or a trigger or a deferred constraint may look at more than its row: one COPY is not
    /// the same as several.
    pub(super) wants_one_statement: bool,
    /// Triggers see each row, before or after it is stored, or defaults are computed by functions that may change tables.
    pub(super) has_row_functions: bool,
    /// A check looks at where its row lies.
    pub(super) checks_place: bool,
    /// Whether the user may read all columns.
    pub(super) can_be_read: bool,
    /// Row-level security holds for this user.
    pub(super) has_policies: bool,
    /// Triggers see each row before it is deleted, and may keep it.
    pub(super) may_keep_rows: bool,
    /// What can be done to the rows, as bits: 4 for UPDATE, 8 for INSERT, 16 for DELETE.
    pub(super) can: i32,
    /// The commands that rules rewrite: `INSERT, DELETE`.
    pub(super) rules: Option<String>,
}

impl Nature {
    /// Whether storing rows calls functions of the user's, which may change the session.
    pub(super) fn calls_functions(&self) -> bool {
        self.may_skip_rows || self.wants_one_statement || self.has_row_functions
    }
}

/// A row trigger that runs before a row is stored, or instead of it, sees the rows before it in the file, however many
/// statements they came in; one whose function is not volatile sees those of earlier statements alone, and what it writes
/// elsewhere may be subject to a deferred constraint, or be what a foreign key of the table wants. The others see the rows of their statement.
///
/// Bits of `tgtype`: 1 for each row, 2 before, 4 on INSERT, 8 on DELETE, 64 instead of it. Source: Postgres's
/// `pg_trigger.h`. A partition's copy of a trigger counts as internal before Postgres 15. Letters of `ev_type`: 2 for UPDATE, 3 for INSERT, 4 for DELETE. Source: its manual on `pg_rewrite`.
///
/// # Errors
/// When the server refuses.
pub(super) async fn nature(client: &impl GenericClient, sql_name: &str) -> Result<Nature, TaskError> {
    let sql = format!(
        "WITH RECURSIVE tables AS (SELECT {0}::regclass AS id UNION SELECT relid FROM pg_partition_tree({0}::regclass)),
              heirs AS (SELECT {0}::regclass::oid AS id
                  UNION SELECT inhrelid FROM pg_inherits JOIN heirs ON inhparent = heirs.id),
              family AS (SELECT id FROM tables UNION SELECT relid FROM pg_partition_ancestors({0}::regclass)),
              triggers AS (SELECT tgtype, tgnewtable, provolatile
                  FROM tables JOIN pg_trigger ON tgrelid = id JOIN pg_proc ON pg_proc.oid = tgfoid
                  WHERE tgenabled <> 'D' AND tgtype & 4 = 4 AND (NOT tgisinternal OR tgparentid <> 0 AND NOT EXISTS (
                      SELECT 1 FROM pg_constraint WHERE pg_constraint.oid = tgconstraint AND contype <> 't'))),
              functions AS (SELECT 1 FROM triggers WHERE tgtype & 1 = 1 UNION ALL
                  SELECT 1 FROM tables JOIN pg_attrdef d ON adrelid = id
                  JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = d.oid AND refclassid = 'pg_proc'::regclass
                  JOIN pg_proc p ON p.oid = refobjid JOIN pg_language l ON l.oid = prolang
                  WHERE provolatile = 'v' AND lanname NOT IN ('internal', 'c'))
         SELECT EXISTS (SELECT 1 FROM triggers WHERE tgtype & 1 = 1 AND tgtype & 66 <> 0),
                EXISTS (SELECT 1 FROM triggers
                    WHERE tgtype & 1 = 0 OR tgnewtable IS NOT NULL OR tgtype & 66 = 0 OR provolatile <> 'v')
                OR EXISTS (SELECT 1 FROM triggers) AND EXISTS (SELECT 1 FROM pg_constraint WHERE condeferred)
                OR EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT id FROM tables)
                    AND (confrelid IN (SELECT id FROM family) OR EXISTS (SELECT 1 FROM functions)))
                OR EXISTS (SELECT 1 FROM pg_constraint, tables WHERE condeferred
                    AND (contype = 't' AND conrelid = id OR contype = 'f' AND confrelid = id)),
                (SELECT relname FROM pg_class WHERE oid = {0}::regclass),
                row_security_active({0}::regclass),
                EXISTS (SELECT 1 FROM pg_trigger JOIN heirs ON tgrelid = id
                    WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 9 = 9 AND tgtype & 66 <> 0),
                pg_relation_is_updatable({0}::regclass, true),
                (SELECT string_agg(CASE ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' ELSE 'DELETE' END, ', ')
                    FROM pg_rewrite WHERE ev_class = {0}::regclass AND ev_enabled <> 'D' AND ev_type IN ('2', '3', '4')),
                EXISTS (SELECT 1 FROM functions),
                has_table_privilege({0}::regclass, 'SELECT'),
                EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'c' AND conrelid = {0}::regclass AND 0 > ANY(conkey)),
                ARRAY(SELECT relname::text FROM tables JOIN pg_class ON pg_class.oid = tables.id),
                EXISTS (SELECT 1 FROM pg_constraint JOIN tables ON conrelid = id WHERE condeferred),
                EXISTS (SELECT 1 FROM pg_trigger JOIN heirs ON tgrelid = id
                    WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 17 = 17 AND tgtype & 66 <> 0)",
        quote(sql_name)
    );
    let row = client.query_one(&sql, &[]).await.map_err(|error| explain("reading the table's triggers", &error))?;
    // What is asked of a table that is gone is NULL.
    let gone = || TaskError::transient(format!("{sql_name} was dropped while the load waited for it"));
    let (relation, can_be_read): (Option<String>, Option<bool>) = (row.get(2), row.get(8));
    Ok(Nature {
        may_skip_rows: row.get(0),
        may_skip_updates: row.get(12),
        wants_one_statement: row.get(1),
        relation: relation.ok_or_else(gone)?,
        has_policies: row.get(3),
        may_keep_rows: row.get(4),
        can: row.get(5),
        rules: row.get(6),
        has_row_functions: row.get(7),
        can_be_read: can_be_read.ok_or_else(gone)?,
        checks_place: row.get(9),
        relations: row.get(10),
        has_deferred: row.get(11),
    })
}
