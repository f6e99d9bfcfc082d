//! What the types of a table's columns are made of, where JSON has to be written as their values.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::types::{Oid, Type};
use tokio_postgres::{GenericClient, Row};

use super::table::TargetTable;
use crate::postgres::explain;
use crate::stream::TypeShape;
use crate::task::TaskError;

/// How deep types may nest. JSON of what nests deeper is left to the server, which refuses it.
const MAX_DEPTH: usize = 32;

/// Types, and those that they are made of: domains, arrays, composite types.
const TYPES: &str = "
    WITH RECURSIVE part AS (
        SELECT unnest($1::oid[]) AS oid
        UNION
        SELECT below.oid FROM part JOIN pg_type t ON t.oid = part.oid CROSS JOIN LATERAL (
            SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
            UNION ALL SELECT t.typelem WHERE t.typtype <> 'd' AND t.typcategory = 'A'
            UNION ALL SELECT atttypid FROM pg_attribute
                      WHERE t.typtype = 'c' AND attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped) below)
    SELECT t.oid, t.typbasetype, CASE WHEN t.typtype <> 'd' AND t.typcategory = 'A' THEN t.typelem ELSE 0 END,
           t.typtype = 'c', array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attnum > 0),
           array_agg(a.atttypid ORDER BY a.attnum) FILTER (WHERE a.attnum > 0)
    FROM part JOIN pg_type t ON t.oid = part.oid LEFT JOIN pg_attribute a
        ON t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY t.oid, t.typbasetype, t.typtype, t.typcategory, t.typelem";

/// The shapes of the types of a table's columns, and of the types that these are made of.
#[derive(Debug, Default)]
pub(super) struct Shapes(HashMap<Oid, Arc<TypeShape>>);

/// A type as the catalog has it.
struct CatalogType {
    /// What a domain is made of.
    base: Oid,
    /// What an array is made of.
    item: Oid,
    attributes: Option<Vec<(String, Oid)>>,
}

impl Shapes {
    /// Asks the server, if a column's type is made of others.
    ///
    /// # Errors
    /// When it refuses.
    pub(super) async fn of_table(client: &impl GenericClient, table: &TargetTable) -> Result<Self, TaskError> {
        let mut shapes = Self::default();
        let nested: Vec<Oid> = table.columns.iter().filter_map(|column| column.nested).collect();
        if nested.is_empty() {
            return Ok(shapes);
        }
        let rows = client.query(TYPES, &[&nested]).await;
        let rows = rows.map_err(|error| explain("reading the types of the table's columns", &error))?;
        let mut types = rows.iter().map(catalog_type).collect();
        for oid in nested {
            shapes.add(oid, &mut types, 0);
        }
        Ok(shapes)
    }

    /// The shape of a type.
    pub(super) fn of(&self, oid: Oid) -> Option<Arc<TypeShape>> {
        self.0.get(&oid).cloned()
    }

    fn add(&mut self, oid: Oid, types: &mut HashMap<Oid, CatalogType>, depth: usize) -> Arc<TypeShape> {
        if let Some(known) = self.of(oid) {
            return known;
        }
        let below = depth + 1;
        let shape = match types.remove(&oid).filter(|_| depth < MAX_DEPTH) {
            _ if oid == Type::JSON.oid() || oid == Type::JSONB.oid() => Arc::new(TypeShape::Json),
            _ if oid == Type::FLOAT8.oid() => Arc::new(TypeShape::Double),
            Some(CatalogType { base: base @ 1.., .. }) => self.add(base, types, below),
            Some(CatalogType { item: item @ 1.., .. }) => Arc::new(TypeShape::Array(self.add(item, types, below))),
            Some(CatalogType { attributes: Some(attributes), .. }) => {
                let attributes = attributes.into_iter().map(|(name, kind)| (name, self.add(kind, types, below)));
                Arc::new(TypeShape::Composite(attributes.collect()))
            }
            _ => Arc::new(TypeShape::Scalar),
        };
        self.0.insert(oid, shape.clone());
        shape
    }
}

fn catalog_type(row: &Row) -> (Oid, CatalogType) {
    let names: Vec<String> = row.get::<_, Option<_>>(4).unwrap_or_default();
    let types: Vec<Oid> = row.get::<_, Option<_>>(5).unwrap_or_default();
    let attributes = row.get::<_, bool>(3).then(|| names.into_iter().zip(types).collect());
    (row.get(0), CatalogType { base: row.get(1), item: row.get(2), attributes })
}
