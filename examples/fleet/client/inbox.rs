//! From the bytes of a stream to what a sidecar has seen: a response's type, nonce, and how many resources it has.
//!
//! Short responses are gathered and read at once. Long ones, such as the first endpoints of a thousand services, pass
//! through: their resources are counted and skipped, so that ten thousand of them need no memory.

use super::{
    Kind,
    proto::{Fields, Value, varint},
};

/// Responses up to this long are gathered; those above pass through.
const GATHERED: usize = 64 * 1024;

/// Changed endpoints are marked by an address `203.A.B.C`, whose last three numbers say which change it is.
pub const MARK: &[u8] = b"203.";

/// A response, as far as a sidecar looks at it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub kind: Option<Kind>,
    pub nonce: String,
    pub version: String,
    pub resources: u32,
    pub removed: u32,
    /// Length of the message.
    pub bytes: usize,
    /// The change that marked an endpoint in it, the last if there are several. Of gathered responses alone.
    pub mark: Option<u32>,
    /// The message itself, where it was asked for.
    pub body: Vec<u8>,
}

/// Assembles messages.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Whether every response is gathered and handed on with its body.
    pub keeps_bodies: bool,
    /// State of the world removes nothing by name: what is a removed name in delta is something else there.
    pub is_sotw: bool,
    head: [u8; 5],
    have: usize,
    left: usize,
    length: usize,
    gathered: Vec<u8>,
    passing: Option<Box<Passing>>,
}

/// A long response on its way through.
#[derive(Debug, Default)]
struct Passing {
    /// Of a field that is not looked at.
    skip: usize,
    /// The beginning of a field: its key and length, and its content where that is looked at.
    field: Vec<u8>,
    seen: Seen,
}

impl Inbox {
    /// Takes bytes of the stream; adds what is complete.
    pub fn take(&mut self, mut data: &[u8], seen: &mut Vec<Seen>) {
        while !data.is_empty() {
            if self.have < 5 {
                let taken = data.len().min(5 - self.have);
                self.head[self.have..self.have + taken].copy_from_slice(&data[..taken]);
                self.have += taken;
                data = &data[taken..];
                if self.have < 5 {
                    return;
                }
                let [_, length @ ..] = self.head;
                self.length = u32::from_be_bytes(length) as usize;
                self.left = self.length;
            }
            let taken = data.len().min(self.left);
            let (part, rest) = data.split_at(taken);
            data = rest;
            self.left -= taken;
            if let Some(complete) = self.add(part) {
                let removed = if self.is_sotw { 0 } else { complete.removed };
                seen.push(Seen { removed, ..complete });
                self.have = 0;
            }
        }
    }

    fn add(&mut self, part: &[u8]) -> Option<Seen> {
        let is_gathered = self.keeps_bodies || self.length <= GATHERED;
        if !is_gathered {
            let passing = self.passing.get_or_insert_default();
            passing.take(part);
            return (self.left == 0).then(|| {
                let seen = self.passing.take().map(|passing| passing.seen).unwrap_or_default();
                Seen { bytes: self.length, ..seen }
            });
        }
        if self.left == 0 && self.gathered.is_empty() {
            return Some(Seen::read(part, self.keeps_bodies));
        }
        self.gathered.extend_from_slice(part);
        (self.left == 0).then(|| Seen::read(&std::mem::take(&mut self.gathered), self.keeps_bodies))
    }
}

impl Passing {
    fn take(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            if self.skip > 0 {
                let taken = part.len().min(self.skip);
                self.skip -= taken;
                part = &part[taken..];
                continue;
            }
            self.field.push(part[0]);
            part = &part[1..];
            let Some((key, at)) = varint(&self.field) else { continue };
            let Some((length, head)) = varint(&self.field[at..]) else { continue };
            let (number, length) = ((key >> 3) as u32, length as usize);
            if number == Seen::RESOURCES {
                self.seen.add(number, &[]);
                self.skip = length;
                self.field.clear();
            } else if self.field.len() == at + head + length {
                self.seen.add(number, &self.field[at + head..]);
                self.field.clear();
            }
        }
    }
}

