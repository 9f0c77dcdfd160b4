//! What the types cannot see: Istio's own validation, and what Envoy would refuse a whole configuration for.

use std::collections::HashMap;

use super::{
    CorsPolicy, Destination, HeaderOperations, Headers, HttpFaultInjection, HttpMatchRequest, HttpRedirect, HttpRetry,
    HttpRewrite, HttpRoute, HttpRouteDestination, MESH_GATEWAY, RouteDestination, StringMatch, VirtualService,
    names_mesh,
};
use crate::{
    diagnostic::Diagnostic,
    model::policy::routing::MAX_DIRECT_RESPONSE_BODY,
    policy::document::{
        export_to::{Nobody, is_dns_label},
        istio_durations, key_segment,
        regex::ANYTHING,
        scalar::Count,
    },
    yaml::{self, UniqueMap},
};

pub(in crate::policy::document) fn check(service: &VirtualService, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut found = Found { source, problems: Vec::new() };
    let VirtualService { hosts, gateways, http, tls, tcp, export_to } = service;
    found.problems.extend(export_to.check(Nobody::Refused, source));
    check_gateways(gateways, "spec.gateways", &mut found);
    found.problems.extend(istio_durations::check(source));
    check_hosts(hosts, names_mesh(gateways), &mut found);
    if http.is_empty() && tls.is_empty() && tcp.is_empty() {
        found.error("spec", "a VirtualService has rules", "add `http`, `tls` or `tcp`");
    }
    if hosts.is_empty() {
        for (field, written) in
            [("spec.gateways", !gateways.is_empty()), ("spec.tls", !tls.is_empty()), ("spec.tcp", !tcp.is_empty())]
        {
            if written {
                let message = "without `hosts` it is one that others delegate to, and then has `http` alone";
                found.error(field, message, "remove it, or add `hosts`");
            }
        }
    }
    for (index, route) in http.iter().enumerate() {
        check_http(route, &format!("spec.http[{index}]"), hosts.is_empty(), &mut found);
    }
    for (index, route) in tls.iter().enumerate() {
        let path = format!("spec.tls[{index}]");
        if route.matches.is_empty() {
            found.error(&path, "a rule of `tls` looks at `sniHosts`", "add `match: [ { sniHosts: [HOST] } ]`");
        }
        for (index, matched) in route.matches.iter().enumerate() {
            let path = format!("{path}.match[{index}]");
            check_gateways(&matched.gateways, &format!("{path}.gateways"), &mut found);
            check_source(matched.source_namespace.as_ref(), &path, &mut found);
            if matched.sni_hosts.is_empty() {
                found.error(&path, "`sniHosts` is missing", "name the hosts of the ClientHello, for example `[HOST]`");
            }
            for (index, host) in matched.sni_hosts.iter().enumerate() {
                check_sni_host(host, hosts, &format!("{path}.sniHosts[{index}]"), &mut found);
            }
        }
        check_l4_route(&route.route, &path, &mut found);
    }
    for (index, route) in tcp.iter().enumerate() {
        let path = format!("spec.tcp[{index}]");
        for (index, matched) in route.matches.iter().enumerate() {
            let path = format!("{path}.match[{index}]");
            check_gateways(&matched.gateways, &format!("{path}.gateways"), &mut found);
            check_source(matched.source_namespace.as_ref(), &path, &mut found);
        }
        check_l4_route(&route.route, &path, &mut found);
    }
    check_unreachable(service, &mut found);
    found.problems
}

struct Found<'a> {
    source: &'a yaml::Document,
    problems: Vec<Diagnostic>,
}

impl Found<'_> {
    fn error(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.source.key_place(path);
        self.problems.push(Diagnostic::error("invalid-value", place, path, message).remedy(remedy));
    }

    fn warning(&mut self, id: &'static str, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.source.key_place(path);
        self.problems.push(Diagnostic::warning(id, place, path, message).remedy(remedy));
    }
}

