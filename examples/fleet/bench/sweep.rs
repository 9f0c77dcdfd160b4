//! Cost against the number of sidecars, and of services: what the charts show.

use std::{fs, path::Path};

use anyhow::Result;
use serde::Serialize;

use super::{
    Bench,
    chart::{Chart, Line, Panel},
    scale::{Figures, Size, measure as measure_size},
    table::{Beside, Row, Table},
};
use crate::stats::median;

/// What is drawn of a size.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    cold: f64,
    p99: f64,
    cpu: f64,
    resident: f64,
}

struct Figure {
    title: &'static str,
    unit: &'static str,
    of: fn(&Point) -> f64,
}

const FIGURES: [Figure; 4] = [
    Figure { title: "fan-out of one change, p99", unit: "ms", of: |point| point.p99 },
    Figure { title: "processor time per update", unit: "µs", of: |point| point.cpu },
    Figure { title: "cold start, last sidecar", unit: "s", of: |point| point.cold },
    Figure { title: "resident memory per sidecar", unit: "KiB", of: |point| point.resident },
];

pub fn measure(bench: &Bench, is_table: bool, out: Option<&Path>, table: &mut Table) -> Result<()> {
    let (sidecars, services): (&[usize], &[usize]) =
        if is_table { (&[1000, 2500, 5000, 10_000], &[100, 300, 1000, 3000]) } else { (&[100, 200], &[50, 100]) };
    let (few_services, few_sidecars) = (services[0], sidecars[0]);
    let by_sidecars: Vec<(usize, Size)> = sidecars
        .iter()
        .map(|&sidecars| (sidecars, Size { sidecars, services: few_services, large_node: false }))
        .collect();
    let by_services: Vec<(usize, Size)> = services
        .iter()
        .map(|&services| (services, Size { sidecars: few_sidecars, services, large_node: false }))
        .collect();
    for (name, axis, sizes) in [("by-sidecars", "sidecars", by_sidecars), ("by-services", "services", by_services)] {
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        for (at, size) in sizes {
            let (our_runs, floor_runs) = measure_size(bench, size)?;
            let (our, floor) = (Point::of(&our_runs), Point::of(&floor_runs));
            for figure in &FIGURES {
                table.add(Row {
                    scenario: size.to_string(),
                    what: format!("sweep: {}", figure.title),
                    unit: figure.unit,
                    chancery: (figure.of)(&our),
                    beside: Beside::floor((figure.of)(&floor)),
                    bound: None,
                });
            }
            ours.push((at as f64, our));
            floors.push((at as f64, floor));
        }
        let panels = FIGURES.iter().map(|figure| Panel {
            title: format!("{}, {}", figure.title, figure.unit),
            axis,
            lines: vec![
                Line { name: "chancery", points: ours.iter().map(|(x, point)| (*x, (figure.of)(point))).collect() },
                Line { name: "floor", points: floors.iter().map(|(x, point)| (*x, (figure.of)(point))).collect() },
            ],
        });
        let chart = Chart { panels: panels.collect() };
        if let Some(folder) = out {
            fs::create_dir_all(folder)?;
            fs::write(folder.join(format!("{name}.svg")), chart.to_string())?;
        }
    }
    Ok(())
}

impl Point {
    fn of(runs: &[Figures]) -> Self {
        let of_changes = |run: &Figures| median(run.fan_out.changes.iter().map(|change| change.p99));
        Self {
            cold: median(runs.iter().map(|run| run.cold)),
            p99: median(runs.iter().map(of_changes)),
            cpu: median(runs.iter().map(|run| run.fan_out.cpu_per_update)),
            resident: median(runs.iter().map(|run| run.resident)),
        }
    }
}
