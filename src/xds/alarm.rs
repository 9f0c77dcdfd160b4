//! A stream's one timer, set as seldom as can be.
//!
//! Nearly every response is acknowledged long before anything has to be done about it. So an alarm that is set is left
//! alone when less is wanted of it, and goes off too early now and then; it is asked for an instant, and says when that
//! has come.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Not there before it is first needed.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `wanted` has come; never when nothing is wanted.
    pub fn poll(&mut self, wanted: Option<Instant>, context: &mut Context<'_>) -> Poll<()> {
        let Some(wanted) = wanted else { return Poll::Pending };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(wanted)));
        if sleep.deadline() > wanted || sleep.is_elapsed() {
            sleep.as_mut().reset(wanted);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= wanted {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(wanted);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    /// Time is simulated.
    #[tokio::test(start_paused = true)]
    async fn it_goes_off_at_what_is_wanted_last() {
        let begin = Instant::now();
        let mut alarm = Alarm::default();
        let after = |seconds| Some(begin + Duration::from_secs(seconds));
        for wanted in [after(5), None, after(9), after(3)] {
            assert!(poll_fn(|context| Poll::Ready(alarm.poll(wanted, context))).await.is_pending());
        }
        poll_fn(|context| alarm.poll(after(7), context)).await;
        assert_eq!(Some(Instant::now()), after(7));
        poll_fn(|context| alarm.poll(after(8), context)).await;
        assert_eq!(Some(Instant::now()), after(8), "it is set anew once it has gone off");
    }
}
