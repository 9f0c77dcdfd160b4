//! A RouteConfiguration taken apart into its virtual hosts, and put together with other forms of some of them.
//!
//! Virtual hosts are parts of one resource and yet the work of different people, so a bad one is told from its
//! neighbours here. Nothing is encoded anew that did not change.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use prost::{Message, encoding::DecodeContext};

use super::{Resource, ResourceType, Version};
use crate::proto::{
    envoy::config::{core::v3::Metadata, route::v3::VirtualHost},
    google::protobuf::{Value, value::Kind},
};

/// `RouteConfiguration.virtual_hosts`.
const VIRTUAL_HOSTS: u32 = 2;

/// A virtual host in one of its forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What it is called.
    pub name: Arc<str>,
    /// The hash of its bytes.
    pub version: Version,
    body: Bytes,
}

impl Host {
    /// The documents that shaped it and its routes, as their metadata names them (`TrafficPolicy/orders`).
    pub fn documents(&self) -> BTreeSet<String> {
        let host = VirtualHost::decode(self.body.clone()).unwrap_or_default();
        let of_routes = host.routes.iter().filter_map(|route| route.metadata.as_ref());
        host.metadata.iter().chain(of_routes).flat_map(documents_in).collect()
    }

    /// The same in bytes of its own, for one that outlives the RouteConfiguration it stood in.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..self.clone() }
    }

    /// The same without the domains that others have; `None` where it has no other.
    fn without(&self, taken: &HashSet<String>) -> Option<Self> {
        let mut host = VirtualHost::decode(self.body.clone()).ok()?;
        let before = host.domains.len();
        host.domains.retain(|domain| !taken.contains(&domain.to_ascii_lowercase()));
        if host.domains.len() == before {
            return Some(self.clone());
        }
        let body = Bytes::from(host.encode_to_vec());
        (!host.domains.is_empty()).then(|| Self { name: self.name.clone(), version: Version::of(&body), body })
    }

    fn domains(&self) -> Vec<String> {
        let host = VirtualHost::decode(self.body.clone()).unwrap_or_default();
        host.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect()
    }
}

/// What becomes of a virtual host.
#[derive(Debug, Clone)]
pub enum Becomes {
    /// It stays.
    Same,
    /// It is left out.
    LeftOut,
    /// An earlier form takes its place.
    Earlier(Host),
}

/// The virtual hosts, in order; none of a resource that is no RouteConfiguration.
pub fn hosts_of(routes: &Resource) -> Vec<Host> {
    let body = routes.body();
    let hosts = ranges(routes).unwrap_or_default().into_iter().filter_map(|range| {
        let mut field = &body[range.clone()];
        prost::encoding::decode_key(&mut field).ok()?;
        let length = usize::try_from(prost::encoding::decode_varint(&mut field).ok()?).ok()?;
        let bytes = body.slice(range.end.checked_sub(length)?..range.end);
        let name = name_of(&bytes)?;
        Some(Host { name, version: Version::of(&bytes), body: bytes })
    });
    hosts.collect()
}

/// The same RouteConfiguration with other forms of some virtual hosts. An earlier form does not get back a domain that
/// another host has by now: a domain that stands twice would be the end of all of them.
pub fn with_hosts(routes: &Resource, becomes: impl Fn(&Host) -> Becomes) -> Resource {
    let (body, hosts) = (routes.body(), hosts_of(routes));
    let Some(places) = ranges(routes).filter(|places| places.len() == hosts.len()) else { return routes.clone() };
    let fates: Vec<Becomes> = hosts.iter().map(becomes).collect();
    if fates.iter().all(|fate| matches!(fate, Becomes::Same)) {
        return routes.clone();
    }
    let staying = hosts.iter().zip(&fates).filter(|(_, fate)| matches!(fate, Becomes::Same));
    let mut taken: HashSet<String> = staying.flat_map(|(host, _)| host.domains()).collect();
    let (mut kept, mut end) = (Vec::with_capacity(body.len()), 0);
    for (place, fate) in places.into_iter().zip(fates) {
        kept.extend_from_slice(&body[end..place.start]);
        end = place.end;
        match fate {
            Becomes::Same => kept.extend_from_slice(&body[place]),
            Becomes::LeftOut => {}
            Becomes::Earlier(host) => {
                if let Some(host) = host.without(&taken) {
                    taken.extend(host.domains());
                    prost::encoding::bytes::encode(VIRTUAL_HOSTS, &host.body, &mut kept);
                }
            }
        }
    }
    kept.extend_from_slice(&body[end..]);
    Resource::from_body(ResourceType::Route, routes.name().clone(), &kept)
}

