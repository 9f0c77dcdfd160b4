//! One snapshot file into services: every problem at once, places looked up only where there is one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
};

use super::document::{
    SnapshotFile, WrittenEndpoint, WrittenHealth, WrittenLocality, WrittenPort, WrittenProtocol, WrittenService,
};
use crate::{
    diagnostic::{Diagnostic, Place, SourceFile},
    model::{
        Address, Endpoint, EndpointSet, Health, HostName, Labels, Locality, Port, PortName, Protocol, Service,
        ServiceName, Visibility,
    },
    yaml::{self, UniqueMap, did_you_mean},
};

/// A service as one file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadService {
    /// Its definition.
    pub service: Arc<Service>,
    /// Its endpoints.
    pub endpoints: Arc<EndpointSet>,
    /// Where in the file it stands, as an index into `services`.
    pub index: usize,
}

/// Reads a file. An empty one is an error: a snapshot without services says so, `services: []`.
pub fn read(file: &Arc<SourceFile>) -> Result<Vec<ReadService>, Vec<Diagnostic>> {
    let Some(SnapshotFile { services }) = yaml::read_one(file)? else {
        let problem = Diagnostic::file_error("empty-file", file.path.clone(), "this snapshot file is empty");
        return Err(vec![problem.remedy("write `services: []` if there really are none")]);
    };
    let mut problems = Problems::default();
    check_claims(&services, &mut problems);
    let read: Vec<Option<ReadService>> =
        services.into_iter().enumerate().map(|(index, written)| service(index, written, &mut problems)).collect();
    let read: Vec<ReadService> = read.into_iter().flatten().collect();
    if problems.found.is_empty() { Ok(read) } else { Err(problems.locate(file)) }
}

/// Where a service has a name or host, case aside, in its file.
pub(super) fn place_of_claim(file: &Arc<SourceFile>, index: usize, name: &str) -> Option<(String, Place)> {
    let document = yaml::parse(file).documents.into_iter().next()?;
    let hosts = (0..).map(|host| format!("services[{index}].hosts[{host}]"));
    let paths = std::iter::once(format!("services[{index}].name")).chain(hosts);
    let mut found = paths.map_while(|path| Some((document.text(&path)?.eq_ignore_ascii_case(name), path)));
    let (_, path) = found.find(|(is_it, _)| *is_it)?;
    Some((path.clone(), document.place(&path)))
}

/// Problems by path; places come last, since finding them means reading the file again.
#[derive(Debug, Default)]
struct Problems {
    found: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    id: &'static str,
    path: String,
    message: String,
    remedy: Option<String>,
    related: Option<(String, &'static str)>,
}

impl Problems {
    fn add(&mut self, id: &'static str, path: String, message: String, remedy: impl Into<Option<String>>) {
        self.found.push(Problem { id, path, message, remedy: remedy.into(), related: None });
    }

    fn twice(&mut self, path: String, first: String, message: String, remedy: &str) {
        let related = Some((first, "first here"));
        self.found.push(Problem { id: "duplicate", path, message, remedy: Some(remedy.into()), related });
    }

