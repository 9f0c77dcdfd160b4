//! Rules of both kinds of routes into rules for requests.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Attached,
    filters::{self, Changes},
    matching::{self, Specificity},
    session,
};
use crate::{
    diagnostic::Diagnostic,
    model::{
        Decimal, Port, Service,
        policy::{
            BackOff, Retry, RoutePolicy,
            routing::{
                DirectResponse, HostRewrite, HttpAction, HttpDestination, HttpForward, HttpMatch, HttpRule, Mirror,
                OfNowhere, Target,
            },
        },
    },
    policy::{
        document::{
            Body, Document,
            gateway_api::{
                AnyFilter, Backend, BackendRef, Filter, GRPCRouteRule, HTTPRequestMirrorFilter, HTTPRouteRetry,
                HTTPRouteRule, HTTPRouteTimeouts, SessionPersistence,
            },
        },
        effective::limit,
        routes::{
            Decision, Destinations, Host,
            destination::{Found, NotThere, Part, nowhere},
            forward::{self, Origins, istio_retry},
        },
    },
};

/// A rule with one of its matches.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The most specific come first.
    pub specificity: Specificity,
    /// Then the oldest.
    pub age: (bool, Option<String>, String),
    /// Then as they stand in their document: rule, match.
    pub place: (usize, usize),
    pub matched: HttpMatch,
    pub decision: Arc<Decision<HttpRule>>,
}

/// A rule, whichever kind of route it is of.
struct Rule<'r> {
    name: Option<&'r str>,
    matches: Vec<(Specificity, HttpMatch)>,
    /// Each with where it stands.
    filters: Vec<(usize, Filter<'r>)>,
    /// Each with its weight and its own filters.
    backends: Vec<(Backend<'r>, u32, Vec<Filter<'r>>)>,
    timeouts: Option<&'r HTTPRouteTimeouts>,
    retry: Option<&'r HTTPRouteRetry>,
    session: Option<&'r SessionPersistence>,
    of_nowhere: OfNowhere,
}

fn every<F: AnyFilter>(filters: &[F]) -> Vec<(usize, Filter<'_>)> {
    filters.iter().enumerate().filter_map(|(index, filter)| Some((index, filter.filter()?))).collect()
}

fn alone<'f>(filters: &[(usize, Filter<'f>)]) -> Vec<Filter<'f>> {
    filters.iter().map(|(_, filter)| *filter).collect()
}

/// The matches of a rule; none is one that takes everything.
fn matched<M: Default>(matches: &[M], read: impl Fn(&M) -> (Specificity, HttpMatch)) -> Vec<(Specificity, HttpMatch)> {
    match matches {
        [] => vec![read(&M::default())],
        some => some.iter().map(read).collect(),
    }
}

fn backends<F: AnyFilter>(backends: &[BackendRef<F>]) -> Vec<(Backend<'_>, u32, Vec<Filter<'_>>)> {
    let written = backends.iter();
    written.map(|backend| (backend.backend(), backend.weight.unwrap_or(1), alone(&every(&backend.filters)))).collect()
}

impl<'r> From<&'r HTTPRouteRule> for Rule<'r> {
    fn from(rule: &'r HTTPRouteRule) -> Self {
        let HTTPRouteRule { name, matches, filters, backend_refs, timeouts, retry, session_persistence } = rule;
        Self {
            name: name.as_deref(),
            matches: matched(matches, matching::http),
            filters: every(filters),
            backends: backends(backend_refs),
            timeouts: timeouts.as_ref(),
            retry: retry.as_ref(),
            session: session_persistence.as_ref(),
            of_nowhere: OfNowhere::InternalError,
        }
    }
}

impl<'r> From<&'r GRPCRouteRule> for Rule<'r> {
    fn from(rule: &'r GRPCRouteRule) -> Self {
        let GRPCRouteRule { name, matches, filters, backend_refs, session_persistence } = rule;
        Self {
            name: name.as_deref(),
            matches: matched(matches, matching::grpc),
            filters: every(filters),
            backends: backends(backend_refs),
            timeouts: None,
            retry: None,
            session: session_persistence.as_ref(),
            of_nowhere: OfNowhere::Unavailable,
        }
    }
}

/// A route on its way into the rules of one port.
pub(super) struct Translation<'t, 'a, 's> {
    pub route: &'t Attached,
    pub service: &'a Service,
    pub port: &'a Port,
    pub destinations: &'t mut Destinations<'a, 's>,
    pub problems: &'t mut Vec<Diagnostic>,
}

