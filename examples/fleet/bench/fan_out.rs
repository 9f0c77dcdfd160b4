//! One endpoint changes, and every sidecar hears of it.
//!
//! Two latencies are told of each change. **Spread**: from the first sidecar that has it to each of the others; that
//! is what a server adds by having many, it means the same for every server, and it is what the bounds compare. **The
//! first**: from the change being made (the file renamed, the floor told) to the first sidecar; discovery, compiling
//! and debounce are in it, which have measures of their own.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    client::{Crowd, Flow, Kind},
    stats::{milliseconds, percentile},
};

/// The server's processor time, where its process is known.
pub struct Clock {
    pub cpu: Option<Box<dyn Fn() -> Result<Duration>>>,
}

/// Latencies of one change, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// From the change to the first sidecar.
    pub first: f64,
    /// From the first sidecar on.
    pub p50: f64,
    pub p99: f64,
    pub last: f64,
}

#[derive(Debug, Clone, Default)]
pub struct FanOut {
    pub changes: Vec<Change>,
    /// Microseconds.
    pub cpu_per_update: f64,
    /// Of responses, for each sidecar and change.
    pub bytes_per_update: f64,
}

/// How long a change may take to reach everybody.
const LIMIT: Duration = Duration::from_secs(60);

/// How long acknowledgements may take to be taken in before the next change.
const PAUSE: Duration = Duration::from_millis(60);

/// Makes changes one after the other, each with its mark. A sidecar has one when a response brings that.
pub fn fan_out(
    crowd: &mut Crowd,
    clock: &Clock,
    marks: impl IntoIterator<Item = u32>,
    mut change: impl FnMut(u32) -> Result<()>,
) -> Result<FanOut> {
    let everybody = crowd.complete();
    let mut outcome = FanOut::default();
    let cpu = || clock.cpu.as_ref().map_or(Ok(Duration::ZERO), |cpu| cpu());
    let before = cpu()?;
    let (mut delivered, mut bytes) = (0usize, 0usize);
    for mark in marks {
        let mut times: Vec<Instant> = Vec::with_capacity(everybody);
        let began = Instant::now();
        change(mark)?;
        crowd.run(
            began + LIMIT,
            |response| {
                if !response.is_honest {
                    return Flow::GoOn;
                }
                bytes += response.seen.bytes;
                if response.seen.kind == Some(Kind::Endpoints) && response.seen.mark == Some(mark) {
                    times.push(response.at);
                }
                if times.len() >= everybody { Flow::Stop } else { Flow::GoOn }
            },
            |_| false,
        );
        ensure!(
            times.len() >= everybody,
            "change {mark} reached {} of {everybody} sidecars within {LIMIT:?}; {} streams ended",
            times.len(),
            crowd.ended()
        );
        delivered += times.len();
        outcome.changes.push(Change::of(began, &times));
        crowd.run(Instant::now() + PAUSE, |_| Flow::GoOn, |_| false);
    }
    let taken = cpu()?.saturating_sub(before);
    outcome.cpu_per_update = taken.as_secs_f64() * 1e6 / delivered.max(1) as f64;
    outcome.bytes_per_update = bytes as f64 / delivered.max(1) as f64;
    Ok(outcome)
}

impl Change {
    fn of(began: Instant, times: &[Instant]) -> Self {
        let Some(first) = times.iter().min().copied() else { return Self::default() };
        let mut spread: Vec<f64> = times.iter().map(|time| milliseconds(*time - first)).collect();
        Self {
            first: milliseconds(first.saturating_duration_since(began)),
            p50: percentile(&mut spread, 0.5),
            p99: percentile(&mut spread, 0.99),
            last: percentile(&mut spread, 1.0),
        }
    }
}
