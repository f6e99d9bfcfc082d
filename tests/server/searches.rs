//! Searches in the journal: whichever index answers one, it finds what a look at every execution finds.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use jitney::id::{ExecutionId, FlowKey};
use jitney::journal::{Event, ExecutionQuery, ExecutionSpec, ExecutionState, Journal, Summary};
use serde_json::{Map, Value, json};

const COUNT: usize = 240;

fn begin() -> DateTime<Utc> {
    "2024-01-01T00:00:00Z".parse().unwrap()
}

fn created(number: usize) -> ExecutionSpec {
    let flow = ["taxi", "taxi_zones", "green"][number % 3];
    let namespace = ["data", "data.daily", "database", "other"][number % 4];
    let mut created: ExecutionSpec = serde_json::from_value(json!({"flow": flow, "namespace": namespace, "file": "",
        "text": "", "sha256": "", "inputs": {}, "labels": {}, "trigger_date": begin()}))
    .unwrap();
    created.labels = match number % 5 {
        0 => Map::from_iter([("month".to_owned(), json!(number % 12))]),
        1 => Map::from_iter([("team".to_owned(), json!("a")), ("month".to_owned(), json!("1"))]),
        2 => Map::from_iter([("x\"month".to_owned(), json!("1")), ("say".to_owned(), json!("\"team\":\"a\""))]),
        3 => Map::from_iter([("ümlaut".to_owned(), json!("a\\b\n")), ("month".to_owned(), json!("12"))]),
        _ => Map::new(),
    };
    created
}

fn fill(journal: &Journal) -> Vec<Summary> {
    for number in 0..COUNT {
        let at = begin() + TimeDelta::minutes(i64::try_from(number).unwrap());
        let id = ExecutionId::generate(at);
        let mut state = journal.create(&id, at, created(number)).unwrap();
        let end = [ExecutionState::Success, ExecutionState::Failed, ExecutionState::Running][number % 7 % 3];
        journal.append(&id, &mut state, at, &Event::Started).unwrap();
        if end.has_ended() {
            journal.append(&id, &mut state, at, &Event::Ended { state: end, outputs: Map::new() }).unwrap();
        }
    }
    journal.executions(None, u32::MAX).unwrap()
}

/// What a query means, without an index.
fn fits(query: &ExecutionQuery, one: &Summary) -> bool {
    let below = |namespace: &String| one.namespace.starts_with(&format!("{namespace}."));
    let has = |(key, value): &(String, String)| one.labels.get(key) == Some(&Value::from(value.as_str()));
    query.namespace.as_ref().is_none_or(|namespace| one.namespace == *namespace || below(namespace))
        && query.flow.as_ref().is_none_or(|flow| one.flow == *flow)
        && (query.states.is_empty() || query.states.contains(&one.state))
        && query.labels.iter().all(has)
        && query.since.is_none_or(|since| one.created >= since)
        && query.until.is_none_or(|until| one.created < until)
        && query.text.as_ref().is_none_or(|text| one.id.as_str().contains(text) || one.flow.contains(text))
}

fn queries(some: &Summary) -> Vec<ExecutionQuery> {
    let text = |text: &str| Some(text.to_owned());
    let label = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let all = ExecutionQuery::default;
    vec![
        all(),
        ExecutionQuery { flow: text("taxi"), ..all() },
        ExecutionQuery { states: vec![ExecutionState::Failed], ..all() },
        ExecutionQuery { states: vec![ExecutionState::Failed, ExecutionState::Running], ..all() },
        ExecutionQuery { flow: text("green"), states: vec![ExecutionState::Success], ..all() },
        ExecutionQuery { namespace: text("data"), ..all() },
        ExecutionQuery { labels: label("month", "1"), ..all() },
        ExecutionQuery { labels: label("x\"month", "1"), ..all() },
        ExecutionQuery { labels: label("team", "a"), ..all() },
        ExecutionQuery { labels: label("ümlaut", "a\\b\n"), ..all() },
        ExecutionQuery { labels: [label("month", "1"), label("team", "a")].concat(), flow: text("green"), ..all() },
        ExecutionQuery { labels: label("month", ""), ..all() },
        ExecutionQuery {
            since: Some(begin() + TimeDelta::minutes(30)),
            until: Some(begin() + TimeDelta::minutes(90)),
            ..all()
        },
        ExecutionQuery { text: text("zones"), ..all() },
        ExecutionQuery { text: text(some.id.as_str()), ..all() },
        ExecutionQuery { text: text("nowhere"), states: vec![ExecutionState::Failed], ..all() },
    ]
}

#[test]
fn the_pages_of_a_search_contain_exactly_the_matching_executions() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
    let all = fill(&journal);
    assert_eq!(all.len(), COUNT);
    for query in queries(&all[COUNT / 2]) {
        let expected: Vec<&Summary> = all.iter().filter(|one| fits(&query, one)).collect();
        let mut found = Vec::new();
        for page in 0..=COUNT as u32 / 7 {
            let page = journal.search(&query, 7, page * 7).unwrap();
            assert_eq!(page.total, expected.len() as u64, "{query:?}");
            found.extend(page.executions);
        }
        assert!(found.iter().eq(expected), "{query:?}");
    }
    for key in all.iter().map(|one| FlowKey::new(&one.namespace, &one.flow)).collect::<BTreeSet<_>>() {
        let own = all.iter().filter(|one| (&one.namespace, &one.flow) == (&key.namespace, &key.id));
        assert!(journal.executions_of(&key, 5).unwrap().iter().eq(own.take(5)), "{key}");
    }
    let prefix = &all[3].id.as_str()[..12];
    let expected: Vec<&ExecutionId> =
        all.iter().map(|one| &one.id).filter(|id| id.as_str().starts_with(prefix)).take(10).collect();
    assert!(journal.ids_with_prefix(&prefix.parse().unwrap()).unwrap().iter().eq(expected));
}