/// A gateway's name changes nothing for sidecars, here as in Istio; that is said, since nothing serves gateways.
fn check_gateways(gateways: &[String], path: &str, found: &mut Found<'_>) {
    let others = gateways.iter().enumerate().filter(|(_, name)| *name != MESH_GATEWAY);
    for (index, name) in others {
        let path = format!("{path}[{index}]");
        let is_name = |part: &str| part.split('.').all(|label| is_dns_label(&label.to_ascii_lowercase()));
        if !name.split('/').all(is_name) || name.matches('/').count() > 1 {
            let message = format!("`{name}` is no name of a gateway");
            found.error(&path, message, "write `NAMESPACE/NAME`, or `mesh` for the sidecars");
            continue;
        }
        let message = match names_mesh(gateways) {
            true => format!("gateway `{name}` has no effect: only sidecars are served"),
            false => format!("this is for gateway `{name}` and not for sidecars: it has no effect"),
        };
        found.warning("no-effect", &path, message, "remove it, or add `mesh`, which stands for the sidecars");
    }
}

fn check_hosts(hosts: &[String], is_for_mesh: bool, found: &mut Found<'_>) {
    let covers = |one: &str, other: &str| one == other || crate::model::NamePattern::new(one).matches(other);
    for (index, host) in hosts.iter().enumerate() {
        let path = format!("spec.hosts[{index}]");
        // For gateways it would be right, and has no effect here.
        if host != "*" || is_for_mesh {
            check_host(host, &path, true, found);
        }
        if let Some(other) = hosts[..index].iter().find(|other| covers(other, host)) {
            found.error(&path, format!("`{host}` is among `{other}` already"), "remove one of the two");
        } else if let Some(other) = hosts[..index].iter().find(|other| covers(host, other)) {
            found.error(&path, format!("`{other}` is among `{host}`"), "remove one of the two");
        }
    }
}

fn check_host(host: &str, path: &str, may_be_wild: bool, found: &mut Found<'_>) {
    let bare = if may_be_wild { host.strip_prefix("*.").unwrap_or(host) } else { host };
    match crate::model::HostName::new(bare) {
        _ if host == "*" => {
            let message = "`*` would take the traffic of the whole mesh";
            found.error(path, message, "name services, or a domain such as `*.shop.svc.cluster.local`");
        }
        Ok(_) => {}
        Err(error) => found.error(path, format!("`{host}` is no host: {error}"), "write a service's name or full name"),
    }
}

fn check_sni_host(host: &str, hosts: &[String], path: &str, found: &mut Found<'_>) {
    check_host(host, path, true, found);
    let fits = |written: &String| {
        written == host
            || crate::model::NamePattern::new(written).matches(host)
            // A short name means the one with a namespace behind it.
            || (!written.contains('.') && host.starts_with(&format!("{written}.")))
    };
    if !hosts.iter().any(fits) {
        let message = format!("`{host}` is none of the document's hosts");
        found.error(path, message, "add it to `spec.hosts`, or name one of those");
    }
}

fn check_http(route: &HttpRoute, path: &str, is_delegate: bool, found: &mut Found<'_>) {
    for (index, matched) in route.matches.iter().enumerate() {
        check_match(matched, &format!("{path}.match[{index}]"), found);
    }
    check_actions(route, path, is_delegate, found);
    check_destinations(&route.route, path, found);
    if let Some(redirect) = &route.redirect {
        check_redirect(redirect, &format!("{path}.redirect"), found);
    }
    if let Some(response) = &route.direct_response {
        let path = format!("{path}.directResponse");
        check_status(response.status, &format!("{path}.status"), found);
        if let Some(body) = &response.body {
            let length = match (&body.string, &body.bytes) {
                (Some(text), None) => text.len(),
                (None, Some(bytes)) => bytes.0.len(),
                (Some(_), Some(_)) | (None, None) => {
                    found.error(&format!("{path}.body"), "a body is written in one way", "write `string` or `bytes`");
                    0
                }
            };
            if length > MAX_DIRECT_RESPONSE_BODY as usize {
                let message = format!("the body has {length} bytes; {MAX_DIRECT_RESPONSE_BODY} are the most");
                found.error(&format!("{path}.body"), message, "lead to a service that serves it");
            }
        }
    }
    if let Some(rewrite) = &route.rewrite {
        check_rewrite(rewrite, route, &format!("{path}.rewrite"), found);
    }
    if let Some(retries) = &route.retries {
        check_retries(retries, &format!("{path}.retries"), found);
    }
    if let Some(fault) = &route.fault {
        check_fault(fault, &format!("{path}.fault"), found);
    }
    if let Some(cors) = &route.cors_policy {
        check_cors(cors, &format!("{path}.corsPolicy"), found);
    }
    check_mirrors(route, path, found);
    check_headers(&route.headers, &format!("{path}.headers"), found);
}

