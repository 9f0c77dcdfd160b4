//! Policy documents as written: read into types, each value still knowing its place.
//!
//! A file is a stream of documents, each `apiVersion`, `kind`, `metadata`, `spec`. What is not supported is an error
//! that says so: a document is never ignored.

pub mod dependencies;
pub mod destination_rule;
pub mod envoy_patch;
pub mod export_to;
pub mod gateway_api;
mod istio_durations;
pub mod mesh;
pub mod metadata;
pub mod regex;
pub mod scalar;
pub mod service_entry;
pub mod settings;
pub mod sidecar;
pub mod traffic_policy;
mod unsupported;
pub mod virtual_service;

use std::{fmt, sync::Arc};

use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, de::DeserializeOwned};

pub use self::{
    dependencies::Dependencies, destination_rule::DestinationRule, envoy_patch::EnvoyPatch, gateway_api::GRPCRoute,
    gateway_api::HTTPRoute, mesh::Mesh, metadata::Metadata, service_entry::ServiceEntry, settings::Settings,
    sidecar::Sidecar, traffic_policy::TrafficPolicy, virtual_service::VirtualService,
};
use super::lint::{Silence, read_silences};
use crate::{
    diagnostic::{Diagnostic, Place, SourceFile},
    model::DEFAULT_NAMESPACE,
    yaml::{self, did_you_mean},
};

const CHANCERY: &[&str] = &["chancery.dev/v1alpha1"];
const ISTIO: &[&str] = &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
const HTTP_ROUTE: &[&str] = &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"];
const GRPC_ROUTE: &[&str] = &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"];

/// A kind of document: how it is read, and how what is read is described.
struct Kind {
    name: &'static str,
    versions: &'static [&'static str],
    read: Read,
    spec: fn(&mut SchemaGenerator) -> Schema,
}

type Read = fn(Arc<yaml::Document>, &str) -> ReadDocument;

/// A kind that is read into the type of its name, checked by a function.
macro_rules! kind {
    ($name:ident, $versions:expr, $check:expr) => {
        Kind {
            name: stringify!($name),
            versions: $versions,
            read: |source, kind| read_as::<$name>(source, kind, |spec| Body::$name(Box::new(spec)), $check),
            spec: SchemaGenerator::subschema_for::<$name>,
        }
    };
}

/// The kinds there are, with the versions each is read in.
const KINDS: &[Kind] = &[
    kind!(TrafficPolicy, CHANCERY, traffic_policy::check),
    kind!(Dependencies, CHANCERY, dependencies::check),
    kind!(EnvoyPatch, CHANCERY, envoy_patch::check),
    kind!(Mesh, CHANCERY, |_, _| Vec::new()),
    kind!(DestinationRule, ISTIO, destination_rule::check),
    kind!(VirtualService, ISTIO, virtual_service::check),
    kind!(ServiceEntry, ISTIO, service_entry::check),
    kind!(Sidecar, ISTIO, sidecar::check),
    kind!(HTTPRoute, HTTP_ROUTE, gateway_api::check_http_route),
    kind!(GRPCRoute, GRPC_ROUTE, gateway_api::check_grpc_route),
];

/// A kind of document, for those who describe it.
#[derive(Debug, Clone, Copy)]
pub struct KindSchema {
    /// For example `TrafficPolicy`.
    pub name: &'static str,
    /// The `apiVersion`s it is read in.
    pub versions: &'static [&'static str],
    /// Describes its `spec`.
    pub spec: fn(&mut SchemaGenerator) -> Schema,
}

/// Every kind there is.
pub fn kinds() -> impl Iterator<Item = KindSchema> {
    KINDS.iter().map(|&Kind { name, versions, read: _, spec }| KindSchema { name, versions, spec })
}

/// A document that was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Kind, namespace and name.
    pub id: DocumentId,
    /// Who owns it and the like.
    pub metadata: Metadata,
    /// What it says.
    pub body: Body,
    source: Arc<yaml::Document>,
}

