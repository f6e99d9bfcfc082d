//! Files of the server's machine: no value from outside names one, whichever task, field and way in.

use std::collections::BTreeSet;

use jitney::tasks;
use serde_json::{Value, json};

use crate::rest::world::{Place, Server};

const SECRET: &str = "of the server alone";

/// A place with a file that is nobody's business.
fn place() -> (Place, String) {
    let place = Place::new();
    let secret = place.write("secret.txt", SECRET).display().to_string();
    place.write("flows/beside.txt", "beside the flow");
    std::os::unix::fs::symlink(&secret, place.path("flows/link.txt")).unwrap();
    (place, secret)
}

/// A flow of one task with an input `path`.
fn flow(id: &str, task: &Value) -> String {
    let inputs = json!([{"id": "path", "type": "STRING", "required": false}]);
    json!({"id": id, "namespace": "n", "inputs": inputs, "tasks": [task]}).to_string()
}

fn run(server: &Server, flow: &str, path: &str) -> Value {
    server.json(&[&format!("/api/v1/executions/n/{flow}?wait=true"), "--form-string", &format!("path={path}")])
}

/// The execution once it has ended.
fn ended(server: &Server, execution: &Value) -> Value {
    let id = execution["id"].as_str().unwrap_or_else(|| panic!("{execution}"));
    server.curl(&[&format!("/api/v1/executions/{id}/follow")]);
    server.get(&format!("/api/v1/executions/{id}"))
}

/// The log of an execution, which must have failed without a word of the secret.
#[track_caller]
fn error_of(server: &Server, execution: &Value) -> String {
    let id = execution["id"].as_str().unwrap_or_else(|| panic!("{execution}"));
    assert_eq!(execution["state"]["current"], "FAILED", "{execution}");
    let logs = server.curl(&[&format!("/api/v1/logs/{id}")]);
    assert!(!format!("{execution}{logs}").contains(SECRET), "{execution}{logs}");
    logs
}

#[track_caller]
fn refused(server: &Server, execution: &Value) {
    let error = error_of(server, execution);
    assert!(error.contains("is not written in the flow") || error.contains("which a server does not read"), "{error}");
    let runs = execution["taskRunList"].as_array().into_iter().flatten();
    let helps = runs.filter_map(|run| run["help"].as_str()).collect::<Vec<_>>().concat();
    assert!(!error.contains("is not written in the flow") || helps.contains("JITNEY_FILE_ROOTS"), "{execution}");
}

#[track_caller]
fn allowed(execution: &Value) {
    assert_eq!(execution["state"]["current"], "SUCCESS", "{execution}");
}

/// What a field is written like that names the file of an input.
fn value_of(task: &str, field: &str) -> Value {
    const PATH: &str = "{{ inputs.path }}";
    match (task, field) {
        ("duckdb.query", "url") => json!(format!("jdbc:duckdb:{PATH}")),
        (_, "url") => json!(format!("postgres://u:p@127.0.0.1:1/d?sslmode=verify-full&sslrootcert={PATH}")),
        (_, "inputFiles" | "dependencies") => json!([PATH]),
        (_, "formData") => json!({"f": format!("file://{PATH}")}),
        ("ai.chat", "messages") => json!([{"type": "USER", "contentBlocks": [{"type": "IMAGE", "uri": PATH}]}]),
        (_, "taskRunner") => json!({"type": "docker", "volumes": [format!("{PATH}:/there")]}),
        _ => json!(PATH),
    }
}

/// The example of a task type, with nothing in it that other tasks would have to give.
fn example(task: &jitney::task::TaskType) -> Value {
    fn plain(value: &mut Value) {
        match value {
            Value::String(text) if text.contains("{{") => *text = "beside.txt".to_owned(),
            Value::Array(items) => items.iter_mut().for_each(plain),
            Value::Object(map) => map.values_mut().for_each(plain),
            _ => {}
        }
    }
    let mut example = jitney::flow::from_yaml(task.example).unwrap()[0].clone();
    plain(&mut example);
    example
}

