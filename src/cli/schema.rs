//! `chancery schema`: JSON Schema of what people write, for editors and other programs, and pages for people.

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
                        chancery schema DestinationRule -o yaml\n  chancery schema TrafficPolicy -o markdown\n\nIn a policy file, for editors with a YAML language server:\n  \
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
    /// A reference page for people: each field, its type, its default, what it becomes in Envoy
    Markdown,
}

impl SchemaCommand {
    pub fn run(self) -> Result<Outcome> {
        let kind = self.kind.as_deref().map(find).transpose()?;
        let schema = || kind.map_or_else(schema::of_policy_file, schema::of);
        match (self.output, kind) {
            (Format::Json, _) => output::value(output::Format::Json, &schema())?,
            (Format::Yaml, _) => output::value(output::Format::Yaml, &schema())?,
            (Format::Markdown, Some(kind)) => output::result(&schema::page(kind))?,
            (Format::Markdown, None) => {
                bail!("a page is of one kind: name it, as in `chancery schema TrafficPolicy -o markdown`")
            }
        }
        Ok(Outcome::Fine)
    }
}

fn find(name: &str) -> Result<Kind> {
    let Some(kind) = Kind::find(name) else {
        let remedy = did_you_mean(name, Kind::all().into_iter().map(Kind::name));
        bail!("`{name}` has no schema; {}", remedy.unwrap_or_default());
    };
    Ok(kind)
}
