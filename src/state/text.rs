//! One part of the state as text: a line that says what it is, then the content. Pure.
//!
//! ```text
//! # chancery state 1, saved 2027-03-01T10:00:00Z, xxh3 0123456789abcdef0123456789abcdef, of file services.yaml
//! {"services": [
//! {"name":"orders",…},
//! ]}
//! ```
//!
//! The first line is a comment to YAML, so that a source's part is a service snapshot as it stands: whoever has to can
//! serve it as a file. The checksum is over everything but itself.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{LastPolicies, LastServices, Services};
use crate::{catalog::service_json, diagnostic::SourceFile, discovery::file, model::CatalogEntry};

const FORMAT: &str = "# chancery state ";
const VERSION: &str = "1";

/// Why a part cannot be used, as the end of a sentence that names its file.
pub(super) type Unusable = String;

/// What a source knows, as a service snapshot, sorted by name: equal slices are equal texts.
pub(super) fn services_body(services: &Services) -> String {
    let mut body = "{\"services\": [\n".to_owned();
    let mut first = true;
    for entry in services.values() {
        body += if std::mem::take(&mut first) { "" } else { ",\n" };
        // One at a time: the whole as a tree would be many times the size of its text.
        let _ = write!(body, "{}", service_json(entry));
    }
    body += "\n]}\n";
    body
}

/// Policy files with their texts; their paths as given.
pub(super) fn policies_body<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let files: Vec<Value> = files.map(|(path, text)| json!({ "path": path, "text": text })).collect();
    let mut body = json!({ "files": files }).to_string();
    body.push('\n');
    body
}

/// A whole part. `of` says whose it is, in one line.
pub(super) fn seal(of: &str, body: &str, saved: SystemTime) -> String {
    let saved = humantime::format_rfc3339_seconds(saved).to_string();
    format!("{FORMAT}{VERSION}, saved {saved}, xxh3 {}, of {of}\n{body}", checksum(&saved, of, body))
}

/// Its content, and when it was written, if it is whole and of this version.
fn open(text: &str) -> Result<(&str, SystemTime), Unusable> {
    let damaged = || "is damaged: it is not what was written".to_owned();
    let (head, body) = text.split_once('\n').ok_or_else(damaged)?;
    let said = head.strip_prefix(FORMAT).ok_or_else(|| "is no state of chancery".to_owned())?;
    let (version, said) = said.split_once(", saved ").ok_or_else(damaged)?;
    if version != VERSION {
        return Err(format!("is of version {version} of the format, and this is version {VERSION}"));
    }
    let (saved, said) = said.split_once(", xxh3 ").ok_or_else(damaged)?;
    let (sum, of) = said.split_once(", of ").ok_or_else(damaged)?;
    if sum != checksum(saved, of, body) {
        return Err(damaged());
    }
    let saved = humantime::parse_rfc3339(saved).map_err(|_| damaged())?;
    Ok((body, saved))
}

/// A source's part.
pub(super) fn read_services(name: &str, text: &str) -> Result<LastServices, Unusable> {
    let (body, saved) = open(text)?;
    let file = Arc::new(SourceFile { path: name.into(), text: body.into() });
    let read = file::read(&file).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        format!("cannot be read: {first}")
    })?;
    let entry = |read: file::ReadService| {
        let entry = CatalogEntry { service: read.service, endpoints: read.endpoints, observed: saved };
        (entry.service.name.clone(), entry)
    };
    Ok(LastServices { services: read.into_iter().map(entry).collect(), saved })
}

/// The policies' part; `path` makes of a path as kept the one by which the file is reached.
pub(super) fn read_policies(text: &str, path: impl Fn(&str) -> String) -> Result<LastPolicies, Unusable> {
    let (body, saved) = open(text)?;
    let unexpected = || "cannot be read: it is not of the form that was written".to_owned();
    let value: Value = serde_json::from_str(body).map_err(|_| unexpected())?;
    let file = |file: &Value| {
        let (kept, text) = (file["path"].as_str()?, file["text"].as_str()?);
        Some(Arc::new(SourceFile { path: path(kept).into(), text: text.into() }))
    };
    let files: Option<Vec<_>> = value["files"].as_array().and_then(|files| files.iter().map(file).collect());
    Ok(LastPolicies { files: files.ok_or_else(unexpected)?, saved })
}

