//! The private server, and what is said when there is no way into one.
#![expect(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use crate::common::postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use jitney::postgres::{AddressOrigin, FlowAddress, PostgresAddress, connect, connect_to, managed};
use jitney::task::{ErrorClass, TaskError};

/// A home of its own, whose server is stopped and deleted at the end.
async fn with_own_server(test: impl AsyncFn(&jitney::config::Settings)) {
    let home = tempfile::tempdir().unwrap();
    let settings = postgres::settings(home.path(), None);
    test(&settings).await;
    managed::destroy(&settings).await.unwrap();
    assert!(!managed::status(&settings).unwrap().folder.exists());
}

#[tokio::test]
async fn the_private_server_is_made_once_and_keeps_its_data_over_a_restart() {
    with_own_server(async |settings| {
        assert!(managed::status(settings).unwrap().address.is_none());
        let session = connect(settings, None).await.unwrap();
        assert!(session.description.contains("managed by jitney"), "{}", session.description);
        session.client.batch_execute("CREATE TABLE kept AS SELECT 1 AS a").await.unwrap();
        let before = managed::url(&managed::status(settings).unwrap().address.unwrap());
        drop(session);
        assert!(managed::stop(settings).await.unwrap());
        assert!(!managed::stop(settings).await.unwrap(), "a stopped server was stopped again");
        let session = connect(settings, Some(&FlowAddress::default())).await.unwrap();
        assert_eq!(session.client.query_one("SELECT a FROM kept", &[]).await.unwrap().get::<_, i32>(0), 1);
        assert_eq!(managed::url(&managed::status(settings).unwrap().address.unwrap()), before);
        let by_loopback = postgres::client(&before).await;
        assert_eq!(by_loopback.query_one("SHOW fsync", &[]).await.unwrap().get::<_, String>(0), "on");
        by_loopback.batch_execute("SELECT CAST('hunter22' AS date)").await.unwrap_err();
        by_loopback.batch_execute("SELECT 'hunter22' FROM nowhere").await.unwrap_err();
        let log = managed::status(settings).unwrap().log;
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&log).unwrap()) & 0o777, 0o600);
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("nowhere") && !log.contains("hunter22") && !log.contains("STATEMENT"), "{log}");
        assert!(log.contains("ready to accept connections"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn two_processes_at_once_start_one_server() {
    with_own_server(async |settings| {
        let (one, two) =
            tokio::join!(managed::ensure_running(settings, &|_| {}), managed::ensure_running(settings, &|_| {}));
        assert_eq!(managed::url(&one.unwrap()), managed::url(&two.unwrap()));
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_and_a_crash_do_not_keep_the_server_from_starting() {
    with_own_server(async |settings| {
        let address = managed::ensure_running(settings, &|_| {}).await.unwrap();
        let folder = managed::status(settings).unwrap().folder;
        managed::stop(settings).await.unwrap();
        let _taken = std::net::TcpListener::bind(("127.0.0.1", address.port())).unwrap();
        // What a power cut leaves: the pid of a process that is another program by now.
        std::fs::write(folder.join("data/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
        let moved = managed::ensure_running(settings, &|_| {}).await.unwrap();
        assert_ne!(moved.port(), address.port());
        connect_to(&moved).await.unwrap();
    })
    .await;
}

/// A server that says to the first two clients that it is starting, then one that works.
async fn starting_before(port: u16) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            if number < 2 {
                let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
                let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
                let answer = [b"E".as_slice(), &length, fields].concat();
                client.read_buf(&mut Vec::new()).await.unwrap();
                client.write_all(&answer).await.unwrap();
                continue;
            }
            let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    own
}

#[tokio::test]
async fn a_server_that_is_still_starting_is_waited_for() {
    let url = postgres::database("starting").await;
    let port = PostgresAddress::parse(&url, AddressOrigin::Flag).unwrap().port();
    let through = url.replace(&format!(":{port}/"), &format!(":{}/", starting_before(port).await));
    let client = postgres::client(&format!("{through}?sslmode=disable")).await;
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test]
async fn a_half_made_cluster_is_made_anew() {
    with_own_server(async |settings| {
        let folder = managed::status(settings).unwrap().folder;
        std::fs::create_dir_all(folder.join("data.new/base")).unwrap();
        std::fs::write(folder.join("server.json"), "{\"port\": 1, \"password\": \"old\"}").unwrap();
        connect(settings, None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn killed_while_it_is_made_the_server_is_made_by_the_next_start() {
    with_own_server(async |settings| {
        for moment in [50, 150, 250, 350, 500] {
            let mut maker = std::process::Command::new(env!("CARGO_BIN_EXE_jitney"));
            maker.args(["postgres", "start", "--home"]).arg(&settings.home).stderr(std::process::Stdio::null());
            let mut maker = maker.stdout(std::process::Stdio::null()).spawn().unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(moment)).await;
            maker.kill().unwrap();
            maker.wait().unwrap();
            // The lock is free when all that the other one started is gone.
            connect(settings, None).await.unwrap();
            let folder = managed::status(settings).unwrap().folder;
            let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with("data.new")));
            managed::destroy(settings).await.unwrap();
        }
        connect(settings, None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_server_on_another_port_than_the_one_kept_is_found_and_stopped() {
    with_own_server(async |settings| {
        managed::ensure_running(settings, &|_| {}).await.unwrap();
        let folder = managed::status(settings).unwrap().folder;
        // What a process leaves that was killed between choosing a port and starting the server.
        let kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("server.json")).unwrap()).unwrap();
        let moved = serde_json::json!({"port": 1, "password": kept["password"]});
        std::fs::write(folder.join("server.json"), moved.to_string()).unwrap();
        assert!(managed::status(settings).unwrap().running);
        connect(settings, None).await.unwrap();
        assert!(managed::stop(settings).await.unwrap());
        assert!(!folder.join("data/postmaster.pid").exists(), "it was left running");
    })
    .await;
}

#[tokio::test]
async fn killed_while_the_server_starts_it_is_found_by_the_next_command() {
    with_own_server(async |settings| {
        let folder = managed::status(settings).unwrap().folder;
        for moment in [0, 2, 5, 10, 15, 20, 30, 50] {
            let mut maker = std::process::Command::new(env!("CARGO_BIN_EXE_jitney"));
            maker.args(["postgres", "start", "--home"]).arg(&settings.home).stderr(std::process::Stdio::null());
            let mut maker = maker.stdout(std::process::Stdio::null()).spawn().unwrap();
            while !folder.join("data").exists() && maker.try_wait().unwrap().is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(moment)).await;
            maker.kill().unwrap();
            maker.wait().unwrap();
            connect(settings, None).await.unwrap();
            assert!(managed::stop(settings).await.unwrap(), "not found after {moment} ms");
            assert!(!folder.join("data/postmaster.pid").exists(), "left running after {moment} ms");
            managed::destroy(settings).await.unwrap();
        }
        connect(settings, None).await.unwrap();
    })
    .await;
}

async fn refusal(url: &str) -> TaskError {
    match connect_to(&PostgresAddress::parse(url, AddressOrigin::Flag).unwrap()).await {
        Ok(session) => panic!("connected to {}", session.description),
        Err(error) => error,
    }
}

#[tokio::test]
async fn each_way_of_being_refused_says_what_to_do() {
    let url = postgres::database("server_refusals").await;
    let (_, place) = url.split_once('@').unwrap();
    let wrong = refusal(&format!("postgres://jitney:geheim@{place}")).await;
    assert!(wrong.message.contains("does not accept the password of `jitney`"), "{wrong}");
    assert!(wrong.message.contains("from --postgres") && !wrong.to_string().contains("geheim"), "{wrong}");
    assert_eq!(wrong.class, ErrorClass::Permanent);
    let none = refusal(&format!("postgres://jitney@{place}")).await;
    assert!(none.message.contains("asks for the password of `jitney`"), "{none}");
    let database = refusal(&url.replace("server_refusals", "not_there")).await;
    assert!(database.message.contains("has no database `not_there`"), "{database}");
    assert!(database.help.unwrap().contains("createdb"));
    let encrypted = refusal(&format!("{url}?sslmode=require")).await;
    assert!(encrypted.message.contains("does not offer TLS"), "{encrypted}");
}

#[tokio::test]
async fn a_server_that_is_down_is_worth_another_try_and_is_named() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let error = refusal(&format!("postgres://a:b@127.0.0.1:{port}/c")).await;
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains(&format!("no Postgres server answers at 127.0.0.1:{port}")), "{error}");
    assert!(error.help.unwrap().contains("jitney doctor"));
}

#[tokio::test]
async fn a_missing_right_names_the_object_and_the_remedy() {
    let url = postgres::database("server_rights").await;
    let client = postgres::client(&url).await;
    let role = "DROP ROLE IF EXISTS server_rights_reader; CREATE ROLE server_rights_reader LOGIN PASSWORD 'reading'";
    client.batch_execute(role).await.unwrap();
    client.batch_execute("CREATE TABLE guarded (a int)").await.unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let reader = postgres::client(&format!("postgres://server_rights_reader:reading@{place}")).await;
    let error = reader.batch_execute("SELECT * FROM guarded").await.unwrap_err();
    let explained = jitney::postgres::explain("loading into `guarded`", &error);
    assert!(explained.message.contains("loading into `guarded`: permission denied for table guarded"), "{explained}");
    assert!(explained.help.unwrap().contains("GRANT"));
}
