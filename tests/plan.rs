//! `plan` says what a change does: nothing where nothing is meant, every line where something is, each with its cause,
//! and exactly the proxies that are served something else. And it reads revisions without touching the repository.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use chancery::{
    control::World,
    model::{Catalog, ClientKind, Labels, Locality, Proxy, Role},
    plan::{self, Load, Plan, Question, Reshuffle, fields, without_provenance},
    policy::{Date, Document, Library, PolicySet},
    resources::{ResourceType, Snapshot, to_json},
    yaml::Tree,
};
use serde_json::{Value, json};
use support::{
    chancery::ControlPlane,
    free_port, goldens,
    reformat::{self, Layout},
    world::{catalog, source},
};

fn policies(files: &[(String, String)]) -> Arc<PolicySet> {
    let mut library = Library::default();
    let sources: Vec<_> = files.iter().map(|(path, text)| source(path, text)).collect();
    library.update(&sources);
    assert!(!library.has_errors(), "{:#?}", library.problems());
    library.policies().clone()
}

fn one(text: &str) -> Arc<PolicySet> {
    policies(&[("policies.yaml".into(), text.into())])
}

fn plan_of(catalog: &Catalog, before: &Arc<PolicySet>, after: &Arc<PolicySet>) -> Plan {
    plan_under(catalog, before, after, &Load::default())
}

fn plan_under(catalog: &Catalog, before: &Arc<PolicySet>, after: &Arc<PolicySet>, load: &Load) -> Plan {
    plan_for(catalog, before, after, &plan::workloads_of(catalog), load)
}

fn plan_for(
    catalog: &Catalog,
    before: &Arc<PolicySet>,
    after: &Arc<PolicySet>,
    proxies: &[Proxy],
    load: &Load,
) -> Plan {
    let today = Date::parse("2026-06-01").unwrap();
    Plan::of(&mut World::default(), &Question { catalog, before, after, proxies, load, today })
}

const SERVICES: &str = "
services:
  - name: orders
    ports: [ { name: http, port: 80, protocol: http } ]
    endpoints: [ { address: 10.0.0.1, ports: { http: 8080 } }, { address: 10.0.0.2, ports: { http: 8080 } } ]
  - name: checkout
    ports: [ { name: http, port: 80, protocol: http } ]
    endpoints: [ { address: 10.0.1.1 } ]
";

fn pool(name: &str, more: &str) -> String {
    format!("---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\nspec:\n{more}")
}

#[test]
fn one_number_is_one_line_with_its_cause() {
    let text = |limit: u32| {
        pool(
            "orders",
            &format!("  target: {{ service: orders }}\n  connectionPool:\n    tcp: {{ maxConnections: {limit} }}\n"),
        )
    };
    let plan = plan::json(&plan_of(&catalog(SERVICES), &one(&text(10)), &one(&text(20))));
    assert_eq!(
        plan["changes"],
        json!([{
            "type": "cluster", "resource": "orders:80", "change": "changed",
            "field": "circuit_breakers.thresholds[0].max_connections", "before": 10, "after": 20,
            "workloads": ["checkout", "orders"],
            "causes": [{
                "document": "TrafficPolicy/orders", "file": "policies.yaml", "line": 8,
                "field": "spec.connectionPool.tcp.maxConnections",
            }],
            "winner": {
                "before": {
                    "document": "TrafficPolicy/orders", "file": "policies.yaml", "line": 8,
                    "field": "spec.connectionPool.tcp.maxConnections",
                },
                "after": {
                    "document": "TrafficPolicy/orders", "file": "policies.yaml", "line": 8,
                    "field": "spec.connectionPool.tcp.maxConnections",
                },
            },
        }])
    );
    assert_eq!(plan["proxies"]["affected"], 3);
    assert_eq!(plan["workloads"], json!({ "affected": ["checkout", "orders"], "of": 2 }));
    let effects: Vec<&str> =
        plan["effects"].as_array().unwrap().iter().map(|effect| effect["id"].as_str().unwrap()).collect();
    assert_eq!(effects, ["cluster-rewarm", "connections-drain"]);
}

