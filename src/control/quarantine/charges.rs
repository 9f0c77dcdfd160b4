//! Charges: sets of units of which at least one is bad, each with the clients who say so; and what follows from them.
//!
//! A client that rejects several at once cannot be asked which it means. So a charge is against all of them, and what is
//! accepted later is taken out; a charge that is left with one unit has found the bad one.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use super::{HEARING, Unit};

/// So many charges are remembered. The oldest is forgotten first: its content is then tried anew.
const CHARGES: usize = 256;

/// So many clients are remembered by name for one charge.
const NODES: usize = 1_000;

/// So many units that were under charge and accepted are remembered, so that one odd client does not have all others asked
/// again and again.
const CLEARED: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Charges {
    charges: Vec<Charge>,
    /// What was accepted of what is or was under charge.
    acquitted: BTreeSet<Unit>,
    /// Of those the ones that were under charge.
    cleared: VecDeque<Unit>,
}

#[derive(Debug)]
struct Charge {
    units: BTreeSet<Unit>,
    nodes: BTreeSet<Arc<str>>,
    message: Arc<str>,
    /// When it was first published that there is one.
    heard_since: Option<Instant>,
}

/// What is said against one unit.
#[derive(Debug, Clone)]
pub(super) struct Against {
    pub together_with: Vec<Unit>,
    pub nodes: BTreeSet<Arc<str>>,
    pub message: Arc<str>,
}

/// What follows from the charges that enough clients bring.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Nothing else can be meant.
    certain: BTreeSet<Unit>,
    /// Any of several can be meant.
    suspected: BTreeSet<Unit>,
    /// Of those the ones with whom it is tried out.
    trial: BTreeSet<Unit>,
}

impl Judgement {
    /// Everything that can be meant.
    pub fn all(&self) -> impl Iterator<Item = &Unit> {
        self.certain.union(&self.suspected)
    }

    pub fn holds(&self, unit: &Unit) -> bool {
        self.certain.contains(unit) || self.suspected.contains(unit)
    }

    pub fn is_certain_of(&self, unit: &Unit) -> bool {
        self.certain.contains(unit)
    }

    pub fn is_on_trial(&self, unit: &Unit) -> bool {
        self.trial.contains(unit)
    }
}

impl Charges {
    pub fn is_empty(&self) -> bool {
        self.charges.is_empty()
    }

