//! Why a value is what it is: for a service as one workload sees it, every setting with its origin, what it overrode,
//! and the documents that a reader would expect to apply and that do not.
//!
//! This explains the very decisions that `resolve` takes, from the same [`Candidates`]; it decides nothing itself.

mod patches;
mod scope;
mod settings;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    defaults::defaults,
    document::{
        Body, Document,
        traffic_policy::{Pattern, Target},
    },
    istio::Rule,
    merge::{self, ClientsRank, Decided, NarrowingRank, Overridden, Rank, TargetRank},
    resolve::{Candidates, is_of_requests},
    routes::PortRoutes,
    rule_choice::{self, Client},
    set::{Policy, PolicySet},
};
use crate::{
    model::{Catalog, CatalogEntry, ClientView, Labels, Port, Proxy, Service, ServiceName, SubsetName},
    policy::leaves::Path,
};

pub use settings::{Origin, Overrode, Setting, of_routes};

/// What applies to a service, and what does not.
#[derive(Debug, Clone, Default)]
pub struct Why {
    /// Each port that was asked about, alone and with each subset.
    pub targets: Vec<TargetSettings>,
    /// The subsets that the service has.
    pub subsets: Vec<Stated>,
    /// The rules of each port that has some, in order.
    pub routes: Vec<(Port, PortRoutes)>,
    /// How a document defines the service, where no source of discovery does.
    pub definition: Vec<Stated>,
    /// What patches change, in Envoy's own words, after everything else.
    pub patches: Vec<Stated>,
    /// What of `Dependencies` and of a `Sidecar` makes the workload be sent this service.
    pub scope: Vec<Stated>,
    /// What the `Mesh` says.
    pub mesh: Vec<Stated>,
    /// Documents that could be expected to have a say and have none, sorted.
    pub not_applied: Vec<NotApplied>,
}

/// The settings of a port, or of a subset of it.
#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// Which port.
    pub port: Port,
    /// Which subset; absent = the whole service.
    pub subset: Option<SubsetName>,
    /// What documents say of it, by path.
    pub settings: Vec<(Path, Decided)>,
    /// Whether an endpoint is a host name, so that how names are resolved is of interest.
    pub resolves_names: bool,
}

/// Something that a document says beside the settings of ports.
#[derive(Debug, Clone)]
pub struct Stated {
    /// What it is called.
    pub setting: Path,
    /// What it is.
    pub value: Value,
    /// In which document.
    pub document: Arc<Document>,
    /// At which path below the document's root.
    pub field: String,
    /// What was said in vain.
    pub overrode: Vec<Overrode>,
}

/// A document without a say.
#[derive(Debug, Clone)]
pub struct NotApplied {
    /// Which.
    pub document: Arc<Document>,
    /// The field that is the reason.
    pub field: String,
    /// A sentence without a full stop.
    pub reason: String,
}

impl TargetSettings {
    /// What no document says, and has a value all the same.
    pub fn defaults(&self) -> Vec<(Path, Value)> {
        let is_http = self.port.protocol.is_http();
        let mut defaults = defaults();
        defaults.retain(|(path, _)| {
            const FOR_HTTP: [&str; 6] =
                ["timeout", "streamIdleTimeout", "maxStreamDuration", "priority", "retries.", "connectionPool.http."];
            let for_http = FOR_HTTP.iter().any(|start| path.starts_with(start));
            (is_http || !for_http)
                && (self.resolves_names || !path.starts_with("dns."))
                && !self.settings.iter().any(|(said, _)| said == path || merge::is_other_form(said, path))
        });
        defaults
    }
}

impl PolicySet {
    /// Explains a service as a proxy sees it; `port` narrows the answer to one port.
    pub fn why(
        &self,
        entry: &CatalogEntry,
        port: Option<&Port>,
        proxy: &Proxy,
        view: &ClientView,
        catalog: &Catalog,
    ) -> Why {
        let service = &*entry.service;
        let candidates = self.candidates(service, view);
        let mut why = self.said_by(&candidates, entry, port, proxy, view, catalog);
        why.not_applied.extend(self.policies_without_a_say(entry, port, proxy, view, &candidates));
        // The view knows the namespace only where it distinguishes something; what is said here is of this proxy's own.
        let namespace = if proxy.namespace.is_empty() { view.namespace.as_deref() } else { Some(&*proxy.namespace) };
        let client = Client { namespace, root: self.root_namespace() };
        why.not_applied.extend(self.rules_without_a_say(service, client, &candidates));
        why.not_applied.extend(patches::without_a_say(self, service, port, proxy, view));
        let idle = nothing_counts(&why.targets, &why.not_applied);
        why.not_applied.extend(idle);
        why.not_applied.sort_by(|a, b| (&a.document.id, &a.field).cmp(&(&b.document.id, &b.field)));
        why
    }

