//! The protocol in numbers.

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::resources::{PerType, ResourceType};

/// What gRPC's own libraries take at most unless they are told otherwise.
const REFUSED_ABOVE: usize = 4 * 1024 * 1024;

/// Counted by the streams, shown at `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Connections open now.
    pub connections: Gauge,
    /// Connections closed at once because there were as many as there may be.
    pub refused_connections: Counter,
    /// Connections closed because the client took too long over a handshake.
    pub unfinished_handshakes: Counter,
    /// Connections ended because of their age.
    pub moved: Counter,
    /// Streams open now.
    pub streams: Gauge,
    /// Streams whose first request is being read or answered.
    pub beginning: Gauge,
    /// Streams woken because something they listen to may have changed.
    pub woken: Counter,
    responses: ByType,
    response_bytes: ByType,
    resources: ByType,
    acks: ByType,
    nacks: ByType,
    oversized: ByType,
    /// Requests for types that are not served.
    pub unknown_types: Counter,
    /// Streams that ask for endpoints and not for clusters.
    pub without_clusters: Counter,
    /// Streams refused because nothing is known yet.
    pub refused: Counter,
    /// Streams refused because too many began at once.
    pub overloaded: Counter,
    /// Streams ended because the client did not read.
    pub stalled: Counter,
}

/// Counts in a gauge for as long as it lives.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Counted {
    pub fn by(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A counter for each type of resource, found without looking for it: each response counts in several.
#[derive(Debug, Clone)]
struct ByType {
    family: Family<TypeLabel, Counter>,
    counters: Arc<PerType<Counter>>,
}

impl Default for ByType {
    fn default() -> Self {
        let family = Family::<TypeLabel, Counter>::default();
        let counters = Arc::new(PerType::from_fn(|resource_type| family.get_or_create(&label(resource_type)).clone()));
        Self { family, counters }
    }
}

impl ByType {
    fn of(&self, resource_type: ResourceType) -> &Counter {
        &self.counters[resource_type]
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

fn label(resource_type: ResourceType) -> TypeLabel {
    TypeLabel { r#type: resource_type.plural() }
}

impl Metrics {
    /// Registers everything under `chancery_xds_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let xds = registry.sub_registry_with_prefix("xds");
        xds.register("connections", "Connections open now", metrics.connections.clone());
        xds.register(
            "refused_connections",
            "Connections closed at once because there were as many as there may be",
            metrics.refused_connections.clone(),
        );
        xds.register(
            "unfinished_handshakes",
            "Connections closed because the client took too long over a handshake",
            metrics.unfinished_handshakes.clone(),
        );
        xds.register("moved_connections", "Connections ended because of their age", metrics.moved.clone());
        xds.register("streams", "Streams open now", metrics.streams.clone());
        xds.register(
            "beginning_streams",
            "Streams whose first request is being read or answered; no more than a few hundred at once",
            metrics.beginning.clone(),
        );
        xds.register(
            "streams_woken",
            "Streams woken because something they listen to may have changed",
            metrics.woken.clone(),
        );
        xds.register("responses", "Responses sent", metrics.responses.family.clone());
        xds.register("response_bytes", "Bytes of responses sent", metrics.response_bytes.family.clone());
        xds.register("resources", "Resources sent", metrics.resources.family.clone());
        xds.register("acks", "Responses that were applied", metrics.acks.family.clone());
        xds.register("nacks", "Responses that were rejected, wholly or in part", metrics.nacks.family.clone());
        xds.register(
            "oversized_responses",
            "Responses above 4 MiB, which gRPC clients refuse by default",
            metrics.oversized.family.clone(),
        );
        xds.register(
            "streams_without_clusters",
            "Streams that asked for endpoints for 30 s and never for clusters",
            metrics.without_clusters.clone(),
        );
        xds.register("unknown_types", "Requests for types that are not served", metrics.unknown_types.clone());
        xds.register("refused_streams", "Streams refused because nothing is known yet", metrics.refused.clone());
        xds.register(
            "overloaded_streams",
            "Streams refused because too many began at once",
            metrics.overloaded.clone(),
        );
        xds.register("stalled_streams", "Streams ended because the client did not read", metrics.stalled.clone());
        metrics
    }

    pub(super) fn sent(&self, resource_type: ResourceType, resources: usize, bytes: usize) {
        self.responses.of(resource_type).inc();
        self.resources.of(resource_type).inc_by(resources as u64);
        self.response_bytes.of(resource_type).inc_by(bytes as u64);
        if bytes > REFUSED_ABOVE && self.oversized.of(resource_type).inc() == 0 {
            tracing::warn!(
                r#type = resource_type.plural(),
                bytes,
                "a response is larger than the 4 MiB that gRPC clients take by default: let `Dependencies` say which \
                 services a workload calls, or speak delta, where what is large is split; said once, counted in \
                 chancery_xds_oversized_responses"
            );
        }
    }

    pub(super) fn ack(&self, resource_type: ResourceType) {
        self.acks.of(resource_type).inc();
    }

    pub(super) fn nack(&self, resource_type: ResourceType) {
        self.nacks.of(resource_type).inc();
    }
}
