//! What a setting is where no document says anything: for people who ask, in the words of the documents.
//!
//! `effective` is where defaults take effect; a test holds the two together.

use serde_json::{Value, json};

use super::leaves::Path;

/// Every setting that has a value of its own without any document, by path, in the order of the paths. Settings whose
/// absence means that Envoy decides, or that there is no such thing, are not among them.
pub fn defaults() -> Vec<(Path, Value)> {
    let unlimited = json!(u32::MAX);
    [
        ("connectionPool.http.http1MaxPendingRequests", unlimited.clone()),
        ("connectionPool.http.http2MaxRequests", unlimited.clone()),
        ("connectionPool.http.maxRetries", unlimited.clone()),
        ("connectionPool.tcp.connectTimeout", json!("10s")),
        ("connectionPool.tcp.maxConnections", unlimited),
        ("connectionPool.trackRemaining", json!(false)),
        ("dns.refreshRate", json!("60s")),
        ("dns.respectTtl", json!(true)),
        ("dns.type", json!("STRICT")),
        ("loadBalancer.panicThreshold", json!(0.0)),
        ("loadBalancer.simple", json!("LEAST_REQUEST")),
        ("maxStreamDuration", json!("0s")),
        ("priority", json!("DEFAULT")),
        ("retries.attempts", json!(2)),
        ("retries.hostSelectionAttempts", json!(5)),
        ("retries.nonIdempotent", json!(false)),
        ("retries.retryIgnorePreviousHosts", json!(true)),
        ("retries.retryOn", json!("connect-failure,refused-stream,reset-before-request")),
        ("retries.retryRemoteLocalities", json!(false)),
        ("streamIdleTimeout", json!("0s")),
        ("timeout", json!("0s")),
    ]
    .map(|(path, value)| (path.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{document::Settings, effective::effective, leaves::unflatten},
        *,
    };

    #[test]
    fn saying_a_default_changes_nothing() {
        let said = defaults();
        let settings = unflatten(said.iter().map(|(path, value)| (path, value)));
        assert_eq!(effective(&settings), effective(&Settings::default()));
        for (path, value) in &said {
            assert_eq!(effective(&unflatten([(path, value)])), effective(&Settings::default()), "{path}");
        }
    }
}
