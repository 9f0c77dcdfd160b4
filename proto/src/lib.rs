//! Envoy's types, generated in the build from the protos that a dependency ships (see `build.rs` and
//! `envoy-roots.txt`): ordered maps, so that one message has one encoding, and `Bytes` bodies.
//! A crate of its own, because it changes rarely and takes longer to compile than all the rest.
//!
//! The modules follow the proto packages: `proto::envoy::config::cluster::v3::Cluster`.

#[allow(clippy::all, dead_code, missing_docs, rustdoc::all, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/envoy.rs"));
}

use prost::{Message, Name};

pub use generated::{envoy, google, xds};
pub use google::protobuf::Any;

/// The descriptors of everything generated, as an encoded `FileDescriptorSet`: what prints resources as JSON.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Packs a message, as extensions of Envoy are configured.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec().into() }
}

/// A duration as the protos write it.
pub fn duration(duration: std::time::Duration) -> google::protobuf::Duration {
    google::protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}
