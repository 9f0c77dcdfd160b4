//! What a client says of itself, read once: the node of a stream's first request.
//!
//! Envoy's node is 61 kB, nearly all of it a list of extensions that nothing here reads. So requests are decoded with
//! the node left as bytes, and of the node only what a [`Proxy`] has.

use bytes::Bytes;
use prost::Message;

use crate::{
    model::{ClientKind, LOCAL_CLUSTER, Labels, Locality, Proxy, Role},
    proto::{
        envoy::config::core::v3::Locality as ProtoLocality,
        google::protobuf::{Struct, Value, value::Kind},
    },
};

/// The fields of `envoy.config.core.v3.Node` that are read.
#[derive(Clone, PartialEq, Message)]
struct NodeFields {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    cluster: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
    #[prost(message, optional, tag = "4")]
    locality: Option<ProtoLocality>,
    #[prost(string, tag = "6")]
    user_agent_name: String,
}

/// Why a node is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NodeError {
    #[error("the first request of a stream needs `node.id`; give it in the bootstrap's `node`")]
    NoId,
    #[error("`node.{0}` has more than 1024 characters")]
    TooLong(&'static str),
    #[error("the node is no envoy.config.core.v3.Node: {0}")]
    Malformed(String),
}

/// What stands for a node's bytes: a client may repeat all 61 kB of them in every request, and is read again only when
/// they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub fn of(node: &Bytes) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(node))
    }
}

/// Longer names than this are no names.
const LONGEST: usize = 1024;

/// Reads an encoded node.
pub(super) fn proxy(node: Bytes) -> Result<Proxy, NodeError> {
    let NodeFields { id, cluster, metadata, locality, user_agent_name } =
        NodeFields::decode(node).map_err(|error| NodeError::Malformed(error.to_string()))?;
    if id.is_empty() {
        return Err(NodeError::NoId);
    }
    for (field, text) in [("id", &id), ("cluster", &cluster)] {
        if text.len() > LONGEST {
            return Err(NodeError::TooLong(field));
        }
    }
    let text = |key: &str| match metadata.as_ref().and_then(|fields| fields.fields.get(key)?.kind.clone()) {
        Some(Kind::StringValue(text)) if text.len() <= LONGEST => text,
        _ => String::new(),
    };
    let ProtoLocality { region, zone, sub_zone } = locality.unwrap_or_default();
    Ok(Proxy {
        id: id.into(),
        workload: cluster.into(),
        namespace: text("NAMESPACE").into(),
        labels: labels(metadata.as_ref()),
        locality: Locality::new(&region, &zone, &sub_zone),
        local_cluster: text("LOCAL_CLUSTER") == LOCAL_CLUSTER,
        kind: ClientKind::of_user_agent(&user_agent_name),
        role: Role::of_metadata(&text("role")),
    })
}

/// `LABELS`: those whose values are texts.
fn labels(metadata: Option<&Struct>) -> Labels {
    let Some(Kind::StructValue(labels)) = metadata.and_then(|fields| fields.fields.get("LABELS")?.kind.as_ref()) else {
        return Labels::new();
    };
    let label = |(key, value): (&String, &Value)| match &value.kind {
        Some(Kind::StringValue(text)) if text.len() <= LONGEST => Some((key.as_str().into(), text.as_str().into())),
        _ => None,
    };
    labels.fields.iter().filter_map(label).collect()
}
