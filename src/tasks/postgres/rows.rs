//! Whether the rows of an earlier load are still in their table.
//!
//! Every row carries the number of the transaction that wrote it (`xmin`), and the ledger keeps the number of each load's
//! transaction, and of the subtransactions that it wrote within savepoints. So rows with such a number are the load's,
//! unchanged. An `UPDATE` gives a row the number of the updating
//! transaction, and nothing tells any more which load it came from. From that follows the rule:
//!
//! - *Whole*: the table holds as many rows with the load's number as the load wrote.
//! - *Gone*: the table is empty, or each of its rows was written by another load of the ledger that only adds rows. Such
//!   a row is no changed row of this load.
//! - *Unclear* in all other cases. It is an error that says what was found; the user decides.
//!
//! What may hold changed rows of the load is in doubt: rows of other programs and of `postgres.query`, of later merges
//! that update, of loads into a table with triggers, and all rows after `ALTER TABLE` has rewritten the table. `TRUNCATE`,
//! `VACUUM FULL`, `CLUSTER`, `VACUUM FREEZE` and `pg_upgrade` keep the numbers of the rows that they keep. A ledger that
//! was restored from a dump carries the numbers of the restore, so its entries are not trusted; nor are those that are
//! 2³² transactions old, since numbers repeat by then. Versions that kept no numbers in the ledger wrote it in the load's
//! transaction too, so an entry of theirs has the number itself; two entries with the same one were restored. Rows that a policy hides, and relations without `xmin`, cannot be
//! looked at.

use std::collections::HashMap;

use tokio_postgres::{Row, Transaction};

use super::ledger::Earlier;
use crate::postgres::explain;
use crate::postgres::sql::quote;
use crate::task::TaskError;
use crate::tasks::appended::PriorRows;
use crate::text::{count, thousands};

/// The rows of a table, by who wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// All of them.
    pub(super) all: u64,
    /// Those of the load, unchanged.
    pub(super) own: u64,
    /// Those of other loads of the same file.
    same: u64,
    /// Those that may be changed rows of the load.
    doubtful: u64,
    /// Why the rows cannot be looked at, or do not tell.
    obstacle: Option<String>,
}

impl Rows {
    /// What has become of a load that wrote so many rows.
    pub(super) fn prior_rows(&self, loaded: u64) -> PriorRows {
        match self {
            Self { obstacle: Some(why), .. } => PriorRows::Unclear(why.clone()),
            Self { own, .. } if *own == loaded => PriorRows::Whole,
            Self { own: 0, same: 0, doubtful: 0, .. } => PriorRows::Gone,
            Self { own, same, doubtful, .. } => {
                let again = match same {
                    0 => String::new(),
                    same => format!(", {} of other loads of this file", count(*same, "row")),
                };
                PriorRows::Unclear(format!(
                    "of these the table holds {own} as they were loaded{again}, and {} that may have come from this \
                     load and been changed since",
                    count(*doubtful, "row")
                ))
            }
        }
    }

    /// The same where triggers kept so many rows out of the table, or stored them in a table under it.
    pub(super) fn prior_rows_with(&self, loaded: u64, kept_out: u64) -> PriorRows {
        let is_stored_below = self.obstacle.is_none() && (loaded..=loaded + kept_out).contains(&self.own);
        if is_stored_below && self.own > 0 { PriorRows::Whole } else { self.prior_rows(loaded) }
    }

    /// Whether none of them can be of a load of the file.
    pub(super) fn are_of_others(&self) -> bool {
        matches!(self, Self { own: 0, same: 0, doubtful: 0, obstacle: None, .. })
    }

    /// Whether these are the rows of a load that wrote so many: all of them, unchanged, and no others.
    pub(super) fn are_those_of(&self, loaded: u64) -> bool {
        self.all == self.own && self.prior_rows(loaded) == PriorRows::Whole
    }

    /// Why these are not, in words about a table.
    pub(super) fn missing(&self, table: &str, loaded: u64) -> String {
        match self {
            Self { obstacle: Some(why), .. } => format!("it is not known whether `{table}` holds it: {why}"),
            Self { all, own, .. } if all == own => {
                format!("`{table}` holds {} of {}", thousands(*own), count(loaded, "row"))
            }
            Self { all, own, .. } => format!(
                "`{table}` holds {} of {} as they were loaded, and {} changed or added since",
                thousands(*own),
                count(loaded, "row"),
                count(all - own, "row")
            ),
        }
    }
}

