//! What filters may say, and beside what they may stand.

use std::collections::HashMap;

use super::{
    AnyFilter, Filter, HTTPCORSFilter, HTTPHeader, HTTPHeaderFilter, HTTPMethod, HTTPPathModifier,
    HTTPPathModifierType, HTTPRequestMirrorFilter, HTTPRequestRedirectFilter, HTTPRouteFilter, HTTPRouteMatch,
    HTTPRouteRule, HTTPURLRewriteFilter, PathMatchType,
    check::{Found, check_backend, check_header_name, check_once, listed},
};
use crate::{model::HostName, policy::document::virtual_service::is_header_value, yaml::did_you_mean};

/// The filters of a rule.
pub(super) fn of_rule<F: AnyFilter>(filters: &[F], path: &str, found: &mut Found<'_>) {
    let mut seen: HashMap<&str, String> = HashMap::new();
    for (path, filter) in listed(filters, path) {
        let Some(what) = check_type(filter, &path, found) else { continue };
        check_filter(what, &path, found);
        let may_be_repeated = matches!(what, Filter::Mirror(_) | Filter::Extension(_));
        if let Some(first) = seen.insert(what.field(), path.clone()).filter(|_| !may_be_repeated) {
            found.error(&path, format!("a second {} beside {first}", what.field()), "put the two together");
        }
    }
    if let (Some(_), Some(rewrite)) = (seen.get("requestRedirect"), seen.get("urlRewrite")) {
        let message = "`urlRewrite` has no effect beside `requestRedirect`: the request goes nowhere";
        found.error(rewrite, message, "keep one of the two");
    }
}

/// The filters of a backend: what Envoy can do for a share of the requests.
pub(super) fn of_backend<F: AnyFilter>(filters: &[F], path: &str, found: &mut Found<'_>) {
    let mut seen: HashMap<&str, String> = HashMap::new();
    for (path, filter) in listed(filters, path) {
        let Some(what) = check_type(filter, &path, found) else { continue };
        check_filter(what, &path, found);
        if let Some(first) = seen.insert(what.field(), path.clone()) {
            found.error(&path, format!("a second {} beside {first}", what.field()), "put the two together");
        }
        let not_here = match what {
            Filter::RequestHeaders(_) | Filter::ResponseHeaders(_) | Filter::Extension(_) => None,
            Filter::Rewrite(HTTPURLRewriteFilter { path: None, .. }) => None,
            Filter::Rewrite(_) => Some("urlRewrite.path"),
            Filter::Mirror(_) | Filter::Redirect(_) | Filter::Cors(_) => Some(what.field()),
        };
        if let Some(field) = not_here {
            let message = format!("`{field}` of one backend is not supported: Envoy does it for all of a rule");
            found.unsupported(&format!("{path}.{field}"), message, "write it in the rule's `filters`");
        }
    }
}

/// What a filter does, where the field is there that its type asks for, and no other.
fn check_type<'f, F: AnyFilter>(filter: &'f F, path: &str, found: &mut Found<'_>) -> Option<Filter<'f>> {
    let (written, wanted) = filter.written();
    for field in written.iter().filter(|field| **field != wanted) {
        let message = format!("`{field}` is not what `type` says, which is `{wanted}`");
        found.error(&format!("{path}.{field}"), message, "make it a filter of its own, or change `type`");
    }
    if !written.contains(&wanted) {
        found.error(path, format!("`{wanted}` is missing, which `type` asks for"), format!("add `{wanted}:`"));
    }
    filter.filter()
}

fn check_filter(filter: Filter<'_>, path: &str, found: &mut Found<'_>) {
    let path = format!("{path}.{}", filter.field());
    match filter {
        Filter::RequestHeaders(changes) | Filter::ResponseHeaders(changes) => check_headers(changes, &path, found),
        Filter::Mirror(mirror) => check_mirror(mirror, &path, found),
        Filter::Redirect(redirect) => check_redirect(redirect, &path, found),
        Filter::Rewrite(HTTPURLRewriteFilter { hostname, path: modifier }) => {
            if hostname.is_none() && modifier.is_none() {
                found.error(&path, "this rewrites nothing", "write `hostname` or `path`");
            }
            check_hostname(hostname.as_deref(), &path, found);
            check_modifier(modifier.as_ref(), &path, found);
        }
        Filter::Cors(cors) => check_cors(cors, &path, found),
        Filter::Extension(reference) => {
            let message = format!("{} `{}` of {} is not known here", reference.kind, reference.name, reference.group);
            found.unsupported(&path, message, "remove the filter: requests would go on without it");
        }
    }
}

