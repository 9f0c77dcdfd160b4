//! What a policy's author sees before anything runs: a real YAML language server with our schema, a real pre-commit with
//! our hook, and the commands of the CI example, each on documents that are right and on some that are not.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, LazyLock},
};

use chancery::{
    control::World,
    diagnostic::SourceFile,
    plan::{self, Load, Plan, Question},
    policy::Date,
    schema::{self, Data},
    yaml,
};
use serde_json::{Value, json};
use support::{
    goldens,
    world::{catalog, library, source},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Real tools, installed once; a missing one is a failure that says how to get it.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
    let installed = Command::new(Path::new(ROOT).join("scripts/install-clients")).status().unwrap();
    assert!(installed.success(), "scripts/install-clients says what is missing");
    Path::new(ROOT).join(".tools")
});

/// Asks a language server about documents.
fn language_server(cases: &Value) -> Vec<Value> {
    LazyLock::force(&TOOLS);
    let mut process = Command::new("node")
        .arg(Path::new(ROOT).join("tests/clients/yaml_language_server.cjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn schema_file(folder: &Path, name: &str, schema: &Value) -> String {
    let path = folder.join(name);
    fs::write(&path, schema.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_editor_marks_nothing_in_any_golden() {
    let folder = tempfile::tempdir().unwrap();
    let policy = schema_file(folder.path(), "policy.json", &schema::of_policy_file());
    let snapshot = schema_file(folder.path(), "snapshot.json", &schema::of(schema::Kind::find("Snapshot").unwrap()));
    let mut cases = Vec::new();
    for input in goldens::inputs() {
        cases.push((format!("{}, services", input.name), json!({ "schema": snapshot, "text": input.services })));
        for text in input.policies.split("\n---\n").filter(|text| text.contains("kind:")) {
            cases.push((format!("{}:\n{text}", input.name), json!({ "schema": policy, "text": text })));
        }
    }
    let asked: Vec<&Value> = cases.iter().map(|(_, case)| case).collect();
    let answers = language_server(&json!(asked));
    assert_eq!(answers.len(), cases.len());
    // That a field is an older word for another is said, as it should be.
    let known = schema::of_policy_file().to_string();
    let is_hint = |problem: &Value| {
        let sentence = problem.as_str().and_then(|problem| problem.split_once(": ")).map(|(_, sentence)| sentence);
        sentence.is_some_and(|sentence| known.contains(&format!("\"deprecationMessage\":{}", json!(sentence))))
    };
    let marked: Vec<String> = cases
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| !answer["problems"].as_array().unwrap().iter().all(is_hint))
        .map(|((name, _), answer)| format!("{name}\n{}", answer["problems"]))
        .collect();
    assert!(marked.is_empty(), "{} of {} documents are marked:\n{}", marked.len(), cases.len(), marked.join("\n\n"));
}

#[test]
fn an_editor_marks_what_is_misspelt_and_completes_with_documentation() {
    let folder = tempfile::tempdir().unwrap();
    let policy = schema_file(folder.path(), "policy.json", &schema::of_policy_file());
    let text = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: a }\nspec:\n  target: { service: orders }\n  connectionPool:\n    tcp:\n      maxConections: 5\n      ";
    let complete = json!({ "line": 8, "character": 6 });
    let answers = language_server(&json!([{ "schema": policy, "text": text, "complete": complete }]));
    let problems = answers[0]["problems"].to_string();
    assert!(problems.contains("maxConections"), "{problems}");
    let items = answers[0]["items"].as_array().unwrap();
    let offered = items.iter().find(|item| item["label"] == "connectTimeout").unwrap_or_else(|| panic!("{items:?}"));
    assert!(offered["documentation"].as_str().unwrap().contains("`10s`"), "{offered}");
}

/// What a program reads is held against its schema by the same server, which reads JSON as well.
fn marked(schema: &str, values: &[Value]) -> Vec<Vec<String>> {
    let cases: Vec<Value> = values.iter().map(|value| json!({ "schema": schema, "text": value.to_string() })).collect();
    let problems = |answer: &Value| {
        let problems = answer["problems"].as_array().unwrap().iter();
        problems.map(|problem| problem.as_str().unwrap().to_owned()).collect()
    };
    language_server(&json!(cases)).iter().map(problems).collect()
}

#[test]
fn what_plan_prints_is_as_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let schema = schema_file(folder.path(), "plan.json", &Data::Plan.schema());
    // From nothing to every golden, and from every golden to nothing.
    let mut plans = Vec::new();
    let load = Load::read(&source("load.yaml", "services: { orders:80: { connections: 9999999 } }")).unwrap();
    for golden in goldens::inputs() {
        let catalog = catalog(&golden.services);
        let proxies = plan::workloads_of(&catalog);
        let (none, all) = (Arc::default(), library(&golden.policies).0.policies().clone());
        for (before, after) in [(&none, &all), (&all, &none)] {
            let today = Date::parse("2026-06-01").unwrap();
            let question = Question { catalog: &catalog, before, after, proxies: &proxies, load: &load, today };
            plans.push(plan::json(&Plan::of(&mut World::default(), &question)));
        }
    }
    let wrong: Vec<(Vec<String>, &Value)> =
        marked(&schema, &plans).into_iter().zip(&plans).filter(|(problems, _)| !problems.is_empty()).collect();
    assert!(wrong.is_empty(), "{} of {} plans: {:#?}", wrong.len(), plans.len(), wrong.first());
    // There is something in all of them, and it would be found if it were otherwise.
    let all = |key: &str| plans.iter().flat_map(|plan| plan[key].as_array().unwrap()).collect::<Vec<_>>();
    let ids = |key: &str| all(key).iter().map(|one| one["id"].to_string()).collect::<BTreeSet<_>>().len();
    assert!(all("changes").len() > 500 && all("noEffect").len() > 1 && ids("risks") >= 5 && ids("effects") >= 5);
    let otherwise: Vec<Value> = [
        ("/changes", json!({})),
        ("/changes/0/type", json!("clusters")),
        ("/changes/0/causes/0/line", json!("3")),
        ("/proxies/affected", json!(-1)),
        ("/risks/0/level", json!("severe")),
    ]
    .into_iter()
    .map(|(place, value)| {
        let mut plan = plans.iter().find(|plan| plan.pointer(place).is_some()).unwrap().clone();
        *plan.pointer_mut(place).unwrap() = value;
        plan
    })
    .collect();
    assert!(marked(&schema, &otherwise).iter().all(|problems| !problems.is_empty()));
}

#[test]
fn what_plan_reads_of_loads_is_as_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let schema = schema_file(folder.path(), "load.json", &Data::Load.schema());
    let right = [
        json!({ "services": { "orders:80": { "requests": 120, "connections": 40 } } }),
        json!({ "cluster_statuses": [{ "name": "orders:80", "added_via_api": true, "host_statuses": [
            { "stats": [{ "name": "cx_active", "type": "GAUGE", "value": "3" }, { "name": "rq_active", "type": "GAUGE" }] },
        ] }] }),
        json!({ "stats": [{ "name": "cluster.orders_80.upstream_cx_active", "value": 3 }, { "histograms": {} }] }),
    ];
    for (load, problems) in right.iter().zip(marked(&schema, &right)) {
        assert!(problems.is_empty(), "{load}: {problems:?}");
        assert!(!Load::read(&source("load.json", &load.to_string())).unwrap().is_empty(), "{load}");
    }
    let wrong = [json!({ "service": {} }), json!({ "services": { "orders:80": { "rps": 1 } } })];
    for (load, problems) in wrong.iter().zip(marked(&schema, &wrong)) {
        assert!(!problems.is_empty(), "{load}");
        assert!(Load::read(&source("load.json", &load.to_string())).is_err(), "{load}");
    }
}

