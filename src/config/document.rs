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

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Written {
    xds: WrittenXds,
    admin: WrittenAdmin,
    discovery: Vec<WrittenSource>,
    policies: Vec<WrittenPolicies>,
    state_dir: Option<PathBuf>,
    push: WrittenPush,
    guard: WrittenGuard,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenXds {
    listen: Option<WrittenAddress>,
    tls: Option<WrittenTls>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenTls {
    cert: PathBuf,
    key: PathBuf,
    #[serde(default)]
    client_ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenAdmin {
    listen: Option<WrittenAddress>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenSource {
    file: Option<WrittenPath>,
    consul: Option<NotYet>,
    etcd: Option<NotYet>,
    kubernetes: Option<NotYet>,
    dns: Option<NotYet>,
    registry: Option<NotYet>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenPath {
    path: PathBuf,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenPolicies {
    path: PathBuf,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenPush {
    quiet: Option<WrittenDuration>,
    max_delay: Option<WrittenDuration>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenGuard {
    max_removed_percent: Option<u32>,
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
    let config = Config {
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
