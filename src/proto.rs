//! Envoy's types under short names: `proto::envoy::config::cluster::v3::Cluster`. The crate in `proto/` generates them.

pub use chancery_proto::{Any, DESCRIPTORS, any, duration, envoy, google, xds};
