//! The Gateway API's `HTTPRoute` and `GRPCRoute`, read unmodified, for the mesh: their parents are Services.
//!
//! What is for gateways, and what we do not support, is refused by name.

mod check;
mod check_filters;
mod check_session;
mod filters;
mod grpc_route;
mod http_route;
mod reference;
mod session;

use serde::{Deserialize, Deserializer};

pub(super) use self::check::{grpc_route as check_grpc_route, http_route as check_http_route};
pub use self::{filters::*, grpc_route::*, http_route::*, reference::*, session::*};
use super::scalar::Span;
use crate::yaml::{invalid, scalar_schema};

/// A duration as the Gateway API writes it: up to four whole numbers of at most five digits, each with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayDuration(pub Span);

scalar_schema!(GatewayDuration, {
    "type": "string",
    "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
    "patternErrorMessage": "write whole numbers with units, for example `1500ms`, `10s` or `1h30m`",
    "examples": ["1500ms", "10s", "1h30m"],
});

impl<'de> Deserialize<'de> for GatewayDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (span, parts) = match (Span::parse(&text), parts(&text)) {
            (Ok(span), Some(parts)) => (span, parts),
            (Err((sentence, _)), _) => return Err(invalid(sentence, EXAMPLE)),
            (Ok(_), None) => return Err(invalid(format_args!("`{text}` is no duration of the Gateway API"), EXAMPLE)),
        };
        match parts {
            1..=4 => Ok(Self(span)),
            _ => Err(invalid(format_args!("`{text}` has more than four parts"), EXAMPLE)),
        }
    }
}

const EXAMPLE: &str = "write whole numbers of up to five digits with units, for example `1500ms`, `10s` or `1h30m`";

/// How many numbers with a unit a text is made of.
fn parts(text: &str) -> Option<usize> {
    let (mut parts, mut rest) = (0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = ["ms", "h", "m", "s"].into_iter().find(|unit| rest[digits..].starts_with(unit))?;
        if !(1..=5).contains(&digits) {
            return None;
        }
        rest = &rest[digits + unit.len()..];
        parts += 1;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, expected) in [("10s", Some(1)), ("1h30m", Some(2)), ("1500ms", Some(1)), ("0s", Some(1))] {
            assert_eq!(parts(text), expected, "{text}");
        }
        for wrong in ["1.5s", "s", "100000s", "10", "10us"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
