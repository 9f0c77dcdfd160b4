//! Scalars of policies, each with the check that belongs to it, so that a value that was read is a valid one.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    model::Decimal,
    yaml::{invalid, scalar_schema},
};

/// A duration as Istio and Go write it: `1h2m3.5s`, `100ms`, `0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// Envoy's own limit for durations of timers is far above; what is longer than this is a slip.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

const UNITS: [(&str, f64); 6] = [("h", 3600.0), ("ms", 1e-3), ("m", 60.0), ("s", 1.0), ("us", 1e-6), ("ns", 1e-9)];

scalar_schema!(Span, {
    "type": "string",
    "pattern": r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|ms|m|s|us|ns))+$",
    "patternErrorMessage": "write a number with a unit, for example `1.5s`, `100ms` or `1m30s`",
    "examples": ["1.5s", "100ms", "1m30s"],
});

impl Span {
    /// Reads the notation; the error is a sentence and a remedy.
    pub fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        const EXAMPLE: &str = "write a number with a unit, for example `1.5s`, `100ms` or `1m30s`";
        let wrong = || (format!("`{text}` is no duration"), EXAMPLE);
        if text.starts_with('-') {
            return Err((format!("`{text}` is negative"), "write `0s` or a duration above it"));
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err((format!("`{text}` has no unit"), EXAMPLE));
        }
        let (mut rest, mut seconds) = (text, 0.0);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(wrong)?;
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            let (unit, factor) =
                UNITS.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit)).ok_or_else(wrong)?;
            seconds += number * factor;
            rest = &rest[digits + unit.len()..];
        }
        let duration = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        match duration {
            _ if text.is_empty() => Err(wrong()),
            duration if duration > LONGEST => Err((format!("`{text}` is longer than a year"), EXAMPLE)),
            duration => Ok(Self(duration)),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            whole if whole.subsec_nanos() == 0 => write!(f, "{}s", whole.as_secs()),
            millis if millis.subsec_nanos() % 1_000_000 == 0 => write!(f, "{}ms", millis.as_millis()),
            fine => write!(f, "{}ns", fine.as_nanos()),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|(sentence, remedy)| invalid(sentence, remedy))
    }
}

/// A share in percent, 0 to 100, fractions allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub Decimal);

scalar_schema!(Percent, { "type": "number", "minimum": 0, "maximum": 100 });

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.to_f64())
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        match Decimal::from_f64(number) {
            Some(decimal) if decimal <= Decimal::whole(100) => Ok(Self(decimal)),
            _ => Err(invalid(format_args!("`{number}` is no percentage"), "write a number from 0 to 100")),
        }
    }
}

/// A number that is not negative, fractions allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(pub Decimal);

scalar_schema!(Fraction, { "type": "number", "minimum": 0 });

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.to_f64())
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let decimal = Decimal::from_f64(number);
        decimal.map(Self).ok_or_else(|| invalid(format_args!("`{number}` is out of range"), "write a number from 0 up"))
    }
}

/// Reads a whole number within bounds; for fields whose bounds Envoy or the protocol sets.
fn bounded<'de, D: Deserializer<'de>, T>(deserializer: D, bounds: &RangeInclusive<T>) -> Result<T, D::Error>
where
    T: Deserialize<'de> + PartialOrd + fmt::Display,
{
    let number = T::deserialize(deserializer)?;
    if bounds.contains(&number) {
        return Ok(number);
    }
    let remedy = format_args!("write a whole number from {} to {}", bounds.start(), bounds.end()).to_string();
    Err(invalid(format_args!("`{number}` is out of range"), remedy))
}

macro_rules! bounded_number {
    ($(#[$doc:meta])* $type:ident($inner:ty), $bounds:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $type(pub $inner);

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                bounded(deserializer, &$bounds).map(Self)
            }
        }

        scalar_schema!($type, { "type": "integer", "minimum": *($bounds).start(), "maximum": *($bounds).end() });
    };
}

bounded_number! {
    /// A whole percentage, as Envoy's outlier detection counts.
    WholePercent(u32), 0..=100
}
bounded_number! {
    /// A number of something; what Envoy takes as a limit.
    Count(u32), 0..=u32::MAX
}
bounded_number! {
    /// Entries of a hash ring; Envoy refuses more than 8M.
    RingSize(u64), 1..=8_388_608
}
bounded_number! {
    /// An HTTP status code.
    StatusCode(u16), 100..=599
}
bounded_number! {
    /// How many endpoints least request compares; Envoy wants two at least.
    ChoiceCount(u32), 2..=u32::MAX
}
bounded_number! {
    /// Envoy takes 100 (no overprovisioning) and more.
    OverprovisioningFactor(u32), 100..=u32::MAX
}

/// The size of a Maglev table: a prime below 5,000,011 (Envoy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TableSize(pub u64);

scalar_schema!(TableSize, { "type": "integer", "minimum": 2, "maximum": 5_000_010 });

impl<'de> Deserialize<'de> for TableSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = u64::deserialize(deserializer)?;
        if is_prime(size) && size < 5_000_011 {
            return Ok(Self(size));
        }
        let nearest = (2..=size.clamp(2, 5_000_010)).rev().find(|&smaller| is_prime(smaller)).unwrap_or(2);
        Err(invalid(
            format_args!("`{size}` is no table size: Maglev takes a prime below 5000011"),
            format_args!("the nearest prime below it is {nearest}; 65537 is usual"),
        ))
    }
}

fn is_prime(number: u64) -> bool {
    number >= 2
        && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let millis = |text: &str| Span::parse(text).map(|span| span.0.as_millis()).ok();
        assert_eq!(millis("1h2m3.5s"), Some(3_723_500));
        assert_eq!(millis("100ms"), Some(100));
        assert_eq!(millis("0s"), Some(0));
        for wrong in ["", "5", "1.5", "-1s", "1 s", "s", "1x", "9999999h", "1..2s"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
        for text in ["3723500ms", "2s", "1500ns"] {
            assert_eq!(Span::parse(text).map(|span| span.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn maglev_tables_are_primes() {
        assert!(is_prime(65_537) && is_prime(2) && !is_prime(1) && !is_prime(65_536));
    }
}