/// A route does one thing.
fn check_actions(route: &HttpRoute, path: &str, is_delegate: bool, found: &mut Found<'_>) {
    let actions = [
        ("route", !route.route.is_empty()),
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("delegate", route.delegate.is_some()),
    ];
    let written: Vec<&str> = actions.iter().filter(|(_, written)| *written).map(|(name, _)| *name).collect();
    match written.as_slice() {
        [] => found.error(path, "this rule does nothing", "add `route`, `redirect`, `directResponse` or `delegate`"),
        [_] => {}
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other");
            found.error(&format!("{path}.{second}"), message, "keep one of the two");
        }
    }
    if route.delegate.is_some() {
        let message = "`delegate` is not supported yet";
        found.error(&format!("{path}.delegate"), message, "write the rules of the other VirtualService here");
    }
    if is_delegate && route.delegate.is_some() {
        let message = "what is delegated to cannot delegate";
        found.error(&format!("{path}.delegate"), message, "write the rules of the other VirtualService here");
    }
    for (action, written) in &actions[1..3] {
        let excluded = [
            ("fault", route.fault.is_some()),
            ("rewrite", route.rewrite.is_some()),
            ("timeout", route.timeout.is_some()),
            ("retries", route.retries.is_some()),
            ("mirror", route.mirror.is_some()),
            ("mirrors", !route.mirrors.is_empty()),
        ];
        for (field, _) in excluded.iter().filter(|(_, excluded)| *written && *excluded) {
            let message = format!("`{field}` has no effect beside `{action}`: the request goes nowhere");
            found.error(&format!("{path}.{field}"), message, format!("remove `{field}`"));
        }
    }
}

fn check_destinations(destinations: &[HttpRouteDestination], path: &str, found: &mut Found<'_>) {
    let weights: Vec<u32> = destinations.iter().map(|destination| destination.weight.unwrap_or(0)).collect();
    check_weights(&weights, path, found);
    for (index, destination) in destinations.iter().enumerate() {
        let path = format!("{path}.route[{index}]");
        check_destination(&destination.destination, &format!("{path}.destination"), found);
        check_headers(&destination.headers, &format!("{path}.headers"), found);
    }
}

fn check_l4_route(destinations: &[RouteDestination], path: &str, found: &mut Found<'_>) {
    if destinations.is_empty() {
        found.error(path, "`route` is missing", "add `route: [ { destination: { host: NAME } } ]`");
    }
    let weights: Vec<u32> = destinations.iter().map(|destination| destination.weight.unwrap_or(0)).collect();
    check_weights(&weights, path, found);
    for (index, destination) in destinations.iter().enumerate() {
        check_destination(&destination.destination, &format!("{path}.route[{index}].destination"), found);
    }
}

fn check_weights(weights: &[u32], path: &str, found: &mut Found<'_>) {
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    if weights.len() > 1 && sum == 0 {
        found.error(&format!("{path}.route"), "the weights add up to 0", "give each destination a `weight`");
    }
    if sum > u64::from(u32::MAX) {
        let message = format!("the weights add up to {sum}: Envoy takes {} at most", u32::MAX);
        found.error(&format!("{path}.route"), message, "write smaller weights in the same proportion");
    }
}

fn check_destination(destination: &Destination, path: &str, found: &mut Found<'_>) {
    check_host(&destination.host, &format!("{path}.host"), false, found);
}

