//! `chancery completions`: a script that completes this command line in a shell.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome, output};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  chancery completions bash > /etc/bash_completion.d/chancery")]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<Outcome> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "chancery", &mut script);
        output::result(&String::from_utf8_lossy(&script))?;
        Ok(Outcome::Fine)
    }
}
