//! `chancery hosts`: lines for /etc/hosts, so that an app with a hard-coded name reaches its sidecar.

use std::{fmt::Write, path::PathBuf};

use anyhow::Result;
use clap::Args;

use super::{Outcome, inputs, node::NodeArgs, output};
use crate::{
    compile::own_addresses,
    model::{ClusterName, Port},
    resources::ResourceType,
};

/// Print /etc/hosts lines: the services' own addresses and all their names
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  chancery hosts --config chancery.yaml --node checkout-1 --service checkout >> /etc/hosts"
)]
pub struct Hosts {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

impl Hosts {
    pub fn run(self) -> Result<Outcome> {
        let proxy = self.node.proxy()?;
        let Some(mut world) = inputs::load_or_explain(&self.config)? else { return Ok(Outcome::Problems) };
        let group = world.grouping().group_of(&proxy);
        let snapshot = world.compile(&group).snapshot;
        let listeners = &snapshot.sets()[ResourceType::Listener];
        let mut lines = String::new();
        for (name, address) in own_addresses(world.catalog(), &world.mesh().addresses) {
            let Some(entry) = world.catalog().get(name.as_str()) else { continue };
            // Only where a listener stands at the address: a name must not lead to where nobody listens.
            let listener = |port: &Port| ClusterName { service: name.clone(), port: port.number, subset: None };
            let has_listener =
                |port: &Port| port.listen.is_none() && listeners.get(&listener(port).to_string()).is_some();
            if !entry.service.ports.iter().any(has_listener) {
                continue;
            }
            write!(lines, "{address} {name}")?;
            for host in &entry.service.hosts {
                write!(lines, " {host}")?;
            }
            lines.push('\n');
        }
        if lines.is_empty() {
            output::progress(format_args!(
                "no service has a listener at an address of its own: set `spec.outbound.listeners: all` in the Mesh"
            ));
        }
        output::result(&lines)?;
        Ok(Outcome::Fine)
    }
}
