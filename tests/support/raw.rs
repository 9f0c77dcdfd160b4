//! A client of bare HTTP/2, for what a gRPC library does not do: stop answering, stop reading, say half a sentence.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, Response};
use tokio::{net::TcpStream, sync::Notify, task::JoinHandle};

pub const DELTA: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// One connection.
#[derive(Debug)]
pub struct Raw {
    requests: SendRequest<Bytes>,
    freeze: Arc<Notify>,
    driver: JoinHandle<()>,
}

impl Raw {
    /// `address` with or without a scheme.
    pub async fn connect(address: &str) -> Self {
        Self::connect_with(address, &h2::client::Builder::new()).await
    }

    pub async fn connect_with(address: &str, http2: &h2::client::Builder) -> Self {
        let stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
        let (requests, connection) = http2.handshake(stream).await.unwrap();
        let freeze = Arc::new(Notify::new());
        let frozen = freeze.clone();
        let driver = tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = &mut connection => {}
                // Its socket stays open, and nobody reads from it any more.
                () = frozen.notified() => std::future::pending().await,
            }
        });
        Self { requests, freeze, driver }
    }

    /// Opens a stream, unless the server takes no more.
    pub async fn try_open(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut request = Request::post(format!("http://chancery{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.requests.clone().ready().await?.send_request(request.body(()).unwrap(), false)
    }

    /// Opens a stream.
    pub async fn open(&self, path: &str, headers: &[(&'static str, &str)]) -> (ResponseFuture, SendStream<Bytes>) {
        self.try_open(path, headers).await.unwrap()
    }

    /// Opens a stream as gRPC does.
    pub async fn grpc(&self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        self.open(path, &[("content-type", "application/grpc"), ("te", "trailers")]).await
    }

    /// Whether another stream may be opened: not once the server has said that it goes.
    pub async fn takes_more(&self) -> bool {
        self.requests.clone().ready().await.is_ok()
    }

    /// From now on nothing is read or answered, pings neither; the socket stays open.
    pub fn freeze(&self) {
        self.freeze.notify_one();
    }

    /// Returns when the connection has ended.
    pub async fn ended(&mut self) {
        (&mut self.driver).await.unwrap();
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A message as gRPC frames it.
pub fn framed(message: &impl prost::Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut bytes).unwrap();
    bytes.freeze()
}

/// The status with which a stream ended, in its trailers or, without any response, in its headers.
pub async fn status(response: Response<RecvStream>) -> (u16, String, Vec<u8>) {
    let (head, mut body) = response.into_parts();
    let mut read = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        read.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let of = |headers: &HeaderMap| Some(headers.get("grpc-status")?.to_str().unwrap().parse::<u16>().unwrap());
    let code = of(&trailers).or_else(|| of(&head.headers)).expect("a status");
    let message = trailers.get("grpc-message").or(head.headers.get("grpc-message"));
    (code, message.map(|text| text.to_str().unwrap().to_owned()).unwrap_or_default(), read)
}