fn check_match(matched: &HttpMatchRequest, path: &str, found: &mut Found<'_>) {
    if let Some(uri) = &matched.uri {
        check_string(uri, &format!("{path}.uri"), Emptiness::Allowed, found);
        for (field, text) in [("exact", &uri.exact), ("prefix", &uri.prefix)] {
            if let Some(text) = text
                && !text.starts_with('/')
                && !(field == "prefix" && text.is_empty())
            {
                let message = format!("`{text}` matches no path: a path begins with `/`");
                found.warning("matches-nothing", &format!("{path}.uri.{field}"), message, format!("write `/{text}`"));
            }
        }
        if matched.ignore_uri_case && uri.regex.is_some() {
            let message = "a regular expression does not ignore case by `ignoreUriCase`";
            found.error(&format!("{path}.ignoreUriCase"), message, "begin the expression with `(?i)`");
        }
    }
    for (field, text) in [("scheme", &matched.scheme), ("method", &matched.method), ("authority", &matched.authority)] {
        if let Some(text) = text {
            check_string(text, &format!("{path}.{field}"), Emptiness::Refused, found);
        }
    }
    for (field, headers) in [("headers", &matched.headers), ("withoutHeaders", &matched.without_headers)] {
        for (name, value) in &headers.0 {
            let path = format!("{path}.{field}{}", key_segment(name));
            let pseudo = ["uri", "scheme", "method", "authority"].contains(&name.as_str());
            if pseudo {
                let message = format!("`{name}` is no header here");
                found.error(&path, message, format!("use the match's own field `{name}`"));
            } else if name.starts_with('@') {
                let message = "claims of a token are looked at by gateways alone";
                found.error(&path, message, "match a header that the gateway sets");
            } else if !is_header_name(name) && !name.starts_with(':') {
                found.error(&path, format!("`{name}` is no header name"), "use letters, digits and `-`");
            }
            match value {
                Some(value) => check_string(value, &path, Emptiness::Present, found),
                None => found.error(&path, "this is compared with nothing", "write `{}` for a header that is there"),
            }
        }
    }
    for (name, value) in &matched.query_params.0 {
        if let Some(value) = value {
            check_string(value, &format!("{path}.queryParams{}", key_segment(name)), Emptiness::Present, found);
        }
    }
    check_gateways(&matched.gateways, &format!("{path}.gateways"), found);
    check_source(matched.source_namespace.as_ref(), path, found);
}

fn check_source(namespace: Option<&String>, path: &str, found: &mut Found<'_>) {
    if let Some(namespace) = namespace.filter(|namespace| !is_dns_label(namespace)) {
        let message = format!("`{namespace}` is no name of a namespace");
        found.error(&format!("{path}.sourceNamespace"), message, "use lower-case letters, digits and `-`");
    }
}

/// What `{}` and an empty text mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emptiness {
    /// `{}` is a mistake; an empty text is none.
    Allowed,
    /// Both are.
    Refused,
    /// `{}` asks whether there is such a thing.
    Present,
}

fn check_string(text: &StringMatch, path: &str, emptiness: Emptiness, found: &mut Found<'_>) {
    let StringMatch { exact, prefix, regex } = text;
    if let Some(pattern) = regex {
        let is_anything = pattern.0 == ANYTHING;
        if is_anything && emptiness != Emptiness::Present {
            found.error(&format!("{path}.regex"), "`*` is no regular expression", "write `.*` for anything");
        } else if pattern.0.is_empty() && emptiness != Emptiness::Allowed {
            found.error(&format!("{path}.regex"), "an empty regular expression", "write what it matches");
        }
    }
    let written: Vec<&str> =
        [("exact", exact.as_ref()), ("prefix", prefix.as_ref()), ("regex", regex.as_ref().map(|regex| &regex.0))]
            .into_iter()
            .filter_map(|(name, text)| text.map(|_| name))
            .collect();
    match written.as_slice() {
        [] if emptiness != Emptiness::Present => {
            found.error(path, "this says nothing", "write `exact`, `prefix` or `regex`");
        }
        [] => {}
        [_] => {
            let empty_prefix = prefix.as_deref() == Some("");
            let empty = emptiness == Emptiness::Refused && exact.as_deref() == Some("");
            if empty_prefix && emptiness != Emptiness::Allowed {
                found.error(&format!("{path}.prefix"), "an empty prefix", "write `{}`, or what it begins with");
            } else if empty {
                found.error(&format!("{path}.exact"), "this is never empty", "write the value");
            }
        }
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other");
            found.error(&format!("{path}.{second}"), message, "keep one, or write two matches");
        }
    }
}

