//! The pages, as a browser gets them: what they say, where their links and forms lead, and what they never let through.

mod data;
mod editor;
mod execution;
mod executions;
mod flow;
mod overview;
mod partitions;
mod places;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use tl::{NodeHandle, ParserOptions, VDom};

use crate::rest::world::{Place, Server, until};

const HELLO: &str = "id: hello\nnamespace: shop\ndescription: Greets a month.\ninputs:\n  \
    - {id: month, type: SELECT, values: ['01', '02'], defaults: '01'}\n  - {id: note, type: STRING, required: false}\n\
    labels: {team: data}\ntasks:\n  - {id: greet, type: log, message: 'Hello {{ inputs.month }} {{ inputs.note }}'}\n  \
    - {id: give, type: output_values, values: {said: '{{ inputs.note }}'}}\n";

const BROKEN: &str = "id: broken\nnamespace: shop\ninputs:\n  - {id: month, type: STRING, defaults: '01'}\ntasks:\n  \
    - {id: first, type: log, message: fine}\n  - {id: stop, type: fail, errorMessage: 'column `borough` does not exist'}\n  \
    - {id: never, type: log, message: never}\n";

/// A page, read.
struct Page {
    html: String,
    document: VDom<'static>,
}

/// An element of a page.
struct Element {
    html: String,
    /// Its text, blanks folded.
    text: String,
    attributes: BTreeMap<String, String>,
}

