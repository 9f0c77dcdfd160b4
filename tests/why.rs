//! `why`: the exact texts of some cases, and what it promises of every golden: each value that has an effect is named
//! with the place where it is said, and another value at a place that is named has an effect.
//!
//! `tests/why/<case>/`: `input.yaml` as in the goldens, with a first line `# why: ARGUMENTS`; `UPDATE_GOLDEN=1` rewrites
//! `why.txt` and `why.json`.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use chancery::{
    control::World,
    diagnostic::Level,
    model::{ClientKind, Locality, Proxy, Role},
    policy::{Document, Library},
};
use support::{
    goldens::{self, Input},
    world::{catalog, source},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/why");

/// `chancery why` over services and policies in a folder of their own.
fn why(input: &str, format: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let (services, policies) = input.split_once("\n---\n").unwrap();
    write("services.yaml", services);
    write("policies.yaml", policies);
    write("chancery.yaml", "discovery: [ { file: { path: services.yaml } } ]\npolicies: [ { path: policies.yaml } ]\n");
    let arguments = input.lines().next().and_then(|line| line.strip_prefix("# why: ")).expect("a first line `# why:`");
    let output = Command::new(env!("CARGO_BIN_EXE_chancery"))
        .args(["why", "--config", "chancery.yaml", "-o", format])
        .args(arguments.split(' '))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn compare(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap_or_else(|_| panic!("{}: UPDATE_GOLDEN=1", path.display()));
    similar_asserts::assert_eq!(golden, text, "{}", path.display());
}

#[test]
fn every_case_is_answered_as_it_stands_there() {
    let mut cases: Vec<PathBuf> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 4, "the cases are gone");
    for case in cases {
        let input = fs::read_to_string(case.join("input.yaml")).unwrap();
        let human = why(&input, "human");
        let too_wide: Vec<&str> = human.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(too_wide.is_empty(), "{}: wider than 100 columns: {too_wide:#?}", case.display());
        compare(&case.join("why.txt"), &human);
        compare(&case.join("why.json"), &why(&input, "json"));
    }
}

/// The examples of the section on precedence, each answered by `why` as the page says.
#[test]
fn what_the_docs_say_of_precedence_is_so() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policies.md")).unwrap();
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .filter(|text| text.starts_with("# why: "))
        .collect();
    assert!(examples.len() >= 3, "the examples are gone");
    for example in examples {
        let expected: Vec<&str> = example.lines().filter_map(|line| line.strip_prefix("# = ")).collect();
        assert!(!expected.is_empty(), "{example}");
        let answer: serde_json::Value = serde_json::from_str(&why(example, "json")).unwrap();
        for line in expected {
            let [setting, value, document] = line.split("  ").collect::<Vec<_>>()[..] else { panic!("{line}") };
            let found = answer["settings"].as_array().unwrap().iter().find(|found| found["setting"] == setting);
            let found = found.unwrap_or_else(|| panic!("no {setting} in {answer:#}"));
            let said = found["value"].as_str().map_or_else(|| found["value"].to_string(), ToOwned::to_owned);
            let from = found["from"]["document"].as_str().unwrap_or("default");
            assert_eq!((said.as_str(), from), (value, document), "{setting} in\n{example}");
        }
    }
}

/// A golden, and who asks.
struct Scene {
    name: String,
    services: String,
    proxy: Proxy,
    /// How many errors the case has with its services.
    errors: usize,
}

impl Scene {
    fn new(input: &Input) -> Self {
        let node = input.services.lines().next().and_then(|line| line.strip_prefix("# node: ")).unwrap_or_default();
        let value = |key: &str| node.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default().to_owned();
        let proxy = Proxy {
            id: "golden".into(),
            workload: value("service=").into(),
            namespace: value("namespace=").into(),
            labels: value("labels=")
                .split_once(':')
                .map(|(key, value)| (key.into(), value.into()))
                .into_iter()
                .collect(),
            locality: Locality::parse(&value("locality=")),
            local_cluster: node.split(' ').any(|word| word == "zone-aware"),
            kind: ClientKind::Envoy,
            role: Role::Sidecar,
        };
        let errors = errors(&mut support::world::world(&input.services, &input.policies));
        Self { name: input.name.clone(), services: input.services.clone(), proxy, errors }
    }

    /// The world with these policies; `None` where they have more errors than the case itself is there to show.
    fn world(&self, policies: &str) -> Option<World> {
        let mut library = Library::default();
        library.update([&source("policies.yaml", policies)]);
        if library.has_errors() {
            return None;
        }
        let mut world = World::default();
        world.update(catalog(&self.services), library.policies().clone());
        (errors(&mut world) <= self.errors).then_some(world)
    }

    /// What is served.
    fn resources(&self, world: &mut World) -> serde_json::Value {
        let group = world.grouping().group_of(&self.proxy);
        world.compile(&group).snapshot.to_json()
    }

