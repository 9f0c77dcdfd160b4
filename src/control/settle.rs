//! How long changes may gather before they are pushed: the only debounce there is. Pure: instants are given.

use std::time::{Duration, Instant};

/// `push` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// Changes are pushed once none came for this long.
    pub quiet: Duration,
    /// And at the latest this long after the first one.
    pub max_delay: Duration,
}

/// Changes that gather since a first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathering {
    settle: Settle,
    last: Instant,
    latest: Instant,
}

impl Settle {
    /// A first change is there, and has been waiting since an instant that may be before now: one that comes while
    /// others are pushed does not wait for their sake in addition.
    pub fn first_change(self, since: Instant, now: Instant) -> Gathering {
        // Others came when it did, some of them just now, so a quiet moment is waited for however long it has waited.
        Gathering { settle: self, last: now, latest: (since + self.max_delay).max(now + self.quiet) }
    }
}

impl Gathering {
    /// A further change has come. Returns whether to go on waiting.
    pub fn further_change(&mut self, now: Instant) -> bool {
        self.last = now;
        now < self.latest
    }

    /// When to push if no further change comes.
    pub fn push_at(&self) -> Instant {
        (self.last + self.settle.quiet).min(self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Settle = Settle { quiet: Duration::from_millis(20), max_delay: Duration::from_millis(500) };

    #[test]
    fn one_change_is_pushed_after_a_quiet_moment() {
        let start = Instant::now();
        assert_eq!(SETTLE.first_change(start, start).push_at() - start, Duration::from_millis(20));
    }

    #[test]
    fn endless_changes_are_pushed_after_the_longest_delay() {
        let start = Instant::now();
        let mut gathering = SETTLE.first_change(start, start);
        let further = (1..).map(|count| start + Duration::from_millis(15 * count));
        let last = further.take_while(|&now| gathering.further_change(now)).last().expect("some changes");
        assert_eq!(last - start, Duration::from_millis(495));
        assert_eq!(gathering.push_at() - start, Duration::from_millis(500));
    }

    #[test]
    fn a_change_that_came_while_another_was_pushed_has_waited_since() {
        let start = Instant::now();
        let now = start + Duration::from_millis(60);
        let mut gathering = SETTLE.first_change(start, now);
        assert_eq!(gathering.push_at() - start, Duration::from_millis(80), "the quiet moment is counted from now");
        assert!(gathering.further_change(start + Duration::from_millis(499)));
        assert_eq!(gathering.push_at() - start, Duration::from_millis(500), "the longest delay is not");
    }

    #[test]
    fn after_a_long_push_changes_still_gather_for_a_quiet_moment() {
        let start = Instant::now();
        let now = start + Duration::from_secs(2);
        let mut gathering = SETTLE.first_change(start, now);
        assert_eq!(gathering.push_at() - now, Duration::from_millis(20));
        assert!(gathering.further_change(now + Duration::from_millis(5)));
        assert_eq!(gathering.push_at() - now, Duration::from_millis(20), "and no longer");
    }
}
