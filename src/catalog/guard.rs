//! Removals are suspected first: a source that suddenly loses much of what it had is believed only after a while.
//!
//! What would be removed is held, while additions, changes and everything else go on. The hold ends when what was
//! lost is back, when time has shown that it is meant, or when somebody says so. Losses are counted net, so that
//! replaced instances are no loss, and only where there was enough to make a share of it mean something. Pure:
//! instants are given.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use imbl::{OrdMap, ordmap::DiffItem};

use crate::{
    discovery::Slice,
    model::{CatalogEntry, Endpoint, EndpointSet, ServiceName},
};

/// Below these numbers a share means nothing.
const FEWEST_SERVICES: usize = 3;
const FEWEST_ENDPOINTS: usize = 4;

/// When a removal is held, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardSettings {
    /// A loss above this share of a source's services, or of a service's endpoints, is sudden.
    pub max_removed_percent: u32,
    /// For how long it is held.
    pub hold: Duration,
}

/// The guard of one source.
#[derive(Debug, Clone)]
pub struct Guard {
    settings: GuardSettings,
    /// What counts: the source's latest slice, and what is held beside it.
    effective: OrdMap<ServiceName, CatalogEntry>,
    services_held_since: Option<Instant>,
    /// Services among those held that may go all the same.
    let_go: BTreeSet<ServiceName>,
    endpoints_held_since: BTreeMap<ServiceName, Instant>,
}

/// What a guard lets through.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The slice, and what is held beside it.
    pub slice: Arc<Slice>,
    /// What is held: an alarm each.
    pub held: Vec<Held>,
    /// When to ask again even if nothing changes: the first hold ends then.
    pub again_at: Option<Instant>,
}

/// A removal that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What would be removed.
    pub lost: Lost,
    /// How many are gone, less those that came instead.
    pub gone: usize,
    /// Of how many.
    pub of: usize,
    /// When it was first seen.
    pub since: Instant,
    /// When it is believed.
    pub until: Instant,
}

/// What a source no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// These services.
    Services(Vec<ServiceName>),
    /// Endpoints of one service.
    Endpoints(ServiceName, Vec<Endpoint>),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, gone, of, .. } = self;
        match lost {
            Lost::Services(_) => write!(f, "{gone} of {of} services are gone at once: their removal is held"),
            Lost::Endpoints(service, _) => {
                write!(f, "{gone} of {of} endpoints of {service} are gone at once: their removal is held")
            }
        }
    }
}

impl Guard {
    /// A guard that has seen nothing yet.
    pub fn new(settings: GuardSettings) -> Self {
        Self::remembering(settings, OrdMap::new())
    }

    /// A guard that knows what counted when the process last ran.
    pub fn remembering(settings: GuardSettings, effective: OrdMap<ServiceName, CatalogEntry>) -> Self {
        Self {
            settings,
            effective,
            services_held_since: None,
            let_go: BTreeSet::new(),
            endpoints_held_since: BTreeMap::new(),
        }
    }

