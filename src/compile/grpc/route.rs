//! What a call meets on its way: where it leads, how long it may take (A31), when it is tried again (A44), what of it is
//! hashed (A42), failures on purpose (A33).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    lacking::{self, Lackings},
    matching::{self, Matched},
    withheld::{Withheld, stand_in},
};
use crate::{
    compile::{
        listener::FAULT,
        route::{fault, hash_policy, provenance},
        wire::{duration, duration_or_absent, u32_value},
    },
    model::{
        ClusterName, Decimal,
        policy::{
            BackOff, EffectivePolicy, HashKey, Retry, RoutePolicy, Shaped, is_grpc_condition,
            routing::{
                DirectResponse, Fault, FaultAbort, FaultStatus, HeaderChanges, HttpAction, HttpDestination,
                HttpForward, HttpRule, HttpRules, OfNowhere, Rewrite, Target,
            },
        },
    },
    proto::{
        Any,
        envoy::config::route::v3::{
            RetryPolicy, Route, RouteAction, RouteMatch, VirtualHost, WeightedCluster,
            retry_policy::RetryBackOff,
            route::Action,
            route_action::{ClusterSpecifier, HashPolicy, MaxStreamDuration},
            route_match::PathSpecifier,
            weighted_cluster::ClusterWeight,
        },
    },
};

/// What the routes of a port are made with, and what they need beside.
#[derive(Debug)]
pub(super) struct Making<'a> {
    /// The port's own cluster.
    pub own: &'a ClusterName,
    /// The clusters that are not sent.
    pub withheld: &'a BTreeMap<ClusterName, Withheld>,
    /// Clusters without endpoints that routes lead to, and that are there for this port alone.
    pub without_endpoints: BTreeSet<String>,
    pub lackings: Lackings<'a>,
}

/// gRPC's statuses, as far as they are needed here.
const UNKNOWN: u32 = 2;
const PERMISSION_DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

