//! `jitney run FLOW --help`: the help of `run` with the inputs of the flow.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, CommandFactory};
use dialoguer::console::Term;

use crate::cli::layout::wrapped;
use crate::cli::out::{exact, out};
use crate::cli::{Cli, ExitStatus, colour, flows};
use crate::flow::Input;
use crate::flow::input::{InputType, outline, to_argument};
use crate::text::plain;

/// The column where descriptions start, unless the left part is wider.
const LEFT_WIDTH: usize = 30;
const MAX_WIDTH: usize = 100;

/// The flow whose help a command line asks for: `run`, a flow and `--help`, in any order.
pub(super) fn requested_flow(answer: &clap::Error) -> Option<PathBuf> {
    if answer.kind() != ErrorKind::DisplayHelp {
        return None;
    }
    // Parse the same command line again, with `--help` as an ordinary flag.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::SetTrue);
    let command = Cli::command().mut_subcommand("run", |run| {
        run.disable_help_flag(true).arg(help).mut_arg("flow", |flow| flow.required(false))
    });
    let matches = command.try_get_matches().ok()?;
    matches.subcommand_matches("run")?.get_one::<PathBuf>("flow").cloned()
}

/// Prints the help of `run` with that of a flow's inputs.
///
/// # Errors
/// [`InvalidFlow`](crate::cli::InvalidFlow) with the findings of a flow that is not valid, after the help that could
/// be printed.
pub(super) fn print(file: &Path) -> anyhow::Result<ExitStatus> {
    let (about, inputs, findings) = match flows::read(file) {
        Ok((flow, _)) => (flow.description, flow.inputs, None),
        Err(error) => {
            let text = std::fs::read_to_string(file).map_err(|_| error)?;
            let findings = flows::read(file).err();
            (None, outline(&file.display().to_string(), &text), findings)
        }
    };
    let usage = format!("jitney run {} [-i NAME=VALUE]... [OPTIONS]", file.display());
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{{before-help}}{}\n{{options}}\n",
        heading("Options:")
    );
    let command = command().override_usage(usage).before_help(inputs_section(&inputs)).help_template(template);
    show(match about {
        Some(about) => command.about(about),
        None => command,
    });
    findings.map_or(Ok(ExitStatus::Ok), Err)
}

fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command.find_subcommand("run").cloned().unwrap_or(command)
}

fn show(mut command: clap::Command) {
    let help = command.render_help();
    if colour::on_stdout() { exact(&help.ansi().to_string()) } else { out!("{help}") }
}

fn heading(text: &str) -> String {
    if colour::on_stdout() { format!("\u{1b}[1m\u{1b}[4m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn inputs_section(inputs: &[Input]) -> String {
    if inputs.is_empty() {
        return String::new();
    }
    let width = Term::stdout().size_checked().map_or(MAX_WIDTH, |(_, width)| usize::from(width).min(MAX_WIDTH));
    let left: Vec<String> = inputs.iter().map(|input| format!("  -i {}=<{}>", input.id, placeholder(input))).collect();
    let column =
        left.iter().map(|text| text.chars().count()).filter(|width| *width <= LEFT_WIDTH).max().unwrap_or(LEFT_WIDTH)
            + 2;
    let mut text = format!("{}\n", heading("Inputs:"));
    for (left, input) in left.iter().zip(inputs) {
        let lines = wrapped(&description(input), width.saturating_sub(column).max(30));
        let taken = left.chars().count();
        let fits = taken + 2 <= column && !lines.is_empty();
        let mut line = if fits { format!("{left}{}", " ".repeat(column - taken)) } else { format!("{left}\n") };
        for (index, words) in lines.iter().enumerate() {
            if !(fits && index == 0) {
                line += &" ".repeat(column);
            }
            line += &format!("{words}\n");
        }
        text += line.trim_end_matches('\n');
        text += "\n";
    }
    text
}

/// The placeholder for the value: the choices if they are few.
fn placeholder(input: &Input) -> String {
    let choices = input.values.join("|");
    if input.kind.has_choices() && !choices.is_empty() && choices.len() <= 20 {
        choices
    } else {
        input.kind.noun().to_owned()
    }
}

/// What the input is for, and the constraints on its value.
fn description(input: &Input) -> String {
    let words = [&input.display_name, &input.description].into_iter().flatten();
    let mut parts = vec![words.map(String::as_str).collect::<Vec<_>>().join(": ")];
    if let Some(default) = input.defaults.as_ref().filter(|default| !default.is_null()) {
        let default = if input.kind == InputType::Secret { "hidden".to_owned() } else { to_argument(default) };
        parts.push(format!("[default: {default}]"));
    } else if input.required && !input.auto_select_first {
        parts.push("[required]".to_owned());
    }
    if input.kind.has_choices() && placeholder(input) == input.kind.noun() && !input.values.is_empty() {
        parts.push(format!("[possible values: {}]", input.values.join(", ")));
    }
    parts.extend(input.expression.as_ref().map(|expression| format!("[possible values: {}]", expression.trim())));
    if input.allow_custom_value {
        parts.push("[or another value]".to_owned());
    }
    parts.extend(input.item_type.map(|kind| format!("[each item: {}]", kind.noun())));
    for (word, bound) in [("at least", input.min.as_ref().map(plain)), ("at most", input.max.as_ref().map(plain))] {
        parts.extend(bound.map(|bound| format!("[{word}: {bound}]")));
    }
    for (word, bound) in [("from", &input.after), ("to", &input.before)] {
        parts.extend(bound.as_ref().map(|bound| format!("[{word}: {bound}]")));
    }
    parts.extend(input.validator.as_ref().map(|pattern| format!("[must match: {pattern}]")));
    if !input.allowed_file_extensions.is_empty() {
        parts.push(format!("[must end in: {}]", input.allowed_file_extensions.join(", ")));
    }
    let condition = input.depends_on.as_ref().and_then(|depends| depends.condition.as_ref());
    parts.extend(condition.map(|condition| format!("[only when: {}]", plain(condition))));
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}