    /// Takes the source's latest slice.
    pub fn admit(&mut self, slice: &Arc<Slice>, now: Instant) -> Admitted {
        let before = self.effective.clone();
        let Changes { removed, added, changed } = Changes::between(&before, &slice.services);
        let mut services = slice.services.clone();
        let mut held = Vec::new();

        let gone = removed.len().saturating_sub(added);
        let sudden = before.len() >= FEWEST_SERVICES && self.is_sudden(gone, before.len());
        self.services_held_since = self.settings.holds(sudden, self.services_held_since, now);
        let (mut going, mut staying) = (Vec::new(), Vec::new());
        if let Some(since) = self.services_held_since {
            (going, staying) = removed.into_iter().partition(|(name, _)| self.let_go.contains(*name));
            if staying.is_empty() {
                self.services_held_since = None;
                going.clear();
            } else {
                let names: Vec<ServiceName> = staying.iter().map(|(name, _)| (*name).clone()).collect();
                let (of, until) = (before.len(), since + self.settings.hold);
                held.push(Held { gone: gone.min(names.len()), lost: Lost::Services(names), of, since, until });
            }
        }
        self.let_go = going.iter().map(|(name, _)| (*name).clone()).collect();
        let owned = |(name, entry): (&ServiceName, &CatalogEntry)| (name.clone(), entry.clone());
        services.extend(staying.into_iter().map(owned));

        let mut endpoints_held_since = BTreeMap::new();
        for (name, old, new) in changed {
            let (was, gone) = (old.endpoints.len(), old.endpoints.len().saturating_sub(new.endpoints.len()));
            let sudden = was >= FEWEST_ENDPOINTS && self.is_sudden(gone, was);
            let since = self.endpoints_held_since.get(name).copied();
            if let Some(since) = self.settings.holds(sudden, since, now) {
                endpoints_held_since.insert(name.clone(), since);
                let lost = lost_endpoints(old, new);
                services.insert(name.clone(), CatalogEntry { endpoints: with_held(old, new, &lost), ..new.clone() });
                let (lost, until) = (Lost::Endpoints(name.clone(), lost), since + self.settings.hold);
                held.push(Held { lost, gone, of: was, since, until });
            }
        }
        self.endpoints_held_since = endpoints_held_since;
        // What was let go still counts for the share that is gone: the rest of one loss stays one loss.
        self.effective = services.clone();
        self.effective.extend(going.into_iter().map(owned));
        let slice = match held.is_empty() {
            true => slice.clone(),
            false => Arc::new(Slice { services, ..(**slice).clone() }),
        };
        let again_at = held.iter().map(|held| held.until).min();
        Admitted { slice, held, again_at }
    }

    /// Lets go what is held, or of that what concerns one service, and says what it was. It counts from the next slice
    /// that is admitted; `said` is the latest.
    pub fn release(&mut self, said: &Slice, only: Option<&ServiceName>) -> Vec<Lost> {
        let concerned = |name: &ServiceName| only.is_none_or(|only| only == name);
        let mut released = Vec::new();
        if self.services_held_since.is_some() {
            let is_held = |name: &&ServiceName| !said.services.contains_key(*name) && !self.let_go.contains(*name);
            let names: Vec<ServiceName> =
                self.effective.keys().filter(is_held).filter(|name| concerned(name)).cloned().collect();
            if !names.is_empty() {
                self.let_go.extend(names.iter().cloned());
                released.push(Lost::Services(names));
            }
        }
        for name in self.endpoints_held_since.keys().filter(|name| concerned(name)) {
            if let (Some(old), Some(new)) = (self.effective.get(name), said.services.get(name)) {
                released.push(Lost::Endpoints(name.clone(), lost_endpoints(old, new)));
                let new = new.clone();
                self.effective.insert(name.clone(), new);
            }
        }
        released
    }

    fn is_sudden(&self, gone: usize, of: usize) -> bool {
        gone * 100 > self.settings.max_removed_percent as usize * of
    }
}

impl GuardSettings {
    /// Since when a loss is held, if it is: from the first time it is seen, until its time is up.
    fn holds(self, sudden: bool, since: Option<Instant>, now: Instant) -> Option<Instant> {
        let since = sudden.then(|| since.unwrap_or(now))?;
        (now < since + self.hold).then_some(since)
    }
}

/// What differs between what counts and what the source says.
#[derive(Debug, Default)]
struct Changes<'a> {
    removed: Vec<(&'a ServiceName, &'a CatalogEntry)>,
    added: usize,
    changed: Vec<(&'a ServiceName, &'a CatalogEntry, &'a CatalogEntry)>,
}

impl<'a> Changes<'a> {
    fn between(before: &'a OrdMap<ServiceName, CatalogEntry>, after: &'a OrdMap<ServiceName, CatalogEntry>) -> Self {
        let mut changes = Self::default();
        for item in before.diff(after) {
            match item {
                DiffItem::Add(..) => changes.added += 1,
                DiffItem::Remove(name, entry) => changes.removed.push((name, entry)),
                DiffItem::Update { old: (name, old), new: (_, new) } => changes.changed.push((name, old, new)),
            }
        }
        changes
    }
}

/// Those that would be removed; one whose address is still there is not lost.
fn lost_endpoints(old: &CatalogEntry, new: &CatalogEntry) -> Vec<Endpoint> {
    let same_place = |a: &Endpoint, b: &Endpoint| a.address == b.address && a.ports == b.ports;
    let is_lost = |old: &&Endpoint| !new.endpoints.iter().any(|new| same_place(old, new));
    old.endpoints.iter().filter(is_lost).cloned().collect()
}

