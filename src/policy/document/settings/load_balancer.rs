//! Which endpoint takes a request: `loadBalancer`.

use super::super::scalar::{ChoiceCount, Fraction, OverprovisioningFactor, Percent, RingSize, Span, TableSize};
use super::{
    locality::{LocalityLbSetting, ZoneAwareLbSetting},
    subset_selectors::{SubsetFallback, SubsetHeader, SubsetSelector},
};

settings! {
    /// Which endpoint takes a request.
    pub struct LoadBalancer {
        /// One of Envoy's simple algorithms. A choice with `consistentHash` and `weightedRoundRobin`.
        simple: Simple,
        /// By a key of the request. A choice with `simple` and `weightedRoundRobin`.
        consistent_hash: ConsistentHash,
        /// By weights that follow the load endpoints report (ORCA, in a header or trailer of their answers). A choice
        /// with `simple` and `consistentHash`.
        ///
        /// - envoy: `load_balancing_policy.policies[0].typed_extension_config` (`ClientSideWeightedRoundRobin`)
        /// - example: `{ blackoutPeriod: 10s }`
        weighted_round_robin: WeightedRoundRobin,
        /// For LEAST_REQUEST.
        least_request: LeastRequest,
        /// Ease new endpoints in; for ROUND_ROBIN, LEAST_REQUEST and `weightedRoundRobin`.
        warmup: Warmup,
        /// Istio's older word for `warmup.duration`.
        warmup_duration_secs: Span,
        /// What localities mean.
        locality_lb_setting: LocalityLbSetting,
        /// Keep requests in the client's zone as far as that overloads nobody. A choice with `localityLbSetting`; in a
        /// DestinationRule that has both this one counts.
        ///
        /// - default: none
        /// - envoy: `common_lb_config.zone_aware_lb_config`
        /// - example: `{ minClusterSize: 3 }`
        zone_aware_lb_setting: ZoneAwareLbSetting,
        /// Labels that requests can pick endpoints by, each request for itself (Envoy's own subsets, within one cluster).
        ///
        /// - default: none
        /// - envoy: `lb_subset_config.subset_selectors`, and `metadata.filter_metadata["envoy.lb"]` of endpoints
        /// - example: `[ { keys: [ version ] } ]`
        subset_selectors: Vec<SubsetSelector>,
        /// Which headers of a request ask for which of those labels.
        ///
        /// - default: none
        /// - envoy: `typed_per_filter_config["envoy.filters.http.header_to_metadata"]` of routes
        /// - example: `[ { header: x-version, key: version } ]`
        subset_headers: Vec<SubsetHeader>,
        /// What becomes of a request that asks for no value, or by other labels than some selector has.
        ///
        /// - default: Envoy's NO_FALLBACK, a 503
        /// - envoy: `lb_subset_config.fallback_policy`
        /// - example: `ANY_ENDPOINT`
        subset_fallback_policy: SubsetFallback,
        /// The endpoints with all these labels, for DEFAULT_SUBSET.
        ///
        /// - default: none
        /// - envoy: `lb_subset_config.default_subset`
        /// - example: `{ version: v1 }`
        default_subset: std::collections::BTreeMap<String, String>,
        /// Below this percentage of healthy endpoints health is ignored. Default 0.
        panic_threshold: Percent,
        /// In percent; default Envoy's 140.
        overprovisioning_factor: OverprovisioningFactor,
    }

    /// For LEAST_REQUEST.
    pub struct LeastRequest {
        /// How many endpoints are compared; default Envoy's 2.
        choice_count: ChoiceCount,
        /// How strongly requests in flight count where weights differ; default Envoy's 1.0.
        active_request_bias: Fraction,
    }

    /// Ease new endpoints in.
    pub struct Warmup {
        /// How long an endpoint counts as new.
        duration: Span,
        /// Its share at the start; default 10.
        minimum_percent: Percent,
        /// How the share grows; default 1, linearly.
        aggression: Fraction,
    }

    /// By a key of the request.
    pub struct ConsistentHash {
        /// Hash a header.
        http_header_name: String,
        /// Hash a cookie, made where it is missing and a `ttl` is given.
        http_cookie: HttpCookie,
        /// Hash the client's address.
        use_source_ip: bool,
        /// Hash a query parameter.
        http_query_parameter_name: String,
        /// A ring; the default.
        ring_hash: RingHash,
        /// A Maglev table.
        maglev: Maglev,
        /// Istio's older place of `ringHash.minimumRingSize`.
        minimum_ring_size: RingSize,
    }

    /// A cookie to hash.
    pub struct HttpCookie {
        /// Its name.
        name: String,
        /// The lifetime of a cookie that is made; `0s` = a session cookie; absent = none is made.
        ttl: Span,
        /// The path of a cookie that is made.
        path: String,
        /// Further attributes of a cookie that is made.
        attributes: Vec<CookieAttribute>,
    }

    /// An attribute of a cookie.
    pub struct CookieAttribute {
        /// For example `SameSite`.
        name: String,
        /// For example `Strict`; may be absent.
        value: String,
    }

    /// By weights that follow the load endpoints report. An endpoint that reports nothing has the median weight of
    /// those that do.
    pub struct WeightedRoundRobin {
        /// How long an endpoint must report before its weight is used.
        ///
        /// - default: Envoy's 10 s
        /// - envoy: `blackout_period`
        /// - example: `10s`
        blackout_period: Span,
        /// How long a weight is used after the last report.
        ///
        /// - default: Envoy's 3 min
        /// - envoy: `weight_expiration_period`
        /// - example: `3m`
        weight_expiration_period: Span,
        /// How often weights are worked out anew; at least 100 ms, below which Envoy takes 100 ms.
        ///
        /// - default: Envoy's 1 s
        /// - envoy: `weight_update_period`
        /// - example: `1s`
        weight_update_period: Span,
        /// How strongly an endpoint's errors per second lower its weight.
        ///
        /// - default: Envoy's 1.0
        /// - envoy: `error_utilization_penalty`
        /// - example: `0.5`
        error_utilization_penalty: Fraction,
        /// Ask endpoints for their load on a stream of its own (ORCA's gRPC service) instead of reading answers.
        ///
        /// - default: Envoy's false
        /// - envoy: `enable_oob_load_report`
        /// - example: `true`
        enable_oob_load_report: bool,
        /// How often endpoints report on that stream.
        ///
        /// - default: Envoy's 10 s
        /// - envoy: `oob_reporting_period`
        /// - example: `5s`
        oob_reporting_period: Span,
        /// Reported metrics of which the largest is an endpoint's utilization, as `named_metrics.NAME`. Where none of
        /// them is reported it is `application_utilization`, then `cpu_utilization`.
        ///
        /// - default: none
        /// - envoy: `metric_names_for_computing_utilization`
        /// - example: `[named_metrics.queue]`
        metric_names_for_computing_utilization: Vec<String>,
    }

    /// A hash ring.
    pub struct RingHash {
        /// Default 1024.
        minimum_ring_size: RingSize,
        /// Default Envoy's 8M.
        maximum_ring_size: RingSize,
        /// Default XX_HASH.
        hash_function: HashFunction,
    }

    /// A Maglev table.
    pub struct Maglev {
        /// A prime; default 65537.
        table_size: TableSize,
    }
}

words! {
    /// Envoy's simple algorithms.
    pub enum Simple {
        /// Istio's default: the same as LEAST_REQUEST.
        Unspecified = "UNSPECIFIED",
        /// In turn.
        RoundRobin = "ROUND_ROBIN",
        /// The least busy of a few.
        LeastRequest = "LEAST_REQUEST",
        /// Istio's older word for LEAST_REQUEST.
        LeastConn = "LEAST_CONN",
        /// Any.
        Random = "RANDOM",
        /// The address the client was going to: discovery's endpoints are not used. Needs a redirect that keeps that
        /// address (`original_dst`), which sidecars of chancery do not have by themselves.
        Passthrough = "PASSTHROUGH",
    }

    /// The hash functions of Envoy's ring.
    pub enum HashFunction {
        /// xxHash.
        XxHash = "XX_HASH",
        /// Murmur 2.
        MurmurHash2 = "MURMUR_HASH_2",
    }
}

impl LoadBalancer {
    /// Whether zones decide.
    pub fn is_zone_aware(&self) -> bool {
        self.zone_aware_lb_setting.as_ref().is_some_and(|setting| setting.enabled != Some(false))
    }
}
