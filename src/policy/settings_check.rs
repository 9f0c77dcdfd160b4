//! Values that are right one by one and wrong together: the same for every dialect.

mod retries;
mod session;
mod subset_selectors;

use std::time::Duration;

use super::document::{
    scalar::Span,
    settings::{
        ConsistentHash, HealthCheck, Http2KeepAlive, LoadBalancer, LocalityLbSetting, OutlierDetection, Settings, Tls,
        TlsMode,
    },
};
use crate::{diagnostic::Diagnostic, model::Locality, yaml};

/// Finds them in the settings that stand at a path of a document.
pub(super) fn check(settings: &Settings, path: &str, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut found = Found { path, source, problems: Vec::new() };
    if let Some(load_balancer) = &settings.load_balancer {
        check_load_balancer(load_balancer, &mut found);
    }
    if let Some(pool) = &settings.connection_pool {
        let http = pool.http.clone().unwrap_or_default();
        if http.use_client_protocol == Some(true) && http.h2_upgrade_policy.is_some() {
            found.error(
                "connectionPool.http.useClientProtocol",
                "`useClientProtocol` and `h2UpgradePolicy` exclude each other",
                "remove one",
            );
        }
        if let Some(Http2KeepAlive { interval, timeout }) = &http.http2_keep_alive
            && (interval.is_none() || timeout.is_none())
        {
            found.error(
                "connectionPool.http.http2KeepAlive",
                "`interval` and `timeout` are both needed",
                "add the other",
            );
        }
    }
    if let Some(outlier_detection) = &settings.outlier_detection {
        check_outlier_detection(outlier_detection, &mut found);
    }
    if let Some(tls) = &settings.tls {
        check_tls(tls, &mut found);
    }
    if let Some(retries) = &settings.retries {
        retries::check(retries, &mut found);
    }
    if let Some(session) = &settings.stateful_session {
        session::check(session, &mut found);
    }
    // Envoy takes nothing below.
    let too_short = |rate: Span| rate.0 <= Duration::from_millis(1);
    if settings.dns.as_ref().and_then(|dns| dns.refresh_rate).is_some_and(too_short) {
        found.error("dns.refreshRate", "Envoy takes only what is longer than 1 ms", "for example `refreshRate: 5s`");
    }
    for (index, check) in settings.health_checks.iter().flatten().enumerate() {
        check_health_check(check, &format!("healthChecks[{index}]"), &mut found);
    }
    found.problems
}

struct Found<'a> {
    path: &'a str,
    source: &'a yaml::Document,
    problems: Vec<Diagnostic>,
}

impl Found<'_> {
    fn error(&mut self, field: &str, message: &str, remedy: &str) {
        let path = format!("{}.{field}", self.path);
        let place = self.source.key_place(&path);
        self.problems.push(Diagnostic::error("invalid-value", place, path, message).remedy(remedy));
    }

    /// The `name` of a cookie or a header that is described at `field`: a token (RFC 9110, 5.6.2).
    fn name(&mut self, name: Option<&str>, field: &str) {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match name {
            None => self.error(field, "`name` is missing", "add `name:`"),
            Some(name) if name.is_empty() || !name.bytes().all(is_token) => {
                let message = format!("`{name}` is no name of a cookie or a header");
                let remedy = "write letters, digits and `-`, for example `shop-session`";
                self.error(&format!("{field}.name"), &message, remedy);
            }
            Some(_) => {}
        }
    }

    fn warning(&mut self, id: &'static str, field: &str, message: &str, remedy: &str) {
        let path = format!("{}.{field}", self.path);
        let place = self.source.key_place(&path);
        self.problems.push(Diagnostic::warning(id, place, path, message).remedy(remedy));
    }
}