fn check_headers(changes: &HTTPHeaderFilter, path: &str, found: &mut Found<'_>) {
    let HTTPHeaderFilter { set, add, remove } = changes;
    if set.is_empty() && add.is_empty() && remove.is_empty() {
        found.error(path, "this changes nothing", "write `set`, `add` or `remove`");
    }
    for (field, headers) in [("set", set), ("add", add)] {
        for (index, HTTPHeader { name, value }) in headers.iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            check_changed(name, &format!("{path}.name"), found);
            check_once(headers[..index].iter().map(|header| &*header.name), name, true, &path, found);
            if !is_header_value(value) {
                found.error(&format!("{path}.value"), "a character that no header has", "remove it");
            }
        }
    }
    for (index, name) in remove.iter().enumerate() {
        let path = format!("{path}.remove[{index}]");
        check_changed(name, &path, found);
        check_once(remove[..index].iter().map(|name| &**name), name, true, &path, found);
    }
}

/// Envoy refuses to change what carries the request itself.
fn check_changed(name: &str, path: &str, found: &mut Found<'_>) {
    if name.eq_ignore_ascii_case("host") {
        found.error(path, "the host is no header that can be changed", "write `hostname` in a filter `URLRewrite`");
    } else {
        check_header_name(name, path, "header", found);
    }
}

fn check_mirror(mirror: &HTTPRequestMirrorFilter, path: &str, found: &mut Found<'_>) {
    let HTTPRequestMirrorFilter { backend_ref, percent, fraction } = mirror;
    check_backend(&backend_ref.backend(), &format!("{path}.backendRef"), found);
    if percent.is_some() && fraction.is_some() {
        found.error(&format!("{path}.fraction"), "`percent` and `fraction` exclude each other", "keep one");
    }
    if let Some(fraction) = fraction {
        let denominator = fraction.denominator.unwrap_or(100);
        if denominator == 0 || fraction.numerator > denominator {
            let message = format!("{}/{denominator} is no share", fraction.numerator);
            found.error(&format!("{path}.fraction"), message, "write a numerator from 0 to the denominator");
        }
    }
}

fn check_redirect(redirect: &HTTPRequestRedirectFilter, path: &str, found: &mut Found<'_>) {
    let HTTPRequestRedirectFilter { scheme, hostname, path: modifier, port, status_code } = redirect;
    if scheme.is_none() && hostname.is_none() && modifier.is_none() && port.is_none() {
        let remedy = "write `scheme`, `hostname`, `path` or `port`";
        found.error(path, "this leads back to where the client is", remedy);
    }
    if let Some(scheme) = scheme.as_deref().filter(|scheme| !["http", "https"].contains(scheme)) {
        found.error(&format!("{path}.scheme"), format!("`{scheme}` is no scheme"), "write `http` or `https`");
    }
    if let Some(code) = status_code.filter(|code| ![301, 302, 303, 307, 308].contains(code)) {
        let message = format!("Envoy redirects with no status {code}");
        found.error(&format!("{path}.statusCode"), message, "write 301, 302, 303, 307 or 308");
    }
    check_hostname(hostname.as_deref(), path, found);
    check_modifier(modifier.as_ref(), path, found);
}

fn check_hostname(hostname: Option<&str>, path: &str, found: &mut Found<'_>) {
    if let Some(hostname) = hostname
        && let Err(error) = HostName::new(hostname)
    {
        let message = format!("`{hostname}` is no host: {error}");
        found.error(&format!("{path}.hostname"), message, "write a host without a port");
    }
}

fn check_modifier(modifier: Option<&HTTPPathModifier>, path: &str, found: &mut Found<'_>) {
    let Some(HTTPPathModifier { kind, replace_full_path, replace_prefix_match }) = modifier else { return };
    let path = format!("{path}.path");
    let fields = [
        ("replaceFullPath", replace_full_path, *kind == HTTPPathModifierType::ReplaceFullPath),
        ("replacePrefixMatch", replace_prefix_match, *kind == HTTPPathModifierType::ReplacePrefixMatch),
    ];
    for (field, text, wanted) in fields {
        let path_of_field = format!("{path}.{field}");
        match (text, wanted) {
            (None, true) => {
                found.error(&path, format!("`{field}` is missing, which `type` asks for"), format!("add `{field}:`"));
            }
            (Some(_), false) => {
                found.error(&path_of_field, "this is not what `type` says", "remove it, or change `type`");
            }
            (Some(text), true) if text.is_empty() => {}
            (Some(text), true) if !text.starts_with('/') => {
                let message = format!("`{text}` is no path: a path begins with `/`");
                found.error(&path_of_field, message, format!("write `/{text}`"));
            }
            (Some(text), true) if !is_header_value(text) || text.contains(['#', '?', ' ']) => {
                found.error(&path_of_field, "a character that no path has", "remove it");
            }
            (Some(_), true) | (None, false) => {}
        }
    }
}

