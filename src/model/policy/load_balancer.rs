//! Which endpoint takes a request.

use std::{sync::Arc, time::Duration};

use crate::model::Decimal;

/// Envoy's load-balancing policies, with exactly the settings each has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LoadBalancer {
    /// In turn, by weight.
    RoundRobin {
        /// Ease new endpoints in.
        slow_start: Option<SlowStart>,
    },
    /// The one with the fewest requests in flight among a few picked at random.
    LeastRequest {
        /// How many are picked; absent = Envoy's 2.
        choice_count: Option<u32>,
        /// How strongly requests in flight reduce a weight, when weights differ; absent = Envoy's 1.0.
        active_request_bias: Option<Decimal>,
        /// Ease new endpoints in.
        slow_start: Option<SlowStart>,
    },
    /// Any.
    Random,
    /// The one that a key of the request hashes to.
    ConsistentHash(ConsistentHash),
    /// In turn, by weights that follow the load endpoints report.
    WeightedRoundRobin(WeightedRoundRobin),
    /// The address the client was going to; discovery's endpoints are not used.
    Passthrough,
}

impl LoadBalancer {
    /// What of a request is hashed; nothing where the choice does not go by a hash.
    pub fn hash_keys(&self) -> &[HashKey] {
        match self {
            Self::ConsistentHash(ConsistentHash { keys, table: _ }) => keys,
            Self::RoundRobin { .. }
            | Self::LeastRequest { .. }
            | Self::Random
            | Self::WeightedRoundRobin(_)
            | Self::Passthrough => &[],
        }
    }
}

impl Default for LoadBalancer {
    /// Istio's default.
    fn default() -> Self {
        Self::LeastRequest { choice_count: None, active_request_bias: None, slow_start: None }
    }
}

/// Ease new endpoints in (Envoy's `SlowStartConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SlowStart {
    /// How long an endpoint counts as new.
    pub window: Duration,
    /// How the share grows over the window; 1 = linearly.
    pub aggression: Decimal,
    /// The share at the start, in percent.
    pub min_weight_percent: Decimal,
}

/// Envoy's `ClientSideWeightedRoundRobin`; what is absent is Envoy's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct WeightedRoundRobin {
    /// How long an endpoint must report before its weight is used.
    pub blackout_period: Option<Duration>,
    /// How long a weight is used after the last report.
    pub weight_expiration_period: Option<Duration>,
    /// How often weights are worked out anew.
    pub weight_update_period: Option<Duration>,
    /// How strongly an endpoint's errors lower its weight.
    pub error_utilization_penalty: Option<Decimal>,
    /// Whether endpoints are asked for their load on a stream of its own.
    pub enable_oob_load_report: Option<bool>,
    /// How often they report on it.
    pub oob_reporting_period: Option<Duration>,
    /// Reported metrics that stand for utilization.
    pub metric_names_for_computing_utilization: Vec<Arc<str>>,
    /// Ease new endpoints in.
    pub slow_start: Option<SlowStart>,
}

/// Hashing: the table, and what of a request is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConsistentHash {
    /// How keys map to endpoints.
    pub table: HashTable,
    /// Tried in this order; Envoy combines those that are present. None: every request is a key of its own.
    pub keys: Vec<HashKey>,
}

/// How keys map to endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HashTable {
    /// Envoy's RING_HASH.
    Ring {
        /// Istio's default is 1024.
        minimum_size: u64,
        /// Absent = Envoy's 8M.
        maximum_size: Option<u64>,
        /// Absent = XX_HASH.
        function: Option<HashFunction>,
    },
    /// Envoy's MAGLEV.
    Maglev {
        /// A prime below 5,000,011; absent = Envoy's 65537.
        table_size: Option<u64>,
    },
}

/// The hash functions Envoy's ring has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFunction {
    /// `XX_HASH`.
    XxHash,
    /// `MURMUR_HASH_2`.
    MurmurHash2,
}

/// What of a request is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HashKey {
    /// A header's value.
    Header(Arc<str>),
    /// A cookie's value.
    Cookie {
        /// Its name.
        name: Arc<str>,
        /// When present (zero included: a session cookie), Envoy makes the cookie where it is missing.
        ttl: Option<Duration>,
        /// The path of a cookie that Envoy makes.
        path: Option<Arc<str>>,
        /// Further attributes of a cookie that Envoy makes, in the order written.
        attributes: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The client's address.
    SourceIp,
    /// A query parameter's value.
    QueryParameter(Arc<str>),
}
