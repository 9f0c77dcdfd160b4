//! chancery: an Envoy xDS control plane.
//!
//! *Facts come in, an immutable catalog is merged from them, a pure function compiles it into encoded and versioned
//! resources once per group of identical proxies, and each stream is a small state machine that walks its proxy from
//! what it holds to what it should hold.*
//!
//! ```text
//!    services.yaml                                         the operator's YAML
//!        │ whole slice, latest wins                              │ checked, with positions
//!        ▼                                                       ▼
//!  IO   discovery ────────watch────────►  control  ◄────watch──── config, policy documents
//!                                            │   single writer, debounced
//!  - - - - - - - - - - - - - - - - - - - - - │ - - - - - - - - - - - - - - - - - - - - - -
//!  pure catalog             slices                → Catalog (guarded against sudden removals)
//!       policy::resolve     documents, service    → ServicePolicy (each value knows its file:line)
//!       compile             Catalog, NodeGroup    → Snapshot (encoded once, content hash, memoised)
//!       descriptors         Envoy's messages as data  → what a patch may say, and how it is applied
//!  - - - - - - - - - - - - - - - - - - - - - │ - - - - - - - - - - - - - - - - - - - - - -
//!  IO   publish             NodeGroup → watch of the latest Snapshot
//!  - - - - - - - - - - - - - - - - - - - - - │ - - - - - - - - - - - - - - - - - - - - - -
//!  pure xds::session                         requests and snapshots in, responses out
//!  - - - - - - - - - - - - - - - - - - - - - │ - - - - - - - - - - - - - - - - - - - - - -
//!  IO   xds::stream         ◄──── gRPC ────► Envoy
//! ```
//!
//! What is good is kept on disk by `state`, and read back by the next process. Beside it stands `plan`, which compares two compilations of one catalog and says what a change of documents does.

pub mod admin;
pub mod app;
pub mod catalog;
pub mod cli;
pub mod compile;
pub mod config;
pub mod control;
pub mod descriptors;
pub mod diagnostic;
pub mod discovery;
pub mod files;
pub mod model;
pub mod plan;
pub mod policy;
pub mod proto;
pub mod publish;
pub mod resources;
pub mod schema;
pub mod state;
pub mod xds;
pub mod yaml;
