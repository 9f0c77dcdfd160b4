//! The control loop: the only writer. It waits for changes, lets them settle, and publishes what follows from them.
//!
//! ```text
//!  slices, policy files ──► settle ──► World (merge, resolve, compile) ──► publish
//!                                        ▲
//!  a group that nobody had ──────────────┘
//! ```
//!
//! Everything is level-triggered: a round looks at the latest of everything, so a missed wake-up costs nothing and a
//! burst of changes is one round. What follows from the facts is [`World`]'s, a function of values; this file only
//! decides when.

mod asked;
mod by_namespace;
mod entries;
mod metrics;
mod patches;
mod settle;
mod status;
mod world;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::select_all;
use tokio::{
    sync::watch,
    time::{sleep_until, timeout_at},
};

pub use self::{
    metrics::Metrics,
    settle::Settle,
    status::{Readiness, SourceStatus, Status, Work},
    world::World,
};
use crate::{
    catalog::{Admitted, Guard, GuardSettings, Held, Merge},
    diagnostic::{Diagnostic, Level},
    discovery::{Slice, SourceHandle},
    files::Watching,
    model::ServiceName,
    policy::Library,
    publish::Publish,
};

/// What the loop works with.
pub struct Control {
    /// In the order in which they count.
    pub sources: Vec<SourceHandle>,
    /// The policy files.
    pub policy_files: Watching,
    /// How long changes may gather.
    pub settle: Settle,
    /// When a sudden removal is held.
    pub guard: GuardSettings,
    /// Where snapshots go.
    pub publish: Arc<Publish>,
    /// Where the loop says how it is.
    pub status: watch::Sender<Arc<Status>>,
    /// In numbers.
    pub metrics: Metrics,
    state: State,
}

/// What is kept from round to round.
#[derive(Default)]
struct State {
    library: Library,
    /// One for each source.
    guards: Vec<Guard>,
    merge: Merge,
    world: World,
    rounds: u64,
    reported: Vec<Diagnostic>,
}

impl Control {
    /// A loop that has not begun.
    pub fn new(
        sources: Vec<SourceHandle>,
        policy_files: Watching,
        settle: Settle,
        guard: GuardSettings,
        publish: Arc<Publish>,
        status: watch::Sender<Arc<Status>>,
        metrics: Metrics,
    ) -> Self {
        let guards = vec![Guard::new(guard); sources.len()];
        let state = State { guards, ..State::default() };
        Self { sources, policy_files, settle, guard, publish, status, metrics, state }
    }

    /// Reads the policies, and waits until every source has said something. The errors of a first start: with any,
    /// nothing was ever good that could be served.
    pub async fn first_look(&mut self) -> Vec<Diagnostic> {
        self.read_policies();
        for source in &mut self.sources {
            // The first slice says nothing; the next one is the source's first word.
            let _ = source.slices.changed().await;
        }
        let slices = self.sources.iter().map(|source| source.slices.borrow().clone()).collect::<Vec<_>>();
        let mut problems: Vec<Diagnostic> = slices.iter().flat_map(|slice| slice.problems.clone()).collect();
        problems.extend(self.policy_problems());
        problems.extend(self.contradictions(slices));
        problems.retain(|problem| problem.level == Level::Error);
        problems
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        loop {
            let again_at = self.round();
            let must_settle = tokio::select! {
                () = changed(&mut self.sources, &mut self.policy_files) => true,
                // A new group waits for nobody: nothing changed but that somebody came.
                () = self.publish.wanted() => false,
                () = until(again_at) => false,
            };
            if must_settle {
                let mut gathering = self.settle.first_change(Instant::now());
                loop {
                    let further = changed(&mut self.sources, &mut self.policy_files);
                    let quiet = timeout_at(gathering.push_at().into(), further).await.is_err();
                    if quiet || !gathering.further_change(Instant::now()) {
                        break;
                    }
                }
            }
        }
    }

    /// One settled batch of changes. Returns when to look again even if nothing changes.
    fn round(&mut self) -> Option<Instant> {
        let started = Instant::now();
        self.read_policies();
        let said: Vec<Arc<Slice>> =
            self.sources.iter_mut().map(|source| source.slices.borrow_and_update().clone()).collect();
        let admitted: Vec<Admitted> =
            self.state.guards.iter_mut().zip(&said).map(|(guard, slice)| guard.admit(slice, started)).collect();
        let again_at = admitted.iter().filter_map(|admitted| admitted.again_at).min();
        let slices: Vec<Arc<Slice>> = admitted.iter().map(|admitted| admitted.slice.clone()).collect();
        let readiness = readiness(&self.sources, &slices);
        self.state.merge.update(slices.clone());
        let state = &mut self.state;
        state.world.update(state.merge.catalog().clone(), state.library.policies().clone());
        if readiness == Readiness::Ready {
            self.publish.set_grouping(state.world.grouping().clone());
        }
        let groups = self.publish.watched_groups();
        let mut compile_problems = Vec::new();
        for group in &groups {
            let compiled = state.world.compile(group);
            for problem in compiled.problems {
                if !compile_problems.contains(&problem) {
                    compile_problems.push(problem);
                }
            }
            if readiness == Readiness::Ready {
                self.publish.publish(group, compiled.snapshot);
            }
        }
        state.world.retain(&groups);
        state.rounds += 1;
        let mut problems: Vec<Diagnostic> = slices.iter().flat_map(|slice| slice.problems.clone()).collect();
        problems.extend(self.policy_problems());
        let alarms = self.held_removals(&admitted);
        let held_removals = alarms.len();
        problems.extend(alarms);
        let state = &mut self.state;
        problems.extend(state.world.problems());
        problems.extend(state.merge.shared().map(|(name, positions)| shared(name, &positions, &self.sources)));
        problems.extend(compile_problems.into_iter().map(|problem| {
            let diagnostic = Diagnostic::file_error("conflict", "services", problem.to_string());
            Diagnostic { level: Level::Warning, ..diagnostic }
        }));
        report(&mut state.reported, &problems);
        let status = Status {
            readiness,
            rounds: state.rounds,
            catalog: state.merge.catalog().clone(),
            sources: source_statuses(&self.sources, &slices),
            policies: state.library.policies().clone(),
            problems,
            groups,
            work: state.world.work(),
            held_removals,
        };
        self.finish(status, started.elapsed());
        again_at
    }

