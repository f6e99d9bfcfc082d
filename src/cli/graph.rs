//! `jitney graph`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::exit::cannot;
use crate::cli::out::data;
use crate::cli::{Exit, Invalid, flows};
use crate::diagnostic::Diagnostic;
use crate::flow::graph::Graph;

#[derive(Args)]
pub(super) struct Arguments {
    /// The flow's file
    flow: PathBuf,
    /// How to draw it [default: as the file's name says, else text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to a file instead of stdout: .svg, .mmd or .md (Mermaid), or .txt
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For the terminal
    Text,
    /// A Mermaid flow chart, as Markdown pages show it
    Mermaid,
    /// An image
    Svg,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let chosen = arguments.chosen()?;
    let (flow, _) = flows::read(&arguments.flow)?;
    let graph = Graph::of(&flow);
    let text = match chosen {
        Format::Text => graph.to_text(),
        Format::Mermaid => graph.to_mermaid(),
        Format::Svg => graph.to_svg(),
    };
    match &arguments.output {
        Some(file) => std::fs::write(file, text)
            .map_err(|error| cannot(format_args!("write the picture to {}", file.display()), &error))?,
        None => data(&text),
    }
    Ok(Exit::Ok)
}

impl Arguments {
    /// The format that was asked for, or that the file's name asks for.
    ///
    /// # Errors
    /// When the file's name asks for one that is not written.
    fn chosen(&self) -> Result<Format, Invalid> {
        let Some(file) = &self.output else { return Ok(self.format.unwrap_or(Format::Text)) };
        let extension = file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let named = match extension.as_deref() {
            Some("svg") => Format::Svg,
            Some("mmd" | "md") => Format::Mermaid,
            Some("txt") => Format::Text,
            None if self.format.is_some() => return Ok(self.format.unwrap_or(Format::Text)),
            _ => {
                let finding = Diagnostic::error(format!("cannot tell a format from the name `{}`", file.display()));
                return Err(finding.help("name a file that ends in .svg, .mmd, .md or .txt").into());
            }
        };
        match self.format {
            Some(format) if format != named => {
                let finding =
                    Diagnostic::error(format!("`--format` does not agree with the name `{}`", file.display()));
                Err(finding.help("the name alone says the format too: .svg, .mmd or .md, .txt").into())
            }
            _ => Ok(named),
        }
    }
}
