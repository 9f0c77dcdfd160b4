//! The scenarios: what is measured, each beside the floor where there is one.

mod bad;
mod chart;
mod churn;
mod edits;
pub mod fan_out;
mod few;
mod page;
mod scale;
mod storm;
mod sweep;
mod table;

use std::{fs, ops::RangeInclusive, path::PathBuf, time::Instant};

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
    /// Cold start, fan-out of one endpoint's change, processor time and memory
    FanOut,
    /// The same with Envoy's 61 kB node in every request
    Node,
    /// Many services against few
    Services,
    /// Everybody reconnects, holding everything
    Storm,
    /// A route's policy edited, a service added, with and without Dependencies
    Edits,
    /// One change that 1 % subscribe to
    Few,
    /// Clients that misbehave beside those that do not
    Bad,
    /// Endpoints that change all the time
    Churn,
    /// Cost against number of sidecars and of services: the charts
    Sweep,
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

    /// Of the changes of a run, each its own.
    pub fn marks(&self) -> RangeInclusive<u32> {
        1..=self.changes as u32
    }
}

/// Measures what was asked for. A scenario that fails is told, and the others go on.
pub fn run(args: &BenchArgs) -> Result<()> {
    let BenchArgs { scenarios, chancery, dialect, runs, changes, out, page, .. } = args;
    ensure!(
        chancery.exists(),
        "{} is not there; `cargo build --release`, or name it with --chancery",
        chancery.display()
    );
    raise_file_limit().context("raising the limit of open files")?;
    // Asked before this thread is limited to one core.
    let machine = page::machine();
    let cores = Cores::take().context("choosing cores")?;
    let bench = Bench { chancery: chancery.clone(), cores, runs: *runs, changes: *changes, dialect: *dialect };
    let all = <Scenario as clap::ValueEnum>::value_variants();
    let scenarios = if scenarios.is_empty() { all } else { scenarios };
    let (mut table, mut failed) = (Table::default(), Vec::new());
    for scenario in scenarios {
        let began = Instant::now();
        if let Err(error) = measure(*scenario, args, &bench, &mut table) {
            eprintln!("{scenario:?}: {error:#}");
            failed.push(*scenario);
        }
        eprintln!("{scenario:?} took {:.0} s", began.elapsed().as_secs_f64());
    }
    print!("{table}");
    if let Some(folder) = out {
        fs::create_dir_all(folder)?;
        let numbers = folder.join("numbers.json");
        fs::write(&numbers, serde_json::to_string_pretty(&table)? + "\n")?;
        println!("the numbers are in {}", numbers.display());
    }
    if let Some(page) = page {
        page::rewrite(page, &table, &format!("{machine} Medians of {runs} runs."))?;
    }
    ensure!(failed.is_empty(), "these could not be measured: {failed:?}");
    let broken = table.rows.iter().filter(|row| row.holds() == Some(false)).count();
    ensure!(broken == 0, "{broken} bounds are broken");
    Ok(())
}

/// With `--table` the sizes are the issue's.
fn measure(scenario: Scenario, args: &BenchArgs, bench: &Bench, table: &mut Table) -> Result<()> {
    let BenchArgs { sidecars, services, seconds, table: is_table, out, .. } = args;
    let sidecars_or = |of_table: usize| if *is_table { of_table } else { *sidecars };
    let services_or = |of_table: usize| if *is_table { of_table } else { *services };
    match scenario {
        Scenario::FanOut => {
            for services in if *is_table { vec![100, 1000] } else { vec![*services] } {
                let size = Size { sidecars: sidecars_or(10_000), services, large_node: false };
                scale::compare(bench, size, table)?;
            }
            Ok(())
        }
        Scenario::Node => {
            let size = Size { sidecars: sidecars_or(10_000), services: services_or(100), large_node: true };
            scale::compare(bench, size, table)
        }
        Scenario::Services => scale::many_against_few(bench, sidecars_or(2000), services_or(100), table),
        Scenario::Storm => storm::compare(bench, sidecars_or(10_000), services_or(100), table),
        Scenario::Edits => {
            for services in if *is_table { vec![1000, 5000] } else { vec![*services] } {
                edits::measure(bench, sidecars_or(1000), services, table)?;
            }
            Ok(())
        }
        Scenario::Few => few::measure(bench, sidecars_or(10_000), services_or(1000), table),
        Scenario::Bad => bad::measure(bench, sidecars_or(2000), services_or(100), table),
        Scenario::Churn => {
            let seconds = if *is_table { 60 } else { *seconds };
            churn::measure(bench, sidecars_or(2000), services_or(1000), seconds, table)
        }
        Scenario::Sweep => sweep::measure(bench, *is_table, out.as_deref(), table),
    }
}