/// Asks which rows of a table are those of a load, among all or among those that a condition on `t` picks.
///
/// # Errors
/// When the server refuses.
pub(super) async fn of(
    transaction: &Transaction<'_>,
    target: &str,
    condition: Option<&str>,
    load: &Earlier,
) -> Result<Rows, TaskError> {
    count_rows(transaction, (target, target), condition, load).await
}

/// The same for a load into the table under a name that it no longer has: `(table, former name)`.
///
/// # Errors
/// When the server refuses.
pub(super) async fn of_renamed(
    transaction: &Transaction<'_>,
    names: (&str, &str),
    load: &Earlier,
) -> Result<Rows, TaskError> {
    count_rows(transaction, names, None, load).await
}

async fn count_rows(
    transaction: &Transaction<'_>,
    (table, target): (&str, &str),
    condition: Option<&str>,
    load: &Earlier,
) -> Result<Rows, TaskError> {
    if let Some(obstacle) = hidden(transaction, table).await? {
        return Ok(Rows { obstacle: Some(obstacle), ..Rows::default() });
    }
    let condition = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    let sql = format!(
        "WITH file AS MATERIALIZED (
             SELECT l.id FROM jitney_loads l, jitney_loads this,
                 LATERAL (SELECT coalesce(l.address, l.partition) AS one, coalesce(this.address, this.partition) AS other) path
             WHERE this.id = $2 AND l.target = $1 AND l.source_sha256 = this.source_sha256
                 -- Earlier versions noted the path from the flow's folder.
                 AND (one = other OR (l.flow = this.flow AND (right(one, length(other) + 1) = '/' || other
                                                              OR right(other, length(one) + 1) = '/' || one)))),
         loads AS MATERIALIZED (
             SELECT number.xid, bool_or(id = $2) AS own, bool_or(id IN (SELECT id FROM file)) AS same,
                    bool_or(coalesce(updates, true) AND id > (SELECT min(id) FROM file)) AS doubtful
             FROM {numbers} WHERE target = $1 AND {trusted} GROUP BY number.xid)
         SELECT count(*), count(*) FILTER (WHERE loads.own), count(*) FILTER (WHERE loads.same AND NOT loads.own),
                count(*) FILTER (WHERE loads.xid IS NULL OR loads.doubtful AND NOT loads.own),
                (SELECT {trusted} FROM jitney_loads l WHERE id = $2)
         FROM {table} t LEFT JOIN loads ON loads.xid = t.xmin{condition}",
        numbers = numbers(LEDGER),
        trusted = trusted(LEDGER),
    );
    let row = transaction.query_one(&sql, &[&target, &load.id]).await;
    let row = row.map_err(|error| {
        explain("looking for the rows of an earlier load", &error)
            .help("say what to do with a file that was loaded before: `if_loaded: skip`, or `if_loaded: load`")
    })?;
    let [all, own, same, doubtful] = [0, 1, 2, 3].map(|index| row.get::<_, i64>(index).unsigned_abs());
    let is_trusted = row.get::<_, Option<bool>>(4).unwrap_or_default() || all == 0;
    let obstacle = (!is_trusted).then(|| DISTRUSTED.to_owned());
    Ok(Rows { all, own, same, doubtful, obstacle })
}

/// A partition and the newest load of it.
pub(super) struct Partition<'a> {
    /// The column's value.
    pub(super) value: &'a str,
    /// The load's number in the ledger.
    pub(super) load: i64,
}

