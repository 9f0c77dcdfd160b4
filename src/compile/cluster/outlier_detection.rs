//! `outlier_detection`: field for field.

use crate::{
    compile::wire::{bool_value, duration_or_absent, u32_or_absent},
    model::policy::OutlierDetection,
    proto::envoy::config::cluster::v3::OutlierDetection as ProtoOutlierDetection,
};

pub(super) fn compile(outlier: &OutlierDetection) -> ProtoOutlierDetection {
    let o = outlier;
    ProtoOutlierDetection {
        consecutive_5xx: u32_or_absent(o.consecutive_5xx),
        enforcing_consecutive_5xx: u32_or_absent(o.enforcing_consecutive_5xx),
        consecutive_gateway_failure: u32_or_absent(o.consecutive_gateway_failure),
        enforcing_consecutive_gateway_failure: u32_or_absent(o.enforcing_consecutive_gateway_failure),
        split_external_local_origin_errors: o.split_external_local_origin_errors,
        consecutive_local_origin_failure: u32_or_absent(o.consecutive_local_origin_failure),
        enforcing_consecutive_local_origin_failure: u32_or_absent(o.enforcing_consecutive_local_origin_failure),
        enforcing_success_rate: u32_or_absent(o.enforcing_success_rate),
        enforcing_local_origin_success_rate: u32_or_absent(o.enforcing_local_origin_success_rate),
        success_rate_minimum_hosts: u32_or_absent(o.success_rate_minimum_hosts),
        success_rate_request_volume: u32_or_absent(o.success_rate_request_volume),
        success_rate_stdev_factor: u32_or_absent(o.success_rate_stdev_factor),
        failure_percentage_threshold: u32_or_absent(o.failure_percentage_threshold),
        enforcing_failure_percentage: u32_or_absent(o.enforcing_failure_percentage),
        enforcing_failure_percentage_local_origin: u32_or_absent(o.enforcing_failure_percentage_local_origin),
        failure_percentage_minimum_hosts: u32_or_absent(o.failure_percentage_minimum_hosts),
        failure_percentage_request_volume: u32_or_absent(o.failure_percentage_request_volume),
        interval: duration_or_absent(o.interval),
        base_ejection_time: duration_or_absent(o.base_ejection_time),
        max_ejection_time: duration_or_absent(o.max_ejection_time),
        max_ejection_time_jitter: duration_or_absent(o.max_ejection_time_jitter),
        max_ejection_percent: u32_or_absent(o.max_ejection_percent),
        always_eject_one_host: o.always_eject_one_host.and_then(bool_value),
        successful_active_health_check_uneject_host: o.successful_active_health_check_uneject_host.and_then(bool_value),
        ..Default::default()
    }
}
