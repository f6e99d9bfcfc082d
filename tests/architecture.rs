//! The rules of the house, held against its source: who may import whom, what ARCHITECTURE.md says, what a task
//! type owes its readers.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jitney::flow::parse;
use jitney::tasks::ALL;

/// The modules of each layer, lowest first. A module imports from its own layer and those below.
const LAYERS: [&[&str]; 5] = [
    &["aside", "clock", "config", "diagnostic", "duration", "fingerprint", "id", "secret", "text"],
    &[
        "file_access",
        "gcp",
        "home",
        "journal",
        "jq",
        "namespace_files",
        "postgres",
        "process",
        "storage",
        "stream",
        "task",
        "web",
    ],
    &["flow", "tasks"],
    &["engine"],
    &["cli", "server"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Source {
    /// The path below `src`.
    path: String,
    /// The text without comments that fill a line.
    code: String,
    lines: usize,
}

impl Source {
    /// The module at the top of the crate that the file belongs to.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    let source = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let path = file.strip_prefix(root().join("src")).unwrap().to_str().unwrap().replace('\\', "/");
        Source { path, code: code.join("\n"), lines: text.lines().count() }
    };
    let sources: Vec<Source> = files.iter().map(source).collect();
    assert!(sources.len() > 50, "only {} files found", sources.len());
    sources
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The modules that `crate::…` paths begin with, those in `crate::{…}` included.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let (mut depth, mut starts) = (0, true);
        for (index, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => starts = true,
                _ if starts && !letter.is_whitespace() => {
                    found.push(word(&group[index..]));
                    starts = false;
                }
                _ => {}
            }
        }
    }
    found
}

/// What is wrong with an import, if anything is.
fn objection(from: &str, to: &str) -> Option<String> {
    let layer = |module: &str| LAYERS.iter().position(|modules| modules.contains(&module));
    match (layer(from), layer(to)) {
        _ if from == to => None,
        (Some(_), None) => Some(format!("`{to}` stands in no layer")),
        (Some(own), Some(other)) if other > own => {
            Some(format!("`{from}` (layer {own}) imports `{to}` (layer {other})"))
        }
        (Some(own), _) if to == "tasks" && own < LAYERS.len() - 1 => Some(format!("`{from}` names the task types")),
        _ => None,
    }
}

#[test]
fn imports_point_down() {
    let mut objections = Vec::new();
    for source in sources().iter().filter(|source| !["main", "lib"].contains(&source.module())) {
        let found = imports(&source.code).into_iter().filter_map(|to| objection(source.module(), &to));
        objections.extend(found.map(|objection| format!("src/{}: {objection}", source.path)));
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn an_import_that_points_up_is_noticed() {
    assert_eq!(
        imports("use crate::{a::{b, c}, d};\nlet x = crate::e::f(); $crate::g; mycrate::h"),
        ["a", "d", "e", "g"]
    );
    for (from, to) in [("stream", "flow"), ("flow", "tasks"), ("engine", "tasks"), ("config", "task"), ("tasks", "cli")]
    {
        assert!(objection(from, to).is_some(), "{from} may import {to}");
    }
    for (from, to) in [("tasks", "flow"), ("cli", "tasks"), ("stream", "task"), ("flow", "flow")] {
        assert_eq!(objection(from, to), None);
    }
}

#[test]
fn every_module_stands_in_one_layer() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let layered: BTreeSet<&str> = LAYERS.iter().flat_map(|modules| modules.iter().copied()).collect();
    assert_eq!(declared, layered);
}

#[test]
fn files_stay_short_and_names_say_something() {
    for source in sources() {
        assert!(source.lines <= 500, "src/{} has {} lines: split it", source.path, source.lines);
        for part in source.path.trim_end_matches(".rs").split('/') {
            let is_empty_word =
                ["utils", "util", "helpers", "helper", "manager", "service", "common", "misc"].contains(&part);
            assert!(!is_empty_word, "src/{}: `{part}` does not say what is in it", source.path);
        }
    }
}

#[test]
fn only_settings_read_the_environment_and_only_the_command_line_prints() {
    let environment = ["env::var", "env::set_var", "env::remove_var"];
    let printing = ["println!", "print!", "dbg!", "stdout()", "stderr()"];
    for source in sources() {
        let says = |words: &[&'static str]| words.iter().copied().find(|word| source.code.contains(word));
        if source.path != "config.rs" {
            assert_eq!(says(&environment), None, "src/{}: settings come from config.rs", source.path);
        }
        if source.module() != "cli" {
            assert_eq!(says(&printing), None, "src/{}: only cli prints", source.path);
        }
    }
}

fn architecture() -> String {
    fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap()
}

/// The texts between backticks, those in code blocks left out.
fn code_spans(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2)).collect()
}

/// The words of the text that name files and folders, whether in backticks or in the layers' picture.
fn paths(text: &str) -> Vec<&str> {
    let pictures = text.split("```").skip(1).step_by(2).flat_map(str::split_whitespace);
    let is_path = |word: &str| {
        let letters = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        let extension =
            word.rsplit_once('.').is_some_and(|(_, end)| ["rs", "md", "sql", "toml", "yaml"].contains(&end));
        letters && (extension || (word.contains('/') && !word.starts_with('/')))
    };
    code_spans(text).into_iter().chain(pictures).filter(|word| is_path(word)).collect()
}

#[test]
fn architecture_names_files_that_exist() {
    let text = architecture();
    let paths = paths(&text);
    assert!(paths.len() > 30, "only {paths:?}");
    for path in paths {
        let exists = [root().to_path_buf(), root().join("src")].iter().any(|folder| folder.join(path).exists());
        assert!(exists, "ARCHITECTURE.md names `{path}`, which is neither there nor in src");
    }
}

