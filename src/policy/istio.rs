//! DestinationRules by Istio's own rules: which ones apply to a service, and what they come to for a port and subset.
//!
//! The result is one layer among others (`policy::merge`). What Istio implies is made explicit here, so that nothing
//! behind this module needs to know the dialect: a bare `outlierDetection` ejects after Envoy's five 5xx and turns on
//! locality failover, 0 of a plain number means "not set", `portLevelSettings` replace the whole policy.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    document::{
        Body, DestinationRule, Document, Settings,
        destination_rule::{RulePolicy, RuleSubset},
        scalar::{Count, WholePercent},
        settings::{
            ConnectionPool, LoadBalancer, LocalityLbSetting, OutlierDetection, ProxyProtocol, RetryBudget, Tls,
        },
    },
    leaves::flatten,
    merge::{ClientsRank, Layer, Leaf, NarrowingRank, Rank, TargetRank},
};
use crate::model::{NamePattern, Service, SubsetName, Visibility, namespace::full_host, service::Port};

/// A DestinationRule and the hosts it can mean.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub document: Arc<Document>,
    host: NamePattern,
    /// A short host with the document's namespace behind it.
    full_host: NamePattern,
    namespace: Arc<str>,
}

impl Rule {
    /// `None` for a document of another kind.
    pub fn new(document: &Arc<Document>) -> Option<Self> {
        let Body::DestinationRule(rule) = &document.body else { return None };
        let namespace = document.namespace();
        let full_host = full_host(&rule.host, &namespace);
        Some(Self {
            document: document.clone(),
            host: NamePattern::new(&rule.host),
            full_host: NamePattern::new(&full_host),
            namespace,
        })
    }

    fn rule(&self) -> &DestinationRule {
        match &self.document.body {
            Body::DestinationRule(rule) => rule,
            _ => unreachable!("`Rule::new` takes DestinationRules only"),
        }
    }

    /// As written.
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    pub fn has_traffic_policy(&self) -> bool {
        self.rule().traffic_policy.is_some()
    }

    pub fn defined_subsets(&self) -> &[RuleSubset] {
        &self.rule().subsets
    }

    /// The namespace it stands in.
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// Which of two hosts that match one service is the more specific: less = more specific.
    pub fn cmp_host(&self, other: &Self) -> Ordering {
        self.host.cmp_specificity(&other.host)
    }

    /// `exportTo` as a set, each entry as written.
    pub fn export_to(&self) -> BTreeSet<&str> {
        self.rule().export_to.entries()
    }

    /// Whose clients see it.
    pub fn visibility(&self) -> Visibility {
        self.rule().export_to.visibility(&self.namespace)
    }

    /// Whether it is for its own namespace alone.
    pub fn is_private(&self) -> bool {
        let to = self.export_to();
        to.len() == 1 && (to.contains(".") || to.contains(&*self.namespace))
    }

    /// Whether clients in its own namespace see it.
    pub fn is_for_its_own_namespace(&self) -> bool {
        let to = self.export_to();
        to.is_empty() || ["*", ".", &self.namespace].iter().any(|entry| to.contains(entry))
    }

    /// Whether the host means this service: by its full name, else by the name as written.
    pub fn matches(&self, service: &Service) -> bool {
        let by_host = |pattern: &NamePattern| service.names().any(|name| pattern.matches(name));
        by_host(&self.full_host) || by_host(&self.host)
    }
}

/// Every rule, found by the names a service has.
#[derive(Debug, Default)]
pub(super) struct Rules {
    by_host: HashMap<String, Vec<Rule>>,
    /// Those with a wildcard host.
    wide: Vec<Rule>,
}

impl Rules {
    /// Adds a document's rule, where it is one.
    pub fn add(&mut self, document: &Arc<Document>) {
        let Some(rule) = Rule::new(document) else { return };
        if !rule.host.is_exact() {
            self.wide.push(rule);
            return;
        }
        if rule.full_host != rule.host {
            self.by_host.entry(rule.full_host.as_str().to_owned()).or_default().push(rule.clone());
        }
        self.by_host.entry(rule.host.as_str().to_owned()).or_default().push(rule);
    }

    /// All of them; one with a short host twice.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.by_host.values().flatten().chain(&self.wide)
    }

    /// Those whose host means this service, each once.
    pub fn matching<'a>(&'a self, service: &Service) -> Vec<&'a Rule> {
        let mut found: Vec<&Rule> = service.names().filter_map(|name| self.by_host.get(name)).flatten().collect();
        found.extend(self.wide.iter().filter(|rule| rule.matches(service)));
        found.sort_by(|a, b| a.document.id.cmp(&b.document.id));
        found.dedup_by(|a, b| a.document.id == b.document.id);
        found
    }
}

