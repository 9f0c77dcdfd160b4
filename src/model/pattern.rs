//! Patterns of names: literal text, in which `*` stands for any characters, none included.

use std::{
    cmp::{Ordering, Reverse},
    fmt,
    sync::Arc,
};

/// `orders`, `pay-*`, `*`. Ordered from the most specific to the least: a name before a pattern, a longer pattern
/// before a shorter, then alphabetically.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NamePattern(Arc<str>);

impl NamePattern {
    /// Any text is a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As written, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// Whether it is a name: without `*`.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// How many characters it fixes: of two patterns the one that fixes more is the more specific.
    pub fn specificity(&self) -> usize {
        self.0.chars().filter(|&c| c != '*').count()
    }

    /// Which of two is the more specific, for patterns that match one name: less = more specific.
    pub fn cmp_specificity(&self, other: &Self) -> Ordering {
        let rank = |pattern: &Self| (Reverse(pattern.is_exact()), Reverse(pattern.specificity()));
        rank(self).cmp(&rank(other))
    }

    /// Whether a name fits.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return *self.0 == *name };
        let Some(mut left) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let Some(at) = left.find(part) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(last)
    }
}

impl Ord for NamePattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_specificity(other).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for NamePattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let matches = |pattern: &str, name: &str| NamePattern::new(pattern).matches(name);
        assert!(matches("orders", "orders") && !matches("orders", "orders-v2"));
        assert!(matches("pay-*", "pay-card") && matches("pay-*", "pay-") && !matches("pay-*", "repay-card"));
        assert!(matches("*", "anything") && matches("*.shop", "orders.shop") && !matches("*.shop", "orders.shop.x"));
        assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "ac") && !matches("aa*aa", "aaa"));
    }

    #[test]
    fn the_most_specific_comes_first() {
        let mut patterns = ["*", "pay-*", "pay-card-*", "orders"].map(NamePattern::new);
        patterns.sort();
        assert_eq!(patterns.map(|p| p.to_string()), ["orders", "pay-card-*", "pay-*", "*"]);
    }
}
