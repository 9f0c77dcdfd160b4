//! Conversations with one stream's session: each test is named after a rule of the xDS protocol, by its number in the
//! project's list of rules, and plays requests and snapshots against the pure session. No sockets, no time.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

#[path = "protocol/conversation.rs"]
mod conversation;
#[path = "protocol/delta.rs"]
mod delta;
#[path = "protocol/order.rs"]
mod order;
#[path = "protocol/properties.rs"]
mod properties;
#[path = "protocol/sotw.rs"]
mod sotw;
#[path = "protocol/streams.rs"]
mod streams;
