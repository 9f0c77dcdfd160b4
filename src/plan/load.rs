//! What is in use now, by cluster: the highest that one proxy has, since limits hold for each proxy by itself.
//!
//! Read from what a person or a program writes down, or from what a real Envoy's admin API answers. Several files are
//! several proxies, or several moments: the highest counts.

use std::{collections::BTreeMap, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    diagnostic::{Diagnostic, SourceFile},
    yaml,
};

/// What is in use, by cluster. Of what is not told, nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load(BTreeMap<String, Use>);

/// What one proxy has in use of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Use {
    /// Connections to all of its endpoints; held against `connectionPool.tcp.maxConnections`.
    ///
    /// - example: `40`
    pub connections: Option<u64>,
    /// Connections to the endpoint that has most; held against `connectionPool.maxConnectionsPerHost`.
    ///
    /// - example: `12`
    pub connections_per_endpoint: Option<u64>,
    /// Requests that wait for a connection; held against `connectionPool.http.http1MaxPendingRequests`.
    ///
    /// - example: `3`
    pub pending_requests: Option<u64>,
    /// Requests in flight; held against `connectionPool.http.http2MaxRequests`.
    ///
    /// - example: `120`
    pub requests: Option<u64>,
    /// Retries in flight; held against `connectionPool.http.maxRetries`.
    ///
    /// - example: `2`
    pub retries: Option<u64>,
}

/// What is in use now, for `chancery plan --load`. One of the three.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct WrittenLoad {
    /// By `SERVICE:PORT`, a subset `SERVICE:PORT/SUBSET`: the highest that one proxy has.
    ///
    /// - example: `{ "orders:80": { requests: 120, connections: 40 } }`
    services: Option<yaml::UniqueMap<String, Use>>,
    /// What an Envoy's `/clusters?format=json` answers: connections and requests.
    cluster_statuses: Option<Vec<ClusterStatus>>,
    /// What an Envoy's `/stats?format=json` answers: connections, requests, and requests that wait.
    stats: Option<Vec<Stat>>,
}

/// A cluster as Envoy's `/clusters?format=json` tells of it.
#[derive(Debug, Deserialize, JsonSchema)]
struct ClusterStatus {
    /// Its name.
    name: String,
    /// Its endpoints.
    #[serde(default)]
    host_statuses: Vec<HostStatus>,
}

/// An endpoint as Envoy's `/clusters?format=json` tells of it.
#[derive(Debug, Deserialize, JsonSchema)]
struct HostStatus {
    /// `cx_active` and `rq_active` are read.
    #[serde(default)]
    stats: Vec<Stat>,
}

/// A statistic as Envoy tells it. One that is 0 has no value; a histogram has no name.
#[derive(Debug, Deserialize, JsonSchema)]
struct Stat {
    /// Its name.
    #[serde(default)]
    name: String,
    /// A number, or its digits.
    #[serde(default)]
    value: Value,
}

impl Stat {
    fn number(&self) -> Option<u64> {
        match &self.value {
            Value::Null => Some(0),
            Value::String(digits) => digits.parse().ok(),
            value => value.as_u64(),
        }
    }
}

/// The JSON Schema of a file of loads.
pub fn load_schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<WrittenLoad>()
}

impl Load {
    /// Reads one file, YAML or JSON.
    pub fn read(file: &Arc<SourceFile>) -> Result<Self, Vec<Diagnostic>> {
        let WrittenLoad { services, cluster_statuses, stats } = yaml::read_one(file)?.unwrap_or_default();
        let mut load = Self::default();
        for (name, used) in services.into_iter().flat_map(|services| services.0) {
            load.add(name, used);
        }
        for status in cluster_statuses.into_iter().flatten() {
            let (name, used) = of_cluster(status);
            load.add(name, used);
        }
        for stat in stats.into_iter().flatten() {
            load.extend_by(&stat);
        }
        Ok(load)
    }

    /// Takes what another file tells: the highest counts.
    pub fn merge(&mut self, other: Self) {
        for (name, used) in other.0 {
            self.add(name, used);
        }
    }

    /// Whether nothing is known of any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The clusters of which something is known, as they were written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What is in use of a cluster.
    pub fn of(&self, cluster: &str) -> Option<&Use> {
        self.0.get(cluster).or_else(|| self.0.get(&in_stats(cluster)))
    }

