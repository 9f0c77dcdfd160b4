//! Generates the Envoy types that chancery speaks.
//!
//! The `.proto` files come from the `envoy-types` crate, found with `cargo metadata`, so none of them is kept
//! in this repository and no `protoc` is needed: `protox` compiles them, prost generates the Rust.
//! Two things differ from the types that crate ships itself, and are why we generate our own: maps are ordered
//! (`BTreeMap`), so that one message has one encoding and a content hash means something, and `bytes` fields
//! are `Bytes`, so that an encoded resource is shared and never copied.
//!
//! Written to `OUT_DIR`: `envoy.rs` (the module tree, included by `src/lib.rs`), one file per package, and
//! `descriptors.bin` (the same protos as a descriptor set, without comments), which prints resources as JSON.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use prost::Message;

const ROOTS: &str = "envoy-roots.txt";

/// The folders of `envoy-types/proto` that hold an import root each.
const INCLUDES: [&str; 6] =
    ["data-plane-api", "googleapis", "protoc-gen-validate", "xds", "cel-spec/proto", "client_model"];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ROOTS}");

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let protos = envoy_types_folder()?.join("proto");
    let includes: Vec<PathBuf> = INCLUDES.iter().map(|folder| protos.join(folder)).collect();
    let roots: Vec<PathBuf> = read_roots()?.iter().map(|root| protos.join("data-plane-api").join(root)).collect();

    let mut descriptors = protox::compile(&roots, &includes).context("compiling the Envoy protos")?;
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    let mut config = prost_build::Config::new();
    config.btree_map(["."]).bytes(["."]).compile_well_known_types();
    config.enable_type_names().type_name_domain(["."], "type.googleapis.com").include_file("envoy.rs");
    tonic_prost_build::configure().build_server(false).compile_fds_with_config(descriptors, config)?;
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
