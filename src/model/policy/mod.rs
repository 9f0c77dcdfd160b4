//! What applies to a service, complete: every document merged and every default filled in.
//!
//! `Option` stands only where Envoy has a meaningful absence. Where a value came from stands beside, in
//! `policy::provenance`, never in here: moving a line must not look like a change.
//! How documents are ranked and merged is known to `policy::resolve`, how a setting is written for Envoy to `compile`.

mod connection_pool;
mod dns;
mod health_check;
mod load_balancer;
mod locality;
mod outlier_detection;
mod patch;
mod route;
pub mod routing;
mod session;
mod subset_selection;
mod transport;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    sync::Arc,
    time::Duration,
};

pub use connection_pool::{
    CircuitBreakers, ConnectionPool, H2Upgrade, Http2KeepAlive, RetryBudget, TcpKeepalive, Thresholds,
};
pub use dns::{Dns, DnsLookupFamily, DnsResolution};
pub use health_check::{HeaderToAdd, HealthCheck, HealthCheckProtocol, Payload, StatusRange};
pub use load_balancer::{
    ConsistentHash, HashFunction, HashKey, HashTable, LoadBalancer, SlowStart, WeightedRoundRobin,
};
pub use locality::{Distribute, Failover, FailoverRule, LocalityPattern, LocalityRouting, PriorityLabel, ZoneAware};
pub use outlier_detection::OutlierDetection;
pub use patch::{PatchChange, PatchOperation, PatchedResource};
pub use route::{
    BackOff, IDEMPOTENT_METHODS, Priority, RateLimitedBackOff, Repeats, ResetFormat, Retry, RoutePolicy, SAFE_RETRY_ON,
    is_grpc_condition, is_safe_condition,
};
pub use routing::Routing;
pub use session::{CookiePath, SessionState, StatefulSession, WhenGone};
pub use subset_selection::{SelectorFallback, SubsetFallback, SubsetHeader, SubsetSelection, SubsetSelector};
pub use transport::{Authorities, ClientCertificate, ProxyProtocol, Tls, Verification};

use super::{
    name::{ServiceName, SubsetName},
    service::Labels,
};

/// Everything policies say of one service, as one kind of client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ServicePolicy {
    /// The subsets that are defined, each by the labels its endpoints have.
    pub subsets: BTreeMap<SubsetName, Labels>,
    /// What applies to a port, and to a subset at a port. There is an entry for each port of the service without
    /// a subset, and for each port with each subset.
    pub effective: BTreeMap<PolicyKey, Arc<EffectivePolicy>>,
    /// The rules of a port's traffic. A port without an entry leads straight to the service.
    pub routing: BTreeMap<NonZeroU16, Arc<Routing>>,
    /// The documents that shaped what each port's traffic meets. A port that none did has no entry.
    pub documents: BTreeMap<NonZeroU16, Shaped>,
    /// Changes in Envoy's own words, in the order in which they are made. What has none has no entry.
    pub patches: BTreeMap<PolicyKey, Vec<PatchOperation>>,
}

impl ServicePolicy {
    /// The other services that traffic to this one can lead to.
    pub fn leads_to(&self, own: &ServiceName) -> BTreeSet<ServiceName> {
        self.routing.values().flat_map(|routing| routing.services()).filter(|name| *name != own).cloned().collect()
    }
}

/// Documents by what they shaped, as `KIND/NAME`, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shaped {
    /// The virtual host of a port, its clusters and subsets included.
    pub host: Vec<Arc<str>>,
    /// The route that leads straight to it: timeouts, retries, sessions, what is hashed. Rules name their own.
    pub route: Vec<Arc<str>>,
}

/// A port, alone or narrowed to a subset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    /// The service's port.
    pub port: NonZeroU16,
    /// One of its subsets; absent = the whole service.
    pub subset: Option<SubsetName>,
}

/// Everything that applies to one cluster and the route that leads to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EffectivePolicy {
    /// Which endpoint takes a request.
    pub load_balancer: LoadBalancer,
    /// Subsets that requests pick by themselves; absent = none.
    pub subset_selection: Option<SubsetSelection>,
    /// How localities take part.
    pub locality: LocalityRouting,
    /// Below this percentage of healthy endpoints health is ignored. Default 0: never.
    pub panic_threshold: super::Decimal,
    /// How much more than its endpoints' share a priority is trusted with, in percent; absent = Envoy's 140.
    pub overprovisioning_factor: Option<u32>,
    /// Whether endpoints that discovery calls unhealthy are sent at all (as UNHEALTHY). Default: yes.
    pub unhealthy_endpoints: UnhealthyEndpoints,
    /// Connections and how many of what at once.
    pub connection_pool: ConnectionPool,
    /// Ejection of endpoints that fail; absent = none.
    pub outlier_detection: Option<OutlierDetection>,
    /// Active checks; empty = discovery alone decides.
    pub health_checks: Vec<HealthCheck>,
    /// TLS to the endpoints; absent = plain bytes.
    pub tls: Option<Tls>,
    /// The header that tells endpoints the client's address; absent = none.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How host names are resolved.
    pub dns: Dns,
    /// Timeouts, retries and sessions of the route.
    pub route: RoutePolicy,
}

impl EffectivePolicy {
    /// Which headers of a request pick among the endpoints.
    pub fn subset_headers(&self) -> &[SubsetHeader] {
        self.subset_selection.as_ref().map_or(&[], |selection| &selection.headers)
    }
}

/// What becomes of endpoints that discovery calls unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum UnhealthyEndpoints {
    /// Sent as UNHEALTHY, so that panic and health percentages know of them.
    #[default]
    Sent,
    /// Left out (a DestinationRule with `minHealthPercent` above 0 means that).
    Omitted,
}

/// The limit that means "none", as Istio writes it: the largest that Envoy takes.
pub const UNLIMITED: u32 = u32::MAX;

/// How long to wait for a connection unless a policy says otherwise (Istio's default).
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
