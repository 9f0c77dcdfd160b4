//! One HTTP/2 connection with one stream, by hand: a client that opens a gRPC call and lives on it.
//!
//! Pure: bytes in, bytes out. It keeps to the peer's windows, grants its own generously, answers pings and settings,
//! and reads no headers, since all it wants of them is whether the stream has ended.

use super::{
    inbox::{Inbox, Seen},
    requests::Dialect,
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

/// What HTTP/2 grants before anything is said.
const DEFAULT_WINDOW: i64 = 65_535;

/// What Envoy grants a stream, and a connection.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 24 * 1024 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Http2 {
    pub inbox: Inbox,
    /// The peer has said its first word.
    pub greeted: bool,
    /// The stream is over, and the server's last words: headers are compressed, and yet their texts can be read.
    pub ended: Option<String>,
    head: [u8; 9],
    have: usize,
    left: usize,
    control: Vec<u8>,
    send_connection: i64,
    send_stream: i64,
    initial_window: i64,
    largest_frame: usize,
    received: u32,
    /// Of messages, until the peer's window lets them go.
    waiting: Vec<u8>,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            inbox: Inbox::default(),
            greeted: false,
            ended: None,
            head: [0; 9],
            have: 0,
            left: 0,
            control: Vec::new(),
            send_connection: DEFAULT_WINDOW,
            send_stream: DEFAULT_WINDOW,
            initial_window: DEFAULT_WINDOW,
            largest_frame: 16_384,
            received: 0,
            waiting: Vec::new(),
        }
    }
}

/// What a connection begins with, up to the headers of its one call. Without `roomy` the peer may send 64 KiB and
/// then has to wait.
pub fn opening(dialect: Dialect, authority: &str, roomy: bool) -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    if roomy {
        put_head(&mut out, 6, SETTINGS, 0, 0);
        out.extend_from_slice(&INITIAL_WINDOW_SIZE.to_be_bytes());
        out.extend_from_slice(&STREAM_WINDOW.to_be_bytes());
        put_window_update(&mut out, 0, CONNECTION_WINDOW - DEFAULT_WINDOW as u32);
    } else {
        put_head(&mut out, 0, SETTINGS, 0, 0);
    }
    // Indexed fields of HPACK's static table, and literals that are not remembered.
    let mut headers = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        headers.extend_from_slice(name);
        headers.push(value.len() as u8);
        headers.extend_from_slice(value.as_bytes());
    };
    literal(&[0x04], dialect.path());
    literal(&[0x01], authority);
    literal(&[0x0f, 0x10], "application/grpc");
    literal(b"\x00\x02te", "trailers");
    put_head(&mut out, headers.len(), HEADERS, END_HEADERS, 1);
    out.extend_from_slice(&headers);
    out
}

fn last_words(frame: &str, content: &[u8]) -> String {
    format!("{frame} {}", content.escape_ascii())
}

impl Http2 {
    /// Takes bytes from the socket; adds responses to `seen`, and what has to be said at once to `out`.
    pub fn take(&mut self, mut bytes: &[u8], seen: &mut Vec<Seen>, out: &mut Vec<u8>) {
        while !bytes.is_empty() && self.ended.is_none() {
            if self.have < 9 {
                let taken = bytes.len().min(9 - self.have);
                self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
                self.have += taken;
                bytes = &bytes[taken..];
                if self.have < 9 {
                    return;
                }
                let [a, b, c, ..] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            }
            let [_, _, _, kind, flags, ..] = self.head;
            let taken = bytes.len().min(self.left);
            let (part, rest) = bytes.split_at(taken);
            bytes = rest;
            self.left -= taken;
            if kind == DATA {
                self.inbox.take(part, seen);
                self.received += taken as u32;
            } else {
                self.control.extend_from_slice(part);
            }
            if self.left == 0 {
                self.have = 0;
                if kind == DATA {
                    self.ended = (flags & END_STREAM != 0).then(|| "the end in DATA".to_owned());
                } else {
                    let content = std::mem::take(&mut self.control);
                    self.take_control(kind, flags, &content, out);
                }
            }
        }
        if self.received > STREAM_WINDOW / 4 {
            put_window_update(out, 0, self.received);
            put_window_update(out, 1, self.received);
            self.received = 0;
        }
    }

