//! Settings that need more than a policy: something of the services they are for, or of the proxies.

use std::num::NonZeroU16;

use super::{
    document::{
        Document, Settings,
        settings::{DnsType, Simple},
    },
    leaves,
    resolve::is_of_requests,
};
use crate::{diagnostic::Diagnostic, model::CatalogEntry};

/// Settings of requests in `settings`, where no port that they are for speaks HTTP: the first of each kind.
fn of_requests(settings: &Settings, targeted: &[&CatalogEntry], port: Option<NonZeroU16>) -> Vec<String> {
    let ports = targeted.iter().flat_map(|entry| &entry.service.ports);
    let mut meant = ports.filter(|found| port.is_none_or(|port| port == found.number)).peekable();
    if meant.peek().is_none() || meant.any(|port| port.protocol.is_http()) {
        return Vec::new();
    }
    let written = leaves::flatten(settings);
    // The first of each kind: what stands beside it is as idle.
    let kind = |path: &str| path.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let mut found: Vec<String> = Vec::new();
    for path in written.into_keys().filter(|path| is_of_requests(path)) {
        if !found.iter().any(|known| kind(known) == kind(&path)) {
            found.push(path);
        }
    }
    found
}

/// Warnings about settings that stand at a path of a document, for the services they are for, or one port of them.
pub(super) fn check(
    document: &Document,
    settings: &Settings,
    path: &str,
    targeted: &[&CatalogEntry],
    port: Option<NonZeroU16>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut warning = |id, field: &str, message: String, remedy: &str| {
        let field = format!("{path}.{field}");
        problems.push(Diagnostic::warning(id, document.place_of(&field), field, message).remedy(remedy));
    };
    for of_requests in of_requests(settings, targeted, port) {
        let message =
            format!("no port that this is for speaks HTTP: `{of_requests}` is of requests, and has no effect");
        let remedy = "remove it, or say `protocol: http` of the port in the service snapshot";
        warning("no-effect", &of_requests, message, remedy);
    }
    let load_balancer = settings.load_balancer.as_ref();
    if load_balancer.and_then(|balancer| balancer.simple) == Some(Simple::Passthrough) {
        warning(
            "passthrough",
            "loadBalancer.simple",
            "PASSTHROUGH goes to the address a connection was made to, and uses no endpoint of discovery".into(),
            "it needs connections that are redirected to the proxy (iptables, with an `original_dst` listener filter); \
             through a listener of chancery's own such a request is answered with 503",
        );
    }
    if let Some(dns) = &settings.dns {
        let resolved: Vec<_> = targeted.iter().filter(|entry| entry.endpoints.needs_dns()).collect();
        if resolved.is_empty() && !targeted.is_empty() {
            warning(
                "no-effect",
                "dns",
                "no service it targets has an endpoint that is a host name: `dns` has no effect".into(),
                "remove it, or give endpoints host names",
            );
        } else if dns.r#type == Some(DnsType::Logical)
            && let Some(several) = resolved.iter().find(|entry| entry.endpoints.len() != 1)
        {
            let message = format!(
                "LOGICAL resolves one host name, and {} has {} endpoints: it is resolved as STRICT",
                several.service.name,
                several.endpoints.len()
            );
            warning("dns-logical", "dns.type", message, "give the service one endpoint, or write STRICT");
        }
    }
    problems
}
