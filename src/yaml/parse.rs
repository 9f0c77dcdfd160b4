//! Parser events into trees. What could hurt is refused here: aliases that multiply, nesting without end, keys twice.

use std::{collections::HashMap, sync::Arc};

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError};

use super::document::{Document, Entry, Kind, Node, NodeId, Span};
use crate::diagnostic::{Diagnostic, Place, SourceFile};

/// The documents of a file, and what is wrong with it as YAML.
#[derive(Debug)]
pub struct Parsed {
    /// Those that are whole. A broken document does not hide the ones after it.
    pub documents: Vec<Document>,
    /// Syntax errors, keys that stand twice, aliases that multiply.
    pub problems: Vec<Diagnostic>,
}

/// How deep values may be nested.
const MAX_DEPTH: usize = 64;

/// How many times larger than the text the document may become by aliases. A text of n bytes has fewer than n nodes;
/// an honest file repeats a few blocks, a hostile one doubles forty times.
const MAX_EXPANSION: u64 = 10;

/// Reads a file as a stream of YAML documents. Empty ones are passed over.
pub fn parse(file: &Arc<SourceFile>) -> Parsed {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(&file.text, options);
    let mut parsed = Parsed { documents: Vec::new(), problems: Vec::new() };
    let mut tree = Tree::new(file);
    loop {
        let step = match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => tree.take(event, to_span(&file.text, &span)),
            Some(Err(error)) => Err(syntax_error(file, &error)),
        };
        match step {
            Ok(None) => {}
            Ok(Some(root)) => {
                parsed.problems.append(&mut tree.problems);
                parsed.documents.extend(std::mem::replace(&mut tree, Tree::new(file)).finish(root));
            }
            Err(problem) => {
                parsed.problems.append(&mut tree.problems);
                parsed.problems.push(problem);
                tree = Tree::new(file);
                if !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
    }
    parsed
}

/// A tree while it is being built.
struct Tree<'a> {
    file: &'a Arc<SourceFile>,
    nodes: Vec<Node>,
    /// How many nodes each node has below it once aliases are followed, itself included.
    sizes: Vec<u64>,
    anchors: HashMap<usize, NodeId>,
    open: Vec<Open>,
    root: Option<NodeId>,
    problems: Vec<Diagnostic>,
}

/// A sequence or mapping whose end was not seen yet.
struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<NodeId>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<(Box<str>, Span)>,
        /// The keys of a large mapping, so that a million of them take no time worth a thought.
        known: HashMap<Box<str>, Span>,
    },
}

/// Up to so many keys are compared one by one.
const FEW_KEYS: usize = 32;

/// Where a key stands in a mapping already.
fn first_of(entries: &[Entry], known: &mut HashMap<Box<str>, Span>, key: &str) -> Option<Span> {
    if entries.len() < FEW_KEYS {
        return entries.iter().find(|entry| *entry.key == *key).map(|entry| entry.key_span);
    }
    for entry in &entries[known.len()..] {
        known.insert(entry.key.clone(), entry.key_span);
    }
    known.get(key).copied()
}

impl<'a> Tree<'a> {
    fn new(file: &'a Arc<SourceFile>) -> Self {
        Self {
            file,
            nodes: Vec::new(),
            sizes: Vec::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            root: None,
            problems: Vec::new(),
        }
    }

