//! All documents together, indexed so that what concerns one service is found without looking at the rest.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::Value;

use super::{
    document::{
        Body, Dependencies, Document, DocumentId, TrafficPolicy,
        settings::LoadBalancer,
        traffic_policy::{Clients, Pattern, Target},
    },
    entries::{self, Entries},
    istio::{Rule, Rules},
    leaves::{Path, flatten},
    merge::{ClientsRank, Layer, Leaf, NarrowingRank, Rank, TargetRank, merge},
    patches::Patching,
    routes::{Attached, GatewayRoutes, Routed, VirtualServices},
    sidecars::SidecarDocuments,
};
use crate::{
    diagnostic::Diagnostic,
    model::{
        CatalogEntry, ClientView, Labels, LocalityUse, MeshSettings, NamePattern, Scope, Service, ServiceName,
        SubsetName, egress::Sidecars, service::Port,
    },
};

/// Every policy in force. Equal sets mean the same, wherever their documents stand.
#[derive(Debug, Default)]
pub struct PolicySet {
    documents: BTreeMap<DocumentId, Arc<Document>>,
    by_service: HashMap<String, Vec<Policy>>,
    /// Those that do not name one service.
    wide: Vec<Policy>,
    pub(super) rules: Rules,
    pub(super) virtual_services: VirtualServices,
    pub(super) entries: Entries,
    pub(super) gateway_routes: GatewayRoutes,
    pub(super) sidecar_documents: SidecarDocuments,
    sidecars: Arc<Sidecars>,
    /// By name, which is the order in which they are made.
    pub(super) patches: Vec<Arc<Document>>,
    mesh: MeshSettings,
    dependencies: Arc<BTreeMap<NamePattern, Scope>>,
}

/// A TrafficPolicy, flattened once.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub document: Arc<Document>,
    leaves: Arc<BTreeMap<Path, Value>>,
}

