//! `statefulSession`: one way to name the endpoint, with a name that HTTP has room for; or none at all.

use super::Found;
use crate::policy::document::settings::{SessionCookie, SessionHeader, StatefulSession};

pub(super) fn check(session: &StatefulSession, found: &mut Found<'_>) {
    let StatefulSession { cookie, header, strict, disabled } = session;
    if *disabled == Some(true) {
        let beside = [("cookie", cookie.is_some()), ("header", header.is_some()), ("strict", strict.is_some())];
        for (field, _) in beside.into_iter().filter(|(_, written)| *written) {
            let message = format!("`{field}` has no effect beside `disabled: true`");
            found.error(&format!("statefulSession.{field}"), &message, "remove one of the two");
        }
        return;
    }
    match (cookie, header) {
        (Some(cookie), None) => check_cookie(cookie, found),
        (None, Some(SessionHeader { name })) => found.name(name.as_deref(), "statefulSession.header"),
        (Some(_), Some(_)) => {
            found.error("statefulSession.header", "`cookie` and `header` exclude each other", "remove one");
        }
        (None, None) => found.error(
            "statefulSession",
            "nothing names the endpoint of a session",
            "write `cookie: { name: … }`, `header: { name: … }`, or `disabled: true`",
        ),
    }
}

fn check_cookie(cookie: &SessionCookie, found: &mut Found<'_>) {
    let SessionCookie { name, ttl: _, path, attributes } = cookie;
    found.name(name.as_deref(), "statefulSession.cookie");
    if path.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains([';', ' '])) {
        found.error("statefulSession.cookie.path", "this is no path", "begin it with `/`, for example `path: /shop`");
    }
    for (index, attribute) in attributes.iter().flatten().enumerate() {
        let field = format!("statefulSession.cookie.attributes[{index}]");
        found.name(attribute.name.as_deref(), &field);
        if attribute.value.as_ref().is_some_and(|value| value.bytes().any(|byte| byte < b' ' || byte == b';')) {
            found.error(&format!("{field}.value"), "an attribute ends before a `;`", "write the value alone");
        }
    }
}
