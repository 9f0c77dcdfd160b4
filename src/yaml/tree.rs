//! A document as a plain tree that can be changed and written again: for those who ask what one field does.

use super::document::{Document, Entry, Kind, NodeId};

/// A value as written, without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// A scalar; `plain` = without quotes.
    Scalar {
        /// What it says.
        text: String,
        /// Whether it may be a number, a boolean or null.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Tree>),
    /// Keys in the order written.
    Mapping(Vec<(String, Tree)>),
}

/// A step from a value to one below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list.
    Index(usize),
}

impl Document {
    /// All of it, aliases followed. `None` where that is more than a text of this size can mean.
    pub fn tree(&self) -> Option<Tree> {
        let mut left = self.file.text.len();
        self.tree_of(self.root, &mut left)
    }

    fn tree_of(&self, id: NodeId, left: &mut usize) -> Option<Tree> {
        *left = left.checked_sub(1)?;
        Some(match &self.node(id).kind {
            Kind::Scalar { text, plain } => Tree::Scalar { text: text.to_string(), plain: *plain },
            Kind::Sequence(items) => {
                Tree::Sequence(items.iter().map(|item| self.tree_of(*item, left)).collect::<Option<_>>()?)
            }
            Kind::Mapping(entries) => {
                let entry = |Entry { key, value, .. }: &Entry| Some((key.to_string(), self.tree_of(*value, left)?));
                Tree::Mapping(entries.iter().map(entry).collect::<Option<_>>()?)
            }
        })
    }
}

impl Tree {
    /// In one line.
    pub fn to_flow(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Scalar { text, plain: true } if text.is_empty() => "null".into(),
            Self::Scalar { text, plain: true }
                if !text.contains([',', '[', ']', '{', '}', '#', ':', '\n', '\'', '"']) =>
            {
                text.clone()
            }
            Self::Scalar { text, .. } => quoted(text),
            Self::Sequence(items) => format!("[{}]", items.iter().map(Self::to_flow).collect::<Vec<_>>().join(", ")),
            Self::Mapping(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), value.to_flow()));
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The value a step below.
    pub fn below(&self, step: &Step) -> Option<&Self> {
        match (self, step) {
            (Self::Mapping(entries), Step::Key(key)) => {
                entries.iter().find(|(found, _)| found == key).map(|(_, value)| value)
            }
            (Self::Sequence(items), Step::Index(index)) => items.get(*index),
            (Self::Scalar { .. } | Self::Mapping(_) | Self::Sequence(_), _) => None,
        }
    }

    /// The smallest parts in which two trees differ. A list of another length is one part.
    pub fn differences(before: Option<&Self>, after: Option<&Self>) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        differ(&mut Vec::new(), before, after, &mut found);
        found
    }

    /// This tree, with what the other has at a path: a value, or none.
    pub fn with_part_of(&self, other: Option<&Self>, path: &[Step]) -> Option<Self> {
        graft(Some(self), other, path)
    }
}

fn differ(path: &mut Vec<Step>, before: Option<&Tree>, after: Option<&Tree>, found: &mut Vec<Vec<Step>>) {
    if before == after {
        return;
    }
    let keys = |tree: Option<&Tree>| match tree {
        Some(Tree::Mapping(entries)) => entries.iter().map(|(key, _)| key.clone()).collect(),
        _ => Vec::new(),
    };
    match (before, after) {
        (None | Some(Tree::Mapping(_)), None | Some(Tree::Mapping(_)))
            if !keys(before).is_empty() || !keys(after).is_empty() =>
        {
            let mut all: Vec<String> = keys(before);
            all.extend(
                keys(after).into_iter().filter(|key| before.is_none_or(|t| t.below(&Step::Key(key.clone())).is_none())),
            );
            for key in all {
                let step = Step::Key(key);
                let (a, b) = (before.and_then(|t| t.below(&step)), after.and_then(|t| t.below(&step)));
                path.push(step);
                differ(path, a, b, found);
                path.pop();
            }
        }
        (Some(Tree::Sequence(a)), Some(Tree::Sequence(b))) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                path.push(Step::Index(index));
                differ(path, Some(a), Some(b), found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

fn graft(base: Option<&Tree>, other: Option<&Tree>, path: &[Step]) -> Option<Tree> {
    let Some((step, rest)) = path.split_first() else { return other.cloned() };
    let below = graft(base.and_then(|t| t.below(step)), other.and_then(|t| t.below(step)), rest);
    match (base, step) {
        (Some(Tree::Sequence(items)), Step::Index(index)) => {
            let mut items = items.clone();
            match (below, items.get_mut(*index)) {
                (Some(value), Some(place)) => *place = value,
                (None, Some(_)) => drop(items.remove(*index)),
                (_, None) => {}
            }
            Some(Tree::Sequence(items))
        }
        (_, Step::Index(_)) => base.cloned(),
        (_, Step::Key(key)) => {
            let mut entries = match base {
                Some(Tree::Mapping(entries)) => entries.clone(),
                _ => Vec::new(),
            };
            match (below, entries.iter().position(|(found, _)| found == key)) {
                (Some(value), Some(at)) => entries[at].1 = value,
                (Some(value), None) => entries.push((key.clone(), value)),
                (None, Some(at)) => drop(entries.remove(at)),
                (None, None) => {}
            }
            // A block that only had this is gone with it, where the other has none.
            (!entries.is_empty() || other.is_some()).then_some(Tree::Mapping(entries))
        }
    }
}
