//! `statefulSession`, complete.

use std::time::Duration;

use super::{super::document::settings, text};
use crate::model::policy::{CookiePath, SessionState, StatefulSession, WhenGone};

pub(super) fn session(written: &settings::StatefulSession) -> Option<StatefulSession> {
    let settings::StatefulSession { cookie, header, strict, disabled } = written;
    if *disabled == Some(true) {
        return None;
    }
    let cookie = cookie.as_ref().map(|settings::SessionCookie { name, ttl, path, attributes }| SessionState::Cookie {
        name: text(name),
        ttl: ttl.map_or(Duration::ZERO, |ttl| ttl.0),
        path: CookiePath::Fixed(path.as_deref().unwrap_or("/").into()),
        attributes: attributes.iter().flatten().map(|one| (text(&one.name), text(&one.value))).collect(),
    });
    let by_header = |header: &settings::SessionHeader| {
        SessionState::Header(header.name.as_deref().unwrap_or_default().to_ascii_lowercase().into())
    };
    let state = cookie.or_else(|| header.as_ref().map(by_header))?;
    let when_gone = match strict {
        Some(true) => WhenGone::Refuse,
        Some(false) | None => WhenGone::GoElsewhere,
    };
    Some(StatefulSession { state, when_gone })
}
