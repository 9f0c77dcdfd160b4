//! What the types cannot see: Istio's own validation of a `ServiceEntry`, and what would have no effect here.

use std::{collections::HashMap, net::IpAddr};

use super::{EntryEndpoint, EntryPort, Resolution, ServiceEntry};
use crate::{
    diagnostic::Diagnostic,
    model::Protocol,
    policy::document::{
        export_to::{Nobody, is_dns_label},
        key_segment,
    },
    yaml::{self, did_you_mean},
};

pub(in crate::policy::document) fn check(entry: &ServiceEntry, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut found = Found { source, problems: Vec::new() };
    found.problems.extend(entry.export_to.check(Nobody::Allowed, source));
    if entry.resolution == Resolution::DynamicDns {
        found.unsupported(
            "spec.resolution",
            "DYNAMIC_DNS is not supported: nothing here resolves a name that only the client knows",
            "list the hosts with `resolution: DNS`",
        );
        return found.problems;
    }
    check_hosts(entry, &mut found);
    check_addresses(entry, &mut found);
    check_ports(&entry.ports, &mut found);
    check_endpoints(entry, &mut found);
    if entry.resolution == Resolution::None && found.problems.is_empty() {
        let message = "NONE sends connections on to where they were going, and sidecars know that only of connections \
                       that something redirects to them: all others are answered with 503";
        found.warning("passthrough", "spec.resolution", message, "write `resolution: DNS`");
    }
    found.problems
}

struct Found<'a> {
    source: &'a yaml::Document,
    problems: Vec<Diagnostic>,
}

impl Found<'_> {
    fn add(&mut self, id: &'static str, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.source.place(path);
        self.problems.push(Diagnostic::error(id, place, path, message).remedy(remedy));
    }

    fn error(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add("invalid-value", path, message, remedy);
    }

    fn unsupported(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add("unsupported", path, message, remedy);
    }

    fn warning(&mut self, id: &'static str, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.source.key_place(path);
        self.problems.push(Diagnostic::warning(id, place, path, message).remedy(remedy));
    }
}

/// A name as DNS has it: labels of letters, digits, `-` and `_`, 253 characters at most.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        let at_edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        label.len() <= 63
            && label.bytes().all(allowed)
            && at_edge(label.bytes().next())
            && at_edge(label.bytes().next_back())
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// The part of a host that is a name: behind `*.` or `*`, where it is a wildcard.
fn without_star(host: &str) -> &str {
    let rest = host.strip_prefix('*').unwrap_or(host);
    rest.strip_prefix('.').filter(|_| rest.len() < host.len()).unwrap_or(rest)
}

fn check_hosts(entry: &ServiceEntry, found: &mut Found<'_>) {
    let ServiceEntry { hosts, ports, resolution, endpoints, .. } = entry;
    if hosts.is_empty() {
        found.error("spec.hosts", "a ServiceEntry has a host at least", "name what clients dial");
    }
    let bytes = ports.iter().position(|port| !protocol(port).is_http());
    for (index, host) in hosts.iter().enumerate() {
        let path = format!("spec.hosts[{index}]");
        let is_wildcard = host.starts_with('*');
        if host == "*" {
            found.error(&path, "`*` is every host there is", "write a domain behind it, for example `*.example.com`");
        } else if !is_domain(without_star(host)) || host.parse::<IpAddr>().is_ok() {
            let remedy = "write a name such as `api.example.com`; addresses go into `addresses` or `endpoints`";
            found.error(&path, format!("`{host}` is no host name"), remedy);
        } else if hosts[..index].iter().any(|earlier| earlier.eq_ignore_ascii_case(host)) {
            found.error(&path, format!("`{host}` stands twice"), "remove one of the two");
        } else if is_wildcard && is_dns(*resolution) && endpoints.is_empty() {
            let message = format!("`{host}` is a wildcard, which DNS cannot resolve");
            found.error(&path, message, "name the hosts one by one, or write `endpoints`");
        } else if is_wildcard && let Some(port) = bytes {
            let message =
                format!("port `{}` is not HTTP, and on it a wildcard has no name to be dialled by", ports[port].name.0);
            found.unsupported(&path, message, "name the hosts one by one");
        }
    }
    if let (Some(port), [_, _, ..]) = (ports.iter().position(|port| protocol(port) == Protocol::Tcp), &hosts[..])
        && *resolution != Resolution::None
    {
        let path = format!("spec.ports[{port}].protocol");
        let message = "of several hosts only HTTP and TLS can tell which one is meant";
        found.error(&path, message, "write a ServiceEntry for each host");
    }
}

