//! What other changes cost beside that of an endpoint: a route's policy edited, a service added; and what it costs once
//! `Dependencies` limit the sidecars to the services they call.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{
    Bench, WORKLOAD,
    fan_out::Clock,
    scale::{LIMIT, PUSH, connect},
    table::{Beside, Row, Table},
};
use crate::{
    client::{Crowd, Flow, Kind},
    mesh::{Mesh, name},
    process::cpu,
    server::Server,
    stats::median,
};

/// How many services a sidecar calls where `Dependencies` say so.
const CALLED: usize = 10;

/// Nothing came for this long: the change is through.
const QUIET: Duration = Duration::from_millis(150);

/// A change's cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Bytes to each sidecar.
    bytes: f64,
    /// Server's processor time for each, in microseconds.
    cpu: f64,
}

pub fn measure(bench: &Bench, sidecars: usize, services: usize, table: &mut Table) -> Result<()> {
    for limited in [false, true] {
        let mut mesh = Mesh::new(services)?;
        if limited {
            let called: Vec<String> = (0..CALLED).map(name).collect();
            let called = called.join(", ");
            mesh.write_policy(
                "dependencies.yaml",
                &format!(
                    "apiVersion: chancery.dev/v1alpha1\nkind: Dependencies\nmetadata: {{ name: {WORKLOAD} }}\n\
                     spec: {{ workload: {WORKLOAD}, services: [ {called} ] }}\n"
                ),
            )?;
        }
        write_timeout(&mesh, 1)?;
        let server = Server::chancery(&bench.chancery, &mesh, PUSH, &bench.cores)?;
        let requests = bench.requests(false);
        let (_, mut crowd) = connect(&requests, &server, sidecars)?;
        crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
        let id = server.id();
        let clock = Clock { cpu: Some(Box::new(move || cpu(id))) };

        let endpoint = cost(bench, &mut crowd, &clock, Kind::Endpoints, |mark| Ok(mesh.change(0, mark)?))?;
        let route = cost(bench, &mut crowd, &clock, Kind::Route, |mark| write_timeout(&mesh, mark + 1))?;
        // The new cluster's name is read off the response, since its endpoints are asked for.
        crowd.keep_bodies();
        let service = if limited {
            // Nobody is sent a service that nobody calls.
            None
        } else {
            Some(cost(bench, &mut crowd, &clock, Kind::Route, |_| Ok(mesh.add()?))?)
        };
        let limit = if limited { format!(", {CALLED} called") } else { String::new() };
        let scenario = format!("{sidecars} sidecars × {services} services{limit}");
        let mut add = |what: &str, unit, value, beside: Option<f64>| {
            let beside = beside.map(|value| Beside { whose: "endpoint", value });
            table.add(Row {
                scenario: scenario.clone(),
                what: what.to_owned(),
                unit,
                chancery: value,
                beside,
                bound: None,
            });
        };
        add("endpoint changed, bytes", "KiB", endpoint.bytes / 1024.0, None);
        add("endpoint changed, CPU", "µs", endpoint.cpu, None);
        for (what, edit) in [("route edited", Some(route)), ("service added", service)] {
            let Some(edit) = edit else { continue };
            add(&format!("{what}, bytes"), "KiB", edit.bytes / 1024.0, Some(endpoint.bytes / 1024.0));
            add(&format!("{what}, CPU"), "µs", edit.cpu, Some(endpoint.cpu));
        }
    }
    Ok(())
}

fn write_timeout(mesh: &Mesh, seconds: u32) -> Result<()> {
    let text = format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: timeout }}\n\
         spec: {{ target: {{ service: {} }}, timeout: {seconds}s }}\n",
        name(0)
    );
    Ok(mesh.write_policy("timeout.yaml", &text)?)
}

/// Makes changes that end with a response of that type to everybody; the median of their costs.
fn cost(
    bench: &Bench,
    crowd: &mut Crowd,
    clock: &Clock,
    kind: Kind,
    mut change: impl FnMut(u32) -> Result<()>,
) -> Result<Cost> {
    let everybody = crowd.complete();
    let taken = || clock.cpu.as_ref().map_or(Ok(Duration::ZERO), |cpu| cpu());
    let mut costs = Vec::new();
    for mark in 1..=bench.changes as u32 {
        let before = taken()?;
        let (mut bytes, mut heard, mut last) = (0, 0, Instant::now());
        change(mark)?;
        let deadline = last + LIMIT;
        while heard < everybody || last.elapsed() < QUIET {
            ensure!(Instant::now() < deadline, "a change reached {heard} of {everybody} sidecars");
            crowd.run(
                Instant::now() + QUIET,
                |response| {
                    bytes += response.seen.bytes;
                    heard += usize::from(response.seen.kind == Some(kind));
                    last = response.at;
                    Flow::GoOn
                },
                |_| false,
            );
        }
        let each = everybody.max(1) as f64;
        costs
            .push(Cost { bytes: bytes as f64 / each, cpu: taken()?.saturating_sub(before).as_secs_f64() * 1e6 / each });
    }
    Ok(Cost { bytes: median(costs.iter().map(|cost| cost.bytes)), cpu: median(costs.iter().map(|cost| cost.cpu)) })
}
