//! How Envoy resolves endpoints that are host names: `dns`.

use super::super::scalar::Span;

settings! {
    /// How Envoy resolves endpoints that are host names. Without effect on services whose endpoints are addresses.
    pub struct Dns {
        /// `STRICT` balances over every address that a name has; `LOGICAL` connects to the first, and keeps connections
        /// when the answer changes. `LOGICAL` takes exactly one endpoint; a service with several is `STRICT`.
        ///
        /// - default: `STRICT`
        /// - envoy: `type` (`STRICT_DNS`, `LOGICAL_DNS`)
        /// - example: `LOGICAL`
        r#type: DnsType,
        /// How often names are resolved anew, where their answers' own time to live does not say.
        ///
        /// - default: `60s`
        /// - envoy: `dns_refresh_rate`
        /// - example: `5s`
        refresh_rate: Span,
        /// Resolve anew when an answer's time to live is over.
        ///
        /// - default: `true`
        /// - envoy: `respect_dns_ttl`
        /// - example: `false`
        respect_ttl: bool,
        /// Which addresses are asked for.
        ///
        /// - default: Envoy's `AUTO`
        /// - envoy: `dns_lookup_family`
        /// - example: `V4_ONLY`
        lookup_family: DnsLookupFamily,
    }
}

words! {
    /// How many of a name's addresses count.
    pub enum DnsType {
        /// All.
        Strict = "STRICT",
        /// The first.
        Logical = "LOGICAL",
    }

    /// Which addresses are asked for.
    pub enum DnsLookupFamily {
        /// IPv6, and IPv4 where there is none.
        Auto = "AUTO",
        /// IPv4.
        V4Only = "V4_ONLY",
        /// IPv6.
        V6Only = "V6_ONLY",
        /// IPv4, and IPv6 where there is none.
        V4Preferred = "V4_PREFERRED",
        /// Both.
        All = "ALL",
    }
}
