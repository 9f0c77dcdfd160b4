//! Services that are not dialled and come along all the same, since the routes of those that are lead to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ServiceName;

/// Where the routes of dialled services lead.
#[derive(Debug, Default)]
pub(super) struct Reach {
    leads_to: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    /// From how many services routes lead to one.
    led_from: BTreeMap<ServiceName, usize>,
}

impl Reach {
    /// Replaces where a service's routes lead. Returns the services that come into reach by that, or go out of it.
    pub fn set(&mut self, service: &ServiceName, leads_to: BTreeSet<ServiceName>) -> Vec<ServiceName> {
        let before = match leads_to.is_empty() {
            true => self.leads_to.remove(service),
            false => self.leads_to.insert(service.clone(), leads_to.clone()),
        };
        let before = before.unwrap_or_default();
        let mut crossed = Vec::new();
        for gone in before.difference(&leads_to) {
            if let Some(count) = self.led_from.get_mut(gone) {
                *count -= 1;
                if *count == 0 {
                    self.led_from.remove(gone);
                    crossed.push(gone.clone());
                }
            }
        }
        for new in leads_to.difference(&before) {
            let count = self.led_from.entry(new.clone()).or_default();
            *count += 1;
            if *count == 1 {
                crossed.push(new.clone());
            }
        }
        crossed
    }

    /// Whether some route leads there.
    pub fn contains(&self, service: &ServiceName) -> bool {
        self.led_from.contains_key(service)
    }
}
