//! The xDS protocol: each stream walks its client from what it holds to what it should hold.
//!
//! ```text
//!  gRPC frames ──► stream ──request──► session ──response──► stream ──► gRPC frames
//!                    ▲                   (pure)
//!                    └── latest snapshot of the client's group (publish)
//! ```
//!
//! A [`session::Session`] is all mutable state of one stream, and a function of the requests, snapshots and instants
//! it is given. Streams share nothing but finished values. Level-triggered: there is one target, the latest
//! snapshot, never a queue. This room knows neither services nor policies nor what is in a resource.

mod admission;
mod alarm;
mod asked;
mod beginning;
mod blame;
mod body;
mod changes;
mod clients;
mod connection;
mod dialect;
mod held;
mod in_flight;
mod limits;
mod link;
mod message;
mod metrics;
mod node;
mod nonce;
mod place;
mod progress;
mod reader;
mod rejections;
mod request;
mod seldom;
mod server;
mod service;
pub mod session;
mod settings;
mod step;
mod stream;
pub mod subscription;
mod tls;
mod to_answer;

pub use changes::Shared;
pub use clients::{Client, Clients};
pub use limits::connections_allowed;
pub use metrics::Metrics;
pub use server::Server;
pub use settings::{Admission, Settings};
pub use tls::{Tls, TlsError, TlsFiles};