impl PolicySet {
    /// Puts documents together. The problems are those that show without knowing services: one name twice, a second
    /// `Mesh`, documents with the same target that contradict each other.
    pub fn build<'a>(documents: impl IntoIterator<Item = &'a Arc<Document>>) -> (Self, Vec<Diagnostic>) {
        let mut set = Self::default();
        let mut problems = Vec::new();
        let mut mesh: Option<Arc<Document>> = None;
        let (mut entries, mut sidecars) = (Vec::new(), Vec::new());
        for document in documents {
            if let Some(first) = set.documents.get(&document.id) {
                let message = format!("{} is there twice", document.id);
                let problem = Diagnostic::error(
                    "duplicate-document",
                    document.place_of("metadata.name"),
                    "metadata.name",
                    message,
                );
                problems.push(
                    problem.related(first.place_of("metadata.name"), "first here").remedy("rename one of the two"),
                );
                continue;
            }
            match &document.body {
                Body::TrafficPolicy(policy) => set.index(document, policy),
                Body::DestinationRule(_) => set.rules.add(document),
                Body::VirtualService(_) => set.virtual_services.add(document),
                Body::ServiceEntry(_) => entries.push(document.clone()),
                Body::Sidecar(_) => sidecars.push(document.clone()),
                Body::HTTPRoute(_) | Body::GRPCRoute(_) => set.gateway_routes.add(document),
                Body::Dependencies(dependencies) => set.depend(dependencies),
                Body::EnvoyPatch(_) => set.patches.push(document.clone()),
                Body::Mesh(body) => match &mesh {
                    None => {
                        set.mesh = body.effective();
                        mesh = Some(document.clone());
                    }
                    Some(first) => {
                        let problem =
                            Diagnostic::error("second-mesh", document.place(), "", "a second Mesh: there is one");
                        problems.push(problem.related(first.place(), "the first is here").remedy("merge the two"));
                    }
                },
            }
            set.documents.insert(document.id.clone(), document.clone());
        }
        let (entries, differing) = Entries::of(&entries);
        set.entries = entries;
        problems.extend(differing);
        let (sidecars, rivals) = SidecarDocuments::of(sidecars);
        set.sidecars = Arc::new(sidecars.model(set.root_namespace()));
        set.sidecar_documents = sidecars;
        problems.extend(rivals);
        set.patches.sort_by(|a, b| a.id.cmp(&b.id));
        problems.extend(set.contradictions());
        (set, problems)
    }

    /// Every document, by kind, namespace and name.
    pub fn documents(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.documents.values()
    }

    /// The document of that kind, namespace and name.
    pub fn get(&self, id: &DocumentId) -> Option<&Arc<Document>> {
        self.documents.get(id)
    }

    /// The mesh-wide settings.
    pub fn mesh(&self) -> MeshSettings {
        self.mesh.clone()
    }

    /// The namespace whose documents are the defaults of the mesh.
    pub fn root_namespace(&self) -> &str {
        &self.mesh.root_namespace
    }

    /// The services that documents define, each under its name.
    pub fn services(&self) -> BTreeMap<ServiceName, CatalogEntry> {
        self.entries.services()
    }

    /// What to say of a service that documents define, where discovery has one of that name.
    pub fn shadowed(&self, name: &ServiceName, discovered: &Service) -> Option<Diagnostic> {
        self.entries.get(name).map(|entry| entry.shadowed_by(discovered))
    }

    /// What workloads call, as documents say: those of equal `workload` united.
    pub fn dependencies(&self) -> Arc<BTreeMap<NamePattern, Scope>> {
        self.dependencies.clone()
    }

    /// What workloads may reach, as documents say.
    pub fn sidecars(&self) -> Arc<Sidecars> {
        self.sidecars.clone()
    }

    /// Every client selector that a policy uses.
    pub fn selectors(&self) -> BTreeSet<NamePattern> {
        self.policies()
            .flat_map(|policy| clients(policy.traffic_policy()))
            .map(|Pattern(pattern)| pattern)
            .chain(self.patchings().flat_map(Patching::clients))
            .cloned()
            .collect()
    }

    /// Every selector of clients by their labels that a rule uses.
    pub fn label_selectors(&self) -> BTreeSet<Labels> {
        self.virtual_services.label_selectors()
    }

    /// Whether a policy reads where the client runs.
    pub fn locality_use(&self) -> LocalityUse {
        let by_policies = self.load_balancers().any(|balancer| {
            balancer.is_zone_aware() || balancer.locality_lb_setting.is_some_and(|setting| setting.reads_place())
        });
        if by_policies || self.rules.iter().any(Rule::reads_client_locality) {
            LocalityUse::Read
        } else {
            LocalityUse::Unread
        }
    }

    /// The labels of clients that policies compare with endpoints'.
    pub fn compared_labels(&self) -> BTreeSet<Arc<str>> {
        let balancers = self.load_balancers().chain(self.rules.iter().flat_map(Rule::load_balancers));
        let settings = balancers.filter_map(|balancer| balancer.locality_lb_setting);
        settings.flat_map(|setting| setting.compared_labels().map(Arc::from).collect::<Vec<_>>()).collect()
    }

    fn load_balancers(&self) -> impl Iterator<Item = LoadBalancer> {
        self.policies().filter_map(|policy| policy.traffic_policy().settings().load_balancer)
    }

    /// What differs from an earlier set, as a question about services.
    pub fn touched_since(&self, before: &Self) -> Touched {
        let mut selectors = Vec::new();
        for (id, document) in &self.documents {
            match before.documents.get(id) {
                Some(old) if Arc::ptr_eq(old, document) || old == document => {}
                Some(old) => selectors.extend(Selector::of(old).into_iter().chain(Selector::of(document))),
                None => selectors.extend(Selector::of(document)),
            }
        }
        let gone = before.documents.iter().filter(|(id, _)| !self.documents.contains_key(id));
        selectors.extend(gone.flat_map(|(_, document)| Selector::of(document)));
        if self.root_namespace() != before.root_namespace() {
            selectors.push(Selector::Everything);
        }
        Touched { selectors }
    }

    /// What two kinds of clients do not see alike, as a question about services. `None` where they differ in more than
    /// in the selectors that match them: by namespaces and labels whole rules are chosen.
    pub fn seen_differently(&self, one: &ClientView, other: &ClientView) -> Option<Touched> {
        if (&one.namespace, &one.labels) != (&other.namespace, &other.labels) {
            return None;
        }
        let policies = self.policies().filter(|policy| policy.is_seen_by(one) != policy.is_seen_by(other));
        let patches = self.patchings().filter(|patch| patch.is_seen_by(one) != patch.is_seen_by(other));
        let documents = policies.map(|policy| &policy.document).chain(patches.map(|patch| patch.document));
        Some(Touched { selectors: documents.flat_map(Selector::of).collect() })
    }

    /// The TrafficPolicies that can concern a service as one kind of client sees it, whatever the port.
    pub(super) fn policies_for<'a>(
        &'a self,
        service: &'a Service,
        view: &'a ClientView,
    ) -> impl Iterator<Item = &'a Policy> {
        let named = self.by_service.get(service.name.as_str()).into_iter().flatten();
        named.chain(&self.wide).filter(|policy| policy.targets(service) && policy.is_seen_by(view))
    }

    fn depend(&mut self, dependencies: &Dependencies) {
        let Dependencies { workload: Pattern(workload), services } = dependencies;
        let scope = Arc::make_mut(&mut self.dependencies).entry(workload.clone()).or_default();
        Arc::make_mut(&mut scope.0).extend(services.iter().map(|Pattern(pattern)| pattern.clone()));
    }

    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.by_service.values().flatten().chain(&self.wide)
    }

    fn index(&mut self, document: &Arc<Document>, policy: &TrafficPolicy) {
        let leaves = Arc::new(flatten(&policy.settings()));
        let indexed = Policy { document: document.clone(), leaves };
        match &policy.target.service {
            Some(Pattern(name)) if name.is_exact() => {
                self.by_service.entry(name.as_str().to_owned()).or_default().push(indexed);
            }
            Some(_) | None => self.wide.push(indexed),
        }
    }

    /// Documents with exactly one target, and exactly one kind of client, that say different things.
    fn contradictions(&self) -> Vec<Diagnostic> {
        let mut groups: BTreeMap<String, Vec<&Policy>> = BTreeMap::new();
        for policy in self.policies() {
            let TrafficPolicy { target, clients, .. } = policy.traffic_policy();
            groups.entry(format!("{target:?} {clients:?}")).or_default().push(policy);
        }
        let rivals = groups.into_values().filter(|policies| policies.len() > 1);
        rivals
            .flat_map(|policies| {
                let merged = merge(policies.into_iter().map(Policy::layer).collect());
                merged.contradictions.into_iter().map(|(path, winner, loser)| contradiction(&path, &winner, &loser))
            })
            .collect()
    }
}

