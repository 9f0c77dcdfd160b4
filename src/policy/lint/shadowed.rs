//! Documents that can never win: every field of them is overridden, for every service they apply to.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    super::{
        document::{Body, Document},
        merge::Merged,
        resolve::Candidates,
        set::PolicySet,
    },
    findings::{Findings, Said},
};
use crate::model::{Service, ServiceName};

/// Who won anything, and who lost to whom, over all services.
#[derive(Debug, Default)]
pub(super) struct Contest<'a> {
    /// By the address of the shared document, which is compared for every setting of every service.
    documents: HashMap<*const Document, Standing<'a>>,
    service: Option<&'a ServiceName>,
}

#[derive(Debug)]
struct Standing<'a> {
    document: Arc<Document>,
    won: bool,
    /// A document that beat it.
    beaten_by: Option<Arc<Document>>,
    services: BTreeSet<&'a ServiceName>,
}

impl<'a> Contest<'a> {
    /// What DestinationRules come to for a service: a rule that does not count at all loses here.
    pub fn rules(&mut self, policies: &'a PolicySet, service: &'a Service, candidates: &Candidates<'a>) {
        self.service = Some(&service.name);
        // Defining subsets is an effect of its own.
        for defined in candidates.defined_subsets() {
            self.standing(defined.document).won = true;
        }
        let mut with_policy = candidates.rules.iter().filter(|rule| rule.has_traffic_policy());
        let counting = with_policy.next();
        for (loser, winner) in with_policy.zip(counting.into_iter().cycle()) {
            self.lose(&loser.document, &winner.document);
        }
        let Some(best) = candidates.rules.first() else { return };
        let matching = policies.rules.matching(service);
        if matching.len() == candidates.rules.len() {
            return;
        }
        // What clients of one namespace are meant to see is not shadowed by what others do.
        let elsewhere = policies.answers_by_namespace(service);
        for rule in matching {
            let counts = candidates.rules.iter().any(|counting| counting.document.id == rule.document.id)
                || elsewhere.values().any(|answer| answer.rules.contains(&rule.document.id));
            if !counts {
                self.lose(&rule.document, &best.document);
            }
        }
    }

    /// What was decided for a port of the service, or a subset of it.
    pub fn settings(&mut self, merged: &Merged) {
        // Who contradicts another is told so, which is the more urgent.
        for (_, _, loser) in &merged.contradictions {
            self.standing(&loser.document).won = true;
        }
        for decided in merged.settings.values() {
            self.standing(&decided.leaf.document).won = true;
            for lost in &decided.overrode {
                if lost.leaf.document.id != decided.leaf.document.id {
                    self.lose(&lost.leaf.document, &decided.leaf.document);
                }
            }
        }
    }

    pub fn end(self, findings: &mut Findings) {
        let mut losers: Vec<Standing<'_>> = self.documents.into_values().filter(|standing| !standing.won).collect();
        losers.sort_by(|a, b| a.document.id.cmp(&b.document.id));
        for Standing { document, beaten_by, services, .. } in losers {
            let Some(winner) = beaten_by.filter(|_| !is_for_everything(&document)) else { continue };
            let Some(first) = services.first() else { continue };
            let said = Said { document: &document, field: "spec" };
            let others = services.len() - 1;
            findings.add("shadowed", said, first, || {
                let of = match others {
                    0 => first.to_string(),
                    1 => format!("{first} and 1 more service"),
                    many => format!("{first} and {many} more services"),
                };
                let message =
                    format!("everything this says of {of} is overridden, by {} for one: it has no effect", winner.id);
                (
                    message,
                    "remove it, or make it more specific than what overrides it (`chancery why` shows each)".into(),
                )
            });
        }
    }

    fn standing(&mut self, document: &Arc<Document>) -> &mut Standing<'a> {
        self.documents.entry(Arc::as_ptr(document)).or_insert_with(|| Standing {
            document: document.clone(),
            won: false,
            beaten_by: None,
            services: BTreeSet::new(),
        })
    }

    fn lose(&mut self, loser: &Arc<Document>, winner: &Arc<Document>) {
        let service = self.service;
        let standing = self.standing(loser);
        standing.beaten_by.get_or_insert_with(|| winner.clone());
        standing.services.extend(service);
    }
}

/// A policy for every service is there for those to come.
fn is_for_everything(document: &Document) -> bool {
    match &document.body {
        Body::TrafficPolicy(policy) => policy.target.service.is_none() && policy.target.labels.is_none(),
        _ => false,
    }
}
