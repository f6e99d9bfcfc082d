//! Names of the server's own that the session's `search_path` hides. They are looked for in `pg_catalog` first, unless the
//! path names it after other schemas.

use tokio_postgres::GenericClient;

use crate::postgres::explain;
use crate::task::TaskError;

/// An object of a schema before `pg_catalog` that goes by the name of one in it. All names are qualified here.
const HIDDEN: &str = "
    WITH path AS (
        SELECT n.oid, p.place FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS p (name, place)
        JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) p.name),
    own AS (SELECT oid, place FROM path WHERE oid OPERATOR(pg_catalog.=) 11::pg_catalog.oid),
    before AS (
        SELECT path.oid FROM path JOIN own ON path.place OPERATOR(pg_catalog.<) own.place),
    named AS (
        SELECT 1 AS kind, relnamespace AS schema, relname AS name, ''::pg_catalog.text AS arguments FROM pg_catalog.pg_class
        UNION ALL SELECT 2, typnamespace, typname, '' FROM pg_catalog.pg_type
        UNION ALL SELECT 3, pronamespace, proname, proargtypes::pg_catalog.text FROM pg_catalog.pg_proc
        UNION ALL SELECT 4, oprnamespace, oprname, pg_catalog.concat_ws(' ', oprleft, oprright) FROM pg_catalog.pg_operator)
    SELECT pg_catalog.concat(hiding.schema::pg_catalog.regnamespace, '.', hiding.name)
    FROM named hiding JOIN before ON before.oid OPERATOR(pg_catalog.=) hiding.schema
    JOIN named hidden ON hidden.schema OPERATOR(pg_catalog.=) 11::pg_catalog.oid
        AND hidden.kind OPERATOR(pg_catalog.=) hiding.kind AND hidden.name OPERATOR(pg_catalog.=) hiding.name
        AND hidden.arguments OPERATOR(pg_catalog.=) hiding.arguments
    ORDER BY hiding.kind, hiding.name DESC LIMIT 1";

/// Makes sure that the server's own names mean what they say.
///
/// # Errors
/// When one of them is hidden, or the server refuses.
pub(super) async fn check(client: &impl GenericClient) -> Result<(), TaskError> {
    let failed = |error: tokio_postgres::Error| explain("looking at the search_path", &error);
    let path =
        "SELECT pg_catalog.current_schemas(true)::pg_catalog.text[], pg_catalog.current_schema()::pg_catalog.text";
    let row = client.query_one(path, &[]).await.map_err(failed)?;
    let (path, first): (Vec<String>, Option<String>) = (row.get(0), row.get(1));
    if first.is_some_and(|schema| schema.starts_with("pg_temp")) {
        return Err(TaskError::permanent(
            "the `search_path` of the session begins with pg_temp: tables that are created, the ledger among them, would be gone \
             with the session",
        )
        .help("name another schema first; `ALTER ROLE … SET search_path` and the address's options set it"));
    }
    let first = path.iter().find(|schema| !schema.starts_with("pg_temp"));
    if first.is_none_or(|schema| schema == "pg_catalog") {
        return Ok(());
    }
    let Some(row) = client.query_opt(HIDDEN, &[]).await.map_err(failed)? else { return Ok(()) };
    let name: String = row.try_get(0).map_err(failed)?;
    Err(TaskError::permanent(format!(
        "`{name}` hides the server's own object of that name, since the `search_path` of the session (`{}`) names \
         pg_catalog after other schemas",
        path.join(", ")
    ))
    .help("leave pg_catalog out of the search_path, or name it first; `ALTER ROLE … SET search_path` and the address's options set it"))
}
