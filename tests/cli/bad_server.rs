//! A Postgres that is unreachable, refuses, or is full: reported in plain words, and nothing is committed.

use crate::cli::world::{World, held};

#[test]
fn a_server_that_is_down_is_named() {
    let mut world = World::new();
    world.month(100);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    world.postgres = Some(format!("postgres://root:geheim77@127.0.0.1:{port}/ny_taxi"));
    let result = world.load().ended(1).without_data();
    let problem = format!("no Postgres server answers at 127.0.0.1:{port} (from --postgres): ");
    result.says(&problem).says("Connection refused").says("help: start the server or correct the address");
    assert!(!world.journal_text().contains("geheim77"));
}

/// The database's address with another login.
fn as_user(address: &str, login: &str) -> String {
    let (_, place) = address.rsplit_once('@').unwrap();
    format!("postgres://{login}@{place}")
}

/// A place whose user `role` may log in to its database, and no more.
async fn with_role(database: &str, role: &str) -> (World, tokio_postgres::Client) {
    let mut world = World::with_database(database).await;
    world.month(100);
    let owner = world.client().await;
    let sql = format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'geheim77'");
    owner.batch_execute(&sql).await.unwrap();
    world.postgres = Some(as_user(&world.postgres.unwrap(), &format!("{role}:geheim77")));
    (world, owner)
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_never_shown() {
    let (mut world, owner) = with_role("cli_password", "cli_someone").await;
    world.postgres = Some(as_user(&world.postgres.unwrap(), "cli_someone:falsch99"));
    let result = world.load().ended(1).without_data();
    let result = result.says("(from --postgres) does not accept the password of `cli_someone`");
    let result =
        result.says("help: correct the password in the address, the task's `password`, PGPASSWORD or ~/.pgpass");
    assert!(!result.err.contains("falsch99") && !world.journal_text().contains("falsch99"), "{result}");
    assert_eq!(held(&owner).await, (0, 0));
}

#[tokio::test]
async fn a_missing_database_is_reported_with_the_command_that_creates_it() {
    let mut world = World::with_database("cli_no_database").await;
    world.month(100);
    world.postgres = world.postgres.map(|address| address.replace("/cli_no_database", "/cli_nowhere"));
    let result = world.load().ended(1).without_data();
    result.says("(from --postgres) has no database `cli_nowhere`").says("help: create it: createdb -h ");
}

#[tokio::test]
async fn a_schema_without_create_permission_is_named() {
    let (world, owner) = with_role("cli_schema", "cli_guest").await;
    owner.batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await.unwrap();
    let result = world.load().ended(1).without_data();
    let result = result.says("may not create the ledger `jitney_loads` in the schema `public`");
    result.says("help: grant it with `GRANT CREATE ON SCHEMA \"public\" TO \"cli_guest\"`");
    assert_eq!(held(&owner).await, (0, 0));
}

#[tokio::test]
async fn a_table_without_write_permission_is_named() {
    let (world, owner) = with_role("cli_table", "cli_reader").await;
    let ddl = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/postgres/green_tripdata.sql");
    owner.batch_execute(&std::fs::read_to_string(ddl).unwrap()).await.unwrap();
    owner.batch_execute("GRANT CREATE ON SCHEMA public TO cli_reader").await.unwrap();
    let result = world.load().ended(1).without_data().says("permission denied for table green_tripdata (42501)");
    result.says("help: let the object's owner GRANT the right to this user, or use another user");
    assert_eq!(held(&owner).await, (0, 0));
}

#[tokio::test]
async fn a_full_disk_of_the_server_rolls_everything_back() {
    let world = World::with_database("cli_full").await;
    let facts = world.month(3000);
    let client = world.client().await;
    let ddl = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/postgres/green_tripdata.sql");
    client.batch_execute(&std::fs::read_to_string(ddl).unwrap()).await.unwrap();
    // What the server says when a file of the table cannot grow.
    let full = "CREATE SEQUENCE seen;
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('seen') = 2000 THEN
                RAISE 'could not extend file \"base/5/16384\": No space left on device'
                    USING ERRCODE = '53100', HINT = 'Check free disk space.';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON green_tripdata FOR EACH ROW EXECUTE FUNCTION full_disk()";
    client.batch_execute(full).await.unwrap();
    let result = world.load().ended(1).without_data();
    let result = result.says("the server's disk is full, and it rolled the work back: could not extend file");
    result.says("help: free space on the server's disk, then run it again");
    assert_eq!(held(&client).await, (0, 0));
    world.jitney(&["resume"]).ended(0);
    assert_eq!(held(&client).await, crate::cli::world::expected(&facts));
}
