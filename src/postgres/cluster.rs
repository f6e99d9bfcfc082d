//! The files and processes of the private server. Everything here blocks; [`super::managed`] calls it from the side.
//!
//! ```text
//! <home>/postgres/           or /var/lib/jitney/<hash> where root's home hides it from the server's user
//!   lock                     held while the cluster is made, started or stopped, by those too who make it
//!   data.new-<digits>/       where one is being made
//!   server.json              port and password; written before `data` appears
//!   data/                    the cluster; appears whole, by a rename
//!   run/                     the socket
//!   binaries/                fetched server programs, if there are any
//!   log                      what the server says
//! ```

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Settings;
use crate::process::{ExitCommand, ProcessGroup};
use crate::text::hex;

use super::address::PostgresAddress;
use super::binaries::Binaries;
use super::owner::{ServerOwner, reachable_folder};
use super::postmaster::RunningServer;

/// The role and the database that are there from the start.
pub(super) const NAME: &str = "jitney";

/// What the names of folders begin with in which a cluster is being made.
const DRAFT_PREFIX: &str = "data.new";

/// How long a server may take until it answers that another process began to start.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);

/// A socket's path must fit 107 bytes, its file name included.
const MAX_SOCKET_FOLDER_BYTES: usize = 90;

/// Where the private server lives and who runs it.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) folder: PathBuf,
    owner: ServerOwner,
    short_name: String,
}

/// What has to be known to reach the server.
#[derive(Clone, Serialize, Deserialize)]
struct ServerState {
    port: u16,
    password: String,
}

impl Cluster {
    /// The place of the private server below a home folder. Nothing is created yet.
    pub(super) fn of(settings: &Settings) -> io::Result<Self> {
        let owner = ServerOwner::find()?;
        let wanted = settings.managed_postgres();
        let digest = Sha256::digest(wanted.to_string_lossy().as_bytes());
        let short_name = hex(&digest[..5]);
        Ok(Self { folder: reachable_folder(wanted, &owner, &short_name), owner, short_name })
    }

