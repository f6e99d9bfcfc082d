//! README.md and docs/: links lead somewhere, examples are valid, commands are those that the program has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use jitney::config::{CliOverrides, Settings};
use jitney::flow::parse;
use jitney::server::settings::ServerSettings;
use jitney::tasks::ALL;
use serde_yaml::{Mapping, Value};

use crate::cli::world::World;

/// Top keys of jitney.yaml.
const SETTINGS: [&str; 11] = [
    "notifications",
    "retention",
    "users",
    "tokens",
    "hosts",
    "trust_proxy",
    "openlineage",
    "opentelemetry",
    "mcp",
    "ai",
    "kestra",
];

struct Page {
    /// The path from the project's folder.
    name: String,
    text: String,
}

/// A block between fences.
struct Block {
    /// The line of its fence.
    line: usize,
    language: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    let markdown = |folder: &Path| {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|ending| ending == "md")).collect::<Vec<PathBuf>>()
    };
    let files = [markdown(root()), markdown(&root().join("docs"))].concat();
    assert!(files.len() > 10, "only {files:?}");
    let page = |file: &PathBuf| Page {
        name: file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(file).unwrap(),
    };
    files.iter().map(page).collect()
}

/// The blocks of a page, and its other lines with their numbers.
fn split(text: &str) -> (Vec<Block>, Vec<(usize, &str)>) {
    let (mut blocks, mut prose) = (Vec::<Block>::new(), Vec::new());
    let mut is_inside = false;
    for (index, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_inside => is_inside = false,
            Some(language) => {
                is_inside = true;
                blocks.push(Block { line: index + 1, language: language.to_owned(), text: String::new() });
            }
            None if is_inside => blocks.last_mut().unwrap().text += &format!("{line}\n"),
            None => prose.push((index + 1, line)),
        }
    }
    assert!(!is_inside, "a fence is not closed");
    (blocks, prose)
}

/// What the headings of a page are reached by.
fn anchors(text: &str) -> BTreeSet<String> {
    let (_, prose) = split(text);
    let headings = prose.iter().filter(|(_, line)| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect::<String>()
    };
    headings.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
}

/// The targets of links that stay within the project.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut count = 0;
    for page in pages() {
        let folder = root().join(&page.name).parent().unwrap().to_owned();
        for (number, line) in split(&page.text).1 {
            for target in links(line) {
                let (file, anchor) =
                    target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
                let path = if file.is_empty() { root().join(&page.name) } else { folder.join(file) };
                assert!(path.exists(), "{}:{number}: there is no `{target}`", page.name);
                if let Some(anchor) = anchor {
                    let there = anchors(&fs::read_to_string(&path).unwrap());
                    assert!(there.contains(anchor), "{}:{number}: `{target}` has no such heading", page.name);
                }
                count += 1;
            }
        }
    }
    assert!(count > 50, "only {count} links");
}

/// A part of a flow with what makes it a whole one.
fn whole(mut part: Mapping) -> String {
    for (key, value) in [("id", "example"), ("namespace", "test")] {
        part.entry(key.into()).or_insert(value.into());
    }
    let nothing: Value = serde_yaml::from_str("[{id: nothing, type: log, message: nothing}]").unwrap();
    part.entry("tasks".into()).or_insert(nothing);
    serde_yaml::to_string(&part).unwrap()
}

fn problems(name: &str, block: &Block) -> Vec<String> {
    let value: Value = serde_yaml::from_str(&block.text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Value::Mapping(map) = value else { return Vec::new() };
    if map.keys().any(|key| SETTINGS.contains(&key.as_str().unwrap_or_default())) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jitney.yaml");
        fs::write(&file, &block.text).unwrap();
        let overrides = CliOverrides { home: Some(folder.path().into()), postgres: None };
        let settings = Settings::from_environment(overrides, BTreeMap::new()).unwrap();
        let read = ServerSettings::load(Some(&file), &settings).err().unwrap_or_default();
        return read.iter().map(ToString::to_string).collect();
    }
    let is_whole = ["id", "namespace", "tasks"].iter().all(|key| map.contains_key(*key));
    let text = if is_whole { block.text.clone() } else { whole(map) };
    parse(name, &text, ALL).findings.iter().map(ToString::to_string).collect()
}

