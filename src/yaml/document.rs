//! One document as a tree with spans.
//!
//! Nodes live in one list and refer to each other by position, so that an alias costs a number and never a copy.

use std::sync::Arc;

use crate::diagnostic::{Place, SourceFile};

/// Where a node is in its document's list.
pub(super) type NodeId = u32;

/// A stretch of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
    pub line: u32,
    pub column: u32,
}

/// A value with its span.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub kind: Kind,
    pub span: Span,
}

/// What a value is, as written.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A scalar; `plain` = without quotes, so that it may be a number, a boolean or null.
    Scalar {
        text: Box<str>,
        plain: bool,
    },
    Sequence(Vec<NodeId>),
    /// Keys in the order written, each once.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: Box<str>,
    pub key_span: Span,
    pub value: NodeId,
}

/// One document of a stream, not yet read into a type.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) file: Arc<SourceFile>,
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

impl Document {
    /// The first line of the document's content.
    pub fn start(&self) -> Place {
        let Span { start, line, column, .. } = self.node(self.root).span;
        let end = start + self.file.text[start..].find('\n').unwrap_or(self.file.text.len() - start);
        Place { file: self.file.clone(), line, column, start, end }
    }

    /// The text at a path, where a scalar stands there (`kind`, `metadata.name`).
    pub fn text(&self, path: &str) -> Option<&str> {
        match &self.node(self.find(path)?.0).kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    /// Whether something stands at a path.
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Where the value at a path stands; of what is not there, the nearest that is above it.
    /// Paths are written `spec.subsets[0].name`; a key with dots in it as `labels["a.b"]`.
    pub fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some((id, _)) = self.find(path) {
                return if path.is_empty() { self.start() } else { self.to_place(self.node(id).span) };
            }
            path = parent(path);
        }
    }

    /// Where the key at a path stands, or the value where it has no key.
    pub fn key_place(&self, path: &str) -> Place {
        match self.find(path) {
            Some((_, Some(span))) => self.to_place(span),
            Some((_, None)) | None => self.place(path),
        }
    }

    /// The keys of the document itself, in the order written.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.node(self.root).kind {
            Kind::Mapping(entries) => entries.as_slice(),
            Kind::Scalar { .. } | Kind::Sequence(_) => &[],
        };
        entries.iter().map(|entry| &*entry.key)
    }

    /// Every scalar at or below a path as it is written, each with its own path, in the order written.
    pub fn scalars(&self, path: &str) -> Vec<(String, String)> {
        let mut scalars = Vec::new();
        // Aliases can multiply a document; who asks for all of it gets as much as a text can hold.
        let mut left = self.file.text.len();
        if let Some((id, _)) = self.find(path) {
            self.collect_scalars(path, id, &mut left, &mut scalars);
        }
        scalars
    }

    /// Every key at or below a path that stands there without a value, by its path, in the order written.
    pub fn keys_without_value(&self, path: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut left = self.file.text.len();
        if let Some((id, _)) = self.find(path) {
            self.collect_keys_without_value(path, id, &mut left, &mut keys);
        }
        keys
    }

    fn collect_keys_without_value(&self, path: &str, id: NodeId, left: &mut usize, keys: &mut Vec<String>) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        match &self.node(id).kind {
            Kind::Scalar { .. } => {}
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect_keys_without_value(&format!("{path}[{index}]"), *item, left, keys);
                }
            }
            Kind::Mapping(entries) => {
                for Entry { key, value, .. } in entries {
                    let below = format!("{path}{}", key_segment(key));
                    match &self.node(*value).kind {
                        Kind::Scalar { text, plain: true } if super::de::is_null(text) => keys.push(below),
                        _ => self.collect_keys_without_value(&below, *value, left, keys),
                    }
                }
            }
        }
    }

    fn collect_scalars(&self, path: &str, id: NodeId, left: &mut usize, scalars: &mut Vec<(String, String)>) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        match &self.node(id).kind {
            Kind::Scalar { text, .. } => scalars.push((path.to_owned(), text.to_string())),
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect_scalars(&format!("{path}[{index}]"), *item, left, scalars);
                }
            }
            Kind::Mapping(entries) => {
                for Entry { key, value, .. } in entries {
                    self.collect_scalars(&format!("{path}{}", key_segment(key)), *value, left, scalars);
                }
            }
        }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn to_place(&self, span: Span) -> Place {
        let Span { start, end, line, column } = span;
        Place { file: self.file.clone(), line, column, start, end }
    }

    /// The node at a path, and the span of its key.
    fn find(&self, path: &str) -> Option<(NodeId, Option<Span>)> {
        let mut found = (self.root, None);
        for segment in segments(path) {
            found = match (&self.node(found.0).kind, segment) {
                (Kind::Mapping(entries), Segment::Key(key)) => {
                    let entry = entries.iter().find(|entry| *entry.key == *key)?;
                    (entry.value, Some(entry.key_span))
                }
                (Kind::Sequence(items), Segment::Index(index)) => (*items.get(index)?, None),
                (Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Mapping(_), _) => return None,
            };
        }
        Some(found)
    }
}

enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

/// A key as the next part of a path: `.name`, or `["a.b"]` where the key has characters with a meaning in paths.
pub fn key_segment(key: &str) -> String {
    match key.contains(['.', '[', ']', '"', '/', '*']) || key.is_empty() {
        true => format!("[\"{key}\"]"),
        false => format!(".{key}"),
    }
}

/// The path without its last segment.
pub(super) fn parent(path: &str) -> &str {
    let bracket = if path.ends_with(']') { path.rfind('[') } else { None };
    match bracket.or_else(|| path.rfind('.')) {
        Some(at) => &path[..at],
        None => "",
    }
}

fn segments(path: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (key, after) = quoted.split_once("\"]").unwrap_or((quoted, ""));
            segments.push(Segment::Key(key));
            rest = after;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']').unwrap_or((index, ""));
            segments.push(Segment::Index(index.parse().unwrap_or(usize::MAX)));
            rest = after;
        } else {
            let rest_of_key = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest_of_key.find(['.', '[']).unwrap_or(rest_of_key.len());
            segments.push(Segment::Key(&rest_of_key[..end]));
            rest = &rest_of_key[end..];
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::super::parse;
    use super::*;

    fn parsed(text: String) -> super::super::Parsed {
        parse(&Arc::new(SourceFile { path: "a.yaml".into(), text: text.into() }))
    }

    #[test]
    fn a_mapping_may_have_many_keys() {
        let mut text = String::new();
        for key in 0..200_000 {
            let _ = writeln!(text, "key{key}: 1");
        }
        text.push_str("key7: 2\n");
        let parsed = parsed(text);
        assert_eq!(parsed.problems.len(), 1, "the one key that stands twice");
        assert_eq!(parsed.problems[0].related[0].0.line, 8);
    }
}