#[test]
fn what_wins_is_the_cause_and_what_loses_has_no_effect() {
    let wide = pool("wide", "  timeout: 3s\n");
    let named = pool("named", "  target: { service: orders }\n  timeout: 2s\n");
    let other = pool("other", "  target: { service: checkout }\n  timeout: 2s\n");
    let nothing = pool("nothing", "  target: { service: ordrs }\n  timeout: 2s\n");
    let before = one(&format!("{named}{other}"));
    let plan = plan_of(&catalog(SERVICES), &before, &one(&format!("{named}{other}{wide}{nothing}")));
    assert!(plan.changes.is_empty());
    let idle: Vec<(&str, &str)> =
        plan.no_effect.iter().map(|idle| (idle.document.as_str(), idle.reason.as_str())).collect();
    assert_eq!(
        idle,
        [
            ("TrafficPolicy/nothing", "no service is called `ordrs`: this policy has no effect (line 26)"),
            ("TrafficPolicy/wide", "everything it says is overridden, by TrafficPolicy/other for one"),
        ]
    );
    // Both are new, and only one of them counts.
    let after = one(&format!("{other}{named}{wide}"));
    let plan = plan_of(&catalog(SERVICES), &one(&other), &after);
    let causes: BTreeSet<String> =
        plan.changes.iter().flat_map(|change| &change.causes).map(|cause| cause.document.name()).collect();
    assert_eq!(causes, ["TrafficPolicy/named".to_owned()].into());
    assert_eq!(plan.no_effect.len(), 1);
}

/// Who decided a line and who does, by the start of its field.
fn winners(plan: &Plan, resource: &str, field: &str) -> (Option<String>, Option<String>) {
    let of = |change: &plan::Change| {
        change.resource.as_str() == resource && change.field.as_deref().unwrap_or_default().contains(field)
    };
    let line = plan.changes.iter().find(|change| of(change)).unwrap_or_else(|| panic!("{:#?}", plan::json(plan)));
    let said =
        |cause: &Option<plan::Cause>| cause.as_ref().map(|cause| format!("{} {}", cause.document.name(), cause.field));
    (said(&line.winner.before), said(&line.winner.after))
}

#[test]
fn each_line_names_the_document_that_wins_after_and_before() {
    let services = catalog(SERVICES);
    let wide = pool("wide", "  timeout: 3s\n  loadBalancer: { simple: RANDOM }\n");
    let named = pool("named", "  target: { service: orders }\n  timeout: 2s\n");
    let said = |text: &str| Some(text.to_owned());
    // A more specific document takes over, and gives way again.
    let plan = plan_of(&services, &one(&wide), &one(&format!("{wide}{named}")));
    let (before, after) = winners(&plan, "outbound", "orders:80].routes[1].route.timeout");
    assert_eq!((before, after), (said("TrafficPolicy/wide spec.timeout"), said("TrafficPolicy/named spec.timeout")));
    let plan = plan_of(&services, &one(&format!("{wide}{named}")), &one(&wide));
    let (before, after) = winners(&plan, "outbound", "orders:80].routes[1].route.timeout");
    assert_eq!((before, after), (said("TrafficPolicy/named spec.timeout"), said("TrafficPolicy/wide spec.timeout")));
    // Nobody says it: a default.
    let plan = plan_of(&services, &one(&named), &one(""));
    let (before, after) = winners(&plan, "outbound", "orders:80].routes[1].route.timeout");
    assert_eq!((before, after), (said("TrafficPolicy/named spec.timeout"), None));
    // Forms of one choice, in two documents.
    let hashing =
        pool("hash", "  target: { service: orders }\n  loadBalancer: { consistentHash: { httpHeaderName: a } }\n");
    let plan = plan_of(&services, &one(&wide), &one(&format!("{wide}{hashing}")));
    let hash = said("TrafficPolicy/hash spec.loadBalancer.consistentHash.httpHeaderName");
    let (before, after) = winners(&plan, "orders:80", "lb_policy");
    assert_eq!((before, after), (said("TrafficPolicy/wide spec.loadBalancer.simple"), hash.clone()));
    let maglev = pool(
        "hash",
        "  target: { service: orders }\n  loadBalancer: { consistentHash: { httpHeaderName: a, maglev: {} } }\n",
    );
    let plan = plan_of(&services, &one(&hashing), &one(&maglev));
    let (before, after) = winners(&plan, "orders:80", "lb_policy");
    assert_eq!((before, after), (hash, said("TrafficPolicy/hash spec.loadBalancer.consistentHash.maglev")));
    // One field of a block that stays, and one that goes: another document has it then.
    let ejecting = |more: &str| {
        let own = format!("  target: {{ service: orders }}\n  outlierDetection: {{ interval: 7s{more} }}\n");
        let all = pool("all", "  outlierDetection: { consecutive5xxErrors: 9 }\n");
        format!("{}{all}", pool("own", &own))
    };
    let plan = plan_of(&services, &one(&ejecting(", consecutive5xxErrors: 5")), &one(&ejecting("")));
    let field = "spec.outlierDetection.consecutive5xxErrors";
    let (before, after) = winners(&plan, "orders:80", "consecutive_5xx");
    assert_eq!(
        (before, after),
        (said(&format!("TrafficPolicy/own {field}")), said(&format!("TrafficPolicy/all {field}")))
    );
    // A rule of routing takes what a TrafficPolicy said.
    let rule = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: orders }\nspec: { hosts: [ orders ], \
                http: [ { route: [ { destination: { host: orders } } ], timeout: 9s } ] }\n";
    let plan = plan_of(&services, &one(&named), &one(&format!("{named}{rule}")));
    let (before, after) = winners(&plan, "outbound", "route.timeout");
    let rules = said("VirtualService/orders spec.http[0].timeout");
    assert_eq!((before, after), (said("TrafficPolicy/named spec.timeout"), rules));
    // What is no setting of a service: the document itself.
    let calls = |services: &str| {
        format!(
            "---\napiVersion: chancery.dev/v1alpha1\nkind: Dependencies\nmetadata: {{ name: checkout }}\nspec: {{ workload: \
             checkout, services: [ {services} ] }}\n"
        )
    };
    let plan = plan_of(&services, &one(&calls("checkout")), &one(&calls("checkout, orders")));
    let added = plan.changes.iter().find(|change| change.resource.as_str() == "orders:80").unwrap();
    let decides = added.winner.after.as_ref().map(|cause| cause.document.name());
    assert_eq!(decides, said("Dependencies/checkout"));
}

