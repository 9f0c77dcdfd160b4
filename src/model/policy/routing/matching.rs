//! What of a request a rule looks at.

use std::sync::Arc;

/// All of it must hold; the default holds for every request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct HttpMatch {
    /// The path, without the query.
    pub path: PathMatch,
    /// Whether `path` ignores case.
    pub path_ignores_case: bool,
    /// Headers, pseudo-headers (`:method`, `:authority`, `:scheme`) among them.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters.
    pub query: Vec<QueryMatch>,
    /// A word for Envoy's statistics of what it matches.
    pub stat_prefix: Option<Arc<str>>,
}

/// How a path is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum PathMatch {
    /// Any path.
    #[default]
    Any,
    /// The whole path.
    Exact(Arc<str>),
    /// The path begins with these characters.
    Prefix(Arc<str>),
    /// The path is this, or goes on after it with a `/`. Begins with `/`, does not end with it.
    SeparatedPrefix(Arc<str>),
    /// The whole path, as a regular expression (RE2).
    Regex(Arc<str>),
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderMatch {
    /// In lower case.
    pub name: Arc<str>,
    /// Its value.
    pub value: ValueMatch,
    /// Holds where the rest does not, so also where the header is missing.
    pub inverted: bool,
}

/// One query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueryMatch {
    /// Its name.
    pub name: Arc<str>,
    /// Its value.
    pub value: ValueMatch,
}

/// How the value of something that may be missing is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// It is there, whatever its value.
    Present,
    /// It is there with such a value.
    Text(TextMatch),
}

/// How a text is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// All of it.
    Exact(Arc<str>),
    /// It begins with these characters.
    Prefix(Arc<str>),
    /// All of it, as a regular expression (RE2).
    Regex(Arc<str>),
}