impl Translation<'_, '_, '_> {
    /// Every rule with every match.
    pub fn candidates(&mut self) -> Vec<Candidate> {
        let document = self.route.document.clone();
        match &document.body {
            Body::HTTPRoute(route) => self.of_rules(&document, route.rules.iter().map(Rule::from)),
            Body::GRPCRoute(route) => self.of_rules(&document, route.rules.iter().map(Rule::from)),
            _ => Vec::new(),
        }
    }

    fn of_rules<'r>(&mut self, document: &Arc<Document>, rules: impl Iterator<Item = Rule<'r>>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (at, rule) in rules.enumerate() {
            let decision = Arc::new(self.rule(document, &rule, format!("spec.rules[{at}]")));
            candidates.extend(rule.matches.into_iter().enumerate().map(|(index, (specificity, matched))| Candidate {
                specificity,
                age: self.route.age(),
                place: (at, index),
                matched,
                decision: decision.clone(),
            }));
        }
        candidates
    }

    /// The rule, yet without its matches.
    fn rule(&mut self, document: &Arc<Document>, rule: &Rule<'_>, field: String) -> Decision<HttpRule> {
        let mut origins = Origins::of(document);
        let only_match = rule.matches.first().map(|(_, matched)| matched);
        let Changes { request_headers, response_headers, redirect, rewrite, cors } =
            Changes::of(&alone(&rule.filters), only_match, self.port);
        let action = match redirect {
            Some(redirect) => HttpAction::Redirect(redirect),
            None => match self.forward(rule, &field, &mut origins) {
                Some(forward) => HttpAction::Forward(Box::new(HttpForward { rewrite, ..forward })),
                // It leads nowhere at all.
                None => HttpAction::Respond(DirectResponse {
                    status: match rule.of_nowhere {
                        OfNowhere::InternalError => 500,
                        OfNowhere::Unavailable => 503,
                    },
                    body: None,
                }),
            },
        };
        let Origins { settings, replaced, documents } = origins;
        let rule = HttpRule {
            name: rule.name.map(Into::into),
            matches: Vec::new(),
            action,
            request_headers,
            response_headers,
            fault: None,
            cors,
            documents: documents.into_iter().collect(),
        };
        Decision { rule, document: document.clone(), field, settings, replaced }
    }

    fn forward(&mut self, rule: &Rule<'_>, field: &str, origins: &mut Origins) -> Option<HttpForward> {
        let mut destinations = Vec::new();
        let mut found_all = Vec::new();
        let answer = match rule.of_nowhere {
            OfNowhere::InternalError => "its share of the requests is answered with 500",
            OfNowhere::Unavailable => "its share of the calls is answered with UNAVAILABLE",
        };
        for (index, (backend, weight, filters)) in rule.backends.iter().enumerate() {
            let found = self.find(backend, &format!("{field}.backendRefs[{index}]"), answer);
            if *weight == 0 {
                continue;
            }
            let changes = Changes::of(filters, None, self.port);
            destinations.push(HttpDestination {
                target: match &found {
                    Some(found) => Target::Cluster(found.cluster.clone()),
                    None => nowhere(self.host(backend).full.as_str(), backend.port, None),
                },
                weight: *weight,
                request_headers: changes.request_headers,
                response_headers: changes.response_headers,
                host: changes.rewrite.host.map(|HostRewrite::Literal(host)| host),
                subset_headers: found.as_ref().map_or(&[][..], |found| found.effective.subset_headers()).to_vec(),
            });
            found_all.extend(found);
        }
        // One alone gets everything.
        if let [only] = destinations.as_mut_slice() {
            only.weight = 1;
        }
        let mirrors = self.mirrors(rule, field);
        if destinations.is_empty() {
            return None;
        }
        let policy = self.policy(rule, field, destinations.len(), &found_all, origins);
        let hash_keys = forward::hash_keys(&found_all, origins);
        origins.documents.extend(origins.settings.values().map(|leaf| Arc::from(leaf.document.name())));
        let of_nowhere = rule.of_nowhere;
        Some(HttpForward { destinations, rewrite: Default::default(), policy, hash_keys, mirrors, of_nowhere })
    }

    /// What the rule says, else what the policies of the service it leads to say, else what is safe for any request.
    fn policy(
        &mut self,
        rule: &Rule<'_>,
        field: &str,
        written: usize,
        found: &[Arc<Found>],
        origins: &mut Origins,
    ) -> RoutePolicy {
        let dialled = (self.service, self.port);
        let mut policy = forward::base_policy(self.destinations, dialled, written, found, origins);
        let document = &self.route.document;
        let mut say = |path: &str, value: Value, part: &str| {
            origins.say(path.to_owned(), value, document, format!("{field}.{part}"));
        };
        if let Some(timeout) = rule.timeouts.and_then(|timeouts| timeouts.request) {
            policy.timeout = limit(Some(timeout.0));
            say("timeout", timeout.0.to_string().into(), "timeouts.request");
        }
        if let Some(written) = rule.retry {
            policy.retry = retry(written);
            origins.take_back("retries");
            let HTTPRouteRetry { codes, attempts, backoff } = written;
            let mut say = |path: &str, value: Value, part: &str| {
                origins.say(format!("retries.{path}"), value, document, format!("{field}.retry.{part}"));
            };
            if let Some(attempts) = attempts {
                say("attempts", attempts.0.into(), "attempts");
            }
            if !codes.is_empty() {
                let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
                say("retryOn", codes.join(",").into(), "codes");
            }
            if let Some(backoff) = backoff {
                say("backoff", backoff.0.to_string().into(), "backoff");
            }
        }
        let mut say = |path: &str, value: Value, part: &str| {
            origins.say(path.to_owned(), value, document, format!("{field}.{part}"));
        };
        if let Some(written) = rule.timeouts.and_then(|timeouts| timeouts.backend_request) {
            let value: Value = written.0.to_string().into();
            match (&mut policy.retry, limit(Some(written.0))) {
                (Some(retry), limit) => {
                    retry.per_try_timeout = limit;
                    say("retries.perTryTimeout", value, "timeouts.backendRequest");
                }
                // The only try is the whole request.
                (None, Some(limit)) if policy.timeout.is_none_or(|timeout| limit < timeout) => {
                    policy.timeout = Some(limit);
                    say("timeout", value, "timeouts.backendRequest");
                }
                (None, _) => {}
            }
        }
        if let Some(written) = rule.session {
            let name = session::name(written, document, rule.name, field);
            say("statefulSession", session::as_a_policy_says_it(written, &name), "sessionPersistence");
            policy.session = Some(session::session(written, &name));
        }
        policy
    }

    fn mirrors(&mut self, rule: &Rule<'_>, field: &str) -> Vec<Mirror> {
        let mut mirrors = Vec::new();
        for (index, filter) in &rule.filters {
            let Filter::Mirror(mirror) = filter else { continue };
            let HTTPRequestMirrorFilter { backend_ref, .. } = mirror;
            let field = format!("{field}.filters[{index}].requestMirror.backendRef");
            let found = self.find(&backend_ref.backend(), &field, "no copy is made");
            let percent = filters::share(mirror);
            let found = found.filter(|_| percent > Decimal::ZERO);
            mirrors.extend(found.map(|found| Mirror { cluster: found.cluster.clone(), percent }));
        }
        mirrors
    }

    fn host(&self, backend: &Backend<'_>) -> Host {
        Host::beside_namespace(backend.name, backend.namespace, &self.route.namespace)
    }

    /// Finds a backend, or says that it is not there. `then` is what becomes of requests that are led there.
    fn find(&mut self, backend: &Backend<'_>, field: &str, then: &str) -> Option<Arc<Found>> {
        match self.destinations.find(&self.host(backend), backend.port, None, self.port) {
            Ok(found) => Some(found),
            Err(NotThere { part, message, remedy }) => {
                let field = match part {
                    Part::Host | Part::Subset => format!("{field}.name"),
                    Part::Port => format!("{field}.port"),
                };
                let (message, remedy) = match (part, backend.namespace) {
                    (Part::Host, Some(namespace)) => (absent_from(backend.name, namespace), None),
                    // The one remedy of another dialect names a field of it.
                    _ => (message, remedy.map(|remedy| remedy.replace("write `port: { number: … }`; ", ""))),
                };
                let place = self.route.document.place_of(&field);
                let problem = Diagnostic::warning("matches-nothing", place, field, format!("{message}: {then}"));
                self.problems.push(Diagnostic { remedy, ..problem });
                None
            }
        }
    }
}

/// What to say of a service that is not where its namespace is written.
pub(in crate::policy) fn absent_from(name: &str, namespace: &str) -> String {
    format!("no service of namespace {namespace} is called `{name}`")
}

/// A block of retries: what it leaves out is Istio's default, and no attempts are no retries.
fn retry(written: &HTTPRouteRetry) -> Option<Retry> {
    let HTTPRouteRetry { codes, attempts, backoff } = written;
    let default = istio_retry();
    let attempts = attempts.map_or(default.attempts, |attempts| attempts.0);
    (attempts > 0).then(|| Retry {
        attempts,
        retriable_status_codes: codes.iter().map(|&code| code.into()).collect(),
        back_off: backoff.map(|backoff| BackOff { base: backoff.0.0, longest: None }),
        ..default
    })
}
