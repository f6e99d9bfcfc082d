//! The page of an execution.

use serde_json::json;

use super::{all, enter, page, place, submit, text, texts, until_shown};
use crate::rest::world::{Place, Server};

const MONTH: &str = "id: month\nnamespace: shop\ninputs:\n  - {id: key, type: SECRET, defaults: 'hunter22hunter22'}\ntasks:\n  \
    - {id: make, type: shell.commands, commands: ['printf \"n,day,zone\\n1,2020-01-01,A\\n3,2020-01-03,\\n\" > out.csv', 'echo made'], \
    outputFiles: [out.csv]}\n  - {id: each, type: for_each, values: [a, b], tasks: [{id: say, type: log, message: hi}]}\n  \
    - {id: stop, type: fail, errorMessage: 'out.csv:3:9: `zone` is empty'}\n  \
    - {id: never, type: log, message: never}\n";

const TWICE: &str = "id: twice\nnamespace: shop\ntasks:\n  - {id: leave, type: shell.commands, commands: ['exit 3'], \
    retry: {type: constant, interval: PT0.1S, maxAttempts: 2}}\n";

async fn failed() -> (Place, Server, String) {
    let place = place();
    place.write("flows/month.yaml", MONTH);
    place.write("flows/twice.yaml", TWICE);
    place.write("flows/waits.yaml", "id: waits\nnamespace: shop\ntasks: [{id: wait, type: pause}]\n");
    let server = place.server();
    let execution = submit(&server, "/flows/shop/month/run", &[]);
    until_shown(&server, &execution, "failed").await;
    (place, server, execution)
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_have_their_state_in_the_picture_and_attempts_in_the_timeline() {
    let (_place, server, execution) = failed().await;
    let shown = page(&server, &execution);
    let states: Vec<_> = all(&shown, ".topology g")
        .iter()
        .filter_map(|group| Some((group.attr("data-task")?.to_owned(), group.attr("class")?.to_owned())))
        .collect();
    let expected = [("make", "ok"), ("each", "ok"), ("say", "ok"), ("stop", "fail"), ("never", "idle")];
    for (task, class) in expected {
        assert!(states.contains(&(task.to_owned(), format!("task {class}"))), "{task}: {states:?}");
    }
    assert!(all(&shown, ".peek").is_empty());
    let toggle = all(&shown, "#run-make a")[0].attr("href").unwrap().to_owned();
    let open = page(&server, &format!("{execution}{}", toggle.trim_end_matches("#timeline")));
    assert_eq!(texts(&open, ".peek .message"), ["made"]);
    let twice = submit(&server, "/flows/shop/twice/run", &[]);
    until_shown(&server, &twice, "failed").await;
    let shown = page(&server, &twice);
    assert_eq!(all(&shown, "#run-leave .bar").len(), 2, "a bar for each attempt");
    assert!(text(&shown, "#timeline header").contains("2 attempts of leave"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_its_place_and_the_line_of_the_flow() {
    let (_place, server, execution) = failed().await;
    let shown = page(&server, &execution);
    assert_eq!(text(&shown, ".note .place"), "out.csv:3:9");
    assert_eq!(texts(&shown, ".note .message code"), ["stop", "zone"]);
    let line = 1 + MONTH.lines().position(|line| line.contains("id: stop")).unwrap();
    let link = all(&shown, ".remedy a").into_iter().find(|link| link.text.starts_with("Line")).unwrap();
    assert_eq!(link.attr("href"), Some(format!("?show=yaml#yaml-{line}").as_str()));
    let edit = all(&shown, ".remedy a").into_iter().find(|link| link.text.starts_with("Edit")).unwrap();
    assert_eq!(edit.attr("href"), Some(format!("/flows/shop/month/edit#L{line}").as_str()));
    let yaml = page(&server, &format!("{execution}?show=yaml"));
    assert!(text(&yaml, &format!("#yaml-{line}")).contains("id: stop"));
    assert_eq!(all(&yaml, ".yaml .failed").len(), 1);
    assert!(!yaml.html.contains("hunter22"), "passwords in the flow are blanked");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_previewed_and_downloaded_and_nothing_else_is() {
    let (_place, server, execution) = failed().await;
    let id = execution.rsplit('/').next().unwrap();
    let uri = format!("jitney:///{id}/make/out.csv");
    let shown = page(&server, &format!("{execution}?show=files&file={uri}"));
    assert_eq!(texts(&shown, ".data th b"), ["n", "day", "zone"]);
    let heads = texts(&shown, ".data th");
    assert!(heads[0].contains("integer · no nulls") && heads[0].contains("1 – 3"), "{heads:?}");
    assert!(heads[1].contains("date") && heads[2].contains("50 % null"), "{heads:?}");
    assert_eq!(texts(&shown, ".data td"), ["1", "2020-01-01", "A", "3", "2020-01-03", "null"]);
    let download = |path: &str| format!("/api/v1/executions/{id}/file?path={path}");
    assert_eq!(server.curl(&[&download(&uri)]), "n,day,zone\n1,2020-01-01,A\n3,2020-01-03,\n");
    let other = submit(&server, "/flows/shop/hello/run", &["month=01"]);
    let other = other.rsplit('/').next().unwrap();
    for path in [&format!("jitney:///{id}/../../secret.key"), "jitney:///", "/etc/passwd", &uri.replace("out", "none")]
    {
        assert_eq!(server.code(&[&download(path)]), "404", "{path}");
    }
    assert_eq!(
        server.code(&[&format!("/api/v1/executions/{other}/file?path={uri}")]),
        "404",
        "a file of another execution"
    );
    let metrics = page(&server, &format!("{execution}?show=metrics"));
    assert_eq!(texts(&metrics, "tbody td.mono"), ["make", "each", "stop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_is_evaluated_and_secrets_stay_hidden_in_any_form() {
    let (_place, server, execution) = failed().await;
    let evaluate = |expression: &str| {
        let query =
            reqwest::Url::parse_with_params("http://localhost/", [("show", "evaluate"), ("expression", expression)])
                .unwrap();
        page(&server, &format!("{execution}?{}", query.query().unwrap()))
    };
    assert_eq!(text(&evaluate("{{ outputs.make.exitCode + 41 }}"), ".result"), "41");
    assert_eq!(text(&evaluate("tasks.stop.state"), ".result"), "FAILED");
    assert!(text(&evaluate("{{ outputs.nothing.x }}"), "#log .message").contains("nothing"));
    for expression in ["inputs.key", "inputs.key | base64encode", "inputs.key | split('') | join('-')"] {
        let shown = evaluate(expression);
        for form in ["hunter22", "aHVudGVy", "h-u-n-t-e-r"] {
            assert!(!text(&shown, ".result").contains(form), "{expression}");
        }
    }
    let offered: Vec<_> =
        all(&evaluate(""), "datalist option").iter().filter_map(|name| name.attr("value").map(str::to_owned)).collect();
    assert!(offered.contains(&"{{ outputs.make.exitCode }}".to_owned()), "{offered:?}");
    let id = execution.rsplit('/').next().unwrap();
    let answer = server.curl(&[
        &format!("/api/v1/executions/{id}/eval"),
        "-X",
        "POST",
        "-H",
        "Content-Type: text/plain",
        "-d",
        "{{ 1 + 1 }}",
    ]);
    assert_eq!(answer, "{\"result\":2}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_leads_to_those_around_it_and_is_replayed_from_a_task() {
    let (_place, server, first) = failed().await;
    let second = submit(&server, "/flows/shop/month/run", &[]);
    until_shown(&server, &second, "failed").await;
    let target = |page, index: usize| all(page, ".pair a")[index].attr("href").map(str::to_owned);
    let shown = page(&server, &first);
    assert_eq!((target(&shown, 0), target(&shown, 1)), (None, Some(second.clone())));
    let shown = page(&server, &second);
    assert_eq!((target(&shown, 0), target(&shown, 1)), (Some(first), None));
    let from = all(&shown, ".menu button").into_iter().find(|button| button.text == "From stop").unwrap();
    let again = submit(&server, from.attr("formaction").unwrap(), &[]);
    until_shown(&server, &again, "failed").await;
    let shown = page(&server, &again);
    assert!(text(&shown, "#timeline header").contains("replay of"));
    assert!(!page(&server, &format!("{again}?show=log")).html.contains(">made<"), "the first task was not run again");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_edited_once_an_execution_has_ended() {
    let (_place, server, execution) = failed().await;
    let labels = |address: &str| server.json(&[&format!("{address}.json"), "-L"])["labels"].clone();
    let id = execution.rsplit('/').next().unwrap();
    let api = format!("/api/v1/executions/{id}/labels");
    let added = server.post(&api, &json!([{"key": "team", "value": "data"}, {"key": "seen", "value": true}]));
    let one = |key: &str, value: &str| json!({"key": key, "value": value});
    assert_eq!(added["labels"], json!([one("team", "data"), one("seen", "true")]));
    assert_eq!(server.json(&["/api/v1/executions/search?labels=team:data"])["total"], 1);
    assert_eq!(text(&page(&server, &execution), "#labels textarea"), "team: data seen: true");
    enter(&server, &format!("{execution}/labels"), &["labels=team: taxi\n\nnote: a:b <i>"]);
    assert_eq!(labels(&execution), json!([one("team", "taxi"), one("note", "a:b <i>")]));
    assert!(text(&page(&server, &execution), "#labels textarea").contains("a:b <i>"));
    for (body, code, words) in [
        (json!([{"key": "", "value": "x"}]), "422", "a label has no name"),
        (json!([{"key": "a\u{7}", "value": "x"}]), "422", "contains control characters"),
        (json!([{"key": "a", "value": "x".repeat(2000)}]), "422", "at most 1024 characters"),
        (json!([{"key": "backfill", "value": "x"}]), "422", "tells to which backfill"),
        (json!({"team": "x"}), "422", "not a list of `key` and `value`"),
    ] {
        let (found, message) = server.refusal(&api, &body);
        assert!(found == code && message.contains(words), "{found} {message}");
    }
    let many: Vec<_> = (0..200).map(|number| json!({"key": format!("k{number}"), "value": "x"})).collect();
    assert!(server.refusal(&api, &json!(many)).1.contains("at most 100 labels"));
    let form = ["-d", "labels=team", "-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(server.curl(&[&[format!("{execution}/labels").as_str()], &form[..]].concat()), "422");
    let missing = server.refusal("/api/v1/executions/none/labels", &json!([]));
    assert_eq!(missing.0, "404");
    let waiting = server.json(&["/api/v1/executions/shop/waits", "-X", "POST"]);
    let running = format!("/api/v1/executions/{}/labels", waiting["id"].as_str().unwrap());
    assert_eq!(server.refusal(&running, &json!([one("a", "b")])).0, "409");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_of_an_execution_runs_alone() {
    let (_place, server, first) = failed().await;
    let shown = page(&server, &first);
    assert_eq!(texts(&shown, ".alone option"), ["make", "each", "stop", "never"]);
    let again = enter(&server, &format!("{first}/replay"), &["only=true", "task=make"]);
    until_shown(&server, &again, "success").await;
    let shown = page(&server, &again);
    assert!(text(&shown, "#timeline header").contains("make alone, with the outputs of"), "{}", shown.html);
    assert!(texts(&page(&server, "/executions"), "tbody tr").iter().any(|row| row.contains("only make")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_has_an_address() {
    let (_place, server, execution) = failed().await;
    let shown = page(&server, &execution);
    let made = all(&shown, ".log .line").into_iter().find(|line| line.text.ends_with("made")).unwrap();
    let number = made.attr("id").unwrap().trim_start_matches("line-").to_owned();
    assert!(made.html.contains(&format!("?line={number}#line-{number}")));
    let linked = page(&server, &format!("{execution}?line={number}"));
    let chosen = all(&linked, ".line")
        .into_iter()
        .filter(|line| line.attr("class").is_some_and(|class| class.contains("chosen")));
    assert_eq!(chosen.map(|line| line.text).filter(|text| text.ends_with("made")).count(), 1);
    let id = execution.rsplit('/').next().unwrap();
    let errors = server.curl(&[&format!("/api/v1/logs/{id}/download?minLevel=ERROR&q=ZONE")]);
    assert!(
        errors.lines().count() >= 1 && errors.lines().all(|line| line.contains("zone") && line.contains("ERROR")),
        "{errors}"
    );
}
