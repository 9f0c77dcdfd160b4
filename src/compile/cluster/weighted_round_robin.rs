//! Client-side weighted round robin, which Envoy has as an extension only.

use crate::{
    compile::wire::{bool_value, duration, duration_or_absent, fixed, percent},
    model::policy::{SlowStart, WeightedRoundRobin},
    proto::{
        self, Any,
        envoy::{
            config::{
                cluster::v3::{LoadBalancingPolicy, load_balancing_policy::Policy},
                core::v3::TypedExtensionConfig,
            },
            extensions::load_balancing_policies::{
                client_side_weighted_round_robin::v3::ClientSideWeightedRoundRobin, common::v3::SlowStartConfig,
                wrr_locality::v3::WrrLocality,
            },
        },
        google::protobuf::FloatValue,
    },
};

/// Where localities have weights, a locality is picked first.
pub(super) fn compile(weighted: &WeightedRoundRobin, by_locality: bool) -> LoadBalancingPolicy {
    let endpoints = LoadBalancingPolicy { policies: vec![endpoint_picking(weighted)] };
    if !by_locality {
        return endpoints;
    }
    let localities = WrrLocality { endpoint_picking_policy: Some(endpoints) };
    LoadBalancingPolicy {
        policies: vec![policy("envoy.load_balancing_policies.wrr_locality", proto::any(&localities))],
    }
}

/// The algorithm by itself.
pub(in crate::compile) fn endpoint_picking(weighted: &WeightedRoundRobin) -> Policy {
    let WeightedRoundRobin {
        blackout_period,
        weight_expiration_period,
        weight_update_period,
        error_utilization_penalty,
        enable_oob_load_report,
        oob_reporting_period,
        metric_names_for_computing_utilization,
        slow_start,
    } = weighted;
    let endpoints = ClientSideWeightedRoundRobin {
        blackout_period: duration_or_absent(*blackout_period),
        weight_expiration_period: duration_or_absent(*weight_expiration_period),
        weight_update_period: duration_or_absent(*weight_update_period),
        error_utilization_penalty: error_utilization_penalty
            .map(|penalty| FloatValue { value: penalty.to_f64() as f32 }),
        enable_oob_load_report: enable_oob_load_report.and_then(bool_value),
        oob_reporting_period: duration_or_absent(*oob_reporting_period),
        metric_names_for_computing_utilization: metric_names_for_computing_utilization
            .iter()
            .map(ToString::to_string)
            .collect(),
        slow_start_config: slow_start.as_ref().map(slow_start_config),
        ..Default::default()
    };
    policy("envoy.load_balancing_policies.client_side_weighted_round_robin", proto::any(&endpoints))
}

fn slow_start_config(slow_start: &SlowStart) -> SlowStartConfig {
    let SlowStart { window, aggression, min_weight_percent } = slow_start;
    SlowStartConfig {
        slow_start_window: duration(*window),
        aggression: Some(fixed(*aggression, "slow_start.aggression")),
        min_weight_percent: percent(*min_weight_percent),
    }
}

fn policy(name: &str, config: Any) -> Policy {
    let extension = TypedExtensionConfig { name: name.into(), typed_config: Some(config) };
    Policy { typed_extension_config: Some(extension) }
}
