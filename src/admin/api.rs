//! `/api/v1/…`: services, proxies, policies and resources as JSON.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, time};
use crate::{
    catalog::services_json,
    control::{
        Maker, Rejected,
        quarantine::{Case, Unit},
    },
    diagnostic::{At, Diagnostic, Place, SourceFile},
};

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/api/v1/services", get(services))
        .route("/api/v1/proxies", get(proxies))
        .route("/api/v1/policies", get(policies))
        .route("/api/v1/resources", get(resources))
        .route("/api/v1/rejections", get(rejections))
}

/// In the format of the service snapshot, so that what is printed can be served again; sources and problems beside.
async fn services(State(admin): State<Admin>) -> Json<Value> {
    let status = admin.status();
    let services = services_json(&status.catalog);
    let sources: Vec<Value> = status
        .sources
        .iter()
        .map(|source| {
            let mut value = json!({
                "name": source.name, "synced": source.synced, "current": source.current,
                "services": source.services, "problems": source.problems,
            });
            if let Some(saved) = source.from_state {
                value["fromState"] = json!({ "saved": time(saved), "since": time(status.started) });
            }
            value
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
    // A document that did not move when its file changed still stands in the text before: the file's own counts.
    for SourceFile { path, text } in status.policy_files.iter().map(|file| &**file) {
        files.insert(path, text);
    }
    let files: Vec<Value> = files.into_iter().map(|(path, text)| json!({ "path": path, "text": text })).collect();
    Json(json!({ "policies": policies, "files": files, "problems": problems(&status.problems) }))
}

/// What proxies reject of what they are sent, who wrote it, and what is done about it.
async fn rejections(State(admin): State<Admin>) -> Json<Value> {
    let status = admin.status();
    Json(json!({ "rejections": status.rejected.iter().map(rejection).collect::<Vec<_>>() }))
}

fn rejection(rejected: &Rejected) -> Value {
    let Rejected { case, makers } = rejected;
    let Case { unit, quarantined, together_with, has_earlier, nodes, count, message, documents: _ } = case;
    let Unit { resource_type, resource, host, version } = unit;
    let documents: Vec<Value> = makers
        .iter()
        .map(|Maker { document, field }| {
            let place = document.place_of(field);
            json!({ "document": document.name(), "file": &*place.file.path, "line": place.line, "field": field })
        })
        .collect();
    json!({
        "type": resource_type.plural(), "resource": resource.as_str(), "virtualHost": host.as_deref(),
        "version": version.to_string(), "quarantined": quarantined,
        "offered": match (quarantined, has_earlier) {
            (false, _) => "as it is",
            (true, true) => "the form that was accepted last",
            (true, false) => "nothing",
        },
        "proxies": nodes.iter().map(|node| &**node).collect::<Vec<_>>(), "count": count, "message": &**message,
        "togetherWith": together_with.iter().map(|unit| unit.host.as_deref().unwrap_or(unit.resource.as_str())).collect::<Vec<_>>(),
        "documents": documents,
    })
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