/// Where each virtual host stands in the body of a RouteConfiguration, its key and length included.
pub(super) fn ranges(routes: &Resource) -> Option<Vec<Range<usize>>> {
    let body = routes.body();
    let (mut rest, mut hosts) = (&body[..], Vec::new());
    while !rest.is_empty() {
        let start = body.len() - rest.len();
        let (tag, wire_type) = prost::encoding::decode_key(&mut rest).ok()?;
        prost::encoding::skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
        if tag == VIRTUAL_HOSTS {
            hosts.push(start..body.len() - rest.len());
        }
    }
    Some(hosts)
}

fn documents_in(metadata: &Metadata) -> Vec<String> {
    let chancery = metadata.filter_metadata.get("chancery");
    let documents = chancery.and_then(|chancery| chancery.fields.get("documents"));
    let Some(Value { kind: Some(Kind::ListValue(list)) }) = documents else { return Vec::new() };
    let texts = list.values.iter().filter_map(|value| match &value.kind {
        Some(Kind::StringValue(text)) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

/// `VirtualHost.name`, without reading the rest.
fn name_of(body: &[u8]) -> Option<Arc<str>> {
    const NAME: u32 = 1;
    let mut rest = body;
    while !rest.is_empty() {
        let (tag, wire_type) = prost::encoding::decode_key(&mut rest).ok()?;
        if tag == NAME {
            let length = usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?;
            return std::str::from_utf8(rest.get(..length)?).ok().map(Into::into);
        }
        prost::encoding::skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::ResourceName, proto::envoy::config::route::v3::RouteConfiguration};

    fn routes(hosts: &[(&str, &[&str])]) -> Resource {
        let host = |(name, domains): &(&str, &[&str])| VirtualHost {
            name: (*name).into(),
            domains: domains.iter().map(|domain| (*domain).into()).collect(),
            ..Default::default()
        };
        let message = RouteConfiguration {
            name: "outbound".into(),
            virtual_hosts: hosts.iter().map(host).collect(),
            ..Default::default()
        };
        Resource::encode(ResourceType::Route, ResourceName::new("outbound"), &message)
    }

    fn decoded(routes: &Resource) -> Vec<(String, Vec<String>)> {
        let message = RouteConfiguration::decode(routes.body()).expect("a RouteConfiguration");
        assert_eq!(message.name, "outbound");
        message.virtual_hosts.into_iter().map(|host| (host.name, host.domains)).collect()
    }

    #[test]
    fn one_host_goes_back_and_the_others_stay_byte_for_byte() {
        let before = routes(&[("a", &["a"]), ("b", &["b"])]);
        let after = routes(&[("a", &["a", "a2"]), ("b", &["b", "b2"]), ("c", &["c"])]);
        let earlier = hosts_of(&before).into_iter().find(|host| &*host.name == "b").expect("it is there");
        let mixed = with_hosts(&after, |host| match &*host.name {
            "b" => Becomes::Earlier(earlier.apart()),
            "c" => Becomes::LeftOut,
            _ => Becomes::Same,
        });
        let expected = [("a", vec!["a", "a2"]), ("b", vec!["b"])];
        let expected = expected.map(|(name, domains)| (name.to_owned(), domains.into_iter().map(Into::into).collect()));
        assert_eq!(decoded(&mixed), expected);
        assert_eq!(hosts_of(&mixed)[0], hosts_of(&after)[0]);
        assert_eq!(with_hosts(&after, |_| Becomes::Same), after);
    }

    #[test]
    fn an_earlier_form_takes_no_domain_from_anybody() {
        let before = routes(&[("a", &["a", "Shared"]), ("b", &["b"]), ("c", &["moved"])]);
        let after = routes(&[("a", &["a"]), ("b", &["b", "shared"]), ("c", &["c"]), ("d", &["moved"])]);
        let earlier = hosts_of(&before);
        let mixed = with_hosts(&after, |host| match earlier.iter().find(|earlier| earlier.name == host.name) {
            Some(earlier) if &*host.name != "b" => Becomes::Earlier(earlier.clone()),
            _ => Becomes::Same,
        });
        let names: Vec<String> = decoded(&mixed).into_iter().flat_map(|(_, domains)| domains).collect();
        assert_eq!(names, ["a", "b", "shared", "moved"], "and `c` has none left");
    }
}
