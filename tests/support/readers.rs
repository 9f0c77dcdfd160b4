//! Everything that is done with a text that somebody wrote, for tests and fuzzing that ask whether it survives.

use std::sync::Arc;

use chancery::{
    control::World,
    diagnostic::{Diagnostic, SourceFile},
    discovery::file,
    model::{Catalog, CatalogEntry, ClientKind, Labels, Locality, Proxy, Role},
    policy::{Date, Library},
};

/// Services that policies of the goldens speak of, by name and by host.
pub const SERVICES: &str = "services:
  - name: reviews
    hosts: [ reviews.default.svc.cluster.local ]
    labels: { team: books }
    ports: [ { name: http, port: 8080, protocol: http }, { name: grpc, port: 9000, protocol: grpc } ]
    endpoints:
      - { address: 10.0.0.1, labels: { version: v1 }, locality: { region: eu, zone: eu-1 } }
      - { address: 10.0.0.2, labels: { version: v2 }, locality: { region: us, zone: us-1 }, health: draining }
  - name: orders
    ports: [ { name: http, port: 80, protocol: http } ]
    endpoints: [ { address: 10.0.0.3 } ]
  - name: db
    ports: [ { name: tcp, port: 5432, protocol: tcp } ]
    endpoints: [ { address: db.internal } ]
";

fn source(path: &str, text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile { path: path.into(), text: text.into() })
}

fn explained(problems: &[Diagnostic]) {
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.to_string().is_empty(), "{problem:?}");
    }
}

/// Reads a text as services.
pub fn services(text: &str) {
    match file::read(&source("services.yaml", text)) {
        Ok(_) => policies(text, ""),
        Err(problems) => {
            assert!(!problems.is_empty(), "what is refused is explained");
            explained(&problems);
        }
    }
}

/// Reads a text as policies of services that are right, and does all that can be done with them.
pub fn policies(services: &str, text: &str) {
    let mut library = Library::default();
    library.update([&source("policies.yaml", text)]);
    explained(library.problems());
    let read = file::read(&source("services.yaml", services)).unwrap_or_default();
    let catalog = read.into_iter().fold(Catalog::default(), |catalog, service| {
        catalog.with(CatalogEntry {
            service: service.service,
            endpoints: service.endpoints,
            observed: std::time::SystemTime::UNIX_EPOCH,
        })
    });
    let mut world = World::default();
    world.update(catalog, library.policies().clone());
    let proxy = Proxy {
        id: "reader".into(),
        workload: "orders".into(),
        namespace: "".into(),
        labels: Labels::new(),
        locality: Locality::new("eu", "eu-1", ""),
        local_cluster: false,
        kind: ClientKind::Envoy,
        role: Role::Sidecar,
    };
    let group = world.grouping().group_of(&proxy);
    world.compile(&group).snapshot.to_json();
    explained(&world.problems());
    explained(&world.lints(Date::of_unix_seconds(1_800_000_000)));
    for (_, entry) in world.catalog().iter() {
        world.policies().why(entry, None, &proxy, &group.view, world.catalog()).settings();
    }
}
