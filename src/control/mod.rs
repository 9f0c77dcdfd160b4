//! The control loop: the only writer. It waits for changes, lets them settle, and publishes what follows from them.
//!
//! ```text
//!  slices, policy files ──► settle ──► World (merge, resolve, compile) ──► Quarantine ──► publish
//!                                        ▲                                   ▲
//!  a group that nobody had ──────────────┘      what clients reject ─────────┘
//! ```
//!
//! Everything is level-triggered: a round looks at the latest of everything, so a missed wake-up costs nothing and a
//! burst of changes is one round. What follows from the facts is [`World`]'s, a function of values; this file only
//! decides when, and what of a source counts: what it says, or what it said before the process began, as long as it
//! has not said completely what it knows.

mod asked;
mod by_namespace;
mod entries;
mod metrics;
mod patches;
pub mod quarantine;
mod rejected;
mod release;
mod settle;
mod status;
mod world;

use std::{
    collections::HashSet,
    future::Future,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::{join_all, select_all};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep_until, timeout, timeout_at},
};

use self::quarantine::Quarantine;
pub use self::{
    metrics::Metrics,
    rejected::{Maker, Rejected},
    release::{HeldRemoval, Release, ReleaseError, Released, Releaser, Releases},
    settle::Settle,
    status::{Readiness, SourceStatus, Status, Work},
    world::World,
};
use crate::{
    catalog::{Admitted, Guard, GuardSettings, Lost, Merge},
    diagnostic::{Diagnostic, Level},
    discovery::{Slice, SourceHandle},
    files::{Listing, Watching},
    model::ServiceName,
    policy::Library,
    publish::Publish,
    state::{Good, LastGood, LastPolicies, LastServices, Saving},
};

/// How long sources have for their first word, before what is known without them is served.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// What the loop works with.
pub struct Parts {
    /// In the order in which they count.
    pub sources: Vec<SourceHandle>,
    /// The policy files.
    pub policy_files: Watching,
    /// How long changes may gather.
    pub settle: Settle,
    /// When a sudden removal is held.
    pub guard: GuardSettings,
    /// Where people reach the admin API, for sentences that name a command.
    pub admin_url: String,
    /// What was good when the process last ran.
    pub last_good: LastGood,
    /// Where the loop says what is good, to be kept.
    pub good: watch::Sender<Arc<Good>>,
    /// Whether it could be kept.
    pub saving: Saving,
    /// Who lets held removals go.
    pub releases: Releases,
    /// Where snapshots go.
    pub publish: Arc<Publish>,
    /// Where the loop says how it is.
    pub status: watch::Sender<Arc<Status>>,
    /// In numbers.
    pub metrics: Metrics,
}

/// The control loop.
pub struct Control {
    parts: Parts,
    state: State,
}

/// What is kept from round to round.
struct State {
    started: SystemTime,
    library: Library,
    /// One for each source.
    guards: Vec<Guard>,
    /// For each source that has not said completely what it knows: what it knew before the start.
    remembered: Vec<Option<LastServices>>,
    /// Until the policies could be read without an error: what was kept of them.
    remembered_policies: Option<LastPolicies>,
    /// Whether anything was kept of them: then this is no first start.
    policies_were_kept: bool,
    merge: Merge,
    world: World,
    quarantine: Quarantine,
    rounds: u64,
    reported: Vec<Diagnostic>,
    /// The policy files as they were read last.
    read: Option<Arc<Listing>>,
}

impl Control {
    /// A loop that has not begun.
    pub fn new(mut parts: Parts) -> Self {
        let LastGood { sources: mut remembered, policies: remembered_policies } = std::mem::take(&mut parts.last_good);
        remembered.resize(parts.sources.len(), None);
        let guards = remembered.iter().map(|last| {
            let services = last.as_ref().map(|last| last.services.clone()).unwrap_or_default();
            Guard::remembering(parts.guard, services)
        });
        let mut library = Library::default();
        if let Some(LastPolicies { files, .. }) = &remembered_policies {
            library.update(files);
        }
        let state = State {
            started: SystemTime::now(),
            library,
            guards: guards.collect(),
            remembered,
            policies_were_kept: remembered_policies.is_some(),
            remembered_policies,
            merge: Merge::default(),
            world: World::default(),
            quarantine: Quarantine::default(),
            rounds: 0,
            reported: Vec::new(),
            read: None,
        };
        Self { parts, state }
    }

