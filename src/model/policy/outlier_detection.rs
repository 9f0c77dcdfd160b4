//! Ejection of endpoints that fail: every detector and enforcement knob that Envoy has, under Envoy's names.
//!
//! An absent value is Envoy's default. Every `enforcing_…` is written out whenever outlier detection is on, so that
//! nothing is enforced that no document asked for: the readers decide the values, by each dialect's own rule.

use std::time::Duration;

/// Envoy's `OutlierDetection`. Percentages are whole numbers, 0 to 100.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "the fields are Envoy's own, one for one; its documentation is theirs")]
pub struct OutlierDetection {
    pub consecutive_5xx: Option<u32>,
    pub enforcing_consecutive_5xx: Option<u32>,
    pub consecutive_gateway_failure: Option<u32>,
    pub enforcing_consecutive_gateway_failure: Option<u32>,
    pub split_external_local_origin_errors: bool,
    pub consecutive_local_origin_failure: Option<u32>,
    pub enforcing_consecutive_local_origin_failure: Option<u32>,
    pub enforcing_success_rate: Option<u32>,
    pub enforcing_local_origin_success_rate: Option<u32>,
    pub success_rate_minimum_hosts: Option<u32>,
    pub success_rate_request_volume: Option<u32>,
    /// In thousandths, as Envoy counts.
    pub success_rate_stdev_factor: Option<u32>,
    pub failure_percentage_threshold: Option<u32>,
    pub enforcing_failure_percentage: Option<u32>,
    pub enforcing_failure_percentage_local_origin: Option<u32>,
    pub failure_percentage_minimum_hosts: Option<u32>,
    pub failure_percentage_request_volume: Option<u32>,
    pub interval: Option<Duration>,
    pub base_ejection_time: Option<Duration>,
    pub max_ejection_time: Option<Duration>,
    pub max_ejection_time_jitter: Option<Duration>,
    pub max_ejection_percent: Option<u32>,
    pub always_eject_one_host: Option<bool>,
    pub successful_active_health_check_uneject_host: Option<bool>,
    /// Status codes that count as failures in place of 5xx (`HttpProtocolOptions.outlier_detection`); empty = 5xx.
    pub http_error_codes: Vec<u16>,
}
