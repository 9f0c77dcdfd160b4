//! Versions: a hash of the content, so that equal bytes have equal versions on every replica and after every restart.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

/// 128 bits of content. Printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u128);

impl Version {
    /// The version of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// Reads what `Display` prints; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        digits.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// The bits, for hashes made of versions.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// Adds a member to the version of a set. Addition has no order, so a set's version is kept up at the cost of
    /// what changed; `name` takes part, so that two members cannot trade their contents unseen.
    #[must_use]
    pub(super) fn with_member(self, name: &str, member: Self) -> Self {
        Self(self.0.wrapping_add(member.as_member(name)))
    }

    /// The inverse of [`Version::with_member`].
    #[must_use]
    pub(super) fn without_member(self, name: &str, member: Self) -> Self {
        Self(self.0.wrapping_sub(member.as_member(name)))
    }

    fn as_member(self, name: &str) -> u128 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(&self.0.to_be_bytes());
        hasher.update(name.as_bytes());
        hasher.digest128()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
