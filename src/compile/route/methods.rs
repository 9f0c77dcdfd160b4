//! One route, or two where a policy repeats idempotent requests only.
//!
//! Envoy's own way of saying this, `retriable_request_headers`, would take every retry from the other requests, those
//! that are safe for any request too; and a hedged request does not look at it at all (tried on 1.40: a POST was sent
//! three times). So the method is a matter of the match: first the route of idempotent requests, then that of the rest.

use super::matching;
use crate::{
    model::policy::{
        IDEMPOTENT_METHODS, RoutePolicy,
        routing::{HeaderMatch, HttpMatch, TextMatch, ValueMatch},
    },
    proto::envoy::config::route::v3::Route,
};

const METHOD: &str = ":method";

/// The routes of a match, made by `route` from the policy of the methods that each is for.
pub(super) fn apart(policy: &RoutePolicy, matched: &HttpMatch, route: impl Fn(&RoutePolicy) -> Route) -> Vec<Route> {
    let Some(others) = policy.for_other_methods() else { return vec![route(policy)] };
    match only_method(matched) {
        Some(method) if IDEMPOTENT_METHODS.contains(&method) => vec![route(policy)],
        Some(_) => vec![route(&others)],
        None => {
            let mut idempotent = route(policy);
            if let Some(matched) = &mut idempotent.r#match {
                matched.headers.push(matching::header(&is_idempotent()));
            }
            vec![idempotent, route(&others)]
        }
    }
}

/// The one method that a match takes, where it says so.
fn only_method(matched: &HttpMatch) -> Option<&str> {
    matched.headers.iter().find_map(|header| match header {
        HeaderMatch { name, value: ValueMatch::Text(TextMatch::Exact(method)), inverted: false }
            if **name == *METHOD =>
        {
            Some(&**method)
        }
        _ => None,
    })
}

fn is_idempotent() -> HeaderMatch {
    HeaderMatch {
        name: METHOD.into(),
        value: ValueMatch::Text(TextMatch::Regex(IDEMPOTENT_METHODS.join("|").into())),
        inverted: false,
    }
}
