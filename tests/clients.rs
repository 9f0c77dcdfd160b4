//! Unmodified clients reach a service through the sidecar by each of the three ways in, and are balanced.
//!
//! Which client honours a proxy variable, and how (absolute URLs or CONNECT), is the client's affair: Node's `http`
//! and Go's client towards loopback names do not, and take the service's own address instead.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use support::{
    Process,
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    services::Instance,
};
use tokio::net::TcpStream;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn tool(name: &str) -> PathBuf {
    Path::new(ROOT).join(".tools").join(name)
}

fn script(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/clients").join(name)
}

/// A mesh with an HTTP, a gRPC and a TCP service, two instances of the first two.
struct Mesh {
    plane: ControlPlane,
    envoy: Envoy,
    listen_port: u16,
    grpc_listen_port: u16,
    _instances: Vec<Instance>,
    _processes: Vec<Process>,
    _redis: tempfile::TempDir,
}

impl Mesh {
    async fn start() -> Self {
        let installed = Command::new(Path::new(ROOT).join("scripts/install-clients")).status().unwrap();
        assert!(installed.success(), "scripts/install-clients says what is missing");
        let (outbound, listen_port, grpc_listen_port) = (free_port(), free_port(), free_port());
        let (redis_port, redis) = (free_port(), tempfile::TempDir::new().unwrap());
        let instances = Instance::start_many(&["orders-1", "orders-2"]).await;
        let mut processes = Vec::new();
        let mut greeter_ports = Vec::new();
        for name in ["greeter-1", "greeter-2"] {
            let port = free_port();
            greeter_ports.push(port);
            let server = Command::new(tool("python/bin/python"))
                .arg(script("greeter_server.py"))
                .args([name, &port.to_string()])
                .stdout(Stdio::null())
                .spawn();
            processes.push(Process(server.unwrap()));
        }
        let server = Command::new("redis-server")
            .args(["--port", &redis_port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(redis.path())
            .stdout(Stdio::null())
            .spawn();
        processes.push(Process(server.expect("scripts/install-clients installs redis-server")));
        for port in greeter_ports.iter().chain([&redis_port]) {
            eventually("the service listens", async || TcpStream::connect(("127.0.0.1", *port)).await.ok()).await;
        }
        let services = format!(
            "services:
  - name: orders
    hosts: [ orders.test ]
    ports:
      - {{ name: http, port: 80, protocol: http }}
      - {{ name: fixed, port: 8080, protocol: http, listen: \"127.0.0.1:{listen_port}\" }}
    endpoints:
      - {{ address: 127.0.0.1, ports: {{ http: {a}, fixed: {a} }} }}
      - {{ address: 127.0.0.1, ports: {{ http: {b}, fixed: {b} }} }}
  - name: greeter
    ports:
      - {{ name: grpc, port: 80, protocol: grpc }}
      - {{ name: fixed, port: 9000, protocol: grpc, listen: \"127.0.0.1:{grpc_listen_port}\" }}
    endpoints:
      - {{ address: 127.0.0.1, ports: {{ grpc: {c}, fixed: {c} }} }}
      - {{ address: 127.0.0.1, ports: {{ grpc: {d}, fixed: {d} }} }}
  - name: sessions
    ports: [ {{ name: redis, port: 6379, protocol: tcp }} ]
    endpoints: [ {{ address: 127.0.0.1, ports: {{ redis: {redis_port} }} }} ]
",
            a = instances[0].port,
            b = instances[1].port,
            c = greeter_ports[0],
            d = greeter_ports[1],
        );
        let policies = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: all }\n\
                        spec: { loadBalancer: { simple: ROUND_ROBIN } }\n";
        let mut plane = ControlPlane::prepare(&services, policies, outbound);
        plane.write(
            "policies/mesh.yaml",
            &format!(
                "apiVersion: chancery.dev/v1alpha1\nkind: Mesh\nmetadata: {{ name: mesh }}\n\
                 spec: {{ outbound: {{ port: {outbound}, listeners: all }} }}\n"
            ),
        );
        plane.run().await;
        let envoy =
            Envoy::start(&plane, Dialect::Delta, outbound, &["--node", "caller-1", "--service", "caller"]).await;
        Self {
            plane,
            envoy,
            listen_port,
            grpc_listen_port,
            _instances: instances,
            _processes: processes,
            _redis: redis,
        }
    }

    fn proxy(&self) -> String {
        format!("http://{}", self.envoy.proxy())
    }

    /// A service's own address, as `chancery hosts` prints it.
    fn own_address(&self, name: &str) -> String {
        let hosts = self.plane.command(&["hosts", "--config", "chancery.yaml", "--node", "caller-1"]);
        let line = hosts.lines().find(|line| line.split(' ').any(|word| word == name));
        line.unwrap_or_else(|| panic!("{name} is not in {hosts}")).split(' ').next().unwrap().to_owned()
    }

    /// Runs a client that prints one line for each answer; it must have met both instances.
    fn is_balanced(&self, what: &str, instances: [&str; 2], command: &mut Command) {
        let seen = self.lines(what, command);
        let wanted: BTreeSet<String> = instances.map(str::to_owned).into();
        assert_eq!(seen, wanted, "{what}");
    }

    fn lines(&self, what: &str, command: &mut Command) -> BTreeSet<String> {
        let no_proxy = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "grpc_proxy"];
        let set: Vec<String> = command.get_envs().map(|(key, _)| key.to_string_lossy().into_owned()).collect();
        for name in no_proxy.into_iter().filter(|name| !set.iter().any(|key| key == name)) {
            command.env_remove(name);
        }
        let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {stderr}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

const ORDERS: [&str; 2] = ["orders-1", "orders-2"];
const GREETERS: [&str; 2] = ["greeter-1", "greeter-2"];
const FOUR_TIMES: [&str; 4] = ["http://orders/"; 4];

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_are_balanced_by_every_way_in() {
    let mesh = Mesh::start().await;
    let (proxy, own) = (mesh.proxy(), mesh.own_address("orders"));
    let listen = format!("http://127.0.0.1:{}/", mesh.listen_port);
    let python = tool("python/bin/python");
    let node = |name: &str| {
        let mut command = Command::new("node");
        command.arg(script(name)).env("NODE_PATH", tool("node/node_modules"));
        command
    };

    // The proxy variable: absolute URLs, and CONNECT.
    let curl = || {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "10", "-w", "\\n"]);
        command
    };
    mesh.is_balanced("curl, http_proxy", ORDERS, curl().args(FOUR_TIMES).env("http_proxy", &proxy));
    mesh.is_balanced("curl, CONNECT", ORDERS, curl().args(["-p", "-x", &proxy]).args(FOUR_TIMES));
    for library in ["requests", "urllib"] {
        let mut command = Command::new(&python);
        command.arg(script("http_client.py")).args([library, "http://orders/", "4"]).env("http_proxy", &proxy);
        mesh.is_balanced(&format!("Python {library}, http_proxy"), ORDERS, &mut command);
    }
    mesh.is_balanced(
        "Node undici, http_proxy",
        ORDERS,
        node("undici_client.mjs").args(["http://orders/", "4"]).env("http_proxy", &proxy),
    );
    let go = Command::new("go")
        .args(["run", "http_client.go", "http://orders.test/", "4"])
        .current_dir(script(""))
        .env("HTTP_PROXY", &proxy)
        .env("GO111MODULE", "off")
        .output()
        .unwrap();
    assert!(go.status.success(), "{}", String::from_utf8_lossy(&go.stderr));
    let seen: BTreeSet<&str> = std::str::from_utf8(&go.stdout).unwrap().lines().collect();
    assert_eq!(seen, ORDERS.into(), "Go net/http, HTTP_PROXY");
    let mut grpcio = Command::new(&python);
    grpcio.arg(script("greeter_client.py")).args(["greeter:80", "8"]).env("http_proxy", &proxy);
    mesh.is_balanced("grpcio, CONNECT", GREETERS, &mut grpcio);
    let mut grpc_js = node("greeter_client.cjs");
    mesh.is_balanced("grpc-js, CONNECT", GREETERS, grpc_js.args(["greeter:80", "8"]).env("http_proxy", &proxy));

    // `listen`: an address of the port's own.
    mesh.is_balanced("curl, listen", ORDERS, curl().args([&listen, &listen, &listen, &listen]));
    mesh.is_balanced("Node http, listen", ORDERS, node("http_client.mjs").args(["http", &listen, "4"]));
    let target = format!("127.0.0.1:{}", mesh.grpc_listen_port);
    mesh.is_balanced(
        "grpcio, listen",
        GREETERS,
        Command::new(&python).arg(script("greeter_client.py")).args([&target, "8"]),
    );

    // An address of the service's own, without variables: what /etc/hosts would say, said to the client directly.
    let resolve = format!("orders:80:{own}");
    mesh.is_balanced("curl, own address", ORDERS, curl().args(["--resolve", &resolve]).args(FOUR_TIMES));
    let url = format!("http://{own}/");
    mesh.is_balanced("Node http, own address", ORDERS, node("http_client.mjs").args(["http", &url, "4"]));
    mesh.is_balanced("Node fetch, own address", ORDERS, node("http_client.mjs").args(["fetch", &url, "4"]));
    let target = format!("{}:80", mesh.own_address("greeter"));
    mesh.is_balanced("grpc-js, own address", GREETERS, node("greeter_client.cjs").args([&target, "8"]));
    let redis = mesh.own_address("sessions");
    let mut cli = Command::new("redis-cli");
    let answer = mesh.lines("redis-cli, own address", cli.args(["-h", &redis, "-p", "6379", "SET", "cart", "full"]));
    assert_eq!(answer, ["OK".to_owned()].into());
}