impl Making<'_> {
    /// The route of a port without rules.
    pub fn straight(&mut self, policy: &EffectivePolicy, shaped: &Shaped) -> Vec<Route> {
        lacking::of_route(&policy.route, "", &mut self.lackings);
        let target = Target::Cluster(self.own.clone());
        let route_action = RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(self.lead_to(&target))),
            hash_policy: hash_policies(policy.load_balancer.hash_keys()),
            ..action(&policy.route)
        };
        let everything = RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..Default::default() };
        vec![Route {
            r#match: Some(everything),
            action: Some(Action::Route(route_action)),
            metadata: provenance(&shaped.route),
            ..Default::default()
        }]
    }

    /// The routes of a port's rules, in their order.
    pub fn by_rules(&mut self, rules: &HttpRules) -> Vec<Route> {
        rules.rules.iter().enumerate().flat_map(|(index, rule)| self.by_rule(index, rule)).collect()
    }

    fn by_rule(&mut self, index: usize, rule: &HttpRule) -> Vec<Route> {
        let HttpRule { name, matches, action, request_headers, response_headers, fault, cors, documents } = rule;
        let whose = format!("routes[{index}]");
        let mut ways = Vec::new();
        for matched in matches {
            match matching::compile(matched) {
                Matched::ByOneOf(matched) => ways.extend(matched),
                Matched::ByNoCall(reason) => {
                    self.lackings.note(&whose, format!("a match of it is left out: {reason}"));
                }
                Matched::Unknowable(reason) => {
                    let sentence =
                        format!("a match of it is left out, so that its calls go on to the next rule: {reason}");
                    self.lackings.alarm(&whose, sentence);
                }
            }
        }
        if ways.is_empty() {
            return Vec::new();
        }
        if !is_nothing(request_headers) || !is_nothing(response_headers) {
            self.lackings.note(&whose, "gRPC clients change no headers");
        }
        if cors.is_some() {
            self.lackings.note(&whose, "CORS is for browsers");
        }
        let (route_action, refused) = self.rule_action(action, &whose);
        let fault = match (refused, fault) {
            (Some(status), _) => Some(always(status)),
            (None, fault) => fault.as_ref().map(in_grpc_statuses),
        };
        let typed_per_filter_config = per_filter_config(fault.as_ref());
        let route = |matched| Route {
            name: name.as_deref().unwrap_or_default().to_owned(),
            r#match: Some(matched),
            action: Some(Action::Route(route_action.clone())),
            metadata: provenance(documents),
            typed_per_filter_config: typed_per_filter_config.clone(),
            ..Default::default()
        };
        ways.into_iter().map(route).collect()
    }

    /// Where a rule leads, and the status with which its calls are refused instead.
    fn rule_action(&mut self, action: &HttpAction, whose: &str) -> (RouteAction, Option<u32>) {
        let refusing = |making: &mut Self, status: u32| {
            let name = format!("{} refuses this call", making.own);
            making.without_endpoints.insert(name.clone());
            let action = RouteAction { cluster_specifier: Some(ClusterSpecifier::Cluster(name)), ..Default::default() };
            (action, Some(status))
        };
        match action {
            HttpAction::Forward(forward) if forward.rewrite.path.is_some() => {
                self.lackings.alarm(whose, "gRPC clients rewrite no path: its calls are refused as UNAVAILABLE");
                refusing(self, UNAVAILABLE)
            }
            HttpAction::Forward(forward) => self.forward(forward, whose),
            HttpAction::Redirect(_) => {
                self.lackings.alarm(whose, "gRPC clients follow no redirect: its calls end with UNKNOWN");
                refusing(self, UNKNOWN)
            }
            HttpAction::Respond(DirectResponse { status, body: _ }) => {
                self.lackings.note(
                    whose,
                    format!("its calls end with the gRPC status that HTTP {status} stands for, without the body"),
                );
                refusing(self, grpc_status(*status))
            }
        }
    }

    fn forward(&mut self, forward: &HttpForward, whose: &str) -> (RouteAction, Option<u32>) {
        let HttpForward { destinations, rewrite, policy, hash_keys, mirrors, of_nowhere } = forward;
        // A rule that rewrites paths refuses its calls.
        let Rewrite { path: _, host } = rewrite;
        lacking::of_route(policy, &format!("{whose}."), &mut self.lackings);
        if host.is_some() || destinations.iter().any(|destination| destination.host.is_some()) {
            self.lackings.note(whose, "gRPC clients rewrite no authority: the server sees the one that was dialled");
        }
        if !mirrors.is_empty() {
            self.lackings.note(whose, "gRPC clients mirror nothing");
        }
        if hash_keys.iter().any(|key| !matches!(key, HashKey::Header(_))) {
            let setting = format!("{whose}.loadBalancer.consistentHash");
            self.lackings.note(&setting, "gRPC hashes metadata alone (A42)");
        }
        let status_of_nowhere = match of_nowhere {
            // That is how calls to a cluster without endpoints end.
            OfNowhere::Unavailable => None,
            OfNowhere::InternalError => Some(grpc_status(500)),
        };
        let refused = |destination: &HttpDestination| {
            destination.target.cluster().is_none().then_some(status_of_nowhere).flatten()
        };
        let (specifier, refused) = match destinations.as_slice() {
            [only] => (ClusterSpecifier::Cluster(self.destination(only, whose)), refused(only)),
            several => {
                let clusters = several.iter().map(|destination| ClusterWeight {
                    name: self.destination(destination, whose),
                    weight: u32_value(destination.weight),
                    typed_per_filter_config: per_filter_config(refused(destination).map(always).as_ref()),
                    ..Default::default()
                });
                let clusters = clusters.collect();
                (ClusterSpecifier::WeightedClusters(WeightedCluster { clusters, ..Default::default() }), None)
            }
        };
        let action =
            RouteAction { cluster_specifier: Some(specifier), hash_policy: hash_policies(hash_keys), ..action(policy) };
        (action, refused)
    }

    fn destination(&mut self, destination: &HttpDestination, whose: &str) -> String {
        // Subsets by header are a matter of the cluster, which is withheld then.
        let HttpDestination { target, weight: _, request_headers, response_headers, host: _, subset_headers: _ } =
            destination;
        if !is_nothing(request_headers) || !is_nothing(response_headers) {
            self.lackings.note(whose, "gRPC clients change no headers");
        }
        if let Some(reason) = target.cluster().and_then(|cluster| self.withheld.get(cluster)) {
            self.lackings.alarm(whose, format!("calls that it leads to {target} fail: {reason}"));
        }
        self.lead_to(target)
    }

    /// The name of the cluster that calls to a target go to.
    fn lead_to(&mut self, target: &Target) -> String {
        match target {
            Target::Cluster(cluster) => match self.withheld.get(cluster) {
                None => cluster.to_string(),
                // The stand-in of what is withheld is there beside it, for all that lead to it.
                Some(withheld) if *withheld != Withheld::Absent => stand_in(cluster, *withheld),
                Some(_) => self.nowhere(&format!("{cluster}, which is not there")),
            },
            Target::Nowhere(_) => self.nowhere(&target.to_string()),
        }
    }

    fn nowhere(&mut self, what: &str) -> String {
        let name = format!("{} leads to {what}", self.own);
        self.without_endpoints.insert(name.clone());
        name
    }
}

