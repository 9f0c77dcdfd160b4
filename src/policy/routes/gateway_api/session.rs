//! What `sessionPersistence` comes to: the session that policies call `statefulSession`.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    model::policy::{CookiePath, SessionState, StatefulSession, WhenGone},
    policy::document::{
        Document,
        gateway_api::{SessionPersistence, SessionPersistenceType},
    },
};

/// The name of the cookie or the header: as written, or made of the rule's own, so that no two rules share sessions.
/// `field` is the path of the rule.
pub(super) fn name(written: &SessionPersistence, document: &Document, rule: Option<&str>, field: &str) -> Arc<str> {
    if let Some(name) = &written.session_name {
        return name.as_str().into();
    }
    let number = || field.trim_start_matches("spec.rules[").trim_end_matches(']').to_owned();
    let rule = rule.map_or_else(number, ToOwned::to_owned);
    let name = format!("session-{}-{}-{rule}", document.namespace(), document.id.name);
    // A document may be called anything.
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect::<String>()
        .into()
}

/// What Envoy is to do.
pub(super) fn session(written: &SessionPersistence, name: &Arc<str>) -> StatefulSession {
    let state = match written.kind {
        SessionPersistenceType::Cookie => SessionState::Cookie {
            name: name.clone(),
            ttl: written.absolute_timeout.map_or(Duration::ZERO, |timeout| timeout.0.0),
            path: CookiePath::OfTheMatch,
            attributes: Vec::new(),
        },
        SessionPersistenceType::Header => SessionState::Header(name.to_ascii_lowercase().into()),
    };
    StatefulSession { state, when_gone: WhenGone::GoElsewhere }
}

/// In the words of a TrafficPolicy, for those who ask why.
pub(super) fn as_a_policy_says_it(written: &SessionPersistence, name: &str) -> Value {
    match (written.kind, written.absolute_timeout) {
        (SessionPersistenceType::Cookie, None) => json!({ "cookie": { "name": name } }),
        (SessionPersistenceType::Cookie, Some(timeout)) => {
            json!({ "cookie": { "name": name, "ttl": timeout.0.to_string() } })
        }
        (SessionPersistenceType::Header, _) => json!({ "header": { "name": name } }),
    }
}
