//! Layers of settings into one: field by field, the more specific wins.
//!
//! A *choice* is one field with several forms (`simple` or `consistentHash`): the more specific layer's form replaces
//! the other with all that hangs on it. Two layers of equal rank that say different things contradict each other.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{document::Document, leaves::Path};

/// How specific a layer is; the least comes first in order and wins. Targets first, then what narrows them, then
/// clients (the documented order: contract of the `TrafficPolicy` kind).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// By what the service is found.
    pub target: TargetRank,
    /// What of the service is meant.
    pub narrowing: NarrowingRank,
    /// For whom.
    pub clients: ClientsRank,
}

/// By what the service is found, the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetRank {
    /// The ServiceEntry that defines it.
    Entry,
    /// A TrafficPolicy that names it.
    Name,
    /// What the DestinationRules come to.
    DestinationRule,
    /// A pattern; the more characters it fixes, the more specific.
    Pattern(Reverse<usize>),
    /// Labels.
    Labels,
    /// Every service.
    All,
}

/// What of the service is meant, the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NarrowingRank {
    /// One subset at one port.
    SubsetAndPort,
    /// One subset.
    Subset,
    /// One port.
    Port,
    /// All of it.
    Nothing,
}

/// For whom, the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientsRank {
    /// Some workloads.
    Some,
    /// All.
    All,
}

/// What one document contributes.
#[derive(Debug, Clone)]
pub struct Layer {
    /// How specific it is.
    pub rank: Rank,
    /// Each setting, and the field of a document that says it.
    pub leaves: BTreeMap<Path, Leaf>,
}

/// A setting, and where it is said.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// What is said.
    pub value: Value,
    /// In which document.
    pub document: Arc<Document>,
    /// At which path below the document's root.
    pub field: String,
}

/// Everything that was said of a target, decided.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// What counts.
    pub settings: BTreeMap<Path, Decided>,
    /// Pairs of equal rank that say different things: path, the one that counts, the other.
    pub contradictions: Vec<(Path, Leaf, Leaf)>,
}

/// What counts for one setting.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What counts.
    pub leaf: Leaf,
    /// What it overrode, the most specific first.
    pub overrode: Vec<Overridden>,
    /// How specific it is.
    pub rank: Rank,
}

/// What was said in vain.
#[derive(Debug, Clone)]
pub struct Overridden {
    /// Of which setting: where it is not the winner's own, both are forms of one choice.
    pub path: Path,
    /// What is said.
    pub leaf: Leaf,
    /// How specific it is.
    pub rank: Rank,
}

/// A form of a field: the prefixes of its paths.
type Form = &'static [&'static str];

/// Forms of one field: a layer that says one of them replaces the others.
const CHOICES: [&[Form]; 6] = [
    &[&[ALGORITHMS[0]], &[ALGORITHMS[1]], &[ALGORITHMS[2]]],
    &[
        &["loadBalancer.consistentHash.httpHeaderName"],
        &["loadBalancer.consistentHash.httpCookie"],
        &["loadBalancer.consistentHash.useSourceIp"],
        &["loadBalancer.consistentHash.httpQueryParameterName"],
    ],
    &[
        &["loadBalancer.consistentHash.ringHash"],
        &["loadBalancer.consistentHash.maglev"],
        &["loadBalancer.consistentHash.minimumRingSize"],
    ],
    &[
        &["loadBalancer.localityLbSetting.distribute"],
        &["loadBalancer.localityLbSetting.failover", "loadBalancer.localityLbSetting.failoverPriority"],
    ],
    &[&["loadBalancer.localityLbSetting"], &["loadBalancer.zoneAwareLbSetting"]],
    &[&["loadBalancer.panicThreshold"], &["outlierDetection.minHealthPercent"]],
];

/// The forms of the algorithm.
const ALGORITHMS: [&str; 3] = ["loadBalancer.simple", "loadBalancer.consistentHash", "loadBalancer.weightedRoundRobin"];

/// What tunes an algorithm, and so falls with the algorithm that its own layer wrote.
const HANGS_ON_ALGORITHM: [&str; 3] =
    ["loadBalancer.leastRequest", "loadBalancer.warmup", "loadBalancer.warmupDurationSecs"];

