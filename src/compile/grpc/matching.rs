//! What of a call a route looks at (A28): its method's path, and metadata.
//!
//! A call is an HTTP request of which much is known beforehand: it is a POST, and has no query. So some conditions
//! always hold and some never; what a library cannot compare is said to be so, and never taken to hold.

use crate::{
    compile::{route::regex, wire::bool_value},
    model::policy::routing::{HeaderMatch, HttpMatch, PathMatch, TextMatch, ValueMatch},
    proto::envoy::{
        config::route::v3::{
            HeaderMatcher, RouteMatch, header_matcher::HeaderMatchSpecifier, route_match::PathSpecifier,
        },
        r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
    },
};

/// What becomes of a match.
#[derive(Debug, PartialEq)]
pub(super) enum Matched {
    /// It holds where one of these does.
    ByOneOf(Vec<RouteMatch>),
    /// No call meets it, for this reason.
    ByNoCall(&'static str),
    /// A library cannot say whether it holds, for this reason.
    Unknowable(String),
}

/// More routes than this for one match are no good idea.
const MOST: usize = 64;

pub(super) fn compile(matched: &HttpMatch) -> Matched {
    let HttpMatch { path, path_ignores_case, headers, query, stat_prefix: _ } = matched;
    if !query.is_empty() {
        return Matched::ByNoCall("a gRPC call has no query parameters");
    }
    let Some(path) = path_specifier(path) else {
        return Matched::ByNoCall("a gRPC call's path is /package.Service/Method");
    };
    let mut ways: Vec<Vec<HeaderMatcher>> = vec![Vec::new()];
    for matched in headers {
        match header(matched) {
            Condition::Always => {}
            Condition::Never => return Matched::ByNoCall("a gRPC call is a POST over http, of type application/grpc"),
            Condition::Unknowable => {
                return Matched::Unknowable(format!("gRPC clients do not compare `{}`", matched.name));
            }
            Condition::ByOneOf(matchers) => {
                let with = |way: &Vec<HeaderMatcher>, matcher: &HeaderMatcher| {
                    way.iter().chain([matcher]).cloned().collect::<Vec<_>>()
                };
                ways = ways.iter().flat_map(|way| matchers.iter().map(move |matcher| with(way, matcher))).collect();
            }
        }
        if ways.len() > MOST {
            return Matched::Unknowable("too many headers are compared by what they are not".to_owned());
        }
    }
    let route_match = |headers| RouteMatch {
        path_specifier: Some(path.clone()),
        case_sensitive: if *path_ignores_case { bool_value(false) } else { None },
        headers,
        ..Default::default()
    };
    Matched::ByOneOf(ways.into_iter().map(route_match).collect())
}

/// Absent where no call has such a path. Libraries know no separated prefix, and one rejects it: of a path with two
/// segments the same can be said as a prefix, or in full.
fn path_specifier(path: &PathMatch) -> Option<PathSpecifier> {
    let segments = |path: &str| path.strip_prefix('/').map_or(0, |rest| rest.split('/').count());
    match path {
        PathMatch::Any => Some(PathSpecifier::Prefix("/".into())),
        PathMatch::Exact(path) => (segments(path) == 2).then(|| PathSpecifier::Path(path.to_string())),
        PathMatch::Prefix(prefix) if prefix.is_empty() => Some(PathSpecifier::Prefix("/".into())),
        PathMatch::Prefix(prefix) => {
            ((1..=2).contains(&segments(prefix))).then(|| PathSpecifier::Prefix(prefix.to_string()))
        }
        PathMatch::SeparatedPrefix(prefix) => match segments(prefix) {
            1 => Some(PathSpecifier::Prefix(format!("{prefix}/"))),
            2 => Some(PathSpecifier::Path(prefix.to_string())),
            _ => None,
        },
        PathMatch::Regex(pattern) => Some(PathSpecifier::SafeRegex(regex(&grouped(pattern)))),
    }
}

enum Condition {
    Always,
    Never,
    Unknowable,
    ByOneOf(Vec<HeaderMatcher>),
}

fn header(matched: &HeaderMatch) -> Condition {
    let HeaderMatch { name, value, inverted } = matched;
    if let Some(known) = known_value(name) {
        return match holds(value, known) {
            None => Condition::Unknowable,
            Some(holds) if holds != *inverted => Condition::Always,
            Some(_) => Condition::Never,
        };
    }
    if !is_metadata(name) {
        return Condition::Unknowable;
    }
    let matcher = |specifier, invert_match| HeaderMatcher {
        name: name.to_string(),
        invert_match,
        header_match_specifier: Some(specifier),
        ..Default::default()
    };
    let text = |text: &TextMatch| HeaderMatchSpecifier::StringMatch(string(text));
    Condition::ByOneOf(match value {
        ValueMatch::Present => vec![matcher(HeaderMatchSpecifier::PresentMatch(true), *inverted)],
        ValueMatch::Text(wanted) if !*inverted => vec![matcher(text(wanted), false)],
        // Libraries differ in what they make of "is not this" where there is nothing: so "there is none" is said apart.
        ValueMatch::Text(wanted) => {
            vec![matcher(text(wanted), true), matcher(HeaderMatchSpecifier::PresentMatch(true), true)]
        }
    })
}

/// What every call has there.
fn known_value(header: &str) -> Option<&'static str> {
    match header {
        ":method" => Some("POST"),
        ":scheme" => Some("http"),
        "content-type" => Some("application/grpc"),
        _ => None,
    }
}

