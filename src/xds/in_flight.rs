//! Responses of one type that are on their way: sent, and not yet answered.
//!
//! A client answers in the order in which it hears, or, after a pause, the latest alone (state of the world): an answer
//! settles what was sent before it as well. Some answers never come, by right: Envoy says nothing to what it no longer
//! subscribes to, and nothing to clusters while any of them warms. So nothing waits for an answer for ever: each wait
//! has an instant at which it ends. What was not answered in time is remembered all the same, since a late answer may
//! be a rejection that somebody has to hear of.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::nonce::Nonce;
use crate::{
    model::ResourceName,
    resources::{Resource, ResourceSet},
};

/// How long routes and listeners wait for new clusters to be warm. Envoy gives a resource 15 s itself.
const WARMING: Duration = Duration::from_secs(15);

/// How long a response may stay unanswered before the next one goes all the same.
const UNANSWERED: Duration = Duration::from_secs(5);

/// How many responses are remembered until they are answered.
const REMEMBERED: usize = 128;

/// One response.
#[derive(Debug)]
pub(super) struct Sent {
    pub nonce: Nonce,
    pub since: Instant,
    /// The names it had, shared with other streams.
    pub names: Arc<[ResourceName]>,
    /// Whether it had resources that the client did not hold before.
    pub adds: bool,
    /// The set its resources are of, but for those that were sent instead.
    pub set: Arc<ResourceSet>,
    /// The set that was held before.
    pub before: Arc<ResourceSet>,
    /// Absent = all these resources were due, in the form of the set, and nothing else was said.
    pub beside: Option<Arc<Beside>>,
}

/// What makes a response more than resources of a set.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Those of the names that were due; absent = all. The others stand there since a full state names everything.
    pub due: Option<Vec<ResourceName>>,
    /// Resources in another form than the set's.
    pub instead: Vec<Resource>,
    pub removed: Vec<ResourceName>,
}

impl Beside {
    /// Absent where it says nothing.
    pub fn shared(self) -> Option<Arc<Self>> {
        let says_something = self.due.is_some() || !self.instead.is_empty() || !self.removed.is_empty();
        says_something.then(|| Arc::new(self))
    }
}

impl Sent {
    /// The form in which it had a resource.
    pub fn resource(&self, name: &ResourceName) -> Option<&Resource> {
        let mut instead = self.beside.iter().flat_map(|beside| &beside.instead);
        instead.find(|resource| resource.name() == name).or_else(|| self.set.get(name.as_str()))
    }

    /// The names that were due.
    pub fn due(&self) -> &[ResourceName] {
        self.beside.as_ref().and_then(|beside| beside.due.as_deref()).unwrap_or(&self.names)
    }

    /// What it took away.
    pub fn removed(&self) -> &[ResourceName] {
        self.beside.as_ref().map_or(&[], |beside| &beside.removed)
    }
}

/// All of one type.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// The oldest first.
    sent: VecDeque<Sent>,
    /// Names of older ones that nobody waits for. Until one of those above is answered, the client may still read them.
    abandoned: BTreeSet<ResourceName>,
}

impl InFlight {
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub fn push(&mut self, sent: Sent) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(sent);
    }

    /// What was sent last.
    pub fn latest(&self) -> Option<&Sent> {
        self.sent.back()
    }

    /// The response with that nonce has been answered; with it all that were sent before, of which it is not known how.
    pub fn settle(&mut self, nonce: Nonce) -> Option<(Sent, Vec<Sent>)> {
        let position = self.sent.iter().position(|sent| sent.nonce == nonce)?;
        self.abandoned.clear();
        let mut settled = self.sent.drain(..=position);
        let sent = settled.next_back()?;
        Some((sent, settled.collect()))
    }

    /// Whether a response with a name in it is on its way.
    pub fn has(&self, name: &ResourceName) -> bool {
        self.sent.iter().any(|sent| sent.names.contains(name))
    }

    /// The names of all that is on its way, waited for or not.
    pub fn names(&self) -> impl Iterator<Item = &ResourceName> {
        self.abandoned.iter().chain(self.sent.iter().flat_map(|sent| sent.names.iter()))
    }

    /// The client no longer subscribes to anything: there may be no answers.
    pub fn abandon(&mut self) {
        for sent in self.sent.drain(..) {
            self.abandoned.extend(sent.names.iter().cloned());
        }
    }

    /// `None` = fewer than `limit` are on their way; else when that will be so at the latest.
    pub fn room_at(&self, limit: usize, now: Instant) -> Option<Instant> {
        let position = self.sent.len().checked_sub(limit)?;
        self.sent.get(position).map(|sent| sent.since + UNANSWERED).filter(|until| now < *until)
    }

    /// `None` = nothing new may be warming; else until when it is waited for at the latest.
    pub fn warm_at(&self, now: Instant) -> Option<Instant> {
        let latest = self.sent.iter().rev().find(|sent| sent.adds)?;
        Some(latest.since + WARMING).filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_flight(since: &[(Instant, bool)]) -> InFlight {
        let mut in_flight = InFlight::default();
        let mut nonce = Nonce::default();
        for (since, adds) in since {
            nonce = nonce.next();
            in_flight.push(Sent {
                nonce,
                since: *since,
                names: Arc::default(),
                adds: *adds,
                set: Arc::default(),
                before: Arc::default(),
                beside: None,
            });
        }
        in_flight
    }

    #[test]
    fn an_answer_settles_what_was_sent_before() {
        let start = Instant::now();
        let mut sent = in_flight(&[(start, false), (start, true), (start, false)]);
        let first = Nonce::default().next();
        let (second, third) = (first.next(), first.next().next());
        assert_eq!(sent.settle(second).map(|(sent, skipped)| (sent.nonce, skipped.len())), Some((second, 1)));
        assert_eq!(sent.settle(first).map(|(sent, _)| sent.nonce), None, "that is history");
        assert_eq!(sent.warm_at(start), None);
        assert_eq!(sent.settle(third).map(|(sent, _)| sent.nonce), Some(third));
        assert!(sent.is_empty());
    }

    #[test]
    fn every_wait_ends() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let sent = in_flight(&[(start, true), (start + second, false)]);
        assert_eq!(sent.room_at(1, start + second), Some(start + second * 6));
        assert_eq!(sent.room_at(2, start + second), Some(start + second * 5));
        assert_eq!(sent.room_at(2, start + second * 5), None);
        assert_eq!(sent.room_at(3, start), None);
        assert_eq!(sent.warm_at(start), Some(start + second * 15));
        assert_eq!(sent.warm_at(start + second * 15), None);
    }

    #[test]
    fn what_is_never_answered_takes_no_memory_without_bound() {
        let start = Instant::now();
        let sent = in_flight(&vec![(start, false); 1000]);
        assert_eq!(sent.sent.len(), REMEMBERED);
        assert_eq!(sent.sent.back().map(|sent| sent.nonce), Nonce::parse("3e8"), "the thousandth");
    }
}
