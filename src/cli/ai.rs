//! `jitney ai`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::cli::exit::{explain as explained, io_error};
use crate::cli::inputs::can_prompt;
use crate::cli::out::{data, errln, out, outln};
use crate::cli::prompts::Prompts;
use crate::cli::{ExitStatus, InvalidFlow, executions};
use crate::config::Settings;
use crate::copilot::{Copilot, CopilotAnswer, CopilotQuestion, QuestionSubject, unified_diff};
use crate::diagnostic::Diagnostic;
use crate::engine::{EngineError, FailureReport, Recorded};
use crate::flow::parse;
use crate::journal::{ExecutionState, Journal};
use crate::tasks;

const MORE: &str = "\
The flow is validated before it is shown, and the model is asked again with what is wrong, up to four times.
Passwords, secrets, rows and the content of files are not sent; --show-prompt prints what is. Which model is asked is set
under `ai` in jitney.yaml: docs/ai.md.";

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = MORE)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<AiCommand>,
    /// What the flow should do, in any language, such as "load the green taxi months of 2020 into Postgres"
    #[arg(required = true, value_name = "WISH")]
    wish: Option<String>,
    /// Change this flow instead of writing a new one
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    edit: Option<PathBuf>,
    /// The file to write the new flow into [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the changed flow without asking
    #[arg(short, long, requires = "edit")]
    yes: bool,
    /// Print what would be sent to the model, and send nothing
    #[arg(long)]
    show_prompt: bool,
}

#[derive(Subcommand)]
enum AiCommand {
    /// Explain why an execution failed, and show a correction of its flow
    Explain(ExplainArguments),
}

#[derive(Args)]
struct ExplainArguments {
    /// The id of the execution, or a prefix of it
    execution: String,
    /// Send the end of the log of what failed too, which may quote data
    #[arg(long)]
    with_log: bool,
    /// Print what would be sent to the model, and send nothing
    #[arg(long)]
    show_prompt: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    match arguments.command {
        Some(AiCommand::Explain(explain)) => failure(&explain, settings).await,
        None => flow(&arguments, settings).await,
    }
}

/// Writes a new flow, or changes one.
async fn flow(arguments: &Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let wish = arguments.wish.clone().unwrap_or_default();
    let text = arguments.edit.as_deref().map(read).transpose()?;
    if let Some(file) = arguments.output.as_ref().filter(|file| file.exists()) {
        let finding = Diagnostic::error(format!("{} exists already", file.display()));
        return Err(InvalidFlow::from(finding.help("change it with `--edit`, or choose another file")).into());
    }
    let subject = match &text {
        Some(text) => QuestionSubject::ChangedFlow { wish: &wish, text },
        None => QuestionSubject::NewFlow(&wish),
    };
    let Some(answer) = ask(&subject, arguments.show_prompt, settings).await? else { return Ok(ExitStatus::Ok) };
    say(&answer.words);
    let Some(written) = &answer.written else {
        let finding = Diagnostic::error(format!("the model wrote no flow in {}", tries(answer.tries)));
        return Err(InvalidFlow::from(finding).into());
    };
    if !written.is_valid() {
        data(&written.text);
        errln!("The flow above is the best of {}, and has errors:\n", tries(answer.tries));
        return Err(InvalidFlow(written.findings.clone()).into());
    }
    written.findings.iter().for_each(|finding| errln!("{finding}\n"));
    match (arguments.edit.as_deref().zip(text), &arguments.output) {
        (Some((file, before)), _) => change(file, &before, &written.text, arguments.yes, settings),
        (None, Some(file)) => {
            std::fs::write(file, &written.text)
                .map_err(|error| io_error(format_args!("write {}", file.display()), &error))?;
            errln!("Wrote {}. Run it:  jitney run {}", file.display(), file.display());
            Ok(ExitStatus::Ok)
        }
        (None, None) => {
            data(&written.text);
            Ok(ExitStatus::Ok)
        }
    }
}

/// Asks a model; none if the question is only shown.
async fn ask(
    subject: &QuestionSubject<'_>,
    only_shown: bool,
    settings: &Settings,
) -> anyhow::Result<Option<CopilotAnswer>> {
    let invalid = |problem: String| InvalidFlow::from(Diagnostic::error(problem));
    let question = CopilotQuestion::new(subject, tasks::ALL, &settings.redactor).map_err(invalid)?;
    if only_shown {
        data(&question.text());
        return Ok(None);
    }
    let Some(copilot) = Copilot::of(settings)? else { return Err(InvalidFlow::from(without_provider()).into()) };
    errln!("asking {} …", copilot.model());
    Ok(Some(copilot.ask(question, |line| errln!("{line}")).await?))
}

