//! The running server: builds the parts, owns every task, decides the order of start and stop.
//!
//! Two runtimes, so that ten thousand streams with something to send do not keep the next change waiting: sources and
//! the control loop have a thread of their own ([`Apart`]), and the system sees to it that it gets its share.
//!
//! Started: what was kept from the last run, files and sources, the control loop, the admin API, the xDS server. Stopped
//! in reverse: streams end first, within a deadline, while everything behind them still stands; what is good is written
//! last.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use prometheus_client::registry::Registry;
use tokio::{
    net::TcpListener,
    runtime::{self, Handle, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::Admin,
    catalog::GuardSettings,
    config::{self, Config, SourceConfig},
    control::{self, Control, Releaser, Settle, Status},
    diagnostic::{Diagnostic, SourceFile},
    discovery::{SourceHandle, file::FileSource, supervise},
    files,
    publish::Publish,
    state::{self, Good, LastGood, Saver},
    xds,
};

/// How long open streams may take to end after SIGTERM, of the 8 s in which everything ends.
const DRAIN: Duration = Duration::from_secs(7);

/// How long writing the last state may take when the process ends.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// Asked to.
    Stopped,
    /// What was read first has errors; nothing was served.
    Refused(Vec<Diagnostic>),
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(config: &Config, config_path: &Path) -> Result<Ended> {
    let Kept { last_good, problems: state_problems, saver } = Kept::open(config, config_path)?;
    let apart = Apart::start("control")?;
    let mut tasks = JoinSet::new();
    let sources = start_sources(config, &mut tasks, &apart);
    let policy_files = files::watch(config.policies.clone());
    let mut registry = Registry::with_prefix("chancery");
    let publish = Arc::new(Publish::default());
    let clients = Arc::new(xds::Clients::default());
    let (status_sender, status) = watch::channel(Arc::new(Status::default()));
    let mut rereaders = vec![policy_files.rereader()];
    rereaders.extend(sources.iter().map(|source| source.reread.clone()));

    // Signals are heard from before the first word is served.
    let mut signals = Signals::new()?;
    let admin_listener = bind(config.admin_listen, "admin.listen").await?;
    let xds_listener = bind(config.xds_listen, "xds.listen").await?;

    let tls = match &config.tls {
        None => None,
        Some(files) => Some(start_tls(files, &mut tasks)?),
    };
    let settle = Settle { quiet: config.push.quiet, max_delay: config.push.max_delay };
    let metrics = control::Metrics::register(&mut registry);
    let guard = GuardSettings { max_removed_percent: config.guard.max_removed_percent, hold: config.guard.hold };
    let (releaser, releases) = Releaser::new();
    let (good, what_is_good) = watch::channel(Arc::new(Good::default()));
    let (saver, saving) = saver.map_or_else(|| (None, watch::channel(None).1), |(saver, saving)| (Some(saver), saving));
    let mut control = Control::new(control::Parts {
        sources,
        policy_files,
        settle,
        guard,
        admin_url: format!("http://{}", config.admin_listen),
        last_good,
        good,
        saving,
        releases,
        publish: publish.clone(),
        status: status_sender,
        metrics,
    });
    let mut problems = control.first_look().await;
    if !problems.is_empty() {
        problems.extend(state_problems);
        return Ok(Ended::Refused(problems));
    }

    let xds_metrics = xds::Metrics::register(&mut registry);
    let server = xds::Server {
        settings: xds::Settings {
            stream_age: config.max_stream_age,
            connections: xds::connections_allowed(),
            drain: DRAIN,
            ..xds::Settings::default()
        },
        publish: publish.clone(),
        clients: clients.clone(),
        metrics: xds_metrics,
        tls,
    };
    let (draining, stopping) = (CancellationToken::new(), CancellationToken::new());
    let draining_too = draining.clone();
    let admin =
        Admin { status, clients, publish, releaser, guard, registry: Arc::new(registry), draining: draining_too };
    let saver_task = saver.map(|saver| tokio::spawn(saver.run(what_is_good, stopping.clone())));
    tasks.spawn_on(control.run(), &apart.handle);
    let admin_task = tokio::spawn(admin.serve(admin_listener, stopping.clone().cancelled_owned()));
    let mut xds_task = tokio::spawn(server.serve(xds_listener, draining.clone()));
    tracing::info!(
        config = %config_path.display(), xds = %config.xds_listen, admin = %config.admin_listen,
        "serving"
    );

    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Asked::ToReread => {
                    tracing::info!("SIGHUP: everything is read again");
                    say_if_configuration_differs(config, config_path);
                    rereaders.iter().for_each(|reread| reread());
                }
                Asked::ToStop => break,
            },
            ended = &mut xds_task => {
                ended.context("the xDS server panicked")?;
                break;
            }
        }
    }
    tracing::info!("stopping: streams end within {DRAIN:?}");
    draining.cancel();
    if !xds_task.is_finished() {
        xds_task.await.context("the xDS server panicked")?;
    }
    stopping.cancel();
    let _ = timeout(Duration::from_secs(1), admin_task).await;
    if let Some(saver_task) = saver_task {
        let _ = timeout(LAST_WRITE, saver_task).await;
    }
    tasks.shutdown().await;
    tracing::info!("stopped");
    Ok(Ended::Stopped)
}

