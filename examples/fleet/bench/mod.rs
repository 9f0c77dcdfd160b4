//! The scenarios: what is measured, each beside the floor where there is one.

pub mod fan_out;
mod scale;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::{
    args::BenchArgs,
    client::{Dialect, Node, Requests},
    process::{Cores, raise_file_limit},
};
use scale::Size;
use table::Table;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Cold start, fan-out of one endpoint change, processor time and memory
    FanOut,
    /// The same with Envoy's 61 kB node in every request
    Node,
}

/// What every scenario works with.
pub struct Bench {
    pub chancery: PathBuf,
    pub cores: Cores,
    pub runs: usize,
    pub changes: usize,
    pub dialect: Dialect,
}

/// `node.cluster` of the simulated sidecars.
pub const WORKLOAD: &str = "fleet";

impl Bench {
    /// What the sidecars ask; with a large node, in every request.
    pub fn requests(&self, large_node: bool) -> Requests {
        let node = if large_node { Node::as_envoy_sends_it } else { Node::small }("sidecar", WORKLOAD);
        Requests { dialect: self.dialect, node, node_every_time: large_node }
    }
}

/// Measures what was asked for.
pub fn run(args: &BenchArgs) -> Result<()> {
    let BenchArgs { scenarios, chancery, sidecars, services, dialect, runs, changes, seconds: _, table, out: _ } = args;
    ensure!(
        chancery.exists(),
        "{} is not there; `cargo build --release`, or name it with --chancery",
        chancery.display()
    );
    raise_file_limit().context("raising the limit of open files")?;
    let cores = Cores::take().context("choosing cores")?;
    let bench = Bench { chancery: chancery.clone(), cores, runs: *runs, changes: *changes, dialect: *dialect };
    let all = [Scenario::FanOut, Scenario::Node];
    let scenarios = if scenarios.is_empty() { &all[..] } else { scenarios };
    let mut report = Table::default();
    for scenario in scenarios {
        match scenario {
            Scenario::FanOut if *table => {
                for services in [100, 1000] {
                    scale::compare(&bench, Size { sidecars: 10_000, services, large_node: false }, &mut report)?;
                }
            }
            Scenario::FanOut => {
                let size = Size { sidecars: *sidecars, services: *services, large_node: false };
                scale::compare(&bench, size, &mut report)?;
            }
            Scenario::Node => {
                let sidecars = if *table { 10_000 } else { *sidecars };
                scale::compare(&bench, Size { sidecars, services: *services, large_node: true }, &mut report)?;
            }
        }
    }
    print!("{report}");
    Ok(())
}
