//! `plan` says what a change does: nothing where nothing is meant, every line where something is, each with its cause,
//! and exactly the proxies that are served something else. And it reads revisions without touching the repository.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use chancery::{
    control::World,
    model::{Catalog, Proxy},
    plan::{self, Plan, Question, Reshuffle, fields, without_provenance},
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
    let proxies = plan::workloads_of(catalog);
    let today = Date::parse("2026-06-01").unwrap();
    Plan::of(&mut World::default(), &Question { catalog, before, after, proxies: &proxies, today })
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

/// Another value for a number or a duration.
fn another(tree: &Tree) -> Option<Tree> {
    let Tree::Scalar { text, plain: true } = tree else { return None };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    Some(Tree::Scalar { text: format!("{}{}", number + 1, &text[digits.len()..]), plain: true })
}

/// Every tree that differs in one number, with where.
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
    let mut tried = 0;
    for golden in goldens::inputs() {
        let catalog = catalog(&golden.services);
        let before = one(&golden.policies);
        let proxies = plan::workloads_of(&catalog);
        let old = proxies_and_snapshots(&catalog, &before, &proxies);
        let documents: Vec<Arc<Document>> = before.documents().cloned().collect();
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
                let plan = plan_of(&catalog, &before, &after);
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
                assert_eq!(plan.no_effect.is_empty() && plan.unknown_workloads.is_empty(), !plan.is_empty(), "{edit}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 150, "{tried} edits");
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

    fn plan(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(["plan", "--config", "chancery.yaml", "-o", "json"]).args(args).current_dir(self.path());
        command.output().unwrap()
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

    /// Everything in `.git`, as it is.
    fn inside(&self) -> BTreeSet<(String, Vec<u8>)> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.path().join(".git")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert((path.display().to_string(), fs::read(&path).unwrap()));
                }
            }
        }
        files
    }
}

#[test]
fn revisions_are_read_without_a_checkout_and_nothing_is_written() {
    let repository = Repository::new();
    repository.write("policies/orders.yaml", &pool("orders", "  target: { service: orders }\n  timeout: 3s\n"));
    repository.commit("slower");
    let before = repository.inside();
    assert_eq!(repository.causes(&["--from", "HEAD"]), 0);
    assert_eq!(repository.causes(&["--from", "HEAD~1"]), 1);
    assert_eq!(repository.causes(&["--from", "HEAD~1..HEAD"]), 1);
    assert_eq!(repository.causes(&["--from", "HEAD~1...main"]), 1);
    assert_eq!(repository.causes(&["--from", "main", "--to", "HEAD~1"]), 1);
    // Dirty: what counts is what lies there, committed or not.
    repository.write("policies/orders.yaml", &pool("orders", "  target: { service: orders }\n  timeout: 4s\n"));
    repository.write("policies/more.yaml", &pool("more", "  target: { service: checkout }\n  timeout: 4s\n"));
    assert_eq!(repository.causes(&["--from", "HEAD"]), 2);
    assert_eq!(repository.inside(), before, "nothing is written");
    repository.git(&["checkout", "-q", "--detach", "HEAD~1", "--force"]);
    fs::remove_file(repository.path().join("policies/more.yaml")).unwrap();
    assert_eq!(repository.causes(&["--from", "main"]), 1);
    // A renamed file is the same documents elsewhere.
    repository.git(&["mv", "policies/orders.yaml", "policies/renamed.yaml"]);
    assert_eq!(repository.causes(&["--from", "HEAD"]), 0);
    let changed = repository.plan(&["--from", "main", "--exit-code"]);
    assert_eq!(changed.status.code(), Some(1));
}

#[test]
fn what_cannot_be_read_is_said() {
    let repository = Repository::new();
    let told = |args: &[&str]| {
        let output = repository.plan(args);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = told(&["--from", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("`nowhere` is neither a path nor a git revision"), "{text}");
    repository.write(
        "policies/orders.yaml",
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: a }\nspec: { timeot: 2s }\n",
    );
    repository.commit("broken");
    let (code, text) = told(&["--from", "HEAD~1", "--to", "main"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("main:policies/orders.yaml:4"), "{text}");
    let clone = Repository(tempfile::tempdir().unwrap());
    let url = format!("file://{}", repository.path().display());
    clone.git(&["clone", "-q", "--depth", "1", &url, "."]);
    let output = clone.plan(&["--from", "HEAD~1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("this clone is shallow"));
    fs::remove_dir_all(clone.path().join(".git")).unwrap();
    let output = clone.plan(&["--from", "main"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("in no git repository"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    command.args(["plan", "--config", "chancery.yaml", "--from", "main"]).current_dir(repository.path());
    let output = command.env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("git is not on PATH"));
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
