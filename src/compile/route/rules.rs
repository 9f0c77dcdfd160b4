//! Rules into routes: one route for each match of each rule, in their order, so that the first that matches counts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{cors, fault, hash, headers, matching, methods, provenance, retry, session, subset_headers};
use crate::{
    compile::{
        listener,
        wire::{bool_value, duration, duration_or_absent, millionths, u32_value},
    },
    model::policy::{
        Priority, RoutePolicy, SubsetHeader,
        routing::{
            Cors, DirectResponse, Fault, HostRewrite, HttpAction, HttpDestination, HttpForward, HttpMatch, HttpRule,
            HttpRules, Mirror, OfNowhere, PathMatch, PathRewrite, Redirect,
        },
    },
    proto::{
        Any,
        envoy::{
            config::{
                core::v3::{DataSource, RoutingPriority, RuntimeFractionalPercent, data_source},
                route::v3::{
                    DirectResponseAction, HedgePolicy, RedirectAction, Route, RouteAction, WeightedCluster,
                    redirect_action::{PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier},
                    route::Action,
                    route_action::{
                        ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration,
                        RequestMirrorPolicy,
                    },
                    weighted_cluster::{self, ClusterWeight},
                },
            },
            r#type::matcher::v3::RegexMatchAndSubstitute,
        },
    },
};

/// The routes of a port's rules: one for each match, or two by the method.
pub(super) fn routes(rules: &HttpRules) -> Vec<Route> {
    let matches = rules.rules.iter().flat_map(|rule| rule.matches.iter().map(move |matched| (rule, matched)));
    matches.flat_map(|(rule, matched)| routes_of_match(rule, matched)).collect()
}

fn routes_of_match(rule: &HttpRule, matched: &HttpMatch) -> Vec<Route> {
    let without_policy = RoutePolicy::default();
    let policy = match &rule.action {
        HttpAction::Forward(forward) => &forward.policy,
        HttpAction::Redirect(_) | HttpAction::Respond(_) => &without_policy,
    };
    methods::apart(policy, matched, |policy| route(rule, matched, policy))
}

fn route(rule: &HttpRule, matched: &HttpMatch, policy: &RoutePolicy) -> Route {
    let HttpRule { name, matches: _, action, request_headers, response_headers, fault, cors, documents } = rule;
    let mut route = Route {
        name: name.as_deref().unwrap_or_default().to_owned(),
        r#match: Some(matching::compile(matched)),
        metadata: provenance(documents),
        stat_prefix: matched.stat_prefix.as_deref().unwrap_or_default().to_owned(),
        typed_per_filter_config: per_filter_config(
            fault.as_ref(),
            cors.as_ref(),
            policy.session.as_ref().map(|session| session::compile(session, matched)),
            only_destination(action).map_or(&[], |only| &only.subset_headers),
        ),
        ..Default::default()
    };
    let mut request_headers = vec![request_headers];
    let mut response_headers = vec![response_headers];
    route.action = Some(match action {
        HttpAction::Forward(forward) => {
            // What is said of the one destination holds for the route; Envoy applies a destination's changes first.
            if let [only] = forward.destinations.as_slice() {
                request_headers.insert(0, &only.request_headers);
                response_headers.insert(0, &only.response_headers);
            }
            Action::Route(forward_action(forward, matched, policy))
        }
        HttpAction::Redirect(redirect) => Action::Redirect(redirect_action(redirect, matched)),
        HttpAction::Respond(response) => Action::DirectResponse(direct_response(response)),
    });
    route.request_headers_to_add = headers::to_add(&request_headers);
    route.request_headers_to_remove = headers::to_remove(&request_headers);
    route.response_headers_to_add = headers::to_add(&response_headers);
    route.response_headers_to_remove = headers::to_remove(&response_headers);
    route
}

/// The one place that all of a rule's requests go to.
fn only_destination(action: &HttpAction) -> Option<&HttpDestination> {
    match action {
        HttpAction::Forward(forward) => match forward.destinations.as_slice() {
            [only] => Some(only),
            _ => None,
        },
        HttpAction::Redirect(_) | HttpAction::Respond(_) => None,
    }
}