/// What tells documents apart; printed as `KIND/NAME`, or `KIND/NAMESPACE/NAME` where a namespace is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId {
    /// For example `TrafficPolicy`.
    pub kind: Arc<str>,
    /// Absent = none is written.
    pub namespace: Option<Arc<str>>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        match namespace {
            None => write!(f, "{kind}/{name}"),
            Some(namespace) => write!(f, "{kind}/{namespace}/{name}"),
        }
    }
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Our own dialect.
    TrafficPolicy(Box<TrafficPolicy>),
    /// Istio's.
    DestinationRule(Box<DestinationRule>),
    /// Istio's, of routes.
    VirtualService(Box<VirtualService>),
    /// Istio's, of services that no source knows.
    ServiceEntry(Box<ServiceEntry>),
    /// Istio's, of what a workload may reach.
    Sidecar(Box<Sidecar>),
    /// The Gateway API's, of routes for requests.
    HTTPRoute(Box<HTTPRoute>),
    /// The Gateway API's, of routes for calls.
    GRPCRoute(Box<GRPCRoute>),
    /// Which services a workload calls.
    Dependencies(Box<Dependencies>),
    /// Changes in Envoy's own words.
    EnvoyPatch(Box<EnvoyPatch>),
    /// Mesh-wide settings.
    Mesh(Box<Mesh>),
}

/// Equal documents say the same; where they stand plays no part.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        let Self { id, metadata, body, source: _ } = self;
        *id == other.id && *metadata == other.metadata && *body == other.body
    }
}

impl Eq for Document {}

impl Document {
    /// Where the document begins.
    pub fn place(&self) -> Place {
        self.source.start()
    }

    /// Where the field at a path below the document's root stands: its key, or what is nearest above.
    pub fn place_of(&self, path: &str) -> Place {
        self.source.key_place(path)
    }

    /// The namespace it stands in.
    pub fn namespace(&self) -> Arc<str> {
        self.id.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.into())
    }

    /// Where the value at a path below the document's root stands.
    pub fn place_of_value(&self, path: &str) -> Place {
        self.source.place(path)
    }

    /// Whether something is written at a path below the document's root.
    pub fn has(&self, path: &str) -> bool {
        self.source.has(path)
    }

    /// Every scalar at or below a path as it is written, each with its own path.
    pub fn scalars(&self, path: &str) -> Vec<(String, String)> {
        self.source.scalars(path)
    }

    /// What is written, as a tree; `None` where aliases make more of it than a text can hold.
    pub fn tree(&self) -> Option<yaml::Tree> {
        self.source.tree()
    }

    /// The document that a tree makes in this one's place, if it is one that can be read.
    pub fn rewritten(&self, tree: &yaml::Tree) -> Option<Arc<Self>> {
        let file = SourceFile { path: self.place().file.path.clone(), text: tree.to_flow().into() };
        let mut read = read_file(&Arc::new(file)).documents;
        if read.len() == 1 { read.pop() } else { None }
    }

    /// Its printed name.
    pub fn name(&self) -> String {
        self.id.to_string()
    }
}

/// The documents of one file, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct FileDocuments {
    /// Those that could be read.
    pub documents: Vec<Arc<Document>>,
    /// Errors and warnings.
    pub problems: Vec<Diagnostic>,
    /// Comments that silence a lint.
    pub silences: Vec<Silence>,
}

/// Reads a file; every problem of every document is reported.
pub fn read_file(file: &Arc<SourceFile>) -> FileDocuments {
    let yaml::Parsed { documents, problems } = yaml::parse(file);
    let (silences, wrong_silences) = read_silences(file, &documents);
    let mut read = FileDocuments { documents: Vec::new(), problems, silences };
    read.problems.extend(wrong_silences);
    for source in documents {
        match read_document(Arc::new(source)) {
            Ok((document, warnings)) => {
                read.problems.extend(warnings);
                read.documents.push(Arc::new(document));
            }
            Err(problems) => read.problems.extend(problems),
        }
    }
    read
}

/// What every document has; `T` is its `spec`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound = "T: serde::de::DeserializeOwned")]
struct Envelope<T> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: Metadata,
    spec: T,
    /// Kubernetes writes it; it has no meaning here.
    #[serde(default, rename = "status")]
    _status: serde::de::IgnoredAny,
}

