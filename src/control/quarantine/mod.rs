//! What clients reject is kept from those who have not seen it, and nothing else is.
//!
//! ```text
//!  testimonies ──► Quarantine ──review(compiled snapshot)──► what a group is offered
//! ```
//!
//! The unit is a resource; of a RouteConfiguration with several virtual hosts it is the virtual host. What `K` clients
//! reject while none has accepted it goes back to the form that was accepted last, or where there is none is withheld.
//! What always holds:
//! - What anyone accepted is offered, in every form but for those parts that others reject and nobody accepts.
//! - It takes `K` clients to keep something from those who did not reject it.
//! - A content that differs is tried anew.
//! - Nothing is left out of a RouteConfiguration on suspicion alone: only where the client had it otherwise before, or
//!   where it is the only one that can be meant.
//!
//! Those who rejected something are at once offered the rest without it. Where several virtual hosts came together and
//! the client's words name none, they are the ones with whom it is tried out which of them it is: half of the suspects
//! at a time, so that the innocent are free after a few steps.
//!
//! Pure: instants are given, testimonies are values. It knows neither streams nor policies.

mod charges;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use self::charges::{Charges, Judgement};
use crate::{
    model::ResourceName,
    publish::Said,
    resources::{
        Contested, Doubt, Doubts, Resource, ResourceType, Snapshot, Testimony, Version,
        virtual_hosts::{Becomes, Host, hosts_of, with_hosts},
    },
};

/// So many clients decide for those who have not seen it.
pub const K: usize = 3;

/// How long those who accepted it long ago have to say so, once somebody has rejected it.
pub const HEARING: Duration = Duration::from_millis(100);

/// So many forms of RouteConfigurations are remembered, to know what it means that one was accepted.
const FORMS: usize = 32;

/// What is judged: a resource, or a virtual host of one, in one of its forms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// Of which type the resource is.
    pub resource_type: ResourceType,
    /// What it is called.
    pub resource: ResourceName,
    /// The virtual host, where that is what is judged.
    pub host: Option<Arc<str>>,
    /// In which form.
    pub version: Version,
}

impl Unit {
    fn whole(resource_type: ResourceType, resource: &Resource) -> Self {
        Self { resource_type, resource: resource.name().clone(), host: None, version: resource.version() }
    }

    fn host(resource: &Resource, host: &Host) -> Self {
        Self {
            resource_type: ResourceType::Route,
            resource: resource.name().clone(),
            host: Some(host.name.clone()),
            version: host.version,
        }
    }
}

/// What takes a unit's place.
#[derive(Debug, Clone)]
enum Good {
    /// It was not there, and the client did without.
    Absent,
    /// An earlier form; of a cluster with the endpoints it had.
    Whole(Resource, Option<Resource>),
    /// An earlier form of a virtual host.
    Host(Host),
}

/// A RouteConfiguration, and its virtual hosts as units.
#[derive(Debug)]
struct Form {
    name: ResourceName,
    version: Version,
    units: BTreeSet<Unit>,
}

/// What is rejected, by whom, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What.
    pub unit: Unit,
    /// Whether it is kept from those who did not reject it.
    pub quarantined: bool,
    /// Others that came with it and may be the reason.
    pub together_with: Vec<Unit>,
    /// Whether there is an earlier form that is offered in its place.
    pub has_earlier: bool,
    /// Some of those who rejected it, by `node.id`.
    pub nodes: Vec<Arc<str>>,
    /// How many those are, as far as counted.
    pub count: usize,
    /// The words of one of them.
    pub message: Arc<str>,
    /// The documents that shaped it, where its own bytes name them.
    pub documents: BTreeSet<String>,
}

