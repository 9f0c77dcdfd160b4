//! Subsets that requests pick by their headers: Envoy's own, within one cluster.

use std::{collections::BTreeSet, sync::Arc};

use crate::model::Labels;

/// How endpoints are sorted, and how a request asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubsetSelection {
    /// By which labels; never empty.
    pub selectors: Vec<SubsetSelector>,
    /// Which headers ask for which label.
    pub headers: Vec<SubsetHeader>,
    /// Of a request that picks none.
    pub fallback: SubsetFallback,
    /// For the fallback of that name.
    pub default_subset: Labels,
}

impl SubsetSelection {
    /// The labels of endpoints that Envoy has to know.
    pub fn labels(&self) -> BTreeSet<&Arc<str>> {
        self.selectors.iter().flat_map(|selector| &selector.keys).chain(self.default_subset.keys()).collect()
    }
}

/// Labels that are asked for together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubsetSelector {
    /// Sorted.
    pub keys: BTreeSet<Arc<str>>,
    /// Absent = the selection's.
    pub fallback: Option<SelectorFallback>,
    /// No two endpoints have the same values.
    pub single_host: bool,
}

/// A header that asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubsetHeader {
    /// Its name.
    pub header: Arc<str>,
    /// For a value of which label.
    pub key: Arc<str>,
    /// What a request without it asks for.
    pub missing: Option<Arc<str>>,
}

/// Of a request that picks no subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SubsetFallback {
    /// 503.
    #[default]
    NoFallback,
    /// Any endpoint.
    AnyEndpoint,
    /// One of the default subset.
    DefaultSubset,
}

/// Of a request whose values no endpoint has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SelectorFallback {
    /// As of one that picks no subset.
    As(SubsetFallback),
    /// By these keys alone.
    Keys(BTreeSet<Arc<str>>),
}
