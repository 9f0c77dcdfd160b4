//! Connection pools: limits that count something else than their author thinks, or that endpoints cannot live with.

use super::{findings::Findings, target::Target};
use crate::model::policy::{H2Upgrade, UNLIMITED};

/// Replacing a connection after so few requests makes no sense where one connection carries all of them.
const FEW_REQUESTS: u32 = 100;

pub(super) fn check(target: &Target<'_>, findings: &mut Findings) {
    let protocol = target.port.protocol;
    let pool = &target.policy.connection_pool;
    let limits = &pool.circuit_breakers.default;
    if protocol.is_http2() || (protocol.is_http() && pool.h2_upgrade == H2Upgrade::Upgrade) {
        if limits.max_requests == UNLIMITED {
            counts_connections(target, findings);
        }
        let few = pool.max_requests_per_connection.filter(|most| most.get() <= FEW_REQUESTS);
        if let Some(most) = few
            && let Some(said) = target.said("connectionPool.http.maxRequestsPerConnection")
        {
            target.warn("http1-knobs-on-http2", said, findings, || {
                let message = format!(
                    "{target} speaks HTTP/2, where one connection carries many requests at once: it is replaced after every \
                     {most}"
                );
                (message, "remove it, or write `connectionPool.tcp.maxConnectionDuration`".into())
            });
        }
    }
    let of_connections = ("connectionPool.tcp.maxConnections", limits.max_connections, "connections");
    let of_requests = ("connectionPool.http.http2MaxRequests", limits.max_requests, "requests");
    for (path, limit, of_what) in [of_connections, of_requests] {
        if path == of_requests.0 && !protocol.is_http() {
            continue;
        }
        below_need(target, path, limit, of_what, findings);
    }
}

/// Limits on connections and on waiting for one, where requests in flight have none.
fn counts_connections(target: &Target<'_>, findings: &mut Findings) {
    let knobs = [
        ("connectionPool.http.http1MaxPendingRequests", "requests that wait for a connection"),
        ("connectionPool.tcp.maxConnections", "connections"),
    ];
    let Some((path, counted)) = knobs.into_iter().find(|(path, _)| target.said(path).is_some()) else { return };
    let (Some(said), Some(value)) = (target.said(path), target.value(path)) else { return };
    target.warn("http1-knobs-on-http2", said, findings, || {
        let message = format!(
            "{target} speaks HTTP/2, where one connection carries many requests at once: a limit of {value} {counted} does not \
             limit requests, and nothing else does"
        );
        (message, "write `connectionPool.http.http2MaxRequests`".into())
    });
}

/// A sidecar spreads its load over all endpoints, so with fewer than one each some are never used.
fn below_need(target: &Target<'_>, path: &str, limit: u32, of_what: &str, findings: &mut Findings) {
    let size = target.size();
    // A limit of 0 lets nothing through, which nobody writes by mistake.
    if limit == 0 || u64::from(limit) >= size {
        return;
    }
    let Some(said) = target.said(path) else { return };
    target.warn("breaker-below-need", said, findings, || {
        let message = format!(
            "each sidecar is limited to {limit} at once of its {of_what} to {target}, which has {size} endpoints: no more than \
             {limit} can be in use at a time, and a request more gets 503"
        );
        (message, format!("write {size} at least, or take endpoints away"))
    });
}
