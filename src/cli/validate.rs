//! `chancery validate`: every problem of all inputs at once, offline.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::{
    Outcome, diagnostics,
    inputs::{Inputs, check_paths},
    output,
};
use crate::diagnostic::{Diagnostic, Level};

/// Check configuration, service snapshots and policies offline
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chancery validate --config chancery.yaml\n  chancery validate policies/ -o github"
)]
pub struct Validate {
    /// The configuration; everything it names is checked
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: Option<PathBuf>,
    /// Further files and folders, each taken for what it holds: policies, service snapshots, configurations
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print what is wrong
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Human)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
    Sarif,
    Github,
}

impl Validate {
    pub fn run(self) -> Result<Outcome> {
        if self.config.is_none() && self.paths.is_empty() {
            bail!("name what to check: --config FILE, or files and folders");
        }
        let mut problems: Vec<Diagnostic> = Vec::new();
        if let Some(config) = &self.config {
            problems.extend(Inputs::load(config).problems);
        }
        if !self.paths.is_empty() {
            problems.extend(check_paths(&self.paths));
        }
        match self.output {
            Format::Human if problems.is_empty() => output::progress(format_args!("no problems")),
            Format::Human => diagnostics::explain(&problems),
            Format::Json => output::value(output::Format::Json, &diagnostics::json(&problems))?,
            Format::Sarif => output::value(output::Format::Json, &diagnostics::sarif(&problems))?,
            Format::Github => output::result(&diagnostics::github(&problems))?,
        }
        let has_errors = problems.iter().any(|problem| problem.level == Level::Error);
        Ok(if has_errors { Outcome::Problems } else { Outcome::Fine })
    }
}
