//! Services in the format of the service snapshot, so that what is printed can be served again.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::model::{Catalog, CatalogEntry, Endpoint, Health, Labels, Port};

/// All services, sorted by name: equal catalogs are equal texts.
pub fn services_json(catalog: &Catalog) -> Value {
    Value::Array(catalog.iter().map(|(_, entry)| service_json(entry)).collect())
}

/// One service.
pub fn service_json(entry: &CatalogEntry) -> Value {
    let service = &entry.service;
    json!({
        "name": service.name.as_str(),
        "hosts": service.hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>(),
        "labels": labels(&service.labels),
        "ports": service.ports.iter().map(port).collect::<Vec<_>>(),
        "endpoints": entry.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn port(port: &Port) -> Value {
    let Port { number, name, protocol, listen } = port;
    let mut value = json!({ "name": name.as_str(), "port": number.get(), "protocol": protocol.as_str() });
    if let Some(listen) = listen {
        value["listen"] = Value::from(SocketAddr::to_string(listen));
    }
    value
}

fn endpoint(endpoint: &Endpoint) -> Value {
    let Endpoint { address, ports, locality, weight, health, labels: endpoint_labels } = endpoint;
    json!({
        "address": address.to_string(),
        "ports": ports.iter().map(|(name, port)| (name.to_string(), Value::from(port.get()))).collect::<Map<_, _>>(),
        "locality": { "region": &*locality.region, "zone": &*locality.zone, "subzone": &*locality.subzone },
        "weight": weight.get(),
        "health": match health {
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
            Health::Draining => "draining",
        },
        "labels": labels(endpoint_labels),
    })
}

fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect()
}
