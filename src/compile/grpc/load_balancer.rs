//! Which endpoint takes a call: a list of what could be done, best first, of which a library takes the first that it
//! knows (A52). It ends in round robin, which all know; a locality is picked before, by weight, as everywhere in gRPC.
//!
//! A ring hash stands in the plain field instead: it weighs localities by itself (A42), and the JavaScript library
//! rejects the sizes of a ring in a list.

use crate::{
    compile::{
        cluster::weighted_round_robin_policy,
        wire::{u32_or_absent, u64_value},
    },
    model::policy::{ConsistentHash, HashTable, LoadBalancer},
    proto::{
        self, Any,
        envoy::{
            config::{
                cluster::v3::{
                    Cluster, LoadBalancingPolicy,
                    cluster::{LbConfig, LbPolicy, RingHashLbConfig, ring_hash_lb_config},
                    load_balancing_policy::Policy,
                },
                core::v3::TypedExtensionConfig,
            },
            extensions::load_balancing_policies::{
                least_request::v3::LeastRequest, random::v3::Random, round_robin::v3::RoundRobin,
                wrr_locality::v3::WrrLocality,
            },
        },
    },
};

/// Writes it into the cluster.
pub(super) fn apply(load_balancer: &LoadBalancer, cluster: &mut Cluster) {
    let first = match load_balancer {
        LoadBalancer::ConsistentHash(ConsistentHash { table, keys: _ }) => {
            cluster.lb_policy = LbPolicy::RingHash.into();
            cluster.lb_config = Some(LbConfig::RingHashLbConfig(ring(table)));
            return;
        }
        LoadBalancer::RoundRobin { slow_start: _ } | LoadBalancer::Passthrough => None,
        LoadBalancer::LeastRequest { choice_count, active_request_bias: _, slow_start: _ } => Some(policy(
            "envoy.load_balancing_policies.least_request",
            proto::any(&LeastRequest { choice_count: u32_or_absent(*choice_count), ..Default::default() }),
        )),
        LoadBalancer::Random => Some(policy("envoy.load_balancing_policies.random", proto::any(&Random::default()))),
        LoadBalancer::WeightedRoundRobin(weighted) => Some(weighted_round_robin_policy(weighted)),
    };
    // Libraries from before there were lists look at the plain field.
    cluster.lb_policy = LbPolicy::RoundRobin.into();
    let round_robin = policy("envoy.load_balancing_policies.round_robin", proto::any(&RoundRobin::default()));
    let picking = LoadBalancingPolicy { policies: first.into_iter().chain([round_robin]).collect() };
    let localities = WrrLocality { endpoint_picking_policy: Some(picking) };
    cluster.load_balancing_policy = Some(LoadBalancingPolicy {
        policies: vec![policy("envoy.load_balancing_policies.wrr_locality", proto::any(&localities))],
    });
}

fn policy(name: &str, config: Any) -> Policy {
    let extension = TypedExtensionConfig { name: name.into(), typed_config: Some(config) };
    Policy { typed_extension_config: Some(extension) }
}

/// Larger rings are rejected (A42), and so is every hash function but one.
fn ring(table: &HashTable) -> RingHashLbConfig {
    const LARGEST: u64 = 8 * 1024 * 1024;
    let (minimum, maximum) = match table {
        HashTable::Ring { minimum_size, maximum_size, function: _ } => (Some(*minimum_size), *maximum_size),
        HashTable::Maglev { table_size: _ } => (None, None),
    };
    let maximum = maximum.map(|size| size.clamp(1, LARGEST));
    RingHashLbConfig {
        minimum_ring_size: minimum.and_then(|size| u64_value(size.clamp(1, maximum.unwrap_or(LARGEST)))),
        maximum_ring_size: maximum.and_then(u64_value),
        hash_function: ring_hash_lb_config::HashFunction::XxHash.into(),
    }
}