impl Seen {
    /// The two responses have the same numbers for the same things.
    const VERSION: u32 = 1;
    pub const RESOURCES: u32 = 2;
    const TYPE_URL: u32 = 4;
    pub const NONCE: u32 = 5;
    const REMOVED: u32 = 6;

    fn read(message: &[u8], keeps_body: bool) -> Self {
        let mut seen = Self { bytes: message.len(), ..Self::default() };
        for (number, value) in Fields(message) {
            if let Value::Bytes(content) = value {
                seen.add(number, content);
                if number == Self::RESOURCES {
                    seen.mark = mark_of(content).or(seen.mark);
                }
            }
        }
        if keeps_body {
            seen.body = message.to_vec();
        }
        seen
    }

    fn add(&mut self, number: u32, content: &[u8]) {
        match number {
            Self::VERSION => self.version = String::from_utf8_lossy(content).into_owned(),
            Self::RESOURCES => self.resources += 1,
            Self::TYPE_URL => self.kind = Kind::of_url(content),
            Self::NONCE => self.nonce = String::from_utf8_lossy(content).into_owned(),
            Self::REMOVED => self.removed += 1,
            _ => {}
        }
    }
}

/// The change that marked a resource. Marked addresses are the last of their assignment, so the search is from behind.
pub fn mark_of(resource: &[u8]) -> Option<u32> {
    let at = resource.windows(MARK.len()).rposition(|window| window == MARK)?;
    let mut numbers = resource[at + MARK.len()..].split(|byte| !byte.is_ascii_digit());
    let mut next = || numbers.next()?.iter().try_fold(0u32, |sum, digit| Some(sum * 10 + u32::from(digit - b'0')));
    let (high, middle, low) = (next()?, next()?, next()?);
    Some(high << 16 | middle << 8 | low)
}

/// The address that marks a change.
pub fn marked(change: u32) -> String {
    let [_, high, middle, low] = change.to_be_bytes();
    format!("203.{high}.{middle}.{low}")
}

#[cfg(test)]
mod tests {
    use super::{super::proto::put, *};

    fn message(resource: usize) -> Vec<u8> {
        let mut message = Vec::new();
        put(&mut message, 1, b"version");
        for number in 0..3 {
            put(&mut message, 2, &vec![b'a' + number; resource]);
        }
        put(&mut message, 2, b"\x0a203.1.2.3\x10");
        put(&mut message, 4, Kind::Endpoints.url().as_bytes());
        put(&mut message, 6, b"gone");
        put(&mut message, 5, b"nonce");
        super::super::requests::framed(&message)
    }

    /// However the bytes are cut, a response is the same.
    #[test]
    fn responses_are_seen_whole_and_in_pieces() {
        for resource in [10, 60_000] {
            let twice = [message(resource), message(resource)].concat();
            for piece in [1, 7, 4096, twice.len()] {
                let (mut inbox, mut seen) = (Inbox::default(), Vec::new());
                twice.chunks(piece).for_each(|piece| inbox.take(piece, &mut seen));
                assert_eq!(seen.len(), 2, "{resource} {piece}");
                for seen in seen {
                    assert_eq!((seen.kind, seen.resources, seen.removed), (Some(Kind::Endpoints), 4, 1));
                    assert_eq!((&*seen.nonce, &*seen.version), ("nonce", "version"));
                    assert_eq!(seen.bytes, message(resource).len() - 5);
                    assert_eq!(seen.mark, (resource == 10).then_some(0x01_02_03));
                }
            }
        }
    }

    #[test]
    fn a_mark_says_which_change_it_is() {
        let address = marked(70_000);
        assert_eq!(mark_of(format!("10.1.2.3 {address}\u{10}").as_bytes()), Some(70_000));
        assert_eq!(mark_of(b"10.1.2.3"), None);
    }
}