/// A repository of policies as the examples assume it, under git.
fn repository(policies: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mesh = folder.path().join("mesh");
    fs::create_dir_all(mesh.join("policies")).unwrap();
    let example = Path::new(ROOT).join("examples/first-policy");
    for file in ["chancery.yaml", "services.yaml"] {
        fs::copy(example.join(file), mesh.join(file)).unwrap();
    }
    fs::write(mesh.join("policies/orders.yaml"), policies).unwrap();
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["add", "."]);
    folder
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// `PATH` with the chancery under test before all others.
fn path() -> std::ffi::OsString {
    let binary = Path::new(env!("CARGO_BIN_EXE_chancery")).parent().unwrap().to_path_buf();
    env::join_paths([binary].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const RIGHT: &str = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: orders }\n\
    spec: { target: { service: orders }, timeout: 2s }\n";

#[test]
fn the_commands_of_the_workflow_pass_what_is_right_and_fail_what_is_not() {
    let workflow = fs::read_to_string(Path::new(ROOT).join("examples/ci/validate.yaml")).unwrap();
    let commands: Vec<&str> = workflow
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("run: "))
        .filter(|command| command.starts_with("chancery "))
        .collect();
    let [annotate, scan] = commands[..] else { panic!("the workflow has other commands: {commands:?}") };
    let run = |folder: &Path, command: &str| {
        Command::new("bash").args(["-e", "-c", command]).current_dir(folder).env("PATH", path()).output().unwrap()
    };
    let sarif = |folder: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(folder.join("chancery.sarif")).unwrap()).unwrap()
    };

    let right = repository(RIGHT);
    let output = run(right.path(), annotate);
    assert!(output.status.success(), "{}", text(&output));
    assert!(run(right.path(), scan).status.success());
    assert_eq!(sarif(right.path())["version"], "2.1.0");

    let wrong = repository(&RIGHT.replace("timeout", "timout"));
    let output = run(wrong.path(), annotate);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(said.contains("::error file=mesh/policies/orders.yaml,line=4,col=38"), "{said}");
    assert!(said.contains("did you mean `timeout`"), "{said}");
    // The page is written although there are errors: the job has failed already.
    assert!(run(wrong.path(), scan).status.success());
    let result = &sarif(wrong.path())["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&json!("mesh/policies/orders.yaml"), &json!(4))
    );
}