/// What to say of two documents of equal rank that say different things.
pub(super) fn contradiction(path: &str, winner: &Leaf, loser: &Leaf) -> Diagnostic {
    let message = format!(
        "`{path}` is {} here and {} in {}, and neither is more specific",
        loser.value, winner.value, winner.document.id
    );
    Diagnostic::error("contradiction", loser.document.place_of(&loser.field), &loser.field, message)
        .related(winner.document.place_of(&winner.field), format!("said differently by {}", winner.document.id))
        .remedy("let one of the two say it, or make one more specific (a service by name, a port, a subset, clients)")
}

fn clients(policy: &TrafficPolicy) -> &[Pattern] {
    policy.clients.as_ref().map_or(&[], |Clients { services }| services)
}

impl Policy {
    pub fn traffic_policy(&self) -> &TrafficPolicy {
        match &self.document.body {
            Body::TrafficPolicy(policy) => policy,
            _ => unreachable!("only TrafficPolicies are indexed here"),
        }
    }

    pub fn targets(&self, service: &Service) -> bool {
        targets(&self.traffic_policy().target, service)
    }

    pub fn is_seen_by(&self, view: &ClientView) -> bool {
        let policy = self.traffic_policy();
        policy.clients.is_none() || clients(policy).iter().any(|Pattern(pattern)| view.selectors.contains(pattern))
    }

