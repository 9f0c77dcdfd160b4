//! What the types cannot see: the Gateway API's own validation, and what Envoy would refuse a whole configuration for.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
};

use super::{
    AnyFilter, Backend, BackendRef, GRPCMethodMatch, GRPCRoute, HTTPHeaderMatch, HTTPPathMatch, HTTPRoute,
    HTTPRouteMatch, HTTPRouteRetry, HTTPRouteRule, HTTPRouteTimeouts, ParentReference, PathMatchType,
    SessionPersistence, ValueMatchType, check_filters, check_session,
    reference::{GATEWAY_GROUP, GATEWAY_KIND, SERVICE_KIND},
};
use crate::{
    diagnostic::Diagnostic,
    policy::document::{regex, virtual_service::is_header_name},
    yaml,
};

pub(in crate::policy::document) fn http_route(route: &HTTPRoute, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut found = Found { source, problems: Vec::new() };
    check_common(&route.parent_refs, &route.hostnames, &mut found);
    check_names(route.rules.iter().map(|rule| rule.name.as_deref()), &mut found);
    let matches = route.rules.iter().map(|rule| rule.matches.as_slice());
    check_unreachable(matches, &mut found);
    for (index, rule) in route.rules.iter().enumerate() {
        check_http_rule(rule, &format!("spec.rules[{index}]"), &mut found);
    }
    found.problems
}

pub(in crate::policy::document) fn grpc_route(route: &GRPCRoute, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut found = Found { source, problems: Vec::new() };
    check_common(&route.parent_refs, &route.hostnames, &mut found);
    check_names(route.rules.iter().map(|rule| rule.name.as_deref()), &mut found);
    check_unreachable(route.rules.iter().map(|rule| rule.matches.as_slice()), &mut found);
    for (index, rule) in route.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        for (index, matched) in rule.matches.iter().enumerate() {
            let path = format!("{path}.matches[{index}]");
            if let Some(method) = &matched.method {
                check_grpc_method(method, &format!("{path}.method"), &mut found);
            }
            check_values(&matched.headers, &format!("{path}.headers"), "header", &mut found);
        }
        check_filters::of_rule(&rule.filters, &path, &mut found);
        check_backends(&rule.backend_refs, &path, &mut found);
        check_sessions(rule.session_persistence.as_ref(), &rule.backend_refs, &path, &mut found);
    }
    found.problems
}

pub(super) struct Found<'a> {
    source: &'a yaml::Document,
    problems: Vec<Diagnostic>,
}

impl Found<'_> {
    pub fn error(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.source.key_place(path);
        self.problems.push(Diagnostic::error("invalid-value", place, path, message).remedy(remedy));
    }

    pub fn unsupported(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.source.key_place(path);
        self.problems.push(Diagnostic::error("unsupported", place, path, message).remedy(remedy));
    }

    pub fn warning(&mut self, id: &'static str, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.source.key_place(path);
        self.problems.push(Diagnostic::warning(id, place, path, message).remedy(remedy));
    }
}

fn check_common(parents: &[ParentReference], hostnames: &[String], found: &mut Found<'_>) {
    if parents.is_empty() {
        let message = "a route is attached to services, which are its parents: this one has no effect";
        found.error("spec.parentRefs", message, "write `parentRefs: [ { group: \"\", kind: Service, name: NAME } ]`");
    }
    for (index, parent) in parents.iter().enumerate() {
        let path = format!("spec.parentRefs[{index}]");
        if !parent.is_service() {
            let kind = parent.kind.as_deref().unwrap_or(GATEWAY_KIND);
            let group = parent.group.as_deref().unwrap_or(GATEWAY_GROUP);
            let message =
                format!("{kind} `{}` of the group \"{group}\" is no parent here: only services are", parent.name);
            found.unsupported(&path, message, "write `group: \"\"` and `kind: Service`, or remove it");
        }
        if parents[..index].contains(parent) {
            found.error(&path, "this parent stands twice", "remove one of the two");
        }
    }
    if !hostnames.is_empty() {
        let message = "`hostnames` have no effect for services: requests are led by the service that is dialled";
        let remedy = "remove it, or match the header `Host`";
        found.warning("no-effect", "spec.hostnames", message, remedy);
    }
}

fn check_names<'r>(names: impl Iterator<Item = Option<&'r str>>, found: &mut Found<'_>) {
    let mut seen = HashSet::new();
    let mut rules = 0;
    for (index, name) in names.enumerate() {
        rules += 1;
        if let Some(name) = name
            && !seen.insert(name)
        {
            let message = format!("another rule is called `{name}`");
            found.error(&format!("spec.rules[{index}].name"), message, "rename one of the two");
        }
    }
    if rules == 0 {
        found.error(
            "spec.rules",
            "a route has rules",
            "write `rules: [ { backendRefs: [ { name: NAME, port: 80 } ] } ]`",
        );
    }
}

