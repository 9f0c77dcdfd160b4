//! `chancery plan`: what a change of policies does, to whom, before it is merged.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{Outcome, diagnostics, inputs, output, revision::Revision, server};
use crate::{
    config,
    control::World,
    diagnostic::{Diagnostic, Level, SourceFile},
    model::{Catalog, ClientKind, Labels, Locality, Proxy, Role},
    plan::{self, Extent, Ink, LIMIT_BELOW_USE, Load, Plan, Question, RISKS},
    policy::{Date, Library, PolicySet},
    yaml::did_you_mean,
};

/// Say what a change of policies does: Envoy fields, proxies, side effects, risks
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  chancery plan --config chancery.yaml --from main\n  \
                        chancery plan --config chancery.yaml --from HEAD~3..HEAD -o markdown\n  \
                        chancery plan --config chancery.yaml --from policies/ --to proposed/ --fail-on tls-downgraded\n  \
                        curl -s 127.0.0.1:9901/clusters?format=json > load.json    # of an Envoy, at the busiest hour\n  \
                        chancery plan --config chancery.yaml --from main --load load.json --fail-on limit-below-use")]
pub struct PlanCommand {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: PathBuf,
    /// The policies as they were: a file or folder, a git revision of those of the configuration, two as `A..B`, or
    /// those of a running server, `http://HOST:PORT`
    #[arg(long, value_name = "A")]
    from: String,
    /// The policies as they shall be; absent = those of the working tree
    #[arg(long, value_name = "B")]
    to: Option<String>,
    /// Proxies beside those that stand at an endpoint, as `/api/v1/proxies` prints them
    #[arg(long, value_name = "FILE")]
    proxies: Option<PathBuf>,
    /// What is in use now, for the risk `limit-below-use`: `services:` by `SERVICE:PORT` (`chancery schema load`), or
    /// what a real Envoy's `/clusters?format=json` or `/stats?format=json` answers. May be repeated: the highest counts
    #[arg(long, value_name = "FILE")]
    load: Vec<PathBuf>,
    /// Exit code 1 if anything changes
    #[arg(long)]
    exit_code: bool,
    /// Exit code 1 if this risk is there; may be repeated
    #[arg(long, value_name = "RISK", value_parser = risk)]
    fail_on: Vec<String>,
    /// Print everything, however long
    #[arg(long)]
    all: bool,
    /// The day that annotations `expires` are held against; absent = today (UTC)
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = inputs::day)]
    today: Option<Date>,
    /// How to print it
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Human)]
    output: Format,
    /// When to colour it (human)
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = output::ColorWhen::Auto)]
    color: output::ColorWhen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Markdown,
    Json,
}

/// Where one side's policies are.
#[derive(Debug)]
enum Side {
    WorkingTree,
    Path(PathBuf),
    Revision(Revision),
    /// The address of a running server's admin API.
    Server(String),
}

impl PlanCommand {
    pub fn run(self) -> Result<Outcome> {
        if self.load.is_empty() && self.fail_on.iter().any(|id| id == LIMIT_BELOW_USE) {
            bail!("`{LIMIT_BELOW_USE}` is only found where it is known what is in use: add --load FILE");
        }
        let config = match config::load(&self.config) {
            Ok(config) => config,
            Err(problems) => {
                diagnostics::explain(&problems);
                return Ok(Outcome::Problems);
            }
        };
        let (from, to) = self.sides(&config.policies)?;
        // None of the three needs another: read beside each other.
        let (discovered, from, to) = std::thread::scope(|scope| {
            let discovered = scope.spawn(|| inputs::discovered(&config));
            let from = scope.spawn(|| from.read(&config.policies));
            let to = to.read(&config.policies);
            (discovered.join(), from.join(), to)
        });
        let ended = |_| anyhow!("reading ended unexpectedly; this is a mistake of chancery itself");
        let (catalog, mut problems) = discovered.map_err(ended)?;
        let ((before, of_before), (after, of_after)) = (from.map_err(ended)??, to?);
        problems.extend(of_before.into_iter().chain(of_after));
        problems.retain(|problem| problem.level == Level::Error);
        if !problems.is_empty() {
            problems.sort();
            problems.dedup();
            diagnostics::explain(&problems);
            return Ok(Outcome::Problems);
        }
        let load = match read_load(&self.load, &catalog)? {
            Ok(load) => load,
            Err(problems) => {
                diagnostics::explain(&problems);
                return Ok(Outcome::Problems);
            }
        };
        let mut proxies = plan::workloads_of(&catalog);
        if let Some(path) = &self.proxies {
            add_proxies(path, &mut proxies)?;
        }
        let today = self.today.unwrap_or_else(inputs::today);
        let (catalog, load) = (&catalog, &load);
        let question = Question { catalog, before: &before, after: &after, proxies: &proxies, load, today };
        let plan = Plan::of(&mut World::default(), &question);
        match self.output {
            Format::Human => {
                let extent = if self.all { Extent::All } else { Extent::Short };
                let ink = if self.color.is_on() { Ink::Coloured } else { Ink::Plain };
                output::result(&plan::human(&plan, extent, ink))?;
            }
            Format::Markdown => output::result(&plan::markdown(&plan))?,
            Format::Json => output::value(output::Format::Json, &plan::json(&plan))?,
        }
        let feared = plan.risks.iter().any(|risk| self.fail_on.iter().any(|id| id == risk.id));
        let changed = self.exit_code && !plan.is_empty();
        Ok(if feared || changed { Outcome::Problems } else { Outcome::Fine })
    }

