//! The two dialects of xDS.

/// Which of the two dialects of xDS a stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Incremental.
    Delta,
    /// State of the world.
    Sotw,
}