    pub(super) fn binaries(&self) -> PathBuf {
        self.folder.join("binaries")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The version that made the cluster; none while there is no cluster.
    pub(super) fn major(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Waits until no other process makes, starts or stops this cluster. The lock ends with the file.
    pub(super) fn lock(&self) -> io::Result<File> {
        self.owner.make_shared_folder(&self.folder)?;
        let file =
            File::options().create(true).truncate(false).read(true).write(true).open(self.folder.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    fn server(&self) -> io::Result<ServerState> {
        Ok(serde_json::from_slice(&fs::read(self.folder.join("server.json"))?)?)
    }

    /// Writes the file whole or not at all, for nobody else to read.
    fn save_state(&self, server: &ServerState) -> io::Result<()> {
        let draft = self.folder.join("server.json.new");
        let _ = fs::remove_file(&draft);
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec(server)?)?;
        file.sync_all()?;
        fs::rename(draft, self.folder.join("server.json"))
    }

    fn socket_folder(&self) -> PathBuf {
        let own = self.folder.join("run");
        let is_plain = own.to_str().is_some_and(|path| !path.contains([',', '"', '\'', '\\']));
        if is_plain && own.as_os_str().len() <= MAX_SOCKET_FOLDER_BYTES {
            own
        } else {
            PathBuf::from(format!("/tmp/jitney-{}", self.short_name))
        }
    }

    /// The way in by the socket, as the role that owns everything.
    pub(super) fn address(&self) -> io::Result<PostgresAddress> {
        let server = self.server()?;
        let mut address = PostgresAddress::at_socket(&self.socket_folder(), self.port(&server));
        address.config.user(NAME).password(&server.password).dbname(NAME);
        Ok(address)
    }

    /// Whether something listens at the socket, which only our server can.
    pub(super) fn is_answering(&self) -> bool {
        let Ok(server) = self.server() else { return false };
        let port = self.port(&server);
        UnixStream::connect(self.socket_folder().join(format!(".s.PGSQL.{port}"))).is_ok()
    }

    /// Whether a server works on the data, even if it does not answer yet, or any more.
    pub(super) fn is_running(&self) -> bool {
        RunningServer::of(&self.data()).is_some()
    }

    /// The port of the server that runs; else the one that the next start tries first. They differ where the process
    /// was killed that wanted to start it on another one.
    fn port(&self, server: &ServerState) -> u16 {
        RunningServer::of(&self.data()).map_or(server.port, |running| running.port)
    }

    /// Makes the cluster if there is none. A crash at any moment leaves none, or a whole one. Should this process die, the
    /// programs die too, and the lock is held until they have.
    pub(super) fn create(&self, binaries: &Binaries, lock: &File) -> io::Result<()> {
        self.remove_drafts()?;
        if self.data().exists() {
            return Ok(());
        }
        let draft = self.folder.join(format!("{DRAFT_PREFIX}-{:08x}", rand::random::<u32>()));
        self.owner.make_shared_folder(&draft)?;
        let server = ServerState { port: free_port()?, password: generate_password() };
        self.save_state(&server)?;
        let lifeline = ProcessGroup::start(&ExitCommand { lock: Some(lock), ..ExitCommand::default() })?;
        self.initialize(binaries, &draft, &server, lock, &lifeline)?;
        self.create_database(binaries, &draft, &lifeline)?;
        fs::OpenOptions::new()
            .append(true)
            .open(draft.join("data/postgresql.conf"))?
            .write_all(b"\ninclude = 'jitney.conf'\n")?;
        fs::rename(draft.join("data"), self.data())?;
        fs::remove_dir_all(draft)
    }

    /// Removes what processes left that were killed in the middle; the lock says that none of them is at work.
    fn remove_drafts(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(DRAFT_PREFIX) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn initialize(
        &self,
        binaries: &Binaries,
        draft: &Path,
        server: &ServerState,
        lock: &File,
        lifeline: &ProcessGroup,
    ) -> io::Result<()> {
        let (data, password_file) = (draft.join("data"), draft.join("password"));
        File::options().create_new(true).write(true).mode(0o600).open(&password_file)?;
        self.owner.give_to_owner(&password_file)?;
        fs::write(&password_file, &server.password)?;
        self.owner.make_private_folder(&data)?;
        let mut initdb = self.owner.command(&binaries.program("initdb"), &self.folder);
        initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password_file);
        initdb.args(["--username", NAME, "--encoding", "UTF8", "--locale", "C", "--auth", "scram-sha-256"]);
        run(initdb.process_group(lifeline.group()).stdin(lock.try_clone()?))
    }

    fn create_database(&self, binaries: &Binaries, draft: &Path, lifeline: &ProcessGroup) -> io::Result<()> {
        let statement = draft.join("statement");
        fs::write(&statement, format!("CREATE DATABASE {NAME}\n"))?;
        let mut postgres = self.owner.command(&binaries.program("postgres"), &self.folder);
        postgres
            .args(["--single", "-c", "exit_on_error=on", "-D"])
            .arg(draft.join("data"))
            .arg("postgres")
            .process_group(lifeline.group())
            .stdin(File::open(&statement)?);
        run(&mut postgres)
    }

    /// Starts the server and waits until it answers; on another port when the known one is taken. False when one that
    /// another process had started answers now. Should this process die, the lock is held until the server answers.
    pub(super) fn start(&self, binaries: &Binaries, lock: &File) -> io::Result<bool> {
        self.owner.make_private_folder(&self.socket_folder())?;
        if self.adopt(binaries)? {
            return Ok(false);
        }
        self.release_stale_locks()?;
        let mut server = self.server()?;
        if TcpListener::bind(("127.0.0.1", server.port)).is_err() {
            server.port = free_port()?;
            self.save_state(&server)?;
        }
        let settings = self.data().join("jitney.conf");
        fs::write(&settings, self.configuration(server.port))?;
        self.owner.give_to_owner(&settings)?;
        let log = File::options().create(true).append(true).mode(0o600).open(self.log())?;
        log.set_permissions(Permissions::from_mode(0o600))?;
        self.owner.give_to_owner(&self.log())?;
        // Sessions of a server that was killed end by themselves, within moments.
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            match self.start_once(binaries, lock) {
                Err(error) if error.to_string().contains("still in use") && Instant::now() < patience => {
                    thread::sleep(Duration::from_millis(200));
                }
                // A `pg_ctl` whose jitney was killed has been a moment faster.
                Err(error) if error.to_string().contains("already exists") && Instant::now() < patience => {
                    if self.adopt(binaries)? {
                        return Ok(false);
                    }
                    thread::sleep(Duration::from_millis(200));
                }
                result => return result.map(|()| true),
            }
        }
    }

    /// Waits for a server that works on the data already, left by a process that was killed while it started it. One
    /// that does not come to answer is stopped.
    fn adopt(&self, binaries: &Binaries) -> io::Result<bool> {
        let until = Instant::now() + STARTUP_TIMEOUT;
        while self.is_running() {
            if self.is_answering() {
                return Ok(true);
            }
            if Instant::now() > until {
                self.stop(binaries)?;
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(false)
    }

    fn start_once(&self, binaries: &Binaries, lock: &File) -> io::Result<()> {
        let mut start = self.control(binaries, "start");
        // Its own process group: a Ctrl-C in the terminal must not stop the server.
        start.process_group(0).stdin(lock.try_clone()?).args(["-w", "-t", "60", "-l"]).arg(self.log());
        run(&mut start).map_err(|error| io::Error::other(format!("{error}\n{}", self.last_log_lines())))
    }

    /// Stops the server; open sessions are ended and rolled back.
    pub(super) fn stop(&self, binaries: &Binaries) -> io::Result<()> {
        run(self.control(binaries, "stop").args(["-m", "fast", "-w", "-t", "60"]))
    }

    /// Removes the cluster and all that belongs to it. The server must not run.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.socket_folder())?;
        remove(&self.folder)
    }

    fn control(&self, binaries: &Binaries, verb: &str) -> Command {
        let mut command = self.owner.command(&binaries.program("pg_ctl"), &self.folder);
        command.arg(verb).arg("-D").arg(self.data());
        command
    }

    /// No replicas, so the least WAL; checkpoints far apart, so that a load does not wait for them; every commit on disk.
    /// Statements that fail stay out of the log, and so do the errors of sessions, which name values of rows: anyone who asked
    /// is shown them. What the server says of itself, of a start that fails too, is of level LOG or worse.
    fn configuration(&self, port: u16) -> String {
        format!(
            "# Written by jitney at each start. Your own settings go into postgresql.conf, after the include line.\n\
             listen_addresses = '127.0.0.1'\n\
             port = {port}\n\
             unix_socket_directories = '{}'\n\
             unix_socket_permissions = 0700\n\
             password_encryption = 'scram-sha-256'\n\
             timezone = 'UTC'\n\
             log_timezone = 'UTC'\n\
             wal_level = minimal\n\
             max_wal_senders = 0\n\
             max_wal_size = 4GB\n\
             checkpoint_timeout = 15min\n\
             log_min_messages = log\n\
             log_min_error_statement = panic\n\
             log_error_verbosity = terse\n\
             jit = off\n",
            self.socket_folder().display()
        )
    }

    /// After a crash the lock files may name a process that is another program by now, or a dead one that nobody has
    /// collected; Postgres would take either for a running server. The file in `data` stays, with a number that no
    /// process has: by its other lines the server makes sure that no session of the old one still writes.
    fn release_stale_locks(&self) -> io::Result<()> {
        let file = self.data().join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
        let (number, rest) = text.split_once('\n').unwrap_or((&text, ""));
        if !Path::new("/proc").join(number.trim()).exists() {
            return Ok(());
        }
        for entry in fs::read_dir(self.socket_folder())? {
            remove(&entry?.path())?;
        }
        fs::write(file, format!("{}\n{rest}", i32::MAX))
    }

    fn last_log_lines(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| io::Error::new(error.kind(), format!("cannot run {program}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let output_text = [output.stdout, output.stderr].concat();
    Err(io::Error::other(format!("{program} failed: {}", String::from_utf8_lossy(&output_text).trim())))
}

fn remove(path: &Path) -> io::Result<()> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn generate_password() -> String {
    let letters: [u8; 16] = rand::random();
    hex(&letters)
}