#[test]
fn a_limit_below_what_is_in_use_is_a_risk() {
    let services = catalog(SERVICES);
    let limits = |text: &str| {
        one(&pool("orders", &format!("  target: {{ service: orders }}\n  connectionPool: {{ {text} }}\n")))
    };
    let load =
        "services: { orders:80: { connections: 40, requests: 120, pendingRequests: 3, connectionsPerEndpoint: 9 } }";
    let load = Load::read(&source("load.yaml", load)).unwrap();
    let found = |before: &str, after: &str, load: &Load| -> Vec<String> {
        let plan = plan_under(&services, &limits(before), &limits(after), load);
        let risks = plan.risks.iter().filter(|risk| risk.id == "limit-below-use");
        risks.map(|risk| format!("{} {}", risk.text, risk.causes[0].field)).collect()
    };
    let tcp = |limit: u32| format!("tcp: {{ maxConnections: {limit} }}");
    assert_eq!(
        found(&tcp(100), &tcp(39), &load),
        [
            "orders:80 may have 39 connections in each proxy, and one proxy has 40 now spec.connectionPool.tcp.maxConnections"
        ]
    );
    assert!(found(&tcp(100), &tcp(40), &load).is_empty(), "as much as is in use is enough");
    assert!(found(&tcp(39), &tcp(39), &load).is_empty(), "what does not change is no finding of this change");
    assert!(found(&tcp(100), &tcp(39), &Load::default()).is_empty(), "of what is not known nothing is said");
    let others = [
        ("http: { http2MaxRequests: 119 }", "120 now"),
        ("http: { http1MaxPendingRequests: 2 }", "3 now"),
        ("maxConnectionsPerHost: 8", "9 now"),
    ];
    for (after, used) in others {
        let found = found("tcp: { connectTimeout: 1s }", after, &load);
        assert!(found.len() == 1 && found[0].contains(used), "{after}: {found:?}");
    }
}

#[test]
fn a_client_that_nobody_is_known_to_be_is_named_as_that() {
    let dependencies = "apiVersion: chancery.dev/v1alpha1\nkind: Dependencies\nmetadata: { name: batch }\nspec: { \
                        workload: batch, services: [orders] }\n";
    let plan = plan_of(&catalog(SERVICES), &one(""), &one(dependencies));
    assert!(plan.no_effect.is_empty());
    assert_eq!(plan.unknown_workloads[0].workload, "batch");
}

#[test]
fn risks_name_their_causes() {
    let before = pool(
        "orders",
        "  target: { service: orders }\n  outlierDetection: { consecutive5xxErrors: 5 }\n  tls: { mode: SIMPLE }\n  retries: \
         { attempts: 1 }\n",
    );
    let after = pool("orders", "  target: { service: orders }\n  retries: { attempts: 9 }\n");
    let plan = plan_of(&catalog(SERVICES), &one(&before), &one(&after));
    let risks: Vec<(&str, usize)> = plan.risks.iter().map(|risk| (risk.id, risk.causes.len())).collect();
    assert_eq!(
        risks,
        [("protection-removed", 1), ("tls-downgraded", 1), ("retry-amplification", 1), ("ownerless", 1)],
        "{:#?}",
        plan.risks
    );
}