    fn add(&mut self, name: String, used: Use) {
        let known = self.0.entry(name).or_default();
        *known = known.highest(used);
    }

    /// Of one number of `/stats`, where it is one of those that limits hold.
    fn extend_by(&mut self, stat: &Stat) {
        let Some((cluster, gauge)) = stat.name.strip_prefix("cluster.").and_then(|name| name.rsplit_once('.')) else {
            return;
        };
        let number = stat.number();
        let used = match gauge {
            "upstream_cx_active" => Use { connections: number, ..Use::default() },
            "upstream_rq_active" => Use { requests: number, ..Use::default() },
            "upstream_rq_pending_active" => Use { pending_requests: number, ..Use::default() },
            _ => return,
        };
        self.add(cluster.to_owned(), used);
    }
}

/// Envoy's statistics have no colon in a name.
fn in_stats(cluster: &str) -> String {
    cluster.replace(':', "_")
}

fn of_cluster(status: ClusterStatus) -> (String, Use) {
    let ClusterStatus { name, host_statuses } = status;
    let of_host = |host: &HostStatus, gauge: &str| host.stats.iter().find(|stat| stat.name == gauge)?.number();
    let each = |gauge| host_statuses.iter().filter_map(move |host| of_host(host, gauge));
    let used = Use {
        connections: Some(each("cx_active").sum()),
        connections_per_endpoint: each("cx_active").max(),
        requests: Some(each("rq_active").sum()),
        ..Use::default()
    };
    (name, used)
}

impl Use {
    fn highest(self, other: Self) -> Self {
        let Self { connections, connections_per_endpoint, pending_requests, requests, retries } = other;
        Self {
            connections: self.connections.max(connections),
            connections_per_endpoint: self.connections_per_endpoint.max(connections_per_endpoint),
            pending_requests: self.pending_requests.max(pending_requests),
            requests: self.requests.max(requests),
            retries: self.retries.max(retries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Load, Vec<Diagnostic>> {
        Load::read(&Arc::new(SourceFile { path: "load.yaml".into(), text: text.into() }))
    }

    #[test]
    fn the_highest_of_several_files_counts() {
        let mut load = read("services:\n  orders:80: { requests: 120, connections: 4 }\n").expect("it is right");
        load.merge(
            read("{\"services\": {\"orders:80\": {\"requests\": 7, \"connections\": 9}}}").expect("it is right"),
        );
        let used = Use { requests: Some(120), connections: Some(9), ..Use::default() };
        assert_eq!((load.of("orders:80"), load.of("other:80")), (Some(&used), None));
    }

    #[test]
    fn what_an_envoy_answers_is_summed_over_its_endpoints() {
        let host = |connections: &str| {
            format!(
                "{{\"address\":{{}},\"stats\":[{{\"name\":\"cx_active\",\"type\":\"GAUGE\"{connections}}},\
                 {{\"name\":\"rq_active\",\"type\":\"GAUGE\",\"value\":\"2\"}}]}}"
            )
        };
        let hosts = [host(",\"value\":\"5\""), host("")].join(",");
        let text = format!("{{\"cluster_statuses\":[{{\"name\":\"orders:80\",\"host_statuses\":[{hosts}]}}]}}");
        let used = Use { connections: Some(5), connections_per_endpoint: Some(5), requests: Some(4), ..Use::default() };
        assert_eq!(read(&text).expect("it is right").of("orders:80"), Some(&used));
        let text = "{\"stats\":[{\"name\":\"cluster.orders_80.upstream_rq_pending_active\",\"value\":3},\
                    {\"name\":\"control_plane.identifier\",\"value\":\"a\"},{\"histograms\":{}}]}";
        let used = Use { pending_requests: Some(3), ..Use::default() };
        assert_eq!(read(text).expect("it is right").of("orders:80"), Some(&used));
    }

    #[test]
    fn what_is_misspelt_is_said_with_its_place() {
        let problems = read("services:\n  orders:80: { reqests: 120 }\n").expect_err("it is misspelt");
        assert!(problems[0].remedy.as_deref().is_some_and(|remedy| remedy.contains("requests")), "{problems:?}");
    }
}