/// Decides. Layers of one rank count in the order of their documents' names, whatever the order given.
pub fn merge(mut layers: Vec<Layer>) -> Merged {
    layers.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| first_document(a).cmp(&first_document(b))));
    let mut merged = Merged::default();
    for layer in layers {
        let replaced_by = merged.algorithm_over(&layer);
        for (path, leaf) in layer.leaves {
            if let Some(winner) = &replaced_by
                && HANGS_ON_ALGORITHM.iter().any(|prefix| is_below(&path, prefix))
            {
                merged.override_at(winner, Overridden { path, leaf, rank: layer.rank.clone() });
            } else if let Some(winner) = merged.winner_over(&path) {
                merged.lose(&winner, path, leaf, &layer.rank);
            } else {
                let decided = Decided { leaf, overrode: Vec::new(), rank: layer.rank.clone() };
                merged.settings.insert(path, decided);
            }
        }
    }
    merged
}

fn first_document(layer: &Layer) -> Option<super::document::DocumentId> {
    layer.leaves.values().map(|leaf| leaf.document.id.clone()).min()
}

impl Merged {
    /// What was decided before and excludes a further word at this path: the path itself, or another form of a
    /// choice. What the same layer says of one choice is not in each other's way: forms were checked when it was read.
    fn winner_over(&self, path: &str) -> Option<Path> {
        if self.settings.contains_key(path) {
            return Some(path.to_owned());
        }
        let rivals = CHOICES.iter().filter_map(|forms| {
            let own = forms.iter().find(|form| is_of(path, form))?;
            let others = forms.iter().filter(move |form| *form != own);
            others.flat_map(|form| *form).flat_map(|prefix| self.below(prefix)).next()
        });
        rivals.map(ToOwned::to_owned).next()
    }

    /// The algorithm decided before, where this layer wrote another one.
    fn algorithm_over(&self, layer: &Layer) -> Option<Path> {
        let written =
            layer.leaves.iter().find(|(path, _)| ALGORITHMS.iter().any(|algorithm| is_below(path, algorithm)));
        let (path, leaf) = written?;
        let winner = self.winner_over(path)?;
        let is_other_simple = winner == "loadBalancer.simple" && self.settings[&winner].leaf.value != leaf.value;
        (is_other_simple || is_other_form(&winner, path)).then_some(winner)
    }

    fn below(&self, prefix: &str) -> impl Iterator<Item = &Path> {
        self.settings.keys().filter(move |path| is_below(path, prefix))
    }

    fn lose(&mut self, winner: &str, path: Path, leaf: Leaf, rank: &Rank) {
        let Some(decided) = self.settings.get(winner) else { return };
        let differs = winner != path || decided.leaf.value != leaf.value;
        if differs && contradicts(&decided.rank, rank) {
            self.contradictions.push((path.clone(), decided.leaf.clone(), leaf.clone()));
        }
        self.override_at(winner, Overridden { path, leaf, rank: rank.clone() });
    }

    fn override_at(&mut self, winner: &str, overridden: Overridden) {
        if let Some(decided) = self.settings.get_mut(winner) {
            decided.overrode.push(overridden);
        }
    }
}

/// Whether two settings are different forms of one choice.
pub(super) fn is_other_form(path: &str, other: &str) -> bool {
    CHOICES.iter().any(|forms| {
        let form_of = |path: &str| forms.iter().position(|form| is_of(path, form));
        form_of(path).zip(form_of(other)).is_some_and(|(one, another)| one != another)
    })
}

/// Whether two settings are of one choice, of whichever of its forms: where one has nobody who says it, who says the
/// other decides what holds.
pub fn is_of_one_choice(path: &str, other: &str) -> bool {
    let is_of_some = |path: &str, forms: &[Form]| forms.iter().any(|form| is_of(path, form));
    CHOICES.iter().any(|forms| is_of_some(path, forms) && is_of_some(other, forms))
}

fn is_of(path: &str, form: Form) -> bool {
    form.iter().any(|prefix| is_below(path, prefix))
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Equal ranks contradict each other, and so do a DestinationRule and a TrafficPolicy that names the same service
/// without narrowing it: two dialects must not say different things of one target.
fn contradicts(winner: &Rank, loser: &Rank) -> bool {
    let plain = |rank: &Rank| rank.narrowing == NarrowingRank::Nothing && rank.clients == ClientsRank::All;
    winner == loser
        || (winner.target == TargetRank::Name && loser.target == TargetRank::DestinationRule && plain(winner))
}
