//! Documents that were changed in vain, each with the reason: the commonest finding of a review.

use super::{Question, causes::Edited, compare::Comparison};
use crate::{
    control::World,
    diagnostic::{At, Place},
    policy::{
        Document, PolicySet, check_against,
        document::{Body, traffic_policy::Pattern},
    },
};

/// A document whose change does nothing.
#[derive(Debug, Clone)]
pub struct NoEffect {
    /// As printed.
    pub document: String,
    /// Where it stands.
    pub place: Place,
    /// A sentence without a full stop.
    pub reason: String,
}

/// A workload that a changed document names, and that no known proxy is.
#[derive(Debug, Clone)]
pub struct UnknownWorkload {
    /// As printed.
    pub document: String,
    /// Where it is named.
    pub place: Place,
    /// The name or pattern.
    pub workload: String,
}

pub(super) fn find(
    world: &mut World,
    question: &Question<'_>,
    comparison: &Comparison,
    edited: &[Edited],
) -> (Vec<NoEffect>, Vec<UnknownWorkload>) {
    let (mut idle, mut unknown) = (Vec::new(), Vec::new());
    if edited.iter().any(|edited| !edited.has_effect) {
        // Trials left another world behind.
        world.update(question.catalog.clone(), question.after.clone());
    }
    for edited in edited {
        let document = edited.document();
        let strangers = strangers(document, comparison);
        for (field, workload) in &strangers {
            let place = document.place_of(field);
            unknown.push(UnknownWorkload { document: document.name(), place, workload: workload.clone() });
        }
        if edited.has_effect || !strangers.is_empty() {
            continue;
        }
        let reason = reason(world, edited, comparison);
        idle.push(NoEffect { document: document.name(), place: document.place(), reason });
    }
    (idle, unknown)
}

/// The workloads a document names that no known proxy is.
fn strangers(document: &Document, comparison: &Comparison) -> Vec<(String, String)> {
    let named: Vec<(String, &Pattern)> = match &document.body {
        Body::Dependencies(dependencies) => vec![("spec.workload".into(), &dependencies.workload)],
        Body::TrafficPolicy(policy) => {
            let services = policy.clients.iter().flat_map(|clients| &clients.services).enumerate();
            services.map(|(index, pattern)| (format!("spec.clients.services[{index}]"), pattern)).collect()
        }
        _ => Vec::new(),
    };
    let is_known = |pattern: &Pattern| {
        comparison.alike.iter().any(|alike| alike.workloads.iter().any(|name| pattern.0.matches(name)))
    };
    let strangers = named.into_iter().filter(|(_, pattern)| !is_known(pattern));
    strangers.map(|(field, pattern)| (field, pattern.0.to_string())).collect()
}

fn reason(world: &World, edited: &Edited, comparison: &Comparison) -> String {
    let document = edited.document();
    if let (Some(before), Some(after)) = (&edited.before, &edited.after)
        && before.body == after.body
    {
        return "only its metadata differs".into();
    }
    if edited.after.is_none() {
        return "what it said had no effect".into();
    }
    let alone = PolicySet::build([document]).0;
    let warnings = check_against(&alone, world.catalog());
    if let Some(warning) = warnings.iter().find(|warning| warning.id == "matches-nothing") {
        let line = match &warning.at {
            At::Place(place) => format!(" (line {})", place.line),
            At::File(_) => String::new(),
        };
        return format!("{}{line}", warning.message);
    }
    let touched = alone.touched_since(&PolicySet::default());
    let services = world.catalog().iter().map(|(_, entry)| entry).filter(|entry| touched.can_touch(&entry.service));
    for entry in services {
        for alike in &comparison.alike {
            let group = world.grouping().group_of(&alike.proxy);
            let why = world.policies().why(entry, None, &alike.proxy, &group.view, world.catalog());
            if let Some(not) = why.not_applied.iter().find(|not| not.document.id == document.id) {
                return not.reason.clone();
            }
            for setting in why.settings() {
                if let Some(lost) = setting.overrode.iter().find(|lost| lost.from.document.id == document.id) {
                    let winner = setting.from.as_ref().map_or_else(|| "a default".into(), |from| from.document.name());
                    return format!("{} is overridden by {winner}: {}", lost.setting, lost.reason);
                }
            }
        }
    }
    "what is changed in it changes nothing that a proxy is sent".into()
}
