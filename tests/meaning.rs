//! What has no meaning has no effect: comments, blank lines, layout, the order of keys and of documents, and the files
//! that documents stand in change no byte of any resource, in any golden; so nothing is sent, and a real Envoy counts
//! no update.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{collections::BTreeMap, fs, sync::Arc};

use chancery::{
    control::World,
    diagnostic::SourceFile,
    model::{Locality, NodeGroup},
    policy::Library,
};
use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port, goldens,
    reformat::{self, Layout},
    world::{catalog, source},
};

/// The same policies in other files and another form.
fn edits(policies: &str) -> Vec<(&'static str, Vec<(String, String)>)> {
    let block = reformat::documents(policies, Layout::Block);
    let flow = reformat::documents(policies, Layout::Flow);
    let reversed = |documents: &[String]| documents.iter().rev().cloned().collect::<Vec<_>>().join("---\n# moved\n");
    let one_by_one = |documents: &[String], name: &str| {
        documents.iter().enumerate().map(|(at, text)| (format!("{name}-{at}.yaml"), text.clone())).collect()
    };
    let commented: Vec<String> = policies.lines().map(|line| format!("{line}\n\n# nothing\n")).collect();
    vec![
        ("comments and blank lines", vec![("policies.yaml".into(), commented.concat())]),
        ("a file renamed", vec![("zz/renamed.yml".into(), policies.into())]),
        ("one file split, in block style, keys reversed", one_by_one(&block, "split")),
        ("joined again, in flow style, documents reversed", vec![("policies.yaml".into(), reversed(&flow))]),
    ]
}

fn sources(files: &[(String, String)]) -> Vec<Arc<SourceFile>> {
    files.iter().map(|(name, text)| source(name, text)).collect()
}

#[test]
fn an_edit_without_meaning_sends_nothing_in_any_golden() {
    let somewhere = Locality::new("eu", "eu-1", "rack-1");
    for input in goldens::inputs().into_iter().filter(|input| !input.policies.trim().is_empty()) {
        let mut library = Library::default();
        library.update(&sources(&[("policies.yaml".into(), input.policies.clone())]));
        assert!(!library.has_errors(), "{}: {:#?}", input.name, library.problems());
        let catalog = catalog(&input.services);
        let mut world = World::default();
        world.update(catalog.clone(), library.policies().clone());
        let group = NodeGroup { locality: Some(somewhere.clone()), ..NodeGroup::default() };
        let first = world.compile(&group).snapshot;
        let work = world.work();
        for (edit, files) in edits(&input.policies) {
            library.update(&sources(&files));
            assert!(!library.has_errors(), "{}, {edit}: {:#?}", input.name, library.problems());
            world.update(catalog.clone(), library.policies().clone());
            let next = world.compile(&group).snapshot;
            assert!(Arc::ptr_eq(&first, &next), "{}, {edit}: a snapshot that is another is pushed", input.name);
            assert_eq!(world.work(), work, "{}, {edit}: nothing is even resolved", input.name);
        }
    }
}

/// What Envoy counts of configuration that reached it, the marker's own endpoints aside.
async fn updates(envoy: &Envoy) -> BTreeMap<String, u64> {
    let counted = |name: &str| {
        let is_change = ["_added", "_modified", "_removed", "config_reload", "update_success", "update_rejected"];
        is_change.iter().any(|change| name.ends_with(change)) && !name.starts_with("cluster.marker_80.")
    };
    envoy.stats().await.into_iter().filter(|(name, _)| counted(name)).collect()
}

const ROUNDS: &str = "chancery_control_rounds_total";
const RESPONSES: &str = "chancery_xds_responses_total";
const RESOURCES: &str = "chancery_xds_resources_total";
const ACKS: &str = "chancery_xds_acks_total";
const NACKS: &str = "chancery_xds_nacks_total";

/// Does something, and waits until the control plane has looked at it.
async fn and_a_round(plane: &ControlPlane, act: impl FnOnce()) {
    let before = plane.metric(ROUNDS).await;
    act();
    eventually("the control plane has read what was written", async || {
        (plane.metric(ROUNDS).await > before).then_some(())
    })
    .await;
}

/// The golden's services, and one more whose endpoint tells one state from the next.
fn with_marker(services: &str, state: u32) -> String {
    let marker = format!(
        "  - name: marker\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    \
         endpoints: [ {{ address: 127.0.0.1, weight: {state} }} ]\n"
    );
    let services = services.replacen("services: []", "services:", 1);
    format!("{}\n", services.trim_end()).replacen("services:\n", &format!("services:\n{marker}"), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_envoy_counts_no_update() {
    let port = free_port();
    let mut plane = ControlPlane::prepare(&with_marker("services:\n", 1), "", port);
    let config = fs::read_to_string(plane.path("chancery.yaml")).unwrap();
    plane.write("chancery.yaml", &format!("{config}guard: {{ maxRemovedPercent: 100 }}\npush: {{ quiet: 1ms }}\n"));
    plane.run().await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "watcher-1", "--service", "watcher"]).await;
    let (mut tried, mut state) = (0, 1);
    for input in goldens::inputs() {
        // The scene's own Mesh names the listener's port; a second one is an error.
        if input.policies.trim().is_empty() || input.policies.contains("kind: Mesh") {
            continue;
        }
        state += 1;
        and_a_round(&plane, || plane.write_policies(&format!("# none: {state}\n"))).await;
        and_a_round(&plane, || plane.write_services(&with_marker(&input.services, state))).await;
        and_a_round(&plane, || plane.write_policies(&input.policies)).await;
        let (responses, resources) = settled(&plane).await;
        let applied = updates(&envoy).await;
        // Some goldens show what is warned of; an edit that was refused would be one problem more.
        let problems = plane.metric("chancery_control_problems").await;
        for (edit, files) in edits(&input.policies) {
            if let [(_, text)] = files.as_slice() {
                and_a_round(&plane, || plane.write_policies(text)).await;
                assert_eq!(
                    plane.metric("chancery_control_problems").await,
                    problems,
                    "{}, {edit}: {}",
                    input.name,
                    plane.log()
                );
            }
        }
        // One endpoint more: had anything been sent before it, the counts would be higher by that.
        state += 1;
        plane.write_services(&with_marker(&input.services, state));
        eventually("the marker is sent", async || (plane.metric(RESPONSES).await > responses).then_some(())).await;
        let after = settled(&plane).await;
        assert_eq!(after, (responses + 1, resources + 1), "{}: the marker's endpoints and nothing else", input.name);
        assert_eq!(applied, updates(&envoy).await, "{}: Envoy was sent something", input.name);
        tried += 1;
    }
    assert!(tried > 20, "{tried} goldens were tried");
}

/// Waits until Envoy has answered everything that it was sent; how many responses and resources that were.
async fn settled(plane: &ControlPlane) -> (u64, u64) {
    let mut last = None;
    eventually("Envoy has answered everything", async || {
        let sent = (plane.metric(RESPONSES).await, plane.metric(RESOURCES).await);
        let answered = plane.metric(ACKS).await + plane.metric(NACKS).await;
        (answered == sent.0 && last.replace(sent) == Some(sent)).then_some(sent)
    })
    .await
}
