//! What a rule does: one thing, which Envoy can do.

use super::{
    Found,
    headers::{is_authority, is_header_value},
};
use crate::{
    model::policy::routing::MAX_DIRECT_RESPONSE_BODY,
    policy::document::{
        regex::ANYTHING,
        virtual_service::{HttpDirectResponse, HttpRedirect, HttpRewrite, HttpRoute},
    },
};

/// A route does one thing.
pub(super) fn check_actions(route: &HttpRoute, path: &str, is_delegate: bool, found: &mut Found<'_>) {
    let actions = [
        ("route", !route.route.is_empty()),
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("delegate", route.delegate.is_some()),
    ];
    let written: Vec<&str> = actions.iter().filter(|(_, written)| *written).map(|(name, _)| *name).collect();
    match written.as_slice() {
        [] => found.error(path, "this rule does nothing", "add `route`, `redirect`, `directResponse` or `delegate`"),
        [_] => {}
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` exclude each other");
            found.error(&format!("{path}.{second}"), message, "keep one of the two");
        }
    }
    if route.delegate.is_some() {
        let message = "`delegate` is not supported yet";
        found.error(&format!("{path}.delegate"), message, "write the rules of the other VirtualService here");
    }
    if is_delegate && route.delegate.is_some() {
        let message = "what is delegated to cannot delegate";
        found.error(&format!("{path}.delegate"), message, "write the rules of the other VirtualService here");
    }
    for (action, written) in &actions[1..3] {
        let excluded = [
            ("fault", route.fault.is_some()),
            ("rewrite", route.rewrite.is_some()),
            ("timeout", route.timeout.is_some()),
            ("retries", route.retries.is_some()),
            ("mirror", route.mirror.is_some()),
            ("mirrors", !route.mirrors.is_empty()),
        ];
        for (field, _) in excluded.iter().filter(|(_, excluded)| *written && *excluded) {
            let message = format!("`{field}` has no effect beside `{action}`: the request goes nowhere");
            found.error(&format!("{path}.{field}"), message, format!("remove `{field}`"));
        }
    }
}

pub(super) fn check_redirect(redirect: &HttpRedirect, path: &str, found: &mut Found<'_>) {
    let HttpRedirect { uri, authority, port, derive_port, scheme, redirect_code } = redirect;
    let says_nothing = [uri, authority, scheme].into_iter().all(|text| text.as_deref().unwrap_or_default().is_empty());
    if says_nothing && port.is_none() && derive_port.is_none() {
        found.error(path, "this leads back to where the client is", "write `uri`, `authority`, `scheme` or `port`");
    }
    if port.is_some() && derive_port.is_some() {
        found.error(&format!("{path}.derivePort"), "`port` and `derivePort` exclude each other", "keep one");
    }
    if let Some(scheme) = scheme
        && !["http", "https"].contains(&scheme.as_str())
    {
        found.error(&format!("{path}.scheme"), format!("`{scheme}` is no scheme"), "write `http` or `https`");
    }
    if let Some(code) = redirect_code
        && ![301, 302, 303, 307, 308].contains(code)
    {
        let message = format!("Envoy redirects with no status {code}");
        found.error(&format!("{path}.redirectCode"), message, "write 301, 302, 303, 307 or 308");
    }
    for (field, text) in [("uri", uri), ("authority", authority)] {
        if text.as_deref().is_some_and(|text| !is_header_value(text)) {
            found.error(&format!("{path}.{field}"), "a character that no header has", "remove it");
        }
    }
}

pub(super) fn check_response(response: &HttpDirectResponse, path: &str, found: &mut Found<'_>) {
    let HttpDirectResponse { status, body } = response;
    check_status(*status, &format!("{path}.status"), found);
    let Some(body) = body else { return };
    let length = match (&body.string, &body.bytes) {
        (Some(text), None) => text.len(),
        (None, Some(bytes)) => bytes.0.len(),
        (Some(_), Some(_)) | (None, None) => {
            found.error(&format!("{path}.body"), "a body is written in one way", "write `string` or `bytes`");
            0
        }
    };
    if length > MAX_DIRECT_RESPONSE_BODY as usize {
        let message = format!("the body has {length} bytes; {MAX_DIRECT_RESPONSE_BODY} are the most");
        found.error(&format!("{path}.body"), message, "lead to a service that serves it");
    }
}

pub(super) fn check_status(status: u16, path: &str, found: &mut Found<'_>) {
    if !(200..600).contains(&status) {
        found.error(path, format!("{status} is no status of an answer"), "write one from 200 to 599");
    }
}

pub(super) fn check_rewrite(rewrite: &HttpRewrite, route: &HttpRoute, path: &str, found: &mut Found<'_>) {
    let HttpRewrite { uri, authority, uri_regex_rewrite } = rewrite;
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if empty(uri) && empty(authority) && uri_regex_rewrite.is_none() {
        found.error(path, "this rewrites nothing", "write `uri`, `uriRegexRewrite` or `authority`");
    }
    if !empty(uri) && uri_regex_rewrite.is_some() {
        let message = "`uri` and `uriRegexRewrite` exclude each other";
        found.error(&format!("{path}.uriRegexRewrite"), message, "keep one");
    }
    if let Some(regex) = uri_regex_rewrite {
        if regex.pattern.0 == ANYTHING {
            let message = "`*` is no regular expression";
            found.error(&format!("{path}.uriRegexRewrite.match"), message, "write `.*` for anything");
        }
        if regex.pattern.0.is_empty() || regex.rewrite.is_empty() {
            let message = "`match` and `rewrite` are both needed";
            found.error(&format!("{path}.uriRegexRewrite"), message, "write what is replaced, and by what");
        }
        check_substitution(&regex.pattern.0, &regex.rewrite, &format!("{path}.uriRegexRewrite.rewrite"), found);
    }
    let set = [&route.headers.request.set, &route.headers.request.add];
    let sets_authority = set.iter().any(|headers| headers.0.keys().any(|name| is_authority(name)));
    if !empty(authority) && sets_authority {
        let message = "the host is rewritten here and in `headers.request`";
        found.error(&format!("{path}.authority"), message, "keep one");
    }
    for (field, text) in [("uri", uri), ("authority", authority)] {
        if text.as_deref().is_some_and(|text| !is_header_value(text)) {
            found.error(&format!("{path}.{field}"), "a character that no header has", "remove it");
        }
    }
}

/// Envoy refuses a substitution that names a group that the pattern does not have, or has a lone backslash.
fn check_substitution(pattern: &str, substitution: &str, path: &str, found: &mut Found<'_>) {
    let groups = capture_groups(pattern);
    let mut characters = substitution.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            continue;
        }
        match characters.next() {
            Some('\\') => {}
            Some(digit) if digit.to_digit(10).is_some_and(|digit| digit <= groups) => {}
            Some(digit) if digit.is_ascii_digit() => {
                let message = format!("there is no group {digit}: the pattern has {groups}");
                found.error(path, message, r"write `\0` for all that was found, or add a group");
            }
            Some(_) | None => {
                found.error(path, "a backslash alone", r"write `\\` for a backslash, `\1` for the first group");
            }
        }
    }
}

fn capture_groups(pattern: &str) -> u32 {
    let (mut groups, mut escaped, mut in_class) = (0, false, false);
    let characters: Vec<char> = pattern.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                let named = characters[at + 1..].starts_with(&['?', 'P', '<']);
                let named = named || characters[at + 1..].starts_with(&['?', '<']);
                groups += u32::from(named || characters.get(at + 1) != Some(&'?'));
            }
            _ => {}
        }
    }
    groups
}
