//! The partitions of a flow: dates that it does not take, and how one gets to earlier ones.

use super::{all, page, place, text, texts};
use crate::rest::world::{Place, until};

const YEARS: &str = "id: years\nnamespace: shop\ninputs:\n  - {id: year, type: SELECT, values: ['2025', '2026']}\n\
    triggers:\n  - id: monthly\n    type: schedule\n    cron: '@monthly'\n    disabled: true\n    \
    inputs: {year: '{{ trigger.date | date(\"yyyy\") }}'}\n\
    tasks:\n  - {id: say, type: log, message: '{{ inputs.year }} {{ trigger.date }}'}\n";

#[test]
fn months_that_a_select_does_not_offer_are_skipped_and_the_others_are_offered() {
    let place = Place::new();
    place.write("flows/years.yaml", YEARS);
    let server = place.server();
    let address = "/flows/shop/years/partitions?from=2024-11&to=2025-03";
    let grid = page(&server, address);
    assert_eq!(all(&grid, ".cell.none").len(), 3);
    let skipped: Vec<String> =
        all(&grid, ".cell.idle").iter().map(|cell| cell.attr("title").unwrap().to_owned()).collect();
    assert_eq!(skipped, ["2024-11: skipped", "2024-12: skipped"]);
    assert_eq!(text(&grid, ".panel header .small"), "0 of 3 loaded · 0 rows");
    let backfill = all(&grid, "a.primary")[0].attr("href").unwrap().to_owned();
    assert!(backfill.contains("from=2025-01&to=2025-03"), "{backfill}");
    assert_eq!(text(&page(&server, &backfill), "button.primary"), "Run 3 of 3");
    let details = page(&server, &format!("{address}&cell=years%7C2024-12"));
    let why = text(&details, "aside");
    assert!(why.contains("year") && why.contains("2024") && !why.contains("Run it"), "{why}");
    assert_eq!(server.code(&["/flows/shop/years/partitions?from=2024-01&to=2024-06"]), "422", "none of them can run");
}

#[test]
fn earlier_and_later_partitions_are_one_click_away() {
    let place = place();
    let server = place.server();
    let months = |address: &str| {
        let shown = page(&server, address);
        let cells: Vec<String> =
            all(&shown, ".grid .cell").iter().map(|cell| cell.attr("data-from").unwrap().to_owned()).collect();
        let links =
            all(&shown, ".period a").into_iter().map(|link| (link.text.clone(), link.attr("href").unwrap().to_owned()));
        (cells, links.collect::<Vec<_>>())
    };
    let address = "/flows/shop/hello/partitions";
    let (now, links) = months(&format!("{address}?inputs=month%3A01"));
    assert_eq!((now.len(), links.len(), links[0].0.as_str()), (12, 1, "← Earlier"), "{links:?}");
    let (before, links) = months(&format!("{address}{}", links[0].1));
    assert_eq!((before.len(), links[1].0.as_str()), (12, "Later →"));
    assert!(before.iter().chain(&now).is_sorted() && before.last() < now.first(), "{before:?} {now:?}");
    assert!(links.iter().all(|(_, query)| query.contains("inputs=month%3A01")), "{links:?}");
    let (again, _) = months(&format!("{address}{}", links[1].1));
    assert_eq!(again, now);
    let shown = page(&server, &format!("{address}?inputs=month%3A01&from=2019&to=2019-06"));
    let fields: Vec<(String, String)> = all(&shown, ".period input")
        .iter()
        .map(|field| (field.attr("name").unwrap().to_owned(), field.attr("value").unwrap().to_owned()))
        .collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, [("inputs", "month:01"), ("from", "2019"), ("to", "2019-06")]);
    assert_eq!(texts(&shown, ".grid tbody th"), ["2019"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_is_kept_until_an_execution_of_its_flow_changes() {
    let place = place();
    let server = place.server();
    let address = "/flows/shop/hello/partitions?inputs=month%3A01&from=2019-01&to=2019-03";
    for _ in 0..2 {
        assert_eq!(all(&page(&server, address), ".cell.none").len(), 3);
    }
    // Another process writes the same journal.
    let file = place.path("flows/hello.yaml");
    let backfill = ["backfill", file.to_str().unwrap(), "--from", "2019-02", "--to", "2019-02", "-i", "month=01"];
    let output = place.jitney(&backfill);
    assert!(output.status.success(), "{output:?}");
    let ran = page(&server, address);
    assert_eq!(all(&ran, ".cell.ok").len(), 1, "{}", ran.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_failed_is_retried_from_the_grid() {
    let place = Place::new();
    let file = place.path("ready");
    place.write(
        "flows/months.yaml",
        format!(
            "id: months\nnamespace: shop\ntriggers:\n  - {{id: monthly, type: schedule, cron: '@monthly', disabled: true}}\n\
             tasks:\n  - {{id: say, type: shell.commands, commands: ['test -e {}']}}\n",
            file.display()
        ),
    );
    let server = place.server();
    let start = ["/flows/shop/months/backfill", "-d", "from=2019-01&to=2019-02&only=all", "-o", "/dev/null"];
    server.curl(&start);
    let address = "/flows/shop/months/partitions?from=2019-01&to=2019-02";
    let shown = async |state: &str| {
        let is_there = async || texts(&page(&server, address), ".panel header .state").join(" ").contains(state);
        until(state, is_there).await;
        page(&server, address)
    };
    let failed = shown("failed").await;
    assert!(texts(&failed, ".panel header .quiet")[0].contains("2 of 2 done · 2 failed"), "{}", failed.html);
    let retry = all(&failed, "form").into_iter().find_map(|form| form.attr("action").map(str::to_owned)).unwrap();
    assert!(retry.ends_with("/retry"), "{retry}");
    std::fs::write(&file, "").unwrap();
    assert_eq!(server.code(&[&retry, "-X", "POST"]), "303");
    until("both ran", async || all(&page(&server, address), ".cell.ok").len() == 2).await;
    until("it is no longer shown", async || !page(&server, address).html.contains("/retry")).await;
}
