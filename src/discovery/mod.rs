//! What runs where: sources that each publish what they know as a whole.
//!
//! A source is level-triggered: it publishes its whole [`Slice`], the latest wins, and there are no add and remove
//! events, so that a reconnect or a missed event is the ordinary path. Retrying is the supervisor's, merging the
//! catalog's; a source knows only its registry.

pub mod file;
mod slice;
mod supervisor;

pub use slice::Slice;
pub use supervisor::{Source, SourceError, SourceHandle, supervise};
