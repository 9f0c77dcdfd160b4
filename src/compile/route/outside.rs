//! What an authority gets that no service has: a sentence, or where the mesh lets it out, the way to that host.
//!
//! Applications reach the HTTP listener as a proxy, so where they were going stands in the authority and nowhere else:
//! the cluster `passthrough` resolves it by DNS for each request. It finds hosts without a filter in the listener, so
//! that letting traffic out is a change of routes, and drains nothing.
//!
//! A request passed on could come back: its authority may be a name of this very listener. One that has the listener's
//! port is therefore marked as it leaves, and answered if it arrives with the mark. Others cannot come back, and leave
//! as they are.

use std::{net::SocketAddr, time::Duration};

use super::{path_match, tunnel};
use crate::{
    compile::wire::duration,
    model::{MeshSettings, OutboundTraffic},
    proto::envoy::{
        config::{
            core::v3::{DataSource, HeaderValue, HeaderValueOption, data_source},
            route::v3::{
                DirectResponseAction, HeaderMatcher, Route, RouteAction, VirtualHost,
                header_matcher::HeaderMatchSpecifier,
                route::Action,
                route_action::ClusterSpecifier,
                route_match::{ConnectMatcher, PathSpecifier},
            },
        },
        r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern},
    },
};

/// The cluster of hosts outside the mesh. No service's cluster is called so: those have a colon in their names.
pub(in crate::compile) const PASSTHROUGH: &str = "passthrough";

/// What a request carries that was passed on to the listener's own port.
const MARK: &str = "x-chancery-passed-on";

const UNKNOWN: &str =
    "No service in the mesh has this host name. `chancery render --type routes` lists those there are.\n";
const LOOP: &str = "This host is the sidecar's own listener: the request would go round in circles.\n";
const HTTPS: &str = "No service in the mesh has this host name, and it is passed on as plain HTTP only: for https, open a \
                     tunnel with CONNECT, as HTTP clients do that have HTTPS_PROXY set.\n";

/// The virtual host of authorities that nobody has.
pub(in crate::compile) fn virtual_host(mesh: &MeshSettings) -> VirtualHost {
    let routes = match mesh.outbound_traffic {
        OutboundTraffic::RegistryOnly => every_request().map(|path| answer(path, 404, UNKNOWN)).into(),
        OutboundTraffic::AllowAny => passed_on(mesh.outbound),
    };
    VirtualHost { name: "unknown".into(), domains: vec!["*".into()], routes, ..Default::default() }
}

/// `/` does not match CONNECT.
fn every_request() -> [PathSpecifier; 2] {
    [PathSpecifier::ConnectMatcher(ConnectMatcher {}), all_paths()]
}

fn all_paths() -> PathSpecifier {
    PathSpecifier::Prefix("/".into())
}

fn passed_on(listener: SocketAddr) -> Vec<Route> {
    let mut routes: Vec<Route> = every_request()
        .map(|path| when(answer(path, 508, LOOP), vec![matches(":authority", &own_address(listener))]))
        .into();
    routes.push(tunnel::to_cluster(PASSTHROUGH));
    // An absolute URL with https asks the proxy to speak TLS. Where the application says that it was itself reached by
    // https (a reverse proxy does), it asks for no such thing.
    let asks_for_tls = vec![
        matches(":scheme", "https"),
        HeaderMatcher { invert_match: true, ..matches("x-forwarded-proto", "https") },
    ];
    routes.push(when(answer(all_paths(), 400, HTTPS), asks_for_tls));
    let own_port = own_port(listener.port());
    let marked = HeaderMatcher {
        name: MARK.into(),
        header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
        ..Default::default()
    };
    routes.push(when(answer(all_paths(), 508, LOOP), vec![matches(":authority", &own_port), marked]));
    let mark = HeaderValueOption {
        header: Some(HeaderValue { key: MARK.into(), value: "1".into(), ..Default::default() }),
        ..Default::default()
    };
    let marking = Route { request_headers_to_add: vec![mark], ..onward() };
    routes.push(when(marking, vec![matches(":authority", &own_port)]));
    routes.push(onward());
    routes
}

/// The way to the host of the authority. How long it takes and whether it is tried again is the application's business.
fn onward() -> Route {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(PASSTHROUGH.into())),
        timeout: duration(Duration::ZERO),
        ..Default::default()
    };
    Route { r#match: Some(path_match(all_paths())), action: Some(Action::Route(action)), ..Default::default() }
}

fn answer(path: PathSpecifier, status: u32, sentence: &str) -> Route {
    let specifier = Some(data_source::Specifier::InlineString(sentence.into()));
    let answer = DirectResponseAction {
        status,
        body: Some(DataSource { specifier, ..Default::default() }),
        ..Default::default()
    };
    Route { r#match: Some(path_match(path)), action: Some(Action::DirectResponse(answer)), ..Default::default() }
}

fn when(mut route: Route, headers: Vec<HeaderMatcher>) -> Route {
    if let Some(matched) = &mut route.r#match {
        matched.headers = headers;
    }
    route
}

/// The whole value of a header.
fn matches(header: &str, regex: &str) -> HeaderMatcher {
    let regex = RegexMatcher { regex: regex.into(), ..Default::default() };
    let matcher = StringMatcher { match_pattern: Some(MatchPattern::SafeRegex(regex)), ..Default::default() };
    HeaderMatcher {
        name: header.into(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(matcher)),
        ..Default::default()
    }
}

/// The port that plain HTTP means where an authority has none.
const HTTP: u16 = 80;

/// Every authority that leads to a port, whatever its host. Envoy reads a port with `+` and zeros before it.
fn own_port(port: u16) -> String {
    format!("{}{}", r"(\[.*\]|[^:]*)", port_pattern(port))
}

/// The authorities that surely are the listener: names of this machine with its port.
fn own_address(listener: SocketAddr) -> String {
    let address = match listener {
        SocketAddr::V4(v4) => v4.ip().to_string().replace('.', r"\."),
        SocketAddr::V6(v6) => format!(r"\[{}\]", v6.ip()),
    };
    let port = port_pattern(listener.port());
    format!(r"(?i)(localhost\.?|127\.[0-9.]+|0\.0\.0\.0|\[::1?\]|{address}){port}")
}

fn port_pattern(port: u16) -> String {
    let optional = if port == HTTP { "?" } else { "" };
    format!("(:[+0]*{port}){optional}")
}
