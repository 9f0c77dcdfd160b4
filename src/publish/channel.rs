//! One group's latest snapshot, and who is woken for what.
//!
//! A stream that subscribes to a wildcard listens to everything, and so does one that names more than a few resources.
//! One that names a few, as a gRPC client does, is listed under these names: what changed is looked up, so a change
//! costs the streams that want it, however many others there are. Waking somebody for nothing is harmless, and who is
//! not woken looks for the latest before it answers anything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::{
    bell::{Bell, Ring},
    lock::lock,
};
use crate::{
    model::ResourceName,
    resources::{Change, Snapshot},
};

/// A group's channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    latest: Mutex<Option<Arc<Snapshot>>>,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    to_everything: Places,
    /// Those that listen to some names, in places of their own.
    to_some: Places,
    /// Whom a name concerns: places in `to_some`. Types are not told apart: a cluster and its endpoints have one name.
    by_name: HashMap<ResourceName, Vec<usize>>,
}

/// Bells, each at a place that stays its own until it is given up.
#[derive(Debug, Default)]
struct Places {
    bells: Vec<Option<Arc<Bell>>>,
    free: Vec<usize>,
}

/// A stream's place at its group's channel, which rings the stream's bell.
#[derive(Debug)]
pub struct SnapshotWatch {
    channel: Arc<Channel>,
    bell: Arc<Bell>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Everything(usize),
    Some(usize, Vec<ResourceName>),
}

impl Channel {
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        lock(&self.latest).clone()
    }

    /// Sets the latest snapshot; nobody is woken when it is the same, or does not concern them.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let before = {
            let mut latest = lock(&self.latest);
            let is_same =
                latest.as_ref().is_some_and(|present| Arc::ptr_eq(present, &snapshot) || *present == snapshot);
            if is_same {
                return;
            }
            latest.replace(snapshot.clone())
        };
        let listeners = lock(&self.listeners);
        listeners.to_everything.ring_all();
        match before {
            None => listeners.to_some.ring_all(),
            // Rare, and something to say may follow from it for anybody.
            Some(before) if before.doubts() != snapshot.doubts() => listeners.to_some.ring_all(),
            Some(before) if !listeners.by_name.is_empty() => listeners.ring_for(&before, &snapshot),
            Some(_) => {}
        }
    }

    /// Wakes everybody: something else than the snapshot is to be looked at.
    pub fn ring_all(&self) {
        let listeners = lock(&self.listeners);
        listeners.to_everything.ring_all();
        listeners.to_some.ring_all();
    }

    /// A stream that listens to everything.
    pub fn listen(self: &Arc<Self>, bell: Arc<Bell>) -> SnapshotWatch {
        let place = Place::Everything(lock(&self.listeners).to_everything.take(bell.clone()));
        SnapshotWatch { channel: self.clone(), bell, place }
    }
}

impl Listeners {
    fn ring_for(&self, before: &Snapshot, after: &Snapshot) {
        for (resource_type, set) in after.sets().iter() {
            let old = before.set(resource_type);
            if Arc::ptr_eq(old, set) {
                continue;
            }
            for change in set.changed_since(old) {
                let name = match change {
                    Change::Set(resource) => resource.name(),
                    Change::Removed(name) => name,
                };
                let concerned = self.by_name.get(name).into_iter().flatten();
                concerned
                    .filter_map(|place| self.to_some.bells.get(*place)?.as_ref())
                    .for_each(|bell| bell.ring(Ring::Changed));
            }
        }
    }

    fn leave(&mut self, place: &Place) {
        match place {
            Place::Everything(place) => self.to_everything.give_up(*place),
            Place::Some(place, names) => {
                self.to_some.give_up(*place);
                for name in names {
                    if let Some(places) = self.by_name.get_mut(name) {
                        places.retain(|listed| listed != place);
                        if places.is_empty() {
                            self.by_name.remove(name);
                        }
                    }
                }
            }
        }
    }
}

impl Places {
    fn take(&mut self, bell: Arc<Bell>) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.bells[place] = Some(bell);
                place
            }
            None => {
                self.bells.push(Some(bell));
                self.bells.len() - 1
            }
        }
    }

    fn give_up(&mut self, place: usize) {
        self.bells[place] = None;
        self.free.push(place);
    }

    fn ring_all(&self) {
        self.bells.iter().flatten().for_each(|bell| bell.ring(Ring::Changed));
    }
}

