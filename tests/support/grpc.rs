//! gRPC's own libraries as applications use them: greeters to call, and callers that a test tells what to call.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::Once,
};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Process, chancery::ControlPlane, eventually, free_port};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn tool(name: &str) -> PathBuf {
    Path::new(ROOT).join(".tools/grpc").join(name)
}

fn script(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/clients").join(name)
}

pub fn installed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let installed = Command::new(Path::new(ROOT).join("scripts/install-clients")).status().unwrap();
        assert!(installed.success(), "scripts/install-clients says what is missing");
    });
}

/// Greeters in one process, each known by the name that it answers with.
pub struct Greeters {
    ports: BTreeMap<&'static str, u16>,
    _process: Process,
}

impl Greeters {
    pub async fn start(names: &[&'static str]) -> Self {
        installed();
        let ports: BTreeMap<&'static str, u16> = names.iter().map(|name| (*name, free_port())).collect();
        let server = Command::new(tool("python/bin/python"))
            .arg(script("greeter_server.py"))
            .args(ports.iter().flat_map(|(name, port)| [(*name).to_owned(), port.to_string()]))
            .spawn();
        let process = Process(server.unwrap());
        for port in ports.values() {
            eventually("a greeter listens", async || TcpStream::connect(("127.0.0.1", *port)).await.ok()).await;
        }
        Self { ports, _process: process }
    }

    /// A service with these endpoints, each a greeter's name and what else is said of it.
    fn service(&self, name: &str, endpoints: &[(&str, &str)]) -> String {
        let mut text =
            format!("  - name: {name}\n    ports: [ {{ name: grpc, port: 50051, protocol: grpc }} ]\n    endpoints:\n");
        for (greeter, more) in endpoints {
            let port = self.ports[greeter];
            text += &format!("      - {{ address: 127.0.0.1, ports: {{ grpc: {port} }}{more} }}\n");
        }
        text
    }

    pub fn services(&self, services: &[(&str, &[(&str, &str)])]) -> String {
        let services = services.iter().map(|(name, endpoints)| self.service(name, endpoints));
        format!("services:\n{}", services.collect::<String>())
    }
}

/// An application with one of the libraries.
pub struct Application {
    pub library: &'static str,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _process: Process,
}

impl Application {
    /// As a workload `shop` in eu/eu-1, with the bootstrap that the command prints.
    pub fn start(plane: &ControlPlane, library: &'static str) -> Self {
        let (node, xds) = (format!("shop-{library}"), format!("127.0.0.1:{}", plane.xds_port));
        let arguments = ["--node", &node, "--service", "shop", "--locality", "eu/eu-1", "--xds", &xds, "--grpc"];
        Self::with_bootstrap(library, &plane.command(&[&["bootstrap"], &arguments[..]].concat()))
    }

    pub fn with_bootstrap(library: &'static str, bootstrap: &str) -> Self {
        installed();
        let mut command = match library {
            "grpcio" => {
                let mut command = Command::new(tool("python/bin/python"));
                command.arg(script("xds_client.py"));
                command
            }
            _ => {
                let mut command = Command::new("node");
                command.arg(script("xds_client.cjs")).env("NODE_PATH", tool("node/node_modules"));
                command
            }
        };
        for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "grpc_proxy"] {
            command.env_remove(proxy);
        }
        command.env("GRPC_XDS_BOOTSTRAP_CONFIG", bootstrap).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { library, input, output, _process: Process(child) }
    }

    pub fn ask(&mut self, ask: &Value) -> Value {
        writeln!(self.input, "{ask}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {ask}: {error}: `{line}`", self.library))
    }

    pub fn call(&mut self, ask: Value) -> Calls {
        let answer = self.ask(&ask);
        let counts = |key: &str| -> BTreeMap<String, u64> { serde_json::from_value(answer[key].clone()).unwrap() };
        Calls { answers: counts("answers"), errors: counts("errors") }
    }

    pub fn greet(&mut self, service: &str, count: u64) -> Calls {
        self.call(json!({ "target": format!("xds:///{service}:50051"), "count": count }))
    }
}

/// How some calls ended.
#[derive(Debug)]
pub struct Calls {
    pub answers: BTreeMap<String, u64>,
    /// By `STATUS: details`.
    pub errors: BTreeMap<String, u64>,
}

impl Calls {
    pub fn from(&self, greeter: &str) -> u64 {
        self.answers.get(greeter).copied().unwrap_or(0)
    }

    pub fn all_from(&self, greeters: &[&str]) -> bool {
        let names: Vec<&str> = self.answers.keys().map(String::as_str).collect();
        self.errors.is_empty() && names == greeters
    }

    /// The one error that all of them ended with: its status, and its details.
    pub fn error(&self) -> (&str, &str) {
        assert!(self.answers.is_empty() && self.errors.len() == 1, "{self:?}");
        self.errors.keys().next().unwrap().split_once(": ").unwrap()
    }
}

/// C-core by way of Python, and the JavaScript one.
pub const LIBRARIES: [&str; 2] = ["grpcio", "grpc-js"];
