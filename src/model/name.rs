//! Names: distinct types, valid once built, cheap to clone.
//!
//! A `ServiceName` is never confused with a `HostName`, and a `ClusterName` is always `<service>:<port>` or
//! `<service>:<port>/<subset>`, so nobody parses a name back into its parts.

use std::{borrow::Borrow, fmt, num::NonZeroU16, sync::Arc};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name is needed, found an empty text")]
    Empty,
    /// Longer than a DNS name may be (RFC 1035 §2.3.4).
    #[error("a name has at most 253 characters, this one has {0}")]
    TooLong(usize),
    /// A character that names do not have.
    #[error("`{found}` cannot stand in a name: use letters, digits, `-`, `_` and `.`")]
    Character {
        /// The first such character.
        found: char,
    },
    /// A separator at one of the ends.
    #[error("a name starts and ends with a letter or digit")]
    Edge,
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > 253 {
        return Err(NameError::TooLong(text.len()));
    }
    if let Some(found) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        return Err(NameError::Character { found });
    }
    let at_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !at_edge(text.chars().next()) || !at_edge(text.chars().next_back()) {
        return Err(NameError::Edge);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the text; see [`NameError`] for what is refused.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }

            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// What a service is called in the snapshot and in policies. Dots are allowed (`orders.shop`).
    ServiceName
}
name! {
    /// A further name by which clients may dial a service, or a name that Envoy resolves by DNS.
    HostName
}
name! {
    /// The name of a port within its service (`http`).
    PortName
}
name! {
    /// The name of a subset of a service's endpoints (`v1`).
    SubsetName
}

impl ServiceName {
    /// The name of a service that is called by a host: a name, or a wildcard `*.example.com` for every name below it.
    pub fn of_host(host: &str) -> Result<Self, NameError> {
        let rest = host.strip_prefix('*').map_or(host, |rest| rest.strip_prefix('.').unwrap_or(rest));
        check(rest).map(|()| Self(host.into()))
    }

    /// Whether it stands for every name with an ending, and is no name that can be looked up.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }
}

/// The name of an xDS resource, exactly as a client subscribes to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(Arc<str>);

impl ResourceName {
    /// Any text is a resource name; a client may ask for anything.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The name as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ResourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The name of a cluster, of its endpoint assignment, and (without a subset) of its virtual host and listener.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName {
    /// The service.
    pub service: ServiceName,
    /// The port that clients dial.
    pub port: NonZeroU16,
    /// Only the endpoints of this subset; absent = all of them.
    pub subset: Option<SubsetName>,
}

impl ClusterName {
    /// The name on the wire.
    pub fn resource_name(&self) -> ResourceName {
        ResourceName::new(self.to_string())
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, port, subset } = self;
        match subset {
            None => write!(f, "{service}:{port}"),
            Some(subset) => write!(f, "{service}:{port}/{subset}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_once() {
        assert!(ServiceName::new("orders.shop").is_ok());
        assert_eq!(ServiceName::new(""), Err(NameError::Empty));
        assert_eq!(ServiceName::new("a:80"), Err(NameError::Character { found: ':' }));
        assert_eq!(ServiceName::new("-a"), Err(NameError::Edge));
        assert_eq!(ServiceName::new(&"a".repeat(254)), Err(NameError::TooLong(254)));
    }

    #[test]
    fn a_service_called_by_a_host_may_be_a_wildcard() {
        let name = |host| ServiceName::of_host(host).map(|name| (name.to_string(), name.is_wildcard()));
        assert_eq!(name("*.example.com"), Ok(("*.example.com".to_owned(), true)));
        assert_eq!(name("example.com"), Ok(("example.com".to_owned(), false)));
        assert_eq!((name("*"), name("a.*.b")), (Err(NameError::Empty), Err(NameError::Character { found: '*' })));
    }

    #[test]
    fn a_cluster_is_named_after_service_port_and_subset() {
        let name = |subset| ClusterName {
            service: ServiceName::new("orders").expect("valid"),
            port: NonZeroU16::new(80).expect("not zero"),
            subset,
        };
        assert_eq!(name(None).to_string(), "orders:80");
        assert_eq!(name(Some(SubsetName::new("v1").expect("valid"))).to_string(), "orders:80/v1");
    }
}
