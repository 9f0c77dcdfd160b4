//! What a client rejected of one type, and what it is offered meanwhile.
//!
//! Rejected content is parked: it is not sent again until it differs. What was sent beside it flows on, and that is
//! more than leaving it alone: of a response that breaks a protobuf constraint Envoy applies nothing. So its neighbours
//! are sent again without it. Where the client's words name nobody, any of several may be the bad one: they are offered
//! again in halves, a response for each, until every one was accepted or rejected alone. Each step sends less than the
//! one before, so it comes to an end.

use std::collections::{BTreeMap, VecDeque};

use super::held::Held;
use crate::{
    model::ResourceName,
    resources::{Doubts, Resource, ResourceSet, ResourceType, Version},
};

/// So many forms of one resource are remembered as rejected.
const FORMS: usize = 8;

/// What was rejected and not made up for since.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    parked: BTreeMap<ResourceName, Parked>,
    /// To be offered again, each list in a response of its own.
    apart: VecDeque<Vec<ResourceName>>,
}

#[derive(Debug, Default)]
struct Parked {
    /// The forms that were rejected.
    forms: VecDeque<Form>,
    /// The form the client accepted last, if there is one that is known.
    before: Option<Resource>,
}

#[derive(Debug, Clone, Copy)]
struct Form {
    version: Version,
    /// Otherwise it came with others of which any may have been meant, and waits for being offered again.
    alone: bool,
}

impl Parked {
    fn has(&self, version: Version) -> bool {
        self.forms.iter().any(|form| form.version == version)
    }
}

/// What a client should have of one name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Offer<'a> {
    /// This.
    Resource(&'a Resource),
    /// Nothing: it is gone.
    Nothing,
    /// What it holds, and if it asks, the form it accepted last.
    AsHeld(Option<&'a Resource>),
}

impl Rejections {
    /// Remembers a form that was rejected. `before` counts unless there was an earlier rejection that nothing followed.
    /// Returns what the client accepted last, which is not what it rejected `alone`.
    pub fn park(&mut self, content: &Resource, before: Option<&Resource>, alone: bool) -> Option<&Resource> {
        let version = content.version();
        let parked = self.parked.entry(content.name().clone()).or_insert_with(|| {
            let before = before.cloned();
            Parked { forms: VecDeque::new(), before }
        });
        if alone && parked.before.as_ref() == Some(content) {
            parked.before = None;
        }
        match parked.forms.iter_mut().find(|form| form.version == version) {
            Some(form) => form.alone |= alone,
            None => {
                if parked.forms.len() == FORMS {
                    parked.forms.pop_front();
                }
                parked.forms.push_back(Form { version, alone });
            }
        }
        parked.before.as_ref()
    }

    /// Has several that were parked together offered again, in halves.
    pub fn offer_apart(&mut self, mut names: Vec<ResourceName>) {
        let second = names.split_off(names.len().div_ceil(2));
        for half in [second, names].into_iter().filter(|half| !half.is_empty()) {
            self.apart.push_front(half);
        }
    }

    /// Whether something waits to be offered again.
    pub fn has_apart(&self) -> bool {
        !self.apart.is_empty()
    }

    /// What is to be offered again next.
    pub fn next_apart(&mut self) -> Vec<ResourceName> {
        let mut names = self.apart.pop_front().unwrap_or_default();
        names.retain(|name| {
            let parked = self.parked.get_mut(name);
            parked.is_some_and(|parked| {
                parked.forms.retain(|form| form.alone);
                true
            })
        });
        names
    }

    /// A form was accepted: where it is another than those rejected and than the one before them, the rejection is made up
    /// for. While the resource is doubted the form may only be what is offered instead: the rejection stands.
    pub fn accepted(&mut self, content: &Resource, doubts: Option<&std::sync::Arc<Doubts>>, of: ResourceType) {
        let Some(parked) = self.parked.get_mut(content.name()) else { return };
        let is_doubted = doubts.is_some_and(|doubts| doubts.of(of).contains_key(content.name()));
        if parked.forms.is_empty() {
            self.parked.remove(content.name());
        } else if parked.before.as_ref() != Some(content) {
            match is_doubted {
                true => parked.before = Some(content.clone()),
                false => drop(self.parked.remove(content.name())),
            }
        }
    }

    /// The client no longer wants a name.
    pub fn forget(&mut self, name: &ResourceName) {
        self.parked.remove(name);
    }

    /// Whether nothing is left to remember.
    pub fn is_empty(&self) -> bool {
        self.parked.is_empty() && self.apart.is_empty()
    }

    /// Every name of which something was rejected.
    pub fn names(&self) -> impl Iterator<Item = &ResourceName> {
        self.parked.keys()
    }

    /// Whether something of a name was rejected.
    pub fn contains(&self, name: &ResourceName) -> bool {
        self.parked.contains_key(name)
    }

    /// Whether a form was rejected.
    pub fn has(&self, name: &str, version: Version) -> bool {
        self.parked.get(name).is_some_and(|parked| parked.has(version))
    }

    /// Whether a form was rejected, and was not accepted before.
    pub fn is_parked(&self, content: &Resource) -> bool {
        let parked = self.parked.get(content.name());
        parked.is_some_and(|parked| parked.has(content.version()) && parked.before.as_ref() != Some(content))
    }

    /// Of a name that was rejected the form that was accepted last; `None` where nothing was rejected.
    pub fn before(&self, name: &ResourceName) -> Option<Option<&Resource>> {
        self.parked.get(name).map(|parked| parked.before.as_ref())
    }
}

/// What a client should have of a name, given the set of its group, what is doubted, and what it rejected itself.
pub(super) fn offer<'a>(
    rejections: Option<&'a Rejections>,
    doubts: Option<&'a Doubts>,
    (resource_type, set): (ResourceType, &'a ResourceSet),
    held: &'a Held,
    name: &str,
) -> Offer<'a> {
    let wanted = set.get(name);
    let doubt = doubts.and_then(|doubts| doubts.of(resource_type).get(name));
    let parked =
        rejections.and_then(|rejections| rejections.parked.get(name)).filter(|parked| !parked.forms.is_empty());
    match (parked, doubt, wanted) {
        (Some(parked), Some(doubt), _) => {
            let instead = doubt.instead.as_ref().filter(|instead| !parked.has(instead.version()));
            instead.map_or(Offer::AsHeld(parked.before.as_ref()), Offer::Resource)
        }
        (Some(parked), None, Some(wanted)) if parked.has(wanted.version()) => Offer::AsHeld(parked.before.as_ref()),
        (_, _, Some(wanted)) => Offer::Resource(wanted),
        // Withheld: nobody knows a good form, and who has one keeps it.
        (None, Some(_), None) => {
            let version = held.version(name);
            Offer::AsHeld(held.base.get(name).filter(|resource| Some(resource.version()) == version))
        }
        (_, None, None) => Offer::Nothing,
    }
}
