//! One client's connection, from its first byte to its last: plain or within TLS, then HTTP/2.
//!
//! ```text
//! accepted ──► TLS, if any ──► HTTP/2 ──► streams … ──► GOAWAY ──► the streams end ──► closed
//!          in time         in time                 old, or the server ends
//! ```
//!
//! A connection owns its end. A GOAWAY alone moves nobody, because a client's long stream keeps its connection open;
//! a stream that ends alone comes back on the same connection, to the same replica. So the client is first told to
//! open nothing more here, then each stream is ended between two messages, and what it opens next goes through the
//! balancer. Ages differ by chance, so that connections that began together do not move together.

use std::{
    convert::Infallible,
    future::ready,
    hash::{BuildHasher, RandomState},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::server::TlsStream;

use super::{
    Metrics, Settings,
    link::{Farewell, Link, Wish},
    metrics::Counted,
    seldom::Seldom,
    service::Methods,
    tls::Tls,
};

/// What every connection is served with.
#[derive(Debug)]
pub(super) struct Connections {
    pub settings: Arc<Settings>,
    pub methods: Methods,
    pub tls: Option<Tls>,
    pub metrics: Metrics,
}

/// What HTTP/2 clients begin with: 24 bytes.
const PREFACE: usize = 24;

/// How much a client may send of a stream unread: Envoy's first request with its node and the names of a large mesh, and
/// no whole fleet's requests in memory at once. What was read is granted anew once it is half of this; an Envoy that
/// repeats its 61 kB node is granted something after every third request then, and each time costs as much as an answer.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

impl Connections {
    /// Serves one connection until either side ends it.
    pub async fn serve(self: Arc<Self>, stream: TcpStream, link: Arc<Link>) {
        let Self { settings, methods: _, tls, metrics } = &*self;
        let _open = Counted::by(&metrics.connections);
        // Responses are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let io = match tls {
            None => Io::Plain(stream),
            Some(tls) => match greet(stream, tls, settings, metrics, &link).await {
                Some(stream) => Io::Tls(Box::new(stream)),
                None => return,
            },
        };
        let io = Watched { io, unread: PREFACE, written: 0, link: link.clone() };
        let (connections, of) = (self.clone(), link.clone());
        let answer = service_fn(move |request| ready(Ok::<_, Infallible>(connections.methods.answer(request, &of))));
        let mut connection = pin!(http2(settings).serve_connection(TokioIo::new(io), answer));
        let begun = Instant::now();
        let ends_at = begun + around(settings.stream_age);
        let mut alarm = pin!(sleep_until(ends_at.min(begun + settings.handshake)));
        let mut staying = true;
        loop {
            let happened = {
                let seldom = pin!(async {
                    tokio::select! {
                        () = &mut alarm => Happening::Alarm,
                        wish = link.wished() => Happening::Wish(wish),
                    }
                });
                tokio::select! {
                    biased;
                    ended = &mut connection => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a connection ended");
                        }
                        return;
                    }
                    happened = Seldom::new(seldom) => happened,
                }
            };
            match happened {
                Happening::Alarm if !link.greeted() => {
                    metrics.unfinished_handshakes.inc();
                    return tracing::debug!("a client did not begin HTTP/2 within {:?}", settings.handshake);
                }
                Happening::Alarm if !staying => {
                    return tracing::debug!("a client did not go within {:?}", settings.stalled);
                }
                Happening::Alarm if Instant::now() < ends_at => alarm.as_mut().reset(ends_at),
                Happening::Alarm => {
                    staying = false;
                    alarm.as_mut().reset(Instant::now() + settings.stalled);
                    metrics.moved.inc();
                    connection.as_mut().graceful_shutdown();
                    link.say(Farewell::Old);
                }
                Happening::Wish(Wish::Leave) => connection.as_mut().graceful_shutdown(),
                // Who has not begun has nothing to lose.
                Happening::Wish(Wish::End) if !link.greeted() => return,
                Happening::Wish(Wish::End) => {
                    staying = false;
                    alarm.as_mut().reset(Instant::now() + settings.stalled);
                    connection.as_mut().graceful_shutdown();
                    link.say(Farewell::Shutdown);
                }
                Happening::Wish(Wish::Cut) => return,
            }
        }
    }
}

/// What happens to a connection besides what is on it.
enum Happening {
    /// The client has had its time to begin HTTP/2, or to go; or the connection has reached its age.
    Alarm,
    /// A stream, or the server, wants something of it.
    Wish(Wish),
}

/// The handshake of TLS. Absent = there is nobody to serve.
async fn greet(
    stream: TcpStream,
    tls: &Tls,
    settings: &Settings,
    metrics: &Metrics,
    link: &Link,
) -> Option<TlsStream<TcpStream>> {
    let accepted = tokio::select! {
        accepted = timeout(settings.handshake, tls.acceptor().accept(stream)) => accepted,
        _ = link.wished() => return None,
    };
    match accepted {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => tracing::warn!(%error, "TLS: a client was refused, or gave up"),
        Err(_) => {
            metrics.unfinished_handshakes.inc();
            tracing::warn!("TLS: a handshake took longer than {:?}", settings.handshake);
        }
    }
    None
}

fn http2(settings: &Settings) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .max_concurrent_streams(settings.streams_per_connection)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .auto_date_header(false);
    builder
}

/// A life span within a fifth of the one given, so that connections that began together do not end together.
fn around(age: Duration) -> Duration {
    age.mul_f64(0.8 + 0.4 * random())
}

/// From 0 to 1. Nothing depends on its quality.
fn random() -> f64 {
    (RandomState::new().hash_one(()) % 1000) as f64 / 1000.0
}

/// The bytes, within TLS or not.
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Notices when the client has begun HTTP/2, and that it takes what it is sent.
struct Watched {
    io: Io,
    /// How many bytes of the client's first words are not there yet.
    unread: usize,
    /// How many bytes the client has taken and nobody was told of.
    written: usize,
    link: Arc<Link>,
}

/// A client that takes so many bytes reads: it need not take a message whole. Told seldom, because it concerns few.
const TAKES: usize = 64 * 1024;

impl Watched {
    fn note(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.written += bytes;
            if self.written >= TAKES {
                self.written = 0;
                self.link.set_reads();
            }
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if self.unread > 0 {
            self.unread = self.unread.saturating_sub(buffer.filled().len() - before);
            if self.unread == 0 {
                self.link.set_greeted();
            }
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        self.note(&written);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ages_differ_by_up_to_a_fifth() {
        let ages: BTreeSet<Duration> = (0..1000).map(|_| around(Duration::from_secs(100))).collect();
        assert!(ages.first() >= Some(&Duration::from_secs(80)) && ages.last() <= Some(&Duration::from_secs(120)));
        assert!(ages.len() > 300, "{} different ages of 1000", ages.len());
    }
}
