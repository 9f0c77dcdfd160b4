//! `chancery release`: a sudden removal that is meant goes at once, instead of when its time is up.

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};

use super::{Outcome, output, server};

/// Let go the sudden removals that a running server holds back, and print what they are
#[derive(Debug, Args)]
#[command(after_help = "A source that suddenly loses much of what it had is not believed at once (`guard` in the \
                        configuration). GET /api/v1/guard lists what is held.\n\nExamples:\n  \
                        chancery release --admin http://127.0.0.1:19000\n  \
                        chancery release --source services.yaml --service orders")]
pub struct ReleaseCommand {
    /// The server's admin API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19000")]
    admin: String,
    /// Only what this source lost: its name (`file services.yaml`) or what it reads (`services.yaml`)
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only what concerns this service: itself, or its endpoints
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// How to print what was let go
    #[arg(short = 'o', long = "output", value_enum, default_value_t = output::Format::Human)]
    output: output::Format,
}

impl ReleaseCommand {
    pub fn run(self) -> Result<Outcome> {
        let asked = [("source", self.source), ("service", self.service)];
        let asked: Map<String, Value> =
            asked.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect();
        let answer = server::post(&self.admin, "/api/v1/guard/release", &Value::Object(asked))?;
        match self.output {
            output::Format::Human => output::result(&sentences(&answer))?,
            format => output::value(format, &answer)?,
        }
        Ok(Outcome::Fine)
    }
}

fn sentences(answer: &Value) -> String {
    let released = answer["released"].as_array().map(Vec::as_slice).unwrap_or_default();
    if released.is_empty() {
        return "nothing of the kind is held\n".to_owned();
    }
    let sentence = |released: &Value| {
        let source = released["source"].as_str().unwrap_or_default();
        let removed: Vec<&str> =
            released["removed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let what = match released["service"].as_str() {
            Some(service) => format!("endpoints of {service}"),
            None => "services".to_owned(),
        };
        format!("released, of source `{source}`: {} {what}: {}\n", removed.len(), removed.join(", "))
    };
    released.iter().map(sentence).collect()
}
