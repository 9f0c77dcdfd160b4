//! The lints, as `docs/lints.md` has them: each bad example is found, each good one is not, and a comment silences it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use chancery::{
    control::World,
    diagnostic::{At, Diagnostic, Level},
    policy::{
        Date, Library,
        lint::{self, LINTS, Tried, patched},
    },
    schema::{self, Kind, fields::fields},
};
use support::world::{catalog, source};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lints.md");

/// A section of the page.
struct Section {
    id: String,
    about: String,
    examples: Vec<String>,
}

fn sections() -> Vec<Section> {
    let page = fs::read_to_string(DOCS).unwrap();
    let section = |text: &str| {
        let (id, body) = text.split_once('\n').unwrap();
        let about =
            page.lines().find_map(|line| line.strip_prefix(&format!("| [`{id}`](#{id}) | "))).unwrap_or_default();
        let examples = body.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned());
        Section { id: id.into(), about: about.trim_end_matches(" |").into(), examples: examples.collect() }
    };
    page.split("\n## ").skip(1).map(section).collect()
}

/// Everything that `validate` says on the day of the examples.
fn problems(input: &str) -> Vec<Diagnostic> {
    let (services, policies) = input.split_once("\n---\n").unwrap();
    let mut library = Library::default();
    library.update([&source("policies.yaml", policies)]);
    let mut world = World::default();
    world.update(catalog(&format!("{services}\n")), library.policies().clone());
    let mut problems = library.problems().to_vec();
    problems.extend(world.problems());
    problems.extend(world.lints(Date::parse("2027-01-15").unwrap()));
    lint::heed(problems, &library.silences(), Tried::All)
}

#[test]
fn every_lint_has_its_section() {
    let sections: Vec<(String, String)> = sections().into_iter().map(|section| (section.id, section.about)).collect();
    let lints: Vec<(String, String)> = LINTS.iter().map(|lint| (lint.id.into(), lint.about.into())).collect();
    similar_asserts::assert_eq!(lints, sections);
}

#[test]
fn bad_examples_are_found_and_good_ones_are_not() {
    for Section { id, examples, .. } in sections() {
        let [bad, good] = &examples[..] else { panic!("{id}: a bad example and a good one") };
        let found = problems(bad);
        let ids: Vec<&str> = found.iter().map(|problem| problem.id).collect();
        assert_eq!(ids, [id.as_str()], "{found:#?}");
        assert_eq!(found[0].level, Level::Warning);
        assert!(found[0].remedy.is_some(), "{id}: what to write instead");
        assert!(problems(good).is_empty(), "{id}: {:#?}", problems(good));
    }
}

#[test]
fn a_comment_above_the_line_or_the_document_silences_it() {
    for Section { id, examples, .. } in sections() {
        let bad = &examples[0];
        let At::Place(place) = problems(bad)[0].at.clone() else { panic!("{id} has no place") };
        let (services, policies) = bad.split_once("\n---\n").unwrap();
        let line = place.line as usize - 1;
        let document = policies.lines().take(line).enumerate().filter(|(_, text)| *text == "---").last();
        let first_line = document.map_or(0, |(index, _)| index + 1);
        for above in [line, first_line] {
            let mut lines: Vec<&str> = policies.lines().collect();
            let comment = format!("# chancery:ignore {id}: for the sake of the test");
            lines.insert(above, &comment);
            let silenced = problems(&format!("{services}\n---\n{}\n", lines.join("\n")));
            assert!(silenced.is_empty(), "{id}, above line {above}: {silenced:#?}");
        }
        let idle = problems(&examples[1].replacen("\n---\n", &format!("\n---\n# chancery:ignore {id}: no more\n"), 1));
        assert_eq!(idle.iter().map(|problem| problem.id).collect::<Vec<_>>(), ["idle-silence"], "{id}: {idle:#?}");
    }
}

#[test]
fn one_policy_for_many_services_is_one_finding() {
    let mut services = String::from("services:\n");
    for name in ["a", "b", "c"] {
        services.push_str(&format!(
            "  - name: {name}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints: [ {{ address: 10.0.0.1 }}, {{ address: 10.0.0.2 }} ]\n"
        ));
    }
    let found = problems(&format!(
        "{services}---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: all }}\n\
         spec: {{ outlierDetection: {{ consecutive5xxErrors: 5 }} }}\n"
    ));
    let messages: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        ["at most 10 % (Envoy's default) of the 2 endpoints of a:80 may be ejected, which is none: nothing is ever \
          ejected; the same goes for 2 more services"]
    );
}

