//! Subsets that requests pick by their headers: `loadBalancer.subsetSelectors` and what belongs to it.

settings! {
    /// Labels by which Envoy sorts the endpoints of one cluster, so that a request can ask for values of them.
    pub struct SubsetSelector {
        /// Labels of endpoints. A request picks by a selector when it asks for exactly these.
        ///
        /// - envoy: `lb_subset_config.subset_selectors[].keys`
        /// - example: `[ version ]`
        keys: Vec<String>,
        /// What becomes of a request that asks for values no endpoint has.
        ///
        /// - default: what `subsetFallbackPolicy` says
        /// - envoy: `lb_subset_config.subset_selectors[].fallback_policy`
        /// - example: `ANY_ENDPOINT`
        fallback_policy: SelectorFallback,
        /// With KEYS_SUBSET: look again by these of the keys alone.
        ///
        /// - envoy: `lb_subset_config.subset_selectors[].fallback_keys_subset`
        /// - example: `[ stage ]`
        fallback_keys_subset: Vec<String>,
        /// Values are endpoints' own: no two have the same. Envoy then keeps less, and takes one of those that do.
        ///
        /// - default: Envoy's `false`
        /// - envoy: `lb_subset_config.subset_selectors[].single_host_per_subset`
        /// - example: `true`
        single_host_per_subset: bool,
    }

    /// Which header of a request asks for a value of a label.
    pub struct SubsetHeader {
        /// Of a request.
        ///
        /// - envoy: `typed_per_filter_config["envoy.filters.http.header_to_metadata"].request_rules[].header`
        /// - example: `x-version`
        header: String,
        /// The label, which some selector has among its keys.
        ///
        /// - envoy: `typed_per_filter_config["envoy.filters.http.header_to_metadata"].request_rules[].on_header_present.key`
        /// - example: `version`
        key: String,
        /// The value that a request without the header asks for.
        ///
        /// - default: it asks for none
        /// - envoy: `typed_per_filter_config["envoy.filters.http.header_to_metadata"].request_rules[].on_header_missing.value`
        /// - example: `v1`
        missing: String,
    }
}

words! {
    /// What becomes of a request that picks no subset.
    pub enum SubsetFallback {
        /// 503.
        NoFallback = "NO_FALLBACK",
        /// Any endpoint takes it.
        AnyEndpoint = "ANY_ENDPOINT",
        /// One of `defaultSubset` takes it.
        DefaultSubset = "DEFAULT_SUBSET",
    }

    /// What becomes of a request whose values no endpoint has.
    pub enum SelectorFallback {
        /// 503.
        NoFallback = "NO_FALLBACK",
        /// Any endpoint takes it.
        AnyEndpoint = "ANY_ENDPOINT",
        /// One of `defaultSubset` takes it.
        DefaultSubset = "DEFAULT_SUBSET",
        /// Look again, by `fallbackKeysSubset`.
        KeysSubset = "KEYS_SUBSET",
    }
}
