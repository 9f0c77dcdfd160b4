//! Priority HIGH: a route that has it and limits that are for it, which make sense together alone.

use super::{
    super::{
        document::{Body, settings},
        set::PolicySet,
    },
    findings::Findings,
    target::Target,
};
use crate::model::policy::Priority;

const LIMITS: &str = "connectionPool.high";

/// Whether any document gives routes the priority HIGH. A policy of one service can shape the routes that lead to
/// another (a split has what is said of the service that was dialled), and a patch can say anything.
pub(super) fn is_said_somewhere(policies: &PolicySet) -> bool {
    policies.documents().any(|document| match &document.body {
        Body::TrafficPolicy(policy) => policy.settings().priority == Some(settings::Priority::High),
        Body::EnvoyPatch(patch) => {
            let merges = patch.patches.iter().filter_map(|patch| patch.merge.as_ref());
            merges.into_iter().any(|merge| merge["route"]["priority"] == "HIGH")
        }
        _ => false,
    })
}

pub(super) fn check(target: &Target<'_>, somebody_is_high: bool, findings: &mut Findings) {
    if !target.port.protocol.is_http() {
        return;
    }
    let limits = target.said_below(LIMITS);
    match (target.policy.route.priority, limits) {
        (Priority::High, None) => {
            let Some(said) = target.said("priority") else { return };
            target.warn("high-priority-half-said", said, findings, || {
                let message = format!(
                    "nothing says what the limits of priority HIGH are for {target}: they are Envoy's, 1024 connections, \
                     waiting requests and requests, and 3 retries at once"
                );
                (message, "write `connectionPool.high`, for example `{ maxRequests: 2000, maxRetries: 20 }`".into())
            });
        }
        (Priority::Default, Some(said)) if !somebody_is_high => {
            target.warn("high-priority-half-said", said, findings, || {
                let message = format!(
                    "no request to {target} has the priority HIGH, which these limits are for: they have no effect"
                );
                (message, "write `priority: HIGH` for those that are to have it, or remove the limits".into())
            });
        }
        (Priority::High, Some(_)) | (Priority::Default, _) => {}
    }
}