    /// Whether it has a say about this port, and this subset of it.
    pub fn covers(&self, port: &Port, subset: Option<&SubsetName>) -> bool {
        let target = &self.traffic_policy().target;
        target.port.is_none_or(|number| number == port.number)
            && target.subset.as_ref().is_none_or(|wanted| Some(&wanted.0) == subset)
    }

    /// Its settings, with its rank.
    pub fn layer(&self) -> Layer {
        let leaf = |(path, value): (&Path, &Value)| {
            let field = format!("spec.{path}");
            (path.clone(), Leaf { value: value.clone(), document: self.document.clone(), field })
        };
        Layer { rank: rank(self.traffic_policy()), leaves: self.leaves.iter().map(leaf).collect() }
    }
}

pub(super) fn targets(target: &Target, service: &Service) -> bool {
    let Target { service: name, labels, port: _, subset: _ } = target;
    let has =
        |(key, value): (&String, &String)| service.labels.get(key.as_str()).is_some_and(|found| **found == **value);
    name.as_ref().is_none_or(|Pattern(pattern)| pattern.matches(service.name.as_str()))
        && labels.as_ref().is_none_or(|labels| labels.0.iter().all(has))
}

fn rank(policy: &TrafficPolicy) -> Rank {
    let Target { service, labels, port, subset } = &policy.target;
    Rank {
        target: match (service, labels) {
            (Some(Pattern(name)), _) if name.is_exact() => TargetRank::Name,
            (Some(Pattern(pattern)), _) if pattern.specificity() > 0 => {
                TargetRank::Pattern(std::cmp::Reverse(pattern.specificity()))
            }
            (_, Some(_)) => TargetRank::Labels,
            (_, None) => TargetRank::All,
        },
        narrowing: match (subset, port) {
            (Some(_), Some(_)) => NarrowingRank::SubsetAndPort,
            (Some(_), None) => NarrowingRank::Subset,
            (None, Some(_)) => NarrowingRank::Port,
            (None, None) => NarrowingRank::Nothing,
        },
        clients: if policy.clients.is_some() { ClientsRank::Some } else { ClientsRank::All },
    }
}

/// Which services a change of documents can touch.
#[derive(Debug, Clone, Default)]
pub struct Touched {
    selectors: Vec<Selector>,
}

#[derive(Debug, Clone)]
enum Selector {
    Target(Target),
    Rule(Rule),
    Routed(Routed),
    Named(BTreeSet<ServiceName>),
    Attached(Attached),
    Everything,
}

impl Selector {
    fn of(document: &Arc<Document>) -> Vec<Self> {
        match &document.body {
            Body::TrafficPolicy(policy) => vec![Self::Target(policy.target.clone())],
            Body::EnvoyPatch(patch) => vec![Self::Target(patch.target.clone())],
            Body::DestinationRule(_) => Rule::new(document).map(Self::Rule).into_iter().collect(),
            Body::VirtualService(_) => Routed::all(document).into_iter().map(Self::Routed).collect(),
            Body::ServiceEntry(_) => vec![Self::Named(entries::names_of(document))],
            Body::HTTPRoute(_) | Body::GRPCRoute(_) => {
                Attached::all(document).into_iter().map(Self::Attached).collect()
            }
            // Mesh settings and scopes are compared as a whole; they are no part of a service's policy.
            Body::Dependencies(_) | Body::Sidecar(_) | Body::Mesh(_) => Vec::new(),
        }
    }
}

impl Touched {
    /// Whether no service can be.
    pub fn is_nothing(&self) -> bool {
        self.selectors.is_empty()
    }

    /// Whether this one can be.
    pub fn can_touch(&self, service: &Service) -> bool {
        self.selectors.iter().any(|selector| match selector {
            Selector::Target(target) => targets(target, service),
            Selector::Rule(rule) => rule.matches(service),
            Selector::Routed(routed) => routed.host.can_mean(service),
            Selector::Named(names) => names.contains(&service.name),
            Selector::Attached(attached) => attached.host.can_mean(service),
            Selector::Everything => true,
        })
    }
}
