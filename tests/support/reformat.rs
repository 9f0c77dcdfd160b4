//! YAML written anew with the same meaning: other layout, other order of keys, comments, blank lines.

use granit_parser::{Event, Options, Parser, ScalarStyle};

/// How a text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A key a line, with comments and blank lines between them, and the keys in reverse order.
    Block,
    /// Everything in one line, and the keys in reverse order.
    Flow,
}

enum Tree {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Tree>),
    Mapping(Vec<(Tree, Tree)>),
}

/// The documents of a stream, each laid out anew.
pub fn documents(text: &str, layout: Layout) -> Vec<String> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut open: Vec<Vec<Tree>> = vec![Vec::new()];
    let mut documents = Vec::new();
    while let Some(event) = parser.next_event() {
        let done = match event.unwrap().0 {
            Event::Scalar(text, style, ..) => {
                Some(Tree::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain })
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                open.push(Vec::new());
                None
            }
            Event::SequenceEnd => open.pop().map(Tree::Sequence),
            Event::MappingEnd => open.pop().map(|items| Tree::Mapping(pairs(items))),
            Event::Alias(_) => panic!("a golden with an alias: teach this module to follow it"),
            Event::DocumentEnd => {
                let root = open[0].pop().expect("a document has a root");
                documents.push(match layout {
                    Layout::Block => block(&root, 0),
                    Layout::Flow => format!("{}\n", flow(&root)),
                });
                None
            }
            _ => None,
        };
        if let Some(tree) = done {
            open.last_mut().expect("the stream itself is open").push(tree);
        }
    }
    documents
}

fn pairs(items: Vec<Tree>) -> Vec<(Tree, Tree)> {
    let mut pairs = Vec::new();
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs.reverse();
    pairs
}

/// A scalar; what was plain may be a number or a word with a meaning, and stays plain where it can.
fn scalar(text: &str, plain: bool) -> String {
    let cannot_be_plain = text.contains([',', '[', ']', '{', '}', '#', ':', '\n', '\'', '"']);
    match plain {
        true if text.is_empty() => "null".into(),
        true if !cannot_be_plain => text.into(),
        _ => serde_json::to_string(text).unwrap(),
    }
}

fn flow(tree: &Tree) -> String {
    match tree {
        Tree::Scalar { text, plain } => scalar(text, *plain),
        Tree::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(" ,  ")),
        Tree::Mapping(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}: {}", flow(key), flow(value))).collect();
            format!("{{  {} }}", entries.join(", "))
        }
    }
}

fn block(tree: &Tree, depth: usize) -> String {
    let indent = " ".repeat(depth * 5);
    match tree {
        Tree::Scalar { text, plain } => format!("{indent}{}\n", scalar(text, *plain)),
        Tree::Sequence(items) if items.is_empty() => format!("{indent}[]\n"),
        Tree::Mapping(entries) if entries.is_empty() => format!("{indent}{{}}\n"),
        Tree::Sequence(items) => items.iter().map(|item| format!("{indent}-\n{}", block(item, depth + 1))).collect(),
        Tree::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| {
                let key = flow(key);
                match value {
                    Tree::Scalar { text, plain } => format!("{indent}{key}:   {}  # said so\n", scalar(text, *plain)),
                    Tree::Sequence(_) | Tree::Mapping(_) => {
                        format!("{indent}# below: {depth}\n\n{indent}{key}:\n{}", block(value, depth + 1))
                    }
                }
            })
            .collect(),
    }
}