pub(in crate::policy::document) fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

pub(in crate::policy::document) fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b) || b >= 0x80)
}

fn check_redirect(redirect: &HttpRedirect, path: &str, found: &mut Found<'_>) {
    let HttpRedirect { uri, authority, port, derive_port, scheme, redirect_code } = redirect;
    let says_nothing = [uri, authority, scheme].into_iter().all(|text| text.as_deref().unwrap_or_default().is_empty());
    if says_nothing && port.is_none() && derive_port.is_none() {
        found.error(path, "this leads back to where the client is", "write `uri`, `authority`, `scheme` or `port`");
    }
    if port.is_some() && derive_port.is_some() {
        found.error(&format!("{path}.derivePort"), "`port` and `derivePort` exclude each other", "keep one");
    }
    if let Some(scheme) = scheme
        && !["http", "https"].contains(&scheme.as_str())
    {
        found.error(&format!("{path}.scheme"), format!("`{scheme}` is no scheme"), "write `http` or `https`");
    }
    if let Some(code) = redirect_code
        && ![301, 302, 303, 307, 308].contains(code)
    {
        let message = format!("Envoy redirects with no status {code}");
        found.error(&format!("{path}.redirectCode"), message, "write 301, 302, 303, 307 or 308");
    }
    for (field, text) in [("uri", uri), ("authority", authority)] {
        if text.as_deref().is_some_and(|text| !is_header_value(text)) {
            found.error(&format!("{path}.{field}"), "a character that no header has", "remove it");
        }
    }
}

fn check_status(status: u16, path: &str, found: &mut Found<'_>) {
    if !(200..600).contains(&status) {
        found.error(path, format!("{status} is no status of an answer"), "write one from 200 to 599");
    }
}

fn check_rewrite(rewrite: &HttpRewrite, route: &HttpRoute, path: &str, found: &mut Found<'_>) {
    let HttpRewrite { uri, authority, uri_regex_rewrite } = rewrite;
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if empty(uri) && empty(authority) && uri_regex_rewrite.is_none() {
        found.error(path, "this rewrites nothing", "write `uri`, `uriRegexRewrite` or `authority`");
    }
    if !empty(uri) && uri_regex_rewrite.is_some() {
        let message = "`uri` and `uriRegexRewrite` exclude each other";
        found.error(&format!("{path}.uriRegexRewrite"), message, "keep one");
    }
    if let Some(regex) = uri_regex_rewrite {
        if regex.pattern.0 == ANYTHING {
            let message = "`*` is no regular expression";
            found.error(&format!("{path}.uriRegexRewrite.match"), message, "write `.*` for anything");
        }
        if regex.pattern.0.is_empty() || regex.rewrite.is_empty() {
            let message = "`match` and `rewrite` are both needed";
            found.error(&format!("{path}.uriRegexRewrite"), message, "write what is replaced, and by what");
        }
        check_substitution(&regex.pattern.0, &regex.rewrite, &format!("{path}.uriRegexRewrite.rewrite"), found);
    }
    let set = [&route.headers.request.set, &route.headers.request.add];
    let sets_authority = set.iter().any(|headers| headers.0.keys().any(|name| is_authority(name)));
    if !empty(authority) && sets_authority {
        let message = "the host is rewritten here and in `headers.request`";
        found.error(&format!("{path}.authority"), message, "keep one");
    }
    for (field, text) in [("uri", uri), ("authority", authority)] {
        if text.as_deref().is_some_and(|text| !is_header_value(text)) {
            found.error(&format!("{path}.{field}"), "a character that no header has", "remove it");
        }
    }
}

