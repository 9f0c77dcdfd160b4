//! What the control loop says of itself: a value published with every round, read by the admin API and metrics.

use std::{sync::Arc, time::SystemTime};

use super::{rejected::Rejected, release::HeldRemoval};
use crate::{
    diagnostic::{Diagnostic, SourceFile},
    model::{Catalog, NodeGroup},
    policy::PolicySet,
};

/// The state after the latest round.
#[derive(Debug, Clone)]
pub struct Status {
    /// When the process began.
    pub started: SystemTime,
    /// Whether proxies are served, and if not what is waited for.
    pub readiness: Readiness,
    /// Rounds since the start: each is one settled batch of changes.
    pub rounds: u64,
    /// Everything discovery knows.
    pub catalog: Catalog,
    /// The sources, in the order they are configured.
    pub sources: Vec<SourceStatus>,
    /// The policies in force.
    pub policies: Arc<PolicySet>,
    /// The policy files in force, each with its last good content.
    pub policy_files: Vec<Arc<SourceFile>>,
    /// Where policies are served from `stateDir`, when they were written there.
    pub policies_from_state: Option<SystemTime>,
    /// Whether some source is not sure to have said all that it knows at present: then nothing is taken from a client
    /// that only another replica can have given to it.
    pub lagging: bool,
    /// What is wrong with what was read last. The last good content is served in its place.
    pub problems: Vec<Diagnostic>,
    /// The groups somebody is connected of.
    pub groups: Vec<NodeGroup>,
    /// Removals that a guard holds.
    pub held: Vec<HeldRemoval>,
    /// What clients reject of what they are sent.
    pub rejected: Vec<Rejected>,
    /// Work since the start.
    pub work: Work,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            readiness: Readiness::default(),
            rounds: 0,
            catalog: Catalog::default(),
            sources: Vec::new(),
            policies: Arc::default(),
            policy_files: Vec::new(),
            policies_from_state: None,
            lagging: false,
            problems: Vec::new(),
            groups: Vec::new(),
            held: Vec::new(),
            rejected: Vec::new(),
            work: Work::default(),
        }
    }
}

/// Whether proxies are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Every source has synced once, and the policies compiled.
    Ready,
    /// Nobody is served yet.
    WaitingFor(Vec<String>),
}

impl Default for Readiness {
    fn default() -> Self {
        Self::WaitingFor(vec!["the first round".to_owned()])
    }
}

/// One source of discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its kind and what it reads: `file services.yaml`.
    pub name: String,
    /// Whether it has said once what it knows.
    pub synced: bool,
    /// Whether what it knows is what it says at present.
    pub current: bool,
    /// Where what it knew before the start is served, from `stateDir`: when that was written.
    pub from_state: Option<SystemTime>,
    /// How many services it knows.
    pub services: usize,
    /// How many problems its latest content has.
    pub problems: usize,
}

/// Work since the start, counted so that it can be held against what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Policies of one service resolved for one client view.
    pub services_resolved: u64,
    /// Services' definitions or endpoints compiled.
    pub units_compiled: u64,
    /// Resources encoded.
    pub resources_encoded: u64,
}
