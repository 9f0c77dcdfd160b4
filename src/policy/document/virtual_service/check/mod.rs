//! What the types cannot see: Istio's own validation, and what Envoy would refuse a whole configuration for.

mod actions;
mod connections;
mod cors;
mod destinations;
mod headers;
mod matching;
mod repeats_and_faults;

use std::collections::HashMap;

pub(in crate::policy::document) use self::headers::{is_header_name, is_header_value};
use self::{
    actions::{check_actions, check_redirect, check_response, check_rewrite},
    connections::{check_tcp, check_tls},
    cors::check_cors,
    destinations::{check_destinations, check_mirrors},
    headers::check_headers,
    matching::check_match,
    repeats_and_faults::{check_fault, check_retries},
};
use super::{HttpMatchRequest, HttpRoute, MESH_GATEWAY, VirtualService, names_mesh};
use crate::{
    diagnostic::Diagnostic,
    policy::document::{
        export_to::{Nobody, is_dns_label},
        istio_durations,
    },
    yaml,
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
        check_tls(route, hosts, &format!("spec.tls[{index}]"), &mut found);
    }
    for (index, route) in tcp.iter().enumerate() {
        check_tcp(route, &format!("spec.tcp[{index}]"), &mut found);
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
        check_response(response, &format!("{path}.directResponse"), found);
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
