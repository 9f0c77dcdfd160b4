//! Which endpoint takes a request: `loadBalancer`.

use super::super::scalar::{ChoiceCount, Fraction, OverprovisioningFactor, Percent, RingSize, Span, TableSize};
use super::locality::LocalityLbSetting;

settings! {
    /// Which endpoint takes a request.
    pub struct LoadBalancer {
        /// One of Envoy's simple algorithms. A choice with `consistentHash`.
        simple: Simple,
        /// By a key of the request. A choice with `simple`.
        consistent_hash: ConsistentHash,
        /// For LEAST_REQUEST.
        least_request: LeastRequest,
        /// Ease new endpoints in; for ROUND_ROBIN and LEAST_REQUEST.
        warmup: Warmup,
        /// Istio's older word for `warmup.duration`.
        warmup_duration_secs: Span,
        /// What localities mean.
        locality_lb_setting: LocalityLbSetting,
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
    }

    /// The hash functions of Envoy's ring.
    pub enum HashFunction {
        /// xxHash.
        XxHash = "XX_HASH",
        /// Murmur 2.
        MurmurHash2 = "MURMUR_HASH_2",
    }
}