/// Everything that is doubted.
#[derive(Debug, Default)]
pub struct Quarantine {
    charges: Charges,
    good: BTreeMap<Unit, Good>,
    /// What documents a virtual host under charge says it comes from.
    documents: BTreeMap<Unit, BTreeSet<String>>,
    /// RouteConfigurations that were offered lately.
    forms: VecDeque<Form>,
    /// In the round that is going on: units under charge that some group wants, and those of which it wants another form.
    wanted: BTreeSet<Unit>,
    superseded: BTreeSet<Unit>,
}

impl Quarantine {
    /// Hears what clients say. Returns whether it may change what is offered, or what is told of it.
    pub fn hear(&mut self, said: Vec<Said>) -> bool {
        let mut differs = false;
        for Said { node, testimony } in said {
            differs |= match testimony {
                Testimony::Rejected { resource_type, contested, message } => {
                    let message: Arc<str> = message.into();
                    let mut differs = false;
                    for contested in &contested {
                        let units = self.accused(resource_type, contested, &message);
                        differs |= self.charges.add(units, &node, &message);
                    }
                    differs
                }
                Testimony::Accepted { resource_type, name, version } => self.accepted(resource_type, &name, version),
            };
        }
        self.forget_what_is_settled();
        differs
    }

    /// What a group is offered of what was compiled for it.
    pub fn review(&mut self, compiled: &Arc<Snapshot>, now: Instant) -> Arc<Snapshot> {
        if self.charges.is_empty() {
            return compiled.clone();
        }
        self.note_what_is_wanted(compiled);
        self.charges.begin_hearing(&self.wanted, now);
        let for_all = self.charges.judge(K, Some(now));
        let for_some = self.charges.judge(1, None);
        let doubted: BTreeSet<(ResourceType, ResourceName)> =
            for_some.all().map(|unit| (unit.resource_type, unit.resource.clone())).collect();
        let (mut sets, mut doubts) = (compiled.sets().clone(), Doubts::default());
        for (resource_type, name) in doubted {
            let Some(resource) = compiled.set(resource_type).get(name.as_str()) else { continue };
            let hosts = if resource_type == ResourceType::Route { hosts_of(resource) } else { Vec::new() };
            let doubt = if hosts.len() > 1 {
                let is_accused = |host: &Host| for_some.holds(&Unit::host(resource, host));
                if !hosts.iter().any(is_accused) {
                    continue;
                }
                let offered = self.without(resource, &for_all, false);
                let instead = self.without(resource, &for_some, true);
                for form in [resource, &offered, &instead] {
                    self.remember(form);
                }
                let asked = self.telling_forms(&name);
                if offered != *resource {
                    Arc::make_mut(&mut sets[resource_type]).insert(offered);
                }
                Doubt { asked, instead: Some(instead) }
            } else {
                let unit = Unit::whole(resource_type, resource);
                if !for_some.holds(&unit) {
                    continue;
                }
                let earlier = match self.good.get(&unit) {
                    Some(Good::Whole(earlier, endpoints)) => Some((earlier.clone(), endpoints.clone())),
                    Some(Good::Absent | Good::Host(_)) | None => None,
                };
                if for_all.holds(&unit) {
                    let set = Arc::make_mut(&mut sets[resource_type]);
                    match &earlier {
                        Some((earlier, _)) => drop(set.insert(earlier.clone())),
                        None => drop(set.remove(name.as_str())),
                    }
                    // An earlier form may need endpoints where the present one resolves names.
                    if let Some((_, Some(endpoints))) = &earlier
                        && sets[ResourceType::Endpoints].get(name.as_str()).is_none()
                    {
                        Arc::make_mut(&mut sets[ResourceType::Endpoints]).insert(endpoints.clone());
                    }
                }
                Doubt { asked: vec![unit.version], instead: earlier.map(|(earlier, _)| earlier) }
            };
            doubts.insert(resource_type, name, doubt);
        }
        Arc::new(Snapshot::with_doubts(sets, doubts))
    }

