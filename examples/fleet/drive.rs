//! Sidecars against a server that somebody else started.

use std::{process::Command, rc::Rc, time::Duration};

use anyhow::{Context, Result};

use crate::{
    args::DriveArgs,
    bench::fan_out::{Clock, fan_out},
    client::{Crowd, Node, Requests, Script, probe},
    process::{cpu, raise_file_limit, resident},
    stats::median,
};

pub fn run(args: &DriveArgs) -> Result<()> {
    let DriveArgs { xds, sidecars, dialect, workload, large_node, pid, change, changes } = args;
    raise_file_limit().context("raising the limit of open files")?;
    let node = if *large_node { Node::as_envoy_sends_it } else { Node::small }("fleet", workload);
    let requests = Requests { dialect: *dialect, node, node_every_time: *large_node };
    let known = probe(*xds, &requests).context("asking the server for everything it has")?;
    let [clusters, endpoints, listeners, routes] = known.counts();
    println!("the server has {clusters} clusters, {endpoints} assignments, {listeners} listeners, {routes} routes");
    let memory = |_| pid.map(resident).transpose();
    let empty = memory(())?;
    let script = Rc::new(Script::fresh(&requests, &known, &xds.to_string()));
    let mut crowd = Crowd::new(*xds)?;
    crowd.add(&script, *sidecars);
    let cold = crowd.until_complete(Duration::from_secs(300)).map_err(anyhow::Error::msg)?;
    println!("cold start: the last of {sidecars} sidecars has everything after {:.2} s", cold.as_secs_f64());
    if let Some((full, empty)) = memory(())?.zip(empty) {
        println!("resident: {:.1} KiB per sidecar", full.saturating_sub(empty) as f64 / 1024.0 / *sidecars as f64);
    }
    let Some(change) = change else { return Ok(()) };
    let clock = Clock { cpu: pid.map(|pid| Box::new(move || cpu(pid)) as Box<dyn Fn() -> Result<Duration>>) };
    let outcome = fan_out(&mut crowd, &clock, 1..=*changes as u32, |mark| {
        let status = Command::new("sh").args(["-c", change]).env("MARK", mark.to_string()).status()?;
        anyhow::ensure!(status.success(), "the command that changes an endpoint failed: {status}");
        Ok(())
    })?;
    println!(
        "fan-out from the first: p50 {:.1} ms, p99 {:.1} ms, last {:.1} ms; the first {:.1} ms after the change",
        median(outcome.changes.iter().map(|change| change.p50)),
        median(outcome.changes.iter().map(|change| change.p99)),
        median(outcome.changes.iter().map(|change| change.last)),
        median(outcome.changes.iter().map(|change| change.first)),
    );
    if pid.is_some() {
        println!("processor time: {:.1} µs per delivered update", outcome.cpu_per_update);
    }
    Ok(())
}
