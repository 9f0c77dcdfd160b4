//! `chancery validate`: every problem of all inputs at once, offline.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::{
    Outcome, diagnostics,
    inputs::{self, Inputs, check_paths, today},
    output,
};
use crate::{
    diagnostic::{Diagnostic, Level},
    policy::{
        Date,
        lint::{self, LINTS},
    },
    yaml::did_you_mean,
};

/// Check configuration, service snapshots and policies offline
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chancery validate --config chancery.yaml\n  chancery validate policies/ -o github\n  \
                        chancery validate --config chancery.yaml --deny warnings"
)]
pub struct Validate {
    /// The configuration; everything it names is checked
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: Option<PathBuf>,
    /// Further files and folders, each taken for what it holds: policies, service snapshots, configurations
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Take the warnings of a lint for errors, or all of them with `warnings`; may be repeated
    #[arg(long, value_name = "ID|warnings", value_parser = deniable)]
    deny: Vec<String>,
    /// The day that annotations `expires` are held against; absent = today (UTC)
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = inputs::day)]
    today: Option<Date>,
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
        let today = self.today.unwrap_or_else(today);
        let mut problems: Vec<Diagnostic> = Vec::new();
        let mut everything = None;
        if let Some(config) = &self.config {
            let mut inputs = Inputs::load(config);
            everything = inputs.everything();
            problems.extend(inputs.linted(today));
        }
        if !self.paths.is_empty() {
            problems.extend(check_paths(&self.paths, today));
        }
        let is_denied = |id: &str| self.deny.iter().any(|denied| denied == ALL_WARNINGS || denied == id);
        for problem in problems.iter_mut().filter(|problem| is_denied(problem.id)) {
            problem.level = Level::Error;
        }
        match self.output {
            Format::Human if problems.is_empty() => output::progress(format_args!("no problems")),
            Format::Human => diagnostics::explain(&problems),
            Format::Json => output::value(output::Format::Json, &diagnostics::json(&problems))?,
            Format::Sarif => output::value(output::Format::Json, &diagnostics::sarif(&problems))?,
            Format::Github => output::result(&diagnostics::github(&problems))?,
        }
        if let (Format::Human, Some(everything)) = (self.output, everything) {
            let inputs::Everything { services, resources, bytes } = everything;
            output::progress(format_args!(
                "a sidecar that nothing limits is sent {services} {}: {resources} resources, {}",
                if services == 1 { "service" } else { "services" },
                size(bytes)
            ));
        }
        let has_errors = problems.iter().any(|problem| problem.level == Level::Error);
        Ok(if has_errors { Outcome::Problems } else { Outcome::Fine })
    }
}

/// Bytes, for people.
fn size(bytes: usize) -> String {
    match bytes {
        0..=999 => format!("{bytes} bytes"),
        1_000..=999_999 => format!("{} KB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

/// What stands for every lint, and every other warning.
const ALL_WARNINGS: &str = "warnings";

fn deniable(written: &str) -> Result<String, String> {
    if written == ALL_WARNINGS || lint::find(written).is_some() {
        return Ok(written.to_owned());
    }
    let words = LINTS.iter().map(|lint| lint.id).chain([ALL_WARNINGS]);
    let remedy = did_you_mean(written, words).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Err(format!("there is no such lint{remedy}"))
}
