//! The description of the API, for programs.

use axum::Json;
use serde_json::{Value, json};

/// `GET /api/v1/openapi.json`. A test asks for every path it lists.
pub(super) async fn document() -> Json<Value> {
    Json(describe())
}

fn describe() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "chancery admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the control plane knows and serves. Reading only.",
        },
        "paths": {
            "/healthz": text("The process is alive"),
            "/readyz": text("200 once every source has synced once, 503 before; the text names what is waited for, and problems with what was read last"),
            "/metrics": text("Prometheus metrics"),
            "/api/v1/services": json_list("Every service with its ports and endpoints, as discovery has it", "services"),
            "/api/v1/proxies": json_list("Every connected proxy: its node, its group, and per type what it was sent, acknowledged and rejected", "proxies"),
            "/api/v1/policies": json_list("The policy documents in force, the texts of the files they stand in, and the problems with what was read last", "policies"),
            "/api/v1/resources": {
                "get": {
                    "summary": "What a connected proxy is served, as proto3 JSON: clusters, endpoints, listeners, routes, secrets",
                    "parameters": [{
                        "name": "node", "in": "query", "required": true,
                        "schema": { "type": "string" }, "description": "node.id",
                    }],
                    "responses": {
                        "200": response("application/json", json!({ "type": "object" })),
                        "404": response("application/json", error_schema()),
                    },
                },
            },
        },
    })
}

fn text(summary: &str) -> Value {
    let ok = response("text/plain", json!({ "type": "string" }));
    json!({ "get": { "summary": summary, "responses": { "200": ok } } })
}

fn json_list(summary: &str, key: &str) -> Value {
    let schema = json!({
        "type": "object",
        "required": [key],
        "properties": { key: { "type": "array", "items": { "type": "object" } } },
    });
    json!({ "get": { "summary": summary, "responses": { "200": response("application/json", schema) } } })
}

fn error_schema() -> Value {
    json!({ "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } } })
}

fn response(content_type: &str, schema: Value) -> Value {
    json!({ "description": "see the schema", "content": { content_type: { "schema": schema } } })
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn every_path_has_a_summary_and_an_answer() {
        let document = describe();
        let paths = document["paths"].as_object().expect("an object of paths");
        assert_eq!(paths.len(), 7);
        for (path, item) in paths {
            assert!(item["get"]["summary"].is_string(), "{path}");
            assert!(item["get"]["responses"]["200"].is_object(), "{path}");
        }
    }
}