fn check_load_balancer(load_balancer: &LoadBalancer, found: &mut Found<'_>) {
    let algorithms = [
        ("simple", load_balancer.simple.is_some()),
        ("consistentHash", load_balancer.consistent_hash.is_some()),
        ("weightedRoundRobin", load_balancer.weighted_round_robin.is_some()),
    ];
    let mut written = algorithms.into_iter().filter(|(_, written)| *written).map(|(name, _)| name);
    if let Some(first) = written.next() {
        for other in written {
            let message = format!("`{first}` and `{other}` exclude each other");
            found.error(&format!("loadBalancer.{other}"), &message, "remove one");
        }
    }
    if load_balancer.warmup.is_some() && load_balancer.warmup_duration_secs.is_some() {
        let message = "`warmup` and `warmupDurationSecs` say the same";
        found.error("loadBalancer.warmupDurationSecs", message, "keep `warmup`");
    }
    if load_balancer.warmup.as_ref().is_some_and(|warmup| warmup.duration.is_none()) {
        found.error("loadBalancer.warmup", "`duration` is missing", "add `duration:`");
    }
    if let Some(hash) = &load_balancer.consistent_hash {
        check_consistent_hash(hash, found);
    }
    if load_balancer.is_zone_aware() && load_balancer.weighted_round_robin.is_some() {
        let message = "Envoy's weighted round robin is not told of zones";
        found.error("loadBalancer.zoneAwareLbSetting", message, "remove it, or take another algorithm");
    }
    subset_selectors::check(load_balancer, found);
    if let Some(locality) = &load_balancer.locality_lb_setting {
        check_locality(locality, found);
    }
}

fn check_consistent_hash(hash: &ConsistentHash, found: &mut Found<'_>) {
    let ConsistentHash { http_header_name, http_cookie, use_source_ip, http_query_parameter_name, .. } = hash;
    let keys = [
        http_header_name.is_some(),
        http_cookie.is_some(),
        use_source_ip.is_some(),
        http_query_parameter_name.is_some(),
    ];
    if keys.into_iter().filter(|&given| given).count() > 1 {
        found.error("loadBalancer.consistentHash", "there is one hash key, found several", "keep one of them");
    }
    if hash.ring_hash.is_some() && hash.maglev.is_some() {
        found.error("loadBalancer.consistentHash.maglev", "`ringHash` and `maglev` exclude each other", "remove one");
    }
    if let Some(ring) = &hash.ring_hash
        && let (Some(minimum), Some(maximum)) = (ring.minimum_ring_size, ring.maximum_ring_size)
        && minimum > maximum
    {
        let message = "the ring's minimum is above its maximum";
        found.error(
            "loadBalancer.consistentHash.ringHash.minimumRingSize",
            message,
            "lower it, or raise maximumRingSize",
        );
    }
    if http_cookie.as_ref().is_some_and(|cookie| cookie.name.is_none()) {
        found.error("loadBalancer.consistentHash.httpCookie", "`name` is missing", "add `name:`");
    }
    let attributes: Vec<_> = http_cookie.iter().flat_map(|cookie| cookie.attributes.iter().flatten()).collect();
    for (index, attribute) in attributes.iter().enumerate() {
        let field = format!("loadBalancer.consistentHash.httpCookie.attributes[{index}].name");
        if attribute.name.as_deref().unwrap_or_default().is_empty() {
            found.error(&field, "an attribute without a name", "write it, for example `SameSite`");
        } else if attributes[..index].iter().any(|earlier| earlier.name == attribute.name) {
            found.error(&field, "this attribute stands twice", "remove one of the two");
        }
    }
}

