//! The node of a simulated sidecar, small or as large as Envoy's own.
//!
//! Envoy 1.40 sends 61 kB: an id, a cluster, a locality, its build, and a list of some 516 extensions, each with its
//! name, category and the type URLs it is configured by. The large node here has that size and shape.

use super::proto::put;

/// An encoded `envoy.config.core.v3.Node`.
#[derive(Debug, Clone)]
pub struct Node(Vec<u8>);

/// How many extensions Envoy 1.40 lists.
const EXTENSIONS: usize = 516;

/// What an entry's texts are filled up to, so that the node has 61 kB.
const ENTRY: usize = 115;

impl Node {
    /// Identity alone: an id, a workload, a locality.
    pub fn small(id: &str, workload: &str) -> Self {
        let mut node = Vec::new();
        put(&mut node, 1, id.as_bytes());
        put(&mut node, 2, workload.as_bytes());
        let mut locality = Vec::new();
        put(&mut locality, 1, b"eu");
        put(&mut locality, 2, b"eu-1");
        put(&mut node, 4, &locality);
        put(&mut node, 6, b"envoy");
        Self(node)
    }

    /// With what Envoy adds of its own accord.
    pub fn as_envoy_sends_it(id: &str, workload: &str) -> Self {
        let Self(mut node) = Self::small(id, workload);
        for number in 0..EXTENSIONS {
            let name = format!("envoy.filters.http.simulated_extension_{number:03}");
            let url = format!("envoy.extensions.filters.http.simulated.v3.E{number:03}");
            let mut extension = Vec::new();
            put(&mut extension, 1, name.as_bytes());
            put(&mut extension, 2, b"envoy.filters.http");
            let padding = ENTRY.saturating_sub(extension.len() + url.len() + 2);
            put(&mut extension, 6, format!("{url}{}", "x".repeat(padding)).as_bytes());
            // Field 9 of Node is `extensions`.
            put(&mut node, 9, &extension);
        }
        Self(node)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_large_node_is_as_large_as_envoys() {
        let size = Node::as_envoy_sends_it("sidecar-1", "fleet").bytes().len();
        assert!((60_000..62_000).contains(&size), "{size}");
    }
}