type ReadDocument = Result<(Document, Vec<Diagnostic>), Vec<Diagnostic>>;

fn read_document(source: Arc<yaml::Document>) -> ReadDocument {
    let (kind, read) = supported_kind(&source).map_err(|problem| vec![problem])?;
    read(source, kind)
}

/// Reads a document of a known kind. `check` finds what types cannot: values that are wrong together.
fn read_as<T: DeserializeOwned>(
    source: Arc<yaml::Document>,
    kind: &str,
    body: impl FnOnce(T) -> Body,
    check: impl FnOnce(&T, &yaml::Document) -> Vec<Diagnostic>,
) -> ReadDocument {
    let Envelope { metadata, spec, .. } = source.decode::<Envelope<T>>()?;
    let mut problems = check(&spec, &source);
    let more: Vec<Diagnostic> = without_value(&source, &problems).collect();
    problems.extend(more);
    if problems.iter().any(|problem| problem.level == crate::diagnostic::Level::Error) {
        return Err(problems);
    }
    let id = DocumentId {
        kind: kind.into(),
        namespace: metadata.namespace.as_deref().map(Arc::from),
        name: metadata.name.as_str().into(),
    };
    Ok((Document { id, metadata, body: body(spec), source }, problems))
}

/// What is written without a value is taken for what is not written: whoever wrote it meant something.
/// `known` is what is said already.
fn without_value(source: &yaml::Document, known: &[Diagnostic]) -> impl Iterator<Item = Diagnostic> {
    let keys = source.keys_without_value("spec").into_iter();
    keys.filter(|path| !known.iter().any(|problem| problem.field == *path)).map(|path| {
        let name = path.rsplit('.').next().unwrap_or(&path);
        let message = format!("`{name}` stands here without a value, which says nothing");
        Diagnostic::warning("no-effect", source.key_place(&path), path.clone(), message)
            .remedy("write a value (`{}` for a block with nothing in it), or remove it")
    })
}

/// A key as a segment of a path, as [`Document::place_of`] reads it.
pub(super) fn key_segment(key: &str) -> String {
    if key.is_empty() || key.contains(['.', '[', '"']) { format!("[\"{key}\"]") } else { format!(".{key}") }
}

/// What to say of a document without a field by which documents are told apart: there may be one that is nearly it.
fn misspelt(source: &yaml::Document, field: &str) -> Option<Diagnostic> {
    let found = source.keys().find(|found| yaml::nearest(found, [field]).is_some())?;
    let message = format!("`{found}` is no field of this document");
    let problem = Diagnostic::error("unknown-field", source.key_place(found), found, message);
    Some(problem.remedy(format!("did you mean `{field}`?")))
}

/// The document's kind, if it is one that there is, in a version that there is.
fn supported_kind(source: &yaml::Document) -> Result<(&'static str, Read), Diagnostic> {
    let Some(written) = source.text("kind") else {
        let remedy = "a policy document has `apiVersion`, `kind`, `metadata` and `spec`";
        return Err(misspelt(source, "kind").unwrap_or_else(|| {
            Diagnostic::error("missing-field", source.start(), "kind", "this document has no `kind`").remedy(remedy)
        }));
    };
    let Some(&Kind { name: kind, versions, read, spec: _ }) = KINDS.iter().find(|kind| kind.name == written) else {
        let problem = Diagnostic::error(
            "unknown-kind",
            source.place("kind"),
            "kind",
            format!("`{written}` is no kind of policy"),
        );
        let remedy = did_you_mean(written, KINDS.iter().map(|kind| kind.name));
        return Err(Diagnostic { remedy, ..problem });
    };
    if let (None, Some(problem)) = (source.text("apiVersion"), misspelt(source, "apiVersion")) {
        return Err(problem);
    }
    let version = source.text("apiVersion").unwrap_or_default();
    if !versions.contains(&version) {
        let message = format!("a {kind} has no apiVersion `{version}`");
        let problem = Diagnostic::error("unknown-kind", source.place("apiVersion"), "apiVersion", message);
        return Err(problem.remedy(format!("write one of: {}", versions.join(", "))));
    }
    Ok((kind, read))
}
