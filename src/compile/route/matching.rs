//! `match`: what of a request a route looks at.

use crate::{
    compile::wire::bool_value,
    model::policy::routing::{HeaderMatch, HttpMatch, PathMatch, QueryMatch, TextMatch, ValueMatch},
    proto::envoy::{
        config::route::v3::{
            HeaderMatcher, QueryParameterMatcher, RouteMatch, header_matcher::HeaderMatchSpecifier,
            query_parameter_matcher::QueryParameterMatchSpecifier, route_match::PathSpecifier,
        },
        r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern},
    },
};

pub(super) fn compile(matched: &HttpMatch) -> RouteMatch {
    let HttpMatch { path, path_ignores_case, headers, query, stat_prefix: _ } = matched;
    RouteMatch {
        path_specifier: Some(match path {
            PathMatch::Any => PathSpecifier::Prefix("/".into()),
            PathMatch::Exact(path) => PathSpecifier::Path(path.to_string()),
            PathMatch::Prefix(prefix) => PathSpecifier::Prefix(prefix.to_string()),
            PathMatch::SeparatedPrefix(prefix) => PathSpecifier::PathSeparatedPrefix(prefix.to_string()),
            PathMatch::Regex(pattern) => PathSpecifier::SafeRegex(regex(pattern)),
        }),
        case_sensitive: if *path_ignores_case { bool_value(false) } else { None },
        headers: headers.iter().map(header).collect(),
        query_parameters: query.iter().map(query_parameter).collect(),
        ..Default::default()
    }
}

pub(super) fn header(matched: &HeaderMatch) -> HeaderMatcher {
    let HeaderMatch { name, value, inverted } = matched;
    HeaderMatcher {
        name: name.to_string(),
        invert_match: *inverted,
        // Without this an inverted comparison fails for a header that is missing.
        treat_missing_header_as_empty: *inverted && matches!(value, ValueMatch::Text(_)),
        header_match_specifier: Some(match value {
            ValueMatch::Present => HeaderMatchSpecifier::PresentMatch(true),
            ValueMatch::Text(text) => HeaderMatchSpecifier::StringMatch(string(text)),
        }),
    }
}

fn query_parameter(matched: &QueryMatch) -> QueryParameterMatcher {
    let QueryMatch { name, value } = matched;
    QueryParameterMatcher {
        name: name.to_string(),
        query_parameter_match_specifier: Some(match value {
            ValueMatch::Present => QueryParameterMatchSpecifier::PresentMatch(true),
            ValueMatch::Text(text) => QueryParameterMatchSpecifier::StringMatch(string(text)),
        }),
    }
}

pub(super) fn string(text: &TextMatch) -> StringMatcher {
    let pattern = match text {
        TextMatch::Exact(text) => MatchPattern::Exact(text.to_string()),
        TextMatch::Prefix(text) => MatchPattern::Prefix(text.to_string()),
        TextMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(pattern)),
    };
    StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

pub(in crate::compile) fn regex(pattern: &str) -> RegexMatcher {
    RegexMatcher { regex: pattern.to_owned(), ..Default::default() }
}

/// A text as a pattern that matches it and nothing else.
pub(super) fn quoted(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && c != '/' {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
