//! The fleet simulator: thousands of honest sidecars against an xDS server, measured beside the floor.
//!
//! ```text
//!  bench ── starts ──► chancery over a mesh ◄──┐                       core 0
//!    │   └─ starts ──► floor over a recording ◄┤
//!    ├─ probe: what is there, recorded         │
//!    └─ crowd: N connections, one thread ──────┘                       core 1
//! ```
//!
//! Every figure of chancery's is told beside the floor's of the same run; docs/performance.md says what is measured.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]
#![allow(missing_docs, reason = "a program of its own, with no interface")]

mod args;
mod bench;
mod client;
mod drive;
mod floor;
mod mesh;
mod process;
mod recording;
mod server;
mod stats;

use clap::Parser;

use args::{Cli, Command};

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Drive(args) => drive::run(&args),
        Command::Floor(args) => floor::run(&args),
    }
}
