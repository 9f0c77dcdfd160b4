//! Rules for connections.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::Target;

/// The rules of a port whose traffic is bytes. A connection that none matches is closed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TcpRules {
    /// The first that matches counts.
    pub rules: Vec<TcpRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpRule {
    /// It matches where one of these does; never empty.
    pub matches: Vec<TcpMatch>,
    /// One of them, by weight; never empty.
    pub destinations: Vec<TcpDestination>,
    /// Closed after this long without bytes; absent = Envoy's 1 h.
    pub idle_timeout: Option<Duration>,
    /// Closed when older than this; absent = never.
    pub max_connection_duration: Option<Duration>,
    /// Whether the client's address is hashed, where a destination's load balancing hashes.
    pub hash_source_ip: bool,
    /// The documents that shaped it, as `KIND/NAME`, sorted.
    pub documents: Vec<Arc<str>>,
}

/// All of it must hold; the default holds for every connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TcpMatch {
    /// One of these names is in the TLS ClientHello: a host, or `*.` and a domain. None = whatever it says.
    pub server_names: Vec<Arc<str>>,
    /// The address that was dialled is in one of these. None = whatever it is.
    pub destination_subnets: Vec<Subnet>,
}

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    /// Any address in it.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix: u8,
}

/// One of the places a connection can go to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpDestination {
    /// Where.
    pub target: Target,
    /// Its share, relative to the others'; above zero.
    pub weight: u32,
}