#[test]
fn architecture_names_functions_and_types_that_exist() {
    let text = architecture();
    let code: String = sources().into_iter().map(|source| source.code + "\n").collect();
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let is_name = |span: &&str| span.contains("::") && span.chars().all(|c| c.is_alphanumeric() || "_:".contains(c));
    let names: Vec<&str> = code_spans(&text).into_iter().filter(is_name).collect();
    assert!(names.len() > 10, "only {names:?}");
    for name in names {
        let gone = name.split("::").find(|part| !words.contains(part));
        assert_eq!(gone, None, "ARCHITECTURE.md names `{name}`");
    }
}

/// The names in `[dependencies]` of Cargo.toml.
fn dependencies() -> Vec<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = text.split("\n[").find_map(|section| section.strip_prefix("dependencies]")).unwrap();
    section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_dependency_is_used_and_its_reason_is_written_down() {
    let text = architecture();
    let spans: BTreeSet<&str> = code_spans(&text).into_iter().collect();
    let code: BTreeMap<String, String> = sources().into_iter().map(|source| (source.path, source.code)).collect();
    let names = dependencies();
    assert!(names.len() > 20, "only {names:?}");
    for name in names {
        assert!(spans.contains(name.as_str()), "ARCHITECTURE.md does not say why there is `{name}`");
        let called = if name == "md-5" { "md5".to_owned() } else { name.replace('-', "_") };
        let is_used =
            code.values().any(|code| code.contains(&format!("{called}::")) || code.contains(&format!("{called};")));
        assert!(is_used, "nothing uses `{name}`");
    }
}

#[test]
fn a_task_type_has_names_of_its_own() {
    let mut seen = BTreeSet::new();
    for name in ALL.iter().flat_map(|task| task.aliases.iter().chain([&task.name])) {
        assert!(seen.insert(name), "two task types are called `{name}`");
    }
}

/// A flow of one example, after the examples whose outputs it refers to.
fn flow_around(example: &str) -> String {
    let mut text = String::from("id: example\nnamespace: test\ninputs:\n");
    for (name, value) in [("taxi", "green"), ("year", "2019"), ("month", "01")] {
        text += &format!("  - {{id: {name}, type: STRING, defaults: \"{value}\"}}\n");
    }
    text += "tasks:\n";
    let id_of = |example: &str| {
        example.lines().find_map(|line| line.trim_start_matches("- ").strip_prefix("id: ").map(str::to_owned))
    };
    let earlier = ALL.iter().map(|task| task.example).filter(|other| {
        *other != example && id_of(other).is_some_and(|id| example.contains(&format!("outputs.{id}.")))
    });
    for line in earlier.chain([example]).flat_map(str::lines) {
        text += &format!("  {line}\n");
    }
    text
}

#[test]
fn every_example_is_a_task_of_a_valid_flow() {
    for task in ALL {
        assert!(task.example.starts_with("- id: "), "the example of {} is not an item of a list", task.name);
        let parsed = parse("example.yaml", &flow_around(task.example), ALL);
        let findings: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "the example of {}:\n{}", task.name, findings.join("\n"));
        let flow = parsed.flow.unwrap();
        let step = flow.steps.last().unwrap();
        assert_eq!(step.task.name, task.name, "the example shows another task");
        // A field has other names too, and the page shows one.
        let schema = (task.schema)().to_value();
        for field in step.fields.as_object().unwrap().keys() {
            assert!(schema["properties"].get(field).is_some(), "the example of {}: `{field}`", task.name);
        }
    }
}

#[test]
fn shipped_flows_are_valid() {
    for entry in fs::read_dir(root().join("flows")).unwrap() {
        let path = entry.unwrap().path();
        let parsed = parse(path.to_str().unwrap(), &fs::read_to_string(&path).unwrap(), ALL);
        let findings: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
        assert!(parsed.flow.is_some() && findings.is_empty(), "{}", findings.join("\n"));
    }
}

/// The files that the source takes in at build time, from the project's folder.
fn included() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for call in ["include_str!(\"", "include_bytes!(\""] {
            let names = text.split(call).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(|name| fs::canonicalize(file.parent().unwrap().join(name)).unwrap()));
        }
    }
    let own = fs::canonicalize(root()).unwrap();
    found.iter().map(|file| file.strip_prefix(&own).unwrap().to_owned()).collect()
}

#[test]
fn the_image_is_built_from_all_that_the_source_includes() {
    let ignored = fs::read_to_string(root().join(".dockerignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "*"), ".dockerignore is no list of what is let through");
    let admitted: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let included = included();
    assert!(included.len() > 5, "only {included:?}");
    for file in included {
        let is_admitted = admitted.iter().any(|path| file.starts_with(path));
        assert!(is_admitted, "the source includes {}, which .dockerignore keeps from the build", file.display());
    }
}

#[test]
fn compose_opens_no_port_to_others_and_knows_no_password_of_the_server() {
    let text = fs::read_to_string(root().join("docker-compose.yaml")).unwrap();
    let compose: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let services = compose["services"].as_mapping().unwrap();
    let ports = services.values().flat_map(|service| service["ports"].as_sequence().cloned().unwrap_or_default());
    let ports: Vec<String> = ports.map(|port| port.as_str().unwrap().to_owned()).collect();
    assert_eq!(ports.len(), 3, "{ports:?}");
    assert!(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{ports:?}");
    let password = compose["services"]["server"]["environment"]["JITNEY_PASSWORD"].as_str().unwrap();
    assert!(password.starts_with("${JITNEY_PASSWORD:?"), "{password}");
    for name in ["server", "jitney"] {
        let service = &compose["services"][name];
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(service["security_opt"][0], "no-new-privileges:true", "{name}");
    }
}