/// The edits without meaning, over every golden.
#[test]
fn what_has_no_meaning_has_no_effect() {
    let mut edits = 0;
    for golden in goldens::inputs() {
        let catalog = catalog(&golden.services);
        let before = one(&golden.policies);
        for layout in [Layout::Block, Layout::Flow] {
            let documents = reformat::documents(&golden.policies, layout);
            let reversed = documents.iter().rev().cloned().collect::<Vec<_>>().join("---\n# moved\n");
            let split = documents.iter().enumerate().map(|(at, text)| (format!("{at}.yaml"), text.clone())).collect();
            for files in [vec![("all.yaml".to_owned(), reversed)], split] {
                let plan = plan_of(&catalog, &before, &policies(&files));
                assert!(plan.is_empty() && plan.no_effect.is_empty(), "{}: {:#?}", golden.name, plan::json(&plan));
                edits += 1;
            }
        }
    }
    assert!(edits >= 200, "{edits}");
}

fn proxies_and_snapshots(catalog: &Catalog, policies: &Arc<PolicySet>, proxies: &[Proxy]) -> Vec<Arc<Snapshot>> {
    let mut world = World::default();
    world.update(catalog.clone(), policies.clone());
    let grouping = world.grouping().clone();
    proxies.iter().map(|proxy| world.compile(&grouping.group_of(proxy)).snapshot).collect()
}

/// Every line that the compiled resources of all proxies show, worked out proxy by proxy from scratch.
fn lines_of(before: &Snapshot, after: &Snapshot) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for resource_type in ResourceType::ALL {
        let all = |snapshot: &Snapshot| {
            snapshot.set(resource_type).iter().map(|resource| resource.name().clone()).collect::<BTreeSet<_>>()
        };
        let json = |snapshot: &Snapshot, name: &str| {
            let resource = snapshot.set(resource_type).get(name);
            let mut value = resource.map_or(Value::Null, |resource| to_json(resource_type, resource));
            without_provenance(&mut value);
            value
        };
        for name in all(before).union(&all(after)) {
            let (a, b) = (json(before, name.as_str()), json(after, name.as_str()));
            let what = plan::type_name(resource_type);
            match (&a, &b) {
                _ if a == b => {}
                (Value::Null, _) | (_, Value::Null) => drop(lines.insert(format!("{what} {name}"))),
                _ => lines.extend(
                    fields(&a, &b).into_iter().map(|c| format!("{what} {name} {} {} {}", c.field, c.before, c.after)),
                ),
            }
        }
    }
    lines
}

/// A proxy of each workload that documents name, and of one that they do not: those that are clients only.
fn clients_of(documents: &[Arc<Document>]) -> Vec<Proxy> {
    let said = documents.iter().flat_map(|document| {
        let clients = document.scalars("spec.clients.services").into_iter();
        clients.chain(document.scalars("spec.workload"))
    });
    let named = said.map(|(_, name)| name.replace('*', "1"));
    let names: BTreeSet<String> = named.chain(["nobody-in-particular".to_owned()]).collect();
    let proxy = |name: &String| Proxy {
        id: format!("client-{name}").into(),
        workload: name.as_str().into(),
        namespace: "".into(),
        labels: Labels::default(),
        locality: Locality::default(),
        local_cluster: false,
        kind: ClientKind::Envoy,
        role: Role::Sidecar,
    };
    names.iter().map(proxy).collect()
}

/// Words of which another is as good.
const WORDS: [(&str, &str); 14] = [
    ("true", "false"),
    ("false", "true"),
    ("LEAST_REQUEST", "RANDOM"),
    ("ROUND_ROBIN", "LEAST_REQUEST"),
    ("RANDOM", "ROUND_ROBIN"),
    ("XX_HASH", "MURMUR_HASH_2"),
    ("SIMPLE", "DISABLE"),
    ("UPGRADE", "DO_NOT_UPGRADE"),
    ("GET", "POST"),
    ("Exact", "PathPrefix"),
    ("registryOnly", "allowAny"),
    ("all", "none"),
    ("v1", "v2"),
    ("us", "eu"),
];