impl Rule {
    /// Whether it has shares between localities, or failover by place, which outlier detection implies unless something
    /// else is said. What a subset takes over from the rule is not followed up: the answer may be yes for nothing.
    pub fn reads_client_locality(&self) -> bool {
        let places = self.rule().settings();
        let ejects = places.iter().any(|(_, settings)| settings.outlier_detection.is_some());
        places.iter().any(|(_, settings)| match &settings.load_balancer {
            None => settings.outlier_detection.is_some(),
            Some(balancer) if balancer.is_zone_aware() => true,
            Some(LoadBalancer { locality_lb_setting: None, .. }) => ejects,
            Some(LoadBalancer { locality_lb_setting: Some(setting), .. }) => {
                setting.reads_place() && (ejects || setting.distribute.is_some())
            }
        })
    }

    /// What it says of load balancing, in all its places.
    pub fn load_balancers(&self) -> impl Iterator<Item = LoadBalancer> {
        self.rule().settings().into_iter().filter_map(|(_, settings)| settings.load_balancer)
    }
}

/// The subsets the rules define; of two with one name the first counts.
pub(super) fn subsets<'a>(rules: &[&'a Rule]) -> BTreeMap<SubsetName, &'a RuleSubset> {
    let mut subsets = BTreeMap::new();
    for subset in rules.iter().flat_map(|rule| &rule.rule().subsets) {
        subsets.entry(subset.name.0.clone()).or_insert(subset);
    }
    subsets
}

/// What the rules come to for a port, and a subset of it.
pub(super) fn layer(rules: &[&Rule], port: &Port, subset: Option<&SubsetName>) -> Option<Layer> {
    let mut blocks = Blocks::default();
    let top = rules.iter().find_map(|rule| Some((*rule, rule.rule().traffic_policy.as_ref()?)));
    if let Some((rule, policy)) = top {
        blocks = Blocks::of_policy(&rule.document, policy, "spec.trafficPolicy", port);
    }
    let narrowed = subset.and_then(|name| {
        rules.iter().find_map(|rule| {
            let index = rule.rule().subsets.iter().position(|subset| subset.name.0 == *name)?;
            Some((*rule, index))
        })
    });
    if let Some((rule, index)) = narrowed
        && let Some(policy) = &rule.rule().subsets[index].traffic_policy
    {
        blocks.narrow(&rule.document, policy, &format!("spec.subsets[{index}].trafficPolicy"), port);
    }
    blocks.make_explicit();
    let leaves = blocks.leaves();
    let rank =
        Rank { target: TargetRank::DestinationRule, narrowing: NarrowingRank::Nothing, clients: ClientsRank::All };
    (!leaves.is_empty()).then_some(Layer { rank, leaves })
}

/// A block of a policy and where it stands.
#[derive(Debug, Clone)]
struct Block<T> {
    value: T,
    document: Arc<Document>,
    path: String,
}

/// The blocks that count.
#[derive(Debug, Default)]
struct Blocks {
    load_balancer: Option<Block<LoadBalancer>>,
    connection_pool: Option<Block<ConnectionPool>>,
    outlier_detection: Option<Block<OutlierDetection>>,
    retry_budget: Option<Block<RetryBudget>>,
    tls: Option<Block<Tls>>,
    proxy_protocol: Option<Block<ProxyProtocol>>,
}

impl Blocks {
    /// A policy for a port: an entry of `portLevelSettings` replaces all of it.
    fn of_policy(document: &Arc<Document>, policy: &RulePolicy, path: &str, port: &Port) -> Self {
        match port_entry(policy, port) {
            Some((index, settings)) => {
                Self::of_settings(document, &settings, &format!("{path}.portLevelSettings[{index}]"))
            }
            None => Self::of_settings(document, &policy.blocks(), path),
        }
    }

    fn of_settings(document: &Arc<Document>, settings: &Settings, path: &str) -> Self {
        fn block<T: Clone>(value: &Option<T>, document: &Arc<Document>, path: &str) -> Option<Block<T>> {
            let value = value.clone()?;
            Some(Block { value, document: document.clone(), path: path.to_owned() })
        }
        Self {
            load_balancer: block(&settings.load_balancer, document, path),
            connection_pool: block(&settings.connection_pool, document, path),
            outlier_detection: block(&settings.outlier_detection, document, path),
            retry_budget: block(&settings.retry_budget, document, path),
            tls: block(&settings.tls, document, path),
            proxy_protocol: block(&settings.proxy_protocol, document, path),
        }
    }

    /// A subset overrides block by block; where it has an entry for the port, that entry replaces the blocks
    /// that a port can have even where it says nothing.
    fn narrow(&mut self, document: &Arc<Document>, policy: &RulePolicy, path: &str, port: &Port) {
        let own = Self::of_settings(document, &policy.blocks(), path);
        self.retry_budget = own.retry_budget.or(self.retry_budget.take());
        self.proxy_protocol = own.proxy_protocol.or(self.proxy_protocol.take());
        if let Some((index, settings)) = port_entry(policy, port) {
            let entry = Self::of_settings(document, &settings, &format!("{path}.portLevelSettings[{index}]"));
            self.load_balancer = entry.load_balancer;
            self.connection_pool = entry.connection_pool;
            self.outlier_detection = entry.outlier_detection;
            self.tls = entry.tls;
        } else {
            self.load_balancer = own.load_balancer.or(self.load_balancer.take());
            self.connection_pool = own.connection_pool.or(self.connection_pool.take());
            self.outlier_detection = own.outlier_detection.or(self.outlier_detection.take());
            self.tls = own.tls.or(self.tls.take());
        }
    }