/// Envoy refuses a substitution that names a group that the pattern does not have, or has a lone backslash.
fn check_substitution(pattern: &str, substitution: &str, path: &str, found: &mut Found<'_>) {
    let groups = capture_groups(pattern);
    let mut characters = substitution.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            continue;
        }
        match characters.next() {
            Some('\\') => {}
            Some(digit) if digit.to_digit(10).is_some_and(|digit| digit <= groups) => {}
            Some(digit) if digit.is_ascii_digit() => {
                let message = format!("there is no group {digit}: the pattern has {groups}");
                found.error(path, message, r"write `\0` for all that was found, or add a group");
            }
            Some(_) | None => {
                found.error(path, "a backslash alone", r"write `\\` for a backslash, `\1` for the first group");
            }
        }
    }
}

fn capture_groups(pattern: &str) -> u32 {
    let (mut groups, mut escaped, mut in_class) = (0, false, false);
    let characters: Vec<char> = pattern.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                let named = characters[at + 1..].starts_with(&['?', 'P', '<']);
                let named = named || characters[at + 1..].starts_with(&['?', '<']);
                groups += u32::from(named || characters.get(at + 1) != Some(&'?'));
            }
            _ => {}
        }
    }
    groups
}

fn check_retries(retries: &HttpRetry, path: &str, found: &mut Found<'_>) {
    let HttpRetry {
        attempts,
        per_try_timeout,
        retry_on,
        retry_remote_localities,
        retry_ignore_previous_hosts,
        backoff,
    } = retries;
    let says_more = per_try_timeout.is_some()
        || retry_on.is_some()
        || retry_remote_localities.is_some()
        || retry_ignore_previous_hosts.is_some()
        || backoff.is_some();
    if attempts.is_none_or(|attempts| attempts.0 == 0) && says_more {
        let message = match attempts {
            Some(_) => "with 0 attempts the rest of `retries` has no effect",
            None => "`attempts` is missing, which is 0: the rest of `retries` has no effect",
        };
        found.error(&format!("{path}.attempts"), message, "write `attempts` above 0, or remove the rest");
    }
    if backoff.is_some_and(|backoff| backoff.0 < std::time::Duration::from_millis(1)) {
        found.error(&format!("{path}.backoff"), "Envoy's back-off is 1 ms at least", "write `1ms` or more");
    }
}

fn check_fault(fault: &HttpFaultInjection, path: &str, found: &mut Found<'_>) {
    let HttpFaultInjection { delay, abort } = fault;
    if delay.is_none() && abort.is_none() {
        found.error(path, "this fault is none", "add `delay` or `abort`");
    }
    if let Some(delay) = delay {
        let path = format!("{path}.delay");
        match delay.fixed_delay {
            None => found.error(&path, "`fixedDelay` is missing", "say how long, for example `fixedDelay: 5s`"),
            Some(span) if span.0.is_zero() => {
                found.error(&format!("{path}.fixedDelay"), "Envoy takes no zero here", "write a duration above 0s");
            }
            Some(_) => {}
        }
        check_old_percent(delay.percent, &format!("{path}.percent"), "percentage", found);
        if delay.percentage.is_none() && delay.percent.is_none() {
            let message = "without `percentage` no request waits";
            found.warning("no-effect", &path, message, "write `percentage: { value: 100 }`");
        }
    }
    if let Some(abort) = abort {
        let path = format!("{path}.abort");
        match (abort.http_status, abort.grpc_status) {
            (Some(status), None) => check_status(status, &format!("{path}.httpStatus"), found),
            (None, Some(_)) => {}
            (Some(_), Some(_)) => {
                let message = "`httpStatus` and `grpcStatus` exclude each other";
                found.error(&format!("{path}.grpcStatus"), message, "keep one");
            }
            (None, None) => found.error(&path, "it aborts with nothing", "write `httpStatus` or `grpcStatus`"),
        }
        if abort.percentage.is_none() {
            let message = "without `percentage` no request is aborted";
            found.warning("no-effect", &path, message, "write `percentage: { value: 100 }`");
        }
    }
}

