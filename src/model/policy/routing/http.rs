//! Rules for requests.

use std::{num::NonZeroU16, sync::Arc, time::Duration};

use super::{HttpMatch, Target, TextMatch};
use crate::model::{
    ClusterName, Decimal,
    policy::{HashKey, RoutePolicy, SubsetHeader},
};

/// The rules of an HTTP port. A request that none matches is answered with 404.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct HttpRules {
    /// The first that matches counts.
    pub rules: Vec<HttpRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpRule {
    /// What its document calls it.
    pub name: Option<Arc<str>>,
    /// It matches where one of these does; never empty.
    pub matches: Vec<HttpMatch>,
    /// What becomes of the request.
    pub action: HttpAction,
    /// Before it leaves.
    pub request_headers: HeaderChanges,
    /// Before it is handed to the client.
    pub response_headers: HeaderChanges,
    /// Failures on purpose.
    pub fault: Option<Fault>,
    /// Cross-origin requests of browsers; absent = nothing is said.
    pub cors: Option<Cors>,
    /// The documents that shaped it, as `KIND/NAME`, sorted.
    pub documents: Vec<Arc<str>>,
}

impl HttpRule {
    /// Every cluster it leads to, mirrors included.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterName> {
        let forward = match &self.action {
            HttpAction::Forward(forward) => Some(forward),
            HttpAction::Redirect(_) | HttpAction::Respond(_) => None,
        };
        forward.into_iter().flat_map(|forward| {
            let destinations = forward.destinations.iter().filter_map(|destination| destination.target.cluster());
            destinations.chain(forward.mirrors.iter().map(|mirror| &mirror.cluster))
        })
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HttpAction {
    /// It goes to an endpoint.
    Forward(Box<HttpForward>),
    /// The client is told to go elsewhere.
    Redirect(Redirect),
    /// It is answered at once.
    Respond(DirectResponse),
}

/// Where a request goes, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpForward {
    /// One of them, by weight; never empty.
    pub destinations: Vec<HttpDestination>,
    /// What the endpoint sees instead of what the client wrote.
    pub rewrite: Rewrite,
    /// Timeout and retries, complete.
    pub policy: RoutePolicy,
    /// What of the request is hashed, where a destination's load balancing hashes.
    pub hash_keys: Vec<HashKey>,
    /// Copies of the request whose answers nobody waits for.
    pub mirrors: Vec<Mirror>,
    /// How requests are answered that are led to what is not there.
    pub of_nowhere: OfNowhere,
}

/// How requests are answered that are led to [`Target::Nowhere`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OfNowhere {
    /// With 503, which gRPC calls `UNAVAILABLE`.
    #[default]
    Unavailable,
    /// With 500.
    InternalError,
}

/// One of the places a request can go to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpDestination {
    /// Where.
    pub target: Target,
    /// Its share, relative to the others'; above zero.
    pub weight: u32,
    /// Only for requests that go there; after the rule's.
    pub request_headers: HeaderChanges,
    /// Only for responses that come from there; before the rule's.
    pub response_headers: HeaderChanges,
    /// The `host` that only requests that go there have.
    pub host: Option<Arc<str>>,
    /// The headers that pick among its endpoints.
    pub subset_headers: Vec<SubsetHeader>,
}

/// Changes of headers: remove, then set, then add. Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct HeaderChanges {
    /// Instead of what is there.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Beside what is there.
    pub add: Vec<(Arc<str>, Arc<str>)>,
    /// Taken out.
    pub remove: Vec<Arc<str>>,
}

/// What the endpoint sees instead of what the client wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Rewrite {
    /// Of the path.
    pub path: Option<PathRewrite>,
    /// Of the authority.
    pub host: Option<HostRewrite>,
}

/// Another authority.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostRewrite {
    /// This one.
    Literal(Arc<str>),
}

/// Another path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathRewrite {
    /// This one.
    Whole(Arc<str>),
    /// In place of what the match's prefix covered; of a match that is no prefix, in place of the whole path.
    MatchedPart(Arc<str>),
    /// Everywhere the pattern (RE2) is found.
    Regex {
        /// What is replaced.
        pattern: Arc<str>,
        /// By what; `\1` stands for the first group.
        substitution: Arc<str>,
    },
}

/// Where a client is told to go; what is absent stays as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<Arc<str>>,
    /// The host.
    pub host: Option<Arc<str>>,
    /// The port; absent = that of the request while the scheme stays, else the new scheme's own.
    pub port: Option<NonZeroU16>,
    /// The path.
    pub path: Option<PathRewrite>,
    /// One of 301, 302, 303, 307 and 308.
    pub status: u16,
}

/// An answer without an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirectResponse {
    /// Its status.
    pub status: u16,
    /// Its body; absent = none.
    pub body: Option<Arc<[u8]>>,
}

/// Failures on purpose, to see what they do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Fault {
    /// Wait before the request goes on.
    pub delay: Option<FaultDelay>,
    /// Answer with an error instead.
    pub abort: Option<FaultAbort>,
}

/// Wait before the request goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FaultDelay {
    /// How long.
    pub duration: Duration,
    /// Which share of requests, in percent.
    pub percent: Decimal,
}

/// Answer with an error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FaultAbort {
    /// With which.
    pub status: FaultStatus,
    /// Which share of requests, in percent.
    pub percent: Decimal,
}

/// The error of an abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultStatus {
    /// An HTTP status.
    Http(u16),
    /// A gRPC status, in a response of HTTP status 200.
    Grpc(u32),
}

/// A copy of a share of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mirror {
    /// Where it goes.
    pub cluster: ClusterName,
    /// Which share, in percent.
    pub percent: Decimal,
}

/// What browsers are told of requests from other origins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cors {
    /// Which origins may.
    pub allow_origins: Vec<TextMatch>,
    /// With which methods.
    pub allow_methods: Vec<Arc<str>>,
    /// With which headers.
    pub allow_headers: Vec<Arc<str>>,
    /// Which headers of the response they may read.
    pub expose_headers: Vec<Arc<str>>,
    /// How long a browser may remember this.
    pub max_age: Option<Duration>,
    /// Whether with cookies and the like; absent = not said.
    pub allow_credentials: Option<bool>,
    /// What becomes of a preflight whose origin none of `allow_origins` matches.
    pub unmatched_preflights: UnmatchedPreflights,
}

/// What becomes of a preflight from an origin that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum UnmatchedPreflights {
    /// It goes to the service.
    #[default]
    Forwarded,
    /// It is answered without the headers that would allow anything.
    Answered,
}
