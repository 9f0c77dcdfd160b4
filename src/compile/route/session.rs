//! Sessions: what the filter for them, which every HTTP listener has, does for a route.

use crate::{
    model::policy::{SessionState, StatefulSession, WhenGone},
    proto::{
        self, Any,
        envoy::{
            config::core::v3::TypedExtensionConfig,
            extensions::{
                filters::http::stateful_session::v3::{
                    StatefulSession as SessionConfig, StatefulSessionPerRoute, stateful_session_per_route::Override,
                },
                http::stateful_session::{cookie::v3::CookieBasedSessionState, header::v3::HeaderBasedSessionState},
            },
            r#type::http::v3::{Cookie, CookieAttribute},
        },
    },
};

pub(super) fn compile(session: &StatefulSession) -> Any {
    let StatefulSession { state, when_gone } = session;
    let (name, config) = match state {
        SessionState::Cookie { name, ttl, path, attributes } => {
            let attribute = |(name, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| CookieAttribute {
                name: name.to_string(),
                value: value.to_string(),
            };
            let cookie = Cookie {
                name: name.to_string(),
                ttl: Some(proto::duration(*ttl)),
                path: path.to_string(),
                attributes: attributes.iter().map(attribute).collect(),
            };
            ("envoy.http.stateful_session.cookie", proto::any(&CookieBasedSessionState { cookie: Some(cookie) }))
        }
        SessionState::Header(name) => {
            ("envoy.http.stateful_session.header", proto::any(&HeaderBasedSessionState { name: name.to_string() }))
        }
    };
    let session = SessionConfig {
        session_state: Some(TypedExtensionConfig { name: name.into(), typed_config: Some(config) }),
        strict: match when_gone {
            WhenGone::GoElsewhere => false,
            WhenGone::Refuse => true,
        },
        ..Default::default()
    };
    proto::any(&StatefulSessionPerRoute { r#override: Some(Override::StatefulSession(session)) })
}
