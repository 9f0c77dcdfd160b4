//! `http` into rules for requests.

use std::sync::Arc;

use serde_json::Value;

use super::{Decision, Translation, some};
use crate::{
    model::{
        Decimal,
        policy::{
            BackOff, Retry, RoutePolicy,
            routing::{
                Cors, DirectResponse, Fault, FaultAbort, FaultDelay, FaultStatus, HeaderChanges, HeaderMatch,
                HostRewrite, HttpAction, HttpDestination, HttpForward, HttpMatch, HttpRule, Mirror, OfNowhere,
                PathMatch, PathRewrite, QueryMatch, Redirect, Rewrite, Target, TextMatch, UnmatchedPreflights,
                ValueMatch,
            },
        },
    },
    policy::{
        document::{
            regex::ANYTHING,
            scalar::{Count, Percent},
            virtual_service::{
                self as written, CorsPolicy, DerivePort, Destination, HeaderOperations, HttpDirectResponse,
                HttpFaultInjection, HttpMatchRequest, HttpRedirect, HttpRetry, HttpRewrite, HttpRoute,
                HttpRouteDestination, PercentValue, StringMatch,
            },
        },
        effective::{conditions, limit},
        routes::{
            destination::{Found, nowhere},
            forward::{self, Origins, istio_retry},
        },
    },
    yaml::UniqueMap,
};

/// What becomes of requests whose destination is not there, and of their copies.
const ANSWERED: &str = "what is led there is answered with 503";
const NOT_COPIED: &str = "no copy is made";

impl<'a> Translation<'_, 'a, '_> {
    /// The rules that concern the port; `None` where no rule does.
    pub(super) fn http(&mut self) -> Option<Vec<Decision<HttpRule>>> {
        let document = self.document.clone();
        let routes = &super::body(&document).http;
        let rules = routes.iter().enumerate();
        some(rules.filter_map(|(index, route)| self.rule(route, format!("spec.http[{index}]"))).collect())
    }

    fn rule(&mut self, route: &HttpRoute, field: String) -> Option<Decision<HttpRule>> {
        let concerned = route.matches.iter().filter(|matched| self.concerns(*matched));
        let mut matches: Vec<HttpMatch> = concerned.map(http_match).collect();
        if matches.is_empty() {
            if !route.matches.is_empty() {
                return None;
            }
            matches.push(HttpMatch::default());
        }
        let mut origins = Origins::of(self.document);
        let (request_headers, host) = header_changes(&route.headers.request);
        let (response_headers, _) = header_changes(&route.headers.response);
        let action = match (&route.redirect, &route.direct_response) {
            (Some(redirect), _) => HttpAction::Redirect(self.redirect(redirect)),
            (None, Some(response)) => HttpAction::Respond(direct_response(response)),
            (None, None) => HttpAction::Forward(Box::new(self.forward(route, &field, host, &mut origins))),
        };
        let Origins { settings, replaced, documents } = origins;
        let rule = HttpRule {
            name: route.name.as_deref().map(Into::into),
            matches,
            action,
            request_headers,
            response_headers,
            fault: route.fault.as_ref().and_then(fault),
            cors: route.cors_policy.as_ref().map(cors),
            documents: documents.into_iter().collect(),
        };
        Some(Decision { rule, document: self.document.clone(), field, settings, replaced })
    }

    fn forward(
        &mut self,
        route: &HttpRoute,
        field: &str,
        host: Option<Arc<str>>,
        origins: &mut Origins,
    ) -> HttpForward {
        let several = route.route.len() > 1;
        let mut destinations = Vec::new();
        let mut found_all = Vec::new();
        for (index, destination) in route.route.iter().enumerate() {
            let HttpRouteDestination { destination, weight, headers } = destination;
            let found = self.find(destination, &format!("{field}.route[{index}].destination"), ANSWERED);
            let weight = weight.unwrap_or(0);
            // Of several a share of nothing is none; one alone gets everything.
            if several && weight == 0 {
                continue;
            }
            let (request_headers, host) = header_changes(&headers.request);
            let (response_headers, _) = header_changes(&headers.response);
            destinations.push(HttpDestination {
                target: target(destination, found.as_deref()),
                weight: if several { weight } else { 1 },
                request_headers,
                response_headers,
                host,
                subset_headers: found.as_ref().map_or(&[][..], |found| found.effective.subset_headers()).to_vec(),
            });
            found_all.extend(found);
        }
        let policy = self.policy(route, field, &destinations, &found_all, origins);
        let hash_keys = forward::hash_keys(&found_all, origins);
        origins.documents.extend(origins.settings.values().map(|leaf| Arc::from(leaf.document.name())));
        HttpForward {
            destinations,
            rewrite: rewrite(route.rewrite.as_ref(), host),
            policy,
            hash_keys,
            mirrors: self.mirrors(route, field),
            of_nowhere: OfNowhere::Unavailable,
        }
    }