    /// What is said of a service as a proxy sees it, without a search through all documents for those that have no say.
    pub fn said(&self, entry: &CatalogEntry, proxy: &Proxy, view: &ClientView, catalog: &Catalog) -> Why {
        self.said_by(&self.candidates(&entry.service, view), entry, None, proxy, view, catalog)
    }

    fn said_by(
        &self,
        candidates: &Candidates<'_>,
        entry: &CatalogEntry,
        port: Option<&Port>,
        proxy: &Proxy,
        view: &ClientView,
        catalog: &Catalog,
    ) -> Why {
        let service = &*entry.service;
        let subsets = candidates.subsets();
        let ports = service.ports.iter().filter(|candidate| port.is_none_or(|port| port.number == candidate.number));
        let mut idle = Vec::new();
        let targets: Vec<TargetSettings> = ports
            .flat_map(|port| std::iter::once(None).chain(subsets.keys().map(Some)).map(move |subset| (port, subset)))
            .map(|(port, subset)| {
                let decided = candidates.decide(port, subset).settings.into_iter();
                let (of_requests, settings): (Vec<_>, Vec<_>) =
                    decided.partition(|(path, _)| !port.protocol.is_http() && is_of_requests(path));
                idle.extend(of_requests.into_iter().filter(|_| subset.is_none()).map(|(path, decided)| NotApplied {
                    document: decided.leaf.document,
                    field: decided.leaf.field,
                    reason: format!(
                        "`{path}` is of requests, and port {} speaks {}",
                        port.number,
                        port.protocol.as_str()
                    ),
                }));
                TargetSettings {
                    port: port.clone(),
                    subset: subset.cloned(),
                    settings,
                    resolves_names: entry.endpoints.needs_dns(),
                }
            })
            .collect();
        let routed = self.explain_routes(service, view, catalog);
        let asked = |number| port.is_none_or(|port| port.number == number);
        let routes = routed.ports.into_iter().filter(|(number, _)| asked(*number)).filter_map(|(number, routes)| {
            Some((service.ports.iter().find(|port| port.number == number)?.clone(), routes))
        });
        let (scope, mut not_applied) = self.scope(service, proxy, catalog);
        let (definition, hidden) = self.definition(service, view);
        not_applied.extend(hidden);
        not_applied.extend(idle);
        let unrouted = routed.not_applied.into_iter();
        not_applied.extend(unrouted.map(|(document, field, reason)| NotApplied { document, field, reason }));
        let subsets = defined_subsets(candidates);
        let patches = patches::stated(self, service, port, view);
        let mesh = self.mesh_settings();
        Why { targets, subsets, routes: routes.collect(), definition, patches, scope, mesh, not_applied }
    }

    /// What a ServiceEntry says of the service, where one defines it; and documents that define it in vain.
    fn definition(&self, service: &Service, view: &ClientView) -> (Vec<Stated>, Vec<NotApplied>) {
        let Some(entry) = self.entries.defining(service) else {
            let shadowed = self.entries.get(&service.name).into_iter().flat_map(|entry| &entry.definitions);
            let shadowed = shadowed.map(|(document, index)| NotApplied {
                document: document.clone(),
                field: format!("spec.hosts[{index}]"),
                reason: format!("{} is a service of discovery, which counts", service.name),
            });
            return (Vec::new(), shadowed.collect());
        };
        if !view.sees(service) {
            let hidden = NotApplied {
                document: entry.document().clone(),
                field: "spec.exportTo".to_owned(),
                reason: format!("{} is not exported to the client's namespace: it is not sent", service.name),
            };
            return (Vec::new(), vec![hidden]);
        }
        let mut stated = Vec::new();
        for (document, index) in &entry.definitions {
            // Settings and whom it is for are told elsewhere; where it is, and what a port is called, has no effect.
            let is_told = |field: &str| {
                let own = format!("spec.hosts[{index}]");
                let others = ["spec.hosts[", "spec.subjectAltNames", "spec.exportTo", "spec.location"];
                let is_port_name = field.starts_with("spec.ports[") && field.ends_with("].name");
                field == own || !(is_port_name || others.iter().any(|other| field.starts_with(other)))
            };
            let scalars = document.scalars("spec").into_iter().filter(|(field, _)| is_told(field));
            stated.extend(scalars.map(|(field, text)| Stated {
                setting: field.replacen("spec", "service", 1),
                value: Value::String(text),
                document: document.clone(),
                field,
                overrode: Vec::new(),
            }));
        }
        (stated, Vec::new())
    }

