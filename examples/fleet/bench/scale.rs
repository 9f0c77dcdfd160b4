//! N sidecars over M services: cold start, fan-out of one endpoint's change, processor time, memory.

use std::{fmt, rc::Rc, time::Duration};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    Bench,
    fan_out::{Clock, FanOut, fan_out},
    table::{Beside, Bound, Row, Table},
};
use crate::{
    client::{Crowd, Known, Requests, Script, probe},
    mesh::Mesh,
    process::cpu,
    recording::Recording,
    server::Server,
    stats::median,
};

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub sidecars: usize,
    pub services: usize,
    pub large_node: bool,
}

/// Figures of one run.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Seconds until the last sidecar has everything.
    pub cold: f64,
    /// Resident memory for each sidecar, in KiB.
    pub resident: f64,
    pub fan_out: FanOut,
}

/// No debounce: it is not what is measured.
pub const PUSH: &str = "{ quiet: 0ms, maxDelay: 100ms }";

/// How long a cold start may take.
pub const LIMIT: Duration = Duration::from_secs(120);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sidecars, services, large_node } = self;
        write!(f, "{sidecars} sidecars × {services} services")?;
        if *large_node { f.write_str(", 61 kB node") } else { Ok(()) }
    }
}

/// Measures both, in turn, and tells each figure beside the floor's.
pub fn compare(bench: &Bench, size: Size, table: &mut Table) -> Result<()> {
    let (ours, floors) = measure(bench, size)?;
    let scenario = size.to_string();
    let is_large = size.sidecars >= 10_000;
    let floor_bound = |most: f64| is_large.then_some(Bound::Times(most));
    let fan_out_bound = (!size.large_node).then(|| floor_bound(if size.services > 100 { 1.25 } else { 1.2 })).flatten();
    let cold_bound = (!size.large_node).then(|| floor_bound(1.3)).flatten();
    let cpu_bound = floor_bound(if size.large_node { 1.5 } else { 1.3 });
    let memory_bound = is_large.then_some(Bound::AtMost(if size.large_node { 64.0 } else { 40.0 }));
    let mut add = |what: &str, unit, bound, figure: &dyn Fn(&Figures) -> f64| {
        table.add(Row {
            scenario: scenario.clone(),
            what: what.to_owned(),
            unit,
            chancery: median(ours.iter().map(figure)),
            beside: Beside::floor(median(floors.iter().map(figure))),
            bound,
        });
    };
    let of_changes =
        |run: &Figures, figure: fn(&super::fan_out::Change) -> f64| median(run.fan_out.changes.iter().map(figure));
    add("cold start, last", "s", cold_bound, &|run| run.cold);
    add("change to first", "ms", None, &|run| of_changes(run, |change| change.first));
    add("fan-out p50", "ms", None, &|run| of_changes(run, |change| change.p50));
    add("fan-out p99", "ms", fan_out_bound, &|run| of_changes(run, |change| change.p99));
    add("fan-out last", "ms", None, &|run| of_changes(run, |change| change.last));
    add("CPU per update", "µs", cpu_bound, &|run| run.fan_out.cpu_per_update);
    add("resident per sidecar", "KiB", memory_bound, &|run| run.resident);
    Ok(())
}

/// Runs of chancery and of the floor over a recording of it, alternating.
pub fn measure(bench: &Bench, size: Size) -> Result<(Vec<Figures>, Vec<Figures>)> {
    let mesh = Mesh::new(size.services)?;
    let requests = bench.requests(size.large_node);
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    let folder = TempDir::new()?;
    let recording = folder.path().join("recording");
    record(bench, &mesh, &requests)?.write(&recording)?;
    for _ in 0..bench.runs {
        mesh.change(0, 0)?;
        let server = Server::chancery(&bench.chancery, &mesh, PUSH, &bench.cores)?;
        let change = |_: &mut Server, mark| Ok(mesh.change(0, mark)?);
        ours.push(run(bench, size, &requests, server, change).context("measuring chancery")?);
        let server = Server::floor(&recording, &bench.cores)?;
        let change = |server: &mut Server, mark| server.push(mark as usize - 1);
        floors.push(run(bench, size, &requests, server, change).context("measuring the floor")?);
    }
    Ok((ours, floors))
}

