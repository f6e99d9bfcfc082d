//! A folder of flows, while people work in it.

use std::sync::{Arc, Mutex};

use jitney::engine::catalog::{CatalogError, FlowChangeKind};
use tokio_util::sync::CancellationToken;

use crate::server::world::{World, until, write};

const GOOD: &str = "tasks:\n  - {id: p, type: probe}\n";

#[tokio::test(flavor = "multi_thread")]
async fn file_changes_are_noticed_and_the_last_valid_flow_is_kept() {
    let world = World::new();
    world.write("first", GOOD);
    let server = world.server();
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let (tell, stop) = (seen.clone(), CancellationToken::new());
    let _guard = stop.clone().drop_guard();
    tokio::spawn(server.catalog.clone().watch(server.executor.health().clone(), stop, move |found| {
        for change in found.unwrap().changes {
            tell.lock().unwrap().push(format!("{} {:?} {}", change.entry.id, change.kind, change.entry.revision));
        }
    }));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let last = |expected: &str| seen.lock().unwrap().last().map(String::as_str) == Some(expected);
    world.write("second", GOOD);
    until("it is added", || last("second Added 1")).await;
    world.write("second", "tasks:\n  - {id: q, type: probe}\n");
    until("it is changed", || last("second Changed 2")).await;
    world.write("second", "tasks:\n  - {id: q, type: prob}\n");
    until("it is broken", || last("second Broken 2")).await;
    let entry = server.catalog.get("n", "second").unwrap();
    assert_eq!(entry.flow.steps[0].id.as_str(), "q", "the last good flow stays");
    assert!(entry.is_broken && entry.text().contains("type: prob}"));
    assert_eq!((entry.findings[0].line, entry.findings[0].column), (4, 19));
    let id = server.submit("second").unwrap();
    assert_eq!(server.executor.wait(&id).await.unwrap().status.as_str(), "SUCCESS");
    // Another process finds the broken file and knows what it was.
    let other = world.server();
    let entry = other.catalog.get("n", "second").unwrap();
    assert!(entry.is_broken && entry.revision == 2);
    world.write("second", GOOD);
    until("it is mended", || last("second Changed 3")).await;
    std::fs::remove_file(world.flows().join("second.yaml")).unwrap();
    until("it is gone", || last("second Removed 3")).await;
    assert!(server.catalog.get("n", "second").is_none());
    let numbers: Vec<u32> =
        server.executor.journal().revisions("n", "second").unwrap().iter().map(|text| text.number).collect();
    assert_eq!(numbers, [3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_is_saved_to_its_own_file_and_an_invalid_one_is_not_saved() {
    let world = World::new();
    write(&world.flows().join("deep/mine.yaml"), &format!("id: mine\nnamespace: n\n{GOOD}"));
    let server = world.server();
    let changed = format!("id: mine\nnamespace: n\ndescription: new\n{GOOD}");
    let entry = server.catalog.save(&changed).unwrap();
    assert_eq!((entry.file.clone(), entry.revision), (world.flows().join("deep/mine.yaml"), 2));
    assert_eq!(std::fs::read_to_string(&entry.file).unwrap(), changed);
    let new = server.catalog.save(&format!("id: new\nnamespace: some.where\n{GOOD}")).unwrap();
    assert_eq!(new.file, world.flows().join("some.where/new.yaml"));
    let Err(CatalogError::Invalid(findings)) = server.catalog.save("id: new\nnamespace: n\n") else {
        panic!("a flow without tasks was saved");
    };
    assert!(findings[0].message.contains("`tasks` is missing"), "{findings:?}");
    server.catalog.remove("some.where", "new").unwrap();
    assert!(!new.file.exists());
    assert!(matches!(server.catalog.remove("some.where", "new"), Err(CatalogError::NotFound(..))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_change_of_each_of_thousands_of_files_is_noticed() {
    let world = World::new();
    let schedule = "triggers:\n  - {id: t, type: schedule, cron: '0 9 1 * *'}\n";
    (0..1000).for_each(|number| world.write(&format!("flow{number}"), &format!("{GOOD}{schedule}")));
    world.write("flow500", "tasks: 1\n");
    let server = world.server();
    assert_eq!((server.catalog.list().len(), server.catalog.problems().len()), (999, 1));
    (0..1000).for_each(|number| world.write(&format!("flow{number}"), &format!("description: new\n{GOOD}")));
    std::fs::remove_file(world.flows().join("flow7.yaml")).unwrap();
    let changes = server.catalog.refresh().unwrap().changes;
    let count = |kind: FlowChangeKind| changes.iter().filter(|change| change.kind == kind).count();
    assert_eq!([FlowChangeKind::Added, FlowChangeKind::Changed, FlowChangeKind::Removed].map(count), [1, 998, 1]);
    let flows = server.catalog.list();
    assert!(flows.iter().all(|entry| entry.flow.description.as_deref() == Some("new")));
    assert_eq!(server.catalog.refresh().unwrap().changes.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_defined_twice_at_startup_is_not_loaded_until_one_file_is_removed() {
    let world = World::new();
    world.write("a", GOOD);
    write(&world.flows().join("b.yaml"), &format!("id: a\nnamespace: n\n{GOOD}"));
    write(&world.flows().join("no_flow.yaml"), "services: {}\n");
    let server = world.server();
    assert!(server.catalog.list().is_empty());
    let problems: Vec<String> = server.catalog.problems().iter().map(ToString::to_string).collect();
    let twins = problems.iter().filter(|problem| problem.contains("there are two flows n.a")).collect::<Vec<_>>();
    assert!(twins.len() == 2 && twins.iter().all(|twin| twin.contains("none of them is loaded")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("`tasks` is missing")), "{problems:?}");
    let Err(CatalogError::Invalid(findings)) = server.catalog.save(&format!("id: a\nnamespace: n\n{GOOD}")) else {
        panic!("a third file was written");
    };
    assert!(findings[0].help.as_ref().unwrap().contains("b.yaml"), "{findings:?}");
    std::fs::remove_file(world.flows().join("a.yaml")).unwrap();
    let changes = server.catalog.refresh().unwrap().changes;
    assert_eq!(changes[0].kind, FlowChangeKind::Added);
    assert_eq!(server.catalog.get("n", "a").unwrap().file, world.flows().join("b.yaml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_loaded_file_owns_its_flow_across_restarts() {
    let world = World::new();
    write(&world.flows().join("b.yaml"), &format!("id: a\nnamespace: n\n{GOOD}"));
    let server = world.server();
    // It sorts first, and stood nowhere when the other was loaded.
    write(&world.flows().join("a.yaml"), &format!("id: a\nnamespace: n\ndescription: other\n{GOOD}"));
    let look = server.catalog.refresh().unwrap();
    assert!(look.changes.is_empty(), "{:?}", look.changes);
    assert!(look.problems[0].file.ends_with("/a.yaml"), "{:?}", look.problems);
    let owner = |server: &crate::server::world::Server| server.catalog.get("n", "a").map(|entry| entry.file.clone());
    assert_eq!(owner(&server), Some(world.flows().join("b.yaml")));
    drop(server);
    let server = world.server();
    assert_eq!(owner(&server), Some(world.flows().join("b.yaml")));
    // One that moves with the same text takes its flow along.
    std::fs::remove_file(world.flows().join("a.yaml")).unwrap();
    std::fs::rename(world.flows().join("b.yaml"), world.flows().join("z.yaml")).unwrap();
    server.catalog.refresh().unwrap();
    write(&world.flows().join("b.yaml"), &format!("id: a\nnamespace: n\ndescription: other\n{GOOD}"));
    drop(server);
    let server = world.server();
    assert_eq!(owner(&server), Some(world.flows().join("z.yaml")));
    std::fs::remove_file(world.flows().join("z.yaml")).unwrap();
    assert_eq!(server.catalog.refresh().unwrap().changes[0].kind, FlowChangeKind::Changed);
    assert_eq!(owner(&server), Some(world.flows().join("b.yaml")));
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_new_files_and_duplicate_ids_are_reported_at_once() {
    let world = World::new();
    world.write("a", GOOD);
    let server = world.server();
    write(&world.flows().join("broken.yaml"), "id: broken\nnamespace: n\ntasks:\n  - {id: t, type: nosuch}\n");
    write(&world.flows().join("b.yaml"), &format!("id: a\nnamespace: n\ndescription: other\n{GOOD}"));
    let look = server.catalog.refresh().unwrap();
    let reported = look.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(reported.contains("broken.yaml:4:19") && reported.contains("nosuch"), "{reported}");
    let twin = look.problems.iter().find(|problem| problem.message == "there are two flows n.a").unwrap();
    assert!(twin.file.ends_with("b.yaml") && twin.line == 1, "{twin}");
    assert!(twin.help.as_ref().unwrap().contains("a.yaml"), "{twin}");
    assert!(look.changes.is_empty(), "{:?}", look.changes);
    assert!(server.catalog.refresh().unwrap().problems.is_empty(), "it was reported twice");
    assert_eq!(server.catalog.problems().len(), 2);
    // The text that is not used is no revision of the flow, now and at the next start.
    drop(server);
    let server = world.server();
    assert_eq!(server.catalog.get("n", "a").unwrap().revision, 1);
    assert_eq!(server.executor.journal().revisions("n", "a").unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_folder_is_reported_and_its_flows_are_kept() {
    let world = World::new();
    world.write("a", GOOD);
    let server = world.server();
    let away = world.folder.path().join("away");
    std::fs::rename(world.flows(), &away).unwrap();
    let look = server.catalog.refresh().unwrap();
    assert!(look.unreadable[0].message.contains(&world.flows().display().to_string()), "{look:?}");
    assert!(server.catalog.get("n", "a").is_some() && look.changes.is_empty());
    assert_eq!(server.catalog.problems(), look.unreadable);
    std::fs::rename(&away, world.flows()).unwrap();
    let look = server.catalog.refresh().unwrap();
    assert!(look.unreadable.is_empty() && look.changes.is_empty(), "{look:?}");
    assert!(server.catalog.problems().is_empty());
}
