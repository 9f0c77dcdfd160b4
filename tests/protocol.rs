//! Conversations with one stream's session: each test is named after a rule of the xDS protocol, by its number in the
//! project's list of rules, and plays requests and snapshots against the pure session. No sockets, no time.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

#[path = "protocol/compiled.rs"]
mod compiled;
#[path = "protocol/conversation.rs"]
mod conversation;
#[path = "protocol/delta.rs"]
mod delta;
#[path = "protocol/grpc.rs"]
mod grpc;
#[path = "protocol/model.rs"]
mod model;
#[path = "protocol/optional.rs"]
mod optional;
#[path = "protocol/order.rs"]
mod order;
#[path = "protocol/pressure.rs"]
mod pressure;
#[path = "protocol/properties.rs"]
mod properties;
#[path = "protocol/rejections.rs"]
mod rejections;
#[path = "protocol/replicas.rs"]
mod replicas;
#[path = "protocol/sotw.rs"]
mod sotw;
#[path = "protocol/streams.rs"]
mod streams;
#[path = "protocol/versions.rs"]
mod versions;