/// What the filters that every HTTP listener has are told to do for a route.
pub(super) fn per_filter_config(
    fault: Option<&Fault>,
    cors: Option<&Cors>,
    session: Option<Any>,
    subset_headers: &[SubsetHeader],
) -> BTreeMap<String, Any> {
    let configs = [
        (listener::FAULT, fault.map(fault::compile)),
        (listener::CORS, cors.map(cors::compile)),
        (listener::STATEFUL_SESSION, session),
        (listener::HEADER_TO_METADATA, subset_headers::compile(subset_headers)),
    ];
    configs.into_iter().filter_map(|(name, config)| Some((name.to_owned(), config?))).collect()
}

fn forward_action(forward: &HttpForward, matched: &HttpMatch, policy: &RoutePolicy) -> RouteAction {
    let HttpForward { destinations, rewrite, policy: _, hash_keys, mirrors, of_nowhere } = forward;
    let leads_to_one = destinations.len() == 1;
    let mut action = action(policy, leads_to_one && !hash_keys.is_empty());
    action.hash_policy = hash_keys.iter().map(hash::compile).collect();
    action.request_mirror_policies = mirrors.iter().map(mirror).collect();
    let leads_nowhere = destinations.iter().any(|destination| destination.target.cluster().is_none());
    if leads_nowhere {
        action.cluster_not_found_response_code = match of_nowhere {
            OfNowhere::Unavailable => ClusterNotFoundResponseCode::ServiceUnavailable,
            OfNowhere::InternalError => ClusterNotFoundResponseCode::InternalServerError,
        }
        .into();
    }
    let host = match (destinations.as_slice(), &rewrite.host) {
        ([HttpDestination { host: Some(host), .. }], _) | (_, Some(HostRewrite::Literal(host))) => Some(host),
        (_, None) => None,
    };
    action.host_rewrite_specifier = host.map(|host| HostRewriteSpecifier::HostRewriteLiteral(host.to_string()));
    match rewrite.path.as_ref().map(|rewrite| path_rewrite(rewrite, matched)) {
        None => {}
        Some(Rewritten::Prefix(prefix)) => action.prefix_rewrite = prefix,
        Some(Rewritten::Regex(regex)) => action.regex_rewrite = Some(regex),
    }
    action.cluster_specifier = Some(match destinations.as_slice() {
        [only] => ClusterSpecifier::Cluster(only.target.to_string()),
        several => ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: several.iter().map(cluster_weight).collect(),
            ..Default::default()
        }),
    });
    action
}

/// What a policy says of a route, whatever it leads to. The timeout is always written, since Envoy's own is 15 s; the
/// deadline that a gRPC client sends counts instead of `max_stream_duration`, so it may be no longer than either.
pub(super) fn action(policy: &RoutePolicy, hashes_to_one: bool) -> RouteAction {
    let RoutePolicy { timeout, stream_idle_timeout, max_stream_duration, priority, retry, hedge: _, session: _ } =
        policy;
    let longest_deadline = timeout.iter().chain(max_stream_duration).min().copied();
    RouteAction {
        timeout: duration(timeout.unwrap_or(Duration::ZERO)),
        idle_timeout: duration_or_absent(*stream_idle_timeout),
        max_stream_duration: Some(MaxStreamDuration {
            max_stream_duration: duration_or_absent(*max_stream_duration),
            grpc_timeout_header_max: duration(longest_deadline.unwrap_or(Duration::ZERO)),
            ..Default::default()
        }),
        priority: match priority {
            Priority::Default => RoutingPriority::Default,
            Priority::High => RoutingPriority::High,
        }
        .into(),
        retry_policy: retry.as_ref().map(|retry| retry::compile(retry, hashes_to_one)),
        // Envoy has two more fields here, and does not read them: several requests at first, and a chance of another.
        hedge_policy: policy.hedges().map(|_| HedgePolicy { hedge_on_per_try_timeout: true, ..Default::default() }),
        ..Default::default()
    }
}

fn cluster_weight(destination: &HttpDestination) -> ClusterWeight {
    let HttpDestination { target, weight, request_headers, response_headers, host, subset_headers } = destination;
    ClusterWeight {
        name: target.to_string(),
        weight: u32_value(*weight),
        request_headers_to_add: headers::to_add(&[request_headers]),
        request_headers_to_remove: headers::to_remove(&[request_headers]),
        response_headers_to_add: headers::to_add(&[response_headers]),
        response_headers_to_remove: headers::to_remove(&[response_headers]),
        typed_per_filter_config: per_filter_config(None, None, None, subset_headers),
        host_rewrite_specifier: host
            .as_ref()
            .map(|host| weighted_cluster::cluster_weight::HostRewriteSpecifier::HostRewriteLiteral(host.to_string())),
        ..Default::default()
    }
}

