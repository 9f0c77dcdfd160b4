//! NODE on the command line: which proxy a command speaks about, the same everywhere.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::model::{ClientKind, LOCAL_CLUSTER, Labels, Locality, Proxy, Role};

/// Which proxy.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Node")]
pub struct NodeArgs {
    /// `node.id`, unique in the mesh
    #[arg(long = "node", value_name = "ID", required_unless_present = "node_json")]
    id: Option<String>,
    /// The service the workload is (`node.cluster`)
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The workload's namespace (`node.metadata.NAMESPACE`)
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,
    /// Where it runs, as REGION/ZONE/SUBZONE (`node.locality`); later parts may be left out
    #[arg(long, value_name = "R/Z/S")]
    locality: Option<String>,
    /// A label of the workload (`node.metadata.LABELS`); may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// The proxy's bootstrap has a cluster for the workload itself, which zone-aware routing needs
    /// (`node.metadata.LOCAL_CLUSTER`)
    #[arg(long, requires = "service")]
    zone_aware: bool,
    /// It is a gRPC library without a proxy (`node.user_agent_name` begins with `grpc`)
    #[arg(long, conflicts_with = "zone_aware")]
    grpc: bool,
    /// The node as Envoy's JSON, for example from `/config_dump`; the other options win over what it says
    #[arg(long, value_name = "FILE")]
    node_json: Option<PathBuf>,
}

/// What is read of a node in proto3 JSON; everything else in it is of no influence.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeJson {
    id: String,
    cluster: String,
    locality: LocalityJson,
    metadata: MetadataJson,
    #[serde(alias = "userAgentName")]
    user_agent_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LocalityJson {
    region: String,
    zone: String,
    #[serde(alias = "subZone")]
    sub_zone: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MetadataJson {
    #[serde(rename = "NAMESPACE")]
    namespace: String,
    role: String,
    #[serde(rename = "LABELS")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "LOCAL_CLUSTER")]
    local_cluster: String,
}

impl NodeArgs {
    /// The proxy these options describe.
    pub fn proxy(&self) -> Result<Proxy> {
        let Self { id, service, namespace, locality, labels, zone_aware, grpc, node_json } = self;
        let json = match node_json {
            None => NodeJson::default(),
            Some(path) => {
                let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                serde_json::from_str(&text).with_context(|| format!("{} is no node in JSON", path.display()))?
            }
        };
        let said = |option: &Option<String>, json: &str| -> Arc<str> { option.as_deref().unwrap_or(json).into() };
        let id = said(id, &json.id);
        if id.is_empty() {
            bail!("a node has an id: give --node, or `id` in the file of --node-json");
        }
        let mut all: Labels = json.metadata.labels.iter().map(|(key, value)| label(key, value)).collect();
        for written in labels {
            let Some((key, value)) = written.split_once('=') else {
                bail!("--label is KEY=VALUE, found `{written}`");
            };
            all.extend([label(key, value)]);
        }
        Ok(Proxy {
            id,
            workload: said(service, &json.cluster),
            namespace: said(namespace, &json.metadata.namespace),
            labels: all,
            locality: match locality {
                Some(locality) => Locality::parse(locality),
                None => Locality::new(&json.locality.region, &json.locality.zone, &json.locality.sub_zone),
            },
            local_cluster: *zone_aware || json.metadata.local_cluster == LOCAL_CLUSTER,
            kind: if *grpc { ClientKind::Grpc } else { ClientKind::of_user_agent(&json.user_agent_name) },
            role: Role::of_metadata(&json.metadata.role),
        })
    }
}

fn label(key: &str, value: &str) -> (Arc<str>, Arc<str>) {
    (key.into(), value.into())
}
