//! Where rules lead: a host, a port and a subset into a cluster, with the policies that apply there.

use std::{collections::BTreeMap, num::NonZeroU16, sync::Arc};

use super::{Host, Services};
use crate::{
    model::{
        ClientView, ClusterName, EffectivePolicy, Port, Service, ServiceName, SubsetName,
        policy::{HashKey, routing::Target},
    },
    policy::{effective::effective, leaves, merge::Merged, set::PolicySet},
};

/// Finds destinations for the rules of one service, and remembers what applies to them.
pub(in crate::policy) struct Destinations<'a, 's> {
    pub set: &'a PolicySet,
    pub view: &'a ClientView,
    pub services: &'s mut Services<'a>,
    known: BTreeMap<ClusterName, Arc<Found>>,
}

/// A destination that is there.
#[derive(Debug)]
pub(in crate::policy) struct Found {
    pub cluster: ClusterName,
    pub effective: EffectivePolicy,
    pub merged: Merged,
}

impl Found {
    /// What of a request is hashed there.
    pub fn hash_keys(&self) -> &[HashKey] {
        self.effective.load_balancer.hash_keys()
    }
}

/// A destination that is not there: which part of it is not, what is wrong, and what there is instead.
#[derive(Debug)]
pub(in crate::policy) struct NotThere {
    pub part: Part,
    pub message: String,
    pub remedy: Option<String>,
}

/// A part of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Part {
    Host,
    Port,
    Subset,
}

impl<'a, 's> Destinations<'a, 's> {
    pub fn new(set: &'a PolicySet, view: &'a ClientView, services: &'s mut Services<'a>) -> Self {
        Self { set, view, services, known: BTreeMap::new() }
    }

    /// The cluster that a destination means for traffic that came in at `dialled`.
    pub fn find(
        &mut self,
        host: &Host,
        port: Option<NonZeroU16>,
        subset: Option<&SubsetName>,
        dialled: &Port,
    ) -> Result<Arc<Found>, NotThere> {
        let Some(entry) = host.find(self.services) else {
            let written = host.written.as_str();
            if [written, host.full.as_str()].iter().any(|name| self.services.is_hidden(name)) {
                return Err(NotThere {
                    part: Part::Host,
                    message: format!("`{written}` is not exported to clients that these rules are for"),
                    remedy: Some("name their namespaces in the `exportTo` of its ServiceEntry".to_owned()),
                });
            }
            let nearest = self.services.nearest(written);
            return Err(NotThere {
                part: Part::Host,
                message: format!("no service is called `{written}`"),
                remedy: nearest.map(|nearest| format!("did you mean `{nearest}`?")),
            });
        };
        let port = port_of(&entry.service, port, dialled)?;
        self.cluster(&entry.service, port, subset)
    }

    /// What applies to a cluster.
    pub fn of_cluster(&mut self, cluster: &ClusterName) -> Option<Arc<Found>> {
        let entry = self.services.find(cluster.service.as_str())?;
        let port = entry.service.ports.iter().find(|port| port.number == cluster.port)?;
        self.cluster(&entry.service, port, cluster.subset.as_ref()).ok()
    }

    /// A port of a service, or a subset of it.
    pub fn cluster(
        &mut self,
        service: &'a Service,
        port: &Port,
        subset: Option<&SubsetName>,
    ) -> Result<Arc<Found>, NotThere> {
        let cluster = ClusterName { service: service.name.clone(), port: port.number, subset: subset.cloned() };
        if let Some(found) = self.known.get(&cluster) {
            return Ok(found.clone());
        }
        let candidates = self.set.candidates(service, self.view);
        if let Some(subset) = subset {
            let subsets = candidates.subsets();
            if !subsets.contains_key(subset) {
                let there: Vec<&str> = subsets.keys().map(SubsetName::as_str).collect();
                return Err(NotThere {
                    part: Part::Subset,
                    message: format!("{} has no subset `{subset}`", service.name),
                    remedy: Some(match there.as_slice() {
                        [] => "define it in a DestinationRule, or in a TrafficPolicy of that service".to_owned(),
                        there => format!("it has {}", there.join(", ")),
                    }),
                });
            }
        }
        let merged = candidates.decide(port, subset);
        let settings = merged.settings.iter().map(|(path, decided)| (path, &decided.leaf.value));
        let effective = effective(&leaves::unflatten(settings));
        let found = Arc::new(Found { cluster: cluster.clone(), effective, merged });
        self.known.insert(cluster, found.clone());
        Ok(found)
    }
}

/// The port that is meant: the one written, else the service's only one, else the one dialled.
fn port_of<'a>(service: &'a Service, written: Option<NonZeroU16>, dialled: &Port) -> Result<&'a Port, NotThere> {
    let number = match (written, service.ports.as_slice()) {
        (None, [only]) => only.number,
        (None, _) => dialled.number,
        (Some(number), _) => number,
    };
    service.ports.iter().find(|port| port.number == number).ok_or_else(|| {
        let there: Vec<String> = service.ports.iter().map(|port| port.number.to_string()).collect();
        let found = match written {
            Some(_) => format!("{} has no port {number}", service.name),
            None => format!("{} has several ports and none is {number}, which was dialled", service.name),
        };
        NotThere {
            part: Part::Port,
            message: found,
            remedy: Some(format!("write `port: {{ number: … }}`; it has {}", there.join(", "))),
        }
    })
}

/// What Envoy is told of a destination that is not there, for its readers.
pub(in crate::policy) fn nowhere(host: &str, port: Option<NonZeroU16>, subset: Option<&SubsetName>) -> Target {
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let subset = subset.map(|subset| format!("/{subset}")).unwrap_or_default();
    Target::Nowhere(format!("{host}{port}{subset}").into())
}

/// The one service that all of these belong to.
pub(in crate::policy) fn only_service<'f>(found: impl IntoIterator<Item = &'f Found>) -> Option<&'f ServiceName> {
    let mut names = found.into_iter().map(|found| &found.cluster.service);
    let first = names.next()?;
    names.all(|name| name == first).then_some(first)
}
