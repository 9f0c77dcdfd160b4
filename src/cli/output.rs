//! Where commands write: results to stdout, everything else to stderr. A reader that went away (`| head`) is no error.

use std::{
    env, fmt,
    io::{IsTerminal, Write},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// When a result is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Also into a file or another program.
    Always,
    /// Not at all.
    Never,
}

impl ColorWhen {
    /// Whether what goes to stdout now is coloured.
    pub fn is_on(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let is_said = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
                let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
                std::io::stdout().is_terminal() && !is_said("NO_COLOR") && !is_dumb
            }
        }
    }
}

/// Writes a result.
pub fn result(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to stdout"),
    }
}

/// Writes a value as `-o json` and `-o yaml` ask.
pub fn value(format: Format, value: &impl Serialize) -> Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(value)? + "\n",
        Format::Human | Format::Yaml => yaml(value)?,
    };
    result(&text)
}

fn yaml(value: &impl Serialize) -> Result<String> {
    let mut text = serde_saphyr::to_string(value).context("writing YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Writes a line for the person at the terminal.
pub fn progress(line: fmt::Arguments<'_>) {
    // Nobody to tell that nobody can be told.
    let _ = writeln!(std::io::stderr(), "{line}");
}
