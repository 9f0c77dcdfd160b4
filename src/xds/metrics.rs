//! The protocol in numbers.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::resources::ResourceType;

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
    responses: Family<TypeLabel, Counter>,
    response_bytes: Family<TypeLabel, Counter>,
    resources: Family<TypeLabel, Counter>,
    acks: Family<TypeLabel, Counter>,
    nacks: Family<TypeLabel, Counter>,
    oversized: Family<TypeLabel, Counter>,
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
        xds.register("responses", "Responses sent", metrics.responses.clone());
        xds.register("response_bytes", "Bytes of responses sent", metrics.response_bytes.clone());
        xds.register("resources", "Resources sent", metrics.resources.clone());
        xds.register("acks", "Responses that were applied", metrics.acks.clone());
        xds.register("nacks", "Responses that were rejected, wholly or in part", metrics.nacks.clone());
        xds.register(
            "oversized_responses",
            "Responses above 4 MiB, which gRPC clients refuse by default",
            metrics.oversized.clone(),
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
        let label = label(resource_type);
        self.responses.get_or_create(&label).inc();
        self.resources.get_or_create(&label).inc_by(resources as u64);
        self.response_bytes.get_or_create(&label).inc_by(bytes as u64);
        if bytes > REFUSED_ABOVE && self.oversized.get_or_create(&label).inc() == 0 {
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
        self.acks.get_or_create(&label(resource_type)).inc();
    }

    pub(super) fn nack(&self, resource_type: ResourceType) {
        self.nacks.get_or_create(&label(resource_type)).inc();
    }
}
