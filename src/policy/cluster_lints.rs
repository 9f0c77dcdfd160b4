//! Settings of clusters that need more than a policy: something of the services they are for, or of the proxies.

use super::document::{
    Document, Settings,
    settings::{DnsType, Simple},
};
use crate::{diagnostic::Diagnostic, model::CatalogEntry};

/// Warnings about settings that stand at a path of a document, for the services they are for.
pub(super) fn check(
    document: &Document,
    settings: &Settings,
    path: &str,
    targeted: &[&CatalogEntry],
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut warning = |id, field: &str, message: String, remedy: &str| {
        let field = format!("{path}.{field}");
        problems.push(Diagnostic::warning(id, document.place_of(&field), field, message).remedy(remedy));
    };
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
