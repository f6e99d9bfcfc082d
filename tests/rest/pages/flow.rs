//! A flow's page and the list of flows: text with anchors, revisions, triggers with their switches, filters.

use std::fs;

use serde_json::json;

use super::{HELLO, all, enter, page, place, submit, text, texts, until_shown};
use crate::rest::world::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_compared_and_restored_unless_it_held_a_password() {
    let place = place();
    let file = place.path("flows/hello.yaml");
    fs::write(&file, HELLO.replace("tasks:", "variables: {password: hunter22}\ntasks:")).unwrap();
    let server = place.server();
    for (number, words) in [(2, "Greets a year."), (3, "Greets a day.")] {
        fs::write(&file, HELLO.replace("Greets a month.", words)).unwrap();
        let revision = format!("revision {number}");
        until("the file is read", async || page(&server, "/flows/shop/hello").html.contains(&revision)).await;
    }
    let shown = page(&server, "/flows/shop/hello");
    assert_eq!(texts(&shown, "#revisions .state"), ["3", "2", "1"]);
    assert_eq!(texts(&shown, "#L3"), ["3description: Greets a day."]);
    assert_eq!(
        all(&shown, ".topology a").iter().map(|link| link.attr("href").unwrap().to_owned()).collect::<Vec<_>>(),
        ["#L9", "#L10"]
    );
    let compared = page(&server, "/flows/shop/hello?revision=2");
    assert_eq!(texts(&compared, "#revision .removed .code"), ["description: Greets a day."]);
    assert_eq!(texts(&compared, "#revision .added .code"), ["description: Greets a year."]);
    let fields: Vec<String> = all(&compared, "#revision input")
        .iter()
        .map(|field| format!("{}={}", field.attr("name").unwrap(), field.attr("value").unwrap()))
        .collect();
    let restore =
        ["/flows/shop/hello/restore", "-o", "/dev/null", "-w", "%{http_code}", "-d", &fields[0], "-d", &fields[1]];
    assert_eq!(server.curl(&restore), "303");
    assert!(fs::read_to_string(&file).unwrap().contains("Greets a year."));
    assert_eq!(server.curl(&restore), "409", "the file is another one now");
    let first = page(&server, "/flows/shop/hello?revision=1");
    assert!(
        text(&first, "#revision header").contains("A password was written out in it")
            && !first.html.contains("hunter22")
    );
    assert_eq!(server.code(&["/flows/shop/hello?revision=77"]), "404");
}

#[test]
fn a_schedule_shows_its_next_times_and_is_switched_off_and_on() {
    let place = place();
    let scheduled = |id: &str, more: &str| {
        HELLO.replace("id: hello", &format!("id: {id}"))
            + &format!(
                "triggers:\n  - {{id: monthly, type: schedule, cron: '0 9 1 * *', timezone: Asia/Tokyo{more}}}\n"
            )
    };
    place.write("flows/scheduled.yaml", scheduled("scheduled", ""));
    place.write("flows/locked.yaml", scheduled("locked", ", disabled: true"));
    let server = place.server();
    let address = "/flows/shop/scheduled";
    let shown = page(&server, address);
    let times: Vec<String> =
        all(&shown, "#triggers time").iter().map(|time| time.attr("datetime").unwrap().to_owned()).collect();
    assert!(times.len() == 5 && times.iter().all(|time| time.ends_with("-01T00:00:00.000Z")), "{times:?}");
    assert!(text(&shown, "#triggers").contains("0 9 1 * * Asia/Tokyo"));
    assert_eq!(submit(&server, &format!("{address}/triggers/monthly/off"), &[]), format!("{address}#triggers"));
    let off = page(&server, address);
    assert_eq!((text(&off, "#triggers .state"), texts(&off, "#triggers time").len()), ("⊘ off".to_owned(), 0));
    submit(&server, &format!("{address}/triggers/monthly/on"), &[]);
    assert_eq!(text(&page(&server, address), "#triggers .state"), "✓ on");
    assert_eq!(server.code(&[&format!("{address}/triggers/none/on"), "-X", "POST"]), "404");
    let locked = page(&server, "/flows/shop/locked");
    assert!(locked.html.contains("disabled title=\"It is disabled in the text of the flow.\""));
    assert!(all(&locked, "#triggers form").is_empty());
}

