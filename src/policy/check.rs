//! Rules that match nothing there is: the commonest reason why a policy seems not to apply.

use std::{collections::BTreeSet, num::NonZeroU16, sync::Arc};

use super::{
    cluster_lints,
    document::{
        Body, Dependencies, DestinationRule, Document, Sidecar, TrafficPolicy, VirtualService,
        traffic_policy::{Clients, Pattern, Target},
    },
    istio::Rule,
    routes::{Attached, Routed, absent_from},
    set::{PolicySet, targets},
};
use crate::{
    diagnostic::Diagnostic,
    model::{
        Catalog, CatalogEntry, ClientView, NamePattern, Protocol, Service,
        egress::{EgressHost, EgressNamespace},
    },
    yaml::nearest,
};

/// Warnings about hosts, ports, subsets and clients that are not in the catalog.
pub fn check_against(policies: &PolicySet, catalog: &Catalog) -> Vec<Diagnostic> {
    let everyone = everyone(policies);
    policies
        .documents()
        .flat_map(|document| match &document.body {
            Body::TrafficPolicy(policy) => traffic_policy(document, policy, policies, &everyone, catalog),
            Body::DestinationRule(rule) => destination_rule(document, rule, catalog),
            Body::Dependencies(dependencies) => dependency_problems(document, dependencies, catalog),
            Body::Sidecar(sidecar) => {
                let mut problems = sidecar_problems(document, sidecar, policies, catalog);
                problems.extend(rules_not_imported(document, sidecar, policies, catalog));
                problems
            }
            Body::VirtualService(service) => virtual_service(document, service, catalog),
            // What they are for is looked at apart, and is an error where it is nothing.
            Body::EnvoyPatch(patch) => client_problems(document, patch.clients.as_ref(), catalog),
            // An entry is a service itself.
            Body::ServiceEntry(_) | Body::Mesh(_) => Vec::new(),
            Body::HTTPRoute(_) | Body::GRPCRoute(_) => gateway_route(document, catalog),
        })
        .collect()
}

fn warning(document: &Document, field: &str, message: String, remedy: Option<String>) -> Diagnostic {
    let problem = Diagnostic::warning("matches-nothing", document.place_of(field), field, message);
    Diagnostic { remedy, ..problem }
}

fn similar_service(name: &str, catalog: &Catalog) -> Option<String> {
    let names = catalog.iter().map(|(name, _)| name.as_str());
    nearest(name, names).map(|name| format!("did you mean `{name}`?"))
}

fn destination_rule(document: &Arc<Document>, rule: &DestinationRule, catalog: &Catalog) -> Vec<Diagnostic> {
    let matched: Vec<&CatalogEntry> = Rule::new(document).map_or_else(Vec::new, |rule| {
        catalog.iter().map(|(_, entry)| entry).filter(|entry| rule.matches(&entry.service)).collect()
    });
    if matched.is_empty() {
        let message = format!("no service is called `{}`: this rule has no effect", rule.host);
        return vec![warning(document, "spec.host", message, similar_service(&rule.host, catalog))];
    }
    let mut problems = Vec::new();
    if rule.traffic_policy.is_none() && rule.subsets.is_empty() {
        let message = "this rule says nothing of its host: it has no effect";
        problems.push(
            Diagnostic::warning("no-effect", document.place_of("spec"), "spec", message)
                .remedy("add `trafficPolicy` or `subsets`, or remove the document"),
        );
    }
    let levels = port_levels(rule);
    for (path, port) in &levels {
        if !matched.iter().any(|entry| entry.service.ports.iter().any(|found| found.number == *port)) {
            let message = format!("no service it is for has a port {port}: this has no effect");
            problems.push(warning(document, &format!("{path}.port.number"), message, ports_there_are(&matched)));
        }
    }
    for (path, settings) in rule.settings() {
        let port = levels.iter().find(|(level, _)| *level == path).map(|(_, port)| *port);
        problems.extend(cluster_lints::check(document, &settings, &path, &matched, port));
    }
    problems
}

