//! The vocabulary: what the rest of the program talks about, as plain values.
//!
//! Everything here is `Eq` (and `Ord` and `Hash` where it can be a key), is valid once built, and is cheap to clone
//! where it is shared. This room deliberately knows nobody: no serde, no prost, no tokio, no clock, no file.
//! How a thing is written in YAML is known to `policy` and `discovery`; how it is written for Envoy, to `compile`.

pub mod catalog;
pub mod decimal;
pub mod egress;
pub mod endpoint;
pub mod locality;
pub mod mesh;
pub mod name;
pub mod namespace;
pub mod node_group;
pub mod pattern;
pub mod policy;
pub mod proxy;
pub mod service;

pub use catalog::{Catalog, CatalogEntry};
pub use decimal::Decimal;
pub use endpoint::{Address, Endpoint, EndpointSet, Health};
pub use locality::Locality;
pub use mesh::{ListenerPorts, MeshSettings, OutboundTraffic};
pub use name::{ClusterName, HostName, NameError, PortName, ResourceName, ServiceName, SubsetName};
pub use namespace::{DEFAULT_NAMESPACE, Namespaces, Visibility};
pub use node_group::{ClientView, Grouping, LocalityUse, NodeGroup, Scope};
pub use pattern::NamePattern;
pub use policy::{EffectivePolicy, ServicePolicy};
pub use proxy::{ClientKind, LOCAL_CLUSTER, Proxy, Role};
pub use service::{Labels, Port, Protocol, Service};