/// A match that is there twice takes nothing the second time.
fn check_unreachable<'r, M: Debug + 'r>(rules: impl Iterator<Item = &'r [M]>, found: &mut Found<'_>) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for (rule, matches) in rules.enumerate() {
        for (index, matched) in matches.iter().enumerate() {
            let path = format!("spec.rules[{rule}].matches[{index}]");
            // Everything a match says takes part in how it is printed for debugging.
            let said = format!("{matched:?}");
            if let Some(first) = seen.get(&said) {
                let message = format!("this match is never reached: {first} has it already");
                found.warning("unreachable-rule", &path, message, "remove it");
            } else {
                seen.insert(said, path);
            }
        }
    }
}

fn check_http_rule(rule: &HTTPRouteRule, path: &str, found: &mut Found<'_>) {
    for (index, matched) in rule.matches.iter().enumerate() {
        check_match(matched, &format!("{path}.matches[{index}]"), found);
    }
    check_filters::of_rule(&rule.filters, path, found);
    check_filters::of_paths(&rule.filters, &rule.matches, path, found);
    check_filters::of_redirect(rule, path, found);
    check_backends(&rule.backend_refs, path, found);
    if !rule.filters.iter().any(|filter| filter.request_redirect.is_some()) {
        check_sessions(rule.session_persistence.as_ref(), &rule.backend_refs, path, found);
    }
    if let Some(timeouts) = &rule.timeouts {
        check_timeouts(timeouts, &format!("{path}.timeouts"), found);
    }
    if let Some(retry) = &rule.retry {
        check_retry(retry, &format!("{path}.retry"), found);
    }
}

fn check_match(matched: &HTTPRouteMatch, path: &str, found: &mut Found<'_>) {
    if let Some(HTTPPathMatch { kind, value: Some(value) }) = &matched.path {
        let path = format!("{path}.path.value");
        match kind {
            PathMatchType::RegularExpression => check_regex(value, &path, found),
            PathMatchType::Exact | PathMatchType::PathPrefix => check_path(value, &path, found),
        }
    }
    check_values(&matched.headers, &format!("{path}.headers"), "header", found);
    check_values(&matched.query_params, &format!("{path}.queryParams"), "query parameter", found);
}

/// What a path to compare with may be: what Envoy sees is normalised, so that some of it can never be there.
fn check_path(value: &str, path: &str, found: &mut Found<'_>) {
    if !value.starts_with('/') {
        let message = format!("`{value}` matches no path: a path begins with `/`");
        found.error(path, message, format!("write `/{value}`"));
    }
    let lower = value.to_ascii_lowercase();
    let never = ["//", "/./", "/../", "%2f", "#", "?"].into_iter().find(|part| lower.contains(part));
    let never = never.or_else(|| ["/..", "/."].into_iter().find(|end| value.ends_with(end)));
    if let Some(never) = never {
        found.error(path, format!("`{never}` stands in no path that is compared"), "write the path without it");
    }
}

fn check_regex(pattern: &str, path: &str, found: &mut Found<'_>) {
    if let Err(reason) = regex::check(pattern) {
        let message = format!("`{pattern}` is no regular expression: {reason}");
        found.error(path, message, "write it in RE2's syntax");
    }
}

fn check_values(values: &[HTTPHeaderMatch], path: &str, what: &str, found: &mut Found<'_>) {
    for (index, value) in values.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check_header_name(&value.name, &format!("{path}.name"), what, found);
        if value.value.is_empty() {
            found.error(&format!("{path}.value"), "an empty value", "write what it is compared with");
        }
        if value.kind == ValueMatchType::RegularExpression {
            check_regex(&value.value, &format!("{path}.value"), found);
        }
        let is_header = what == "header";
        check_once(values[..index].iter().map(|value| &*value.name), &value.name, is_header, &path, found);
    }
}

pub(super) fn check_header_name(name: &str, path: &str, what: &str, found: &mut Found<'_>) {
    if !is_header_name(name) {
        found.error(path, format!("`{name}` is no name of a {what}"), "use letters, digits and `-`");
    }
}

/// Of several entries for one name the first counts; one that is there word for word is a mistake.
pub(super) fn check_once<'n>(
    mut before: impl Iterator<Item = &'n str> + Clone,
    name: &str,
    ignores_case: bool,
    path: &str,
    found: &mut Found<'_>,
) {
    if before.clone().any(|other| other == name) {
        found.error(path, format!("`{name}` stands twice"), "remove one of the two");
    } else if ignores_case && before.any(|other| other.eq_ignore_ascii_case(name)) {
        let message = format!("`{name}` has no effect: the first entry for a name counts, whatever its case");
        found.warning("no-effect", path, message, "remove one of the two");
    }
}

