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
            "description": "What the control plane knows and serves, and letting held removals go. Without authentication.",
        },
        "paths": {
            "/healthz": text("The process is alive"),
            "/readyz": text("200 once every source has synced once, or what was kept in stateDir is served in its place; 503 before. The text names what is waited for, and problems with what was read last"),
            "/metrics": text("Prometheus metrics"),
            "/api/v1/services": json_list("Every service with its ports and endpoints, as discovery has it", "services"),
            "/api/v1/proxies": json_list("Every connected proxy: its node, its group, and per type what it was sent, acknowledged and rejected", "proxies"),
            "/api/v1/policies": json_list("The policy documents in force, the texts of the files they stand in, and the problems with what was read last", "policies"),
            "/api/v1/guard": json_list("Sudden removals that are held back: by source and service, what would be removed, since and until when", "held"),
            "/api/v1/guard/release": {
                "post": {
                    "summary": "Lets held removals go at once, and says what they are: all, or those of one source, or what concerns one service",
                    "requestBody": { "required": true, "content": { "application/json": { "schema": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": { "source": { "type": "string" }, "service": { "type": "string" } },
                    } } } },
                    "responses": {
                        "200": response("application/json", json!({
                            "type": "object",
                            "required": ["released"],
                            "properties": { "released": { "type": "array", "items": { "type": "object" } } },
                        })),
                        "404": response("application/json", error_schema()),
                    },
                },
            },
            "/api/v1/rejections": json_list("What proxies reject and none has accepted: the resource, the proxy's words, how many reject it, what all are offered instead, and the documents that made it, by line", "rejections"),
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
        assert_eq!(paths.len(), 10);
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("operations by method") {
                assert!(operation["summary"].is_string(), "{method} {path}");
                assert!(operation["responses"]["200"].is_object(), "{method} {path}");
            }
        }
    }
}