/// Another value: the next number or duration, another word, another name.
fn another(tree: &Tree) -> Option<Tree> {
    let Tree::Scalar { text, plain } = tree else { return None };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let changed = match (digits.parse::<u64>(), WORDS.iter().find(|(word, _)| word == text)) {
        (Ok(number), _) if *plain => format!("{}{unit}", number + 1),
        (_, Some((_, other))) => (*other).to_owned(),
        _ if text.is_empty() => return None,
        _ => format!("{text}x"),
    };
    Some(Tree::Scalar { text: changed, plain: *plain })
}

/// Every tree that differs in one value, with where.
fn edits(tree: &Tree, path: &str) -> Vec<(String, Tree)> {
    match tree {
        Tree::Scalar { .. } => another(tree).map(|changed| (path.to_owned(), changed)).into_iter().collect(),
        Tree::Sequence(items) => {
            let each = items.iter().enumerate().flat_map(|(at, item)| {
                edits(item, &format!("{path}[{at}]")).into_iter().map(move |(path, changed)| {
                    let mut items = items.clone();
                    items[at] = changed;
                    (path, Tree::Sequence(items))
                })
            });
            each.collect()
        }
        Tree::Mapping(entries) => {
            let each = entries.iter().enumerate().flat_map(|(at, (key, value))| {
                let below =
                    if path.is_empty() { key.clone() } else { format!("{path}{}", chancery::yaml::key_segment(key)) };
                edits(value, &below).into_iter().map(move |(path, changed)| {
                    let mut entries = entries.clone();
                    entries[at].1 = changed;
                    (path, Tree::Mapping(entries))
                })
            });
            each.collect()
        }
    }
}

#[test]
fn a_single_edit_is_exactly_the_lines_that_the_resources_show() {
    // By kind: how many edits change what is served, and how many nothing.
    let mut tried: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for golden in goldens::inputs() {
        let catalog = catalog(&golden.services);
        let before = one(&golden.policies);
        let documents: Vec<Arc<Document>> = before.documents().cloned().collect();
        let proxies = [plan::workloads_of(&catalog), clients_of(&documents)].concat();
        let old = proxies_and_snapshots(&catalog, &before, &proxies);
        for document in &documents {
            let tree = document.tree().unwrap();
            for (path, changed) in edits(&tree, "") {
                if !path.starts_with("spec") {
                    continue;
                }
                let Some(rewritten) = document.rewritten(&changed) else { continue };
                let others = documents.iter().filter(|other| other.id != document.id).cloned();
                let all: Vec<Arc<Document>> = others.chain([rewritten]).collect();
                let (after, problems) = PolicySet::build(&all);
                if !problems.is_empty() {
                    continue;
                }
                let after = Arc::new(after);
                let plan = plan_for(&catalog, &before, &after, &proxies, &Load::default());
                let new = proxies_and_snapshots(&catalog, &after, &proxies);
                let mut lines = BTreeSet::new();
                let mut affected = BTreeSet::new();
                for (proxy, (old, new)) in proxies.iter().zip(old.iter().zip(&new)) {
                    let found = lines_of(old, new);
                    if !found.is_empty() {
                        affected.insert(proxy.id.clone());
                    }
                    lines.extend(found);
                }
                let told: BTreeSet<String> = plan
                    .changes
                    .iter()
                    .map(|change| {
                        let what = format!("{} {}", plan::type_name(change.resource_type), change.resource);
                        match &change.field {
                            Some(field) => format!("{what} {field} {} {}", change.before, change.after),
                            None => what,
                        }
                    })
                    .collect();
                let edit = format!("{}: {} {path}", golden.name, document.name());
                assert_eq!(told, lines, "{edit}");
                assert_eq!(plan.affected, affected, "{edit}");
                for change in &plan.changes {
                    let causes: Vec<(String, &str)> =
                        change.causes.iter().map(|cause| (cause.document.name(), cause.field.as_str())).collect();
                    assert_eq!(causes, [(document.name(), path.as_str())], "{edit}");
                }
                let is_listed = !plan.no_effect.is_empty() || !plan.unknown_workloads.is_empty();
                assert!(if plan.is_empty() { is_listed } else { plan.no_effect.is_empty() }, "{edit}");
                let (told, idle) = tried.entry(document.id.kind.to_string()).or_default();
                *if plan.is_empty() { idle } else { told } += 1;
            }
        }
    }
    let told: usize = tried.values().map(|(told, _)| told).sum();
    assert!(told >= 200, "{told} edits that change something: {tried:?}");
    let kinds = [
        ("TrafficPolicy", 100),
        ("DestinationRule", 20),
        ("VirtualService", 20),
        ("HTTPRoute", 5),
        ("ServiceEntry", 5),
        ("Sidecar", 1),
        ("Dependencies", 1),
        ("Mesh", 1),
        ("EnvoyPatch", 5),
    ];
    for (kind, least) in kinds {
        assert!(tried.get(kind).is_some_and(|(told, _)| *told >= least), "{kind}: {tried:?}");
    }
}

