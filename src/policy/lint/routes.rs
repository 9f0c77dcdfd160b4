//! Rules of routing: what they retry, and whether there is time for it; whether their sessions can last.

use super::{
    super::{
        document::Body,
        routes::{Decision, PortRoutes, ServiceRoutes},
    },
    findings::{Findings, Said},
    retries::{exceeding, unsafe_conditions},
};
use crate::model::{
    Service,
    policy::{
        RoutePolicy, SAFE_RETRY_ON, is_grpc_condition,
        routing::{HttpAction, HttpForward, HttpRule},
    },
};

pub(super) fn check(service: &Service, routes: &ServiceRoutes, findings: &mut Findings) {
    for routes in routes.ports.values() {
        let PortRoutes::Http(rules) = routes else { continue };
        for decision in rules {
            if let HttpAction::Forward(forward) = &decision.rule.action {
                retried(service, decision, &forward.policy, findings);
                split(service, decision, forward, findings);
            }
        }
    }
}

/// Sessions of a rule that leads to several places, whose endpoints are looked for in the one that was chosen.
fn split(service: &Service, decision: &Decision<HttpRule>, forward: &HttpForward, findings: &mut Findings) {
    let Decision { document, field, settings, .. } = decision;
    let several = forward.destinations.len();
    let (Some(leaf), true) = (settings.get("statefulSession"), forward.policy.session.is_some() && several > 1) else {
        return;
    };
    let list = match document.body {
        Body::HTTPRoute(_) | Body::GRPCRoute(_) => "backendRefs",
        _ => "route",
    };
    let place = format!("{field}.{list}");
    findings.add("session-of-split", Said { document, field: &place }, &service.name, || {
        let message = format!(
            "Envoy chooses one of these {several} for each request anew, and a session that {} asks for ends where it \
             chooses another",
            leaf.document.id
        );
        (message, "lead the rule to one of them, or say `statefulSession: { disabled: true }`".to_owned())
    });
}

/// What a rule's retries come to, where the rule itself, or Istio's default for it, is what says so.
fn retried(service: &Service, decision: &Decision<HttpRule>, policy: &RoutePolicy, findings: &mut Findings) {
    let Decision { document, field, settings, .. } = decision;
    let own = |path: &str| settings.get(path).filter(|leaf| leaf.document.id == document.id);
    let mut of_retries = settings.iter().filter(|(path, _)| path.starts_with("retries")).peekable();
    let said_elsewhere = of_retries.peek().is_some() && of_retries.all(|(_, leaf)| leaf.document.id != document.id);
    if said_elsewhere {
        return;
    }
    let is_gateway_route = matches!(document.body, Body::HTTPRoute(_) | Body::GRPCRoute(_));
    if let Some(sentence) = exceeding(&service.name, policy) {
        let said = own("retries.perTryTimeout").map(|leaf| leaf.field.clone());
        let retries = said.unwrap_or_else(|| format!("{field}.retries.perTryTimeout"));
        findings.add("retries-exceed-timeout", Said { document, field: &retries }, &service.name, || sentence);
    }
    let conditions = policy.retry.as_ref().map(unsafe_conditions).unwrap_or_default();
    // An HTTPRoute says nothing of calls, whose statuses stand among Istio's defaults for its retries.
    let counts = |condition: &String| !is_gateway_route || !is_grpc_condition(condition);
    let Some(condition) = conditions.into_iter().find(counts) else { return };
    let safe = SAFE_RETRY_ON.join(",");
    match own("retries.retryOn") {
        Some(leaf) if is_gateway_route => findings.add(
            "retry-non-idempotent",
            Said { document, field: &leaf.field },
            &service.name,
            || {
                let message = format!(
                    "`{condition}` repeats requests to {} that an endpoint may have acted on: a POST can happen twice",
                    service.name
                );
                (message, "say it in a rule for the methods that may be repeated, `GET` for one".to_owned())
            },
        ),
        // What else is retried is said elsewhere, or safe.
        None if is_gateway_route => {}
        Some(leaf) => findings.add(
            "retry-non-idempotent",
            Said { document, field: &leaf.field },
            &service.name,
            || {
                let message = format!(
                    "`{condition}` repeats requests to {} that an endpoint may have acted on: a POST can happen twice",
                    service.name
                );
                (message, format!("keep to `{safe}`, which is safe for any request"))
            },
        ),
        // Once for a document, however many rules it has.
        None => findings.add("retry-non-idempotent", Said { document, field: "spec.http" }, &service.name, || {
            let message = format!(
                "a rule that does not say what is retried has Istio's default: `{condition}`, for one, repeats requests to {} \
                 that an endpoint may have acted on",
                service.name
            );
            (message, format!("write `retries: {{ attempts: 2, retryOn: \"{safe}\" }}` in each rule"))
        }),
    }
}
