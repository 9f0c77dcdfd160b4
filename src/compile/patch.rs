//! Patches: the last thing that happens to a resource before it is encoded.

use std::sync::Arc;

use prost::Message;

use super::route;
use crate::{
    descriptors::{self, Refused, names},
    model::policy::{PatchChange, PatchOperation, PatchedResource},
    proto::envoy::config::route::v3::{Route, VirtualHost},
};

/// A change that was tried on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tried {
    /// Whose change, as `KIND/NAME`.
    pub document: Arc<str>,
    /// Where it is said in that document.
    pub field: Arc<str>,
    /// On which resource.
    pub resource: String,
    /// Why it could not be made: a sentence without a full stop.
    pub refused: Option<String>,
}

/// The changes of one port, or one subset of it, and what became of them.
#[derive(Debug)]
pub(super) struct Patches<'a> {
    operations: &'a [PatchOperation],
    /// The cluster's name, which all the others go by.
    name: String,
    pub tried: Vec<Tried>,
}

impl<'a> Patches<'a> {
    pub fn new(operations: Option<&'a Vec<PatchOperation>>, name: String) -> Self {
        Self { operations: operations.map_or(&[], Vec::as_slice), name, tried: Vec::new() }
    }

    /// Whether there is nothing to do, which is the ordinary case.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// A resource with all changes of its kind.
    pub fn apply<M: Message + Default>(&mut self, of: PatchedResource, message: M) -> M {
        self.apply_named(of, None, message).0
    }

    /// A virtual host with the changes of its own and of its routes, and the documents' names in the metadata.
    pub fn apply_to_host(&mut self, host: VirtualHost) -> VirtualHost {
        if self.is_empty() {
            return host;
        }
        let mut host = self.apply(PatchedResource::VirtualHost, host);
        let documents: Vec<Arc<str>> = self.operations.iter().map(|operation| operation.document.clone()).collect();
        route::add_provenance(&mut host.metadata, &documents);
        let routes = std::mem::take(&mut host.routes);
        let names: Vec<String> = routes.iter().map(|route| route.name.clone()).collect();
        host.routes = routes.into_iter().map(|route| self.apply_to_route(route)).collect();
        for operation in self.operations.iter().filter(|operation| operation.of == PatchedResource::Route) {
            if let Some(wanted) = operation.route.as_deref().filter(|wanted| !names.iter().any(|name| name == wanted)) {
                self.miss(operation, format!("it has no route `{wanted}`"));
            }
        }
        host
    }

    /// Says of every change of a kind that there is nothing to make it to.
    pub fn nothing_to_patch(&mut self, of: PatchedResource, reason: &str) {
        for operation in self.operations.iter().filter(|operation| operation.of == of) {
            self.miss(operation, reason.to_owned());
        }
    }

    fn apply_to_route(&mut self, route: Route) -> Route {
        // The way of CONNECT back into the listener is no route of the service.
        if route::is_tunnel(&route) {
            return route;
        }
        let name = route.name.clone();
        let (mut route, documents) = self.apply_named(PatchedResource::Route, Some(&name), route);
        route::add_provenance(&mut route.metadata, &documents);
        route
    }

    fn miss(&mut self, operation: &PatchOperation, reason: String) {
        let PatchOperation { document, field, .. } = operation;
        self.tried.push(Tried {
            document: document.clone(),
            field: field.clone(),
            resource: self.name.clone(),
            refused: Some(reason),
        });
    }

    fn apply_named<M: Message + Default>(
        &mut self,
        of: PatchedResource,
        route: Option<&str>,
        mut message: M,
    ) -> (M, Vec<Arc<str>>) {
        let mut documents = Vec::new();
        let meant = |operation: &&PatchOperation| {
            operation.of == of && operation.route.as_deref().is_none_or(|wanted| Some(wanted) == route)
        };
        for operation in self.operations.iter().filter(meant) {
            match change(of, &message, &operation.change) {
                Ok(changed) => {
                    message = changed;
                    documents.push(operation.document.clone());
                    let PatchOperation { document, field, .. } = operation;
                    self.tried.push(Tried {
                        document: document.clone(),
                        field: field.clone(),
                        resource: self.name.clone(),
                        refused: None,
                    });
                }
                Err(Refused(reason)) => self.miss(operation, reason),
            }
        }
        (message, documents)
    }
}

/// The message with one change, read again as what it is.
fn change<M: Message + Default>(of: PatchedResource, message: &M, change: &PatchChange) -> Result<M, Refused> {
    let kind = match of {
        PatchedResource::Cluster => names::CLUSTER,
        PatchedResource::Endpoints => names::ENDPOINTS,
        PatchedResource::Listener | PatchedResource::OutboundListener => names::LISTENER,
        PatchedResource::VirtualHost => names::VIRTUAL_HOST,
        PatchedResource::Route => names::ROUTE,
    };
    let body = message.encode_to_vec();
    let changed = match change {
        PatchChange::Merge(fields) => {
            let fields = serde_json::from_str(fields).map_err(|error| Refused(error.to_string()))?;
            descriptors::merge(kind, &body, &fields)?
        }
        PatchChange::Remove(path) => descriptors::remove(kind, &body, path)?,
    };
    M::decode(changed.as_slice()).map_err(|error| Refused(format!("what comes out is no {kind}: {error}")))
}
