//! Cross-origin requests of browsers: what the cors filter, which every HTTP listener has, does for a route.

use super::matching;
use crate::{
    compile::wire::bool_value,
    model::policy::routing::{Cors, UnmatchedPreflights},
    proto::{self, Any, envoy::extensions::filters::http::cors::v3::CorsPolicy},
};

pub(super) fn compile(cors: &Cors) -> Any {
    let Cors {
        allow_origins,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age,
        allow_credentials,
        unmatched_preflights,
    } = cors;
    proto::any(&CorsPolicy {
        allow_origin_string_match: allow_origins.iter().map(matching::string).collect(),
        allow_methods: allow_methods.join(","),
        allow_headers: allow_headers.join(","),
        expose_headers: expose_headers.join(","),
        max_age: max_age.map(|age| age.as_secs().to_string()).unwrap_or_default(),
        allow_credentials: allow_credentials.and_then(bool_value),
        forward_not_matching_preflights: bool_value(match unmatched_preflights {
            UnmatchedPreflights::Forwarded => true,
            UnmatchedPreflights::Answered => false,
        }),
        ..Default::default()
    })
}
