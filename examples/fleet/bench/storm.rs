//! Everybody comes back at once, holding everything: clusters and listeners are not sent again, endpoints and routes are.
//!
//! The floor answers the same: an empty response where the whole state is claimed, everything of the other types.

use std::rc::Rc;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    Bench,
    scale::{LIMIT, PUSH, record},
    table::{Beside, Bound, Row, Table},
};
use crate::{
    client::{Crowd, Kind, Requests, Script, probe},
    mesh::Mesh,
    server::Server,
    stats::median,
};

/// Figures of one run.
struct Storm {
    /// Seconds until the last is settled.
    settled: f64,
    /// Clusters and listeners that were sent all the same.
    sent_again: u32,
    /// Server's processor time for each sidecar, in microseconds.
    cpu: f64,
}

pub fn compare(bench: &Bench, sidecars: usize, services: usize, table: &mut Table) -> Result<()> {
    let mesh = Mesh::new(services)?;
    let requests = bench.requests(false);
    let folder = TempDir::new()?;
    let recording = folder.path().join("recording");
    record(bench, &mesh, &requests)?.write(&recording)?;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        let server = Server::chancery(&bench.chancery, &mesh, PUSH, &bench.cores)?;
        ours.push(run(&requests, &server, sidecars).context("measuring chancery")?);
        drop(server);
        let server = Server::floor(&recording, &bench.cores)?;
        floors.push(run(&requests, &server, sidecars).context("measuring the floor")?);
    }
    let scenario = format!("{sidecars} sidecars × {services} services come back");
    let mut add = |what: &str, unit, bound, figure: fn(&Storm) -> f64, has_floor: bool| {
        table.add(Row {
            scenario: scenario.clone(),
            what: what.to_owned(),
            unit,
            chancery: median(ours.iter().map(figure)),
            beside: Beside::floor(median(floors.iter().map(figure))).filter(|_| has_floor),
            bound,
        });
    };
    let settled_bound = (sidecars >= 10_000).then_some(Bound::Times(1.5));
    add("settled, last", "s", settled_bound, |run| run.settled, true);
    add("CPU per sidecar", "µs", None, |run| run.cpu, true);
    add("clusters, listeners sent again", "", Some(Bound::AtMost(0.0)), |run| f64::from(run.sent_again), false);
    Ok(())
}

fn run(requests: &Requests, server: &Server, sidecars: usize) -> Result<Storm> {
    let known = probe(server.address, requests)?;
    let mut crowd = Crowd::new(server.address)?;
    crowd.add(&Rc::new(Script::returning(requests, &known, &server.address.to_string())), sidecars);
    let before = server.cpu()?;
    let settled = crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
    let cpu = server.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / sidecars as f64;
    let full_state = [Kind::Cluster, Kind::Listener].map(|kind| kind as usize);
    let sent_again = crowd.progress().flat_map(|progress| full_state.map(|kind| progress.resources[kind])).sum();
    Ok(Storm { settled: settled.as_secs_f64(), sent_again, cpu })
}