fn run(
    bench: &Bench,
    size: Size,
    requests: &Requests,
    mut server: Server,
    change: impl Fn(&mut Server, u32) -> Result<()>,
) -> Result<Figures> {
    let (known, mut crowd) = connect(requests, &server, size.sidecars)?;
    let _ = known;
    let empty = server.resident()?;
    let cold = crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
    let id = server.id();
    let clock = Clock { cpu: Some(Box::new(move || cpu(id))) };
    let fan_out = fan_out(&mut crowd, &clock, bench.marks(), |mark| change(&mut server, mark))?;
    let resident = server.resident()?.saturating_sub(empty) as f64 / 1024.0 / size.sidecars as f64;
    Ok(Figures { cold: cold.as_secs_f64(), resident, fan_out })
}

/// A crowd that is about to connect to a server, which has been asked everything once.
pub fn connect(requests: &Requests, server: &Server, sidecars: usize) -> Result<(Known, Crowd)> {
    let known = probe(server.address, requests)?;
    let mut crowd = Crowd::new(server.address)?;
    crowd.add(&Rc::new(Script::fresh(requests, &known, &server.address.to_string())), sidecars);
    Ok((known, crowd))
}

/// What chancery says first, and at each of the changes.
pub fn record(bench: &Bench, mesh: &Mesh, requests: &Requests) -> Result<Recording> {
    let server = Server::chancery(&bench.chancery, mesh, PUSH, &bench.cores)?;
    let (known, mut crowd) = connect(requests, &server, 1)?;
    crowd.keep_bodies();
    crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
    let mut updates = Vec::new();
    for mark in bench.marks() {
        mesh.change(0, mark)?;
        let deadline = std::time::Instant::now() + LIMIT;
        crowd.run(
            deadline,
            |response| {
                if response.seen.mark == Some(mark) {
                    updates.push(crate::client::probe::without_nonce(&response.seen.body));
                    return crate::client::Flow::Stop;
                }
                crate::client::Flow::GoOn
            },
            |_| false,
        );
        anyhow::ensure!(updates.len() == mark as usize, "chancery did not send change {mark}");
    }
    Ok(Recording::new(&known, updates))
}

/// So many changes are made before those that count. Linux acknowledges the first sixteen segments of a connection at
/// once, and then waits for something to send along: from the seventeenth change on each costs a quarter more, the floor's
/// too, but where there are many services the first answers have used those sixteen up.
const WARM_UP: u32 = 20;

/// The same change among many services and among few: it costs what it touches.
///
/// Both servers are there at once, and changes are made at one and the other in turn, so that both see the same machine.
pub fn many_against_few(bench: &Bench, sidecars: usize, few: usize, table: &mut Table) -> Result<()> {
    let many = few * 50;
    let (mut of_many, mut of_few) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        let (mut with_many, mut with_few) = (Scene::new(bench, sidecars, many)?, Scene::new(bench, sidecars, few)?);
        for mark in 1..=WARM_UP + bench.changes as u32 {
            let p99_of_many = with_many.p99_of_change(mark).with_context(|| format!("among {many} services"))?;
            let p99_of_few = with_few.p99_of_change(mark).with_context(|| format!("among {few} services"))?;
            if mark > WARM_UP {
                of_many.push(p99_of_many);
                of_few.push(p99_of_few);
            }
        }
    }
    table.add(Row {
        scenario: format!("{sidecars} sidecars, {many} services against {few}"),
        what: "fan-out p99".to_owned(),
        unit: "ms",
        chancery: median(of_many),
        beside: Some(Beside { whose: "few services", value: median(of_few) }),
        bound: Some(Bound::Times(1.2)),
    });
    Ok(())
}

/// A server whose sidecars have everything.
struct Scene {
    mesh: Mesh,
    _server: Server,
    crowd: Crowd,
}

impl Scene {
    fn new(bench: &Bench, sidecars: usize, services: usize) -> Result<Self> {
        let mesh = Mesh::new(services)?;
        let server = Server::chancery(&bench.chancery, &mesh, PUSH, &bench.cores)?;
        let (_, mut crowd) = connect(&bench.requests(false), &server, sidecars)?;
        crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
        Ok(Self { mesh, _server: server, crowd })
    }

    fn p99_of_change(&mut self, mark: u32) -> Result<f64> {
        let Self { mesh, crowd, _server } = self;
        let outcome = fan_out(crowd, &Clock { cpu: None }, [mark], |mark| Ok(mesh.change(0, mark)?))?;
        Ok(median(outcome.changes.iter().map(|change| change.p99)))
    }
}
