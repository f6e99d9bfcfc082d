//! Opening databases: to write, and only to read where nothing can be written.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// How long to wait for other processes.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens or makes a database, readable by its owner alone.
pub(super) fn open_file<E: From<rusqlite::Error> + From<std::io::Error>>(
    file: &Path,
    make_tables: impl FnOnce(&mut Connection) -> Result<(), E>,
) -> Result<Connection, E> {
    if let Some(folder) = file.parent() {
        crate::home::make_private(folder)?;
    }
    // SQLite does not wait when two processes turn a new file to WAL at once: they take turns here.
    let turn = File::create(file.with_extension("lock"))?;
    turn.lock()?;
    let mut connection = Connection::open(file)?;
    restrict(file)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    make_tables(&mut connection)?;
    Ok(connection)
}

/// Opens a database that is there and writes nothing, not even a file next to it: on a full disk, or a folder that cannot be
/// written.
pub(super) fn open_to_read(file: &Path) -> rusqlite::Result<Connection> {
    shared(file).or_else(|_| alone(file)).or_else(|error| if has_wal(file) { Err(error) } else { immutable(file) })
}

/// An empty database for one who only reads where there is none and none can be made, in a folder that is there.
pub(super) fn empty<E: From<rusqlite::Error>>(
    file: &Path,
    make_tables: impl FnOnce(&mut Connection) -> Result<(), E>,
) -> Option<Result<Connection, E>> {
    let may_be = !file.exists() && file.parent().is_some_and(Path::is_dir);
    may_be.then(|| {
        let mut connection = Connection::open_in_memory()?;
        make_tables(&mut connection)?;
        Ok(connection)
    })
}

/// While other processes have it open, whose memory says what is in the WAL.
fn shared(file: &Path) -> rusqlite::Result<Connection> {
    usable(Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// Where nobody has it open: SQLite keeps in its own memory what it would share with others, and locks nothing.
fn alone(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags_and_vfs(file, OpenFlags::SQLITE_OPEN_READ_ONLY, c"unix-none")?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    usable(connection)
}

/// Where there is no WAL and none can be made, as in a file system that is mounted to be read: all is in the file itself.
fn immutable(file: &Path) -> rusqlite::Result<Connection> {
    let escaped = |byte: &u8| match byte {
        b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    let path: String = file.as_os_str().as_encoded_bytes().iter().map(escaped).collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    usable(Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)?)
}

fn has_wal(file: &Path) -> bool {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).is_ok_and(|wal| wal.len() > 0)
}

fn usable(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

#[cfg(unix)]
fn restrict(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file)?.permissions().mode() & 0o777;
    // Where it is so already, nothing is written.
    if mode == 0o600 { Ok(()) } else { std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)) }
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}