    /// Reads the policies, and gives every source time to say something. The errors of a first start: of inputs of which
    /// nothing was ever good that could be served.
    pub async fn first_look(&mut self) -> Vec<Diagnostic> {
        self.read_policies();
        // The first slice says nothing; the next one is the source's first word.
        let words = join_all(self.parts.sources.iter_mut().map(|source| source.slices.changed()));
        if timeout(FIRST_WORD, words).await.is_err() {
            tracing::warn!("not every source has said something within {FIRST_WORD:?}");
        }
        let slices = self.parts.sources.iter().map(|source| source.slices.borrow().clone()).collect::<Vec<_>>();
        let unremembered = slices.iter().zip(&self.state.remembered).filter(|(_, remembered)| remembered.is_none());
        let mut problems: Vec<Diagnostic> = unremembered.flat_map(|(slice, _)| slice.problems.clone()).collect();
        if !self.state.policies_were_kept {
            problems.extend(self.policy_problems());
            problems.extend(self.contradictions(slices));
        }
        problems.retain(|problem| problem.level == Level::Error);
        problems
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        let mut released: Option<(oneshot::Sender<_>, Vec<Released>)> = None;
        loop {
            let started = Instant::now();
            let again_at = self.round(started);
            if let Some((reply, released)) = released.take() {
                // Whoever asked may have gone.
                let _ = reply.send(Ok(released));
            }
            let Parts { sources, policy_files, publish, releases, saving, .. } = &mut self.parts;
            // What came during the round waits since then, or every change would wait for a round more than is said.
            let waiting = has_changed(sources, policy_files).then_some(started);
            let must_settle = loop {
                tokio::select! {
                    () = changed(sources, policy_files) => break true,
                    // A new group waits for nobody: nothing changed but that somebody came.
                    () = publish.wanted() => break false,
                    () = publish.testimonies().given() => {
                        if self.state.quarantine.hear(publish.testimonies().take()) {
                            break false;
                        }
                    }
                    () = until(again_at) => break false,
                    () = news(saving) => break false,
                    Some((release, reply)) = releases.0.recv() => {
                        match self.release(&release) {
                            Ok(what) => released = Some((reply, what)),
                            Err(error) => drop(reply.send(Err(error))),
                        }
                        break false;
                    }
                }
            };
            if must_settle {
                let Parts { sources, policy_files, settle, .. } = &mut self.parts;
                let mut gathering = settle.first_change(waiting.unwrap_or_else(Instant::now), Instant::now());
                loop {
                    let further = changed(sources, policy_files);
                    let quiet = timeout_at(gathering.push_at().into(), further).await.is_err();
                    if quiet || !gathering.further_change(Instant::now()) {
                        break;
                    }
                }
            }
        }
    }

    /// One settled batch of changes. Returns when to look again even if nothing changes.
    fn round(&mut self, started: Instant) -> Option<Instant> {
        self.read_policies();
        let Self { parts, state } = self;
        let said = parts.sources.iter_mut().map(|source| source.slices.borrow_and_update().clone());
        let known: Vec<Arc<Slice>> =
            said.zip(&mut state.remembered).map(|(said, remembered)| known(said, remembered)).collect();
        let admitted: Vec<Admitted> =
            state.guards.iter_mut().zip(&known).map(|(guard, slice)| guard.admit(slice, started)).collect();
        let again_at = admitted.iter().filter_map(|admitted| admitted.again_at).min();
        let slices: Vec<Arc<Slice>> = admitted.iter().map(|admitted| admitted.slice.clone()).collect();
        let readiness = readiness(&parts.sources, &slices);
        let lagging = !slices.iter().all(|slice| slice.current);
        state.merge.update(slices.clone());
        state.world.update(state.merge.catalog().clone(), state.library.policies().clone());
        if readiness == Readiness::Ready {
            parts.publish.set_grouping(state.world.grouping().clone());
        }
        let groups = parts.publish.watched_groups();
        let mut compile_problems = Vec::new();
        state.quarantine.begin_round();
        for group in &groups {
            let compiled = state.world.compile(group);
            for problem in compiled.problems {
                if !compile_problems.contains(&problem) {
                    compile_problems.push(problem);
                }
            }
            if readiness == Readiness::Ready {
                let reviewed = state.quarantine.review(&compiled.snapshot, started);
                let snapshot = if lagging { Arc::new(reviewed.lagging()) } else { reviewed };
                parts.publish.publish(group, snapshot);
            }
        }
        state.quarantine.end_round();
        let again_at = again_at.into_iter().chain(state.quarantine.again_at(started)).min();
        let cases = state.quarantine.cases(started).into_iter();
        let rejected: Vec<Rejected> = cases.map(|case| Rejected::of(case, &mut state.world, &groups)).collect();
        state.world.retain(&groups);
        state.rounds += 1;
        let mut problems: Vec<Diagnostic> = slices.iter().flat_map(|slice| slice.problems.clone()).collect();
        problems.extend(self.policy_problems());
        let held = self.held_removals(&admitted);
        problems.extend(held.iter().map(|held| self.alarm(held)));
        problems.extend(self.problems_of_state());
        let Self { parts, state } = self;
        problems.extend(state.world.problems());
        problems.extend(state.merge.shared().map(|(name, positions)| shared(name, &positions, &parts.sources)));
        problems.extend(compile_problems.into_iter().map(|problem| {
            let diagnostic = Diagnostic::file_error("conflict", "services", problem.to_string());
            Diagnostic { level: Level::Warning, ..diagnostic }
        }));
        problems.extend(rejected.iter().map(Rejected::diagnostic));
        report(&mut state.reported, &problems);
        let good = Good {
            sources: slices.iter().zip(&state.remembered).map(good_services).collect(),
            policies: state.library.good_files(),
        };
        let status = Status {
            started: state.started,
            readiness,
            rounds: state.rounds,
            catalog: state.merge.catalog().clone(),
            sources: source_statuses(&parts.sources, &slices, &state.remembered),
            policies: state.library.policies().clone(),
            policy_files: good.policies.clone(),
            policies_from_state: state.remembered_policies.as_ref().map(|last| last.saved),
            lagging,
            problems,
            groups,
            work: state.world.work(),
            held,
            rejected,
        };
        parts.good.send_replace(Arc::new(good));
        self.finish(status, started.elapsed());
        again_at
    }

