//! One resource, encoded once in its life.
//!
//! The bytes are laid out so that both dialects of xDS are slices of one allocation. In delta a response holds
//! `Resource` messages, in state-of-the-world plain `Any`s; in all three messages concerned the field is number 2.
//! So the delta entry is written with its `Any` last:
//!
//! ```text
//!  DeltaDiscoveryResponse.resources ──────────────────────────────────────────┐
//!  ├ tag 2, length │ version (1) │ name (3) │ tag 2, length │ type_url │ value │
//!                                           └ DiscoveryResponse.resources ─────┘
//! ```
//!
//! and its tail is, byte for byte, the state-of-the-world entry.

use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};

use super::{resource_type::ResourceType, version::Version};
use crate::model::ResourceName;

/// A named, versioned, encoded resource. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Resource {
    name: ResourceName,
    version: Version,
    delta: Bytes,
    sotw_at: u32,
    body_at: u32,
}

const RESOURCES_FIELD: u32 = 2;

impl Resource {
    /// Encodes a message. Maps in our generated types are ordered, so equal messages have equal bytes.
    pub fn encode(resource_type: ResourceType, name: ResourceName, message: &impl Message) -> Self {
        Self::from_body(resource_type, name, &message.encode_to_vec())
    }

    /// Takes an encoded message, for resources that are put together from parts encoded before.
    pub fn from_body(resource_type: ResourceType, name: ResourceName, body: &[u8]) -> Self {
        let version = Version::of(body);
        let version_text = version.to_string();
        let url = resource_type.type_url();

        let any_length = text_len(1, url) + bytes_len(2, body.len());
        let entry_length =
            text_len(1, &version_text) + text_len(3, name.as_str()) + bytes_len(RESOURCES_FIELD, any_length);
        let mut delta = BytesMut::with_capacity(bytes_len(RESOURCES_FIELD, entry_length));
        put_header(&mut delta, RESOURCES_FIELD, entry_length);
        put_text(&mut delta, 1, &version_text);
        put_text(&mut delta, 3, name.as_str());
        let sotw_at = delta.len() as u32;
        put_header(&mut delta, RESOURCES_FIELD, any_length);
        put_text(&mut delta, 1, url);
        put_header(&mut delta, 2, body.len());
        let body_at = delta.len() as u32;
        delta.put_slice(body);

        Self { name, version, delta: delta.freeze(), sotw_at, body_at }
    }

    /// The name a client subscribes to.
    pub fn name(&self) -> &ResourceName {
        &self.name
    }

    /// The hash of the body.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The encoded message itself.
    pub fn body(&self) -> Bytes {
        self.delta.slice(self.body_at as usize..)
    }

    /// A complete `resources` field of a `DeltaDiscoveryResponse`, key included.
    pub fn delta_entry(&self) -> &Bytes {
        &self.delta
    }

    /// A complete `resources` field of a `DiscoveryResponse`, key included.
    pub fn sotw_entry(&self) -> Bytes {
        self.delta.slice(self.sotw_at as usize..)
    }
}

/// Equal names and versions: a version stands for the bytes.
impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.name == other.name
    }
}

impl Eq for Resource {}

fn bytes_len(field: u32, length: usize) -> usize {
    key_len(field) + encoded_len_varint(length as u64) + length
}

fn text_len(field: u32, text: &str) -> usize {
    bytes_len(field, text.len())
}

fn put_header(buffer: &mut BytesMut, field: u32, length: usize) {
    encode_key(field, WireType::LengthDelimited, buffer);
    encode_varint(length as u64, buffer);
}

fn put_text(buffer: &mut BytesMut, field: u32, text: &str) {
    put_header(buffer, field, text.len());
    buffer.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::envoy::{
        config::cluster::v3::Cluster,
        service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse},
    };

    #[test]
    fn both_dialects_are_slices_of_one_encoding() {
        let cluster = Cluster { name: "orders:80".into(), ..Default::default() };
        let resource = Resource::encode(ResourceType::Cluster, ResourceName::new("orders:80"), &cluster);

        let delta = DeltaDiscoveryResponse::decode(resource.delta_entry().clone()).expect("a delta response");
        let [entry] = delta.resources.as_slice() else { panic!("one resource, found {delta:?}") };
        assert_eq!((entry.name.as_str(), entry.version.as_str()), ("orders:80", &*resource.version().to_string()));
        let sotw = DiscoveryResponse::decode(resource.sotw_entry()).expect("a state-of-the-world response");
        let [any] = sotw.resources.as_slice() else { panic!("one resource, found {sotw:?}") };
        assert_eq!(Some(any), entry.resource.as_ref());
        assert_eq!(any.type_url, ResourceType::Cluster.type_url());
        assert_eq!(Cluster::decode(resource.body()), Ok(cluster));
    }
}