#[test]
fn examples_in_yaml_are_valid() {
    let mut count = 0;
    for page in pages() {
        for block in split(&page.text).0.iter().filter(|block| block.language == "yaml") {
            let name = format!("{}:{}", page.name, block.line);
            let found = problems(&name, block);
            assert!(found.is_empty(), "{name}:\n{}", found.join("\n"));
            count += 1;
        }
    }
    assert!(count > 10, "only {count} examples");
}

/// The words of each command in a shell's text: quotes hold words together, a `#` begins a comment.
fn commands(text: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let ends_word = letter.is_whitespace() || "|;&>".contains(letter);
        match letter {
            '\\' if letters.peek() == Some(&'\n') => {
                letters.next();
            }
            '\'' | '"' => word.get_or_insert_default().extend(letters.by_ref().take_while(|next| *next != letter)),
            '#' if word.is_none() => letters.by_ref().take_while(|next| *next != '\n').for_each(drop),
            _ if ends_word => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
        // A comment has eaten the end of its line.
        if (ends_word && !" \t".contains(letter)) || (letter == '#' && word.is_none()) {
            commands.push(std::mem::take(&mut words));
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

/// What is wrong with a command, if it is one of jitney's.
fn objection(words: &[String], only_names: bool) -> Option<String> {
    if words.first().map(String::as_str) != Some("jitney") {
        return None;
    }
    let error = jitney::cli::command().try_get_matches_from(words).err()?;
    let is_help = |kind| matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let is_name = matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand);
    let is_fault = if only_names { is_name } else { !is_help(error.kind()) };
    is_fault.then(|| format!("`{}`: {error}", words.join(" ")))
}

#[test]
fn commands_are_those_of_the_program() {
    let mut count = 0;
    let mut check = |place: String, words: Vec<String>, only_names: bool| {
        assert_eq!(objection(&words, only_names), None, "{place}");
        count += usize::from(words[0] == "jitney");
    };
    for page in pages() {
        let (blocks, prose) = split(&page.text);
        for block in &blocks {
            let text = match block.language.as_str() {
                "sh" => block.text.clone(),
                "console" => {
                    block.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect::<Vec<_>>().join("\n")
                }
                _ => continue,
            };
            commands(&text).into_iter().for_each(|words| check(format!("{}:{}", page.name, block.line), words, false));
        }
        // A span may go on in the next line.
        let prose: Vec<&str> = prose.iter().map(|(_, line)| *line).collect();
        let prose = prose.join(" ");
        let spans =
            prose.split('`').skip(1).step_by(2).filter(|span| span.starts_with("jitney ") && !span.contains('|'));
        spans.flat_map(commands).for_each(|words| check(page.name.clone(), words, true));
    }
    assert!(count > 50, "only {count} commands");
}

#[test]
fn a_wrong_command_is_noticed() {
    let text =
        "FLOW=1 # jitney nothing\njitney run 'a b.yaml' \\\n  -i \"x=1 2\" && jitney rum x | jitney kv --nothing\n";
    let found = commands(text);
    let as_words: Vec<Vec<&str>> = found.iter().map(|words| words.iter().map(String::as_str).collect()).collect();
    assert_eq!(as_words[1], ["jitney", "run", "a b.yaml", "-i", "x=1 2"]);
    let objections: Vec<bool> = found.iter().map(|words| objection(words, true).is_some()).collect();
    assert_eq!(objections, [false, false, true, true]);
}

#[test]
fn the_page_of_task_types_is_what_the_program_prints() {
    let printed = World::new().jitney(&["tasks", "--markdown"]).ended(0).out;
    let page = fs::read_to_string(root().join("docs/tasks.md")).unwrap();
    let differs = page.lines().zip(printed.lines()).find(|(page, printed)| page != printed);
    assert_eq!(differs, None, "run `jitney tasks --markdown > docs/tasks.md`");
    assert_eq!(page.len(), printed.len(), "run `jitney tasks --markdown > docs/tasks.md`");
}