    fn finish(&self, status: Status, took: Duration) {
        tracing::debug!(rounds = status.rounds, ?took, groups = status.groups.len(), "round done");
        self.parts.metrics.record(&status, took);
        self.parts.status.send_replace(Arc::new(status));
    }

    fn read_policies(&mut self) {
        let listing = self.parts.policy_files.listing.borrow_and_update().clone();
        if self.state.read.as_ref().is_some_and(|read| Arc::ptr_eq(read, &listing)) {
            return;
        }
        self.state.read = Some(listing.clone());
        let remembered = self.state.remembered_policies.as_mut();
        let unseen: Vec<_> = remembered.map_or(Vec::new(), |LastPolicies { files, .. }| {
            // A file that was seen since is the watcher's to remember.
            files.retain(|file| listing.hides(&file.path) && !listing.files.contains_key(&file.path));
            files.clone()
        });
        self.state.library.update(listing.files.values().chain(&unseen));
        if !self.policy_problems().iter().any(|problem| problem.level == Level::Error) {
            self.state.remembered_policies = None;
        }
    }

    /// What guards hold, as people see it.
    fn held_removals(&self, admitted: &[Admitted]) -> Vec<HeldRemoval> {
        let now = (Instant::now(), SystemTime::now());
        let of_sources = self.parts.sources.iter().zip(admitted);
        let seen = |source: &SourceHandle, admitted: &Admitted| -> Vec<HeldRemoval> {
            admitted.held.iter().map(|held| HeldRemoval::of(&source.name, held, now)).collect()
        };
        of_sources.flat_map(|(source, admitted)| seen(source, admitted)).collect()
    }

    /// An alarm for a removal that a guard holds.
    fn alarm(&self, held: &HeldRemoval) -> Diagnostic {
        let HeldRemoval { source, text, lost, .. } = held;
        let message = format!("{text} until they are back, or for {:?} (`guard.hold`)", self.parts.guard.hold);
        let mut command = format!("chancery release --admin {} --source '{source}'", self.parts.admin_url);
        if let Lost::Endpoints(service, _) = lost {
            command += &format!(" --service {service}");
        }
        let diagnostic = Diagnostic::file_error("removal-held", format!("source `{source}`"), message);
        diagnostic.remedy(format!("if it is meant, `{command}` lets them go at once"))
    }

    fn release(&mut self, release: &Release) -> Result<Vec<Released>, ReleaseError> {
        let Self { parts, state } = self;
        let meant = |source: &SourceHandle| release.means(&source.name);
        if let Some(asked) = &release.source
            && !parts.sources.iter().any(meant)
        {
            let known = parts.sources.iter().map(|source| format!("`{}`", source.name)).collect();
            return Err(ReleaseError::NoSuchSource { asked: asked.clone(), known });
        }
        let mut released = Vec::new();
        for (source, guard) in parts.sources.iter().zip(&mut state.guards).filter(|(source, _)| meant(source)) {
            let said = source.slices.borrow().clone();
            let lost = guard.release(&said, release.service.as_ref());
            released.extend(lost.into_iter().map(|lost| Released { source: source.name.clone(), lost }));
        }
        for Released { source, lost } in &released {
            match lost {
                Lost::Services(names) => tracing::warn!(source, services = ?names, "removal released by command"),
                Lost::Endpoints(service, endpoints) => {
                    tracing::warn!(source, %service, endpoints = endpoints.len(), "removal released by command");
                }
            }
        }
        Ok(released)
    }

