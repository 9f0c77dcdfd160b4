//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{bench::Scenario, client::Dialect};

/// N simulated sidecars against an xDS server, and the floor it is held against
#[derive(Debug, Parser)]
#[command(name = "fleet")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Bench(BenchArgs),
    Drive(DriveArgs),
    Floor(FloorArgs),
}

/// Measure chancery beside its floor, scenario by scenario
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  fleet bench fan-out churn --sidecars 2000 --runs 3")]
pub struct BenchArgs {
    /// Which scenarios; absent = all
    #[arg(value_enum)]
    pub scenarios: Vec<Scenario>,
    /// The chancery binary
    #[arg(long, env = "CHANCERY", default_value = "target/release/chancery")]
    pub chancery: PathBuf,
    /// How many sidecars, where a scenario does not say otherwise
    #[arg(long, default_value_t = 1000)]
    pub sidecars: usize,
    /// How many services, likewise
    #[arg(long, default_value_t = 100)]
    pub services: usize,
    /// Which dialect of xDS
    #[arg(long, value_enum, default_value = "delta")]
    pub dialect: Dialect,
    /// Every measurement is repeated this often, and medians are told
    #[arg(long, env = "RUNS", default_value_t = 1)]
    pub runs: usize,
    /// How many changes a run makes
    #[arg(long, default_value_t = 10)]
    pub changes: usize,
    /// How long steady churn lasts, in seconds
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// The sizes of the table instead of those above: ten thousand sidecars
    #[arg(long)]
    pub table: bool,
    /// Where the numbers go as JSON, and the charts
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// A page of the documentation whose table of numbers is rewritten
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
}

/// Drive any xDS server: cold start, then watch its updates
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fleet drive --xds 127.0.0.1:18000 --sidecars 1000 --pid $(pidof server) --change './touch-endpoint'"
)]
pub struct DriveArgs {
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    pub xds: SocketAddr,
    #[arg(long, default_value_t = 1000)]
    pub sidecars: usize,
    #[arg(long, value_enum, default_value = "delta")]
    pub dialect: Dialect,
    /// `node.cluster`
    #[arg(long, default_value = "fleet")]
    pub workload: String,
    /// Send the node with every request, 61 kB long
    #[arg(long)]
    pub large_node: bool,
    /// The server's process, whose processor time and memory are told
    #[arg(long)]
    pub pid: Option<u32>,
    /// A shell command that changes one endpoint; `$MARK` in its environment is the change's number from 1
    #[arg(long)]
    pub change: Option<String>,
    /// How often to change
    #[arg(long, default_value_t = 10)]
    pub changes: usize,
}

/// Serve a recording over the same transport: what `bench` starts beside chancery
#[derive(Debug, Args)]
pub struct FloorArgs {
    #[arg(long)]
    pub listen: SocketAddr,
    #[arg(long)]
    pub recording: PathBuf,
}