    /// Every unit under charge.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.charges.iter().flat_map(|charge| &charge.units)
    }

    /// The unit, unless somebody accepted it.
    pub fn not_accepted(&self, unit: Unit) -> Option<Unit> {
        (!self.acquitted.contains(&unit)).then_some(unit)
    }

    /// A client says that one of these is bad. Returns whether that may change a judgement, or is worth telling.
    pub fn add(&mut self, units: BTreeSet<Unit>, node: &Arc<str>, message: &Arc<str>) -> bool {
        if units.is_empty() {
            return false;
        }
        let Some(charge) = self.charges.iter_mut().find(|charge| charge.units == units) else {
            if self.charges.len() == CHARGES {
                self.charges.remove(0);
            }
            let (nodes, message) = ([node.clone()].into(), message.clone());
            self.charges.push(Charge { units, nodes, message, heard_since: None });
            return true;
        };
        let is_new = charge.nodes.len() < NODES && charge.nodes.insert(node.clone());
        // The first few decide; of thousands it is enough to tell now and then how many they are.
        is_new && (charge.nodes.len() <= super::K || charge.nodes.len().is_power_of_two())
    }

    /// These were accepted. Returns whether a charge is another one now.
    pub fn acquit(&mut self, units: impl IntoIterator<Item = Unit>) -> bool {
        self.acquitted.extend(units);
        let accused: BTreeSet<&Unit> = self.charges.iter().flat_map(|charge| &charge.units).collect();
        let cleared: Vec<Unit> = self.acquitted.iter().filter(|unit| accused.contains(unit)).cloned().collect();
        if cleared.is_empty() {
            return false;
        }
        let acquitted = &self.acquitted;
        self.charges.iter_mut().for_each(|charge| charge.units.retain(|unit| !acquitted.contains(unit)));
        self.charges.retain(|charge| !charge.units.is_empty());
        self.merge_equal();
        self.cleared.extend(cleared);
        self.cleared.drain(..self.cleared.len().saturating_sub(CLEARED));
        true
    }

    /// These are no longer there. A charge in which one of them stood says nothing about the others.
    pub fn drop_with(&mut self, gone: &BTreeSet<Unit>) {
        if !gone.is_empty() {
            self.charges.retain(|charge| charge.units.is_disjoint(gone));
        }
    }

    /// Forgets what was accepted of resources of which nothing is under charge.
    pub fn forget_acquitted(&mut self) {
        let accused: BTreeSet<_> = self
            .charges
            .iter()
            .flat_map(|charge| &charge.units)
            .map(|unit| (unit.resource_type, &unit.resource))
            .collect();
        let (cleared, keeps) = (&self.cleared, |unit: &Unit| accused.contains(&(unit.resource_type, &unit.resource)));
        self.acquitted.retain(|unit| keeps(unit) || cleared.contains(unit));
    }

    /// What is under charge is published now: whoever accepted it can say so.
    pub fn begin_hearing(&mut self, published: &BTreeSet<Unit>, now: Instant) {
        for charge in self.charges.iter_mut().filter(|charge| !charge.units.is_disjoint(published)) {
            charge.heard_since.get_or_insert(now);
        }
    }

    /// When the next hearing ends that may change a judgement.
    pub fn hearing_ends(&self, now: Instant) -> Option<Instant> {
        let ends = self.charges.iter().filter_map(|charge| Some(charge.heard_since? + HEARING));
        ends.filter(|end| *end > now).min()
    }

    /// What follows from the charges that at least so many clients bring; with an instant, only from those whose hearing
    /// has ended by then.
    pub fn judge(&self, clients: usize, heard_by: Option<Instant>) -> Judgement {
        let is_heard = |charge: &&Charge| match heard_by {
            None => true,
            Some(now) => charge.heard_since.is_some_and(|since| since + HEARING <= now),
        };
        let weighty = |charge: &&Charge| self.nodes_for(&charge.units).len() >= clients;
        let charges: Vec<&Charge> = self.charges.iter().filter(is_heard).filter(weighty).collect();
        // Where somebody rejects one of several alone, that is the one that all of them mean.
        let alone: BTreeSet<&Unit> =
            self.charges.iter().filter(|charge| charge.units.len() == 1).flat_map(|charge| &charge.units).collect();
        let meant = charges.iter().flat_map(|charge| charge.units.iter().filter(|unit| alone.contains(unit)));
        let certain: BTreeSet<Unit> = meant.cloned().collect();
        let open: Vec<&BTreeSet<Unit>> =
            charges.iter().map(|charge| &charge.units).filter(|units| units.is_disjoint(&certain)).collect();
        let suspected = open.iter().flat_map(|units| units.iter().cloned()).collect();
        let smallest = open.iter().min_by_key(|units| (units.len(), *units));
        let trial = smallest.map(|units| units.iter().take(units.len() / 2).cloned().collect()).unwrap_or_default();
        Judgement { certain, suspected, trial }
    }

    /// What is said against a unit.
    pub fn against(&self, unit: &Unit) -> Against {
        let mut charges: Vec<&Charge> = self.charges.iter().filter(|charge| charge.units.contains(unit)).collect();
        charges.sort_by_key(|charge| charge.units.len());
        let narrowest = charges.first();
        Against {
            together_with: narrowest
                .map(|charge| charge.units.iter().filter(|other| *other != unit).cloned().collect())
                .unwrap_or_default(),
            nodes: charges.iter().flat_map(|charge| charge.nodes.iter().cloned()).collect(),
            message: narrowest.map(|charge| charge.message.clone()).unwrap_or_default(),
        }
    }

    /// Who says that one of these is bad: also those who say it of fewer.
    fn nodes_for(&self, units: &BTreeSet<Unit>) -> BTreeSet<Arc<str>> {
        let charges = self.charges.iter().filter(|charge| charge.units.is_subset(units));
        charges.flat_map(|charge| charge.nodes.iter().cloned()).collect()
    }

    /// Charges that became equal are one.
    fn merge_equal(&mut self) {
        let mut merged: Vec<Charge> = Vec::with_capacity(self.charges.len());
        let mut places: BTreeMap<BTreeSet<Unit>, usize> = BTreeMap::new();
        for charge in std::mem::take(&mut self.charges) {
            match places.get(&charge.units) {
                Some(&place) => {
                    merged[place].nodes.extend(charge.nodes);
                    merged[place].heard_since =
                        merged[place].heard_since.min(charge.heard_since).or(charge.heard_since);
                }
                None => {
                    places.insert(charge.units.clone(), merged.len());
                    merged.push(charge);
                }
            }
        }
        self.charges = merged;
    }
}