    fn finish(&self, status: Status, took: Duration) {
        tracing::debug!(rounds = status.rounds, ?took, groups = status.groups.len(), "round done");
        self.metrics.record(&status, took);
        self.status.send_replace(Arc::new(status));
    }

    fn read_policies(&mut self) {
        let listing = self.policy_files.listing.borrow_and_update().clone();
        self.state.library.update(listing.files.values());
    }

    /// An alarm for each removal that a guard holds.
    fn held_removals(&self, admitted: &[Admitted]) -> Vec<Diagnostic> {
        let alarm = |source: &SourceHandle, held: &Held| {
            let message = format!("{held} until they are back, or for {:?} (`guard.hold`)", self.guard.hold);
            Diagnostic::file_error("removal-held", format!("source `{}`", source.name), message)
        };
        let of_sources = self.sources.iter().zip(admitted);
        of_sources.flat_map(|(source, admitted)| admitted.held.iter().map(move |held| alarm(source, held))).collect()
    }

    fn policy_problems(&self) -> Vec<Diagnostic> {
        let listing = self.policy_files.listing.borrow().clone();
        let missing = listing.missing.iter().map(|path| {
            Diagnostic::file_error("missing-path", path.clone(), "this path of `policies` is not there")
                .remedy("create it, or take it out of the configuration")
        });
        missing.chain(listing.problems.iter().cloned()).chain(self.state.library.unsilenced_problems()).collect()
    }

    fn contradictions(&self, slices: Vec<Arc<Slice>>) -> Vec<Diagnostic> {
        let mut merge = Merge::default();
        merge.update(slices);
        let mut world = World::default();
        world.update(merge.catalog().clone(), self.state.library.policies().clone());
        let mut problems = world.problems();
        // Rules may lead to services that come later; nothing is undecided about them.
        problems.retain(|problem| problem.id == "contradiction");
        problems
    }
}

/// A service that several sources have.
fn shared(name: &ServiceName, positions: &[usize], sources: &[SourceHandle]) -> Diagnostic {
    let names: Vec<&str> = positions.iter().filter_map(|&position| Some(&*sources.get(position)?.name)).collect();
    let message = format!("service `{name}` comes from {}; the first of them counts", names.join(" and "));
    let diagnostic = Diagnostic::file_error("conflict", "discovery", message);
    Diagnostic { level: Level::Warning, ..diagnostic }.remedy("rename it in one of the sources, or remove it there")
}

/// Returns when a source or a policy file has changed since it was last looked at.
fn changed<'a>(sources: &'a mut [SourceHandle], policy_files: &'a mut Watching) -> impl Future<Output = ()> + 'a {
    let wait_for_slice = |source: &'a mut SourceHandle| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if source.slices.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    };
    let mut waits: Vec<_> = sources.iter_mut().map(wait_for_slice).collect();
    waits.push(Box::pin(async move {
        if policy_files.listing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }));
    async move { drop(select_all(waits).await) }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

fn readiness(sources: &[SourceHandle], slices: &[Arc<Slice>]) -> Readiness {
    let waiting: Vec<String> = sources
        .iter()
        .zip(slices)
        .filter(|(_, slice)| !slice.synced)
        .map(|(source, _)| format!("source `{}`", source.name))
        .collect();
    if waiting.is_empty() { Readiness::Ready } else { Readiness::WaitingFor(waiting) }
}

fn source_statuses(sources: &[SourceHandle], slices: &[Arc<Slice>]) -> Vec<SourceStatus> {
    let status = |(source, slice): (&SourceHandle, &Arc<Slice>)| SourceStatus {
        name: source.name.clone(),
        synced: slice.synced,
        services: slice.services.len(),
        problems: slice.problems.len(),
    };
    sources.iter().zip(slices).map(status).collect()
}

/// Logs what is new, and what is over. A problem that only moved, since a line was added above it, is neither.
fn report(reported: &mut Vec<Diagnostic>, problems: &[Diagnostic]) {
    let same = |a: &Diagnostic, b: &Diagnostic| {
        (a.id, a.file(), &a.field, &a.message) == (b.id, b.file(), &b.field, &b.message)
    };
    for problem in problems.iter().filter(|problem| !reported.iter().any(|known| same(known, problem))) {
        match problem.level {
            Level::Error => tracing::error!("{problem}"),
            Level::Warning => tracing::warn!("{problem}"),
        }
    }
    for solved in reported.iter().filter(|known| !problems.iter().any(|problem| same(known, problem))) {
        tracing::info!(file = solved.file(), id = solved.id, "solved: {}", solved.message);
    }
    *reported = problems.to_vec();
}
