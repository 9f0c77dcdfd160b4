//! What routes are attached to, and where they lead.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;

/// The group that an absent `group` of a parent means.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// The kind that an absent `kind` of a parent means.
pub const GATEWAY_KIND: &str = "Gateway";

/// The kind of services, whose group is the empty one.
pub const SERVICE_KIND: &str = "Service";

/// What a route is attached to: the traffic that is led by it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParentReference {
    /// The group of `kind`. Services have the empty one, which has to be written: the default is that of gateways.
    ///
    /// - default: `gateway.networking.k8s.io`, which is refused
    /// - envoy: none, it says what is meant
    /// - example: `""`
    #[serde(default)]
    pub group: Option<String>,
    /// `Service`: gateways are not served.
    ///
    /// - default: `Gateway`, which is refused
    /// - envoy: none, it says what is meant
    /// - example: `Service`
    #[serde(default)]
    pub kind: Option<String>,
    /// The service's namespace. Another than the route's own makes it a consumer's route: it counts for clients of the
    /// route's namespace alone, and there instead of those of the service's namespace.
    ///
    /// - default: the route's own
    /// - envoy: none, it says whose virtual hosts have these routes
    /// - example: `shop`
    #[serde(default)]
    pub namespace: Option<String>,
    /// The service's name.
    ///
    /// - envoy: none, it says whose virtual hosts have these routes
    /// - example: `reviews`
    pub name: String,
    /// One of the service's ports, by its name.
    ///
    /// - envoy: none, it says whose virtual hosts have these routes
    /// - example: `http`
    #[serde(default)]
    pub section_name: Option<String>,
    /// One of the service's ports, by its number.
    ///
    /// - default: all that speak HTTP
    /// - envoy: none, it says whose virtual hosts have these routes
    /// - example: `80`
    #[serde(default)]
    pub port: Option<NonZeroU16>,
}

impl ParentReference {
    /// Whether it is a service, which alone is supported.
    pub fn is_service(&self) -> bool {
        self.group.as_deref() == Some("") && self.kind.as_deref() == Some(SERVICE_KIND)
    }

    /// The service's namespace.
    pub fn namespace<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(own)
    }
}

/// A service that requests are led to, or copied to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackendObjectReference {
    /// The group of `kind`; services have the empty one.
    ///
    /// - default: `""`
    /// - envoy: none, it says what is meant
    /// - example: `""`
    #[serde(default)]
    pub group: Option<String>,
    /// `Service`, which alone is supported.
    ///
    /// - default: `Service`
    /// - envoy: none, it says what is meant
    /// - example: `Service`
    #[serde(default)]
    pub kind: Option<String>,
    /// The service's name.
    ///
    /// - envoy: `request_mirror_policies[].cluster`
    /// - example: `reviews-v2`
    pub name: String,
    /// The service's namespace.
    ///
    /// - default: the route's own
    /// - envoy: `request_mirror_policies[].cluster`
    /// - example: `shop`
    #[serde(default)]
    pub namespace: Option<String>,
    /// The service's port; required.
    ///
    /// - envoy: `request_mirror_policies[].cluster`
    /// - example: `80`
    #[serde(default)]
    pub port: Option<NonZeroU16>,
}

/// A service that a share of the requests, or calls, goes to; the filters are those of its kind of route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
// No filters have no default of one filter, which is what serde asks for of its own accord.
#[serde(rename_all = "camelCase", deny_unknown_fields, bound(deserialize = "F: Deserialize<'de>"))]
#[schemars(rename = "BackendRefWith{F}")]
pub struct BackendRef<F> {
    /// The group of `kind`; services have the empty one.
    ///
    /// - default: `""`
    /// - envoy: none, it says what is meant
    /// - example: `""`
    #[serde(default)]
    pub group: Option<String>,
    /// `Service`, which alone is supported.
    ///
    /// - default: `Service`
    /// - envoy: none, it says what is meant
    /// - example: `Service`
    #[serde(default)]
    pub kind: Option<String>,
    /// The service's name. What is led to one that is not there is answered with 500, calls of a GRPCRoute with
    /// `UNAVAILABLE`.
    ///
    /// - envoy: `route.cluster`, `weighted_clusters.clusters[].name`
    /// - example: `reviews-v2`
    pub name: String,
    /// The service's namespace.
    ///
    /// - default: the route's own
    /// - envoy: `route.cluster`, `weighted_clusters.clusters[].name`
    /// - example: `shop`
    #[serde(default)]
    pub namespace: Option<String>,
    /// The service's port; required.
    ///
    /// - envoy: `route.cluster`, `weighted_clusters.clusters[].name`
    /// - example: `80`
    #[serde(default)]
    pub port: Option<NonZeroU16>,
    /// Its share, relative to the others'; 0 = nothing.
    ///
    /// - default: `1`
    /// - envoy: `weighted_clusters.clusters[].weight`
    /// - example: `90`
    #[serde(default)]
    pub weight: Option<u32>,
    /// What is changed of what goes there: headers, and of requests of an HTTPRoute the host name.
    #[serde(default)]
    pub filters: Vec<F>,
}

impl<F> BackendRef<F> {
    /// Which service it is.
    pub fn backend(&self) -> Backend<'_> {
        let Self { group, kind, name, namespace, port, weight: _, filters: _ } = self;
        Backend { group: group.as_deref(), kind: kind.as_deref(), name, namespace: namespace.as_deref(), port: *port }
    }
}

impl BackendObjectReference {
    /// Which service it is.
    pub fn backend(&self) -> Backend<'_> {
        let Self { group, kind, name, namespace, port } = self;
        Backend { group: group.as_deref(), kind: kind.as_deref(), name, namespace: namespace.as_deref(), port: *port }
    }
}

/// What a backend is, apart from its weight and filters.
#[derive(Debug, Clone, Copy)]
pub struct Backend<'a> {
    /// Absent = the empty one, that of services.
    pub group: Option<&'a str>,
    /// Absent = `Service`.
    pub kind: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// Absent = the route's own.
    pub namespace: Option<&'a str>,
    /// Required of services.
    pub port: Option<NonZeroU16>,
}
