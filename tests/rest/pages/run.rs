//! The form that starts a flow.

use super::{all, page, submit, text, texts, until_shown};
use crate::rest::world::{Place, Server};

const FLOW: &str = "id: form\nnamespace: shop\ninputs:\n  - {id: taxi, type: SELECT, values: [green, yellow], defaults: green, isRadio: true}\n  \
    - {id: only, type: STRING, required: false, dependsOn: {inputs: [taxi], condition: \"{{ inputs.taxi == 'yellow' }}\"}}\n  \
    - {id: zones, type: MULTISELECT, values: [a, b, c], defaults: [a]}\n  \
    - {id: year, type: STRING, validator: '20\\d\\d', defaults: '2019'}\n  \
    - {id: at, type: STRING, defaults: '{{ inputs.year }}-01'}\n  - {id: count, type: INT, min: 1}\n  \
    - {id: file, type: FILE, required: false}\n  - {id: key, type: SECRET, required: false}\ntasks:\n  \
    - {id: say, type: log, message: \"{{ inputs.zones | join('+') }} {{ trigger.date | date('yyyy-MM') }} {{ inputs.at }}\"}\n  \
    - {id: ask, type: pause, onResume: [{id: approved, type: BOOL}]}\n  \
    - {id: told, type: log, message: '{{ outputs.ask.onResume.approved }}'}\n";

fn form() -> (Place, Server) {
    let place = Place::new();
    place.write("flows/form.yaml", FLOW);
    let server = place.server();
    (place, server)
}

/// The page that a form gives when nothing was started.
fn filled(server: &Server, address: &str, fields: &[&str]) -> super::Page {
    let mut arguments = vec!["-X", "POST"];
    arguments.extend(fields.iter().flat_map(|field| ["--form-string", *field]));
    super::read(address, server.curl(&[&[address], &arguments[..]].concat()))
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_depend_on_each_other_and_defaults_are_computed() {
    let (_place, server) = form();
    let first = page(&server, "/flows/shop/form/run");
    let shown = |page| {
        let ids =
            all(page, ".field").iter().filter_map(|field| field.attr("id").map(str::to_owned)).collect::<Vec<_>>();
        ids.iter().map(|id| id.trim_start_matches("field-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&first), ["taxi", "zones", "year", "at", "count", "file", "key"]);
    assert_eq!(all(&first, "input").iter().filter(|input| input.attr("name") == Some(":date")).count(), 1);
    let value = |page, name: &str| {
        all(page, "input")
            .iter()
            .find(|input| input.attr("name") == Some(name))
            .and_then(|input| input.attr("value").map(str::to_owned))
    };
    assert_eq!(value(&first, "at").as_deref(), Some("2019-01"));
    let yellow = page(&server, "/flows/shop/form/run?inputs=taxi:yellow&inputs=year:2020");
    assert!(shown(&yellow).contains(&"only".to_owned()), "{:?}", shown(&yellow));
    assert_eq!(value(&yellow, "at").as_deref(), Some("2020-01"));
    let wrong = filled(&server, "/flows/shop/form/run", &["year=1999", "count=0"]);
    assert_eq!(
        texts(&wrong, "#field-count .error").len() + texts(&wrong, "#field-year .error").len(),
        2,
        "{}",
        wrong.html
    );
    assert!(text(&wrong, "#field-year .error").contains("1999"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_says_how_to_do_the_same_elsewhere() {
    let (place, server) = form();
    let fields =
        ["taxi=yellow", "zones=a", "zones=c", "count=3", "key=hunter22", ":date=2020-03-01", ":labels=team:data"];
    let shown = filled(&server, "/flows/shop/form/run?show=true", &fields);
    let code = texts(&shown, ".commands code");
    let file = place.path("flows/form.yaml");
    assert!(code[0].starts_with(&format!("jitney run '{}'", file.display())), "{}", code[0]);
    for part in [
        "-i 'taxi=yellow'",
        "-i 'zones=[\"a\",\"c\"]'",
        "--trigger-date '2020-03-01'",
        "--label 'team=data'",
        "-i 'key='\"$SECRET\"",
    ] {
        assert!(code[0].contains(part), "{part} in {}", code[0]);
    }
    assert!(
        code[1].contains("/api/v1/executions/shop/form?scheduleDate=2020-03-01T00%3A00%3A00Z&labels=team%3Adata'"),
        "{}",
        code[1]
    );
    assert!(!shown.html.contains("hunter22"));
    let link = all(&shown, ".commands a")[0].attr("href").unwrap().to_owned();
    let linked = page(&server, &link);
    let chosen = all(&linked, "#field-zones input").into_iter().filter(|input| input.attr("checked").is_some());
    assert_eq!(chosen.map(|input| input.attr("value").unwrap().to_owned()).collect::<Vec<_>>(), ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_its_date_and_the_next_form_its_values_and_a_pause_asks_for_its_answer() {
    let (_place, server) = form();
    let execution = submit(
        &server,
        "/flows/shop/form/run",
        &["taxi=green", "zones=a", "zones=c", "count=3", "year=2021", ":date=2020-03-01"],
    );
    until_shown(&server, &execution, "paused").await;
    assert_eq!(texts(&page(&server, &execution), ".log .message")[0], "a+c 2020-03 2021-01");
    let again = page(&server, "/flows/shop/form/run");
    assert!(text(&again, ".lead").contains("the last run"));
    let year = all(&again, "#field-year input");
    assert_eq!(year[0].attr("value"), Some("2021"));
    let defaults = page(&server, "/flows/shop/form/run?defaults=true");
    assert_eq!(all(&defaults, "#field-year input")[0].attr("value"), Some("2019"));
    assert_eq!(texts(&page(&server, &execution), "#questions option"), ["", "true", "false"]);
    assert_eq!(submit(&server, &format!("{execution}/resume"), &["approved=true"]), execution);
    until_shown(&server, &execution, "success").await;
    assert_eq!(texts(&page(&server, &execution), ".log .message").last().map(String::as_str), Some("true"));
}