/// In place of a prefix: the rule has one, then.
pub(super) fn of_paths(filters: &[HTTPRouteFilter], matches: &[HTTPRouteMatch], path: &str, found: &mut Found<'_>) {
    for (path, filter) in listed(filters, path) {
        let modifier = match filter.filter() {
            Some(Filter::Redirect(redirect)) => redirect.path.as_ref().map(|path| ("requestRedirect", path)),
            Some(Filter::Rewrite(rewrite)) => rewrite.path.as_ref().map(|path| ("urlRewrite", path)),
            _ => None,
        };
        let Some((field, modifier)) = modifier else { continue };
        let is_prefix =
            |matched: &HTTPRouteMatch| matched.path.as_ref().is_none_or(|path| path.kind == PathMatchType::PathPrefix);
        let one_prefix = matches.is_empty() || (matches.len() == 1 && matches.iter().all(is_prefix));
        if modifier.kind == HTTPPathModifierType::ReplacePrefixMatch && !one_prefix {
            let message = "which prefix is replaced? The rule has more than one match, or one of another type";
            let remedy = "give the rule one match, with a path of type `PathPrefix`";
            found.error(&format!("{path}.{field}.path.replacePrefixMatch"), message, remedy);
        }
    }
}

/// A request that is sent elsewhere goes nowhere from here.
pub(super) fn of_redirect(rule: &HTTPRouteRule, path: &str, found: &mut Found<'_>) {
    if !rule.filters.iter().any(|filter| filter.request_redirect.is_some()) {
        return;
    }
    let mirror = rule.filters.iter().position(|filter| filter.request_mirror.is_some());
    let excluded = [
        (!rule.backend_refs.is_empty()).then(|| "backendRefs".to_owned()),
        rule.timeouts.as_ref().map(|_| "timeouts".to_owned()),
        rule.retry.as_ref().map(|_| "retry".to_owned()),
        rule.session_persistence.as_ref().map(|_| "sessionPersistence".to_owned()),
        mirror.map(|index| format!("filters[{index}].requestMirror")),
    ];
    for field in excluded.into_iter().flatten() {
        let message = format!("`{field}` has no effect beside `requestRedirect`: the request goes nowhere");
        found.error(&format!("{path}.{field}"), message, "keep one of the two");
    }
}

fn check_cors(cors: &HTTPCORSFilter, path: &str, found: &mut Found<'_>) {
    let HTTPCORSFilter { allow_origins, allow_credentials: _, allow_methods, allow_headers, expose_headers, max_age } =
        cors;
    let lists = [
        ("allowOrigins", allow_origins),
        ("allowMethods", allow_methods),
        ("allowHeaders", allow_headers),
        ("exposeHeaders", expose_headers),
    ];
    for (field, entries) in lists {
        if entries.len() > 1 && entries.iter().any(|entry| entry == "*") && field != "exposeHeaders" {
            let message = "`*` is everything already, and others stand beside it";
            found.error(&format!("{path}.{field}"), message, "write `[\"*\"]` alone, or leave it out");
        }
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| *entry != "*") {
            let path = format!("{path}.{field}[{index}]");
            match field {
                "allowOrigins" if !is_origin(entry) => {
                    let message = format!("`{entry}` is no origin");
                    found.error(&path, message, "write `https://HOST`, with a `*` in front of the host if need be");
                }
                "allowMethods" if !METHODS.iter().any(|method| method.as_str() == entry) => {
                    let remedy = did_you_mean(entry, METHODS.iter().map(|method| method.as_str())).unwrap_or_default();
                    found.error(&path, format!("`{entry}` is no method"), remedy);
                }
                "allowHeaders" | "exposeHeaders" => check_header_name(entry, &path, "header", found),
                _ => {}
            }
        }
    }
    if *max_age == Some(0) {
        found.error(&format!("{path}.maxAge"), "0 seconds", "write a whole number above 0, or leave it out");
    }
}

const METHODS: [HTTPMethod; 9] = [
    HTTPMethod::Get,
    HTTPMethod::Head,
    HTTPMethod::Post,
    HTTPMethod::Put,
    HTTPMethod::Delete,
    HTTPMethod::Connect,
    HTTPMethod::Options,
    HTTPMethod::Trace,
    HTTPMethod::Patch,
];

/// `SCHEME://HOST[:PORT]`, the host with `*.` in front, or `*` alone.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let host = host.strip_prefix("*.").unwrap_or(if host == "*" { "any" } else { host });
    !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && HostName::new(host).is_ok()
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}
