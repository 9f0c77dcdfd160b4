//! Where a rule leads, and where copies go.

use super::{Found, check_host, headers::check_headers};
use crate::policy::document::{
    scalar::Count,
    virtual_service::{Destination, HttpRoute, HttpRouteDestination},
};

pub(super) fn check_destinations(destinations: &[HttpRouteDestination], path: &str, found: &mut Found<'_>) {
    let weights: Vec<u32> = destinations.iter().map(|destination| destination.weight.unwrap_or(0)).collect();
    check_weights(&weights, path, found);
    for (index, destination) in destinations.iter().enumerate() {
        let path = format!("{path}.route[{index}]");
        check_destination(&destination.destination, &format!("{path}.destination"), found);
        check_headers(&destination.headers, &format!("{path}.headers"), found);
    }
}

pub(super) fn check_weights(weights: &[u32], path: &str, found: &mut Found<'_>) {
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    if weights.len() > 1 && sum == 0 {
        found.error(&format!("{path}.route"), "the weights add up to 0", "give each destination a `weight`");
    }
    if sum > u64::from(u32::MAX) {
        let message = format!("the weights add up to {sum}: Envoy takes {} at most", u32::MAX);
        found.error(&format!("{path}.route"), message, "write smaller weights in the same proportion");
    }
}

pub(super) fn check_destination(destination: &Destination, path: &str, found: &mut Found<'_>) {
    check_host(&destination.host, &format!("{path}.host"), false, found);
}

pub(super) fn check_mirrors(route: &HttpRoute, path: &str, found: &mut Found<'_>) {
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        found.error(&format!("{path}.mirrors"), "`mirror` and `mirrors` exclude each other", "keep `mirrors`");
    }
    for (field, written) in
        [("mirrorPercentage", route.mirror_percentage.is_some()), ("mirrorPercent", route.mirror_percent.is_some())]
    {
        if written && route.mirror.is_none() {
            let message = format!("`{field}` is of `mirror`, which is not there");
            found.error(&format!("{path}.{field}"), message, "add `mirror`, or write `percentage` in `mirrors`");
        }
    }
    if route.mirror_percent.is_some() && route.mirror_percentage.is_some() {
        let message = "`mirrorPercent` is the older form of `mirrorPercentage`, and counts for nothing beside it";
        found.error(&format!("{path}.mirrorPercent"), message, "remove it");
    }
    check_old_percent(route.mirror_percent, &format!("{path}.mirrorPercent"), "mirrorPercentage", found);
    if let Some(mirror) = &route.mirror {
        check_destination(mirror, &format!("{path}.mirror"), found);
    }
    for (index, mirror) in route.mirrors.iter().enumerate() {
        check_destination(&mirror.destination, &format!("{path}.mirrors[{index}].destination"), found);
    }
}

pub(super) fn check_old_percent(percent: Option<Count>, path: &str, newer: &str, found: &mut Found<'_>) {
    if percent.is_some_and(|percent| percent.0 > 100) {
        found.error(path, "a percentage is 100 at most", format!("write `{newer}: {{ value: 100 }}`"));
    }
}