    fn locate(self, file: &Arc<SourceFile>) -> Vec<Diagnostic> {
        let document = yaml::parse(file).documents.into_iter().next();
        let locate = |Problem { id, path, message, remedy, related }: Problem| {
            let Some(document) = &document else { return Diagnostic::file_error(id, file.path.clone(), message) };
            let diagnostic = Diagnostic { remedy, ..Diagnostic::error(id, document.place(&path), path, message) };
            match related {
                Some((path, part)) => diagnostic.related(document.place(&path), part),
                None => diagnostic,
            }
        };
        self.found.into_iter().map(locate).collect()
    }
}

fn service(index: usize, written: WrittenService, problems: &mut Problems) -> Option<ReadService> {
    let at = format!("services[{index}]");
    let WrittenService {
        name: written_name,
        hosts,
        labels: written_labels,
        ports: written_ports,
        endpoints: written_endpoints,
    } = written;
    let name = named(ServiceName::new(&written_name), || format!("{at}.name"), &written_name, problems);
    let mut read_hosts = Vec::with_capacity(hosts.len());
    for (index, host) in hosts.iter().enumerate() {
        read_hosts.extend(named(HostName::new(host), || format!("{at}.hosts[{index}]"), host, problems));
    }
    // A name it has already adds nothing, and Envoy refuses a domain that stands twice.
    let mut known = HashSet::from([written_name.to_ascii_lowercase()]);
    read_hosts.retain(|host| known.insert(host.as_str().to_ascii_lowercase()));
    read_hosts.sort();
    if written_ports.is_empty() {
        let remedy = "add a port, for example `- { name: http, port: 80, protocol: http }`".to_owned();
        problems.add("missing-field", format!("{at}.ports"), "a service has a port at least".into(), remedy);
    }
    let ports = ports(&at, &written_ports, problems);
    let mut endpoints = Vec::with_capacity(written_endpoints.len());
    for (index, written) in written_endpoints.into_iter().enumerate() {
        let read = endpoint(|| format!("{at}.endpoints[{index}]"), written, &ports, problems);
        endpoints.extend(read.map(|endpoint| (index, endpoint)));
    }
    check_addresses(&at, &endpoints, &ports, problems);
    check_weights(&at, &endpoints, problems);
    let mut sorted_ports = ports;
    sorted_ports.sort();
    let service = Service {
        name: name?,
        hosts: read_hosts,
        labels: labels(written_labels),
        ports: sorted_ports,
        said_namespace: None,
        visibility: Visibility::Everyone,
    };
    let endpoints = EndpointSet::new(endpoints.into_iter().map(|(_, endpoint)| endpoint).collect());
    Some(ReadService { service: Arc::new(service), endpoints: Arc::new(endpoints), index })
}

fn named<T>(
    name: Result<T, crate::model::NameError>,
    path: impl FnOnce() -> String,
    written: &str,
    problems: &mut Problems,
) -> Option<T> {
    name.map_err(|error| problems.add("invalid-value", path(), format!("`{written}` is no name: {error}"), None)).ok()
}

fn ports(at: &str, written: &[WrittenPort], problems: &mut Problems) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::with_capacity(written.len());
    for (index, WrittenPort { name, port, protocol, listen }) in written.iter().enumerate() {
        let path = |field: &str| format!("{at}.ports[{index}].{field}");
        let listen = listen.as_ref().and_then(|text| match text.parse::<SocketAddr>() {
            Ok(listen) => Some(listen),
            Err(_) => {
                let message = format!("`{text}` is no address with a port");
                let remedy = "write an IP address and a port, for example `127.0.0.1:9000`".to_owned();
                problems.add("invalid-value", path("listen"), message, remedy);
                None
            }
        });
        let Some(name) = named(PortName::new(name), || path("name"), name, problems) else { continue };
        if let Some(first) = written[..index].iter().position(|earlier| earlier.name == *name.as_str()) {
            let message = format!("port name `{name}` stands twice");
            problems.twice(path("name"), format!("{at}.ports[{first}].name"), message, "rename one of the two");
        }
        if let Some(first) = written[..index].iter().position(|earlier| earlier.port == *port) {
            let message = format!("port {port} stands twice");
            problems.twice(path("port"), format!("{at}.ports[{first}].port"), message, "remove one of the two");
        }
        let protocol = match protocol {
            WrittenProtocol::Http => Protocol::Http,
            WrittenProtocol::Http2 => Protocol::Http2,
            WrittenProtocol::Grpc => Protocol::Grpc,
            WrittenProtocol::Tcp => Protocol::Tcp,
            WrittenProtocol::Tls => Protocol::Tls,
        };
        ports.push(Port { number: *port, name, protocol, listen });
    }
    ports
}

fn endpoint(
    at: impl Fn() -> String,
    written: WrittenEndpoint,
    ports: &[Port],
    problems: &mut Problems,
) -> Option<Endpoint> {
    let WrittenEndpoint { address, ports: written_ports, locality, weight, health, labels: written_labels } = written;
    let address = match (address.parse::<IpAddr>(), HostName::new(&address)) {
        (Ok(ip), _) => Some(Address::Ip(ip)),
        // Digits and dots that are no address are a slip, not a host name.
        (Err(_), Ok(host)) if address.contains(|c: char| c.is_ascii_alphabetic()) => Some(Address::Host(host)),
        (Err(_), _) => {
            let remedy =
                "write an IP address, or a host name that Envoy resolves; the port goes into `ports`".to_owned();
            problems.add("invalid-value", format!("{}.address", at()), format!("`{address}` is no address"), remedy);
            None
        }
    };
    let mut own_ports = BTreeMap::new();
    for (name, number) in written_ports.0 {
        match ports.iter().find(|port| port.name.as_str() == name) {
            Some(port) => drop(own_ports.insert(port.name.clone(), number)),
            None => {
                let message = format!("the service has no port called `{name}`");
                let remedy = did_you_mean(&name, ports.iter().map(|port| port.name.as_str()));
                problems.add("unknown-port", format!("{}.ports.{name}", at()), message, remedy);
            }
        }
    }
    let WrittenLocality { region, zone, subzone } = locality;
    Some(Endpoint {
        address: address?,
        ports: own_ports,
        locality: Locality::new(&region, &zone, &subzone),
        weight: weight.unwrap_or(NonZeroU32::MIN),
        health: match health {
            WrittenHealth::Healthy => Health::Healthy,
            WrittenHealth::Unhealthy => Health::Unhealthy,
            WrittenHealth::Draining => Health::Draining,
        },
        labels: labels(written_labels),
    })
}

