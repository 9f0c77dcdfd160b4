//! `lb_policy`, its settings, and what is common to all of them.

use super::{Awareness, subset_selection, weighted_round_robin};
use crate::{
    compile::{
        endpoints::is_locality_weighted,
        wire::{duration, fixed, percent, u32_or_absent, u64_value},
    },
    model::{
        Decimal,
        policy::{
            ConsistentHash, EffectivePolicy, HashFunction, HashTable, LoadBalancer, LocalityRouting, SlowStart,
            SubsetSelection, ZoneAware,
        },
    },
    proto::envoy::config::cluster::v3::{
        Cluster,
        cluster::{
            CommonLbConfig, LbConfig, LbPolicy, LeastRequestLbConfig, MaglevLbConfig, RingHashLbConfig,
            RoundRobinLbConfig, SlowStartConfig,
            common_lb_config::{LocalityConfigSpecifier, LocalityWeightedLbConfig, ZoneAwareLbConfig},
            ring_hash_lb_config,
        },
    },
    proto::envoy::config::core::v3::{HealthStatus, HealthStatusSet},
};

/// Panic is always written: Envoy's own default of 50 % would send traffic to endpoints that discovery calls dead.
pub(super) fn common(policy: &EffectivePolicy, client: Awareness) -> CommonLbConfig {
    let places = match (&policy.locality, client) {
        _ if !has_plain_fields(&policy.load_balancer) => None,
        (LocalityRouting::ZoneAware(zones), _) => Some(LocalityConfigSpecifier::ZoneAwareLbConfig(zone_aware(zones))),
        _ if is_locality_weighted(policy) => {
            Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig::default()))
        }
        (_, Awareness::OfZones) => {
            // An Envoy that knows its own zone's share goes by zones unless it is told not to.
            let off = ZoneAware { routing_enabled: Some(Decimal::ZERO), ..ZoneAware::default() };
            Some(LocalityConfigSpecifier::ZoneAwareLbConfig(zone_aware(&off)))
        }
        (_, Awareness::OfNothing) => None,
    };
    CommonLbConfig {
        healthy_panic_threshold: percent(policy.panic_threshold),
        locality_config_specifier: places,
        override_host_status: policy.route.session.as_ref().map(|_| keeps_sessions()),
        ..Default::default()
    }
}

/// The endpoints that go on with sessions they have: Envoy's own list, and those that drain, which is what draining is
/// for.
fn keeps_sessions() -> HealthStatusSet {
    let statuses = [HealthStatus::Unknown, HealthStatus::Healthy, HealthStatus::Degraded, HealthStatus::Draining];
    HealthStatusSet { statuses: statuses.map(Into::into).into() }
}

fn zone_aware(zones: &ZoneAware) -> ZoneAwareLbConfig {
    let ZoneAware { routing_enabled, min_cluster_size, fail_traffic_on_panic } = zones;
    ZoneAwareLbConfig {
        routing_enabled: routing_enabled.and_then(percent),
        min_cluster_size: min_cluster_size.and_then(|size| u64_value(size.into())),
        fail_traffic_on_panic: *fail_traffic_on_panic,
    }
}

/// Whether Envoy has plain fields for an algorithm. Where it has none, what else is said of load balancing must stand in
/// `load_balancing_policy` as well: Envoy refuses a mixture.
fn has_plain_fields(load_balancer: &LoadBalancer) -> bool {
    !matches!(load_balancer, LoadBalancer::WeightedRoundRobin(_))
}

/// Writes the algorithm into the cluster, with the plain fields that Envoy has for each.
pub(super) fn apply(policy: &EffectivePolicy, selection: Option<&SubsetSelection>, cluster: &mut Cluster) {
    if has_plain_fields(&policy.load_balancer) {
        cluster.lb_subset_config = selection.map(subset_selection::plain);
    }
    let (lb_policy, lb_config) = match &policy.load_balancer {
        LoadBalancer::RoundRobin { slow_start } => {
            let config = slow_start.as_ref().map(|slow_start| {
                let slow_start_config = Some(self::slow_start(slow_start));
                LbConfig::RoundRobinLbConfig(RoundRobinLbConfig { slow_start_config })
            });
            (LbPolicy::RoundRobin, config)
        }
        LoadBalancer::LeastRequest { choice_count, active_request_bias, slow_start } => {
            let config = LeastRequestLbConfig {
                choice_count: u32_or_absent(*choice_count),
                active_request_bias: active_request_bias.map(|bias| fixed(bias, "active_request_bias")),
                slow_start_config: slow_start.as_ref().map(self::slow_start),
            };
            let is_default = config == LeastRequestLbConfig::default();
            (LbPolicy::LeastRequest, (!is_default).then_some(LbConfig::LeastRequestLbConfig(config)))
        }
        LoadBalancer::Random => (LbPolicy::Random, None),
        LoadBalancer::WeightedRoundRobin(weighted) => {
            let algorithm = weighted_round_robin::compile(weighted, is_locality_weighted(policy));
            cluster.load_balancing_policy = Some(match selection {
                Some(selection) => subset_selection::around(selection, algorithm),
                None => algorithm,
            });
            // Not read beside the above; Envoy's way to say so.
            (LbPolicy::LoadBalancingPolicyConfig, None)
        }
        LoadBalancer::Passthrough => (LbPolicy::ClusterProvided, None),
        LoadBalancer::ConsistentHash(ConsistentHash { table, keys: _ }) => hash_table(table),
    };
    cluster.lb_policy = lb_policy.into();
    cluster.lb_config = lb_config;
}

fn hash_table(table: &HashTable) -> (LbPolicy, Option<LbConfig>) {
    match table {
        HashTable::Ring { minimum_size, maximum_size, function } => {
            let function = match function {
                None | Some(HashFunction::XxHash) => ring_hash_lb_config::HashFunction::XxHash,
                Some(HashFunction::MurmurHash2) => ring_hash_lb_config::HashFunction::MurmurHash2,
            };
            let config = RingHashLbConfig {
                minimum_ring_size: u64_value(*minimum_size),
                maximum_ring_size: maximum_size.and_then(u64_value),
                hash_function: function.into(),
            };
            (LbPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)))
        }
        HashTable::Maglev { table_size } => {
            let config =
                table_size.map(|size| LbConfig::MaglevLbConfig(MaglevLbConfig { table_size: u64_value(size) }));
            (LbPolicy::Maglev, config)
        }
    }
}

fn slow_start(slow_start: &SlowStart) -> SlowStartConfig {
    let SlowStart { window, aggression, min_weight_percent } = slow_start;
    SlowStartConfig {
        slow_start_window: duration(*window),
        aggression: Some(fixed(*aggression, "slow_start.aggression")),
        min_weight_percent: percent(*min_weight_percent),
    }
}
