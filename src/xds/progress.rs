//! How far a client has come with one type: for people who ask, never for decisions.

use super::nonce::Nonce;

/// See above.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of the response that was sent last; absent = nothing was.
    pub sent: Option<Nonce>,
    /// How many responses were applied.
    pub acknowledged: u64,
    /// How many were rejected, wholly or in part.
    pub rejected: u64,
    /// Why the last answer was a rejection; absent when it was none.
    pub last_error: Option<Box<str>>,
}