#[test]
fn keys_move_by_about_the_share_of_an_endpoint_that_goes() {
    let assignment = |count: usize| {
        let endpoint = |at| json!({ "endpoint": { "address": { "socket_address": { "address": format!("10.0.0.{at}"), "port_value": 80 } } } });
        json!({ "endpoints": [{ "lb_endpoints": (0..count).map(endpoint).collect::<Vec<_>>() }] })
    };
    for policy in ["RING_HASH", "MAGLEV"] {
        let cluster = json!({ "lb_policy": policy });
        let moved = |a: usize, b: usize| {
            Reshuffle::between((&cluster, &assignment(a)), (&cluster, &assignment(b))).unwrap().moved
        };
        assert_eq!(moved(10, 10), 0.0);
        // A tenth of the keys lose their endpoint; on a ring the others get more places each, which moves some more.
        assert!((0.09..0.2).contains(&moved(10, 9)), "{policy}: {}", moved(10, 9));
    }
}

/// A repository with a configuration, services and policies.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.write("services.yaml", SERVICES);
        repository.write(
            "chancery.yaml",
            "discovery: [ { file: { path: services.yaml } } ]\npolicies: [ { path: policies/ } ]\n",
        );
        repository.write("policies/orders.yaml", &pool("orders", "  target: { service: orders }\n  timeout: 2s\n"));
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit("first");
        repository
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]);
        let done = git.args(args).current_dir(self.path()).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Runs it. Whatever it answers, nothing is written: neither into `.git` nor beside it.
    fn plan(&self, args: &[&str]) -> Output {
        self.plan_in(&std::env::var_os("PATH").unwrap(), args)
    }

    fn plan_in(&self, path: &std::ffi::OsStr, args: &[&str]) -> Output {
        let before = self.inside();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(["plan", "--config", "chancery.yaml", "-o", "json"]).args(args).current_dir(self.path());
        let output = command.env("PATH", path).output().unwrap();
        assert!(self.inside() == before, "something is written by {args:?}");
        output
    }

    /// The exit code, and what is said.
    fn refused(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.plan(args);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// How many documents a plan names as causes.
    fn causes(&self, args: &[&str]) -> usize {
        let output = self.plan(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let changes = plan["changes"].as_array().unwrap().iter();
        changes
            .flat_map(|change| change["causes"].as_array().unwrap())
            .map(|cause| cause["document"].as_str().unwrap())
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Every file, `.git` and all, as it is, with the time at which it was written.
    fn inside(&self) -> BTreeSet<(String, std::time::SystemTime, Vec<u8>)> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let written = entry.metadata().unwrap().modified().unwrap();
                    files.insert((path.display().to_string(), written, fs::read(&path).unwrap()));
                }
            }
        }
        files
    }

    /// What its policy says.
    fn say(&self, timeout: &str) {
        let policy = pool("orders", &format!("  target: {{ service: orders }}\n  timeout: {timeout}\n"));
        self.write("policies/orders.yaml", &policy);
    }
}

#[test]
fn revisions_are_read_without_a_checkout() {
    let repository = Repository::new();
    repository.say("3s");
    repository.commit("slower");
    assert_eq!(repository.causes(&["--from", "HEAD"]), 0);
    assert_eq!(repository.causes(&["--from", "HEAD~1"]), 1);
    assert_eq!(repository.causes(&["--from", "HEAD~1..HEAD"]), 1);
    assert_eq!(repository.causes(&["--from", "HEAD~1...main"]), 1);
    assert_eq!(repository.causes(&["--from", "main", "--to", "HEAD~1"]), 1);
    let changed = repository.plan(&["--from", "HEAD~1", "--exit-code"]);
    assert_eq!(changed.status.code(), Some(1));
    let same = repository.plan(&["--from", "main", "--exit-code"]);
    assert_eq!(same.status.code(), Some(0));
}