    /// What the rule says, else what the policies of the service it leads to say (of a split over several services,
    /// of the one dialled), else Istio's default.
    fn policy(
        &mut self,
        route: &HttpRoute,
        field: &str,
        destinations: &[HttpDestination],
        found: &[Arc<Found>],
        origins: &mut Origins,
    ) -> RoutePolicy {
        let dialled = (self.service, self.port);
        let mut policy = forward::base_policy(self.destinations, dialled, destinations.len(), found, origins);
        if let Some(timeout) = route.timeout {
            policy.timeout = limit(Some(timeout));
            let value = timeout.to_string().into();
            origins.say("timeout".into(), value, self.document, format!("{field}.timeout"));
        }
        match &route.retries {
            Some(retries) => {
                policy.retry = retry(retries);
                origins.take_back("retries");
                for (name, value) in said_of_retries(retries) {
                    let place = format!("{field}.retries.{name}");
                    origins.say(format!("retries.{name}"), value, self.document, place);
                }
            }
            None if origins.settings.keys().any(|path| path.starts_with("retries")) => {}
            None => policy.retry = Some(istio_retry()),
        }
        policy
    }

    fn mirrors(&mut self, route: &HttpRoute, field: &str) -> Vec<Mirror> {
        let percent = |percentage: Option<PercentValue>| match percentage {
            Some(PercentValue { value: Percent(percent) }) => percent,
            None => Decimal::whole(100),
        };
        let mut mirrors = Vec::new();
        if let Some(destination) = &route.mirror {
            let older = route.mirror_percent.map(|Count(percent)| Decimal::whole(percent));
            let share = route.mirror_percentage.map(|_| percent(route.mirror_percentage)).or(older);
            let found = self.find(destination, &format!("{field}.mirror"), NOT_COPIED);
            mirrors.extend(found.map(|found| (found, share.unwrap_or(Decimal::whole(100)))));
        }
        for (index, mirror) in route.mirrors.iter().enumerate() {
            let found = self.find(&mirror.destination, &format!("{field}.mirrors[{index}].destination"), NOT_COPIED);
            mirrors.extend(found.map(|found| (found, percent(mirror.percentage))));
        }
        mirrors
            .into_iter()
            .filter(|(_, percent)| *percent > Decimal::ZERO)
            .map(|(found, percent)| Mirror { cluster: found.cluster.clone(), percent })
            .collect()
    }

    fn redirect(&self, redirect: &HttpRedirect) -> Redirect {
        let HttpRedirect { uri, authority, port, derive_port, scheme, redirect_code } = redirect;
        Redirect {
            scheme: text(scheme),
            host: text(authority),
            port: match (port, derive_port) {
                (Some(port), _) => Some(*port),
                (None, Some(DerivePort::RequestPort)) => Some(self.port.number),
                (None, Some(DerivePort::ProtocolDefault) | None) => None,
            },
            path: text(uri).map(PathRewrite::Whole),
            status: redirect_code.unwrap_or(301),
        }
    }
}

/// What a route is written to lead to.
pub(super) fn target(destination: &Destination, found: Option<&Found>) -> Target {
    match found {
        Some(found) => Target::Cluster(found.cluster.clone()),
        None => {
            let Destination { host, subset, port } = destination;
            nowhere(host, port.map(|port| port.number), subset.as_ref().map(|subset| &subset.0))
        }
    }
}

fn text(written: &Option<String>) -> Option<Arc<str>> {
    written.as_deref().filter(|text| !text.is_empty()).map(Into::into)
}