fn mirror(mirror: &Mirror) -> RequestMirrorPolicy {
    let Mirror { cluster, percent } = mirror;
    RequestMirrorPolicy {
        cluster: cluster.to_string(),
        runtime_fraction: Some(RuntimeFractionalPercent {
            default_value: Some(millionths(*percent)),
            runtime_key: String::new(),
        }),
        trace_sampled: bool_value(false),
        ..Default::default()
    }
}

/// How Envoy is told of another path.
enum Rewritten {
    /// In place of what the match covered: the prefix, or the whole path.
    Prefix(String),
    Regex(RegexMatchAndSubstitute),
}

fn path_rewrite(rewrite: &PathRewrite, matched: &HttpMatch) -> Rewritten {
    match (rewrite, &matched.path) {
        // `/foo` replaced by `/` would make `//bar` of `/foo/bar`.
        (PathRewrite::MatchedPart(new), PathMatch::SeparatedPrefix(prefix)) if new.trim_end_matches('/').is_empty() => {
            let case = if matched.path_ignores_case { "(?i)" } else { "" };
            Rewritten::Regex(substitute(&format!("{case}^{}/?", matching::quoted(prefix)), "/"))
        }
        (PathRewrite::MatchedPart(new), PathMatch::SeparatedPrefix(_)) => {
            Rewritten::Prefix(new.trim_end_matches('/').to_owned())
        }
        (PathRewrite::MatchedPart(new), _) => Rewritten::Prefix(new.to_string()),
        // Of these matches Envoy replaces the whole path.
        (PathRewrite::Whole(new), PathMatch::Exact(_) | PathMatch::Regex(_)) => Rewritten::Prefix(new.to_string()),
        (PathRewrite::Whole(new), _) => Rewritten::Regex(substitute("^.*$", &new.replace('\\', r"\\"))),
        (PathRewrite::Regex { pattern, substitution }, _) => Rewritten::Regex(substitute(pattern, substitution)),
    }
}

fn substitute(pattern: &str, substitution: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute { pattern: Some(matching::regex(pattern)), substitution: substitution.to_owned() }
}

fn redirect_action(redirect: &Redirect, matched: &HttpMatch) -> RedirectAction {
    let Redirect { scheme, host, port, path, status } = redirect;
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    RedirectAction {
        host_redirect: text(host),
        port_redirect: port.map_or(0, |port| port.get().into()),
        scheme_rewrite_specifier: scheme
            .as_ref()
            .map(|scheme| SchemeRewriteSpecifier::SchemeRedirect(scheme.to_string())),
        path_rewrite_specifier: path.as_ref().map(|path| match path {
            PathRewrite::Whole(path) => PathRewriteSpecifier::PathRedirect(path.to_string()),
            PathRewrite::MatchedPart(_) | PathRewrite::Regex { .. } => match path_rewrite(path, matched) {
                Rewritten::Prefix(prefix) => PathRewriteSpecifier::PrefixRewrite(prefix),
                Rewritten::Regex(regex) => PathRewriteSpecifier::RegexRewrite(regex),
            },
        }),
        response_code: match status {
            302 => RedirectResponseCode::Found,
            303 => RedirectResponseCode::SeeOther,
            307 => RedirectResponseCode::TemporaryRedirect,
            308 => RedirectResponseCode::PermanentRedirect,
            _ => RedirectResponseCode::MovedPermanently,
        }
        .into(),
        strip_query: false,
    }
}

fn direct_response(response: &DirectResponse) -> DirectResponseAction {
    let DirectResponse { status, body } = response;
    // Text is written as text, so that people can read it in `/config_dump`.
    let specifier = body.as_deref().map(|body| match std::str::from_utf8(body) {
        Ok(text) => data_source::Specifier::InlineString(text.to_owned()),
        Err(_) => data_source::Specifier::InlineBytes(bytes::Bytes::copy_from_slice(body)),
    });
    DirectResponseAction {
        status: (*status).into(),
        body: specifier.map(|specifier| DataSource { specifier: Some(specifier), ..Default::default() }),
        ..Default::default()
    }
}
