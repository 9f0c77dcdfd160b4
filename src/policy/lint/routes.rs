//! Rules of routing: those that no request reaches, and what they retry.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::{
        document::{Document, DocumentId},
        routes::{Decision, PortRoutes, ServiceRoutes},
    },
    findings::{Findings, Said},
    retries::{exceeding, unsafe_conditions},
};
use crate::model::{
    Service,
    policy::{
        RoutePolicy, SAFE_RETRY_ON,
        routing::{HttpAction, HttpMatch, HttpRule, PathMatch},
    },
};

/// Rules over all ports and kinds of clients: one that is reached anywhere is none to speak of.
#[derive(Debug, Default)]
pub(super) struct Reach {
    reached: BTreeSet<(DocumentId, String)>,
    behind: BTreeMap<(DocumentId, String), Behind>,
}

#[derive(Debug)]
struct Behind {
    document: Arc<Document>,
    service: crate::model::ServiceName,
    /// The rule that takes everything.
    catch_all: (Arc<Document>, String),
}

pub(super) fn check(service: &Service, routes: &ServiceRoutes, reach: &mut Reach, findings: &mut Findings) {
    for routes in routes.ports.values() {
        let PortRoutes::Http(rules) = routes else { continue };
        reach.note(service, rules);
        for decision in rules {
            if let HttpAction::Forward(forward) = &decision.rule.action {
                retried(service, decision, &forward.policy, findings);
            }
        }
    }
}

impl Reach {
    fn note(&mut self, service: &Service, rules: &[Decision<HttpRule>]) {
        let mut catch_all = None;
        for Decision { rule, document, field, .. } in rules {
            let key = (document.id.clone(), field.clone());
            match &catch_all {
                None => drop(self.reached.insert(key)),
                Some((first, of)) => {
                    let behind = || Behind {
                        document: document.clone(),
                        service: service.name.clone(),
                        catch_all: (Arc::clone(first), String::clone(of)),
                    };
                    self.behind.entry(key).or_insert_with(behind);
                }
            }
            if catch_all.is_none() && rule.matches.iter().any(matches_everything) {
                catch_all = Some((document.clone(), field.clone()));
            }
        }
    }

    pub fn end(self, findings: &mut Findings) {
        for ((id, field), Behind { document, service, catch_all: (first, of) }) in self.behind {
            if self.reached.contains(&(id, field.clone())) {
                continue;
            }
            findings.add("shadowed", Said { document: &document, field: &field }, &service, || {
                let place = first.place_of(&of);
                let message = format!(
                    "no request to {service} gets to this rule: the one at {}:{} takes all of them",
                    place.file.path, place.line
                );
                (message, "put it before that one, or remove it".into())
            });
        }
    }
}

fn matches_everything(wanted: &HttpMatch) -> bool {
    let HttpMatch { path, path_ignores_case: _, headers, query, stat_prefix: _ } = wanted;
    let any_path = match path {
        PathMatch::Any => true,
        PathMatch::Prefix(prefix) => &**prefix == "/",
        PathMatch::Exact(_) | PathMatch::SeparatedPrefix(_) | PathMatch::Regex(_) => false,
    };
    any_path && headers.is_empty() && query.is_empty()
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
