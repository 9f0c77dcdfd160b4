//! What a client says of the responses it was sent: accepted, or rejected and what was meant by that.
//!
//! A rejection parks what the client's words blame. What came along with it is sent again, at once where the words name
//! somebody, in halves where they do not ([`super::super::rejections`]). What was said may decide what others are sent:
//! it is left as testimonies for whoever drives the session.

use std::time::Instant;

use super::{
    super::{blame, in_flight::Sent, nonce::Nonce},
    Dialect, Session, Verdict,
};
use crate::{
    model::ResourceName,
    resources::{Contested, Resource, ResourceType, Testimony},
};

impl Session {
    /// What the request says about the response it names.
    pub(super) fn settle(&mut self, resource_type: ResourceType, nonce: &str, error: Option<String>) -> Verdict {
        let sent = Nonce::parse(nonce).and_then(|nonce| self.types[resource_type].in_flight.settle(nonce));
        let verdict = match (sent, error) {
            (Some((sent, skipped)), Some(words)) => self.reject(resource_type, &sent, &skipped, &words),
            (None, Some(words)) => Verdict::Nack { message: blame::summary(&words), names: Vec::new() },
            (Some((sent, _)), None) => {
                self.accept(resource_type, &sent);
                Verdict::Ack
            }
            (None, None) => Verdict::None,
        };
        let progress = &mut self.types[resource_type].progress;
        match &verdict {
            Verdict::None => {}
            Verdict::Ack => {
                progress.acknowledged += 1;
                progress.last_error = None;
            }
            Verdict::Nack { message, names: _ } => {
                progress.rejected += 1;
                progress.last_error = Some(message.as_str().into());
            }
        }
        verdict
    }

    fn reject(&mut self, resource_type: ResourceType, sent: &Sent, skipped: &[Sent], words: &str) -> Verdict {
        let is_full_state = self.dialect == Dialect::Sotw && resource_type.is_full_state();
        let endpoints = self.types[ResourceType::Endpoints].held.base.clone();
        let state = &mut self.types[resource_type];
        let mut rejections = state.rejections.take().unwrap_or_default();
        let mut blamed = blame::named(words, &sent.names);
        // It was on its way when something in it was rejected already: that explains it.
        let is_known = |name: &ResourceName| sent.resource(name).is_some_and(|content| rejections.is_parked(content));
        let is_explained = blamed.is_empty() && sent.names.iter().any(is_known);
        if blamed.is_empty() && !is_explained && sent.due().len() == 1 {
            blamed = sent.due().to_vec();
        }
        let is_alone = !blamed.is_empty();
        let mut park = |name: &ResourceName| {
            let content = sent.resource(name)?;
            let is_certain = !skipped.iter().any(|skipped| skipped.names.contains(name));
            let before = sent.before.get(name.as_str()).filter(|before| is_certain || *before != content);
            let before = rejections.park(content, before, is_alone).filter(|_| is_certain).cloned();
            let endpoints = endpoints.get(name.as_str()).filter(|_| resource_type == ResourceType::Cluster).cloned();
            Some(Contested { content: content.clone(), before, endpoints })
        };
        let message = blame::summary(words);
        if is_alone || is_explained {
            let contested: Vec<Contested> = blamed.iter().filter_map(park).collect();
            if !contested.is_empty() {
                self.testimonies.push(Testimony::Rejected { resource_type, contested, message: message.clone() });
            }
            let others = sent.due().iter().filter(|name| !blamed.contains(name));
            let others = others.filter(|name| state.subscription.covers(name.as_str()));
            state.to_answer.asked(others.cloned());
        } else {
            blamed = sent.due().to_vec();
            blamed.iter().for_each(|name| drop(park(name)));
            rejections.offer_apart(blamed.clone());
        }
        // It may have applied nothing of all this, so what is gone is said again as well.
        let removed = sent.removed().iter().filter(|name| state.subscription.covers(name.as_str()));
        state.to_answer.asked(removed.cloned());
        state.answer_due |= is_full_state && (is_explained || !blamed.is_empty());
        state.rejections = (!rejections.is_empty()).then_some(rejections);
        Verdict::Nack { message, names: blamed }
    }

    fn accept(&mut self, resource_type: ResourceType, sent: &Sent) {
        let doubts = self.target.as_ref().and_then(|target| target.doubts());
        let state = &mut self.types[resource_type];
        if let Some(mut rejections) = state.rejections.take() {
            let accepted = sent.names.iter().filter_map(|name| sent.resource(name));
            accepted.for_each(|content| rejections.accepted(content, doubts, resource_type));
            state.rejections = (!rejections.is_empty()).then_some(rejections);
        }
        for (name, doubt) in doubts.iter().flat_map(|doubts| doubts.of(resource_type)) {
            let version = sent.resource(name).filter(|_| sent.names.contains(name)).map(Resource::version);
            if let Some(version) = version.filter(|version| doubt.asked.contains(version)) {
                self.testimonies.push(Testimony::Accepted { resource_type, name: name.clone(), version });
            }
        }
    }

    /// Says which doubted forms the client has held for long.
    pub(super) fn testify_of_what_is_held(&mut self) {
        let Some(doubts) = self.target.as_ref().and_then(|target| target.doubts()) else { return };
        for (resource_type, state) in self.types.iter() {
            let doubts = doubts.of(resource_type).iter().filter(|(name, _)| state.subscription.covers(name.as_str()));
            for (name, doubt) in doubts {
                let held = state.held.version(name.as_str()).filter(|version| doubt.asked.contains(version));
                let rejected =
                    |version| state.rejections.as_ref().is_some_and(|known| known.has(name.as_str(), version));
                if let Some(version) = held.filter(|version| !rejected(*version) && !state.in_flight.has(name)) {
                    self.testimonies.push(Testimony::Accepted { resource_type, name: name.clone(), version });
                }
            }
        }
    }

    /// Lets the next of those that were rejected together be offered again, once the client has said what it thinks of
    /// the last.
    pub(super) fn offer_apart(&mut self, resource_type: ResourceType, now: Instant) {
        let state = &mut self.types[resource_type];
        let Some(rejections) = state.rejections.as_mut().filter(|rejections| rejections.has_apart()) else { return };
        if !state.to_answer.is_empty() {
            return;
        }
        if let Some(until) = state.in_flight.room_at(1, now) {
            return self.wake_at(until);
        }
        // Some may be of no interest any more, all of a list.
        while state.to_answer.is_empty() && rejections.has_apart() {
            let names = rejections.next_apart().into_iter();
            state.to_answer.asked(names.filter(|name| state.subscription.covers(name.as_str())));
        }
    }
}
