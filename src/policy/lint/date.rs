//! A day, as `expires` is written: `2027-03-01`. Which day it is today is for the shell to say.

use std::fmt;

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days since 1970-01-01.
    days: i64,
}

impl Date {
    /// The day (UTC) on which so many seconds have passed since 1970 began.
    pub fn of_unix_seconds(seconds: u64) -> Self {
        Self { days: i64::try_from(seconds / 86_400).unwrap_or(i64::MAX) }
    }

    /// Reads `YYYY-MM-DD`; `None` for what is no such day.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
            part.parse::<i64>().ok()
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        let date = Self { days: days_before_year(year) + i64::from(days_before_month(year, month)?) + day - 1 };
        // What is no day of its month (2027-02-30) would come out as another.
        (parts.next().is_none() && date.to_string() == text).then_some(date)
    }

    /// How many days later the other day is; negative where it is earlier.
    pub fn days_until(self, other: Self) -> i64 {
        other.days - self.days
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// From 1970-01-01 to the first day of a year.
fn days_before_year(year: i64) -> i64 {
    let leaps = |before: i64| (before - 1).div_euclid(4) - (before - 1).div_euclid(100) + (before - 1).div_euclid(400);
    365 * (year - 1970) + leaps(year) - leaps(1970)
}

fn days_before_month(year: i64, month: i64) -> Option<u16> {
    const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let before = BEFORE.get(usize::try_from(month - 1).ok()?)?;
    Some(before + u16::from(month > 2 && is_leap(year)))
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Too early where it is not right: no year is longer than 366 days, none shorter than 365.
        let mut year = 1970 + self.days.div_euclid(if self.days < 0 { 365 } else { 366 });
        while days_before_year(year + 1) <= self.days {
            year += 1;
        }
        let of_year = self.days - days_before_year(year);
        let before = |month: i64| i64::from(days_before_month(year, month).unwrap_or(u16::MAX));
        let month = (1..=12).rev().find(|&month| before(month) <= of_year).unwrap_or(1);
        write!(f, "{year:04}-{month:02}-{:02}", of_year - before(month) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_written() {
        for (text, days) in [
            ("0004-02-29", -718_008),
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("2024-12-31", 20_088),
            ("2026-11-25", 20_782),
            ("1969-12-31", -1),
        ] {
            assert_eq!(Date::parse(text), Some(Date { days }), "{text}");
            assert_eq!(Date { days }.to_string(), text);
        }
        for wrong in
            ["", "soon", "2027-02-29", "2027-13-01", "2027-00-10", "2027-1-1", "2027-01-01-", "27-01-01", "2027-01-32"]
        {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Date::of_unix_seconds(1_795_651_199).to_string(), "2026-11-25");
    }
}
