//! The pages of the rail that are not about flows and executions: schedules, stored values, secrets, tasks, settings, the API.

use super::{all, page, place, submit, text, texts};
use crate::rest::world::{Place, until};

const SCHEDULED: &str = "id: monthly_taxi\nnamespace: shop\ninputs:\n  - {id: taxi, type: STRING, defaults: green}\n\
    triggers:\n  - {id: green, type: schedule, cron: '0 9 1 * *', timezone: America/New_York}\n  \
    - {id: yellow, type: schedule, cron: '@daily', disabled: true}\n  \
    - {id: call, type: webhook, key: 4wjtkzwVGBM9yKnjm3yv8r}\n\
    tasks:\n  - {id: say, type: log, message: '{{ inputs.taxi }} {{ secret(\"API_KEY\") }}'}\n";

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_listed_with_their_next_times_and_switched() {
    let place = place();
    place.write("flows/monthly.yaml", SCHEDULED);
    let server = place.server();
    until("the schedule has a next time", async || !all(&page(&server, "/schedules"), "tbody time").is_empty()).await;
    let listed = page(&server, "/schedules");
    assert_eq!(texts(&listed, "tbody a b"), ["monthly_taxi", "monthly_taxi", "monthly_taxi"]);
    assert!(listed.html.contains("0 9 1 * * America/New_York"));
    assert!(!listed.html.contains("4wjtkzwVGBM9yKnjm3yv8r"), "the key of a webhook is a secret");
    let times: Vec<String> =
        all(&listed, "tr time").iter().map(|time| time.attr("datetime").unwrap().to_owned()).take(5).collect();
    let mut sorted = times.clone();
    sorted.sort();
    sorted.dedup();
    assert!(times.len() == 5 && sorted == times, "five different moments in order: {times:?}");
    assert_eq!(texts(&page(&server, "/schedules?state=off"), "tbody td .state"), ["⊘ off"]);
    assert_eq!(texts(&page(&server, "/schedules?type=webhook&q=taxi"), "tbody a b").len(), 1);
    assert!(text(&page(&server, "/schedules?q=none"), ".empty").contains("No trigger matches"));
    let fields = ["namespace=shop", "flow=monthly_taxi", "trigger=green", "to=off"];
    assert_eq!(submit_form(&server, "/schedules?state=off", &fields), "/schedules?state=off");
    assert_eq!(texts(&page(&server, "/schedules?state=off"), "tbody a b").len(), 2);
    assert_eq!(
        submit_form(&server, "/schedules", &["namespace=shop", "flow=monthly_taxi", "trigger=green", "to=on"]),
        "/schedules"
    );
    assert_eq!(texts(&page(&server, "/schedules?state=off"), "tbody a b").len(), 1);
    let in_text = ["namespace=shop", "flow=monthly_taxi", "trigger=yellow", "to=on"];
    assert_eq!(server.code(&form("/schedules", &in_text)), "409", "what the flow switches off, no switch turns on");
}

/// The arguments of a form as browsers send it.
fn form<'a>(address: &'a str, fields: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![address];
    arguments.extend(fields.iter().flat_map(|field| ["--data-urlencode", *field]));
    arguments
}