/// Says how to get a model, a local one first.
fn without_provider() -> Diagnostic {
    let help = "add one to jitney.yaml, here or in the home folder:\n\
        1. a model on this machine, with https://ollama.com and `ollama pull qwen3:8b`; nothing leaves the machine:\n   \
           ai: {providers: [{type: ollama, configuration: {model_name: qwen3:8b}}]}\n\
        2. Google\u{2019}s Gemini, with a key of https://aistudio.google.com:\n   \
           ai: {providers: [{type: gemini, configuration: {model_name: gemini-3.5-flash-lite, api_key: \"{{ secret('GEMINI_API_KEY') }}\"}}]}\n\
        3. any server with the API of OpenAI, or Anthropic:\n   \
           ai: {providers: [{type: openai, configuration: {model_name: NAME, base_url: https://HOST/v1, api_key: \"{{ secret('OPENAI_API_KEY') }}\"}}]}\n\
        docs/ai.md shows each step";
    Diagnostic::error("no language model is configured").help(help)
}

fn say(words: &str) {
    if !words.is_empty() {
        errln!("\n{words}\n");
    }
}

fn tries(number: u32) -> String {
    if number == 1 { "1 try".to_owned() } else { format!("{number} tries") }
}

/// Shows a change, and writes it once the user agrees. Elsewhere than on a terminal it is written only with `--yes`.
fn change(file: &Path, before: &str, after: &str, yes: bool, settings: &Settings) -> anyhow::Result<ExitStatus> {
    if before == after {
        errln!("Nothing needs to be changed.");
        return Ok(ExitStatus::Ok);
    }
    out!("{}", settings.redactor.clean(&unified_diff(before, after, &file.display().to_string())));
    let agreed = yes || (can_prompt(settings) && agrees(&format!("Write {}?", file.display()))?);
    if !agreed {
        errln!("{} was not changed; `--yes` writes it.", file.display());
        return Ok(ExitStatus::Ok);
    }
    std::fs::write(file, after).map_err(|error| io_error(format_args!("write {}", file.display()), &error))?;
    errln!("Wrote {}.", file.display());
    Ok(ExitStatus::Ok)
}

fn agrees(question: &str) -> anyhow::Result<bool> {
    let answers = ["Yes".to_owned(), "No".to_owned()];
    Ok(Prompts::start().choose(question, &answers)? == Some(0))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file);
    Ok(text.map_err(|error| io_error(format_args!("read the flow {}", file.display()), &error))?)
}

/// Explains an execution that failed.
async fn failure(arguments: &ExplainArguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let journal = Journal::open_to_read(&settings.journal())?;
    let id = &executions::find(&journal, &arguments.execution)?;
    let state = journal.state(id)?.ok_or_else(|| explained(EngineError::NotFound(id.clone())))?;
    if state.status != ExecutionState::Failed {
        let finding = Diagnostic::error(format!("execution {id} is {}: only failures are explained", state.status));
        return Err(InvalidFlow::from(finding).into());
    }
    let text = match Recorded::find(&state.created) {
        Recorded::Same(text) => text,
        Recorded::Changed => state.created.text.clone(),
    };
    let flow = parse(&state.created.file, &text, tasks::ALL).flow;
    let report = FailureReport::of(&journal, &settings.redactor, (id, &state), flow.as_ref())?;
    let what = format!("The execution {id} of the flow `{}` has failed.", state.created.flow);
    let now = std::fs::read_to_string(&state.created.file).unwrap_or_else(|_| text.clone());
    let subject = QuestionSubject::Failure { what, report: &report, text: Some(&now), with_log: arguments.with_log };
    let Some(answer) = ask(&subject, arguments.show_prompt, settings).await? else { return Ok(ExitStatus::Ok) };
    outln!("{}", answer.words);
    let Some(written) = answer.written.filter(|written| written.text != now) else { return Ok(ExitStatus::Ok) };
    let diff = settings.redactor.clean(&unified_diff(&now, &written.text, &state.created.file));
    outln!("\n{diff}");
    if !written.is_valid() {
        errln!("The change above is the best of {}, and has errors:\n", tries(answer.tries));
        return Err(InvalidFlow(written.findings).into());
    }
    Ok(ExitStatus::Ok)
}