#[test]
fn no_task_field_accepts_an_external_path() {
    let (mut place, secret) = place();
    let mut all = Vec::new();
    for task in tasks::ALL {
        for field in task.files {
            let mut fields = example(task);
            for other in ["sql", "script", "commands"].iter().filter(|_| *field == "file") {
                fields.as_object_mut().unwrap().remove(*other);
            }
            for other in task.files.iter().filter(|other| *other != field && !["from", "items"].contains(*other)) {
                fields.as_object_mut().unwrap().remove(*other);
            }
            match (task.name, *field) {
                ("http.request", _) => fields["contentType"] = json!("multipart/form-data"),
                ("bigquery.load", _) => {
                    let from = if *field == "file" { "gs://bucket/object.csv" } else { "beside.txt" };
                    fields["from"] = json!(from);
                    fields.as_object_mut().unwrap().remove("mode");
                    // Only a load with a mode has a `file`.
                    if *field == "file" {
                        fields["mode"] = json!("append");
                        fields["schema"] = json!([{"name": "a", "type": "STRING"}]);
                    }
                }
                _ => {}
            }
            fields["id"] = json!("reads");
            fields[*field] = value_of(task.name, field);
            let id = format!("{}-{field}", task.name.replace('.', "-"));
            place.write(&format!("flows/{id}.yaml"), flow(&id, &fields));
            all.push((task.name, *field, id));
        }
    }
    // A form is sent to a server, so `uri` stays.
    let form = json!({"id": "reads", "type": "http.download", "uri": "http://127.0.0.1:9/", "method": "POST",
        "formData": {"a": "file://{{ inputs.path }}"}});
    place.write("flows/form.yaml", flow("form", &form));
    all.push(("http.download", "formData", "form".to_owned()));
    let refuse = |server: &Server, is_wanted: fn(&str) -> bool| {
        for (task, field, id) in all.iter().filter(|(_, field, _)| is_wanted(field)) {
            let error = error_of(server, &run(server, id, &secret));
            let named = format!("task `reads`, field `{field}`");
            let field = if *field == "taskRunner" { "task `reads`, field `volumes`" } else { &named };
            assert!(error.contains(field) && error.contains("secret.txt"), "{task}: {error}");
        }
    };
    refuse(&place.server(), |field| field == "service_account");
    // Nobody logs in to an emulator, and nothing answers here.
    let emulators = ["STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"];
    place.variables.extend(emulators.map(|name| (name.to_owned(), "http://127.0.0.1:9".to_owned())));
    place.variables.push(("GOOGLE_CLOUD_PROJECT".to_owned(), "p".to_owned()));
    refuse(&place.server(), |field| field != "service_account");
    assert!(all.len() > 30, "{}", all.len());
}

