//! The inputs of a run: from `-i`, from a file, and from prompts.

use clap::Args;
use serde_json::{Map, Value};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::cli::out::errln;
use crate::cli::{InvalidFlow, prompts};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::{InputHost, input_files};
use crate::file_access::FileAccess;
use crate::flow::input::{InputType, ResolvedInputs, resolve_partial};
use crate::flow::{Flow, from_yaml};

#[derive(Args)]
pub(super) struct InputArguments {
    /// An input of the flow; may be repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = parse_pair)]
    input: Vec<(String, String)>,
    /// A YAML or JSON file with inputs, or `-` for stdin; values of `-i` take precedence
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
}

/// The inputs of a run, complete and checked; none if the user cancels a prompt. Prompts are shown only on a terminal,
/// and never if `quiet`.
///
/// # Errors
/// [`InvalidFlow`] with every problem at once.
pub(super) fn gather(
    flow: &Flow,
    given: InputArguments,
    settings: &Settings,
    quiet: bool,
) -> anyhow::Result<Option<Map<String, Value>>> {
    let mut given = given.values(flow)?;
    let host = InputHost::of(settings, flow, clock::now());
    let may_prompt = !quiet && can_prompt(settings);
    let mut questions = None;
    loop {
        let resolution = resolve_partial(flow, &with_absolute_paths(flow, &given), &host);
        let problems: Vec<Diagnostic> =
            missing_paths(flow, &given).into_iter().chain(problems(flow, &resolution)).collect();
        let next = resolution.missing.first().filter(|_| may_prompt);
        match next {
            Some(question) if problems.is_empty() => {
                let questions = questions.get_or_insert_with(prompts::Prompts::start);
                let Some(input) = flow.inputs.get(question.index) else { continue };
                match questions.ask(input, question)? {
                    Some(answer) => given.push((input.id.clone(), answer)),
                    None => return Ok(None),
                }
            }
            _ => {
                let missing = resolution.missing.iter().map(|question| question.as_finding(&flow.inputs));
                let problems: Vec<Diagnostic> = problems.into_iter().chain(missing).collect();
                resolution.warnings.iter().for_each(|warning| errln!("{warning}"));
                return if problems.is_empty() {
                    Ok(Some(resolution.values))
                } else {
                    Err(InvalidFlow(problems).into())
                };
            }
        }
    }
}

fn problems(flow: &Flow, resolution: &ResolvedInputs) -> Vec<Diagnostic> {
    let unreadable = input_files::unreadable(flow, &resolution.values, &FileAccess::unrestricted(&flow.folder));
    resolution.findings.iter().cloned().chain(unreadable).collect()
}

pub(super) fn can_prompt(settings: &Settings) -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && settings.variable("CI").is_none()
}

/// Resolves the paths in inputs of type FILE and URI, which are relative to the current folder and not to that of the
/// flow.
pub(super) fn with_absolute_paths(flow: &Flow, given: &[(String, Value)]) -> Vec<(String, Value)> {
    let kind = |name: &str| flow.inputs.iter().find(|input| input.id == name).map(|input| input.kind);
    let place = |name: &str, text: &str| match kind(name) {
        _ if text.is_empty() || text.contains("://") => None,
        Some(InputType::File) => std::path::absolute(text).ok(),
        Some(InputType::Uri) => std::fs::canonicalize(text).ok(),
        _ => None,
    };
    let place = |(name, value): &(String, Value)| {
        let path = value.as_str().and_then(|text| place(name, text));
        (name.clone(), path.map_or_else(|| value.clone(), |path| Value::from(path.display().to_string())))
    };
    given.iter().map(place).collect()
}

/// Findings for values of URI inputs that can only be paths, such as `./mirror`, and that do not exist.
pub(super) fn missing_paths(flow: &Flow, given: &[(String, Value)]) -> Vec<Diagnostic> {
    let is_uri = |name: &str| flow.inputs.iter().any(|input| input.id == name && input.kind == InputType::Uri);
    let texts = given.iter().filter(|(name, _)| is_uri(name)).filter_map(|(name, value)| Some((name, value.as_str()?)));
    let is_path = |text: &str| (text.starts_with("./") || text.starts_with("../")) && !text.contains("{{");
    let paths = texts.filter(|(_, text)| is_path(text)).filter_map(|(name, text)| {
        let places = [PathBuf::from("."), flow.folder.clone()].map(|folder| std::path::absolute(folder.join(text)));
        let [Ok(here), Ok(near_flow)] = places else { return None };
        let finding = Diagnostic::error(format!(
            "input `{name}`: `{text}` exists neither in the current folder nor next to the flow"
        ));
        let help = format!("looked for {} and {}", here.display(), near_flow.display());
        (!here.exists() && !near_flow.exists()).then(|| finding.help(help))
    });
    paths.collect()
}

impl InputArguments {
    /// The values of the file, then those of `-i`, which take precedence.
    fn values(self, flow: &Flow) -> Result<Vec<(String, Value)>, InvalidFlow> {
        let mut values = Vec::new();
        if let Some(file) = &self.inputs {
            flatten(flow, "", read_file(file)?, &mut values);
        }
        values.extend(self.input.into_iter().map(|(name, value)| (name, Value::from(value))));
        Ok(values)
    }
}

fn read_file(file: &Path) -> Result<Map<String, Value>, InvalidFlow> {
    let mut text = String::new();
    let (name, read) = if file == Path::new("-") {
        ("stdin".to_owned(), std::io::stdin().read_to_string(&mut text).map(drop))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file).map(|found| text = found))
    };
    let wrong = |message: String| {
        let help = "write a map such as `{taxi: green, month: \"04\"}`, in YAML or JSON";
        InvalidFlow::from(Diagnostic::error(message).help(help))
    };
    read.map_err(|error| wrong(format!("cannot read the inputs from {name}: {error}")))?;
    match from_yaml(&text).map_err(|error| wrong(format!("cannot read the inputs from {name}: {error}")))? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(wrong(format!("the inputs from {name} are not a map"))),
    }
}

/// A nested map holds inputs with dots in their names, unless there is an input that takes a map.
fn flatten(flow: &Flow, prefix: &str, map: Map<String, Value>, into: &mut Vec<(String, Value)>) {
    for (key, value) in map {
        let id = format!("{prefix}{key}");
        let group = format!("{id}.");
        let is_group = flow.inputs.iter().any(|input| input.id.starts_with(&group));
        match value {
            Value::Object(inner) if is_group => flatten(flow, &group, inner, into),
            value => into.push((id, value)),
        }
    }
}

/// Parses `NAME=VALUE`.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not of the form NAME=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
