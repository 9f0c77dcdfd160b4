//! Clusters whose endpoints Envoy resolves: type, and how often and what is asked.

use crate::{
    compile::wire::duration,
    model::policy::{Dns, DnsLookupFamily, DnsResolution},
    proto::envoy::config::{
        cluster::v3::{
            Cluster,
            cluster::{ClusterDiscoveryType, DiscoveryType, DnsLookupFamily as ProtoFamily},
        },
        endpoint::v3::ClusterLoadAssignment,
    },
};

/// Writes it into the cluster, with the endpoints.
#[expect(deprecated, reason = "Envoy's plain DNS fields are read by every version; their successor is an extension")]
pub(super) fn apply(dns: &Dns, endpoints: ClusterLoadAssignment, cluster: &mut Cluster) {
    let Dns { resolution, refresh_rate, respect_ttl, lookup_family } = dns;
    let count: usize = endpoints.endpoints.iter().map(|locality| locality.lb_endpoints.len()).sum();
    let discovery = match (resolution, count) {
        // Envoy rejects a logical cluster with any other number.
        (DnsResolution::Logical, 1) => DiscoveryType::LogicalDns,
        (DnsResolution::Logical | DnsResolution::Strict, _) => DiscoveryType::StrictDns,
    };
    cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(discovery.into()));
    cluster.dns_refresh_rate = duration(*refresh_rate);
    cluster.respect_dns_ttl = *respect_ttl;
    cluster.dns_lookup_family = lookup_family
        .map_or(ProtoFamily::Auto, |family| match family {
            DnsLookupFamily::Auto => ProtoFamily::Auto,
            DnsLookupFamily::V4Only => ProtoFamily::V4Only,
            DnsLookupFamily::V6Only => ProtoFamily::V6Only,
            DnsLookupFamily::V4Preferred => ProtoFamily::V4Preferred,
            DnsLookupFamily::All => ProtoFamily::All,
        })
        .into();
    cluster.load_assignment = Some(endpoints);
}