    /// Every field that `why` names for some service, as document and path.
    fn named(&self, world: &World) -> BTreeSet<(String, String)> {
        let view = world.grouping().group_of(&self.proxy).view;
        let services = world.catalog().iter().map(|(_, entry)| entry);
        let settings = services
            .flat_map(|entry| world.policies().why(entry, None, &self.proxy, &view, world.catalog()).settings());
        settings.filter_map(|setting| setting.from).map(|from| (from.document.name(), from.field)).collect()
    }
}

fn errors(world: &mut World) -> usize {
    world.problems().iter().filter(|problem| problem.level == Level::Error).count()
}

/// Other values that may stand in the place of one, by what it looks like.
fn others(text: &str) -> Vec<String> {
    const WORDS: &[&str] = &[
        "CANCELLED",
        "SECONDS",
        "http",
        "FROM_PROTOCOL_DEFAULT",
        "FROM_REQUEST_PORT",
        "*.example.org",
        "v1",
        "v2",
        "shadow",
        "ROUND_ROBIN",
        "RANDOM",
        "LEAST_REQUEST",
        "XX_HASH",
        "MURMUR_HASH_2",
        "UPGRADE",
        "DO_NOT_UPGRADE",
        "LOGICAL",
        "STRICT",
        "V4_ONLY",
        "V6_ONLY",
        "SIMPLE",
        "DISABLE",
        "V1",
        "V2",
        "HEAD",
        "OPTIONS",
        "HTTP1",
        "HTTP2",
        "reset",
        "connect-failure",
        "all",
        "none",
        "tcp",
        "127.0.0.2",
        "10.0.0.0/16",
        "443",
        "https",
        "FORWARD",
        "PROTOCOL_HTTPS",
        "DNS",
        "STATIC",
        "NONE",
        "DNS_ROUND_ROBIN",
        "GRPC",
        "registryOnly",
        "MESH_EXTERNAL",
        "MESH_INTERNAL",
        "HTTPS",
        "eu/eu-3",
        "10.0.0.77",
        "127.0.0.7",
        "NO_FALLBACK",
        "ANY_ENDPOINT",
        "DEFAULT",
        "Session",
        "Header",
        "Cookie",
        "stage",
        "Exact",
        "PathPrefix",
        "RegularExpression",
    ];
    let mut others: Vec<String> = Vec::new();
    match text {
        "true" => others.push("false".into()),
        "false" => others.push("true".into()),
        _ => {}
    }
    if let Ok(number) = text.parse::<f64>() {
        let near = [number + 1.0, number - 1.0, number * 2.0, (number / 2.0).floor()];
        others.extend(near.iter().filter(|other| **other >= 0.0).map(|other| format!("{other}")));
        others.extend(["131071", "7", "1", "0", "50", "200", "503"].map(ToOwned::to_owned));
    }
    let is_duration = text.ends_with('s') && text.starts_with(|c: char| c.is_ascii_digit());
    if is_duration || text.ends_with(['m', 'h']) && text.starts_with(|c: char| c.is_ascii_digit()) {
        others.extend(["7s", "13s", "1m", "150ms", "0s"].map(ToOwned::to_owned));
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) && text.len().is_multiple_of(2) {
        others.push(format!("{text}00"));
    }
    others.extend([format!("{text}x"), format!("{text}/x"), format!("x{text}")]);
    others.extend(WORDS.iter().map(|&word| word.to_owned()));
    others.retain(|other| other != text);
    others
}

/// What another value does.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// What is served is another.
    Changes,
    /// Other values are valid, and nothing changes.
    ChangesNothing,
    /// No other value that was tried is valid.
    NoneIsValid,
}

fn perturb(scene: &Scene, policies: &str, document: &Document, field: &str, before: &serde_json::Value) -> Outcome {
    let place = document.place_of_value(field);
    let written = &policies[place.start..place.end];
    let text = written.trim_matches(['"', '\'']);
    let mut outcome = Outcome::NoneIsValid;
    let services = catalog(&scene.services);
    let names = services.iter().map(|(name, _)| name.to_string());
    for other in others(text).into_iter().chain(names.filter(|name| name != text)) {
        let other = if written == text { other } else { format!("\"{other}\"") };
        let changed = format!("{}{other}{}", &policies[..place.start], &policies[place.end..]);
        let Some(mut world) = scene.world(&changed) else { continue };
        if scene.resources(&mut world) != *before {
            return Outcome::Changes;
        }
        outcome = Outcome::ChangesNothing;
    }
    outcome
}

/// Fields that say to what or for whom something is said: conditions, which `why` shows by what applies and what not.
const CONDITIONS: [&str; 8] = [
    "spec.target.",
    "spec.clients.",
    "spec.host",
    "spec.hosts[",
    "spec.exportTo",
    "spec.workload",
    "spec.gateways",
    "spec.parentRefs[",
];

