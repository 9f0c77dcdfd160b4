//! How long the pure parts take: `make microbench`. What grows with the mesh, and should not, shows between the sizes.

use std::{hint::black_box, sync::Arc};

use chancery::{
    catalog::Merge,
    model::ResourceName,
    resources::{Resource, ResourceType},
};
use chancery_benches::{Plane, asking_for_clusters, assignment, policies, slice, snapshots, with_one_endpoint_changed};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZES: [u32; 3] = [100, 1_000, 10_000];

/// From what a source says to a snapshot that streams watch, the first time.
fn from_nothing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile from nothing");
    group.sample_size(10);
    for services in SIZES {
        let (said, library) = (slice(services), policies(services));
        group.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            let begin = || (Plane::new(library.clone()), said.clone());
            bencher.iter_batched(
                begin,
                |(mut plane, said)| {
                    black_box(plane.round(said));
                    plane
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The same, when one endpoint of one service is another.
fn one_endpoint_changed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one endpoint changed");
    for services in SIZES {
        let mut plane = Plane::new(policies(services));
        let mut said = slice(services);
        let mut before = plane.round(said.clone());
        let mut generation = 0;
        group.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| {
                generation += 1;
                said = with_one_endpoint_changed(&said, generation % services, generation);
                let after = plane.round(said.clone());
                assert!(!Arc::ptr_eq(after.set(ResourceType::Endpoints), before.set(ResourceType::Endpoints)));
                before = after;
            });
        });
    }
    group.finish();
}

/// One source's slice into the catalog, when one service of it is another.
fn merge_one_changed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge, one service changed");
    for services in SIZES {
        let mut merge = Merge::default();
        let mut said = slice(services);
        merge.update(vec![Arc::new(said.clone())]);
        let mut generation = 0;
        group.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| {
                generation += 1;
                said = with_one_endpoint_changed(&said, generation % services, generation);
                merge.update(vec![Arc::new(said.clone())]);
            });
        });
    }
    group.finish();
}

/// What differs between two sets of endpoints.
fn diff(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff of sets, one changed");
    for services in SIZES {
        let (before, after) = snapshots(services);
        let [before, after] = [before, after].map(|snapshot| snapshot.set(ResourceType::Endpoints).clone());
        group.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| black_box(after.changed_since(&before).count()));
        });
    }
    group.finish();
}

/// A resource from its message, and the first response of a stream from resources.
fn encode(criterion: &mut Criterion) {
    let (snapshot, _) = snapshots(1_000);
    let message = assignment();
    criterion.bench_function("encode one assignment of 10 endpoints", |bencher| {
        let name = ResourceName::new("service-0:80");
        bencher.iter(|| Resource::encode(ResourceType::Endpoints, name.clone(), black_box(&message)));
    });
    criterion.bench_function("encode the first clusters of a stream, 1000", |bencher| {
        bencher.iter_batched(
            || asking_for_clusters(&snapshot),
            |mut session| black_box(session.next_response(std::time::Instant::now())),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, from_nothing, one_endpoint_changed, merge_one_changed, diff, encode);
criterion_main!(benches);
