//! Keeping a client with its endpoint: `statefulSession`.

use super::super::scalar::Span;
use super::CookieAttribute;

settings! {
    /// Keep a client with the endpoint that took its first request: the answer names that endpoint, in a cookie or a
    /// header, and the client's next request names it again. Unlike a hash this holds however many endpoints come and
    /// go, with any load balancing, and while the endpoint drains. One of `cookie`, `header` and `disabled: true`. The
    /// whole block is one field.
    pub struct StatefulSession {
        /// By a cookie, for browsers and whoever else keeps cookies.
        ///
        /// - envoy: `session_state` (`CookieBasedSessionState`)
        /// - example: `{ name: shop-session, ttl: 1h }`
        cookie: SessionCookie,
        /// By a header, which the client copies from each answer into its next request.
        ///
        /// - envoy: `session_state` (`HeaderBasedSessionState`)
        /// - example: `{ name: x-session }`
        header: SessionHeader,
        /// Whether requests whose endpoint is gone are answered with 503, instead of going to another one.
        ///
        /// - default: `false`
        /// - envoy: `strict`
        strict: bool,
        /// No sessions: for a narrower target than one that has them. Nothing else stands beside it.
        ///
        /// - default: `false`
        /// - envoy: none, the route then says nothing to the filter
        disabled: bool,
    }

    /// A cookie that names the endpoint. Its value is an address: a client can read it, and choose another.
    pub struct SessionCookie {
        /// Its name.
        ///
        /// - envoy: `cookie.name`
        /// - example: `shop-session`
        name: String,
        /// How long the client keeps it; `0s` = as long as its own session.
        ///
        /// - default: `0s`
        /// - envoy: `cookie.ttl`
        /// - example: `1h`
        ttl: Span,
        /// For which paths it is; requests of others have no session.
        ///
        /// - default: `/`
        /// - envoy: `cookie.path`
        /// - example: `/`
        path: String,
        /// Further attributes.
        ///
        /// - envoy: `cookie.attributes`
        /// - example: `[{ name: SameSite, value: Strict }]`
        attributes: Vec<CookieAttribute>,
    }

    /// A header that names the endpoint.
    pub struct SessionHeader {
        /// Its name.
        ///
        /// - envoy: `name`
        /// - example: `x-session`
        name: String,
    }
}
