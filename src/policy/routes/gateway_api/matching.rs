//! What rules match, and which of two matches comes first.

use std::sync::Arc;

use crate::{
    model::policy::routing::{HeaderMatch, HttpMatch, PathMatch, QueryMatch, TextMatch, ValueMatch},
    policy::document::gateway_api::{
        GRPCMethodMatch, GRPCRouteMatch, HTTPHeaderMatch, HTTPRouteMatch, PathMatchType, ValueMatchType,
    },
};

/// How specific a match is, the most important number first; the larger comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Specificity([usize; 5]);

/// A match, and how specific it is: an exact path, then a regular expression, then a prefix; the longer before the
/// shorter; then one of a method; then the one with more headers, then more query parameters. (Of regular expressions
/// the Gateway API says nothing; behind a prefix `/` none would ever be reached.)
pub(super) fn http(matched: &HTTPRouteMatch) -> (Specificity, HttpMatch) {
    let HTTPRouteMatch { path, headers, query_params, method } = matched;
    let kind = path.as_ref().map_or(PathMatchType::PathPrefix, |path| path.kind);
    let value = path.as_ref().and_then(|path| path.value.as_deref()).unwrap_or("/");
    let (class, path) = match kind {
        PathMatchType::Exact => (2, PathMatch::Exact(value.into())),
        PathMatchType::RegularExpression => (1, PathMatch::Regex(value.into())),
        PathMatchType::PathPrefix => (0, prefix(value)),
    };
    let length = match &path {
        PathMatch::Exact(text) | PathMatch::Regex(text) | PathMatch::Prefix(text) => text.chars().count(),
        PathMatch::SeparatedPrefix(text) => text.chars().count(),
        PathMatch::Any => 1,
    };
    let mut headers = header_matches(headers);
    let query: Vec<QueryMatch> = query_matches(query_params);
    let specificity = Specificity([class, length, usize::from(method.is_some()), headers.len(), query.len()]);
    headers.extend(method.map(|method| HeaderMatch {
        name: ":method".into(),
        value: ValueMatch::Text(TextMatch::Exact(method.as_str().into())),
        inverted: false,
    }));
    (specificity, HttpMatch { path, path_ignores_case: false, headers, query, stat_prefix: None })
}

/// A prefix of whole elements; a slash at its end says nothing.
fn prefix(value: &str) -> PathMatch {
    match value.trim_end_matches('/') {
        "" => PathMatch::Any,
        prefix => PathMatch::SeparatedPrefix(prefix.into()),
    }
}

/// A match of calls: the one with more characters of the service, then of the method, then with more headers.
pub(super) fn grpc(matched: &GRPCRouteMatch) -> (Specificity, HttpMatch) {
    let GRPCRouteMatch { method, headers } = matched;
    let length = |name: &Option<String>| name.as_deref().unwrap_or_default().chars().count();
    let (service, name) = method.as_ref().map_or((0, 0), |method| (length(&method.service), length(&method.method)));
    let headers = header_matches(headers);
    let specificity = Specificity([service, name, headers.len(), 0, 0]);
    let path = method.as_ref().map_or(PathMatch::Any, method_path);
    (specificity, HttpMatch { path, path_ignores_case: false, headers, query: Vec::new(), stat_prefix: None })
}

/// A call's path is `/SERVICE/METHOD`.
fn method_path(method: &GRPCMethodMatch) -> PathMatch {
    const ANY_NAME: &str = "[^/]+";
    let GRPCMethodMatch { kind, service, method } = method;
    let said = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    match (kind, said(service), said(method)) {
        (_, None, None) => PathMatch::Any,
        (ValueMatchType::Exact, Some(service), Some(method)) => PathMatch::Exact(format!("/{service}/{method}").into()),
        (ValueMatchType::Exact, Some(service), None) => PathMatch::Prefix(format!("/{service}/").into()),
        (ValueMatchType::Exact, None, Some(method)) => PathMatch::Regex(format!("/{ANY_NAME}/{method}").into()),
        (ValueMatchType::RegularExpression, service, method) => {
            // In brackets, so that `a|b` stays within its part.
            let part = |name: Option<String>| name.map_or(ANY_NAME.to_owned(), |pattern| format!("(?:{pattern})"));
            PathMatch::Regex(format!("/{}/{}", part(service), part(method)).into())
        }
    }
}

/// Of several entries for one name the first counts.
fn header_matches(written: &[HTTPHeaderMatch]) -> Vec<HeaderMatch> {
    let mut matches: Vec<HeaderMatch> = Vec::new();
    for header in written {
        // Envoy knows the host as the authority, which HTTP/2 calls it.
        let name: Arc<str> = match header.name.to_ascii_lowercase().as_str() {
            "host" => ":authority".into(),
            name => name.into(),
        };
        if !matches.iter().any(|earlier| earlier.name == name) {
            matches.push(HeaderMatch { name, value: value(header), inverted: false });
        }
    }
    matches
}

fn query_matches(written: &[HTTPHeaderMatch]) -> Vec<QueryMatch> {
    written.iter().map(|query| QueryMatch { name: query.name.as_str().into(), value: value(query) }).collect()
}

fn value(written: &HTTPHeaderMatch) -> ValueMatch {
    let text: Arc<str> = written.value.as_str().into();
    ValueMatch::Text(match written.kind {
        ValueMatchType::Exact => TextMatch::Exact(text),
        ValueMatchType::RegularExpression => TextMatch::Regex(text),
    })
}
