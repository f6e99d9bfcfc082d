//! The overview: row counts that are unusual until somebody expects them, and files that have changed at their source.

use jitney::cli::demo::serve::serve;
use tokio_util::sync::CancellationToken;

use super::{all, page, place, submit, text, texts, until_shown};
use crate::rest::world::{Server, until};

const MONTHS: &str = "id: months\nnamespace: shop\ninputs: [{id: month, type: STRING}]\ntasks:\n  \
    - {id: load, type: log, message: 'month {{ inputs.month }}'}\n";

const DAILY: &str = "id: daily\nnamespace: shop\ninputs: [{id: day, type: STRING}]\ntriggers:\n  \
    - {id: nightly, type: schedule, cron: '0 0 * * *', timezone: UTC, inputs: {day: \"{{ trigger.date | date('yyyy-MM-dd') }}\"}}\n\
    tasks:\n  - {id: get, type: http.download, uri: 'http://ADDRESS/{{ inputs.day }}.csv'}\n";

/// Executions of six months, of which the fourth has too few rows; their addresses.
async fn months(server: &Server, journal: &std::path::Path) -> Vec<String> {
    let mut executions = Vec::new();
    for month in 1..=6 {
        let execution = submit(server, "/flows/shop/months/run", &[&format!("month=2020-0{month}")]);
        until_shown(server, &execution, "success").await;
        executions.push(execution);
    }
    // No task of a test without a database loads rows.
    let journal = rusqlite::Connection::open(journal).unwrap();
    for (execution, rows) in executions.iter().zip([600, 610, 590, 30, 605, 620]) {
        let id = execution.rsplit('/').next().unwrap();
        journal.execute("UPDATE executions SET rows = ? WHERE id = ?", rusqlite::params![rows, id]).unwrap();
    }
    executions
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusual_number_of_rows_is_shown_until_somebody_expects_it() {
    let place = place();
    place.write("flows/months.yaml", MONTHS);
    let server = place.server();
    let executions = months(&server, &place.path("home/journal.db")).await;
    let listed = |shown: &super::Page| texts(shown, ".rows .chip");
    let overview = page(&server, "/");
    assert_eq!(listed(&overview), ["month=2020-04"]);
    assert!(overview.html.contains("30 rows, 95 % fewer than around it") && overview.html.contains("3,055 rows"));
    let form = all(&overview, ".rows form").into_iter().next().unwrap();
    let action = form.attr("action").unwrap();
    assert!(action.starts_with(&executions[3]), "{action}");
    assert_eq!(submit(&server, action, &[]), "/");
    let overview = page(&server, "/");
    assert!(text(&overview, "main").contains("Nothing has failed") && listed(&overview).is_empty());
    assert!(text(&page(&server, &executions[3]), "#expected").contains("marked as expected, by local"));
    let audit = server.get("/audit.json?q=expect");
    assert_eq!((&audit[0]["action"], &audit[0]["user"]), (&"expect execution".into(), &"local".into()), "{audit}");
    submit(&server, &format!("{}/unexpect", executions[3]), &[]);
    assert_eq!(listed(&page(&server, "/")), ["month=2020-04"]);
    assert_eq!(server.code(&["/executions/none/expect", "-X", "POST"]), "404");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_asked_for_changes_when_somebody_wants_to_know() {
    let place = place();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    std::fs::create_dir(place.path("mirror")).unwrap();
    let (address, _) = serve(place.path("mirror"), shutdown).await.unwrap();
    place.write("flows/daily.yaml", DAILY.replace("ADDRESS", &address.to_string()));
    let days: Vec<String> = (1..=3)
        .map(|back| (jitney::clock::now() - chrono::TimeDelta::days(back)).format("%Y-%m-%d").to_string())
        .collect();
    let server = place.server();
    for day in &days {
        place.write(&format!("mirror/{day}.csv"), format!("day,n\n{day},1\n"));
        let execution = submit(&server, "/flows/shop/daily/run", &[&format!("day={day}")]);
        until_shown(&server, &execution, "success").await;
    }
    let overview = page(&server, "/");
    assert!(overview.html.contains("href=\"/?sources=check\"") && all(&overview, "#sources").is_empty());
    let checked = page(&server, "/?sources=check");
    assert!(text(&checked, "#sources").contains("12 partitions asked, 0 changed"), "{}", text(&checked, "#sources"));
    place.write(&format!("mirror/{}.csv", days[1]), "day,n\nx,1\nanother line\n");
    std::fs::remove_file(place.path(&format!("mirror/{}.csv", days[2]))).unwrap();
    let checked = page(&server, "/?sources=check");
    assert!(text(&checked, "#sources").contains("12 partitions asked, 2 changed"), "{}", text(&checked, "#sources"));
    let main = text(&checked, "main");
    assert!(main.contains("bytes before") && main.contains("no longer at the source"), "{main}");
    let link = all(&checked, ".rows a").into_iter().find(|link| link.text == "Open").unwrap();
    let opened = page(&server, link.attr("href").unwrap());
    assert!(text(&opened, "main").contains(&days[2]) || text(&opened, "main").contains(&days[1]));
    assert!(!checked.html.contains("data-live"), "sources are not asked again with each change");
    until("the schedule is known", async || page(&server, "/").html.contains("nightly")).await;
}
