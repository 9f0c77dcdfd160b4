//! `lb_subset_config`: which labels of its endpoints a cluster is sorted by, so that a request's metadata picks among
//! them. Where the algorithm is an extension, this is one around it.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    compile::endpoints::text_struct,
    model::policy::{SelectorFallback, SubsetFallback, SubsetSelection, SubsetSelector},
    proto::{
        self,
        envoy::{
            config::{
                cluster::v3::{
                    LoadBalancingPolicy,
                    cluster::{
                        LbSubsetConfig,
                        lb_subset_config::{
                            self, LbSubsetFallbackPolicy, lb_subset_selector::LbSubsetSelectorFallbackPolicy,
                        },
                    },
                    load_balancing_policy,
                },
                core::v3::TypedExtensionConfig,
            },
            extensions::load_balancing_policies::subset::v3::{Subset, subset},
        },
    },
};

/// As the plain field.
pub(super) fn plain(selection: &SubsetSelection) -> LbSubsetConfig {
    let SubsetSelection { selectors, headers: _, fallback, default_subset } = selection;
    LbSubsetConfig {
        fallback_policy: fallback_number(*fallback),
        default_subset: (!default_subset.is_empty()).then(|| text_struct(default_subset.iter())),
        subset_selectors: selectors
            .iter()
            .map(|selector| lb_subset_config::LbSubsetSelector {
                keys: texts(&selector.keys),
                single_host_per_subset: selector.single_host,
                fallback_policy: selector_fallback_number(selector),
                fallback_keys_subset: fallback_keys(selector),
            })
            .collect(),
        ..Default::default()
    }
}

/// Around an algorithm that is an extension.
pub(super) fn around(selection: &SubsetSelection, algorithm: LoadBalancingPolicy) -> LoadBalancingPolicy {
    let SubsetSelection { selectors, headers: _, fallback, default_subset } = selection;
    let config = Subset {
        fallback_policy: fallback_number(*fallback),
        default_subset: (!default_subset.is_empty()).then(|| text_struct(default_subset.iter())),
        subset_selectors: selectors
            .iter()
            .map(|selector| subset::LbSubsetSelector {
                keys: texts(&selector.keys),
                single_host_per_subset: selector.single_host,
                fallback_policy: selector_fallback_number(selector),
                fallback_keys_subset: fallback_keys(selector),
            })
            .collect(),
        subset_lb_policy: Some(algorithm),
        ..Default::default()
    };
    let extension = TypedExtensionConfig {
        name: "envoy.load_balancing_policies.subset".into(),
        typed_config: Some(proto::any(&config)),
    };
    LoadBalancingPolicy { policies: vec![load_balancing_policy::Policy { typed_extension_config: Some(extension) }] }
}

/// The two messages number their words alike.
fn fallback_number(fallback: SubsetFallback) -> i32 {
    match fallback {
        SubsetFallback::NoFallback => LbSubsetFallbackPolicy::NoFallback,
        SubsetFallback::AnyEndpoint => LbSubsetFallbackPolicy::AnyEndpoint,
        SubsetFallback::DefaultSubset => LbSubsetFallbackPolicy::DefaultSubset,
    }
    .into()
}

fn selector_fallback_number(selector: &SubsetSelector) -> i32 {
    match &selector.fallback {
        None => LbSubsetSelectorFallbackPolicy::NotDefined,
        Some(SelectorFallback::As(SubsetFallback::NoFallback)) => LbSubsetSelectorFallbackPolicy::NoFallback,
        Some(SelectorFallback::As(SubsetFallback::AnyEndpoint)) => LbSubsetSelectorFallbackPolicy::AnyEndpoint,
        Some(SelectorFallback::As(SubsetFallback::DefaultSubset)) => LbSubsetSelectorFallbackPolicy::DefaultSubset,
        Some(SelectorFallback::Keys(_)) => LbSubsetSelectorFallbackPolicy::KeysSubset,
    }
    .into()
}

fn fallback_keys(selector: &SubsetSelector) -> Vec<String> {
    match &selector.fallback {
        Some(SelectorFallback::Keys(keys)) => texts(keys),
        Some(SelectorFallback::As(_)) | None => Vec::new(),
    }
}

fn texts(keys: &BTreeSet<Arc<str>>) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}
