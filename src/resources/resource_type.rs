//! The types of resources, declared in the order in which they are pushed.

use std::ops::{Index, IndexMut};

/// A type of resource. **The order of declaration is the order of pushing** (make before break: a cluster before the
/// endpoints and secrets it waits for, and all before the listeners and routes that lead to them); removals go the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// `Cluster` (CDS).
    Cluster,
    /// `ClusterLoadAssignment` (EDS).
    Endpoints,
    /// `Secret` (SDS). Nothing makes any yet: what clusters name is in the proxy's bootstrap. Who asks is told so.
    Secret,
    /// `Listener` (LDS).
    Listener,
    /// `RouteConfiguration` (RDS).
    Route,
}

impl ResourceType {
    /// Every type, in push order.
    pub const ALL: [Self; 5] = [Self::Cluster, Self::Endpoints, Self::Secret, Self::Listener, Self::Route];

    /// The type URL on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The type of a type URL; `None` for what we do not serve.
    pub fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource_type| resource_type.type_url() == url)
    }

    /// Whether a state-of-the-world response of this type is the full state, so that what is missing is deleted.
    pub const fn is_full_state(self) -> bool {
        match self {
            Self::Cluster | Self::Listener => true,
            Self::Endpoints | Self::Secret | Self::Route => false,
        }
    }

    /// Whether removals wait until nothing leads to what is removed (break after make).
    pub const fn is_removed_last(self) -> bool {
        match self {
            Self::Cluster | Self::Endpoints | Self::Secret => true,
            Self::Listener | Self::Route => false,
        }
    }

    /// What `render`, the admin API, logs and metrics call resources of this type.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Cluster => "clusters",
            Self::Endpoints => "endpoints",
            Self::Secret => "secrets",
            Self::Listener => "listeners",
            Self::Route => "routes",
        }
    }
}

/// One value for each type: a total map, so that a new type needs no new code where per-type state is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerType<T>([T; ResourceType::ALL.len()]);

impl<T> PerType<T> {
    /// Makes the value of each type.
    pub fn from_fn(mut make: impl FnMut(ResourceType) -> T) -> Self {
        Self(std::array::from_fn(|position| make(ResourceType::ALL[position])))
    }

    /// All of them, in push order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (ResourceType, &T)> {
        ResourceType::ALL.into_iter().zip(&self.0)
    }

    /// All of them, in push order.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (ResourceType, &mut T)> {
        ResourceType::ALL.into_iter().zip(&mut self.0)
    }
}

impl<T> Index<ResourceType> for PerType<T> {
    type Output = T;

    fn index(&self, resource_type: ResourceType) -> &T {
        &self.0[resource_type as usize]
    }
}

impl<T> IndexMut<ResourceType> for PerType<T> {
    fn index_mut(&mut self, resource_type: ResourceType) -> &mut T {
        &mut self.0[resource_type as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_indexed_by_their_place_in_push_order() {
        for (position, resource_type) in ResourceType::ALL.into_iter().enumerate() {
            assert_eq!(resource_type as usize, position);
            assert_eq!(ResourceType::from_type_url(resource_type.type_url()), Some(resource_type));
        }
    }
}
