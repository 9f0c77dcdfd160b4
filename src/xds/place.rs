//! Where a stream belongs: who its client is, the group that makes it, and that group's snapshots.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;
use tonic::Status;

use super::{
    Clients,
    clients::Registration,
    node::{self, Fingerprint},
    session::Session,
};
use crate::{
    model::{Grouping, Proxy},
    publish::{Bell, Publish, SnapshotWatch},
};

/// See above.
#[derive(Debug)]
pub(super) struct Place {
    /// Of the node that the client last said it is.
    node: Fingerprint,
    registration: Registration,
    grouping: watch::Receiver<Option<Arc<Grouping>>>,
    pub snapshots: SnapshotWatch,
    /// The stream's, which the group's channel rings.
    bell: Arc<Bell>,
}

impl Place {
    /// Listens for changes before it looks at what there is, so that none is lost.
    pub fn find(
        publish: &Publish,
        clients: &Arc<Clients>,
        node: &Bytes,
        session: &Arc<Mutex<Session>>,
        bell: Arc<Bell>,
    ) -> Result<Self, Status> {
        let proxy = proxy(node)?;
        let mut grouping = publish.grouping();
        let Some(present) = grouping.borrow_and_update().clone() else { return Err(not_ready()) };
        let group = present.group_of(&proxy);
        let snapshots = publish.subscribe(&group, bell.clone());
        let registration = clients.register(proxy, session.clone(), group);
        let mut place = Self { node: Fingerprint::of(node), registration, grouping, snapshots, bell };
        // Whoever changed it meanwhile did not know of this stream.
        place.follow_grouping(publish);
        Ok(place)
    }

    /// Who the client is.
    pub fn proxy(&self) -> &Proxy {
        &self.registration.client.proxy
    }

    /// A node is repeated unchanged or left out, says the protocol; Envoy sends another one when what it says of itself
    /// has changed. Returns whether that makes it somebody else: then what it is served is found anew.
    pub fn take_node(
        &mut self,
        node: &Bytes,
        publish: &Publish,
        session: &Arc<Mutex<Session>>,
    ) -> Result<bool, Status> {
        if node.is_empty() {
            return Ok(false);
        }
        let fingerprint = Fingerprint::of(node);
        if fingerprint == self.node {
            return Ok(false);
        }
        let proxy = proxy(node)?;
        let present = self.proxy();
        if proxy.id != present.id {
            return Err(Status::invalid_argument(format!(
                "this stream is node `{}`; `{}` needs one of its own",
                present.id, proxy.id
            )));
        }
        let is_other = proxy != *present;
        self.node = fingerprint;
        if is_other {
            self.registration = self.registration.again(proxy, session.clone());
            self.regroup(publish);
            self.follow_grouping(publish);
        }
        Ok(is_other)
    }

    /// Finds the group anew if there is another grouping, and again if there is by then another one.
    pub fn follow_grouping(&mut self, publish: &Publish) {
        while self.grouping.has_changed().unwrap_or(false) {
            self.regroup(publish);
        }
    }

    fn regroup(&mut self, publish: &Publish) {
        let grouping = self.grouping.borrow_and_update().clone();
        if let Some(grouping) = grouping {
            let group = grouping.group_of(self.proxy());
            self.snapshots = publish.subscribe(&group, self.bell.clone());
            self.registration.client.set_group(group);
        }
    }
}

fn proxy(node: &Bytes) -> Result<Proxy, Status> {
    node::proxy(node.clone()).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// What a stream gets before every source has synced: an empty first answer would mean "delete all".
pub(super) fn not_ready() -> Status {
    Status::unavailable("the control plane does not know every service yet")
}
