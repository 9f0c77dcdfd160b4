//! Headers that a rule changes, and what a header may be called and hold: Envoy reads commands in values.

use super::Found;
use crate::{
    policy::document::{
        key_segment,
        virtual_service::{HeaderOperations, Headers},
    },
    yaml::{self, UniqueMap},
};

pub(super) fn check_headers(headers: &Headers, path: &str, found: &mut Found<'_>) {
    let Headers { request, response } = headers;
    for (field, operations, is_request) in [("request", request, true), ("response", response, false)] {
        let path = format!("{path}.{field}");
        let HeaderOperations { set, add, remove } = operations;
        for (kind, headers) in [("set", set), ("add", add)] {
            check_header_values(headers, &format!("{path}.{kind}"), is_request, found);
        }
        let hosts = set.0.keys().chain(add.0.keys()).filter(|name| is_request && is_authority(name));
        if hosts.count() > 1 {
            found.error(&path, "the host is set more than once", "keep one");
        }
        for (index, name) in remove.iter().enumerate().filter(|(_, name)| !may_be_changed(name)) {
            let message = format!("`{name}` cannot be removed");
            found.error(
                &format!("{path}.remove[{index}]"),
                message,
                "name a header other than host and those with `:`",
            );
        }
    }
}

fn check_header_values(headers: &UniqueMap<String, String>, path: &str, is_request: bool, found: &mut Found<'_>) {
    for (name, value) in &headers.0 {
        let path = format!("{path}{}", key_segment(name));
        let may = may_be_changed(name) || is_request && is_authority(name);
        if !may {
            let message = format!("`{name}` cannot be changed");
            found.error(&path, message, "name a header other than those with `:`");
        }
        if !is_header_value(value) {
            found.error(&path, "a character that no header has", "remove it");
        } else if let Some((message, remedy)) = wrong_format(value) {
            found.error(&path, message, remedy);
        }
    }
}

fn may_be_changed(name: &str) -> bool {
    is_header_name(name) && !is_authority(name)
}

/// Envoy refuses to change what carries the request itself; the host goes by `rewrite`.
pub(super) fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

pub(in crate::policy::document) fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

pub(in crate::policy::document) fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b) || b >= 0x80)
}

/// Commands of Envoy's that stand alone in a header's value, and those that need a name in parentheses.
const COMMANDS: [&str; 18] = [
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_PORT",
    "HOSTNAME",
    "PROTOCOL",
    "REQUESTED_SERVER_NAME",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_FLAGS",
    "ROUTE_NAME",
    "START_TIME",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_REMOTE_ADDRESS",
];

const COMMANDS_OF_A_NAME: [&str; 2] = ["REQ", "RESP"];

/// Envoy reads values as format strings (`%REQ(x)%`), and refuses a whole configuration for one that is wrong.
fn wrong_format(value: &str) -> Option<(String, String)> {
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            rest = after;
            continue;
        }
        let Some((command, after)) = rest.split_once('%') else {
            let message = "a percent sign begins a command of Envoy's, which ends with another".to_owned();
            return Some((message, "write `%%` for a percent sign".to_owned()));
        };
        let name = command.split_once('(').map(|(name, _)| name);
        let is_known = match (name, command.strip_suffix(')')) {
            (Some(name), Some(inner)) => {
                let argument = inner.split_once('(').map_or("", |(_, argument)| argument);
                COMMANDS_OF_A_NAME.contains(&name)
                    && argument.split('?').all(|name| is_header_name(name.trim_start_matches(':')))
            }
            (None, _) => COMMANDS.contains(&command),
            (Some(_), None) => false,
        };
        if !is_known {
            let known = COMMANDS.iter().chain(&COMMANDS_OF_A_NAME).copied();
            let nearest = yaml::nearest(name.unwrap_or(command), known);
            let remedy = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`? (`%%` is a percent sign)"),
                None => "write `%%` for a percent sign, or a command such as `%REQ(x-request-id)%`".to_owned(),
            };
            return Some((format!("`%{command}%` is no command of Envoy's for a header"), remedy));
        }
        rest = after;
    }
    None
}