    /// All groups were reviewed. What nobody wants in that form any more is forgotten.
    pub fn end_round(&mut self) {
        let superseded = std::mem::take(&mut self.superseded);
        let gone: BTreeSet<Unit> = superseded.difference(&self.wanted).cloned().collect();
        self.charges.drop_with(&gone);
        self.forget_what_is_settled();
    }

    /// When to review again, since then those who accepted something have had the time to say so.
    pub fn again_at(&self, now: Instant) -> Option<Instant> {
        self.charges.hearing_ends(now)
    }

    /// What is rejected of what is wanted now. `now` as in the last review.
    pub fn cases(&self, now: Instant) -> Vec<Case> {
        let for_all = self.charges.judge(K, Some(now));
        let for_some = self.charges.judge(1, None);
        let wanted = for_some.all().filter(|unit| self.wanted.contains(unit));
        wanted
            .map(|unit| {
                let charge = self.charges.against(unit);
                Case {
                    unit: unit.clone(),
                    quarantined: for_all.holds(unit) && self.can_go_back(unit, &for_all),
                    together_with: charge.together_with,
                    has_earlier: matches!(self.good.get(unit), Some(Good::Whole(..) | Good::Host(_))),
                    count: charge.nodes.len(),
                    nodes: charge.nodes.into_iter().take(K).collect(),
                    message: charge.message,
                    documents: self.documents.get(unit).cloned().unwrap_or_default(),
                }
            })
            .collect()
    }

    /// The next round begins: nobody wants anything yet.
    pub fn begin_round(&mut self) {
        self.wanted.clear();
    }

    /// The units that a client can mean with its rejection, of those that nobody accepted.
    fn accused(&mut self, resource_type: ResourceType, contested: &Contested, message: &str) -> BTreeSet<Unit> {
        let Contested { content, before, endpoints } = contested;
        let hosts = if resource_type == ResourceType::Route { hosts_of(content) } else { Vec::new() };
        if hosts.len() < 2 {
            let unit = Unit::whole(resource_type, content);
            if let Some(before) = before {
                self.charges.acquit([Unit::whole(resource_type, before)]);
                self.good.entry(unit.clone()).or_insert_with(|| Good::Whole(before.clone(), endpoints.clone()));
            }
            return self.charges.not_accepted(unit).into_iter().collect();
        }
        self.remember(content);
        if let Some(before) = before {
            self.charges.acquit(hosts_of(before).iter().map(|host| Unit::host(before, host)));
        }
        let earlier = before.as_ref().map(hosts_of);
        let units = hosts.iter().filter_map(|host| {
            let unit = self.charges.not_accepted(Unit::host(content, host))?;
            Some((unit, host))
        });
        let mut suspects: Vec<(Unit, &Host)> = units.collect();
        let meant = named_hosts(message, &hosts);
        if suspects.iter().any(|(_, host)| meant.contains(&host.name)) {
            suspects.retain(|(_, host)| meant.contains(&host.name));
        }
        for (unit, host) in &suspects {
            if let Some(earlier) = &earlier {
                let form = earlier.iter().find(|earlier| earlier.name == host.name);
                let good = form.map_or(Good::Absent, |form| Good::Host(form.apart()));
                self.good.entry(unit.clone()).or_insert(good);
            }
            self.documents.entry(unit.clone()).or_insert_with(|| host.documents());
        }
        suspects.into_iter().map(|(unit, _)| unit).collect()
    }

    fn accepted(&mut self, resource_type: ResourceType, name: &ResourceName, version: Version) -> bool {
        let unit = Unit { resource_type, resource: name.clone(), host: None, version };
        let mut units = vec![unit];
        let form = self.forms.iter().find(|form| form.name == *name && form.version == version);
        units.extend(form.into_iter().flat_map(|form| form.units.iter().cloned()));
        self.charges.acquit(units)
    }

