//! Durations as Istio takes them: whole milliseconds. Finer ones are a slip in every field that has one.

use super::scalar::Span;
use crate::{diagnostic::Diagnostic, yaml};

/// The fields of Istio's documents that are durations.
const FIELDS: [&str; 13] = [
    "timeout",
    "connectTimeout",
    "maxConnectionDuration",
    "idleTimeout",
    "interval",
    "baseEjectionTime",
    "time",
    "maxAge",
    "fixedDelay",
    "perTryTimeout",
    "backoff",
    "ttl",
    "warmupDurationSecs",
];

/// Durations that are finer than a millisecond.
pub(super) fn check(source: &yaml::Document) -> Vec<Diagnostic> {
    let is_fine = |text: &str| Span::parse(text).is_ok_and(|span| span.0.subsec_nanos() % 1_000_000 != 0);
    let scalars = source.scalars("spec").into_iter();
    let fine = scalars
        .filter(|(path, text)| path.rsplit('.').next().is_some_and(|field| FIELDS.contains(&field)) && is_fine(text));
    fine.map(|(path, text)| {
        let message = format!("`{text}` is finer than a millisecond");
        Diagnostic::error("invalid-value", source.place(&path), path, message).remedy("write whole milliseconds")
    })
    .collect()
}
