//! The servers that are measured: chancery over a mesh, and the floor over a recording of it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    mesh::Mesh,
    process::{Cores, Process, cpu, resident},
};

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub admin: Option<SocketAddr>,
    process: Process,
}

impl Server {
    /// chancery over a mesh. `push` is the block of the configuration.
    pub fn chancery(binary: &Path, mesh: &Mesh, push: &str, cores: &Cores) -> Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let config = format!(
            "xds: {{ listen: \"{address}\" }}\nadmin: {{ listen: \"{admin}\" }}\npush: {push}\n\
             discovery: [ {{ file: {{ path: services }} }} ]\npolicies: [ {{ path: policies }} ]\n"
        );
        let path = mesh.path().join("chancery.yaml");
        std::fs::write(&path, config)?;
        let log = std::fs::File::create(mesh.path().join("serve.log"))?;
        let process = cores.start(
            Command::new(binary).args(["serve", "--config"]).arg(&path).env("CHANCERY_LOG", "error").stderr(log),
        )?;
        let server = Self { address, admin: Some(admin), process };
        server.wait(|| server.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))).with_context(
            || {
                format!(
                    "{} says: {}",
                    binary.display(),
                    std::fs::read_to_string(mesh.path().join("serve.log")).unwrap_or_default()
                )
            },
        )?;
        Ok(server)
    }

    /// The floor: this program, once more.
    pub fn floor(recording: &Path, cores: &Cores) -> Result<Self> {
        let address = free_address()?;
        let program: PathBuf = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg("floor").arg("--listen").arg(address.to_string()).arg("--recording").arg(recording);
        let process = cores.start(command.stderr(Stdio::inherit()))?;
        let server = Self { address, admin: None, process };
        server.wait(|| TcpStream::connect(address).is_ok())?;
        Ok(server)
    }

    /// Tells the floor to send an update.
    pub fn push(&mut self, update: usize) -> Result<()> {
        Ok(self.process.say(&format!("push {update}"))?)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn cpu(&self) -> Result<Duration> {
        cpu(self.process.id())
    }

    pub fn resident(&self) -> Result<u64> {
        resident(self.process.id())
    }

    /// A number of chancery's metrics, summed over labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics")?;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        Some(text.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin?).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn wait(&self, is_there: impl Fn() -> bool) -> Result<()> {
        let began = Instant::now();
        while !is_there() {
            ensure!(began.elapsed() < Duration::from_secs(60), "the server is not ready after 60 s");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