    /// What the `Mesh` says, which is the same for every service.
    fn mesh_settings(&self) -> Vec<Stated> {
        let mesh = self.documents().filter(|document| matches!(document.body, Body::Mesh(_)));
        let stated = mesh.flat_map(|document| {
            document.scalars("spec").into_iter().map(|(field, text)| Stated {
                setting: field.replacen("spec", "mesh", 1),
                value: Value::String(text),
                document: document.clone(),
                field,
                overrode: Vec::new(),
            })
        });
        stated.collect()
    }

    fn policies_without_a_say(
        &self,
        entry: &CatalogEntry,
        port: Option<&Port>,
        proxy: &Proxy,
        view: &ClientView,
        candidates: &Candidates<'_>,
    ) -> Vec<NotApplied> {
        let service = &*entry.service;
        let subsets = candidates.subsets();
        let said = |policy: &Policy, field: &str, reason: String| NotApplied {
            document: policy.document.clone(),
            field: field.into(),
            reason,
        };
        let mut reasons = Vec::new();
        for policy in self.policies() {
            let target = &policy.traffic_policy().target;
            if !policy.targets(service) {
                reasons.extend(near_miss(target, service).map(|(field, reason)| said(policy, field, reason)));
                continue;
            }
            if !policy.is_seen_by(view) {
                let clients = policy.traffic_policy().clients.as_ref();
                let listed: Vec<&str> =
                    clients.iter().flat_map(|clients| &clients.services).map(|Pattern(name)| name.as_str()).collect();
                let workload = if proxy.workload.is_empty() { "(none)" } else { &proxy.workload };
                let reason = format!("it is for the clients {}; this node's workload is {workload}", listed.join(", "));
                reasons.push(said(policy, "spec.clients", reason));
                continue;
            }
            if let Some(number) = target.port
                && !service.ports.iter().any(|found| found.number == number && port.is_none_or(|port| port == found))
            {
                reasons.push(said(policy, "spec.target.port", format!("it is for port {number}")));
            } else if let Some(subset) = &target.subset {
                let reason = match subsets.get(&subset.0) {
                    None => Some(format!("{} has no subset {}", service.name, subset.0)),
                    Some(labels) if !selects_any(entry, labels) => {
                        Some(format!("subset {} is named by no endpoint", subset.0))
                    }
                    Some(_) => None,
                };
                reasons.extend(reason.map(|reason| said(policy, "spec.target.subset", reason)));
            }
        }
        reasons
    }

    fn rules_without_a_say(
        &self,
        service: &Service,
        client: Client<'_>,
        candidates: &Candidates<'_>,
    ) -> Vec<NotApplied> {
        let applied: BTreeSet<_> = candidates.rules.iter().map(|rule| &rule.document.id).collect();
        let said = |rule: &Rule, field: &str, reason: String| NotApplied {
            document: rule.document.clone(),
            field: field.into(),
            reason,
        };
        let mut reasons = Vec::new();
        for rule in self.rules.matching(service) {
            if !applied.contains(&rule.document.id) {
                let (field, reason) = rule_choice::why_not(rule, &candidates.rules, service, client);
                reasons.push(said(rule, field, reason));
            }
        }
        // Of the rules that apply the first `trafficPolicy` counts.
        let with_policy = candidates.rules.iter().filter(|rule| rule.has_traffic_policy());
        let mut with_policy = with_policy.copied();
        if let Some(first) = with_policy.next() {
            let reason = format!("of rules for one host the first trafficPolicy counts: that of {}", first.document.id);
            reasons.extend(with_policy.map(|rule| said(rule, "spec.trafficPolicy", reason.clone())));
        }
        let mut seen = BTreeSet::new();
        for rule in self.rules.iter().filter(|rule| seen.insert(&rule.document.id)) {
            if !rule.matches(service) && is_near(rule.host(), &service.name) {
                let reason = format!("its host is {}, not {}", rule.host(), service.name);
                reasons.push(said(rule, "spec.host", reason));
            }
        }
        reasons
    }
}

/// The subsets of a service, each with the definitions that another of its name comes before.
fn defined_subsets(candidates: &Candidates<'_>) -> Vec<Stated> {
    let mut by_name: BTreeMap<&SubsetName, Stated> = BTreeMap::new();
    for defined in candidates.defined_subsets() {
        let setting = format!("subsets.{}.labels", defined.name);
        let value = Value::Object(
            defined.labels.0.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect(),
        );
        let (document, field) = (defined.document.clone(), format!("spec.subsets[{}].labels", defined.index));
        if let Some(first) = by_name.get_mut(defined.name) {
            let reason = format!("of subsets with one name the first counts: that of {}", first.document.id);
            first.overrode.push(Overrode { setting, value, from: Origin { document, field }, reason });
        } else {
            by_name.insert(defined.name, Stated { setting, value, document, field, overrode: Vec::new() });
        }
    }
    by_name.into_values().collect()
}