/// A runtime of its own for sources and the control loop, until this is dropped. One thread reads what sources say while
/// the other pushes.
///
/// A task that wakes in a runtime of many waits until those before it have had their turn. With 2,000 streams that are
/// each sent 50 kB that was 200 ms, at each step from a file's event to the push.
struct Apart {
    handle: Handle,
    /// Absent once it ends.
    runtime: Option<Runtime>,
}

impl Apart {
    fn start(name: &str) -> Result<Self> {
        let mut builder = runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name(name).enable_all().build().context("starting a runtime")?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // The other runtime, where this is dropped, waits for nobody.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Listeners, sources and paths are set up once: a changed configuration is checked and named, and waits for a restart.
fn say_if_configuration_differs(running: &Config, path: &Path) {
    match config::load(path) {
        Ok(read) if read == *running => {}
        Ok(_) => {
            tracing::warn!(config = %path.display(), "the configuration has changed: it takes effect after a restart")
        }
        Err(problems) => problems.iter().for_each(|problem| tracing::error!("{problem}; a restart would be refused")),
    }
}

/// What `stateDir` holds, and who writes to it.
struct Kept {
    last_good: LastGood,
    problems: Vec<Diagnostic>,
    saver: Option<(Saver, state::Saving)>,
}

impl Kept {
    /// Takes the folder, so that another process on it is refused before it disturbs anybody.
    fn open(config: &Config, config_path: &Path) -> Result<Self> {
        let Some(path) = &config.state_dir else {
            return Ok(Self { last_good: LastGood::default(), problems: Vec::new(), saver: None });
        };
        // Sources are known by what they are in the configuration, wherever the process was started.
        let base = config_path.parent().unwrap_or(Path::new(""));
        let words = |source: &SourceConfig| match source {
            SourceConfig::File { path } => format!("file {}", path.strip_prefix(base).unwrap_or(path).display()),
        };
        let mut folder = state::Folder::open(path, base, config.sources.iter().map(words))?;
        let (last_good, problems) = folder.load();
        problems.iter().for_each(|problem| tracing::warn!("{problem}"));
        Ok(Self { last_good, problems, saver: Some(Saver::new(folder)) })
    }
}

fn start_sources(config: &Config, tasks: &mut JoinSet<()>, apart: &Apart) -> Vec<SourceHandle> {
    config
        .sources
        .iter()
        .map(|source| match source {
            SourceConfig::File { path } => {
                let (handle, task) = supervise(FileSource::new(path.clone()));
                tasks.spawn_on(task, &apart.handle);
                handle
            }
        })
        .collect()
}

/// The files are watched; what cannot be used leaves what was good, and is said.
fn start_tls(files: &config::Tls, tasks: &mut JoinSet<()>) -> Result<xds::Tls> {
    let files = files.clone();
    let paths = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
    let watching = files::watch(paths.into_iter().flatten().cloned().collect());
    let first = watching.listing.borrow().clone();
    let tls = xds::Tls::new(Pem::read(&files, &first)?.files()).context("`xds.tls`")?;
    let renewed = tls.clone();
    tasks.spawn(async move {
        // Taken whole: a part alone would let the watching end.
        let mut watching = watching;
        while watching.listing.changed().await.is_ok() {
            let listing = watching.listing.borrow_and_update().clone();
            match Pem::read(&files, &listing).and_then(|pem| Ok(renewed.renew(pem.files())?)) {
                Ok(()) => tracing::info!("TLS: new connections get the certificate that the files hold now"),
                Err(error) => tracing::error!("`xds.tls`: {error:#}; the last good certificate is used"),
            }
        }
    });
    Ok(tls)
}

/// The contents of the files of `xds.tls`.
struct Pem {
    cert: Arc<SourceFile>,
    key: Arc<SourceFile>,
    client_ca: Option<Arc<SourceFile>>,
}

impl Pem {
    fn read(files: &config::Tls, listing: &files::Listing) -> Result<Self> {
        let read = |path: &PathBuf| {
            let file = listing.files.get(&*path.to_string_lossy()).cloned();
            file.with_context(|| format!("{} cannot be read (`xds.tls`)", path.display()))
        };
        let config::Tls { cert, key, client_ca } = files;
        Ok(Self { cert: read(cert)?, key: read(key)?, client_ca: client_ca.as_ref().map(read).transpose()? })
    }

    fn files(&self) -> xds::TlsFiles<'_> {
        let Self { cert, key, client_ca } = self;
        xds::TlsFiles { cert: &cert.text, key: &key.text, client_ca: client_ca.as_ref().map(|file| &*file.text) }
    }
}

async fn bind(address: std::net::SocketAddr, what: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address} (`{what}` in the configuration)"))
}

/// What a signal asks for.
enum Asked {
    ToReread,
    ToStop,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::ToReread,
            _ = self.terminate.recv() => Asked::ToStop,
            _ = self.interrupt.recv() => Asked::ToStop,
        }
    }
}
