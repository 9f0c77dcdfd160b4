//! The command line: one file per command, results to stdout, everything else to stderr.
//!
//! Exit codes: 0 fine, warnings included; 1 the inputs have problems; 2 the command could not run.

mod bootstrap;
mod completions;
mod diagnostics;
mod hosts;
mod inputs;
mod node;
mod output;
mod plan;
mod release;
mod render;
mod revision;
mod schema;
mod serve;
mod server;
mod snapshot;
mod validate;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An Envoy xDS control plane: a service snapshot and policies as YAML in, Envoy resources out, pushed to sidecars.
#[derive(Debug, Parser)]
#[command(name = "chancery", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Validate(validate::Validate),
    Render(render::Render),
    Why(why::WhyCommand),
    Plan(plan::PlanCommand),
    Snapshot(snapshot::SnapshotCommand),
    Release(release::ReleaseCommand),
    Hosts(hosts::Hosts),
    Bootstrap(bootstrap::Bootstrap),
    Schema(schema::SchemaCommand),
    Completions(completions::Completions),
}

/// How a command that could run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Fine,
    /// The inputs have problems, which were printed, or what was asked to fail on is there: exit code 1.
    Problems,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Validate(validate) => validate.run(),
        Command::Render(render) => render.run(),
        Command::Why(why) => why.run(),
        Command::Plan(plan) => plan.run(),
        Command::Snapshot(snapshot) => snapshot.run(),
        Command::Release(release) => release.run(),
        Command::Hosts(hosts) => hosts.run(),
        Command::Bootstrap(bootstrap) => bootstrap.run(),
        Command::Schema(schema) => schema.run(),
        Command::Completions(completions) => completions.run(),
    };
    match outcome {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Problems) => ExitCode::from(1),
        Err(error) => {
            output::progress(format_args!("chancery: {error:#}"));
            ExitCode::from(2)
        }
    }
}