#[test]
fn what_becomes_of_sessions_on_a_draining_endpoint_depends_on_how_strict_they_are() {
    let found = |strict: bool| {
        let found = problems(&format!(
            "services:\n  - name: carts\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    \
             endpoints: [ {{ address: 10.0.0.1 }}, {{ address: 10.0.0.2, health: draining }} ]\n---\n\
             apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: carts }}\nspec: {{ target: {{ \
             service: carts }}, statefulSession: {{ header: {{ name: x-endpoint }}, strict: {strict} }} }}\n"
        ));
        assert_eq!(found.iter().map(|problem| problem.id).collect::<Vec<_>>(), ["sticky-on-draining"]);
        found[0].message.clone()
    };
    assert!(found(false).ends_with("go elsewhere, and what only it knows of them is lost"));
    assert!(found(true).ends_with("are answered with 503 for as long as clients name it"));
}

#[test]
fn rules_of_routing_are_looked_at() {
    let services = "services:\n  - name: reviews\n    hosts: [ reviews.default.svc.cluster.local ]\n    \
                    ports: [ { name: http, port: 80, protocol: http } ]\n    endpoints: [ { address: 10.0.0.1 } ]";
    let found = |rules: &str| {
        let found = problems(&format!(
            "{services}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: reviews }}\n\
             spec:\n  hosts: [ reviews ]\n  http:\n{rules}"
        ));
        found.into_iter().map(|problem| (problem.id, problem.field)).collect::<Vec<_>>()
    };
    let route = "route: [ { destination: { host: reviews } } ]";
    let safe = "retries: { attempts: 1, retryOn: connect-failure }";
    let prefix = "match: [ { uri: { prefix: /a } } ]";
    assert_eq!(found(&format!("    - {{ {prefix}, {route}, {safe} }}\n    - {{ {route}, {safe} }}\n")), []);
    assert_eq!(
        found(&format!("    - {{ {route}, {safe} }}\n    - {{ {prefix}, {route}, {safe} }}\n")),
        [("unreachable-rule", "spec.http[1]".to_owned())]
    );
    assert_eq!(
        found(&format!("    - {{ {prefix}, {route} }}\n    - {{ {route} }}\n")),
        [("retry-non-idempotent", "spec.http".to_owned())],
        "Istio's default, once for all rules"
    );
    assert_eq!(
        found(&format!(
            "    - {{ {route}, timeout: 1s, retries: {{ attempts: 2, perTryTimeout: 1s, retryOn: refused-stream }} }}\n"
        )),
        [("retries-exceed-timeout", "spec.http[0].retries.perTryTimeout".to_owned())]
    );
}

