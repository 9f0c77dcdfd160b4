//! `loadBalancer.localityLbSetting`, complete.

use super::super::document::settings;
use super::text;
use crate::model::policy::{Distribute, Failover, FailoverRule, LocalityPattern, LocalityRouting, PriorityLabel};

pub(super) fn locality(written: Option<&settings::LocalityLbSetting>) -> LocalityRouting {
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
