//! How Envoy resolves endpoints that are host names.

use std::time::Duration;

/// For services with an endpoint that is a host name; the others have no use for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dns {
    /// How many of a name's addresses count.
    pub resolution: DnsResolution,
    /// How often names are resolved anew. Default 60 s, Istio's.
    pub refresh_rate: Duration,
    /// Whether an answer's own time to live decides instead. Default: yes.
    pub respect_ttl: bool,
    /// Which addresses are asked for; absent = Envoy's AUTO.
    pub lookup_family: Option<DnsLookupFamily>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            resolution: DnsResolution::Strict,
            refresh_rate: Duration::from_secs(60),
            respect_ttl: true,
            lookup_family: None,
        }
    }
}

/// How many of a name's addresses count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DnsResolution {
    /// All.
    #[default]
    Strict,
    /// The first; connections outlive a changed answer. Envoy takes one endpoint.
    Logical,
}

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsLookupFamily {
    /// IPv6, and IPv4 where there is none.
    Auto,
    /// IPv4.
    V4Only,
    /// IPv6.
    V6Only,
    /// IPv4, and IPv6 where there is none.
    V4Preferred,
    /// Both.
    All,
}