/// Whether a known value is as wanted; absent where that is not to be seen at once.
fn holds(wanted: &ValueMatch, known: &str) -> Option<bool> {
    match wanted {
        ValueMatch::Present => Some(true),
        ValueMatch::Text(TextMatch::Exact(text)) => Some(**text == *known),
        ValueMatch::Text(TextMatch::Prefix(text)) => Some(known.starts_with(&**text)),
        ValueMatch::Text(TextMatch::Regex(pattern)) => {
            let words = pattern.trim_start_matches(['(', '^']).trim_end_matches([')', '$']);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '|' | '/');
            words.chars().all(is_plain).then(|| words.split('|').any(|word| word == known))
        }
    }
}

/// Whether a library has it among what it compares: what the application sends along, and no more.
fn is_metadata(name: &str) -> bool {
    let is_of_transport = name.starts_with(':') || name.starts_with("grpc-");
    !is_of_transport && !name.ends_with("-bin") && !["host", "te", "user-agent"].contains(&name)
}

fn string(text: &TextMatch) -> StringMatcher {
    let pattern = match text {
        TextMatch::Exact(text) => MatchPattern::Exact(text.to_string()),
        TextMatch::Prefix(text) => MatchPattern::Prefix(text.to_string()),
        TextMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(&grouped(pattern))),
    };
    StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

/// The JavaScript library puts `^` before a pattern and `$` behind it, so that of `a|b` each half would be open at one
/// end.
fn grouped(pattern: &str) -> String {
    if pattern.contains('|') { format!("(?:{pattern})") } else { pattern.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(name: &str, value: ValueMatch, inverted: bool) -> HttpMatch {
        HttpMatch { headers: vec![HeaderMatch { name: name.into(), value, inverted }], ..HttpMatch::default() }
    }

    fn ways(matched: &HttpMatch) -> Option<usize> {
        match compile(matched) {
            Matched::ByOneOf(ways) => Some(ways.len()),
            Matched::ByNoCall(_) | Matched::Unknowable(_) => None,
        }
    }

    #[test]
    fn what_is_known_of_every_call_is_decided_beforehand() {
        let text = |text: &str| ValueMatch::Text(TextMatch::Exact(text.into()));
        let regex = ValueMatch::Text(TextMatch::Regex("GET|POST".into()));
        assert_eq!(ways(&matched(":method", text("POST"), false)), Some(1));
        assert_eq!(ways(&matched(":method", regex, false)), Some(1));
        assert!(matches!(compile(&matched(":method", text("GET"), false)), Matched::ByNoCall(_)));
        assert_eq!(ways(&matched(":method", text("GET"), true)), Some(1));
        assert!(matches!(compile(&matched(":authority", text("a"), false)), Matched::Unknowable(_)));
        assert!(matches!(compile(&matched("trace-bin", ValueMatch::Present, false)), Matched::Unknowable(_)));
    }

    #[test]
    fn not_this_is_something_else_or_nothing() {
        assert_eq!(ways(&matched("stage", ValueMatch::Text(TextMatch::Exact("test".into())), true)), Some(2));
        assert_eq!(ways(&matched("stage", ValueMatch::Present, true)), Some(1));
    }

    #[test]
    fn paths_are_those_of_methods() {
        let specifier = |path: PathMatch| path_specifier(&path);
        assert_eq!(specifier(PathMatch::SeparatedPrefix("/a.B".into())), Some(PathSpecifier::Prefix("/a.B/".into())));
        assert_eq!(specifier(PathMatch::SeparatedPrefix("/a.B/C".into())), Some(PathSpecifier::Path("/a.B/C".into())));
        assert_eq!(specifier(PathMatch::Exact("/index.html".into())), None);
        assert_eq!(specifier(PathMatch::Prefix("/a/b/c".into())), None);
        assert_eq!(specifier(PathMatch::Any), Some(PathSpecifier::Prefix("/".into())));
    }
}