fn http_match(matched: &HttpMatchRequest) -> HttpMatch {
    let HttpMatchRequest {
        name: _,
        uri,
        scheme,
        method,
        authority,
        headers,
        port: _,
        source_labels: _,
        gateways: _,
        query_params,
        ignore_uri_case,
        without_headers,
        source_namespace: _,
        stat_prefix,
    } = matched;
    let mut header_matches = Vec::new();
    for (headers, inverted) in [(headers, false), (without_headers, true)] {
        header_matches.extend(headers.0.iter().map(|(name, value)| HeaderMatch {
            name: name.to_ascii_lowercase().into(),
            value: value_match(value.as_ref()),
            inverted,
        }));
    }
    for (name, value) in [(":method", method), (":authority", authority), (":scheme", scheme)] {
        header_matches.extend(value.as_ref().map(|value| HeaderMatch {
            name: name.into(),
            value: value_match(Some(value)),
            inverted: false,
        }));
    }
    HttpMatch {
        path: uri.as_ref().map_or(PathMatch::Any, path_match),
        path_ignores_case: *ignore_uri_case,
        headers: header_matches,
        query: query_params
            .0
            .iter()
            .map(|(name, value)| QueryMatch { name: name.as_str().into(), value: value_match(value.as_ref()) })
            .collect(),
        stat_prefix: text(stat_prefix),
    }
}

fn path_match(uri: &StringMatch) -> PathMatch {
    match text_match(uri) {
        Some(TextMatch::Exact(path)) => PathMatch::Exact(path),
        Some(TextMatch::Prefix(prefix)) => PathMatch::Prefix(prefix),
        Some(TextMatch::Regex(pattern)) => PathMatch::Regex(pattern),
        None => PathMatch::Any,
    }
}

fn value_match(value: Option<&StringMatch>) -> ValueMatch {
    match value.and_then(text_match) {
        Some(TextMatch::Regex(pattern)) if *pattern == *ANYTHING => ValueMatch::Present,
        Some(text) => ValueMatch::Text(text),
        None => ValueMatch::Present,
    }
}

fn text_match(text: &StringMatch) -> Option<TextMatch> {
    let StringMatch { exact, prefix, regex } = text;
    let exact = exact.as_deref().map(|text| TextMatch::Exact(text.into()));
    let prefix = prefix.as_deref().map(|text| TextMatch::Prefix(text.into()));
    exact.or(prefix).or_else(|| regex.as_ref().map(|regex| TextMatch::Regex(regex.0.as_str().into())))
}

/// Changes of headers; the host, which is no header, apart.
fn header_changes(operations: &HeaderOperations) -> (HeaderChanges, Option<Arc<str>>) {
    let HeaderOperations { set, add, remove } = operations;
    let is_host = |name: &str| name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority");
    let pairs = |headers: &UniqueMap<String, String>| {
        let headers = headers.0.iter().filter(|(name, _)| !is_host(name));
        headers.map(|(name, value)| (name.to_ascii_lowercase().into(), value.as_str().into())).collect()
    };
    let changes = HeaderChanges {
        set: pairs(set),
        add: pairs(add),
        remove: remove.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
    };
    let host = set.0.iter().chain(&add.0).find(|(name, _)| is_host(name)).map(|(_, host)| host.as_str().into());
    (changes, host)
}

fn rewrite(rewrite: Option<&HttpRewrite>, host: Option<Arc<str>>) -> Rewrite {
    let HttpRewrite { uri, authority, uri_regex_rewrite } = rewrite.cloned().unwrap_or_default();
    let regex = uri_regex_rewrite
        .map(|regex| PathRewrite::Regex { pattern: regex.pattern.0.into(), substitution: regex.rewrite.into() });
    Rewrite {
        path: text(&uri).map(PathRewrite::MatchedPart).or(regex),
        host: text(&authority).or(host).map(HostRewrite::Literal),
    }
}

fn direct_response(response: &HttpDirectResponse) -> DirectResponse {
    let body = response.body.as_ref().and_then(|body| match (&body.string, &body.bytes) {
        (Some(text), _) => Some(text.as_bytes().into()),
        (None, Some(bytes)) => Some(bytes.0.as_slice().into()),
        (None, None) => None,
    });
    DirectResponse { status: response.status, body }
}

