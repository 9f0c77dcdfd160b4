//! What localities mean: `loadBalancer.localityLbSetting`.

use super::super::scalar::{Unsupported, WholePercent};

settings! {
    /// What localities mean.
    pub struct LocalityLbSetting {
        /// `false` turns off what a less specific policy says.
        enabled: bool,
        /// Shares between localities. A choice with `failover`.
        distribute: Vec<Distribute>,
        /// Where clients go when their own region fails. A choice with `distribute`.
        failover: Vec<Failover>,
        /// By labels.
        failover_priority: Unsupported,
    }

    /// Shares for clients at one place.
    pub struct Distribute {
        /// Where the client runs: `region/zone/subzone`, `*` for any.
        from: String,
        /// The share of each place in percent; together 100.
        to: std::collections::BTreeMap<String, WholePercent>,
    }

    /// Where clients of a region go.
    pub struct Failover {
        /// The clients' region.
        from: String,
        /// The region preferred among the others.
        to: String,
    }
}
