//! Responses as bytes: a body that streams share. A nonce of the stream's own goes with it.
//!
//! Resources are encoded already, each as a complete `resources` field, so a response is put together by
//! concatenation; Protobuf's fields may come in any order, so the nonce stands apart.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};

use super::dialect::Dialect;
use crate::{
    model::ResourceName,
    resources::{Resource, ResourceType, Version},
};

/// What a response says.
#[derive(Debug)]
pub(super) struct Content<'a> {
    pub dialect: Dialect,
    pub resource_type: ResourceType,
    /// Of the whole set, for people and for state-of-the-world's `version_info`.
    pub version: Version,
    /// Whether it is the full state of a part of the set alone: its version is then no version of the set.
    pub is_part: bool,
    pub resources: Vec<&'a Resource>,
    /// Delta alone can say this.
    pub removed: Vec<ResourceName>,
    /// Which server says so, for people: Envoy shows it in its stats. Empty = left out.
    pub identity: &'a str,
}

/// Field numbers that `DiscoveryResponse` and `DeltaDiscoveryResponse` share.
const VERSION_INFO: u32 = 1;
const TYPE_URL: u32 = 4;
/// `DeltaDiscoveryResponse` alone.
const REMOVED_RESOURCES: u32 = 6;
/// `ControlPlane`: of a `DiscoveryResponse`, of a `DeltaDiscoveryResponse`, and its one field.
const CONTROL_PLANE: (u32, u32) = (6, 7);
const IDENTIFIER: u32 = 1;

impl Content<'_> {
    /// Everything but the nonce.
    pub fn encode(&self) -> Bytes {
        let size: usize = self.resources.iter().map(|resource| self.entry(resource).len()).sum();
        let mut body = BytesMut::with_capacity(size + 256 + self.removed.len() * 64);
        let version = self.version;
        let version = if self.is_part { format!("{PART}{version}") } else { version.to_string() };
        put_text(&mut body, VERSION_INFO, &version);
        put_text(&mut body, TYPE_URL, self.resource_type.type_url());
        for resource in &self.resources {
            body.put_slice(&self.entry(resource));
        }
        for name in &self.removed {
            put_text(&mut body, REMOVED_RESOURCES, name.as_str());
        }
        if !self.identity.is_empty() {
            let (sotw, delta) = CONTROL_PLANE;
            let mut control_plane = BytesMut::with_capacity(self.identity.len() + 8);
            put_text(&mut control_plane, IDENTIFIER, self.identity);
            put_bytes(&mut body, if self.dialect == Dialect::Delta { delta } else { sotw }, &control_plane);
        }
        body.freeze()
    }

    fn entry(&self, resource: &Resource) -> Bytes {
        match self.dialect {
            Dialect::Delta => resource.delta_entry().clone(),
            Dialect::Sotw => resource.sotw_entry(),
        }
    }
}

/// What stands before the version of a part.
const PART: &str = "part-of-";

/// The version of the set that a response was of, wholly or in part, by its `version_info`.
pub(super) fn version_of(version_info: &str) -> Option<Version> {
    Version::parse(version_info.strip_prefix(PART).unwrap_or(version_info))
}

fn put_text(buffer: &mut BytesMut, field: u32, text: &str) {
    put_bytes(buffer, field, text.as_bytes());
}

fn put_bytes(buffer: &mut BytesMut, field: u32, bytes: &[u8]) {
    encode_key(field, WireType::LengthDelimited, buffer);
    encode_varint(bytes.len() as u64, buffer);
    buffer.put_slice(bytes);
}
