//! Text into typed values, with every problem at once and the place of each.
//!
//! ```text
//!  SourceFile ──parse──► Document (a tree with spans) ──decode::<T>──► T, or every Diagnostic
//! ```
//!
//! This room hides the YAML parser. It is type-driven: what a scalar means is decided by the type it is read into
//! (`version: 1.10` read as text stays `1.10`; only `true` and `false` are booleans). JSON is YAML here, with a fast
//! path for large files. It knows nothing of what the documents mean.

mod comments;
mod de;
mod decode;
mod document;
mod parse;
mod schema;
mod suggest;
mod tree;
mod unique_map;

use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use comments::{MarkedComment, marked_comments};
pub use document::{Document, key_segment};
pub use parse::{Parsed, parse};
pub(crate) use schema::scalar_schema;
pub use suggest::{did_you_mean, nearest};
pub use tree::{Step, Tree};
pub use unique_map::UniqueMap;

use crate::diagnostic::{Diagnostic, SourceFile};

/// An error for a value that has the right type and is still wrong: a sentence, and what to write instead.
pub fn invalid<E: serde::de::Error>(sentence: impl std::fmt::Display, remedy: impl std::fmt::Display) -> E {
    E::custom(format_args!("{sentence}\n{remedy}"))
}

/// Reads a file that holds one document. JSON takes a fast path; where that fails the file is read again as YAML,
/// which knows places. Returns `None` for a file without a document.
pub fn read_one<T: DeserializeOwned>(file: &Arc<SourceFile>) -> Result<Option<T>, Vec<Diagnostic>> {
    if file.text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(&file.text)
    {
        return Ok(Some(value));
    }
    let Parsed { mut documents, mut problems } = parse(file);
    if let [_, second, ..] = documents.as_slice() {
        problems.push(
            Diagnostic::error("several-documents", second.start(), "", "a second document, where there can be one")
                .remedy("put it into a file of its own"),
        );
    }
    if documents.is_empty() {
        return if problems.is_empty() { Ok(None) } else { Err(problems) };
    }
    match documents.remove(0).decode() {
        Ok(value) if problems.is_empty() => Ok(Some(value)),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}
