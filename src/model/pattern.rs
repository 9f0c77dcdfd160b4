//! Patterns of names: literal text, in which `*` stands for any characters, none included.

use std::{
    cmp::{Ordering, Reverse},
    fmt,
    sync::Arc,
};

/// `orders`, `pay-*`, `*`. Ordered from the most specific to the least: a name before a pattern, a longer pattern
/// before a shorter, then alphabetically.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NamePattern {
    text: Arc<str>,
    /// How many characters it fixes, counted once: patterns are compared far more often than they are read.
    fixed: usize,
    /// Whether a `*` stands in it.
    wild: bool,
}

impl NamePattern {
    /// Any text is a pattern.
    pub fn new(text: &str) -> Self {
        let stars = text.chars().filter(|&c| c == '*').count();
        Self { text: text.into(), fixed: text.chars().count() - stars, wild: stars > 0 }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As written, shared.
    pub fn shared(&self) -> Arc<str> {
        self.text.clone()
    }

    /// Whether it is a name: without `*`.
    pub fn is_exact(&self) -> bool {
        !self.wild
    }

    /// How many characters it fixes: of two patterns the one that fixes more is the more specific.
    pub fn specificity(&self) -> usize {
        self.fixed
    }

    /// Which of two is the more specific, for patterns that match one name: less = more specific.
    pub fn cmp_specificity(&self, other: &Self) -> Ordering {
        let rank = |pattern: &Self| (Reverse(pattern.is_exact()), Reverse(pattern.specificity()));
        rank(self).cmp(&rank(other))
    }

    /// Whether a name fits.
    pub fn matches(&self, name: &str) -> bool {
        if !self.wild {
            return *self.text == *name;
        }
        let Some((first, rest)) = self.text.split_once('*') else { return false };
        let Some(mut left) = name.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*') {
            let Some(at) = left.find(part) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(last)
    }
}

impl Ord for NamePattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_specificity(other).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for NamePattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
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