/// Equal contents have equal hashes, whenever they were written.
pub(super) fn hash(body: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(body.as_bytes())
}

/// The hash of a whole part's content.
pub(super) fn hash_of_body(text: &str) -> u128 {
    hash(text.split_once('\n').map_or("", |(_, body)| body))
}

fn checksum(saved: &str, of: &str, body: &str) -> String {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for part in [saved, of, body] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("{:032x}", hasher.digest128())
}

/// Cut to seconds, as it is written.
pub(super) fn to_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = "services:
  - name: orders
    hosts: [orders.shop.svc.cluster.local]
    labels: { team: \"shop: \\\"one\\\"\" }
    ports: [{ name: http, port: 80, protocol: http }, { name: grpc, port: 90, protocol: grpc, listen: \"127.0.0.1:9000\" }]
    endpoints:
      - { address: 10.0.0.1, ports: { http: 8080 }, locality: { region: eu, zone: b }, weight: 3, health: draining }
      - { address: \"fd00::1\", labels: { version: v1 } }
      - { address: db.internal, health: unhealthy }
  - { name: empty.shop, ports: [{ name: a, port: 1, protocol: tls }] }
";

    fn services(snapshot: &str) -> Services {
        let file = Arc::new(SourceFile { path: "s".into(), text: snapshot.into() });
        let read = file::read(&file).expect("valid");
        let entry = |read: file::ReadService| {
            let observed = SystemTime::UNIX_EPOCH;
            (read.service.name.clone(), CatalogEntry { service: read.service, endpoints: read.endpoints, observed })
        };
        read.into_iter().map(entry).collect()
    }

    fn sealed() -> String {
        seal("file s", &services_body(&services(SNAPSHOT)), to_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(9)))
    }

    #[test]
    fn what_is_read_is_what_was_written_and_is_a_snapshot_as_it_stands() {
        let read = read_services("state", &sealed()).expect("whole");
        assert_eq!(read.services, services(SNAPSHOT));
        assert_eq!(read.saved, SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        assert_eq!(services(&sealed()), services(SNAPSHOT), "a person in need may serve it as a file");
        assert_eq!(services_body(&read.services), services_body(&services(SNAPSHOT)));
    }

    #[test]
    fn policies_keep_every_character_of_their_texts() {
        let texts = [("policies/a.yaml", "# é\n---\r\n\"quoted\"\t\n"), ("policies/b.yaml", "")];
        let text = seal("policies", &policies_body(texts.into_iter()), SystemTime::UNIX_EPOCH);
        let read = read_policies(&text, |path| format!("here/{path}")).expect("whole");
        let read: Vec<(&str, &str)> = read.files.iter().map(|file| (&*file.path, &*file.text)).collect();
        assert_eq!(read, [("here/policies/a.yaml", texts[0].1), ("here/policies/b.yaml", "")]);
    }

    #[test]
    fn whatever_happened_to_it_is_said_and_nothing_is_believed() {
        let refused = |text: &str| read_services("state", text).expect_err("unusable");
        let whole = sealed();
        for text in ["", "\n", "services: []\n", "\u{0}\u{1}"] {
            assert!(refused(text).starts_with("is "), "{text:?}: {}", refused(text));
        }
        assert_eq!(
            refused(&whole.replacen(" state 1,", " state 2,", 1)),
            "is of version 2 of the format, and this is version 1"
        );
        for cut in (0..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
            refused(&whole[..cut]);
        }
        for (changed, by) in [("10.0.0.1", "10.0.0.2"), ("saved 1970", "saved 1971"), ("of file s", "of file t")] {
            assert_eq!(refused(&whole.replacen(changed, by, 1)), "is damaged: it is not what was written");
        }
    }
}