/// Where a rule speaks of single ports.
fn port_levels(rule: &DestinationRule) -> Vec<(String, NonZeroU16)> {
    let of_subsets = rule.subsets.iter().enumerate().filter_map(|(index, subset)| {
        Some((format!("spec.subsets[{index}].trafficPolicy"), subset.traffic_policy.as_ref()?))
    });
    let policies = rule.traffic_policy.iter().map(|policy| ("spec.trafficPolicy".to_owned(), policy)).chain(of_subsets);
    let levels = policies.flat_map(|(path, policy)| {
        let levels = policy.port_level_settings.iter().enumerate();
        levels.map(move |(index, level)| (format!("{path}.portLevelSettings[{index}]"), level.port.number))
    });
    levels.collect()
}

/// Hosts that mean no service, and rules that no port of those that are meant speaks. Where rules lead is looked at when
/// they are resolved.
fn virtual_service(document: &Arc<Document>, service: &VirtualService, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut spoken: BTreeSet<Protocol> = BTreeSet::new();
    for routed in Routed::all(document) {
        let meant = meant_by(&routed, catalog);
        if meant.is_empty() {
            let host = &service.hosts[routed.index];
            let message = format!("no service is called `{host}`: these rules have no effect on it");
            problems.push(warning(document, &routed.field(), message, similar_service(host, catalog)));
        }
        spoken.extend(meant.iter().flat_map(|service| &service.ports).map(|port| port.protocol));
    }
    problems.extend(rules_of_other_protocols(document, service, &spoken));
    problems
}

/// The services that a host of a VirtualService can mean.
fn meant_by<'c>(routed: &Routed, catalog: &'c Catalog) -> Vec<&'c Service> {
    let can_be = |entry: &&CatalogEntry| routed.host.can_mean(&entry.service);
    let found: Vec<&CatalogEntry> = match routed.host.written.is_exact() {
        true => {
            let by_names = [&routed.host.full, &routed.host.written].map(|name| catalog.find(name.as_str()));
            by_names.into_iter().flatten().filter(can_be).collect()
        }
        false => catalog.iter().map(|(_, entry)| entry).filter(can_be).collect(),
    };
    found.into_iter().map(|entry| &*entry.service).collect()
}

/// Rules for what no port of the services that are meant speaks.
fn rules_of_other_protocols(
    document: &Document,
    service: &VirtualService,
    spoken: &BTreeSet<Protocol>,
) -> Vec<Diagnostic> {
    let rules = [
        ("http", !service.http.is_empty(), "HTTP", spoken.iter().any(|protocol| protocol.is_http())),
        ("tls", !service.tls.is_empty(), "tls", spoken.contains(&Protocol::Tls)),
        ("tcp", !service.tcp.is_empty(), "tcp or tls", spoken.iter().any(|protocol| !protocol.is_http())),
    ];
    let in_vain = rules.into_iter().filter(|(_, written, _, speaks)| *written && !speaks && !spoken.is_empty());
    in_vain
        .map(|(field, _, wanted, _)| {
            let message = format!("no port of the services that are meant speaks {wanted}: these rules have no effect");
            let spoken: Vec<&str> = spoken.iter().map(|protocol| protocol.as_str()).collect();
            let remedy = format!("their ports are of protocol {}", spoken.join(", "));
            warning(document, &format!("spec.{field}"), message, Some(remedy))
        })
        .collect()
}

/// Parents that mean no service, or no port of one that speaks HTTP.
fn gateway_route(document: &Arc<Document>, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for attached in Attached::all(document) {
        let field = attached.field();
        let meant: Vec<&CatalogEntry> =
            catalog.iter().map(|(_, entry)| entry).filter(|entry| attached.host.can_mean(&entry.service)).collect();
        if meant.is_empty() {
            let name = attached.host.written.as_str();
            let (absent, remedy) = match attached.parents_namespace() {
                Some(namespace) => (absent_from(name, namespace), None),
                None => (format!("no service is called `{name}`"), similar_service(name, catalog)),
            };
            let message = format!("{absent}: this route has no effect on it");
            problems.push(warning(document, &format!("{field}.name"), message, remedy));
        } else if !meant.iter().any(|entry| entry.service.ports.iter().any(|port| attached.covers(port))) {
            let message = "the service has no such port that speaks HTTP: this route has no effect on it".to_owned();
            problems.push(warning(document, &field, message, ports_there_are(&meant)));
        }
    }
    problems
}