/// What has no meaning in a mode is said so; what would lead to another connection than the reader expects is refused.
fn check_tls(tls: &Tls, found: &mut Found<'_>) {
    let own = [
        ("clientCertificate", tls.client_certificate.is_some()),
        ("privateKey", tls.private_key.is_some()),
        ("clientCertificateSecret", tls.client_certificate_secret.is_some()),
    ];
    let theirs = [
        ("caCertificates", tls.ca_certificates.is_some()),
        ("caCertificatesSecret", tls.ca_certificates_secret.is_some()),
        ("caCrl", tls.ca_crl.is_some()),
        ("subjectAltNames", tls.subject_alt_names.is_some()),
    ];
    let others = [
        ("sni", tls.sni.is_some()),
        ("alpn", tls.alpn.is_some()),
        ("insecureSkipVerify", tls.insecure_skip_verify.is_some()),
    ];
    let mut no_effect = |fields: &[(&str, bool)], why: &str, remedy: &str| {
        for (name, _) in fields.iter().filter(|(_, written)| *written) {
            found.warning("no-effect", &format!("tls.{name}"), &format!("`{name}` has no effect {why}"), remedy);
        }
    };
    match tls.mode {
        Some(TlsMode::Disable) => {
            for fields in [&own[..], &theirs, &others] {
                no_effect(fields, "where TLS is off", "remove it, or write `mode: SIMPLE` or `mode: MUTUAL`");
            }
        }
        Some(TlsMode::Simple) => {
            no_effect(
                &own,
                "in mode SIMPLE, where the proxy shows no certificate",
                "write `mode: MUTUAL`, or remove it",
            );
        }
        Some(TlsMode::Mutual | TlsMode::IstioMutual) | None => {}
    }
    if tls.insecure_skip_verify == Some(true) {
        no_effect(&theirs, "beside `insecureSkipVerify: true`", "remove one of the two");
    }
    match tls.mode {
        None => found.error("tls", "`mode` is missing", "add `mode: SIMPLE`, `mode: MUTUAL` or `mode: DISABLE`"),
        Some(TlsMode::IstioMutual) => found.error(
            "tls.mode",
            "ISTIO_MUTUAL takes certificates that Istio's own agent hands out, and there is none here",
            "write `mode: MUTUAL` with `clientCertificate`, `privateKey` and `caCertificates`",
        ),
        Some(TlsMode::Mutual) => check_identity(tls, found),
        Some(TlsMode::Disable | TlsMode::Simple) => {}
    }
    if tls.credential_name.is_some() {
        found.error(
            "tls.credentialName",
            "this is the name of a Kubernetes secret, which nobody here reads",
            "give files (`clientCertificate`, `privateKey`, `caCertificates`), or the names of secrets in Envoy's \
             bootstrap (`clientCertificateSecret`, `caCertificatesSecret`)",
        );
    }
    if tls.ca_certificates.is_some() && tls.ca_certificates_secret.is_some() {
        let message = "`caCertificates` and `caCertificatesSecret` exclude each other";
        found.error("tls.caCertificatesSecret", message, "remove one");
    }
    let texts = [
        ("clientCertificate", &tls.client_certificate),
        ("privateKey", &tls.private_key),
        ("clientCertificateSecret", &tls.client_certificate_secret),
        ("caCertificates", &tls.ca_certificates),
        ("caCertificatesSecret", &tls.ca_certificates_secret),
        ("caCrl", &tls.ca_crl),
        ("sni", &tls.sni),
    ];
    for (name, _) in texts.iter().filter(|(_, text)| text.as_deref() == Some("")) {
        found.error(&format!("tls.{name}"), &format!("`{name}` is empty"), "remove it, or say what it is");
    }
    if tls.sni.as_ref().is_some_and(|sni| sni.len() > 255) {
        found.error("tls.sni", "a name in a handshake has at most 255 bytes", "write the host name alone");
    }
    for (name, list) in [("subjectAltNames", &tls.subject_alt_names), ("alpn", &tls.alpn)] {
        let Some(list) = list else { continue };
        if list.is_empty() || list.iter().any(String::is_empty) {
            found.error(&format!("tls.{name}"), "nothing is named here", "remove the field, or name something");
        }
    }
}

fn check_identity(tls: &Tls, found: &mut Found<'_>) {
    match (&tls.client_certificate, &tls.private_key, &tls.client_certificate_secret) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        (_, _, Some(_)) => found.error(
            "tls.clientCertificateSecret",
            "the proxy's certificate is given twice: as files and as a secret",
            "remove one",
        ),
        (certificate, _, None) => {
            let missing = if certificate.is_none() { "clientCertificate" } else { "privateKey" };
            found.error(
                "tls",
                &format!("mode MUTUAL shows a certificate, and `{missing}` is missing"),
                "give `clientCertificate` and `privateKey`, or `clientCertificateSecret`",
            );
        }
    }
}

fn check_locality(locality: &LocalityLbSetting, found: &mut Found<'_>) {
    if locality.distribute.is_some() && locality.failover.is_some() {
        found.error(
            "loadBalancer.localityLbSetting.failover",
            "`distribute` and `failover` exclude each other",
            "remove one",
        );
    }
    check_failover_priority(locality, found);
    for (index, distribute) in locality.distribute.iter().flatten().enumerate() {
        let field = format!("loadBalancer.localityLbSetting.distribute[{index}]");
        if distribute.from.as_deref().unwrap_or_default().is_empty() {
            found.error(&field, "`from` is missing", "say where the clients run, or `*`");
        }
        let shares = distribute.to.iter().flatten();
        let sum: u32 = shares.clone().map(|(_, share)| share.0).sum();
        if sum != 100 {
            found.error(&format!("{field}.to"), &format!("the shares add up to {sum}"), "let them add up to 100");
        }
        if shares.clone().any(|(_, share)| share.0 == 0) {
            found.error(&format!("{field}.to"), "a share of 0", "leave the place out: what is not named gets nothing");
        }
    }
    for (index, failover) in locality.failover.iter().flatten().enumerate() {
        let field = format!("loadBalancer.localityLbSetting.failover[{index}]");
        match (&failover.from, &failover.to) {
            (Some(from), Some(to)) if from == to => {
                found.error(&format!("{field}.to"), "a region that fails over to itself", "name another region");
            }
            (Some(from), Some(to)) if [from, to].iter().any(|region| region.contains(['/', '*'])) => {
                found.error(&field, "`from` and `to` are regions", "write the region alone, without zone or `*`");
            }
            (Some(_), Some(_)) => {}
            _ => found.error(&field, "`from` and `to` are both needed", "add the other"),
        }
    }
}

