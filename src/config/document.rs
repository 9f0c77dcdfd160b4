//! The configuration as written.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Config, Guard, Push, SourceConfig, Tls};
use crate::{
    diagnostic::{Diagnostic, SourceFile},
    yaml::{self, invalid, scalar_schema},
};

/// `chancery.yaml`: where facts and policies come from, and where proxies find chancery.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(extend("required" = ["discovery"]))]
pub(super) struct Written {
    /// What proxies connect to.
    xds: WrittenXds,
    /// The HTTP API for people and their tools: health, metrics, what is known and served.
    admin: WrittenAdmin,
    /// Where services and their endpoints come from; at least one.
    ///
    /// - example: `[ { file: { path: services.yaml } } ]`
    discovery: Vec<WrittenSource>,
    /// Files and folders of policy documents. They are watched: an edit takes effect, and a file that is wrong keeps its
    /// last good content.
    ///
    /// - default: `[]`
    /// - example: `[ { path: policies } ]`
    policies: Vec<WrittenPolicies>,
    /// A folder in which the last good services and policies are kept: after a restart with a source that cannot be
    /// reached, or policies that cannot be read, these are served. One process has it at a time. Without it they are kept
    /// in memory only.
    ///
    /// - default: none
    /// - example: `/var/lib/chancery`
    state_dir: Option<PathBuf>,
    /// How long changes may gather before they are pushed.
    push: WrittenPush,
    /// When a sudden removal is not believed at once.
    guard: WrittenGuard,
}

/// What proxies connect to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenXds {
    /// An IP address and a port; `0.0.0.0:18000` for all interfaces.
    ///
    /// - default: `127.0.0.1:18000`
    /// - example: `0.0.0.0:18000`
    listen: Option<WrittenAddress>,
    /// TLS for proxies; certificates are read again when their files change.
    ///
    /// - default: none, plain gRPC
    tls: Option<WrittenTls>,
    /// Around this age, a fifth more or less, a proxy's connection is ended between two messages, so that it connects
    /// anew and load moves between replicas. No request fails, and nothing it holds is sent again but endpoints.
    ///
    /// - default: `30m`
    /// - example: `10m`
    max_stream_age: Option<WrittenDuration>,
}

/// TLS for proxies. Paths are relative to the folder of chancery.yaml.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenTls {
    /// A file with the certificate chain, in PEM.
    ///
    /// - example: `tls/server.pem`
    cert: PathBuf,
    /// A file with its private key, in PEM.
    ///
    /// - example: `tls/server.key`
    key: PathBuf,
    /// A file with the authorities of proxies' certificates, in PEM; with it a proxy must show one.
    ///
    /// - default: none, proxies show no certificate
    /// - example: `tls/clients-ca.pem`
    #[serde(default)]
    client_ca: Option<PathBuf>,
}

/// The HTTP API for people and their tools.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenAdmin {
    /// An IP address and a port. It has no authentication: keep it where only you can reach it.
    ///
    /// - default: `127.0.0.1:19000`
    /// - example: `127.0.0.1:19000`
    listen: Option<WrittenAddress>,
}

/// A source of services.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenSource {
    /// Snapshots in a file or a folder of files, YAML or JSON, read again whenever they change.
    ///
    /// - example: `{ path: services.yaml }`
    file: Option<WrittenPath>,
    /// Not available yet: refused.
    consul: Option<NotYet>,
    /// Not available yet: refused.
    etcd: Option<NotYet>,
    /// Not available yet: refused.
    kubernetes: Option<NotYet>,
    /// Not available yet: refused.
    dns: Option<NotYet>,
    /// Not available yet: refused.
    registry: Option<NotYet>,
}

/// A file or a folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenPath {
    /// Relative to the folder of chancery.yaml.
    ///
    /// - example: `services.yaml`
    path: PathBuf,
}

/// A file or a folder of policy documents.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenPolicies {
    /// Relative to the folder of chancery.yaml.
    ///
    /// - example: `policies`
    path: PathBuf,
}

/// How long changes may gather before they are pushed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenPush {
    /// Changes are pushed once none came for this long.
    ///
    /// - default: `20ms`
    /// - example: `50ms`
    quiet: Option<WrittenDuration>,
    /// And at the latest this long after the first; not shorter than `quiet`.
    ///
    /// - default: `500ms`
    /// - example: `1s`
    max_delay: Option<WrittenDuration>,
}

/// When a sudden removal is not believed at once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenGuard {
    /// The share in percent, 0 to 100, of a source's services, or of one service's endpoints, that may vanish at once.
    /// What loses more is held.
    ///
    /// - default: `50`
    /// - example: `30`
    max_removed_percent: Option<u32>,
    /// For how long a removal is held.
    ///
    /// - default: `30s`
    /// - example: `2m`
    hold: Option<WrittenDuration>,
}