/// What a policy says of a route, whatever it leads to. A call is a POST.
fn action(policy: &RoutePolicy) -> RouteAction {
    let of_posts = policy.for_other_methods();
    let RoutePolicy { timeout, stream_idle_timeout: _, max_stream_duration, retry, hedge: _, session: _, priority: _ } =
        of_posts.as_ref().unwrap_or(policy);
    let limit = timeout.iter().chain(max_stream_duration).filter(|limit| **limit > Duration::ZERO).min();
    RouteAction {
        // Libraries do not read `timeout`. The application's own deadline counts where it is shorter.
        max_stream_duration: limit
            .map(|limit| MaxStreamDuration { max_stream_duration: duration(*limit), ..Default::default() }),
        retry_policy: retry.as_ref().and_then(retry_policy),
        ..Default::default()
    }
}

/// Only gRPC's own statuses count. The conditions that are safe for any request are none of them, and must not become
/// one: a server that answers UNAVAILABLE may have acted on the call.
fn retry_policy(retry: &Retry) -> Option<RetryPolicy> {
    let Retry { attempts, retry_on, retriable_request_headers, back_off, .. } = retry;
    let statuses: Vec<&str> =
        retry_on.iter().map(|condition| &**condition).filter(|condition| is_grpc_condition(condition)).collect();
    // Without the headers that it is to be limited to, a retry would be for more calls than anybody asked for.
    let retries = *attempts > 0 && !statuses.is_empty() && retriable_request_headers.is_empty();
    retries.then(|| RetryPolicy {
        retry_on: statuses.join(","),
        num_retries: u32_value(*attempts),
        retry_back_off: back_off.map(retry_back_off),
        ..Default::default()
    })
}

/// The shortest wait that is worth a try. With 1 ms, which a jitter makes 0, a call through C-core 1.85 is never repeated
/// and never ends (tried); less than that, or a longest wait below the first, rejects the listener in JavaScript.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

fn retry_back_off(back_off: BackOff) -> RetryBackOff {
    let BackOff { base, longest } = back_off;
    let base = base.max(SHORTEST_WAIT);
    RetryBackOff {
        base_interval: duration(base),
        max_interval: duration_or_absent(longest.map(|longest| longest.max(base))),
    }
}

fn hash_policies(keys: &[HashKey]) -> Vec<HashPolicy> {
    keys.iter().filter(|key| matches!(key, HashKey::Header(_))).map(hash_policy).collect()
}

fn is_nothing(HeaderChanges { set, add, remove }: &HeaderChanges) -> bool {
    set.is_empty() && add.is_empty() && remove.is_empty()
}

/// Takes out what is said to filters that the listener does not have, which rejects it. Returns whether there was any.
pub(super) fn without_other_filters(host: &mut VirtualHost) -> bool {
    let mut found = false;
    let mut clean = |configs: &mut BTreeMap<String, Any>| {
        let before = configs.len();
        configs.retain(|filter, _| filter == FAULT);
        found |= configs.len() < before;
    };
    clean(&mut host.typed_per_filter_config);
    for route in &mut host.routes {
        clean(&mut route.typed_per_filter_config);
        if let Some(Action::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::WeightedClusters(split)),
            ..
        })) = &mut route.action
        {
            split.clusters.iter_mut().for_each(|cluster| clean(&mut cluster.typed_per_filter_config));
        }
    }
    found
}

fn per_filter_config(fault: Option<&Fault>) -> BTreeMap<String, Any> {
    fault.map(|of| (FAULT.to_owned(), fault::compile(of))).into_iter().collect()
}

/// Every call ends with this status.
fn always(status: u32) -> Fault {
    let abort = FaultAbort { status: FaultStatus::Grpc(status), percent: Decimal::whole(100) };
    Fault { delay: None, abort: Some(abort) }
}

/// A failure on purpose, its status as all libraries understand it: they differ over 200.
fn in_grpc_statuses(fault: &Fault) -> Fault {
    let Fault { delay, abort } = fault;
    let abort = abort.as_ref().map(|FaultAbort { status, percent }| FaultAbort {
        status: match *status {
            FaultStatus::Http(status) => FaultStatus::Grpc(grpc_status(status)),
            FaultStatus::Grpc(status) => FaultStatus::Grpc(status),
        },
        percent: *percent,
    });
    Fault { delay: delay.clone(), abort }
}

/// What a gRPC client makes of an HTTP status (gRPC's "HTTP to gRPC Status Code Mapping").
fn grpc_status(http: u16) -> u32 {
    match http {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}