/// `validate` with these arguments, in a folder with the bad example of a lint.
fn validate(id: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let section = sections().into_iter().find(|section| section.id == id).unwrap();
    let (services, policies) = section.examples[0].split_once("\n---\n").unwrap();
    fs::write(folder.path().join("services.yaml"), services).unwrap();
    fs::write(folder.path().join("policies.yaml"), policies).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_chancery"))
        .args(["validate", "services.yaml", "policies.yaml"])
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("CHANCERY_CONFIG")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn denied_warnings_are_errors() {
    let id = "hash-without-key";
    assert_eq!(validate(id, &[]).0, 0);
    assert_eq!(validate(id, &["--deny", "shadowed"]).0, 0);
    assert_eq!(validate(id, &["--deny", "shadowed", "--deny", id]).0, 1);
    assert_eq!(validate(id, &["--deny", "warnings"]).0, 1);
    let (code, _, stderr) = validate(id, &["--deny", "hash-without-keys"]);
    assert!(code == 2 && stderr.contains("did you mean `hash-without-key`?"), "{stderr}");
}

#[test]
fn the_day_can_be_named() {
    let day = |day: &str| {
        let (code, json, stderr) = validate("expires-soon", &["-o", "json", "--today", day]);
        assert_eq!(code, 0, "{stderr}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["problems"].as_array().unwrap().iter().map(|problem| problem["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(day("2027-01-05"), [] as [&str; 0]);
    assert_eq!(day("2027-01-06"), ["\"expires-soon\""]);
    assert_eq!(day("2027-01-20"), ["\"expires-soon\""]);
    assert_eq!(day("2027-01-21"), ["\"expired\""]);
    assert_eq!(validate("expires-soon", &["--today", "tomorrow"]).0, 2);
}

#[test]
fn sarif_leads_to_the_section() {
    let (_, sarif, _) = validate("hash-without-key", &["-o", "sarif"]);
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    let rule = &sarif["runs"][0]["tool"]["driver"]["rules"][0];
    assert_eq!(rule["id"], "hash-without-key");
    assert_eq!(rule["properties"]["documentation"], "docs/lints.md#hash-without-key");
}

/// Many documents over many services: what has to be looked at is found, not searched for.
#[test]
fn many_documents_and_services_take_little_time() {
    let mut services = String::from("services:\n");
    let mut policies = String::new();
    for number in 0..1_000 {
        services.push_str(&format!(
            "  - name: s{number}\n    labels: {{ team: t{} }}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    \
             endpoints: [ {{ address: 10.0.0.1 }}, {{ address: 10.0.0.2, labels: {{ v: v1 }} }} ]\n",
            number % 50
        ));
        policies.push_str(&format!(
            "---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: p{number} }}\n\
             spec: {{ target: {{ service: s{number} }}, timeout: 2s, outlierDetection: {{ consecutive5xxErrors: 5 }} }}\n\
             ---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: r{number} }}\n\
             spec: {{ host: s{number}, subsets: [ {{ name: v1, labels: {{ v: v1 }} }} ] }}\n"
        ));
    }
    let mut library = Library::default();
    library.update([&source("policies.yaml", &policies)]);
    assert!(!library.has_errors(), "{:#?}", library.problems());
    let mut world = World::default();
    world.update(catalog(&services), library.policies().clone());
    let started = Instant::now();
    let found = world.lints(Date::of_unix_seconds(0));
    let took = started.elapsed();
    assert_eq!(found.len(), 1_000, "each policy for itself: {:?}", found.first());
    // A debug build on a busy machine; a walk over documents × services is far beyond.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// What stands in a patch is found by the tables of the lint, and these say what the reference pages say.
#[test]
fn patches_of_what_policies_have_words_for_are_known_by_the_words_of_the_reference() {
    let policy = schema::of(Kind::all().into_iter().find(|kind| kind.name() == "TrafficPolicy").unwrap());
    let plain = |path: &str| {
        let mut path = path.replace("[\"", ".").replace("\"]", "");
        while let (Some(from), Some(to)) = (path.find('['), path.find(']')) {
            path.replace_range(from..=to, "");
        }
        path
    };
    let fields: Vec<(String, Vec<String>)> = fields(&policy)
        .iter()
        .filter_map(|field| {
            let envoy = field.schema["x-envoy"].as_str()?;
            let words = plain(field.path().strip_prefix("spec.")?);
            let quoted: Vec<String> = match envoy.contains('`') {
                true => envoy.split('`').skip(1).step_by(2).map(plain).collect(),
                false => vec![plain(envoy)],
            };
            Some((words, quoted))
        })
        .collect();
    let tables = [patched::OF_CLUSTERS, patched::OF_ENDPOINTS, patched::OF_ROUTES].concat();
    let unknown = tables.iter().filter(|(path, words)| {
        let below = |field: &str| field == *words || field.starts_with(&format!("{words}."));
        // A page may leave out where a message stands.
        let says = |quoted: &Vec<String>| {
            let around = |quoted: &String| format!(".{path}.").contains(&format!(".{quoted}."));
            quoted.iter().any(|quoted| around(quoted) || quoted.starts_with(path))
        };
        !fields.iter().any(|(field, quoted)| below(field) && says(quoted))
    });
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "the pages do not say this of these fields");
    // And every plain path of a page is in the tables.
    let missing = fields.iter().filter_map(|(field, quoted)| {
        let [path] = &quoted[..] else { return None };
        let is_path = path.contains('.') && !path.contains([' ', ',', ':']);
        let known = tables.iter().any(|(known, words)| {
            let is_below = |one: &str, other: &str| one == other || one.starts_with(&format!("{other}."));
            is_below(field, words) || is_below(path, known) || format!(".{known}.").contains(&format!(".{path}."))
        });
        (is_path && !known).then_some((field.as_str(), path.as_str()))
    });
    assert_eq!(missing.collect::<Vec<_>>(), IN_NO_TABLE, "these are in no table of the lint");
}

/// Fields of pages, with their places in Envoy, which a patch may have good reasons to set: there they take more forms
/// than policies have words for.
const IN_NO_TABLE: [(&str, &str); 9] = [
    ("loadBalancer.subsetHeaders", "typed_per_filter_config.envoy.filters.http.header_to_metadata"),
    (
        "loadBalancer.subsetHeaders.header",
        "typed_per_filter_config.envoy.filters.http.header_to_metadata.request_rules.header",
    ),
    (
        "loadBalancer.subsetHeaders.key",
        "typed_per_filter_config.envoy.filters.http.header_to_metadata.request_rules.on_header_present.key",
    ),
    (
        "loadBalancer.subsetHeaders.missing",
        "typed_per_filter_config.envoy.filters.http.header_to_metadata.request_rules.on_header_missing.value",
    ),
    ("outlierDetection.outlierDetectionHttpErrorCodes", "outlier_detection.error_matcher"),
    ("retries.retryIgnorePreviousHosts", "retry_policy.retry_host_predicate"),
    ("retries.retryRemoteLocalities", "retry_policy.retry_priority"),
    (
        "tls.caCertificatesSecret",
        "common_tls_context.combined_validation_context.validation_context_sds_secret_config.name",
    ),
    ("tls.clientCertificateSecret", "common_tls_context.tls_certificate_sds_secret_configs.name"),
];

#[test]
fn what_a_patch_adds_to_a_list_is_looked_at_as_a_whole() {
    let found = |patch: &str| {
        let input = format!(
            "services:\n  - {{ name: orders, ports: [ {{ name: http, port: 80, protocol: http }} ], endpoints: \
             [ {{ address: 10.0.0.1 }} ] }}\n---\napiVersion: chancery.dev/v1alpha1\nkind: EnvoyPatch\n\
             metadata: {{ name: orders }}\nspec: {{ target: {{ service: orders }}, patches: [ {patch} ] }}\n"
        );
        let problems = problems(&input).into_iter().filter(|problem| problem.id == "patch-instead-of-policy");
        problems.map(|problem| (problem.field.to_string(), problem.remedy.unwrap())).collect::<Vec<_>>()
    };
    let check =
        "{ type: cluster, merge: { health_checks: [ { interval: 1s, http_health_check: { path: /health } } ] } }";
    let remedy = "write `healthChecks.httpHealthCheck.path`, `healthChecks.interval` in a TrafficPolicy of this target";
    assert_eq!(found(check), [("spec.patches[0].merge.health_checks[0]".to_owned(), remedy.to_owned())]);
    let with_more = check.replace("interval: 1s", "interval: 1s, event_log_path: /tmp/x");
    assert_eq!(found(&with_more), []);
    let high =
        "{ type: cluster, merge: { circuit_breakers: { thresholds: [ { priority: HIGH, max_requests: 5 } ] } } }";
    assert_eq!(found(high)[0].1, "write `connectionPool.high.maxRequests` in a TrafficPolicy of this target");
    let of_http = "{ type: cluster, merge: { typed_extension_protocol_options: { \
                   envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { \"@type\": \
                   type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, \
                   common_http_protocol_options: { idle_timeout: 5s, max_headers_count: 50 } } } } }";
    let remedies: Vec<String> = found(of_http).into_iter().map(|(_, remedy)| remedy).collect();
    assert_eq!(remedies, ["write `connectionPool.http.idleTimeout` in a TrafficPolicy of this target"]);
    // A policy is for all routes of its target, so of one of them it has no words; its rule has some.
    assert_eq!(found("{ type: route, merge: { route: { priority: HIGH } } }").len(), 1);
    assert_eq!(found("{ type: route, route: reports, merge: { route: { priority: HIGH } } }"), []);
    let of_rule = found("{ type: route, route: reports, merge: { route: { timeout: 3s } } }");
    assert_eq!(of_rule[0].1, "write `timeout` in that rule");
}
