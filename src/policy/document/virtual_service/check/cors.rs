//! What a rule tells browsers.

use super::{
    Found,
    headers::is_header_name,
    matching::{Emptiness, check_string},
};
use crate::{policy::document::virtual_service::CorsPolicy, yaml};

pub(super) fn check_cors(cors: &CorsPolicy, path: &str, found: &mut Found<'_>) {
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        check_string(origin, &format!("{path}.allowOrigins[{index}]"), Emptiness::Refused, found);
    }
    if !cors.allow_origin.is_empty() && !cors.allow_origins.is_empty() {
        let message = "`allowOrigin` is the older form of `allowOrigins`, and counts for nothing beside it";
        found.error(&format!("{path}.allowOrigin"), message, "write each as `{ exact: … }` in `allowOrigins`");
    }
    for (index, method) in cors.allow_methods.iter().enumerate() {
        const METHODS: [&str; 10] =
            ["*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
        if !METHODS.contains(&method.as_str()) {
            let remedy = yaml::did_you_mean(method, METHODS).unwrap_or_default();
            found.error(&format!("{path}.allowMethods[{index}]"), format!("`{method}` is no method"), remedy);
        }
    }
    for (field, names) in [("allowHeaders", &cors.allow_headers), ("exposeHeaders", &cors.expose_headers)] {
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !is_header_name(name)) {
            let message = format!("`{name}` is no header name");
            found.error(&format!("{path}.{field}[{index}]"), message, "use letters, digits and `-`, or `*`");
        }
    }
    if cors.max_age.is_some_and(|age| age.0.subsec_nanos() != 0) {
        found.error(
            &format!("{path}.maxAge"),
            "browsers count whole seconds",
            "write whole seconds, for example `24h`",
        );
    }
}
