//! What `sessionPersistence` may say: what the Gateway API allows, and Envoy can do.

use super::{SessionPersistence, SessionPersistenceType, check::Found};
use crate::policy::document::virtual_service::is_header_name;

/// The longest name that the Gateway API takes.
const LONGEST_NAME: usize = 128;

/// `backends`: to how many places the rule leads.
pub(super) fn check(session: &SessionPersistence, backends: usize, path: &str, found: &mut Found<'_>) {
    let SessionPersistence { session_name, absolute_timeout, idle_timeout, kind, cookie_config } = session;
    let path = format!("{path}.sessionPersistence");
    if let Some(name) = session_name {
        let path = format!("{path}.sessionName");
        if !is_header_name(name) {
            let message = format!("`{name}` is no name of a cookie or a header");
            found.error(&path, message, "use letters, digits and `-`, for example `shop-session`");
        } else if name.len() > LONGEST_NAME {
            let message = format!("a name of {} characters: {LONGEST_NAME} are the most", name.len());
            found.error(&path, message, "write a shorter one");
        }
    }
    if idle_timeout.is_some() {
        let message = "`idleTimeout` is not supported: Envoy does not see how long a session is idle";
        let remedy = "remove it, or write `absoluteTimeout` with `cookieConfig: { lifetimeType: Permanent }`";
        found.unsupported(&format!("{path}.idleTimeout"), message, remedy);
    }
    let timeout = format!("{path}.absoluteTimeout");
    match (kind, absolute_timeout) {
        (SessionPersistenceType::Header, _) if cookie_config.is_some() => {
            let message = "`cookieConfig` has no effect beside `type: Header`";
            found.error(&format!("{path}.cookieConfig"), message, "remove one of the two");
        }
        (SessionPersistenceType::Header, Some(_)) => {
            let message = "`absoluteTimeout` is not supported of a header: Envoy lets it name its endpoint for ever";
            found.unsupported(&timeout, message, "remove it, or write `type: Cookie`");
        }
        (SessionPersistenceType::Cookie, Some(_)) if !session.is_permanent() => {
            let message = "`absoluteTimeout` is not supported of a cookie that ends with the client's session: Envoy \
                           writes a lifetime into the cookie alone";
            found.unsupported(&timeout, message, "write `cookieConfig: { lifetimeType: Permanent }`, or remove it");
        }
        (SessionPersistenceType::Cookie, Some(timeout_is)) if timeout_is.0.0.as_secs() == 0 => {
            found.error(&timeout, "a cookie lives for whole seconds", "write `1s` or more");
        }
        (SessionPersistenceType::Cookie, Some(timeout_is)) if timeout_is.0.0.subsec_nanos() != 0 => {
            found.error(&timeout, "a cookie lives for whole seconds", "write whole seconds, for example `1h`");
        }
        (SessionPersistenceType::Cookie, None) if session.is_permanent() => {
            let message = "`lifetimeType: Permanent` needs `absoluteTimeout`: how long does the cookie live?";
            found.error(&format!("{path}.cookieConfig.lifetimeType"), message, "add `absoluteTimeout: 1h`");
        }
        (SessionPersistenceType::Header, None) | (SessionPersistenceType::Cookie, Some(_) | None) => {}
    }
    match backends {
        0 => {
            let message = "`sessionPersistence` has no effect without `backendRefs`: there is no endpoint to keep to";
            found.error(&path, message, "add `backendRefs`, or remove it");
        }
        1 => {}
        _ => {
            let message = "`sessionPersistence` is not supported with several `backendRefs`: Envoy chooses one of them \
                           for each request anew, and a session would end there";
            found.unsupported(&path, message, "lead the rule to one Service, or remove it");
        }
    }
}
