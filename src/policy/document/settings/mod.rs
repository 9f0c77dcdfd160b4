//! Traffic settings as written: every field optional, absent means "not said".
//!
//! The names and places are those of Istio's DestinationRule, and Envoy's own where only Envoy has the field.
//! Both dialects read into these types; merging works on them field by field (`policy::merge`), and the one place
//! that says what an absent field means is `policy::effective`.

/// A struct as it stands in YAML: camelCase, unknown fields refused, absent fields not written.
macro_rules! settings {
    ($($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            pub struct $name {
                $(
                    $(#[$field_doc])*
                    #[serde(default, skip_serializing_if = "Option::is_none")]
                    pub $field: Option<$type>,
                )*
            }
        )*
    };
}

/// Words for a choice, as Istio and Envoy spell them.
macro_rules! words {
    ($($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
            pub enum $name {
                $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
            }
        )*
    };
}

mod connection_pool;
mod dns;
mod health_check;
mod load_balancer;
mod locality;
mod outlier_detection;
mod retries;
mod session;
mod subset_selectors;
mod tls;

pub use self::{
    connection_pool::*, dns::*, health_check::*, load_balancer::*, locality::*, outlier_detection::*, retries::*,
    session::*, subset_selectors::*, tls::*,
};
use super::scalar::Span;

settings! {
    /// Everything a policy can say of a target.
    pub struct Settings {
        /// Which endpoint takes a request.
        load_balancer: LoadBalancer,
        /// Connections and limits.
        connection_pool: ConnectionPool,
        /// Ejection of endpoints that fail.
        outlier_detection: OutlierDetection,
        /// Active checks; the whole list is one field.
        health_checks: Vec<HealthCheck>,
        /// Retries as a share of requests.
        retry_budget: RetryBudget,
        /// For a whole request, retries included: from its last byte to the last byte of the response. `0s` = none.
        ///
        /// - default: `0s`
        /// - envoy: `route.timeout`
        /// - example: `2s`
        timeout: Span,
        /// How long a request or stream may be without a byte in either direction; then it ends, before the first byte
        /// of a response with 408 or 504. `0s` = for ever.
        ///
        /// - default: `0s`
        /// - envoy: `route.idle_timeout`
        /// - example: `5m`
        stream_idle_timeout: Span,
        /// How long a request or stream may live, however much flows in it. The deadline that a gRPC client sends
        /// counts instead where it is earlier. `0s` = for ever.
        ///
        /// - default: `0s`
        /// - envoy: `route.max_stream_duration.max_stream_duration`
        /// - example: `1h`
        max_stream_duration: Span,
        /// Which limits count the requests.
        ///
        /// - default: `DEFAULT`
        /// - envoy: `route.priority`
        priority: Priority,
        /// When to try again.
        retries: Retries,
        /// A further try while the first goes on.
        hedging: Hedging,
        /// Keep a client with its endpoint.
        ///
        /// - default: no sessions
        /// - envoy: `typed_per_filter_config["envoy.filters.http.stateful_session"]`
        /// - example: `{ cookie: { name: shop-session } }`
        stateful_session: StatefulSession,
        /// TLS to the endpoints.
        tls: Tls,
        /// Tell endpoints the client's address.
        proxy_protocol: ProxyProtocol,
        /// How Envoy resolves endpoints that are host names.
        dns: Dns,
    }
}
