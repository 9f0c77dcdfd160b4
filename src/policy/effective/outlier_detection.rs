//! `outlierDetection`, complete: a detector is enforced when one of its own fields is set, else not.

use super::super::document::{
    scalar::{Count, Span, WholePercent},
    settings::{self},
};
use crate::model::policy::OutlierDetection;

pub(super) fn outlier(written: &settings::OutlierDetection) -> OutlierDetection {
    let number = |count: Option<Count>| count.map(|count| count.0);
    let percent = |percent: Option<WholePercent>| percent.map(|percent| percent.0);
    let span = |span: Option<Span>| span.map(|span| span.0);
    // A count of 0 turns its detector off, as in Istio.
    let consecutive = |count: Option<Count>, explicit: Option<WholePercent>| {
        let enforced = if count.is_some_and(|count| count.0 > 0) { 100 } else { 0 };
        (number(count).filter(|&count| count > 0), Some(percent(explicit).unwrap_or(enforced)))
    };
    let enforced = |explicit: Option<WholePercent>, own: &[bool]| {
        Some(percent(explicit).unwrap_or(if own.contains(&true) { 100 } else { 0 }))
    };
    let w = written;
    let (consecutive_5xx, enforcing_consecutive_5xx) = consecutive(w.consecutive5xx_errors, w.enforcing_consecutive5xx);
    let (consecutive_gateway_failure, enforcing_consecutive_gateway_failure) =
        consecutive(w.consecutive_gateway_errors, w.enforcing_consecutive_gateway_failure);
    let (consecutive_local_origin_failure, enforcing_consecutive_local_origin_failure) =
        consecutive(w.consecutive_local_origin_failures, w.enforcing_consecutive_local_origin_failure);
    OutlierDetection {
        consecutive_5xx,
        enforcing_consecutive_5xx,
        consecutive_gateway_failure,
        enforcing_consecutive_gateway_failure,
        split_external_local_origin_errors: w.split_external_local_origin_errors.unwrap_or(false),
        consecutive_local_origin_failure,
        enforcing_consecutive_local_origin_failure,
        enforcing_success_rate: enforced(
            w.enforcing_success_rate,
            &[
                w.success_rate_minimum_hosts.is_some(),
                w.success_rate_request_volume.is_some(),
                w.success_rate_stdev_factor.is_some(),
            ],
        ),
        enforcing_local_origin_success_rate: enforced(w.enforcing_local_origin_success_rate, &[]),
        success_rate_minimum_hosts: number(w.success_rate_minimum_hosts),
        success_rate_request_volume: number(w.success_rate_request_volume),
        success_rate_stdev_factor: number(w.success_rate_stdev_factor),
        failure_percentage_threshold: percent(w.failure_percentage_threshold),
        enforcing_failure_percentage: enforced(
            w.enforcing_failure_percentage,
            &[
                w.failure_percentage_threshold.is_some(),
                w.failure_percentage_minimum_hosts.is_some(),
                w.failure_percentage_request_volume.is_some(),
            ],
        ),
        enforcing_failure_percentage_local_origin: enforced(w.enforcing_failure_percentage_local_origin, &[]),
        failure_percentage_minimum_hosts: number(w.failure_percentage_minimum_hosts),
        failure_percentage_request_volume: number(w.failure_percentage_request_volume),
        interval: span(w.interval),
        base_ejection_time: span(w.base_ejection_time),
        max_ejection_time: span(w.max_ejection_time),
        max_ejection_time_jitter: span(w.max_ejection_time_jitter),
        max_ejection_percent: percent(w.max_ejection_percent),
        always_eject_one_host: w.always_eject_one_host,
        successful_active_health_check_uneject_host: w.successful_active_health_check_uneject_host,
        http_error_codes: w.outlier_detection_http_error_codes.iter().flatten().map(|code| code.0).collect(),
    }
}
