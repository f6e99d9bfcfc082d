//! The list of executions, and the overview.

use super::{all, page, place, submit, text, texts, until_shown};
use crate::rest::world::{Server, until};

const CUT: &str = "id: cut\nnamespace: shop\ninputs:\n  - {id: month, type: STRING}\ntasks:\n  \
    - {id: get, type: fail, errorMessage: 'file_{{ inputs.month }}.csv:{{ inputs.month }}:1: `zone` is empty'}\n";

async fn failures(server: &Server) -> Vec<String> {
    let mut executions = Vec::new();
    for month in ["01", "02", "03"] {
        executions.push(submit(server, "/flows/shop/cut/run", &[&format!("month={month}"), ":labels=team:data"]));
    }
    executions.push(submit(server, "/flows/shop/broken/run", &["month=01"]));
    executions.push(submit(server, "/flows/shop/hello/run", &["month=01"]));
    for (execution, state) in executions.iter().zip(["failed", "failed", "failed", "failed", "success"]) {
        until_shown(server, execution, state).await;
    }
    executions
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_grouped_by_their_cause_and_restarted_together_after_a_question() {
    let place = place();
    place.write("flows/cut.yaml", CUT);
    let server = place.server();
    let executions = failures(&server).await;
    let grouped = page(&server, "/executions?group=cause");
    let states = texts(&grouped, ".rows .state");
    assert_eq!((states.len(), states.iter().filter(|state| state.contains("×3")).count()), (2, 1), "{states:?}");
    let overview = page(&server, "/");
    assert_eq!(texts(&overview, ".rows .state"), states, "the overview groups as the list does");
    let restart = all(&grouped, ".rows a").into_iter().find(|link| link.text == "Restart 3…").unwrap();
    let asked = page(&server, restart.attr("href").unwrap());
    assert_eq!(text(&asked, "h1"), "Restart 3 executions?");
    assert_eq!(all(&asked, "tbody tr").len(), 3);
    place.write("flows/cut.yaml", CUT.replace("type: fail, errorMessage", "type: log, message"));
    let action = all(&asked, "form.pages")[0].attr("action").unwrap().to_owned();
    let done = super::read(&action, server.curl(&[&action, "-X", "POST"]));
    assert_eq!(text(&done, ".note .message"), "3 executions restarted.");
    until("they fail again, with the text that they began with", async || {
        texts(&page(&server, "/executions?group=cause"), ".rows .state").iter().any(|state| state.contains("×3"))
    })
    .await;
    assert_eq!(server.code(&["/executions/bulk/explode", "-X", "POST"]), "404");
    assert!(
        text(&page(&server, &executions[4]), ".head .state").contains("success"),
        "what did not match is as it was"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_by_label_and_day_and_given_as_csv_and_json() {
    let place = place();
    place.write("flows/cut.yaml", CUT);
    let server = place.server();
    failures(&server).await;
    let rows = |query: &str| all(&page(&server, &format!("/executions?{query}")), "tbody tr").len();
    assert_eq!((rows(""), rows("labels=team:data"), rows("labels=team:ops")), (5, 4, 0));
    assert_eq!(
        (rows("startDate=2020-01-01"), rows("endDate=2020-01-01"), rows("startDate=2020-01-01&endDate=2999-12-31")),
        (5, 0, 5)
    );
    let csv = server.curl(&["/executions.csv?flowId=cut"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "id,namespace,flow,state,trigger,created,started,ended,seconds,rows,inputs");
    assert_eq!(lines.len(), 4);
    assert!(lines[1].contains("shop,cut,FAILED") && lines[1].ends_with(r#""{""month"":""03""}""#), "{}", lines[1]);
    let answer = server.json(&["/executions.json?flowId=cut", "-L"]);
    assert_eq!(answer["total"], 3);
    let id = answer["results"][0]["id"].as_str().unwrap();
    assert_eq!(server.json(&[&format!("/executions/{id}.json"), "-L"])["flowId"], "cut");
    assert_eq!(server.json(&["/flows/shop/hello/run.json", "-L"])["id"], "hello");
    let overview = server.json(&["/overview.json"]);
    assert_eq!(
        overview["attention"][0]["count"].as_u64().unwrap() + overview["attention"][1]["count"].as_u64().unwrap(),
        4
    );
}

#[test]
fn the_sample_months_are_written_once_with_a_flow_that_is_valid() {
    let empty = crate::rest::world::Place::new();
    let server = empty.server();
    for _ in 0..2 {
        assert_eq!(submit(&server, "/flows/sample", &[]), "/flows/sample/taxi_months/run");
    }
    assert_eq!(empty.path("flows/sample/data").read_dir().unwrap().count(), 12);
    let checked = empty.jitney(&["validate", "flows/sample/taxi_months.yaml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    assert!(!page(&server, "/").html.contains("There are no flows yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_server_says_how_to_begin_and_a_full_one_what_runs() {
    let empty = crate::rest::world::Place::new();
    let server = empty.server();
    let begin = page(&server, "/");
    assert_eq!(texts(&begin, ".cards b").len(), 3);
    assert!(all(&begin, ".cards a").iter().all(|link| link.attr("href").unwrap().starts_with("/flows/")));
    empty.write("flows/rest.yaml", "id: rest\nnamespace: shop\ntasks:\n  - {id: nap, type: sleep, duration: PT20S}\n");
    until("the flow is read", async || !page(&server, "/flows").html.contains("There are no flows yet")).await;
    let execution = submit(&server, "/flows/shop/rest/run", &[]);
    until("it runs", async || texts(&page(&server, "/"), ".rows .quiet").contains(&"nap".to_owned())).await;
    submit(&server, &format!("{execution}/kill"), &[]);
}
