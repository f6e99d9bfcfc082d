//! A flow's page and the list of flows: text with anchors, revisions, triggers with their switches, filters.

use std::fs;

use super::{HELLO, all, page, place, submit, text, texts};
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