    /// What is served from `stateDir`, and whether `stateDir` is as it should be.
    fn problems_of_state(&self) -> Vec<Diagnostic> {
        let State { started, remembered, remembered_policies, .. } = &self.state;
        let day = humantime::format_rfc3339_seconds;
        let of_sources = self.parts.sources.iter().zip(remembered).filter_map(|(source, remembered)| {
            let saved = day(remembered.as_ref()?.saved);
            let message = format!(
                "since the start at {} it has not said completely what it knows; what it knew before is served, as it was kept in `stateDir` at {saved}",
                day(*started)
            );
            let problem = Diagnostic::file_error("served-from-state", format!("source `{}`", source.name), message);
            Some(problem.remedy("its word counts as soon as it can be read"))
        });
        let of_policies = remembered_policies.as_ref().map(|LastPolicies { saved, .. }| {
            let message = format!(
                "since the start at {} some could not be read; in their place is served what was kept in `stateDir` at {}",
                day(*started),
                day(*saved)
            );
            Diagnostic::file_error("served-from-state", "policies", message)
        });
        let saving = self.parts.saving.borrow();
        let of_saving = saving.as_ref().map(|why| {
            let message = format!("what is good cannot be kept: {why}; a restart would find an older state");
            Diagnostic::file_error("state-not-kept", "stateDir", message).remedy("it is tried again every 5 s")
        });
        of_sources.chain(of_policies).chain(of_saving).collect()
    }

    fn policy_problems(&self) -> Vec<Diagnostic> {
        let listing = self.parts.policy_files.listing.borrow().clone();
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

/// What a source knows: what it says, or, until that is complete, what it knew before beside it.
fn known(said: Arc<Slice>, remembered: &mut Option<LastServices>) -> Arc<Slice> {
    match remembered {
        Some(last) if !said.synced => Arc::new(last.beside(&said)),
        _ => {
            *remembered = None;
            said
        }
    }
}

/// What to keep of a source: what counts, once it has said completely what it knows.
fn good_services((slice, remembered): (&Arc<Slice>, &Option<LastServices>)) -> Option<crate::state::Services> {
    (slice.synced && remembered.is_none()).then(|| slice.services.clone())
}

/// A service that several sources have.
fn shared(name: &ServiceName, positions: &[usize], sources: &[SourceHandle]) -> Diagnostic {
    let names: Vec<&str> = positions.iter().filter_map(|&position| Some(&*sources.get(position)?.name)).collect();
    let message = format!("service `{name}` comes from {}; the first of them counts", names.join(" and "));
    let diagnostic = Diagnostic::file_error("conflict", "discovery", message);
    Diagnostic { level: Level::Warning, ..diagnostic }.remedy("rename it in one of the sources, or remove it there")
}

/// Whether a source or a policy file has changed since it was last looked at. Looks at none of it.
fn has_changed(sources: &[SourceHandle], policy_files: &Watching) -> bool {
    let new = |source: &SourceHandle| source.slices.has_changed().unwrap_or(false);
    sources.iter().any(new) || policy_files.listing.has_changed().unwrap_or(false)
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

/// Returns when it is said anew; never where nothing is kept.
async fn news(saving: &mut Saving) {
    if saving.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
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

fn source_statuses(
    sources: &[SourceHandle],
    slices: &[Arc<Slice>],
    remembered: &[Option<LastServices>],
) -> Vec<SourceStatus> {
    let status = |((source, slice), remembered): ((&SourceHandle, &Arc<Slice>), &Option<LastServices>)| SourceStatus {
        name: source.name.clone(),
        synced: slice.synced,
        current: slice.current,
        from_state: remembered.as_ref().map(|last| last.saved),
        services: slice.services.len(),
        problems: slice.problems.len(),
    };
    sources.iter().zip(slices).zip(remembered).map(status).collect()
}

/// Logs what is new, and what is over. A problem that only moved, since a line was added above it, is neither.
fn report(reported: &mut Vec<Diagnostic>, problems: &[Diagnostic]) {
    if reported == problems {
        return;
    }
    let key =
        |problem: &Diagnostic| (problem.id, problem.file().to_owned(), problem.field.clone(), problem.message.clone());
    let keys = |problems: &[Diagnostic]| problems.iter().map(key).collect::<HashSet<_>>();
    let (before, now) = (keys(reported), keys(problems));
    for problem in problems.iter().filter(|problem| !before.contains(&key(problem))) {
        match problem.level {
            Level::Error => tracing::error!("{problem}"),
            Level::Warning => tracing::warn!("{problem}"),
        }
    }
    for solved in reported.iter().filter(|known| !now.contains(&key(known))) {
        tracing::info!(file = solved.file(), id = solved.id, "solved: {}", solved.message);
    }
    *reported = problems.to_vec();
}