    /// Writes out what Istio implies.
    fn make_explicit(&mut self) {
        if let Some(block) = &mut self.connection_pool {
            unset_zeros(&mut block.value);
        }
        if let Some(block) = &mut self.outlier_detection {
            imply_enforcement(&mut block.value);
        }
        self.imply_locality();
    }

    /// Locality failover comes with outlier detection and only with it; shares (`distribute`) need none. Zones beat both.
    fn imply_locality(&mut self) {
        let written = self.load_balancer.as_ref().and_then(|block| block.value.locality_lb_setting.clone());
        let is_zone_aware = self.load_balancer.as_ref().is_some_and(|block| block.value.is_zone_aware());
        let implied = match (&self.outlier_detection, written) {
            _ if is_zone_aware => None,
            // Beside shares the order of labels has no say.
            (_, Some(setting)) if setting.distribute.is_some() => {
                Some(LocalityLbSetting { failover_priority: None, ..setting })
            }
            (_, Some(setting)) if setting.enabled == Some(false) => Some(setting),
            (Some(_), setting) => Some(LocalityLbSetting { enabled: Some(true), ..setting.unwrap_or_default() }),
            (None, _) => None,
        };
        if let Some(block) = &mut self.load_balancer {
            // One of the two is left: to layers above they are forms of one choice.
            if implied.is_some() {
                block.value.zone_aware_lb_setting = None;
            }
            block.value.locality_lb_setting = implied;
        } else if let (Some(_), Some(outlier)) = (&implied, &self.outlier_detection) {
            self.load_balancer = Some(Block {
                value: LoadBalancer { locality_lb_setting: implied, ..LoadBalancer::default() },
                document: outlier.document.clone(),
                path: outlier.path.clone(),
            });
        }
    }

    fn leaves(self) -> BTreeMap<String, Leaf> {
        let Self { load_balancer, connection_pool, outlier_detection, retry_budget, tls, proxy_protocol } = self;
        let mut leaves = BTreeMap::new();
        let mut add = |settings: Settings, document: Arc<Document>, path: String| {
            for (setting, value) in flatten(&settings) {
                let field = format!("{path}.{setting}");
                leaves.insert(setting, Leaf { value, document: document.clone(), field });
            }
        };
        if let Some(Block { value, document, path }) = load_balancer {
            add(Settings { load_balancer: Some(value), ..Settings::default() }, document, path);
        }
        if let Some(Block { value, document, path }) = connection_pool {
            add(Settings { connection_pool: Some(value), ..Settings::default() }, document, path);
        }
        if let Some(Block { value, document, path }) = outlier_detection {
            add(Settings { outlier_detection: Some(value), ..Settings::default() }, document, path);
        }
        if let Some(Block { value, document, path }) = retry_budget {
            add(Settings { retry_budget: Some(value), ..Settings::default() }, document, path);
        }
        if let Some(Block { value, document, path }) = tls {
            add(Settings { tls: Some(value), ..Settings::default() }, document, path);
        }
        if let Some(Block { value, document, path }) = proxy_protocol {
            add(Settings { proxy_protocol: Some(value), ..Settings::default() }, document, path);
        }
        leaves
    }
}

fn port_entry(policy: &RulePolicy, port: &Port) -> Option<(usize, Settings)> {
    let index = policy.port_level_settings.iter().position(|entry| entry.port.number == port.number)?;
    Some((index, policy.port_level_settings[index].blocks()))
}

fn unset_zeros(pool: &mut ConnectionPool) {
    let unset = |count: &mut Option<Count>| *count = count.filter(|count| count.0 > 0);
    if let Some(tcp) = &mut pool.tcp {
        unset(&mut tcp.max_connections);
    }
    if let Some(http) = &mut pool.http {
        unset(&mut http.http1_max_pending_requests);
        unset(&mut http.http2_max_requests);
        unset(&mut http.max_requests_per_connection);
        unset(&mut http.max_retries);
        unset(&mut http.max_concurrent_streams);
    }
}

/// Success rate is off; 5xx stay at Envoy's five, enforced, unless said otherwise; gateway errors count when set.
fn imply_enforcement(outlier: &mut OutlierDetection) {
    let enforced = |count: Option<Count>, absent: u32| match count {
        Some(Count(0)) => WholePercent(0),
        Some(Count(_)) => WholePercent(100),
        None => WholePercent(absent),
    };
    outlier.enforcing_success_rate.get_or_insert(WholePercent(0));
    outlier.enforcing_consecutive5xx.get_or_insert(enforced(outlier.consecutive5xx_errors, 100));
    outlier.enforcing_consecutive_gateway_failure.get_or_insert(enforced(outlier.consecutive_gateway_errors, 0));
    outlier.max_ejection_percent = outlier.max_ejection_percent.filter(|percent| percent.0 > 0);
    // Said for the reader of the merged settings; it has no meaning of its own.
    outlier.consecutive_errors = None;
}
