//! `sessionPersistence`: keeping a client of a rule with its endpoint.

use schemars::JsonSchema;
use serde::Deserialize;

use super::GatewayDuration;

/// Keep a client with the endpoint that took its first request: the answer names that endpoint, the next request names
/// it again. Holds for this rule alone, and comes before `statefulSession` of the service's policies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionPersistence {
    /// The name of the cookie or the header; of two rules two names.
    ///
    /// - default: `session-NAMESPACE-ROUTE-RULE`, the rule by its name or else its number
    /// - envoy: `cookie.name` (`CookieBasedSessionState`), `name` (`HeaderBasedSessionState`)
    /// - example: `shop-session`
    pub session_name: Option<String>,
    /// How long a client keeps a cookie that is `Permanent`. Envoy knows no other lifetime of a session.
    ///
    /// - default: none
    /// - envoy: `cookie.ttl`
    /// - example: `1h`
    pub absolute_timeout: Option<GatewayDuration>,
    /// Refused: Envoy does not see how long a session is idle.
    ///
    /// - envoy: none, it is refused
    /// - example: `10m`
    pub idle_timeout: Option<GatewayDuration>,
    /// What names the endpoint.
    ///
    /// - default: `Cookie`
    /// - envoy: `session_state`
    /// - example: `Cookie`
    #[serde(rename = "type")]
    pub kind: SessionPersistenceType,
    /// What kind of cookie it is; excludes `type: Header`.
    pub cookie_config: Option<CookieConfig>,
}

/// What names the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum SessionPersistenceType {
    /// A cookie, for the paths that the rule's match takes.
    #[default]
    Cookie,
    /// A header, which the client copies from each answer into its next request.
    Header,
}

/// What kind of cookie it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CookieConfig {
    /// How long it lives: until the client's own session ends, or for `absoluteTimeout`, which `Permanent` needs.
    ///
    /// - default: `Session`
    /// - envoy: `cookie.ttl`
    /// - example: `Permanent`
    pub lifetime_type: CookieLifetimeType,
}

/// How long a cookie lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum CookieLifetimeType {
    /// For `absoluteTimeout`.
    Permanent,
    /// Until the client's own session ends.
    #[default]
    Session,
}

impl SessionPersistence {
    /// Whether the cookie outlives the client's own session.
    pub fn is_permanent(&self) -> bool {
        self.cookie_config.is_some_and(|config| config.lifetime_type == CookieLifetimeType::Permanent)
    }
}
