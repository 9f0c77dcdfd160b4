//! Fractional numbers of policies, as values that can be compared and hashed.
//!
//! A policy says `12.5` percent or a bias of `0.1`; Envoy takes doubles. In between the number is kept in
//! millionths, so that equal policies are equal values (a `f64` is neither `Eq` nor `Hash`).

use std::fmt;

const MILLIONTHS: f64 = 1_000_000.0;

/// A non-negative number with six digits after the point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(u64);

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// A whole number.
    pub const fn whole(number: u32) -> Self {
        Self(number as u64 * 1_000_000)
    }

    /// The nearest decimal; `None` for what is negative, not finite or above 2^32.
    pub fn from_f64(number: f64) -> Option<Self> {
        let valid = number.is_finite() && (0.0..=f64::from(u32::MAX)).contains(&number);
        valid.then(|| Self((number * MILLIONTHS).round() as u64))
    }

    /// As Envoy takes it.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / MILLIONTHS
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_f64())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
