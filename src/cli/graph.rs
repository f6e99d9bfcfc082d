//! `jitney graph`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::cli::out::data;
use crate::cli::{Exit, flows};
use crate::flow::graph::Graph;

#[derive(Args)]
pub(super) struct Arguments {
    /// The flow's file
    flow: PathBuf,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to a file instead of stdout; `.svg` and `.mmd` choose the format
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
    let (flow, _) = flows::read(&arguments.flow)?;
    let graph = Graph::of(&flow);
    let text = match arguments.chosen() {
        Format::Text => graph.to_text(),
        Format::Mermaid => graph.to_mermaid(),
        Format::Svg => graph.to_svg(),
    };
    match &arguments.output {
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("cannot write the picture to {}", file.display()))?;
        }
        None => data(&text),
    }
    Ok(Exit::Ok)
}

impl Arguments {
    /// The format that was asked for, or that the file's name asks for.
    fn chosen(&self) -> Format {
        let extension = self.output.as_ref().and_then(|file| file.extension()?.to_str());
        match extension {
            Some("svg") if self.format == Format::Text => Format::Svg,
            Some("mmd") if self.format == Format::Text => Format::Mermaid,
            _ => self.format,
        }
    }
}
