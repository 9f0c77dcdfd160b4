//! What brings a line about: found by taking one leaf of a changed document back, and compiling again.
//!
//! A line that differs once a leaf is taken back is that leaf's. A line that no single leaf explains (two documents say
//! the same, or a leaf cannot stand alone) is looked for the other way: which leaf alone, put into what was there before,
//! makes it. What is left belongs to the changed documents that can touch it as a whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Change, Question,
    compare::{Comparison, differing},
};
use crate::{
    control::World,
    diagnostic::Place,
    model::{Proxy, ResourceName},
    policy::{
        Document, PolicySet,
        document::{Body, DocumentId},
    },
    resources::{ResourceType, Snapshot},
    yaml::{Step, Tree, key_segment},
};

/// A field of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The document as it shall be; of one that is removed, as it was.
    pub document: Arc<Document>,
    /// The path below its root; empty = all of it.
    pub field: String,
}

impl Cause {
    /// The line of the field.
    pub fn place(&self) -> Place {
        if self.field.is_empty() { self.document.place() } else { self.document.place_of(&self.field) }
    }
}

/// A document that differs between the two sides.
#[derive(Debug)]
pub(super) struct Edited {
    pub before: Option<Arc<Document>>,
    pub after: Option<Arc<Document>>,
    /// The leaves that differ.
    leaves: Vec<Vec<Step>>,
    trees: (Option<Tree>, Option<Tree>),
    /// Whether a line was found to be of it.
    pub has_effect: bool,
}

impl Edited {
    /// As it shall be; of one that is removed, as it was.
    pub fn document(&self) -> &Arc<Document> {
        self.after.as_ref().or(self.before.as_ref()).expect("a document that differs is there on one side")
    }

    fn id(&self) -> &DocumentId {
        &self.document().id
    }

    /// The cause that a leaf is: named where it stands now, or where it stood.
    fn cause(&self, leaf: &[Step]) -> Cause {
        let stands = self
            .trees
            .1
            .as_ref()
            .is_some_and(|tree| leaf.iter().try_fold(tree, |tree, step| tree.below(step)).is_some());
        let document = match &self.before {
            Some(before) if !stands => before,
            _ => self.document(),
        };
        Cause { document: document.clone(), field: path(leaf) }
    }
}

/// As many leaves are tried one by one; of more, documents are tried as a whole.
const MOST_LEAVES: usize = 400;

/// Which lines two sides differ in: the fields of each resource, or all of it.
type Lines = BTreeMap<(ResourceType, ResourceName), Option<BTreeSet<String>>>;

/// Finds the causes of every line, and says of each changed document whether it has an effect.
pub(super) fn find(
    world: &mut World,
    question: &Question<'_>,
    comparison: &Comparison,
    changes: &mut [Change],
) -> Vec<Edited> {
    let mut edited = edited(question.before, question.after);
    if changes.is_empty() {
        return edited;
    }
    let mut lab = Lab { world, question, stands: stands(comparison) };
    let leaves: usize = edited.iter().map(|edited| edited.leaves.len()).sum();
    if leaves > MOST_LEAVES {
        for edited in &mut edited {
            edited.leaves = vec![Vec::new()];
        }
    }
    for side in [Side::After, Side::Before] {
        let open: Vec<usize> = (0..changes.len()).filter(|&at| changes[at].causes.is_empty()).collect();
        if open.is_empty() {
            break;
        }
        for edited in &mut edited {
            for leaf in edited.leaves.clone() {
                let Some(lines) = lab.try_leaf(edited, &leaf, side) else { continue };
                for &at in &open {
                    if is_explained(&changes[at], &lines) {
                        changes[at].causes.push(edited.cause(&leaf));
                        edited.has_effect = true;
                    }
                }
            }
        }
    }
    // What only whole documents explain.
    for side in [Side::After, Side::Before] {
        let open: Vec<usize> = (0..changes.len()).filter(|&at| changes[at].causes.is_empty()).collect();
        for edited in edited.iter_mut().filter(|_| !open.is_empty()) {
            let Some(lines) = lab.try_leaf(edited, &[], side) else { continue };
            for &at in &open {
                if is_explained(&changes[at], &lines) {
                    changes[at].causes.push(edited.cause(&[]));
                    edited.has_effect = true;
                }
            }
        }
    }
    for change in changes.iter_mut().filter(|change| change.causes.is_empty()) {
        for edited in &mut edited {
            change.causes.push(edited.cause(&[]));
            edited.has_effect = true;
        }
    }
    edited
}