fn check_old_percent(percent: Option<Count>, path: &str, newer: &str, found: &mut Found<'_>) {
    if percent.is_some_and(|percent| percent.0 > 100) {
        found.error(path, "a percentage is 100 at most", format!("write `{newer}: {{ value: 100 }}`"));
    }
}

fn check_cors(cors: &CorsPolicy, path: &str, found: &mut Found<'_>) {
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        check_string(origin, &format!("{path}.allowOrigins[{index}]"), Emptiness::Refused, found);
    }
    if !cors.allow_origin.is_empty() && !cors.allow_origins.is_empty() {
        let message = "`allowOrigin` is the older form of `allowOrigins`, and counts for nothing beside it";
        found.error(&format!("{path}.allowOrigin"), message, "write each as `{ exact: … }` in `allowOrigins`");
    }
    for (index, method) in cors.allow_methods.iter().enumerate() {
        const METHODS: [&str; 10] =
            ["*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
        if !METHODS.contains(&method.as_str()) {
            let remedy = yaml::did_you_mean(method, METHODS).unwrap_or_default();
            found.error(&format!("{path}.allowMethods[{index}]"), format!("`{method}` is no method"), remedy);
        }
    }
    for (field, names) in [("allowHeaders", &cors.allow_headers), ("exposeHeaders", &cors.expose_headers)] {
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !is_header_name(name)) {
            let message = format!("`{name}` is no header name");
            found.error(&format!("{path}.{field}[{index}]"), message, "use letters, digits and `-`, or `*`");
        }
    }
    if cors.max_age.is_some_and(|age| age.0.subsec_nanos() != 0) {
        found.error(
            &format!("{path}.maxAge"),
            "browsers count whole seconds",
            "write whole seconds, for example `24h`",
        );
    }
}

fn check_mirrors(route: &HttpRoute, path: &str, found: &mut Found<'_>) {
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        found.error(&format!("{path}.mirrors"), "`mirror` and `mirrors` exclude each other", "keep `mirrors`");
    }
    for (field, written) in
        [("mirrorPercentage", route.mirror_percentage.is_some()), ("mirrorPercent", route.mirror_percent.is_some())]
    {
        if written && route.mirror.is_none() {
            let message = format!("`{field}` is of `mirror`, which is not there");
            found.error(&format!("{path}.{field}"), message, "add `mirror`, or write `percentage` in `mirrors`");
        }
    }
    if route.mirror_percent.is_some() && route.mirror_percentage.is_some() {
        let message = "`mirrorPercent` is the older form of `mirrorPercentage`, and counts for nothing beside it";
        found.error(&format!("{path}.mirrorPercent"), message, "remove it");
    }
    check_old_percent(route.mirror_percent, &format!("{path}.mirrorPercent"), "mirrorPercentage", found);
    if let Some(mirror) = &route.mirror {
        check_destination(mirror, &format!("{path}.mirror"), found);
    }
    for (index, mirror) in route.mirrors.iter().enumerate() {
        check_destination(&mirror.destination, &format!("{path}.mirrors[{index}].destination"), found);
    }
}

/// Envoy refuses to change what carries the request itself; the host goes by `rewrite`.
fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

fn check_headers(headers: &Headers, path: &str, found: &mut Found<'_>) {
    let Headers { request, response } = headers;
    for (field, operations, is_request) in [("request", request, true), ("response", response, false)] {
        let path = format!("{path}.{field}");
        let HeaderOperations { set, add, remove } = operations;
        for (kind, headers) in [("set", set), ("add", add)] {
            check_header_values(headers, &format!("{path}.{kind}"), is_request, found);
        }
        let hosts = set.0.keys().chain(add.0.keys()).filter(|name| is_request && is_authority(name));
        if hosts.count() > 1 {
            found.error(&path, "the host is set more than once", "keep one");
        }
        for (index, name) in remove.iter().enumerate().filter(|(_, name)| !may_be_changed(name)) {
            let message = format!("`{name}` cannot be removed");
            found.error(
                &format!("{path}.remove[{index}]"),
                message,
                "name a header other than host and those with `:`",
            );
        }
    }
}

