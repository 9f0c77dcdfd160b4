//! `loadBalancer.subsetSelectors` and what belongs to it, complete.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::document::settings::{self, SelectorFallback as WrittenSelectorFallback, SubsetFallback as WrittenFallback},
    text,
};
use crate::model::policy::{
    LoadBalancer, SelectorFallback, SubsetFallback, SubsetHeader, SubsetSelection, SubsetSelector,
};

/// Absent where nothing is selected by, and where discovery's endpoints are not used.
pub(super) fn subset_selection(written: &settings::LoadBalancer, algorithm: &LoadBalancer) -> Option<SubsetSelection> {
    let selectors: Vec<SubsetSelector> = written.subset_selectors.iter().flatten().map(selector).collect();
    if selectors.is_empty() || *algorithm == LoadBalancer::Passthrough {
        return None;
    }
    let label = |(key, value): (&String, &String)| (Arc::from(key.as_str()), Arc::from(value.as_str()));
    let header = |header: &settings::SubsetHeader| SubsetHeader {
        header: text(&header.header),
        key: text(&header.key),
        missing: header.missing.as_deref().map(Into::into),
    };
    Some(SubsetSelection {
        selectors,
        headers: written.subset_headers.iter().flatten().map(header).collect(),
        fallback: match written.subset_fallback_policy {
            None | Some(WrittenFallback::NoFallback) => SubsetFallback::NoFallback,
            Some(WrittenFallback::AnyEndpoint) => SubsetFallback::AnyEndpoint,
            Some(WrittenFallback::DefaultSubset) => SubsetFallback::DefaultSubset,
        },
        default_subset: written.default_subset.iter().flatten().map(label).collect(),
    })
}

fn selector(written: &settings::SubsetSelector) -> SubsetSelector {
    let settings::SubsetSelector { keys, fallback_policy, fallback_keys_subset, single_host_per_subset } = written;
    SubsetSelector {
        keys: set(keys),
        fallback: fallback_policy.map(|fallback| match fallback {
            WrittenSelectorFallback::NoFallback => SelectorFallback::As(SubsetFallback::NoFallback),
            WrittenSelectorFallback::AnyEndpoint => SelectorFallback::As(SubsetFallback::AnyEndpoint),
            WrittenSelectorFallback::DefaultSubset => SelectorFallback::As(SubsetFallback::DefaultSubset),
            WrittenSelectorFallback::KeysSubset => SelectorFallback::Keys(set(fallback_keys_subset)),
        }),
        single_host: single_host_per_subset.unwrap_or(false),
    }
}

fn set(written: &Option<Vec<String>>) -> BTreeSet<Arc<str>> {
    written.iter().flatten().map(|key| key.as_str().into()).collect()
}
