//! Generates the Envoy types that chancery speaks.
//!
//! The `.proto` files come from the `envoy-types` crate, found with `cargo metadata`, so none of them is kept
//! in this repository and no `protoc` is needed: `protox` compiles them, prost generates the Rust.
//! Two things differ from the types that crate ships itself, and are why we generate our own: maps are ordered
//! (`BTreeMap`), so that one message has one encoding and a content hash means something, and `bytes` fields
//! are `Bytes`, so that an encoded resource is shared and never copied.
//!
//! Written to `OUT_DIR`: `envoy.rs` (the module tree, included by `src/lib.rs`), one file per package, and
//! `descriptors.bin`, a descriptor set without comments. It has these protos and every other one of Envoy's
//! configuration and extensions: it prints resources as JSON, and what people patch into a resource may be any of them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use prost::Message;
use prost_types::FileDescriptorSet;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver},
};

const ROOTS: &str = "envoy-roots.txt";

/// The folders of `envoy-types/proto` that hold an import root each.
const INCLUDES: [&str; 7] = [
    "data-plane-api",
    "googleapis",
    "protoc-gen-validate",
    "xds",
    "cel-spec/proto",
    "client_model",
    "opentelemetry-proto",
];

/// Folders below proto/data-plane-api whose messages can stand in a resource.
const PATCHABLE: [&str; 2] = ["envoy/config", "envoy/extensions"];
/// Not these: the control plane's own checks of what it receives, whose package shadows `envoy.config`.
const NOT_PATCHABLE: &str = "envoy/extensions/config";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ROOTS}");

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let protos = envoy_types_folder()?.join("proto");
    let includes: Vec<PathBuf> = INCLUDES.iter().map(|folder| protos.join(folder)).collect();
    let roots: Vec<PathBuf> = read_roots()?.iter().map(|root| protos.join("data-plane-api").join(root)).collect();

    let descriptors = compile(&roots, &includes)?;
    let mut everything = roots;
    for folder in PATCHABLE {
        add_protos(&protos.join("data-plane-api").join(folder), &mut everything)?;
    }
    everything.sort();
    everything.dedup();
    fs::write(out.join("descriptors.bin"), compile(&everything, &includes)?.encode_to_vec())?;

    let mut config = prost_build::Config::new();
    config.btree_map(["."]).bytes(["."]).compile_well_known_types();
    config.enable_type_names().type_name_domain(["."], "type.googleapis.com").include_file("envoy.rs");
    tonic_prost_build::configure().build_server(false).compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn compile(protos: &[PathBuf], includes: &[PathBuf]) -> Result<FileDescriptorSet> {
    let mut compiler = Compiler::with_file_resolver(Unambiguous::new(includes));
    let compiler = compiler.include_imports(true).open_files(protos).context("compiling the Envoy protos")?;
    let mut descriptors = compiler.file_descriptor_set();
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    Ok(descriptors)
}

/// Finds files in the folders, and writes relative names in full that have two meanings once all files are seen
/// together: `common.aws.v3` means `envoy.extensions.common.aws.v3`, also in `envoy.extensions.filters`, where there is
/// a package `common` too.
struct Unambiguous(ChainFileResolver);

/// The packages below `envoy.extensions.common` that others speak of.
const COMMON: [&str; 6] = ["async_files", "aws", "dynamic_forward_proxy", "matching", "ratelimit", "tap"];

impl Unambiguous {
    fn new(includes: &[PathBuf]) -> Self {
        let mut chain = ChainFileResolver::new();
        for folder in includes {
            chain.add(IncludeFileResolver::new(folder.clone()));
        }
        chain.add(GoogleFileResolver::new());
        Self(chain)
    }
}

impl FileResolver for Unambiguous {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        self.0.resolve_path(path)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let file = self.0.open_file(name)?;
        let Some(source) = file.source().filter(|_| name.starts_with("envoy/extensions/")) else { return Ok(file) };
        let in_full = COMMON.iter().fold(source.to_owned(), |source, package| {
            source.replace(&format!(" common.{package}.v3."), &format!(" .envoy.extensions.common.{package}.v3."))
        });
        if in_full == source { Ok(file) } else { File::from_source(name, &in_full) }
    }
}

/// Every `.proto` file in a folder and those below it.
fn add_protos(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.ends_with(NOT_PATCHABLE) {
            continue;
        }
        if path.is_dir() {
            add_protos(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

fn read_roots() -> Result<Vec<String>> {
    let text = fs::read_to_string(ROOTS).with_context(|| format!("reading {ROOTS}"))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(String::from)
        .collect())
}

/// Where cargo unpacked `envoy-types`. Asked offline first, which suffices wherever everything is downloaded or vendored;
/// a plain `cargo build` on a fresh machine has not downloaded the dev-dependencies, which `--offline` then misses.
fn envoy_types_folder() -> Result<PathBuf> {
    let metadata = cargo_metadata(&["--offline"]).or_else(|_| cargo_metadata(&[]))?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "envoy-types")
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Path::new(manifest).parent())
        .map(Path::to_path_buf)
        .context("cargo metadata lists no envoy-types package")
}

/// `--filter-platform` keeps cargo from asking for crates of other platforms, which an offline build does not have.
fn cargo_metadata(more: &[&str]) -> Result<serde_json::Value> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--filter-platform", &env::var("TARGET")?])
        .args(more)
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .output()
        .context("running cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