#[test]
fn of_a_dirty_tree_what_lies_there_counts() {
    let repository = Repository::new();
    repository.say("4s");
    repository.write("policies/more.yaml", &pool("more", "  target: { service: checkout }\n  timeout: 4s\n"));
    assert_eq!(repository.causes(&["--from", "HEAD"]), 2, "changed and new, neither added nor committed");
    repository.git(&["add", "-A"]);
    assert_eq!(repository.causes(&["--from", "HEAD"]), 2, "added and not committed");
    fs::remove_file(repository.path().join("policies/orders.yaml")).unwrap();
    assert_eq!(repository.causes(&["--from", "HEAD"]), 2, "one is gone, one is new");
    assert_eq!(repository.causes(&["--from", "HEAD", "--to", "HEAD"]), 0, "a revision has no such changes");
}

#[test]
fn a_detached_head_is_compared_like_any_other() {
    let repository = Repository::new();
    repository.say("3s");
    repository.commit("slower");
    repository.git(&["checkout", "-q", "--detach", "HEAD~1"]);
    assert_eq!(repository.causes(&["--from", "main"]), 1);
    assert_eq!(repository.causes(&["--from", "HEAD"]), 0);
    assert_eq!(repository.causes(&["--from", "HEAD..main"]), 1);
}

#[test]
fn a_renamed_file_is_the_same_documents_elsewhere() {
    let repository = Repository::new();
    repository.git(&["mv", "policies/orders.yaml", "policies/renamed.yaml"]);
    assert_eq!(repository.causes(&["--from", "HEAD"]), 0);
    repository.commit("renamed");
    assert_eq!(repository.causes(&["--from", "HEAD~1..HEAD"]), 0);
    // Renamed and changed: the cause stands where the document stands now.
    let policy = pool("orders", "  target: { service: orders }\n  timeout: 9s\n");
    repository.write("policies/renamed.yaml", &policy);
    let plan: Value = serde_json::from_slice(&repository.plan(&["--from", "HEAD~1"]).stdout).unwrap();
    let change = &plan["changes"][0];
    assert_eq!(change["causes"][0]["file"], "policies/renamed.yaml");
    assert_eq!(change["winner"]["before"]["file"], "HEAD~1:policies/orders.yaml");
    // The folder itself was elsewhere: there the configuration's paths hold nothing, and everything is new.
    repository.git(&["mv", "policies", "elsewhere"]);
    repository.commit("moved away");
    repository.git(&["mv", "elsewhere", "policies"]);
    assert_eq!(repository.causes(&["--from", "HEAD"]), 1);
}

