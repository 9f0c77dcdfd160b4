//! `/api/v1/…`: services, proxies, policies and resources as JSON.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Admin;
use crate::{
    diagnostic::{At, Diagnostic, Place},
    model::{Catalog, CatalogEntry, Endpoint, Health, Port},
};

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/api/v1/services", get(services))
        .route("/api/v1/proxies", get(proxies))
        .route("/api/v1/policies", get(policies))
        .route("/api/v1/resources", get(resources))
}

/// In the format of the service snapshot, so that what is printed can be served again; sources and problems beside.
async fn services(State(admin): State<Admin>) -> Json<Value> {
    let status = admin.status();
    let services = services_json(&status.catalog);
    let sources: Vec<Value> = status
        .sources
        .iter()
        .map(|source| {
            json!({
                "name": source.name, "synced": source.synced,
                "services": source.services, "problems": source.problems,
            })
        })
        .collect();
    Json(json!({ "services": services, "sources": sources, "problems": problems(&status.problems) }))
}

async fn proxies(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({ "proxies": admin.clients.to_json() }))
}

async fn policies(State(admin): State<Admin>) -> Json<Value> {
    let status = admin.status();
    let policies: Vec<Value> = status
        .policies
        .documents()
        .map(|document| {
            let place = document.place();
            json!({ "document": document.name(), "file": &*place.file.path, "line": place.line })
        })
        .collect();
    // The texts themselves, so that `plan` can compare what is served with what is proposed.
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    let places: Vec<Place> = status.policies.documents().map(|document| document.place()).collect();
    for place in &places {
        files.insert(&place.file.path, &place.file.text);
    }
    let files: Vec<Value> = files.into_iter().map(|(path, text)| json!({ "path": path, "text": text })).collect();
    Json(json!({ "policies": policies, "files": files, "problems": problems(&status.problems) }))
}

/// Services in the format of the service snapshot, sorted by name: equal catalogs are equal texts.
pub fn services_json(catalog: &Catalog) -> Value {
    Value::Array(catalog.iter().map(|(_, entry)| service(entry)).collect())
}

#[derive(Debug, Deserialize)]
struct Node {
    node: String,
}

async fn resources(State(admin): State<Admin>, Query(Node { node }): Query<Node>) -> Response {
    let refused = |sentence: String| (StatusCode::NOT_FOUND, Json(json!({ "error": sentence }))).into_response();
    let Some(group) = admin.clients.group_of(&node) else {
        return refused(format!("no proxy with node.id `{node}` is connected; /api/v1/proxies lists those that are"));
    };
    match admin.publish.latest(&group) {
        Some(snapshot) => Json(snapshot.to_json()).into_response(),
        None => refused(format!("`{node}` has just connected and is not served yet; ask again")),
    }
}

fn problems(problems: &[Diagnostic]) -> Vec<Value> {
    problems
        .iter()
        .map(|problem| {
            let (line, column) = match &problem.at {
                At::Place(place) => (Some(place.line), Some(place.column)),
                At::File(_) => (None, None),
            };
            json!({
                "level": problem.level.as_str(), "id": problem.id, "file": problem.file(), "line": line,
                "column": column, "field": problem.field, "message": problem.message, "remedy": problem.remedy,
            })
        })
        .collect()
}

fn service(entry: &CatalogEntry) -> Value {
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

fn labels(labels: &crate::model::service::Labels) -> Map<String, Value> {
    labels.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect()
}