    fn take_control(&mut self, kind: u8, flags: u8, content: &[u8], out: &mut Vec<u8>) {
        match kind {
            HEADERS if flags & END_STREAM != 0 => self.ended = Some(last_words("HEADERS", content)),
            RST_STREAM => self.ended = Some(last_words("RST_STREAM", content)),
            GOAWAY => self.ended = Some(last_words("GOAWAY", content)),
            SETTINGS if flags & ACK == 0 => {
                self.greeted = true;
                content.chunks_exact(6).for_each(|setting| self.take_setting(setting));
                put_head(out, 0, SETTINGS, ACK, 0);
                self.send_waiting(out);
            }
            PING if flags & ACK == 0 => {
                put_head(out, content.len(), PING, ACK, 0);
                out.extend_from_slice(content);
            }
            WINDOW_UPDATE => {
                let Ok(increment) = <[u8; 4]>::try_from(content) else { return };
                let increment = i64::from(u32::from_be_bytes(increment) & 0x7fff_ffff);
                let on_connection = self.head[5..9] == [0; 4];
                *(if on_connection { &mut self.send_connection } else { &mut self.send_stream }) += increment;
                self.send_waiting(out);
            }
            _ => {}
        }
    }

    fn take_setting(&mut self, setting: &[u8]) {
        let &[high, low, a, b, c, d] = setting else { return };
        let value = u32::from_be_bytes([a, b, c, d]);
        match u16::from_be_bytes([high, low]) {
            INITIAL_WINDOW_SIZE => {
                self.send_stream += i64::from(value) - self.initial_window;
                self.initial_window = i64::from(value);
            }
            MAX_FRAME_SIZE => self.largest_frame = value as usize,
            _ => {}
        }
    }

    /// Sends a message, as far as the peer lets it go; the rest follows.
    pub fn send(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let now = if self.waiting.is_empty() { self.send_now(message, out) } else { 0 };
        self.waiting.extend_from_slice(&message[now..]);
    }

    fn send_waiting(&mut self, out: &mut Vec<u8>) {
        if !self.waiting.is_empty() {
            let mut waiting = std::mem::take(&mut self.waiting);
            let sent = self.send_now(&waiting, out);
            waiting.drain(..sent);
            if !waiting.is_empty() {
                self.waiting = waiting;
            }
        }
    }

    fn send_now(&mut self, message: &[u8], out: &mut Vec<u8>) -> usize {
        let window = self.send_connection.min(self.send_stream).max(0);
        let allowed = message.len().min(usize::try_from(window).unwrap_or(0));
        for frame in message[..allowed].chunks(self.largest_frame) {
            put_head(out, frame.len(), DATA, 0, 1);
            out.extend_from_slice(frame);
        }
        self.send_connection -= allowed as i64;
        self.send_stream -= allowed as i64;
        allowed
    }
}

fn put_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    out.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

fn put_window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    put_head(out, 4, WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&increment.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_larger_than_the_window_goes_in_parts() {
        let (mut http2, mut out) = (Http2::default(), Vec::new());
        http2.send(&[1; 100_000], &mut out);
        // Four frames' heads and as much as HTTP/2 allows at first.
        assert_eq!(out.len(), 65_535 + 4 * 9);
        out.clear();
        let mut update = Vec::new();
        put_window_update(&mut update, 0, 50_000);
        http2.take(&update, &mut Vec::new(), &mut out);
        assert!(out.is_empty(), "the stream's own window is still closed");
        update.clear();
        put_window_update(&mut update, 1, 50_000);
        for byte in update {
            http2.take(&[byte], &mut Vec::new(), &mut out);
        }
        assert_eq!(out.len(), 100_000 - 65_535 + 3 * 9);
    }

    #[test]
    fn pings_and_settings_are_answered() {
        let (mut http2, mut out, mut peer) = (Http2::default(), Vec::new(), Vec::new());
        put_head(&mut peer, 0, SETTINGS, 0, 0);
        put_head(&mut peer, 8, PING, 0, 0);
        peer.extend_from_slice(b"12345678");
        http2.take(&peer, &mut Vec::new(), &mut out);
        assert!(http2.greeted);
        let mut expected = Vec::new();
        put_head(&mut expected, 0, SETTINGS, ACK, 0);
        put_head(&mut expected, 8, PING, ACK, 0);
        expected.extend_from_slice(b"12345678");
        assert_eq!(out, expected);
    }
}