/// The steps of a job that run something, each with its own environment.
fn steps(workflow: &str) -> Vec<Value> {
    let file = Arc::new(SourceFile { path: "workflow.yaml".into(), text: workflow.into() });
    let read: Value = yaml::parse(&file).documents[0].decode().unwrap();
    let jobs = read["jobs"].as_object().unwrap().values();
    jobs.flat_map(|job| job["steps"].as_array().unwrap()).filter(|step| step["run"].is_string()).cloned().collect()
}

#[test]
fn the_plan_workflow_comments_on_a_pull_request_and_fails_what_nobody_should_merge() {
    let workflow = fs::read_to_string(Path::new(ROOT).join("examples/ci/plan.yaml")).unwrap();
    let steps = steps(&workflow);
    // What a pull request's checkout is: a branch that left main, and main as the remote has it.
    let pull_request = |change: &dyn Fn(&Path)| {
        let folder = repository(RIGHT);
        git(folder.path(), &["commit", "--quiet", "-m", "before"]);
        git(folder.path(), &["update-ref", "refs/remotes/origin/main", "HEAD"]);
        git(folder.path(), &["checkout", "--quiet", "-b", "change"]);
        change(folder.path());
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "--quiet", "-m", "change"]);
        folder
    };
    // `gh` keeps the body that it would post; `cargo` is not asked, since chancery is there.
    let tools = tempfile::tempdir().unwrap();
    let stub = "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --body-file ] && cp \"$2\" posted.md; shift; done\n\
                test -n \"$GH_TOKEN\" && test \"$NUMBER\" = 42\n";
    fs::write(tools.path().join("gh"), stub).unwrap();
    fs::write(tools.path().join("cargo"), "#!/bin/sh\nexit 1\n").unwrap();
    for tool in ["gh", "cargo"] {
        fs::set_permissions(tools.path().join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = env::join_paths([tools.path().to_path_buf()].into_iter().chain(env::split_paths(&path()))).unwrap();
    // As GitHub runs them: one after the other, until one fails. Returns the comment, and what failed.
    let run = |folder: &Path| -> (String, Option<String>) {
        let mut failed = None;
        for step in &steps {
            let script = step["run"].as_str().unwrap();
            let mut command = Command::new("bash");
            command.args(["-e", "-c", script]).current_dir(folder).env("PATH", &path).env("GITHUB_BASE_REF", "main");
            for (name, value) in step["env"].as_object().into_iter().flatten() {
                let value = value.as_str().unwrap();
                assert!(value.starts_with("${{ "), "{name}: {value}");
                command.env(name, if name == "NUMBER" { "42" } else { "a token" });
            }
            let output = command.output().unwrap();
            if !output.status.success() {
                failed = Some(format!("{script}{}", text(&output)));
                break;
            }
        }
        (fs::read_to_string(folder.join("posted.md")).unwrap_or_default(), failed)
    };

    let harmless = pull_request(&|folder| {
        fs::write(folder.join("mesh/policies/orders.yaml"), RIGHT.replace("2s", "3s")).unwrap();
    });
    let (comment, failed) = run(harmless.path());
    assert_eq!(failed, None);
    assert!(comment.contains("proxies of") && comment.contains("2s | 3s"), "{comment}");
    assert!(comment.contains("`mesh/policies/orders.yaml:4 spec.timeout`"), "{comment}");

    let risky = pull_request(&|folder| {
        let nothing = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: orders }\nspec: { hosts: [ orders \
                       ], http: [ { route: [ { destination: { host: orders, subset: v9 } } ] } ] }\n---\n\
                       apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: v9 }\n\
                       spec: { target: { service: orders }, subsets: [ { name: v9, labels: { version: v9 } } ] }\n";
        fs::write(folder.join("mesh/policies/routes.yaml"), nothing).unwrap();
    });
    let (comment, failed) = run(risky.path());
    assert!(comment.contains("`traffic-to-nothing`"), "the comment is there all the same: {comment}");
    assert!(failed.as_ref().is_some_and(|failed| failed.contains("--fail-on")), "{failed:?}");

    let broken = pull_request(&|folder| {
        fs::write(folder.join("mesh/policies/orders.yaml"), RIGHT.replace("timeout", "timout")).unwrap();
    });
    let (comment, failed) = run(broken.path());
    assert_eq!(comment, "", "a plan that could not be made is not posted");
    assert!(failed.is_some_and(|failed| failed.contains("did you mean `timeout`")));
}

