//! Comments that carry a word for us, and the stretch of text each speaks about. All others stay unread.
//!
//! The parser is not asked for comments: it would slow every file down for the few that have one of these. A stretch
//! of text that looks like a comment is one unless it lies within a scalar, and where scalars lie is known.

use std::{ops::Range, sync::Arc};

use super::document::{Document, Kind, NodeId};
use crate::diagnostic::{Place, SourceFile};

/// A comment that begins with the marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedComment {
    /// From the `#` to the end of the line.
    pub place: Place,
    /// What stands behind the marker.
    pub text: String,
    /// What it speaks about, in bytes of the file: what begins on its line, or for a comment that has a line of its
    /// own what begins on the next line with content, with all that is below it; before the first line of a document
    /// the whole document. Empty where nothing is.
    pub about: Range<usize>,
}

/// The comments of a file that begin with a marker (`# chancery:…`), in the order in which they stand. `documents` are
/// those that were read from the file.
pub fn marked_comments(file: &Arc<SourceFile>, documents: &[Document], marker: &str) -> Vec<MarkedComment> {
    let text = &*file.text;
    if !text.contains(marker) {
        return Vec::new();
    }
    let things = Things::of(documents);
    let mut comments = Vec::new();
    let mut begin = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(at) = begins_comment(line, marker).filter(|at| !things.is_within_scalar(begin + at)) {
            let content = line.trim_end();
            let behind = content[at + 1..].trim_start().trim_start_matches(marker);
            let has_own_line = line[..at].trim().is_empty();
            let place = Place {
                file: file.clone(),
                line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                column: u32::try_from(line[..at].chars().count() + 1).unwrap_or(u32::MAX),
                start: begin + at,
                end: begin + content.len(),
            };
            let about = match has_own_line {
                false => things.on(begin..begin + at),
                true => next_content(text, begin + line.len()).map(|line| things.on(line)).unwrap_or_default(),
            };
            comments.push(MarkedComment { place, text: behind.to_owned(), about });
        }
        begin += line.len();
    }
    comments
}

/// Where in a line a comment with the marker begins, if one does.
fn begins_comment(line: &str, marker: &str) -> Option<usize> {
    line.match_indices('#').map(|(at, _)| at).find(|&at| {
        let follows_space = line[..at].chars().next_back().is_none_or(char::is_whitespace);
        follows_space && line[at + 1..].trim_start().starts_with(marker)
    })
}

/// The next line, from a position on, that is not empty, not a comment alone and no mark between documents.
fn next_content(text: &str, from: usize) -> Option<Range<usize>> {
    let mut begin = from;
    for line in text.get(from..)?.split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') && content != "---" {
            return Some(begin..begin + line.trim_end().len());
        }
        begin += line.len();
    }
    None
}

/// Where things stand in a file.
struct Things {
    /// Of keys and values, sorted.
    scalars: Vec<Range<usize>>,
    /// Of entries and items, each with all that is below it, sorted.
    whole: Vec<Range<usize>>,
    documents: Vec<Range<usize>>,
}

impl Things {
    fn of(documents: &[Document]) -> Self {
        let mut things = Self { scalars: Vec::new(), whole: Vec::new(), documents: Vec::new() };
        for document in documents {
            let span = document.node(document.root).span;
            things.documents.push(span.start..span.end);
            let end_of = |id: &NodeId| document.node(*id).span.end;
            for node in &document.nodes {
                match &node.kind {
                    Kind::Scalar { .. } => things.scalars.push(node.span.start..node.span.end),
                    Kind::Sequence(items) => {
                        let item = |id: &NodeId| document.node(*id).span.start..end_of(id);
                        things.whole.extend(items.iter().map(item));
                    }
                    Kind::Mapping(entries) => {
                        things.scalars.extend(entries.iter().map(|entry| entry.key_span.start..entry.key_span.end));
                        // An alias stands for what is elsewhere.
                        let below = |start: usize, end: usize| start..end.max(start);
                        let whole = entries.iter().map(|entry| {
                            let end = end_of(&entry.value);
                            let is_elsewhere = document.node(entry.value).span.start < entry.key_span.start;
                            below(entry.key_span.start, if is_elsewhere { entry.key_span.end } else { end })
                        });
                        things.whole.extend(whole);
                    }
                }
            }
        }
        things.scalars.sort_by_key(|range| range.start);
        things.whole.sort_by_key(|range| range.start);
        things
    }

    fn is_within_scalar(&self, at: usize) -> bool {
        let before = self.scalars.partition_point(|range| range.start <= at);
        // Scalars do not overlap.
        self.scalars[..before].last().is_some_and(|range| at < range.end)
    }

    /// What begins within a stretch of a line, with all that is below it; where a document begins there, all of it.
    fn on(&self, line: Range<usize>) -> Range<usize> {
        if let Some(document) = self.documents.iter().find(|document| line.contains(&document.start)) {
            return document.clone();
        }
        let first = self.whole.partition_point(|range| range.start < line.start);
        let beginning = self.whole[first..].iter().take_while(|range| range.start < line.end);
        let end = beginning.map(|range| range.end).max();
        end.map_or(0..0, |end| line.start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};

    fn comments(text: &str) -> Vec<(String, String)> {
        let file = Arc::new(SourceFile { path: "a.yaml".into(), text: text.into() });
        let comments = marked_comments(&file, &parse(&file).documents, "us:");
        comments.into_iter().map(|comment| (comment.text, text[comment.about].trim_end().to_owned())).collect()
    }

    fn one(text: &str) -> String {
        let comments = comments(text);
        assert_eq!(comments.len(), 1, "{comments:?}");
        comments[0].1.clone()
    }

    #[test]
    fn a_comment_speaks_about_its_line_or_the_next_or_the_document() {
        assert_eq!(one("a: 1\nb: 2 # us: x\nc: 3\n"), "b: 2");
        assert_eq!(one("a: 1\n# us: x\n# more\n\nb: { c: 1,\n  d: 2 }\nc: 3\n"), "b: { c: 1,\n  d: 2 }");
        assert_eq!(one("a: 1\nb: # us: x\n  c: 1\n  d: 2\ne: 3\n"), "b: # us: x\n  c: 1\n  d: 2");
        assert_eq!(one("a:\n# us: x\n- b: 1\n  c: 2\n- d: 1\n"), "- b: 1\n  c: 2");
        assert_eq!(one("# us: x\na: 1\nb: 2\n---\nc: 3\n"), "a: 1\nb: 2");
        assert_eq!(one("a: 1\n---\n# us: x\nb: 2\nc: 3\n"), "b: 2\nc: 3");
        assert_eq!(one("a: 1\n# us: x\n---\nb: 2\n"), "b: 2", "above the line between documents too");
        assert_eq!(one("a: 1\n# us: x\n"), "", "nothing follows");
    }

    #[test]
    fn what_is_no_comment_is_none() {
        assert!(comments("a: \"# us: x\"\nb: 'c # us: y'\nd: |\n  # us: z\n  e\nf#us: 1\n").is_empty());
        assert!(comments("# not us: x\na: 1\n").is_empty());
        assert_eq!(
            comments("a: \"#\" #us: reason: why\n"),
            [(" reason: why".to_owned(), "a: \"#\" #us: reason: why".to_owned())]
        );
    }
}
