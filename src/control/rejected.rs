//! What clients reject, told to people: which resource, in the client's words, how many, and the lines that made it.

use std::{collections::BTreeMap, num::NonZeroU16, sync::Arc};

use super::{
    quarantine::{Case, Unit},
    world::World,
};
use crate::{
    diagnostic::{At, Diagnostic, Level},
    model::{
        NodeGroup, ServiceName, SubsetName,
        policy::{PatchOperation, PatchedResource, PolicyKey},
    },
    policy::Document,
    resources::ResourceType,
};

/// A rejection, and who wrote what was rejected.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// What, and by whom.
    pub case: Case,
    /// The documents that shaped it, each with the field where that is known; those that patch it first.
    pub makers: Vec<Maker>,
}

/// A document that has a part in a resource.
#[derive(Debug, Clone)]
pub struct Maker {
    /// Which.
    pub document: Arc<Document>,
    /// At which path below its root; empty = all of it.
    pub field: String,
}

impl Rejected {
    /// Finds the documents.
    pub(super) fn of(case: Case, world: &mut World, groups: &[NodeGroup]) -> Self {
        let mut fields: BTreeMap<Arc<str>, String> = BTreeMap::new();
        let mut others: Vec<Arc<str>> = case.documents.iter().map(|document| document.as_str().into()).collect();
        for group in groups {
            let (patches, shaped) = parts_of(&case.unit, world, group);
            for PatchOperation { document, field, .. } in patches {
                fields.entry(document).or_insert_with(|| field.to_string());
            }
            if case.unit.host.is_none() {
                others.extend(shaped);
            }
        }
        let documents: BTreeMap<String, &Arc<Document>> =
            world.policies().documents().map(|document| (document.name(), document)).collect();
        let maker = |name: &str, field: &str| {
            let document = Arc::clone(documents.get(name)?);
            Some(Maker { document, field: field.to_owned() })
        };
        others.sort_unstable();
        others.dedup();
        let patching = fields.iter().filter_map(|(name, field)| maker(name, field));
        let shaping = others.iter().filter(|name| !fields.contains_key(*name)).filter_map(|name| maker(name, ""));
        let makers = patching.chain(shaping).collect();
        Self { case, makers }
    }

    /// As a problem, at the line that made it.
    pub fn diagnostic(&self) -> Diagnostic {
        let Self { case, makers } = self;
        let subject = subject(&case.unit);
        let what = match (case.quarantined, case.has_earlier) {
            (true, true) => format!("proxies reject {subject}; all are given the form that was accepted last"),
            (true, false) => {
                format!("proxies reject {subject}, of which no form was ever accepted; it is kept from all")
            }
            (false, _) => format!("not every proxy accepts {subject}"),
        };
        let message = format!("{what}: {}", case.message);
        let nodes: Vec<&str> = case.nodes.iter().map(|node| &**node).collect();
        let nodes = if case.count > nodes.len() { format!("{}, …", nodes.join(", ")) } else { nodes.join(", ") };
        let mut remedy = format!("rejected by {} ({nodes}), accepted by none; ", count(case.count));
        if !case.together_with.is_empty() {
            let others: Vec<String> = case.together_with.iter().map(subject_name).collect();
            remedy += &format!("it may as well be {}, which came with it; ", others.join(" or "));
        }
        remedy += match makers.is_empty() {
            true => "no policy shapes it: look at the service in its source; what differs is tried at once",
            false => "change what is said here; what differs is tried at once",
        };
        let (level, id) = if case.quarantined { (Level::Error, "quarantined") } else { (Level::Warning, "rejected") };
        let at = match makers.first() {
            Some(maker) => At::Place(maker.document.place_of(&maker.field)),
            None => At::File("proxies".into()),
        };
        let field = makers.first().map(|maker| maker.field.clone()).unwrap_or_default();
        let others = makers.iter().skip(1);
        let related = others.map(|other| {
            (other.document.place_of(&other.field), format!("{} has a part in it", other.document.name()))
        });
        Diagnostic { level, id, at, field, message, remedy: Some(remedy), related: related.collect() }
    }
}

fn count(proxies: usize) -> String {
    if proxies == 1 { "1 proxy".to_owned() } else { format!("{proxies} proxies") }
}

fn subject_name(unit: &Unit) -> String {
    unit.host.as_deref().unwrap_or(unit.resource.as_str()).to_owned()
}

fn subject(unit: &Unit) -> String {
    let Unit { resource_type, resource, host, version: _ } = unit;
    match (resource_type, host) {
        (_, Some(host)) => format!("virtual host {host} of `{resource}`"),
        (ResourceType::Cluster, None) => format!("cluster {resource}"),
        (ResourceType::Endpoints, None) => format!("the endpoints of {resource}"),
        (ResourceType::Secret, None) => format!("secret {resource}"),
        (ResourceType::Listener, None) => format!("listener {resource}"),
        (ResourceType::Route, None) => format!("the routes of listener {resource}"),
    }
}

/// What patches a unit for a group, and what else shapes it.
fn parts_of(unit: &Unit, world: &mut World, group: &NodeGroup) -> (Vec<PatchOperation>, Vec<Arc<str>>) {
    const OUTBOUND: &str = "outbound";
    if unit.resource_type == ResourceType::Listener && unit.resource.as_str() == OUTBOUND {
        let mesh = world.policies().documents().filter(|document| document.name().starts_with("Mesh/"));
        let mesh = mesh.map(|document| document.name().into()).collect();
        return (world.policies().outbound_patches(&group.view), mesh);
    }
    let name = unit.host.as_deref().unwrap_or(unit.resource.as_str());
    let Some((service, key)) = target(name) else { return Default::default() };
    let Some(policy) = world.policy(&group.view, &service) else { return Default::default() };
    let is_meant = |of: PatchedResource| match unit.resource_type {
        ResourceType::Cluster => of == PatchedResource::Cluster,
        ResourceType::Endpoints => of == PatchedResource::Endpoints,
        ResourceType::Secret => false,
        ResourceType::Listener => of == PatchedResource::Listener,
        ResourceType::Route => matches!(of, PatchedResource::VirtualHost | PatchedResource::Route),
    };
    let patches = policy.patches.get(&key).into_iter().flatten().filter(|patch| is_meant(patch.of)).cloned().collect();
    let shaped = policy.documents.get(&key.port).map(|shaped| shaped.host.clone()).unwrap_or_default();
    (patches, shaped)
}

/// The service and port that a resource is called after: `orders:80`, `orders:80/v1`.
fn target(name: &str) -> Option<(ServiceName, PolicyKey)> {
    let (service, rest) = name.rsplit_once(':')?;
    let (port, subset) = match rest.split_once('/') {
        Some((port, subset)) => (port, Some(SubsetName::new(subset).ok()?)),
        None => (rest, None),
    };
    let port: NonZeroU16 = port.parse().ok()?;
    Some((ServiceName::of_host(service).ok()?, PolicyKey { port, subset }))
}
