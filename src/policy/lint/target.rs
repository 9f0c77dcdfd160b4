//! What a lint looks at: a port of a service, or a subset of it, as one kind of client sees it.

use std::{collections::BTreeMap, fmt};

use super::{
    super::{leaves::Path, merge::Decided},
    findings::{Findings, Said},
};
use crate::model::{
    CatalogEntry, EffectivePolicy, Endpoint, Health, Labels, Port, SubsetName, policy::UnhealthyEndpoints,
};

/// A port of a service, or a subset of it, with everything that policies say of it. Printed as its cluster is called.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub entry: &'a CatalogEntry,
    pub port: &'a Port,
    subset: Option<&'a SubsetName>,
    settings: &'a BTreeMap<Path, Decided>,
    /// The settings with every default.
    pub policy: &'a EffectivePolicy,
    /// Those that Envoy is sent.
    pub endpoints: Vec<&'a Endpoint>,
    /// How many are not sent, because discovery calls them unhealthy.
    pub withheld: usize,
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.entry.service.name, self.port.number)?;
        match self.subset {
            Some(subset) => write!(f, "/{subset}"),
            None => Ok(()),
        }
    }
}

impl<'a> Target<'a> {
    pub fn new(
        entry: &'a CatalogEntry,
        port: &'a Port,
        subset: Option<(&'a SubsetName, &'a Labels)>,
        settings: &'a BTreeMap<Path, Decided>,
        policy: &'a EffectivePolicy,
    ) -> Self {
        let is_in = |endpoint: &&Endpoint| subset.is_none_or(|(_, labels)| has_labels(endpoint, labels));
        let is_sent = |endpoint: &&Endpoint| match policy.unhealthy_endpoints {
            UnhealthyEndpoints::Sent => true,
            UnhealthyEndpoints::Omitted => endpoint.health != Health::Unhealthy,
        };
        let (endpoints, withheld): (Vec<_>, Vec<_>) = entry.endpoints.iter().filter(is_in).partition(is_sent);
        Self {
            entry,
            port,
            subset: subset.map(|(name, _)| name),
            settings,
            policy,
            endpoints,
            withheld: withheld.len(),
        }
    }

    /// Where a setting is said; `None` where it is a default.
    pub fn said(&self, path: &str) -> Option<Said<'a>> {
        self.settings.get(path).map(|decided| Said { document: &decided.leaf.document, field: &decided.leaf.field })
    }

    /// The value of a setting as written.
    pub fn value(&self, path: &str) -> Option<&'a serde_json::Value> {
        self.settings.get(path).map(|decided| &decided.leaf.value)
    }

    /// Where anything of a block is said (`outlierDetection`): the block itself, in the document that says its first
    /// setting.
    pub fn said_below(&self, block: &str) -> Option<Said<'a>> {
        let (path, decided) = self
            .settings
            .iter()
            .find(|(path, _)| path.strip_prefix(block).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))?;
        let field = &decided.leaf.field;
        let of_block = field.len() - (path.len() - block.len());
        Some(Said { document: &decided.leaf.document, field: field.get(..of_block).unwrap_or(field) })
    }

    /// The first of several settings that is said.
    pub fn first_said(&self, paths: &[&str]) -> Option<Said<'a>> {
        paths.iter().find_map(|path| self.said(path))
    }

    /// Notes a finding about this target.
    pub fn warn(
        &self,
        lint: &'static str,
        said: Said<'_>,
        findings: &mut Findings,
        sentence: impl FnOnce() -> (String, String),
    ) {
        findings.add(lint, said, &self.entry.service.name, sentence);
    }

    /// How many endpoints Envoy is sent.
    pub fn size(&self) -> u64 {
        self.endpoints.len() as u64
    }
}

/// Whether an endpoint has all the labels.
pub(super) fn has_labels(endpoint: &Endpoint, labels: &Labels) -> bool {
    labels.iter().all(|(key, value)| endpoint.labels.get(key) == Some(value))
}
