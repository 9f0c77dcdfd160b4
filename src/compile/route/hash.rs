//! `hash_policy`: what of a request is hashed.

use crate::{
    model::policy::HashKey,
    proto::envoy::config::route::v3::route_action::{
        HashPolicy,
        hash_policy::{ConnectionProperties, Cookie, CookieAttribute, Header, PolicySpecifier, QueryParameter},
    },
};

pub(in crate::compile) fn compile(key: &HashKey) -> HashPolicy {
    let specifier = match key {
        HashKey::Header(name) => PolicySpecifier::Header(Header { header_name: name.to_string(), regex_rewrite: None }),
        HashKey::Cookie { name, ttl, path, attributes } => PolicySpecifier::Cookie(Cookie {
            name: name.to_string(),
            ttl: ttl.map(crate::proto::duration),
            path: path.as_deref().unwrap_or_default().to_owned(),
            attributes: attributes
                .iter()
                .map(|(name, value)| CookieAttribute { name: name.to_string(), value: value.to_string() })
                .collect(),
        }),
        HashKey::SourceIp => PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true }),
        HashKey::QueryParameter(name) => PolicySpecifier::QueryParameter(QueryParameter { name: name.to_string() }),
    };
    HashPolicy { policy_specifier: Some(specifier), ..Default::default() }
}