    /// What is compared with what. A path that is there beats a revision of that name.
    fn sides(&self, policies: &[PathBuf]) -> Result<(Side, Side)> {
        let exists = Path::new(&self.from).exists();
        match (self.from.split_once(".."), &self.to) {
            (Some(_), Some(_)) if !exists && !self.from.contains('/') => {
                bail!("`{}` names both sides already: leave out --to", self.from)
            }
            (Some((a, b)), None) if !exists && !self.from.contains("://") => {
                let head = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
                let from = match b.strip_prefix('.') {
                    Some(b) => Revision::fork_of(&head(a), &head(b), policies)?,
                    None => Revision::find(&head(a), policies)?,
                };
                let to = Revision::find(&head(b.strip_prefix('.').unwrap_or(b)), policies)?;
                Ok((Side::Revision(from), Side::Revision(to)))
            }
            _ => {
                let to = self.to.as_deref().map_or(Ok(Side::WorkingTree), |to| Side::find(to, policies))?;
                Ok((Side::find(&self.from, policies)?, to))
            }
        }
    }
}

impl Side {
    fn find(written: &str, policies: &[PathBuf]) -> Result<Self> {
        if Path::new(written).exists() {
            return Ok(Self::Path(written.into()));
        }
        if written.starts_with("http://") || written.starts_with("https://") {
            return Ok(Self::Server(written.to_owned()));
        }
        Ok(Self::Revision(Revision::find(written, policies)?))
    }

    /// The policies, and what is wrong with them.
    fn read(&self, policies: &[PathBuf]) -> Result<(Arc<PolicySet>, Vec<Diagnostic>)> {
        let of_texts = |files: &[Arc<SourceFile>], mut problems: Vec<Diagnostic>| {
            let mut library = Library::default();
            library.update(files);
            problems.extend(library.problems().iter().cloned());
            (library, problems)
        };
        let (library, problems) = match self {
            Self::WorkingTree => inputs::read_policies(policies),
            Self::Path(path) => inputs::read_policies(std::slice::from_ref(path)),
            Self::Revision(revision) => {
                let (files, problems) = revision.files(policies)?;
                of_texts(&files, problems)
            }
            Self::Server(address) => of_texts(&server::policies(address)?, Vec::new()),
        };
        Ok((library.policies().clone(), problems))
    }
}

/// A proxy as `/api/v1/proxies` prints it; the rest of what stands there says nothing of what it is served.
#[derive(Debug, Deserialize)]
struct WrittenProxy {
    id: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    locality: WrittenLocality,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WrittenLocality {
    region: String,
    zone: String,
    subzone: String,
}

#[derive(Debug, Deserialize)]
struct WrittenProxies {
    proxies: Vec<WrittenProxy>,
}

/// Adds the proxies of a file: all of a workload that is known from its endpoints are known already.
fn add_proxies(path: &Path, proxies: &mut Vec<Proxy>) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let written: WrittenProxies = serde_json::from_str(&text).with_context(|| {
        format!("{} is no list of proxies: write {{ \"proxies\": [ {{ \"id\", \"service\" }} ] }}", path.display())
    })?;
    let known: std::collections::BTreeSet<Arc<str>> = proxies.iter().map(|proxy| proxy.workload.clone()).collect();
    for WrittenProxy { id, service, namespace, labels, locality } in written.proxies {
        if known.contains(service.as_str()) {
            continue;
        }
        let labels: Labels = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        proxies.push(Proxy {
            id: id.into(),
            workload: service.into(),
            namespace: namespace.into(),
            labels,
            locality: Locality::new(&locality.region, &locality.zone, &locality.subzone),
            local_cluster: false,
            kind: ClientKind::Envoy,
            role: Role::Sidecar,
        });
    }
    Ok(())
}

/// What is in use, by several files. A name that no service has would be one that nothing is held against: it is said.
fn read_load(paths: &[PathBuf], catalog: &Catalog) -> Result<Result<Load, Vec<Diagnostic>>> {
    let mut load = Load::default();
    let known: Vec<String> = catalog
        .iter()
        .flat_map(|(name, entry)| entry.service.ports.iter().map(move |port| format!("{name}:{}", port.number)))
        .collect();
    for path in paths {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let file = SourceFile { path: path.to_string_lossy().into(), text: text.into() };
        let more = match Load::read(&Arc::new(file)) {
            Ok(more) => more,
            Err(problems) => return Ok(Err(problems)),
        };
        if !known.iter().any(|cluster| more.of(cluster).is_some()) {
            output::progress(format_args!("chancery: {} says nothing of any service that is known", path.display()));
        }
        load.merge(more);
    }
    Ok(Ok(load))
}

fn risk(written: &str) -> Result<String, String> {
    if RISKS.contains(&written) {
        return Ok(written.to_owned());
    }
    let remedy = did_you_mean(written, RISKS.iter().copied()).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Err(format!("there is no such risk{remedy}; there are {}", RISKS.join(", ")))
}