    /// Takes one event. At the end of a document, its root.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<NodeId>, Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                if let Some(Open { content: Content::Mapping { key: key @ None, .. }, .. }) = self.open.last_mut() {
                    *key = Some((text.into_owned().into(), span));
                    return Ok(None);
                }
                let id = self.add(Kind::Scalar { text: text.into_owned().into(), plain }, span, 1);
                self.place(id, anchor, span)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(span, anchor, Content::Sequence(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                self.begin(span, anchor, Content::Mapping { entries: Vec::new(), key: None, known: HashMap::new() })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span)?,
            Event::Alias(anchor) => {
                let Some(&id) = self.anchors.get(&anchor) else {
                    return Err(self.error("syntax", span, "an alias that refers to the value it stands in"));
                };
                self.place(id, 0, span)?;
            }
            Event::DocumentEnd => return Ok(self.root),
            Event::UnresolvedAlias(_)
            | Event::Anchor(..)
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | _ => {}
        }
        Ok(None)
    }

    fn begin(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), Diagnostic> {
        if let Some(Open { content: Content::Mapping { key: None, .. }, .. }) = self.open.last() {
            return Err(self.error("syntax", span, "a list or a map as a key"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error("too-deep", span, format!("values nested more than {MAX_DEPTH} levels deep")));
        }
        self.open.push(Open { span, anchor, content });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Diagnostic> {
        let Some(Open { span, anchor, content }) = self.open.pop() else { return Ok(()) };
        let size_of = |ids: &mut dyn Iterator<Item = NodeId>, sizes: &[u64]| {
            ids.fold(1_u64, |sum, id| sum.saturating_add(sizes[id as usize]))
        };
        let (kind, size) = match content {
            Content::Sequence(items) => {
                let size = size_of(&mut items.iter().copied(), &self.sizes);
                (Kind::Sequence(items), size)
            }
            Content::Mapping { entries, .. } => {
                let size = size_of(&mut entries.iter().map(|entry| entry.value), &self.sizes);
                (Kind::Mapping(entries), size)
            }
        };
        let span = Span { end: end.end.max(span.end), ..span };
        let id = self.add(kind, span, size);
        self.place(id, anchor, span)
    }

    fn add(&mut self, kind: Kind, span: Span, size: u64) -> NodeId {
        self.nodes.push(Node { kind, span });
        self.sizes.push(size);
        (self.nodes.len() - 1) as NodeId
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, id: NodeId, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let budget = (self.file.text.len() as u64).saturating_mul(MAX_EXPANSION);
        if self.sizes[id as usize] > budget.max(10_000) {
            return Err(self.error("too-large", span, "aliases that multiply the document beyond all measure"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(id),
            Some(Content::Sequence(items)) => items.push(id),
            Some(Content::Mapping { entries, key, known }) => match key.take() {
                None => return Err(self.error("syntax", span, "an alias as a key")),
                Some((key, key_span)) => {
                    if let Some(first) = first_of(entries, known, &key) {
                        let first = place(self.file, first);
                        let message = format!("`{key}` stands twice");
                        let second = Diagnostic::error("duplicate-key", place(self.file, key_span), &*key, message);
                        self.problems.push(second.related(first, "first here").remedy("keep one of the two"));
                    } else {
                        entries.push(Entry { key, key_span, value: id });
                    }
                }
            },
        }
        Ok(())
    }

    fn error(&self, id: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(id, place(self.file, span), "", message)
    }

    fn finish(self, root: NodeId) -> Option<Document> {
        let empty = matches!(&self.nodes[root as usize].kind, Kind::Scalar { text, plain: true } if text.is_empty() || **text == *"~" || **text == *"null");
        (!empty).then(|| Document { file: self.file.clone(), nodes: self.nodes, root })
    }
}

fn place(file: &Arc<SourceFile>, span: Span) -> Place {
    Place { file: file.clone(), line: span.line, column: span.column, start: span.start, end: span.end }
}

fn to_span(text: &str, span: &granit_parser::Span) -> Span {
    let range = span.byte_range().unwrap_or(0..0);
    let end = range.end.min(text.len());
    // The parser ends block collections where the next thing begins: white space is none of theirs.
    let trimmed = text.get(range.start..end).map_or(end, |text| range.start + text.trim_end().len());
    Span {
        start: range.start.min(text.len()),
        end: trimmed.max(range.start.min(text.len())),
        line: span.start.line() as u32,
        column: span.start.col() as u32 + 1,
    }
}

fn syntax_error(file: &Arc<SourceFile>, error: &ScanError) -> Diagnostic {
    let marker = error.marker();
    let start = marker.byte_offset().unwrap_or(0).min(file.text.len());
    let end = file.text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    let at = Place { file: file.clone(), line: marker.line() as u32, column: marker.col() as u32 + 1, start, end };
    Diagnostic::error("syntax", at, "", format!("this is not YAML: {}", error.info()))
}
