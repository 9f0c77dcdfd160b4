//! What a control plane starts from when nothing that it reads is there: the real server, killed and started again over
//! `stateDir`, and a client that holds what it was sent before.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{fs, path::PathBuf};

use chancery::resources::ResourceType;
use support::{
    chancery::ControlPlane,
    eventually, http,
    sidecar::{Heard, Sidecar},
};

/// Services with so many endpoints each: `orders:2 users:1`.
fn services(text: &str) -> String {
    let service = |word: &str| {
        let (name, endpoints) = word.split_once(':').unwrap();
        let endpoints: String =
            (1..=endpoints.parse().unwrap()).map(|host: u32| format!("{{ address: 10.0.0.{host} }}, ")).collect();
        format!(
            "  - {{ name: {name}, ports: [ {{ name: http, port: 80, protocol: http }} ], endpoints: [ {endpoints} ] }}\n"
        )
    };
    let services: String = text.split_whitespace().map(service).collect();
    if services.is_empty() { "services: []".to_owned() } else { format!("services:\n{services}") }
}

const POLICY: &str = "# The pool.\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: orders }\n\
                      spec:\n  target: { service: orders }\n  timeout: 5s\n";

/// With a state folder; not running.
fn prepare(text: &str) -> ControlPlane {
    let plane = ControlPlane::prepare(&services(text), POLICY, 15001);
    plane.configure("stateDir: state\n");
    plane
}

/// The files of the state.
fn kept(plane: &ControlPlane) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(plane.path("state")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "state"));
    files.sort();
    files
}

async fn until_kept(plane: &ControlPlane, wanted: &str) {
    eventually(&format!("`{wanted}` is kept"), async || {
        let is_there = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains(wanted));
        kept(plane).iter().any(is_there).then_some(())
    })
    .await;
}

/// The text of /readyz once it has all these words, while the server is ready.
async fn until_said(plane: &ControlPlane, words: &[&str]) -> String {
    eventually(&format!("/readyz says {words:?}"), async || {
        let answer = http::get(&plane.admin(), "/readyz").await.ok()?;
        (answer.status == 200 && words.iter().all(|word| answer.body.contains(word))).then_some(answer.body)
    })
    .await
}

async fn until_all_is_well(plane: &ControlPlane) {
    eventually("no problem is left", async || {
        (http::get(&plane.admin(), "/readyz").await.ok()?.body == "ready\n").then_some(())
    })
    .await;
}

fn of(heard: &Heard, resource_type: ResourceType) -> Vec<&str> {
    heard.get(&resource_type).into_iter().flatten().map(String::as_str).collect()
}

