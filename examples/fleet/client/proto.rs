//! As much of protobuf as a simulated sidecar reads and writes: fields, one by one, by number.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Fixed-width numbers, which nothing here reads.
    Other,
}

/// The fields of a message, in the order in which they stand; ends early where the bytes are no message.
#[derive(Debug, Clone)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, mut at) = varint(self.0)?;
        let value = match key & 7 {
            0 => {
                let (number, length) = varint(self.0.get(at..)?)?;
                at += length;
                Value::Number(number)
            }
            1 => {
                at += 8;
                Value::Other
            }
            2 => {
                let (length, head) = varint(self.0.get(at..)?)?;
                let begin = at + head;
                at = begin.checked_add(usize::try_from(length).ok()?)?;
                Value::Bytes(self.0.get(begin..at)?)
            }
            5 => {
                at += 4;
                Value::Other
            }
            _ => return None,
        };
        self.0 = self.0.get(at..)?;
        Some(((key >> 3) as u32, value))
    }
}

/// The content of the first field of that number, if it is a text, a message or bytes.
pub fn bytes_of(message: &[u8], field: u32) -> Option<&[u8]> {
    Fields(message).find_map(|(number, value)| match value {
        Value::Bytes(bytes) if number == field => Some(bytes),
        _ => None,
    })
}

/// The same as text.
pub fn text_of(message: &[u8], field: u32) -> Option<&str> {
    std::str::from_utf8(bytes_of(message, field)?).ok()
}

/// A number and how many bytes it took.
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (position, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, position + 1));
        }
    }
    None
}

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a text, message or bytes field.
pub fn put(out: &mut Vec<u8>, field: u32, content: &[u8]) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut message = vec![0x08, 0xac, 0x02];
        put(&mut message, 3, b"abc");
        put(&mut message, 3, &[7; 200]);
        let fields: Vec<_> = Fields(&message).collect();
        assert_eq!(fields, [(1, Value::Number(300)), (3, Value::Bytes(b"abc")), (3, Value::Bytes(&[7; 200]))]);
        assert_eq!(text_of(&message, 3), Some("abc"));
    }

    #[test]
    fn bytes_that_are_no_message_end_it() {
        assert_eq!(Fields(&[0x1a, 0xff, 0xff]).count(), 0);
        assert_eq!(Fields(&[0xff; 30]).count(), 0);
    }
}
