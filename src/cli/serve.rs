//! `chancery serve`: the control plane itself.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{Outcome, diagnostics};
use crate::{app, config};

/// Run the control plane until SIGTERM; SIGHUP reads everything again
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  chancery serve --config chancery.yaml\n\nCHANCERY_LOG sets what is logged, for example `debug` or `chancery::xds=debug`."
)]
pub struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: PathBuf,
}

impl Serve {
    pub fn run(self) -> Result<Outcome> {
        let filter = EnvFilter::try_from_env("CHANCERY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        let config = match config::load(&self.config) {
            Ok(config) => config,
            Err(problems) => {
                diagnostics::explain(&problems);
                return Ok(Outcome::Problems);
            }
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
        match runtime.block_on(app::run(&config, &self.config))? {
            app::Ended::Stopped => Ok(Outcome::Fine),
            app::Ended::Refused(problems) => {
                diagnostics::explain(&problems);
                Ok(Outcome::Problems)
            }
        }
    }
}