/// Documents that apply, and of which nothing counts: every word of theirs was said by a more specific one.
fn nothing_counts(targets: &[TargetSettings], known: &[NotApplied]) -> Vec<NotApplied> {
    let decided = || targets.iter().flat_map(|target| target.settings.iter().map(|(_, decided)| decided));
    let winners: BTreeSet<_> = decided().map(|decided| &decided.leaf.document.id).collect();
    let mut losers = BTreeMap::new();
    for decided in decided() {
        for lost in &decided.overrode {
            losers.entry(&lost.leaf.document.id).or_insert((&lost.leaf.document, &decided.leaf.document));
        }
    }
    let idle = losers.into_iter().filter(|(id, (loser, _))| {
        let defines_subsets = match &loser.body {
            Body::TrafficPolicy(policy) => !policy.subsets.is_empty(),
            Body::DestinationRule(rule) => !rule.subsets.is_empty(),
            _ => false,
        };
        !winners.contains(id) && !defines_subsets && !known.iter().any(|entry| entry.document.id == **id)
    });
    let reason = |winner: &Document| format!("everything it says is overridden, by {} for one", winner.id);
    idle.map(|(_, (loser, winner))| NotApplied {
        document: loser.clone(),
        field: "spec".into(),
        reason: reason(winner),
    })
    .collect()
}

/// Why a policy that might be meant for a service does not target it; `None` where nobody would expect it to.
fn near_miss(target: &Target, service: &Service) -> Option<(&'static str, String)> {
    let Target { service: name, labels, port: _, subset: _ } = target;
    if let Some(labels) = labels {
        let missing = labels
            .0
            .iter()
            .find(|(key, value)| service.labels.get(key.as_str()).is_none_or(|found| **found != *value.as_str()));
        let has_the_key = labels.0.keys().any(|key| service.labels.contains_key(key.as_str()));
        let (key, value) = missing.filter(|_| has_the_key)?;
        return Some(("spec.target.labels", format!("{} has no label {key}: {value}", service.name)));
    }
    let Pattern(pattern) = name.as_ref()?;
    is_near(pattern.as_str(), &service.name)
        .then(|| ("spec.target.service", format!("it targets {pattern}, not {}", service.name)))
}

/// Whether one name was probably meant for the other: a letter or two differ.
fn is_near(written: &str, service: &ServiceName) -> bool {
    let short = written.split('.').next().unwrap_or(written);
    [written, short].iter().any(|name| strsim::damerau_levenshtein(name, service.as_str()) <= 2)
}

fn selects_any(entry: &CatalogEntry, labels: &Labels) -> bool {
    entry.endpoints.iter().any(|endpoint| labels.iter().all(|(key, value)| endpoint.labels.get(key) == Some(value)))
}

/// Why something lost: a sentence without a full stop.
pub fn why_lost(path: &str, winner: &Decided, loser: &Overridden) -> String {
    if loser.rank == winner.rank {
        return if loser.leaf.value == winner.leaf.value {
            "the same is said".to_owned()
        } else {
            "of documents that are equally specific the first by name counts".to_owned()
        };
    }
    let choice = if loser.path == path { "" } else { "; the two are forms of one choice" };
    let Rank { target, narrowing, clients } = &winner.rank;
    if *target != loser.rank.target {
        return format!("{} beats {}{choice}", target_words(target), target_words(&loser.rank.target));
    }
    if *narrowing != loser.rank.narrowing {
        return format!("{} beats {}{choice}", narrowing_words(*narrowing), narrowing_words(loser.rank.narrowing));
    }
    let (winner, loser) = (clients_words(*clients), clients_words(loser.rank.clients));
    format!("{winner} beats {loser}{choice}")
}

fn target_words(rank: &TargetRank) -> &'static str {
    match rank {
        TargetRank::Entry => "the ServiceEntry that defines the service",
        TargetRank::Name => "a service by name",
        TargetRank::DestinationRule => "a DestinationRule",
        TargetRank::Pattern(_) => "a pattern (the longer before the shorter)",
        TargetRank::Labels => "labels",
        TargetRank::All => "every service",
    }
}

fn narrowing_words(rank: NarrowingRank) -> &'static str {
    match rank {
        NarrowingRank::SubsetAndPort => "a subset at a port",
        NarrowingRank::Subset => "a subset",
        NarrowingRank::Port => "a port",
        NarrowingRank::Nothing => "the whole service",
    }
}

fn clients_words(rank: ClientsRank) -> &'static str {
    match rank {
        ClientsRank::Some => "for some clients",
        ClientsRank::All => "for all clients",
    }
}