/// The documents that differ, with the leaves that do.
fn edited(before: &PolicySet, after: &PolicySet) -> Vec<Edited> {
    let by_id = |set: &PolicySet| -> BTreeMap<DocumentId, Arc<Document>> {
        set.documents().map(|document| (document.id.clone(), document.clone())).collect()
    };
    let (before, after) = (by_id(before), by_id(after));
    let ids: BTreeSet<&DocumentId> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for id in ids {
        let (a, b) = (before.get(id), after.get(id));
        if a == b {
            continue;
        }
        let trees = (a.and_then(|document| document.tree()), b.and_then(|document| document.tree()));
        let mut leaves = Tree::differences(trees.0.as_ref(), trees.1.as_ref());
        // Of a document that is new or gone, what says whom it is for is no cause by itself.
        if a.is_none() || b.is_none() {
            leaves.retain(|leaf| !is_frame(leaf, b.or(a)));
        }
        found.push(Edited { before: a.cloned(), after: b.cloned(), leaves, trees, has_effect: false });
    }
    found
}

/// Whether a leaf says what a document is and whom it is for, rather than what it wants.
fn is_frame(leaf: &[Step], document: Option<&Arc<Document>>) -> bool {
    let key = |at: usize| match leaf.get(at) {
        Some(Step::Key(key)) => key.as_str(),
        _ => "",
    };
    let native = document.is_some_and(|document| matches!(document.body, Body::TrafficPolicy(_)));
    match (key(0), key(1)) {
        ("spec", "target" | "clients") if native => true,
        ("spec", "host" | "hosts" | "workload" | "exportTo" | "gateways") => true,
        ("spec", _) => false,
        _ => true,
    }
}

/// Which side a leaf is tried on: taken out of what shall be, or put into what was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    After,
    Before,
}

/// A proxy with the snapshots it has on both sides.
struct Stand {
    proxy: Proxy,
    before: Arc<Snapshot>,
    after: Arc<Snapshot>,
}

/// As few kinds of proxies as see every differing resource.
fn stands(comparison: &Comparison) -> Vec<Stand> {
    let mut unseen: BTreeSet<usize> = (0..comparison.resources.len()).collect();
    let mut stands = Vec::new();
    while !unseen.is_empty() {
        let sees = |positions: &[usize]| positions.iter().filter(|at| unseen.contains(at)).count();
        let Some(best) = comparison.alike.iter().max_by_key(|alike| sees(&alike.resources)) else { break };
        if sees(&best.resources) == 0 {
            break;
        }
        for at in &best.resources {
            unseen.remove(at);
        }
        stands.push(Stand { proxy: best.proxy.clone(), before: best.before.clone(), after: best.after.clone() });
    }
    stands
}

/// The world in which leaves are tried.
struct Lab<'a, 'b> {
    world: &'a mut World,
    question: &'a Question<'b>,
    stands: Vec<Stand>,
}

impl Lab<'_, '_> {
    /// The lines that a leaf alone makes. `None` where the document cannot stand without it.
    fn try_leaf(&mut self, edited: &Edited, leaf: &[Step], side: Side) -> Option<Lines> {
        let (base, own, other, other_document) = match side {
            Side::After => (self.question.after, &edited.trees.1, &edited.trees.0, &edited.before),
            Side::Before => (self.question.before, &edited.trees.0, &edited.trees.1, &edited.after),
        };
        let replacement = if leaf.is_empty() {
            other_document.clone()
        } else {
            let tree = own.as_ref()?.with_part_of(other.as_ref(), leaf)?;
            let rewritten = edited.document().rewritten(&tree)?;
            if rewritten.id != *edited.id() {
                return None;
            }
            Some(rewritten)
        };
        let others = base.documents().filter(|document| document.id != *edited.id());
        let documents: Vec<Arc<Document>> = others.cloned().chain(replacement).collect();
        let (policies, _) = PolicySet::build(&documents);
        self.world.update(self.question.catalog.clone(), Arc::new(policies));
        let grouping = self.world.grouping().clone();
        let mut lines = Lines::new();
        for stand in &self.stands {
            let tried = self.world.compile(&grouping.group_of(&stand.proxy)).snapshot;
            let (from, to) = match side {
                Side::After => (&tried, &stand.after),
                Side::Before => (&stand.before, &tried),
            };
            for resource in differing(from, to) {
                let fields: Option<BTreeSet<String>> =
                    resource.changes().into_iter().map(|change| change.field).collect();
                let key = (resource.resource_type, resource.name);
                match (lines.entry(key).or_insert_with(|| Some(BTreeSet::new())), fields) {
                    (Some(known), Some(fields)) => known.extend(fields),
                    (known, None) => *known = None,
                    (None, Some(_)) => {}
                }
            }
        }
        Some(lines)
    }
}

/// Whether a line is among those that a leaf makes: the same field, or one around or below it.
fn is_explained(change: &Change, lines: &Lines) -> bool {
    let Some(fields) = lines.get(&(change.resource_type, change.resource.clone())) else { return false };
    let (Some(field), Some(fields)) = (&change.field, fields) else { return true };
    let is_below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    fields.iter().any(|found| is_below(found, field) || is_below(field, found))
}

/// Steps as a path is written.
fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if path.is_empty() => path.push_str(key),
            Step::Key(key) => path.push_str(&key_segment(key)),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}