/// A duration as it is written everywhere: `20ms`, `1m30s`.
#[derive(Debug, Clone, Copy)]
struct WrittenDuration(Duration);

scalar_schema!(WrittenDuration, {
    "type": "string",
    "pattern": r"^([0-9]+ ?[a-zµ]+ ?)+$",
    "patternErrorMessage": "write a number with a unit, for example `20ms`, `30s` or `1m30s`",
});

impl<'de> Deserialize<'de> for WrittenDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            invalid(format_args!("`{text}` is no duration: {error}"), "write a number with a unit, for example `20ms`")
        })
    }
}

/// An IP address and a port.
#[derive(Debug, Clone, Copy)]
struct WrittenAddress(SocketAddr);

scalar_schema!(WrittenAddress, {
    "type": "string",
    "pattern": r"^([0-9.]+|\[[0-9a-fA-F:.%]+\]):[0-9]{1,5}$",
    "patternErrorMessage": "write an IP address and a port, for example `127.0.0.1:18000`",
});

impl<'de> Deserialize<'de> for WrittenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let remedy =
            "write an IP address and a port, for example `127.0.0.1:18000`, or `0.0.0.0:18000` for all interfaces";
        text.parse().map(Self).map_err(|_| invalid(format_args!("`{text}` is no address with a port"), remedy))
    }
}

/// Part of the format, not built yet: refused, so that nobody believes it has an effect.
#[derive(Debug)]
enum NotYet {}

scalar_schema!(NotYet, {
    "not": {},
    "doNotSuggest": true,
    "errorMessage": "this is not available yet; the source there is: `file: { path: services.yaml }`",
});

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        Err(invalid("this is not available yet", "remove it; the source there is: `file: { path: services.yaml }`"))
    }
}

pub(super) fn read(file: &Arc<SourceFile>) -> Result<Config, Vec<Diagnostic>> {
    let written: Written = yaml::read_one(file)?.unwrap_or_default();
    let folder = Path::new(&*file.path).parent().unwrap_or(Path::new("")).to_path_buf();
    let resolve = |path: PathBuf| folder.join(path);
    let mut problems = Vec::new();
    let mut complain = |id, path: &str, message: &str, remedy: &str| {
        let document = yaml::parse(file).documents.into_iter().next();
        let problem = match document {
            Some(document) => Diagnostic::error(id, document.place(path), path, message),
            None => Diagnostic::file_error(id, file.path.clone(), message),
        };
        problems.push(problem.remedy(remedy));
    };
    let Written { xds, admin, discovery, policies, state_dir, push, guard } = written;
    if discovery.is_empty() {
        let remedy = "add one, for example `discovery: [ { file: { path: services.yaml } } ]`";
        complain("missing-field", "discovery", "there is no source of services", remedy);
    }
    let mut sources = Vec::new();
    for (index, source) in discovery.into_iter().enumerate() {
        match source.file {
            Some(WrittenPath { path }) => sources.push(SourceConfig::File { path: resolve(path) }),
            None => {
                let path = format!("discovery[{index}]");
                complain("missing-field", &path, "this source says nothing", "write `file: { path: services.yaml }`");
            }
        }
    }
    let max_removed_percent = guard.max_removed_percent.unwrap_or(Guard::default().max_removed_percent);
    if max_removed_percent > 100 {
        complain("invalid-value", "guard.maxRemovedPercent", "more than 100 percent", "write a number from 0 to 100");
    }
    let push = Push {
        quiet: push.quiet.map_or(Duration::from_millis(20), |quiet| quiet.0),
        max_delay: push.max_delay.map_or(Duration::from_millis(500), |delay| delay.0),
    };
    if push.quiet > push.max_delay {
        complain("invalid-value", "push", "`quiet` is longer than `maxDelay`", "lower quiet, or raise maxDelay");
    }
    let max_stream_age = xds.max_stream_age.map_or(Duration::from_secs(30 * 60), |age| age.0);
    if max_stream_age < Duration::from_secs(1) {
        complain(
            "invalid-value",
            "xds.maxStreamAge",
            "shorter than a second",
            "write a second or more, for example `30m`",
        );
    }
    let config = Config {
        max_stream_age,
        xds_listen: xds.listen.map_or(SocketAddr::from(([127, 0, 0, 1], 18000)), |listen| listen.0),
        tls: xds.tls.map(|WrittenTls { cert, key, client_ca }| Tls {
            cert: resolve(cert),
            key: resolve(key),
            client_ca: client_ca.map(resolve),
        }),
        admin_listen: admin.listen.map_or(SocketAddr::from(([127, 0, 0, 1], 19000)), |listen| listen.0),
        sources,
        policies: policies.into_iter().map(|WrittenPolicies { path }| resolve(path)).collect(),
        state_dir: state_dir.map(resolve),
        push,
        guard: Guard { max_removed_percent, hold: guard.hold.map_or(Guard::default().hold, |hold| hold.0) },
    };
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}
