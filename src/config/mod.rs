//! `chancery.yaml`: read, checked, complete.
//!
//! Reading is a function of the text; only [`load`] touches the file system. Unknown keys are refused; relative paths
//! are relative to the file they stand in.

mod document;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::{Schema, SchemaGenerator};

use crate::diagnostic::{Diagnostic, SourceFile};

/// Describes the file as written.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<document::Written>()
}

/// The configuration, every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where proxies connect. Default 127.0.0.1:18000.
    pub xds_listen: SocketAddr,
    /// Absent = plain text.
    pub tls: Option<Tls>,
    /// Around which age a proxy's connection is ended. Default 30 min.
    pub max_stream_age: Duration,
    /// Where people and scrapers connect. Default 127.0.0.1:19000.
    pub admin_listen: SocketAddr,
    /// The sources, in the order in which they count.
    pub sources: Vec<SourceConfig>,
    /// Files and folders of policy documents.
    pub policies: Vec<PathBuf>,
    /// Where the last known good state is kept; absent = in memory only.
    pub state_dir: Option<PathBuf>,
    /// How long changes may gather.
    pub push: Push,
    /// When a sudden removal is held.
    pub guard: Guard,
}

/// TLS towards proxies: files in PEM, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who may connect: certificates signed by these; absent = anybody.
    pub client_ca: Option<PathBuf>,
}

/// One source of discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceConfig {
    /// Service snapshots in a file or folder.
    File {
        /// Watched.
        path: PathBuf,
    },
}

/// How long changes may gather before they are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push {
    /// Changes are pushed once none came for this long. Default 20 ms.
    pub quiet: Duration,
    /// And at the latest this long after the first. Default 500 ms.
    pub max_delay: Duration,
}

/// When a sudden removal is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Of a source's services, or of a service's endpoints. Default 50.
    pub max_removed_percent: u32,
    /// For how long. Default 30 s.
    pub hold: Duration,
}

impl Default for Guard {
    fn default() -> Self {
        Self { max_removed_percent: 50, hold: Duration::from_secs(30) }
    }
}

/// Reads the configuration file. Every problem is reported.
pub fn load(path: &Path) -> Result<Config, Vec<Diagnostic>> {
    let shown: Arc<str> = path.to_string_lossy().into();
    let text = fs::read_to_string(path).map_err(|error| {
        vec![
            Diagnostic::file_error("unreadable", shown.clone(), format!("the configuration cannot be read: {error}"))
                .remedy("name the file with --config, or in CHANCERY_CONFIG"),
        ]
    })?;
    read(&Arc::new(SourceFile { path: shown, text: text.into() }))
}

/// Reads the configuration from its text; relative paths are relative to the file's folder.
pub fn read(file: &Arc<SourceFile>) -> Result<Config, Vec<Diagnostic>> {
    document::read(file)
}
