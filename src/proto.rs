//! Generated.
#[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all, clippy::doc_lazy_continuation)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/envoy.rs"));
}
pub use generated::*;
