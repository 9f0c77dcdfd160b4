//! What localities mean: `loadBalancer.localityLbSetting`.

use super::super::scalar::{Count, Percent, WholePercent};

settings! {
    /// What localities mean.
    pub struct LocalityLbSetting {
        /// `false` turns off what a less specific policy says.
        ///
        /// - default: `true`
        /// - envoy: none, it is the absence of the rest
        /// - example: `false`
        enabled: bool,
        /// Shares between localities. A choice with `failover` and `failoverPriority`.
        ///
        /// - default: none
        /// - envoy: `ClusterLoadAssignment.endpoints[].load_balancing_weight`, and `common_lb_config.locality_weighted_lb_config`
        /// - example: `[ { from: eu/*, to: { eu/*: 80, us/*: 20 } } ]`
        distribute: Vec<Distribute>,
        /// Where clients go when their own region fails. A choice with `distribute`.
        ///
        /// - default: none
        /// - envoy: `ClusterLoadAssignment.endpoints[].priority`
        /// - example: `[ { from: eu, to: us } ]`
        failover: Vec<Failover>,
        /// Labels by which endpoints are near to a client: the more of them, from the first on, an endpoint has as the
        /// client has them, the sooner it is used; others only as those lose healthy endpoints. `key=value` asks for that
        /// value whatever the client has. A client's labels are its node's `metadata.LABELS`; of both sides
        /// `topology.kubernetes.io/region`, `topology.kubernetes.io/zone` and `topology.istio.io/subzone` are the parts of
        /// the locality unless a label of that name says otherwise. Beside `failover` labels come first, and places decide
        /// among endpoints of equal labels.
        ///
        /// - default: none
        /// - envoy: `ClusterLoadAssignment.endpoints[].priority`, and `common_lb_config.locality_weighted_lb_config`
        /// - example: `[ "topology.kubernetes.io/region", "version=v1" ]`
        failover_priority: Vec<String>,
    }

    /// As many requests as possible to endpoints at the client's own place (its whole locality, the sub-zone included),
    /// and no endpoint with more than its share: Envoy holds the endpoints against those of the client's workload.
    /// Other regions are used as the client's own loses healthy endpoints. Needs a proxy whose bootstrap was printed by
    /// `chancery bootstrap --zone-aware`; to others all endpoints of the region are equal.
    pub struct ZoneAwareLbSetting {
        /// `false` turns off what a less specific policy says.
        ///
        /// - default: `true` where the block is there
        /// - envoy: `common_lb_config.zone_aware_lb_config.routing_enabled` of 0 where it is `false`
        /// - example: `false`
        enabled: bool,
        /// Endpoints that a service has at least; one with fewer is used evenly.
        ///
        /// - default: Envoy's 6
        /// - envoy: `common_lb_config.zone_aware_lb_config.min_cluster_size`
        /// - example: `3`
        min_cluster_size: Count,
        /// The share of requests for which places are looked at, in percent.
        ///
        /// - default: Envoy's 100
        /// - envoy: `common_lb_config.zone_aware_lb_config.routing_enabled`
        /// - example: `50`
        routing_enabled: Percent,
        /// Fail requests when panic is on, instead of using endpoints that are not healthy.
        ///
        /// - default: Envoy's `false`
        /// - envoy: `common_lb_config.zone_aware_lb_config.fail_traffic_on_panic`
        /// - example: `true`
        fail_traffic_on_panic: bool,
    }

    /// Shares for clients at one place.
    pub struct Distribute {
        /// Where the client runs: `region/zone/subzone`, `*` for any.
        ///
        /// - envoy: none, it says whose assignments have the shares
        /// - example: `eu/eu-1/*`
        from: String,
        /// The share of each place in percent; together 100.
        ///
        /// - envoy: `ClusterLoadAssignment.endpoints[].load_balancing_weight`
        /// - example: `{ eu/eu-1/*: 80, eu/eu-2/*: 20 }`
        to: std::collections::BTreeMap<String, WholePercent>,
    }

    /// Where clients of a region go.
    pub struct Failover {
        /// The clients' region.
        ///
        /// - envoy: none, it says whose assignments have the priorities
        /// - example: `eu`
        from: String,
        /// The region preferred among the others.
        ///
        /// - envoy: `ClusterLoadAssignment.endpoints[].priority`
        /// - example: `us`
        to: String,
    }
}

impl LocalityLbSetting {
    /// Whether what is meant depends on where the client runs.
    pub fn reads_place(&self) -> bool {
        let Self { enabled, distribute, failover, failover_priority } = self;
        *enabled != Some(false) && (distribute.is_some() || failover.is_some() || failover_priority.is_none())
    }

    /// The labels of clients that decide something.
    pub fn compared_labels(&self) -> impl Iterator<Item = &str> {
        let Self { enabled, distribute, failover: _, failover_priority } = self;
        let labels = failover_priority.iter().flatten().filter(|_| *enabled != Some(false) && distribute.is_none());
        labels.map(String::as_str).filter(|label| !label.contains('='))
    }
}