fn submit_form(server: &crate::rest::world::Server, address: &str, fields: &[&str]) -> String {
    let mut arguments = form(address, fields);
    arguments.extend(["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]);
    let answer = server.curl(&arguments);
    let (code, target) = answer.split_once(' ').unwrap();
    assert_eq!(code, "303", "{address}: {answer}");
    target.replace(&format!("http://{}", server.address), "")
}

#[test]
fn values_are_set_shown_changed_and_deleted_and_secrets_are_not_shown() {
    let place = place();
    let server = place.server();
    assert!(text(&page(&server, "/kv"), ".empty").contains("Nothing is kept yet"));
    let fields = [
        "namespace=shop.nyc",
        "key=last_month",
        "value=2020-04-17",
        "type=DATE",
        "ttl=",
        "description=Where it stopped",
    ];
    assert_eq!(submit_form(&server, "/kv", &fields), "/kv/shop.nyc/last_month");
    let listed = page(&server, "/kv?namespace=shop.nyc");
    assert_eq!(texts(&listed, "tbody a b"), ["last_month"]);
    assert!(!listed.html.contains("2020-04-17"), "a list shows no values");
    assert_eq!(text(&page(&server, "/kv/shop.nyc/last_month"), "main pre"), "2020-04-17");
    let taken = server.curl(&form("/kv", &fields));
    assert!(taken.contains("already exists") && taken.contains("Where it stopped"), "what was typed stays");
    let wrong = ["namespace=shop.nyc", "key=last_month", "exists=true", "value=soon", "type=DATE"];
    assert!(server.curl(&form("/kv", &wrong)).contains("write a date, such as 2024-05-06"));
    let right = ["namespace=shop.nyc", "key=last_month", "exists=true", "value=2020-05-01", "type=DATE", "ttl=2h"];
    submit_form(&server, "/kv", &right);
    let changed = page(&server, "/kv/shop.nyc/last_month");
    assert_eq!(text(&changed, "main pre"), "2020-05-01");
    assert_eq!(all(&changed, ".facts time").len(), 3, "set, first set, expires");
    for (key, value) in [("api_token", "abc123"), ("address", "postgres://me:hunter2@db/x")] {
        let fields =
            ["namespace=shop".to_owned(), format!("key={key}"), format!("value={value}"), "type=STRING".to_owned()];
        let address = submit_form(&server, "/kv", &fields.each_ref().map(String::as_str));
        let shown = page(&server, &address);
        assert!(!shown.html.contains("hunter2") && !shown.html.contains("abc123"), "{}", shown.html);
        assert!(text(&shown, "main").contains("looks secret"));
    }
    assert_eq!(submit(&server, "/kv/shop.nyc/last_month/delete", &["x=y"]), "/kv?namespace=shop.nyc");
    assert_eq!(server.code(&["/kv/shop.nyc/last_month"]), "404");
}

#[test]
fn secrets_are_listed_by_name_with_their_source_and_what_is_missing_comes_first() {
    let place = Place { variables: vec![("SECRET_API_KEY".to_owned(), "aHVudGVyMg==".to_owned())], ..place() };
    place.write("flows/monthly.yaml", SCHEDULED);
    place.write(
        "flows/other.yaml",
        "id: other\nnamespace: shop\ntasks:\n  - {id: a, type: log, message: \"{{ secret('ABSENT') }}\"}\n",
    );
    place.write("flows/.env", "UNUSED=hunter3\n");
    let server = place.server();
    let listed = page(&server, "/secrets");
    assert_eq!(texts(&listed, "tbody td b"), ["ABSENT", "API_KEY", "UNUSED"]);
    assert_eq!(texts(&listed, "tbody .state"), ["✗ missing", "✓ set", "✓ set"]);
    assert_eq!(texts(&listed, "tbody a"), ["other", "monthly_taxi"]);
    let main = text(&listed, "main");
    assert!(
        main.contains("the environment") && main.contains("flows/.env") && main.contains("no secret `ABSENT`"),
        "{main}"
    );
    assert!(!["hunter2", "hunter3", "aHVudGVyMg"].iter().any(|value| listed.html.contains(value)));
    assert_eq!(texts(&page(&server, "/secrets?q=abs"), "tbody td b"), ["ABSENT"]);
}

#[test]
fn tasks_are_documented_and_found_by_any_of_their_names() {
    let server = place().server();
    let listed = page(&server, "/tasks");
    let names = texts(&listed, ".types a");
    for name in ["postgres.load", "schedule", "day_week"] {
        assert!(names.contains(&name.to_owned()), "{name}");
    }
    assert!(texts(&listed, ".chip").iter().any(|chip| chip.starts_with("dateAdd(")), "filters with their parameters");
    assert!(texts(&listed, ".types .mono").contains(&"MULTISELECT".to_owned()));
    assert_eq!(texts(&page(&server, "/tasks?q=jdbc.postgresql.CopyIn"), ".types a"), ["postgres.copy_in"]);
    let load = page(&server, "/tasks/postgres.load");
    assert!(text(&load, "pre").contains("type: postgres.load"));
    let fields = texts(&load, "tbody td.mono");
    assert!(
        fields.iter().any(|field| field == "tablerequired") && fields.contains(&"rows_rejected".to_owned()),
        "{fields:?}"
    );
    assert_eq!(text(&page(&server, "/tasks/io.kestra.plugin.core.log.Log"), "h1"), "log");
    assert!(server.curl(&["/tasks/postgres.laod"]).contains("did you mean `postgres.load`?"));
}

#[test]
fn settings_say_what_is_in_force_and_no_secret() {
    let variables = [
        ("JITNEY_USER", "ada@example.com"),
        ("JITNEY_PASSWORD", "hunter22hunter22"),
        ("DATABASE_URL", "postgres://u:sesame99@localhost:1/x"),
        ("STORAGE_EMULATOR_HOST", "localhost:4443"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let place = Place { variables, ..place() };
    let server = place.server();
    let login = ["-u", "ada@example.com:hunter22hunter22"];
    let html = server.curl(&[&["/settings"][..], &login].concat());
    for expected in [
        "localhost:1/x, from DATABASE_URL",
        "emulator at http://localhost:4443",
        "365 days",
        "1 user, 0 tokens",
        "scheduler",
    ] {
        assert!(html.contains(expected), "{expected} is missing: {html}");
    }
    assert!(!html.contains("hunter22hunter22") && !html.contains("sesame99"));
    let checked = server.curl(&[&["/settings?check=true"][..], &login].concat());
    assert!(checked.contains("Postgres programs") && !checked.contains("sesame99"), "{checked}");
}

#[test]
fn the_api_is_described_with_a_form_and_a_curl_line_for_each_call() {
    let server = place().server();
    let shown = page(&server, "/api");
    let document = server.get("/api/v1/openapi.json");
    let calls: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(all(&shown, ".operation form").len(), calls, "each call of the document has a form");
    let curl = text(&page(&server, "/api?q=/flows/validate"), "pre.curl");
    let expected = format!("http://{}/api/v1/flows/validate", server.address);
    assert!(
        curl.starts_with("curl -X POST -H 'Content-Type: application/x-yaml' --data-binary @flow.yaml")
            && curl.contains(&expected),
        "{curl}"
    );
    let search = page(&server, "/api?q=/executions/search");
    let names: Vec<String> = all(&search, "input")
        .iter()
        .filter_map(|input| input.attr("data-in").map(|_| input.attr("name").unwrap().to_owned()))
        .collect();
    assert!(names.contains(&"flowId".to_owned()) && names.contains(&"labels".to_owned()), "{names:?}");
    let backfill = page(&server, "/api?q=/backfills");
    assert!(texts(&backfill, "td.mono").contains(&"dryRun".to_owned()), "the fields of a body are documented");
    for script in all(&shown, "script") {
        assert_eq!(server.code(&[script.attr("src").unwrap()]), "200");
    }
}

#[test]
fn pages_are_there_as_json_under_the_same_address() {
    let place = place();
    place.write("flows/monthly.yaml", SCHEDULED);
    let server = place.server();
    for address in
        ["/schedules", "/kv", "/secrets", "/tasks", "/api", "/settings", "/data", "/data/tables", "/data/quality"]
    {
        let shown = server.get(&format!("{address}.json"));
        assert!(shown.is_object() && shown.get("shell").is_none(), "{address}: {shown}");
    }
    let schedules = server.get("/schedules.json?q=monthly&type=webhook");
    assert_eq!((schedules["total"].as_u64(), &schedules["triggers"][0]["id"]), (Some(1), &"call".into()));
    assert_eq!(server.get("/kv.json")["total"], 0);
    let wrong = server.get("/data.json?db=elsewhere");
    assert!(wrong["message"].as_str().unwrap().contains("elsewhere"), "errors are JSON too: {wrong}");
}

#[test]
fn texts_from_outside_are_texts_in_these_pages_too() {
    let hostile = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{";
    let place = place();
    let quoted = hostile.replace('"', "");
    place.write(
        "flows/odd.yaml",
        format!(
            "id: odd\nnamespace: shop\ntriggers:\n  - {{id: waits, type: file, from: \"{quoted}/*.csv\"}}\ntasks:\n  \
             - {{id: a, type: log, message: \"{{{{ secret('<b>x') }}}}\"}}\n"
        ),
    );
    let server = place.server();
    let (value, about) = (format!("value={hostile}"), format!("description={hostile}"));
    let address = submit_form(&server, "/kv", &["namespace=shop", "key=odd", "type=STRING", &value, &about]);
    assert_eq!(text(&page(&server, &address), "main pre"), hostile.split_whitespace().collect::<Vec<_>>().join(" "));
    let query = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let named = ["/schedules", "/kv", "/secrets", "/tasks", "/api", "/data"].map(|page| format!("{page}?q={query}"));
    let with_sql = [format!("/data/query?sql={query}"), format!("/tasks/{query}"), format!("/kv?namespace={query}")];
    let plain = ["/schedules", "/kv", "/secrets", "/settings", "/data/quality"].map(str::to_owned);
    for address in plain.iter().chain(&named).chain(&with_sql) {
        let shown = page(&server, address);
        assert!(!shown.html.contains("<script>") && !shown.html.contains("<img src=x"), "{address}: {}", shown.html);
    }
}
