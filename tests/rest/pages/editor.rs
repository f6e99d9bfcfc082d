//! The editor: what it says of a text, what it saves and what it does not, and files that are imported.

use std::fs;

use super::{HELLO, all, page, place, text, texts};
use crate::rest::world::{Place, Server};

const EDIT: &str = "/flows/shop/hello/edit";

/// The fields of the editor's form as it is in a page.
fn base(server: &Server, address: &str) -> String {
    let shown = page(server, address);
    let fields = all(&shown, "#editor input");
    let base = fields.iter().find(|field| field.attr("name") == Some("base")).unwrap();
    base.attr("value").unwrap_or_default().to_owned()
}

/// Sends the editor's form; the code of the answer, and what it is or where it leads.
fn post(server: &Server, address: &str, fields: &[(&str, &str)]) -> (String, String) {
    let mut arguments = vec![address.to_owned(), "-w".to_owned(), "\n%{http_code} %{redirect_url}".to_owned()];
    for (name, value) in fields {
        arguments.extend(["--data-urlencode".to_owned(), format!("{name}={value}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = server.curl(&arguments);
    let (body, rest) = answer.rsplit_once('\n').unwrap();
    let (code, target) = rest.split_once(' ').unwrap();
    (
        code.to_owned(),
        if target.is_empty() { body.to_owned() } else { target.replace(&format!("http://{}", server.address), "") },
    )
}

/// As a browser sends a text.
fn typed(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[test]
fn a_flow_is_edited_by_a_form_and_keeps_what_was_not_edited_byte_for_byte() {
    let place = place();
    let file = place.path("flows/hello.yaml");
    let commented = format!("# First\r\n{}\n  # last, without an end", HELLO.trim_end().replace('\n', "  # kept\r\n"));
    fs::write(&file, &commented).unwrap();
    let server = place.server();
    let shown = page(&server, EDIT);
    assert_eq!(text(&shown, "#verdict"), "✓valid");
    assert!(text(&shown, "textarea").starts_with("# First id: hello"));
    assert_eq!(texts(&shown, "#topology .name"), ["greet", "give"]);
    let began = base(&server, EDIT);
    let edited = typed(&commented.replace("\r\n", "\n").replace("Greets a month.", "Greets the month."));
    let (code, to) = post(&server, EDIT, &[("base", &began), ("text", &edited), ("do", "save")]);
    assert_eq!((code.as_str(), to.as_str()), ("303", "/flows/shop/hello/edit?saved=true"));
    assert_eq!(fs::read_to_string(&file).unwrap(), commented.replace("Greets a month.", "Greets the month."));
    assert!(text(&page(&server, &to), "#outcome").contains("Saved to"));
    assert!(page(&server, "/flows/shop/hello").html.contains("revision 2"));
}

#[test]
fn a_text_with_errors_is_not_saved_and_each_is_shown_with_its_place_and_fix() {
    let place = place();
    let server = place.server();
    let began = base(&server, EDIT);
    let wrong = HELLO.replace("inputs.month }}", "inputs.mnth }}").replace("tasks:", "taks:");
    let (code, html) = post(&server, EDIT, &[("base", &began), ("text", &typed(&wrong)), ("do", "save")]);
    assert_eq!(code, "422");
    assert!(html.contains("It was not saved") && html.contains("did you mean <code>tasks</code>?"), "{html}");
    assert_eq!(fs::read_to_string(place.path("flows/hello.yaml")).unwrap(), HELLO);
    let (code, html) = post(&server, EDIT, &[("base", &began), ("text", &typed(&wrong)), ("do", "fix 8 1 5 tasks")]);
    assert!(code == "200" && html.contains("\ntasks:\n") && !html.contains("\ntaks:\n"), "{html}");
    let diagnosed = post(&server, "/editor/diagnose", &[("text", &wrong.replace("taks:", "tasks:"))]).1;
    assert!(diagnosed.contains("data-fix=\"9 ") && diagnosed.contains(" month\""), "{diagnosed}");
    let renamed = typed(&HELLO.replace("id: hello", "id: other"));
    let (code, html) = post(&server, EDIT, &[("base", &began), ("text", &renamed), ("do", "save")]);
    assert!(code == "422" && html.contains("save it as a new flow"), "{html}");
    assert!(!place.path("flows/shop/other.yaml").exists());
}

#[test]
fn a_change_on_disk_or_in_another_tab_is_shown_and_not_lost() {
    let place = place();
    let file = place.path("flows/hello.yaml");
    let server = place.server();
    let began = base(&server, EDIT);
    let mine = typed(&HELLO.replace("Greets a month.", "Mine."));
    let theirs = HELLO.replace("Greets a month.", "Theirs <b>.");
    assert_eq!(post(&server, EDIT, &[("base", &began), ("text", &typed(&theirs))]).0, "303");
    let (code, html) = post(&server, EDIT, &[("base", &began), ("text", &mine), ("do", "save")]);
    assert_eq!(code, "409");
    assert!(html.contains("description: Theirs &#60;b&#62;.") && html.contains("description: Mine."), "{html}");
    assert_eq!(fs::read_to_string(&file).unwrap(), theirs);
    let overwrite = html.split("value=\"overwrite ").nth(1).unwrap().split('"').next().unwrap();
    fs::write(&file, theirs.replace("Theirs", "Later")).unwrap();
    let fields = [("base", began.as_str()), ("text", &mine), ("do", &format!("overwrite {overwrite}"))];
    assert_eq!(post(&server, EDIT, &fields).0, "409", "what came after the comparison is not overwritten either");
    fs::write(&file, &theirs).unwrap();
    assert_eq!(post(&server, EDIT, &fields).0, "303");
    assert_eq!(fs::read_to_string(&file).unwrap(), HELLO.replace("Greets a month.", "Mine."));
}

#[test]
fn a_new_flow_comes_from_a_template_or_a_paste_and_no_other_is_overwritten() {
    let place = place();
    let server = place.server();
    let shown = page(&server, "/flows/new");
    assert!(texts(&shown, ".begin a").contains(&"postgres_taxi".to_owned()));
    let template = page(&server, "/flows/new?template=postgres_taxi");
    assert!(text(&template, "textarea").contains("id: postgres_taxi"));
    assert_eq!(server.code(&["/flows/new?template=none"]), "404");
    let (code, html) = post(&server, "/flows/new", &[("text", &typed(HELLO))]);
    assert!(code == "409" && html.contains("There is a flow shop.hello already"), "{html}");
    let kestra = "id: told\nnamespace: zoomcamp\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n";
    let (code, to) = post(&server, "/flows/new", &[("text", &typed(kestra))]);
    assert_eq!((code.as_str(), to.as_str()), ("303", "/flows/zoomcamp/told/edit?saved=true"));
    assert_eq!(fs::read_to_string(place.path("flows/zoomcamp/told.yaml")).unwrap(), kestra);
}

#[test]
fn what_may_be_written_and_what_stands_somewhere_comes_from_the_registry() {
    let server = place().server();
    let flow = "id: a\nnamespace: b\ninputs:\n  - id: month\n    type: STRING\ntasks:\n  - id: get\n    type: http.download\n    \
                uri: x\n  - id: load\n    type: postgres.load\n    from: \"{{ outputs.get. }}\"\n    mode: \n    \n";
    let labels = |line: &str, column: &str| -> Vec<String> {
        let answer = post(&server, "/editor/complete", &[("text", flow), ("line", line), ("column", column)]).1;
        let answer: serde_json::Value =
            serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        answer["candidates"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap().to_owned()).collect()
    };
    let outputs = labels("12", "27");
    assert!(outputs.contains(&"uri".to_owned()) && !outputs.contains(&"table".to_owned()), "{outputs:?}");
    assert!(labels("13", "11").contains(&"append".to_owned()), "{:?}", labels("13", "11"));
    let keys = labels("14", "5");
    assert!(keys[0] == "table" && keys.contains(&"retry".to_owned()) && !keys.contains(&"from".to_owned()), "{keys:?}");
    assert!(labels("8", "11").contains(&"postgres.load".to_owned()));
    assert!(labels("5", "11").contains(&"SELECT".to_owned()));
    let reported = |line: &str, column: &str| {
        post(&server, "/editor/describe", &[("text", flow), ("line", line), ("column", column)]).1
    };
    let shown = reported("12", "6");
    assert!(shown.contains("<h2>postgres.load</h2>") && shown.contains("<p><code>from</code>"), "{shown}");
    assert!(reported("1", "2").contains("unique in its namespace"));
    assert!(reported("4", "8").contains("<code>id</code>"));
}

#[test]
fn a_folder_of_flows_is_imported_and_each_file_has_its_verdict() {
    let place = place();
    let kestra = "id: told\nnamespace: zoomcamp\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n";
    let files = [
        ("told.yaml", kestra.to_owned()),
        ("two.yml", format!("{}---\n{}", kestra.replace("told", "one"), kestra.replace("told", "two"))),
        ("wrong.yaml", kestra.replace("id: told", "id: wrong").replace("core.log.Log", "core.log.Lgo")),
        ("hello.yaml", HELLO.replace("Greets", "Replaces")),
        ("notes.txt", "nothing".to_owned()),
    ];
    let from = Place::new();
    let arguments: Vec<String> = files
        .iter()
        .flat_map(|(name, text)| ["-F".to_owned(), format!("files=@{}", from.write(name, text).display())])
        .collect();
    let server = place.server();
    let import = |more: &[&str]| {
        let mut all = vec!["/flows/import"];
        all.extend(arguments.iter().map(String::as_str));
        all.extend(more);
        server.curl(&all)
    };
    let report = import(&[]);
    assert!(
        report.contains("3 of 6 imported")
            && report.contains("unknown task type")
            && report.contains("end in .yaml or .yml"),
        "{report}"
    );
    assert!(report.contains("there is a flow of this name already"));
    assert_eq!(fs::read_to_string(place.path("flows/zoomcamp/told.yaml")).unwrap(), kestra);
    assert!(place.path("flows/zoomcamp/two.yaml").exists() && !place.path("flows/zoomcamp/wrong.yaml").exists());
    assert_eq!(fs::read_to_string(place.path("flows/hello.yaml")).unwrap(), HELLO);
    let again = import(&["-F", "replace=true"]);
    assert!(again.contains("1 of 6 imported") && again.contains("unchanged") && again.contains("replaced"), "{again}");
    assert!(fs::read_to_string(place.path("flows/hello.yaml")).unwrap().contains("Replaces"));
}

#[test]
fn a_task_is_edited_by_a_form_and_the_text_keeps_its_comments() {
    let place = place();
    let file = place.path("flows/hello.yaml");
    let flow = "# Mine\nid: hello  # name\nnamespace: shop\ntasks:\n  # Says it\n  - id: greet   # kind\n    type: log\n    \
                message: 'Hello'  # words\n\n  - {id: end, type: sleep, duration: 1s}\n";
    fs::write(&file, flow).unwrap();
    let server = place.server();
    let shown = page(&server, "/flows/shop/hello/edit?view=form&task=tasks/0");
    assert_eq!(texts(&shown, ".tasks b"), ["greet", "end"]);
    assert_eq!(text(&shown, "#task h2"), "greet");
    let began = base(&server, EDIT);
    let post_form = |text: &str, fields: &[(&str, &str)]| {
        let mut all = vec![("base", began.as_str()), ("text", text), ("view", "form"), ("task", "tasks/0")];
        all.extend(fields);
        post(&server, EDIT, &all)
    };
    let of = |html: &str| -> String {
        let rest = html.split("<textarea name=\"text\" hidden>\n").nth(1).unwrap_or_else(|| panic!("{html}"));
        super::plain(rest.split("</textarea>").next().unwrap())
    };
    let changed =
        of(&post_form(&typed(flow), &[("do", "apply"), ("field.message", "It's me"), ("field.timeout", "5m")]).1);
    assert_eq!(changed, flow.replace("'Hello'", "'It''s me'").replace("# words\n", "# words\n    timeout: 5m\n"));
    let moved = of(&post_form(&typed(flow), &[("do", "down tasks/0")]).1);
    assert!(moved.find("id: end").unwrap() < moved.find("# Says it\n  - id: greet   # kind").unwrap(), "{moved}");
    let added = of(&post_form(&typed(flow), &[("do", "add"), ("kind", "sleep")]).1);
    assert_eq!(added, format!("{flow}\n  - id: sleep\n    type: sleep\n    duration: 15s\n"));
    assert_eq!(
        of(&post_form(&typed(flow), &[("do", "remove tasks/1")]).1),
        flow.split("\n  - {id: end").next().unwrap()
    );
    let broken = post_form("id: [", &[("do", "apply"), ("field.message", "x")]).1;
    assert!(broken.contains("role=\"alert\""), "{broken}");
    let (code, to) = post_form(&typed(flow), &[("do", "save"), ("field.message", "Saved")]);
    assert_eq!((code.as_str(), to.as_str()), ("303", "/flows/shop/hello/edit?saved=true&view=form&task=tasks%2F0"));
    assert_eq!(fs::read_to_string(&file).unwrap(), flow.replace("'Hello'", "'Saved'"));
    assert!(page(&server, EDIT).html.contains("<span class=\"tab\" aria-current=\"page\">YAML</span>"));
}
