//! Ejection of endpoints that fail: `outlierDetection`.

use super::super::scalar::{Count, Span, StatusCode, WholePercent};

settings! {
    /// Ejection of endpoints that fail.
    pub struct OutlierDetection {
        /// Answers with a 5xx in a row that eject an endpoint; 0 = this detector is off.
        ///
        /// - default: Envoy's 5
        /// - envoy: `outlier_detection.consecutive_5xx`
        /// - example: `5`
        consecutive5xx_errors: Count,
        /// The share of those detections that eject, in percent.
        ///
        /// - default: 100 where `consecutive5xxErrors` is set, else 0
        /// - envoy: `outlier_detection.enforcing_consecutive_5xx`
        /// - example: `100`
        enforcing_consecutive5xx: WholePercent,
        /// Answers with 502, 503 or 504 in a row that eject an endpoint; 0 = this detector is off.
        ///
        /// - default: Envoy's 5
        /// - envoy: `outlier_detection.consecutive_gateway_failure`
        /// - example: `5`
        consecutive_gateway_errors: Count,
        /// The share of those detections that eject, in percent.
        ///
        /// - default: 100 where `consecutiveGatewayErrors` is set, else 0
        /// - envoy: `outlier_detection.enforcing_consecutive_gateway_failure`
        /// - example: `100`
        enforcing_consecutive_gateway_failure: WholePercent,
        /// Tell errors on the way (no connection, a reset, a timeout) apart from answers of the endpoint.
        ///
        /// - default: `false`
        /// - envoy: `outlier_detection.split_external_local_origin_errors`
        /// - example: `true`
        split_external_local_origin_errors: bool,
        /// Errors on the way in a row that eject an endpoint. Only with `splitExternalLocalOriginErrors`.
        ///
        /// - default: Envoy's 5
        /// - envoy: `outlier_detection.consecutive_local_origin_failure`
        /// - example: `5`
        consecutive_local_origin_failures: Count,
        /// The share of those detections that eject, in percent.
        ///
        /// - default: 100 where `consecutiveLocalOriginFailures` is set, else 0
        /// - envoy: `outlier_detection.enforcing_consecutive_local_origin_failure`
        /// - example: `100`
        enforcing_consecutive_local_origin_failure: WholePercent,
        /// Endpoints with enough requests that the success-rate detector needs.
        ///
        /// - default: Envoy's 5
        /// - envoy: `outlier_detection.success_rate_minimum_hosts`
        /// - example: `3`
        success_rate_minimum_hosts: Count,
        /// Requests within one interval that an endpoint needs to be looked at.
        ///
        /// - default: Envoy's 100
        /// - envoy: `outlier_detection.success_rate_request_volume`
        /// - example: `50`
        success_rate_request_volume: Count,
        /// How far below the mean is too far, in thousandths of the standard deviation.
        ///
        /// - default: Envoy's 1900
        /// - envoy: `outlier_detection.success_rate_stdev_factor`
        /// - example: `1900`
        success_rate_stdev_factor: Count,
        /// The share of those detections that eject, in percent.
        ///
        /// - default: 100 where one of the success rate's own fields is set, else 0
        /// - envoy: `outlier_detection.enforcing_success_rate`
        /// - example: `100`
        enforcing_success_rate: WholePercent,
        /// The same for errors on the way.
        ///
        /// - default: `0`
        /// - envoy: `outlier_detection.enforcing_local_origin_success_rate`
        /// - example: `100`
        enforcing_local_origin_success_rate: WholePercent,
        /// The share of failures that ejects an endpoint, in percent.
        ///
        /// - default: Envoy's 85
        /// - envoy: `outlier_detection.failure_percentage_threshold`
        /// - example: `50`
        failure_percentage_threshold: WholePercent,
        /// Endpoints with enough requests that this detector needs.
        ///
        /// - default: Envoy's 5
        /// - envoy: `outlier_detection.failure_percentage_minimum_hosts`
        /// - example: `3`
        failure_percentage_minimum_hosts: Count,
        /// Requests within one interval that an endpoint needs to be looked at.
        ///
        /// - default: Envoy's 50
        /// - envoy: `outlier_detection.failure_percentage_request_volume`
        /// - example: `20`
        failure_percentage_request_volume: Count,
        /// The share of those detections that eject, in percent.
        ///
        /// - default: 100 where one of the failure percentage's own fields is set, else 0
        /// - envoy: `outlier_detection.enforcing_failure_percentage`
        /// - example: `100`
        enforcing_failure_percentage: WholePercent,
        /// The same for errors on the way.
        ///
        /// - default: `0`
        /// - envoy: `outlier_detection.enforcing_failure_percentage_local_origin`
        /// - example: `100`
        enforcing_failure_percentage_local_origin: WholePercent,
        /// Time between sweeps, which end ejections and work out rates.
        ///
        /// - default: Envoy's 10 s
        /// - envoy: `outlier_detection.interval`
        /// - example: `5s`
        interval: Span,
        /// How long the first ejection lasts; the next ones are as many times longer.
        ///
        /// - default: Envoy's 30 s
        /// - envoy: `outlier_detection.base_ejection_time`
        /// - example: `30s`
        base_ejection_time: Span,
        /// The longest ejection.
        ///
        /// - default: Envoy's 300 s
        /// - envoy: `outlier_detection.max_ejection_time`
        /// - example: `5m`
        max_ejection_time: Span,
        /// A random time up to this is added to an ejection.
        ///
        /// - default: Envoy's 0 s
        /// - envoy: `outlier_detection.max_ejection_time_jitter`
        /// - example: `5s`
        max_ejection_time_jitter: Span,
        /// At most this share of the endpoints is ejected, in percent; one may always be, where `alwaysEjectOneHost`
        /// says so.
        ///
        /// - default: Envoy's 10
        /// - envoy: `outlier_detection.max_ejection_percent`
        /// - example: `30`
        max_ejection_percent: WholePercent,
        /// Whether one may be ejected whatever the share.
        ///
        /// - default: Envoy's false
        /// - envoy: `outlier_detection.always_eject_one_host`
        /// - example: `true`
        always_eject_one_host: bool,
        /// Whether an active check that succeeds ends an ejection.
        ///
        /// - default: Envoy's true
        /// - envoy: `outlier_detection.successful_active_health_check_uneject_host`
        /// - example: `false`
        successful_active_health_check_uneject_host: bool,
        /// The same as `loadBalancer.panicThreshold`; above 0 unhealthy endpoints are not sent at all, as in Istio.
        ///
        /// - default: `0`
        /// - envoy: `common_lb_config.healthy_panic_threshold`
        /// - example: `30`
        min_health_percent: WholePercent,
        /// Status codes that count as failures in place of 5xx.
        ///
        /// - default: 5xx
        /// - envoy: `outlier_detection.error_matcher` of the HTTP options
        /// - example: `[ 500, 429 ]`
        outlier_detection_http_error_codes: Vec<StatusCode>,
        /// Without any effect in Istio since 1.8.
        ///
        /// - default: none
        /// - envoy: none, it has no effect
        /// - example: `5`
        consecutive_errors: Count,
    }
}