#[test]
fn flows_are_found_by_text_namespace_and_label() {
    let place = place();
    place.write(
        "flows/other.yaml",
        HELLO.replace("namespace: shop", "namespace: data").replace("team: data", "team: web"),
    );
    let server = place.server();
    let found = |query: &str| texts(&page(&server, &format!("/flows?{query}")), "tbody a b");
    assert_eq!(found(""), ["hello", "broken", "hello"]);
    assert_eq!(found("q=GREETS"), ["hello", "hello"]);
    assert_eq!(found("namespace=data"), ["hello"]);
    assert_eq!(found("label=team%3Dweb"), ["hello"]);
    let shown = page(&server, "/flows");
    assert!(all(&shown, "tbody .chip").iter().any(|chip| chip.attr("href") == Some("/flows?label=team%3Ddata")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_runs_alone_as_the_flow_is_now() {
    let place = place();
    let server = place.server();
    let first = submit(&server, "/flows/shop/hello/run", &["month=02", "note=first"]);
    until_shown(&server, &first, "success").await;
    place.write("flows/hello.yaml", HELLO.replace("Hello {{", "Good morning {{"));
    until("the file is read", async || page(&server, "/flows/shop/hello").html.contains("revision 2")).await;
    let shown = page(&server, "/flows/shop/hello");
    assert_eq!(texts(&shown, "#one-task [name=task] option"), ["greet", "give"]);
    let chosen = all(&shown, "#one-task [name=execution] option");
    let id = chosen[0].attr("value").unwrap();
    assert!(first.ends_with(id) && chosen[0].text.contains("success · month=02"), "{}", chosen[0].text);
    let alone = enter(&server, "/flows/shop/hello/run-task", &["task=greet", &format!("execution={id}")]);
    until_shown(&server, &alone, "success").await;
    let log = server.curl(&[&format!("/api/v1/logs{}/download", alone.strip_prefix("/executions").unwrap())]);
    assert!(log.contains("Good morning 02 first"), "{log}");
    let of_another = ["/flows/shop/broken/run-task", "-d", "task=stop", "-d", &format!("execution={id}")];
    assert_eq!(server.code(&of_another), "422");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_flows_are_there_as_json() {
    let place = place();
    place.write("flows/dotted.yaml", HELLO.replace("id: hello", "id: hello.json").replace("Greets", "Writes JSON for"));
    let right = HELLO.replace("id: hello", "id: wrong");
    place.write("flows/wrong.yaml", &right);
    let server = place.server();
    place.write("flows/wrong.yaml", right.replace("message:", "mesage:"));
    until("it is noticed", async || server.get("/flows/shop/wrong.json")["is_broken"] == true).await;
    let flow = server.get("/flows/shop/wrong.json");
    assert_eq!((&flow["id"], &flow["revision"]), (&json!("wrong"), &json!(1)), "{flow}");
    assert_eq!(flow["findings"][0]["line"], 9, "{flow}");
    let shown = page(&server, "/flows/shop/wrong");
    let link = all(&shown, ".note a").into_iter().next().unwrap();
    assert_eq!(link.attr("href"), Some("/flows/shop/wrong/edit#L9"));
    assert_eq!(text(&page(&server, "/flows/shop/hello.json"), "h1"), "hello.json", "a flow may be called so");
    assert_eq!(server.get("/flows/shop/hello.json.json")["id"], "hello.json");
    let listed: Vec<_> = server.get("/flows.json?q=json%20for")["flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| flow["id"].clone())
        .collect();
    assert_eq!(listed, ["hello.json"]);
    let edited = server.get("/flows/shop/wrong/edit.json");
    assert!(edited["text"].as_str().unwrap().contains("mesage") && edited["findings"][0]["line"] == 9, "{edited}");
    assert!(edited["digest"].as_str().is_some_and(|digest| digest.len() > 20), "{edited}");
    assert!(server.code(&["/flows/shop/none/edit.json"]) == "404" && server.code(&["/flows/shop/none.json"]) == "404");
    let task = server.get("/tasks/http.download.json");
    assert_eq!((&task["name"], &task["kind"]), (&json!("http.download"), &json!("task")));
    assert!(task["tables"][0]["rows"].as_array().unwrap().iter().any(|row| row["name"] == "uri"), "{task}");
    assert_eq!(server.code(&["/tasks/nothing.json"]), "404");
    let partitions =
        server.curl(&["/flows/shop/hello/partitions.json?from=2020-01", "-o", "/dev/null", "-w", "%{redirect_url}"]);
    assert!(partitions.ends_with("/api/v1/flows/shop/hello/partitions?from=2020-01"), "{partitions}");
}

#[test]
fn many_flows_come_in_pages_and_files_with_mistakes_do_not_hide_them() {
    let place = place();
    for number in 0..150 {
        place.write(&format!("flows/many/f{number:03}.yaml"), HELLO.replace("id: hello", &format!("id: f{number:03}")));
        place.write(&format!("flows/wrong/w{number:03}.yaml"), "id: [\n");
    }
    let server = place.server();
    let first = page(&server, "/flows?q=f");
    assert_eq!((text(&first, ".head .quiet"), all(&first, "tbody tr").len()), ("150".to_owned(), 100));
    let next = all(&first, "nav.pages a")[0].attr("href").unwrap().to_owned();
    let second = page(&server, &format!("/flows{next}"));
    assert_eq!(all(&second, "tbody tr").len(), 50);
    assert_eq!(texts(&second, "nav.pages a"), ["Previous"]);
    assert_eq!(server.get("/flows.json?q=f&page=2")["flows"].as_array().unwrap().len(), 50);
    let problems = texts(&first, "section.note .message");
    assert!(problems.len() == 21 && problems[20].starts_with("130 more problems"), "{}", problems[20]);
}
