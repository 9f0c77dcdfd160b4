//! The running server while files change in every way that files change, and go wrong in every way they go wrong:
//! the process lives, the last good state is served, and it says what is wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{fs, io::Write, os::unix::fs::symlink};

use serde_json::Value;
use support::{chancery::ControlPlane, eventually, http};

fn services(port: u16) -> String {
    format!(
        "services:\n  - name: orders\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints: [ {{ address: 10.0.0.1, ports: {{ http: {port} }} }} ]\n"
    )
}

async fn port_served(plane: &ControlPlane) -> Option<u64> {
    let known: Value = plane.get_json("/api/v1/services").await;
    known["services"][0]["endpoints"][0]["ports"]["http"].as_u64()
}

async fn until_port(plane: &ControlPlane, wanted: u64) {
    eventually(&format!("port {wanted} is known"), async || (port_served(plane).await == Some(wanted)).then_some(()))
        .await;
}

/// The text of /readyz once it names a problem.
async fn until_problem(plane: &ControlPlane, named: &str) -> String {
    eventually(&format!("a problem that names `{named}`"), async || {
        let answer = http::get(&plane.admin(), "/readyz").await.ok()?;
        (answer.status == 200 && answer.body.contains(named)).then_some(answer.body)
    })
    .await
}

async fn until_no_problem(plane: &ControlPlane) {
    eventually("no problem is left", async || {
        let answer = http::get(&plane.admin(), "/readyz").await.ok()?;
        (answer.body == "ready\n").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_writing_is_seen() {
    let plane = ControlPlane::start(&services(1001), "", 15001).await;
    let file = plane.path("services.yaml");
    until_port(&plane, 1001).await;

    fs::write(&file, services(1002)).unwrap();
    until_port(&plane, 1002).await;

    plane.write_services(&services(1003)); // by rename
    until_port(&plane, 1003).await;

    fs::remove_file(&file).unwrap();
    fs::write(&file, services(1004)).unwrap();
    until_port(&plane, 1004).await;

    let mut slowly = fs::File::create(&file).unwrap();
    for line in services(1005).split_inclusive('\n') {
        slowly.write_all(line.as_bytes()).unwrap();
        slowly.sync_all().unwrap();
    }
    until_port(&plane, 1005).await;

    // As Kubernetes mounts a ConfigMap: the file is a link through `..data`, which is swapped for another folder.
    for (generation, port) in [("..1", 1006), ("..2", 1007)] {
        let folder = plane.path(generation);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("services.yaml"), services(port)).unwrap();
        symlink(generation, plane.path("..data.new")).unwrap();
        fs::rename(plane.path("..data.new"), plane.path("..data")).unwrap();
        if port == 1006 {
            fs::remove_file(&file).unwrap();
            symlink("..data/services.yaml", &file).unwrap();
        }
        until_port(&plane, u64::from(port)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_leaves_what_was_good() {
    let mut plane = ControlPlane::start(&services(1001), "", 15001).await;
    until_port(&plane, 1001).await;
    let alias_bomb = {
        let levels = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let level =
            |pair: &[&str]| format!("{}: &{} [{}]\n", pair[1], pair[1], vec![format!("*{}", pair[0]); 10].join(","));
        format!("a: &a [1]\n{}", levels.windows(2).map(level).collect::<String>())
    };
    let broken: [(&str, Vec<u8>, &str); 6] = [
        ("not YAML", b"services: [".to_vec(), "not YAML"),
        ("an unknown field", services(2).replace("address", "adress").into_bytes(), "did you mean `address`"),
        ("empty", Vec::new(), "empty"),
        ("binary", vec![0, 159, 146, 150, 0, 1], "no UTF-8 text"),
        ("an alias bomb", alias_bomb.into_bytes(), "multiply"),
        ("100 MB", vec![b' '; 100 * 1024 * 1024], "at most 64 MiB"),
    ];
    for (what, content, named) in broken {
        let partial = plane.path(".partial");
        fs::write(&partial, content).unwrap();
        fs::rename(&partial, plane.path("services.yaml")).unwrap();
        let text = until_problem(&plane, named).await;
        assert!(text.contains("services.yaml"), "{what}: {text}");
        assert_eq!(port_served(&plane).await, Some(1001), "{what}: the last good snapshot is served");
        assert!(plane.metric("chancery_control_problems").await > 0, "{what}");
        let known = plane.get_json("/api/v1/services").await;
        assert!(known["problems"][0]["message"].is_string(), "{what}: {known}");
    }
    // A link in a circle.
    fs::remove_file(plane.path("services.yaml")).unwrap();
    symlink("services.yaml", plane.path("services.yaml")).unwrap();
    until_problem(&plane, "cannot be read").await;
    assert_eq!(port_served(&plane).await, Some(1001));

    plane.write_services(&services(1002));
    until_port(&plane, 1002).await;
    until_no_problem(&plane).await;
    assert!(plane.process().0.try_wait().unwrap().is_none(), "the process lives");
}

const FIVE_SECONDS: &str = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: a }\n\
                            spec: { target: { service: orders }, timeout: 5s }\n";

fn timeout_served(plane: &ControlPlane) -> Option<String> {
    let routes = plane.command(&["render", "--config", "chancery.yaml", "--node", "x", "--type", "routes"]);
    let routes: Value = serde_json::from_str(&routes).unwrap();
    let hosts = routes["routes"][0]["virtual_hosts"].as_array()?.clone();
    let host = hosts.into_iter().find(|host| host["name"] == "orders:80")?;
    Some(host["routes"][1]["route"]["timeout"].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_policy_files_the_broken_one_keeps_its_last_good_content() {
    let plane = ControlPlane::start(&services(1001), FIVE_SECONDS, 15001).await;
    assert_eq!(timeout_served(&plane).as_deref(), Some("5s"));
    let policies = || async { plane.get_json("/api/v1/policies").await };
    let names = |known: &Value| -> Vec<String> {
        known["policies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|policy| policy["document"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&policies().await), ["Mesh/mesh", "TrafficPolicy/a"]);

    // A broken file keeps its documents; a new file beside it takes effect.
    plane.write_policies(&FIVE_SECONDS.replace("timeout", "timout"));
    until_problem(&plane, "did you mean `timeout`").await;
    plane.write(
        "policies/more.yaml",
        &FIVE_SECONDS.replace("name: a", "name: b").replace("timeout: 5s", "loadBalancer: { simple: RANDOM }"),
    );
    eventually("the new file takes effect", async || {
        (names(&policies().await) == ["Mesh/mesh", "TrafficPolicy/a", "TrafficPolicy/b"]).then_some(())
    })
    .await;

    // Of two that contradict each other, the one that changed keeps its old content.
    plane.write_policies(FIVE_SECONDS);
    until_no_problem(&plane).await;
    plane.write("policies/more.yaml", &FIVE_SECONDS.replace("name: a", "name: b").replace("5s", "6s"));
    let text = until_problem(&plane, "neither is more specific").await;
    assert!(text.contains("more.yaml"), "{text}");

    // A file gone from the folder takes its content along; an empty one holds nothing and is no error.
    fs::remove_file(plane.path("policies/more.yaml")).unwrap();
    eventually("what is gone is gone", async || {
        (names(&policies().await) == ["Mesh/mesh", "TrafficPolicy/a"]).then_some(())
    })
    .await;
    plane.write_policies("# nothing\n");
    eventually("an empty file holds nothing", async || (names(&policies().await) == ["Mesh/mesh"]).then_some(())).await;
    until_no_problem(&plane).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_with_problems_is_refused() {
    let mut plane = ControlPlane::prepare(&services(1001).replace("http }", "htp }"), FIVE_SECONDS, 15001);
    plane.spawn();
    let status = plane.process().0.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(plane.log().contains("did you mean `http`"), "{}", plane.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_not_there_yet_is_waited_for() {
    let mut plane = ControlPlane::prepare(&services(1001), "", 15001);
    fs::remove_file(plane.path("services.yaml")).unwrap();
    plane.spawn();
    // Before its first look at the file it is unready too, and cannot name the file yet.
    eventually("it is alive, unready, and says what it waits for", async || {
        let answer = http::get(&plane.admin(), "/readyz").await.ok()?;
        (answer.status == 503 && answer.body.contains("services.yaml")).then_some(())
    })
    .await;
    assert_eq!(http::get(&plane.admin(), "/healthz").await.unwrap().status, 200);
    plane.write_services(&services(1001));
    eventually("it is ready", async || {
        http::get(&plane.admin(), "/readyz").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    until_port(&plane, 1001).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_do_what_they_say() {
    let mut plane = ControlPlane::start(&services(1001), "", 15001).await;
    plane.process().signal("HUP");
    eventually("it says so", async || plane.log().contains("SIGHUP").then_some(())).await;
    plane.write("chancery.yaml", "discovry: []\n");
    plane.process().signal("HUP");
    eventually("the configuration is read again", async || {
        plane.log().contains("did you mean `discovery`").then_some(())
    })
    .await;
    plane.process().signal("TERM");
    let status = plane.process().0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(plane.log().contains("stopped"), "{}", plane.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_api_answers() {
    let plane = ControlPlane::start(&services(1001), FIVE_SECONDS, 15001).await;
    let description = plane.get_json("/api/v1/openapi.json").await;
    let readable = description["paths"].as_object().unwrap().iter().filter(|(_, item)| item["get"].is_object());
    for (path, item) in readable {
        let asked = if item["get"]["parameters"].is_array() { format!("{path}?node=nobody") } else { path.clone() };
        let answer = http::get(&plane.admin(), &asked).await.unwrap();
        let expected = if asked == *path { 200 } else { 404 };
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sudden_loss_is_held_alarmed_and_given_way_to_in_time() {
    let mut plane = ControlPlane::prepare("services: []", "", 15001);
    let config = fs::read_to_string(plane.path("chancery.yaml")).unwrap();
    plane.write("chancery.yaml", &format!("{config}guard: {{ hold: 2s }}\n"));
    let four: String = (1..=4)
        .map(|number| services(number).replace("services:\n", "").replace("orders", &format!("s{number}")))
        .collect();
    plane.write_services(&format!("services:\n{four}"));
    plane.run().await;
    let known = async || plane.get_json("/api/v1/services").await["services"].as_array().unwrap().len();
    assert_eq!(known().await, 4);

    plane.write_services("services: []");
    let text = until_problem(&plane, "4 of 4 services are gone at once").await;
    assert!(text.contains("removal is held"), "{text}");
    assert_eq!((known().await, plane.metric("chancery_control_held_removals").await), (4, 1));
    eventually("time shows that it is meant", async || (known().await == 0).then_some(())).await;
    until_no_problem(&plane).await;
    assert_eq!(plane.metric("chancery_control_held_removals").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_removal_is_listed_and_let_go_by_command() {
    let service = |name: &str, endpoints: u32| {
        let endpoints: String = (1..=endpoints).map(|host| format!("{{ address: 10.0.0.{host} }}, ")).collect();
        format!(
            "  - {{ name: {name}, ports: [ {{ name: http, port: 80, protocol: http }} ], endpoints: [ {endpoints} ] }}\n"
        )
    };
    let all = |names: &[(&str, u32)]| {
        let services: String = names.iter().map(|(name, endpoints)| service(name, *endpoints)).collect();
        format!("services:\n{services}")
    };
    let mut plane = ControlPlane::prepare(&all(&[("a", 4), ("b", 1), ("c", 1), ("d", 1)]), "", 15001);
    plane.configure("guard: { hold: 1h }\n");
    plane.run().await;
    let admin = format!("http://{}", plane.admin());
    assert_eq!(plane.command(&["release", "--admin", &admin]), "nothing of the kind is held\n");

    plane.write_services(&all(&[("a", 1)]));
    let text = until_problem(&plane, "3 of 4 endpoints of a are gone").await;
    let source = format!("file {}", plane.path("services.yaml").display());
    let command = format!("chancery release --admin {admin} --source '{source}' --service a");
    assert!(text.contains(&command), "the alarm names the command: {text}");

    let guard = plane.get_json("/api/v1/guard").await;
    let held = guard["held"].as_array().unwrap();
    assert_eq!(held.len(), 2, "{guard}");
    assert_eq!((&held[0]["removed"], held[0]["gone"].as_u64()), (&serde_json::json!(["b", "c", "d"]), Some(3)));
    assert_eq!(held[1]["service"], "a");
    assert_eq!(held[1]["removed"], serde_json::json!(["10.0.0.2", "10.0.0.3", "10.0.0.4"]));
    assert!(held.iter().all(|held| held["source"] == source && held["until"].is_string()), "{guard}");
    assert_eq!((guard["hold"].as_str(), guard["maxRemovedPercent"].as_u64()), (Some("1h"), Some(50)));

    let (code, said) = plane.fails(&["release", "--admin", &admin, "--source", "nobody"]);
    assert_eq!(code, Some(2));
    assert!(said.contains(&format!("there is no source `nobody`; there is `{source}`")), "{said}");
    let (_, said) = plane.fails(&["release", "--admin", &admin, "--service", "no name"]);
    assert!(said.contains("`no name` is no name of a service"), "{said}");

    let known = async || {
        let known = plane.get_json("/api/v1/services").await;
        let services = known["services"].as_array().unwrap().clone();
        let endpoints = services[0]["endpoints"].as_array().unwrap().len();
        (services.len(), endpoints)
    };
    assert_eq!(known().await, (4, 4));
    // What the answer says has happened.
    let released = plane.command(&["release", "--admin", &admin, "--service", "a", "-o", "json"]);
    let released: Value = serde_json::from_str(&released).unwrap();
    assert_eq!(released["released"][0]["removed"].as_array().unwrap().len(), 3);
    assert_eq!(known().await, (4, 1));
    let path = plane.path("services.yaml").display().to_string();
    let released = plane.command(&["release", "--admin", &admin, "--source", &path]);
    assert_eq!(released, format!("released, of source `{source}`: 3 services: b, c, d\n"));
    assert_eq!(known().await, (1, 1));
    until_no_problem(&plane).await;
    assert!(plane.log().contains("removal released by command"), "{}", plane.log());
}
