//! Rules of connections: `tls` and `tcp`.

use super::{
    Found, check_gateways, check_host,
    destinations::{check_destination, check_weights},
    matching::check_source,
};
use crate::policy::document::virtual_service::{RouteDestination, TcpRoute, TlsRoute};

pub(super) fn check_tls(route: &TlsRoute, hosts: &[String], path: &str, found: &mut Found<'_>) {
    if route.matches.is_empty() {
        found.error(path, "a rule of `tls` looks at `sniHosts`", "add `match: [ { sniHosts: [HOST] } ]`");
    }
    for (index, matched) in route.matches.iter().enumerate() {
        let path = format!("{path}.match[{index}]");
        check_gateways(&matched.gateways, &format!("{path}.gateways"), found);
        check_source(matched.source_namespace.as_ref(), &path, found);
        if matched.sni_hosts.is_empty() {
            found.error(&path, "`sniHosts` is missing", "name the hosts of the ClientHello, for example `[HOST]`");
        }
        for (index, host) in matched.sni_hosts.iter().enumerate() {
            check_sni_host(host, hosts, &format!("{path}.sniHosts[{index}]"), found);
        }
    }
    check_l4_route(&route.route, path, found);
}

pub(super) fn check_tcp(route: &TcpRoute, path: &str, found: &mut Found<'_>) {
    for (index, matched) in route.matches.iter().enumerate() {
        let path = format!("{path}.match[{index}]");
        check_gateways(&matched.gateways, &format!("{path}.gateways"), found);
        check_source(matched.source_namespace.as_ref(), &path, found);
    }
    check_l4_route(&route.route, path, found);
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
