//! The services that are simulated: a folder with one snapshot file for each, so that a change rewrites a small one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::json;
use tempfile::TempDir;

use crate::client::inbox::marked;

/// Endpoints of each service.
pub const ENDPOINTS: usize = 10;

/// A folder with everything a control plane is configured by.
#[derive(Debug)]
pub struct Mesh {
    folder: TempDir,
    pub services: usize,
}

impl Mesh {
    pub fn new(services: usize) -> io::Result<Self> {
        let mesh = Self { folder: TempDir::with_prefix("chancery-fleet-")?, services };
        fs::create_dir(mesh.path().join("services"))?;
        fs::create_dir(mesh.path().join("policies"))?;
        for service in 0..services {
            mesh.write(service, None)?;
        }
        Ok(mesh)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Marks one endpoint of a service.
    pub fn change(&self, service: usize, mark: u32) -> io::Result<()> {
        self.write(service, Some(mark))
    }

    /// Adds a service that was not there.
    pub fn add(&mut self) -> io::Result<()> {
        self.write(self.services, None)?;
        self.services += 1;
        Ok(())
    }

    /// Writes a policy document, or replaces it.
    pub fn write_policy(&self, name: &str, text: &str) -> io::Result<()> {
        self.replace(&self.path().join("policies").join(name), text)
    }

    /// Numbers in addresses stay below 100, so that no address reads like a mark.
    fn write(&self, service: usize, mark: Option<u32>) -> io::Result<()> {
        let address = |host: usize| format!("10.{}.{}.{}", service / 90, service % 90, host + 1);
        let mut addresses: Vec<String> = (0..ENDPOINTS).map(address).collect();
        if let (Some(mark), Some(last)) = (mark, addresses.last_mut()) {
            *last = marked(mark);
        }
        let endpoints: Vec<_> = addresses.iter().map(|address| json!({ "address": address })).collect();
        let text = json!({ "services": [ {
            "name": name(service),
            "ports": [ { "name": "http", "port": 80, "protocol": "http" } ],
            "endpoints": endpoints,
        } ] });
        self.replace(&self.path().join("services").join(format!("{}.json", name(service))), &text.to_string())
    }

    /// In one step, so that nobody reads half a file.
    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let unfinished: PathBuf = self.path().join("unfinished");
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, path)
    }
}

/// What a service is called.
pub fn name(service: usize) -> String {
    format!("service-{service:05}")
}
