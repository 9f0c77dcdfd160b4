//! `chancery bootstrap`: what a proxy is started with so that it asks this control plane for everything else.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Outcome, node::NodeArgs, output};
use crate::model::{ClientKind, LOCAL_CLUSTER, Locality, Proxy};

/// Print the bootstrap of a sidecar, or of a gRPC client
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  chancery bootstrap --node orders-1 --service orders --locality eu/eu-1 \
                        --xds 127.0.0.1:18000 > sidecar.yaml\n  envoy -c sidecar.yaml\n  chancery bootstrap --node shop-1 --service shop \
                        --xds 127.0.0.1:18000 --grpc > xds.json\n  GRPC_XDS_BOOTSTRAP=xds.json ./shop")]
pub struct Bootstrap {
    #[command(flatten)]
    node: NodeArgs,
    /// Where chancery's `xds.listen` is reached, as HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    xds: String,
    /// The dialect of xDS
    #[arg(long, value_enum, default_value_t = Mode::Delta)]
    mode: Mode,
    /// The port of Envoy's own admin interface on 127.0.0.1; 0 = any free one
    #[arg(long, value_name = "N", default_value_t = 15000)]
    admin_port: u16,
    /// For a gRPC client: the control plane speaks TLS, with a certificate that the system's authorities signed
    #[arg(long, requires = "grpc")]
    tls: bool,
    /// For a gRPC client: the authorities that signed the control plane's certificate
    #[arg(long, value_name = "FILE", requires = "grpc")]
    tls_ca: Option<String>,
    /// For a gRPC client: the certificate that it shows the control plane
    #[arg(long, value_name = "FILE", requires_all = ["grpc", "tls_key"])]
    tls_cert: Option<String>,
    /// For a gRPC client: the key of that certificate
    #[arg(long, value_name = "FILE", requires_all = ["grpc", "tls_cert"])]
    tls_key: Option<String>,
    /// How to print it
    #[arg(short = 'o', long = "output", value_enum, default_value_t = output::Format::Yaml)]
    output: output::Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Incremental: only what changed is sent.
    Delta,
    /// State of the world.
    Sotw,
}

impl Bootstrap {
    pub fn run(self) -> Result<Outcome> {
        let proxy = self.node.proxy()?;
        let (host, port) = split_host_port(&self.xds)?;
        match proxy.kind {
            ClientKind::Grpc => output::value(output::Format::Json, &self.grpc_bootstrap(&proxy))?,
            ClientKind::Envoy => {
                output::value(self.output, &envoy_bootstrap(&proxy, host, port, self.mode, self.admin_port))?;
            }
        }
        Ok(Outcome::Fine)
    }

    /// `locality` is always there: grpc-js refuses a bootstrap without one, an empty object suffices.
    fn grpc_bootstrap(&self, proxy: &Proxy) -> Value {
        json!({
            "xds_servers": [{
                "server_uri": self.xds,
                "channel_creds": [self.grpc_credentials()],
                "server_features": ["xds_v3"],
            }],
            "node": node(proxy),
        })
    }

    /// With what the control plane is spoken to (gRPC's A65): a name in the bootstrap, never a fallback to plain text.
    fn grpc_credentials(&self) -> Value {
        let files = [
            ("ca_certificate_file", &self.tls_ca),
            ("certificate_file", &self.tls_cert),
            ("private_key_file", &self.tls_key),
        ];
        let config: Value =
            files.iter().filter_map(|(key, file)| Some(((*key).to_owned(), json!(file.as_ref()?)))).collect();
        let has_files = config.as_object().is_some_and(|files| !files.is_empty());
        if !self.tls && !has_files { json!({ "type": "insecure" }) } else { json!({ "type": "tls", "config": config }) }
    }
}

fn split_host_port(text: &str) -> Result<(&str, u16)> {
    let Some((host, port)) = text.rsplit_once(':') else { bail!("--xds is HOST:PORT, found `{text}`") };
    let port = port.parse().with_context(|| format!("--xds is HOST:PORT; `{port}` is no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        bail!("--xds is HOST:PORT, found no host in `{text}`");
    }
    Ok((host, port))
}

fn envoy_bootstrap(proxy: &Proxy, host: &str, port: u16, mode: Mode, admin_port: u16) -> Value {
    let ads = json!({ "ads": {}, "resource_api_version": "V3" });
    let local = proxy.local_cluster.then(|| local_cluster(&ads));
    let clusters: Vec<Value> = std::iter::once(xds_cluster(host, port)).chain(local).collect();
    let mut bootstrap = json!({
        "node": node(proxy),
        "admin": { "address": address("127.0.0.1", admin_port) },
        "dynamic_resources": {
            "ads_config": {
                "api_type": match mode { Mode::Delta => "DELTA_GRPC", Mode::Sotw => "GRPC" },
                "transport_api_version": "V3",
                // Envoy's node is 61 kB; without this it is in every request, acknowledgements included.
                "set_node_on_first_message_only": true,
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds" } }],
            },
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": { "clusters": clusters },
    });
    if proxy.local_cluster {
        bootstrap["cluster_manager"] = json!({ "local_cluster_name": LOCAL_CLUSTER });
    }
    bootstrap
}

/// The workload itself, whose endpoints Envoy must know before it asks for anything else: it takes no name here that
/// the control plane does not answer, and without an answer waits no longer than this.
fn local_cluster(ads: &Value) -> Value {
    let mut ads = ads.clone();
    ads["initial_fetch_timeout"] = json!("5s");
    json!({ "name": LOCAL_CLUSTER, "type": "EDS", "connect_timeout": "5s", "eds_cluster_config": { "eds_config": ads } })
}

/// The cluster that is the control plane itself. Keepalive on its connection: a half-open one would leave the proxy
/// stale for hours, each side believing it is connected.
fn xds_cluster(host: &str, port: u16) -> Value {
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    json!({
        "name": "xds",
        "type": if is_address { "STATIC" } else { "STRICT_DNS" },
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(host, port) } }] }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    "http2_protocol_options": { "connection_keepalive": { "interval": "30s", "timeout": "5s" } },
                },
            },
        },
        "upstream_connection_options": {
            "tcp_keepalive": { "keepalive_probes": 3, "keepalive_time": 30, "keepalive_interval": 5 },
        },
    })
}

fn address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

fn node(proxy: &Proxy) -> Value {
    let Proxy { id, workload, namespace, labels, locality, local_cluster, kind: _, role: _ } = proxy;
    // Envoy does not start without a cluster; a workload that is no service is known by its own id.
    let cluster = if workload.is_empty() { id } else { workload };
    let mut node = json!({ "id": &**id, "cluster": &**cluster, "locality": locality_json(locality) });
    if !namespace.is_empty() {
        node["metadata"]["NAMESPACE"] = json!(&**namespace);
    }
    if *local_cluster {
        node["metadata"]["LOCAL_CLUSTER"] = json!(LOCAL_CLUSTER);
    }
    if !labels.is_empty() {
        let labels = labels.iter().map(|(key, value)| (key.to_string(), json!(&**value)));
        node["metadata"]["LABELS"] = labels.collect();
    }
    node
}

fn locality_json(locality: &Locality) -> Value {
    let Locality { region, zone, subzone } = locality;
    let parts = [("region", region), ("zone", zone), ("sub_zone", subzone)];
    parts.into_iter().filter(|(_, part)| !part.is_empty()).map(|(key, part)| (key, Value::from(&**part))).collect()
}
