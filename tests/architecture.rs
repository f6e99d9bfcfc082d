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
    &[
        "ai_settings",
        "blocking",
        "clock",
        "config",
        "diagnostic",
        "duration",
        "execution_state",
        "fingerprint",
        "id",
        "log",
        "secret",
        "text",
    ],
    &[
        "ai",
        "file_access",
        "gcp",
        "home",
        "journal",
        "jq",
        "namespace_files",
        "postgres",
        "process",
        "sample",
        "storage",
        "stream",
        "task",
        "web",
    ],
    &["doctor", "flow", "tasks"],
    &["engine"],
    &["cli", "copilot", "server"],
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
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let layered: BTreeSet<&str> = LAYERS.iter().flat_map(|modules| modules.iter().copied()).collect();
    assert_eq!(declared, layered);
}

/// The file of a module, by the module's path.
type Files = BTreeMap<Vec<String>, String>;

/// The paths that a tree of `use` names: `a::{b, c::{self, d as e}}` is `a::b`, `a::c::self`, `a::c::d`.
fn use_paths(tree: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in tree.char_indices().chain([(tree.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = tree[start..at].trim();
                let (prefix, group) = part.split_once('{').unwrap_or((part, ""));
                let prefix = prefix.split(" as ").next().unwrap_or_default();
                let prefix: Vec<String> =
                    prefix.split("::").map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
                match group.strip_suffix('}') {
                    Some(group) => {
                        found.extend(use_paths(group).into_iter().map(|rest| [prefix.clone(), rest].concat()))
                    }
                    None if !prefix.is_empty() => found.push(prefix),
                    None => {}
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The `use` statements of a file that give names to others, and all other paths that it names.
fn named_paths(code: &str) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let (mut given, mut used, mut rest) = (Vec::new(), Vec::new(), String::new());
    let mut statement = String::new();
    for line in code.lines() {
        let text = line.trim_start();
        if statement.is_empty() && !["use ", "pub use ", "pub(super) use "].iter().any(|begin| text.starts_with(begin))
        {
            rest += line;
            rest.push('\n');
            continue;
        }
        statement += text;
        if let Some((visibility, tree)) = statement.strip_suffix(';').and_then(|all| all.split_once("use ")) {
            if visibility.is_empty() {
                used.extend(use_paths(tree))
            } else {
                given.extend(use_paths(tree))
            }
            statement.clear();
        }
    }
    let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let words = rest.split(|letter: char| !is_path(letter)).filter(|word| word.contains("::"));
    used.extend(words.map(|word| word.split("::").map(str::to_owned).collect()));
    (given, used)
}

/// The module that a path leads to, as far as it names modules, names that modules pass on included.
fn leads_to(
    from: &[String],
    path: &[String],
    files: &Files,
    given: &BTreeMap<Vec<String>, Vec<Vec<String>>>,
) -> Option<Vec<String>> {
    let mut module = from.to_vec();
    for (place, word) in path.iter().enumerate() {
        let child = [module.clone(), vec![word.clone()]].concat();
        match word.as_str() {
            "crate" => module.clear(),
            "super" => drop(module.pop()),
            "self" => {}
            _ if files.contains_key(&child) => module = child,
            _ if place == 0 => return None,
            _ => {
                let passed_on = given.get(&module)?.iter().find(|path| path.last() == Some(word));
                return match passed_on {
                    Some(path) if path.len() > 1 => leads_to(&module, path, files, given).or(Some(module)),
                    _ => Some(module),
                };
            }
        }
    }
    Some(module)
}

/// Which files of one module at the top each file imports. What a file takes from a module that it is inside of is no
/// import: it is a part of that.
fn imports_of_files() -> BTreeMap<String, BTreeSet<String>> {
    let module = |path: &str| -> Vec<String> {
        path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').map(str::to_owned).collect()
    };
    let sources: Vec<Source> =
        sources().into_iter().filter(|source| !["main", "lib"].contains(&source.module())).collect();
    let files: Files = sources.iter().map(|source| (module(&source.path), source.path.clone())).collect();
    let product = |source: &Source| source.code.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let named: Vec<_> = sources.iter().map(|source| (module(&source.path), named_paths(&product(source)))).collect();
    let given = named.iter().map(|(module, (given, _))| (module.clone(), given.clone())).collect();
    let mut imports = BTreeMap::new();
    for (own, (_, used)) in &named {
        let targets = used.iter().filter_map(|path| leads_to(own, path, &files, &given));
        let others = targets.filter(|target| target.first() == own.first() && !own.starts_with(target));
        imports.insert(files[own].clone(), others.filter_map(|target| files.get(&target).cloned()).collect());
    }
    imports
}

/// The files that import each other, directly or by others, each group in order.
fn cycles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reach = |from: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            open.extend(imports.get(file).into_iter().flatten().filter(|next| seen.insert((*next).clone())));
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = imports.keys().map(|file| (file, reach(file))).collect();
    let group = |file: &String| -> Vec<String> {
        reached[file]
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(file)))
            .cloned()
            .collect()
    };
    imports.keys().map(group).filter(|group| group.len() > 1).collect()
}

/// The groups of files that import each other all the same, by the first of them, and why.
const CYCLES: &[(&str, &str)] = &[
    ("cli/executions.rs", "a run and the list of executions show an execution in the same way"),
    ("doctor/bigquery.rs", "two halves of one check, which share what they look at"),
    ("flow/bounds.rs", "a document is bounded while it is parsed, and places its own findings"),
    ("flow/check.rs", "the steps of the parser share its paths and its findings"),
    ("flow/expression/builtin.rs", "an interpreter: what is called evaluates what it is called with"),
    ("flow/trigger/filter.rs", "filters and the executions that they choose are one idea in two files"),
    ("postgres/connect.rs", "a session is watched over a second one"),
    ("postgres/dial.rs", "a connection is dialled with a tap on it"),
    ("sample/month.rs", "a month of trips, its rows and their columns make one another"),
    ("secret/forms.rs", "the parts of a secret have forms, and its forms parts"),
    ("stream/bytes.rs", "a source is recognised by its first bytes, and read by what it is"),
    ("stream/chunks.rs", "the chunks of a Parquet file are read by its reader"),
    ("tasks/gcs/resumable_upload.rs", "an upload goes in one request or in a session, which share their steps"),
    ("tasks/polars/allowed.rs", "a checker of nested SQL: expressions hold queries, which hold expressions"),
    ("tasks/postgres/ledger.rs", "a ledger's rows and the table's rows tell each other"),
    ("tasks/postgres/load/key.rs", "the steps of a load hand rows on to each other"),
];

#[test]
fn files_do_not_import_each_other() {
    let mut known: BTreeMap<&str, &str> = CYCLES.iter().copied().collect();
    for cycle in cycles(&imports_of_files()) {
        assert!(known.remove(cycle[0].as_str()).is_some(), "these files import each other: {}", cycle.join(", "));
    }
    assert!(known.is_empty(), "these are no cycles any more: {known:?}");
}

#[test]
fn a_cycle_of_files_is_noticed() {
    let paths = use_paths("a::{b, c::{self, d as e}}, f").into_iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(paths, ["a::b", "a::c::self", "a::c::d", "f"]);
    let imports = |from: &str, to: &[&str]| (from.to_owned(), to.iter().map(|file| (*file).to_owned()).collect());
    let files =
        BTreeMap::from([imports("a", &["b"]), imports("b", &["c"]), imports("c", &["b", "d"]), imports("d", &[])]);
    assert_eq!(cycles(&files), BTreeSet::from([vec!["b".to_owned(), "c".to_owned()]]));
    let found = imports_of_files();
    assert!(found["engine/work/mod.rs"].contains("engine/plan/mod.rs"), "{:?}", found["engine/work/mod.rs"]);
    assert!(found["engine/backfill/grid.rs"].contains("engine/runner.rs"), "{:?}", found["engine/backfill/grid.rs"]);
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

/// Names that every subcommand, task type or module with errors of its own gives to the same thing.
const CONVENTIONAL_NAMES: [&str; 3] = ["Arguments", "Outputs", "Result"];

/// The types that a source declares outside of functions and unit tests.
fn declared_types(code: &str) -> Vec<&str> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let kinds = ["struct", "enum", "union", "trait", "type"];
    // What a macro such as `google_task!` declares is indented.
    let is_outside = |line: &&str| !line.starts_with(' ') || line.starts_with("    pub ");
    let name = |line| {
        let mut words = str::split(line, [' ', '<', '(', '{', ';', ':']).filter(|word| !word.is_empty());
        let first = words.next().filter(|word| *word == "pub" || kinds.contains(word))?;
        if kinds.contains(&first) { words.next() } else { words.skip_while(|word| !kinds.contains(word)).nth(1) }
    };
    code.lines().filter(is_outside).filter_map(name).filter(|name| !name.starts_with('$')).collect()
}

#[test]
fn a_type_name_stands_for_one_type() {
    let code = "pub struct One;\n    pub struct Two {\nenum Three {}\npub(super) type Four<'a> = &'a One;\n    type Local = u8;";
    assert_eq!(declared_types(code), ["One", "Two", "Three", "Four"]);
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for name in declared_types(&source.code).into_iter().filter(|name| !CONVENTIONAL_NAMES.contains(name)) {
            places.entry(name.to_owned()).or_default().push(source.path.clone());
        }
    }
    for (name, files) in places {
        assert!(files.len() < 2, "`{name}` is the name of a type in {}", files.join(" and in "));
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

/// The texts for people who change the code.
fn guides() -> [(&'static str, String); 2] {
    ["src/ARCHITECTURE.md", "docs/development.md"].map(|name| (name, fs::read_to_string(root().join(name)).unwrap()))
}

#[test]
fn guides_name_files_that_exist() {
    for (guide, text) in guides() {
        let paths = paths(&text);
        assert!(paths.len() > 10, "only {paths:?}");
        // `SUBJECT.rs` is for the reader to fill in, and what a build makes need not be there.
        let is_made = |path: &str| path.starts_with("target/") || path.starts_with("tmp/");
        let is_meant = |path: &&str| !path.contains(|c: char| c.is_ascii_uppercase()) && !is_made(path);
        for path in paths.into_iter().filter(is_meant) {
            let exists = [root().to_path_buf(), root().join("src")].iter().any(|folder| folder.join(path).exists());
            assert!(exists, "{guide} names `{path}`, which is neither there nor in src");
        }
    }
}

/// The name of a type or function that a text between backticks is, such as `Executor`, `plan::next` or `run_blocking(…)`.
fn item_name(span: &str) -> Option<&str> {
    let name = span.split_once('(').map_or(span, |(name, _)| name);
    let is_name = name.chars().all(|c| c.is_alphanumeric() || "_:".contains(c)) && !name.is_empty();
    let is_type = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
    let is_call = span.ends_with(')') && name.starts_with(char::is_lowercase);
    (is_name && (name.contains("::") || is_type || is_call)).then_some(name)
}

#[test]
fn guides_name_functions_and_types_that_exist() {
    let code: String = sources().into_iter().map(|source| source.code + "\n").collect();
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for (guide, text) in guides() {
        let names: Vec<&str> = code_spans(&text).into_iter().filter_map(item_name).collect();
        assert!(names.len() > 5, "only {names:?}");
        for name in names {
            let gone = name.split("::").find(|part| !words.contains(part));
            assert_eq!(gone, None, "{guide} names `{name}`");
        }
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

/// Files outside of `tasks/` that may name task types: they suggest one where a type is not known.
const SUGGESTS_TASKS: &str = "flow/suggestion.rs";

/// What in a source asks for a task type by its name, its unit tests left out.
fn task_names_in(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let is_plain = |name: &&str| !name.contains(['.', '_']);
    let quoted = |name: &str| format!("\"{name}\"");
    let names = ALL.iter().map(|task| task.name);
    let (words, unmistakable): (Vec<&str>, Vec<&str>) = names.partition(is_plain);
    let mut found: Vec<String> =
        unmistakable.into_iter().filter(|name| code.contains(&quoted(name))).map(str::to_owned).collect();
    // A name such as `if` is a word of other languages too; what counts is that a task's name is compared with it.
    for line in code.lines().filter(|line| line.contains("task.name") || line.contains("kind.name ")) {
        found.extend(words.iter().filter(|word| line.contains(&quoted(word))).map(|word| (*word).to_owned()));
    }
    found
}

#[test]
fn task_types_are_known_by_their_capabilities_and_not_by_their_names() {
    assert_eq!(task_names_in("x.task.name == \"if\" || y == \"for_each\""), ["for_each", "if"]);
    assert!(task_names_in("let x = \"if\";").is_empty());
    let outside = sources().into_iter().filter(|source| source.module() != "tasks");
    for source in outside.filter(|source| source.path != SUGGESTS_TASKS) {
        let found = task_names_in(&source.code);
        assert!(found.is_empty(), "src/{}: {found:?}: give the task type a Capability instead", source.path);
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
fn compose_has_the_course_s_login_and_opens_no_port_to_others() {
    let text = fs::read_to_string(root().join("docker-compose.yaml")).unwrap();
    let compose: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let services = compose["services"].as_mapping().unwrap();
    let ports = services.values().flat_map(|service| service["ports"].as_sequence().cloned().unwrap_or_default());
    let ports: Vec<String> = ports.map(|port| port.as_str().unwrap().to_owned()).collect();
    assert_eq!(ports.len(), 3, "{ports:?}");
    assert!(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{ports:?}");
    let password = compose["services"]["server"]["environment"]["JITNEY_PASSWORD"].as_str().unwrap();
    // Its curl lines work as they are; somebody who opens a port sets another in `.env`.
    assert_eq!(password, "${JITNEY_PASSWORD:-Admin1234!}");
    for name in ["server", "jitney"] {
        let service = &compose["services"][name];
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(service["security_opt"][0], "no-new-privileges:true", "{name}");
    }
}
