//! `jitney graph`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::exit::io_error;
use crate::cli::out::data;
use crate::cli::{ExitStatus, InvalidFlow, flows};
use crate::diagnostic::Diagnostic;
use crate::flow::graph::FlowGraph;

#[derive(Args)]
pub(super) struct Arguments {
    /// The flow's file
    flow: PathBuf,
    /// The output format [default: by the extension of the output file, else text]
    #[arg(long, value_enum)]
    format: Option<GraphFormat>,
    /// Write to a file instead of stdout: .svg, .mmd or .md (Mermaid), or .txt
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// Text for the terminal
    Text,
    /// A Mermaid flowchart for Markdown pages
    Mermaid,
    /// An SVG image
    Svg,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let format = arguments.format()?;
    let (flow, _) = flows::read(&arguments.flow)?;
    let graph = FlowGraph::of(&flow);
    let text = match format {
        GraphFormat::Text => graph.to_text(),
        GraphFormat::Mermaid => graph.to_mermaid(),
        GraphFormat::Svg => graph.to_svg(),
    };
    match &arguments.output {
        Some(file) => std::fs::write(file, text)
            .map_err(|error| io_error(format_args!("write the graph to {}", file.display()), &error))?,
        None => data(&text),
    }
    Ok(ExitStatus::Ok)
}

impl Arguments {
    /// The format of `--format`, or by the extension of the output file.
    ///
    /// # Errors
    /// When the extension is unknown or contradicts `--format`.
    fn format(&self) -> Result<GraphFormat, InvalidFlow> {
        let Some(file) = &self.output else { return Ok(self.format.unwrap_or(GraphFormat::Text)) };
        let extension = file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let by_extension = match extension.as_deref() {
            Some("svg") => GraphFormat::Svg,
            Some("mmd" | "md") => GraphFormat::Mermaid,
            Some("txt") => GraphFormat::Text,
            None if self.format.is_some() => return Ok(self.format.unwrap_or(GraphFormat::Text)),
            _ => {
                let finding =
                    Diagnostic::error(format!("the extension of `{}` is not that of a known format", file.display()));
                return Err(finding.help("choose a name that ends in .svg, .mmd, .md or .txt").into());
            }
        };
        match self.format {
            Some(format) if format != by_extension => {
                let finding =
                    Diagnostic::error(format!("`--format` contradicts the extension of `{}`", file.display()));
                Err(finding.help("remove `--format`, or choose a name that ends in .svg, .mmd, .md or .txt").into())
            }
            _ => Ok(by_extension),
        }
    }
}