fn is_dns(resolution: Resolution) -> bool {
    match resolution {
        Resolution::Dns | Resolution::DnsRoundRobin => true,
        Resolution::None | Resolution::Static | Resolution::DynamicDns => false,
    }
}

/// What is spoken on a port; where it does not say, that is another problem.
fn protocol(port: &EntryPort) -> Protocol {
    port.protocol.map_or(Protocol::Http, |protocol| protocol.0)
}

fn check_addresses(entry: &ServiceEntry, found: &mut Found<'_>) {
    let bytes = entry.ports.iter().find(|port| !protocol(port).is_http());
    for (index, address) in entry.addresses.iter().enumerate() {
        let path = format!("spec.addresses[{index}]");
        let (host, prefix) = address.split_once('/').map_or((&**address, None), |(host, prefix)| (host, Some(prefix)));
        let ip = host.parse::<IpAddr>();
        let widest = if matches!(ip, Ok(IpAddr::V6(_))) { 128 } else { 32 };
        let is_prefix = prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|bits| bits <= widest));
        let Some(ip) = ip.ok().filter(|_| is_prefix) else {
            let message = format!("`{address}` is neither an IP address nor a range of addresses");
            found.error(&path, message, "write an address such as `127.10.0.7`");
            continue;
        };
        if prefix.is_some() && is_dns(entry.resolution) {
            let message = "ranges of addresses are for STATIC and NONE";
            found.error(&path, message, "write single addresses, or none");
        } else if prefix.is_some() {
            let message = "a range of addresses is not supported: nothing redirects connections to sidecars";
            found.unsupported(&path, message, "write single addresses, or none, and let clients dial the host");
        } else if !ip.is_loopback() && !ip.is_ipv4() {
            let message = "an IPv6 address other than ::1 is not supported";
            found.unsupported(&path, message, "leave it out, and let clients dial the host");
        } else if let Some(port) = bytes.filter(|_| !ip.is_loopback()) {
            let message = format!(
                "sidecars cannot take connections at {address} for port `{}`: nothing redirects them there",
                port.name.0
            );
            let remedy = "write an address of 127.0.0.0/8, or none: `chancery hosts` prints what leads to the sidecar";
            found.unsupported(&path, message, remedy);
        } else if entry.addresses[..index].contains(address) {
            found.error(&path, format!("`{address}` stands twice"), "remove one of the two");
        }
    }
}

fn check_ports(ports: &[EntryPort], found: &mut Found<'_>) {
    if ports.is_empty() {
        found.warning("no-effect", "spec", "without `ports` this entry has no effect", "add `ports`, or remove it");
    }
    for (index, EntryPort { number, name, protocol, target_port: _ }) in ports.iter().enumerate() {
        let path = |field: &str| format!("spec.ports[{index}]{field}");
        if !is_dns_label(name.0.as_str()) {
            let message = format!("`{}` is no name of a port", name.0);
            found.error(&path(".name"), message, "write lower-case letters, digits and `-`, 63 at most");
        }
        if ports[..index].iter().any(|earlier| earlier.name == *name) {
            found.error(&path(".name"), format!("port name `{}` stands twice", name.0), "rename one of the two");
        }
        if ports[..index].iter().any(|earlier| earlier.number == *number) {
            found.error(&path(".number"), format!("port {number} stands twice"), "remove one of the two");
        }
        if protocol.is_none() {
            let message = "a port without `protocol` is not supported: nothing finds out what is spoken there";
            found.unsupported(&path(".protocol"), message, "write it, for example `protocol: HTTP`");
        }
    }
}

