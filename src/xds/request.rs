//! Requests off the wire: decoded with the node left as bytes, since it is 61 kB and read once, and with a long list of
//! names taken from what other streams have read before.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::{Code, Status};

use super::{
    asked::Asked,
    changes::Shared,
    session::{Ask, Dialect, Request},
};
use crate::{model::ResourceName, resources::Version};

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

/// Decodes the requests of a stream.
#[derive(Debug)]
pub(super) struct RequestDecoder {
    pub dialect: Dialect,
    pub shared: Arc<Shared>,
}

impl RequestDecoder {
    /// Reads a request.
    pub fn read(&self, bytes: Bytes) -> Result<Incoming, Status> {
        let malformed = |error| Status::invalid_argument(format!("not a discovery request: {error}"));
        self.decode(bytes).map_err(malformed)
    }

    fn decode(&self, bytes: Bytes) -> Result<Incoming, prost::DecodeError> {
        let Some(list) = long_list(&bytes, self.dialect) else { return decode(self.dialect, bytes) };
        let (before, behind) = (bytes.slice(..list.start), bytes.slice(list.end..));
        let list = bytes.slice(list);
        let asked = self.shared.asked.get(&list, || Asked::read(self.dialect, list.clone(), &self.shared))?;
        let incoming = decode(self.dialect, before.chain(behind))?;
        let ask = match incoming.request.ask {
            Ask::Delta { .. } => Ask::LongDelta(asked),
            Ask::Sotw { version, .. } => Ask::LongSotw { asked, version },
            ask => ask,
        };
        Ok(Incoming { request: Request { ask, ..incoming.request }, ..incoming })
    }
}

fn decode(dialect: Dialect, bytes: impl Buf) -> Result<Incoming, prost::DecodeError> {
    Ok(match dialect {
        Dialect::Delta => DeltaFields::decode(bytes)?.into(),
        Dialect::Sotw => SotwFields::decode(bytes)?.into(),
    })
}

impl Asked {
    fn read(dialect: Dialect, list: Bytes, shared: &Shared) -> Result<Self, prost::DecodeError> {
        let (subscribe, versions) = match decode(dialect, list)?.request.ask {
            Ask::Delta { subscribe, initial_versions, .. } => (subscribe, initial_versions),
            Ask::Sotw { names, .. } => (names, BTreeMap::new()),
            Ask::LongDelta(_) | Ask::LongSotw { .. } => Default::default(),
        };
        let version = |text: &str| Some(Version::parse(text).unwrap_or_default());
        let named = |(name, text): (String, String)| (ResourceName::new(name), version(&text));
        let subscribe = Arc::new(subscribe.into_iter().map(ResourceName::new).collect());
        Ok(Self {
            subscribe: shared.intern(&subscribe),
            initial_versions: Arc::new(versions.into_iter().map(named).collect()),
        })
    }
}

/// Lists shorter than this are read each time.
const LONG: usize = 1024;

/// Where a request's list of names, and of versions behind it, stands; absent when it is short, when something else
/// stands in between, or when the bytes are no request.
fn long_list(bytes: &[u8], dialect: Dialect) -> Option<Range<usize>> {
    if bytes.len() < LONG {
        return None;
    }
    let is_list = |field: u64| match dialect {
        Dialect::Delta => field == 3 || field == 5,
        Dialect::Sotw => field == 3,
    };
    let mut list: Option<Range<usize>> = None;
    let mut at = 0;
    while at < bytes.len() {
        let begin = at;
        let key = varint(bytes, &mut at)?;
        // All fields of the two requests are texts or messages.
        if key & 7 != 2 {
            return None;
        }
        let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
        at = at.checked_add(length).filter(|end| *end <= bytes.len())?;
        if is_list(key >> 3) {
            match &mut list {
                None => list = Some(begin..at),
                Some(range) if range.end == begin => range.end = at,
                Some(_) => return None,
            }
        }
    }
    list.filter(|range| range.len() >= LONG)
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("service-{number:05}:80")).collect()
    }

    fn delta(count: usize, unsubscribe: &[&str]) -> Bytes {
        let versions = names(count).into_iter().map(|name| (name, "version".to_owned()));
        let request = DeltaDiscoveryRequest {
            type_url: "type".into(),
            resource_names_subscribe: names(count),
            resource_names_unsubscribe: unsubscribe.iter().map(|&name| name.to_owned()).collect(),
            initial_resource_versions: versions.collect(),
            response_nonce: "7".into(),
            ..Default::default()
        };
        request.encode_to_vec().into()
    }

    fn decoder(dialect: Dialect) -> RequestDecoder {
        RequestDecoder { dialect, shared: Arc::default() }
    }

    #[test]
    fn a_long_list_is_read_once_and_says_the_same() {
        let decoder = decoder(Dialect::Delta);
        let read = || {
            let incoming = decoder.read(delta(1000, &[])).expect("a request");
            assert_eq!((&*incoming.type_url, &*incoming.request.nonce), ("type", "7"));
            let Ask::LongDelta(asked) = incoming.request.ask else { panic!("{:?}", incoming.request.ask) };
            asked
        };
        let asked = read();
        assert!(Arc::ptr_eq(&asked, &read()), "the second was read before");
        assert_eq!(asked.subscribe.iter().map(|name| name.to_string()).collect::<Vec<_>>(), names(1000));
        assert!(asked.initial_versions.keys().eq(asked.subscribe.iter()));
    }

    #[test]
    fn what_is_short_or_says_something_else_is_read_as_it_is() {
        let decoder = decoder(Dialect::Delta);
        for (request, subscribed) in [(delta(10, &[]), 10), (delta(1000, &["gone"]), 1000)] {
            let ask = decoder.read(request).expect("a request").request.ask;
            let Ask::Delta { subscribe, .. } = ask else { panic!("{ask:?}") };
            assert_eq!(subscribe.len(), subscribed);
        }
        let nonsense = Bytes::from(vec![0xff; 2 * LONG]);
        assert!(decoder.read(nonsense).is_err());
        // A list that says it is longer than there are bytes.
        let cut = delta(1000, &[]).slice(..20_000);
        assert!(decoder.read(cut).is_err());
    }

    #[test]
    fn so_is_a_long_list_in_state_of_the_world() {
        let request = DiscoveryRequest { version_info: "v".into(), resource_names: names(1000), ..Default::default() };
        let incoming = decoder(Dialect::Sotw).read(request.encode_to_vec().into()).expect("a request");
        let Ask::LongSotw { asked, version } = incoming.request.ask else { panic!("{:?}", incoming.request.ask) };
        assert_eq!((asked.subscribe.len(), &*version), (1000, "v"));
    }
}