    /// A RouteConfiguration without those that were judged, as far as they can go back; `trying` leaves those in with whom
    /// it is tried out.
    fn without(&self, resource: &Resource, judgement: &Judgement, trying: bool) -> Resource {
        with_hosts(resource, |host| {
            let unit = Unit::host(resource, host);
            let is_on_trial = trying && judgement.is_on_trial(&unit);
            if !judgement.holds(&unit) || is_on_trial || !self.can_go_back(&unit, judgement) {
                return Becomes::Same;
            }
            match self.good.get(&unit) {
                Some(Good::Host(earlier)) => Becomes::Earlier(earlier.clone()),
                Some(Good::Absent | Good::Whole(..)) | None => Becomes::LeftOut,
            }
        })
    }

    /// Whether something can take a unit's place: a virtual host of which no client is known that did without is left out
    /// only where nothing else can be meant.
    fn can_go_back(&self, unit: &Unit, judgement: &Judgement) -> bool {
        unit.host.is_none() || self.good.contains_key(unit) || judgement.is_certain_of(unit)
    }

    fn remember(&mut self, form: &Resource) {
        let (name, version) = (form.name().clone(), form.version());
        if !self.forms.iter().any(|known| known.name == name && known.version == version) {
            if self.forms.len() == FORMS {
                self.forms.pop_front();
            }
            let units = hosts_of(form).iter().map(|host| Unit::host(form, host)).collect();
            self.forms.push_back(Form { name, version, units });
        }
    }

    /// Forms with something in them that is under charge: it is worth knowing that somebody took them, or takes them now.
    fn telling_forms(&self, name: &ResourceName) -> Vec<Version> {
        let accused: BTreeSet<&Unit> = self.charges.units().collect();
        let telling = self
            .forms
            .iter()
            .filter(|form| form.name == *name && accused.iter().any(|unit| form.units.contains(*unit)));
        telling.map(|form| form.version).collect()
    }

    fn note_what_is_wanted(&mut self, compiled: &Snapshot) {
        let accused: Vec<Unit> = self.charges.units().cloned().collect();
        let mut hosts: BTreeMap<&ResourceName, Vec<Unit>> = BTreeMap::new();
        for unit in &accused {
            let Some(resource) = compiled.set(unit.resource_type).get(unit.resource.as_str()) else { continue };
            let is_there = match &unit.host {
                None => resource.version() == unit.version,
                Some(_) => {
                    let present = hosts
                        .entry(&unit.resource)
                        .or_insert_with(|| hosts_of(resource).iter().map(|host| Unit::host(resource, host)).collect());
                    present.contains(unit)
                }
            };
            match is_there {
                true => drop(self.wanted.insert(unit.clone())),
                false => drop(self.superseded.insert(unit.clone())),
            }
        }
    }

    fn forget_what_is_settled(&mut self) {
        let accused: BTreeSet<Unit> = self.charges.units().cloned().collect();
        self.good.retain(|unit, _| accused.contains(unit));
        self.documents.retain(|unit, _| accused.contains(unit));
        if accused.is_empty() {
            self.forms.clear();
        }
        self.charges.forget_acquitted();
    }
}

/// The virtual hosts that a client's words mean: by name, or by position as Envoy says it of a broken constraint.
fn named_hosts(message: &str, hosts: &[Host]) -> BTreeSet<Arc<str>> {
    const POSITION: &str = "RouteConfigurationValidationError.VirtualHosts[";
    let by_position = message.split_once(POSITION).and_then(|(_, rest)| {
        let position: usize = rest.split(']').next()?.parse().ok()?;
        Some(hosts.get(position)?.name.clone())
    });
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let is_mentioned = |host: &&Host| {
        message
            .match_indices(&*host.name)
            .any(|(at, _)| !message[..at].ends_with(is_part) && !message[at + host.name.len()..].starts_with(is_part))
    };
    match by_position {
        Some(name) => [name].into(),
        None => hosts
            .iter()
            .filter(|host| host.name.contains(':'))
            .filter(is_mentioned)
            .map(|host| host.name.clone())
            .collect(),
    }
}