/// Endpoints and routes come again, the same; clusters and listeners do not.
fn assert_nothing_is_new(heard: &Heard) {
    assert_eq!(of(heard, ResourceType::Cluster), [""; 0]);
    assert_eq!(of(heard, ResourceType::Listener), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_with_everything_gone_the_fleet_keeps_what_it_had_and_it_says_so() {
    let mut plane = prepare("orders:2 users:1");
    plane.run().await;
    let mut sidecar = Sidecar::default();
    let first = sidecar.connect(plane.xds_port).await;
    assert_eq!(of(&first, ResourceType::Endpoints), ["orders:80", "users:80"]);
    // An edit just before the end counts too.
    plane.write_policies(&POLICY.replace("5s", "6s"));
    until_kept(&plane, "timeout: 6s").await;
    until_kept(&plane, "10.0.0.2").await;
    sidecar.listen().await;
    let held = sidecar.held.clone();
    plane.kill();

    fs::remove_file(plane.path("services.yaml")).unwrap();
    fs::remove_dir_all(plane.path("policies")).unwrap();
    plane.run().await;
    let again = sidecar.connect(plane.xds_port).await;
    assert_nothing_is_new(&again);
    assert_eq!(sidecar.held, held, "every version is the one it was");

    let text = until_said(&plane, &["source `file", "policies: since the start at"]).await;
    assert!(text.contains("it was kept in `stateDir` at 2"), "{text}");
    assert!(plane.log().contains("what it knew before is served"), "{}", plane.log());
    assert_eq!(plane.metric("chancery_control_inputs_from_state").await, 2);
    let known = plane.get_json("/api/v1/services").await;
    assert!(known["sources"][0]["fromState"]["since"].is_string(), "{known}");
    let problems = known["problems"].as_array().unwrap();
    assert!(problems.iter().any(|problem| problem["id"] == "served-from-state"), "{known}");
    let policies = plane.get_json("/api/v1/policies").await;
    let document = &policies["policies"][1];
    assert_eq!((document["document"].as_str(), document["line"].as_u64()), (Some("TrafficPolicy/orders"), Some(2)));
    assert!(document["file"].as_str().unwrap().ends_with("policies/policies.yaml"), "{document}");

    // What comes back counts.
    fs::create_dir(plane.path("policies")).unwrap();
    plane.write("policies/mesh.yaml", "");
    plane.write_policies(&POLICY.replace("5s", "6s"));
    plane.write_services(&services("orders:3 users:1"));
    until_all_is_well(&plane).await;
    let after = sidecar.listen().await;
    assert_eq!(of(&after, ResourceType::Endpoints), ["orders:80"]);
    assert_eq!(plane.metric("chancery_control_inputs_from_state").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_inputs_at_a_restart_are_served_as_they_were_when_good_even_from_elsewhere() {
    let mut plane = prepare("orders:2 users:1");
    plane.run().await;
    let mut sidecar = Sidecar::default();
    sidecar.connect(plane.xds_port).await;
    // At its end a server writes what it has not written yet.
    plane.process().signal("TERM");
    assert_eq!(plane.process().0.wait().unwrap().code(), Some(0));

    plane.write_services(&services("orders:2 users:1").replace("http }", "htp }"));
    plane.write_policies(&POLICY.replace("timeout", "timout"));
    // Relative paths of the configuration are reached in another way from another working directory.
    plane.run_in_its_folder().await;
    let held = sidecar.held.clone();
    assert_nothing_is_new(&sidecar.connect(plane.xds_port).await);
    assert_eq!(sidecar.held, held);
    let text = until_said(&plane, &["kept in `stateDir`", "did you mean `http`", "did you mean `timeout`"]).await;
    assert!(text.contains("policies: since the start"), "{text}");

    // One of the two is repaired: it counts, and the other stays what it was.
    plane.write_policies(&POLICY.replace("5s", "7s"));
    eventually("the policies are theirs again", async || {
        (plane.metric("chancery_control_inputs_from_state").await == 1).then_some(())
    })
    .await;
    assert_eq!(of(&sidecar.listen().await, ResourceType::Route), ["outbound"]);
    plane.write_services(&services("orders:2 users:1"));
    until_all_is_well(&plane).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_comes_back_with_little_is_not_believed_at_once() {
    let mut plane = prepare("a:1 b:1 c:1 d:1");
    plane.run().await;
    until_kept(&plane, "\"d\"").await;
    plane.kill();
    fs::remove_file(plane.path("services.yaml")).unwrap();
    plane.run().await;
    plane.write_services(&services("a:1"));
    let text = until_said(&plane, &["3 of 4 services are gone at once"]).await;
    assert!(!text.contains("kept in `stateDir`"), "it has said what it knows: {text}");

    let admin = format!("http://{}", plane.admin());
    let released = plane.command(&["release", "--admin", &admin]);
    assert!(released.contains("3 services: b, c, d"), "{released}");
    until_all_is_well(&plane).await;
}

/// One file of a folder is broken at the restart: the others count, with what changed while nobody looked.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_folder_the_files_that_read_count_beside_what_was_kept() {
    let mut plane = prepare("unused:1");
    fs::remove_file(plane.path("services.yaml")).unwrap();
    fs::create_dir(plane.path("services.yaml")).unwrap();
    plane.write("services.yaml/a.yaml", &services("a:1"));
    plane.write("services.yaml/b.yaml", &services("b:1"));
    plane.run().await;
    until_kept(&plane, "\"b\"").await;
    plane.kill();
    plane.write("services.yaml/a.yaml", &services("a:2"));
    plane.write("services.yaml/b.yaml", "services: [");
    plane.run().await;
    let known = plane.get_json("/api/v1/services").await;
    let endpoints = |at: usize| known["services"][at]["endpoints"].as_array().unwrap().len();
    assert_eq!((endpoints(0), endpoints(1)), (2, 1), "{known}");
    assert_eq!(known["sources"][0]["current"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_said_and_left_aside() {
    let mut plane = prepare("orders:2");
    plane.run().await;
    until_kept(&plane, "10.0.0.2").await;
    until_kept(&plane, "timeout").await;
    plane.kill();
    for path in kept(&plane) {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("10.0.0.2", "10.0.0.9").replace("timeout: 5s", "timeout: 9s")).unwrap();
    }
    // With good inputs it is no matter, and written anew.
    plane.run().await;
    assert_eq!(plane.log().matches("is damaged").count(), 2, "{}", plane.log());
    until_kept(&plane, "10.0.0.2").await;
    plane.kill();

    // From another version; and with broken inputs this is a first start, which is refused.
    for path in kept(&plane) {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("chancery state 1,", "chancery state 7,", 1)).unwrap();
    }
    plane.write_policies("kind: [");
    plane.spawn();
    assert_eq!(plane.process().0.wait().unwrap().code(), Some(1));
    assert!(plane.log().contains("is of version 7 of the format"), "{}", plane.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_and_a_folder_that_can_be_written() {
    let mut plane = prepare("orders:1");
    plane.run().await;
    let config = fs::read_to_string(plane.path("chancery.yaml")).unwrap();
    let ports = |text: &str, by: u16| {
        text.replace(&plane.xds_port.to_string(), &by.to_string())
            .replace(&plane.admin_port.to_string(), &(by + 1).to_string())
    };
    plane.write("second.yaml", &ports(&config, support::free_port()));
    let (code, said) = plane.fails(&["serve", "--config", "second.yaml"]);
    assert_eq!(code, Some(2));
    let owner = plane.process().id();
    assert!(said.contains(&format!("is in use by another chancery (process {owner})")), "{said}");

    plane.write("third.yaml", &config.replace("stateDir: state", "stateDir: services.yaml/state"));
    let (code, said) = plane.fails(&["serve", "--config", "third.yaml"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("`stateDir` services.yaml/state cannot be written"), "{said}");
}

/// A disk that fills up, or a folder that goes: said, and over when it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_written_is_said_until_it_can() {
    let mut plane = prepare("orders:1");
    plane.run().await;
    until_kept(&plane, "10.0.0.1").await;
    fs::rename(plane.path("state"), plane.path("elsewhere")).unwrap();
    plane.write_services(&services("orders:2"));
    until_said(&plane, &["stateDir: what is good cannot be kept"]).await;
    fs::rename(plane.path("elsewhere"), plane.path("state")).unwrap();
    until_all_is_well(&plane).await;
    until_kept(&plane, "10.0.0.2").await;
}

/// Writing costs what changed: a state that is the same after a restart is not written again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_same_is_not_written_again() {
    let mut plane = prepare("orders:1");
    plane.run().await;
    until_kept(&plane, "10.0.0.1").await;
    until_kept(&plane, "timeout").await;
    plane.kill();
    let before: Vec<_> = kept(&plane).iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect();
    plane.run().await;
    plane.process().signal("TERM");
    plane.process().0.wait().unwrap();
    let after: Vec<_> = kept(&plane).iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect();
    assert_eq!(before, after);
}
