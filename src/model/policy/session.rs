//! Sessions: requests that belong together go to one endpoint, which the client is told of and names again.

use std::{sync::Arc, time::Duration};

/// How a client is kept with the endpoint that took its first request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatefulSession {
    /// What of the answer names the endpoint, and of the next request again.
    pub state: SessionState,
    /// What becomes of requests whose endpoint is gone.
    pub when_gone: WhenGone,
}

/// What names the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// A cookie.
    Cookie {
        /// Its name.
        name: Arc<str>,
        /// How long the client keeps it; zero = as long as its own session.
        ttl: Duration,
        /// For which paths.
        path: CookiePath,
        /// Further attributes, as name and value.
        attributes: Vec<(Arc<str>, Arc<str>)>,
    },
    /// A header, of this name in lower case, which the client copies from the answer.
    Header(Arc<str>),
}

/// For which paths a cookie is; requests of others have no session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CookiePath {
    /// For this one, and those below it.
    Fixed(Arc<str>),
    /// For those that the match of its route takes.
    OfTheMatch,
}

/// What becomes of requests whose endpoint is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum WhenGone {
    /// Another endpoint takes the session over.
    #[default]
    GoElsewhere,
    /// They are answered with 503.
    Refuse,
}
