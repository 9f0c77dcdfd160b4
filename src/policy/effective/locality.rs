//! `loadBalancer.localityLbSetting` and `zoneAwareLbSetting`, complete.

use super::super::document::settings;
use super::text;
use crate::model::{
    Decimal,
    policy::{Distribute, Failover, FailoverRule, LocalityPattern, LocalityRouting, PriorityLabel, ZoneAware},
};

/// What of the two settings counts: zones, unless they are turned off and something else is said.
pub(super) fn locality(written: &settings::LoadBalancer) -> LocalityRouting {
    let by_place = by_place(written.locality_lb_setting.as_ref());
    match &written.zone_aware_lb_setting {
        Some(_) if !written.is_zone_aware() && by_place != LocalityRouting::Ignored => by_place,
        Some(setting) => LocalityRouting::ZoneAware(zone_aware(setting)),
        None => by_place,
    }
}

fn zone_aware(written: &settings::ZoneAwareLbSetting) -> ZoneAware {
    let settings::ZoneAwareLbSetting { enabled, min_cluster_size, routing_enabled, fail_traffic_on_panic } = written;
    ZoneAware {
        routing_enabled: match enabled {
            Some(false) => Some(Decimal::ZERO),
            Some(true) | None => routing_enabled.map(|share| share.0),
        },
        min_cluster_size: min_cluster_size.map(|count| count.0),
        fail_traffic_on_panic: fail_traffic_on_panic.unwrap_or(false),
    }
}

fn by_place(written: Option<&settings::LocalityLbSetting>) -> LocalityRouting {
    let Some(settings::LocalityLbSetting { enabled, distribute, failover, failover_priority }) = written else {
        return LocalityRouting::Ignored;
    };
    match (enabled, distribute) {
        (Some(false), _) => LocalityRouting::Ignored,
        (_, Some(distribute)) => LocalityRouting::Distribute(
            distribute
                .iter()
                .map(|entry| Distribute {
                    from: LocalityPattern::parse(entry.from.as_deref().unwrap_or("*")),
                    to: entry.to.iter().flatten().map(|(to, share)| (LocalityPattern::parse(to), share.0)).collect(),
                })
                .collect(),
        ),
        (_, None) => {
            let rule = |rule: &settings::Failover| FailoverRule { from: text(&rule.from), to: text(&rule.to) };
            let rules = failover.iter().flatten().map(rule).collect();
            let by_labels: Vec<PriorityLabel> = failover_priority.iter().flatten().map(|text| label(text)).collect();
            // Labels alone leave places out of it.
            let by_place = (failover.is_some() || by_labels.is_empty()).then_some(rules);
            LocalityRouting::Failover(Failover { by_labels, by_place })
        }
    }
}

/// `key`, or `key=value`.
fn label(written: &str) -> PriorityLabel {
    match written.split_once('=') {
        Some((key, value)) => PriorityLabel { key: key.into(), value: Some(value.into()) },
        None => PriorityLabel { key: written.into(), value: None },
    }
}
