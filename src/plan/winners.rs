//! Which document decides a value that differs, and which did: read off the very decisions that `resolve` takes.
//!
//! A cause is a field of a document. On the side where it counts it is the origin of a setting; whoever says that setting
//! on the other side, or another form of the same choice, decides there. Where nobody does it is a default.

use std::collections::BTreeMap;

use super::{Cause, Change, Question, compare::Comparison};
use crate::{
    control::World,
    model::{ClusterName, Port, SubsetName},
    policy::{
        PolicySet,
        merge::is_of_one_choice,
        why::{Origin, Setting},
    },
};

/// Who decides a value on each side; absent = nobody, it is a default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Winner {
    /// Who did.
    pub before: Option<Cause>,
    /// Who does.
    pub after: Option<Cause>,
}

/// Finds the winners of every line that has a cause.
pub(super) fn find(world: &mut World, question: &Question<'_>, comparison: &Comparison, changes: &mut [Change]) {
    let mut side = |policies| {
        world.update(question.catalog.clone(), std::sync::Arc::clone(policies));
        Side::of(world, comparison, changes)
    };
    let (before, after) = (side(question.before), side(question.after));
    for (at, change) in changes.iter_mut().enumerate() {
        let (was, is) = (before.said_of(at), after.said_of(at));
        let field = change.field.as_deref().unwrap_or_default();
        // Several causes may be several settings, one of them gone and one new: each side has the first that it has.
        for cause in &change.causes {
            // The setting is named by the side where the cause is its origin.
            let key = saying([is, was], cause, field).map(|setting| setting.setting.as_str());
            let winner = |said: &[Setting], policies: &PolicySet| match key {
                Some(key) => of_setting(said, key),
                // Whom a document is for, what the mesh is, where a rule leads: the document itself is what counts.
                None => standing(policies, cause),
            };
            let Winner { before, after } = &mut change.winner;
            *before = before.take().or_else(|| winner(was, question.before));
            *after = after.take().or_else(|| winner(is, question.after));
        }
    }
}

/// Everything that one side's documents say of the services that lines are about.
struct Side {
    /// Which of `said` a line is about.
    lines: Vec<Option<usize>>,
    said: Vec<Vec<Setting>>,
}

impl Side {
    fn of(world: &World, comparison: &Comparison, changes: &[Change]) -> Self {
        let mut known: BTreeMap<(usize, ClusterName), usize> = BTreeMap::new();
        let mut said = Vec::new();
        let mut line = |change: &Change| {
            let (target, entry) = target_of(world, change)?;
            let key = (change.seen_by, target);
            if let Some(known) = known.get(&key) {
                return Some(*known);
            }
            let proxy = &comparison.alike.get(change.seen_by)?.proxy;
            let view = world.grouping().group_of(proxy).view;
            let mut settings = world.policies().said(entry, proxy, &view, world.catalog()).settings();
            settings.retain(|setting| is_of(setting, &key.1));
            said.push(settings);
            known.insert(key, said.len() - 1);
            Some(said.len() - 1)
        };
        let lines = changes.iter().map(&mut line).collect();
        Self { lines, said }
    }

    fn said_of(&self, line: usize) -> &[Setting] {
        self.lines[line].map_or(&[], |at| &self.said[at])
    }
}

/// Whether a setting is of a cluster: of its port or of all, of its subset or of the whole service.
fn is_of(setting: &Setting, cluster: &ClusterName) -> bool {
    let Setting { port, subset, .. } = setting;
    port.as_ref().is_none_or(|Port { number, .. }| *number == cluster.port)
        && (port.is_none() || *subset == cluster.subset)
}

/// The service, port and subset that a line is about, where it is about one.
fn target_of<'a>(world: &'a World, change: &Change) -> Option<(ClusterName, &'a crate::model::CatalogEntry)> {
    let name = change.resource.as_str();
    let in_routes = change.field.as_deref().and_then(|field| field.strip_prefix("virtual_hosts["));
    let name = in_routes.and_then(|field| field.split(']').next()).unwrap_or(name);
    let (service, rest) = name.rsplit_once(':')?;
    let (port, subset) = rest.split_once('/').map_or((rest, None), |(port, subset)| (port, Some(subset)));
    let entry = world.catalog().get(service)?;
    let subset = subset.map(SubsetName::new).transpose().ok()?;
    Some((ClusterName { service: entry.service.name.clone(), port: port.parse().ok()?, subset }, entry))
}

/// How well a setting is what a cause says, the best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// It is a part of the block that the cause is; likelier where the Envoy field has its name.
    Within {
        named_alike: bool,
    },
    /// It is said by a block that holds the cause; the longer the path, the smaller the block.
    Around {
        length: usize,
    },
    Exact,
}

/// The setting that a cause says, on the side where it is its origin.
fn saying<'a>(sides: [&'a [Setting]; 2], cause: &Cause, envoy: &str) -> Option<&'a Setting> {
    let is_below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let envoy = envoy.rsplit('.').next().unwrap_or_default().replace('_', "");
    let matched = |setting: &'a Setting| {
        let Origin { document, field } = setting.from.as_ref()?;
        let named_alike = || {
            let last = setting.setting.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            !envoy.is_empty() && (envoy.contains(&last) || last.contains(&envoy))
        };
        let how = match () {
            () if document.id != cause.document.id => return None,
            () if *field == cause.field => Match::Exact,
            () if is_below(&cause.field, field) => Match::Around { length: field.len() },
            () if cause.field.is_empty() || is_below(field, &cause.field) => {
                Match::Within { named_alike: named_alike() }
            }
            () => return None,
        };
        Some((how, setting))
    };
    // Of equals the first.
    let best = |best: Option<(Match, &'a Setting)>, (how, setting)| match best {
        Some((known, _)) if known >= how => best,
        _ => Some((how, setting)),
    };
    sides.into_iter().flatten().filter_map(matched).fold(None, best).map(|(_, setting)| setting)
}

/// Who says a setting; of routes, the rule of any place; or else something of the choice that it is of.
fn of_setting(said: &[Setting], key: &str) -> Option<Cause> {
    fn bare(path: &str) -> &str {
        path.strip_prefix("routes[").and_then(|rest| rest.split_once("].")).map_or(path, |(_, path)| path)
    }
    let said_by = |is_it: &dyn Fn(&str) -> bool| {
        said.iter().filter(|setting| is_it(&setting.setting)).find_map(|setting| setting.from.as_ref())
    };
    let from = said_by(&|path| path == key)
        .or_else(|| said_by(&|path| bare(path) == bare(key)))
        .or_else(|| said_by(&|path| is_of_one_choice(path, key)))?;
    Some(Cause { document: from.document.clone(), field: from.field.clone() })
}

/// The document as it stands on a side, where it does.
fn standing(policies: &PolicySet, cause: &Cause) -> Option<Cause> {
    let document = policies.get(&cause.document.id)?;
    let says_it = document.has(&cause.field);
    says_it.then(|| Cause { document: document.clone(), field: cause.field.clone() })
}