/// The rows of many partitions of a table, by the number of the newest load of each, in one statement. A partition
/// without rows is not among them. Every row of another load counts as one that may have been changed. `ledger` is what
/// [`ledger::readable`](super::ledger::readable) gives.
///
/// # Errors
/// When the server refuses.
pub(super) async fn of_each(
    transaction: &Transaction<'_>,
    (ledger, target): (&str, &str),
    column: &str,
    partitions: &[Partition<'_>],
) -> Result<HashMap<i64, Rows>, TaskError> {
    let hidden = hidden(transaction, target).await?;
    // Literals, not parameters: they take the column's own type, which may be an enum.
    let cases: String = partitions
        .iter()
        .map(|Partition { value, load }| format!(" WHEN {} THEN {load}::bigint", quote(value)))
        .collect();
    let values: Vec<String> = partitions.iter().map(|partition| quote(partition.value)).collect();
    let loads: Vec<i64> = partitions.iter().map(|partition| partition.load).collect();
    let xmin = if hidden.is_some() { "NULL::xid" } else { "t.xmin" };
    let sql = format!(
        "WITH loads AS MATERIALIZED (
             SELECT l.id, number.xid FROM {numbers} WHERE l.id = ANY($1) AND {trusted})
         SELECT there.load, count(*), count(loads.id), EXISTS (SELECT 1 FROM loads l WHERE l.id = there.load)
         FROM (SELECT CASE t.{column}{cases} END AS load, {xmin} AS xid FROM {target} t WHERE t.{column} IN ({})) there
         LEFT JOIN loads ON loads.xid = there.xid AND loads.id = there.load GROUP BY there.load",
        values.join(", "),
        numbers = numbers(ledger),
        trusted = trusted(ledger),
    );
    let rows = transaction.query(&sql, &[&loads]).await;
    let rows = rows.map_err(|error| explain("counting the rows that are there", &error))?;
    let entry = |row: &Row| {
        let [all, own] = [1, 2].map(|index| row.get::<_, i64>(index).unsigned_abs());
        let obstacle = hidden.clone().or_else(|| (!row.get::<_, bool>(3)).then(|| DISTRUSTED.to_owned()));
        (row.get(0), Rows { all, own, same: 0, doubtful: all - own, obstacle })
    };
    Ok(rows.iter().map(entry).collect())
}

const DISTRUSTED: &str = "its rows cannot be told from others: the entry in the ledger was restored \
                          from a dump or changed";

/// A ledger that has all columns.
const LEDGER: &str = "jitney_loads";

/// The ledger, with a row for each number that an entry's rows carry.
fn numbers(ledger: &str) -> String {
    format!(
        "{ledger} l, LATERAL (SELECT l.xmin AS xid UNION SELECT part::text::xid FROM unnest(l.parts) AS part) AS number"
    )
}

/// Whether the number in an entry of the ledger is still that of its rows.
fn trusted(ledger: &str) -> String {
    format!(
        "CASE WHEN l.xid IS NOT NULL THEN updates IS NOT NULL AND (l.xid & 4294967295)::text = l.xmin::text
                   AND txid_current() - l.xid < 4294967296
              ELSE l.xmin::text NOT IN (SELECT xmin::text FROM {ledger} other WHERE other.xid IS NULL
                                        GROUP BY xmin::text HAVING count(*) > 1) END"
    )
}

/// Why the rows of a table cannot be counted, if so.
async fn hidden(transaction: &Transaction<'_>, target: &str) -> Result<Option<String>, TaskError> {
    let table = quote(target);
    let sql = format!("SELECT relkind::text, row_security_active(oid) FROM pg_class WHERE oid = {table}::regclass");
    let row = transaction.query_one(&sql, &[]).await.map_err(|error| explain("looking at the table", &error))?;
    Ok(match (row.get(0), row.get(1)) {
        ("v", _) => Some("a view does not tell which load its rows came from".to_owned()),
        ("r" | "p", false) => None,
        ("r" | "p", true) => Some("a row-level security policy may hide rows from this user".to_owned()),
        _ => Some("a foreign table does not tell which load its rows came from".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(own: u64, same: u64, doubtful: u64) -> Rows {
        Rows { all: 9, own, same, doubtful, obstacle: None }
    }

    #[test]
    fn gone_is_said_only_where_no_row_can_be_of_the_load() {
        assert_eq!(rows(2, 0, 5).prior_rows(2), PriorRows::Whole);
        assert_eq!(rows(0, 0, 0).prior_rows(2), PriorRows::Gone);
        for unclear in [rows(1, 0, 0), rows(0, 1, 0), rows(0, 0, 1), rows(1, 0, 1)] {
            assert!(matches!(unclear.prior_rows(2), PriorRows::Unclear(_)), "{unclear:?}");
        }
        let hidden = Rows { obstacle: Some("a policy".to_owned()), ..Rows::default() };
        assert_eq!(hidden.prior_rows(2), PriorRows::Unclear("a policy".to_owned()));
    }
}
