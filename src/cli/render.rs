//! `chancery render`: exactly what a proxy would be served, offline, through the code that serves it.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{Outcome, inputs, node::NodeArgs, output};

/// Print exactly what a proxy would be served, as proto3 JSON
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  chancery render --config chancery.yaml --node checkout-1 --service checkout --type clusters"
)]
pub struct Render {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
    /// Only resources of this type
    #[arg(long = "type", value_enum, value_name = "T")]
    resource_type: Option<TypeArg>,
    /// How to print it
    #[arg(short = 'o', long = "output", value_enum, default_value_t = output::Format::Json)]
    output: output::Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TypeArg {
    #[value(alias = "cluster")]
    Clusters,
    #[value(alias = "endpoint")]
    Endpoints,
    #[value(alias = "listener")]
    Listeners,
    #[value(alias = "route")]
    Routes,
    #[value(alias = "secret")]
    Secrets,
}

impl Render {
    pub fn run(self) -> Result<Outcome> {
        let proxy = self.node.proxy()?;
        let Some(mut world) = inputs::load_or_explain(&self.config)? else { return Ok(Outcome::Problems) };
        let group = world.grouping().group_of(&proxy);
        let mut resources = world.compile(&group).snapshot.to_json();
        if let (Some(wanted), Some(types)) = (self.resource_type, resources.as_object_mut()) {
            let wanted = wanted.to_possible_value().map(|value| value.get_name().to_owned());
            types.retain(|key, _| Some(key) == wanted.as_ref());
        }
        output::value(self.output, &resources)?;
        Ok(Outcome::Fine)
    }
}