fn traffic_policy(
    document: &Arc<Document>,
    policy: &TrafficPolicy,
    policies: &PolicySet,
    everyone: &ClientView,
    catalog: &Catalog,
) -> Vec<Diagnostic> {
    let targeted = targeted(&policy.target, catalog);
    let mut problems = target_problems(document, &policy.target, &targeted, policies, everyone, catalog);
    problems.extend(cluster_lints::check(document, &policy.settings(), "spec", &targeted, policy.target.port));
    problems.extend(client_problems(document, policy.clients.as_ref(), catalog));
    problems
}

/// The client that every policy is for: it sees what any client sees. Gathered from all documents, so once for many
/// questions.
pub(super) fn everyone(policies: &PolicySet) -> ClientView {
    ClientView { selectors: policies.selectors(), namespace: None, labels: policies.label_selectors() }
}

/// What of a target is not there.
pub(super) fn target_problems(
    document: &Document,
    target: &Target,
    targeted: &[&CatalogEntry],
    policies: &PolicySet,
    everyone: &ClientView,
    catalog: &Catalog,
) -> Vec<Diagnostic> {
    let Target { service, labels, port, subset } = target;
    let mut problems = Vec::new();
    if targeted.is_empty() {
        problems.extend(target_problem(document, service.as_ref(), labels.is_some(), catalog));
    } else {
        if let Some(port) = port
            && !targeted.iter().any(|entry| entry.service.ports.iter().any(|found| found.number == *port))
        {
            let message = format!("no service it targets has a port {port}: this policy has no effect");
            problems.push(warning(document, "spec.target.port", message, ports_there_are(targeted)));
        }
        if let Some(subset) = subset {
            let defined =
                |entry: &&CatalogEntry| policies.candidates(&entry.service, everyone).subsets().contains_key(&subset.0);
            if !targeted.iter().any(defined) {
                let message = format!("no service it targets has a subset `{}`: this policy has no effect", subset.0);
                problems.push(warning(document, "spec.target.subset", message, None));
            }
        }
    }
    problems
}

/// The services that a target means.
pub(super) fn targeted<'a>(target: &Target, catalog: &'a Catalog) -> Vec<&'a CatalogEntry> {
    let is_meant = |entry: &&CatalogEntry| targets(target, &entry.service);
    match &target.service {
        Some(Pattern(name)) if name.is_exact() => catalog.get(name.as_str()).into_iter().filter(is_meant).collect(),
        _ => catalog.iter().map(|(_, entry)| entry).filter(is_meant).collect(),
    }
}

fn target_problem(
    document: &Document,
    service: Option<&Pattern>,
    by_labels: bool,
    catalog: &Catalog,
) -> Option<Diagnostic> {
    match service {
        Some(Pattern(pattern)) => {
            let message = format!("no service is called `{pattern}`: this policy has no effect");
            Some(warning(document, "spec.target.service", message, similar_service(pattern.as_str(), catalog)))
        }
        None if by_labels => {
            let message = "no service has these labels: this policy has no effect".to_owned();
            Some(warning(document, "spec.target.labels", message, None))
        }
        // A policy for all services, while there is none yet.
        None => None,
    }
}

fn ports_there_are(targeted: &[&CatalogEntry]) -> Option<String> {
    let [entry] = targeted else { return None };
    let ports: Vec<String> = entry.service.ports.iter().map(|port| port.number.to_string()).collect();
    Some(format!("{} has {}", entry.service.name, ports.join(", ")))
}

fn client_problems(document: &Document, clients: Option<&Clients>, catalog: &Catalog) -> Vec<Diagnostic> {
    let patterns = clients.map_or(&[][..], |Clients { services }| services).iter().enumerate();
    let unknown = patterns.filter(|(_, Pattern(pattern))| !known(pattern, catalog));
    unknown
        .map(|(index, Pattern(pattern))| {
            let message = format!("`{pattern}` is no service: if it is no workload either, this has no effect");
            let field = format!("spec.clients.services[{index}]");
            warning(document, &field, message, similar_service(pattern.as_str(), catalog))
        })
        .collect()
}

