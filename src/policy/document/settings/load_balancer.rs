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
        ///
        /// - default: `LEAST_REQUEST`
        /// - envoy: `lb_policy`
        /// - example: `ROUND_ROBIN`
        simple: Simple,
        /// By a key of the request. A choice with `simple` and `weightedRoundRobin`.
        ///
        /// - default: none
        /// - envoy: `lb_policy`, and `hash_policy` of the routes
        /// - example: `{ httpHeaderName: x-user }`
        consistent_hash: ConsistentHash,
        /// By weights that follow the load endpoints report (ORCA, in a header or trailer of their answers). A choice
        /// with `simple` and `consistentHash`.
        ///
        /// - envoy: `load_balancing_policy.policies[0].typed_extension_config` (`ClientSideWeightedRoundRobin`)
        /// - example: `{ blackoutPeriod: 10s }`
        weighted_round_robin: WeightedRoundRobin,
        /// Details of LEAST_REQUEST.
        ///
        /// - default: Envoy's
        /// - envoy: `least_request_lb_config`
        /// - example: `{ choiceCount: 3 }`
        least_request: LeastRequest,
        /// Ease new endpoints in; for ROUND_ROBIN, LEAST_REQUEST and `weightedRoundRobin`.
        ///
        /// - default: none
        /// - envoy: `least_request_lb_config.slow_start_config`, `round_robin_lb_config.slow_start_config`
        /// - example: `{ duration: 60s }`
        warmup: Warmup,
        /// Istio's older word for `warmup.duration`.
        ///
        /// - default: none
        /// - envoy: `least_request_lb_config.slow_start_config.slow_start_window`
        /// - example: `60s`
        warmup_duration_secs: Span,
        /// What localities mean: shares of traffic, or which place takes over.
        ///
        /// - default: none
        /// - envoy: `localities`, `priority` of endpoints
        /// - example: `{ failover: [ { from: eu, to: us } ] }`
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
        /// Below this percentage of healthy endpoints health is ignored and all are used; 0 = never.
        ///
        /// - default: `0`
        /// - envoy: `common_lb_config.healthy_panic_threshold`
        /// - example: `30`
        panic_threshold: Percent,
        /// How far the healthy endpoints of a priority may be loaded before the next takes part, in percent of their
        /// share.
        ///
        /// - default: Envoy's 140
        /// - envoy: `policy.overprovisioning_factor` of the assignment
        /// - example: `200`
        overprovisioning_factor: OverprovisioningFactor,
    }

    /// For LEAST_REQUEST.
    pub struct LeastRequest {
        /// How many endpoints are compared.
        ///
        /// - default: Envoy's 2
        /// - envoy: `least_request_lb_config.choice_count`
        /// - example: `3`
        choice_count: ChoiceCount,
        /// How strongly requests in flight count where weights differ.
        ///
        /// - default: Envoy's 1.0
        /// - envoy: `least_request_lb_config.active_request_bias`
        /// - example: `1.5`
        active_request_bias: Fraction,
    }

    /// Ease new endpoints in.
    pub struct Warmup {
        /// How long an endpoint counts as new.
        ///
        /// - envoy: `slow_start_config.slow_start_window`
        /// - example: `60s`
        duration: Span,
        /// Its share at the start, in percent of the full one.
        ///
        /// - default: `10`
        /// - envoy: `slow_start_config.min_weight_percent`
        /// - example: `20`
        minimum_percent: Percent,
        /// How the share grows: 1 = evenly, more = faster at first.
        ///
        /// - default: `1.0`
        /// - envoy: `slow_start_config.aggression`
        /// - example: `2.0`
        aggression: Fraction,
    }

    /// By a key of the request.
    pub struct ConsistentHash {
        /// Hash a header. One of the four keys.
        ///
        /// - envoy: `hash_policy[].header`
        /// - example: `x-user`
        http_header_name: String,
        /// Hash a cookie, made where it is missing and a `ttl` is given. One of the four keys.
        ///
        /// - envoy: `hash_policy[].cookie`
        /// - example: `{ name: session, ttl: 1h }`
        http_cookie: HttpCookie,
        /// Hash the client's address. One of the four keys; behind a sidecar all callers have the same.
        ///
        /// - default: `false`
        /// - envoy: `hash_policy[].connection_properties.source_ip`
        /// - example: `true`
        use_source_ip: bool,
        /// Hash a query parameter. One of the four keys.
        ///
        /// - envoy: `hash_policy[].query_parameter`
        /// - example: `user`
        http_query_parameter_name: String,
        /// A ring. A choice with `maglev`.
        ///
        /// - default: a ring
        /// - envoy: `ring_hash_lb_config`
        /// - example: `{ minimumRingSize: 4096 }`
        ring_hash: RingHash,
        /// A Maglev table. A choice with `ringHash`.
        ///
        /// - default: none
        /// - envoy: `maglev_lb_config`
        /// - example: `{ tableSize: 65537 }`
        maglev: Maglev,
        /// Istio's older place of `ringHash.minimumRingSize`.
        ///
        /// - default: `1024`
        /// - envoy: `ring_hash_lb_config.minimum_ring_size`
        /// - example: `4096`
        minimum_ring_size: RingSize,
    }

    /// A cookie to hash.
    pub struct HttpCookie {
        /// The cookie's name.
        ///
        /// - envoy: `hash_policy[].cookie.name`
        /// - example: `session`
        name: String,
        /// The lifetime of a cookie that is made; `0s` = until the browser is closed.
        ///
        /// - default: none is made
        /// - envoy: `hash_policy[].cookie.ttl`
        /// - example: `1h`
        ttl: Span,
        /// The path of a cookie that is made.
        ///
        /// - default: none
        /// - envoy: `hash_policy[].cookie.path`
        /// - example: `/`
        path: String,
        /// Further attributes of a cookie that is made.
        ///
        /// - default: none
        /// - envoy: `hash_policy[].cookie.attributes`
        /// - example: `[ { name: SameSite, value: Strict } ]`
        attributes: Vec<CookieAttribute>,
    }

    /// An attribute of a cookie.
    pub struct CookieAttribute {
        /// The attribute's name.
        ///
        /// - envoy: `hash_policy[].cookie.attributes[].name`
        /// - example: `SameSite`
        name: String,
        /// The attribute's value.
        ///
        /// - default: none
        /// - envoy: `hash_policy[].cookie.attributes[].value`
        /// - example: `Strict`
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
        /// Entries of the ring at least.
        ///
        /// - default: `1024`
        /// - envoy: `ring_hash_lb_config.minimum_ring_size`
        /// - example: `4096`
        minimum_ring_size: RingSize,
        /// Entries of the ring at most.
        ///
        /// - default: Envoy's 8388608
        /// - envoy: `ring_hash_lb_config.maximum_ring_size`
        /// - example: `65536`
        maximum_ring_size: RingSize,
        /// The function that places endpoints on the ring.
        ///
        /// - default: `XX_HASH`
        /// - envoy: `ring_hash_lb_config.hash_function`
        /// - example: `MURMUR_HASH_2`
        hash_function: HashFunction,
    }

    /// A Maglev table.
    pub struct Maglev {
        /// Entries of the table: a prime below 5000011.
        ///
        /// - default: `65537`
        /// - envoy: `maglev_lb_config.table_size`
        /// - example: `65537`
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