/// Without a percentage nothing fails.
fn fault(fault: &HttpFaultInjection) -> Option<Fault> {
    let HttpFaultInjection { delay, abort } = fault;
    let share = |percentage: Option<PercentValue>, older: Option<Count>| match (percentage, older) {
        (Some(PercentValue { value: Percent(percent) }), _) => percent,
        (None, Some(Count(percent))) => Decimal::whole(percent),
        (None, None) => Decimal::ZERO,
    };
    let delay = delay.as_ref().and_then(|delay| {
        let percent = share(delay.percentage, delay.percent);
        Some(FaultDelay { duration: delay.fixed_delay?.0, percent })
    });
    let abort = abort.as_ref().and_then(|abort| {
        let status = match (abort.http_status, abort.grpc_status) {
            (Some(status), _) => FaultStatus::Http(status),
            (None, Some(status)) => FaultStatus::Grpc(status.0),
            (None, None) => return None,
        };
        Some(FaultAbort { status, percent: share(abort.percentage, None) })
    });
    let fault = Fault {
        delay: delay.filter(|delay| delay.percent > Decimal::ZERO),
        abort: abort.filter(|abort| abort.percent > Decimal::ZERO),
    };
    (fault != Fault::default()).then_some(fault)
}

fn cors(policy: &CorsPolicy) -> Cors {
    let CorsPolicy {
        allow_origin,
        allow_origins,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age,
        allow_credentials,
        unmatched_preflights,
    } = policy;
    let older = allow_origin.iter().map(|origin| TextMatch::Exact(origin.as_str().into()));
    let list = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    Cors {
        allow_origins: allow_origins.iter().filter_map(text_match).chain(older).collect(),
        allow_methods: list(allow_methods),
        allow_headers: list(allow_headers),
        expose_headers: list(expose_headers),
        max_age: max_age.map(|age| age.0),
        allow_credentials: *allow_credentials,
        unmatched_preflights: match unmatched_preflights {
            None | Some(written::UnmatchedPreflights::Unspecified | written::UnmatchedPreflights::Forward) => {
                UnmatchedPreflights::Forwarded
            }
            Some(written::UnmatchedPreflights::Ignore) => UnmatchedPreflights::Answered,
        },
    }
}

/// A block of retries: what it leaves out is Istio's default, and no attempts are no retries.
fn retry(written: &HttpRetry) -> Option<Retry> {
    let HttpRetry {
        attempts,
        per_try_timeout,
        retry_on,
        retry_remote_localities,
        retry_ignore_previous_hosts,
        backoff,
    } = written;
    let mut retry = istio_retry();
    retry.attempts = attempts.filter(|attempts| attempts.0 > 0)?.0;
    retry.per_try_timeout = limit(*per_try_timeout);
    if let Some(retry_on) = retry_on {
        (retry.retry_on, retry.retriable_status_codes) = conditions(retry_on);
    }
    retry.back_off = backoff.map(|backoff| BackOff { base: backoff.0, longest: None });
    retry.avoid_previous_hosts = retry_ignore_previous_hosts.unwrap_or(true);
    retry.retry_remote_localities = retry_remote_localities.unwrap_or(false);
    Some(retry)
}

/// The fields that a block of retries has, by name.
fn said_of_retries(written: &HttpRetry) -> Vec<(&'static str, Value)> {
    let HttpRetry {
        attempts,
        per_try_timeout,
        retry_on,
        retry_remote_localities,
        retry_ignore_previous_hosts,
        backoff,
    } = written;
    let spans = [("perTryTimeout", per_try_timeout), ("backoff", backoff)];
    let switches =
        [("retryRemoteLocalities", retry_remote_localities), ("retryIgnorePreviousHosts", retry_ignore_previous_hosts)];
    let mut said: Vec<(&str, Value)> = Vec::new();
    said.extend(attempts.map(|attempts| ("attempts", attempts.0.into())));
    said.extend(spans.into_iter().filter_map(|(name, span)| Some((name, span.as_ref()?.to_string().into()))));
    said.extend(retry_on.as_ref().and_then(|retry_on| Some(("retryOn", serde_json::to_value(retry_on).ok()?))));
    said.extend(switches.into_iter().filter_map(|(name, switch)| Some((name, (*switch)?.into()))));
    said
}