#[test]
fn the_hook_runs_in_a_real_pre_commit() {
    let hooks = tempfile::tempdir().unwrap();
    fs::copy(Path::new(ROOT).join(".pre-commit-hooks.yaml"), hooks.path().join(".pre-commit-hooks.yaml")).unwrap();
    git(hooks.path(), &["init", "--quiet"]);
    git(hooks.path(), &["add", "."]);
    git(hooks.path(), &["commit", "--quiet", "-m", "hooks"]);
    let revision = git(hooks.path(), &["rev-parse", "HEAD"]);

    let example = fs::read_to_string(Path::new(ROOT).join("examples/ci/.pre-commit-config.yaml")).unwrap();
    let line = |line: &str| match line.trim_start_matches([' ', '-']).split(' ').next() {
        Some("repo:") => format!("  - repo: {}", hooks.path().display()),
        Some("rev:") => format!("    rev: {revision}"),
        _ => line.to_owned(),
    };
    let config: String = example.lines().map(|text| line(text) + "\n").collect();
    let home = tempfile::tempdir().unwrap();
    let run = |policies: &str| {
        let folder = repository(policies);
        fs::write(folder.path().join(".pre-commit-config.yaml"), &config).unwrap();
        git(folder.path(), &["add", "."]);
        Command::new(TOOLS.join("python/bin/pre-commit"))
            .args(["run", "--all-files", "--verbose"])
            .current_dir(folder.path())
            .env("PATH", path())
            .env("PRE_COMMIT_HOME", home.path())
            .output()
            .unwrap()
    };
    let output = run(RIGHT);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("chancery validate"), "{}", text(&output));
    let output = run(&RIGHT.replace("timeout", "timout"));
    assert!(!output.status.success() && text(&output).contains("did you mean `timeout`"), "{}", text(&output));
}

/// What `Dependencies` are worth: how much a sidecar is sent without them, and nothing of it where there are some for all.
#[test]
fn validate_says_how_much_a_sidecar_is_sent_that_nothing_limits() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("chancery.yaml", "discovery: [ { file: { path: services.yaml } } ]\npolicies: [ { path: policies.yaml } ]\n");
    let service = |name: &str| {
        format!(
            "  - {{ name: {name}, ports: [ {{ name: http, port: 80, protocol: http }} ], endpoints: [ {{ address: 10.0.0.1 }} ] }}\n"
        )
    };
    write("services.yaml", &format!("services:\n{}{}", service("orders"), service("reviews")));
    let said = |policies: &str| {
        write("policies.yaml", policies);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_chancery"))
            .args(["validate", "--config", "chancery.yaml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    // A listener, its routes, its cluster, and of each service a cluster and its endpoints.
    assert!(said("").contains("a sidecar that nothing limits is sent 2 services: 7 resources, "), "{}", said(""));
    let limited = said(
        "apiVersion: chancery.dev/v1alpha1\nkind: Dependencies\nmetadata: { name: all }\n\
         spec: { workload: \"*\", services: [ orders ] }\n",
    );
    assert!(!limited.contains("a sidecar that nothing limits"), "{limited}");
}
