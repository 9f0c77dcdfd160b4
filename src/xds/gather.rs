//! The frames of one turn leave together.
//!
//! HTTP/2 cuts a response into frames of what its client takes, 16 KiB where the client says nothing, and each frame is
//! written alone: a response of 50 kB is four system calls, each through the whole of the kernel's stack and with a
//! wake-up of the client at its end. So with each full frame the kernel is told that more is to come, and holds what
//! does not fill a packet. The frame that ends a response is seldom full, and takes along what is held. Where it is
//! full, or the client's window is, [`Writer::release`] does at the end of the connection's turn. Nothing is copied,
//! and nothing is held for longer than a turn.
//!
//! Not within TLS, whose records are not the frames.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown, sendmsg, shutdown, sockopt::set_tcp_nodelay};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// As long as a full frame of what clients take unless they say otherwise (RFC 9113, 6.5.2), without its head.
const FULL: usize = 16 * 1024;

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Gathering {
    reader: OwnedReadHalf,
    writer: Arc<Writer>,
}

/// What is written of it.
#[derive(Debug)]
pub(super) struct Writer {
    half: OwnedWriteHalf,
    /// Whether the kernel may hold something back.
    is_holding: AtomicBool,
}

impl Gathering {
    /// The writer is for who gives the connection its turns.
    pub fn new(stream: TcpStream) -> (Self, Arc<Writer>) {
        let (reader, half) = stream.into_split();
        let writer = Arc::new(Writer { half, is_holding: AtomicBool::new(false) });
        (Self { reader, writer: writer.clone() }, writer)
    }
}

impl Writer {
    /// The turn is over: what is held is sent.
    pub fn release(&self) {
        if self.is_holding.swap(false, Ordering::Relaxed) {
            // It was set from the start: setting it again is what sends. Who is gone is found out by reading.
            let _ = set_tcp_nodelay(self.half.as_ref(), true);
        }
    }

    fn poll_send(&self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let is_full = slices.iter().map(|slice| slice.len()).sum::<usize>() > FULL;
        let flags = SendFlags::NOSIGNAL | if is_full { SendFlags::MORE } else { SendFlags::empty() };
        let stream: &TcpStream = self.half.as_ref();
        loop {
            ready!(stream.poll_write_ready(context))?;
            let send = || Ok(sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags)?);
            match stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                sent => {
                    self.is_holding.store(is_full, Ordering::Relaxed);
                    return Poll::Ready(sent);
                }
            }
        }
    }
}

impl AsyncRead for Gathering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for Gathering {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.poll_send(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer.poll_send(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// A turn has many: HTTP/2 asks for one after each frame.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(shutdown(self.writer.half.as_ref(), Shutdown::Write)?))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// A frame of what length, head included, and of what.
    fn frame(payload: usize, filling: u8) -> Vec<u8> {
        vec![filling; 9 + payload]
    }

    /// A connection, who gives it its turns, and its client.
    async fn connected() -> (Gathering, Arc<Writer>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = accepted.expect("a connection");
        let (connection, writer) = Gathering::new(stream);
        (connection, writer, client.expect("a connection"))
    }

    fn is_holding(writer: &Writer) -> bool {
        writer.is_holding.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_frame_that_is_not_full_takes_along_what_is_held() {
        let (mut connection, writer, mut client) = connected().await;
        let response = [frame(FULL, 1), frame(FULL, 2), frame(100, 3)];
        for (frame, holding) in response.iter().zip([true, true, false]) {
            connection.write_all(frame).await.expect("sent");
            assert_eq!(is_holding(&writer), holding);
        }
        let mut received = vec![0; response.concat().len()];
        client.read_exact(&mut received).await.expect("received");
        assert!(received == response.concat());
    }

    #[tokio::test]
    async fn what_is_held_at_the_end_of_a_turn_is_sent() {
        let (mut connection, writer, mut client) = connected().await;
        let full = frame(FULL, 1);
        connection.write_all(&full).await.expect("sent");
        assert!(is_holding(&writer));
        writer.release();
        assert!(!is_holding(&writer));
        let mut received = vec![0; full.len()];
        client.read_exact(&mut received).await.expect("received");
        assert!(received == full);
    }

    #[tokio::test]
    async fn a_client_that_reads_late_gets_all_of_it() {
        let (mut connection, writer, mut client) = connected().await;
        let frames: Vec<_> = (0..=255).cycle().take(2000).map(|filling| frame(FULL, filling)).collect();
        let all = frames.concat();
        let mut received = vec![0; all.len()];
        let send = async {
            for frame in &frames {
                connection.write_all(frame).await.expect("sent");
            }
            writer.release();
            connection.shutdown().await.expect("shut");
        };
        let (received_all, ()) = tokio::join!(client.read_exact(&mut received), send);
        received_all.expect("received");
        assert!(received == all);
        assert_eq!(client.read(&mut [0]).await.expect("an end"), 0);
    }
}
