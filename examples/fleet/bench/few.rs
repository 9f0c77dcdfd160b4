//! One change that one in a hundred subscribes to: the others are not even woken.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    Bench,
    scale::{LIMIT, PUSH},
    table::{Bound, Row, Table},
};
use crate::{
    client::{Crowd, Flow, Script, probe},
    mesh::{Mesh, name},
    server::Server,
    stats::median,
};

/// How many names each subscribes to.
const NAMES: usize = 5;

pub fn measure(bench: &Bench, sidecars: usize, services: usize, table: &mut Table) -> Result<()> {
    let mesh = Mesh::new(services)?;
    let requests = bench.requests(false);
    let server = Server::chancery(&bench.chancery, &mesh, PUSH, &bench.cores)?;
    probe(server.address, &requests)?;
    let authority = server.address.to_string();
    let mut crowd = Crowd::new(server.address)?;
    let interested = sidecars / 100;
    let names = |from: usize| (from..from + NAMES).map(|service| format!("{}:80", name(service))).collect::<Vec<_>>();
    crowd.add(&Rc::new(Script::of_endpoints(&requests, &names(0), &authority)), interested);
    crowd.add(&Rc::new(Script::of_endpoints(&requests, &names(1), &authority)), sidecars - interested);
    crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
    // What woke streams for their first answers is over.
    crowd.run(Instant::now() + Duration::from_millis(500), |_| Flow::GoOn, |_| false);

    let woken = || server.metric("chancery_xds_streams_woken_total").unwrap_or(f64::NAN);
    let (woken_before, cpu_before) = (woken(), server.cpu()?);
    let mut last = Vec::new();
    let mut to_others = 0;
    for mark in 1..=bench.changes as u32 {
        let (began, mut heard) = (Instant::now(), 0);
        mesh.change(0, mark)?;
        crowd.run(
            began + LIMIT,
            |response| {
                to_others += usize::from(response.sidecar >= interested);
                heard += usize::from(response.seen.mark == Some(mark));
                if heard >= interested { Flow::Stop } else { Flow::GoOn }
            },
            |_| false,
        );
        ensure!(heard >= interested, "a change reached {heard} of {interested} streams");
        last.push(began.elapsed().as_secs_f64() * 1000.0);
        crowd.run(Instant::now() + Duration::from_millis(60), |_| Flow::GoOn, |_| false);
    }
    let changes = bench.changes as f64;
    let scenario = format!("{sidecars} streams, {interested} subscribed");
    let mut add = |what: &str, unit, value: f64, bound| {
        table.add(Row {
            scenario: scenario.clone(),
            what: what.to_owned(),
            unit,
            chancery: value,
            beside: None,
            bound,
        });
    };
    let most = Some(Bound::AtMost(interested as f64));
    add("streams woken per change", "", (woken() - woken_before) / changes, most);
    add("responses to the others", "", to_others as f64, Some(Bound::AtMost(0.0)));
    add("change to the last of them", "ms", median(last), None);
    let cpu = server.cpu()?.saturating_sub(cpu_before).as_secs_f64() * 1e3 / changes;
    add("CPU per change", "ms", cpu, None);
    Ok(())
}
