//! A real Envoy, started from what `chancery bootstrap` prints.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Process, chancery::ControlPlane, eventually, free_port, http};

/// The binary: `$ENVOY`, the one on PATH, or one that the script installs.
pub fn binary() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install-envoy");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "no Envoy: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().into()
}

/// Checks a configuration as Envoy itself does.
pub fn validate(config: &str) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("envoy.yaml");
    fs::write(&path, config).unwrap();
    let output = Command::new(binary()).args(["--mode", "validate", "-l", "error", "-c"]).arg(&path).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Which dialect it speaks to the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Delta,
    Sotw,
}

/// A sidecar.
#[derive(Debug)]
pub struct Envoy {
    pub admin_port: u16,
    pub outbound_port: u16,
    _folder: TempDir,
    _process: Process,
}

/// Keeps the shared memory of Envoys on one machine apart.
static NEXT_BASE_ID: AtomicU32 = AtomicU32::new(0);

impl Envoy {
    pub async fn start(plane: &ControlPlane, dialect: Dialect, outbound_port: u16, node: &[&str]) -> Self {
        Self::start_with(plane, dialect, outbound_port, node, |_| {}).await
    }

    /// `edit` changes what the bootstrap says.
    pub async fn start_with(
        plane: &ControlPlane,
        dialect: Dialect,
        outbound_port: u16,
        node: &[&str],
        edit: impl FnOnce(&mut Value),
    ) -> Self {
        let admin_port = free_port();
        let xds = format!("127.0.0.1:{}", plane.xds_port);
        let admin = admin_port.to_string();
        let mode = match dialect {
            Dialect::Delta => "delta",
            Dialect::Sotw => "sotw",
        };
        let mut arguments = vec!["bootstrap", "--xds", &xds, "--admin-port", &admin, "--mode", mode, "-o", "json"];
        arguments.extend(node);
        let mut bootstrap = serde_json::from_str(&plane.command(&arguments)).unwrap();
        edit(&mut bootstrap);
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("envoy.yaml");
        fs::write(&path, bootstrap.to_string()).unwrap();
        let base_id = std::process::id() % 100_000 * 100 + NEXT_BASE_ID.fetch_add(1, Ordering::Relaxed);
        let process = Command::new(binary())
            .args(["--concurrency", "1", "-l", "warn", "--drain-time-s", "2", "--base-id", &base_id.to_string(), "-c"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("envoy.log")).unwrap())
            .spawn()
            .unwrap();
        let envoy = Self { admin_port, outbound_port, _folder: folder, _process: Process(process) };
        eventually("Envoy is live", async || {
            http::get(&envoy.admin(), "/ready").await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        envoy
    }

    pub fn admin(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    /// Where applications reach the mesh.
    pub fn proxy(&self) -> String {
        format!("127.0.0.1:{}", self.outbound_port)
    }

    /// Every counter and gauge.
    pub async fn stats(&self) -> BTreeMap<String, u64> {
        let text = http::get_chunked(&self.admin(), "/stats").await.unwrap();
        let stat = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(stat).collect()
    }

    pub async fn stat(&self, name: &str) -> u64 {
        self.stats().await.get(name).copied().unwrap_or(0)
    }

    /// Waits until a statistic is as wanted.
    pub async fn until(&self, name: &str, wanted: impl Fn(u64) -> bool) -> u64 {
        eventually(name, async || Some(self.stat(name).await).filter(|value| wanted(*value))).await
    }

    /// Every cluster with its endpoints, and what each has in use.
    pub async fn clusters(&self) -> Value {
        serde_json::from_str(&http::get_chunked(&self.admin(), "/clusters?format=json").await.unwrap()).unwrap()
    }

    pub async fn config_dump(&self) -> Value {
        serde_json::from_str(&http::get_chunked(&self.admin(), "/config_dump").await.unwrap()).unwrap()
    }
}
