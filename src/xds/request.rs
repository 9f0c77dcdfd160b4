//! Requests off the wire: decoded with the node left as bytes, since it is 61 kB and read once.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::{
    Code, Status,
    codec::{DecodeBuf, Decoder},
};

use super::session::{Ask, Dialect, Request};

/// A request of either dialect, its node still bytes.
#[derive(Debug)]
pub(super) struct Incoming {
    pub node: Bytes,
    pub type_url: String,
    request: Request,
}

impl Incoming {
    pub fn into_request(self) -> Request {
        self.request
    }
}

/// `DeltaDiscoveryRequest`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct DeltaFields {
    #[prost(bytes = "bytes", tag = "1")]
    node: Bytes,
    #[prost(string, tag = "2")]
    type_url: String,
    #[prost(string, repeated, tag = "3")]
    resource_names_subscribe: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    resource_names_unsubscribe: Vec<String>,
    #[prost(btree_map = "string, string", tag = "5")]
    initial_resource_versions: BTreeMap<String, String>,
    #[prost(string, tag = "6")]
    response_nonce: String,
    #[prost(message, optional, tag = "7")]
    error_detail: Option<crate::proto::google::rpc::Status>,
}

/// `DiscoveryRequest`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct SotwFields {
    #[prost(string, tag = "1")]
    version_info: String,
    #[prost(bytes = "bytes", tag = "2")]
    node: Bytes,
    #[prost(string, repeated, tag = "3")]
    resource_names: Vec<String>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    response_nonce: String,
    #[prost(message, optional, tag = "6")]
    error_detail: Option<crate::proto::google::rpc::Status>,
}

#[derive(Debug)]
pub(super) struct RequestDecoder(pub Dialect);

impl Decoder for RequestDecoder {
    type Item = Incoming;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Incoming>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let malformed =
            |error: prost::DecodeError| Status::invalid_argument(format!("not a discovery request: {error}"));
        let incoming = match self.0 {
            Dialect::Delta => DeltaFields::decode(bytes).map_err(malformed)?.into(),
            Dialect::Sotw => SotwFields::decode(bytes).map_err(malformed)?.into(),
        };
        Ok(Some(incoming))
    }
}

/// Why a request could not be taken, in the words and with the code that gRPC has for it.
pub(super) fn understood(status: Status) -> Status {
    match status.code() {
        // The decoder's code for what is too large.
        Code::OutOfRange => {
            tracing::warn!("a client's request is larger than is taken, and its stream ends: {}", status.message());
            Status::resource_exhausted(format!("the request is larger than is taken: {}", status.message()))
        }
        _ => status,
    }
}

impl From<DeltaFields> for Incoming {
    fn from(fields: DeltaFields) -> Self {
        let DeltaFields {
            node,
            type_url,
            resource_names_subscribe,
            resource_names_unsubscribe,
            initial_resource_versions,
            response_nonce,
            error_detail,
        } = fields;
        let ask = Ask::Delta {
            subscribe: resource_names_subscribe,
            unsubscribe: resource_names_unsubscribe,
            initial_versions: initial_resource_versions,
        };
        let error = error_detail.map(|status| status.message);
        Self { node, type_url, request: Request { nonce: response_nonce, error, ask } }
    }
}

impl From<SotwFields> for Incoming {
    fn from(fields: SotwFields) -> Self {
        let SotwFields { version_info, node, resource_names, type_url, response_nonce, error_detail } = fields;
        let ask = Ask::Sotw { names: resource_names, version: version_info };
        let error = error_detail.map(|status| status.message);
        Self { node, type_url, request: Request { nonce: response_nonce, error, ask } }
    }
}