/// Task types say themselves which of their fields name files; none may forget one.
#[test]
fn every_file_field_of_a_task_is_declared() {
    let mut declared: BTreeSet<&str> = tasks::ALL.iter().flat_map(|task| task.files.iter().copied()).collect();
    // A loop takes addresses in storage alone.
    declared.insert("values");
    let (mut folders, mut found) = (vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tasks")], 0);
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for call in text.split("input_file(\"").skip(1) {
            let field = call.split('"').next().unwrap();
            assert!(declared.contains(field), "{}: {field}", path.display());
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn external_paths_are_rejected_in_every_spelling() {
    let (place, secret) = place();
    let task = json!({"id": "reads", "type": "http.download", "uri": "{{ inputs.path }}"});
    place.write("flows/reads.yaml", flow("reads", &task));
    place.write(
        "flows/relative.yaml",
        flow("relative", &json!({"id": "reads", "type": "return", "format": "{{ read(inputs.path) }}"})),
    );
    place.write("home/uploads/someone/theirs.txt", SECRET);
    let server = place.server();
    let name = secret.trim_start_matches('/');
    let journal = place.path("home/journal.db").display().to_string();
    let upload = place.path("home/uploads/someone/theirs.txt").display().to_string();
    let paths = [
        secret.clone(),
        format!("file://{secret}"),
        format!("//{name}"),
        format!("/./{name}"),
        format!("file:///proc/self/root/{name}"),
        format!("/proc/self/cwd/../{name}"),
        format!("{secret}/."),
        "../secret.txt".to_owned(),
        "./x/../../secret.txt".to_owned(),
        "link.txt".to_owned(),
        "/proc/self/environ".to_owned(),
        "/dev/stdin".to_owned(),
        "/sys/kernel/notes".to_owned(),
        "/nowhere/at/all".to_owned(),
        journal,
        upload,
        "../home/journal.db".to_owned(),
    ];
    for path in &paths {
        refused(&server, &run(&server, "reads", path));
    }
    // These name no file, or another one, and say nothing of this one.
    let others = [
        format!("FILE://{secret}"),
        format!("file:{secret}"),
        format!("file://localhost{secret}"),
        format!("file://{}", secret.replace('s', "%73")),
        format!("jitney:///../../{name}"),
        "beside.txt.".to_owned(),
    ];
    for path in &others {
        error_of(&server, &run(&server, "reads", path));
    }
    for path in paths.iter().chain(&others) {
        error_of(&server, &run(&server, "relative", path));
    }
    allowed(&run(&server, "reads", "beside.txt"));
    allowed(&run(&server, "reads", &place.path("flows/beside.txt").display().to_string()));
}

const WAYS: &str = "id: ways
namespace: n
inputs:
  - {id: text, type: STRING, required: false}
  - {id: address, type: URI, required: false}
  - {id: map, type: JSON, required: false}
  - {id: late, type: STRING, defaults: \"{{ inputs.text }}\", required: false}
tasks:
  - {id: kept, type: kv.get, key: place, errorOnMissing: false}
  - {id: said, type: shell.commands, commands: [\"echo '::{\\\"outputs\\\": {\\\"place\\\": \\\"SECRET\\\"}}::'\"]}
  - id: reads
    type: http.download
    uri: \"{{ WAY }}\"
triggers:
  - {id: call, type: webhook, key: aLongKeyOfTwentyOnes}
";

#[test]
fn external_paths_are_rejected_in_every_kind_of_request() {
    let (place, secret) = place();
    let ways = [
        ("text", "inputs.text"),
        ("address", "inputs.address"),
        ("map", "inputs.map.at"),
        ("late", "inputs.late"),
        ("label", "labels.place"),
        ("kv", "kv('place')"),
        ("output", "outputs.said.vars.place"),
        ("body", "trigger.body.at"),
        ("variable", "render(vars.at)"),
        ("loops", "taskrun.value"),
    ];
    for (id, way) in ways {
        let mut text = WAYS.replace("id: ways", &format!("id: {id}")).replace("WAY", way).replace("SECRET", &secret);
        text += "variables: {at: \"{{ inputs.text }}\"}\n";
        if id == "loops" {
            let looped = "  - id: each\n    type: for_each\n    values: [\"{{ inputs.text }}\"]\n    tasks:\n      - {id: reads, type: http.download, uri: \"{{ taskrun.value }}\"}\ntriggers:";
            let (head, tail) = text.split_once("  - id: reads").unwrap();
            text = format!("{head}{looped}{}", tail.split_once("triggers:").unwrap().1);
        }
        place.write(&format!("flows/{id}.yaml"), text);
    }
    let server = place.server();
    server.curl(&[
        "/api/v1/namespaces/n/kv/place",
        "-X",
        "PUT",
        "-H",
        "Content-Type: application/json",
        "-d",
        &json!(secret).to_string(),
    ]);
    for (id, _) in ways {
        let execution = match id {
            "body" => {
                let body = json!({"at": secret}).to_string();
                server.json(&[
                    "/api/v1/executions/webhook/n/body/aLongKeyOfTwentyOnes?wait=true",
                    "-X",
                    "POST",
                    "-d",
                    &body,
                ])
            }
            "label" => {
                server.json(&[&format!("/api/v1/executions/n/label?wait=true&labels=place:{secret}"), "-X", "POST"])
            }
            _ => server.json(&[
                &format!("/api/v1/executions/n/{id}?wait=true"),
                "--form-string",
                &format!("text={secret}"),
                "--form-string",
                &format!("address=file://{secret}"),
                "--form-string",
                &format!("map={}", json!({"at": secret})),
            ]),
        };
        let execution = ended(&server, &execution);
        refused(&server, &execution);
        // What failed is refused when it is repeated, too.
        let id = execution["id"].as_str().unwrap();
        server.json(&[&format!("/api/v1/executions/{id}/restart"), "-X", "POST"]);
        refused(&server, &ended(&server, &execution));
        if execution["flowId"] == "body" {
            continue;
        }
        let again = server.json(&[&format!("/api/v1/executions/{id}/replay"), "-X", "POST"]);
        refused(&server, &ended(&server, &again));
        // The user on the command line resumes with what others gave.
        let resumed = place.command(&["resume", id]).output().unwrap();
        assert!(!resumed.status.success(), "{id}");
    }
}

#[test]
fn paths_written_in_the_flow_are_read() {
    let (mut place, secret) = place();
    let shared = place.write("shared/a b.txt", "shared").display().to_string();
    std::fs::create_dir_all(place.path("shared/deep")).unwrap();
    std::os::unix::fs::symlink(&secret, place.path("shared/link.txt")).unwrap();
    place.variables.push(("JITNEY_FILE_ROOTS".to_owned(), place.path("shared").display().to_string()));
    let folder = place.folder.path().display().to_string();
    let reads = |uri: &str| format!("tasks:\n  - {{id: reads, type: http.download, uri: \"{uri}\"}}\n");
    let input = |more: &str| format!("inputs: [{{id: at, type: STRING, {more}}}]\n");
    let flows = [
        ("whole", reads(&secret)),
        ("uri", reads(&format!("file://{secret}"))),
        ("above", reads("../secret.txt")),
        ("linked", reads("link.txt")),
        ("variable", format!("variables: {{folder: {folder}}}\n{}", reads("{{ vars.folder }}/secret.txt"))),
        ("default", input(&format!("defaults: {secret}")) + &reads("{{ inputs.at }}")),
        (
            "choice",
            input("defaults: x").replace("STRING, defaults: x", "SELECT, values: [secret, other], defaults: other")
                + &reads("../{{ inputs.at }}.txt"),
        ),
        ("optional", input("required: false") + &reads(&format!("{{{{ inputs.at ?? '{secret}' }}}}"))),
        (
            "looped",
            "tasks:\n  - id: each\n    type: for_each\n    values: [secret]\n    tasks:\n      - {id: reads, type: http.download, uri: \"../{{ taskrun.value }}.txt\"}\n".to_owned(),
        ),
        (
            "moment",
            "tasks:\n  - {id: reads, type: http.download, uri: \"../{{ trigger.date | date('yyyy') }}.txt\"}\n".to_owned(),
        ),
        (
            "file",
            format!(
                "inputs: [{{id: f, type: FILE, defaults: {secret}}}]\ntasks:\n  - {{id: reads, type: http.download, uri: \"{{{{ inputs.f }}}}\"}}\n"
            ),
        ),
        (
            "parent",
            format!(
                "tasks:\n  - {{id: sub, type: subflow, namespace: n, flowId: child, wait: true, transmitFailed: true, inputs: {{f: {secret}}}}}\n"
            ),
        ),
        (
            "child",
            "inputs: [{id: f, type: FILE}]\ntasks:\n  - {id: reads, type: return, format: \"{{ read(inputs.f) }}\"}\n"
                .to_owned(),
        ),
        ("given", input("required: false") + &reads("{{ inputs.at }}")),
    ];
    for (id, rest) in &flows {
        place.write(&format!("flows/{id}.yaml"), format!("id: {id}\nnamespace: n\n{rest}"));
    }
    place.write("2019.txt", "a year");
    let server = place.server();
    let start = |id: &str, more: &[&str]| {
        let address = format!("/api/v1/executions/n/{id}?wait=true&scheduleDate=2019-01-01T00:00:00Z");
        server.json(&[&[address.as_str(), "-X", "POST"], more].concat())
    };
    for (id, _) in flows.iter().filter(|(id, _)| !["child", "choice", "given"].contains(id)) {
        allowed(&start(id, &[]));
    }
    allowed(&start("choice", &["-F", "at=secret"]));
    allowed(&start("given", &["--form-string", &format!("at={shared}")]));
    allowed(&start("given", &["--form-string", &format!("at=file://{shared}")]));
    for path in ["shared/link.txt", "shared/../secret.txt", "shared/deep/../../secret.txt", "shared2/x"] {
        refused(&server, &start("given", &["--form-string", &format!("at={folder}/{path}")]));
    }
    // A value of the same kind that the flow does not have is refused, and nothing runs for one that is a file.
    refused(&server, &start("default", &["-F", "at=/etc/hostname"]));
    refused(&server, &start("optional", &["-F", "at=/etc/hostname"]));
    // On the command line they are the user's own files.
    let local = place.command(&["run", "flows/given.yaml", "-i", &format!("at={secret}")]).output().unwrap();
    assert!(local.status.success(), "{}", String::from_utf8_lossy(&local.stderr));
}

/// Everything below a folder but the server's own state, with what it holds.
fn outside(place: &Place) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let (mut folders, mut found) = (vec![place.folder.path().to_owned()], std::collections::BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap()) {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && entry.path() == place.path("home") => {}
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_symlink() => drop(found.insert(entry.path(), Vec::new())),
                _ => drop(found.insert(entry.path(), std::fs::read(entry.path()).unwrap())),
            }
        }
    }
    found
}

/// A zip archive whose only file has this name.
fn zip_of(name: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, b"a\n1\n").unwrap();
    zip.finish().unwrap().into_inner()
}

/// Flows that write a file under a name from outside, `{{ inputs.path }}`; what they say of one that leads out.
fn writers(outside: &str) -> Vec<(&'static str, Value, &'static str)> {
    const PATH: &str = "{{ inputs.path }}";
    const PLAIN: &str = "is not a plain file name";
    const NAMED: &str = "is not a valid name for a file in the working folder";
    let reject = json!({"reject": {"max": 1, "file": PATH}});
    let shell = |commands: &str, more: Value| {
        let mut task = json!({"type": "shell.commands", "commands": [commands]});
        more.as_object().unwrap().iter().for_each(|(key, value)| task[key] = value.clone());
        task
    };
    let within = |tasks: Value, more: Value| {
        let mut task = json!({"type": "working_directory", "tasks": tasks});
        more.as_object().unwrap().iter().for_each(|(key, value)| task[key] = value.clone());
        task
    };
    let link = json!({"id": "link", "type": "shell.commands", "commands": [format!("ln -s {outside} sub")]});
    let through =
        json!({"id": "through", "type": "shell.commands", "commands": ["true"], "inputFiles": {"sub/new.txt": PATH}});
    let idle = json!([{"id": "idle", "type": "shell.commands", "commands": ["true"]}]);
    vec![
        ("download", json!({"type": "http.download", "uri": "beside.txt", "name": PATH}), PLAIN),
        ("decompress", json!({"type": "file.decompress", "from": "beside.txt", "name": PATH}), PLAIN),
        ("transform", json!({"type": "polars.transform", "from": "a.csv", "to": format!("{PATH}.csv")}), ""),
        ("transform-reject", json!({"type": "polars.transform", "from": "a.csv", "on_bad_row": reject}), PLAIN),
        ("copy-out", json!({"type": "postgres.copy_out", "sql": "SELECT 1", "name": PATH}), PLAIN),
        ("gcs", json!({"type": "gcs.download", "from": "gs://b/o", "name": PATH}), PLAIN),
        ("gcs-object", json!({"type": "gcs.download", "from": "gs://b/{{ inputs.path }}/.."}), PLAIN),
        ("shell-in", shell("true", json!({"inputFiles": format!("{{\"{PATH}\": \"new\"}}")})), NAMED),
        ("shell-out", shell("true", json!({"outputFiles": [PATH]})), ""),
        (
            "shell-link",
            shell(&format!("ln -s {outside} out"), json!({"outputFiles": ["out/**", "out/secret.txt", PATH]})),
            "",
        ),
        ("folder-in", within(idle.clone(), json!({"inputFiles": format!("{{\"{PATH}\": \"new\"}}")})), NAMED),
        ("folder-out", within(idle.clone(), json!({"outputFiles": [PATH]})), ""),
        ("folder-link", within(json!([link, through]), json!({})), "is a link"),
    ]
}

#[test]
fn no_task_of_a_server_writes_outside_its_folders() {
    let (mut place, _) = place();
    place.variables.push(("STORAGE_EMULATOR_HOST".to_owned(), "http://127.0.0.1:9".to_owned()));
    place.variables.push(("GOOGLE_CLOUD_PROJECT".to_owned(), "p".to_owned()));
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    place.write("elsewhere/secret.txt", SECRET);
    place.write("flows/a.csv", "a\n1\n");
    place.write("flows/slip.zip", zip_of("../../../../elsewhere/new.txt"));
    let elsewhere = place.path("elsewhere").display().to_string();
    let writers = writers(&elsewhere);
    for (id, task, _) in &writers {
        let mut task = task.clone();
        task["id"] = json!("writes");
        place.write(&format!("flows/{id}.yaml"), flow(id, &task));
    }
    let slip = json!({"id": "writes", "type": "file.decompress", "from": "slip.zip"});
    place.write("flows/slip.yaml", flow("slip", &slip));
    let server = place.server();
    let before = outside(&place);
    let names =
        ["../new.txt", "../../../elsewhere/secret.txt", "..", &format!("{elsewhere}/new.txt"), "a/../../new.txt"];
    for (id, _, message) in &writers {
        for name in names {
            let execution = run(&server, id, name);
            let logs = server.curl(&[&format!("/api/v1/logs/{}", execution["id"].as_str().unwrap())]);
            if !message.is_empty() {
                assert_eq!(execution["state"]["current"], "FAILED", "{id} {name}: {execution}");
                assert!(logs.contains(message), "{id} {name}: {logs}");
            }
            assert!(!format!("{execution}{logs}").contains(SECRET), "{id} {name}: {execution}{logs}");
            assert_eq!(outside(&place), before, "{id} {name}: {logs}");
        }
    }
    // The names within an archive name nothing.
    let execution = run(&server, "slip", "");
    allowed(&execution);
    assert_eq!(outside(&place), before);
}

#[test]
fn partitions_may_use_paths_that_the_flow_sets() {
    let (place, _) = place();
    for month in 1..=12 {
        place.write(&format!("keys/{month:02}.json"), json!({"type": "service_account"}).to_string());
    }
    let month = "{{ trigger.date | date('MM') }}";
    let task = json!({
        "id": "load", "type": "bigquery.load", "from": "gs://b/o.csv", "table": "d.t", "project": "p",
        "schema": [{"name": "month", "type": "STRING"}], "mode": {"replace_partition": {"month": month}},
        "service_account": format!("../keys/{month}.json"),
    });
    place.write("flows/months.yaml", flow("months", &task));
    let server = place.server();
    let wanted = json!({"namespace": "n", "flowId": "months", "from": "2019-01", "to": "2019-12", "only": "missing", "dryRun": true});
    let (_, message) = server.refusal("/api/v1/backfills", &wanted);
    // The keys are read, and found to be none.
    assert!(message.contains("keys/") && !message.contains("is not written in the flow"), "{message}");
}
