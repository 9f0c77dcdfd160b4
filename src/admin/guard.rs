//! `/api/v1/guard`: the removals that are held, and letting them go.

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, time};
use crate::{
    catalog::Lost,
    control::{HeldRemoval, Release, ReleaseError, Released},
    model::{Endpoint, ServiceName},
};

pub(super) fn routes() -> Router<Admin> {
    Router::new().route("/api/v1/guard", get(held)).route("/api/v1/guard/release", post(release))
}

async fn held(State(admin): State<Admin>) -> Json<Value> {
    let removal = |held: &HeldRemoval| {
        let HeldRemoval { source, text, lost, gone, of, since, until } = held;
        let mut value = lost_json(source, lost);
        value["gone"] = (*gone).into();
        value["of"] = (*of).into();
        value["since"] = time(*since).into();
        value["until"] = time(*until).into();
        value["text"] = text.as_str().into();
        value
    };
    let held: Vec<Value> = admin.status().held.iter().map(removal).collect();
    let hold = humantime::format_duration(admin.guard.hold).to_string();
    Json(json!({ "held": held, "maxRemovedPercent": admin.guard.max_removed_percent, "hold": hold }))
}

/// What to let go: everything, or of one source, or what concerns one service.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    source: Option<String>,
    service: Option<String>,
}

/// Only as JSON: a browser that a stranger's page leads here sends that to nobody but those who allow it.
async fn release(State(admin): State<Admin>, asked: Result<Json<Asked>, JsonRejection>) -> Response {
    let refused = |status: StatusCode, error: String| (status, Json(json!({ "error": error }))).into_response();
    let Asked { source, service } = match asked {
        Ok(Json(asked)) => asked,
        Err(rejection) => return refused(rejection.status(), rejection.body_text()),
    };
    let service = match service.map(|name| ServiceName::new(&name).map_err(|error| (name, error))).transpose() {
        Ok(service) => service,
        Err((name, error)) => {
            return refused(StatusCode::BAD_REQUEST, format!("`{name}` is no name of a service: {error}"));
        }
    };
    match admin.releaser.release(Release { source, service }).await {
        Ok(released) => {
            let released: Vec<Value> =
                released.iter().map(|Released { source, lost }| lost_json(source, lost)).collect();
            Json(json!({ "released": released })).into_response()
        }
        Err(error @ ReleaseError::NoSuchSource { .. }) => refused(StatusCode::NOT_FOUND, error.to_string()),
        Err(error @ ReleaseError::GoingAway) => refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// `service` is absent where services themselves are gone: then `removed` names these, else the endpoints' addresses.
fn lost_json(source: &str, lost: &Lost) -> Value {
    match lost {
        Lost::Services(names) => {
            let names: Vec<&str> = names.iter().map(ServiceName::as_str).collect();
            json!({ "source": source, "removed": names })
        }
        Lost::Endpoints(service, endpoints) => {
            let endpoints: Vec<String> = endpoints.iter().map(endpoint).collect();
            json!({ "source": source, "service": service.as_str(), "removed": endpoints })
        }
    }
}

/// Two on one host are told apart by their ports.
fn endpoint(endpoint: &Endpoint) -> String {
    let ports: Vec<String> = endpoint.ports.values().map(ToString::to_string).collect();
    match ports.is_empty() {
        true => endpoint.address.to_string(),
        false => format!("{} ({})", endpoint.address, ports.join(", ")),
    }
}
