//! Clients that misbehave beside those that do not: the others' updates come as fast as without them.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    Bench,
    fan_out::{Clock, fan_out},
    scale::{LIMIT, PUSH, connect},
    table::{Beside, Bound, Row, Table},
};
use crate::{
    client::{Flow, Manner, Script},
    mesh::Mesh,
    process::cpu,
    server::Server,
    stats::median,
};

/// Of each sort, but for those that vanish.
const EACH: usize = 10;
const VANISHING: usize = 1000;

/// How long they misbehave before the first change.
const BEFORE: Duration = Duration::from_secs(2);

struct Figures {
    p99: f64,
    /// MiB.
    resident: f64,
}

pub fn measure(bench: &Bench, sidecars: usize, services: usize, table: &mut Table) -> Result<()> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        without.push(run(bench, sidecars, services, false)?);
        with.push(run(bench, sidecars, services, true)?);
    }
    let scenario = format!("{sidecars} × {services} beside bad clients");
    let mut add = |what: &str, unit, bound, figure: fn(&Figures) -> f64| {
        let beside = Beside { whose: "without them", value: median(without.iter().map(figure)) };
        let chancery = median(with.iter().map(figure));
        let scenario = scenario.clone();
        table.add(Row { scenario, what: what.to_owned(), unit, chancery, beside: Some(beside), bound: Some(bound) });
    };
    add("fan-out p99 of the good", "ms", Bound::Times(1.2), |run| run.p99);
    // A mebibyte for each that holds on, and a twentieth of that for each that came and went.
    let without = median(without.iter().map(|run| run.resident));
    let most = without + (4 * EACH) as f64 + VANISHING as f64 * 0.05;
    add("resident", "MiB", Bound::AtMost(most), |run| run.resident);
    Ok(())
}

fn run(bench: &Bench, sidecars: usize, services: usize, with_bad: bool) -> Result<Figures> {
    let mesh = Mesh::new(services)?;
    let requests = bench.requests(false);
    let server = Server::chancery(&bench.chancery, &mesh, PUSH, &bench.cores)?;
    let (known, mut crowd) = connect(&requests, &server, sidecars)?;
    crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
    if with_bad {
        let authority = server.address.to_string();
        let honest = Script::fresh(&requests, &known, &authority);
        for manner in [Manner::NeverReads, Manner::NeverAcks, Manner::Rejects, Manner::Garbage] {
            crowd.add(&Rc::new(honest.clone().with_manner(manner, &authority)), EACH);
        }
        crowd.run(Instant::now() + BEFORE, |_| Flow::GoOn, |_| false);
        // They come while changes are on their way.
        crowd.add(&Rc::new(honest.with_manner(Manner::Vanishes, &authority)), VANISHING);
    }
    let id = server.id();
    let clock = Clock { cpu: Some(Box::new(move || cpu(id))) };
    let outcome = fan_out(&mut crowd, &clock, bench.marks(), |mark| Ok(mesh.change(0, mark)?))?;
    Ok(Figures {
        p99: median(outcome.changes.iter().map(|change| change.p99)),
        resident: server.resident()? as f64 / 1024.0 / 1024.0,
    })
}
