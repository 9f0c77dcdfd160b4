//! The hand-over from the one writer to the many streams: for each node group the latest snapshot, nothing else.
//!
//! Latest wins: a stream that was slow sees the newest snapshot, never a queue of old ones. A group's channel wakes
//! only whom a change of that group's snapshot concerns. The first stream of a new group asks for it; the control loop hears that,
//! compiles, and publishes. Nothing is served before there is a grouping: that is the readiness gate.
//!
//! The other way round goes only what clients say of what is doubted: [`Testimonies`].
//!
//! The map is touched when a stream begins and when a group changes; it is never the source of truth (the control
//! loop is), and no guard of it is held across an await.

mod bell;
mod channel;
mod lock;
mod testimonies;

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Notify, watch};

use crate::{
    model::{Grouping, NodeGroup},
    resources::Snapshot,
};

pub use bell::{Bell, Ear, Ring, Rung};
use channel::Channel;
pub use channel::SnapshotWatch;
pub(crate) use lock::lock;
pub use testimonies::{Said, Testimonies};

/// Groups and their latest snapshots.
#[derive(Debug)]
pub struct Publish {
    groups: DashMap<NodeGroup, Arc<Channel>>,
    grouping: watch::Sender<Option<Arc<Grouping>>>,
    wanted: Notify,
    testimonies: Testimonies,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            groups: DashMap::new(),
            grouping: watch::Sender::new(None),
            wanted: Notify::new(),
            testimonies: Testimonies::default(),
        }
    }
}

impl Publish {
    /// Which facts about a proxy distinguish anything; absent until every source has synced once and the policies
    /// compiled. A stream finds its group with it, and finds it anew when this changes: its channel wakes it then.
    pub fn grouping(&self) -> watch::Receiver<Option<Arc<Grouping>>> {
        self.grouping.subscribe()
    }

    /// The channel of a group, which rings the bell. A group nobody had is announced to the control loop.
    pub fn subscribe(&self, group: &NodeGroup, bell: Arc<Bell>) -> SnapshotWatch {
        if let Some(channel) = self.groups.get(group) {
            return channel.listen(bell);
        }
        let watch = self.groups.entry(group.clone()).or_default().listen(bell);
        self.wanted.notify_one();
        watch
    }

    /// What a group is served now; absent when nobody watches it or it was never compiled.
    pub fn latest(&self, group: &NodeGroup) -> Option<Arc<Snapshot>> {
        self.groups.get(group).and_then(|channel| channel.latest())
    }

    /// What clients said of what they were sent.
    pub fn testimonies(&self) -> &Testimonies {
        &self.testimonies
    }

    /// For the control loop: returns when a group was asked for that nobody had.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// For the control loop: all groups that somebody watches. The others are forgotten.
    pub fn watched_groups(&self) -> Vec<NodeGroup> {
        // Each stream of a group holds its channel.
        self.groups.retain(|_, channel| Arc::strong_count(channel) > 1);
        let mut groups: Vec<NodeGroup> = self.groups.iter().map(|entry| entry.key().clone()).collect();
        groups.sort_unstable();
        groups
    }

    /// For the control loop: sets the grouping; nobody is woken when it is the same.
    pub fn set_grouping(&self, grouping: Arc<Grouping>) {
        let is_new = self.grouping.send_if_modified(|present| {
            let same = present.as_ref().is_some_and(|present| Arc::ptr_eq(present, &grouping) || *present == grouping);
            if !same {
                *present = Some(grouping);
            }
            !same
        });
        if is_new {
            self.groups.iter().for_each(|channel| channel.ring_all());
        }
    }

    /// For the control loop: sets a group's snapshot; nobody is woken when it is the same.
    pub fn publish(&self, group: &NodeGroup, snapshot: Arc<Snapshot>) {
        // No guard of the map is held while streams are woken.
        let channel = self.groups.get(group).map(|channel| channel.clone());
        if let Some(channel) = channel {
            channel.publish(snapshot);
        }
    }
}
