//! Files of one name and one content in the folders of several flows, and entries of a ledger in which earlier versions
//! noted their paths from there.

use std::sync::atomic::{AtomicU32, Ordering};

use jitney::id::{ExecutionId, FlowId};
use jitney::task::{Outputs, TaskContext, TaskError};
use serde_json::Value;

use crate::common::postgres;
use crate::load::{Place, assert_says, run_task};

const T: &str = "CREATE TABLE t (id int, note text)";
const A: &str = "{from: a.csv, table: t}";
static EXECUTIONS: AtomicU32 = AtomicU32::new(1);

/// Runs the task in a folder of its own below the place's, with the same file next to the flow.
async fn load_in_folder(place: &Place, folder: &str, flow: &str, yaml: &str) -> (Result<Outputs, TaskError>, String) {
    let folder = place.path().join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.csv"), "id,note\n1,x\n").unwrap();
    let (context, lines) = postgres::context(&folder, &place.url);
    let execution = ExecutionId::new(format!("e{}", EXECUTIONS.fetch_add(1, Ordering::Relaxed)));
    let context = TaskContext { flow: FlowId::new(flow), execution, ..context };
    let outputs = run_task("postgres.load", yaml, context).await;
    let said = lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect::<Vec<_>>().join("\n");
    (outputs, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_same_name_in_another_flows_folder_is_another_file() {
    for (name, second) in [("same", "f"), ("other", "g")] {
        let place = Place::with(&format!("folders_{name}"), T).await;
        for (folder, flow) in [("q1", "f"), ("q2", second)] {
            let (loaded, said) = load_in_folder(&place, folder, flow, A).await;
            assert_eq!(loaded.unwrap()["already_loaded"], Value::Bool(false), "{folder}: {said}");
        }
        for (folder, flow) in [("q1", "f"), ("q2", second), ("q1", "another")] {
            let (loaded, said) = load_in_folder(&place, folder, flow, A).await;
            assert_eq!(loaded.unwrap()["already_loaded"], Value::Bool(true), "{folder}: {said}");
        }
        assert_eq!(place.t().await, "1 x\n1 x", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_an_earlier_version_counts_for_its_flow_and_others_are_asked() {
    let place = Place::with("folders_earlier", T).await;
    load_in_folder(&place, "q1", "f", A).await.0.unwrap();
    for address in ["address = partition", "address = NULL"] {
        place.run(&format!("UPDATE jitney_loads SET {address}; UPDATE t SET note = note")).await;
        // The entry and the rows are written anew, so it is left to the setting.
        let (known, _) = load_in_folder(&place, "q1", "f", "{from: a.csv, table: t, if_loaded: fail}").await;
        assert_says(&known.unwrap_err().to_string(), &["has already loaded this file"]);
        let (other, _) = load_in_folder(&place, "q2", "g", A).await;
        assert_says(
            &other.unwrap_err().to_string(),
            &["from `a.csv`", "it is not known whether `a.csv` is that file", "`if_loaded: load`"],
        );
    }
    assert_eq!(place.t().await, "1 x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_an_earlier_version_loaded_and_this_one_loaded_again_are_of_one_file() {
    let place = Place::with("folders_again", T).await;
    load_in_folder(&place, "q1", "f", A).await.0.unwrap();
    place.run("CREATE TABLE copied AS TABLE jitney_loads; DELETE FROM jitney_loads; DELETE FROM t").await;
    // An entry and its row in one transaction, as the earlier version has written them.
    place
        .run(
            "BEGIN; INSERT INTO t VALUES (1, 'x'); INSERT INTO jitney_loads OVERRIDING SYSTEM VALUE TABLE copied;
             UPDATE jitney_loads SET address = partition, xid = txid_current(); COMMIT",
        )
        .await;
    let (known, said) = load_in_folder(&place, "q1", "f", A).await;
    assert_eq!(known.unwrap()["already_loaded"], true, "{said}");
    load_in_folder(&place, "q1", "f", "{from: a.csv, table: t, if_loaded: load}").await.0.unwrap();
    place.run("DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t)").await;
    let (again, _) = load_in_folder(&place, "q1", "f", A).await;
    assert_says(&again.unwrap_err().to_string(), &["1 row of other loads of this file"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_moved_with_its_flow_is_asked_about() {
    let place = Place::with("folders_moved", T).await;
    load_in_folder(&place, "before", "f", A).await.0.unwrap();
    std::fs::remove_dir_all(place.path().join("before")).unwrap();
    let (moved, _) = load_in_folder(&place, "after", "f", A).await;
    assert_says(&moved.unwrap_err().to_string(), &["/before/a.csv`", "it is not known", "`if_loaded: skip`"]);
    assert_eq!(place.t().await, "1 x");
    load_in_folder(&place, "other", "g", A).await.0.unwrap();
    assert_eq!(place.t().await, "1 x\n1 x");
}
