//! Listeners by the names that applications dial: no socket, only what a call meets on its way (A27, A39).
//!
//! The routes are part of the listener: one resource less to wait for, and never one without the other.

use crate::{
    compile::listener::FAULT,
    model::{Port, Service},
    proto::{
        self, Any,
        envoy::{
            config::{
                listener::v3::{ApiListener, Listener},
                route::v3::{RouteConfiguration, VirtualHost},
            },
            extensions::filters::{
                http::{fault::v3::HttpFault, router::v3::Router},
                network::http_connection_manager::v3::{
                    HttpConnectionManager, HttpFilter, http_connection_manager::RouteSpecifier, http_filter,
                },
            },
        },
    },
};

/// One for each name that leads to a port.
pub(super) fn for_names(service: &Service, port: &Port, host: VirtualHost) -> Vec<Listener> {
    let manager = proto::any(&http_connection_manager(host));
    let listener = |name: String| Listener {
        name,
        api_listener: Some(ApiListener { api_listener: Some(manager.clone()) }),
        ..Default::default()
    };
    names(service, port).into_iter().map(listener).collect()
}

/// Each name of the service with the port, and without it where it is the first one.
fn names(service: &Service, port: &Port) -> Vec<String> {
    // Nobody can dial an ending.
    let names = || service.names().filter(|_| !service.name.is_wildcard());
    let mut all: Vec<String> = names().map(|name| format!("{name}:{}", port.number)).collect();
    if first_port(service).is_some_and(|first| first.number == port.number) {
        all.extend(names().map(ToOwned::to_owned));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The port that a name without one means: the first on which calls can be told apart.
fn first_port(service: &Service) -> Option<&Port> {
    service.ports.iter().find(|port| port.protocol.is_http())
}

fn http_connection_manager(host: VirtualHost) -> HttpConnectionManager {
    let routes = RouteConfiguration { name: host.name.clone(), virtual_hosts: vec![host], ..Default::default() };
    HttpConnectionManager {
        stat_prefix: routes.name.clone(),
        // The router comes last; the other does nothing unless a route says so.
        http_filters: vec![
            http_filter(FAULT, proto::any(&HttpFault::default())),
            http_filter("envoy.filters.http.router", proto::any(&Router::default())),
        ],
        route_specifier: Some(RouteSpecifier::RouteConfig(routes)),
        ..Default::default()
    }
}

fn http_filter(name: &str, config: Any) -> HttpFilter {
    HttpFilter {
        name: name.into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}
