//! The smallest HTTP/1.1 client that keeps its connection: requests through a proxy or straight to a server.

use std::collections::BTreeMap;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    /// Whether the server said it would close.
    pub closed: bool,
    /// The headers of the last answer; names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// Status and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Connection {
    pub async fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), closed: false, headers: BTreeMap::new() })
    }

    /// Asks a proxy for a tunnel; what follows goes through it where the status is 200.
    pub async fn connect(&mut self, host: &str) -> std::io::Result<u16> {
        let request = format!("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && self.stream.read_line(&mut head).await? > 0 {}
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        status.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, head))
    }

    /// `target` is a path, or a whole URL towards a proxy.
    pub async fn get(&mut self, target: &str, host: &str, headers: &str) -> std::io::Result<Answer> {
        self.request("GET", target, host, headers).await
    }

    /// A request of any method, without a body.
    pub async fn request(&mut self, method: &str, target: &str, host: &str, headers: &str) -> std::io::Result<Answer> {
        let request = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: 0\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let broken = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(broken("closed before an answer"));
        }
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| broken(&line))?;
        let mut length = 0;
        self.headers.clear();
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| broken(&header))?;
            }
            self.closed |= header == "connection: close";
            if let Some((name, value)) = line.trim().split_once(':') {
                self.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// One request on a connection of its own.
pub async fn get(address: &str, path: &str) -> std::io::Result<Answer> {
    Connection::open(address).await?.get(path, address, "").await
}

/// One request to a service, through the HTTP proxy at this address.
pub async fn through_proxy(proxy: &str, url: &str) -> std::io::Result<Answer> {
    let host = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    Connection::open(proxy).await?.get(url, host, "").await
}

/// One request whose answer may be long: asked for in HTTP/1.0, so that it ends with the connection.
pub async fn get_chunked(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ok(if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { dechunked(body) } else { body.into() })
}

fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.push_str(rest.get(..size).unwrap_or(rest));
        body = rest.get(size + 2..).unwrap_or_default();
    }
    whole
}