#[test]
fn a_revision_that_is_not_there_is_said() {
    let repository = Repository::new();
    let (code, text) = repository.refused(&["--from", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("`nowhere` is neither a path nor a git revision"), "{text}");
    let (code, text) = repository.refused(&["--from", "--upload-pack=true"]);
    assert_eq!(code, Some(2), "an option is no revision: {text}");
}

#[test]
fn a_revision_that_does_not_parse_is_explained_with_its_place() {
    let repository = Repository::new();
    repository.write(
        "policies/orders.yaml",
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: a }\nspec: { timeot: 2s }\n",
    );
    repository.commit("broken");
    let (code, text) = repository.refused(&["--from", "HEAD~1", "--to", "main"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("main:policies/orders.yaml:4"), "{text}");
    let (code, text) = repository.refused(&["--from", "HEAD~1"]);
    assert_eq!(code, Some(1));
    assert!(text.contains(" policies/orders.yaml:4"), "the working tree has it as well: {text}");
}

#[test]
fn a_shallow_clone_says_what_it_lacks() {
    let repository = Repository::new();
    repository.say("3s");
    repository.commit("slower");
    let clone = Repository(tempfile::tempdir().unwrap());
    let url = format!("file://{}", repository.path().display());
    clone.git(&["clone", "-q", "--depth", "1", &url, "."]);
    let (code, text) = clone.refused(&["--from", "HEAD~1"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("this clone is shallow") && text.contains("git fetch --unshallow"), "{text}");
    clone.say("9s");
    assert_eq!(clone.causes(&["--from", "HEAD"]), 1, "what it has can be compared");
}

#[test]
fn without_git_a_revision_cannot_be_read_and_a_folder_can() {
    let repository = Repository::new();
    let output = repository.plan_in("/nowhere".as_ref(), &["--from", "main"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("git is not on PATH"));
    let output = repository.plan_in("/nowhere".as_ref(), &["--from", "policies"]);
    assert_eq!(output.status.code(), Some(0), "a folder needs no git");
    fs::remove_dir_all(repository.path().join(".git")).unwrap();
    let (code, text) = repository.refused(&["--from", "main"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("in no git repository"), "{text}");
}

#[test]
fn what_is_asked_for_in_vain_is_said() {
    let repository = Repository::new();
    let (code, text) = repository.refused(&["--from", "HEAD", "--fail-on", "limit-below-use"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("add --load FILE"), "{text}");
    let (_, text) = repository.refused(&["--from", "HEAD", "--fail-on", "tls-downgrade"]);
    assert!(text.contains("did you mean `tls-downgraded`?"), "{text}");
    repository.write("load.yaml", "services: { orders:80: { conections: 3 } }\n");
    let (code, text) = repository.refused(&["--from", "HEAD", "--load", "load.yaml"]);
    assert_eq!((code, text.contains("did you mean `connections`?")), (Some(1), true), "{text}");
    repository.write("load.yaml", "services: { ordrs:80: { connections: 3 } }\n");
    let (code, text) = repository.refused(&["--from", "HEAD", "--load", "load.yaml"]);
    assert_eq!((code, text.contains("says nothing of any service")), (Some(0), true), "{text}");
}

/// What a person sees, in a scene of a few risks: without colour, and with.
#[test]
fn the_page_for_people_is_as_it_was() {
    let repository = Repository::new();
    let before = "  target: { service: orders }\n  timeout: 2s\n  outlierDetection: { consecutive5xxErrors: 5 }\n";
    repository.write("policies/orders.yaml", &pool("orders", before));
    repository.write("policies/everybody.yaml", &pool("everybody", "  timeout: 9s\n"));
    repository.commit("before");
    let after = "  target: { service: orders }\n  connectionPool: { tcp: { maxConnections: 30 } }\n";
    repository.write("policies/orders.yaml", &pool("orders", after));
    let calls = "apiVersion: chancery.dev/v1alpha1\nkind: Dependencies\nmetadata: { name: checkout }\nspec: { workload: checkout, \
                 services: [ orders ] }\n";
    repository.write("policies/checkout.yaml", calls);
    repository.write("policies/nobody.yaml", &pool("nobody", "  target: { service: ordrs }\n  timeout: 1s\n"));
    repository.write("load.yaml", "services: { orders:80: { connections: 40 } }\n");
    let printed = |args: &[&str], environment: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(["plan", "--config", "chancery.yaml", "--from", "main", "--load", "load.yaml"]).args(args);
        let output = command.envs(environment.iter().copied()).current_dir(repository.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let golden = |name: &str, text: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        similar_asserts::assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{name}");
    };
    let plain = printed(&[], &[]);
    golden("human.txt", &plain);
    golden("human-all.txt", &printed(&["--all"], &[]));
    golden("markdown.md", &printed(&["-o", "markdown"], &[]));
    let coloured = printed(&["--color", "always"], &[]);
    golden("human-coloured.txt", &coloured.replace('\u{1b}', "␛"));
    // The same words; and no colour where nobody sees it.
    let mut words = String::new();
    for (at, part) in coloured.split('\u{1b}').enumerate() {
        words.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(words, plain);
    assert_eq!(printed(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]), plain);
}

#[tokio::test]
async fn a_running_server_is_compared_and_recorded() {
    let policy = pool("orders", "  target: { service: orders }\n  timeout: 2s\n");
    let plane = ControlPlane::start(SERVICES, &policy, free_port()).await;
    let url = format!("http://{}", plane.admin());
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(args).current_dir(plane.folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let plan = |args: &[&str]| -> Value {
        let args = [&["plan", "--config", "chancery.yaml", "-o", "json"], args].concat();
        serde_json::from_str(&run(&args)).unwrap()
    };
    assert_eq!(plan(&["--from", &url])["changes"], json!([]));
    fs::create_dir(plane.path("proposed")).unwrap();
    fs::copy(plane.path("policies/mesh.yaml"), plane.path("proposed/mesh.yaml")).unwrap();
    fs::write(plane.path("proposed/orders.yaml"), policy.replace("2s", "3s")).unwrap();
    let proposed = plan(&["--from", &url, "--to", "proposed"]);
    assert_eq!(proposed["changes"][0]["causes"][0]["field"], "spec.timeout");

    // What is recorded of the server is what is recorded of its files, and reads as the same services again.
    let recorded = run(&["snapshot", "--admin", &url]);
    assert_eq!(recorded, run(&["snapshot", "--config", "chancery.yaml"]));
    assert_eq!(catalog(&recorded), catalog(SERVICES));
}
