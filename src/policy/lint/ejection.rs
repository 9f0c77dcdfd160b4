//! Outlier detection, health checks and panic: whether they can do what they are there for, and no more.
//!
//! Envoy ejects an endpoint only while the ejected, it included, are at most `maxEjectionPercent` of the cluster (10 where
//! nothing is said): of n endpoints at once floor(n × percent / 100), and one at least where `alwaysEjectOneHost` is
//! set. (Tried on Envoy 1.40: of 3 endpoints 10 % is none, 34 % one, 99 % two, 100 % all.)

use super::{findings::Findings, target::Target};
use crate::model::{
    Decimal,
    policy::{OutlierDetection, UnhealthyEndpoints},
};

/// Envoy's `max_ejection_percent` where nothing is said.
const DEFAULT_MAX_EJECTION_PERCENT: u32 = 10;

/// Envoy's `…_minimum_hosts` where nothing is said.
const DEFAULT_MINIMUM_HOSTS: u32 = 5;

pub(super) fn check(target: &Target<'_>, findings: &mut Findings) {
    let panic_is_off = target.policy.panic_threshold == Decimal::ZERO;
    let size = target.size();
    let ejectable = match &target.policy.outlier_detection {
        Some(outlier) if size > 0 && ejects(outlier) => {
            let ejectable = ejectable(outlier, size);
            too_few(target, outlier, ejectable, findings);
            if ejectable == size && panic_is_off {
                can_empty(target, findings);
            }
            ejectable
        }
        Some(_) | None => 0,
    };
    if panic_is_off && ejectable < size {
        panic_off(target, ejectable, findings);
    }
    if target.policy.unhealthy_endpoints == UnhealthyEndpoints::Omitted && target.withheld > 0 {
        hidden(target, findings);
    }
}

/// Whether any detector ejects.
fn ejects(outlier: &OutlierDetection) -> bool {
    counts(outlier) || compares(outlier)
}

/// Whether a detector that looks at one endpoint alone ejects.
fn counts(outlier: &OutlierDetection) -> bool {
    let local =
        outlier.enforcing_consecutive_local_origin_failure.filter(|_| outlier.split_external_local_origin_errors);
    [outlier.enforcing_consecutive_5xx, outlier.enforcing_consecutive_gateway_failure, local]
        .into_iter()
        .flatten()
        .any(|enforced| enforced > 0)
}

/// Whether a detector that compares endpoints ejects.
fn compares(outlier: &OutlierDetection) -> bool {
    [outlier.enforcing_success_rate, outlier.enforcing_failure_percentage]
        .into_iter()
        .flatten()
        .any(|enforced| enforced > 0)
}

/// How many endpoints may be ejected at once.
fn ejectable(outlier: &OutlierDetection, size: u64) -> u64 {
    let percent = outlier.max_ejection_percent.unwrap_or(DEFAULT_MAX_EJECTION_PERCENT);
    let share = size * u64::from(percent.min(100)) / 100;
    share.max(u64::from(outlier.always_eject_one_host == Some(true)))
}