fn labels(written: UniqueMap<String, String>) -> Labels {
    written.0.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// One address and port twice within a port of the service; two instances on one host with different ports are fine.
/// Endpoints come with where they stand in the file. An endpoint is reported once, whatever the number of ports.
fn check_addresses(at: &str, endpoints: &[(usize, Endpoint)], ports: &[Port], problems: &mut Problems) {
    let mut reported = HashSet::new();
    for port in ports {
        let mut seen: HashMap<(Address, u16), usize> = HashMap::with_capacity(endpoints.len());
        for (index, endpoint) in endpoints {
            let number = endpoint.port_for(port).get();
            let first = *seen.entry((without_case(&endpoint.address), number)).or_insert(*index);
            if first != *index && reported.insert(*index) {
                let message = format!("{}:{number} stands twice for port `{}`", endpoint.address, port.name);
                let path = format!("{at}.endpoints[{index}].address");
                problems.twice(path, format!("{at}.endpoints[{first}].address"), message, "remove one of the two");
            }
        }
    }
}

fn without_case(address: &Address) -> Address {
    match address {
        Address::Host(host) if host.as_str().contains(|c: char| c.is_ascii_uppercase()) => {
            HostName::new(&host.as_str().to_ascii_lowercase()).map_or_else(|_| address.clone(), Address::Host)
        }
        Address::Host(_) | Address::Ip(_) => address.clone(),
    }
}

/// Envoy adds weights up in 32 bits, and refuses the endpoints of a service where that does not fit.
fn check_weights(at: &str, endpoints: &[(usize, Endpoint)], problems: &mut Problems) {
    let mut sum: u64 = 0;
    for (index, endpoint) in endpoints {
        sum += u64::from(endpoint.weight.get());
        if sum > u64::from(u32::MAX) {
            let message = format!("the weights of this service's endpoints add up to more than {}", u32::MAX);
            let remedy = "write smaller weights: only their proportion counts".to_owned();
            return problems.add("invalid-value", format!("{at}.endpoints[{index}].weight"), message, remedy);
        }
    }
}

/// A name or host that two services claim, case aside.
fn check_claims(services: &[WrittenService], problems: &mut Problems) {
    let mut claims: HashMap<String, (usize, Option<usize>)> = HashMap::with_capacity(services.len() * 2);
    let path = |index: usize, host: Option<usize>| match host {
        None => format!("services[{index}].name"),
        Some(host) => format!("services[{index}].hosts[{host}]"),
    };
    for (index, service) in services.iter().enumerate() {
        let hosts = service.hosts.iter().enumerate().map(|(host, text)| (text, Some(host)));
        for (name, host) in std::iter::once((&service.name, None)).chain(hosts) {
            let (first, first_host) = *claims.entry(name.to_ascii_lowercase()).or_insert((index, host));
            if first != index {
                let message = format!("`{name}` is claimed by two services");
                let remedy = "rename one, or remove the host from one";
                problems.twice(path(index, host), path(first, first_host), message, remedy);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let file = Arc::new(SourceFile { path: "s.yaml".into(), text: text.into() });
        let problems = read(&file).map_or_else(|problems| problems, |_| Vec::new());
        problems
            .iter()
            .map(|problem| format!("{}: {}: {}", problem_line(problem), problem.field, problem.message))
            .collect()
    }

    fn problem_line(problem: &Diagnostic) -> u32 {
        match &problem.at {
            crate::diagnostic::At::Place(place) => place.line,
            crate::diagnostic::At::File(_) => 0,
        }
    }

    #[test]
    fn every_problem_names_its_own_line() {
        let text = "services:
  - name: orders
    hosts:
      - orders.shop
      - ORDERS.shop
    ports: [{ name: http, port: 80, protocol: http }, { name: admin, port: 81, protocol: http }]
    endpoints:
      - { address: no address }
      - { address: 10.0.0.1 }
      - { address: 10.0.0.1, ports: { http: 8080, admin: 8081 } }
      - { address: 10.0.0.1 }
      - { address: 10.0.0.2, weight: 4294967295 }
      - { address: Host.internal }
      - { address: host.internal, weight: 5 }
  - name: Orders
    hosts:
      - fine
      - Orders.SHOP
    ports: [{ name: http, port: 80, protocol: http }]
";
        assert_eq!(
            problems(text),
            [
                "15: services[1].name: `Orders` is claimed by two services",
                "18: services[1].hosts[1]: `Orders.SHOP` is claimed by two services",
                "8: services[0].endpoints[0].address: `no address` is no address",
                "11: services[0].endpoints[3].address: 10.0.0.1:80 stands twice for port `http`",
                "14: services[0].endpoints[6].address: host.internal:80 stands twice for port `http`",
                "12: services[0].endpoints[4].weight: the weights of this service's endpoints add up to more than \
                 4294967295",
            ]
        );
    }

    #[test]
    fn a_host_that_a_service_names_twice_counts_once() {
        let text = "services: [{ name: a, hosts: [b, A, B, c], ports: [{ name: h, port: 1, protocol: tcp }] }]";
        let read = read(&Arc::new(SourceFile { path: "s.yaml".into(), text: text.into() })).expect("fine");
        assert_eq!(read[0].service.hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }
}
