//! Rules of routing: what they retry, and whether there is time for it.

use super::{
    super::routes::{Decision, PortRoutes, ServiceRoutes},
    findings::{Findings, Said},
    retries::{exceeding, unsafe_conditions},
};
use crate::model::{
    Service,
    policy::{
        RoutePolicy, SAFE_RETRY_ON,
        routing::{HttpAction, HttpRule},
    },
};

pub(super) fn check(service: &Service, routes: &ServiceRoutes, findings: &mut Findings) {
    for routes in routes.ports.values() {
        let PortRoutes::Http(rules) = routes else { continue };
        for decision in rules {
            if let HttpAction::Forward(forward) = &decision.rule.action {
                retried(service, decision, &forward.policy, findings);
            }
        }
    }
}

/// What a rule's retries come to, where the rule itself, or Istio's default for it, is what says so.
fn retried(service: &Service, decision: &Decision<HttpRule>, policy: &RoutePolicy, findings: &mut Findings) {
    let Decision { document, field, settings, .. } = decision;
    let own = |path: &str| settings.get(path).filter(|leaf| leaf.document.id == document.id);
    let said_elsewhere = settings.keys().any(|path| path.starts_with("retries")) && own("retries.attempts").is_none();
    if said_elsewhere {
        return;
    }
    if let Some(sentence) = exceeding(&service.name, policy) {
        let retries = format!("{field}.retries.perTryTimeout");
        findings.add("retries-exceed-timeout", Said { document, field: &retries }, &service.name, || sentence);
    }
    let Some(condition) = policy.retry.as_ref().and_then(|retry| unsafe_conditions(retry).into_iter().next()) else {
        return;
    };
    let safe = SAFE_RETRY_ON.join(",");
    let own_condition = format!("{field}.retries.retryOn");
    match own("retries.retryOn") {
        Some(_) => findings.add(
            "retry-non-idempotent",
            Said { document, field: &own_condition },
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
