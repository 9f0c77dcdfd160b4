//! Sessions: what the filter for them, which every HTTP listener has, does for a route.

use crate::{
    model::policy::{
        CookiePath, SessionState, StatefulSession, WhenGone,
        routing::{HttpMatch, PathMatch},
    },
    proto::{
        self, Any,
        envoy::{
            config::core::v3::TypedExtensionConfig,
            extensions::{
                filters::http::stateful_session::v3::{
                    StatefulSession as SessionConfig, StatefulSessionPerRoute, stateful_session_per_route::Override,
                },
                http::stateful_session::{cookie::v3::CookieBasedSessionState, header::v3::HeaderBasedSessionState},
            },
            r#type::http::v3::{Cookie, CookieAttribute},
        },
    },
};

/// The session of a route with this match.
pub(super) fn compile(session: &StatefulSession, matched: &HttpMatch) -> Any {
    let StatefulSession { state, when_gone } = session;
    let (name, config) = match state {
        SessionState::Cookie { name, ttl, path, attributes } => {
            let attribute = |(name, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| CookieAttribute {
                name: name.to_string(),
                value: value.to_string(),
            };
            let cookie = Cookie {
                name: name.to_string(),
                ttl: Some(proto::duration(*ttl)),
                path: match path {
                    CookiePath::Fixed(path) => path.to_string(),
                    CookiePath::OfTheMatch => path_of(&matched.path),
                },
                attributes: attributes.iter().map(attribute).collect(),
            };
            ("envoy.http.stateful_session.cookie", proto::any(&CookieBasedSessionState { cookie: Some(cookie) }))
        }
        SessionState::Header(name) => {
            ("envoy.http.stateful_session.header", proto::any(&HeaderBasedSessionState { name: name.to_string() }))
        }
    };
    let session = SessionConfig {
        session_state: Some(TypedExtensionConfig { name: name.into(), typed_config: Some(config) }),
        strict: match when_gone {
            WhenGone::GoElsewhere => false,
            WhenGone::Refuse => true,
        },
        ..Default::default()
    };
    proto::any(&StatefulSessionPerRoute { r#override: Some(Override::StatefulSession(session)) })
}

/// The path of a cookie for what a match takes, and not for much more: Envoy heeds cookies of the very path, and of what
/// is below it.
fn path_of(matched: &PathMatch) -> String {
    match matched {
        PathMatch::Any => "/".into(),
        PathMatch::Exact(path) | PathMatch::SeparatedPrefix(path) => path.to_string(),
        // It may end within an element, which no path of a cookie does.
        PathMatch::Prefix(path) => up_to_last_slash(path).into(),
        PathMatch::Regex(pattern) => before_pattern(pattern).into(),
    }
}

/// What every path that a pattern matches begins with, as whole elements.
fn before_pattern(pattern: &str) -> &str {
    const SPECIAL: [char; 13] = ['\\', '.', '+', '*', '?', '(', ')', '|', '[', '{', '^', '$', ']'];
    match pattern.contains('|') {
        // Which of the two is it?
        true => "/",
        false => up_to_last_slash(pattern.split(SPECIAL).next().unwrap_or_default()),
    }
}

/// Without what stands behind the last slash, and without that slash unless it is all there is.
fn up_to_last_slash(path: &str) -> &str {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((elements, _)) => elements,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_what_the_match_takes() {
        let cases = [
            (PathMatch::Any, "/"),
            (PathMatch::Exact("/cart".into()), "/cart"),
            (PathMatch::SeparatedPrefix("/shop/cart".into()), "/shop/cart"),
            (PathMatch::Prefix("/shop.Carts/".into()), "/shop.Carts"),
            (PathMatch::Prefix("/ca".into()), "/"),
            (PathMatch::Regex("/shop/[a-z]+/cart".into()), "/shop"),
            (PathMatch::Regex("/shop/car*t".into()), "/shop"),
            (PathMatch::Regex("/shop/a|/cart".into()), "/"),
            (PathMatch::Regex(".*".into()), "/"),
        ];
        for (matched, path) in cases {
            assert_eq!(path_of(&matched), path, "{matched:?}");
        }
    }
}
