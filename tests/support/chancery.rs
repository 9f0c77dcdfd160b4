//! The real binary, serving from a folder of its own.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Process, eventually, free_port, http};

pub const BINARY: &str = env!("CARGO_BIN_EXE_chancery");

/// A control plane and its files.
#[derive(Debug)]
pub struct ControlPlane {
    pub folder: TempDir,
    pub xds_port: u16,
    pub admin_port: u16,
    process: Option<Process>,
}

impl ControlPlane {
    /// Files, but nothing that runs. The mesh's HTTP listener stands at `outbound_port`.
    pub fn prepare(services: &str, policies: &str, outbound_port: u16) -> Self {
        let folder = TempDir::new().unwrap();
        let (xds_port, admin_port) = (free_port(), free_port());
        let config = format!(
            "xds: {{ listen: 127.0.0.1:{xds_port} }}\nadmin: {{ listen: 127.0.0.1:{admin_port} }}\n\
             discovery: [ {{ file: {{ path: services.yaml }} }} ]\npolicies: [ {{ path: policies }} ]\n"
        );
        fs::write(folder.path().join("chancery.yaml"), config).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let mesh = format!(
            "apiVersion: chancery.dev/v1alpha1\nkind: Mesh\nmetadata: {{ name: mesh }}\n\
             spec: {{ outbound: {{ port: {outbound_port} }} }}\n"
        );
        fs::write(folder.path().join("policies/mesh.yaml"), mesh).unwrap();
        let plane = Self { folder, xds_port, admin_port, process: None };
        plane.write_services(services);
        plane.write_policies(policies);
        plane
    }

    pub async fn start(services: &str, policies: &str, outbound_port: u16) -> Self {
        let mut plane = Self::prepare(services, policies, outbound_port);
        plane.run().await;
        plane
    }

    /// Starts the process and waits until it is ready.
    pub async fn run(&mut self) {
        self.spawn();
        self.until_ready().await;
    }

    /// The same, with the folder as the working directory, so that every path is a relative one.
    pub async fn run_in_its_folder(&mut self) {
        let mut command = Command::new(BINARY);
        self.start_process(command.current_dir(self.folder.path()).args(["serve", "--config", "chancery.yaml"]));
        self.until_ready().await;
    }

    async fn until_ready(&self) {
        eventually("the control plane is ready", async || {
            http::get(&self.admin(), "/readyz").await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }

    /// Starts the process.
    pub fn spawn(&mut self) {
        let config = self.path("chancery.yaml");
        self.start_process(Command::new(BINARY).args(["serve", "--config"]).arg(config));
    }

    /// Starts the process where a line of shell was said before.
    pub fn spawn_under(&mut self, line: &str) {
        let config = self.path("chancery.yaml");
        let script = format!("{line}; exec \"$0\" serve --config \"$1\"");
        self.start_process(Command::new("sh").args(["-c", &script, BINARY]).arg(config));
    }

    fn start_process(&mut self, command: &mut Command) {
        let log = fs::File::options().create(true).append(true).open(self.path("serve.log")).unwrap();
        let process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.process = Some(Process(process));
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn admin(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }

    /// By rename, as careful programs write.
    pub fn write_services(&self, text: &str) {
        self.write("services.yaml", text);
    }

    pub fn write_policies(&self, text: &str) {
        self.write("policies/policies.yaml", text);
    }

    pub fn write(&self, name: &str, text: &str) {
        let partial = self.path(".partial");
        fs::write(&partial, text).unwrap();
        fs::rename(partial, self.path(name)).unwrap();
    }

    pub async fn get_json(&self, path: &str) -> Value {
        let answer = http::get(&self.admin(), path).await.unwrap();
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body))
    }

    /// The sum over all label values of a counter.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = http::get(&self.admin(), "/metrics").await.unwrap().body;
        let lines = metrics.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// Adds lines to the configuration; before it runs.
    pub fn configure(&self, lines: &str) {
        let config = fs::read_to_string(self.path("chancery.yaml")).unwrap();
        self.write("chancery.yaml", &format!("{config}{lines}"));
    }

    /// Runs a command of the binary and returns what it prints.
    pub fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new(BINARY).args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that fails, and returns its exit code and what it says.
    pub fn fails(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(BINARY).args(arguments).current_dir(self.folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