/// Whether a field is such a condition, or the name of a subset or a port, or the port of an entry.
fn is_condition(field: &str) -> bool {
    let is_name =
        ["spec.subsets[", "spec.ports["].iter().any(|list| field.starts_with(list)) && field.ends_with("].name");
    let is_port = field.contains(".portLevelSettings[") && field.ends_with(".port.number");
    is_name
        || is_port
        || CONDITIONS
            .iter()
            .any(|condition| field == condition.trim_end_matches(['.', '[']) || field.starts_with(condition))
}

/// Fields whose other values show nowhere or that `why` does not name, and values that no other may stand for; each
/// with its reason. Part of the field, or the field and the value.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "DestinationRule/default/reviews spec.trafficPolicy.connectionPool.http.http2MaxRequests: 0",
        "0 is not set, in Istio",
    ),
    ("localityLbSetting.distribute[0].to[", "shares add up to 100"),
    ("destination.host: ", "the port or subset beside it is this service's alone"),
    ("mirror.host: ", "the port or subset beside it is this service's alone"),
    (".port.number: ", "the service has one port"),
    (
        "istio-routes-matches: VirtualService/shop/reviews spec.http[0].match[3].",
        "a match for another port, shown with its rule",
    ),
    (
        "istio-routes-matches: VirtualService/shop/reviews spec.http[0].match[4].",
        "a match for a gateway, shown with its rule",
    ),
    (
        "istio-routes-fault: VirtualService/shop/reviews spec.http[2].fault.abort.httpStatus: 500",
        "of no request, as the case shows",
    ),
    ("ServiceEntry/mirrors spec.resolution: DNS", "its endpoints are several names, which leaves no other"),
    ("/geo spec.", "the same is said in two documents"),
    ("].key: ", "a selector and a header name it together"),
    ("].keys[", "a selector and a header name it together"),
    ("subsetSelectors[2].fallbackPolicy: KEYS_SUBSET", "another field of the selector asks for it"),
    ("].type: ", "a filter's type asks for the field beside it"),
    (".path.type: Replace", "the type asks for the field beside it"),
    ("gateway-grpc: GRPCRoute/shop/reviews spec.rules[1].matches[3].method.type: ", "the pattern is no name"),
    ("gateway-backends: HTTPRoute/shop/reviews spec.rules[0].backendRefs[2].", "of no request, as the case shows"),
    (".@type: ", "what one message has in Envoy, another has not"),
    ("].remove[0]: ", "few fields are set that a patch can unset, and a case unsets one"),
    (
        "patch-routes: EnvoyPatch/orders spec.patches[2].route: reports",
        "without a name the patch is that of another route",
    ),
    ("patch-routes: VirtualService/orders spec.http[0].name: reports", "a patch looks for this name"),
    (".sessionPersistence.type: Cookie", "fields for cookies alone stand beside it"),
    (".cookieConfig.lifetimeType: ", "the one needs the `absoluteTimeout` that the other refuses"),
    (".statefulSession.disabled: true", "beside it nothing may stand that would name the endpoint"),
    (".outlierDetection.splitExternalLocalOriginErrors: true", "another field of the case asks for it"),
];

#[test]
fn why_names_the_place_of_every_value_and_no_other() {
    let (mut changed, mut excepted) = (0_u32, BTreeSet::new());
    let mut wrong: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for input in goldens::inputs().iter().filter(|input| !input.policies.trim().is_empty()) {
        let scene = Scene::new(input);
        let mut world = scene.world(&input.policies).unwrap_or_else(|| panic!("{} is wrong", input.name));
        let before = scene.resources(&mut world);
        let named = scene.named(&world);
        let documents: Vec<Arc<Document>> = world.policies().documents().cloned().collect();
        for document in documents {
            for (field, value) in document.scalars("spec").into_iter().filter(|(field, _)| !is_condition(field)) {
                let is_named = named.contains(&(document.name(), field.clone()));
                let what = format!("{}: {} {field}: {value}", scene.name, document.name());
                let outcome = perturb(&scene, &input.policies, &document, &field, &before);
                let complaint = match outcome {
                    Outcome::Changes if is_named => {
                        changed += 1;
                        continue;
                    }
                    Outcome::Changes => "has an effect, and `why` does not name it",
                    Outcome::ChangesNothing if is_named => "is named by `why`, and has no effect",
                    Outcome::ChangesNothing => continue,
                    Outcome::NoneIsValid => "has no other valid value among those that were tried",
                };
                match EXCEPTIONS.iter().position(|(part, _)| what.contains(part)) {
                    Some(exception) => drop(excepted.insert(exception)),
                    None => wrong.entry(complaint).or_default().push(what),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(changed > 150, "{changed} values were changed");
    let idle: Vec<_> = (0..EXCEPTIONS.len()).filter(|at| !excepted.contains(at)).map(|at| EXCEPTIONS[at]).collect();
    assert!(idle.is_empty(), "exceptions that are none any more: {idle:#?}");
}