fn too_few(target: &Target<'_>, outlier: &OutlierDetection, ejectable: u64, findings: &mut Findings) {
    const ID: &str = "outlier-too-few-endpoints";
    let size = target.size();
    let percent = outlier.max_ejection_percent.unwrap_or(DEFAULT_MAX_EJECTION_PERCENT);
    if ejectable == 0 && percent > 0 {
        let said = target.said("outlierDetection.maxEjectionPercent").or_else(|| target.said_below("outlierDetection"));
        let Some(said) = said else { return };
        return target.warn(ID, said, findings, || {
            if size == 1 {
                let message = format!("{target} has one endpoint: there is none to turn to when it is ejected");
                return (message, "add endpoints, or take `outlierDetection` out".into());
            }
            let default = if outlier.max_ejection_percent.is_none() { " (Envoy's default)" } else { "" };
            let message = format!(
                "at most {percent} %{default} of the {size} endpoints of {target} may be ejected, which is none: nothing is \
                 ever ejected"
            );
            (message, format!("write `maxEjectionPercent: {}` for one of {size}", 100_u64.div_ceil(size)))
        });
    }
    let of = |enforced: Option<u32>, hosts: Option<u32>| {
        enforced.filter(|&enforced| enforced > 0).map(|_| u64::from(hosts.unwrap_or(DEFAULT_MINIMUM_HOSTS)))
    };
    let needed = [
        of(outlier.enforcing_success_rate, outlier.success_rate_minimum_hosts),
        of(outlier.enforcing_failure_percentage, outlier.failure_percentage_minimum_hosts),
    ];
    let fewest = needed.into_iter().flatten().min();
    if let Some(needed) = fewest.filter(|&needed| needed > size && !counts(outlier))
        && let Some(said) = target.said_below("outlierDetection")
    {
        target.warn(ID, said, findings, || {
            let message = format!("rates are compared among {needed} endpoints at least, and {target} has {size}");
            (message, "lower `…MinimumHosts`, or write `consecutive5xxErrors`, which needs no others".into())
        });
    }
}

fn can_empty(target: &Target<'_>, findings: &mut Findings) {
    let said = target.first_said(&["outlierDetection.maxEjectionPercent", "outlierDetection.alwaysEjectOneHost"]);
    let Some(said) = said else { return };
    let size = target.size();
    target.warn("ejection-can-empty-pool", said, findings, || match size {
        1 => (
            format!("the one endpoint of {target} may be ejected, and panic is off: every request then gets 503"),
            "add endpoints, or take `outlierDetection` out".into(),
        ),
        _ => (
            format!(
                "all {size} endpoints of {target} may be ejected at once, and panic is off: every request then gets 503"
            ),
            format!("write `maxEjectionPercent: 50`, or `{}`", panic_on(target)),
        ),
    });
}

fn panic_off(target: &Target<'_>, ejectable: u64, findings: &mut Findings) {
    if ["loadBalancer.panicThreshold", "outlierDetection.minHealthPercent"]
        .iter()
        .any(|path| target.said(path).is_some())
    {
        return;
    }
    const ID: &str = "panic-off";
    let size = target.size();
    if !target.policy.health_checks.is_empty()
        && size > 1
        && let Some(said) = target.said("healthChecks")
    {
        target.warn(ID, said, findings, || {
            let message = format!(
                "panic is off where nothing is said: when the check fails on all {size} endpoints of {target} at once (what it \
                 asks for depends on something shared), every request gets 503"
            );
            (message, format!("write `{}`, or 0 where that is meant", panic_on(target)))
        });
    } else if ejectable * 2 > size
        && let Some(said) = target.said("outlierDetection.maxEjectionPercent")
    {
        target.warn(ID, said, findings, || {
            let message = format!(
                "panic is off where nothing is said: {ejectable} of the {size} endpoints of {target} may be ejected, and {} \
                 then take everything",
                size - ejectable
            );
            (message, format!("write `{}`, or 0 where that is meant", panic_on(target)))
        });
    }
}

/// How to turn panic on, in the dialect that speaks of the target.
fn panic_on(target: &Target<'_>) -> &'static str {
    let said = target.said_below("outlierDetection").or_else(|| target.said("healthChecks"));
    match said.is_some_and(|said| &*said.document.id.kind == "DestinationRule") {
        true => "minHealthPercent: 50",
        false => "loadBalancer.panicThreshold: 50",
    }
}

fn hidden(target: &Target<'_>, findings: &mut Findings) {
    let Some(said) = target.said("outlierDetection.minHealthPercent") else { return };
    let (size, withheld) = (target.size(), target.withheld);
    target.warn("min-health-percent-hides-unhealthy", said, findings, || {
        let message = format!(
            "{withheld} of the {} endpoints of {target} are unhealthy, and with this setting not sent: the percentage is of \
             the other {size}",
            size + withheld as u64
        );
        (message, "write `loadBalancer.panicThreshold` in a TrafficPolicy, which counts all of them".into())
    });
}
