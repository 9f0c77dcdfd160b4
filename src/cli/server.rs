//! Asking a running server's admin API.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::diagnostic::SourceFile;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it answers to a GET, which is JSON.
pub(super) fn get(address: &str, path: &str) -> Result<Value> {
    ask("GET", address, path, "")
}

/// What it answers to a POST of JSON, which is JSON.
pub(super) fn post(address: &str, path: &str, body: &Value) -> Result<Value> {
    ask("POST", address, path, &body.to_string())
}

fn ask(method: &str, address: &str, path: &str, body: &str) -> Result<Value> {
    let Some(authority) = address.strip_prefix("http://") else {
        bail!("the admin API speaks plain HTTP: write http://HOST:PORT, found `{address}`");
    };
    let authority = authority.trim_end_matches('/');
    let host = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let asked = || format!("asking {address}{path}");
    let resolved = host.to_socket_addrs().with_context(asked)?.next().with_context(asked)?;
    let mut stream = TcpStream::connect_timeout(&resolved, PATIENCE).with_context(asked)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let content = match body.is_empty() {
        true => String::new(),
        false => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    // HTTP/1.0: the answer comes whole, and the connection ends with it.
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {authority}\r\nAccept: application/json\r\n{content}\r\n{body}")
        .with_context(asked)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(asked)?;
    let answer = String::from_utf8(answer).with_context(asked)?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("{address}{path} does not answer in HTTP");
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    let value = serde_json::from_str::<Value>(body);
    match (status, value) {
        ("200", value) => value.with_context(|| format!("{address}{path} does not answer in JSON")),
        (_, Ok(Value::Object(answer))) if answer.get("error").is_some_and(Value::is_string) => {
            bail!("{address}: {}", answer["error"].as_str().unwrap_or_default())
        }
        (status, _) => bail!("{address}{path} answers {status}: is this the admin address of chancery?"),
    }
}

#[derive(Debug, Deserialize)]
struct Policies {
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    path: String,
    text: String,
}

/// The texts of the policies it has in force.
pub(super) fn policies(address: &str) -> Result<Vec<Arc<SourceFile>>> {
    let answer = get(address, "/api/v1/policies")?;
    let Policies { files } =
        serde_json::from_value(answer).with_context(|| format!("{address} does not tell the texts of its policies"))?;
    Ok(files
        .into_iter()
        .map(|File { path, text }| Arc::new(SourceFile { path: path.into(), text: text.into() }))
        .collect())
}
