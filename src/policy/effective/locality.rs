//! `loadBalancer.localityLbSetting`, complete.

use super::super::document::settings;
use super::text;
use crate::model::policy::{Distribute, FailoverRule, LocalityPattern, LocalityRouting};

pub(super) fn locality(written: Option<&settings::LocalityLbSetting>) -> LocalityRouting {
    let Some(settings::LocalityLbSetting { enabled, distribute, failover, failover_priority: _ }) = written else {
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
        (_, None) => LocalityRouting::Failover(
            failover.iter().flatten().map(|rule| FailoverRule { from: text(&rule.from), to: text(&rule.to) }).collect(),
        ),
    }
}
