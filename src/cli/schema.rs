//! `chancery schema`: JSON Schema of what people write, for editors and other programs.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::{Outcome, output};
use crate::{
    schema::{self, Kind},
    yaml::did_you_mean,
};

/// Print the JSON Schema of a kind of document; without a kind, of any document in a policy file
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chancery schema > policy.schema.json\n  chancery schema Config > chancery.schema.json\n  \
                        chancery schema DestinationRule -o yaml\n\nIn a policy file, for editors with a YAML language server:\n  \
                        # yaml-language-server: $schema=policy.schema.json"
)]
pub struct SchemaCommand {
    /// A kind of policy document, `Config` (chancery.yaml) or `Snapshot` (services.yaml)
    #[arg(value_name = "KIND")]
    kind: Option<String>,
    /// How to print it
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Json)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

impl SchemaCommand {
    pub fn run(self) -> Result<Outcome> {
        let schema = match self.kind {
            None => schema::of_policy_file(),
            Some(name) => match Kind::find(&name) {
                Some(kind) => schema::of(kind),
                None => {
                    let remedy = did_you_mean(&name, Kind::all().into_iter().map(Kind::name));
                    bail!("`{name}` has no schema; {}", remedy.unwrap_or_default());
                }
            },
        };
        let format = match self.output {
            Format::Json => output::Format::Json,
            Format::Yaml => output::Format::Yaml,
        };
        output::value(format, &schema)?;
        Ok(Outcome::Fine)
    }
}