impl Element {
    fn attr(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

fn page(server: &Server, address: &str) -> Page {
    read(address, server.curl(&[address]))
}

/// The page that an address has given.
fn read(address: &str, html: String) -> Page {
    // A test reads few pages: each stays as long as the test's process.
    let leaked = Box::leak(html.clone().into_boxed_str());
    let page = Page { document: tl::parse(leaked, ParserOptions::default()).unwrap(), html };
    for script in all(&page, "script") {
        assert!(
            script.attr("src").unwrap_or_default().starts_with("/assets/") && script.text.is_empty(),
            "{}",
            script.html
        );
    }
    for element in elements(&page, |_| true) {
        let name = element.html.trim_start_matches('<').split([' ', '>', '/']).next().unwrap_or_default().to_owned();
        assert!(!["style", "iframe", "base", "object"].contains(&name.as_str()), "{address}: {name}");
        let is_code = |attribute: &str| attribute.starts_with("on") || attribute == "style";
        assert!(!element.attributes.keys().any(|attribute| is_code(attribute)), "{address}: {}", element.html);
    }
    page
}

fn elements(page: &Page, is_meant: impl Fn(&tl::HTMLTag) -> bool) -> Vec<Element> {
    let parser = page.document.parser();
    let tags = page.document.nodes().iter().filter_map(|node| node.as_tag()).filter(|tag| is_meant(tag));
    tags.map(|tag| element(tag, parser)).collect()
}

fn element(tag: &tl::HTMLTag, parser: &tl::Parser) -> Element {
    let text = plain(&tag.inner_text(parser)).split_whitespace().collect::<Vec<_>>().join(" ");
    let pair = |(name, value): (std::borrow::Cow<str>, Option<std::borrow::Cow<str>>)| {
        (name.into_owned(), plain(&value.unwrap_or_default()))
    };
    Element { html: tag.outer_html(parser), text, attributes: tag.attributes().iter().map(pair).collect() }
}

/// A text of HTML as it is meant.
fn plain(text: &str) -> String {
    let entities = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

/// The elements that a selector finds: simple selectors, each within what the one before it has found.
fn all(page: &Page, selector: &str) -> Vec<Element> {
    let parser = page.document.parser();
    let mut parts = selector.split(' ');
    let first = page.document.query_selector(parts.next().unwrap()).unwrap();
    let mut found: Vec<_> = first.filter_map(|handle| handle.get(parser)?.as_tag()).collect();
    for part in parts {
        let inner =
            |tag: &'_ tl::HTMLTag<'static>| -> Vec<NodeHandle> { tag.query_selector(parser, part).unwrap().collect() };
        let handles: BTreeSet<u32> = found.iter().flat_map(|tag| inner(tag)).map(|handle| handle.get_inner()).collect();
        found = handles.into_iter().filter_map(|inner| NodeHandle::new(inner).get(parser)?.as_tag()).collect();
    }
    found.into_iter().map(|tag| element(tag, parser)).collect()
}

fn texts(page: &Page, selector: &str) -> Vec<String> {
    all(page, selector).into_iter().map(|element| element.text).collect()
}

#[track_caller]
fn text(page: &Page, selector: &str) -> String {
    let found = texts(page, selector);
    assert_eq!(found.len(), 1, "{selector} in {}", page.html);
    found.into_iter().next().unwrap()
}

/// Sends a form with parts; where the answer leads.
fn submit(server: &Server, address: &str, fields: &[&str]) -> String {
    send(server, address, "--form-string", fields)
}

/// Sends a form as browsers send those without files; where the answer leads.
fn enter(server: &Server, address: &str, fields: &[&str]) -> String {
    send(server, address, "--data-urlencode", fields)
}

fn send(server: &Server, address: &str, option: &str, fields: &[&str]) -> String {
    let mut arguments = vec![address, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "-X", "POST"];
    arguments.extend(fields.iter().flat_map(|field| [option, *field]));
    let answer = server.curl(&arguments);
    let (code, target) = answer.split_once(' ').unwrap();
    assert_eq!(code, "303", "{address}: {answer}");
    target.replace(&format!("http://{}", server.address), "")
}

async fn until_shown(server: &Server, address: &str, state: &str) {
    until(state, async || texts(&page(server, address), ".head .state").join(" ").contains(state)).await;
}

fn place() -> Place {
    let place = Place::new();
    place.write("flows/hello.yaml", HELLO);
    place.write("flows/broken.yaml", BROKEN);
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_is_found_run_by_its_form_and_followed_to_its_end() {
    let place = place();
    let server = place.server();
    let overview = page(&server, "/");
    assert_eq!(text(&overview, "h1"), "Overview");
    assert!(text(&overview, "main").contains("Nothing has failed"));
    let flows = page(&server, "/flows");
    assert_eq!(texts(&flows, "tbody a b"), ["broken", "hello"]);
    assert_eq!(texts(&page(&server, "/flows?q=hel"), "tbody a b"), ["hello"]);
    let flow = page(&server, "/flows/shop/hello");
    assert!(text(&flow, "main").contains("Greets a month.") && text(&flow, "pre").contains("type: output_values"));
    let form = page(&server, "/flows/shop/hello/run");
    assert_eq!(texts(&form, "select option"), ["", "01", "02"]);
    assert_eq!(all(&form, "input").iter().filter(|input| input.attr("name") == Some("note")).count(), 1);
    let execution = submit(&server, "/flows/shop/hello/run", &["month=02", "note=again"]);
    until_shown(&server, &execution, "success").await;
    let shown = page(&server, &execution);
    assert_eq!(texts(&shown, ".head .chip"), ["month=02", "note=again"]);
    assert_eq!(texts(&shown, ".log .message"), ["Hello 02 again"]);
    assert!(texts(&shown, ".timeline a")[0].ends_with("greet"), "{:?}", texts(&shown, ".timeline a"));
    assert!(text(&page(&server, &format!("{execution}?show=outputs")), "#log").contains("again"));
    assert_eq!(
        texts(&shown, ".head .actions button"),
        ["Delete", "From the beginning", "From give", "Run it alone"],
        "what may be done to one that has ended well"
    );
    let listed = page(&server, "/executions?state=SUCCESS&flowId=hello");
    assert_eq!(all(&listed, "tbody a").iter().filter(|link| link.attr("href") == Some(&execution)).count(), 1);
    assert!(text(&page(&server, "/executions?state=FAILED"), ".empty").contains("No execution matches"));
    assert_eq!(submit(&server, &format!("{execution}/delete"), &[]), "/executions");
    assert_eq!(server.code(&[&execution]), "404");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_why_and_is_restarted_from_where_it_failed() {
    let place = place();
    let server = place.server();
    let first = submit(&server, "/flows/shop/broken/run", &["month=01"]);
    let second = submit(&server, "/flows/shop/broken/run", &["month=02"]);
    for execution in [&first, &second] {
        until_shown(&server, execution, "failed").await;
    }
    let shown = page(&server, &first);
    assert_eq!(text(&shown, ".note .message"), "stop · column borough does not exist");
    assert_eq!(texts(&shown, ".timeline a"), ["✓ first", "✗ stop", "– never"]);
    assert!(texts(&shown, ".head .actions button").contains(&"Restart from stop".to_owned()));
    let overview = page(&server, "/");
    assert_eq!(texts(&overview, ".rows .state"), ["✗failed ×2"]);
    assert_eq!(text(&overview, ".rail .count"), "2");
    place.write("flows/broken.yaml", BROKEN.replace("type: fail, errorMessage", "type: log, message"));
    until("the flow is read again", async || page(&server, "/flows/shop/broken").html.contains("revision 2")).await;
    let again = submit(&server, &format!("{first}/replay"), &[]);
    assert_ne!(again, first);
    until_shown(&server, &again, "failed").await;
    assert_eq!(submit(&server, &format!("{first}/restart"), &[]), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_from_outside_are_texts_in_every_page() {
    let hostile = r#"</pre><script>alert(1)</script><img src=x onerror=alert(1)>"'&{{"#;
    let place = Place::new();
    let yaml = format!(
        "id: hello\nnamespace: shop\ndescription: |-\n  {hostile}\nlabels: {{team: \"{0}\"}}\ninputs:\n  \
         - {{id: note, type: STRING, displayName: \"{0}\", description: \"{0}\", defaults: 'x'}}\ntasks:\n  \
         - {{id: greet, type: log, message: '{{{{ inputs.note }}}}'}}\n  \
         - {{id: stop, type: fail, errorMessage: '{{{{ inputs.note }}}}'}}\n",
        hostile.replace('"', "\\\"").replace("{{", "")
    );
    place.write("flows/hello.yaml", yaml);
    place.write("flows/<b>.yaml", "id: [\n");
    let server = place.server();
    let execution = submit(&server, "/flows/shop/hello/run", &[&format!("note={hostile}")]);
    until_shown(&server, &execution, "failed").await;
    let pages = ["/", "/flows", "/flows/shop/hello", "/flows/shop/hello/run", "/executions", &execution];
    for address in pages {
        let html = page(&server, address);
        assert!(
            elements(&html, |tag| tag.name() == "img").iter().all(|image| image.attr("src") != Some("x")),
            "{address}"
        );
    }
    let shown = page(&server, &execution);
    assert!(texts(&shown, ".log .message").contains(&hostile.to_owned()));
    let queries = ["/executions?q=%22%3E%3Cscript%3E", "/flows?q=%22%3E%3Cscript%3E", "/flows/x/%3Cscript%3E"];
    for address in queries {
        page(&server, address);
    }
}

#[test]
fn pages_are_closed_to_other_sites_and_to_whoever_has_no_login() {
    let place = place();
    let server = place.server();
    let headers = server.curl(&["/", "-o", "/dev/null", "-D", "-"]).to_lowercase();
    for expected in
        ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "cache-control: no-store"]
    {
        assert!(headers.contains(expected), "{headers}");
    }
    let link = ["-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: document"];
    let visit = |address| server.code(&[&[address][..], &link].concat());
    assert_eq!(visit("/flows"), "200", "a link of another site is followed");
    assert_eq!(visit("/api/v1/flows/search"), "403");
    let start = ["/flows/shop/hello/run", "-F", "month=01"];
    assert_eq!(server.code(&[&start[..], &link].concat()), "403", "a form of another site is not");
    assert_eq!(server.code(&[&start[..], &["-H", "Origin: http://evil.example"]].concat()), "403");
    drop(server);
    let variables = [("JITNEY_USER", "ada@example.com"), ("JITNEY_PASSWORD", "hunter22hunter22")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let server = Place { variables, ..place }.server();
    for address in ["/", "/flows", "/executions", "/live?all"] {
        assert_eq!(server.code(&[address]), "401", "{address}");
    }
    assert_eq!(server.code(&["/", "-u", "ada@example.com:hunter22hunter22"]), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_shown_in_windows_and_searched_by_the_server() {
    let place = Place::new();
    let lines = "for i in $(seq 1 1200); do echo \"line $i\"; done";
    let task = format!("{{id: talk, type: shell.commands, commands: ['{}']}}", lines.replace('\'', "''"));
    place.write("flows/talk.yaml", format!("id: talk\nnamespace: shop\ntasks:\n  - {task}\n"));
    let server = place.server();
    let execution = submit(&server, "/flows/shop/talk/run", &[]);
    until_shown(&server, &execution, "success").await;
    let shown = page(&server, &execution);
    let messages = texts(&shown, ".log .message");
    assert_eq!((messages.len(), messages.last().map(String::as_str)), (500, Some("line 1200")));
    let earlier = all(&shown, ".pages a")[0].attr("href").unwrap().to_owned();
    let before = page(&server, &format!("{execution}{}", earlier.trim_end_matches("#log")));
    assert_eq!(texts(&before, ".log .message").last().map(String::as_str), Some("line 700"));
    let found = page(&server, &format!("{execution}?q=LINE+77&level=INFO"));
    assert_eq!(texts(&found, ".log .message").len(), 11, "line 77 and 770 to 779");
    assert!(texts(&page(&server, &format!("{execution}?level=ERROR")), ".log .message").is_empty());
    for place in
        ["line", "before", "after"].iter().flat_map(|name| [i64::MIN, -1, 0, i64::MAX].map(|at| format!("{name}={at}")))
    {
        assert_eq!(server.code(&[&format!("{execution}?{place}")]), "200", "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_hears_when_what_it_shows_changes() {
    let place = place();
    place.write("flows/rest.yaml", "id: rest\nnamespace: shop\ntasks:\n  - {id: p, type: pause}\n");
    let server = place.server();
    let execution = submit(&server, "/flows/shop/rest/run", &[]);
    until_shown(&server, &execution, "paused").await;
    let id = execution.rsplit('/').next().unwrap().to_owned();
    let listen = |query: String| {
        let address = format!("http://{}/live?{query}", server.address);
        Command::new("curl")
            .args(["-sN", "--max-time", "4", &address])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let own = listen(format!("execution={id}"));
    let other = listen("execution=another".to_owned());
    let list = listen("namespace=shop&flow=rest".to_owned());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    submit(&server, &format!("{execution}/resume"), &[]);
    let heard = |child: std::process::Child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(heard(own).contains("event: change\ndata: changed\n\n"));
    assert!(heard(list).contains("event: change\ndata: changed\n\n"));
    assert!(!heard(other).contains("event: change"));
}

#[tokio::test(flavor = "multi_thread")]
async fn months_are_backfilled_after_a_preview_and_shown_in_the_grid() {
    let place = Place::new();
    place.write(
        "flows/months.yaml",
        "id: months\nnamespace: shop\ninputs:\n  - {id: taxi, type: SELECT, values: [green, yellow], defaults: green}\n\
         triggers:\n  - {id: monthly, type: schedule, cron: '@monthly', disabled: true}\ntasks:\n  \
         - {id: load, type: log, message: '{{ inputs.taxi }} {{ trigger.date | date(\"yyyy-MM\") }}'}\n",
    );
    let server = place.server();
    let address = "/flows/shop/months/partitions?from=2019-01&to=2019-12";
    let grid = page(&server, address);
    assert_eq!(texts(&grid, ".panel h2"), ["green", "yellow"]);
    assert_eq!(all(&grid, "#column-green .cell.none").len(), 12);
    let backfill = all(&grid, "#column-green a.primary")[0].attr("href").unwrap().to_owned();
    assert!(backfill.contains("inputs=taxi%3Agreen") && backfill.contains("from=2019-01"), "{backfill}");
    let preview = page(&server, &backfill.replace("to=2019-12", "to=2019-03").replace("?", "?only=all&"));
    assert_eq!(texts(&preview, "tbody td.mono"), ["2019-01", "2019-02", "2019-03"]);
    assert_eq!(text(&preview, "button.primary"), "Run 3 of 3");
    let fields: Vec<String> = all(&preview, "form.pages input")
        .iter()
        .map(|input| format!("{}={}", input.attr("name").unwrap(), input.attr("value").unwrap()))
        .collect();
    let mut arguments = vec!["/flows/shop/months/backfill", "-o", "/dev/null", "-w", "%{http_code}"];
    arguments.extend(fields.iter().flat_map(|field| ["--data-urlencode", field.as_str()]));
    assert_eq!(server.curl(&arguments), "303");
    until("three months ran", async || all(&page(&server, address), "#column-green .cell.ok").len() == 3).await;
    let cell = format!("{address}&cell=green%7C2019-02");
    let details = page(&server, &cell);
    assert_eq!(text(&details, "aside h2"), "green 2019-02");
    assert_eq!(
        all(&details, "aside a")
            .iter()
            .filter(|link| link.attr("href").is_some_and(|to| to.starts_with("/executions/")))
            .count(),
        2
    );
    assert_eq!(all(&details, ".cell").iter().filter(|cell| cell.attr("aria-current").is_some()).count(), 1);
}

#[test]
fn files_of_pages_are_packed_and_kept_as_long_as_they_are_the_same() {
    let server = place().server();
    let html = page(&server, "/");
    let style = all(&html, "link")
        .iter()
        .find(|link| link.attr("rel") == Some("stylesheet"))
        .unwrap()
        .attr("href")
        .unwrap()
        .to_owned();
    let headers = server.curl(&[&style, "-o", "/dev/null", "-D", "-", "-H", "Accept-Encoding: gzip"]).to_lowercase();
    for expected in ["content-encoding: gzip", "immutable", "text/css"] {
        assert!(headers.contains(expected), "{headers}");
    }
    let old = server.curl(&["/assets/0123/style.css", "-o", "/dev/null", "-D", "-"]).to_lowercase();
    assert!(old.contains("200 ok") && old.contains("cache-control: no-store"), "{old}");
    assert_eq!(server.code(&["/assets/0123/none.css"]), "404");
}
