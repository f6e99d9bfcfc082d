//! How the server compares texts: the collations of the database and of a table's columns.

use serde_json::Value;
use tokio_postgres::types::Type;

use super::kind::Kind;
use super::table::TableColumn;
use crate::tasks::polars::comparison_rule::{Comparability, ComparisonRule};

/// How a database compares texts.
#[derive(Clone, Debug)]
pub(super) struct DatabaseCollation {
    /// Those that have no other collation.
    pub(super) default: ComparisonRule,
    /// Whether the bytes that it has are in the order of those that a step has.
    is_in_order: bool,
}

impl DatabaseCollation {
    /// Reads the row of `pg_database`, as JSON since the names of its columns differ between versions.
    pub(super) fn read(database: &str, encoding: &str) -> Self {
        let database = serde_json::from_str(database).unwrap_or_default();
        let provider = text(&database, "datlocprovider").unwrap_or("c");
        let names = ["datlocale", "daticulocale", "datcollate"];
        let locale = match provider {
            "c" => text(&database, "datcollate"),
            _ => names.iter().find_map(|name| text(&database, name)),
        };
        let locale = locale.unwrap_or_default();
        let is_in_order = ["UTF8", "SQL_ASCII", "LATIN1"].contains(&encoding);
        let default = ComparisonRule {
            comparability: if is_in_order && is_by_bytes(provider, locale) {
                Comparability::Order
            } else {
                Comparability::Equality
            },
            by: match is_in_order {
                true => format!("the database's collation `{locale}`"),
                false => format!("the database's encoding {encoding}"),
            },
        };
        Self { default, is_in_order }
    }

    /// How the server compares the values of a column.
    pub(super) fn of_column(&self, column: &TableColumn) -> ComparisonRule {
        let by_type = |comparability| ComparisonRule { comparability, by: format!("the type `{}`", column.sql_type) };
        match column.kind {
            Kind::Text if column.is_enum => return by_type(Comparability::Equality),
            Kind::Text if column.oid != Type::BPCHAR.oid() => {}
            Kind::Text | Kind::Json | Kind::Jsonb | Kind::Uuid | Kind::Other => {
                return by_type(Comparability::OtherType);
            }
            _ => return ComparisonRule::by_bytes(),
        }
        let collation: Value =
            column.collation.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let provider = text(&collation, "collprovider").unwrap_or("d");
        if provider == "d" {
            return self.default.clone();
        }
        let locale = ["collcollate", "colliculocale", "colllocale"].iter().find_map(|name| text(&collation, name));
        let is_deterministic = collation.get("collisdeterministic").and_then(Value::as_bool).unwrap_or(true);
        ComparisonRule {
            comparability: match () {
                () if !is_deterministic => Comparability::Nothing,
                () if self.is_in_order && is_by_bytes(provider, locale.unwrap_or_default()) => Comparability::Order,
                () => Comparability::Equality,
            },
            by: format!("the collation `{}`", text(&collation, "collname").unwrap_or_default()),
        }
    }
}

/// Whether a collation orders texts by their bytes, which are in the order of their code points.
fn is_by_bytes(provider: &str, locale: &str) -> bool {
    match provider {
        "b" => true,
        "c" => ["C", "POSIX", "C.UTF-8", "C.UTF8", "C.utf8"].contains(&locale),
        _ => false,
    }
}

fn text<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}