impl SnapshotWatch {
    /// The latest snapshot; absent until the group was first compiled.
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        self.channel.latest()
    }

    /// From now on rings for changes of these names alone; absent = for every change. Look at the latest afterwards:
    /// what changed before is not told again.
    pub fn listen_to(&mut self, names: Option<Vec<ResourceName>>) {
        let is_same = match (&self.place, &names) {
            (Place::Everything(_), None) => true,
            (Place::Some(_, present), Some(names)) => present == names,
            _ => false,
        };
        if is_same {
            return;
        }
        let mut listeners = lock(&self.channel.listeners);
        listeners.leave(&self.place);
        self.place = match names {
            None => Place::Everything(listeners.to_everything.take(self.bell.clone())),
            Some(names) => {
                let place = listeners.to_some.take(self.bell.clone());
                for name in &names {
                    listeners.by_name.entry(name.clone()).or_default().push(place);
                }
                Place::Some(place, names)
            }
        };
    }
}

impl Drop for SnapshotWatch {
    fn drop(&mut self) {
        lock(&self.channel.listeners).leave(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::{super::bell::Ear, *};
    use crate::resources::{PerType, Resource, ResourceSet, ResourceType};

    fn snapshot(assignments: &[(&str, &str)]) -> Arc<Snapshot> {
        let resource = |(name, content): &(&str, &str)| {
            Resource::from_body(ResourceType::Endpoints, ResourceName::new(*name), content.as_bytes())
        };
        let set: Arc<ResourceSet> = Arc::new(assignments.iter().map(resource).collect());
        let sets = PerType::from_fn(|resource_type| match resource_type {
            ResourceType::Endpoints => set.clone(),
            _ => Arc::default(),
        });
        Arc::new(Snapshot::new(sets))
    }

    /// Who listens, and whether it was rung for.
    fn listener(channel: &Arc<Channel>) -> (SnapshotWatch, impl FnMut() -> bool + use<>) {
        let bell = Arc::new(Bell::default());
        let mut ear = Ear::new(bell.clone());
        (channel.listen(bell), move || ear.hear(&Context::from_waker(Waker::noop())).is_for(Ring::Changed))
    }

    #[test]
    fn who_names_what_it_wants_is_woken_for_that_alone() {
        let channel = Arc::new(Channel::default());
        let (_everything, mut everything_is_woken) = listener(&channel);
        let [(mut a, mut a_is_woken), (mut b, mut b_is_woken)] = [listener(&channel), listener(&channel)];
        a.listen_to(Some(vec![ResourceName::new("a")]));
        b.listen_to(Some(vec![ResourceName::new("b"), ResourceName::new("new")]));
        let mut woken = |snapshot| {
            channel.publish(snapshot);
            [everything_is_woken(), a_is_woken(), b_is_woken()]
        };
        assert_eq!(woken(snapshot(&[("a", "1"), ("b", "1")])), [true, true, true], "the first concerns everybody");
        assert_eq!(woken(snapshot(&[("a", "2"), ("b", "1")])), [true, true, false]);
        assert_eq!(woken(snapshot(&[("a", "2"), ("b", "1")])), [false, false, false], "the same wakes nobody");
        assert_eq!(woken(snapshot(&[("a", "2")])), [true, false, true], "what is gone concerns who names it");
        assert_eq!(woken(snapshot(&[("a", "2"), ("new", "1")])), [true, false, true], "so does what appears");
    }

    #[test]
    fn who_changes_its_mind_or_leaves_is_no_longer_listed() {
        let channel = Arc::new(Channel::default());
        channel.publish(snapshot(&[("a", "1")]));
        let (mut watch, mut is_woken) = listener(&channel);
        watch.listen_to(Some(vec![ResourceName::new("a")]));
        watch.listen_to(Some(vec![ResourceName::new("b")]));
        channel.publish(snapshot(&[("a", "2")]));
        assert!(!is_woken());
        watch.listen_to(None);
        channel.publish(snapshot(&[("a", "3")]));
        assert!(is_woken());
        watch.listen_to(Some(vec![ResourceName::new("a")]));
        drop(watch);
        let listeners = lock(&channel.listeners);
        assert!(listeners.by_name.is_empty());
        assert!(listeners.to_some.bells.iter().chain(&listeners.to_everything.bells).all(Option::is_none));
    }
}
