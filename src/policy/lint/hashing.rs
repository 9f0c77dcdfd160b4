//! Consistent hashing and session affinity: whether there is a key, and whether it tells callers apart.

use super::{findings::Findings, target::Target};
use crate::model::{
    Health,
    policy::{HashKey, LoadBalancer, WhenGone},
};

const BLOCK: &str = "loadBalancer.consistentHash";

pub(super) fn check(target: &Target<'_>, findings: &mut Findings) {
    if target.port.protocol.is_http() && target.policy.route.session.is_some() {
        sessions_on_draining(target, findings);
    }
    let LoadBalancer::ConsistentHash(hash) = &target.policy.load_balancer else { return };
    let is_http = target.port.protocol.is_http();
    let usable = hash.keys.iter().filter(|key| is_http || **key == HashKey::SourceIp).count();
    if usable == 0 {
        without_key(target, hash.keys.is_empty(), findings);
    }
    if hash.keys.contains(&HashKey::SourceIp) {
        by_local_source(target, findings);
    }
    if is_http && hash.keys.iter().any(|key| matches!(key, HashKey::Cookie { .. })) {
        sticky_on_draining(target, "loadBalancer.consistentHash.httpCookie", findings);
    }
}

fn without_key(target: &Target<'_>, none_is_said: bool, findings: &mut Findings) {
    let Some(said) = target.said_below(BLOCK) else { return };
    target.warn("hash-without-key", said, findings, || match none_is_said {
        true => (
            format!("nothing says what of a request to {target} is hashed: every request goes anywhere"),
            "add `httpHeaderName`, `httpCookie` or `httpQueryParameterName`".into(),
        ),
        false => (
            format!("{target} is a port of bytes, where there is no header, cookie or query to hash: every connection goes anywhere"),
            "narrow the policy to HTTP ports (`target.port`), or choose a `simple` load balancer".into(),
        ),
    });
}

fn by_local_source(target: &Target<'_>, findings: &mut Findings) {
    let Some(said) = target.said("loadBalancer.consistentHash.useSourceIp") else { return };
    target.warn("hash-by-local-source", said, findings, || {
        let message = format!(
            "every caller of a sidecar is the application beside it, under one address: all that an instance sends to {target} \
             goes to one of its {} endpoints",
            target.size()
        );
        (message, "hash a header that names the user or the object".into())
    });
}

/// Sessions proper stay with an endpoint that drains, and end with it.
fn sessions_on_draining(target: &Target<'_>, findings: &mut Findings) {
    let draining = target.endpoints.iter().filter(|endpoint| endpoint.health == Health::Draining).count();
    let Some(said) = target.said("statefulSession").filter(|_| draining > 0) else { return };
    let is_strict = target.policy.route.session.as_ref().is_some_and(|session| session.when_gone == WhenGone::Refuse);
    target.warn("sticky-on-draining", said, findings, || {
        let are = if draining == 1 { "is" } else { "are" };
        let then = match is_strict {
            true => "are answered with 503 for as long as clients name it",
            false => "go elsewhere, and what only it knows of them is lost",
        };
        let message = format!(
            "{draining} of the {} endpoints of {target} {are} draining: sessions stay until the endpoint is gone, and then {then}",
            target.size()
        );
        (message, "keep sessions where every endpoint finds them, or let an endpoint drain for as long as they last".into())
    });
}

/// Whatever keeps a client with one endpoint, said at `path`.
fn sticky_on_draining(target: &Target<'_>, path: &str, findings: &mut Findings) {
    let draining = target.endpoints.iter().filter(|endpoint| endpoint.health == Health::Draining).count();
    let Some(said) = target.said(path).filter(|_| draining > 0) else { return };
    target.warn("sticky-on-draining", said, findings, || {
        let are = if draining == 1 { "is" } else { "are" };
        let message = format!(
            "{draining} of the {} endpoints of {target} {are} draining, which takes no new requests: sessions there move to \
             others, and what only those endpoints know of them is lost",
            target.size()
        );
        (message, "keep sessions where every endpoint finds them, or let an endpoint drain for as long as they last".into())
    });
}
