//! `loadBalancer.subsetSelectors` and what belongs to it: Envoy refuses some of it, and some would pick nothing.

use std::collections::BTreeSet;

use super::Found;
use crate::policy::document::settings::{
    LoadBalancer, SelectorFallback, Simple, SubsetFallback, SubsetHeader, SubsetSelector,
};

pub(super) fn check(load_balancer: &LoadBalancer, found: &mut Found<'_>) {
    let selectors = load_balancer.subset_selectors.iter().flatten();
    for (index, selector) in selectors.clone().enumerate() {
        check_selector(selector, &format!("loadBalancer.subsetSelectors[{index}]"), found);
    }
    for (index, header) in load_balancer.subset_headers.iter().flatten().enumerate() {
        let field = format!("loadBalancer.subsetHeaders[{index}]");
        let SubsetHeader { header, key, missing } = header;
        for (name, text) in [("header", header), ("key", key)] {
            if text.as_deref().unwrap_or_default().is_empty() {
                found.error(&field, &format!("`{name}` is missing"), &format!("add `{name}:`"));
            }
        }
        if missing.as_deref() == Some("") {
            found.error(&format!("{field}.missing"), "an empty value is none", "remove it, or say which");
        }
    }
    let keys: BTreeSet<&str> = selectors.flat_map(|selector| selector.keys.iter().flatten()).map(|k| &**k).collect();
    let asked: BTreeSet<&str> =
        load_balancer.subset_headers.iter().flatten().filter_map(|header| header.key.as_deref()).collect();
    match (&load_balancer.subset_selectors, &load_balancer.subset_headers) {
        (Some(_), None) => found.error(
            "loadBalancer.subsetSelectors",
            "no request can pick by these: no header asks for them",
            "add `subsetHeaders`, for example `[ { header: x-version, key: version } ]`",
        ),
        (Some(_), Some(_)) => {
            if let Some(key) = keys.difference(&asked).next() {
                let message = format!("no header asks for `{key}`, so nothing is picked by it");
                found.error("loadBalancer.subsetHeaders", &message, "name a header for it, or leave the key out");
            }
            if let Some(key) = asked.difference(&keys).next() {
                let message = format!("no selector has the key `{key}`, so no request that asks for it picks anything");
                found.error("loadBalancer.subsetHeaders", &message, "add it to a selector, or leave the header out");
            }
        }
        (None, _) => {}
    }
    let is_default = |selector: &SubsetSelector| selector.fallback_policy == Some(SelectorFallback::DefaultSubset);
    let falls_back = load_balancer.subset_fallback_policy == Some(SubsetFallback::DefaultSubset)
        || load_balancer.subset_selectors.iter().flatten().any(is_default);
    if load_balancer.subset_selectors.is_some() && falls_back && load_balancer.default_subset.is_none() {
        found.error(
            "loadBalancer.subsetSelectors",
            "DEFAULT_SUBSET is asked for, and no default subset is named",
            "add `defaultSubset`, for example `{ version: v1 }`",
        );
    }
    if load_balancer.subset_selectors.is_some() && !falls_back && load_balancer.default_subset.is_some() {
        found.error(
            "loadBalancer.defaultSubset",
            "nothing falls back to it",
            "add `subsetFallbackPolicy: DEFAULT_SUBSET`, or remove it",
        );
    }
    if load_balancer.subset_selectors.is_some() && load_balancer.simple == Some(Simple::Passthrough) {
        found.error(
            "loadBalancer.subsetSelectors",
            "PASSTHROUGH uses no endpoint of discovery, so there is none to pick",
            "remove it, or take another algorithm",
        );
    }
}

fn check_selector(selector: &SubsetSelector, field: &str, found: &mut Found<'_>) {
    let SubsetSelector { keys, fallback_policy, fallback_keys_subset, single_host_per_subset } = selector;
    let keys: BTreeSet<&String> = keys.iter().flatten().collect();
    if keys.is_empty() || keys.iter().any(|key| key.is_empty()) {
        found.error(field, "a selector has keys: labels of endpoints", "for example `keys: [ version ]`");
        return;
    }
    let fallback: BTreeSet<&String> = fallback_keys_subset.iter().flatten().collect();
    match fallback_policy {
        Some(SelectorFallback::KeysSubset) if fallback.is_empty() || !fallback.is_subset(&keys) || fallback == keys => {
            found.error(
                field,
                "KEYS_SUBSET looks again by some of the keys, and not by all of them",
                "name those in `fallbackKeysSubset`",
            );
        }
        Some(SelectorFallback::KeysSubset) => {}
        _ if fallback_keys_subset.is_some() => found.error(
            &format!("{field}.fallbackKeysSubset"),
            "this is read with KEYS_SUBSET alone",
            "add `fallbackPolicy: KEYS_SUBSET`, or remove it",
        ),
        _ => {}
    }
    if *single_host_per_subset == Some(true) && keys.len() > 1 {
        found.error(
            &format!("{field}.singleHostPerSubset"),
            "Envoy takes this of a selector with one key",
            "remove it, or leave one key",
        );
    }
}