/// The new endpoints, and those that are held.
fn with_held(old: &CatalogEntry, new: &CatalogEntry, lost: &[Endpoint]) -> Arc<EndpointSet> {
    let all = EndpointSet::new(new.endpoints.iter().chain(lost).cloned().collect());
    if all == *old.endpoints { old.endpoints.clone() } else { Arc::new(all) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::model::{Address, Health, Locality, Service};

    const SETTINGS: GuardSettings = GuardSettings { max_removed_percent: 50, hold: Duration::from_secs(30) };

    /// `a:4 b:1`: services, each with so many endpoints; `a:4-7` has those numbered 4 to 7.
    fn slice(text: &str) -> Arc<Slice> {
        let entry = |word: &str| {
            let (name, endpoints) = word.split_once(':').expect("NAME:ENDPOINTS");
            let (first, last) = endpoints.split_once('-').unwrap_or(("1", endpoints));
            let number = |text: &str| text.parse::<u8>().expect("a number");
            let name = ServiceName::new(name).expect("a name");
            let endpoints = (number(first)..=number(last)).map(|host| Endpoint {
                address: Address::Ip(std::net::Ipv4Addr::new(10, 0, 0, host).into()),
                ports: BTreeMap::new(),
                locality: Locality::default(),
                weight: std::num::NonZeroU32::MIN,
                health: Health::Healthy,
                labels: BTreeMap::new(),
            });
            let service = Service::named(name.clone());
            let endpoints = Arc::new(EndpointSet::new(endpoints.collect()));
            (name, CatalogEntry { service: Arc::new(service), endpoints, observed: SystemTime::UNIX_EPOCH })
        };
        Arc::new(Slice {
            services: text.split(' ').filter(|word| !word.is_empty()).map(entry).collect(),
            ..Slice::default()
        })
    }

    /// What counts: each service with the number of its endpoints.
    fn shown(admitted: &Admitted) -> String {
        let service = |(name, entry): (&ServiceName, &CatalogEntry)| format!("{name}:{}", entry.endpoints.len());
        admitted.slice.services.iter().map(service).collect::<Vec<_>>().join(" ")
    }

    fn at(seconds: u64) -> Instant {
        // One origin for all instants of a test.
        static ORIGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *ORIGIN + Duration::from_secs(seconds)
    }

    /// Slices at instants, and what counts after each.
    fn plays(steps: &[(u64, &str, &str)]) {
        let mut guard = Guard::new(SETTINGS);
        for (seconds, says, counts) in steps {
            assert_eq!(shown(&guard.admit(&slice(says), at(*seconds))), *counts, "at {seconds} s, of `{says}`");
        }
    }

    #[test]
    fn a_sudden_loss_of_services_is_held_until_its_time_is_up() {
        plays(&[
            (0, "a:1 b:1 c:1 d:1", "a:1 b:1 c:1 d:1"),
            (1, "a:1", "a:1 b:1 c:1 d:1"),
            (30, "a:1", "a:1 b:1 c:1 d:1"),
            (31, "a:1", "a:1"),
        ]);
    }

    #[test]
    fn everything_else_goes_on_meanwhile() {
        plays(&[
            (0, "a:1 b:1 c:1 d:1 e:1", "a:1 b:1 c:1 d:1 e:1"),
            (1, "a:1", "a:1 b:1 c:1 d:1 e:1"),
            (2, "a:2", "a:2 b:1 c:1 d:1 e:1"),
            (3, "a:3 new:1", "a:3 b:1 c:1 d:1 e:1 new:1"),
        ]);
    }

    #[test]
    fn what_is_back_ends_the_hold() {
        plays(&[
            (0, "a:1 b:1 c:1 d:1", "a:1 b:1 c:1 d:1"),
            (1, "a:1", "a:1 b:1 c:1 d:1"),
            (2, "a:1 b:1 c:1", "a:1 b:1 c:1"),
            (3, "a:1", "a:1 b:1 c:1"),
            (32, "a:1", "a:1 b:1 c:1"),
            (33, "a:1", "a:1"),
        ]);
    }

    #[test]
    fn endpoints_are_held_for_each_service_alone() {
        plays(&[
            (0, "a:4 b:4 c:9", "a:4 b:4 c:9"),
            (1, "a:1 b:3 c:9", "a:4 b:3 c:9"),
            (5, "a:1 b:3 c:0", "a:4 b:3 c:9"),
            (31, "a:1 b:3 c:0", "a:1 b:3 c:9"),
            (35, "a:1 b:3 c:0", "a:1 b:3 c:0"),
        ]);
    }

    #[test]
    fn replaced_instances_are_no_loss() {
        plays(&[(0, "a:1-4", "a:4"), (1, "a:5-8", "a:4")]);
    }

    #[test]
    fn where_there_was_little_a_share_means_nothing() {
        plays(&[(0, "a:3 b:1", "a:3 b:1"), (1, "a:0", "a:0")]);
    }

    #[test]
    fn half_is_not_more_than_half() {
        plays(&[(0, "a:4 b:1 c:1 d:1", "a:4 b:1 c:1 d:1"), (1, "a:2 b:1", "a:2 b:1")]);
    }

    #[test]
    fn a_hold_is_alarmed_and_says_when_it_ends() {
        let mut guard = Guard::new(SETTINGS);
        guard.admit(&slice("a:4 b:1 c:1"), at(0));
        let admitted = guard.admit(&slice("a:0"), at(1));
        let alarms: Vec<String> = admitted.held.iter().map(Held::to_string).collect();
        assert_eq!(
            alarms,
            [
                "2 of 3 services are gone at once: their removal is held",
                "4 of 4 endpoints of a are gone at once: their removal is held"
            ]
        );
        assert_eq!(admitted.again_at, Some(at(31)));
        assert_eq!(guard.admit(&slice("a:4 b:1 c:1"), at(2)).again_at, None);
    }

    fn let_go(released: &[Lost]) -> Vec<String> {
        let text = |lost: &Lost| match lost {
            Lost::Services(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Lost::Endpoints(service, endpoints) => format!("{} of {service}", endpoints.len()),
        };
        released.iter().map(text).collect()
    }

    #[test]
    fn what_is_released_goes_at_once_and_other_things_stay_held() {
        let mut guard = Guard::new(SETTINGS);
        guard.admit(&slice("a:1 b:1 c:1 d:9"), at(0));
        let said = slice("d:2");
        assert_eq!(shown(&guard.admit(&said, at(1))), "a:1 b:1 c:1 d:9");

        let of = |name: &str| ServiceName::new(name).expect("a name");
        assert_eq!(let_go(&guard.release(&said, Some(&of("b")))), ["b"]);
        assert_eq!(shown(&guard.admit(&said, at(2))), "a:1 c:1 d:9", "two of four are no less of one sudden loss");
        assert_eq!(let_go(&guard.release(&said, Some(&of("nobody")))), [""; 0]);
        assert_eq!(let_go(&guard.release(&said, Some(&of("d")))), ["7 of d"]);
        assert_eq!(shown(&guard.admit(&said, at(3))), "a:1 c:1 d:2");

        assert_eq!(let_go(&guard.release(&said, None)), ["a c"]);
        let admitted = guard.admit(&said, at(4));
        assert_eq!((shown(&admitted), admitted.held.len(), admitted.again_at), ("d:2".to_owned(), 0, None));
        assert_eq!(let_go(&guard.release(&said, None)), [""; 0], "nothing is held");
    }

    #[test]
    fn a_service_that_was_let_go_and_comes_back_is_an_ordinary_one() {
        let mut guard = Guard::new(SETTINGS);
        guard.admit(&slice("a:1 b:1 c:1 d:1"), at(0));
        guard.admit(&slice("d:1"), at(1));
        guard.release(&slice("d:1"), Some(&ServiceName::new("a").expect("a name")));
        assert_eq!(shown(&guard.admit(&slice("d:1"), at(2))), "b:1 c:1 d:1");
        assert_eq!(shown(&guard.admit(&slice("a:1 d:1"), at(3))), "a:1 d:1", "two of four are not sudden");
    }

    #[test]
    fn what_counted_before_a_restart_is_guarded_too() {
        let mut guard = Guard::remembering(SETTINGS, slice("a:1 b:1 c:1").services.clone());
        assert_eq!(shown(&guard.admit(&slice("a:1"), at(0))), "a:1 b:1 c:1");
        assert_eq!(shown(&guard.admit(&slice("a:1"), at(30))), "a:1");
    }
}
