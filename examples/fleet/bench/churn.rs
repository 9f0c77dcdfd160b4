//! Steady churn: endpoints change all the time, each change a file of its own, at the push settings everybody has.
//!
//! Each change marks an endpoint with its number, so a sidecar that sees a mark knows when it was made: that is the
//! lag. In the end every sidecar must hold of every service the version that a newcomer is sent.
//!
//! Changes are made by a thread of their own: made between two responses, they would come in bursts, and the server
//! would find the quiet moments that it is not to have.

use std::{
    io,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use super::{
    Bench,
    scale::{LIMIT, connect},
    table::{Bound, Row, Table},
};
use crate::{
    client::{
        Flow, Kind, Seen,
        inbox::mark_of,
        probe,
        proto::{Fields, Value, bytes_of},
    },
    mesh::Mesh,
    server::Server,
    stats::milliseconds,
};

const CHANGES_PER_SECOND: u32 = 200;

/// What a configuration has that says nothing.
const PUSH: &str = "{ quiet: 20ms, maxDelay: 500ms }";
const MAX_DELAY: f64 = 500.0;

/// From when on memory has to stay what it is.
const WARM: Duration = Duration::from_secs(10);

/// Nothing came for this long after the last change: everything is there.
const QUIET: Duration = Duration::from_secs(2);

pub fn measure(bench: &Bench, sidecars: usize, services: usize, seconds: u64, table: &mut Table) -> Result<()> {
    let mesh = Mesh::new(services)?;
    let requests = bench.requests(false);
    let server = Server::chancery(&bench.chancery, &mesh, PUSH, &bench.cores)?;
    let (known, mut crowd) = connect(&requests, &server, sidecars)?;
    crowd.until_complete(LIMIT).map_err(anyhow::Error::msg)?;
    crowd.keep_bodies();

    let first: Vec<u64> = known.held(Kind::Endpoints).iter().map(|(_, version)| digest(version.as_bytes())).collect();
    let mut held = vec![first; sidecars];
    let total = CHANGES_PER_SECOND * u32::try_from(seconds).unwrap_or(u32::MAX);
    let made: Vec<OnceLock<Instant>> = (0..total).map(|_| OnceLock::new()).collect();
    let mut lags = Lags::default();
    let (mut resident_warm, mut resident_most) = (0, 0);
    let cpu_before = server.cpu()?;
    let began = Instant::now();
    thread::scope(|scope| {
        let changes = scope.spawn(|| make_changes(&mesh, &made, began));
        let mut last = began;
        for second in 1.. {
            crowd.run(
                began + Duration::from_secs(second),
                |response| {
                    last = response.at;
                    take(response.seen, &mut held[response.sidecar], &made, response.at, &mut lags);
                    Flow::GoOn
                },
                |_| false,
            );
            if changes.is_finished() && last.elapsed() > QUIET {
                break;
            }
            let resident = server.resident()?;
            if second <= WARM.as_secs() {
                resident_warm = resident;
            }
            resident_most = resident_most.max(resident);
        }
        changes.join().map_err(|_| anyhow!("the thread that makes changes has panicked"))?.context("making changes")
    })?;
    let took = began.elapsed();
    let cpu = server.cpu()?.saturating_sub(cpu_before);
    let last_word = probe(server.address, &requests).context("asking for the final state")?;
    let last_word: Vec<u64> =
        last_word.held(Kind::Endpoints).iter().map(|(_, version)| digest(version.as_bytes())).collect();
    let astray = held.iter().filter(|held| **held != last_word).count() + crowd.ended();

    let scenario = format!("{CHANGES_PER_SECOND} changes/s, {sidecars} × {services}, {seconds} s");
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
    add("lag p50", "ms", lags.percentile(0.5), None);
    add("lag p99", "ms", lags.percentile(0.99), Some(Bound::AtMost(MAX_DELAY + 100.0)));
    add("endpoints delivered per second", "", lags.count as f64 / took.as_secs_f64(), None);
    add("share of a core", "%", cpu.as_secs_f64() / took.as_secs_f64() * 100.0, None);
    add("streams not on the final state", "", astray as f64, Some(Bound::AtMost(0.0)));
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    add("resident after 10 s", "MiB", mebibytes(resident_warm), None);
    // Flat: what is freed and taken again moves by a few per cent.
    let flat = Bound::AtMost(mebibytes(resident_warm) * 1.05);
    add("resident at most", "MiB", mebibytes(resident_most), (took > WARM).then_some(flat));
    Ok(())
}

/// Makes each change at its time.
fn make_changes(mesh: &Mesh, made: &[OnceLock<Instant>], began: Instant) -> io::Result<()> {
    let step = Duration::from_secs(1) / CHANGES_PER_SECOND;
    for (number, at) in (0..).zip(made) {
        thread::sleep((began + step * number).saturating_duration_since(Instant::now()));
        at.get_or_init(Instant::now);
        mesh.change(number as usize % mesh.services, number)?;
    }
    Ok(())
}

/// A sidecar comes to hold what a response has.
fn take(seen: &Seen, held: &mut [u64], made: &[OnceLock<Instant>], now: Instant, lags: &mut Lags) {
    if seen.kind != Some(Kind::Endpoints) {
        return;
    }
    for (number, value) in Fields(&seen.body) {
        let (Seen::RESOURCES, Value::Bytes(resource)) = (number, value) else { continue };
        let service = bytes_of(resource, 3).and_then(service_of);
        if let Some(place) = service.and_then(|service| held.get_mut(service)) {
            *place = digest(bytes_of(resource, 1).unwrap_or_default());
        }
        if let Some(made) = mark_of(resource).and_then(|mark| made.get(mark as usize)?.get()) {
            lags.add(milliseconds(now.saturating_duration_since(*made)));
        }
    }
}

/// The number in `service-00012:80`.
fn service_of(name: &[u8]) -> Option<usize> {
    let digits = name.split(|&byte| byte == b':').next()?.rsplit(|&byte| byte == b'-').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Enough of a version to tell it from others.
fn digest(version: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(version)
}

/// Millions of lags, in buckets of a millisecond.
struct Lags {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Lags {
    fn default() -> Self {
        Self { buckets: vec![0; 60_000], count: 0 }
    }
}

impl Lags {
    fn add(&mut self, milliseconds: f64) {
        let bucket = (milliseconds as usize).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    fn percentile(&self, share: f64) -> f64 {
        let mut below = 0;
        let wanted = (self.count as f64 * share).ceil() as u64;
        let bucket = self.buckets.iter().position(|count| {
            below += count;
            below >= wanted
        });
        bucket.unwrap_or(0) as f64 + 1.0
    }
}