fn check_header_values(headers: &UniqueMap<String, String>, path: &str, is_request: bool, found: &mut Found<'_>) {
    for (name, value) in &headers.0 {
        let path = format!("{path}{}", key_segment(name));
        let may = may_be_changed(name) || is_request && is_authority(name);
        if !may {
            let message = format!("`{name}` cannot be changed");
            found.error(&path, message, "name a header other than those with `:`");
        }
        if !is_header_value(value) {
            found.error(&path, "a character that no header has", "remove it");
        } else if let Some((message, remedy)) = wrong_format(value) {
            found.error(&path, message, remedy);
        }
    }
}

fn may_be_changed(name: &str) -> bool {
    is_header_name(name) && !is_authority(name)
}

/// Commands of Envoy's that stand alone in a header's value, and those that need a name in parentheses.
const COMMANDS: [&str; 18] = [
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_PORT",
    "HOSTNAME",
    "PROTOCOL",
    "REQUESTED_SERVER_NAME",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_FLAGS",
    "ROUTE_NAME",
    "START_TIME",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_REMOTE_ADDRESS",
];
const COMMANDS_OF_A_NAME: [&str; 2] = ["REQ", "RESP"];

/// Envoy reads values as format strings (`%REQ(x)%`), and refuses a whole configuration for one that is wrong.
fn wrong_format(value: &str) -> Option<(String, String)> {
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            rest = after;
            continue;
        }
        let Some((command, after)) = rest.split_once('%') else {
            let message = "a percent sign begins a command of Envoy's, which ends with another".to_owned();
            return Some((message, "write `%%` for a percent sign".to_owned()));
        };
        let name = command.split_once('(').map(|(name, _)| name);
        let is_known = match (name, command.strip_suffix(')')) {
            (Some(name), Some(inner)) => {
                let argument = inner.split_once('(').map_or("", |(_, argument)| argument);
                COMMANDS_OF_A_NAME.contains(&name)
                    && argument.split('?').all(|name| is_header_name(name.trim_start_matches(':')))
            }
            (None, _) => COMMANDS.contains(&command),
            (Some(_), None) => false,
        };
        if !is_known {
            let known = COMMANDS.iter().chain(&COMMANDS_OF_A_NAME).copied();
            let nearest = yaml::nearest(name.unwrap_or(command), known);
            let remedy = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`? (`%%` is a percent sign)"),
                None => "write `%%` for a percent sign, or a command such as `%REQ(x-request-id)%`".to_owned(),
            };
            return Some((format!("`%{command}%` is no command of Envoy's for a header"), remedy));
        }
        rest = after;
    }
    None
}

/// A rule behind one that takes everything is never reached, as one that is there twice.
fn check_unreachable(service: &VirtualService, found: &mut Found<'_>) {
    let catch_all = service.http.iter().position(|route| route.matches.is_empty());
    let remedy = "move it before that rule, or remove it";
    for index in catch_all.map_or(0..0, |first| first + 1..service.http.len()) {
        let message = format!("this rule is never reached: spec.http[{}] takes every request", catch_all.unwrap_or(0));
        found.warning("unreachable-rule", &format!("spec.http[{index}]"), message, remedy);
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (index, route) in service.http.iter().enumerate() {
        for (at, matched) in route.matches.iter().enumerate() {
            // Everything a match says takes part in how it is printed for debugging.
            let said = format!("{:?}", HttpMatchRequest { name: None, ..matched.clone() });
            if let Some(first) = seen.get(&said) {
                let message = format!("this match is never reached: spec.http[{first}] has it already");
                found.warning("unreachable-rule", &format!("spec.http[{index}].match[{at}]"), message, remedy);
            } else {
                seen.insert(said, index);
            }
        }
    }
}
