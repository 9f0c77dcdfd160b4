//! `chancery schema`: JSON Schema of what people write, for editors and other programs, and pages for people.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::{Outcome, output};
use crate::{
    schema::{self, Data, Kind},
    yaml::did_you_mean,
};

/// Print the JSON Schema of a kind of document, or of what `plan` prints and reads; without a kind, of any document in a
/// policy file
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chancery schema > policy.schema.json\n  chancery schema Config > chancery.schema.json\n  \
                        chancery schema DestinationRule -o yaml\n  chancery schema TrafficPolicy -o markdown\n  \
                        chancery schema plan > plan.schema.json    # of `chancery plan -o json`\n\nIn a policy file, for editors with a YAML language server:\n  \
                        # yaml-language-server: $schema=policy.schema.json"
)]
pub struct SchemaCommand {
    /// A kind of policy document, `Config` (chancery.yaml), `Snapshot` (services.yaml), `Plan` (what `chancery plan -o
    /// json` prints) or `Load` (what `chancery plan --load` reads)
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

/// What has a schema.
#[derive(Debug, Clone, Copy)]
enum Asked {
    PolicyFile,
    Kind(Kind),
    Data(Data),
}

impl SchemaCommand {
    pub fn run(self) -> Result<Outcome> {
        let asked = self.kind.as_deref().map_or(Ok(Asked::PolicyFile), find)?;
        let schema = || match asked {
            Asked::PolicyFile => schema::of_policy_file(),
            Asked::Kind(kind) => schema::of(kind),
            Asked::Data(data) => data.schema(),
        };
        match (self.output, asked) {
            (Format::Json, _) => output::value(output::Format::Json, &schema())?,
            (Format::Yaml, _) => output::value(output::Format::Yaml, &schema())?,
            (Format::Markdown, Asked::Kind(_) | Asked::Data(_)) => output::result(&schema::page_of(&schema()))?,
            (Format::Markdown, Asked::PolicyFile) => {
                bail!("a page is of one kind: name it, as in `chancery schema TrafficPolicy -o markdown`")
            }
        }
        Ok(Outcome::Fine)
    }
}

fn find(name: &str) -> Result<Asked> {
    let data = || Data::ALL.into_iter().find(|data| data.name().eq_ignore_ascii_case(name));
    let found = Kind::find(name).map(Asked::Kind).or_else(|| data().map(Asked::Data));
    let Some(found) = found else {
        let names = Kind::all().into_iter().map(Kind::name).chain(Data::ALL.map(Data::name));
        let remedy = did_you_mean(name, names);
        bail!("`{name}` has no schema; {}", remedy.unwrap_or_default());
    };
    Ok(found)
}
