//! A response's nonce: a number that counts up on each stream, written in hexadecimal.
//!
//! It is a number wherever it is kept, and a text only in a message, so that ten thousand streams allocate nothing for it
//! at each change.

use std::{
    fmt::{self, Display},
    io::Write,
};

use bytes::BufMut;

/// Of one response on one stream; the first is 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nonce(u64);

/// The number of the field, of both kinds of response, with the wire type of a text.
const KEY: u8 = 5 << 3 | 2;

/// As many digits as there can be.
const DIGITS: usize = 16;

impl Nonce {
    /// That of the next response.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// As it was written, and in no other way.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_canonical = text.bytes().all(is_digit) && !text.starts_with('0');
        if is_canonical { u64::from_str_radix(text, 16).ok().map(Self) } else { None }
    }

    /// How many bytes the field takes.
    pub(super) fn field_length(self) -> usize {
        let bits = (u64::BITS - self.0.leading_zeros()) as usize;
        // Key and length have a byte each.
        2 + bits.div_ceil(4).max(1)
    }

    /// Writes the field of a response.
    pub(super) fn put_field(self, buffer: &mut impl BufMut) {
        let mut digits = [0; DIGITS];
        let mut free = &mut digits[..];
        // There is room for all digits of 64 bits.
        let _ = write!(free, "{self}");
        let length = DIGITS - free.len();
        buffer.put_u8(KEY);
        buffer.put_u8(length as u8);
        buffer.put_slice(&digits[..length]);
    }
}

impl Display for Nonce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};

    #[test]
    fn it_is_read_as_it_was_written() {
        for number in [1, 9, 15, 16, 255, 256, 0x0123_4567_89ab_cdef, u64::MAX] {
            let nonce = Nonce(number);
            assert_eq!(Nonce::parse(&nonce.to_string()), Some(nonce));
            let mut field = Vec::new();
            nonce.put_field(&mut field);
            assert_eq!(field.len(), nonce.field_length());
            assert_eq!(DeltaDiscoveryResponse::decode(&*field).expect("a message").nonce, nonce.to_string());
            assert_eq!(DiscoveryResponse::decode(&*field).expect("a message").nonce, nonce.to_string());
        }
    }

    #[test]
    fn what_nobody_wrote_is_none() {
        for text in ["", "0", "01", "A", "+1", "1 ", "g", "10000000000000000"] {
            assert_eq!(Nonce::parse(text), None, "{text:?}");
        }
    }
}