fn dependency_problems(document: &Document, dependencies: &Dependencies, catalog: &Catalog) -> Vec<Diagnostic> {
    let Dependencies { workload: Pattern(workload), services } = dependencies;
    let mut problems = Vec::new();
    if !known(workload, catalog) {
        let message = format!("`{workload}` is no service: if it is no workload either, this has no effect");
        problems.push(warning(document, "spec.workload", message, similar_service(workload.as_str(), catalog)));
    }
    for (index, Pattern(pattern)) in
        services.iter().enumerate().filter(|(_, Pattern(pattern))| !known(pattern, catalog))
    {
        let message = format!("no service is called `{pattern}`");
        let field = format!("spec.services[{index}]");
        problems.push(warning(document, &field, message, similar_service(pattern.as_str(), catalog)));
    }
    problems
}

/// Hosts that mean no service there is. A whole namespace may be empty.
fn sidecar_problems(
    document: &Document,
    sidecar: &Sidecar,
    policies: &PolicySet,
    catalog: &Catalog,
) -> Vec<Diagnostic> {
    // Rules of a namespace without the service are meant by its name there.
    let has_rules = |host: &EgressHost| {
        policies.documents().any(|other| {
            matches!(&host.namespace, EgressNamespace::Named(namespace) if *namespace == other.namespace())
                && Routed::all(other).iter().any(|routed| is_host_of(host, routed))
        })
    };
    let is_there = |host: &EgressHost| catalog.iter().any(|(_, entry)| host.matches(&entry.service)) || has_rules(host);
    let unmatched = sidecar
        .hosts()
        .filter(|(_, _, host)| host.as_ref().is_some_and(|host| host.host.as_str() != "*" && !is_there(host)));
    unmatched
        .map(|(field, host, _)| {
            let name = host.split_once('/').map_or(host, |(_, name)| name);
            let remedy = similar_service(name, catalog);
            warning(document, &field, format!("no service is meant by `{host}`: it has no effect"), remedy)
        })
        .collect()
}

/// Whether a host of `egress` names one of a VirtualService, of the same namespace; both may be wild.
fn is_host_of(host: &EgressHost, routed: &Routed) -> bool {
    let meets = |name: &NamePattern| host.host.matches(name.as_str()) || name.matches(host.host.as_str());
    meets(&routed.host.written) || meets(&routed.host.full)
}

/// Rules that Istio would keep from the workloads of a Sidecar: a VirtualService counts there where a host of `egress`
/// names its namespace. Here its rules are those of the service, for all who may reach that; so this is refused, and not
/// done in another way.
fn rules_not_imported(
    document: &Document,
    sidecar: &Sidecar,
    policies: &PolicySet,
    catalog: &Catalog,
) -> Vec<Diagnostic> {
    let own = document.namespace();
    let reached: Vec<(String, EgressHost)> =
        sidecar.hosts().filter_map(|(field, _, host)| Some((field, host?.of(&own)))).collect();
    let mut problems = Vec::new();
    for other in policies.documents() {
        let Body::VirtualService(rules) = &other.body else { continue };
        let of_rules = other.namespace();
        let is_imported = |host: &EgressHost| match &host.namespace {
            EgressNamespace::Any => true,
            EgressNamespace::Own => false,
            EgressNamespace::Named(namespace) => *namespace == of_rules,
        };
        let counts = |routed: &Routed| reached.iter().any(|(_, host)| is_imported(host) && is_host_of(host, routed));
        let hosts = Routed::all(other);
        if !rules.export_to.visibility(&of_rules).includes(Some(&own)) || hosts.iter().any(counts) {
            continue;
        }
        let led = hosts.iter().flat_map(|routed| meant_by(routed, catalog)).find_map(|service| {
            let (field, _) = reached.iter().find(|(_, host)| host.matches(service))?;
            Some((field, service))
        });
        let Some((field, service)) = led else { continue };
        let message = format!(
            "{} leads {} for these workloads, and in Istio it would not: no host here names its namespace, {of_rules}",
            other.id, service.name
        );
        let host = service.hosts.first().map_or(service.name.as_str(), |host| host.as_str());
        problems.push(
            Diagnostic::error("unsupported", document.place_of_value(field), field.clone(), message)
                .related(other.place(), format!("{} stands here", other.id))
                .remedy(format!("add `{of_rules}/{host}`, or keep its rules to their own namespace with `exportTo`")),
        );
    }
    problems
}

fn known(pattern: &NamePattern, catalog: &Catalog) -> bool {
    if pattern.is_exact() {
        return catalog.get(pattern.as_str()).is_some();
    }
    catalog.iter().any(|(name, _)| pattern.matches(name.as_str()))
}
