//! What a rule looks at.

use super::{Found, check_gateways, headers::is_header_name};
use crate::policy::document::{
    export_to::is_dns_label,
    key_segment,
    regex::ANYTHING,
    virtual_service::{HttpMatchRequest, StringMatch},
};

pub(super) fn check_match(matched: &HttpMatchRequest, path: &str, found: &mut Found<'_>) {
    if let Some(uri) = &matched.uri {
        check_string(uri, &format!("{path}.uri"), Emptiness::Allowed, found);
        for (field, text) in [("exact", &uri.exact), ("prefix", &uri.prefix)] {
            if let Some(text) = text
                && !text.starts_with('/')
                && !(field == "prefix" && text.is_empty())
            {
                let message = format!("`{text}` matches no path: a path begins with `/`");
                found.warning("matches-nothing", &format!("{path}.uri.{field}"), message, format!("write `/{text}`"));
            }
        }
        if matched.ignore_uri_case && uri.regex.is_some() {
            let message = "a regular expression does not ignore case by `ignoreUriCase`";
            found.error(&format!("{path}.ignoreUriCase"), message, "begin the expression with `(?i)`");
        }
    }
    for (field, text) in [("scheme", &matched.scheme), ("method", &matched.method), ("authority", &matched.authority)] {
        if let Some(text) = text {
            check_string(text, &format!("{path}.{field}"), Emptiness::Refused, found);
        }
    }
    for (field, headers) in [("headers", &matched.headers), ("withoutHeaders", &matched.without_headers)] {
        for (name, value) in &headers.0 {
            let path = format!("{path}.{field}{}", key_segment(name));
            let pseudo = ["uri", "scheme", "method", "authority"].contains(&name.as_str());
            if pseudo {
                let message = format!("`{name}` is no header here");
                found.error(&path, message, format!("use the match's own field `{name}`"));
            } else if name.starts_with('@') {
                let message = "claims of a token are looked at by gateways alone";
                found.error(&path, message, "match a header that the gateway sets");
            } else if !is_header_name(name) && !name.starts_with(':') {
                found.error(&path, format!("`{name}` is no header name"), "use letters, digits and `-`");
            }
            match value {
                Some(value) => check_string(value, &path, Emptiness::Present, found),
                None => found.error(&path, "this is compared with nothing", "write `{}` for a header that is there"),
            }
        }
    }
    for (name, value) in &matched.query_params.0 {
        if let Some(value) = value {
            check_string(value, &format!("{path}.queryParams{}", key_segment(name)), Emptiness::Present, found);
        }
    }
    check_gateways(&matched.gateways, &format!("{path}.gateways"), found);
    check_source(matched.source_namespace.as_ref(), path, found);
}

pub(super) fn check_source(namespace: Option<&String>, path: &str, found: &mut Found<'_>) {
    if let Some(namespace) = namespace.filter(|namespace| !is_dns_label(namespace)) {
        let message = format!("`{namespace}` is no name of a namespace");
        found.error(&format!("{path}.sourceNamespace"), message, "use lower-case letters, digits and `-`");
    }
}

/// What `{}` and an empty text mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptiness {
    /// `{}` is a mistake; an empty text is none.
    Allowed,
    /// Both are.
    Refused,
    /// `{}` asks whether there is such a thing.
    Present,
}

pub(super) fn check_string(text: &StringMatch, path: &str, emptiness: Emptiness, found: &mut Found<'_>) {
    let StringMatch { exact, prefix, regex } = text;
    if let Some(pattern) = regex {
        let is_anything = pattern.0 == ANYTHING;
        if is_anything && emptiness != Emptiness::Present {
            found.error(&format!("{path}.regex"), "`*` is no regular expression", "write `.*` for anything");
        } else if pattern.0.is_empty() && emptiness != Emptiness::Allowed {
            found.error(&format!("{path}.regex"), "an empty regular expression", "write what it matches");
        }
    }
    let written: Vec<&str> =
        [("exact", exact.as_ref()), ("prefix", prefix.as_ref()), ("regex", regex.as_ref().map(|regex| &regex.0))]
            .into_iter()
            .filter_map(|(name, text)| text.map(|_| name))
            .collect();
    match written.as_slice() {
        [] if emptiness != Emptiness::Present => {
            found.error(path, "this says nothing", "write `exact`, `prefix` or `regex`");
        }
        [] => {}
        [_] => {
            let empty_prefix = prefix.as_deref() == Some("");
            let empty = emptiness == Emptiness::Refused && exact.as_deref() == Some("");
            if empty_prefix && emptiness != Emptiness::Allowed {
                found.error(&format!("{path}.prefix"), "an empty prefix", "write `{}`, or what it begins with");
            } else if empty {
                found.error(&format!("{path}.exact"), "this is never empty", "write the value");
            }
        }
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other");
            found.error(&format!("{path}.{second}"), message, "keep one, or write two matches");
        }
    }
}