fn check_failover_priority(locality: &LocalityLbSetting, found: &mut Found<'_>) {
    let mut keys = std::collections::BTreeSet::new();
    for (index, label) in locality.failover_priority.iter().flatten().enumerate() {
        let field = format!("loadBalancer.localityLbSetting.failoverPriority[{index}]");
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        if key.is_empty() || value.contains('=') {
            found.error(&field, &format!("`{label}` is no label"), "write `key`, or `key=value`");
        } else if !keys.insert(key) {
            found.error(&field, &format!("`{key}` is there twice"), "remove one of the two");
        }
        let topology = [Locality::REGION_LABEL, Locality::ZONE_LABEL, Locality::SUBZONE_LABEL];
        if locality.failover.is_some() && topology.contains(&&**label) {
            found.error(&field, &format!("`failover` goes by places, and so does `{label}`"), "remove one of the two");
        }
    }
    if locality.failover_priority.as_ref().is_some_and(Vec::is_empty) {
        found.error("loadBalancer.localityLbSetting.failoverPriority", "no label is named", "name one, or remove it");
    }
}

fn check_outlier_detection(outlier: &OutlierDetection, found: &mut Found<'_>) {
    if outlier.consecutive_errors.is_some() {
        found.warning(
            "no-effect",
            "outlierDetection.consecutiveErrors",
            "`consecutiveErrors` has no effect",
            "write `consecutive5xxErrors`, or `consecutiveGatewayErrors` for 502, 503 and 504 alone",
        );
    }
    let splits = outlier.split_external_local_origin_errors == Some(true);
    if outlier.consecutive_local_origin_failures.is_some_and(|count| count.0 > 0) && !splits {
        found.error(
            "outlierDetection.consecutiveLocalOriginFailures",
            "this is counted only where errors are split",
            "add `splitExternalLocalOriginErrors: true`",
        );
    }
    for (name, span) in [("interval", outlier.interval), ("baseEjectionTime", outlier.base_ejection_time)] {
        if span.is_some_and(|span| span.0.is_zero()) {
            found.error(&format!("outlierDetection.{name}"), "Envoy takes no zero here", "write a duration above 0s");
        }
    }
    if let (Some(base), Some(longest)) = (outlier.base_ejection_time, outlier.max_ejection_time)
        && longest.0 < base.0
    {
        let message = "the longest ejection is shorter than the first";
        found.error("outlierDetection.maxEjectionTime", message, "raise it to baseEjectionTime at least");
    }
}

fn check_health_check(check: &HealthCheck, field: &str, found: &mut Found<'_>) {
    let kinds =
        [check.http_health_check.is_some(), check.grpc_health_check.is_some(), check.tcp_health_check.is_some()];
    if kinds.into_iter().filter(|&given| given).count() != 1 {
        let remedy = "give one of httpHealthCheck, grpcHealthCheck, tcpHealthCheck";
        found.error(field, "a health check asks in exactly one way", remedy);
    }
    if let Some(http) = &check.http_health_check {
        if !http.path.as_deref().is_some_and(|path| path.starts_with('/')) {
            found.error(
                &format!("{field}.httpHealthCheck"),
                "`path` is needed and starts with `/`",
                "for example `path: /health`",
            );
        }
        let ranges = http.expected_statuses.iter().chain(&http.retriable_statuses).flatten();
        for range in ranges {
            let (start, end) = (range.start.map_or(0, |code| code.0), range.end.map_or(0, |code| code.0));
            if !(100..600).contains(&start) || !(101..=600).contains(&end) || start >= end {
                let remedy = "write start from 100 and end, which is no longer in it, up to 600";
                found.error(
                    &format!("{field}.httpHealthCheck"),
                    &format!("{start} to {end} is no range of statuses"),
                    remedy,
                );
            }
        }
    }
    for (name, span) in [("timeout", check.timeout), ("interval", check.interval)] {
        if span.is_some_and(|span| span.0.is_zero()) {
            found.error(&format!("{field}.{name}"), "Envoy takes no zero here", "write a duration above 0s");
        }
    }
}
