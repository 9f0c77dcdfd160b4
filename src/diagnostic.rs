//! What is wrong with something a person wrote: where, what, and what to write instead.
//!
//! A diagnostic is a value; readers collect all of them and go on. How it is shown (a terminal with the line and a
//! caret, JSON, SARIF, a CI annotation) is decided by `cli`. Equality is that of the whole value.

use std::{fmt, sync::Arc};

/// A text that was read, under the name by which it is reached from the working directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceFile {
    /// For people; for a file in a git revision `REV:path`.
    pub path: Arc<str>,
    /// All of it.
    pub text: Arc<str>,
}

/// A stretch of a source file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which file.
    pub file: Arc<SourceFile>,
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// Where it begins, in bytes from the start of the text.
    pub start: usize,
    /// Where it ends, in bytes from the start of the text.
    pub end: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.path, self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The content cannot be used.
    Error,
    /// It can, but probably does not do what its author meant.
    Warning,
}

impl Level {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// A stable word for this kind of problem, in kebab case (`unknown-field`).
    pub id: &'static str,
    /// Where; absent when it is about no text (a file that cannot be read: then `file` alone is known).
    pub at: At,
    /// The path of the field, `spec.connectionPool.tcp.maxConnections`, `services[3].endpoints[0].weight`; may be empty.
    pub field: String,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
    /// Other places that take part, each with a word on its part ("first defined here").
    pub related: Vec<(Place, String)>,
}

/// What a diagnostic is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// A stretch of text.
    Place(Place),
    /// A whole file or folder, by its path.
    File(Arc<str>),
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(id: &'static str, place: Place, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            id,
            at: At::Place(place),
            field: field.into(),
            message: message.into(),
            remedy: None,
            related: Vec::new(),
        }
    }

    /// A warning at a place.
    pub fn warning(id: &'static str, place: Place, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(id, place, field, message) }
    }

    /// An error about a whole file.
    pub fn file_error(id: &'static str, path: impl Into<Arc<str>>, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            id,
            at: At::File(path.into()),
            field: String::new(),
            message: message.into(),
            remedy: None,
            related: Vec::new(),
        }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// The same with one more place that takes part.
    #[must_use]
    pub fn related(mut self, place: Place, part: impl Into<String>) -> Self {
        self.related.push((place, part.into()));
        self
    }

    /// The path of the file it is about.
    pub fn file(&self) -> &str {
        match &self.at {
            At::Place(place) => &place.file.path,
            At::File(path) => path,
        }
    }
}

/// One line, for logs: `policies/a.yaml:4:9: spec.target: … (write …)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Place(place) => write!(f, "{place}: ")?,
            At::File(path) => write!(f, "{path}: ")?,
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}", self.message)?;
        for (place, part) in &self.related {
            write!(f, "; {place}: {part}")?;
        }
        match &self.remedy {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}