fn check_grpc_method(method: &GRPCMethodMatch, path: &str, found: &mut Found<'_>) {
    let GRPCMethodMatch { kind, service, method } = method;
    let names = [("service", service), ("method", method)];
    if names.iter().all(|(_, name)| name.as_deref().unwrap_or_default().is_empty()) {
        found.error(path, "this says nothing", "write `service`, `method`, or both");
    }
    for (field, name) in names {
        let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else { continue };
        let path = format!("{path}.{field}");
        match kind {
            ValueMatchType::RegularExpression => check_regex(name, &path, found),
            ValueMatchType::Exact => {
                let is_identifier = |part: &str| {
                    let mut bytes = part.bytes();
                    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
                        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                };
                let is_name = match field {
                    "service" => name.strip_prefix('.').unwrap_or(name).split('.').all(is_identifier),
                    _ => is_identifier(name),
                };
                if !is_name {
                    let message = format!("`{name}` is no name of a {field}");
                    found.error(&path, message, "use letters, digits and `_`, as in the `.proto` file");
                }
            }
        }
    }
}

fn check_backends<F: AnyFilter>(backends: &[BackendRef<F>], path: &str, found: &mut Found<'_>) {
    const LARGEST: u32 = 1_000_000;
    for (index, backend) in backends.iter().enumerate() {
        let path = format!("{path}.backendRefs[{index}]");
        check_backend(&backend.backend(), &path, found);
        if let Some(weight) = backend.weight.filter(|weight| *weight > LARGEST) {
            let message = format!("{weight} is above {LARGEST}, the largest weight");
            found.error(&format!("{path}.weight"), message, "write smaller weights in the same proportion");
        }
        check_filters::of_backend(&backend.filters, &path, found);
    }
}

fn check_sessions<F>(
    session: Option<&SessionPersistence>,
    backends: &[BackendRef<F>],
    path: &str,
    found: &mut Found<'_>,
) {
    if let Some(session) = session {
        check_session::check(session, backends.len(), path, found);
    }
}

pub(super) fn check_backend(backend: &Backend<'_>, path: &str, found: &mut Found<'_>) {
    let kind = backend.kind.unwrap_or(SERVICE_KIND);
    let group = backend.group.unwrap_or_default();
    if kind != SERVICE_KIND || !group.is_empty() {
        let message =
            format!("{kind} `{}` of the group \"{group}\" is no backend here: only services are", backend.name);
        found.unsupported(path, message, "name a Service");
    } else if backend.port.is_none() {
        let message = format!("`port` is missing: which port of {}?", backend.name);
        found.error(path, message, "add `port:`");
    }
}

fn check_timeouts(timeouts: &HTTPRouteTimeouts, path: &str, found: &mut Found<'_>) {
    let HTTPRouteTimeouts { request, backend_request } = timeouts;
    if let (Some(request), Some(backend)) = (request, backend_request)
        && !request.0.0.is_zero()
        && backend.0.0 > request.0.0
    {
        let message = format!("`{}` is longer than `request`, {}", backend.0, request.0);
        found.error(&format!("{path}.backendRequest"), message, "write the same or less");
    }
}

fn check_retry(retry: &HTTPRouteRetry, path: &str, found: &mut Found<'_>) {
    let HTTPRouteRetry { codes, attempts, backoff } = retry;
    for (index, code) in codes.iter().enumerate().filter(|(_, code)| !(400..600).contains(*code)) {
        let message = format!("{code} is no status of a failure");
        found.error(&format!("{path}.codes[{index}]"), message, "write one from 400 to 599");
    }
    if attempts.is_some_and(|attempts| attempts.0 == 0) && (!codes.is_empty() || backoff.is_some()) {
        let message = "with 0 attempts the rest of `retry` has no effect";
        found.error(&format!("{path}.attempts"), message, "write `attempts` above 0, or remove the rest");
    }
    if backoff.is_some_and(|backoff| backoff.0.0 < std::time::Duration::from_millis(1)) {
        found.error(&format!("{path}.backoff"), "Envoy's back-off is 1 ms at least", "write `1ms` or more");
    }
}

/// Every filter of a list, with its path.
pub(super) fn listed<'f, F: AnyFilter>(filters: &'f [F], path: &str) -> impl Iterator<Item = (String, &'f F)> {
    let path = path.to_owned();
    filters.iter().enumerate().map(move |(index, filter)| (format!("{path}.filters[{index}]"), filter))
}
