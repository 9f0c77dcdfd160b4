//! The control loop in numbers.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::status::{Readiness, Status};

/// Counted by the control loop, shown at `/metrics`.
#[derive(Debug, Clone)]
pub struct Metrics {
    ready: Gauge,
    rounds: Counter,
    services: Gauge,
    groups: Gauge,
    problems: Gauge,
    held_removals: Gauge,
    from_state: Gauge,
    lagging: Gauge,
    rejected: Gauge,
    quarantined: Gauge,
    services_resolved: Counter,
    units_compiled: Counter,
    resources_encoded: Counter,
    round_seconds: Histogram,
}

impl Metrics {
    /// Registers everything under `chancery_control_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            ready: Gauge::default(),
            rounds: Counter::default(),
            services: Gauge::default(),
            groups: Gauge::default(),
            problems: Gauge::default(),
            held_removals: Gauge::default(),
            from_state: Gauge::default(),
            lagging: Gauge::default(),
            rejected: Gauge::default(),
            quarantined: Gauge::default(),
            services_resolved: Counter::default(),
            units_compiled: Counter::default(),
            resources_encoded: Counter::default(),
            round_seconds: Histogram::new([0.000_5, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0]),
        };
        let control = registry.sub_registry_with_prefix("control");
        control.register("ready", "1 once every source has synced and the policies compiled", metrics.ready.clone());
        control.register("rounds", "Settled batches of changes", metrics.rounds.clone());
        control.register("services", "Services in the catalog", metrics.services.clone());
        control.register("node_groups", "Groups of proxies that get identical resources", metrics.groups.clone());
        control.register(
            "problems",
            "Problems with what was read last; the last good content is served",
            metrics.problems.clone(),
        );
        control.register(
            "held_removals",
            "Sudden removals that are held back: look at the source",
            metrics.held_removals.clone(),
        );
        control.register(
            "inputs_from_state",
            "Sources, and the policies, of which what was kept in stateDir is served: they were not read completely since the start",
            metrics.from_state.clone(),
        );
        control.register(
            "lagging",
            "1 while a source is not sure to have said all it knows: removals that only another replica can know of wait",
            metrics.lagging.clone(),
        );
        control.register(
            "rejected_resources",
            "Resources and virtual hosts that a proxy rejects and none has accepted: /api/v1/rejections names them",
            metrics.rejected.clone(),
        );
        control.register(
            "quarantined_resources",
            "Of those the ones that are kept from all proxies: change the policy",
            metrics.quarantined.clone(),
        );
        control.register(
            "services_resolved",
            "Policies of one service resolved for one client view",
            metrics.services_resolved.clone(),
        );
        control.register(
            "units_compiled",
            "Definitions or endpoints of a service compiled",
            metrics.units_compiled.clone(),
        );
        control.register("resources_encoded", "Resources encoded", metrics.resources_encoded.clone());
        control.register(
            "round_seconds",
            "From the settled changes to the published snapshots",
            metrics.round_seconds.clone(),
        );
        metrics
    }

    /// Takes over a round's status.
    pub(super) fn record(&self, status: &Status, took: std::time::Duration) {
        let gauge = |gauge: &Gauge, value: usize| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        gauge(&self.ready, usize::from(status.readiness == Readiness::Ready));
        gauge(&self.services, status.catalog.len());
        gauge(&self.groups, status.groups.len());
        gauge(&self.problems, status.problems.len());
        gauge(&self.held_removals, status.held.len());
        let sources = status.sources.iter().filter(|source| source.from_state.is_some()).count();
        gauge(&self.from_state, sources + usize::from(status.policies_from_state.is_some()));
        gauge(&self.lagging, usize::from(status.lagging));
        gauge(&self.rejected, status.rejected.len());
        gauge(&self.quarantined, status.rejected.iter().filter(|rejected| rejected.case.quarantined).count());
        advance(&self.rounds, status.rounds);
        advance(&self.services_resolved, status.work.services_resolved);
        advance(&self.units_compiled, status.work.units_compiled);
        advance(&self.resources_encoded, status.work.resources_encoded);
        self.round_seconds.observe(took.as_secs_f64());
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn advance(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
