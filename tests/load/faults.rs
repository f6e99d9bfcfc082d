//! A server that is away, silent or busy, and lines that break: what a load makes of each, against a real server.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jitney::postgres::managed;
use jitney::task::{ErrorClass, TaskContext};

use crate::load::line::{Fault, Line, server_of};
use crate::load::postgres::Lines;
use crate::load::{Place, assert_says, counts, many_rows, postgres, run};

/// A context for this address whose tasks retry and stall for so many seconds.
fn context(place: &Place, url: &str, retry: u64, stall: u64) -> (TaskContext, Lines) {
    let (mut context, lines) = postgres::context(place.path(), url);
    let mut settings = (*context.settings).clone();
    settings.retry_timeout = Duration::from_secs(retry);
    settings.stall_timeout = Duration::from_secs(stall);
    context.settings = Arc::new(settings);
    (context, lines)
}

fn said(lines: &Lines) -> String {
    lines.lock().unwrap().iter().map(|(_, line)| format!("{line}\n")).collect()
}

async fn until_said(lines: &Lines, part: &str) {
    for _ in 0..3000 {
        if said(lines).contains(part) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("`{part}` is not in: {}", said(lines));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_says_nothing_is_given_up_in_the_time_of_the_address() {
    let place = Place::new("silent").await;
    place.file("a.csv", "id\n1\n");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for tls in ["disable", "require"] {
        let url = format!("postgres://u@{address}/d?connect_timeout=2&sslmode={tls}");
        let error = run("{from: a.csv, table: t}", context(&place, &url, 0, 300).0).await.unwrap_err();
        assert_says(
            &error.to_string(),
            &[&format!("no Postgres server answers at {address}"), "nothing came within 2 s"],
        );
        assert_eq!(error.class, ErrorClass::Transient);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_stalls_in_the_middle_is_given_up_and_the_load_repeated() {
    let place = Place::with("stalls", "CREATE TABLE t (id int, note text)").await;
    place.file("a.csv", many_rows(100_000));
    let line = Line::to(server_of(&place.url), |number| match number {
        0 => Fault::StallAfter(1_000_000),
        _ => Fault::None,
    });
    let (context, lines) = context(&place, &line.url(&place.url), 60, 2);
    let outputs = run("{from: a.csv, table: t}", context).await.unwrap();
    assert_eq!(counts(&outputs), [100_000, 100_000, 0, 0]);
    assert_eq!(place.rows("SELECT count(*), count(DISTINCT id) FROM t").await, "100000 100000");
    let said = said(&lines);
    assert_says(&said, &["loading into `t`: the connection to Postgres broke: nothing got through for", "retrying"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_track_activities_is_waited_for_while_it_works() {
    let place = Place::with(
        "untracked",
        "ALTER DATABASE load_untracked SET track_activities = off;
         CREATE TABLE t (id int, note text); CREATE TABLE slow (id int);
         CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(4); RETURN new; END';
         CREATE TRIGGER before BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait();
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION wait()",
    )
    .await;
    place.file("slow.csv", "id\n1\n");
    run("{from: slow.csv, table: slow}", context(&place, &place.url, 0, 1).0).await.unwrap();
    assert_eq!(place.rows("SELECT * FROM slow").await, "1");
    // A line that lets nothing through is still found out.
    place.file("a.csv", many_rows(100_000));
    let line = Line::to(server_of(&place.url), |_| Fault::StallAfter(1_000_000));
    let error = run("{from: a.csv, table: t}", context(&place, &line.url(&place.url), 0, 2).0).await.unwrap_err();
    assert_says(&error.to_string(), &["nothing got through for"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_a_lock_that_a_load_waits_for_is_said() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)";
    let place = Place::with("locks", sql).await;
    place.file("a.csv", "id\n1\n2\n3\n");
    let holders = [
        ("a table", "LOCK TABLE t"),
        ("a row", "INSERT INTO t VALUES (3)"),
        ("the ledger's lock", "SELECT pg_advisory_xact_lock(hashtextextended('jitney: ledger', 0))"),
        ("a load's lock", "SELECT pg_advisory_xact_lock(hashtextextended('jitney: load public.t a.csv', 0))"),
    ];
    for (what, sql) in holders {
        place.run("DROP TABLE IF EXISTS jitney_loads; TRUNCATE t").await;
        let other = postgres::client(&place.url).await;
        other.batch_execute(&format!("SET application_name TO 'psql of Ada'; BEGIN; {sql}")).await.unwrap();
        let process: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let (context, lines) = context(&place, &place.url, 60, 300);
        let progress = context.progress.clone();
        let load = tokio::spawn(run("{from: a.csv, table: t}", context));
        let holder = format!("waiting for a lock held by process {process} (user jitney, application psql of Ada, ");
        until_said(&lines, &holder).await;
        assert!(progress.waiting().is_some_and(|waiting| waiting.starts_with(&holder)), "{what}");
        other.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(counts(&load.await.unwrap().unwrap()), [3, 3, 0, 0], "{what}");
        assert_eq!(progress.waiting(), None, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_says_during_a_copy_ends_the_sending_with_its_reason() {
    let place = Place::with("heard", "CREATE TABLE t (id int, note text)").await;
    let rows = 600_000;
    place.file("a.csv", many_rows(rows));
    let reasons = [
        ("RAISE EXCEPTION 'the second row is one too many'", "the second row is one too many (P0001)"),
        ("PERFORM pg_terminate_backend(pg_backend_pid())", "due to administrator command (57P01)"),
    ];
    for (body, reason) in reasons {
        place
            .run(&format!(
                "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN IF NEW.id = 2 THEN {body}; END IF; RETURN NEW; END$$;
             CREATE OR REPLACE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
            ))
            .await;
        for format in ["csv", "csv, encoding: LATIN1"] {
            let (context, _) = context(&place, &place.url, 0, 300);
            let progress = context.progress.clone();
            let error = run(&format!("{{from: a.csv, table: t, format: {format}}}"), context).await.unwrap_err();
            assert_says(&error.to_string(), &["loading into `t`: ", reason]);
            let (rows_read, bytes) = (progress.rows.load(Ordering::Relaxed), progress.bytes.load(Ordering::Relaxed));
            assert!(rows_read < rows as u64 / 2, "{rows_read} rows were read after {reason}");
            assert!(bytes < 15_000_000, "{bytes} bytes were read after {reason}");
        }
    }
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_looked_up_and_nothing_is_loaded_twice() {
    let place = Place::with("commit", "CREATE TABLE t (id int)").await;
    place.file("a.csv", "id\n1\n2\n3\n");
    for (fault, sessions) in [(Fault::CutAfterCommit, 2), (Fault::CutBeforeCommit, 3)] {
        place.run("DROP TABLE IF EXISTS jitney_loads; TRUNCATE t").await;
        let line = Line::to(server_of(&place.url), move |number| if number == 0 { fault } else { Fault::None });
        let (context, lines) = context(&place, &line.url(&place.url), 60, 300);
        let outputs = run("{from: a.csv, table: t, force: true}", context).await.unwrap();
        assert_eq!(counts(&outputs), [3, 3, 0, 0], "{fault:?}");
        assert_eq!(
            (place.t().await.as_str(), place.ledger().await.as_str()),
            ("1\n2\n3", "a.csv 3 3 0 0"),
            "{fault:?}"
        );
        let said = said(&lines);
        assert_says(&said, &["broke during the commit; asking the server whether it took effect"]);
        assert_eq!(said.contains("the server has committed the load"), fault == Fault::CutAfterCommit, "{said}");
        assert_eq!(line.count.load(Ordering::SeqCst), sessions, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_can_be_asked_about_is_said_to_be_unknown() {
    let place = Place::with("unknown", "CREATE TABLE t (id int)").await;
    place.file("a.csv", "id\n1\n2\n3\n");
    let line = Line::to(server_of(&place.url), |number| match number {
        0 => Fault::CutAfterCommit,
        _ => Fault::Refuse,
    });
    let (lost, _) = context(&place, &line.url(&place.url), 0, 300);
    let yaml = "{from: a.csv, table: t, force: true}";
    let error = run(yaml, lost).await.unwrap_err();
    assert_says(&error.to_string(), &["whether the load into `t` was committed is not known", "help: resume"]);
    assert_eq!(error.class, ErrorClass::Transient);
    let (mut again, lines) = context(&place, &place.url, 0, 300);
    again.attempt = 2;
    assert_eq!(counts(&run(yaml, again).await.unwrap()), [3, 3, 0, 0]);
    assert_says(&said(&lines), &["an attempt before this one has loaded the file"]);
    assert_eq!(place.t().await, "1\n2\n3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_under_a_load_is_waited_for() {
    let place = Place::new("restart").await;
    place.file("a.csv", "id\n1\n2\n3\n");
    let home = tempfile::tempdir().unwrap();
    let own = postgres::settings(home.path(), None);
    let url = managed::url(&managed::ensure_running(&own, &|_| {}).await.unwrap());
    let other = postgres::client(&url).await;
    other.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    other.batch_execute("BEGIN; INSERT INTO t VALUES (3)").await.unwrap();
    let (context, lines) = context(&place, &url, 60, 300);
    let load = tokio::spawn(run("{from: a.csv, table: t}", context));
    until_said(&lines, "waiting for a lock held by process").await;
    managed::stop(&own).await.unwrap();
    until_said(&lines, "; retrying for up to 60 s").await;
    assert_says(&said(&lines), &["terminating connection due to administrator command (57P01)"]);
    // Away for a while: connections are refused meanwhile.
    tokio::time::sleep(Duration::from_secs(2)).await;
    managed::ensure_running(&own, &|_| {}).await.unwrap();
    let outputs = load.await.unwrap().unwrap();
    let client = postgres::client(&url).await;
    let rows: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!((counts(&outputs), rows), ([3, 3, 0, 0], 3));
    drop(client);
    managed::destroy(&own).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_not_repeated() {
    let place = Place::new("not_repeated").await;
    place.file("a.csv", "id\n1\n");
    let (login, rest) = place.url.rsplit_once('@').unwrap();
    let user = login.rsplit_once(':').unwrap().0;
    let line = Line::to(server_of(&place.url), |_| Fault::None);
    let url = line.url(&format!("{user}:wrong@{rest}"));
    let error = run("{from: a.csv, table: t}", context(&place, &url, 60, 300).0).await.unwrap_err();
    assert_says(&error.to_string(), &["does not accept the password"]);
    assert_eq!(line.count.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_the_one_that_was_used_is_named() {
    let place = Place::with("hosts", "CREATE TABLE t (id int)").await;
    place.file("a.csv", "id\n1\n");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let server = server_of(&place.url);
    let url = place.url.replace(&format!("@{server}/"), &format!("@{closed},{server}/"));
    let (context, lines) = context(&place, &format!("{url}?target_session_attrs=read-write"), 0, 300);
    let outputs = run("{from: a.csv, table: t}", context).await.unwrap();
    assert_eq!(outputs["server"], format!("postgres://{server}/load_hosts"));
    assert_says(&said(&lines), &[&format!(" at {server}/load_hosts, from --postgres")]);
    place.run("ALTER DATABASE load_hosts SET default_transaction_read_only TO on").await;
    let (context, _) = self::context(&place, &format!("{url}?target_session_attrs=read-write"), 0, 300);
    let error = run("{from: a.csv, table: t}", context).await.unwrap_err().to_string();
    let parts = [
        format!("no Postgres server answers at {closed}"),
        format!("at {server} (from --postgres) is not used: it takes no writes"),
    ];
    assert_says(&error, &[&parts[0], &parts[1]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_said_to_be_one() {
    let place = Place::with("view", "CREATE TABLE t (id int); CREATE VIEW v AS SELECT * FROM t").await;
    place.file("a.csv", "id\n1\n");
    assert_says(&place.refused("{from: a.csv, table: v, schema: {id: int}}").await, &["`v` is a view"]);
}
