//! What gRPC libraries that are their own proxy are served: resources of their own make, never a sidecar's.
//!
//! ```text
//!  xds:///orders:80 ──► Listener orders:80 ──(inline routes)──► Cluster orders:80 ──► ClusterLoadAssignment
//! ```
//!
//! A library asks for a listener by the very name that its application dials, then for what that leads to, each by
//! name; so there is a listener for every such name, and nobody is sent what it did not ask for.
//!
//! What always holds:
//! - The same effective policy decides as for a sidecar. What a library has no word for is left out, and everything
//!   left out is told ([`Lacking`]), so that `why` can say it.
//! - Nothing gets wider by that. A match that cannot be expressed takes its route with it; an action that cannot be
//!   done refuses the call; a cluster that asks for more than a library can be trusted with (TLS) is withheld.
//! - A call that is refused fails at once. A name that is only missing would keep a library waiting: some for 15 s, some
//!   for ever. So what is refused is led to a cluster that is there and has no endpoints, named after the reason.
//! - Everything written is accepted by gRPC's C-core and by its JavaScript library, which reject a whole resource for
//!   one word in it (tried: `tests/grpc_proxyless.rs`).
//!
//! The numbers A27, A28, … in these files are gRPC's own proposals, each of which defines a part of this.

mod cluster;
mod endpoints;
mod group;
mod lacking;
mod listener;
mod load_balancer;
mod matching;
mod route;
mod unit;
mod withheld;

pub(super) use self::{
    group::Group,
    unit::{Assignments, Definition, DefinitionInput},
};
pub use lacking::Lacking;
