//! Simulated sidecars: thousands of HTTP/2 connections in one thread, each an honest xDS client.
//!
//! Client and server share two cores, so a sidecar costs as little as can be: no task, no HTTP/2 library, no decoding
//! of what it only counts. What all sidecars say alike is encoded once. What each knows of itself is a [`Progress`].
//!
//! ```text
//!  socket ──► http2 ──► inbox ──► seen ──► sidecar (what to say next) ──► http2 ──► socket
//! ```

pub mod crowd;
pub mod http2;
pub mod inbox;
pub mod node;
pub mod probe;
pub mod proto;
pub mod requests;
pub mod sidecar;

pub use crowd::{Crowd, Flow};
pub use inbox::Seen;
pub use node::Node;
pub use probe::{Known, probe};
pub use requests::{Dialect, Kind, Requests};
pub use sidecar::{Manner, Script};