fn check_endpoints(entry: &ServiceEntry, found: &mut Found<'_>) {
    let ServiceEntry { ports, resolution, endpoints, .. } = entry;
    match resolution {
        Resolution::None if !endpoints.is_empty() => {
            let remedy = "write `resolution: STATIC` for addresses, `resolution: DNS` for names, or no endpoints";
            found.error("spec.endpoints", "NONE takes no endpoints", remedy);
        }
        Resolution::DnsRoundRobin if endpoints.len() > 1 => {
            let remedy = "write `resolution: DNS`, or one endpoint";
            found.error("spec.endpoints", "DNS_ROUND_ROBIN takes one endpoint", remedy);
        }
        Resolution::None
        | Resolution::Static
        | Resolution::Dns
        | Resolution::DnsRoundRobin
        | Resolution::DynamicDns => {}
    }
    let mut sum: u64 = 0;
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = format!("spec.endpoints[{index}]");
        check_endpoint(endpoint, &path, entry, found);
        sum += u64::from(endpoint.weight.unwrap_or(1).max(1));
        if sum > u64::from(u32::MAX) {
            let message = format!("the weights of these endpoints add up to more than {}", u32::MAX);
            found.error(&format!("{path}.weight"), message, "write smaller weights: only their proportion counts");
            sum = 0;
        }
    }
    for port in ports {
        let mut seen = HashMap::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let Some(address) = &endpoint.address else { continue };
            let number = port_of(endpoint, port);
            let first = *seen.entry((address.to_ascii_lowercase(), number)).or_insert(index);
            if first != index {
                let message = format!("{address}:{number} stands twice for port `{}`", port.name.0);
                found.error(&format!("spec.endpoints[{index}].address"), message, "remove one of the two");
            }
        }
    }
}

/// The port that an endpoint listens on for a port of the entry.
pub(in crate::policy) fn port_of(endpoint: &EntryEndpoint, port: &EntryPort) -> std::num::NonZeroU16 {
    let own = endpoint.ports.0.get(port.name.0.as_str()).copied();
    own.or(port.target_port).unwrap_or(port.number)
}

fn check_endpoint(endpoint: &EntryEndpoint, path: &str, entry: &ServiceEntry, found: &mut Found<'_>) {
    let EntryEndpoint { address, ports, labels, locality, .. } = endpoint;
    let at = format!("{path}.address");
    match address.as_deref() {
        None | Some("") => found.error(path, "an endpoint has an `address`", "write an IP address or a host name"),
        Some(address) if address.starts_with("unix:") => {
            let message = "an endpoint at a Unix socket is not supported";
            found.unsupported(&at, message, "let it listen on an address and a port");
        }
        Some(address) if address.parse::<IpAddr>().is_ok() => {}
        Some(address) if entry.resolution == Resolution::Static => {
            let message = format!("`{address}` is no IP address, which STATIC takes alone");
            found.error(&at, message, "write `resolution: DNS` for host names");
        }
        // Digits and dots that are no address are a slip, not a host name.
        Some(address) if is_domain(address) && address.contains(|c: char| c.is_ascii_alphabetic()) => {}
        Some(address) => {
            let message = format!("`{address}` is neither an IP address nor a host name");
            found.error(&at, message, "write one of the two; the port goes into `ports`");
        }
    }
    for name in ports.0.keys() {
        if !entry.ports.iter().any(|port| port.name.0.as_str() == name) {
            let message = format!("the entry has no port called `{name}`");
            let near = did_you_mean(name, entry.ports.iter().map(|port| port.name.0.as_str()));
            let remedy = near.unwrap_or_else(|| "name it in `spec.ports`".to_owned());
            found.error(&format!("{path}.ports{}", key_segment(name)), message, remedy);
        }
    }
    for key in labels.0.keys().filter(|key| key.is_empty()) {
        let at = format!("{path}.labels{}", key_segment(key));
        found.error(&at, "a label without a name", "name it, or remove it");
    }
    if locality.as_deref().is_some_and(|text| text.matches('/').count() > 2) {
        let message = "a locality has three parts at most";
        found.error(&format!("{path}.locality"), message, "write `region/zone/subzone`");
    }
}
