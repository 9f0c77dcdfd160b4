//! Ejection of endpoints that fail: `outlierDetection`.

use super::super::scalar::{Count, Span, StatusCode, WholePercent};

settings! {
    /// Ejection of endpoints that fail.
    pub struct OutlierDetection {
        /// 5xx in a row; 0 = this detector off.
        consecutive5xx_errors: Count,
        /// Share of detections that eject.
        enforcing_consecutive5xx: WholePercent,
        /// 502, 503, 504 in a row; 0 = this detector off.
        consecutive_gateway_errors: Count,
        /// Share of detections that eject.
        enforcing_consecutive_gateway_failure: WholePercent,
        /// Tell errors on the way apart from answers of the endpoint.
        split_external_local_origin_errors: bool,
        /// Errors on the way in a row; only when split.
        consecutive_local_origin_failures: Count,
        /// Share of detections that eject.
        enforcing_consecutive_local_origin_failure: WholePercent,
        /// Endpoints needed for the success-rate detector; Envoy's 5.
        success_rate_minimum_hosts: Count,
        /// Requests needed per interval; Envoy's 100.
        success_rate_request_volume: Count,
        /// Deviation in thousandths; Envoy's 1900.
        success_rate_stdev_factor: Count,
        /// Share of detections that eject.
        enforcing_success_rate: WholePercent,
        /// Share of detections that eject.
        enforcing_local_origin_success_rate: WholePercent,
        /// Failures in percent that are too many; Envoy's 85.
        failure_percentage_threshold: WholePercent,
        /// Endpoints needed; Envoy's 5.
        failure_percentage_minimum_hosts: Count,
        /// Requests needed per interval; Envoy's 50.
        failure_percentage_request_volume: Count,
        /// Share of detections that eject.
        enforcing_failure_percentage: WholePercent,
        /// Share of detections that eject.
        enforcing_failure_percentage_local_origin: WholePercent,
        /// Between sweeps; Envoy's 10 s.
        interval: Span,
        /// The first ejection, times the number of ejections; Envoy's 30 s.
        base_ejection_time: Span,
        /// The longest ejection; Envoy's 300 s.
        max_ejection_time: Span,
        /// Random addition to an ejection; Envoy's 0.
        max_ejection_time_jitter: Span,
        /// At most this share of endpoints is ejected; Envoy's 10.
        max_ejection_percent: WholePercent,
        /// Whether one may be ejected whatever the share.
        always_eject_one_host: bool,
        /// Whether an active check that succeeds ends an ejection.
        successful_active_health_check_uneject_host: bool,
        /// The same as `loadBalancer.panicThreshold`; above 0 unhealthy endpoints are not sent at all (Istio).
        min_health_percent: WholePercent,
        /// Status codes that count as failures in place of 5xx.
        outlier_detection_http_error_codes: Vec<StatusCode>,
        /// Without any effect in Istio since 1.8.
        consecutive_errors: Count,
    }
}
