//! How many instructions the pure parts take: `make microbench`. Times of a busy machine differ by more than most edits
//! cost; these counts hardly differ, so what an edit costs shows beside the run before it. Valgrind counts them.

#![allow(missing_docs, reason = "the macros write functions for the runner alone")]

use std::{hint::black_box, sync::Arc};

use chancery::{
    catalog::Merge,
    discovery::Slice,
    model::ResourceName,
    proto::envoy::config::endpoint::v3::ClusterLoadAssignment,
    resources::{Resource, ResourceSet, ResourceType, Snapshot},
    xds::session::Session,
};
use chancery_benches::{Plane, asking_for_clusters, assignment, policies, slice, snapshots, with_one_endpoint_changed};
use gungraun::{library_benchmark, library_benchmark_group, main};

// What a function takes it also returns: what is dropped in it would count.

/// A control plane that has published, and what its source says then.
fn about_to_change(services: u32) -> (Plane, Slice) {
    let mut plane = Plane::new(policies(services));
    let said = slice(services);
    plane.round(said.clone());
    (plane, with_one_endpoint_changed(&said, services / 2, 1))
}

#[library_benchmark(setup = about_to_change)]
#[bench::services_100(100)]
#[bench::services_1000(1_000)]
#[bench::services_10000(10_000)]
fn one_endpoint_changed((mut plane, said): (Plane, Slice)) -> (Plane, Arc<Snapshot>) {
    let snapshot = black_box(plane.round(said));
    (plane, snapshot)
}

fn about_to_merge(services: u32) -> (Merge, Arc<Slice>) {
    let mut merge = Merge::default();
    let said = slice(services);
    merge.update(vec![Arc::new(said.clone())]);
    (merge, Arc::new(with_one_endpoint_changed(&said, services / 2, 1)))
}

#[library_benchmark(setup = about_to_merge)]
#[bench::services_100(100)]
#[bench::services_1000(1_000)]
#[bench::services_10000(10_000)]
fn merge_one_changed((mut merge, said): (Merge, Arc<Slice>)) -> Merge {
    merge.update(vec![said]);
    merge
}

fn sets(services: u32) -> [Arc<ResourceSet>; 2] {
    let (before, after) = snapshots(services);
    [before, after].map(|snapshot| snapshot.set(ResourceType::Endpoints).clone())
}

#[library_benchmark(setup = sets)]
#[bench::services_100(100)]
#[bench::services_1000(1_000)]
#[bench::services_10000(10_000)]
fn diff([before, after]: [Arc<ResourceSet>; 2]) -> [Arc<ResourceSet>; 2] {
    assert_eq!(black_box(after.changed_since(&before).count()), 1);
    [before, after]
}

#[library_benchmark(setup = assignment)]
#[bench::endpoints_10()]
fn encode_assignment(message: ClusterLoadAssignment) -> (ClusterLoadAssignment, Resource) {
    let resource = Resource::encode(ResourceType::Endpoints, ResourceName::new("service-0:80"), &message);
    (message, resource)
}

fn newcomer(services: u32) -> Session {
    asking_for_clusters(&snapshots(services).0)
}

#[library_benchmark(setup = newcomer)]
#[bench::services_1000(1_000)]
fn first_clusters(mut session: Session) -> Session {
    black_box(session.next_response(std::time::Instant::now()));
    session
}

library_benchmark_group!(
    name = pure,
    benchmarks = [one_endpoint_changed, merge_one_changed, diff, encode_assignment, first_clusters]
);
main!(library_benchmark_groups = pure);
